package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
)

const storeRoot = "/var/lib/docker"

// configFile is an image's configuration with steps, each as JSON, and layers.
func configFile(steps []string, layers ...string) []byte {
	quoted, _ := json.Marshal(layers)
	return []byte(fmt.Sprintf(`{"architecture":"amd64","history":[%s],"rootfs":{"type":"layers","diff_ids":%s}}`, strings.Join(steps, ","), quoted))
}

var twoSteps = []string{`{"created":"2026-01-01T00:00:00Z","created_by":"ADD file:1 in /"}`, `{"created_by":"RUN x # buildkit","comment":"buildkit.dockerfile.v0"}`,
	`{"created_by":"CMD [\"x\"]","empty_layer":true}`}

// storeIn opens the store of an engine whose files are in a folder.
func storeIn(t testing.TB, root, driver string) *imageStore {
	t.Helper()
	host, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	s := openStore(host, "", storeRoot, driver)
	t.Cleanup(func() {
		s.close()
		host.close()
	})
	return s
}

func configPath(root, digest string) string {
	return filepath.Join(root, storeRoot, "image/overlay2/imagedb/content/sha256", hexOf(digest))
}

// TestHistoryOfAStore: the configuration under the image's id, with the sizes that
// the engine keeps of its layers.
func TestHistoryOfAStore(t *testing.T) {
	root := t.TempDir()
	layers := []string{layerID(1), layerID(2)}
	config := configFile(twoSteps, layers...)
	put(t, configPath(root, digestOf(config)), config)
	layerdb := filepath.Join(root, storeRoot, "image/overlay2/layerdb/sha256")
	put(t, filepath.Join(layerdb, idOf(1), "size"), []byte("77"))
	put(t, filepath.Join(layerdb, hexOf(chainID(layerID(1), layerID(2))), "size"), []byte("no number"))
	steps, reason := storeIn(t, root, "overlay2").history(digestOf(config), layers)
	want := []rawStep{{Created: "2026-01-01T00:00:00Z", CreatedBy: "ADD file:1 in /", size: 77}, {CreatedBy: "RUN x # buildkit", Comment: "buildkit.dockerfile.v0", size: -1},
		{CreatedBy: `CMD ["x"]`, EmptyLayer: true}}
	if diff := cmp.Diff(want, steps, cmp.AllowUnexported(rawStep{})); diff != "" || reason != "" {
		t.Errorf("%q (-want +got):\n%s", reason, diff)
	}
	i := foundImage{steps: steps, layers: layers}
	var out facts.Image
	i.stepFacts(&out, newStepReader())
	if len(out.History) != 3 || out.History[1].Number != 2 || out.History[1].Instruction != "RUN" || fmt.Sprint(out.LayerSteps) != "[1 2]" || reasonFor(out.Unseen, "layer_bytes") == "" ||
		reasonFor(out.Unseen, "layer_steps") != "" || reasonFor(out.Unseen, "history[...]") != "" {
		t.Errorf("%+v", out)
	}
}

// TestContainerdStore: an id is that of an index, or of a manifest; what counts is
// the manifest with the layers that the engine says.
func TestContainerdStore(t *testing.T) {
	for _, folder := range []string{storeRoot + "/containerd/daemon", "/var/lib/containerd"} {
		root := t.TempDir()
		blob := func(data []byte) string {
			put(t, filepath.Join(root, folder, "io.containerd.content.v1.content/blobs/sha256", hexOf(digestOf(data))), data)
			return digestOf(data)
		}
		manifest := func(config string) string {
			return blob([]byte(fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q},"layers":[]}`, config)))
		}
		own, other := manifest(blob(configFile(twoSteps, layerID(1), layerID(2)))), manifest(blob(configFile(twoSteps[:1], layerID(7))))
		index := blob([]byte(fmt.Sprintf(`{"manifests":[{"digest":%q},{"digest":"sha256:gone"},{"digest":%q}]}`, other, own)))
		nested := blob([]byte(fmt.Sprintf(`{"manifests":[{"digest":%q}]}`, index)))
		s := storeIn(t, root, "overlayfs")
		for id, want := range map[string]int{index: 3, own: 3, other: 0, nested: 0, layerID(99): 0} {
			steps, reason := s.history(id, []string{layerID(1), layerID(2)})
			if len(steps) != want || (reason == "") != (want > 0) {
				t.Errorf("%s: %s: %d steps, %q", folder, id, len(steps), reason)
			}
			if want > 0 && steps[0].size != -1 {
				t.Errorf("a size of %d is known", steps[0].size)
			}
		}
		if _, reason := s.setuid(layerSet{}.top([]string{layerID(1)})); !strings.Contains(reason, "overlayfs") {
			t.Errorf("layers: %q", reason)
		}
		if steps, reason := s.history(other, []string{layerID(7)}); len(steps) != 1 || reason != "" {
			t.Errorf("the other: %d steps, %q", len(steps), reason)
		}
	}
}

// TestStoreRefuses: what is not what its name says, or no file, is not read; and
// each way says what is the matter.
func TestStoreRefuses(t *testing.T) {
	root := t.TempDir()
	layers := []string{layerID(1)}
	good := configFile(twoSteps[:1], layers...)
	text, none := []byte("no JSON"), configFile(nil, layers...)
	big := append(configFile(twoSteps[:1], layers...), strings.Repeat(" ", maxImageFileBytes)...)
	for _, data := range [][]byte{good, text, none, big} {
		put(t, configPath(root, digestOf(data)), data)
	}
	put(t, configPath(root, layerID(5)), good) // another's name
	put(t, filepath.Join(root, "secret"), good)
	if err := os.Symlink("../../../../../../../../secret", configPath(root, layerID(6))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(configPath(root, layerID(7)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(configPath(root, layerID(8)), 0o700); err != nil {
		t.Fatal(err)
	}
	s := storeIn(t, root, "overlay2")
	for id, want := range map[string]string{
		digestOf(good): "", digestOf(text): "not the JSON", digestOf(none): reasonNoHistory, digestOf(big): "more than", layerID(5): "not what its digest says",
		layerID(6): "no regular file", layerID(7): "no regular file", layerID(8): "no regular file", layerID(9): "not in the engine's store",
		"no-digest": "no digest", "sha256:../../../secret": "no digest", "": "no digest", "sha256:" + strings.ToUpper(idOf(10)): "no digest",
	} {
		if _, reason := s.history(id, layers); want == "" && reason != "" || !strings.Contains(reason, want) {
			t.Errorf("%s: %q, want %q", id, reason, want)
		}
	}
	if _, reason := s.history(digestOf(good), []string{layerID(2)}); !strings.Contains(reason, "other layers") {
		t.Errorf("other layers: %q", reason)
	}
}

// TestNoStore: each reason says what to do.
func TestNoStore(t *testing.T) {
	root := t.TempDir()
	host, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer host.close()
	for _, tc := range []struct {
		host                 *tree
		reason, root, driver string
		history, setuid      string
	}{
		{nil, "it is far", storeRoot, "overlay2", "it is far: --image-history asks the engine", "it is far"},
		{host, "", "", "overlay2", "the engine does not say where it keeps images: --image-history asks the engine", "the engine does not say where it keeps images"},
		{host, "", storeRoot, "../x", "the engine does not say where it keeps images: --image-history asks the engine", "the engine does not say where it keeps images"},
		{host, "", storeRoot, "overlay2", "the engine's store was not found: --image-history asks the engine", "the engine's store was not found"},
		{host, "", storeRoot, "btrfs", "the engine's store was not found: --image-history asks the engine", "layers are looked at where the storage driver is overlay2, and it is btrfs"},
	} {
		s := openStore(tc.host, tc.reason, tc.root, tc.driver)
		_, noHistory := s.history(layerID(1), nil)
		_, noSetuid := s.setuid(layerSet{}.top([]string{layerID(1)}))
		if noHistory != tc.history || noSetuid != tc.setuid {
			t.Errorf("%+v: %q and %q", tc, noHistory, noSetuid)
		}
		if files, reason := s.setuid(nil); files != nil || reason != "" {
			t.Errorf("an image without layers: %v, %q", files, reason)
		}
		s.close()
	}
}

// layersIn makes layers, one on the other, in a folder, and gives their digests.
// Each is made by a function that is given its folder.
func layersIn(t testing.TB, root string, make ...func(dir string)) []string {
	t.Helper()
	chain := ""
	var diffs []string
	for n, fill := range make {
		diff := layerID(n + 1)
		diffs, chain = append(diffs, diff), chainID(chain, diff)
		name := fmt.Sprintf("layer%d", n)
		put(t, filepath.Join(root, storeRoot, "image/overlay2/layerdb/sha256", hexOf(chain), "cache-id"), []byte(name))
		dir := filepath.Join(root, storeRoot, "overlay2", name, "diff")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		fill(dir)
	}
	return diffs
}

// program makes a file with a mode, as chmod(2) takes it.
func program(t testing.TB, mode uint32, name ...string) {
	t.Helper()
	at := filepath.Join(name...)
	put(t, at, []byte("x"))
	if err := unix.Chmod(at, mode); err != nil {
		t.Fatal(err)
	}
}

// TestSetuid: of the files with these modes in any layer, those count that no
// layer above hides.
func TestSetuid(t *testing.T) {
	needRoot(t) // to make whiteouts
	root := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	diffs := layersIn(t, root, func(dir string) {
		for _, name := range []string{"kept", "replaced", "removed", "plain-now"} {
			program(t, 0o4755, dir, "bin", name)
		}
		program(t, 0o2755, dir, "bin/group")
		program(t, 0o755, dir, "bin/plain")
		program(t, 0o4755, dir, "opaque/a")
		program(t, 0o4755, dir, "gone/deep/a")
		program(t, 0o4755, dir, "link/a")
		program(t, 0o4755, dir, "folder-now")
		must(os.Symlink("kept", filepath.Join(dir, "bin/alias")))
		must(unix.Mkfifo(filepath.Join(dir, "bin/pipe"), 0o4755))
		must(unix.Mkdir(filepath.Join(dir, "bin/folder"), 0o2755))
	}, func(dir string) {
		program(t, 0o6755, dir, "bin/replaced")
		program(t, 0o755, dir, "bin/plain-now")
		program(t, 0o755, dir, "other/kept")
		must(unix.Mknod(filepath.Join(dir, "bin/removed"), unix.S_IFCHR, 0))
		must(unix.Mknod(filepath.Join(dir, "gone"), unix.S_IFCHR, 0))
		must(os.MkdirAll(filepath.Join(dir, "opaque"), 0o755))
		if err := unix.Setxattr(filepath.Join(dir, "opaque"), "trusted.overlay.opaque", []byte("y"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			t.Fatal(err)
		} else if err != nil {
			must(unix.Mknod(filepath.Join(dir, "opaque/a"), unix.S_IFCHR, 0))
		}
		must(os.Symlink("/", filepath.Join(dir, "link")))
		must(os.MkdirAll(filepath.Join(dir, "folder-now"), 0o755))
	}, func(dir string) { program(t, 0o4711, dir, "top") })
	s := storeIn(t, root, "overlay2")
	layers := layerSet{}
	for n, want := range map[int]string{
		1: "/bin/group 2755, /bin/kept 4755, /bin/plain-now 4755, /bin/removed 4755, /bin/replaced 4755, /folder-now 4755, /gone/deep/a 4755, /link/a 4755, /opaque/a 4755",
		2: "/bin/group 2755, /bin/kept 4755, /bin/replaced 6755",
		3: "/bin/group 2755, /bin/kept 4755, /bin/replaced 6755, /top 4711",
	} {
		found, reason := s.setuid(layers.top(diffs[:n]))
		var got []string
		for _, f := range found {
			got = append(got, f.Path+" "+f.Mode)
		}
		if strings.Join(got, ", ") != want || reason != "" {
			t.Errorf("%d layers: %q, %q\nwant %s", n, got, reason, want)
		}
	}
	before := s.entries
	if s.setuid(layers.top(diffs)); s.entries != before {
		t.Errorf("a layer was looked at twice: %d entries are left of %d", s.entries, before)
	}
}

// TestSetuidRefuses: no layer leads out of the store, none is looked into without
// bounds, and what is not known of one is not known of those on it.
func TestSetuidRefuses(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, root, cache, diff string, s *imageStore){
		"a link for a layer": func(t *testing.T, root, _, diff string, _ *imageStore) {
			put(t, filepath.Join(root, "etc/x"), nil)
			if err := errors.Join(os.RemoveAll(diff), os.Symlink("../../../../../etc", diff)); err != nil {
				t.Fatal(err)
			}
		},
		"a name that leads out":   func(t *testing.T, _, cache, _ string, _ *imageStore) { put(t, cache, []byte("../../../etc")) },
		"a name with a line end":  func(t *testing.T, _, cache, _ string, _ *imageStore) { put(t, cache, []byte("layer0\n")) },
		"a long name":             func(t *testing.T, _, cache, _ string, _ *imageStore) { put(t, cache, []byte(strings.Repeat("a", 300))) },
		"a link for a name":       func(t *testing.T, root, cache, _ string, _ *imageStore) { os.Remove(cache); os.Symlink("size", cache) },
		"a name that is not told": func(t *testing.T, _, cache, _ string, _ *imageStore) { os.Remove(cache) },
		"no layer":                func(t *testing.T, _, _, diff string, _ *imageStore) { os.RemoveAll(diff) },
		"too many files":          func(t *testing.T, _, _, _ string, s *imageStore) { s.entries = 3 },
		"folders without end": func(t *testing.T, _, _, diff string, _ *imageStore) {
			if err := os.MkdirAll(filepath.Join(diff, strings.Repeat("d/", maxDepth+1)), 0o755); err != nil {
				t.Fatal(err)
			}
		},
	} {
		root := t.TempDir()
		diffs := layersIn(t, root, func(dir string) {
			for n := range 4 {
				program(t, 0o4755, dir, fmt.Sprint(n))
			}
		}, func(string) {})
		s := storeIn(t, root, "overlay2")
		spoil(t, root, filepath.Join(root, storeRoot, "image/overlay2/layerdb/sha256", idOf(1), "cache-id"), filepath.Join(root, storeRoot, "overlay2/layer0/diff"), s)
		layers := layerSet{}
		for n := range 2 {
			if found, reason := s.setuid(layers.top(diffs[:n+1])); reason == "" || len(found) > 0 {
				t.Errorf("%s: %v, %q", name, found, reason)
			}
		}
	}
}

// FuzzHistory: whatever a configuration holds, reading it ends, and what becomes a
// fact of it has as many steps as it has, or says that there are more.
func FuzzHistory(f *testing.F) {
	f.Add(configFile(twoSteps, layerID(1), layerID(2)), 2)
	f.Add([]byte(`{"history":[{"created_by":"|1 A=b","created":"x"},null,{"created_by":7}],"rootfs":{}}`), 0)
	f.Fuzz(func(t *testing.T, data []byte, layers int) {
		file := &imageFile{}
		if decode("a configuration", data, file) != nil {
			return
		}
		i := foundImage{steps: file.History, layers: make([]string, max(0, min(layers, 50)))}
		var out facts.Image
		i.stepFacts(&out, newStepReader())
		if len(out.History) != len(file.History) && reasonFor(out.Unseen, "history[...]") == "" {
			t.Errorf("%d of %d steps", len(out.History), len(file.History))
		}
		f := &facts.Facts{Schema: facts.Schema, Images: []facts.Image{out}}
		text, err := facts.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := facts.Decode("f", text); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
