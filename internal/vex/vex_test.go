package vex

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	manifest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	other    = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zlib     = "pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1?arch=amd64&distro=debian-12&upstream=zlib"
)

var nginx = Image{Digests: []digest.Digest{manifest}, Names: []string{"nginx:1.25", "registry.example:5000/web/front:7"}, Platform: "linux/arm64/v8"}

// open is a document of OpenVEX with statements.
func open(statements ...string) string {
	return `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "Ana", "timestamp": "2026-01-01T00:00:00Z", "version": 1, "new": [1],
"statements": [` + strings.Join(statements, ",") + `]}`
}

// not is a statement that a product is not affected by CVE-2026-1.
func not(product string, more ...string) string {
	return fmt.Sprintf(`{"vulnerability": {"name": "CVE-2026-1", "aliases": ["GHSA-aaaa-bbbb-cccc"]}, "products": [%s], "status": "not_affected", "justification": "vulnerable_code_not_present"%s}`, product, strings.Join(append([]string{""}, more...), ", "))
}

func id(purl string, parts ...string) string {
	if len(parts) == 0 {
		return fmt.Sprintf(`{"@id": %q}`, purl)
	}
	var list []string
	for _, p := range parts {
		list = append(list, id(p))
	}
	return fmt.Sprintf(`{"@id": %q, "subcomponents": [%s]}`, purl, strings.Join(list, ","))
}

// documents reads texts, each a file.
func documents(t testing.TB, texts ...string) (*Documents, error) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for i := range texts {
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%d.json", i)))
	}
	return Read(paths...)
}

// says is the status that documents have of CVE-2026-1 of a package in nginx, "" for none.
func says(t testing.TB, d *Documents, purl string) Status {
	t.Helper()
	s, is := d.Say([]string{"DEBIAN-CVE-2026-1", "CVE-2026-1"}, purl, nginx)
	if is != (s.Status != "") {
		t.Errorf("%v %+v", is, s)
	}
	return s.Status
}

// TestProducts: a statement is about what it names, and about nothing that is only like it.
func TestProducts(t *testing.T) {
	for name, c := range map[string]struct {
		product string
		purl    string
		is      bool
	}{
		"the package":                 {id(zlib), zlib, true},
		"without a version":           {id("pkg:deb/debian/zlib1g"), zlib, true},
		"by its purl":                 {`{"@id": "https://example.org/x", "identifiers": {"purl": "pkg:deb/debian/zlib1g"}}`, zlib, true},
		"some qualifiers":             {id("pkg:deb/debian/zlib1g?distro=debian-12"), zlib, true},
		"the epoch as a qualifier":    {id("pkg:deb/debian/zlib1g@1.2.13.dfsg-1?epoch=1"), zlib, true},
		"an epoch of 0":               {id("pkg:rpm/almalinux/bash@5.1-1?epoch=0"), "pkg:rpm/almalinux/bash@5.1-1", true},
		"an epoch of a rpm":           {id("pkg:rpm/almalinux/bash@5.1-1"), "pkg:rpm/almalinux/bash@5.1-1?epoch=1", false},
		"an epoch and no version":     {id("pkg:deb/debian/zlib1g?epoch=2"), zlib, false},
		"Go's v":                      {id("pkg:golang/golang.org/x/net@0.1.0"), "pkg:golang/golang.org/x/net@v0.1.0", true},
		"a scope":                     {id("pkg:npm/%40angular/core@1.0.0"), "pkg:npm/%40angular/core@1.0.0", true},
		"another version":             {id("pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-2"), zlib, false},
		"another epoch":               {id("pkg:deb/debian/zlib1g@1.2.13.dfsg-1"), zlib, false},
		"another qualifier":           {id("pkg:deb/debian/zlib1g?distro=debian-11"), zlib, false},
		"a qualifier that it has not": {id("pkg:deb/debian/zlib1g?checksum=sha1:00"), zlib, false},
		"another name":                {id("pkg:deb/debian/zlib1g-dev"), zlib, false},
		"another distribution":        {id("pkg:deb/ubuntu/zlib1g"), zlib, false},
		"no distribution":             {id("pkg:deb/zlib1g"), zlib, false},
		"another type":                {id("pkg:generic/zlib1g"), zlib, false},
		"no scope":                    {id("pkg:npm/core@1.0.0"), "pkg:npm/%40angular/core@1.0.0", false},
		"another subpath":             {id("pkg:golang/example.org/m#a"), "pkg:golang/example.org/m#b", false},
		"a CPE alone":                 {`{"identifiers": {"cpe23": "cpe:2.3:a:zlib:zlib:1.2.13:*:*:*:*:*:*:*"}}`, zlib, false},

		"the image":                 {id("pkg:oci/nginx@" + manifest), zlib, true},
		"the image, escaped":        {id("pkg:oci/nginx@sha256%3A" + manifest[7:] + "?repository_url=example.org/other"), zlib, true},
		"the image, no package":     {id("pkg:oci/nginx@" + manifest), "", true},
		"the image of an index":     {id("pkg:oci/nginx?repository_url=docker.io/library/nginx"), zlib, true},
		"the old name of the hub":   {id("pkg:oci/nginx?repository_url=index.docker.io%2Flibrary%2Fnginx&tag=1.25"), zlib, true},
		"docker's image":            {id("pkg:docker/nginx@1.25"), zlib, true},
		"docker's, whole":           {id("pkg:docker/library/nginx"), zlib, true},
		"docker's, by digest":       {id("pkg:docker/nginx@" + manifest), zlib, true},
		"of a registry":             {id("pkg:docker/web/front@7?repository_url=registry.example:5000"), zlib, true},
		"of a platform":             {id("pkg:docker/nginx@1.25?platform=linux/arm64"), zlib, true},
		"of an architecture":        {id("pkg:oci/nginx@" + manifest + "?arch=arm64&os=linux"), zlib, true},
		"another image":             {id("pkg:oci/nginx@" + other), zlib, false},
		"oci by name alone":         {id("pkg:oci/nginx"), zlib, false},
		"oci with a tag as version": {id("pkg:oci/nginx@1.25?repository_url=docker.io/library/nginx"), zlib, false},
		"another tag":               {id("pkg:docker/nginx@1.26"), zlib, false},
		"two tags":                  {id("pkg:docker/nginx@1.25?tag=1.26"), zlib, false},
		"another tag of oci":        {id("pkg:oci/nginx?repository_url=docker.io/library/nginx&tag=1.26"), zlib, false},
		"another repository":        {id("pkg:docker/web/nginx@1.25"), zlib, false},
		"another registry":          {id("pkg:docker/library/nginx@1.25?repository_url=ghcr.io"), zlib, false},
		"another platform":          {id("pkg:docker/nginx@1.25?platform=linux/amd64"), zlib, false},
		"another architecture":      {id("pkg:oci/nginx@" + manifest + "?arch=amd64"), zlib, false},
		"half a digest":             {id("pkg:docker/nginx@sha256:aaaaaaaaaaaa"), zlib, false},
		"what nobody knows":         {id("pkg:oci/nginx@" + manifest + "?colour=red"), zlib, false},

		"a part of the image":       {id("pkg:oci/nginx@"+manifest, "pkg:deb/debian/bash", "pkg:deb/debian/zlib1g"), zlib, true},
		"another part":              {id("pkg:oci/nginx@"+manifest, "pkg:deb/debian/bash"), zlib, false},
		"a part of another":         {id("pkg:oci/nginx@"+other, "pkg:deb/debian/zlib1g"), zlib, false},
		"a part that is not named":  {id("pkg:oci/nginx@"+manifest, "https://example.org/zlib"), zlib, false},
		"a part of the package":     {id(zlib, "pkg:generic/inflate"), zlib, false},
		"a part, and no package":    {id("pkg:oci/nginx@"+manifest, "pkg:deb/debian/zlib1g"), "", false},
		"an image within the image": {id("pkg:oci/nginx@"+manifest, "pkg:oci/nginx@"+manifest), zlib, false},
	} {
		d, err := documents(t, open(not(c.product)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := says(t, d, c.purl); (got == NotAffected) != c.is || got != NotAffected && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestIDs: any id of the flaw finds a statement by its name or an alias, in whatever case.
func TestIDs(t *testing.T) {
	d, err := documents(t, open(not(id("pkg:deb/debian/zlib1g"))))
	if err != nil {
		t.Fatal(err)
	}
	for name, is := range map[string]bool{"CVE-2026-1": true, "cve-2026-1": true, "GHSA-AAAA-bbbb-cccc": true, "CVE-2026-10": false, "": false} {
		s, got := d.Say([]string{"DSA-1", name}, zlib, Image{})
		if got != is {
			t.Errorf("%s: %v", name, got)
		}
		if is && (s.Author != "Ana" || s.Document != "https://example.org/vex/1" || s.Justification != "vulnerable_code_not_present" || s.Index != 0 || !strings.HasSuffix(s.File, "0.json") || !s.Time.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if _, is := d.Say(nil, zlib, nginx); is {
		t.Error("no id found a statement")
	}
}

// TestNewest: of several statements the newest counts, in whatever order they are read, and
// of those of one time the worse.
func TestNewest(t *testing.T) {
	at := func(status, times string) string {
		return fmt.Sprintf(`{"vulnerability": {"name": "CVE-2026-1"}, "products": [%s], "status": %q, "impact_statement": "why", "action_statement": "do"%s}`, id("pkg:deb/debian/zlib1g"), status, times)
	}
	old, newer := `, "timestamp": "2025-01-01T00:00:00Z"`, `, "timestamp": "2026-06-01T02:00:00+02:00"`
	for name, c := range map[string]struct {
		a, b string
		want Status
	}{
		"the newer":              {at("affected", old), at("fixed", newer), Fixed},
		"the document's time":    {at("affected", ""), at("not_affected", old), Affected},
		"newer than that":        {at("affected", ""), at("not_affected", newer), NotAffected},
		"updated":                {at("affected", old+`, "last_updated": "2026-07-01T00:00:00Z"`), at("not_affected", newer), Affected},
		"at one time":            {at("not_affected", newer), at("affected", `, "timestamp": "2026-06-01T00:00:00Z"`), Affected},
		"looked into at it":      {at("fixed", old), at("under_investigation", old), Looking},
		"fixed and not affected": {at("not_affected", old), at("fixed", old), Fixed},
	} {
		for _, texts := range [][]string{{open(c.a, c.b)}, {open(c.b, c.a)}, {open(c.a), open(c.b)}, {open(c.b), open(c.a)}} {
			d, err := documents(t, texts...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := says(t, d, zlib); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}
	}
}

// TestRefused: what does not say what it must is refused as a whole, by file and place.
func TestRefused(t *testing.T) {
	good := not(id("pkg:deb/debian/zlib1g"))
	for text, want := range map[string]string{
		open(good): "",
		open(strings.Replace(good, `"justification": "vulnerable_code_not_present"`, `"impact_statement": "it is not built in"`, 1)): "",
		open(good, strings.Replace(good, `, "justification": "vulnerable_code_not_present"`, "", 1)):                                 `"statements[1]" says not_affected and not why`,
		open(good, strings.Replace(good, `"justification": "vulnerable_code_not_present"`, `"impact_statement": " "`, 1)):            `"statements[1]" says not_affected and not why`,
		open(strings.Replace(good, "vulnerable_code_not_present", "we_think_so", 1)):                                                 `"statements[0].justification" is "we_think_so"`,
		open(strings.Replace(good, `"not_affected"`, `"fine"`, 1)):                                                                   `"statements[0].status" is "fine"`,
		open(strings.Replace(good, `"name": "CVE-2026-1"`, `"name": ""`, 1)):                                                         `"statements[0].vulnerability.name" is missing`,
		open(strings.Replace(good, `"GHSA-aaaa-bbbb-cccc"`, `"a", "b\u0007"`, 1)):                                                    `"statements[0].vulnerability.aliases[1]" has a control character`,
		open(not("")):            `"statements[0].products" is missing`,
		open(not(id("pkg:deb"))): `"statements[0].products[0].@id" is no package URL`,
		open(not(id("pkg:oci/nginx@"+manifest, "pkg:deb/debian/zlib1g", "pkg:"))): `"statements[0].products[0].subcomponents[1].@id" is no package URL`,
		open(not(`{"@id": "x", "identifiers": {"purl": "zlib"}}`)):                `"statements[0].products[0].identifiers.purl" is no package URL`,
		open(): `"statements" is missing`,
		open(not(id("pkg:deb/debian/zlib1g"), `"timestamp": "yesterday"`)): "statements",
		strings.Replace(open(good), "v0.2.0", "v0.1.0", 1):                 `"@context" is "https://openvex.dev/ns/v0.1.0", and https://openvex.dev/ns/v0.2.0 is read`,
		`{"@context": ["https://openvex.dev/ns/v0.2.0"]}`:                  "neither OpenVEX",
		`{"statements": []}`: "neither OpenVEX",
		`[]`:                 "neither OpenVEX",
		open(good) + "x":     "0.json",
		``:                   "0.json",
	} {
		_, err := documents(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "0.json")) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// TestRead: of a folder all documents are read, and what is none is told; a file that is
// named must be one.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("vex/a.openvex.json", open(not(id("pkg:deb/debian/zlib1g"))))
	put("vex/below/b.json", cyclone("not_affected", `"justification": "code_not_reachable"`, ""))
	index := put("vex/index.json", `{"id": "index"}`)
	put("vex/README.md", "not JSON")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "vex", "link.json")); err != nil {
		t.Fatal(err)
	}
	one := put("one.json", open(not(id("pkg:deb/debian/bash")), not(id("pkg:deb/debian/tar"))))
	d, err := Read(filepath.Join(dir, "vex"), one)
	if err != nil || d.Len() != 4 || len(d.Skipped) != 1 || d.Skipped[0] != index {
		t.Fatalf("%+v, %v", d, err)
	}
	if d, err := Read(); err != nil || d.Len() != 0 || says(t, d, zlib) != "" {
		t.Errorf("of nothing: %+v, %v", d, err)
	}
	for _, path := range []string{index, filepath.Join(dir, "nowhere"), os.DevNull} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	broken := put("vex/below/c.json", `{"@context": "https://openvex.dev/ns/v0.2.0"`)
	if _, err := Read(filepath.Join(dir, "vex")); err == nil || !strings.Contains(err.Error(), broken) {
		t.Errorf("a broken one in a folder: %v", err)
	}
}

// BenchmarkSay asks for 500 packages, of which one in ten has a flaw that something is said of.
func BenchmarkSay(b *testing.B) {
	var list []string
	for i := range 2000 {
		list = append(list, strings.ReplaceAll(not(id("pkg:oci/nginx@"+manifest, fmt.Sprintf("pkg:deb/debian/p%d", i))), "CVE-2026-1", fmt.Sprintf("CVE-2026-%d", i)))
	}
	d, err := documents(b, open(list...))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		found := 0
		for i := range 500 {
			if _, is := d.Say([]string{fmt.Sprintf("CVE-2026-%d", i*10), "DSA-1"}, fmt.Sprintf("pkg:deb/debian/p%d@1", i*10), nginx); is {
				found++
			}
		}
		if found != 200 {
			b.Fatal(found)
		}
	}
}
