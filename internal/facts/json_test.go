package facts

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// sample is a document with a container of each kind of gap.
func sample(t *testing.T) *Facts {
	t.Helper()
	web, err := workload.FromCreate("web", []byte(`{"Image":"nginx","HostConfig":{"Binds":["/a:/b"],"PortBindings":{"80/tcp":[{"HostPort":"80"}]}}}`), workload.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	db := web
	db.Name, db.Unseen = "db", nil
	return &Facts{
		Schema: Schema, Collected: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Host: Host{Name: "h<&>", CPUs: 2},
		Daemon:     Daemon{Runtimes: []string{"runc"}, Warnings: []string{}},
		Containers: []workload.Spec{db, web}, Networks: []Network{{Name: "n", Options: map[string]string{"a": "b"}}}, Volumes: []Volume{},
		Unseen: []workload.Unseen{{Path: "daemon.no_new_privileges", Reason: "too old"}},
	}
}

// TestRoundTrip: a document reads back to the facts that it was made of.
func TestRoundTrip(t *testing.T) {
	f := sample(t)
	data, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("null")) || bytes.Contains(data, []byte(`"no_new_privileges": true`)) {
		t.Errorf("null or an unseen fact in\n%s", data)
	}
	back, err := Decode("facts.json", data)
	if err != nil {
		t.Fatal(err)
	}
	byPath := cmpopts.SortSlices(func(a, b workload.Unseen) bool { return a.Path < b.Path })
	// What is unseen is left out of the document, so its zero value comes back.
	if diff := cmp.Diff(f, back, byPath, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	again, err := Encode(back)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Errorf("encoding is not stable:\n%s", cmp.Diff(string(data), string(again)))
	}
}

// TestAbsentIsUnseen: a key that is missing or null is listed, wherever it is.
func TestAbsentIsUnseen(t *testing.T) {
	f := sample(t)
	data, err := Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, from, to string
		path           string // in the document, or in the container at the index below
		container      int
	}{
		{"a fact of the host", `    "name": "h<&>",` + "\n", "", "host.name", -1},
		{"a null", `"name": "h<&>"`, `"name": null`, "host.name", -1},
		{"a whole list", `"volumes": []`, `"volumes": null`, "volumes", -1},
		{"a fact of a container", `      "name": "db",` + "\n", "", "name", 0},
		{"a fact of a mount", `          "type": "bind",` + "\n", "", "mounts[0].type", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(string(data), tc.from, tc.to, 1)
			if text == string(data) {
				t.Fatal("the change changes nothing")
			}
			back, err := Decode("facts.json", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			unseen := back.Unseen
			if tc.container >= 0 {
				unseen = back.Containers[tc.container].Unseen
			}
			if !slices.ContainsFunc(unseen, func(u workload.Unseen) bool { return u.Path == tc.path }) {
				t.Errorf("%s is not in %v", tc.path, unseen)
			}
		})
	}
}

// TestNullInAMap: what is null in a map was not seen, and a path cannot say
// which key that is.
func TestNullInAMap(t *testing.T) {
	data, err := Encode(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for value, unseen := range map[string]bool{"null": true, `"c"`: false} {
		text := bytes.Replace(data, []byte(`"a": "b"`), []byte(`"a": `+value), 1)
		if bytes.Equal(text, data) {
			t.Fatal("the change changes nothing")
		}
		f, err := Decode("facts.json", text)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(f.Networks[0].Unseen, func(u workload.Unseen) bool { return u.Path == "options" })
		if got != unseen {
			t.Errorf("%s: unseen are %v", value, f.Networks[0].Unseen)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	data, err := Encode(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, from, to, want string }{
		{"another schema", Schema, "plimsoll/facts/9", "schema"},
		{"an unknown fact", `"cpus"`, `"cpuz"`, "cpuz"},
		{"a key twice", `"kernel": "",`, `"kernel": "", "kernel": "6",`, "kernel"},
		{"a wrong type", `"cpus": 2`, `"cpus": "two"`, "host.cpus"},
		{"something after it", "\n}\n", "\n}\n{}", "line"},
		{"no JSON", "{", "<", "line 1"},
		{"an unseen fact without a path", `"path": "daemon.no_new_privileges",`, "", "unseen"},
		{"an unseen fact without a reason", `"reason": "too old"`, `"reason": ""`, "unseen"},
		{"a misspelt unseen fact", `"path": "daemon.no_new_privileges"`, `"path": "daemon.no_new_priviliges"`, "\"daemon.no_new_priviliges\" names no fact"},
		{"an unseen fact that is not there", `"path": "daemon.no_new_privileges"`, `"path": "containers[99].tty"`, "\"containers[99].tty\" names no fact"},
		{"an unseen fact of no shape", `"path": "daemon.no_new_privileges"`, `"path": "."`, "unseen"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(string(data), tc.from, tc.to, 1)
			if tc.from == "\n}\n" {
				text = string(data) + "{}"
			}
			_, err := Decode("facts.json", []byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "facts.json") {
				t.Errorf("says %v, want facts.json and %q in it", err, tc.want)
			}
		})
	}
}

// TestUnseenIsSaid: a document that does not say what is unseen would pass off a
// list that was seen in part as a whole one.
func TestUnseenIsSaid(t *testing.T) {
	for end, ok := range map[string]bool{"": false, `,"unseen":null`: false, `,"unseen":[]`: true, `,"unseen":[{"path":"host.name","reason":"dark"}]`: true} {
		_, err := Decode("facts.json", []byte(`{"schema":"plimsoll/facts/1"`+end+`}`))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "unseen") {
			t.Errorf("%q: %v", end, err)
		}
	}
}

// TestUnseenNamesFacts: a path is one of the facts, in a list that was seen at a
// position that it has.
func TestUnseenNamesFacts(t *testing.T) {
	f := sample(t)
	f.Volumes = nil // not seen
	names := namer{fields: map[reflect.Type]map[string]int{}}
	for path, want := range map[string]string{
		"collected": "", "daemon": "", "daemon.seccomp": "", "containers": "", "containers[...]": "", "containers[1]": "", "containers[*]": "",
		"containers[1].mounts[0].resolved": "", "containers[1].ports[...]": "", "containers[*].mounts[*].source": "", "containers[*].mounts[7].source": "",
		"containers.tty": "", "containers[0].labels.com.example.owner": "", "containers[01].env[...]": "", "containers[0].env_values[...]": "", "volumes[9].driver": "", "networks[0].options": "",

		"daemon.secomp": `did you mean "daemon.seccomp"?`, "containers[0].priviledged": `did you mean "containers[0].privileged"?`,
		"containers[*].mount[0].source": `did you mean "containers[*].mounts[0].source"?`, "deamon.seccomp": `did you mean "daemon.seccomp"?`,
		"containers[2].tty": "containers has 2 elements", "containers[0].mounts[1]": "containers[0].mounts has 1 elements",
		"host.name.first": `nothing below "host.name"`, "collected[0]": `nothing below "collected"`, "host[0]": `nothing below "host"`,
		"networks[0].options[0]": "nothing below", "networks[0].options.": "nothing below",
		"containers[x]": "a position is a number", "containers[": "a position", "containers[]": "a position", "containers[-1]": "a position",
		"containers[...].tty": "a position", "containers[99999999999999999999]": "a position", "containers[0]tty": "nothing below",
		"schema": "-", "unseen": "-", "x": "-", ".": "-", "host.": "-", ".host": "-", "Host": `did you mean "host"?`, "host name": "-", "[0]": "-",
	} {
		hint, ok := names.names(f, path)
		if ok != (want == "") || want != "-" && !strings.Contains(hint, want) {
			t.Errorf("%q: %t, %q, want %q", path, ok, hint, want)
		}
	}
}

// TestUnseenOfContainers: an entry may be about every container, or all of one,
// and hides what the document has all the same.
func TestUnseenOfContainers(t *testing.T) {
	data, err := Encode(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	const old = `"path": "daemon.no_new_privileges"`
	for path, want := range map[string][2][]string{
		"containers[*].privileged":       {{"privileged"}, {"privileged"}},
		"containers.privileged":          {{"privileged"}, {"privileged"}},
		"containers[0].privileged":       {{"privileged"}, nil},
		"containers[0]":                  {{"name", "privileged", "live", "mounts"}, nil},
		"containers[*]":                  {{"name", "privileged", "live"}, {"name", "privileged", "live"}},
		"containers[*].mounts[*].source": {{"mounts[*].source"}, {"mounts[*].source"}},
	} {
		f, err := Decode("facts.json", bytes.Replace(data, []byte(old), []byte(`"path": "`+path+`"`), 1))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for i := range want {
			for _, p := range []string{"name", "privileged", "live", "mounts", "mounts[*].source"} {
				hidden := slices.ContainsFunc(f.Containers[i].Unseen, func(u workload.Unseen) bool { return u.Path == p && u.Reason == "too old" })
				if hidden != slices.Contains(want[i], p) && !(p == "mounts" && path == "containers[*]") {
					t.Errorf("%s: of container %d is %s hidden: %t", path, i, p, hidden)
				}
			}
		}
	}
}

// FuzzDecode: what is read can be written and reads back to the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":"plimsoll/facts/1","host":{"name":"a"},"containers":[{"name":"b"},null],"unseen":[{"path":"host.name","reason":"y"},{"path":"containers[*].tty","reason":"y"},{"path":"containers[1]","reason":"y"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := Decode("f", data)
		if err != nil {
			return
		}
		text, err := Encode(first)
		if err != nil {
			t.Skip("a time that JSON cannot hold")
		}
		second, err := Decode("f", text)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, text)
		}
		again, err := Encode(second)
		if err != nil || !bytes.Equal(text, again) {
			t.Errorf("written twice, it differs: %v\n%s\n%s", err, text, again)
		}
	})
}
