package image

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestLikeTheEngine: of layers that are unusual, the view is what a real engine makes of
// them. It takes no entry twice, which others do.
func TestLikeTheEngine(t *testing.T) {
	e := lab.Shared(t)
	for n, test := range []struct {
		name   string
		layers [][]byte
	}{
		{"whiteouts", [][]byte{tarOf(t, file("t/a/b", "1"), file("t/c", "2")), tarOf(t, file("t/a/.wh.b", ""), file("t/d", ""))}},
		{"an opaque folder", [][]byte{tarOf(t, file("t/a/b", "1"), file("t/a/c/d", "2")), tarOf(t, folder("t/a"), file("t/a/.wh..wh..opq", ""), file("t/a/c/e", ""))}},
		{"an opaque folder, marked behind", [][]byte{tarOf(t, file("t/a/b", "1"), file("t/a/c/d", "2")), tarOf(t, folder("t/a"), file("t/a/c/e", ""), file("t/a/.wh..wh..opq", ""))}},
		{"a file for a folder", [][]byte{tarOf(t, file("t/a/b", "1")), tarOf(t, file("t/a", "2"))}},
		{"a folder for a file", [][]byte{tarOf(t, file("t/a", "1")), tarOf(t, file("t/a/b", "2"))}},
		{"a folder for a link", [][]byte{tarOf(t, folder("t/x"), symlink("t/a", "x")), tarOf(t, file("t/a/b", "2"))}},
		{"below a link of the layer", [][]byte{tarOf(t, folder("t/x"), symlink("t/a", "x"), file("t/a/b", "2"))}},
		{"the whiteout of aufs", [][]byte{tarOf(t, file("t/a", "1")), tarOf(t, file("t/.wh..wh.aufs", ""), file(".wh..wh.plnk/1", ""))}},
		{"a whiteout, then a folder", [][]byte{tarOf(t, file("t/a/b", "1")), tarOf(t, file("t/.wh.a", ""), folder("t/a"), file("t/a/c", ""))}},
		{"a whiteout, then a file", [][]byte{tarOf(t, file("t/a/b", "1")), tarOf(t, file("t/.wh.a", ""), file("t/a", ""))}},
		{"a whiteout behind a file", [][]byte{tarOf(t, file("t/b", "")), tarOf(t, file("t/a", ""), file("t/.wh.b", ""))}},
	} {
		got, err := layers(t, Limits{}, test.layers...)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var want []string
		for f := range got.view.All() {
			if strings.HasPrefix(f.Path, "/t/") {
				want = append(want, f.Path)
			}
		}
		slices.Sort(want)
		name := fmt.Sprintf("plimsoll-image-testlike:%d", n)
		s := saving(t, test.layers...)
		s.manifest = []byte(strings.ReplaceAll(string(s.manifest), "app:1", name))
		at := t.TempDir() + "/a.tar"
		put(t, at, s.bytes(t), 0o644)
		if _, err := e.Docker("load", "-q", "-i", at); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		defer e.Docker("rmi", "-f", name)
		if real := exported(t, e, name); !slices.Equal(real, want) {
			t.Errorf("%s: the engine has %q, and the view %q", test.name, real, want)
		}
	}
}

// exported are the paths below /t that a container of an image has.
func exported(t *testing.T, e *lab.Engine, image string) []string {
	t.Helper()
	id, err := e.Docker("create", image, "/none")
	if err != nil {
		t.Fatal(err)
	}
	id = strings.TrimSpace(id)
	defer e.Docker("rm", id)
	at := t.TempDir() + "/root.tar"
	if _, err := e.Docker("export", "-o", at, id); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []string
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if err == io.EOF {
			slices.Sort(all)
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := "/" + strings.TrimSuffix(h.Name, "/"); strings.HasPrefix(name, "/t/") {
			all = append(all, name)
		}
	}
}
