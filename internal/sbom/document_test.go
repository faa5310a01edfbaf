package sbom

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/opencontainers/go-digest"
	purl "github.com/package-url/packageurl-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

var maker = Maker{Name: "plimsoll", Version: "1.2.3", At: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}

const (
	sum1 = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sum2 = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func sample() *Document {
	os := OS{ID: "debian", VersionID: "12", Codename: "bookworm", Like: []string{"x", "y"}, Name: "Debian GNU/Linux 12 (bookworm)"}
	return &Document{Name: "shop/api:1", Names: []string{"registry.example/shop/api:1"}, ID: sum1, Manifest: sum2, OS: os, Layers: []Layer{{DiffID: sum1, Step: "ADD rootfs /", Base: true}, {DiffID: sum2}},
		Packages: []Package{
			{Type: Deb, Name: "bsdutils", Version: "1:2.38.1-5+deb12u3", Arch: "amd64", Source: Source{"util-linux", "2.38.1-5+deb12u3"}, Distro: os, Path: "/var/lib/dpkg/status"},
			{Type: NPM, Name: "@angular/core", Version: "17.0.0", Path: "/app/node_modules/@angular/core/package.json", Layer: 1, Licences: []string{"MIT"}},
			{Type: NPM, Name: "@angular/core", Version: "17.0.0", Path: "/other", Layer: 1, Licences: []string{"MIT OR Apache-2.0", "whatever it is called"}},
			{Type: PyPI, Name: "six", Version: "1.16.0", Path: "</script>\x1b[31m", Owner: "python3-six", Licences: []string{"a name"}},
			{Type: Go, Name: "stdlib", Version: "1.21.3", Path: "/app/x", Layer: -1},
		}, Unread: []string{"/a.jar: it is no zip"}}
}

// compile gives the schema that a standard publishes.
func compile(t testing.TB, file string, beside map[string]string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	add := func(id, path string) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		doc, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	for id, path := range beside {
		add(id, path)
	}
	add("file:///schema.json", file)
	schema, err := c.Compile("file:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validate checks a document by a schema.
func validate(schema *jsonschema.Schema, data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

// schemas are CycloneDX's, in the module of the library that writes the form, and SPDX's.
func schemas(t testing.TB) (cycloneDX, spdx *jsonschema.Schema) {
	t.Helper()
	dir := schemaDir(t)
	return compile(t, filepath.Join(dir, "bom-1.6.schema.json"), map[string]string{
		"http://cyclonedx.org/schema/spdx.schema.json":     filepath.Join(dir, "spdx.schema.json"),
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	}), compile(t, filepath.Join("testdata", "spdx-schema-2.3.json"), nil)
}

func schemaDir(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "schema")
}

// TestCycloneDX: what is written is valid, says the same twice, is read again, and holds
// what a hostile name says as text.
func TestCycloneDX(t *testing.T) {
	d := sample()
	flaws := []Flaw{{ID: "CVE-2026-1", IDs: []string{"CVE-2026-1", "GHSA-a"}, Severity: "high", Score: 7.5, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", Summary: "bad", Fixed: "2", Packages: []int{0}},
		{ID: "CVE-2026-2", Severity: "unknown", Score: -1, Packages: []int{1, 2}, State: "not_affected", Why: "not called"},
		{ID: "CVE-2026-1", Severity: "low", Score: -1, Fixed: "3", Packages: []int{3}}}
	var a, b bytes.Buffer
	if err := d.WriteCycloneDX(&a, maker, flaws); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteCycloneDX(&b, maker, flaws); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("twice is not the same: %v", err)
	}
	schema, _ := schemas(t)
	if err := validate(schema, a.Bytes()); err != nil {
		t.Error(err)
	}
	if bytes.Contains(a.Bytes(), []byte("</script>")) || bytes.ContainsRune(a.Bytes(), '\x1b') {
		t.Error("a name is not harmless")
	}
	if !json.Valid(a.Bytes()) || !strings.Contains(a.String(), `"upgrade to 2"`) || !strings.Contains(a.String(), `"plimsoll:step"`) {
		t.Errorf("%s", a.Bytes())
	}
	var refs struct {
		Serial     string `json:"serialNumber"`
		Components []struct {
			Ref string `json:"bom-ref"`
		} `json:"components"`
		Flaws []struct {
			Ref     string `json:"bom-ref"`
			Source  struct{ Name string }
			Affects []struct {
				Ref      string
				Versions []struct{ Version, Status string }
			} `json:"affects"`
		} `json:"vulnerabilities"`
	}
	if err := json.Unmarshal(a.Bytes(), &refs); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range refs.Components {
		if seen[c.Ref] {
			t.Errorf("%s is there twice", c.Ref)
		}
		seen[c.Ref] = true
	}
	for _, f := range refs.Flaws {
		if !seen[f.Affects[0].Ref] || seen[f.Ref] || f.Source.Name != "CVE" {
			t.Errorf("%+v", f)
		}
		seen[f.Ref] = true
	}
	if one, two := refs.Flaws[0].Affects[0].Versions[0], refs.Flaws[1].Affects[0].Versions[0]; one.Version != "1:2.38.1-5+deb12u3" || one.Status != "affected" || two.Status != "unaffected" {
		t.Errorf("%+v %+v", one, two)
	}
	var without bytes.Buffer
	if err := d.WriteCycloneDX(&without, maker, nil); err != nil || strings.Contains(without.String(), refs.Serial) {
		t.Errorf("with flaws and without has one number: %v", err)
	}
	got, err := Read("it", a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != d.ID || got.Manifest != d.Manifest || got.OS.ID != "debian" || got.OS.Codename != "bookworm" {
		t.Errorf("%+v", got)
	}
	same(t, d, got)
}

func TestSPDX(t *testing.T) {
	d := sample()
	var a, b bytes.Buffer
	if err := d.WriteSPDX(&a, maker); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteSPDX(&b, maker); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("twice is not the same: %v", err)
	}
	_, schema := schemas(t)
	if err := validate(schema, a.Bytes()); err != nil {
		t.Error(err)
	}
	got, err := Read("it", a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	same(t, d, got)
}

// same compares packages, without what documents do not have.
func same(t testing.TB, want, got *Document) {
	t.Helper()
	d := *want
	d.Packages = append([]Package{}, want.Packages...)
	sortPackages(&d)
	ignore := []cmp.Option{cmpopts.IgnoreFields(Package{}, "Layer", "Distro"), cmpopts.EquateEmpty(), cmp.Transformer("utf8", func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") })}
	if diff := cmp.Diff(d.Packages, got.Packages, ignore...); diff != "" {
		t.Error(diff)
	}
}

func sortPackages(d *Document) {
	list := d.Packages
	for i := range list {
		for j := i; j > 0 && list[j].Compare(&list[j-1]) < 0; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

// TestFromPURL: what others write is read, and what names no package is not.
func TestFromPURL(t *testing.T) {
	for _, tc := range []struct {
		url, name, version, source, sourceVersion, ecosystem string
	}{
		{"pkg:deb/debian/bsdutils@2.38.1-5?arch=amd64&distro=debian-12.5&epoch=1", "bsdutils", "1:2.38.1-5", "bsdutils", "1:2.38.1-5", "Debian:12"},
		{"pkg:deb/debian/bsdutils@1%3A2.38.1-5?arch=amd64&distro=debian-12&upstream=util-linux%402.38.1-5", "bsdutils", "1:2.38.1-5", "util-linux", "2.38.1-5", "Debian:12"},
		{"pkg:deb/debian/libc6@2.36?distro=bookworm", "libc6", "2.36", "libc6", "2.36", "Debian:bookworm"},
		{"pkg:deb/ubuntu/libc6@2.35?distro=ubuntu-22.04&upstream=glibc", "libc6", "2.35", "glibc", "2.35", "Ubuntu:22.04:LTS"},
		{"pkg:apk/alpine/libcrypto3@3.1.4-r5?arch=x86_64&distro=3.19.1&upstream=openssl", "libcrypto3", "3.1.4-r5", "openssl", "3.1.4-r5", "Alpine:v3.19"},
		{"pkg:apk/alpine/libcrypto3@3.1.4-r5?distro=alpine-3.19.1", "libcrypto3", "3.1.4-r5", "libcrypto3", "3.1.4-r5", "Alpine:v3.19"},
		{"pkg:rpm/almalinux/bind-libs@9.16.23-1.el9?arch=x86_64&distro=almalinux-9.3&epoch=32&upstream=bind-9.16.23-1.el9.src.rpm", "bind-libs", "32:9.16.23-1.el9", "bind", "32:9.16.23-1.el9", "AlmaLinux:9"},
		{"pkg:rpm/redhat/bash@5.1.8-6.el9?arch=x86_64&distro=rhel-9.2&epoch=0", "bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", "Red Hat:9"},
		{"pkg:rpm/redhat/bash@5.1.8-6.el9?distro=redhat-9.2", "bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", "Red Hat:9"},
		{"pkg:rpm/alma/bash@0:5.1.8-6.el9?distro=alma-9.3", "bash", "5.1.8-6.el9", "bash", "5.1.8-6.el9", "AlmaLinux:9"},
		{"pkg:rpm/opensuse/bash@4.4-1?distro=opensuse-leap-15.5", "bash", "4.4-1", "bash", "4.4-1", "openSUSE:Leap 15.5"},
		{"pkg:rpm/opensuse.leap/bash@4.4-1?distro=opensuse.leap-15.5", "bash", "4.4-1", "bash", "4.4-1", "openSUSE:Leap 15.5"},
		{"pkg:rpm/opensuse/bash@4.4-1?distro=opensuse-tumbleweed-20240101", "bash", "4.4-1", "bash", "4.4-1", "openSUSE:Tumbleweed"},
		{"pkg:deb/libc6@2.36?distro=debian-12", "libc6", "2.36", "libc6", "2.36", "Debian:12"},
		{"pkg:deb/debian/libc6@2.36?distro=debian-sid", "libc6", "2.36", "libc6", "2.36", "Debian:sid"},
		{"pkg:deb/debian/libc6@2.36?distro=ubuntu-22.04", "libc6", "2.36", "libc6", "2.36", "Debian:"},
		{"pkg:maven/junit@4.13", "junit", "4.13", "junit", "4.13", "Maven"},
		{"pkg:golang/example.org/a@%28devel%29", "example.org/a", "", "example.org/a", "", "Go"},
		{"pkg:golang/example.org/a/b@v1.0.0#v2", "example.org/a/b/v2", "1.0.0", "example.org/a/b/v2", "1.0.0", "Go"},
		{"pkg:composer/symfony/yaml@v6.0.0", "symfony/yaml", "6.0.0", "symfony/yaml", "6.0.0", "Packagist"},
		{"pkg:npm/%40angular/core@17.0.0", "@angular/core", "17.0.0", "@angular/core", "17.0.0", "npm"},
		{"pkg:golang/golang.org/x/net@v0.17.0", "golang.org/x/net", "0.17.0", "golang.org/x/net", "0.17.0", "Go"},
		{"pkg:maven/org.slf4j/slf4j-api@1.7.30?type=jar", "org.slf4j:slf4j-api", "1.7.30", "org.slf4j:slf4j-api", "1.7.30", "Maven"},
	} {
		p, err := FromPURL(tc.url)
		if err != nil {
			t.Errorf("%s: %v", tc.url, err)
			continue
		}
		ecosystem, _ := p.Ecosystem()
		if p.Name != tc.name || p.Version != tc.version || p.SourceName() != tc.source || p.SourceVersion() != tc.sourceVersion || ecosystem != tc.ecosystem {
			t.Errorf("%s: %+v of %s", tc.url, p, ecosystem)
		}
	}
	for _, url := range []string{"pkg:rpm/rocky/nodejs@1?rpmmod=nodejs:18:80800:abcd", "pkg:rpm/rocky/nodejs@1?modularitylabel=nodejs%3A18%3A80800%3Aabcd", "pkg:rpm/rocky/nodejs@1?rpmmod=nodejs:18"} {
		if p, err := FromPURL(url); err != nil || p.Module != "nodejs:18" {
			t.Errorf("%s: %q, %v", url, p.Module, err)
		}
	}
	for _, url := range []string{"", "no", "pkg:swift/a/b@1", "pkg:npm/", "http://example.org"} {
		if p, err := FromPURL(url); err == nil {
			t.Errorf("%q: %+v", url, p)
		}
	}
}

func TestSourceRPM(t *testing.T) {
	for in, want := range map[string][2]string{
		"bash-5.1.8-6.el9.src.rpm": {"bash", "5.1.8-6.el9"}, "a-b-c-1-2.src.rpm": {"a-b-c", "1-2"}, "x-1-1.nosrc.rpm": {"x", "1-1"},
		"(none)": {}, "a.src.rpm": {}, "-1-2.src.rpm": {}, "": {},
	} {
		if name, version := (&Package{Type: RPM, Version: "1-1"}).SourceRPM(in); name != want[0] || version != want[1] {
			t.Errorf("%q: %q %q", in, name, version)
		}
	}
	if name, version := (&Package{Type: RPM, Version: "3:1-1"}).SourceRPM("a-1-1.src.rpm"); name != "a" || version != "3:1-1" {
		t.Errorf("with an epoch: %q %q", name, version)
	}
	if name, _ := (&Package{Type: Deb}).SourceRPM("a-1-1.src.rpm"); name != "" {
		t.Errorf("of Debian: %q", name)
	}
}

// FuzzFromPURL: the package that a package URL is read as has one that is read as the same.
func FuzzFromPURL(f *testing.F) {
	for _, url := range []string{"pkg:deb/debian/bsdutils@2.38.1-5?arch=amd64&distro=debian-12.5&epoch=1&upstream=util-linux%402.38.1-5", "pkg:rpm/redhat/bind@9-1?distro=rhel-9.2&epoch=32&upstream=b-9-1.src.rpm&rpmmod=a:b:c",
		"pkg:rpm/opensuse/bash@4?distro=opensuse-leap-15.5", "pkg:maven/org.slf4j/slf4j-api@1", "pkg:npm/%40a/b@1", "pkg:golang/a/b@v1#c", "pkg:composer/a/b@v1", "pkg:apk/alpine/a@1?distro=3.19.1", "pkg:pypi/A_b@1", "pkg:gem/a%2Fb@1"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		p, err := FromPURL(url)
		if err != nil {
			return
		}
		again, err := FromPURL(p.PURL())
		if err != nil || again.PURL() != p.PURL() {
			t.Fatalf("%q is %+v with %q, and that is %+v with %q, %v", url, p, p.PURL(), again, again.PURL(), err)
		}
	})
}

// TestHostile: whatever is in a name, what is written is valid, is UTF-8 and is read again;
// what has no package URL is told, beside the ordinary package that has one.
func TestHostile(t *testing.T) {
	cycloneDX, spdx := schemas(t)
	for what, name := range map[string]string{"a mebibyte": strings.Repeat("x", 1<<20), "no UTF-8": "a\xff\xfeb", "control": "a\x00\x1b]0;x\x07\u2028\u009b", "markup": "</script><!--", "template": "{{.}} $(id) `id`", "path": "../../etc", "percent": "%2F%00%zz", "none": ""} {
		d := &Document{Name: name, Names: []string{name}, Manifest: sum2, OS: OS{ID: "debian", VersionID: "12", Name: name, Codename: name}, Layers: []Layer{{DiffID: sum1, Step: name}}, Unread: []string{name + "x"},
			Packages: []Package{{Type: NPM, Name: "ordinary", Version: "1"}, {Type: NPM, Name: name, Version: name, Path: name, Owner: name, Licences: []string{name}, Source: Source{name, name}}, {Type: Deb, Name: name, Arch: name, Version: "1" + name, Distro: OS{ID: "debian", VersionID: name}}}}
		var c, s bytes.Buffer
		if err := d.WriteCycloneDX(&c, maker, []Flaw{{ID: name, IDs: []string{name + "2"}, Severity: "low", Score: -1, Summary: name, Fixed: name, Packages: []int{0, 1}, State: "in_triage", Why: name}}); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteSPDX(&s, maker); err != nil {
			t.Fatal(err)
		}
		for schema, data := range map[*jsonschema.Schema][]byte{cycloneDX: c.Bytes(), spdx: s.Bytes()} {
			if err := validate(schema, data); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if !utf8.Valid(data) || bytes.Contains(data, []byte("</script>")) || bytes.ContainsAny(data, "\x00\x1b\x07") {
				t.Errorf("%s is in it as it is", what)
			}
			got, err := Read("it", data)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if !slices.ContainsFunc(got.Packages, func(p Package) bool { return p.Name == "ordinary" }) || len(got.Packages)+len(got.Unread) != 4 {
				t.Errorf("%s: %d packages, and %d unread", what, len(got.Packages), len(got.Unread))
			}
		}
	}
}

// TestImagePURL: the name is the last part of the repository, by whatever it was asked for.
func TestImagePURL(t *testing.T) {
	for name, want := range map[string]string{"registry.example:5000/shop/API:1": "api", "api@" + sum1: "api", "r/api:1@" + sum1: "api", "": "image", ":": "image"} {
		d := &Document{Names: []string{name}, Manifest: sum2}
		if got := d.imagePURL(); got != "pkg:oci/"+want+"@"+sum2 {
			t.Errorf("%s: %s", name, got)
		}
		if _, err := purl.FromString(d.imagePURL()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := (&Document{Names: []string{"api"}}).imagePURL(); got != "" {
		t.Errorf("without a manifest: %s", got)
	}
}

// random draws a document that both forms can say all of.
func random(t *rapid.T) *Document {
	word := rapid.StringMatching(`[a-z][a-z0-9.+_-]{0,8}`)
	cased := rapid.StringMatching(`[A-Za-z][A-Za-z0-9.-]{0,8}`)
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`a; installed by b`, `"quoted"`, `</script>`, "\x1b[31m", `told by x; in layer 2`, "RUN a; b"}))
	d := &Document{OS: rapid.SampledFrom([]OS{{}, {ID: "debian", VersionID: "12", Codename: "bookworm", Like: []string{"a", "b"}, Name: "Debian 12"}, {ID: "debian", Codename: "trixie"}, {ID: "rhel", VersionID: "9.2"},
		{ID: "opensuse-leap", VersionID: "15.5"}}).Draw(t, "os"), Unread: rapid.SliceOf(text.Filter(func(s string) bool { return s != "" })).Draw(t, "unread")}
	if rapid.Bool().Draw(t, "image") {
		d.ID, d.Names, d.Created = sum1, []string{"shop/api:1"}, time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "created"), 5).UTC()
		d.Manifest = rapid.SampledFrom([]digest.Digest{"", sum2}).Draw(t, "manifest")
	}
	layers := rapid.IntRange(0, 4).Draw(t, "layers")
	for range layers {
		d.Layers = append(d.Layers, Layer{DiffID: rapid.SampledFrom([]digest.Digest{"", sum1, sum2}).Draw(t, "diff id"), Step: text.Draw(t, "step"), Base: rapid.Bool().Draw(t, "base")})
	}
	for range rapid.IntRange(0, 8).Draw(t, "packages") {
		p := Package{Type: rapid.SampledFrom([]string{Deb, APK, RPM, NPM, Go, Maven, PyPI, Gem, Cargo, NuGet, Composer}).Draw(t, "type"), Name: word.Draw(t, "name"), Version: "1." + word.Draw(t, "version"), Path: text.Draw(t, "path"),
			Layer: rapid.IntRange(-1, layers-1).Draw(t, "layer"), Owner: text.Draw(t, "owner"), Licences: rapid.SliceOfN(rapid.SampledFrom([]string{"MIT", "mit", "MIT OR ISC", "(MIT) OR (ISC)", "(MIT OR ISC) AND (0BSD)", "LicenseRef-1", "LicenseRef-1 OR MIT", "a name",
				"GPL-2", "NOASSERTION", "3D-Slicer-1.0", "(", "</script>"}), 0, 3).Draw(t, "licences")}
		if len(p.Licences) == 1 && p.Licences[0] == "(MIT OR ISC) AND (0BSD)" {
			p.Licences = nil // which is what two are joined to
		}
		switch p.Type {
		case Deb, APK, RPM:
			p.Distro = d.OS
			p.Arch = rapid.SampledFrom([]string{"", "amd64", "i386"}).Draw(t, "arch")
			p.Version = rapid.SampledFrom([]string{"", "1:", "32:"}).Draw(t, "epoch") + p.Version
			if rapid.Bool().Draw(t, "source") {
				p.Source = Source{Name: "src-" + p.Name, Version: rapid.SampledFrom([]string{"", "2.1", "3:4"}).Draw(t, "source version")}
			}
			if p.Type == RPM {
				p.Name = cased.Draw(t, "RPM")
				p.Module = rapid.SampledFrom([]string{"", "nodejs:18"}).Draw(t, "module")
			}
		case Maven:
			p.Name = "g." + cased.Draw(t, "group") + ":" + p.Name
		case Go, Composer:
			p.Name = "github.com/" + cased.Draw(t, "vendor") + "/" + cased.Draw(t, "module")
		case NPM:
			p.Name = rapid.SampledFrom([]string{"", "@scope/"}).Draw(t, "scope") + cased.Draw(t, "package")
		case PyPI, NuGet, Gem:
			p.Name = "Flask_" + cased.Draw(t, "distribution")
		}
		d.Packages = append(d.Packages, p)
	}
	return d
}

// asRead is what of a document can be read again: its layers are those of packages.
func asRead(d *Document) *Document {
	want := *d
	want.Name, want.Layers, want.Packages, want.Unread = "it", nil, slices.Clone(d.Packages), slices.Sorted(slices.Values(d.Unread))
	for i := range want.Packages {
		if n := want.Packages[i].Layer; n >= 0 {
			want.place(n+1, d.Layers[n])
		}
	}
	slices.SortStableFunc(want.Packages, func(a, b Package) int { return a.Compare(&b) })
	want.Packages = slices.CompactFunc(want.Packages, func(a, b Package) bool { return cmp.Equal(a, b, cmpopts.EquateEmpty()) })
	return &want
}

// TestRoundTrip: whatever is in a document, both forms are valid and are read as they were
// written, and a package URL is that of the package which it is read as.
func TestRoundTrip(t *testing.T) {
	cycloneDX, spdx := schemas(t)
	rapid.Check(t, func(t *rapid.T) {
		d := random(t)
		for i := range d.Packages {
			p := &d.Packages[i]
			again, err := FromPURL(p.PURL())
			if err != nil || again.PURL() != p.PURL() {
				t.Fatalf("%s: %+v, %v", p.PURL(), again, err)
			}
		}
		for schema, write := range map[*jsonschema.Schema]func(io.Writer) error{cycloneDX: func(w io.Writer) error { return d.WriteCycloneDX(w, maker, nil) }, spdx: func(w io.Writer) error { return d.WriteSPDX(w, maker) }} {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if err := validate(schema, b.Bytes()); err != nil {
				t.Fatal(err)
			}
			got, err := Read("it", b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asRead(d), got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s\n%s", diff, b.Bytes())
			}
		}
	})
}

// FuzzRead: what is read of a document is read again of each form that is written of it.
func FuzzRead(f *testing.F) {
	// Short ones: go test spends its time on making longer ones smaller.
	for _, text := range []string{
		`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","purl":"pkg:deb/debian/a@1?distro=debian-12","licenses":[{"license":{"id":"MIT"}}],"properties":[{"name":"plimsoll:layer_number","value":"2"}]}]}`,
		`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"properties":[{"name":"plimsoll:unread","value":"x"}]}},"components":[{"type":"operating-system","name":"alma","version":"9"},{"type":"library","name":"B"}]}`,
		`{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"a","name":"A/b","sourceInfo":"told by \"/a;\"; in layer 2","licenseDeclared":"(MIT) AND LicenseRef-1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/a/b@v1"}]}]}`,
		`{"predicate":{"spdxVersion":"SPDX-2.2","packages":[{"SPDXID":"a","annotations":[{"comment":"plimsoll:unread x"}]}],"documentDescribes":["a"]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read("it", data)
		if err != nil {
			return
		}
		for _, write := range []func(*Document, io.Writer) error{func(d *Document, w io.Writer) error { return d.WriteCycloneDX(w, maker, nil) }, func(d *Document, w io.Writer) error { return d.WriteSPDX(w, maker) }} {
			var b, again bytes.Buffer
			if err := write(d, &b); err != nil {
				t.Fatal(err)
			}
			one, err := Read("it", b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			has := map[string]bool{}
			for i := range one.Packages {
				has[one.Packages[i].PURL()] = true
			}
			for i := range d.Packages {
				if url := d.Packages[i].PURL(); url != "" && !has[url] {
					t.Errorf("%s was lost", url)
				}
			}
			if len(one.Unread) < len(d.Unread) {
				t.Errorf("%q, and then %q", d.Unread, one.Unread)
			}
			if err := write(one, &again); err != nil {
				t.Fatal(err)
			}
			two, err := Read("it", again.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(one, two, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	})
}
