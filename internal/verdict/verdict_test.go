package verdict

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

var (
	one  = "sha256:" + strings.Repeat("1a", 32)
	two  = "sha256:" + strings.Repeat("2b", 32)
	noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

func TestVerdict(t *testing.T) {
	f := Folder(t.TempDir())
	if _, err := f.Of(one, two); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	verified := &Verified{At: noon, Policy: "images[2]", By: []string{"cosign key release"}}
	scanned := &Scanned{At: noon, Data: noon.Add(-time.Hour), Worst: finding.High, Counts: map[finding.Severity]int{finding.High: 2}}
	for _, err := range []error{f.Verify(one, verified), f.Scan(one, scanned)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Read(one)
	if diff := cmp.Diff(&Verdict{Schema: Schema, Digest: one, Verified: verified, Scanned: scanned}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	newer := &Scanned{At: noon.Add(time.Hour), Data: noon}
	if err := f.Scan(two, newer); err != nil {
		t.Fatal(err)
	}
	got, err = f.Of(one, two)
	if diff := cmp.Diff(&Verdict{Schema: Schema, Digest: one, Verified: verified, Scanned: newer}, got); err != nil || diff != "" {
		t.Errorf("under both digests: %v %s", err, diff)
	}
	if err := f.Verify(one, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Read(one); err != nil || got.Verified != nil || got.Scanned == nil {
		t.Errorf("not verified any more: %+v, %v", got, err)
	}
	left, err := filepath.Glob(filepath.Join(string(f), "*", ".next-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// TestNoVerdict: a file that is no verdict, or another image's, is not taken for one, and
// is made anew by the next scan.
func TestNoVerdict(t *testing.T) {
	f := Folder(t.TempDir())
	if err := f.Scan(one, &Scanned{At: noon}); err != nil {
		t.Fatal(err)
	}
	path, err := f.path(one)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"half":             string(whole[:len(whole)/2]),
		"another image's":  strings.Replace(string(whole), one, two, 1),
		"another schema":   strings.Replace(string(whole), Schema, "plimsoll/verdict/9", 1),
		"a key twice":      strings.Replace(string(whole), `"digest"`, `"digest": "x", "digest"`, 1),
		"no time":          strings.Replace(string(whole), `"at": "2026-11-27T12:00:00Z"`, `"at": "0001-01-01T00:00:00Z"`, 1),
		"no such severity": strings.Replace(string(whole), `"worst": ""`, `"worst": "severe"`, 1),
		"large":            string(whole) + strings.Repeat(" ", maxFile),
	} {
		if text == string(whole) {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := f.Read(one); !errors.As(err, new(*strict.Error)) {
			t.Errorf("%s is read as %+v, %v", name, v, err)
		}
		if _, err := f.Of(two, one); err == nil {
			t.Errorf("%s is passed over", name)
		}
	}
	if err := f.Verify(one, &Verified{At: noon, By: []string{"ana"}}); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Read(one); err != nil || v.Scanned != nil || v.Verified == nil {
		t.Errorf("made anew: %+v, %v", v, err)
	}
	for _, digest := range []string{"", "sha256:", "sha256:../../x", strings.ToUpper(one), one + "0", "md5:" + one[7:]} {
		if _, err := f.Read(digest); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q is a digest: %v", digest, err)
		}
	}
	if err := f.Verify(two, &Verified{At: noon}); err == nil {
		t.Error("verified by nobody")
	}
}

// TestWhole: who reads while another writes sees a whole file.
func TestWhole(t *testing.T) {
	f := Folder(t.TempDir())
	if err := f.Scan(one, &Scanned{At: noon}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			if err := f.Scan(one, &Scanned{At: noon.Add(time.Duration(i) * time.Second)}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2000 {
		if _, err := f.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

// FuzzRead: a file that is read says what encoding it anew says.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"plimsoll/verdict/1","digest":"` + one + `","scanned":{"at":"2026-11-27T12:00:00Z","data":"2026-11-27T11:00:00Z","worst":"high"}}`))
	dir := Folder(f.TempDir())
	path, err := dir.path(one)
	if err != nil {
		f.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := dir.Read(one)
		if err != nil {
			return
		}
		if err := dir.change(one, func(*Verdict) {}); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		again, err := dir.Read(one)
		if diff := cmp.Diff(v, again); err != nil || diff != "" {
			t.Errorf("%q: %v %s", data, err, diff)
		}
	})
}

// TestTakeBack: what was verified is kept as what it was, until it is verified again by that name;
// all that is known is read, and what is none, or half, is passed over or told.
func TestTakeBack(t *testing.T) {
	f := Folder(t.TempDir())
	for v, err := range f.All() {
		t.Errorf("of nothing: %v, %v", v, err)
	}
	verified := Verified{At: noon, Policy: "images[2]", By: []string{"cosign key release"}, Name: "r.example/a", Platform: "linux/amd64", Signers: []Signer{{Kind: "cosign", Name: "key release", ID: one}}}
	withdrawn := Withdrawn{At: noon.Add(time.Hour), Why: "the key was stolen", Was: verified}
	for _, err := range []error{f.Verify(one, &verified), f.Scan(two, &Scanned{At: noon}), f.TakeBack(one, withdrawn)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"1a/.next-1", "1a/" + strings.Repeat("2b", 32) + ".json", "README", "2b/note.json"} {
		if err := os.WriteFile(filepath.Join(string(f), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (list []*Verdict, wrong []error) {
		for v, err := range f.All() {
			if err != nil {
				wrong = append(wrong, err)
				continue
			}
			list = append(list, v)
		}
		return list, wrong
	}
	list, wrong := read()
	if diff := cmp.Diff([]*Verdict{{Schema: Schema, Digest: one, Withdrawn: []Withdrawn{withdrawn}}, {Schema: Schema, Digest: two, Scanned: &Scanned{At: noon}}}, list); diff != "" || len(wrong) > 0 {
		t.Errorf("%v %s", wrong, diff)
	}
	if err := f.Verify(one, nil); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Read(one); err != nil || v.Withdrawn == nil {
		t.Errorf("not trusted any more: %+v, %v", v, err)
	}
	if err := f.Verify(one, &verified); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Read(one); err != nil || v.Withdrawn != nil || v.Verified == nil {
		t.Errorf("verified again: %+v, %v", v, err)
	}
	if err := f.TakeBack(one, Withdrawn{Was: verified}); err == nil {
		t.Error("withdrawn at no time")
	}
	// By each name for itself; what was verified anew meanwhile stays.
	other := verified
	other.Name = "r.example/b"
	if err := f.Verify(one, &other); err != nil {
		t.Fatal(err)
	}
	again := verified
	again.At = noon.Add(2 * time.Hour)
	for _, what := range []Withdrawn{withdrawn, {At: noon, Why: "x", Was: again}} {
		if err := f.TakeBack(one, what); err != nil {
			t.Fatal(err)
		}
		if v, err := f.Read(one); err != nil || len(v.Verified.Ways()) != 1 || v.Verified.Name != other.Name || len(v.Withdrawn) != 1 {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if err := f.Verify(one, &again); err != nil {
		t.Fatal(err)
	}
	if err := f.TakeBack(one, withdrawn); err != nil {
		t.Fatal(err)
	}
	if v, err := f.Read(one); err != nil || len(v.Verified.Ways()) != 2 {
		t.Errorf("verified anew meanwhile: %+v, %v", v, err)
	}
	if err := os.WriteFile(filepath.Join(string(f), "1a", strings.TrimPrefix(one, "sha256:")+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, wrong = read(); len(list) != 1 || len(wrong) != 1 {
		t.Errorf("with one that is half: %+v, %v", list, wrong)
	}
}

// BenchmarkOf is what a gate asks at a create: of an image that was verified and scanned, by its
// id and a digest, of which one is known.
func BenchmarkOf(b *testing.B) {
	f := Folder(b.TempDir())
	for _, err := range []error{f.Verify(two, &Verified{At: noon, Policy: "images[2]", By: []string{"cosign key release"}}), f.Scan(two, &Scanned{At: noon, Data: noon})} {
		if err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if v, err := f.Of(one, two); err != nil || v.Verified == nil {
			b.Fatal(v, err)
		}
	}
}
