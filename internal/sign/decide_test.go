package sign

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDecide: who signed suffices or not, and the step that refuses is named.
func TestDecide(t *testing.T) {
	one, two := newKey(t), newKey(t)
	key := func(name, pem, more string) string {
		return "  " + name + ":\n" + more + "    pem: |\n      " + pem + "\n"
	}
	file := "schema: plimsoll/trust/1\nkeys:\n" + key("one", one, "") + key("again", one, "") + key("two", two, "") + key("lost", newKey(t), "    revoked: 2026-11-01\n    why: stolen\n") + `
images:
  - {name: "r.example/any/*", signed: {any: [{key: one}, {key: two}, {key: lost}]}}
  - {name: "r.example/all/*", signed: {all: [{key: one}, {key: two}]}}
  - {name: "r.example/two/*", signed: {threshold: 2, of: [{key: one}, {key: again}, {key: two}]}}
  - {name: "r.example/new/*", signed: {any: [{key: one}]}, max_age: 30d}
  - {name: "r.example/amd/*", signed: {any: [{key: one}]}, platforms: [linux/amd64]}
  - {name: "r.example/ci/*", signed: {any: [{identity: "https://ci.example/*", issuer: "https://i.example", root: r.json}]}}
  - {name: "docker.io/library/*", unsigned: true, why: read by us}
`
	p, err := ReadPolicy("trust.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	by := func(names ...string) (list []Vouch) {
		for _, n := range names {
			list = append(list, Vouch{Signer: Signer{Key: n}, Kind: "cosign", Where: "there"})
		}
		return list
	}
	at := func(v []Vouch, age time.Duration) []Vouch {
		for i := range v {
			v[i].At = now.Add(-age)
		}
		return v
	}
	const day = 24 * time.Hour
	ci := Signer{Identity: "https://ci.example/*", Issuer: "https://i.example", Root: "r.json"}
	for name, c := range map[string]struct {
		image, platform string
		found           []Vouch
		refused         string
		by              []string
	}{
		"one of any":                 {"any/a", "", by("one"), "", []string{"cosign key one"}},
		"the other of any":           {"any/a", "", by("two"), "", []string{"cosign key two"}},
		"nobody":                     {"any/a", "", nil, StepSigners, nil},
		"somebody else":              {"any/a", "", by("other"), StepSigners, nil},
		"a revoked key":              {"any/a", "", by("lost"), StepSigners, nil},
		"a revoked key and a good":   {"any/a", "", by("lost", "one"), "", []string{"cosign key one"}},
		"all":                        {"all/a", "", by("one", "two"), "", []string{"cosign key one", "cosign key two"}},
		"one of all":                 {"all/a", "", by("two"), StepSigners, nil},
		"two of two":                 {"two/a", "", by("one", "two"), "", []string{"cosign key one", "cosign key two"}},
		"two signatures by one":      {"two/a", "", by("one", "one"), StepSigners, nil},
		"two names of one key":       {"two/a", "", by("one", "again"), StepSigners, nil},
		"new enough":                 {"new/a", "", at(by("one"), 29*day), "", []string{"cosign key one"}},
		"too old":                    {"new/a", "", at(by("one"), 31*day), StepSigners, nil},
		"of no time":                 {"new/a", "", by("one"), StepSigners, nil},
		"old and new":                {"new/a", "", append(at(by("one"), 31*day), at(by("one"), day)...), "", []string{"cosign key one"}},
		"the platform":               {"amd/a", "linux/amd64", by("one"), "", []string{"cosign key one"}},
		"a variant of it":            {"amd/a", "linux/amd64/v3", by("one"), "", []string{"cosign key one"}},
		"a name that begins alike":   {"amd/a", "linux/amd64p32", by("one"), StepPlatform, nil},
		"another platform":           {"amd/a", "linux/arm64", by("one"), StepPlatform, nil},
		"no platform":                {"amd/a", "", by("one"), StepPlatform, nil},
		"an identity":                {"ci/a", "", []Vouch{{Signer: ci, Kind: "cosign", Where: "there"}}, "", []string{"cosign https://ci.example/* by https://i.example"}},
		"an identity by a key":       {"ci/a", "", by("one"), StepSigners, nil},
		"an identity, another roots": {"ci/a", "", []Vouch{{Signer: Signer{Identity: ci.Identity, Issuer: ci.Issuer, Root: "other"}}}, StepSigners, nil},
	} {
		d := p.Decide("r.example/"+c.image, c.platform, c.found, now)
		if d.Refused != c.refused || d.Trusted() != (c.refused == "") || !cmp.Equal(d.By, c.by) || d.Entry == nil {
			t.Errorf("%s: %+v", name, d)
		}
		if last := d.Steps[len(d.Steps)-1]; !d.Trusted() && (last.Name != c.refused || last.OK) {
			t.Errorf("%s: the last step is %+v", name, last)
		}
	}
	// As long as enough of them last: the longest of each, and of those the last that is needed.
	ending := func(name string, in time.Duration) Vouch {
		v := by(name)[0]
		if in != 0 {
			v.Until = now.Add(in)
		}
		return v
	}
	for what, c := range map[string]struct {
		image string
		found []Vouch
		in    time.Duration // 0 is never
	}{
		"one that ends":                     {"any/a", []Vouch{ending("one", day)}, day},
		"one that never ends":               {"any/a", by("one"), 0},
		"one ends later":                    {"any/a", []Vouch{ending("one", day), ending("two", 3*day)}, 3 * day},
		"one never":                         {"any/a", []Vouch{ending("one", day), ending("two", 0)}, 0},
		"by one again":                      {"any/a", []Vouch{ending("one", day), ending("one", 2*day)}, 2 * day},
		"by one again, never":               {"any/a", []Vouch{ending("one", 0), ending("one", 2*day)}, 0},
		"both are needed":                   {"all/a", []Vouch{ending("one", day), ending("two", 3*day)}, day},
		"both, of which one never ends":     {"all/a", []Vouch{ending("one", 0), ending("two", 3*day)}, 3 * day},
		"it becomes too old":                {"new/a", at(by("one"), 10*day), 20 * day},
		"it ends before it is too old":      {"new/a", at([]Vouch{ending("one", 5*day)}, 10*day), 5 * day},
		"it becomes too old before it ends": {"new/a", at([]Vouch{ending("one", 25*day)}, 10*day), 20 * day},
	} {
		want := time.Time{}
		if c.in != 0 {
			want = now.Add(c.in)
		}
		if d := p.Decide("r.example/"+c.image, "", c.found, now); !d.Trusted() || !d.Until.Equal(want) {
			t.Errorf("%s: until %v, want %v: %+v", what, d.Until, want, d)
		}
	}
	if d := p.Decide("docker.io/library/nginx", "linux/amd64", nil, now); !d.Trusted() || len(d.By) != 1 || !strings.Contains(fmt.Sprint(d.Steps), "read by us") {
		t.Errorf("unsigned: %+v", d)
	}
	if d := p.Decide("docker.io/other/nginx", "", by("one"), now); d.Refused != StepEntry || d.Entry != nil {
		t.Errorf("of no entry: %+v", d)
	}
}
