package scan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/scan/scantest"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

var update = flag.Bool("update", false, "write docs/scan-differences.md anew")

const fixtures = "../../test/testdata/scan"

// reason says why a row of one side is missing on the other.
type reason struct {
	Fixture, Package, ID string
	// Ours is true where ours has it, and Why says which of the two is right; Quote is of
	// the advisory, or of the file that tells of the package.
	Ours  bool
	Why   string
	Quote string
}

// difference is a row that only one side has.
type difference struct {
	scantest.Row
	ours bool
}

// TestLikeThePeer: over lists of packages of each kind, what is found is what osv-scanner
// finds, or a reason says why not; there are few of these, and docs/scan-differences.md has
// them. The packages that images are found to have are those of the lists.
func TestLikeThePeer(t *testing.T) {
	db := vuln.Folder(t.TempDir())
	if err := scantest.Import(t.Context(), db, filepath.Join(fixtures, "osv"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	records := db.Open()
	defer records.Close()
	data, err := os.ReadFile(filepath.Join(fixtures, "osv-scanner.json"))
	if err != nil {
		t.Fatal(err)
	}
	var peer scantest.Peer
	if err := json.Unmarshal(data, &peer); err != nil {
		t.Fatal(err)
	}
	list, err := scantest.Fixtures(fixtures)
	if err != nil {
		t.Fatal(err)
	}
	both := 0
	var differ []difference
	for i := range list {
		f := &list[i]
		doc := documentOf(t, f)
		var found []*Component
		components, _ := components(doc.Packages)
		for _, c := range components {
			if err := c.match(records); err != nil {
				t.Fatal(err)
			}
			if c.NotEvaluated != "" {
				t.Errorf("%s: %s %s: %s", f.Name, c.Name, c.Version, c.NotEvaluated)
			}
			found = append(found, c)
		}
		agreed, own := compared(f.Name, found, peer.Rows)
		both += agreed
		differ = append(differ, own...)
	}
	explain(t, peer.Program, both, differ)
}

// documentOf is what an image of the fixture is found to have, which is the list.
func documentOf(t *testing.T, f *scantest.Fixture) *sbom.Document {
	t.Helper()
	layer, err := f.Layer()
	if err != nil {
		t.Fatal(err)
	}
	if layer == nil {
		return &f.Document
	}
	d := look(t, imagetest.Saved(t, nil, layer), Options{}).Document
	words := func(list []sbom.Package) []string {
		var out []string
		for _, p := range list {
			out = append(out, strings.Join([]string{p.Type, p.Name, p.Version, p.SourceName(), p.SourceVersion()}, " "))
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(words(f.Document.Packages), words(d.Packages)); diff != "" {
		t.Errorf("%s:\n%s", f.Name, diff)
	}
	return &d
}

// compared counts what both say of a fixture, and gives what only one does.
func compared(fixture string, found []*Component, rows []scantest.Row) (both int, differ []difference) {
	is := func(c *Component, r *scantest.Row) bool {
		if c.Type == sbom.PyPI || c.Type == sbom.Maven {
			return strings.EqualFold(strings.ReplaceAll(c.Name, "_", "-"), strings.ReplaceAll(r.Package, "_", "-")) && c.Version == r.Version
		}
		return c.Name == r.Package || slices.ContainsFunc(c.Packages, func(p sbom.Package) bool { return p.Name == r.Package })
	}
	for _, c := range found {
		for _, f := range c.Flaws {
			known := slices.ContainsFunc(rows, func(r scantest.Row) bool { return r.Fixture == fixture && is(c, &r) && slices.Contains(f.IDs, r.ID) })
			if known {
				both++
			} else {
				differ = append(differ, difference{scantest.Row{Fixture: fixture, Package: c.Name, Version: c.Version, ID: f.ID}, true})
			}
		}
	}
	for _, r := range rows {
		if r.Fixture != fixture {
			continue
		}
		if !slices.ContainsFunc(found, func(c *Component) bool {
			return is(c, &r) && slices.ContainsFunc(c.Flaws, func(f Flaw) bool { return slices.Contains(f.IDs, r.ID) })
		}) {
			differ = append(differ, difference{r, false})
		}
	}
	return both, differ
}

// explain holds the differences against the reasons, and the page against both.
func explain(t *testing.T, program string, both int, differ []difference) {
	t.Helper()
	file := filepath.Join(fixtures, "reasons.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []reason
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&reasons); err != nil {
		t.Fatal(err)
	}
	var page strings.Builder
	total := both + len(differ)
	fmt.Fprintf(&page, scanPage, program, total, both, len(differ))
	used := make([]bool, len(reasons))
	for _, one := range differ {
		at := slices.IndexFunc(reasons, func(r reason) bool {
			return r.Fixture == one.Fixture && r.Package == one.Package && r.ID == one.ID && r.Ours == one.ours && r.Why != "" && r.Quote != ""
		})
		who := "osv-scanner alone"
		if one.ours {
			who = "plimsoll alone"
		}
		if at < 0 {
			t.Errorf("%s: %s %s, %s: %s gives no reason", one.Fixture, one.Package, one.Version, one.ID, who)
			continue
		}
		used[at] = true
		r := reasons[at]
		if !quoted(t, r) {
			t.Errorf("%s: no record %s has %s", file, r.ID, r.Quote)
		}
		fmt.Fprintf(&page, "| %s | %s %s | %s | %s | %s | `%s` |\n", one.Fixture, one.Package, one.Version, one.ID, who, r.Why, r.Quote)
	}
	for i, is := range used {
		if !is {
			t.Errorf("%s: the reason for %s, %s is for no difference", file, reasons[i].Package, reasons[i].ID)
		}
	}
	if len(differ)*20 > total {
		t.Errorf("%d of %d rows differ, and one in twenty is the most", len(differ), total)
	}
	name := "../../docs/scan-differences.md"
	if *update {
		if err := os.WriteFile(name, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil || string(have) != page.String() {
		t.Errorf("%s is not what comes of the comparison: run this test with -update (%v)", name, err)
	}
}

// quoted is true where the record that a reason is about has its quote.
func quoted(t *testing.T, r reason) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtures, "osv", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, `"`+r.ID+`"`) && strings.Contains(line, r.Quote) {
				return true
			}
		}
	}
	return false
}

const scanPage = `# Where a scan differs from osv-scanner's

Over the lists of packages in test/testdata/scan, with the records there, %s
and plimsoll together have %d rows, a row a package and a flaw: %d are the same, and %d
are not. Each of these is here, with the reason and the line that decides it. Databases of
rpm's osv-scanner does not read: there the other side is rpm's own comparison of versions.
This page is made by TestLikeThePeer of internal/scan, which fails where a row has no
reason, or more than one in twenty differs. What the others say was recorded by

    go run ./bench -osv-scanner PROGRAM -scan-peer test/testdata/scan/osv-scanner.json

| list | package | flaw | found by | why | the line that decides |
|---|---|---|---|---|---|
`
