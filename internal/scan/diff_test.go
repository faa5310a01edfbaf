package scan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// netrc is a file with a secret, so many lines down.
func netrc(lines int) string {
	return strings.Repeat("\n", lines) + "machine example.org login ana password " + password + "\n"
}

// modules is a layer with packages of npm: names and versions by turns.
func modules(versions ...string) imagetest.Layer {
	l := imagetest.Layer{"/etc/os-release": "ID=debian\nVERSION_ID=12\n"}
	for i := 0; i < len(versions); i += 2 {
		l[fmt.Sprintf("/app%d/node_modules/%s/package.json", i, versions[i])] = `{"name":"` + versions[i] + `","version":"` + versions[i+1] + `"}`
	}
	return l
}

func flaw(id string, level vuln.Level) vuln.Match {
	return vuln.Match{ID: id, IDs: []string{id}, Fixed: "9.0.0", Severity: vuln.Severity{Level: level, Tenths: -1}}
}

// known are the flaws of the packages in these tests.
var known = records{
	"npm a 1.0.0": {Matches: []vuln.Match{flaw("CVE-1", vuln.High), flaw("CVE-2", vuln.Low)}}, "npm a 1.1.0": {Matches: []vuln.Match{flaw("CVE-2", vuln.Low)}},
	"npm came 1.0.0": {Matches: []vuln.Match{flaw("CVE-3", vuln.Medium), flaw("CVE-1", vuln.Negligible)}},
}

// judged is what is reported about an image.
func judged(t *testing.T, c *Contents) finding.Report {
	t.Helper()
	r, err := Judge(c, Measure{Weights: Weights{Unknown: finding.High}, Records: known})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func diffOf(t *testing.T, before, after *Contents) *Diff {
	t.Helper()
	return DiffOf(before, after, judged(t, before), judged(t, after))
}

func rulesOf(list []finding.Finding) string {
	var out []string
	for _, f := range list {
		out = append(out, f.Rule)
	}
	return strings.Join(out, " ")
}

// two are images, the second of which has something of everything that is compared.
func two(t *testing.T) (before, after *Contents) {
	shared := imagetest.Layer{"/shared": "12345", "/usr/bin/mount": "4755:x", "/usr/bin/newgrp": "4755:x", "/root/.netrc": netrc(0)}
	before = look(t, imagetest.Saved(t, imagetest.Config{"config": map[string]any{
		"User": "app", "Env": []string{"A=1", "B=2"}, "Entrypoint": []string{"/run", "--token", password}, "Cmd": []string{"a"}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}},
		"Healthcheck": map[string]any{"Test": []string{"CMD", "true"}, "Interval": time.Minute, "Retries": 2}, "Labels": map[string]string{"same": "1", "other": "1", "token": password}, "WorkingDir": "/srv/",
	}}, shared, modules("a", "1.0.0", "b", "2.0.0", "gone", "1.0.0", "many", "1.0.0", "many", "3.0.0"), imagetest.Layer{"/gone": "1234567", "/usr/bin/passwd": "4755:x"}), Options{})
	after = look(t, imagetest.Saved(t, imagetest.Config{"config": map[string]any{
		"User": "root", "Env": []string{"A=2", "C=3"}, "Entrypoint": []string{"/run", "--token", "x" + password}, "ExposedPorts": map[string]any{"80/tcp": map[string]any{}, "443/tcp": map[string]any{}},
		"Healthcheck": map[string]any{"Test": []string{"NONE"}}, "Labels": map[string]string{"same": "1", "other": "2", "token": "x" + password}, "WorkingDir": "/srv", "Volumes": map[string]any{"/data": map[string]any{}},
	}}, shared, modules("a", "1.1.0", "b", "1.9.0", "came", "1.0.0", "many", "2.0.0", "many", "3.0.0"), imagetest.Layer{"/usr/bin/su": "4755:x", "/usr/bin/newgrp": "2755:x", "/usr/bin/mount": "4711:x"},
		imagetest.Layer{"/srv/.netrc": netrc(0), "/root/.netrc": netrc(3)}), Options{})
	return before, after
}

// TestDiff: what became worse, what better, what other; and the same seen the other way.
func TestDiff(t *testing.T) {
	before, after := two(t)
	d := diffOf(t, before, after)
	if got := []string{rulesOf(d.New), rulesOf(d.Mended), rulesOf(d.Left)}; !slices.Equal(got, []string{"secret:netrc-password CVE-3 CVE-1", "CVE-1", "secret:command-secret secret:generic-api-key secret:netrc-password secret:netrc-password CVE-2"}) {
		t.Errorf("%q", got)
	}
	if d.New[0].Element != "/srv/.netrc:1" {
		t.Errorf("the new secret is in %s", d.New[0].Element)
	}
	if diff := cmp.Diff(PackageDiff{
		Added: []PackageVersions{{"npm", "came", []string{"1.0.0"}}}, Removed: []PackageVersions{{"npm", "gone", []string{"1.0.0"}}},
		Changed: []PackageChange{
			{"npm", "a", []string{"1.0.0"}, []string{"1.1.0"}, "up"}, {"npm", "b", []string{"2.0.0"}, []string{"1.9.0"}, "down"},
			{"npm", "many", []string{"1.0.0", "3.0.0"}, []string{"2.0.0", "3.0.0"}, "up"},
		},
	}, d.Packages); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Privileged{
		New:  []PrivilegedFile{{"/usr/bin/newgrp", []string{"setgid"}}, {"/usr/bin/su", []string{"setuid"}}},
		Gone: []PrivilegedFile{{"/usr/bin/newgrp", []string{"setuid"}}, {"/usr/bin/passwd", []string{"setuid"}}},
	}, d.Privileged); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Setting{
		{Name: "user", Before: []string{"app"}, After: []string{"0"}, Way: "worse"}, {Name: "cmd", Before: []string{`["a"]`}, After: []string{}},
		{Name: "environment", Before: []string{"B"}, After: []string{"C"}}, {Name: "ports", Before: []string{}, After: []string{"443/tcp"}}, {Name: "volumes", Before: []string{}, After: []string{"/data"}},
		{Name: "health check", Before: []string{`--interval=1m0s --retries=2 ["CMD","true"]`}, After: []string{}, Way: "worse"}, {Name: "labels", Before: []string{"other=1"}, After: []string{"other=2"}},
	}, d.Configuration, cmpopts.IgnoreUnexported(Setting{})); diff != "" {
		t.Error(diff)
	}
	bytes := func(layer int, c *Contents) int64 { return c.View.Layers[layer].Bytes }
	if want := (LayerDiff{Shared: 1, SharedBytes: bytes(0, before), Added: 3, AddedBytes: bytes(1, after) + bytes(2, after) + bytes(3, after), Taken: 2, TakenBytes: bytes(1, before) + bytes(2, before)}); d.Layers != want || want.SharedBytes == 0 {
		t.Errorf("%+v, want %+v", d.Layers, want)
	}
	if d.After.Bytes-d.Before.Bytes != d.Layers.AddedBytes-d.Layers.TakenBytes || len(d.NotCompared)+len(d.Untold) != 0 {
		t.Errorf("%+v %+v", d.Before, d.After)
	}
	if is, maybe := d.Worst(finding.High); !is || maybe {
		t.Error("a secret is high and new")
	}
	if is, _ := d.Worst(finding.Critical); is {
		t.Error("nothing new is critical")
	}
	mirrored(t, d, diffOf(t, after, before))
}

// mirrored holds a comparison beside that of the same images the other way.
func mirrored(t *testing.T, d, back *Diff) {
	t.Helper()
	var changed []PackageChange
	for _, c := range back.Packages.Changed {
		changed = append(changed, PackageChange{c.Type, c.Name, c.After, c.Before, map[string]string{"up": "down", "down": "up"}[c.Way]})
	}
	var settings []Setting
	for _, s := range back.Configuration {
		settings = append(settings, Setting{Name: s.Name, Before: s.After, After: s.Before, Way: map[string]string{"worse": "better", "better": "worse"}[s.Way]})
	}
	turned := Diff{Schema: back.Schema, Before: back.After, After: back.Before, New: back.Mended, Mended: back.New, Left: d.Left, Untold: d.Untold, NotCompared: back.NotCompared,
		Privileged: Privileged{back.Privileged.Gone, back.Privileged.New}, Packages: PackageDiff{back.Packages.Removed, back.Packages.Added, changed}, Configuration: settings,
		Layers: LayerDiff{back.Layers.Shared, back.Layers.SharedBytes, back.Layers.Taken, back.Layers.TakenBytes, back.Layers.Added, back.Layers.AddedBytes}}
	if diff := cmp.Diff(*d, turned, cmpopts.IgnoreUnexported(Setting{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the other way:\n%s", diff)
	}
}

// none says whether a comparison found nothing that is other.
func none(d *Diff) bool {
	return len(d.New)+len(d.Mended)+len(d.Untold)+len(d.Packages.Added)+len(d.Packages.Removed)+len(d.Packages.Changed)+len(d.Configuration)+len(d.Privileged.New)+len(d.Privileged.Gone)+d.Layers.Added+d.Layers.Taken == 0
}

// TestDiffSame: an image and itself have nothing that is other, and neither have spellings of
// one configuration.
func TestDiffSame(t *testing.T) {
	before, after := two(t)
	for _, c := range []*Contents{before, after} {
		d := diffOf(t, c, c)
		if !none(d) || len(d.Left) == 0 || d.Layers.Shared != len(c.Document.Layers) {
			t.Errorf("%+v", d)
		}
		var js bytes.Buffer
		if err := d.WriteJSON(&js); err != nil || strings.Contains(js.String(), "null") {
			t.Errorf("%v: %s", err, js.String())
		}
	}
	spelled := func(config map[string]any) *Contents {
		return look(t, imagetest.Saved(t, imagetest.Config{"config": config}, modules("a", "1.1.0"), imagetest.Layer{"/x": "1"}, imagetest.Layer{"/x": "1"}), Options{})
	}
	plain := spelled(nil)
	for _, config := range []map[string]any{
		{"User": "root"}, {"User": "0:0"}, {"User": "root:root"}, {"WorkingDir": "/"}, {"Healthcheck": map[string]any{"Test": []string{"NONE"}}}, {"Env": []string{}, "Cmd": []string{}},
	} {
		if d := diffOf(t, plain, spelled(config)); !none(d) {
			t.Errorf("%v: %+v", config, d.Configuration)
		}
	}
	for _, config := range []map[string]any{{"User": "root:app"}, {"User": "app"}, {"WorkingDir": "/x"}, {"StopSignal": "SIGINT"}} {
		if d := diffOf(t, plain, spelled(config)); len(d.Configuration) != 1 {
			t.Errorf("%v: %+v", config, d.Configuration)
		}
	}
}

// TestDiffUntold: what a document or a folder does not tell is not called other, and a secret
// that only the second can have told is not called new.
func TestDiffUntold(t *testing.T) {
	before, after := two(t)
	document := &Contents{Document: before.Document}
	d := diffOf(t, document, after)
	if rulesOf(d.New) != "CVE-3 CVE-1" || rulesOf(d.Untold) != "secret:command-secret secret:generic-api-key secret:netrc-password secret:netrc-password secret:netrc-password" {
		t.Errorf("%s; %s", rulesOf(d.New), rulesOf(d.Untold))
	}
	if len(d.Configuration)+len(d.Privileged.New)+d.Layers.Added+d.Layers.Shared != 0 || len(d.NotCompared) != 4 {
		t.Errorf("%+v", d)
	}
	if is, maybe := d.Worst(finding.High); is || !maybe {
		t.Error("a secret may be new")
	}
	if is, maybe := d.Worst(finding.Medium); !is || !maybe {
		t.Error("CVE-3 is new")
	}
	back := diffOf(t, after, document)
	if rulesOf(back.Mended) != "CVE-3 CVE-1" || len(back.Untold) != 0 {
		t.Errorf("the other way: %s; %s", rulesOf(back.Mended), rulesOf(back.Untold))
	}
	folder := *before
	folder.Config = nil
	if d := diffOf(t, &folder, after); len(d.NotCompared) != 2 || len(d.Configuration)+d.Layers.Added != 0 || len(d.Privileged.New) != 2 || rulesOf(d.New) != "secret:netrc-password CVE-3 CVE-1" {
		t.Errorf("%+v", d)
	}
}

// TestDiffCapable: capabilities of a program count as setuid does.
func TestDiffCapable(t *testing.T) {
	before, _ := two(t)
	after := *before
	after.Files.Capable = []facts.CapableFile{{Path: "/bin/ping", Capabilities: []string{"NET_RAW"}}, {Path: "/usr/bin/mount", Capabilities: []string{"SYS_ADMIN"}}}
	d := diffOf(t, before, &after)
	want := []PrivilegedFile{{"/bin/ping", []string{"NET_RAW"}}, {"/usr/bin/mount", []string{"SYS_ADMIN"}}}
	if diff := cmp.Diff(want, d.Privileged.New); diff != "" {
		t.Error(diff)
	}
	if len(d.Privileged.Gone) != 0 {
		t.Errorf("%+v", d.Privileged.Gone)
	}
	mirrored(t, d, diffOf(t, &after, before))
}

// TestDiffWay: versions have the order of what they are versions of; where they have none,
// or some are later and some earlier, no way is said.
func TestDiffWay(t *testing.T) {
	for _, c := range []struct{ typ, before, after, way string }{
		{sbom.Deb, "1.0~rc1", "1.0", "up"}, {sbom.Deb, "1:1.0", "2.0", "down"}, {sbom.APK, "1.2-r9", "1.2-r10", "up"}, {sbom.RPM, "1.0-9", "1.0-10", "up"}, {sbom.NPM, "1.10.0", "1.9.0", "down"},
		{sbom.Go, "v1.9.0", "v1.10.0", "up"}, {sbom.Go, "(devel)", "v1.10.0", ""}, {sbom.PyPI, "1.0", "1.0.0", ""}, {"generic", "1", "2", ""}, {sbom.NPM, "", "1.0.0", ""},
		{sbom.NPM, "1.0.0 3.0.0", "2.0.0", ""}, {sbom.NPM, "1.0.0 2.0.0", "3.0.0 4.0.0", "up"}, {sbom.NPM, "1.0.0", "1.0.0 0.1.0", ""},
	} {
		list := func(versions string) (out []sbom.Package) {
			for _, v := range strings.Split(versions, " ") {
				out = append(out, sbom.Package{Type: c.typ, Name: "x", Version: v})
			}
			return out
		}
		d := packageDiff(list(c.before), list(c.after))
		if len(d.Changed) != 1 || d.Changed[0].Way != c.way {
			t.Errorf("%s, %s to %s: %+v", c.typ, c.before, c.after, d)
		}
	}
}

// TestDiffRandom: whatever packages two images have, one way is the other turned round; what
// came, went and changed makes of the first's packages the second's.
func TestDiffRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		some := func() *Contents {
			c := &Contents{Document: sbom.Document{Name: "x"}}
			for range r.IntN(8) {
				c.Document.Packages = append(c.Document.Packages, sbom.Package{Type: sbom.NPM, Name: []string{"a", "came", "c"}[r.IntN(3)], Version: []string{"1.0.0", "1.1.0", "2.0.0"}[r.IntN(3)]})
			}
			return c
		}
		a, b := some(), some()
		d := diffOf(t, a, b)
		mirrored(t, d, diffOf(t, b, a))
		have := versionsOf(a)
		for _, p := range d.Packages.Added {
			have[p.Name] = p.Versions
		}
		for _, p := range d.Packages.Removed {
			delete(have, p.Name)
		}
		for _, p := range d.Packages.Changed {
			have[p.Name] = p.After
		}
		if diff := cmp.Diff(versionsOf(b), have); diff != "" {
			t.Fatal(diff)
		}
	}
}

// versionsOf are the packages of an image, and the versions of each.
func versionsOf(c *Contents) map[string][]string {
	out := map[string][]string{}
	for _, p := range c.Document.Packages {
		out[p.Name] = append(out[p.Name], p.Version)
		slices.Sort(out[p.Name])
		out[p.Name] = slices.Compact(out[p.Name])
	}
	return out
}

// TestDiffWritten: what became worse is first, then what became better; no value of a secret
// is told, and nothing in a name reaches a terminal.
func TestDiffWritten(t *testing.T) {
	before, after := two(t)
	after.Document.Name = "app:2\x1b[31m"
	d := diffOf(t, before, after)
	var table, js bytes.Buffer
	if err := d.WriteTable(term.New(term.Config{Writer: &table}), false); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(wanted, "ID1", before.Document.ID.Encoded()[:8]), strings.ReplaceAll(table.String(), after.Document.ID.Encoded()[:8], "ID2")); diff != "" {
		t.Errorf("%s\n%s", table.String(), diff)
	}
	for _, text := range []string{table.String(), js.String()} {
		if strings.Contains(text, password) || strings.Contains(text, "\x1b") {
			t.Errorf("%s", text)
		}
	}
	var back Diff
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || back.Schema != "plimsoll/imagediff/1" {
		t.Errorf("%v: %s", err, js.String())
	}
	if diff := cmp.Diff(d.Packages, back.Packages); diff != "" {
		t.Error(diff)
	}
}

const wanted = `app:2\x1b[31m@sha256:ID2  debian 12, 5 packages
beside docker-archive:app.tar@sha256:ID1  debian 12, 5 packages

Worse                  1 flaw, 1 secret, 2 programs, 1 older version, 2 settings
 H  a password of .netrc is in /srv/.netrc, line 1         secret:netrc-password
 M  came 1.0.0 -> 9.0.0                                                    CVE-3
    /app4/node_modules/came/package.json
    npm install came@9.0.0
 >  /usr/bin/newgrp has setgid
 >  /usr/bin/su has setuid
 >  b 2.0.0 -> 1.9.0                                                         npm
 >  user: app -> 0
 >  health check: --interval=1m0s --retries=2 ["CMD","true"] -> none

Better                                                        1 flaw, 2 programs
 +  a 1.0.0                                                                CVE-1
 +  /usr/bin/newgrp no longer has setuid
 +  /usr/bin/passwd no longer has setuid

Packages                                1 added, 1 removed, 3 in another version
    a 1.0.0 -> 1.1.0                                                         npm
    many 1.0.0, 3.0.0 -> 2.0.0, 3.0.0                                        npm
    Added: came 1.0.0
    Removed: gone 1.0.0

Configuration                                                          5 changes
    cmd: ["a"] -> none
    environment: with C; without B
    ports: with 443/tcp
    volumes: with /data
    labels: with other=2; without other=1

 3 new, 1 mended, 5 as before.
 1 layer is shared, 64 bytes; 3 added, 303 bytes; 2 taken away, 191 bytes.
 1 of the new and mended is no security issue, as the distribution says: -v lists them.
`
