package vuln

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const installed = "1:1.2.13.dfsg-1"

// TestEdges: which ranges and lists hold a version, by OSV's algorithm.
func TestEdges(t *testing.T) {
	for _, c := range []struct {
		name, ecosystem, of string
		hit                 bool
		fixed               string
	}{
		{"below the fix", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.13.dfsg-2"}`), true, "1:1.2.13.dfsg-2"},
		{"the fix itself", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.13.dfsg-1"}`), false, ""},
		{"above the fix", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.12"}`), false, ""},
		{"a fix before by ~", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.13.dfsg-1~deb12u1"}`), false, ""},
		{"never fixed", "Debian:12", events(`{"introduced": "0"}`), true, ""},
		{"introduced later", "Debian:12", events(`{"introduced": "1:1.2.14"}`), false, ""},
		{"introduced there", "Debian:12", events(`{"introduced": "1:1.2.13.dfsg-1"}`), true, ""},
		{"fixed at 0", "Debian:12", events(`{"introduced": "0"}, {"fixed": "0"}`), false, ""},
		{"introduced where it is fixed", "Debian:12", events(`{"introduced": "1:1.2.13.dfsg-1"}, {"fixed": "1:1.2.13.dfsg-1"}`), false, ""},
		{"last affected", "Debian:12", events(`{"introduced": "0"}, {"last_affected": "1:1.2.13.dfsg-1"}`), true, ""},
		{"above the last affected", "Debian:12", events(`{"introduced": "0"}, {"last_affected": "1:1.2.13"}`), false, ""},
		{"events out of order", "Debian:12", events(`{"fixed": "1:1.2.14"}, {"introduced": "1:1.2.12"}, {"introduced": "0"}, {"fixed": "1:1.2.11"}`), true, "1:1.2.14"},
		{"between two intervals", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.11"}, {"introduced": "1:1.2.14"}, {"fixed": "1:1.2.15"}`), false, ""},
		{"in the first of two intervals", "Debian:12", events(`{"introduced": "0"}, {"fixed": "1:1.2.14"}, {"introduced": "1:1.3"}, {"fixed": "1:1.4"}`), true, "1:1.2.14"},
		{"in two ranges", "Debian:12", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:1.2.14"}]}, {"type": "ECOSYSTEM", "events": [{"introduced": "1:1"}, {"fixed": "1:1.3"}]}]`, true, "1:1.3"},
		{"last affected, fixed in a later range", "Debian:12", `"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "1:1.2.14"}]}, {"type": "ECOSYSTEM", "events": [{"introduced": "1:1.3"}, {"fixed": "1:1.4"}]}]`, true, "1:1.4"},
		{"in the list only", "Debian:12", `"versions": ["1", "1:1.2.13.dfsg-1"]`, true, ""},
		{"in the list, beside a range that is closed", "Debian:12", `"versions": ["1:1.2.13.dfsg-1"], ` + events(`{"introduced": "0"}, {"fixed": "1:1.2"}`), true, ""},
		{"not in the list", "Debian:12", `"versions": ["1:1.2.13.dfsg-2"]`, false, ""},
		{"neither ranges nor list", "Debian:12", `"ranges": []`, false, ""},
		{"commits only", "Debian:12", `"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]`, false, ""},
		{"commits, and the list", "Debian:12", `"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}], "versions": ["1:1.2.13.dfsg-1"]`, true, ""},
		{"every release", "Debian", events(`{"introduced": "0"}`), true, ""},
		{"another release", "Debian:11", events(`{"introduced": "0"}`), false, ""},
		{"another family", "Alpine:v3.19", events(`{"introduced": "0"}`), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := ask(t, map[string]string{
				"X-1":     record("X-1", c.ecosystem, "zlib", c.of, ""),
				"X-other": record("X-other", "Debian:12", "other", events(`{"introduced": "0"}`), ""),
			}, Query{"Debian:12", "zlib", installed})
			if len(a.Undecided) > 0 || a.NotEvaluated != "" {
				t.Errorf("undecided %q, %q", a.Undecided, a.NotEvaluated)
			}
			if hit := len(a.Matches) == 1; hit != c.hit {
				t.Fatalf("matches: %+v", a.Matches)
			}
			if c.hit && a.Matches[0].Fixed != c.fixed {
				t.Errorf("fixed is %q, want %q", a.Matches[0].Fixed, c.fixed)
			}
		})
	}
}

// TestSourceVersion: the epoch of a source's version, and none of a binary's rebuild.
func TestSourceVersion(t *testing.T) {
	records := map[string]string{"X-1": record("X-1", "Debian:12", "util-linux", events(`{"introduced": "0"}, {"fixed": "2.38.1-5+deb12u4"}`), "")}
	if a := ask(t, records, Query{"Debian:12", "util-linux", "2.38.1-5+deb12u3"}); len(a.Matches) != 1 {
		t.Errorf("the source's version: %+v", a)
	}
	if a := ask(t, records, Query{"Debian:12", "bsdutils", "1:2.38.1-5+deb12u3"}); len(a.Matches) != 0 {
		t.Errorf("the binary's name: %+v", a)
	}
}

// TestThirdAnswer: what the data cannot tell is said, and is no clean answer.
func TestThirdAnswer(t *testing.T) {
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{"Debian:12", "zlib", installed}, ""},
		{Query{"Debian:12", "nothing-known", "1"}, ""},
		{Query{"Debian:99", "zlib", "1"}, "the database has nothing about Debian:99"},
		{Query{"Debian", "zlib", "1"}, "it is not known of which release of Debian it is"},
		{Query{"Debian:12", "zlib", ""}, "it has no version"},
		{Query{"Debian:12", "", "1"}, "it has no name"},
		{Query{"Debian:12", "zlib", strings.Repeat("1", maxVersion+1)}, "its version has 257 bytes, and 256 is the most"},
		{Query{"Debian:12", "zlib", "x:1"}, "invalid version: failed to convert x to a number"},
	} {
		if a := ask(t, some(), c.q); a.NotEvaluated != c.want {
			t.Errorf("%v: %q, want %q", c.q, a.NotEvaluated, c.want)
		}
	}
	// What is about every release is told for one that is not known, too.
	if a := ask(t, some(), Query{"Debian:99", "bash", "5.1"}); len(a.Matches) != 1 || a.NotEvaluated == "" {
		t.Errorf("a release that is not known: %+v", a)
	}
	golang := map[string]string{"GO-1": record("GO-1", "Go", "example.org/m", events(`{"introduced": "0"}`), "")}
	if a := ask(t, golang, Query{"Go", "example.org/m", "(devel)"}); a.NotEvaluated == "" {
		t.Errorf("(devel): %+v", a)
	}
	// Of what no record speaks of, no version is affected.
	if a := ask(t, golang, Query{"Go", "example.org/other", "(devel)"}); a.NotEvaluated != "" || len(a.Matches) != 0 {
		t.Errorf("(devel) of a module without records: %+v", a)
	}
	if a := ask(t, golang, Query{"Go", "example.org/m", "v1.2.3"}); a.NotEvaluated != "" || len(a.Matches) != 1 {
		t.Errorf("v1.2.3: %+v", a)
	}
}

// TestUndecided: a record whose range cannot be read is named, unless it matches anyhow.
func TestUndecided(t *testing.T) {
	unread := events(`{"fixed": "2"}`)
	if a := ask(t, map[string]string{"PYSEC-1": record("PYSEC-1", "PyPI", "m", unread, "")}, Query{"PyPI", "m", "1"}); !slices.Equal(a.Undecided, []string{"PYSEC-1"}) || len(a.Matches) > 0 {
		t.Errorf("a range without a beginning: %+v", a)
	}
	if a := ask(t, map[string]string{"PYSEC-1": record("PYSEC-1", "PyPI", "m", unread+`, "versions": ["1"]`, "")}, Query{"PyPI", "m", "1"}); len(a.Undecided) > 0 || len(a.Matches) != 1 {
		t.Errorf("and the list: %+v", a)
	}
	if a := ask(t, map[string]string{"DSA-1": record("DSA-1", "Debian:12", "m", events(`{"introduced": "0"}, {"fixed": "x:1"}`), "")}, Query{"Debian:12", "m", "1"}); !slices.Equal(a.Undecided, []string{"DSA-1"}) {
		t.Errorf("a fix that is no version: %+v", a)
	}
}

// TestFold: one match a CVE, whoever speaks of it, and never one of two.
func TestFold(t *testing.T) {
	all := events(`{"introduced": "0"}`)
	until := func(v string) string { return events(`{"introduced": "0"}, {"fixed": "` + v + `"}`) }
	type row struct {
		id, fixed string
		ids       []string
	}
	for _, c := range []struct {
		name    string
		records map[string][2]string // of the package, of the record
		want    []row
	}{
		{"by alias", map[string][2]string{"GHSA-1": {until("2"), `"aliases": ["CVE-1"]`}, "PYSEC-1": {until("3"), `"aliases": ["CVE-1", "GHSA-1"]`}},
			[]row{{"CVE-1", "3", []string{"CVE-1", "GHSA-1", "PYSEC-1"}}}},
		{"apart", map[string][2]string{"GHSA-1": {all, `"aliases": ["CVE-1"]`}, "GHSA-2": {all, `"aliases": ["CVE-2"]`}},
			[]row{{"CVE-1", "", []string{"CVE-1", "GHSA-1"}}, {"CVE-2", "", []string{"CVE-2", "GHSA-2"}}}},
		{"by one upstream", map[string][2]string{"BIT-x-1": {all, `"upstream": ["CVE-1"]`}},
			[]row{{"CVE-1", "", []string{"BIT-x-1", "CVE-1"}}}},
		{"an advisory about two", map[string][2]string{"DSA-1": {until("2"), `"upstream": ["CVE-1", "CVE-2"]`}, "DEBIAN-CVE-1": {all, `"upstream": ["CVE-1"]`}},
			[]row{{"CVE-1", "2", []string{"CVE-1", "DEBIAN-CVE-1", "DSA-1"}}, {"CVE-2", "2", []string{"CVE-2", "DSA-1"}}}},
		{"a chain between two CVEs", map[string][2]string{"GHSA-1": {all, `"aliases": ["CVE-1"]`}, "GHSA-2": {all, `"aliases": ["CVE-2"]`}, "PYSEC-1": {all, `"aliases": ["GHSA-1", "GHSA-2"]`}},
			[]row{{"CVE-1", "", []string{"CVE-1", "GHSA-1", "GHSA-2", "PYSEC-1"}}, {"CVE-2", "", []string{"CVE-2", "GHSA-1", "GHSA-2", "PYSEC-1"}}}},
		{"no CVE", map[string][2]string{"PYSEC-1": {all, `"aliases": ["GHSA-1"]`}, "x_1": {all, `"aliases": ["PYSEC-1"]`}, "MAL-1": {all, ``}},
			[]row{{"GHSA-1", "", []string{"GHSA-1", "PYSEC-1", "x_1"}}, {"MAL-1", "", []string{"MAL-1"}}}},
		{"related is not the same", map[string][2]string{"GHSA-1": {all, `"related": ["CVE-7"]`}},
			[]row{{"GHSA-1", "", []string{"GHSA-1"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			records := map[string]string{}
			for id, r := range c.records {
				records[id] = record(id, "PyPI", "m", r[0], r[1])
			}
			var got []row
			for _, m := range ask(t, records, Query{"PyPI", "m", "1"}).Matches {
				got = append(got, row{m.ID, m.Fixed, m.IDs})
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestNotOfAnother: neither the fix of another package of a record nor of another release.
func TestNotOfAnother(t *testing.T) {
	r := `{"id": "DEBIAN-CVE-1", "modified": "2026-11-20T10:00:00Z", "affected": [
	 {"package": {"ecosystem": "Debian:12", "name": "gzip"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.12-1"}]}]},
	 {"package": {"ecosystem": "Debian:11", "name": "gzip"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]},
	 {"package": {"ecosystem": "Debian:12", "name": "xz-utils"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.2.5-2.1"}]}]}]}`
	for q, want := range map[Query]string{{"Debian:12", "gzip", "1.10-4"}: "1.12-1", {"Debian:11", "gzip", "1.10-4"}: "", {"Debian:12", "xz-utils", "5.2.5-2"}: "5.2.5-2.1"} {
		if a := ask(t, map[string]string{"DEBIAN-CVE-1": r}, q); len(a.Matches) != 1 || a.Matches[0].Fixed != want {
			t.Errorf("%v: %+v", q, a)
		}
	}
}

// TestNormal: spellings of one name and one version.
func TestNormal(t *testing.T) {
	for _, c := range [][3]string{{"PyPI", "Zope__Foo.-bar", "zope-foo-bar"}, {"npm", "Zope_Foo", "Zope_Foo"}, {"Packagist", "Symfony/Http", "symfony/http"}, {"NuGet", "Newtonsoft.Json", "newtonsoft.json"}} {
		if got := normalName(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
	for _, c := range [][3]string{{"Go", "go1.21.3", "1.21.3"}, {"Go", "go1.22rc1", "1.22.0-rc.1"}, {"Go", "go1.21", "1.21.0"}, {"Go", "v1.2.3+incompatible", "1.2.3+incompatible"}, {"npm", "v1", "v1"}} {
		if got := normalVersion(c[0], c[1]); got != c[2] {
			t.Errorf("%s %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// TestCompare: versions as they are installed have their ecosystem's order; what has none is
// not called equal.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		ecosystem, x, y string
		order           int
		known           bool
	}{
		{"Debian:12", "1:1.2.13", "2.0", 1, true}, {"Debian", "1.0~rc1", "1.0", -1, true}, {"Alpine:v3.19", "1.2.3-r9", "1.2.3-r10", -1, true},
		{"npm", "1.10.0", "1.9.0", 1, true}, {"npm", "1.0.0", "1.0.0", 0, true}, {"PyPI", "1.0", "1.0.0", 0, true},
		{"Go", "v1.2.3", "1.10.0", -1, true}, {"Go", "go1.21", "go1.21.1", -1, true},
		{"Go", "(devel)", "v1.0.0", 0, false}, {"Go", "v1.0.0", "(devel)", 0, false}, {"Nobody's", "1", "2", 0, false}, {"npm", "", "1.0.0", 0, false}, {"npm", "1.0.0", strings.Repeat("1", 9999), 0, false},
	} {
		for _, sign := range []int{1, -1} {
			x, y := c.x, c.y
			if sign < 0 {
				x, y = y, x
			}
			if order, known := Compare(c.ecosystem, x, y); order != sign*c.order || known != c.known {
				t.Errorf("%s, %.20s and %.20s: %d, %v", c.ecosystem, x, y, order, known)
			}
		}
	}
}

// TestOrder: of versions in the order of their ecosystem, what is fixed in the later affects
// the earlier, and not the other way.
func TestOrder(t *testing.T) {
	for name, family := range map[string]string{"alpine": "Alpine", "debian": "Debian", "maven": "Maven", "nuget": "NuGet", "packagist": "Packagist", "pypi": "PyPI", "redhat": "Red Hat", "rubygems": "RubyGems", "semver": "npm"} {
		data, err := os.ReadFile(filepath.Join("testdata", "versions", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		cases := 0
		for _, line := range strings.Split(string(data), "\n") {
			f := strings.Fields(line)
			if len(f) != 3 || !strings.Contains("<=>", f[1]) {
				continue
			}
			cases++
			below, above := f[0], f[2]
			if f[1] == ">" {
				below, above = above, below
			}
			for _, x := range [][2]string{{below, above}, {above, below}} {
				at, err := ordered(family, x[0])
				if err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
					continue
				}
				in, _, err := within(at, []event{{introduced, zero}, {fixed, x[1]}})
				// 0 as a fix is before all, whatever the order says of it.
				if want := f[1] != "=" && x[0] == below && x[1] != zero; err != nil || in != want {
					t.Errorf("%s: %s: %s in what is fixed in %s: %v, want %v, %v", name, line, x[0], x[1], in, want, err)
				}
			}
		}
		if cases < 5 {
			t.Errorf("%s: %d cases", name, cases)
		}
	}
}
