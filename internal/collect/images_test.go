package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// imageOf is an answer about an image with these layers.
func imageOf(t testing.TB, id string, tags []string, layers ...string) []byte {
	t.Helper()
	return altered(t, "image.json", func(a answer) {
		a["Id"], a["RepoTags"], a["RootFS"] = id, tags, answer{"Type": "layers", "Layers": layers}
	})
}

// listed is the list of images with these ids.
func listed(t testing.TB, ids ...string) []byte {
	t.Helper()
	entries := []answer{}
	for _, id := range ids {
		entries = append(entries, answer{"Id": id, "RepoTags": []string{"<none>:<none>"}, "RepoDigests": []string{"<none>@<none>"}})
	}
	return encode(t, entries)
}

// imageIn is the one with that id.
func imageIn(t testing.TB, f *facts.Facts, id string) *facts.Image {
	t.Helper()
	at := slices.IndexFunc(f.Images, func(i facts.Image) bool { return i.ID == id })
	if at < 0 {
		t.Fatalf("no image %q among %d", id, len(f.Images))
	}
	return &f.Images[at]
}

func layerID(n int) string { return "sha256:" + idOf(n) }

// TestImageOfARecordedEngine: what inspect says becomes facts, and what it does not
// say is unseen.
func TestImageOfARecordedEngine(t *testing.T) {
	f := (&fake{containers: []container{{id: idOf(1), name: "web"}, {id: idOf(2), name: "api"}}, answers: map[string][]byte{
		"/images/" + recordedImage + "/json": altered(t, "image.json", func(a answer) {
			a["RepoTags"], a["RepoDigests"] = []string{"b:2", "a:1"}, []string{"a@" + layerID(3)}
			a["Config"] = answer{"User": "root:staff", "Env": []string{"B=secret", "A=secret", "B=x", "C=x", "C="}, "Labels": answer{"l": "m", baseNameLabel: "debian:12", baseDigestLabel: "sha256:5"},
				"ExposedPorts": answer{"80/tcp": answer{}}, "Volumes": answer{"/v": answer{}}, "Healthcheck": answer{"Test": []string{"CMD", "true"}}}
		})}}).start(t)
	got := f.collect(t)
	if len(got.Images) != 1 {
		t.Fatalf("%d images", len(got.Images))
	}
	const dark = "the host's files were not looked at"
	reasons := map[string]string{}
	for _, u := range got.Images[0].Unseen {
		reasons[u.Path] = u.Reason
	}
	want := map[string]string{"history": dark + historyHint, "packages": dark + historyHint, "layer_steps": dark + historyHint, "layer_bytes": dark + historyHint, "setuid": dark}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("unseen (-want +got):\n%s", diff)
	}
	i := got.Images[0]
	i.Unseen = nil
	wantImage := facts.Image{ID: recordedImage, Tags: []string{"a:1", "b:2"}, Digests: []string{"a@" + layerID(3)}, Created: i.Created, Tagged: time.Date(2026, 11, 24, 22, 47, 27, 438610773, time.UTC), SizeBytes: 1982270,
		UsedBy: []string{"api", "web"}, Base: facts.ImageBase{Name: "debian:12", Digest: "sha256:5"}, User: "0", Healthcheck: true, Environment: []string{"A", "B", "C"}, EnvironmentEmpty: []string{"C"},
		Labels: map[string]string{"l": "m", baseNameLabel: "debian:12", baseDigestLabel: "sha256:5"}, ExposedPorts: []string{"80/tcp"}, Volumes: []string{"/v"},
		Layers: 1, LayerSteps: []int64{}, LayerBytes: []int64{}, History: []facts.ImageStep{}, Packages: []string{}, Setuid: []facts.SetuidFile{}}
	if diff := cmp.Diff(wantImage, i); diff != "" || i.Created.Year() != 2026 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestImagesThatNobodyRuns are inspected once each, behind those that containers
// run; and one that cannot be, or says nothing, is there with what the list says.
func TestImagesThatNobodyRuns(t *testing.T) {
	const odd, refused, gone, bare = "sha256:0dd", "sha256:1ef", "sha256:90e", "sha256:ba1e"
	f := (&fake{containers: []container{{id: idOf(1), name: "web"}}, answers: map[string][]byte{
		"/images/json":              append(append(bytes.TrimSuffix(listed(t, recordedImage, odd, refused, gone, bare), []byte("]")), `,{"Id":7},{"Id":"a/b"}`...), ']'),
		"/images/" + odd + "/json":  []byte(`{"Id":"x"}`),
		"/images/" + bare + "/json": []byte(`{"Id":"sha256:ba1e","RepoTags":["bare:1"],"RepoDigests":[]}`),
	}, before: func(w http.ResponseWriter, path string) bool {
		return refusing(http.StatusForbidden, "/images/"+refused+"/json")(w, path) || refusing(http.StatusNotFound, "/images/"+gone+"/json")(w, path)
	}}).start(t)
	var warned []string
	cfg := f.config()
	cfg.Warn = func(text string) { warned = append(warned, text) }
	got := collect(t, cfg)
	seen := map[string]int{}
	for _, path := range f.requests() {
		seen[path]++
	}
	for _, id := range []string{recordedImage, odd, refused, gone, bare} {
		if n := seen["/images/"+id+"/json"]; n != 1 {
			t.Errorf("%s was inspected %d times", id, n)
		}
	}
	if len(got.Images) != 4 || len(warned) != 1 || !strings.Contains(warned[0], gone) {
		t.Errorf("%d images, warned of %q", len(got.Images), warned)
	}
	if r := reasonFor(got.Unseen, "images[...]"); r != reasonUnreadable {
		t.Errorf("the rest of the images is unseen for %q", r)
	}
	for id, want := range map[string]map[string]string{
		odd:     {"user": reasonUnreadable, "history": reasonUnreadable, "created": reasonUnreadable, "tags": "", "dangling": "", "used_by": ""},
		refused: {"user": reasonRefused, "environment": reasonRefused, "setuid": reasonRefused, "derived": "there may be images that are not listed"},
		bare:    {"user": reasonSilent, "created": "the image does not say it", "size_bytes": reasonSilent, "layers": reasonSilent, "setuid": reasonSilent, "tags": ""},
	} {
		i := imageIn(t, got, id)
		for path, reason := range want {
			if r := reasonFor(i.Unseen, path); r != reason {
				t.Errorf("%s: %s is unseen for %q, want %q", id, path, r, reason)
			}
		}
		if i.Dangling != (id != bare) || len(i.UsedBy) > 0 {
			t.Errorf("%s: %+v", id, i)
		}
	}
	for _, path := range []string{"images", "images_unused", "images_dangling", "images_bytes"} {
		if reasonFor(got.Unseen, "daemon.inventory."+path) == "" {
			t.Errorf("daemon.inventory.%s was seen", path)
		}
	}
}

// TestAListThatIsRefused: what containers run is known all the same.
func TestAListThatIsRefused(t *testing.T) {
	f := (&fake{containers: many(2), before: refusing(http.StatusForbidden, "/images/json")}).start(t)
	got := f.collect(t)
	if len(got.Images) != 1 || reasonFor(got.Unseen, "images[...]") != reasonRefused || reasonFor(got.Images[0].Unseen, "derived") == "" {
		t.Errorf("%d images, unseen %v", len(got.Images), got.Unseen)
	}
}

// TestBases: an image was built on the one that has the most of its layers and
// steps; and one that only has equal layers is no base.
func TestBases(t *testing.T) {
	const base, mid, top, twin, alone = "sha256:ba5e", "sha256:a1d", "sha256:709", "sha256:791", "sha256:a10e"
	step := func(n, size int) string {
		return fmt.Sprintf(`{"Created":17000000%02d,"CreatedBy":"RUN step %d","Size":%d}`, n, n, size)
	}
	history := func(newestFirst ...string) []byte { return []byte("[" + strings.Join(newestFirst, ",") + "]") }
	f := (&fake{answers: map[string][]byte{
		"/images/json":                  listed(t, base, mid, top, twin, alone),
		"/images/" + base + "/json":     imageOf(t, base, []string{"base:1"}, layerID(1)),
		"/images/" + base + "/history":  history(step(1, 9)),
		"/images/" + mid + "/json":      imageOf(t, mid, []string{"mid:1"}, layerID(1), layerID(2)),
		"/images/" + mid + "/history":   history(step(2, 8), step(1, 9)),
		"/images/" + top + "/json":      imageOf(t, top, []string{"top:1"}, layerID(1), layerID(2)),
		"/images/" + top + "/history":   history(`{"Created":1700000003,"CreatedBy":"CMD x","Size":0}`, step(2, 8), step(1, 9)),
		"/images/" + twin + "/json":     imageOf(t, twin, []string{}, layerID(1)),
		"/images/" + twin + "/history":  history(step(7, 9)),
		"/images/" + alone + "/json":    imageOf(t, alone, []string{"alone:1"}, layerID(9)),
		"/images/" + alone + "/history": history(step(1, 9)),
	}}).start(t)
	cfg := f.config()
	cfg.ImageHistory = true
	got := collect(t, cfg)
	for id, want := range map[string]struct {
		base           string
		derived, steps int64
	}{base: {"", 1, 0}, mid: {base, 1, 1}, top: {mid, 0, 2}, twin: {"", 0, 0}, alone: {"", 0, 0}} {
		i := imageIn(t, got, id)
		if i.Base.ID != want.base || i.Derived != want.derived || i.Base.Steps != want.steps {
			t.Errorf("%s: %+v, derived %d, want %+v", id, i.Base, i.Derived, want)
		}
	}
	if name := imageIn(t, got, top).Base.Name; name != "mid:1" {
		t.Errorf("the base is called %q", name)
	}
	inventory := got.Daemon.Inventory
	if inventory.Images != 5 || inventory.ImagesUnused != 3 || inventory.ImagesDangling != 1 {
		t.Errorf("%+v", inventory)
	}
	counts := 0
	for _, path := range f.requests() {
		if strings.HasSuffix(path, "/history") {
			counts++
		}
	}
	if counts != 5 {
		t.Errorf("%d histories were asked for", counts)
	}
	f.collect(t)
	if n := len(f.requests()); n != 2*6+2*5+5 {
		t.Errorf("%d requests in all, want none for a history that is not asked for", n)
	}
}

// TestReadHistory: which steps made layers follows from how many there are, or is
// not known.
func TestReadHistory(t *testing.T) {
	raw := func(steps ...string) (list []json.RawMessage) {
		for _, s := range slices.Backward(steps) { // they are written oldest first here
			list = append(list, json.RawMessage(s))
		}
		return list
	}
	const full, run, cmd, odd = `{"CreatedBy":"RUN a","Size":5}`, `{"CreatedBy":"RUN b","Size":0}`, `{"CreatedBy":"CMD c","Size":0}`, `{"CreatedBy":1}`
	for _, tc := range []struct {
		name   string
		steps  []string
		layers int
		empty  []bool
		maybe  []bool
		reason string
	}{
		{"each has files", []string{full, cmd, full}, 2, []bool{false, true, false}, []bool{false, false, false}, ""},
		{"one made an empty layer", []string{full, run, cmd}, 2, []bool{false, false, true}, []bool{false, false, false}, ""},
		{"one made none", []string{full, run, cmd}, 1, []bool{false, true, true}, []bool{false, false, false}, ""},
		{"one of two did", []string{full, run, run}, 2, []bool{false, true, true}, []bool{false, true, true}, ""},
		{"nothing", nil, 1, nil, nil, reasonNoHistory},
		{"no history", []string{odd}, 1, nil, nil, reasonUnreadable},
	} {
		steps, reason := readHistory(raw(tc.steps...), tc.layers)
		var empty, maybe []bool
		for _, s := range steps {
			empty, maybe = append(empty, s.EmptyLayer), append(maybe, s.maybeEmpty)
		}
		if !slices.Equal(empty, tc.empty) || !slices.Equal(maybe, tc.maybe) || reason != tc.reason {
			t.Errorf("%s: empty %v, maybe %v, %q", tc.name, empty, maybe, reason)
		}
	}
}

// digestOf is the name of data in a store.
func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// put writes a file, and the folders above.
func put(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestProgressOfImagesThatNobodyRuns: they are counted behind the containers,
// however early they are done.
func TestProgressOfImagesThatNobodyRuns(t *testing.T) {
	f := (&fake{containers: many(2), answers: map[string][]byte{"/images/json": listed(t, recordedImage, layerID(1), layerID(2))}}).start(t)
	cfg := f.config()
	var steps []string
	cfg.Progress = func(done, total int, what string) { steps = append(steps, fmt.Sprintf("%d/%d %s", done, total, what)) }
	if got := collect(t, cfg); len(got.Images) != 3 {
		t.Errorf("%d images", len(got.Images))
	}
	want := []string{"0/1 images", "1/1 images", "0/2 containers", "1/2 containers", "2/2 containers", "0/2 images", "1/2 images", "2/2 images"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

// TestImageWithoutLayers: one of labels alone has no layer, and no file in one; an
// answer that does not speak of layers is another thing. A name that it never got
// leaves no time.
func TestImageWithoutLayers(t *testing.T) {
	for rootFS, known := range map[string]bool{`{"Type":"layers"}`: true, `{}`: false} {
		var i foundImage
		if err := i.read([]byte(`{"Id":"sha256:1","RepoTags":[],"RepoDigests":[],"RootFS":` + rootFS + `,"Metadata":{"LastTagTime":"0001-01-01T00:00:00Z"},"Config":{}}`)); err != nil {
			t.Fatal(err)
		}
		if (i.layers != nil) != known || len(i.layers) > 0 || !i.tagged.IsZero() {
			t.Errorf("%s: layers %q, named at %s", rootFS, i.layers, i.tagged)
		}
	}
}
