package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
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

// validate checks a document by the schema that its standard publishes.
func validate(t *testing.T, file string, beside map[string]string, data []byte) {
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
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
}

// cycloneDXSchemas are in the module of the library that writes the form.
func cycloneDXSchemas(t *testing.T) (file string, beside map[string]string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	return filepath.Join(dir, "bom-1.6.schema.json"), map[string]string{
		"http://cyclonedx.org/schema/spdx.schema.json":     filepath.Join(dir, "spdx.schema.json"),
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": filepath.Join(dir, "jsf-0.82.schemax.json"),
	}
}

// TestCycloneDX: what is written is valid, says the same twice, is read again, and holds
// what a hostile name says as text.
func TestCycloneDX(t *testing.T) {
	d := sample()
	flaws := []Flaw{{ID: "CVE-2026-1", IDs: []string{"CVE-2026-1", "GHSA-a"}, Severity: "high", Score: 7.5, Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", Summary: "bad", Fixed: "2", Packages: []int{0}},
		{ID: "CVE-2026-2", Severity: "unknown", Score: -1, Packages: []int{1, 2}, State: "not_affected", Why: "not called"}}
	var a, b bytes.Buffer
	if err := d.WriteCycloneDX(&a, maker, flaws); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteCycloneDX(&b, maker, flaws); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("twice is not the same: %v", err)
	}
	file, beside := cycloneDXSchemas(t)
	validate(t, file, beside, a.Bytes())
	if bytes.Contains(a.Bytes(), []byte("</script>")) || bytes.ContainsRune(a.Bytes(), '\x1b') {
		t.Error("a name is not harmless")
	}
	if !json.Valid(a.Bytes()) || !strings.Contains(a.String(), `"upgrade to 2"`) || !strings.Contains(a.String(), `"plimsoll:step"`) {
		t.Errorf("%s", a.Bytes())
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
	validate(t, filepath.Join("testdata", "spdx-schema-2.3.json"), nil, a.Bytes())
	got, err := Read("it", a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i := range d.Packages {
		d.Packages[i].Owner = "" // which SPDX has no field for
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

// TestOthers: documents as syft and trivy make them; what has no package URL is told, and
// files and applications are no packages.
func TestOthers(t *testing.T) {
	d, err := Read("trivy.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
		{"type":"operating-system","name":"debian","version":"12.5"},
		{"type":"application","name":"app/package-lock.json"},
		{"type":"library","name":"bsdutils","version":"2.38.1-5","purl":"pkg:deb/debian/bsdutils@2.38.1-5?distro=debian-12.5&epoch=1",
		 "properties":[{"name":"aquasecurity:trivy:SrcName","value":"util-linux"},{"name":"aquasecurity:trivy:SrcVersion","value":"2.38.1"},{"name":"aquasecurity:trivy:SrcRelease","value":"5"}]},
		{"type":"library","name":"mystery","version":"1"},
		{"type":"file","name":"/bin/sh"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Packages) != 1 || d.Packages[0].SourceName() != "util-linux" || d.Packages[0].SourceVersion() != "2.38.1-5" || len(d.Unread) != 1 || !strings.HasPrefix(d.Unread[0], "mystery 1: it has no package URL") {
		t.Errorf("%+v", d)
	}
	d, err = Read("syft.json", []byte(`{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relatedSpdxElement":"SPDXRef-i","relationshipType":"DESCRIBES"}],"packages":[
		{"SPDXID":"SPDXRef-i","name":"image","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:oci/image@sha256%3Aaa"}]},
		{"SPDXID":"SPDXRef-1","name":"lodash","versionInfo":"4.17.20","licenseDeclared":"MIT","externalRefs":[{"referenceCategory":"SECURITY","referenceType":"cpe23Type","referenceLocator":"cpe:2.3:a"},{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/lodash@4.17.20"}]}]}`))
	if err != nil || len(d.Packages) != 1 || d.Packages[0].Name != "lodash" || len(d.Unread) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	for _, text := range []string{"", "<bom/>", "SPDXVersion: SPDX-2.3", "{}", `{"bomFormat":"other"}`, `{"spdxVersion":"SPDX-3.0"}`, `{"bomFormat":"CycloneDX","bomFormat":"CycloneDX"}`, `{"bomFormat":"CycloneDX","components":{}}`,
		`{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"components":`, maxDepth+2) + "[]" + strings.Repeat("}]", maxDepth+2) + "}"} {
		if _, err := Read("x.json", []byte(text)); err == nil || !strings.Contains(err.Error(), "x.json") {
			t.Errorf("%.80q was read, or without a name: %v", text, err)
		}
	}
}

// TestRoundTrip: whatever packages there are, both forms are read as they were written, and
// a package URL is that of the package which it is read as.
func TestRoundTrip(t *testing.T) {
	word := rapid.StringMatching(`[a-z][a-z0-9.+_-]{0,8}`)
	types := []string{Deb, APK, NPM, Go, Maven, PyPI, Gem, Cargo, NuGet, Composer}
	rapid.Check(t, func(t *rapid.T) {
		d := &Document{Name: "x", OS: OS{ID: "debian", VersionID: "12"}}
		for range rapid.IntRange(0, 8).Draw(t, "packages") {
			p := Package{Type: rapid.SampledFrom(types).Draw(t, "type"), Name: word.Draw(t, "name"), Version: "1." + word.Draw(t, "version"), Path: "/" + word.Draw(t, "path"), Layer: -1}
			switch p.Type {
			case Deb, APK:
				p.Distro = d.OS
				if rapid.Bool().Draw(t, "source") {
					p.Source = Source{Name: "src-" + p.Name, Version: "2." + p.Version}
				}
			case Maven:
				p.Name = "g." + word.Draw(t, "group") + ":" + p.Name
			case Composer, Go:
				p.Name = word.Draw(t, "vendor") + "/" + p.Name
			case PyPI:
				p.Name = strings.ReplaceAll(p.Name, "_", "-")
			}
			again, err := FromPURL(p.PURL())
			if err != nil || again.PURL() != p.PURL() {
				t.Fatalf("%s: %+v, %v", p.PURL(), again, err)
			}
			d.Packages = append(d.Packages, p)
		}
		var c, s bytes.Buffer
		if err := d.WriteCycloneDX(&c, maker, nil); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteSPDX(&s, maker); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{c.Bytes(), s.Bytes()} {
			got, err := Read("it", data)
			if err != nil || len(got.Unread) > 0 {
				t.Fatalf("%v %q", err, got.Unread)
			}
			count := map[string]int{}
			for i := range d.Packages {
				count[d.Packages[i].PURL()+" "+d.Packages[i].Path] = 1
			}
			for i := range got.Packages {
				count[got.Packages[i].PURL()+" "+got.Packages[i].Path]--
			}
			for what, n := range count {
				if n != 0 {
					t.Fatalf("%s: %d", what, n)
				}
			}
		}
	})
}

// FuzzRead: a document that is read is written and read as the same.
func FuzzRead(f *testing.F) {
	var c, s bytes.Buffer
	if err := sample().WriteCycloneDX(&c, maker, nil); err != nil {
		f.Fatal(err)
	}
	if err := sample().WriteSPDX(&s, maker); err != nil {
		f.Fatal(err)
	}
	f.Add(c.Bytes())
	f.Add(s.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Read("it", data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := d.WriteCycloneDX(&b, maker, nil); err != nil {
			t.Fatal(err)
		}
		again, err := Read("it", b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Packages) > len(d.Packages) {
			t.Errorf("%d packages, and then %d", len(d.Packages), len(again.Packages))
		}
	})
}
