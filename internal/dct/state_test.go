package dct

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMemory: what is remembered and cannot be read is an error that says what to do, and
// never nothing.
func TestMemory(t *testing.T) {
	m := newMade()
	o := first(t, m.write().serve(t))
	signs(t, o, "1", roleTargets, []byte("one"))
	file := folder(o.State).path(o.Trust.Server, name)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for _, test := range []struct{ what, from, to, want string }{
		{"cut off", string(good), string(good[:len(good)/2]), ".json"},
		{"empty", string(good), "", "there is no JSON in it"},
		{"another schema", memorySchema, "plimsoll/dct/9", "its schema is"},
		{"another name", name, "reg.example/team/other", "it is about"},
		{"another server", o.Trust.Server, "https://trust.example", "it is about"},
		{"no root", `"root": "`, `"root": "", "x": "`, `"x" is not a known key`},
		{"no keys", `"trusted": [`, `"trusted": [], "x": [`, `"x" is not a known key`},
		{"a version of nothing", `"timestamp": {`, `"timestamp": {}, "targets/x": {`, "does not say which timestamp was seen"},
		{"a root that is none", `"root": "`, `"root": "AAAA`, "of what was seen: it is not what Notary writes"},
	} {
		bad := strings.Replace(string(good), test.from, test.to, 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed", test.what)
		}
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Resolve(t.Context(), o, name, "1", time.Now())
		if test.what == "a root that is none" {
			refused(t, err, StepMalformed, test.want)
			continue
		}
		refused(t, err, StepState, test.want)
		if e, is := err.(*Error); is && !strings.Contains(e.Hint, file) {
			t.Errorf("%s: the hint is %q", test.what, e.Hint)
		}
		if now, _ := os.ReadFile(file); string(now) != bad {
			t.Errorf("%s: it was written over", test.what)
		}
	}
	if err := os.WriteFile(file, make([]byte, maxMemory+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepState, "more than 4194304 bytes")
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	signs(t, o, "1", roleTargets, []byte("one"))
	// A folder that cannot be one.
	o.State = file
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepState, "not a directory")
}

// TestMemoryOfTwo: one verification forgets nothing newer that another has seen meanwhile, and
// a first root of a server that then fails is not kept.
func TestMemoryOfTwo(t *testing.T) {
	f := folder(t.TempDir())
	at := time.Now().UTC().Truncate(time.Second)
	make := func(version int64, key string, at time.Time) *memory {
		s := seen{version, strings.Repeat("a", 64)}
		return &memory{Schema: memorySchema, Server: "s", GUN: "g", Root: []byte{byte(version)}, Trusted: []string{key}, At: at,
			Seen: map[string]seen{roleRoot: s, roleTimestamp: s, roleSnapshot: s, roleTargets: s}}
	}
	older := make(1, "a", at.Add(-time.Hour))
	older.Trusted = append(older.Trusted, "b")
	for _, m := range []*memory{make(2, "b", at), older} {
		if wrong := f.keep(m); wrong != nil {
			t.Fatal(wrong)
		}
	}
	got, wrong := f.recall("s", "g")
	if wrong != nil {
		t.Fatal(wrong)
	}
	slices.Sort(got.Trusted)
	if got.Seen[roleTimestamp].Version != 2 || got.Root[0] != 2 || !got.At.Equal(at) || !slices.Equal(got.Trusted, []string{"a", "b"}) {
		t.Errorf("got %+v", got)
	}
	if wrong := f.keep(make(3, "b", at.Add(time.Hour))); wrong != nil {
		t.Fatal(wrong)
	}
	if got, wrong = f.recall("s", "g"); wrong != nil || got.Root[0] != 3 || got.Seen[roleRoot].Version != 3 {
		t.Errorf("got %+v, %v", got, wrong)
	}
	// Two that trusted different roots on first use, or were told different things.
	if wrong = f.keep(make(4, "c", at)); wrong == nil || wrong.Step != StepRoot {
		t.Errorf("another root: %v", wrong)
	}
	other := make(3, "b", at)
	other.Seen[roleTargets] = seen{3, strings.Repeat("b", 64)}
	if wrong = f.keep(other); wrong == nil || wrong.Step != StepRollback {
		t.Errorf("another of the same version: %v", wrong)
	}

	// Nothing is written where nothing is new, but for the time, each hour.
	m := newMade()
	o := first(t, m.write().serve(t))
	file := folder(o.State).path(o.Trust.Server, name)
	written := func(when time.Time) string {
		t.Helper()
		if _, err := Resolve(t.Context(), o, name, "1", when); err != nil {
			t.Fatal(err)
		}
		return string(must(os.ReadFile(file)))
	}
	began := time.Now()
	one := written(began)
	if two := written(began.Add(rest - time.Minute)); two != one {
		t.Errorf("%s became %s", one, two)
	}
	if two := written(began.Add(rest)); two == one {
		t.Error("the time was not written")
	}

	m = newMade()
	m.by[roleTargets] = []*pair{newPair("ecdsa", "")} // not the one that the root names
	o = first(t, m.write().serve(t))
	_, err := Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepTargets, "0 of the 1 keys")
	if left, err := filepath.Glob(o.State + "/*.json"); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
