package contents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/linking"
	"github.com/plimsoll/plimsoll/internal/linking/linkingtest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// look makes the facts of an image of layers.
func look(t *testing.T, os sbom.OS, layers ...imagetest.Layer) facts.Contents {
	t.Helper()
	i, err := image.Open(t.Context(), image.Reference{Source: image.DockerArchive, At: imagetest.Saved(t, nil, layers...)}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	entries := make([][]image.Entry, len(i.Layers))
	var told []Told
	var r linking.Reader
	sums, needs, number := map[int]uint64{}, map[int]*linking.Needs{}, 0
	v, err := i.Walk(t.Context(), func(e *image.Entry) error {
		if e.Kind == image.Plain && e.Mode.IsRegular() {
			number++
			data, err := io.ReadAll(e.Body)
			if err != nil {
				return err
			}
			e.Body = bytes.NewReader(data)
			r.Reset()
			r.Write(data)
			if n := r.Needs(); n != nil {
				needs[number] = n
			}
			if len(data) >= 4096 {
				sums[number] = crc64.Checksum(data, crc64.MakeTable(crc64.ISO))
			}
		}
		if Wants(e) {
			one, err := File(e)
			if err != nil {
				return err
			}
			if one != nil {
				told = append(told, *one)
			}
		}
		kept := *e
		kept.Body = nil
		entries[e.Layer] = append(entries[e.Layer], kept)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return Of(v, Seen{Layers: entries, Told: told, Sums: sums, Tree: linking.NewTree(v, needs, nil)}, os)
}

// TestOf: what is in the image in the end counts, each thing where it belongs; what is
// ordinary counts nowhere.
func TestOf(t *testing.T) {
	c := look(t, sbom.OS{ID: "debian", VersionID: "9", Name: "Debian GNU/Linux 9 (stretch)"}, imagetest.Layer{
		"/etc/passwd":                   "root:x:0:0::/root:/bin/bash\ntoor::0:0::/:/bin/sh\nguest::1000:1000::/:/bin/sh\ndaemon:x:1:1::/:/bin/false\n#x::0\n",
		"/etc/shadow":                   "root:*:1::::::\nopen::1::::::\nlocked:!:1::::::\n",
		"/usr/bin/bash":                 "exec:x",
		"/bin/busybox":                  "exec:x",
		"/usr/share/doc/bash/bash":      "exec:x",
		"/opt/x/sh":                     "exec:x",
		"/usr/bin/gcc":                  "exec:x",
		"/usr/bin/apt-get":              "exec:x",
		"/usr/bin/curl":                 "x",
		"/usr/local/bin/wget":           "exec:x",
		"/etc/open.conf":                "0666:x",
		"/etc/closed.conf":              "0644:x",
		"/etc/ssh/ssh_host_rsa_key":     "x",
		"/etc/ssh/ssh_host_rsa_key.pub": "x",
		"/root/.ssh/authorized_keys":    "ssh-rsa x",
		"/app/.git/HEAD":                "ref",
		"/var/lib/apt/lists/a":          strings.Repeat("a", 100),
		"/var/lib/apt/lists/b":          strings.Repeat("b", 50),
		"/usr/share/man/man1/x.1":       strings.Repeat("m", 70),
		"/big":                          strings.Repeat("z", 1000),
		"/gone":                         strings.Repeat("z", 500),
	}, imagetest.Layer{"/big": "small", "/.wh.gone": "", "/usr/bin/.wh.gcc": ""})
	want := facts.Contents{Distribution: "Debian 9", SupportEnds: time.Date(2022, 6, 30, 23, 59, 59, 0, time.UTC), Capable: []facts.CapableFile{}, WorldWritable: []string{"/etc/open.conf"}, Devices: []string{},
		EmptyPasswords: []string{"guest", "open", "toor"}, Roots: []string{"toor"}, Shells: []string{"/bin/busybox", "/usr/bin/bash"}, Compilers: []string{}, PackageManagers: []string{"/usr/bin/apt-get"},
		NetworkTools: []string{"/usr/local/bin/wget"}, HostKeys: []string{"/etc/ssh/ssh_host_rsa_key"}, AuthorizedKeys: []string{"/root/.ssh/authorized_keys"}, Repositories: []string{"/app/.git"},
		Caches: []facts.Bytes{{Path: "/var/lib/apt/lists", Bytes: 150}}, Documentation: 71, Wasted: 1501,
		Executables: 6, Duplicates: []facts.Duplicate{}, Unlinked: []facts.Bytes{}, Layers: []facts.LayerBytes{{Bytes: c.Size - 5, Overwritten: 1000, Deleted: 501}, {Bytes: 5}}}
	want.Size, want.Efficiency = c.Size, c.Efficiency
	if diff := cmp.Diff(want, c); diff != "" {
		t.Error(diff)
	}
	if got := 1 - float64(c.Wasted)/float64(c.Size); c.Size < 1700 || c.Efficiency != got {
		t.Errorf("%d bytes, efficiency %f", c.Size, c.Efficiency)
	}
	plain := look(t, sbom.OS{ID: "unknown"}, imagetest.Layer{"/app": "exec:x"})
	if len(plain.Unseen) != 1 || plain.Unseen[0].Path != "support_ends" || plain.Efficiency != 1 || len(plain.Shells) != 0 {
		t.Errorf("%+v", plain)
	}
}

// TestBounds: a list that is too long is cut, and says so; a body that breaks off is an error.
func TestBounds(t *testing.T) {
	l := imagetest.Layer{}
	for n := range facts.MaxPaths + 1 {
		l["/d/"+strings.Repeat("x", n%200)+string(rune('a'+n/200))] = "0666:x"
	}
	c := look(t, sbom.OS{}, l)
	if len(c.WorldWritable) != facts.MaxPaths || !slices.ContainsFunc(c.Unseen, func(u workload.Unseen) bool { return strings.HasPrefix(u.Path, "world_writable") }) {
		t.Errorf("%d paths, unseen %+v", len(c.WorldWritable), c.Unseen)
	}
	if _, err := File(&image.Entry{Path: "/etc/passwd", Size: 10, Body: broken{}}); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	if told, err := File(&image.Entry{Path: "/etc/passwd", Size: most + 1, Body: broken{}}); err != nil || told.Unread == "" {
		t.Errorf("%+v, %v", told, err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

// TestGranted: the attribute of a file, in each of its revisions.
func TestGranted(t *testing.T) {
	attribute := func(magic uint32, words ...uint32) string {
		data := binary.LittleEndian.AppendUint32(nil, magic)
		for _, w := range words {
			data = binary.LittleEndian.AppendUint32(data, w)
		}
		return string(data)
	}
	for _, tc := range []struct {
		attribute string
		want      []string
	}{
		{attribute(0x02000001, 1<<13, 0, 0, 0), []string{"NET_RAW"}},
		{attribute(0x03000001, 1<<12|1<<13, 0, 1<<7, 0, 1000), []string{"BPF", "NET_ADMIN", "NET_RAW"}},
		{attribute(0x01000000, 1<<21, 0), []string{"SYS_ADMIN"}},
		{attribute(0x02000000, 0, 1<<13, 0, 0), nil},
		{"short", nil}, {"", nil},
	} {
		if got := granted(tc.attribute); !slices.Equal(got, tc.want) {
			t.Errorf("%x: %q, want %q", tc.attribute, got, tc.want)
		}
	}
	if len(capabilities) != 41 || capabilities[40] != "CHECKPOINT_RESTORE" {
		t.Errorf("%d capabilities", len(capabilities))
	}
}

// TestDuplicates: equal files that are there in the end are told, those that waste most first;
// a hard link, a link, a small file, one that is gone and one of the same size are none.
func TestDuplicates(t *testing.T) {
	large, other, small := strings.Repeat("a", 9000), strings.Repeat("b", 5000), strings.Repeat("c", 100)
	c := look(t, sbom.OS{}, imagetest.Layer{"/a": large, "/b": large, "/c": "hard:a", "/d": "link:a", "/e": large[1:] + "x", "/f": other, "/g": small, "/h": small, "/i": other, "/gone": large},
		imagetest.Layer{"/.wh.gone": "", "/z": large, "/i": "replaced"})
	want := []facts.Duplicate{{Paths: []string{"/a", "/b", "/z"}, Bytes: 9000, Saved: 18000}}
	if diff := cmp.Diff(want, c.Duplicates); diff != "" {
		t.Error(diff)
	}
	c = look(t, sbom.OS{}, imagetest.Layer{"/a": other, "/b": large, "/x": other, "/y": large})
	if len(c.Duplicates) != 2 || c.Duplicates[0].Saved != 9000 || c.Duplicates[1].Saved != 5000 {
		t.Errorf("%+v", c.Duplicates)
	}
}

// TestUnlinked: a library that no program needs is told, and is not once one needs it.
func TestUnlinked(t *testing.T) {
	library := imagetest.Layer{"/usr/lib/libx.so.1": linkingtest.File{Soname: "libx.so.1"}.Bytes()}
	c := look(t, sbom.OS{}, library)
	if want := []facts.Bytes{{Path: "/usr/lib/libx.so.1", Bytes: int64(len(library["/usr/lib/libx.so.1"]))}}; !cmp.Equal(want, c.Unlinked) {
		t.Errorf("%+v", c.Unlinked)
	}
	if c = look(t, sbom.OS{}, library, imagetest.Layer{"/bin/x": "exec:" + linkingtest.File{Needed: []string{"libx.so.1"}}.Bytes()}); len(c.Unlinked) != 0 {
		t.Errorf("%+v", c.Unlinked)
	}
}
