package scan

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/linking/linkingtest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// look looks into an archive.
func look(t *testing.T, path string, o Options) *Contents {
	t.Helper()
	i, err := image.Open(t.Context(), image.Reference{Source: image.DockerArchive, At: path}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	o.Temp = t.TempDir()
	c, err := Look(t.Context(), i, "docker-archive:app.tar", o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// password is put together, so that no file of ours has it.
var password = strings.Join([]string{"hunter2", "qT7vX9zLw"}, "-")

func layered(t *testing.T) string {
	return imagetest.Saved(t, imagetest.Config{
		"created": "2026-11-01T00:00:00Z",
		"config":  map[string]any{"User": "app", "Env": []string{"PATH=/bin"}},
		"history": []map[string]any{{"created_by": "/bin/sh -c #(nop) ADD file:1 in / "}, {"created_by": `/bin/sh -c #(nop)  CMD ["bash"]`, "empty_layer": true},
			{"created_by": "COPY .netrc /root/ # buildkit"}, {"created_by": "RUN /bin/sh -c rm /root/.netrc # buildkit"}, {"created_by": "USER app", "empty_layer": true}},
	}, imagetest.Layer{
		"/etc/os-release":              "ID=debian\nVERSION_ID=12\n",
		"/var/lib/dpkg/status":         "Package: zlib1g\nStatus: install ok installed\nSource: zlib\nVersion: 1:1.2.13\nArchitecture: amd64\n",
		"/usr/bin/su":                  "4755:x",
		"/node_modules/a/package.json": `{"name":"a; reboot","version":"1.0.0"}`,
		"/usr/lib/libunused.so.1":      linkingtest.File{Soname: "libunused.so.1"}.Bytes(),
		"/a":                           strings.Repeat("a", 5000),
		"/etc/ld.so.conf":              "/opt/lib\n",
	}, imagetest.Layer{
		"/root/.netrc":         "machine example.org login ana password " + password + "\n",
		"/opt/lib/libown.so.1": linkingtest.File{Soname: "libown.so.1"}.Bytes(),
		"/b":                   strings.Repeat("a", 5000),
	}, imagetest.Layer{"/root/.wh..netrc": ""})
}

// TestLook: packages with their layers and steps, what came of the base, and a secret that
// a later layer only hides; a second look reads nothing and sees the same.
func TestLook(t *testing.T) {
	path, cache := layered(t), Cache(filepath.Join(t.TempDir(), "layers"))
	c := look(t, path, Options{Cache: cache})
	if c.Read != 3 || c.Kept != 0 {
		t.Errorf("%d were read, %d kept", c.Read, c.Kept)
	}
	var steps []string
	var base []bool
	for _, l := range c.Document.Layers {
		steps, base = append(steps, l.Step), append(base, l.Base)
	}
	if !slices.Equal(base, []bool{true, false, false}) || !strings.HasPrefix(steps[1], "COPY .netrc") {
		t.Errorf("%v %q", base, steps)
	}
	if len(c.Document.Packages) != 2 || c.Document.Packages[0].Distro.ID != "debian" || c.Facts.User != "app" {
		t.Errorf("%+v", c.Document)
	}
	if want := []facts.SetuidFile{{Path: "/usr/bin/su", Mode: "4755"}}; !cmp.Equal(want, c.Facts.Setuid) {
		t.Errorf("%+v", c.Facts.Setuid)
	}
	if len(c.Secrets) != 1 || c.Secrets[0].Path != "/root/.netrc" || c.Secrets[0].Layer != 1 {
		t.Fatalf("%+v", c.Secrets)
	}
	if len(c.Files.Duplicates) != 1 || len(c.Files.Unlinked) != 2 { // one of them where only the loader's list leads
		t.Errorf("%+v %+v", c.Files.Duplicates, c.Files.Unlinked)
	}
	again := look(t, path, Options{Cache: cache})
	if again.Read != 0 || again.Kept != 3 {
		t.Errorf("the second time %d were read, %d kept", again.Read, again.Kept)
	}
	if diff := cmp.Diff(c, again, cmpopts.IgnoreFields(Contents{}, "View", "Tree", "Read", "Kept")); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(slices.Collect(c.View.All()), slices.Collect(again.View.All())) {
		t.Error("the views differ")
	}
}

// TestCache: what is damaged, of another version or of another layer is not used, and told
// where it is damaged; the layer is read anew.
func TestCache(t *testing.T) {
	path, cache := layered(t), Cache(t.TempDir())
	want := look(t, path, Options{Cache: cache})
	files, err := filepath.Glob(filepath.Join(string(cache), "*"+suffix))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 0x20
	for name, data := range map[string][]byte{"cut": whole[:len(whole)-3], "flipped": flipped, "empty": {}, "another layer's": other} {
		if err := os.WriteFile(files[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		told := 0
		c := look(t, path, Options{Cache: cache, Log: func(string, ...any) { told++ }})
		if c.Read != 1 || c.Kept != 2 || (told == 0) != (name == "another layer's") {
			t.Errorf("%s: %d read, %d kept, told %d times", name, c.Read, c.Kept, told)
		}
		if diff := cmp.Diff(want.Document, c.Document); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if data, err := os.ReadFile(files[0]); err != nil || len(data) == 0 {
			t.Errorf("%s: it was not kept anew: %v", name, err)
		}
	}
	if c := look(t, path, Options{}); c.Read != 3 {
		t.Errorf("without a cache %d were read", c.Read)
	}
	if err := cache.prune(1); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(string(cache), "*")); err != nil || len(left) != 0 {
		t.Errorf("pruned to %v, %v", left, err)
	}
}

// TestLists: lists of files that are too long together are told, in whatever layer; ordinary
// ones are kept.
func TestLists(t *testing.T) {
	l := imagetest.Layer{"/var/lib/dpkg/info/a.list": "/bin/a\n"}
	if c := look(t, imagetest.Saved(t, nil, l), Options{}); len(c.Document.Unread) != 0 || len(c.Installed["a"]) != 1 {
		t.Errorf("%q %q", c.Document.Unread, c.Installed)
	}
	long := strings.Repeat("/usr/share/doc/a\n", 4<<20/17)
	for n := range 9 {
		l["/var/lib/dpkg/info/b"+string(rune('a'+n))+".list"] = long
	}
	c := look(t, imagetest.Saved(t, nil, l), Options{})
	if len(c.Document.Unread) != 1 || !strings.Contains(c.Document.Unread[0], "packages of its layer list more than") || len(c.Installed) != 9 {
		t.Errorf("%q, lists of %d", c.Document.Unread, len(c.Installed))
	}
}

// records are what is known, by ecosystem and name.
type records map[string]vuln.Answer

func (r records) Match(q vuln.Query) (vuln.Answer, error) {
	return r[q.Ecosystem+" "+q.Name+" "+q.Version], nil
}

func (r records) Details(m vuln.Match) (*vuln.Details, error) {
	return &vuln.Details{ID: m.ID, Summary: "about " + m.ID}, nil
}

func (r records) Weigh(id string) (vuln.Weight, error) {
	w := vuln.Weight{Tenths: -1, EPSS: -1, Percentile: -1}
	if id == "CVE-5" {
		w = vuln.Weight{Level: vuln.Medium, Tenths: 55, From: "Bitnami", Exploited: time.Unix(1.7e9, 0), EPSS: 0.5, Percentile: 0.9}
	}
	return w, nil
}

// TestWeigh: what others say of a flaw stands where its own record says nothing, and is told
// as theirs.
func TestWeigh(t *testing.T) {
	c := look(t, imagetest.Saved(t, nil, imagetest.Layer{"/node_modules/a/package.json": `{"name":"a","version":"1.0.0"}`}), Options{})
	known := records{"npm a 1.0.0": {Matches: []vuln.Match{{ID: "CVE-5", Fixed: "2.0.0", Severity: vuln.Severity{Tenths: -1}}, {ID: "CVE-6", Severity: vuln.Severity{Level: vuln.Low, Tenths: 20}}}}}
	r, err := Judge(c, Measure{Records: known, Weights: Weights{Unknown: finding.Critical}})
	if err != nil || len(r.Findings) != 2 {
		t.Fatalf("%+v, %v", r.Findings, err)
	}
	five, six := r.Findings[0], r.Findings[1]
	if five.Severity != finding.Medium || five.Evidence["level_from"] != "Bitnami" || five.Evidence["level_guessed"] != false || five.Evidence["exploited_since"] != "2023-11-14" || five.Evidence["epss"] != 0.5 {
		t.Errorf("%s %+v", five.Severity, five.Evidence)
	}
	if _, told := six.Evidence["level_from"]; told || six.Severity != finding.Low || six.Evidence["epss"] != nil {
		t.Errorf("%s %+v", six.Severity, six.Evidence)
	}
}

// TestJudge: flaws by what they count as, with what mends them; what could not be told, and
// a secret without its value.
func TestJudge(t *testing.T) {
	c := look(t, layered(t), Options{})
	known := records{
		"Debian:12 zlib 1:1.2.13": {Matches: []vuln.Match{
			{ID: "CVE-1", Fixed: "1:1.3", Severity: vuln.Severity{Tenths: -1}},
			{ID: "CVE-2", Severity: vuln.Severity{Tenths: -1}},
			{ID: "CVE-3", Fixed: "1:1.2.14", Severity: vuln.Severity{Level: vuln.Critical, Tenths: 98}},
			{ID: "CVE-4", Severity: vuln.Severity{Level: vuln.Negligible, Tenths: -1}, Urgency: "unimportant"},
		}, Undecided: []string{"DSA-9"}},
		"npm a; reboot 1.0.0": {NotEvaluated: "there is no database of npm", Matches: []vuln.Match{{ID: "GHSA-1", Fixed: "2.0.0", Severity: vuln.Severity{Level: vuln.Low, Tenths: 20}}}},
	}
	m := Measure{Records: known, Weights: Weights{Unknown: finding.High}, Started: time.Unix(1e9, 0), Status: []vuln.Status{{Family: "Debian", Newest: time.Unix(9e8, 0)}, {Family: "Go"}}}
	r, err := Judge(c, m)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Findings {
		got = append(got, strings.Join([]string{f.Rule, f.Status.String(), string(f.Severity), f.Element}, " "))
	}
	want := []string{
		"CVE-1 fail high pkg:deb/debian/zlib@1:1.2.13", "CVE-2 fail info pkg:deb/debian/zlib@1:1.2.13", "CVE-3 fail critical pkg:deb/debian/zlib@1:1.2.13", "CVE-4 fail info pkg:deb/debian/zlib@1:1.2.13",
		"DSA-9 unknown high pkg:deb/debian/zlib@1:1.2.13", "GHSA-1 fail low pkg:npm/a%3B%20reboot@1.0.0", "flaws-not-evaluated unknown high npm", "secret:netrc-password fail high /root/.netrc:1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, f := range r.Findings {
		switch f.Rule {
		case "CVE-1":
			if f.Evidence["upgrade"] != "1:1.3" || f.Evidence["fixed"] != "1:1.3" || f.Evidence["from_base"] != true || f.Remedy == nil || !strings.Contains(f.Remedy.Dockerfile, "--only-upgrade zlib1g") {
				t.Errorf("%+v %+v", f.Evidence, f.Remedy)
			}
		case "CVE-2":
			if f.Remedy != nil {
				t.Errorf("nothing mends it: %+v", f.Remedy)
			}
		case "GHSA-1":
			if f.Remedy != nil {
				t.Errorf("a name that is a command is in %+v", f.Remedy)
			}
		case "secret:netrc-password":
			if f.Evidence["hidden"] != true || !strings.Contains(f.Message, "a later layer only hides it") {
				t.Errorf("%q %+v", f.Message, f.Evidence)
			}
		}
	}
	if diff := cmp.Diff([]finding.Data{{Name: "Debian", Newest: time.Unix(9e8, 0)}}, r.Image.Data); diff != "" {
		t.Error(diff)
	}
	data, err := json.Marshal(r)
	if err != nil || strings.Contains(string(data), password) || strings.Contains(string(data), "qT7vX9zLw") {
		t.Errorf("the value is told: %v", err)
	}
	m.Without = []string{"npm"}
	if r, err = Judge(c, m); err != nil || slices.ContainsFunc(r.Findings, func(f finding.Finding) bool { return f.Element == "npm" || f.Rule == "GHSA-1" }) {
		t.Errorf("without npm: %v, %v", r.Findings, err)
	}
}

// TestTable: what the base image brought is told apart, and so is a distribution that nobody
// mends any more; of another one neither.
func TestTable(t *testing.T) {
	known := records{"npm a 1.0.0": {Matches: []vuln.Match{{ID: "CVE-1", Fixed: "2.0.0", Severity: vuln.Severity{Level: vuln.High, Tenths: 80}}}}}
	history := imagetest.Config{"history": []map[string]any{{"created_by": "ADD file:1 in /"}, {"created_by": `CMD ["sh"]`, "empty_layer": true}, {"created_by": "COPY b /"}}}
	package1 := `{"name":"a","version":"1.0.0"}`
	for _, tc := range []struct {
		os, base, own string
		want          []string
		not           string
	}{
		{"ID=debian\nVERSION_ID=9\n", "/node_modules/a/package.json", "/x", []string{"1 of 1 flaw with a fix, on a newer base image", "was mended until 2022-06-30"}, "Nobody"},
		{"ID=debian\nVERSION_ID=13\n", "/x", "/node_modules/a/package.json", []string{"1 has a fix"}, "newer base"},
	} {
		c := look(t, imagetest.Saved(t, history, imagetest.Layer{"/etc/os-release": tc.os, tc.base: package1}, imagetest.Layer{tc.own: package1}), Options{})
		r, err := Judge(c, Measure{Records: known, Started: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		Advise(&r, c, true)
		var b bytes.Buffer
		if err := Table(term.New(term.Config{Writer: &b}), r, false); err != nil {
			t.Fatal(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		}
		if strings.Contains(b.String(), tc.not) {
			t.Errorf("%q in\n%s", tc.not, b.String())
		}
	}
}

// TestNothing: an image in which no file tells of a package was not evaluated.
func TestNothing(t *testing.T) {
	r, err := Judge(look(t, imagetest.Saved(t, nil, imagetest.Layer{"/app": "exec:x"}), Options{}), Measure{Records: records{}})
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Rule != finding.FlawsNotEvaluated || r.Findings[0].Status != finding.Unknown {
		t.Errorf("%+v, %v", r.Findings, err)
	}
}

// TestOwned: what a distribution installed with a package of its own is its to mend.
func TestOwned(t *testing.T) {
	list, owned := components([]sbom.Package{{Type: sbom.PyPI, Name: "six", Version: "1", Owner: "python3-six"}, {Type: sbom.PyPI, Name: "x", Version: "1"}, {Type: sbom.PyPI, Name: "x", Version: "1", Path: "/b"}})
	if owned != 1 || len(list) != 1 || len(list[0].Packages) != 2 {
		t.Errorf("%d owned, %+v", owned, list)
	}
}

// TestBrought: what only sounds like a secret counts as info where a package of the
// distribution brought the file, and as a secret where a later layer put another file in its
// place, where people write, and where it is a key; and a lock file that a package brought
// lists nothing that is installed.
func TestBrought(t *testing.T) {
	sounding := "api_key = \"" + strings.Join([]string{"8f14e45f", "ceea167a", "5a36dedd", "4bea2543"}, "") + "\"\n"
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	lock := `{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"}}}`
	paths := []string{"/usr/lib/x/kept.rb", "/usr/lib/x/replaced.rb", "/lib/x/merged.rb", "/etc/x.conf", "/usr/lib/x/id_rsa", "/usr/share/x/package-lock.json"}
	path := imagetest.Saved(t, nil, imagetest.Layer{
		"/etc/os-release":                "ID=debian\nVERSION_ID=12\n",
		"/var/lib/dpkg/status":           "Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n",
		"/var/lib/dpkg/info/x.list":      strings.Join(paths, "\n") + "\n",
		"/usr/lib/x/kept.rb":             sounding,
		"/usr/lib/x/replaced.rb":         "x",
		"/usr/lib/x/merged.rb":           sounding,
		"/usr/lib/x/own.rb":              sounding,
		"/etc/x.conf":                    sounding,
		"/usr/lib/x/id_rsa":              key,
		"/usr/share/x/package-lock.json": lock,
		"/app/package-lock.json":         strings.Replace(lock, "/a", "/b", 1),
	}, imagetest.Layer{"/usr/lib/x/replaced.rb": sounding})
	c := look(t, path, Options{})
	got := map[string]finding.Severity{}
	for _, f := range c.SecretFindings() {
		got[f.Evidence["path"].(string)] = f.Severity
	}
	want := map[string]finding.Severity{"/usr/lib/x/kept.rb": finding.Info, "/usr/lib/x/merged.rb": finding.Info, "/usr/lib/x/replaced.rb": finding.High, "/usr/lib/x/own.rb": finding.High, "/etc/x.conf": finding.High, "/usr/lib/x/id_rsa": finding.High}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var names []string
	for _, p := range c.Document.Packages {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"x", "b"}, names); diff != "" {
		t.Error(diff)
	}
}
