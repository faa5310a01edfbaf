package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/strict"
)

const shop = "registry.example/shop/api:1"

// sums are digests that texts stand for.
func sums(texts ...string) (list []string) {
	for _, text := range texts {
		list = append(list, "sha256:"+strings.Repeat(fmt.Sprintf("%02x", text[0]), 31)+fmt.Sprintf("%02x", len(text)))
	}
	return list
}

// stands has a tag stand for an image.
func (f Folder) stands(t testing.TB, at, signed time.Time, digests ...string) {
	t.Helper()
	if err := f.Remember(shop, func(tag *Tag) error { tag.Now(at, signed, digests...); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestTag: a tag stands for the image that was trusted last, by each of its digests, and those
// before are known with their end; the newest time of signing does not go back.
func TestTag(t *testing.T) {
	f := Folder(t.TempDir())
	if _, err := f.Tag(shop); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	a, b := sums("a", "aa", "aaa"), sums("b", "bb")
	f.stands(t, noon, noon.Add(-time.Hour), a...)
	f.stands(t, noon.Add(time.Minute), time.Time{}, a[0], sums("aaaa")[0]) // that of another platform
	f.stands(t, noon.Add(time.Hour), noon.Add(-time.Minute), b...)
	got, err := f.Tag(shop)
	want := &Tag{Schema: TagSchema, Name: shop, Digests: b, Since: noon.Add(time.Hour), Newest: noon.Add(-time.Minute), Before: []Earlier{{append(a, sums("aaaa")...), noon.Add(time.Hour)}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if !got.Is(b[1]) || got.Is(a...) || got.Was(a[2]) == nil || got.Was(b...) != nil || !got.Same(b...) || !got.Same(sums("x", "bb")...) || got.Same(b[1], b[0][:70]+"0") || (&Tag{}).Same() {
		t.Errorf("%+v", got)
	}
	f.stands(t, noon.Add(2*time.Hour), noon.Add(-time.Hour), a...)
	got, err = f.Tag(shop)
	if err != nil || !got.Is(a[1]) || len(got.Before) != 1 || got.Was(b[0]) == nil || !got.Newest.Equal(noon.Add(-time.Minute)) {
		t.Errorf("gone back: %+v, %v", got, err)
	}
	if _, err := f.Tag(strings.Replace(shop, ":1", ":2", 1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another tag: %v", err)
	}
	// What refuses changes nothing.
	refused := errors.New("no")
	if err := f.Remember(shop, func(tag *Tag) error { tag.Now(noon, noon, sums("c")...); return refused }); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	if again, err := f.Tag(shop); err != nil || !cmp.Equal(got, again) {
		t.Errorf("%+v, %v", again, err)
	}
	for i := range 2 * maxBefore {
		f.stands(t, noon.Add(time.Duration(i)*time.Hour), time.Time{}, fmt.Sprintf("sha256:%064x", i))
	}
	got, err = f.Tag(shop)
	if err != nil || len(got.Before) != maxBefore || got.Before[0].Digests[0] != fmt.Sprintf("sha256:%064x", 2*maxBefore-2) {
		t.Errorf("of many: %d before, %v", len(got.Before), err)
	}
}

// TestNoTag: a file that says something else is an error, and is not made anew: what is older
// could then pass for the newest.
func TestNoTag(t *testing.T) {
	f := Folder(t.TempDir())
	f.stands(t, noon, noon, sums("a")...)
	f.stands(t, noon, noon, sums("b")...)
	path := f.tagPath(shop)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"half":            string(whole[:len(whole)/2]),
		"another tag's":   strings.Replace(string(whole), shop, shop+"1", 1),
		"another schema":  strings.Replace(string(whole), TagSchema, "plimsoll/tag/9", 1),
		"a key twice":     strings.Replace(string(whole), `"name"`, `"name": "x", "name"`, 1),
		"no digest":       strings.Replace(string(whole), sums("b")[0], "latest", 1),
		"none before":     strings.Replace(string(whole), sums("a")[0], "", 1),
		"no time":         strings.Replace(string(whole), `"since": "2026`, `"since": "0001-01-01T00:00:00Z", "x": "2026`, 1),
		"too many before": strings.Replace(string(whole), `"before": [`, `"before": [`+strings.Repeat(`{"digests": ["`+one+`"], "until": "2026-11-27T12:00:00Z"},`, maxBefore), 1),
		"large":           string(whole) + strings.Repeat(" ", maxFile),
	} {
		if text == string(whole) {
			t.Fatalf("%s: nothing was replaced", name)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		wrong := new(strict.Error)
		if tag, err := f.Tag(shop); !errors.As(err, &wrong) || !strings.Contains(wrong.Hint, "backup") {
			t.Errorf("%s is read as %+v, %v", name, tag, err)
		}
		if err := f.Remember(shop, func(*Tag) error { return nil }); !errors.As(err, &wrong) {
			t.Errorf("%s is made anew: %v", name, err)
		}
	}
	if err := f.Remember("registry.example/shop/api", func(tag *Tag) error { tag.Now(noon, noon, one); return nil }); err == nil {
		t.Error("a name without a tag has one")
	}
	if err := f.Remember(shop+"x", func(*Tag) error { return nil }); err == nil {
		t.Error("a tag stands for nothing")
	}
}

// TestTagOfMany: of many who remember at a time none is lost.
func TestTagOfMany(t *testing.T) {
	f := Folder(t.TempDir())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { f.stands(t, noon, noon, fmt.Sprintf("sha256:%064x", i)) })
	}
	wg.Wait()
	if tag, err := f.Tag(shop); err != nil || len(tag.Before) != 19 {
		t.Errorf("%+v, %v", tag, err)
	}
}

// FuzzTag: a file that is read says what encoding it anew says.
func FuzzTag(f *testing.F) {
	dir := Folder(f.TempDir())
	dir.stands(f, noon, noon, sums("a", "aa")...)
	dir.stands(f, noon, time.Time{}, sums("b")...)
	path := dir.tagPath(shop)
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		tag, err := dir.Tag(shop)
		if err != nil {
			return
		}
		text, err := json.Marshal(tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := dir.Tag(shop)
		if diff := cmp.Diff(tag, again); err != nil || diff != "" {
			t.Errorf("%q: %v %s", data, err, diff)
		}
	})
}

// TestNames: an image is verified by each name for itself: what is withdrawn by one stays so by
// the others, and files of before names were are read.
func TestNames(t *testing.T) {
	f := Folder(t.TempDir())
	by := func(name string, hour int) *Verified {
		return &Verified{Name: name, At: noon.Add(time.Duration(hour) * time.Hour), Policy: "images[0]", By: []string{"key " + name}}
	}
	is := func(what string, names ...string) {
		t.Helper()
		v, err := f.Read(one)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if v.Verified != nil {
			for _, x := range append([]Verified{*v.Verified}, v.Verified.Others...) {
				if x.By[0] != "key "+x.Name {
					t.Errorf("%s: %+v", what, x)
				}
				got = append(got, x.Name)
			}
		}
		if !cmp.Equal(got, names) {
			t.Errorf("%s: by %q, want %q", what, got, names)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(f.Verify(one, by("a", 0)))
	do(f.Verify(one, by("b", 1)))
	do(f.Verify(one, by("c", 2)))
	is("all", "c", "b", "a")
	do(f.Verify(one, by("a", 3)))
	is("anew", "a", "c", "b")
	do(f.Withdraw(one, "d"))
	is("by another name", "a", "c", "b")
	do(f.Withdraw(one, "a"))
	is("by this", "c", "b")
	do(f.Withdraw(one, "b"))
	is("by an earlier", "c")
	do(f.Withdraw(one, "c"))
	is("by the last")
	do(f.Verify(one, by("a", 0)))
	do(f.Verify(one, nil))
	is("by any")
	// Without a name, as before: it may have been by any.
	do(f.Verify(one, by("", 0)))
	do(f.Withdraw(one, "a"))
	is("of no name")
	for i := range 2 * maxOthers {
		do(f.Verify(one, by(fmt.Sprint(i), i)))
	}
	if v, err := f.Read(one); err != nil || len(v.Verified.Others) != maxOthers || v.Verified.Name != fmt.Sprint(2*maxOthers-1) {
		t.Errorf("of many: %+v, %v", v, err)
	}
	path, err := f.path(two)
	do(err)
	do(os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o700))
	do(os.WriteFile(path, []byte(`{"schema":"plimsoll/verdict/1","digest":"`+two+`","verified":{"at":"2026-11-27T12:00:00Z","policy":"images[2]","by":["cosign key release"],"others":[{"at":"2026-11-27T12:00:00Z","policy":"","by":[]}]}}`), 0o600))
	if v, err := f.Read(two); !errors.As(err, new(*strict.Error)) {
		t.Errorf("by nobody: %+v, %v", v, err)
	}
	do(os.WriteFile(path, []byte(`{"schema":"plimsoll/verdict/1","digest":"`+two+`","verified":{"at":"2026-11-27T12:00:00Z","policy":"images[2]","by":["cosign key release"]}}`), 0o600))
	if v, err := f.Read(two); err != nil || v.Verified == nil || v.Verified.Name != "" {
		t.Errorf("before names were: %+v, %v", v, err)
	}
}

// TestEnds: an image is verified for as long as it is by any of its names.
func TestEnds(t *testing.T) {
	until := func(hours ...int) *Verified {
		v := &Verified{}
		for i, h := range hours {
			one := Verified{}
			if h != 0 {
				one.Until = noon.Add(time.Duration(h) * time.Hour)
			}
			if i == 0 {
				*v = one
			} else {
				v.Others = append(v.Others, one)
			}
		}
		return v
	}
	for _, c := range []struct {
		hours []int
		want  int // 0 is never
	}{{[]int{0}, 0}, {[]int{2}, 2}, {[]int{2, 1}, 2}, {[]int{1, 3, 2}, 3}, {[]int{1, 0, 2}, 0}, {[]int{0, 1}, 0}} {
		if got, want := until(c.hours...).Ends(), until(c.want).Until; !got.Equal(want) {
			t.Errorf("%v: %v, want %v", c.hours, got, want)
		}
	}
}
