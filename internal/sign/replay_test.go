package sign

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// replays is a shop with a memory of what its tags stood for, and a clock.
type replays struct {
	*shop
	policy *Policy
	tags   verdict.Folder
	now    time.Time
}

// newReplays has who may sign in any, all, two and late, and nobody in open.
func newReplays(t *testing.T) (r *replays, one, two *cosign.Signer) {
	s := newShop(t)
	one, first := s.signer("one")
	two, second := s.signer("two")
	p := s.policy("keys:\n" + first + second + `images:
  - {name: "HOST/any/*", signed: {any: [{key: one}, {key: two}]}}
  - {name: "HOST/all/*", signed: {all: [{key: one}, {key: two}]}}
  - {name: "HOST/open/*", unsigned: true, why: bases}
`)
	return &replays{s, p, verdict.Folder(t.TempDir()), noon}, one, two
}

// verify verifies a minute later, as is wanted.
func (s *replays) verify(name string, with func(*Verifier)) (*Result, error) {
	s.now = s.now.Add(time.Minute)
	v := Verifier{Policy: s.policy, Platform: "linux/amd64", Tags: s.tags, Now: s.now}
	if with != nil {
		with(&v)
	}
	return v.Verify(s.t.Context(), image.Reference{Source: image.Registry, At: s.host + "/" + name})
}

func (s *replays) is(what, name, refused, told string) *Result {
	s.t.Helper()
	return s.iss(what, name, refused, told, nil)
}

func (s *replays) iss(what, name, refused, told string, with func(*Verifier)) *Result {
	s.t.Helper()
	r, err := s.verify(name, with)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	last := r.Steps[len(r.Steps)-1]
	if r.Refused != refused || !strings.Contains(last.Text, told) || last.OK != (refused == "") || (len(r.By) == 0) != (refused != "") {
		s.t.Errorf("%s: refused by %q, want %q, without %q: %+v", what, r.Refused, refused, told, r.Decision)
	}
	return r
}

// lead has a tag lead to an image that is there.
func (s *replays) lead(r *image.Remote, tag string, d oci.Descriptor) {
	s.t.Helper()
	m, err := r.Manifest(s.t.Context(), d.Digest)
	if err == nil {
		_, err = r.PutManifest(s.t.Context(), tag, m.MediaType, m.Data)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *replays) sign(by *cosign.Signer, r *image.Remote, d oci.Descriptor, ago time.Duration) {
	s.t.Helper()
	if err := by.SignTag(s.t.Context(), r, d.Digest, noon.Add(-ago)); err != nil {
		s.t.Fatal(err)
	}
}

// TestReplay: by a tag that is led back to an older image it is refused, and what is newer, the
// same, signed anew or named by its digest passes.
func TestReplay(t *testing.T) {
	s, one, two := newReplays(t)
	r := s.open("any/api")
	v1, v2, v3 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2"), s.image(r, "", "amd64", "v3")
	s.sign(one, r, v1, 3*time.Hour)
	s.sign(one, r, v2, 2*time.Hour)
	s.lead(r, "1", v1)
	s.is("the first time", "any/api:1", "", "nothing is known of what "+s.host+"/any/api:1 was trusted for before")
	before := s.asked.Load()
	s.is("the same", "any/api:1", "", "is not older")
	if n := s.asked.Load() - before; n != 4 { // as many as without a memory
		t.Errorf("%d requests", n)
	}
	s.lead(r, "1", v2)
	looks := func(v *Verifier) { v.LookOnly = true }
	s.iss("newer, and looked at alone", "any/api:1", "", "is not older", looks)
	s.lead(r, "1", v1)
	s.is("nothing came of it", "any/api:1", "", "is not older")
	s.lead(r, "1", v2)
	s.is("newer", "any/api:1", "", "is not older")
	s.lead(r, "1", v1)
	s.iss("led back, and looked at alone", "any/api:1", StepReplay, "has stood for "+string(v2.Digest), looks)
	s.is("led back", "any/api:1", StepReplay, "it was signed at 2026-11-28T09:00:00Z, and since 2026-11-28T12:05:00Z "+s.host+"/any/api:1 has stood for "+string(v2.Digest)+"; the newest by that tag was signed at 2026-11-28T10:00:00Z")
	s.is("by its digest", "any/api@"+string(v1.Digest), "", "one signed it")
	s.is("by tag and digest", "any/api:1@"+string(v1.Digest), "", "one signed it")
	s.iss("by the tag that an engine has it by", "any/api:1@"+string(v1.Digest), StepReplay, "signed at 2026-11-28T09", func(v *Verifier) { v.ByTag = true })
	s.lead(r, "2", v1)
	s.is("by another tag", "any/api:2", "", "nothing is known")
	s.iss("without a memory", "any/api:1", "", "one signed it", func(v *Verifier) { v.Tags = "" })
	if err := one.SignReferrer(t.Context(), r, v1, noon); err != nil {
		t.Fatal(err)
	}
	s.is("signed anew, elsewhere", "any/api:1", "", "is not older")
	s.lead(r, "1", v2)
	s.is("what it had been gone back from", "any/api:1", StepReplay, "signed at 2026-11-28T10")
	s.sign(two, r, v2, -time.Minute)
	s.is("signed anew by another who may", "any/api:1", "", "is not older")

	// Who has the registry can't put a time on it: what is signed without one is no newer.
	s.lead(r, "1", v3)
	s.untimed(one, r, v3)
	s.is("of no time", "any/api:1", StepReplay, "nothing says when it was signed")
	s.sign(one, r, v3, -2*time.Minute)
	s.is("of a time", "any/api:1", "", "is not older")

	// Accepted once, it is remembered, and no way back to what was gone back from.
	s.lead(r, "1", v1)
	s.is("led back again", "any/api:1", StepReplay, "")
	if got := s.iss("gone back to", "any/api:1", "", "gone back to: orders are lost", func(v *Verifier) { v.Rollback = "orders are lost" }); got.Rollback == "" {
		t.Errorf("%+v", got)
	}
	if got := s.iss("and no more", "any/api:1", "", "is not older", func(v *Verifier) { v.Rollback = "twice" }); got.Rollback != "" {
		t.Errorf("it is gone back to where it is: %q", got.Rollback)
	}
	s.lead(r, "1", v3)
	s.is("what was gone back from", "any/api:1", StepReplay, "the tag stood for it until")
	s.iss("unsigned, and wanted", "any/api:none", StepSigners, "", func(v *Verifier) {
		s.image(r, "none", "amd64", "v4")
		v.Rollback = "why not"
	})
}

// untimed signs with no time that is one, as before there were any.
func (s *replays) untimed(by *cosign.Signer, r *image.Remote, d oci.Descriptor) {
	s.t.Helper()
	if err := by.SignTag(s.t.Context(), r, d.Digest, time.Time{}); err != nil {
		s.t.Fatal(err)
	}
}

// TestReplayUntimed: where nothing says when images were signed, those that the tag was seen to
// leave are refused.
func TestReplayUntimed(t *testing.T) {
	s, one, _ := newReplays(t)
	r := s.open("any/api")
	v1, v2, v3 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2"), s.image(r, "", "amd64", "v3")
	for _, d := range []oci.Descriptor{v1, v2, v3} {
		s.untimed(one, r, d)
		s.lead(r, "1", d)
		s.is("another", "any/api:1", "", "")
	}
	for _, d := range []oci.Descriptor{v1, v2} {
		s.lead(r, "1", d)
		s.is("left before", "any/api:1", StepReplay, "was not signed anew")
	}
	s.lead(r, "1", v1)
	s.sign(one, r, v1, time.Hour)
	s.is("signed with a time of before it was left", "any/api:1", StepReplay, "was not signed anew")
	s.sign(one, r, v1, -3*time.Minute)
	s.is("signed anew", "any/api:1", "", "is not older")
}

// TestReplayNewest: of several who signed the last counts, the first time too.
func TestReplayNewest(t *testing.T) {
	s, one, two := newReplays(t)
	r := s.open("any/api")
	v1, v2 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2")
	s.sign(one, r, v1, 3*time.Hour)
	s.sign(two, r, v1, time.Hour)
	s.sign(one, r, v2, 2*time.Hour)
	s.lead(r, "1", v1)
	s.is("signed twice", "any/api:1", "", "")
	s.lead(r, "1", v2)
	s.is("signed between", "any/api:1", StepReplay, "signed at 2026-11-28T10")
	s.sign(two, r, v2, 30*time.Minute)
	s.is("and after", "any/api:1", "", "")
}

// TestReplayOfTwo: where two must have signed, both must have signed anew.
func TestReplayOfTwo(t *testing.T) {
	s, one, two := newReplays(t)
	r := s.open("all/api")
	v1, v2 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2")
	s.sign(one, r, v1, 4*time.Hour)
	s.sign(two, r, v1, 4*time.Hour)
	s.sign(one, r, v2, 3*time.Hour)
	s.sign(two, r, v2, 2*time.Hour)
	for _, d := range []oci.Descriptor{v1, v2} {
		s.lead(r, "1", d)
		s.is("newer", "all/api:1", "", "")
	}
	s.lead(r, "1", v1)
	s.sign(one, r, v1, time.Hour)
	s.is("signed anew by one", "all/api:1", StepReplay, "signed at 2026-11-28T08")
	s.sign(two, r, v1, time.Hour)
	s.is("by both", "all/api:1", "", "")
}

// TestReplayOfIndex: what the tag led to is remembered with what would run of it.
func TestReplayOfIndex(t *testing.T) {
	s, one, _ := newReplays(t)
	r := s.open("any/api")
	amd, arm, old := s.image(r, "", "amd64", "new"), s.image(r, "", "arm64", "new"), s.image(r, "", "arm64", "old")
	before, index := s.index(r, "before", amd, old), s.index(r, "1", amd, arm)
	s.sign(one, r, before, 2*time.Hour)
	s.sign(one, r, index, time.Hour)
	onARM := func(v *Verifier) { v.Platform = "linux/arm64" }
	s.is("an index", "any/api:1", "", "nothing is known")
	s.iss("its other image", "any/api:1", "", "is not older", onARM)
	tag, err := s.tags.Tag(s.host + "/any/api:1")
	if err != nil || len(tag.Digests) != 5 || tag.Digests[0] != string(index.Digest) || !tag.Is(string(arm.Digest)) {
		t.Errorf("%+v, %v", tag, err)
	}
	s.lead(r, "1", before)
	s.is("an older index of the same image", "any/api:1", "", "is not older")
	s.iss("and of an older one", "any/api:1", StepReplay, "signed at 2026-11-28T10", onARM)
	s.sign(one, r, amd, 3*time.Hour)
	s.lead(r, "1", amd)
	s.is("the image alone", "any/api:1", "", "is not older")
}

// TestReplayUnsigned: where nobody needs to sign nothing has an order, and what a tag left is
// remembered all the same.
func TestReplayUnsigned(t *testing.T) {
	s, _, _ := newReplays(t)
	r := s.open("open/base")
	v1, v2 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2")
	for _, d := range []oci.Descriptor{v1, v2, v1} {
		s.lead(r, "1", d)
		s.is("unsigned", "open/base:1", "", "")
	}
	tag, err := s.tags.Tag(s.host + "/open/base:1")
	if err != nil || !tag.Is(string(v1.Digest)) || tag.Was(string(v2.Digest)) == nil || !tag.Newest.IsZero() {
		t.Errorf("%+v, %v", tag, err)
	}
}

// TestReplayMemory: what is remembered and can't be read is an error; where it may not be read
// or written, that is told; and of two who verify at a time the older is refused.
func TestReplayMemory(t *testing.T) {
	s, one, _ := newReplays(t)
	r := s.open("any/api")
	v1, v2 := s.image(r, "", "amd64", "v1"), s.image(r, "", "amd64", "v2")
	s.sign(one, r, v1, 2*time.Hour)
	s.sign(one, r, v2, time.Hour)
	s.lead(r, "1", v1)
	s.lead(r, "2", v2)
	var wg sync.WaitGroup
	name := s.host + "/any/api:1"
	v := Verifier{Policy: s.policy, Platform: "linux/amd64", Tags: s.tags, Now: noon}
	for range 4 {
		for _, d := range []oci.Descriptor{v1, v2} {
			wg.Go(func() {
				by := v
				by.ByTag = true
				if r, err := by.Verify(t.Context(), image.Reference{Source: image.Registry, At: name + "@" + string(d.Digest)}); err != nil || r.Refused != "" && (r.Refused != StepReplay || d.Digest != v1.Digest) {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
	}
	wg.Wait()
	if tag, err := s.tags.Tag(name); err != nil || !tag.Is(string(v2.Digest)) {
		t.Errorf("in the end %+v, %v", tag, err)
	}
	files, err := filepath.Glob(filepath.Join(string(s.tags), "tags", "*.json"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := s.verify("any/api:1", nil); err == nil || !strings.Contains(err.Error(), "what was trusted by the tag") {
		t.Errorf("damaged: %+v, %v", r, err)
	}
	// Nobody makes a folder there.
	if r, err := s.verify("any/api:1", func(v *Verifier) { v.Tags = "/sys/plimsoll" }); err != nil || !r.Trusted() || r.Unremembered == nil {
		t.Errorf("where nothing may be written: %+v, %v", r, err)
	}
	if r, err := s.verify("any/api:1", func(v *Verifier) { v.Tags = "/sys/plimsoll" }); err != nil || r.Uncompared {
		t.Errorf("where nothing may be written, but read: %+v, %v", r, err)
	}
	if err := os.Chmod(files[0], 0); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Geteuid() == 0 { // this thread is somebody else for files
		defer unix.SetfsuidRetUid(0)
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Fatal(err)
		}
	}
	got, by := &Result{Repository: "any/api"}, Verifier{Tags: s.tags, ByTag: true}
	if m, err := by.remembered("1", "any/api:1", got); m != nil || err != nil || !got.Uncompared || got.Unremembered == nil {
		t.Errorf("what may not be read: %+v, %v, %+v", m, err, got)
	}
	if !forbidden(&fs.PathError{Err: fs.ErrPermission}) || forbidden(nil) || forbidden(errors.New("no space")) {
		t.Error("what may not be read is not told from what can't be")
	}
}

// TestWhenSigned: of what is proven and claimed the earlier counts, of one signer's signatures
// the later, and of several signers' as many as are needed.
func TestWhenSigned(t *testing.T) {
	s, _, _ := newReplays(t)
	at := func(hours int) time.Time {
		if hours == 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(hours) * time.Hour)
	}
	by := func(key string, proven, claimed int) Vouch {
		return Vouch{Signer: Signer{Key: key}, Kind: "cosign", At: at(proven), Claimed: at(claimed)}
	}
	for what, c := range map[string]struct {
		name  string
		found []Vouch
		want  int
	}{
		"nothing":                   {"any", []Vouch{by("one", 0, 0)}, 0},
		"claimed":                   {"any", []Vouch{by("one", 0, -3)}, -3},
		"proven":                    {"any", []Vouch{by("one", -2, 0)}, -2},
		"claimed, and logged anew":  {"any", []Vouch{by("one", -1, -3)}, -3},
		"claimed after it was":      {"any", []Vouch{by("one", -3, -1)}, -3},
		"signed anew":               {"any", []Vouch{by("one", 0, -3), by("one", 0, -1)}, -1},
		"signed anew, listed first": {"any", []Vouch{by("one", 0, -1), by("one", 0, -3), by("one", 0, 0)}, -1},
		"any of two":                {"any", []Vouch{by("one", 0, -3), by("two", 0, -1)}, -1},
		"all of two":                {"all", []Vouch{by("one", 0, -1), by("two", 0, -3)}, -3},
		"all, one of no time":       {"all", []Vouch{by("one", 0, -1), by("two", 0, 0)}, 0},
		"too few":                   {"all", []Vouch{by("one", 0, -1)}, 0},
		"somebody else":             {"any", []Vouch{by("one", 0, -3), by("other", 0, -1)}, -3},
		"nobody needed":             {"open", nil, 0},
	} {
		if got := s.policy.Decide(s.host+"/"+c.name+"/api", "", c.found, noon).last; !got.Equal(at(c.want)) {
			t.Errorf("%s: %v, want %v", what, got, at(c.want))
		}
	}
}
