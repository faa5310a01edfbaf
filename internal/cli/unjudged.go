package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// unjudged are the containers of which too little was seen for even one rule:
// all that was to be judged about them is unknown.
type unjudged struct {
	containers int
	all        bool // there is no container about which anything is known
	why        []string
}

func unjudgedIn(findings []finding.Finding) unjudged {
	why := map[*finding.Subject]string{} // "" for a container that was judged
	for i := range findings {
		f := &findings[i]
		if f.Subject.Kind != "container" {
			continue
		}
		switch f.Status {
		case finding.Pass, finding.Fail, finding.Waived:
			why[f.Subject] = ""
		case finding.Unknown:
			if _, known := why[f.Subject]; !known {
				why[f.Subject] = reasonOf(f)
			}
		}
	}
	reasons := map[string]bool{}
	u := unjudged{}
	for _, reason := range why {
		if reason != "" {
			u.containers++
			reasons[reason] = true
		}
	}
	u.all = u.containers > 0 && u.containers == len(why)
	u.why = slices.Sorted(maps.Keys(reasons))
	return u
}

// reasonOf is why a finding is unknown, without the names of facts.
func reasonOf(f *finding.Finding) string {
	if len(f.Missing) > 0 {
		return f.Missing[0].Reason
	}
	return cmp.Or(f.Reason, "it is unknown why")
}

// tell says on standard error that containers, of so many, were not judged, or
// gives the error where none was.
func (a *app) tell(u unjudged, of int) error {
	why := strings.Join(u.why[:min(3, len(u.why))], "; ")
	if u.all {
		return &failure{code: exitUnable, message: fmt.Sprintf("none of %s could be judged: %s", count(of, "container"), why), hint: "The report says what was missing."}
	}
	if u.containers > 0 {
		a.note(fmt.Sprintf("%d of %s could not be judged: %s.", u.containers, count(of, "container"), why))
	}
	return nil
}
