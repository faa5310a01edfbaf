package cli

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// unjudged are the containers of which nothing was seen but that they are there,
// and the reasons.
type unjudged struct {
	containers int
	why        []string
}

func unjudgedOf(containers []workload.Spec) unjudged {
	u, reasons := unjudged{}, map[string]bool{}
	for i := range containers {
		if isDark(&containers[i]) {
			u.containers++
			reasons[mostly(containers[i].Unseen)] = true
		}
	}
	u.why = slices.Sorted(maps.Keys(reasons))
	return u
}

// isDark is true when of each fact of a container something is unseen, but for
// those that a list of containers has. Of most the first few are seen.
func isDark(s *workload.Spec) bool {
	t := reflect.TypeFor[workload.Spec]()
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("json")
		if slices.Contains([]string{"-", "name", "id", "origin"}, name) {
			continue
		}
		if !slices.ContainsFunc(s.Unseen, func(u workload.Unseen) bool {
			rest, found := strings.CutPrefix(u.Path, name)
			return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}) {
			return false
		}
	}
	return true
}

// mostly is the reason that most entries have.
func mostly(unseen []workload.Unseen) string {
	count, most := map[string]int{}, ""
	for _, u := range unseen {
		if count[u.Reason]++; count[u.Reason] > count[most] {
			most = u.Reason
		}
	}
	return most
}

// tell says on standard error that containers, of so many, were not judged, or
// gives the error where none was and a rule would have had to.
func (a *app) tell(u unjudged, of int, findings []finding.Finding) error {
	if u.containers == 0 || !slices.ContainsFunc(findings, func(f finding.Finding) bool {
		return f.Status == finding.Unknown && f.Subject.Kind == "container"
	}) {
		return nil
	}
	why := strings.Join(u.why[:min(3, len(u.why))], "; ")
	if u.containers == of {
		return &failure{code: exitUnable, message: fmt.Sprintf("none of %s could be judged: %s", count(of, "container"), why), hint: "The report says what was missing."}
	}
	a.note(fmt.Sprintf("%d of %s could not be judged: %s.", u.containers, count(of, "container"), why))
	return nil
}
