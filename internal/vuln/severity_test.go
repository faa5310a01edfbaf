package vuln

import (
	"strings"
	"testing"
)

// TestSeverity: what of several counts, and that nothing is made up.
func TestSeverity(t *testing.T) {
	const (
		v2  = `{"type": "CVSS_V2", "score": "(AV:N/AC:L/Au:N/C:C/I:C/A:C)"}`
		v30 = `{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/"}`
		v31 = `{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}`
		v4  = `{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}`
		bad = `{"type": "CVSS_V3", "score": "CVSS:3.1/AV:Q"}`
	)
	of := func(list ...string) string { return `"severity": [` + strings.Join(list, ", ") + `]` }
	word := func(w string) string { return `"database_specific": {"severity": "` + w + `"}` }
	for _, c := range []struct {
		name, pkg, rec string
		level          Level
		tenths, count  int
	}{
		{"none", "", "", Unknown, -1, 0},
		{"version 2, in brackets", "", of(v2), High, 100, 1},
		{"3.0, with a slash behind", "", of(v30), High, 75, 1},
		{"3.1", "", of(v31), Critical, 98, 1},
		{"4.0", "", of(v4), Critical, 93, 1},
		{"4.0 before 3.1", "", of(v31, v4), Critical, 93, 2},
		{"3.1 before 3.0 before 2.0", "", of(v2, v31, v30), Critical, 98, 3},
		{"unreadable", "", of(bad), Unknown, -1, 0},
		{"unreadable beside one", "", of(bad, v30), High, 75, 1},
		{"of the package", of(v30), "", High, 75, 1},
		{"of the record before the package's", of(v31), of(v30), High, 75, 1},
		{"a word", "", word("MODERATE"), Medium, -1, 0},
		{"a word that is none", "", word("9"), Unknown, -1, 0},
		{"a vector before a word", "", of(v30) + ", " + word("LOW"), High, 75, 1},
		{"an urgency", `"ecosystem_specific": {"urgency": "high"}`, "", High, -1, 0},
		{"an urgency that says nothing", `"ecosystem_specific": {"urgency": "not yet assigned"}`, "", Unknown, -1, 0},
		{"unimportant before a vector", `"ecosystem_specific": {"urgency": "unimportant"}`, of(v31), Negligible, 98, 1},
		{"something else there", `"ecosystem_specific": {"urgency": 7}`, `"database_specific": [1]`, Unknown, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			pkg := events(`{"introduced": "0"}`)
			if c.pkg != "" {
				pkg += ", " + c.pkg
			}
			a := ask(t, map[string]string{"X-1": record("X-1", "npm", "m", pkg, c.rec)}, Query{"npm", "m", "1.0.0"})
			if len(a.Matches) != 1 {
				t.Fatalf("%+v", a)
			}
			if s := a.Matches[0].Severity; s.Level != c.level || s.Tenths != c.tenths || len(s.Vectors) != c.count {
				t.Errorf("%+v", s)
			}
		})
	}
}
