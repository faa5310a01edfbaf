package api

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/moby/moby/api/types/network"
)

// everything is a body in which each field of the official type says something.
func everything(t testing.TB, e *Endpoint) []byte {
	t.Helper()
	v := reflect.New(official[e.String()])
	fill(v.Elem(), 0)
	data, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fill gives every part of a value something that is not its zero.
func fill(v reflect.Value, depth int) {
	if depth > 15 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.7")))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("192.0.2.0/24")))
		return
	case network.Port:
		v.Set(reflect.ValueOf(network.MustParsePort("80/tcp")))
		return
	case network.HardwareAddr:
		v.Set(reflect.ValueOf(network.HardwareAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1})))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth+1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("some")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.5)
	default:
		if v.CanInt() {
			v.SetInt(7)
		} else if v.CanUint() {
			v.SetUint(7)
		}
	}
}

// TestEverythingPasses: whatever the official type can say passes, and is forwarded
// as it is.
func TestEverythingPasses(t *testing.T) {
	for i := range table {
		e := &table[i]
		if e.Body.Kind != JSON {
			continue
		}
		data := everything(t, e)
		for _, v := range []Version{0, Newest} {
			tree, body, refusal := Decode(e, v, data)
			if refusal != nil {
				t.Errorf("%s: %v in %s", e, refusal, data)
				continue
			}
			if !bytes.Equal(Encode(tree), data) {
				t.Errorf("%s:\nsent      %s\nforwarded %s", e, data, Encode(tree))
			}
			if complaints := sameValue("", reflect.ValueOf(body), reflect.ValueOf(decodeOfficial(e, data).value)); complaints != nil {
				t.Errorf("%s: %q", e, complaints)
			}
		}
		// A zero of each field passes in every version: clients send what they do not use.
		zero, err := json.Marshal(reflect.New(official[e.String()]).Interface())
		if err != nil {
			t.Fatal(err)
		}
		for v := e.Since; v <= e.Last; v++ {
			if _, _, refusal := Decode(e, v, zero); refusal != nil {
				t.Errorf("%s of API %s: %v", e, v, refusal)
			}
		}
	}
}

// hostile are bodies that mean more to a lenient decoder than to a strict one, by the
// endpoint.
var hostile = map[string][]string{
	"POST /containers/create": {
		`{"Image":"a","HostConfig":{},"hostconfig":{"Privileged":true}}`, `{"Image":"a","HoſtConfig":{"Privileged":true}}`,
		`{"HostConfig":{"Privileged":true},"HostConfig":null}`, `{"HostConfig":{"Binds":["/:/h"]},"HostConfig":{"Privileged":true}}`,
		`{"Image":"a","Privileged":true,"Binds":["/:/h"]}`, `{"Labels":{"a":"1"},"labels":{"A":"2"}}`, `{"Host\u0043onfig":{"Privileged":true}}`,
		`{"Image":"a"} {"HostConfig":{"Privileged":true}}`, `{"HostConfig":{"MaskedPaths":[],"ReadonlyPaths":null}}`, `{"Cmd":"id","Entrypoint":null}`,
		`{"Healthcheck":{"Test":["NONE"]},"Healthchec\u212a":null}`, `{"HostConfig":{"Sysctls":{"a":"b"},"Syſctls":null}}`, `{"HostConfig":{"KernelMemory":0,"Capabilities":[],"Annotations":{}}}`, `{"HostConfig":{"Umask":0}}`,
		`{"HostConfig":{"Mounts":[{"Type":"volume","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"none","o":"bind","device":"/"}}}}]}}`,
		`{"ExposedPorts":{"80/tcp":{},"80/TCP":{},"80":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"","HostPort":"80"}],"80":null}}}`,
		`{"name":"web","Runtime":"runsc","PortSpecs":null,"Memory":0,"HostConfig":{"LxcConf":[],"Dns":null,"Memory":0,"PidsLimit":0}}`,
		`{"NetworkingConfig":{"EndpointsConfig":{"a":null,"b":{"IPAMConfig":{},"MacAddress":"02:00:00:00:00:01"}}},"StopTimeout":0}`,
	},
	"POST /containers/{id}/update":      {`{"Memory":-1,"memory":0,"RestartPolicy":{"Name":"always"}}`, `{"PidsLimit":0,"OomKillDisable":false,"Init":null}`, `{"Resources":{"Memory":1}}`},
	"POST /containers/{id}/exec":        {`{"Cmd":["id"],"privileged":true,"Privileged":false}`, `{"Container":"a","Cmd":null,"Detach":true,"ConsoleSize":[1,2,3]}`, `{"detachkeys":null}`, `{"detachKeys":"a","Container":"b"}`},
	"POST /exec/{id}/start":             {`{"Detach":true,"detach":false}`, `{"ConsoleSize":null}`, `{"ConsoleSize":[24]}`},
	"POST /volumes/create":              {`{"DriverOpts":{"type":"none","o":"bind","device":"/"},"driveropts":null}`, `{"DriverOpts":{"Device":"/","device":"/a"},"ClusterVolumeSpec":null}`},
	"POST /networks/create":             {`{"Name":"a","Driver":"bridge","driver":"macvlan","Options":{"parent":"eth0"},"CheckDuplicate":true}`, `{"EnableIPv6":false,"IPAM":{"Config":null,"config":[]}}`},
	"POST /networks/{id...}/connect":    {`{"Container":"a","container":"b","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.0.0.1"}}}`},
	"POST /networks/{id...}/disconnect": {`{"Container":"a","Force":true,"force":false}`},
	"POST /services/create":             {`{"TaskTemplate":{"ContainerSpec":{"Mounts":[{"Type":"bind","Source":"/"}]},"containerspec":{}},"Networks":null}`, `{"TaskTemplate":{"PluginSpec":{"Name":"a","name":"b"}}}`, `{"Mode":{"replicated":{"Replicas":2},"global":null}}`},
	"POST /plugins/pull":                {`[{"Name":"network","name":"none"},null]`},
	"POST /commit":                      {`{"User":"0","user":"1","container":"a"}`, `null`},
}

// seeds are bodies for fuzzing an endpoint.
func seeds(t testing.TB, e *Endpoint) [][]byte {
	t.Helper()
	all := [][]byte{[]byte(`{}`), []byte(`null`), []byte(`[]`), everything(t, e)}
	for _, body := range hostile[e.String()] {
		all = append(all, []byte(body))
	}
	return slices.Clip(all)
}
