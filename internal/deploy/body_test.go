package deploy

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// ops is a declaration of which the owner is said by hand, and the rest known.
var ops = declare.Saying{Said: declare.Said{Owner: "ops"}, Known: declare.Said{Why: `say "hi"`, Commit: "abc"}}

// opsLabels are its labels on what has none, as they are written.
const opsLabels = `"plimsoll.owner":"ops","plimsoll.why":"say \"hi\"","plimsoll.commit":"abc","plimsoll.deploy":"owner why commit"`

func TestMakes(t *testing.T) {
	for at, want := range map[string]making{
		"/containers/create": container, "/v1.41/containers/create": container, "/v1.99/containers/create": container, "//containers/create": container, "/v1.41/containers/%63reate": container,
		"/containers%2fcreate": container, "/./containers/x/../create/": container, "/v1.41/services/create": service, "/services/web/update": serviceUpdate, "/v1.24/services/a%2Fb/update": serviceUpdate,
		"/containers/json": nothing, "/containers/create/json": nothing, "/volumes/create": nothing, "/v1.41/networks/create": nothing, "/services/web": nothing, "/containers/web/update": nothing,
		"/v1.41/v1.41/containers/create": nothing, "/x/containers/create": nothing, "/services/update": nothing, "/": nothing, "": nothing,
	} {
		if got := makes("POST", at); got != want {
			t.Errorf("%s makes %d, want %d", at, got, want)
		}
		if got := makes("GET", at); got != nothing {
			t.Errorf("looking at %s makes %d", at, got)
		}
	}
}

// TestOnto: only the labels change, and every other byte stays.
func TestOnto(t *testing.T) {
	for name, c := range map[string]struct {
		what       making
		body, want string
	}{
		"no labels":    {container, "{ \"Image\" : \"web:1\",\n\t\"HostConfig\": {\"Memory\": 9007199254740993, \"x\": 1.0e+2}}\n", "{\"Labels\":{" + opsLabels + "}, \"Image\" : \"web:1\",\n\t\"HostConfig\": {\"Memory\": 9007199254740993, \"x\": 1.0e+2}}\n"},
		"nothing":      {container, `{}`, `{"Labels":{` + opsLabels + `}}`},
		"null":         {container, `{"Labels": null ,"Image":"web:1"}`, `{"Labels": {` + opsLabels + `} ,"Image":"web:1"}`},
		"others":       {container, `{"Image":"\u0077eb","Labels":{"a":"\u0062", "B":null},"z":[]}`, `{"Image":"\u0077eb","Labels":{"a":"\u0062","B":null,` + opsLabels + `},"z":[]}`},
		"another case": {container, `{"labels":{"a":"b"}}`, `{"labels":{"a":"b",` + opsLabels + `}}`},
		"long s":       {container, `{"Label\u017f":{}}`, `{"Label\u017f":{` + opsLabels + `}}`},
		"written":      {container, `{"Labels":{"plimsoll.why":"file","plimsoll.owner":"file","plimsoll.commit":" "}}`, `{"Labels":{"plimsoll.why":"file","plimsoll.owner":"ops","plimsoll.commit":"abc","plimsoll.deploy":"owner commit"}}`},
		"said already": {container, `{"Labels": { "plimsoll.owner": "ops", "plimsoll.why": "file", "plimsoll.commit": "x", "plimsoll.deploy": "owner" } }`, ""},
		"not a label":  {container, `{"HostConfig":{"Labels":{}},"Config":{"Labels":{"a":"b"}}}`, `{"Labels":{` + opsLabels + `},"HostConfig":{"Labels":{}},"Config":{"Labels":{"a":"b"}}}`},
		"service": {service, `{"Name":"web","TaskTemplate":{"ContainerSpec":{"Image":"web:1"}}}`,
			`{"Labels":{` + opsLabels + `},"Name":"web","TaskTemplate":{"ContainerSpec":{"Labels":{` + opsLabels + `},"Image":"web:1"}}}`},
		"service with labels": {service, `{"tasktemplate":{"CONTAINERSPEC":{"Labels":{"a":"b"}}},"Labels":{"c":"d"}}`, `{"tasktemplate":{"CONTAINERSPEC":{"Labels":{"a":"b",` + opsLabels + `}}},"Labels":{"c":"d",` + opsLabels + `}}`},
		"plugin":              {service, `{"TaskTemplate":{"PluginSpec":{},"ContainerSpec":null}}`, `{"Labels":{` + opsLabels + `},"TaskTemplate":{"PluginSpec":{},"ContainerSpec":null}}`},
		"no task":             {serviceUpdate, `{"Name":"web"}`, `{"Labels":{` + opsLabels + `},"Name":"web"}`},
	} {
		got, err := onto(c.what, []byte(c.body), ops, engineNow{})
		if c.want == "" {
			c.want = c.body
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(c.want, string(got)))
		}
	}
	for body, want := range map[string]string{
		`{"Labels":{},"labels":{}}`: "Labels is given twice, in different cases", `{"Labels":{},"Labels":{}}`: "twice", `{"Labels":["a"]}`: "Labels is a list, and must be an object",
		`{"Labels":{"a":"b","a":"c"}}`: "twice", `[]`: "no object", `null`: "no object", `{"Image":"web:1"}{}`: "something follows", `{"Image":`: "ends early", "\x1f\x8b\x08": "a value",
		`{"TaskTemplate":{},"taskTemplate":{}}`: "", `{"Image":"a` + "\xff" + `"}`: "not UTF-8",
	} {
		_, err := onto(container, []byte(body), ops, engineNow{})
		if want == "" {
			_, err = onto(service, []byte(body), ops, engineNow{})
			want = "TaskTemplate is given twice"
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// TestUpdate: an update that leaves the containers as they are leaves them their labels.
func TestUpdate(t *testing.T) {
	const now = `{"Spec":{"TaskTemplate":{"ContainerSpec":{"Image":"web:1@sha256:ab","Labels":{"a":"b","plimsoll.owner":"ana","plimsoll.deploy":"owner"},"Isolation":"default","DNSConfig":{},"Init":false},"Resources":{"Limits":{"MemoryBytes":67108864}},"Networks":[{"Target":"id-1","Aliases":["web"]}],"ForceUpdate":0,"Runtime":"container"}}}`
	current, err := strict.Tree("", []byte(now))
	if err != nil {
		t.Fatal(err)
	}
	const same = `{"TaskTemplate":{"Resources":{"Limits":{"MemoryBytes":67108864},"Reservations":null},"ContainerSpec":{"Labels":{"a":"b"},"Image":"web:1@sha256:ab","Env":[]},"Networks":[{"Target":"front","Aliases":["web"]}]}}`
	for name, c := range map[string]struct{ body, want string }{
		"same":             {same, `"plimsoll.owner":"ana"`},
		"carried over":     {strings.Replace(same, `"a":"b"`, `"a":"b","plimsoll.owner":"ana","plimsoll.run":"https://g/1","plimsoll.deploy":"owner run"`, 1), `"plimsoll.owner":"ana"`},
		"by id":            {strings.Replace(same, "front", "id-1", 1), `"plimsoll.owner":"ana"`},
		"another network":  {strings.Replace(same, "front", "back", 1), `"plimsoll.owner":"ops"`},
		"another image":    {strings.Replace(same, "web:1@sha256:ab", "web:2", 1), `"plimsoll.owner":"ops"`},
		"another label":    {strings.Replace(same, `"a":"b"`, `"a":"c"`, 1), `"plimsoll.owner":"ops"`},
		"an empty label":   {strings.Replace(same, `"a":"b"`, `"a":"b","c":""`, 1), `"plimsoll.owner":"ops"`},
		"forced":           {strings.Replace(same, `{"Resources"`, `{"ForceUpdate":1,"Resources"`, 1), `"plimsoll.owner":"ops"`},
		"another limit":    {strings.Replace(same, "67108864", "67108865", 1), `"plimsoll.owner":"ops"`},
		"text as a number": {strings.Replace(same, "67108864", `"67108864"`, 1), `"plimsoll.owner":"ops"`},
	} {
		got, err := onto(serviceUpdate, []byte(c.body), ops, engineNow{service: current, network: func(name string) string { return map[string]string{"front": "id-1"}[name] }})
		if err != nil {
			t.Fatal(name, err)
		}
		var read struct {
			Labels       map[string]string
			TaskTemplate struct {
				ContainerSpec struct{ Labels json.RawMessage }
			}
		}
		if err := json.Unmarshal(got, &read); err != nil {
			t.Fatal(name, err)
		}
		if labels := string(read.TaskTemplate.ContainerSpec.Labels); !strings.Contains(labels, c.want) || strings.Contains(labels, "plimsoll.run") {
			t.Errorf("%s: the containers have %s, want %s", name, labels, c.want)
		}
		if read.Labels["plimsoll.owner"] != "ops" || read.Labels["plimsoll.commit"] != "abc" {
			t.Errorf("%s: the service has %v", name, read.Labels)
		}
	}
}

// FuzzOnto: whatever is let through, the engine reads the declaration in it, and all else as
// it was.
func FuzzOnto(f *testing.F) {
	for _, body := range []string{`{}`, `{"Image":"web:1","Labels":null}`, `{"Labels":{"plimsoll.why":"file","a":"b"},"HostConfig":{"Memory":9007199254740993}}`, `{"labels":{},"Labels":{}}`,
		`{"Labels":{},"TaskTemplate":{"ContainerSpec":{"labels":{"x":"y"}}}}`, `{"TaskTemplate":null}`, `{"Label\u017f":{"a":1}}`} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, isService bool) {
		what := container
		if isService {
			what = service
		}
		got, err := onto(what, bytes.Clone(body), ops, engineNow{})
		if err != nil {
			return
		}
		type spec struct {
			Labels       map[string]json.RawMessage
			TaskTemplate *struct {
				ContainerSpec *struct{ Labels map[string]json.RawMessage }
			}
		}
		var before, after spec
		if err := json.Unmarshal(body, &before); err != nil {
			t.Fatalf("what no engine can read was let through: %v", err)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("it cannot be read any more: %v\n%s", err, got)
		}
		alike(t, before.Labels, after.Labels)
		if what == service && before.TaskTemplate != nil && before.TaskTemplate.ContainerSpec != nil {
			alike(t, before.TaskTemplate.ContainerSpec.Labels, after.TaskTemplate.ContainerSpec.Labels)
		}
		if diff := cmp.Diff(bare(t, body, what), bare(t, got, what)); diff != "" {
			t.Errorf("something else has changed: %s", diff)
		}
		if again, err := onto(what, got, ops, engineNow{}); err != nil || !bytes.Equal(again, got) {
			t.Errorf("a second time it becomes %s, %v", again, err)
		}
	})
}

// alike says that labels are those that they should become.
func alike(t *testing.T, before, after map[string]json.RawMessage) {
	t.Helper()
	texts := map[string]string{}
	for name, raw := range before {
		var text string
		_ = json.Unmarshal(raw, &text) // what is no text stays ""
		texts[name] = text
	}
	set, drop := ops.Onto(texts)
	want := maps.Clone(before)
	if want == nil {
		want = map[string]json.RawMessage{}
	}
	for name, text := range set {
		want[name], _ = json.Marshal(text)
	}
	for _, name := range drop {
		delete(want, name)
	}
	as := func(labels map[string]json.RawMessage) map[string]any {
		out := map[string]any{}
		for name, raw := range labels {
			var v any
			_ = json.Unmarshal(raw, &v)
			out[name] = v
		}
		return out
	}
	if diff := cmp.Diff(as(want), as(after)); diff != "" {
		t.Errorf("the labels are others: %s", diff)
	}
}

// bare is a body without the labels that may change, numbers as they are written.
func bare(t *testing.T, body []byte, what making) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	without := func(m map[string]any) {
		maps.DeleteFunc(m, func(key string, _ any) bool { return strings.EqualFold(key, "Labels") })
	}
	within := func(m map[string]any, name string) map[string]any {
		for key, v := range m {
			if below, ok := v.(map[string]any); ok && strings.EqualFold(key, name) {
				return below
			}
		}
		return nil
	}
	without(tree)
	if what == service {
		without(within(within(tree, "TaskTemplate"), "ContainerSpec"))
	}
	return tree
}
