package test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/test/lab"
)

// imageTable is testdata/images/table.yaml; what each part means is said there.
type imageTable struct {
	Rows   []imageRow       `yaml:"rows"`
	Daemon []imageDaemonRow `yaml:"daemon"`
}

type imageRow struct {
	Name  string                    `yaml:"name"`
	Build string                    `yaml:"build"`
	File  string                    `yaml:"file"`
	Args  []string                  `yaml:"args"`
	After []string                  `yaml:"after"`
	Pull  bool                      `yaml:"pull"`
	Load  bool                      `yaml:"load"`
	Gone  bool                      `yaml:"gone"`
	Trust string                    `yaml:"trust"`
	Flips map[string]finding.Status `yaml:"flips"`

	id string
}

type imageDaemonRow struct {
	Docker string                    `yaml:"docker"`
	Times  int                       `yaml:"times"`
	Flips  map[string]finding.Status `yaml:"flips"`
}

// imageWorld is an engine with the images of the table.
type imageWorld struct {
	table  imageTable
	engine *lab.Engine
	dir    string // of the build
	tiny   string // an archive of one file
}

func (w *imageWorld) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.engine.Docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (w *imageWorld) collect(t *testing.T, change func(*collect.Config)) *facts.Facts {
	t.Helper()
	cfg := collect.Config{Client: clientOf(t, w.engine), Now: time.Now, Root: "/", Trust: func(id string, _ []string) (string, string) {
		for _, r := range w.table.Rows {
			if r.id == id {
				return r.Trust, ""
			}
		}
		return "", ""
	}}
	change(&cfg)
	f, err := collect.Engine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func asItIs(*collect.Config) {}

// make makes the base and the images of the table.
func (w *imageWorld) make(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	if err := w.engine.Busybox(ctx, "img:start"); err != nil {
		t.Fatal(err)
	}
	w.write(t, "file", "x")
	w.write(t, "tool", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(w.dir, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.build(t, "base", "FROM img:start\nCOPY tool /bin/apt-get\nCOPY tool /bin/apk\nUSER nobody\nHEALTHCHECK CMD true\n", nil)
	old := filepath.Join(w.dir, "old.tar")
	w.tiny = filepath.Join(w.dir, "tiny.tar")
	if err := os.WriteFile(w.tiny, tarOf(t, [2]string{"a", "b"}), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range w.table.Rows {
		r := &w.table.Rows[i]
		name := "img:" + r.Name
		switch {
		case r.Pull:
			registry := serveRegistry(t, w.engine)
			w.docker(t, "pull", registry+"/pulled:1")
			name = registry + "/pulled:1"
		case r.Load:
			if err := os.WriteFile(old, archiveOf(t, name, r.Name), 0o600); err != nil {
				t.Fatal(err)
			}
			w.docker(t, "load", "-i", old)
		case r.File != "":
			w.build(t, r.Name, r.File, r.Args)
		default:
			w.build(t, r.Name, "FROM img:base\n"+r.Build, r.Args)
		}
		r.id = w.docker(t, "image", "inspect", "-f", "{{.Id}}", name)
		for _, line := range r.After {
			w.docker(t, strings.Fields(line)...)
		}
		if r.Gone {
			w.docker(t, "tag", "img:base", name)
			w.docker(t, "rmi", name)
		}
	}
}

func (w *imageWorld) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w *imageWorld) build(t *testing.T, name, dockerfile string, args []string) {
	t.Helper()
	w.write(t, "Dockerfile", dockerfile)
	line := []string{"build", "-q", "-t", "img:" + name}
	for _, arg := range args {
		line = append(line, "--build-arg", arg)
	}
	w.docker(t, append(line, w.dir)...)
}

// statusesOf gives what each rule came to, by subject: the id of an image, or else
// its kind.
func statusesBySubject(t *testing.T, f *facts.Facts) map[string]map[string]finding.Status {
	t.Helper()
	found, err := ourRules(t).Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]map[string]finding.Status{}
	for _, x := range found {
		who := x.Subject.Kind
		if who == "image" {
			who = x.Subject.ID
		}
		if of[who] == nil {
			of[who] = map[string]finding.Status{}
		}
		of[who][x.Rule] = graver(of[who][x.Rule], x.Status)
		if strings.HasPrefix(x.Reason, "rule error") {
			t.Errorf("%s: %s: %s", x.Subject.Name, x.Rule, x.Reason)
		}
	}
	return of
}

func changes(before, after map[string]finding.Status) map[string]finding.Status {
	flips := map[string]finding.Status{}
	for name, is := range after {
		if is != before[name] {
			flips[name] = is
		}
	}
	return flips
}

// TestImages makes the images of the table on a real engine, and asks all that must
// hold of them.
func TestImages(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "images", "table.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w := &imageWorld{engine: lab.Private(t, nil), dir: t.TempDir()}
	if err := strict.YAML(file, data, &w.table); err != nil {
		t.Fatal(err)
	}
	empty := w.collect(t, asItIs)
	w.make(t)
	f := w.collect(t, asItIs)
	t.Run("Table", func(t *testing.T) { testImageTable(t, w, f) })
	t.Run("NoSecret", func(t *testing.T) { testNoSecret(t, f) })
	t.Run("AskedHistory", func(t *testing.T) { testAskedHistory(t, w, f) })
	t.Run("HidingAFact", func(t *testing.T) { testHidingAnImageFact(t, w, f) })
	t.Run("Daemon", func(t *testing.T) { testImageDaemon(t, w, empty, f) })
}

// testImageTable: each image differs from the plain one by the verdicts of its row,
// and by no other; and every rule about images comes to a bad end for one and to a
// good one for another.
func testImageTable(t *testing.T, w *imageWorld, f *facts.Facts) {
	of := statusesBySubject(t, f)
	plain := of[w.table.Rows[0].id]
	seen := map[string]map[finding.Status]bool{}
	for _, r := range w.table.Rows {
		if of[r.id] == nil {
			t.Errorf("%s: %s is not there", r.Name, r.id)
			continue
		}
		got := changes(plain, of[r.id])
		if diff := cmp.Diff(r.Flips, got); diff != "" && len(r.Flips)+len(got) > 0 {
			t.Errorf("%s (-want +got):\n%s", r.Name, diff)
		}
		for name, is := range of[r.id] {
			if seen[name] == nil {
				seen[name] = map[finding.Status]bool{}
			}
			seen[name][is] = true
		}
	}
	rules := 0
	for _, r := range ourRules(t).Rules() {
		if r.Subject != "image" {
			continue
		}
		rules++
		bad, good := finding.Fail, finding.Pass
		if r.Manual != "" {
			bad, good = finding.Manual, finding.NotApplicable
		}
		if !seen[r.Name][bad] || !seen[r.Name][good] {
			t.Errorf("%s comes to %v only", r.Name, slices.Collect(maps.Keys(seen[r.Name])))
		}
	}
	if rules < 10 {
		t.Errorf("%d rules about images", rules)
	}
}

// testNoSecret: what the builds of the table were given is nowhere in the facts or
// in the findings.
func testNoSecret(t *testing.T, f *facts.Facts) {
	data, err := facts.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	found, err := ourRules(t).Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	report, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"facts": string(data), "findings": string(report)} {
		if strings.Contains(text, "planted-secret") || !strings.Contains(text, "API_TOKEN") {
			t.Errorf("the %s have the value, or not the name", what)
		}
	}
	back, err := facts.Decode("facts.json", data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(statusesBySubject(t, f), statusesBySubject(t, back)); diff != "" {
		t.Errorf("judged at once and from a file (-at once +file):\n%s", diff)
	}
}

// testAskedHistory: the engine's word for the history of its images gives the same
// verdicts as its store does, and only asking for it makes more calls.
func testAskedHistory(t *testing.T, w *imageWorld, f *facts.Facts) {
	asked := w.collect(t, func(c *collect.Config) { c.ImageHistory = true })
	if diff := cmp.Diff(statusesBySubject(t, f), statusesBySubject(t, asked)); diff != "" {
		t.Errorf("by the store and by the engine (-store +engine):\n%s", diff)
	}
	// Without the store, and without asking, nobody knows.
	dark := w.collect(t, func(c *collect.Config) { c.Root = "" })
	for _, r := range w.table.Rows {
		of := statusesBySubject(t, dark)[r.id]
		for _, name := range []string{"image-update-alone", "image-add-used", "image-secret-in-command", "image-packages-unverified", "image-setuid"} {
			if of[name] != finding.Unknown {
				t.Errorf("%s: %s is %s, with no look at the store", r.Name, name, of[name])
			}
		}
		if of["image-user-root"] == finding.Unknown {
			t.Errorf("%s: the user is unknown", r.Name)
		}
	}
}

// testHidingAnImageFact: whatever single fact of an image is taken out of the
// document, nothing that was bad is good or gone.
func testHidingAnImageFact(t *testing.T, w *imageWorld, f *facts.Facts) {
	tried := 0
	hide := func(d *document, of reflect.Type, at key) {
		value, _ := d.value(at)
		for _, k := range keys(value, of, at) {
			tried++
			wrong, err := d.without(k, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range wrong {
				t.Errorf("without %s: %s", k, text)
			}
		}
	}
	about := rulesAbout(t, "image")
	for i := range f.Images {
		some := *f
		some.Files, some.Images = nil, f.Images[i:i+1]
		hide(newDocument(t, about, &some), reflect.TypeFor[facts.Image](), key{"images", 0})
	}
	some := *f
	some.Images = nil
	some.Host.ContentTrust = []facts.ContentTrustUse{{Kind: "profile", Path: "/etc/profile", Line: 1, Setting: "on"}, {Kind: "unit", Path: "/u", Line: 2, Server: "notary.example"},
		{Kind: "folder", Path: "/root/.docker/trust", Keys: 1}, {Kind: "ci", Path: "/c", Line: 3, Setting: "off"}}
	d := newDocument(t, ourRules(t), &some)
	hide(d, reflect.TypeFor[facts.Host](), key{"host"})
	hide(d, reflect.TypeFor[facts.Inventory](), key{"daemon", "inventory"})
	if tried < 1000 {
		t.Errorf("%d keys", tried)
	}
}

// testImageDaemon: rules about what an engine holds, as it comes to hold more and
// less. It comes last.
func testImageDaemon(t *testing.T, w *imageWorld, empty, f *facts.Facts) {
	own := []string{"image-sprawl", "container-sprawl", "audits-regular", "containers-watched", "volumes-backed-up"}
	status := func(f *facts.Facts) map[string]finding.Status {
		of := statusesBySubject(t, f)["daemon"]
		maps.DeleteFunc(of, func(name string, _ finding.Status) bool { return !slices.Contains(own, name) })
		return of
	}
	before := status(empty)
	want := map[string]finding.Status{"image-sprawl": finding.Pass, "container-sprawl": finding.Pass, "audits-regular": finding.NotApplicable,
		"containers-watched": finding.NotApplicable, "volumes-backed-up": finding.NotApplicable}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("an empty engine (-want +got):\n%s", diff)
	}
	now := before
	for _, r := range w.table.Daemon {
		for range max(1, r.Times) * min(1, len(r.Docker)) {
			w.docker(t, strings.Fields(strings.ReplaceAll(r.Docker, "TINY", w.tiny))...)
		}
		next := status(f)
		if r.Docker != "" {
			next = status(w.collect(t, asItIs))
		}
		if diff := cmp.Diff(r.Flips, changes(now, next)); diff != "" {
			t.Errorf("docker %s (-want +got):\n%s", r.Docker, diff)
		}
		now = next
	}
}
