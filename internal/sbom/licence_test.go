package sbom

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIsExpression(t *testing.T) {
	for _, l := range []string{"MIT", "mit", "GPL-2.0+", "GPL-2.0-only WITH Classpath-exception-2.0", "MIT OR (ISC AND 0BSD)", "(MIT) OR (ISC)"} {
		if !isExpression(l) {
			t.Errorf("%q is none", l)
		}
	}
	for _, l := range []string{"", "GPL-2", "MIT or ISC", "MIT/ISC", "NOASSERTION", "LicenseRef-1", "MIT OR LicenseRef-1", "DocumentRef-a:LicenseRef-b", "MIT AND", "(MIT", "MIT)", "MIT\nOR ISC", strings.Repeat("(", longestExpression) + "MIT",
		"MIT" + strings.Repeat(" OR MIT", longestExpression)} {
		if isExpression(l) {
			t.Errorf("%.80q is one", l)
		}
	}
}

// TestConjuncts: what was joined is taken apart, and nothing else is.
func TestConjuncts(t *testing.T) {
	for _, list := range [][]string{{"MIT"}, {"MIT", "ISC"}, {"(MIT) OR (ISC)", "LicenseRef-1"}, {"LicenseRef-1", "LicenseRef-2"}, {"LicenseRef-1"}, {"(MIT)", "ISC AND 0BSD"}} {
		if got := conjuncts(conjunction(list)); !slices.Equal(got, list) {
			t.Errorf("%q: %q", list, got)
		}
	}
	for _, l := range []string{"", "(MIT) OR (ISC)", "MIT AND ISC", "(MIT OR ISC)", "(MIT) AND ISC", "(MIT AND (ISC)", ")) AND ((", "LicenseRef-1 OR MIT", "(a) AND "} {
		if got := conjuncts(l); !slices.Equal(got, []string{l}) {
			t.Errorf("%q: %q", l, got)
		}
	}
}

// TestLicenceIDs: the ids are those of the schema that documents are validated by.
func TestLicenceIDs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(schemaDir(t), "spdx.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct{ Enum []string }
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	slices.Sort(schema.Enum)
	if got := strings.Fields(licenceIDs); len(got) < 500 || !slices.Equal(got, schema.Enum) {
		t.Errorf("%d ids, and the schema has %d", len(got), len(schema.Enum))
	}
	for want, list := range map[string][]string{
		`[{"license":{"id":"MIT"}}]`:                                      {"MIT"},
		`[{"license":{"name":"3D-Slicer-1.0"}},{"license":{"id":"MIT"}}]`: {"3D-Slicer-1.0", "MIT"}, // newer than the schema
		`[{"expression":"3D-Slicer-1.0"}]`:                                {"3D-Slicer-1.0"},
		`[{"expression":"MIT OR ISC"}]`:                                   {"MIT OR ISC"},
		`[{"license":{"name":"GPL-2"}}]`:                                  {"GPL-2"},
		`null`:                                                            {""},
	} {
		if got, err := json.Marshal(licences(list)); err != nil || string(got) != want {
			t.Errorf("%q: %s, %v", list, got, err)
		}
	}
}
