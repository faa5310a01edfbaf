package vuln

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadRecord: what is no record is refused by file and field; what a newer schema adds
// is not.
func TestReadRecord(t *testing.T) {
	for text, want := range map[string]string{
		`{"id": "X-1", "modified": "2026-11-20T10:00:00Z", "new": {"a": [1]}, "affected": [{"package": {"ecosystem": "npm", "name": "m", "more": 1}}]}`: "",
		`{"id": "X-1", "affected": [{"ranges": [{"type": "GIT", "events": [{"introduced": "0", "limit": "x"}]}]}]}`:                                     "",
		`{"id": "", "modified": "2026-11-20T10:00:00Z"}`: `x.json: "id" is empty`,
		`{"id": "X-1", "modified": "yesterday"}`:         "modified",
		`{"id": "X-1", "aliases": ["a", ""]}`:            `x.json: "aliases[1]" is empty`,
		"{\"id\": \"X\\u0007\"}":                         `x.json: "id" has a control character`,
		`{"id": "X-1", "affected": [{"package": {"ecosystem": "npm", "name": "` + strings.Repeat("n", maxName+1) + `"}}]}`: `x.json: "affected[0].package.name" has 1025 bytes`,
		`{"id": "X-1", "affected": {}}`: "affected",
		`{"id": "X-1"`:                  "x.json",
		``:                              "x.json",
	} {
		_, err := ReadRecord("x.json", []byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.80s: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadRecord("x.json", bytes.Repeat([]byte(" "), maxEntry+1)); err == nil || !strings.Contains(err.Error(), "is the most") {
		t.Errorf("too large: %v", err)
	}
}

// FuzzReadRecord: what is read is read the same again when it is written, and compiled it
// finds each of its packages.
func FuzzReadRecord(f *testing.F) {
	for _, r := range some() {
		f.Add([]byte(r))
	}
	f.Add([]byte(record("GHSA-1", "npm", "m", events(`{"introduced": "1.0.0"}, {"fixed": "2"}`)+`, "versions": ["1.0.0"]`, `"database_specific": {"severity": "HIGH"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ReadRecord("x.json", data)
		if err != nil {
			return
		}
		once, err := json.Marshal(r)
		if err != nil {
			return // a time beyond the year 9999
		}
		again, err := ReadRecord("x.json", once)
		if err != nil {
			t.Fatalf("%s: %v", once, err)
		}
		if twice, err := json.Marshal(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%s\n%s\n%v", once, twice, err)
		}
		for _, a := range r.Affected {
			family := Family(a.Package.Ecosystem)
			if a.Package.Name == "" || !hasOrder(family) {
				continue
			}
			c, err := newCompiler(family, "x", [32]byte{})
			if err != nil {
				continue
			}
			var b bytes.Buffer
			if err := errors.Join(c.add(r), c.write(&b)); err != nil {
				if r.Withdrawn != nil {
					continue
				}
				t.Fatal(err)
			}
			d, err := read("x", b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if rows, err := d.rows(a.Package.Ecosystem, normalName(family, a.Package.Name)); err != nil || len(rows) == 0 {
				t.Fatalf("%q: %v, %v", a.Package.Name, rows, err)
			}
			for _, v := range append(a.Versions, "1", "0") {
				got, err := d.Match(Query{a.Package.Ecosystem, a.Package.Name, v})
				if err != nil {
					t.Fatal(err)
				}
				if v != "1" && v != "0" && got.NotEvaluated == "" && len(got.Matches) != 1 && len(r.cvesOf()) < 2 {
					t.Fatalf("version %q of the list: %+v", v, got)
				}
			}
		}
	})
}

// cvesOf are the CVEs that a record names: there is a match for each.
func (r *Record) cvesOf() []string {
	h := &hit{names: names{id: r.ID, aliases: r.Aliases, upstream: r.Upstream}}
	return h.cves()
}

// TestBad: a bad record of a hundred is skipped and counted, two are too many.
func TestBad(t *testing.T) {
	records := map[string]string{}
	for i := range 99 {
		id := fmt.Sprintf("GHSA-%d", i)
		records[id] = record(id, "npm", "m", events(`{"introduced": "0"}`), "")
	}
	compile := func(more map[string]string) (Counts, error) {
		all := maps.Clone(records)
		maps.Copy(all, more)
		path := filepath.Join(t.TempDir(), "npm.zip")
		writeZip(t, path, all, false)
		return Compile(t.Context(), &bytes.Buffer{}, Source{Family: "npm", Path: path})
	}
	if c, err := compile(map[string]string{"z": `{}`}); err != nil || c.Bad != 1 || c.Records != 100 || c.Advisories != 99 {
		t.Errorf("one: %+v, %v", c, err)
	}
	if _, err := compile(map[string]string{"z": `{}`, "zz": records["GHSA-7"]}); err == nil || !strings.Contains(err.Error(), "2 of 101 records") || !strings.Contains(err.Error(), "z.json") {
		t.Errorf("two: %v", err)
	}
	if c, err := compile(map[string]string{"zz": records["GHSA-7"]}); err != nil || c.Bad != 1 {
		t.Errorf("an id that is there twice: %+v, %v", c, err)
	}
	path := filepath.Join(t.TempDir(), "x.zip")
	writeZip(t, path, records, false)
	if _, err := Compile(t.Context(), &bytes.Buffer{}, Source{Family: "Linux", Path: path}); !errors.Is(err, ErrOrder) {
		t.Errorf("a family without an order: %v", err)
	}
	if _, err := Compile(t.Context(), &bytes.Buffer{}, Source{Family: "Go", Path: path}); err == nil || !strings.Contains(err.Error(), "no record is about a package of Go") {
		t.Errorf("another family: %v", err)
	}
}
