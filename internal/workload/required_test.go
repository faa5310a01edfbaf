package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
)

// answerWith is an answer that says everything, as change wants it.
func answerWith(t *testing.T, change func(*InspectBody)) []byte {
	t.Helper()
	var body InspectBody
	change(&body)
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRequiredKeysAreToldBy: each key that is required is in the table, which
// has no other.
func TestRequiredKeysAreToldBy(t *testing.T) {
	required := map[string]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, at string) {
		for _, f := range reflect.VisibleFields(typ) {
			if f.Tag.Get("strict") == "required" {
				required[at+jsonName(f)] = true
				if f.Type.Kind() == reflect.Struct {
					walk(f.Type, at+jsonName(f)+".")
				}
			}
		}
	}
	walk(reflect.TypeFor[InspectBody](), "")
	for key := range toldBy {
		if !required[key] {
			t.Errorf("%s is not required", key)
		}
		delete(required, key)
	}
	for key := range required {
		t.Errorf("%s is required, and nobody knows what it tells", key)
	}
}

// TestRequiredIsAlwaysEncoded: no key is required that the official types leave
// out when it is empty.
func TestRequiredIsAlwaysEncoded(t *testing.T) {
	data, err := json.Marshal(container.InspectResponse{State: &container.State{}, Config: &container.Config{},
		HostConfig: &container.HostConfig{}, NetworkSettings: &container.NetworkSettings{}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadInspect(data)
	if err != nil || len(in.body.Missing) > 0 {
		t.Errorf("an official answer lacks %v, %v", in.body.Missing, err)
	}
}

// answers are one that a Docker 20.10 gave, and one in which little is as it is
// by default.
func answers(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, file := range []string{"../collect/testdata/inspect.json", "testdata/everything-inspect.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(data, &body); err != nil {
			t.Fatal(err)
		}
		all[file] = body
	}
	return all
}

// with is a copy of an answer in which a key has a value, or is not there.
func with(t *testing.T, body map[string]any, key string, value any, there bool) []byte {
	t.Helper()
	whole := maps.Clone(body)
	part := whole
	steps := strings.Split(key, ".")
	for _, step := range steps[:len(steps)-1] {
		below := maps.Clone(part[step].(map[string]any))
		part[step] = below
		part = below
	}
	last := steps[len(steps)-1]
	if delete(part, last); there {
		part[last] = value
	}
	data, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func valueOf(body map[string]any, key string) any {
	var value any = body
	for step := range strings.SplitSeq(key, ".") {
		value = value.(map[string]any)[step]
	}
	return value
}

// factsOf are a Spec's facts by path.
func factsOf(t *testing.T, data []byte) (map[string]string, []Unseen) {
	t.Helper()
	s, _, err := FromInspect(data, Surroundings{EnvKey: []byte("k"), Volumes: map[string]Volume{}, Image: &ImageConfig{ID: "sha256:1"},
		Daemon:  &Daemon{Seccomp: "default", NoNewPrivilegesSeen: true, CgroupVersion: 2, PrivateCgroupns: true, UsernsRemap: true, DefaultRuntime: "runc", LogDriver: "local"},
		Resolve: func(p string) ([]string, error) { return []string{p}, nil }, Nodes: func(string) ([]string, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]string{}
	var walk func(reflect.Value, string)
	walk = func(v reflect.Value, at string) {
		for i := range v.NumField() {
			name, field := v.Type().Field(i).Tag.Get("json"), v.Field(i)
			switch {
			case name == "-":
			case field.Kind() == reflect.Struct && field.Type().String() != "time.Time":
				walk(field, at+name+".")
			default:
				facts[at+name] = fmt.Sprint(field.Interface())
			}
		}
	}
	walk(reflect.ValueOf(s), "")
	return facts, s.Unseen
}

// TestMissingKeyIsUnseen takes each required key out of an answer. Whatever is
// not listed as unseen then must be as it would be with any value of the key, so
// that no rule can pass that fails with another.
func TestMissingKeyIsUnseen(t *testing.T) {
	all := answers(t)
	for file, body := range all {
		data := with(t, body, "Id", body["Id"], true)
		if _, unseen := factsOf(t, data); slices.ContainsFunc(unseen, func(u Unseen) bool { return u.Reason == reasonSilent }) {
			t.Errorf("%s: of a whole answer is unseen %v", file, unseen)
		}
		for key := range toldBy {
			values := []any{valueOf(body, key)}
			for _, other := range all {
				values = append(values, valueOf(other, key))
			}
			switch v := values[0].(type) {
			case bool:
				values = append(values, !v)
			case float64:
				values = append(values, v+1, 50_000.0)
			}
			without, unseen := factsOf(t, with(t, body, key, nil, false))
			for _, value := range values {
				facts, _ := factsOf(t, with(t, body, key, value, true))
				for path, fact := range facts {
					if fact != without[path] && !covers(unseen, path) {
						t.Errorf("%s without %s: %s is seen as %q, and is %q where the key is %v", file, key, path, without[path], fact, value)
					}
				}
			}
		}
	}
}

// TestNullIsMissing: null stands for an empty list, as Go writes one that was
// never made, and for nothing else.
func TestNullIsMissing(t *testing.T) {
	for key, unseen := range map[string]string{
		"HostConfig.Privileged": "privileged", "HostConfig.Memory": "resources.memory_bytes", "HostConfig.PidMode": "namespaces.pid",
		"HostConfig": "cap_add", "State": "live.status", "HostConfig.CapAdd": "", "HostConfig.PidsLimit": "", "ExecIDs": "",
	} {
		for file, body := range answers(t) {
			_, list := factsOf(t, with(t, body, key, nil, true))
			silent := slices.DeleteFunc(list, func(u Unseen) bool { return u.Reason != reasonSilent })
			if unseen == "" && len(silent) > 0 || unseen != "" && !covers(silent, unseen) {
				t.Errorf("%s, %s is null: unseen are %v", file, key, silent)
			}
		}
	}
}

// TestEmptyAnswer: an answer that says nothing leaves nothing seen but where it
// comes from.
func TestEmptyAnswer(t *testing.T) {
	facts, unseen := factsOf(t, []byte(`{}`))
	for path := range facts {
		if path != "origin" && !covers(unseen, path) {
			t.Errorf("%s is seen", path)
		}
	}
}
