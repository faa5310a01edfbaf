package sign

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/verdict"
)

// TestWithdraw: of what was verified, what the policy would not trust any more loses its
// verdict, and what it would keeps it: by the signers that were found then, whatever they are
// called now.
func TestWithdraw(t *testing.T) {
	one, two := newKey(t), newKey(t)
	key := func(name, pem, more string) string {
		return "  " + name + ":\n" + more + "    pem: |\n      " + pem + "\n"
	}
	const gone = "    revoked: 2026-11-27\n    why: stolen\n"
	const servers = "content_trust:\n  acme: {url: \"https://n.example\", keys: [a]}\n"
	const images = `images:
  - {name: "r.example/any/*", signed: {any: [{key: one}, {key: two}]}}
  - {name: "r.example/all/*", signed: {all: [{key: one}, {key: two}]}}
  - {name: "r.example/new/*", signed: {any: [{key: one}]}, max_age: 30d}
  - {name: "r.example/amd/*", signed: {any: [{key: one}]}, platforms: [linux/amd64]}
  - {name: "r.example/dct/*", signed: {any: [{content_trust: acme}]}}
  - {name: "docker.io/library/*", unsigned: true, why: read by us}
`
	read := func(text string) *Policy {
		t.Helper()
		p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before := read("keys:\n" + key("one", one, "") + key("two", two, "") + servers + images)
	found := func(names ...string) (list []Vouch) {
		for _, n := range names {
			s := Signer{Key: n}
			if n == "acme" {
				s = Signer{ContentTrust: n}
			}
			list = append(list, Vouch{Signer: s, Kind: s.kind(), At: november.AddDate(0, 0, -20)})
		}
		return list
	}
	digest := func(n byte) string { return "sha256:" + strings.Repeat(string('a'+n), 64) }
	verified := map[string]struct {
		name string
		by   []Vouch
	}{
		digest(0): {"r.example/any/first", found("one")},
		digest(1): {"r.example/any/second", found("two")},
		digest(2): {"r.example/all/both", found("one", "two")},
		digest(3): {"r.example/new/aged", found("one")},
		digest(4): {"r.example/amd/one", found("one")},
		digest(5): {"r.example/dct/one", found("acme")},
	}
	unsigned := "sha256:" + strings.Repeat("0", 64)
	fill := func(old bool) verdict.Folder {
		t.Helper()
		folder := verdict.Folder(t.TempDir())
		put := func(digest, name string, by []Vouch) {
			t.Helper()
			v := Verifier{Policy: before, Now: november}
			how := v.Verdict(&Result{Config: "sha256:of", Repository: name, Platform: "linux/amd64", Decision: before.Decide(name, "linux/amd64", by, november)}, "sha256:of")
			if how == nil {
				t.Fatalf("%s is not trusted", name)
			}
			if old {
				how.Name, how.Platform, how.Signers = "", "", nil
			}
			if err := folder.Verify(digest, how); err != nil {
				t.Fatal(err)
			}
		}
		for digest, v := range verified {
			put(digest, v.name, v.by)
		}
		put(unsigned, "docker.io/library/nginx", nil)
		return folder
	}
	all := append(slices.Sorted(func(yield func(string) bool) {
		for d := range verified {
			if !yield(d) {
				return
			}
		}
	}), unsigned)
	slices.Sort(all)
	// as is by the place in the list of digests: 0 is the unsigned one.
	for name, c := range map[string]struct {
		policy string
		now    time.Time
		rests  string // on this key alone
		want   []int
		old    []int // of verdicts that tell no name, where that is something else
	}{
		"nothing changed":              {"keys:\n" + key("one", one, "") + key("two", two, "") + servers + images, november, "", nil, []int{4, 5}},
		"a key is revoked":             {"keys:\n" + key("one", one, gone) + key("two", two, "") + servers + images, november, "", []int{1, 3, 4, 5}, nil},
		"and only what rests on it":    {"keys:\n" + key("one", one, gone) + key("two", two, "") + servers + images, november, "one", []int{1, 3, 4, 5}, nil},
		"and what rests on another":    {"keys:\n" + key("one", one, gone) + key("two", two, "") + servers + images, november, "two", []int{3}, nil},
		"a key is called otherwise":    {strings.NewReplacer("key: one", "key: first").Replace("keys:\n" + key("first", one, "") + key("two", two, "") + servers + images), november, "", nil, []int{1, 3, 4, 5}},
		"a name is another key's":      {"keys:\n" + key("one", newKey(t), "") + key("two", two, "") + servers + images, november, "", []int{1, 3, 4, 5}, []int{4, 5}},
		"it grew too old":              {"keys:\n" + key("one", one, "") + key("two", two, "") + servers + images, november.AddDate(0, 0, 11), "", []int{4}, []int{4, 5}},
		"a platform may not run now":   {"keys:\n" + key("one", one, "") + key("two", two, "") + servers + strings.Replace(images, "linux/amd64", "linux/arm64", 1), november, "", []int{5}, []int{4, 5}},
		"a server has another root":    {"keys:\n" + key("one", one, "") + key("two", two, "") + strings.Replace(servers, "[a]", "[b]", 1) + images, november, "", []int{6}, []int{4, 5}},
		"nothing unsigned is taken":    {"keys:\n" + key("one", one, "") + key("two", two, "") + servers + images[:strings.Index(images, "  - {name: \"docker.io")], november, "", []int{0}, []int{0, 4, 5}},
		"unsigned ones have a place":   {"images:\n  - {name: \"*\", unsigned: true, why: x}\n", november, "", nil, []int{0, 1, 2, 3, 4, 5, 6}},
		"a signature is asked of them": {strings.Replace("keys:\n"+key("one", one, "")+key("two", two, "")+servers+images, "unsigned: true, why: read by us", "signed: {any: [{key: one}]}", 1), november, "", []int{0}, []int{0, 4, 5}},
	} {
		for _, old := range []bool{false, true} {
			p, folder, want := read(c.policy), fill(old), c.want
			if old && c.old != nil {
				want = c.old
			}
			var which func(*verdict.Verified) bool
			if c.rests != "" {
				which = func(v *verdict.Verified) bool { return p.RestsOn(v, c.rests) }
			}
			withdrawn, err := p.Withdraw(folder, c.now, which)
			if err != nil {
				t.Errorf("%s, old %v: %v", name, old, err)
			}
			var digests, wanted []string
			for _, w := range withdrawn {
				digests = append(digests, w.Digests...)
				if w.Why == "" || len(w.By) == 0 || (w.Name == "") != old {
					t.Errorf("%s, old %v: %+v", name, old, w)
				}
			}
			for _, i := range want {
				wanted = append(wanted, all[i])
			}
			slices.Sort(digests)
			if !slices.Equal(digests, wanted) {
				t.Errorf("%s, old %v: withdrawn are %.12q, want %.12q", name, old, digests, wanted)
			}
			for _, d := range all {
				v, err := folder.Read(d)
				if err != nil || (v.Verified == nil) != slices.Contains(wanted, d) {
					t.Errorf("%s, old %v: %.12s: %+v, %v", name, old, d, v, err)
				}
			}
		}
	}
	// What was withdrawn is told again, as long as the policy does not trust it, and is
	// verified no more where it does.
	folder := fill(false)
	stolen := read("keys:\n" + key("one", one, gone) + key("two", two, "") + servers + images)
	for again := range 2 {
		withdrawn, err := stolen.Withdraw(folder, november.AddDate(0, 0, again), nil)
		if err != nil || len(withdrawn) != 4 || !withdrawn[0].Since.Equal(november) {
			t.Errorf("time %d: %+v, %v", again, withdrawn, err)
		}
	}
	if withdrawn, err := before.Withdraw(folder, november, nil); err != nil || len(withdrawn) != 0 {
		t.Errorf("trusted again: %+v, %v", withdrawn, err)
	}
	if v, err := folder.Read(all[1]); err != nil || v.Verified != nil || len(v.Withdrawn) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	// The files of one image are one; one that can't be read keeps the others from nothing.
	folder = fill(false)
	how, err := folder.Read(all[1])
	if err != nil {
		t.Fatal(err)
	}
	index := "sha256:" + strings.Repeat("9", 64)
	if err := folder.Verify(index, how.Verified); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(folder), "bb", strings.Repeat("b", 64)+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	withdrawn, err := stolen.Withdraw(folder, november, nil)
	if err == nil || len(withdrawn) != 4 || !slices.Equal(withdrawn[0].Digests, []string{index, all[1]}) {
		t.Errorf("%+v, %v", withdrawn, err)
	}
	if !strings.Contains(withdrawn[0].Why, "key one was revoked on 2026-11-27 and does not count: stolen") {
		t.Errorf("%q", withdrawn[0].Why)
	}
}

// TestWithdrawMade: what was made here goes with the image that it was made from, and what was
// made from that; or where who made it may not any more. What is trusted by another name stays.
func TestWithdrawMade(t *testing.T) {
	one := newKey(t)
	read := func(more, by, base string) *Policy {
		t.Helper()
		p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nkeys:\n  one:\n"+more+"    pem: |\n      "+one+"\nimages:\n  - {name: \"r.example/*\", signed: {any: [{key: one}]}}\n  - {name: \"docker.io/shop/*\", built: {by: ["+by+"], base: "+base+", within: 30d}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const gone = "    revoked: 2026-11-27\n    why: stolen\n"
	before := read("", "alice", "trusted")
	digest := func(n string) string { return "sha256:" + strings.Repeat(n, 64) }
	signed := verdict.Verified{Name: "r.example/base", At: november, Policy: "images[0]", By: []string{"cosign key one"}, Signers: []verdict.Signer{{Kind: "cosign", Name: "key one", ID: before.ID(Signer{Key: "one"})}}}
	made := func(base string) verdict.Verified {
		return verdict.Verified{Name: "docker.io/shop/api", At: november, Policy: "images[1]", By: []string{"built here by alice"}, Made: &verdict.Made{UID: 1000, User: "alice", How: madeByBuild, At: november.AddDate(0, 0, -20), Base: base}}
	}
	for name, c := range map[string]struct {
		p     *Policy
		now   time.Time
		other bool // the base is trusted by another name as well
		rests string
		want  []string
	}{
		"nothing changed":                  {before, november, false, "", nil},
		"the base's key is revoked":        {read(gone, "alice", "trusted"), november, false, "one", []string{"a", "b", "c"}},
		"and any base will do":             {read(gone, "alice", "any"), november, false, "one", []string{"a"}},
		"and the base has another name":    {read(gone, "alice", "trusted"), november, true, "one", []string{"a"}},
		"another may build":                {read("", "bob", "trusted"), november, false, "", []string{"b", "c"}},
		"by number":                        {read("", "1000", "trusted"), november, false, "", nil},
		"it is too old":                    {before, november.AddDate(0, 0, 11), false, "", []string{"b", "c"}},
		"the key is revoked, for the rest": {read(gone, "alice", "trusted"), november, false, "", []string{"a", "b", "c"}},
	} {
		folder := verdict.Folder(t.TempDir())
		put := func(n string, v verdict.Verified) {
			t.Helper()
			if err := folder.Verify(digest(n), &v); err != nil {
				t.Fatal(err)
			}
		}
		put("a", signed)
		put("b", made(digest("a")))
		put("c", made(digest("b")))
		if c.other {
			put("a", verdict.Verified{Name: "docker.io/shop/base", At: november, Policy: "images[1]", By: []string{"built here by alice"}, Made: &verdict.Made{UID: 1000, User: "alice", How: madeByBuild, At: november, Base: digest("d")}})
		}
		var which func(*verdict.Verified) bool
		if c.rests != "" {
			which = func(v *verdict.Verified) bool { return c.p.RestsOn(v, c.rests) }
		}
		for range 2 { // what was taken back is told again
			all, err := c.p.Withdraw(folder, c.now, which)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var got, want []string
			for _, w := range all {
				got = append(got, w.Digests...)
			}
			for _, n := range c.want {
				want = append(want, digest(n))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %.12q, want %.12q", name, got, want)
			}
		}
	}
}

// TestVerdictOfIndex: an index has the signers who signed it itself, and so loses its verdict
// with them, whoever has signed an image of it.
func TestVerdictOfIndex(t *testing.T) {
	p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      "+newKey(t)+"\n  two:\n    pem: |\n      "+newKey(t)+"\nimages:\n  - {name: \"r.example/*\", signed: {any: [{key: one}, {key: two}]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	found := []Vouch{{Signer: Signer{Key: "one"}, Kind: "cosign", Of: "sha256:index"}, {Signer: Signer{Key: "two"}, Kind: "cosign", Of: "sha256:manifest"}}
	r := &Result{Index: "sha256:index", Manifest: "sha256:manifest", Config: "sha256:config", Repository: "r.example/a", Decision: p.Decide("r.example/a", "linux/amd64", found, november), whole: true}
	v := Verifier{Policy: p, Now: november}
	if got := len(v.Verdict(r, r.Manifest).Signers); got != 2 {
		t.Errorf("the image has %d signers", got)
	}
	if got := v.Verdict(r, r.Index).Signers; len(got) != 1 || got[0].Name != "key one" {
		t.Errorf("the index has %+v", got)
	}
	if r.whole = false; v.Verdict(r, r.Index) != nil || v.Verdict(r, "sha256:other") != nil {
		t.Error("what is not trusted has a verdict")
	}
}
