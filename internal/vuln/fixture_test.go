package vuln

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// writeZip writes a zip of records by id, in the order of ids or against it.
func writeZip(t testing.TB, path string, records map[string]string, backwards bool) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	ids := slices.Sorted(maps.Keys(records))
	if backwards {
		slices.Reverse(ids)
	}
	for _, id := range ids {
		w, err := z.Create(id + ".json")
		if err == nil {
			_, err = w.Write([]byte(records[id]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// record is a record about one package, with more of the package and of the record.
func record(id, ecosystem, name, ofPackage, ofRecord string) string {
	if ofRecord != "" {
		ofRecord = ", " + ofRecord
	}
	return fmt.Sprintf(`{"id": %q, "modified": "2026-11-20T10:00:00Z", "affected": [{"package": {"ecosystem": %q, "name": %q}, %s}]%s}`, id, ecosystem, name, ofPackage, ofRecord)
}

// events is what of a package makes one range of these events.
func events(list string) string {
	return `"ranges": [{"type": "ECOSYSTEM", "events": [` + list + `]}]`
}

// compiled compiles records of a family.
func compiled(t testing.TB, family string, records map[string]string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), family, "all.zip")
	writeZip(t, path, records, false)
	var b bytes.Buffer
	if _, err := Compile(t.Context(), &b, Source{Family: family, Path: path, Name: "all.zip"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ask asks records of a family about a package.
func ask(t testing.TB, records map[string]string, q Query) Answer {
	t.Helper()
	d, err := read("here", compiled(t, Family(q.Ecosystem), records))
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.Match(q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// some are records of several kinds, small enough to damage each byte of.
func some() map[string]string {
	return map[string]string{
		"DSA-1":         record("DSA-1", "Debian:12", "zlib", events(`{"introduced": "0"}, {"fixed": "1:1.2.13.dfsg-2"}`), `"upstream": ["CVE-2026-1", "CVE-2026-2"], "summary": "two flaws", "references": [{"type": "WEB", "url": "https://example.org/"}]`),
		"DEBIAN-CVE-1":  record("DEBIAN-CVE-1", "Debian:12", "zlib", events(`{"introduced": "0"}`)+`, "versions": ["1"], "ecosystem_specific": {"urgency": "unimportant"}`, `"upstream": ["CVE-2026-1"]`),
		"DEBIAN-CVE-9":  record("DEBIAN-CVE-9", "Debian", "bash", events(`{"introduced": "0"}, {"last_affected": "5.2"}`), `"aliases": ["CVE-2026-9"], "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`),
		"DEBIAN-CVE-10": record("DEBIAN-CVE-10", "Debian:11", "bash", events(`{"introduced": "0"}`), `"withdrawn": "2026-11-21T00:00:00Z"`),
	}
}
