package extract

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
)

// TestHardLinks: a file that has several names tells its packages under the first one, and
// where that is gone or another file, under those that are left.
func TestHardLinks(t *testing.T) {
	const a, b, c = "/a/node_modules/x/package.json", "/b/node_modules/x/package.json", "/c/node_modules/x/package.json"
	text := `{"name":"x","version":"1.0.0"}`
	linked := imagetest.Layer{a: text, b: "hard:" + a, c: "hard:" + b}
	for _, tc := range []struct {
		name   string
		layers []imagetest.Layer
		want   []string // path and version
		unread []string
	}{
		{"both are there", []imagetest.Layer{linked}, []string{a + " 1.0.0"}, nil},
		{"the first is gone", []imagetest.Layer{linked, {"/a/.wh.node_modules": ""}, {c: text}}, []string{b + " 1.0.0", c + " 1.0.0"}, nil},
		{"the first is another file", []imagetest.Layer{linked, {a: `{"name":"x","version":"2.0.0"}`, "/b/.wh.node_modules": ""}}, []string{c + " 1.0.0", a + " 2.0.0"}, nil},
		{"all are gone", []imagetest.Layer{linked, {"/a/.wh.node_modules": "", "/b/.wh.node_modules": "", "/c/.wh.node_modules": ""}}, []string{}, nil},
		{"its file has a name that tells nothing", []imagetest.Layer{{"/a/store/1234": text, b: "hard:/a/store/1234"}}, []string{}, []string{b + ": it is a hard link to /a/store/1234, which was not read"}},
		{"a link that tells nothing", []imagetest.Layer{{"/a/store/1234": text, "/b/5678": "hard:/a/store/1234"}}, []string{}, nil},
		{"its file is of another kind", []imagetest.Layer{{"/a/x.deps.json": `{"libraries":{"N/1.0":{}}}`, b: "hard:/a/x.deps.json"}}, []string{"/a/x.deps.json 1.0"}, []string{b + ": it is a hard link to /a/x.deps.json, which was not read"}},
	} {
		_, list, unread := look(t, tc.layers...)
		got := []string{}
		for _, p := range list {
			got = append(got, p.Path+" "+p.Version)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.unread, unread); diff != "" {
			t.Errorf("%s, unread:\n%s", tc.name, diff)
		}
	}
}

// TestSameEachTime: of two architectures with one version, and of two owners, it is always
// the same one that is told.
func TestSameEachTime(t *testing.T) {
	two := "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.36\n"
	owns := "/usr/lib/python3/dist-packages/idna-3.3.dist-info/METADATA\n"
	for range 20 {
		_, list, _ := look(t, imagetest.Layer{"/etc/os-release": bookworm, "/var/lib/dpkg/status": two, "/var/lib/dpkg/info/b.list": owns, "/var/lib/dpkg/info/a.list": owns,
			"/usr/lib/python3/dist-packages/idna-3.3.dist-info/METADATA": "Name: idna\nVersion: 3.3\n",
			"/opt/x-1.0-py3.egg/EGG-INFO/PKG-INFO":                       "Name: x\nVersion: 1.0\n",
			"/opt/y/EGG-INFO/PKG-INFO":                                   "Name: y\nVersion: 1.0\n"})
		if diff := cmp.Diff([]string{"deb libc6 2.36", "pypi idna 3.3 owned by a", "pypi x 1.0"}, words(list)); diff != "" || list[0].Arch != "amd64" {
			t.Fatalf("%s\n%s", list[0].Arch, diff)
		}
	}
}
