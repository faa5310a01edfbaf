package report

import (
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// TestAlikeRulesAreOneEntry: what several rules say in the same words is one entry,
// with what each is about; in other words, or elsewhere, it is one of its own.
func TestAlikeRulesAreOneEntry(t *testing.T) {
	of := func(name, title, section, element string) finding.Finding {
		f := rule{name, title, section, "host", finding.Low, "", ""}.finding(finding.Fail, "vm")
		f.Element, f.Remedy = element, &finding.Remedy{Shell: "watch " + element}
		return f
	}
	got := table(t, pipe(), report(80, of("audit-a-missing", "a file is not watched", "Host", "/a"), of("audit-b-missing", "a file is not watched", "Host", "/b"),
		of("other", "something else", "Host", ""), of("files", "a file is not watched", "Files", "/c")), Options{FixHint: "plimsoll audit --fix --only", AllHint: "plimsoll audit -v --only"})
	sections, _, _ := strings.Cut(got, "mark 80")
	for text, times := range map[string]int{" file is not watched": 2, "    /a, /b\n": 1, "plimsoll audit -v --only 'audit-*-missing'": 1, "omething else": 1} {
		if n := strings.Count(sections, text); times != n {
			t.Errorf("%q is there %d times, want %d:\n%s", text, n, times, got)
		}
	}
}
