package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"pgregory.net/rapid"
)

// unread is a store that nothing may be read from.
type unread struct {
	store
	t *testing.T
}

func (u unread) open(ctx context.Context, p part) (*blob, error) {
	u.t.Errorf("%s was opened", p.name)
	return u.store.open(ctx, p)
}

// replayed walks an image a second time, its layers from what was recorded of them where
// known says so, and gives the view.
func replayed(t *testing.T, image []byte, l Limits, recorded [][]Entry, known func(n int) bool) (*View, error) {
	t.Helper()
	i, err := Stream(context.Background(), "app:1", bytes.NewReader(image), Options{Temp: t.TempDir(), Limits: l})
	if err != nil {
		return nil, err
	}
	defer i.Close()
	all := true
	for n := range recorded {
		all = all && known(n)
	}
	if all {
		i.store = unread{i.store, t}
	}
	next := -1
	return i.WalkUnknown(context.Background(), func(at Layer) ([]Entry, bool) {
		next++
		if at.DiffID != i.Layers[next].DiffID {
			t.Errorf("asked for %s, and layer %d is %s", at.DiffID, next, i.Layers[next].DiffID)
		}
		return recorded[next], known(next)
	}, func(e *Entry) error {
		if known(e.Layer) {
			t.Errorf("%q of the known layer %d was told of", e.Path, e.Layer)
		}
		return nil
	})
}

// kept are the entries of each layer, as JSON brings them back.
func kept(t *testing.T, w *walked) [][]Entry {
	t.Helper()
	all := make([][]Entry, len(w.image.Layers))
	for _, e := range w.entries {
		all[e.Layer] = append(all[e.Layer], e.Entry)
	}
	var back [][]Entry
	if err := json.Unmarshal(jsonOf(t, all), &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// sameView compares views by all that they tell, and by which names share their content.
func sameView(want, got *View) string {
	type shown struct {
		File
		share string
		mode  fs.FileMode
	}
	tell := func(v *View) (all []shown) {
		first := map[*content]string{}
		for f := range v.All() {
			n, _ := find(v.root, f.Path, false)
			s := shown{File: f, mode: n.mode}
			if n.content != nil {
				if first[n.content] == "" {
					first[n.content] = f.Path
				}
				s.share = fmt.Sprintf("%s %d", first[n.content], n.content.links)
			}
			all = append(all, s)
		}
		return all
	}
	return cmp.Diff(tell(want), tell(got), cmp.AllowUnexported(shown{})) + cmp.Diff(want.Layers, got.Layers) + cmp.Diff([2]int{want.nodes, want.steps}, [2]int{got.nodes, got.steps}) +
		cmp.Diff(want.root.mode, got.root.mode)
}

// drawLayers draws the entries of layers that may do anything, with links of both kinds.
func drawLayers(r *rapid.T) [][]head {
	names := rapid.SampledFrom([]string{"a", "b", "l", "a/a", "a/b", "b/a", "l/a", "l/b/a", "a/a/a", "b/a/a", "./a//b", "/b"})
	targets := rapid.SampledFrom([]string{"a", "b", "a/b", "../b", "/a", "/b/x/../a", "l", "../../a"})
	var all [][]head
	for n := range rapid.IntRange(1, 4).Draw(r, "layers") {
		var heads []head
		for k := range rapid.IntRange(0, 7).Draw(r, "entries") {
			name := names.Draw(r, "name")
			switch rapid.IntRange(0, 6).Draw(r, "kind") {
			case 0:
				heads = append(heads, folder(name))
			case 1, 2:
				heads = append(heads, file(name, fmt.Sprintf("%d.%d", n, k)))
			case 3:
				heads = append(heads, file(path.Join(path.Dir(name), whiteoutMark+path.Base(name)), ""))
			case 4:
				heads = append(heads, file(path.Join(path.Dir(name), opaqueMark), ""))
			case 5:
				heads = append(heads, symlink(name, targets.Draw(r, "target")))
			default:
				heads = append(heads, hardlink(name, names.Draw(r, "target")))
			}
		}
		all = append(all, heads)
	}
	return all
}

// TestReplayed: whichever layers are taken from their recorded entries, the view is that of
// the bytes.
func TestReplayed(t *testing.T) {
	compared := 0
	rapid.Check(t, func(r *rapid.T) {
		var all [][]byte
		for _, heads := range drawLayers(r) {
			all = append(all, tarOf(t, heads...))
		}
		want, err := layers(t, Limits{}, all...)
		if err != nil {
			return // links that lead nowhere, or round
		}
		compared++
		recorded := kept(t, want)
		mask := rapid.IntRange(0, 1<<len(all)-1).Draw(r, "known")
		for _, mask := range []int{1<<len(all) - 1, mask} {
			got, err := replayed(t, saving(t, all...).bytes(t), Limits{}, recorded, func(n int) bool { return mask>>n&1 == 1 })
			if err != nil {
				r.Fatalf("known layers %b: %v", mask, err)
			}
			if diff := sameView(want.view, got); diff != "" {
				r.Fatalf("known layers %b: %s", mask, diff)
			}
		}
	})
	if compared < 10 {
		t.Errorf("only %d images could be read", compared)
	}
}

// TestReplayedElsewhere: what was recorded of a layer holds on other layers too, to which
// its links then lead.
func TestReplayedElsewhere(t *testing.T) {
	upper := tarOf(t, hardlink("h", "l/a"), symlink("s", "d/../x"), file("s/f", "1"))
	first, err := layers(t, Limits{}, tarOf(t, symlink("l", "d"), file("d/a", "one")), upper)
	if err != nil {
		t.Fatal(err)
	}
	recorded := kept(t, first)
	if h := recorded[1][0]; h.Link != "/d/a" || h.LinkName != "/l/a" || recorded[1][2].Path != "/x/f" || recorded[1][2].Name != "/s/f" {
		t.Errorf("got %+v", recorded[1])
	}
	lower := tarOf(t, symlink("l", "e"), file("e/a", "another"), file("d/a", "1"))
	want, err := layers(t, Limits{}, lower, upper)
	if err != nil {
		t.Fatal(err)
	}
	recorded[0] = nil
	got, err := replayed(t, saving(t, lower, upper).bytes(t), Limits{}, recorded, func(n int) bool { return n == 1 })
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameView(want.view, got); diff != "" {
		t.Error(diff)
	}
	if f, _ := got.Stat("/h"); f.Size != 7 {
		t.Errorf("%+v", f)
	}
	lower = tarOf(t, file("other", ""))
	_, err = replayed(t, saving(t, lower, upper).bytes(t), Limits{}, recorded, func(n int) bool { return n == 1 })
	refused(t, err, `recorded entry 0, "/h", is a link to "/l/a", where no file is`)
}

// TestReplayedHostile: recorded entries that somebody changed are held to what layers are
// held to; those beside them pass.
func TestReplayedHostile(t *testing.T) {
	layer := tarOf(t, file("a", "x"))
	good := Entry{Path: "/a", Mode: 0o644, Size: 1}
	replay := func(l Limits, entries ...Entry) (*View, error) {
		return replayed(t, saving(t, layer).bytes(t), l, [][]Entry{entries}, func(int) bool { return true })
	}
	for _, test := range []struct {
		name string
		l    Limits
		e    Entry
		want string
	}{
		{"out of the root", Limits{}, Entry{Path: "/../etc/passwd", Name: "../etc/passwd"}, "leaves the root"},
		{"a NUL", Limits{}, Entry{Path: "/a\x00"}, "has a NUL"},
		{"a long name", Limits{}, Entry{Path: "/" + string(bytes.Repeat([]byte{'a'}, 256))}, "has a name of 256 bytes"},
		{"a long path", Limits{Path: 20}, Entry{Path: "/aaaaaaaaaa/aaaaaaaaaa"}, "20 is the most"},
		{"a link out", Limits{}, Entry{Path: "/b", Kind: HardLink, Link: "../x", LinkName: "../../x"}, "leaves the root"},
		{"a link to nothing", Limits{}, Entry{Path: "/b", Kind: HardLink, Link: "/none"}, "where no file is"},
		{"a symbolic link to nothing", Limits{}, Entry{Path: "/b", Mode: fs.ModeSymlink}, "which is no path"},
		{"no kind", Limits{}, Entry{Path: "/b", Kind: 9}, "is of kind 9"},
		{"a socket", Limits{}, Entry{Path: "/b", Mode: fs.ModeSocket}, "is of type"},
		{"a folder with bytes", Limits{}, Entry{Path: "/b", Mode: fs.ModeDir, Size: 1}, "has a size"},
		{"less than nothing", Limits{}, Entry{Path: "/b", Size: -1}, "has -1 bytes"},
		{"a large file", Limits{File: 10}, Entry{Path: "/b", Size: 11}, "has 11 bytes, and 10 is the most"},
		{"large files", Limits{Total: 1 << 20}, Entry{Path: "/b", Size: 1 << 20}, "is one too many"},
		{"many entries", Limits{Entries: 1}, Entry{Path: "/b"}, "is one too many"},
		{"a root that is none", Limits{}, Entry{Path: "/"}, "would be the root"},
		{"below a file", Limits{}, Entry{Path: "/a/b"}, `lies below "/a"`},
		{"below a whiteout", Limits{}, Entry{Path: "/.wh.a/b"}, "lies below a whiteout"},
	} {
		_, err := replay(test.l, good, test.e)
		refused(t, err, test.want)
		if err != nil && !bytes.Contains([]byte(err.Error()), []byte("layer 0 (sha256:")) {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := replay(test.l, good); err != nil {
			t.Errorf("%s: the ordinary one: %v", test.name, err)
		}
	}
}

// FuzzEntryJSON: an entry comes back from JSON with every byte, whatever its names are; and
// what is no record of one is an error or comes back from what is written of it.
func FuzzEntryJSON(f *testing.F) {
	f.Add("/a", "b", "user.x", "\xff", int64(1), int64(0), uint32(0o644), []byte(`{"path":"/a","xattrs":[["a","b"]]}`))
	f.Add("/\xff\xfe", "\x01YQ==", "\xc0", "\x00\u2028<", int64(-62135596800), int64(999_999_999), uint32(fs.ModeSymlink), []byte(`{"path":"\u0001!"}`))
	f.Add("/\ufffd", "\xed\xa0\x80", "", "", int64(1<<40), int64(5), uint32(fs.ModeDir), []byte(`{"modified":[9223372036854775807,9223372036854775807]}`))
	f.Fuzz(func(t *testing.T, name, link, key, value string, seconds, nanos int64, mode uint32, data []byte) {
		e := Entry{Path: name, Name: link + name, Link: link, LinkName: name + link, Mode: fs.FileMode(mode), Kind: Kind(mode % 4), UID: int(mode), GID: -1, Size: seconds, Modified: time.Unix(seconds%(1<<50), nanos%1e9), Xattrs: map[string]string{key: value, name: link}}
		var back Entry
		if err := json.Unmarshal(jsonOf(t, e), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("it came back changed: %s", diff)
		}
		var other, again Entry
		if json.Unmarshal(data, &other) != nil {
			return
		}
		if err := json.Unmarshal(jsonOf(t, other), &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(other, again); diff != "" {
			t.Errorf("it came back changed: %s", diff)
		}
	})
}

// TestRecordedBytes: a name that is no text is kept, and one that is stays legible.
func TestRecordedBytes(t *testing.T) {
	bad := file("caf\xe9", "x")
	bad.Format, bad.Xattrs = tar.FormatGNU, nil
	layer := tarOf(t, bad, file("café", ""))
	got, err := layers(t, Limits{}, layer)
	if err != nil {
		t.Fatal(err)
	}
	if back := kept(t, got)[0]; back[0].Path != "/caf\xe9" || back[1].Path != "/café" {
		t.Errorf("got %q and %q", back[0].Path, back[1].Path)
	}
	if text := string(jsonOf(t, got.entries[1].Entry)); text != `{"path":"/café","mode":420,"modified":[0,0]}` {
		t.Errorf("got %s", text)
	}
	if digest.FromBytes(layer) != got.image.Layers[0].DiffID {
		t.Errorf("%+v", got.image.Layers)
	}
}
