package extract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
)

// TestInstalled: the files of packages are those that the databases of dpkg, apk and rpm have,
// of all architectures together; what a later layer took away or replaced does not count, and a
// name with a line break in it is left out.
func TestInstalled(t *testing.T) {
	rpm := func(files ...string) string {
		return rpmPackages(map[uint32][]string{1000: {"six"}, 1001: {"1"}, 1002: {"1"}, 1044: {"six-1-1.src.rpm"}, 1117: files, 1118: {"/usr/lib/six/"}})
	}
	apk := "P:musl\nV:1.2\nF:lib\nR:ld-musl-x86_64.so.1\nR:libc.musl-x86_64.so.1\nF:\nR:top\n\nP:empty\nV:1\n\nP:busybox\nV:1\nF:bin\nR:busybox\n\n"
	dpkg := imagetest.Layer{"/var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib\n/lib/a\n", "/var/lib/dpkg/info/libc6:i386.list": "/lib/b", "/var/lib/dpkg/info/gone.list": "/usr/gone\n", "/var/lib/dpkg/info/none.list": "", "/var/lib/dpkg/info/libc6.md5sums": "/x\n"}
	for name, tc := range map[string]struct {
		layers []imagetest.Layer
		want   map[string][]string
	}{
		"dpkg":     {[]imagetest.Layer{dpkg, {"/var/lib/dpkg/info/.wh.gone.list": ""}}, map[string][]string{"libc6": {"/.\n/lib\n/lib/a\n", "/lib/b"}}},
		"apk":      {[]imagetest.Layer{{"/lib/apk/db/installed": apk}}, map[string][]string{"musl": {"/lib/ld-musl-x86_64.so.1\n/lib/libc.musl-x86_64.so.1\n/top\n"}, "busybox": {"/bin/busybox\n"}}},
		"replaced": {[]imagetest.Layer{{"/lib/apk/db/installed": apk}, {"/lib/apk/db/installed": "P:musl\nV:1\n\n"}}, map[string][]string{}},
		"rpm":      {[]imagetest.Layer{{"/var/lib/rpm/Packages.db": rpm("a", "b")}}, map[string][]string{"six": {"/usr/lib/six/a\n/usr/lib/six/b\n"}}},
		"odd":      {[]imagetest.Layer{{"/var/lib/rpm/Packages.db": rpm("a\n/etc/shadow", "b")}}, map[string][]string{"six": {"/usr/lib/six/b\n"}}},
		"none":     {[]imagetest.Layer{{"/etc/os-release": bookworm}}, map[string][]string{}},
	} {
		if diff := cmp.Diff(tc.want, Installed(seen(t, tc.layers...))); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	// A package that is there many times costs its own bytes each time, and no more.
	many := strings.Repeat("P:a\nV:1\nF:d\nR:f\n\n", 20_000)
	if got := Installed(seen(t, imagetest.Layer{"/lib/apk/db/installed": many})); len(got["a"]) != 20_000 {
		t.Errorf("%d", len(got["a"]))
	}
}
