package api

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// endpoint finds a row of the table.
func endpoint(t testing.TB, name string) *Endpoint {
	t.Helper()
	for i := range table {
		if table[i].String() == name {
			return &table[i]
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

const create = "POST /containers/create"

// TestDecodeRefuses has a hostile body in each row, and an ordinary one beside it
// that must pass.
func TestDecodeRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300)
	for _, tc := range []struct {
		name, endpoint string
		version        Version
		body           string
		message        string // a part of it
		twin           string
	}{
		{"twice", create, 0, `{"Image":"a","HostConfig":{},"HostConfig":{"Privileged":true}}`, `"HostConfig" is given twice`, `{"Image":"a","HostConfig":{"Privileged":true}}`},
		{"twice, then null", create, 0, `{"HostConfig":{"Privileged":true},"HostConfig":null}`, `"HostConfig" is given twice`, `{"HostConfig":null}`},
		{"twice, once escaped", create, 0, `{"HostConfig":{},"Host\u0043onfig":{"Privileged":true}}`, `"HostConfig" is given twice`, `{"Host\u0043onfig":{"Privileged":true}}`},
		{"twice in a map", create, 0, `{"Labels":{"a":"1","a":"2"}}`, `"a" is given twice`, `{"Labels":{"a":"1","A":"2"}}`},
		{"other case", create, 0, `{"hostconfig":{"Privileged":true}}`, `the body's key "hostconfig" is another spelling of HostConfig`, `{"HostConfig":{"Privileged":true}}`},
		{"upper case", create, 0, `{"HOSTCONFIG":{}}`, `"HOSTCONFIG" is another spelling of HostConfig`, `{"HostConfig":{}}`},
		{"other case below", create, 0, `{"HostConfig":{"privileged":true}}`, `the body's key "privileged" in "HostConfig" is another spelling of Privileged`, `{"HostConfig":{"Privileged":true}}`},
		{"other case that says nothing", create, 0, `{"HostConfig":{"Privileged":true},"hostConfig":null}`, `"hostConfig" is another spelling of HostConfig`, `{"HostConfig":{"Privileged":true},"otherConfig":null}`},
		{"long s", create, 0, `{"HoſtConfig":{"Privileged":true}}`, `"HoſtConfig" is another spelling of HostConfig`, `{"HostConfig":{}}`},
		{"long s escaped", create, 0, `{"Ho\u017ftConfig":{}}`, `is another spelling of HostConfig`, `{"Ho\u0073tConfig":{}}`},
		{"kelvin sign", create, 0, "{\"HostConfig\":{\"Networ\u212aMode\":\"host\"}}", "is another spelling of NetworkMode", `{"HostConfig":{"NetworkMode":"host"}}`},
		{"other case in a list", create, 0, `{"HostConfig":{"Mounts":[{},{"source":"/"}]}}`, `the body's key "source" in "HostConfig.Mounts[1]" is another spelling of Source`, `{"HostConfig":{"Mounts":[{},{"Source":"/"}]}}`},
		{"other case in a map", create, 0, `{"NetworkingConfig":{"EndpointsConfig":{"net":{"links":["a"]}}}}`, `"links" in "NetworkingConfig.EndpointsConfig.net" is another spelling of Links`, `{"NetworkingConfig":{"EndpointsConfig":{"Links":{"Links":["a"]}}}}`},
		{"before API 1.15", create, 0, `{"Image":"a","Privileged":true}`, `the body's key "Privileged" is not in the Engine API 1.40 to 1.56; leave it out, or put it into HostConfig`, `{"Image":"a","HostConfig":{"Privileged":true}}`},
		{"binds before API 1.15", create, 0, `{"Image":"a","Binds":["/:/h"]}`, "put it into HostConfig", `{"Image":"a","Binds":null}`},
		{"cpuset before API 1.18", create, 0, `{"Image":"a","Cpuset":"0"}`, `the body's key "Cpuset" is not in the Engine API`, `{"Image":"a","Cpuset":""}`},
		{"a slip", create, 0, `{"HostConfig":{"PidMod":"host"}}`, `the body's key "PidMod" in "HostConfig" is not in the Engine API 1.40 to 1.56; leave it out, or write PidMode`, `{"HostConfig":{"PidMode":"host"}}`},
		{"unknown deep in a mount", create, 0, `{"HostConfig":{"Mounts":[{"VolumeOptions":{"DriverConfig":{"Opts":{"o":"bind"}}}}]}}`, `"Opts" in "HostConfig.Mounts[0].VolumeOptions.DriverConfig"`, `{"HostConfig":{"Mounts":[{"VolumeOptions":{"DriverConfig":{"Options":{"o":"bind"}}}}]}}`},
		{"unknown with a false text", create, 0, `{"Teleport":"false"}`, `"Teleport" is not in the Engine API`, `{"Teleport":false}`},
		{"unknown with a zero in other words", create, 0, `{"Teleport":0.0}`, `"Teleport" is not in the Engine API`, `{"Teleport":0}`},
		{"unknown with an empty object in a list", create, 0, `{"Teleport":[{}]}`, `"Teleport" is not in the Engine API`, `{"Teleport":[]}`},
		{"second value", create, 0, `{"Image":"a"}{"HostConfig":{"Privileged":true}}`, "something follows after the JSON value", `{"Image":"a"} `},
		{"byte order mark", create, 0, "\ufeff{}", "byte order mark", "{}"},
		{"no Unicode", create, 0, "{\"Image\":\"a\xff\"}", "not UTF-8 text", `{"Image":"aé"}`},
		{"half a surrogate pair", create, 0, `{"Image":"\ud800"}`, "half of a surrogate pair", `{"Image":"\ud83d\ude00"}`},
		{"comment", create, 0, `{"Image":"a"} // x`, "something follows", `{"Image":"a"}`},
		{"a list", create, 0, `[]`, "must be an object", `{}`},
		{"deep", create, 0, deep, "levels inside each other", `{}`},
		{"text for a bool", create, 0, `{"HostConfig":{"Privileged":"true"}}`, "HostConfig.Privileged must be true or false, not text", `{"HostConfig":{"Privileged":true}}`},
		{"a fraction", create, 0, `{"HostConfig":{"Memory":1.5}}`, "whole number", `{"HostConfig":{"Memory":1}}`},
		{"an exponent", create, 0, `{"HostConfig":{"Memory":1e9}}`, "whole number", `{"HostConfig":{"Memory":1000000000}}`},
		{"too new", create, 41, `{"HostConfig":{"Annotations":{"a":"b"}}}`, `the body's key "Annotations" in "HostConfig" is in API 1.43 to 1.56, and the path asks for 1.41; leave it out, or set DOCKER_API_VERSION=1.43`, `{"HostConfig":{"Annotations":{}}}`},
		{"gone", create, 44, `{"HostConfig":{"KernelMemory":1}}`, `is in API 1.40 to 1.41, and the path asks for 1.44; leave it out, or set DOCKER_API_VERSION=1.41`, `{"HostConfig":{"KernelMemory":0}}`},
		{"too new, by a pointer to zero", create, 55, `{"HostConfig":{"Umask":0}}`, `"Umask" in "HostConfig" is in API 1.56 to 1.56`, `{"HostConfig":{"Umask":null}}`},
		{"confined by what the version drops", "POST /services/create", 43, `{"TaskTemplate":{"ContainerSpec":{"Privileges":{"NoNewPrivileges":true}}}}`, `"NoNewPrivileges" in "TaskTemplate.ContainerSpec.Privileges" is in API 1.44 to 1.56`, `{"TaskTemplate":{"ContainerSpec":{"Privileges":{"NoNewPrivileges":false}}}}`},
		{"exec in another case", "POST /containers/{id}/exec", 0, `{"Cmd":["id"],"privileged":true}`, "is another spelling of Privileged", `{"Cmd":["id"],"Privileged":true}`},
		{"exec of docker-py with keys for detaching, and others", "POST /containers/{id}/exec", 0, `{"detachKeys":"a","DetachKeys":"b"}`, "is there beside DetachKeys", `{"detachKeys":"a","Container":"web"}`},
		{"and the other way round", "POST /containers/{id}/exec", 0, `{"DetachKeys":"b","detachKeys":null}`, "is there beside DetachKeys", `{"detachKeys":"a"}`},
		{"a third spelling", "POST /containers/{id}/exec", 0, `{"detachkeys":"a"}`, "is another spelling of DetachKeys", `{"DetachKeys":"a"}`},
		{"time of the processor in docker-py's spelling, and others", create, 0, `{"HostConfig":{"CPURealtimePeriod":1,"CpuRealtimePeriod":1}}`, "is there beside CpuRealtimePeriod", `{"HostConfig":{"CPURealtimePeriod":1000,"CPURealtimeRuntime":900}}`},
		{"a mode twice", "POST /services/create", 0, `{"Mode":{"global":{},"Global":null}}`, `"global" in "Mode" is there beside Global`, `{"Mode":{"global":{}}}`},
		{"start with a body", "POST /containers/{id}/start", 0, `{"HostConfig":{"Privileged":true}}`, `takes no body, and this one has "HostConfig"; send none`, `{}`},
		{"start with another body", "POST /containers/{id}/start", 0, `[1]`, "takes no body", `null`},
		{"start with no JSON", "POST /containers/{id}/start", 0, `x=1`, "reading the body", ``},
		{"stop with a body", "POST /containers/{id}/stop", 0, `{"T":5}`, "takes no body", `{"t":5}`},
		{"volume in another case", "POST /volumes/create", 0, `{"Name":"a","driverOpts":{"device":"/"}}`, "is another spelling of DriverOpts", `{"Name":"a","DriverOpts":{"device":"/"}}`},
		{"driver options of docker's command line", "POST /volumes/create", 0, `{"Options":{"device":"/"}}`, `"Options" is not in the Engine API`, `{"Options":null}`},
		{"settings of a plugin", "POST /plugins/{name...}/set", 0, `["A=1",2]`, "must be text", `["A=1"]`},
		{"plugin privilege", "POST /plugins/pull", 0, `[{"Name":"network","Value":["host"],"name":"none"}]`, `"name" in "[0]" is another spelling of Name`, `[{"Name":"network","Value":["host"]}]`},
		{"no base64", "POST /secrets/create", 0, `{"Data":"a b"}`, "Data", `{"Data":"YQ=="}`},
		{"credentials", "POST /auth", 0, `{"Password":"a"}`, "is another spelling of password", `{"password":"a"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := endpoint(t, tc.endpoint)
			_, _, refusal := Decode(e, tc.version, []byte(tc.body))
			switch {
			case refusal == nil:
				t.Fatalf("%s passed", tc.body)
			case refusal.Status != 400 || !strings.Contains(refusal.Message, tc.message):
				t.Errorf("%d %s", refusal.Status, refusal.Message)
			case !strings.HasPrefix(refusal.Message, tc.endpoint+": ") && !strings.HasPrefix(refusal.Message, tc.endpoint+" takes"):
				t.Errorf("the endpoint is not named: %s", refusal.Message)
			}
			if _, _, refusal := Decode(e, tc.version, []byte(tc.twin)); refusal != nil {
				t.Errorf("the twin %s: %v", tc.twin, refusal)
			}
		})
	}
}

// TestMessagesHaveNoValues: a secret in a body does not come back in a message, which
// is recorded.
func TestMessagesHaveNoValues(t *testing.T) {
	for _, body := range []string{
		`{"Env":["PASSWORD=hunter2"],"env":[]}`, `{"Env":"PASSWORD=hunter2"}`, `{"Env":["PASSWORD=hunter2",{}]}`, `{"Password":"hunter2"}`,
		`{"Env":["PASSWORD=hunter2"`, `{"Env":["PASSWORD=hunter2"]}hunter2`, `{"Labels":{"a":"hunter2","a":1}}`,
	} {
		_, _, refusal := Decode(endpoint(t, create), 0, []byte(body))
		if refusal == nil || strings.Contains(refusal.Message, "hunter2") {
			t.Errorf("%s: %v", body, refusal)
		}
	}
}

// TestEncode: what is forwarded is what was sent, less what says nothing.
func TestEncode(t *testing.T) {
	for _, tc := range []struct{ name, endpoint, body, want string }{
		{"as it is", create, `{"Image":"a","HostConfig":{"MaskedPaths":[],"ReadonlyPaths":null,"Init":false}}`, `{"Image":"a","HostConfig":{"MaskedPaths":[],"ReadonlyPaths":null,"Init":false}}`},
		{"spaces", create, " { \"Image\" : \"a\" ,\n\t\"Env\" : [ ] } ", `{"Image":"a","Env":[]}`},
		{"numbers and texts as written", create, `{"StopTimeout":-0,"Image":"\u0061\/","HostConfig":{"Memory":9223372036854775807}}`, `{"StopTimeout":-0,"Image":"\u0061\/","HostConfig":{"Memory":9223372036854775807}}`},
		{"keys", create, `{"Labels":{"a\"\\\u0000\n\u00e9<":"1"},"\u0049mage":"a"}`, `{"Labels":{"a\"\\\u0000\u000aé<":"1"},"Image":"a"}`},
		{"order", create, `{"HostConfig":{},"Image":"a"}`, `{"HostConfig":{},"Image":"a"}`},
		{"dropped", create, `{"PortSpecs":null,"Image":"a","Memory":0,"HostConfig":{"LxcConf":[],"DiskQuota":0,"Dns":null}}`, `{"Image":"a","HostConfig":{"Dns":null}}`},
		{"all dropped", create, `{"PortSpecs":null}`, `{}`},
		{"docker-py's", create, `{"Image":"a","Runtime":"runsc","HostConfig":{"Runtime":"runsc"}}`, `{"Image":"a","HostConfig":{"Runtime":"runsc"}}`},
		{"docker-py's spelling", "POST /services/create", `{"Mode":{"replicated":{"Replicas":2}},"TaskTemplate":null,"Foo":null}`, `{"Mode":{"Replicated":{"Replicas":2}},"TaskTemplate":null}`},
		{"dockerode's", create, `{"name":"web","Image":"a"}`, `{"Image":"a"}`},
		{"from another version, saying nothing", create, `{"HostConfig":{"KernelMemory":0}}`, `{"HostConfig":{"KernelMemory":0}}`},
		{"null", "POST /commit", `null`, `null`},
		{"nothing", "POST /volumes/create", ``, ``},
		{"a list", "POST /plugins/pull", `[ {"Name":"network","Value":["host"]} , {} ]`, `[{"Name":"network","Value":["host"]},{}]`},
		{"where none belongs", "POST /containers/{id}/stop", `{"t":5}`, ``},
	} {
		tree, _, refusal := Decode(endpoint(t, tc.endpoint), 0, []byte(tc.body))
		if refusal != nil {
			t.Errorf("%s: %v", tc.name, refusal)
			continue
		}
		if diff := cmp.Diff(tc.want, string(Encode(tree))); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestDecodeFills: what is judged is what was sent.
func TestDecodeFills(t *testing.T) {
	tree, body, refusal := Decode(endpoint(t, create), 41, []byte(`{"Image":"a","Cmd":"id","HostConfig":{"Privileged":true,"MaskedPaths":[]},"NetworkingConfig":{"EndpointsConfig":{"n":null}}}`))
	if refusal != nil {
		t.Fatal(refusal)
	}
	got, ok := body.(*ContainerCreateBody)
	if !ok || got.Image != "a" || !got.HostConfig.Privileged || got.HostConfig.MaskedPaths == nil || got.HostConfig.ReadonlyPaths != nil || len(got.Cmd) != 1 {
		t.Errorf("body %+v", body)
	}
	if tree.Get("HostConfig").Get("MaskedPaths").Kind != strict.Array {
		t.Errorf("tree %s", tree.Raw())
	}
	// What is put into the tree later is forwarded with it.
	one, err := strict.Tree("", []byte(`{"a":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	tree.Members = append(tree.Members, strict.Member{Key: "Labels", Value: one})
	if !strings.HasSuffix(string(Encode(tree)), `,"Labels":{"a":[1]}}`) {
		t.Errorf("encoded %s", Encode(tree))
	}
	for name, want := range map[string]any{"POST /containers/{id}/start": nil, "PUT /containers/{id}/archive": nil, "POST /exec/{id}/start": &ExecStartBody{}} {
		if _, body, refusal := Decode(endpoint(t, name), 0, nil); refusal != nil || !cmp.Equal(body, want) {
			t.Errorf("%s without a body: %v, %v", name, body, refusal)
		}
	}
}

// TestKeysDifferWhenFolded: no object of the API has two keys that the engine cannot
// tell apart, and a parameter of the query is no key of the body in another case, but
// for the unread.
func TestKeysDifferWhenFolded(t *testing.T) {
	for i := range table {
		e := &table[i]
		if e.Body.Kind != JSON {
			continue
		}
		eachShape(e, func(at string, s *shape) {
			if len(s.folded) != len(s.keys) {
				t.Errorf("%s %s: %d keys, %d when folded", e, at, len(s.keys), len(s.folded))
			}
		})
		if s := e.Body.Type; s.Kind() == reflect.Struct {
			for _, p := range e.Query {
				if key := shapeOf(s).folded[strict.Fold(p.Name)]; key != "" && !shapeOf(s).keys[key].unread {
					t.Errorf("%s: the parameter %s is the key %s of the body", e, p.Name, key)
				}
			}
		}
	}
}

// eachShape visits the objects of a body.
func eachShape(e *Endpoint, visit func(at string, s *shape)) {
	s := parts(e.Body.Type)
	if s == nil {
		return
	}
	visit("", shapeOf(s))
	eachKey("", e.Body.Type, e.Body.Type, func(path string, k shapeKey, _ bool) {
		if s := parts(k.typ); s != nil {
			visit(path, shapeOf(s))
		}
	}, 0)
}

func BenchmarkDecode(b *testing.B) {
	e := endpoint(b, create)
	data := everything(b, e)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		tree, _, refusal := Decode(e, 0, data)
		if refusal != nil {
			b.Fatal(refusal)
		}
		Encode(tree)
	}
}
