package image

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWaste: bytes are of the layer that has them, once, and are lost to what takes their
// last name away.
func TestWaste(t *testing.T) {
	for _, test := range []struct {
		name   string
		layers [][]byte
		want   []LayerUse
	}{
		{"nothing lost", [][]byte{tarOf(t, file("a", "1"), file("b", "22"))}, []LayerUse{{Entries: 2, Bytes: 3}}},
		{"overwritten", [][]byte{tarOf(t, file("a", "1")), tarOf(t, file("a", "22"))}, []LayerUse{{Entries: 1, Bytes: 1, Overwritten: 1}, {Entries: 1, Bytes: 2}}},
		{"overwritten by a link", [][]byte{tarOf(t, file("a", "1")), tarOf(t, symlink("a", "b"))}, []LayerUse{{Entries: 1, Bytes: 1, Overwritten: 1}, {Entries: 1}}},
		{"in its own layer", [][]byte{tarOf(t, file("a", "1"), file("a", "22"))}, []LayerUse{{Entries: 2, Bytes: 3, Overwritten: 1}}},
		{"deleted", [][]byte{tarOf(t, file("d/a", "1")), tarOf(t, file(".wh.d", ""))}, []LayerUse{{Entries: 1, Bytes: 1, Deleted: 1}, {Entries: 1}}},
		{"below a mark", [][]byte{tarOf(t, file("d/a", "1"), file("b", "1")), tarOf(t, file("d/.wh..wh..opq", ""))}, []LayerUse{{Entries: 2, Bytes: 2, Deleted: 1}, {Entries: 1}}},
		{"a folder's, for a file", [][]byte{tarOf(t, file("d/a", "1")), tarOf(t, file("d", "22"))}, []LayerUse{{Entries: 1, Bytes: 1, Deleted: 1}, {Entries: 1, Bytes: 2}}},
		{"one of two names", [][]byte{tarOf(t, file("a", "1"), hardlink("b", "a")), tarOf(t, file(".wh.a", ""))}, []LayerUse{{Entries: 2, Bytes: 1}, {Entries: 1}}},
		{"both", [][]byte{tarOf(t, file("a", "1"), hardlink("b", "a")), tarOf(t, file(".wh.a", ""), file("b", "22"))}, []LayerUse{{Entries: 2, Bytes: 1, Overwritten: 1}, {Entries: 2, Bytes: 2}}},
		{"a name from another layer", [][]byte{tarOf(t, file("a", "1")), tarOf(t, hardlink("b", "a"), file(".wh.a", ""))}, []LayerUse{{Entries: 1, Bytes: 1}, {Entries: 2}}},
		{"a name for itself", [][]byte{tarOf(t, file("a", "1"), hardlink("a", "a"))}, []LayerUse{{Entries: 2, Bytes: 1}}},
		{"twice, and lost once", [][]byte{tarOf(t, file("a", "1")), tarOf(t, file(".wh.a", "")), tarOf(t, file("a", "22"), file(".wh.a", ""))}, []LayerUse{{Entries: 1, Bytes: 1, Deleted: 1}, {Entries: 1}, {Entries: 2, Bytes: 2}}},
		{"a folder stated again", [][]byte{tarOf(t, folder("d"), file("d/a", "1")), tarOf(t, folder("d"))}, []LayerUse{{Entries: 2, Bytes: 1}, {Entries: 1}}},
	} {
		got, err := layers(t, Limits{}, test.layers...)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if diff := cmp.Diff(test.want, got.view.Layers); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// TestResolve: links are followed inside the root.
func TestResolve(t *testing.T) {
	got, err := layers(t, Limits{}, tarOf(t, file("usr/lib/os-release", "ID=x"), symlink("etc/os-release", "../usr/lib/os-release"), symlink("lib", "usr/lib"),
		symlink("out", "../../../../usr/lib"), symlink("abs", "/usr"), symlink("gone", "none"), symlink("a", "b"), symlink("b", "a"), symlink("below", "usr/lib/os-release/x")))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"/etc/os-release": "/usr/lib/os-release", "etc/os-release": "/usr/lib/os-release", "/lib/os-release": "/usr/lib/os-release", "/out/os-release": "/usr/lib/os-release",
		"/abs/lib/../lib/os-release": "/usr/lib/os-release", "/": "/", "/../..": "/", "/usr/lib/": "/usr/lib",
		"/gone": "", "/a": "", "/below": "", "/etc/os-release/x": "", "/none": "",
	} {
		if f, there := got.view.Resolve(at); there != (want != "") || f.Path != want {
			t.Errorf("%s: got %+v", at, f)
		}
	}
	if f, there := got.view.Stat("/lib/../../lib"); !there || f.Link != "usr/lib" || f.Path != "/lib" {
		t.Errorf("got %+v", f)
	}
	for f := range got.view.All() {
		if s, there := got.view.Stat(f.Path); !there || s != f {
			t.Errorf("%s: %+v, and %+v by name", f.Path, f, s)
		}
		break
	}
}

// model is the merged view by the letter of layer.md: each layer is unpacked by itself,
// and then laid on what is below; but a whiteout of a folder that the layer has too is none.
type model map[string]string

// lay unpacks a layer and lays it on the model.
func (m model) lay(heads []head) model {
	own, gone, opaque := model{}, map[string]bool{}, map[string]bool{}
	parents := func(name string) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			own[dir] = "folder"
		}
	}
	for _, h := range heads {
		dir, base := path.Split(h.Name)
		switch mark, is := strings.CutPrefix(base, ".wh."); {
		case base == opaqueMark:
			parents(h.Name)
			opaque[path.Clean(dir)] = true
		case is:
			parents(h.Name)
			gone[dir+mark] = true
		default:
			parents(h.Name)
			what := h.body
			if h.FileInfo().IsDir() {
				what = "folder"
			} else {
				under := func(name string) bool { return strings.HasPrefix(name, h.Name+"/") }
				maps.DeleteFunc(own, func(name, _ string) bool { return under(name) })
				// The marks of a folder go with it.
				maps.DeleteFunc(gone, func(name string, _ bool) bool { return under(name) })
				maps.DeleteFunc(opaque, func(name string, _ bool) bool { return name == h.Name || under(name) })
			}
			own[h.Name] = what
		}
	}
	result := model{}
	for name, what := range m {
		hidden := opaque["."]
		for at := name; at != "."; at = path.Dir(at) {
			above := at != name
			hidden = hidden || gone[at] && own[at] != "folder" || above && opaque[at] || above && own[at] != "" && own[at] != "folder"
		}
		if over := own[name]; over != "" && (over != "folder" || what != "folder") {
			hidden = true
		}
		if !hidden {
			result[name] = what
		}
	}
	maps.Copy(result, own)
	return result
}

// TestLikeTheModel: whatever layers do, in whatever order, the view is that of the model.
func TestLikeTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		names := rapid.SampledFrom([]string{"a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "a/b/a", "b/a/a"})
		var all [][]byte
		want := model{}
		for n := range rapid.IntRange(1, 4).Draw(r, "layers") {
			var heads []head
			files := map[string]bool{}
			for k := range rapid.IntRange(0, 6).Draw(r, "entries") {
				name := names.Draw(r, "name")
				var h head
				switch rapid.IntRange(0, 3).Draw(r, "kind") {
				case 0:
					h = folder(name)
				case 1:
					h = file(name, fmt.Sprintf("%d.%d", n, k))
				case 2:
					h = file(path.Join(path.Dir(name), whiteoutMark+path.Base(name)), "")
				default:
					h = file(path.Join(path.Dir(name), opaqueMark), "")
				}
				// An entry below a file of its own layer is an error, not for here.
				if blocked(files, h.Name) {
					continue
				}
				if h.Size > 0 {
					files[name] = true
				} else {
					delete(files, h.Name)
				}
				heads = append(heads, h)
			}
			all = append(all, tarOf(t, heads...))
			want = want.lay(heads)
		}
		got, err := layers(t, Limits{}, all...)
		if err != nil {
			r.Fatal(err)
		}
		bodies := map[string]string{}
		for _, e := range got.entries {
			if e.Kind == Plain && e.Mode.IsRegular() {
				bodies[e.Path] = e.body // the last is what is there, if a file is
			}
		}
		seen := model{}
		var left int64
		for f := range got.view.All() {
			what := "folder"
			if f.Mode.IsRegular() {
				what = bodies[f.Path]
				left += f.Size
			} else if f.Mode.Type() != fs.ModeDir {
				r.Fatalf("%+v", f)
			}
			seen[f.Path[1:]] = what
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			r.Fatal(diff)
		}
		for _, use := range got.view.Layers {
			left -= use.Bytes - use.Overwritten - use.Deleted
		}
		if left != 0 {
			r.Fatalf("%d bytes are neither there nor lost", left)
		}
	})
}

// blocked is true where a file of the same layer is above a name.
func blocked(files map[string]bool, name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if files[dir] {
			return true
		}
	}
	return false
}

// TestAllIsSorted: folders come before what they hold, names by their bytes.
func TestAllIsSorted(t *testing.T) {
	got, err := layers(t, Limits{}, tarOf(t, file("b/c", ""), file("b-", ""), file("a", ""), file("b/a", "")))
	if err != nil {
		t.Fatal(err)
	}
	if got.paths() != "/a /b/ /b/a /b/c /b-" {
		t.Errorf("got %s", got.paths())
	}
	var first []string
	for f := range got.view.All() {
		if first = append(first, f.Path); len(first) == 2 {
			break
		}
	}
	if !slices.Equal(first, []string{"/a", "/b"}) {
		t.Errorf("got %q", first)
	}
}
