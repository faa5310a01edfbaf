package report

import (
	"path"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/finding"
)

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 1604: "1,604", 1234567: "1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestFirstLetter(t *testing.T) {
	for _, test := range []struct{ in, lower, upper string }{
		{"Memory is unlimited", "memory is unlimited", "Memory is unlimited"},
		{"memory is unlimited", "memory is unlimited", "Memory is unlimited"},
		{"The engine's socket", "the engine's socket", "The engine's socket"},
		{"Engine's", "engine's", "Engine's"},
		{"A port", "a port", "A port"},
		{"AppArmor is off", "AppArmor is off", "AppArmor is off"},
		{"SYS_ADMIN is granted", "SYS_ADMIN is granted", "SYS_ADMIN is granted"},
		{"Docker stops", "Docker stops", "Docker stops"},
		{"-p 1:1", "-p 1:1", "-p 1:1"},
		{"/etc is writable", "/etc is writable", "/etc is writable"},
		{"daemon.json says so", "daemon.json says so", "daemon.json says so"},
		{"élan", "élan", "Élan"},
		{"\xffx", "\xffx", "\xffx"},
		{"", "", ""},
	} {
		if got := lowerFirst(test.in); got != test.lower {
			t.Errorf("lowerFirst(%q) = %q, want %q", test.in, got, test.lower)
		}
		if got := upperFirst(test.in); got != test.upper {
			t.Errorf("upperFirst(%q) = %q, want %q", test.in, got, test.upper)
		}
	}
}

func TestIn(t *testing.T) {
	evening := time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
	for date, want := range map[string]string{
		"2026-11-23": "", "2026-11-24": " (today)", "2026-11-25": " (tomorrow)", "2026-11-27": " (in 3 d)",
		"2026-11-30": " (in 6 d)", "2026-12-01": "", "soon": "", "": "",
	} {
		if got := in(date, evening); got != want {
			t.Errorf("%s: got %q, want %q", date, got, want)
		}
	}
}

func TestGlue(t *testing.T) {
	for in, want := range map[string]string{
		"add --memory 512m and go":           "add --memory_512m and go",
		"leave out --privileged; build anew": "leave out --privileged; build anew",
		"leave out -v a:b -p 1:1":            "leave out -v_a:b -p_1:1",
		`add --health-cmd "curl -f x" to it`: `add --health-cmd_"curl_-f_x" to it`,
		"it can't see the host's files":      "it can't see the host's files",
		"set 'a b' there":                    "set 'a_b' there",
		"an open \"quote stays":              "an open \"quote stays",
		`In daemon.json add  "a": true`:      `In daemon.json add  "a": true`,
	} {
		if got := strings.ReplaceAll(glue(in), "\u00a0", "_"); got != want {
			t.Errorf("glue(%q) = %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := strings.ReplaceAll(strings.ToValidUTF8(anyText().Draw(t, "text"), "?"), "\u00a0", "")
		if got := strings.ReplaceAll(glue(in), "\u00a0", " "); got != in {
			t.Errorf("glue(%q) changes more than spaces: %q", in, got)
		}
	})
}

func TestValue(t *testing.T) {
	for _, test := range []struct {
		in   any
		want string
	}{
		{"a", "a"}, {[]string{"a", "b"}, "a, b"}, {[]any{"a", 2.0, true}, "a, 2, true"}, {int64(7), "7"},
		{nil, "null"}, {map[string]any{"b": 1, "a": []any{}}, `{"a":[],"b":1}`}, {func() {}, ""},
	} {
		got := value(test.in)
		if test.want == "" && got == "" || test.want != "" && got != test.want {
			t.Errorf("%v: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestExitSentence(t *testing.T) {
	failing := func(s ...finding.Severity) finding.Report {
		var r finding.Report
		for _, one := range s {
			r.Findings = append(r.Findings, finding.Finding{About: &finding.About{Severity: one}, Status: finding.Fail})
		}
		return r
	}
	since := failing(finding.Critical, finding.Medium)
	since.Findings[0].Known, since.Baseline = true, &finding.Baseline{}
	for _, test := range []struct {
		report finding.Report
		failOn finding.Severity
		want   string
	}{
		{failing(finding.High), finding.High, "A finding is high, and --fail-on is high: exit 1."},
		{failing(finding.Low, finding.Critical), finding.Medium, "A finding is critical, and --fail-on is medium: exit 1."},
		{failing(finding.Medium, finding.Low), finding.High, ""},
		{failing(finding.Critical), "never", ""},
		{failing(), finding.Info, ""},
		{small(), finding.High, "A finding is high, and --fail-on is high: exit 1."},
		{small(), finding.Critical, ""},
		{since, finding.High, ""},
		{since, finding.Medium, "A new finding is medium, and --fail-on is medium: exit 1."},
	} {
		if got := ExitSentence(test.report, test.failOn); got != test.want {
			t.Errorf("%d findings, %s: got %q, want %q", len(test.report.Findings), test.failOn, got, test.want)
		}
	}
}

func TestBenchmarkName(t *testing.T) {
	for in, want := range map[string]string{"cis-1.8": "CIS 1.8", "cis-1.13": "CIS 1.13", "own": "OWN"} {
		if got := benchmarkName(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// TestPattern: what the names of rules have in common finds each of them.
func TestPattern(t *testing.T) {
	for want, rules := range map[string][]string{
		"memory-unlimited":  {"memory-unlimited"},
		"'audit-*-missing'": {"audit-a-missing", "audit-b-c-missing"},
		"'a*'":              {"a", "ab"},
		"'*'":               {"x", "y"},
	} {
		if got := pattern(rules); got != want {
			t.Errorf("%q: %s, want %s", rules, got, want)
		}
		for _, r := range rules {
			if ok, err := path.Match(strings.Trim(want, "'"), r); !ok || err != nil {
				t.Errorf("%s does not find %s", want, r)
			}
		}
	}
}
