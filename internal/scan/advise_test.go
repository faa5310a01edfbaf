package scan

import (
	"slices"
	"testing"

	"github.com/plimsoll/plimsoll/internal/advice"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// TestAdvise: flaws that count are counted, and not those that were accepted, are no security
// issue, or that nobody asked for; a bill of materials has no files, and the rest.
func TestAdvise(t *testing.T) {
	c := look(t, layered(t), Options{})
	known := records{"Debian:12 zlib 1:1.2.13": {Matches: []vuln.Match{
		{ID: "CVE-1", Fixed: "1:1.3", Severity: vuln.Severity{Level: vuln.High, Tenths: 80}}, {ID: "CVE-2", Fixed: "1:1.3", Severity: vuln.Severity{Level: vuln.Critical, Tenths: 98}},
		{ID: "CVE-3", Severity: vuln.Severity{Tenths: -1}}, {ID: "CVE-4", Fixed: "1:1.3", Severity: vuln.Severity{Level: vuln.Negligible, Tenths: -1}}}}}
	base := func(judged bool, change func(*finding.Report), c *Contents) *finding.Gone {
		t.Helper()
		r, err := Judge(c, Measure{Records: known})
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		Advise(&r, c, judged)
		if (r.Image.Surface == nil) != (c.View == nil) || (len(r.Image.Layers) == 0) != (c.View == nil) {
			t.Errorf("%+v", r.Image)
		}
		at := slices.IndexFunc(r.Image.Advice, func(a finding.Advice) bool { return a.Kind == advice.Base })
		if at < 0 {
			return nil
		}
		return r.Image.Advice[at].Flaws
	}
	nothing := func(*finding.Report) {}
	accept := func(r *finding.Report) {
		for i := range r.Findings {
			if r.Findings[i].Rule == "CVE-2" {
				r.Findings[i].Status = finding.Waived
			}
		}
	}
	if got := base(true, nothing, c); got == nil || *got != (finding.Gone{Total: 2, Fixable: 2, Worst: finding.Critical}) {
		t.Errorf("%+v", got)
	}
	if got := base(true, accept, c); got == nil || *got != (finding.Gone{Total: 1, Fixable: 1, Worst: finding.High}) {
		t.Errorf("one was accepted: %+v", got)
	}
	if got := base(false, nothing, c); got != nil {
		t.Errorf("nobody asked: %+v", got)
	}
	if got := base(true, nothing, &Contents{Document: c.Document}); got == nil || got.Total != 2 {
		t.Errorf("a bill of materials: %+v", got)
	}
}
