package sbom

import (
	"slices"
	"strings"
	"testing"
)

// TestOthers: documents as syft and trivy make them; what has no package URL is told, and
// files and applications are no packages.
func TestOthers(t *testing.T) {
	d, err := Read("trivy.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
		{"type":"operating-system","name":"debian","version":"12.5"},
		{"type":"application","name":"app/package-lock.json","properties":[{"name":"aquasecurity:trivy:Class","value":"lang-pkgs"},{"name":"aquasecurity:trivy:Type","value":"npm"}]},
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
	for _, text := range []string{`{"bomFormat":"CycloneDX"}`, `{"bomFormat":"CycloneDX","specVersion":"2.0"}`, `{"predicate":{}}`, `{"predicate":{"predicate":{"spdxVersion":"SPDX-2.3"}}}`, `{"SPDX":[]}`, "", "<bom/>", "SPDXVersion: SPDX-2.3", "{}", `{"bomFormat":"other"}`, `{"spdxVersion":"SPDX-3.0"}`, `{"bomFormat":"CycloneDX","specVersion":"1.6","bomFormat":"CycloneDX"}`, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":{}}`,
		`{"bomFormat":"CycloneDX","specVersion":"1.6","components":` + strings.Repeat(`[{"components":`, maxDepth+2) + "[]" + strings.Repeat("}]", maxDepth+2) + "}"} {
		if _, err := Read("x.json", []byte(text)); err == nil || !strings.Contains(err.Error(), "x.json") {
			t.Errorf("%.80q was read, or without a name: %v", text, err)
		}
	}
}

// read is Read of a document that can be read.
func read(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Read("x.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func cycloneDXOf(version, components string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"` + version + `","components":[` + components + `]}`
}

func spdxOf(version, packages, rest string) string {
	return `{"spdxVersion":"` + version + `","SPDXID":"SPDXRef-DOCUMENT","packages":[` + packages + `]` + rest + `}`
}

func spdxPackageOf(id, name, url, rest string) string {
	text := `{"SPDXID":"` + id + `","name":"` + name + `"`
	if url != "" {
		text += `,"externalRefs":[{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"` + url + `"}]`
	}
	return text + rest + `}`
}

// TestNothingIsLost: of each component there is a package, or a word that there is none.
func TestNothingIsLost(t *testing.T) {
	const curl = "pkg:npm/a@1"
	for what, tc := range map[string]struct {
		text             string
		packages, unread int
	}{
		"a framework, a container and an application without a package URL": {cycloneDXOf("1.5", `{"type":"framework","name":"a"},{"type":"container","name":"b"},{"type":"application","name":"c"},{"type":"platform","name":"d"}`), 0, 4},
		"what holds no software":                       {cycloneDXOf("1.5", `{"type":"file","name":"a"},{"type":"data","name":"b"},{"type":"device","name":"c"}`), 0, 0},
		"a file with a package URL":                    {cycloneDXOf("1.5", `{"type":"file","name":"a","purl":"`+curl+`"},{"type":"file","name":"b","purl":"pkg:generic/b@1"}`), 1, 1},
		"in each other":                                {cycloneDXOf("1.4", `{"type":"library","name":"a","purl":"`+curl+`","components":[{"type":"library","name":"b","purl":"pkg:npm/b@1"}]}`), 2, 0},
		"in the image":                                 {`{"bomFormat":"CycloneDX","specVersion":"1.3","metadata":{"component":{"type":"container","components":[{"type":"library","name":"a","purl":"` + curl + `"}]}}}`, 1, 0},
		"two architectures":                            {cycloneDXOf("1.6", `{"type":"library","name":"a","purl":"pkg:deb/debian/a@1?arch=amd64"},{"type":"library","name":"a","purl":"pkg:deb/debian/a@1?arch=i386"}`), 2, 0},
		"one twice":                                    {cycloneDXOf("1.6", `{"type":"library","name":"a","purl":"`+curl+`"},{"type":"library","name":"a","purl":"`+curl+`"}`), 1, 0},
		"SPDX that describes its packages":             {spdxOf("SPDX-2.2", spdxPackageOf("a", "a", curl, "")+","+spdxPackageOf("b", "b", "pkg:npm/b@1", "")+","+spdxPackageOf("c", "c", "", ""), `,"documentDescribes":["a","b","c"]`), 2, 1},
		"SPDX that describes an image":                 {spdxOf("SPDX-2.2", spdxPackageOf("a", "a", "pkg:oci/a@1", "")+","+spdxPackageOf("b", "b", curl, ""), `,"documentDescribes":["a"]`), 1, 0},
		"SPDX that describes a folder":                 {spdxOf("SPDX-2.3", spdxPackageOf("a", "a", "", "")+","+spdxPackageOf("b", "b", curl, ""), `,"relationships":[{"spdxElementId":"a","relatedSpdxElement":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBED_BY"}]`), 1, 0},
		"SPDX with a lock file, as trivy has it":       {spdxOf("SPDX-2.3", spdxPackageOf("a", "package-lock.json", "", `,"primaryPackagePurpose":"APPLICATION","annotations":[{"comment":"Class: lang-pkgs"}]`)+","+spdxPackageOf("b", "b", curl, ""), ""), 1, 0},
		"SPDX with an application, as nobody knows it": {spdxOf("SPDX-2.3", spdxPackageOf("a", "app", "", `,"primaryPackagePurpose":"APPLICATION"`)+","+spdxPackageOf("b", "b", curl, ""), ""), 1, 1},
		"a statement":                                  {`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","predicate":` + spdxOf("SPDX-2.3", spdxPackageOf("b", "b", curl, ""), "") + `}`, 1, 0},
		"as imagetools prints it":                      {`{"SPDX":` + spdxOf("SPDX-2.3", spdxPackageOf("b", "b", curl, ""), "") + `}`, 1, 0},
	} {
		if d := read(t, tc.text); len(d.Packages) != tc.packages || len(d.Unread) != tc.unread {
			t.Errorf("%s: %+v, unread %q", what, d.Packages, d.Unread)
		}
	}
}

// TestSpelling: a name has its capital letters where the document has them, and is never
// another one.
func TestSpelling(t *testing.T) {
	for want, component := range map[string]string{
		"github.com/BurntSushi/toml": `"name":"github.com/BurntSushi/toml","purl":"pkg:golang/github.com/burntsushi/toml@v1"`,
		"github.com/other/toml":      `"name":"github.com/BurntSushi/toml","purl":"pkg:golang/github.com/other/toml@v1"`,
		"JSONStream":                 `"name":"JSONStream","purl":"pkg:npm/jsonstream@1"`,
		"JSONstream":                 `"name":"jsonstream","purl":"pkg:npm/jsonstream@1","properties":[{"name":"aquasecurity:trivy:PkgID","value":"JSONstream@1"}]`,
		"jsonstreams":                `"name":"jsonstreams","purl":"pkg:npm/jsonstreams@1","properties":[{"name":"aquasecurity:trivy:PkgID","value":"JSONStream@1"}]`,
		"@Scope/core":                `"group":"@Scope","name":"core","purl":"pkg:npm/%40scope/core@1"`,
		"Flask_Login":                `"name":"Flask_Login","purl":"pkg:pypi/flask-login@1"`,
		"org.slf4j:slf4j-api":        `"group":"org.slf4j","name":"slf4j-api","purl":"pkg:maven/org.slf4j/slf4j-api@1"`,
	} {
		if d := read(t, cycloneDXOf("1.6", `{"type":"library",`+component+`}`)); len(d.Packages) != 1 || d.Packages[0].Name != want {
			t.Errorf("%s: %+v", want, d.Packages)
		}
	}
	if d := read(t, spdxOf("SPDX-2.3", spdxPackageOf("a", "github.com/BurntSushi/toml", "pkg:golang/github.com/burntsushi/toml@v1", ""), "")); d.Packages[0].Name != "github.com/BurntSushi/toml" {
		t.Errorf("%+v", d.Packages)
	}
	if d := read(t, spdxOf("SPDX-2.3", spdxPackageOf("a", "jsonstream", "pkg:npm/jsonstream@1", `,"annotations":[{"comment":"PkgID: JSONStream@1"}]`), "")); d.Packages[0].Name != "JSONStream" {
		t.Errorf("%+v", d.Packages)
	}
}

// TestDistributions: a package is of the distribution that the document says there is, by
// whatever name.
func TestDistributions(t *testing.T) {
	for _, tc := range []struct{ os, url, ecosystem string }{
		{`"name":"redhat","version":"9.2"`, "pkg:rpm/redhat/a@1", "Red Hat:9"},
		{`"name":"rhel","version":"9.2","properties":[{"name":"syft:distro:id","value":"rhel"}]`, "pkg:rpm/redhat/a@1?distro=rhel-9.2", "Red Hat:9"},
		{`"name":"alma","version":"9.3"`, "pkg:rpm/alma/a@1?distro=alma-9.3", "AlmaLinux:9"},
		{`"name":"opensuse.leap","version":"15.5"`, "pkg:rpm/opensuse.leap/a@1", "openSUSE:Leap 15.5"},
		{`"name":"debian","version":"","properties":[{"name":"syft:distro:versionCodename","value":"trixie"}]`, "pkg:deb/debian/a@1", "Debian:trixie"},
		{`"name":"debian","version":"12"`, "pkg:deb/a@1", "Debian:12"},
		{`"name":"debian","version":"12"`, "pkg:deb/ubuntu/a@1?distro=ubuntu-22.04", "Ubuntu:22.04:LTS"},
		{`"name":"debian","version":"12"`, "pkg:deb/debian/a@1?distro=debian-11", "Debian:11"},
	} {
		d := read(t, cycloneDXOf("1.6", `{"type":"library","name":"a","purl":"`+tc.url+`"},{"type":"operating-system",`+tc.os+`},{"type":"operating-system","name":"other","version":"1"}`))
		if got, why := d.Packages[0].Ecosystem(); got != tc.ecosystem {
			t.Errorf("%s of %s: %q (%s), want %q", tc.url, tc.os, got, why, tc.ecosystem)
		}
	}
}

// TestWhere: the file and the layer, as others say it.
func TestWhere(t *testing.T) {
	d := read(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","properties":[{"name":"aquasecurity:trivy:DiffID","value":"`+sum1+`"},{"name":"aquasecurity:trivy:DiffID","value":"`+sum2+`"}]}},"components":[
		{"type":"library","name":"a","purl":"pkg:npm/a@1","properties":[{"name":"aquasecurity:trivy:FilePath","value":"x/package.json"},{"name":"aquasecurity:trivy:LayerDiffID","value":"`+sum2+`"}]},
		{"type":"library","name":"b","purl":"pkg:npm/b@1","properties":[{"name":"syft:location:0:path","value":"/b"},{"name":"plimsoll:layer_number","value":"1000000000"}]}]}`)
	if a, b := d.Packages[0], d.Packages[1]; a.Path != "x/package.json" || a.Layer != 1 || b.Path != "/b" || b.Layer != -1 || len(d.Layers) != 2 {
		t.Errorf("%+v", d)
	}
	for url, want := range map[string][2]string{"pkg:deb/debian/libaudit-common@3.0.9-1?epoch=1": {"audit", "1:3.0.9-1"}, "pkg:deb/debian/x@2?upstream=y%403": {"y", "3"}, "pkg:npm/a@1": {"a", "1"}} {
		d := read(t, spdxOf("SPDX-2.3", spdxPackageOf("a", "a", url, `,"sourceInfo":"built package from: audit 1:3.0.9-1"`), ""))
		if p := d.Packages[0]; p.SourceName() != want[0] || p.SourceVersion() != want[1] {
			t.Errorf("%s: built from %s %s", url, p.SourceName(), p.SourceVersion())
		}
	}
	for info, want := range map[string]string{"acquired package info from DPKG DB: /var/lib/dpkg/status, /usr/share/doc/a": "/var/lib/dpkg/status", "acquired package info from the wind": "", "told by /a; made by x": "/a", `told by "/a; b"; made by x`: "/a; b", "said by /a": "", `told by "/a`: `"/a`} {
		quotedInfo := strings.ReplaceAll(info, `"`, `\"`)
		if d := read(t, spdxOf("SPDX-2.3", spdxPackageOf("a", "a", "pkg:npm/a@1", `,"sourceInfo":"`+quotedInfo+`"`), "")); d.Packages[0].Path != want {
			t.Errorf("%s: %+v", info, d.Packages)
		}
	}
}

// TestVersions: each version of CycloneDX that has JSON is read.
func TestVersions(t *testing.T) {
	for _, version := range []string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"} {
		if d := read(t, cycloneDXOf(version, `{"type":"library","name":"a","purl":"pkg:npm/a@1"}`)); !slices.ContainsFunc(d.Packages, func(p Package) bool { return p.Name == "a" }) {
			t.Errorf("%s: %+v", version, d)
		}
	}
}
