package scan

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// TestDiff: what became worse, what better, what other, in either direction; of an image and
// itself nothing.
func TestDiff(t *testing.T) {
	packages := func(versions ...string) imagetest.Layer {
		l := imagetest.Layer{"/etc/os-release": "ID=debian\nVERSION_ID=12\n"}
		for i := 0; i < len(versions); i += 2 {
			l["/node_modules/"+versions[i]+"/package.json"] = `{"name":"` + versions[i] + `","version":"` + versions[i+1] + `"}`
		}
		return l
	}
	config := func(user string) imagetest.Config {
		return imagetest.Config{"config": map[string]any{"User": user, "Env": []string{"TOKEN=1"}}}
	}
	shared := imagetest.Layer{"/shared": "x"}
	before := look(t, imagetest.Saved(t, config("app"), shared, packages("a", "1.0.0", "b", "2.0.0", "gone", "1.0.0")), Options{})
	after := look(t, imagetest.Saved(t, config("root"), shared, packages("a", "1.1.0", "b", "1.9.0", "came", "1.0.0"), imagetest.Layer{"/usr/bin/su": "4755:x"}), Options{})
	flaw := func(id string, level vuln.Level) vuln.Match {
		return vuln.Match{ID: id, Fixed: "9.0.0", Severity: vuln.Severity{Level: level, Tenths: -1}}
	}
	m := Measure{Weights: Weights{Unknown: finding.High}, Records: records{
		"npm a 1.0.0": {Matches: []vuln.Match{flaw("CVE-1", vuln.High), flaw("CVE-2", vuln.Low)}},
		"npm a 1.1.0": {Matches: []vuln.Match{flaw("CVE-2", vuln.Low)}}, "npm came 1.0.0": {Matches: []vuln.Match{flaw("CVE-3", vuln.Medium)}},
	}}
	report := func(c *Contents) finding.Report {
		r, err := Judge(c, m)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	was, is := report(before), report(after)
	rules := func(list []finding.Finding) (out []string) {
		for _, f := range list {
			out = append(out, f.Rule)
		}
		return out
	}
	d := DiffOf(before, after, was, is)
	if !slices.Equal(rules(d.New), []string{"CVE-3"}) || !slices.Equal(rules(d.Mended), []string{"CVE-1"}) || d.Left != 1 || d.Shared != 1 {
		t.Errorf("%+v", d)
	}
	if diff := cmp.Diff([]Version{{"a", "1.0.0", "1.1.0", false}, {"b", "2.0.0", "1.9.0", true}}, d.Versions); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(d.Added, []string{"came 1.0.0"}) || !slices.Equal(d.Removed, []string{"gone 1.0.0"}) {
		t.Errorf("%q %q", d.Added, d.Removed)
	}
	if diff := cmp.Diff([]Setting{{"user", "app", "0"}, {"programs that run as others", "", "/usr/bin/su"}}, d.Settings); diff != "" {
		t.Error(diff)
	}
	if !d.Worst(finding.Medium) || d.Worst(finding.High) {
		t.Error("the gravest that is new is medium")
	}
	var table, js bytes.Buffer
	if err := d.WriteTable(term.New(term.Config{Writer: &table}), false); err != nil || !strings.Contains(table.String(), "an older version") {
		t.Errorf("%v: %s", err, table.String())
	}
	if err := d.WriteJSON(&js); err != nil || !strings.Contains(js.String(), `"plimsoll/imagediff/1"`) {
		t.Errorf("%v: %s", err, js.String())
	}
	back := DiffOf(after, before, is, was)
	if !slices.Equal(rules(back.New), rules(d.Mended)) || !slices.Equal(back.Added, d.Removed) {
		t.Errorf("the other way: %+v", back)
	}
	same := DiffOf(before, before, was, was)
	if len(same.New)+len(same.Mended)+len(same.Added)+len(same.Removed)+len(same.Versions)+len(same.Settings) != 0 || same.Left != 2 || same.Worst(finding.Info) {
		t.Errorf("an image and itself: %+v", same)
	}
}
