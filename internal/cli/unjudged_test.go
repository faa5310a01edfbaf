package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
)

func TestUnjudged(t *testing.T) {
	web, db, host := &finding.Subject{Kind: "container", Name: "web"}, &finding.Subject{Kind: "container", Name: "db"}, &finding.Subject{Kind: "host"}
	of := func(s *finding.Subject, status finding.Status) finding.Finding {
		d := &finding.Detail{Missing: []finding.Missing{{Path: "container.tty", Reason: s.Name + " is dark"}}}
		return finding.Finding{About: &finding.About{}, Detail: d, Subject: s, Status: status}
	}
	for name, tc := range map[string]struct {
		findings []finding.Finding
		want     unjudged
	}{
		"none":               {nil, unjudged{}},
		"only the host":      {[]finding.Finding{of(host, finding.Unknown)}, unjudged{}},
		"all unknown":        {[]finding.Finding{of(web, finding.Unknown), of(db, finding.Unknown), of(host, finding.Pass)}, unjudged{2, true, []string{"db is dark", "web is dark"}}},
		"a person must look": {[]finding.Finding{of(web, finding.Unknown), of(web, finding.Manual), of(web, finding.NotApplicable)}, unjudged{1, true, []string{"web is dark"}}},
		"nothing to judge":   {[]finding.Finding{of(web, finding.Manual), of(db, finding.NotApplicable)}, unjudged{}},
		"one of two":         {[]finding.Finding{of(web, finding.Unknown), of(db, finding.Unknown), of(db, finding.Pass)}, unjudged{1, false, []string{"web is dark"}}},
		"some unknown":       {[]finding.Finding{of(web, finding.Fail), of(web, finding.Unknown), of(db, finding.Waived)}, unjudged{}},
	} {
		got := unjudgedIn(tc.findings)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(unjudged{})); len(tc.want.why)+len(got.why) > 0 && diff != "" || got.containers != tc.want.containers || got.all != tc.want.all {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
