package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Reference{
		"docker-archive:a.tar":               {DockerArchive, "a.tar"},
		"docker-archive:/srv/a:b.tar":        {DockerArchive, "/srv/a:b.tar"},
		"oci-archive:a.tar":                  {OCIArchive, "a.tar"},
		"oci:layout":                         {OCILayout, "layout"},
		"dir:/":                              {Folder, "/"},
		"nginx":                              {Engine, "nginx"},
		"registry:2":                         {Engine, "registry:2"},
		"localhost:5000/team/app:1.2":        {Engine, "localhost:5000/team/app:1.2"},
		"engine:dir:latest":                  {Engine, "dir:latest"},
		"sha256:" + strings.Repeat("0a", 32): {Engine, "sha256:" + strings.Repeat("0a", 32)},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if again, err := Parse(got.String()); err != nil || again != want {
			t.Errorf("%s: read back it is %v, %v", text, again, err)
		}
	}
	for text, want := range map[string]string{
		"":                                 "the image has no name",
		"engine:":                          "the image has no name",
		"oci:":                             `"oci:" names no path: write oci:PATH`,
		"Nginx":                            `"Nginx" is no name of an image`,
		"-v":                               "is no name of an image",
		"oci:a\x00b":                       "has a NUL",
		"dir:" + strings.Repeat("a", 5000): "the reference has 5004 bytes",
	} {
		_, err := Parse(text)
		refused(t, err, want)
	}
}

// TestEntries: each fact of a header arrives.
func TestEntries(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	ping := file("usr/bin/ping", "ELF")
	ping.Mode, ping.Uid, ping.Gid, ping.ModTime, ping.Format = 0o4755, 1000, 1001, at, tar.FormatPAX
	ping.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02", "LIBARCHIVE.creationtime": "1"}
	got, err := layers(t, Limits{}, tarOf(t, folder("usr/bin/"), ping, hardlink("usr/bin/ping6", "usr/bin/ping"), symlink("bin", "usr/bin"), special("dev/null", tar.TypeChar)),
		tarOf(t, file("etc/.wh.passwd", ""), file("usr/.wh..wh..opq", "")))
	if err != nil {
		t.Fatal(err)
	}
	var entries []Entry
	for _, e := range got.entries {
		e.Body = nil
		if e.Path != "/usr/bin/ping" {
			e.Modified = time.Time{}
		} else if e.body != "ELF" {
			t.Errorf("the content is %q", e.body)
		}
		entries = append(entries, e.Entry)
	}
	want := []Entry{
		{Path: "/usr/bin", Mode: fs.ModeDir | 0o755},
		{Path: "/usr/bin/ping", Mode: fs.ModeSetuid | 0o755, UID: 1000, GID: 1001, Modified: at, Size: 3, Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02"}},
		{Path: "/usr/bin/ping6", Kind: HardLink, Mode: fs.ModeSetuid | 0o755, Link: "/usr/bin/ping"},
		{Path: "/bin", Mode: fs.ModeSymlink | 0o777, Link: "usr/bin"},
		{Path: "/dev/null", Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666},
		{Layer: 1, Path: "/etc/passwd", Kind: Whiteout},
		{Layer: 1, Path: "/usr", Kind: Opaque},
	}
	for i := range entries {
		entries[i].Modified = entries[i].Modified.UTC()
	}
	want[1].Modified = at
	for i := range want {
		want[i].Modified = want[i].Modified.UTC()
	}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Error(diff)
	}
	if got.image.Config.OS != "linux" || got.image.Config.Config.User != "app" || len(got.image.Names) != 1 || got.image.Names[0] != "app:1" {
		t.Errorf("%+v", got.image.Config)
	}
}

// TestSources: one image from each place is the same image.
func TestSources(t *testing.T) {
	one, two := tarOf(t, file("etc/a", "a"), file("etc/b", "b")), tarOf(t, file("etc/.wh.a", ""))
	archive := saving(t, one, two).bytes(t)
	at := t.TempDir()
	put(t, at+"/a.tar", archive, 0o644)
	put(t, at+"/a.tar.gz", gzipped(t, archive), 0o644)
	l := layout{}
	l.index(t, l.image(t, [][]byte{gzipped(t, one), zstded(t, two)}, [][]byte{one, two}))
	var members []head
	for name, data := range l {
		members = append(members, file("./"+name, string(data)))
	}
	put(t, at+"/oci.tar", tarOf(t, members...), 0o644)
	put(t, at+"/oci.tar.zst", zstded(t, tarOf(t, members...)), 0o644)
	plain := layout{}
	plain.index(t, plain.image(t, [][]byte{one, two}, [][]byte{one, two}))
	for _, text := range []string{"docker-archive:" + at + "/a.tar", "docker-archive:" + at + "/a.tar.gz", "oci-archive:" + at + "/oci.tar", "oci-archive:" + at + "/oci.tar.zst", "oci:" + l.dir(t), "oci:" + plain.dir(t)} {
		got, err := open(t, text, Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		if got.paths() != "/etc/ /etc/b" || len(got.entries) != 3 || got.image.Layers[0].DiffID != digest.FromBytes(one) {
			t.Errorf("%s: %s", text, got.paths())
		}
		if oci := strings.HasPrefix(text, "oci"); oci != (got.image.Manifest != "") || oci != (got.image.Layers[1].Digest != "") {
			t.Errorf("%s: the digests are %q and %q", text, got.image.Manifest, got.image.Layers[1].Digest)
		}
	}
	if got, err := stream(t, archive, Options{}); err != nil || got.paths() != "/etc/ /etc/b" {
		t.Error(err)
	}
	root := at + "/root"
	put(t, root+"/etc/b", []byte("b"), 0o644)
	if got, err := open(t, "dir:"+root, Options{}); err != nil || got.paths() != "/etc/ /etc/b" {
		t.Error(err)
	}
	for _, text := range []string{"docker-archive:" + at, "docker-archive:" + at + "/none", "oci:" + at + "/a.tar", "dir:" + at + "/a.tar", "engine:app:1"} {
		_, err := open(t, text, Options{})
		refused(t, err, "opening "+text)
	}
}

// TestRoot: a root folder is walked with its links, its devices left alone.
func TestRoot(t *testing.T) {
	at := t.TempDir()
	put(t, at+"/usr/bin/su", []byte("su"), 0o755)
	put(t, at+"/a", []byte("abc"), 0o600)
	for _, err := range []error{
		os.Chmod(at+"/usr/bin/su", fs.ModeSetuid|0o755),
		os.Link(at+"/a", at+"/b"),
		os.Symlink("/etc/passwd", at+"/out"),
		os.Symlink("round", at+"/round"),
		mkfifo(at + "/fifo"),
		os.Mkdir(at+"/empty", 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := open(t, "dir:"+at, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "/a /b /empty/ /fifo /out /round /usr/ /usr/bin/ /usr/bin/su"; got.paths() != want {
		t.Errorf("got %s, want %s", got.paths(), want)
	}
	for _, e := range got.entries {
		switch e.Path {
		case "/a":
			if e.body != "abc" || e.Mode != 0o600 {
				t.Errorf("%+v", e)
			}
		case "/b":
			if e.Kind != HardLink || e.Link != "/a" {
				t.Errorf("%+v", e)
			}
		case "/usr/bin/su":
			if e.Mode != fs.ModeSetuid|0o755 || e.body != "su" {
				t.Errorf("%+v", e)
			}
		case "/out":
			if e.Link != "/etc/passwd" {
				t.Errorf("%+v", e)
			}
		}
	}
	if got.view.Layers[0].Bytes != 5 || len(got.view.Unseen) > 0 {
		t.Errorf("%+v", got.view)
	}
	if _, there := got.view.Resolve("/out"); there {
		t.Error("a link leads out of the root")
	}
	if _, there := got.view.Resolve("/round"); there {
		t.Error("a link to itself leads somewhere")
	}
	if _, err := open(t, "dir:"+at, Options{Limits: Limits{Entries: 9}}); err == nil {
		t.Error("ten entries pass a limit of nine")
	}
}

// TestMounted: another file system in a root folder is told of, and not read.
func TestMounted(t *testing.T) {
	need(t, os.Geteuid() == 0, "root")
	at := t.TempDir()
	put(t, at+"/a", nil, 0o644)
	if err := os.Mkdir(at+"/mnt", 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, at+"/mnt")
	put(t, at+"/mnt/b", nil, 0o644)
	got, err := open(t, "dir:"+at, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got.paths() != "/a /mnt/" || len(got.view.Unseen) != 1 || got.view.Unseen[0] != "/mnt: another file system is mounted there" {
		t.Errorf("%s, unseen %q", got.paths(), got.view.Unseen)
	}
}

// TestChanging: what of a live root goes away while it is walked is told of.
func TestChanging(t *testing.T) {
	at := t.TempDir()
	for _, name := range []string{"/a", "/b", "/d/x", "/e"} {
		put(t, at+name, nil, 0o644)
	}
	i, err := Open(t.Context(), Reference{Folder, at}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	view, err := i.Walk(t.Context(), func(e *Entry) error {
		switch e.Path {
		case "/a":
			return os.Remove(at + "/b")
		case "/d":
			return os.RemoveAll(at + "/d")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := (&walked{view: view}).paths(); got != "/a /d/ /e" {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff([]string{"/b: no such file or directory", "/d: no such file or directory"}, view.Unseen); diff != "" {
		t.Error(diff)
	}
}

// TestCapability: extended attributes of a root folder's files are read.
func TestCapability(t *testing.T) {
	need(t, os.Geteuid() == 0, "root")
	at := t.TempDir()
	put(t, at+"/ping", nil, 0o755)
	put(t, at+"/plain", nil, 0o755)
	const netRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	setxattr(t, at+"/ping", "security.capability", netRaw)
	got, err := open(t, "dir:"+at, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.entries {
		if want := e.Path == "/ping"; want != (e.Xattrs["security.capability"] == netRaw) || !want && e.Xattrs != nil {
			t.Errorf("%+v", e)
		}
	}
}

// TestSeveral: of several images one must be picked.
func TestSeveral(t *testing.T) {
	s := saving(t, tarOf(t, file("a", "")))
	other := strings.Replace(string(s.manifest), "app:1", "reg.example/team/app:2", 1)
	s.manifest = []byte(string(s.manifest[:len(s.manifest)-1]) + "," + other[1:])
	for name, want := range map[string]string{
		"app:1": "", "docker.io/library/app:1": "", "reg.example/team/app:2": "",
		"":      `it has 2 images, and one must be named: ["app:1" "reg.example/team/app:2"]`,
		"app":   `it has no image "app", but`,
		"app:3": `it has no image "app:3", but`,
	} {
		if _, err := stream(t, s.bytes(t), Options{Name: name}); want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}

	l := layout{}
	a, b := tarOf(t, file("a", "")), tarOf(t, file("b", ""))
	first, second := l.image(t, [][]byte{a}, [][]byte{a}), l.image(t, [][]byte{b}, [][]byte{b})
	first["platform"] = map[string]string{"os": "linux", "architecture": "amd64"}
	second["platform"] = map[string]string{"os": "linux", "architecture": "arm64", "variant": "v8"}
	attestation := typed(l.blob([]byte(`{}`)), ociManifest)
	attestation["platform"] = map[string]string{"os": "unknown", "architecture": "unknown"}
	both := typed(l.blob(jsonOf(t, map[string]any{"schemaVersion": 2, "manifests": []any{first, second, attestation}})), ociIndex)
	both["annotations"] = map[string]string{"org.opencontainers.image.ref.name": "latest"}
	at := l.index(t, both).dir(t)
	for _, test := range []struct{ name, platform, want string }{
		{"", "linux/amd64", ""},
		{"latest", "linux/amd64", ""},
		{"", "", `it has 2 images, and one must be picked by name or platform: ["latest linux/amd64" "latest linux/arm64/v8"]`},
		{"", "linux/s390x", `it has no image for "linux/s390x", but for ["linux/amd64" "linux/arm64/v8"]`},
		{"1", "linux/amd64", `it has no image "1", but ["latest"]`},
		// What the index says of a platform must be so.
		{"", "linux/arm64", `its image is for "linux/amd64", not "linux/arm64"`},
	} {
		if _, err := open(t, "oci:"+at, Options{Name: test.name, Platform: test.platform}); test.want != "" {
			refused(t, err, test.want)
		} else if err != nil {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// TestEnds: an error of the caller's comes back as it is, and a context ends a walk.
func TestEnds(t *testing.T) {
	data := saving(t, tarOf(t, file("a", strings.Repeat("a", 1<<20)), file("b", ""))).bytes(t)
	i, err := Stream(context.Background(), "app:1", bytes.NewReader(data), Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	own := errors.New("enough")
	if _, err := i.Walk(context.Background(), func(*Entry) error { return own }); err != own {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := i.Walk(ctx, func(*Entry) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// It may be walked again, and what visit does not read is still checked.
	if view, err := i.Walk(context.Background(), func(*Entry) error { return nil }); err != nil || view.Layers[0].Entries != 2 {
		t.Error(err)
	}
	if _, err := Stream(ctx, "app:1", bytes.NewReader(data), Options{Temp: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := Stream(context.Background(), "app:1", io.MultiReader(bytes.NewReader(data[:4096]), broken{}), Options{Temp: t.TempDir()}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	if _, err := Stream(context.Background(), "app:1", bytes.NewReader(data), Options{Temp: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("the engine went away")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }
