package report

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// report finishes findings of one host.
func report(mark int, findings ...finding.Finding) finding.Report {
	r := finding.Report{Started: started, Target: finding.Target{Name: "harbour-1"}, Findings: findings}
	r.Finish(mark)
	return r
}

// TestLines looks for single lines of small reports.
func TestLines(t *testing.T) {
	failing := func(r rule, subject, message string, remedy finding.Remedy) finding.Finding {
		f := r.finding(finding.Fail, subject)
		f.Message, f.Remedy = message, &remedy
		return f
	}
	element := func(f finding.Finding, element string) finding.Finding {
		f.Element = element
		return f
	}
	three := finding.Remedy{Update: "docker update x", Run: "add --memory 1g", Compose: "set mem_limit: 1g", Dockerfile: "none"}
	refs := memory.finding(finding.Fail, "web")
	refs.Refs = map[string][]string{"cis-1.8": {"5.11", "5.12"}}
	limited := report(80, memory.finding(finding.Fail, "web"), digest.finding(finding.Fail, "web"))
	limited.Benchmark = "cis-1.6"
	replaced := report(80)
	replaced.Rules = &finding.Rules{Replaced: []finding.Replaced{{Rule: "memory-unlimited", File: "rules/m.yaml"}, {Rule: "privileged", File: "rules/p.yaml"}}}
	engine := report(80)
	engine.Target.EngineVersion = "29.1.0"
	waived := memory.finding(finding.Waived, "web")
	waived.Waiver = &finding.Waiver{Owner: "ana", Expires: "2027-02-18", Reason: "measured"}
	bare := failing(rule{name: "no-text", section: "Containers", kind: "container", severity: finding.Low}, "web", "", finding.Remedy{})

	for _, test := range []struct {
		name   string
		report finding.Report
		o      Options
		want   []string
		not    []string
	}{
		{name: "one subject has its own message", report: report(80, failing(memory, "web", "Memory may grow to 64 GiB", three)),
			want: []string{" M  web: memory may grow to 64 GiB", "    docker update x"}, not: []string{"memory is unlimited"}},
		{name: "several subjects have what they share", report: report(80,
			failing(memory, "web", "a", three), failing(memory, "db", "b", three)),
			want: []string{" M  Memory is unlimited", "    db, web\n", "    docker update x\n"}, not: []string{"for all"}},
		{name: "elements of one subject", report: report(80,
			element(failing(ports, "web", "8080 is open", three), "8080"), element(failing(ports, "web", "9090 is open", three), "9090")),
			want: []string{" M  web: ports are open on every interface", "    8080, 9090\n"}, not: []string{"is open\n"}},
		{name: "elements of several subjects", report: report(80,
			element(ports.finding(finding.Fail, "web"), "1"), element(ports.finding(finding.Fail, "web"), "2"), element(ports.finding(finding.Fail, "db"), "3")),
			want: []string{"    db 3, web (1, 2)\n"}},
		{name: "an acronym stays", report: report(80, failing(memory, "web", "CPU time is unlimited", three)), want: []string{"web: CPU time"}},
		{name: "a proper name stays", report: report(80, failing(memory, "web", "Docker's socket is inside", three)), want: []string{"web: Docker's socket"}},
		{name: "the daemon needs no name", report: report(80, liveness.finding(finding.Fail, "daemon")),
			want: []string{" L  Containers stop when the daemon restarts"}},
		{name: "no text at all", report: report(80, bare), want: []string{" L  web: no-text  "}},
		{name: "several ids", report: report(80, refs), want: []string{"CIS 1.8 5.11, 5.12\n"}},
		{name: "ids of the benchmark", report: limited, want: []string{"harbour-1  CIS 1.6 only\n", "CIS 1.6 9.5.11\n", "image-digest\n"}, not: []string{"CIS 1.8"}},
		{name: "replaced rules", report: replaced,
			want: []string{"2 rules are replaced: memory-unlimited by rules/m.yaml, privileged by\nrules/p.yaml\n"}},
		{name: "an engine without containers", report: engine, want: []string{"harbour-1  Docker 29.1.0, no containers\n"}},
		{name: "nothing judged", report: report(80), want: []string{"\n\n Nothing was judged.\n"}, not: []string{"mark", "100"}},
		{name: "all is well", report: report(80, passing(3, "Containers", "container", "web", finding.Pass)...),
			want: []string{"Containers      ", "3 pass\n", "100  ━", "20 above the mark. None failing. 3 pass.\n"}, not: []string{"First:", "✓"}},
		{name: "at the mark", report: report(100, memory.finding(finding.Pass, "web")), want: []string{"At the mark. None failing. 1 pass.\n"}},
		{name: "no mark, no score", report: report(0, memory.finding(finding.Fail, "web")),
			want: []string{"\n 1 failing: 1 medium.\n"}, not: []string{"━", "mark", "First:", "+"}},
		{name: "a section that is waived is folded", report: report(80, waived), want: []string{"Containers   ", "1 waived\n"}, not: []string{"~"}},
		{name: "a waiver of long", report: report(80, waived, memory.finding(finding.Fail, "db")),
			want: []string{" ~  web: memory is unlimited", "    Waived by ana until 2027-02-18: \"measured\"\n"}},

		{name: "live", report: report(80, failing(memory, "web", "", three)), want: []string{"    docker update x\n"}},
		{name: "a run line", report: report(80, failing(memory, "web", "", three)), o: Options{Form: "run"},
			want: []string{"    Add --memory 1g\n"}, not: []string{"docker update"}},
		{name: "compose", report: report(80, failing(memory, "web", "", three)), o: Options{Form: "compose"}, want: []string{"    Set mem_limit: 1g\n"}},
		{name: "a Dockerfile", report: report(80, failing(memory, "web", "", three)), o: Options{Form: "dockerfile"}, want: []string{"    None\n"}},
		{name: "nothing but an update for what does not run", report: report(80, failing(memory, "web", "", finding.Remedy{Update: "docker update x"})),
			o: Options{Form: "run"}, want: []string{"memory is unlimited"}, not: []string{"docker update"}},
		{name: "remedies differ", report: report(80,
			failing(memory, "a", "", finding.Remedy{Update: "docker update a"}), failing(memory, "b", "", finding.Remedy{Update: "docker update b"})),
			o: Options{FixHint: "plimsoll audit -v --only"}, want: []string{"    docker update a\n    for all 2: plimsoll audit -v --only memory-unlimited\n"},
			not: []string{"update b"}},
		{name: "all remedies", report: report(80,
			failing(memory, "a", "", finding.Remedy{Update: "docker update a"}), failing(memory, "b", "", finding.Remedy{Update: "docker update b"})),
			o: Options{FixHint: "plimsoll audit -v --only", Verbose: true}, want: []string{"    docker update a\n    docker update b\n", "    The limit holds for"},
			not: []string{"for all 2"}},
		{name: "first, with the subject", report: report(80, failing(privileged, "ci", "", finding.Remedy{Run: "leave out --privileged; build without"})),
			want: []string{"     First: ci: leave out --privileged (+100)\n", "    Leave out --privileged; build without\n"}},
		{name: "first, the command has the subject", report: report(80, failing(memory, "web", "", finding.Remedy{Update: "docker update web"})),
			want: []string{"     First: docker update web (+100)\n"}},
		{name: "a person must look, without remedy", report: report(80, group1.finding(finding.Manual, "harbour-1")),
			want: []string{" »  Users can become root", "    What to look for: plimsoll rules show docker-group\n"}},
		{name: "what holds, in part", report: report(80, memory.finding(finding.Fail, "a"), memory.finding(finding.Pass, "b"), memory.finding(finding.Pass, "c")),
			o: Options{Verbose: true}, want: []string{" ✓  Not found in 2 of 3: memory is unlimited"}},
		{name: "what holds in an element only is no pass", report: report(80, element(ports.finding(finding.Fail, "a"), "1"), element(ports.finding(finding.Pass, "a"), "2")),
			o: Options{Verbose: true}, want: []string{" M  a: ports"}, not: []string{"✓"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := table(t, terminal(80, false), test.report, test.o)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("%q in\n%s", not, got)
				}
			}
		})
	}
}

// TestMendFirst holds the order and the number of what to begin with.
func TestMendFirst(t *testing.T) {
	var all []finding.Finding
	for i := range 6 {
		r := rule{fmt.Sprintf("m%d", i), fmt.Sprintf("state %d", i), "Containers", "container", finding.Medium, "", ""}
		for j := range 6 {
			status := finding.Pass
			if j <= i {
				status = finding.Fail // m5 fails everywhere and brings most
			}
			all = append(all, r.finding(status, fmt.Sprintf("c%d", j)))
		}
	}
	reached := rule{"reached", "state r", "Containers", "container", finding.Medium, "", ""}
	low := rule{"low", "state l", "Containers", "container", finding.Low, "", ""}
	high := rule{"high", "state h", "Containers", "container", finding.High, "", ""}
	all = append(all, reached.finding(finding.Fail, "edge"), reached.finding(finding.Pass, "c0"), reached.finding(finding.Pass, "c1"),
		low.finding(finding.Fail, "c9"), high.finding(finding.Fail, "c8"))
	r := finding.Report{Reach: []finding.Reach{{Subject: "edge", Text: "the data of db"}}, Findings: all}
	r.Finish(80)
	got := table(t, pipe(), r, Options{})
	_, block, _ := strings.Cut(got, "Mend first\n")
	block, _, _ = strings.Cut(block, "\n\n")
	var order []string
	for line := range strings.SplitSeq(block, "\n") {
		words := strings.Fields(line)
		order = append(order, words[0]+" "+regexp.MustCompile(`state (\w)`).FindStringSubmatch(line)[1])
	}
	want := []string{"H h", "M r", "M 5", "M 4", "M 3", "M 2", "M 1"}
	if d := cmp.Diff(want, order); d != "" {
		t.Errorf("(-want +got)\n%s\n%s", d, got)
	}
	for _, n := range []int{3, 4} {
		var few []finding.Finding
		for i := range n {
			few = append(few, rule{fmt.Sprintf("r%d", i), fmt.Sprintf("x%d", i), "Containers", "container", finding.Low, "", ""}.finding(finding.Fail, "web"))
		}
		got := table(t, pipe(), report(80, few...), Options{})
		if has := strings.Contains(got, "Mend first"); has != (n == 4) {
			t.Errorf("%d entries: Mend first is %v", n, has)
		}
		if has := strings.Contains(got, "First: "); has != (n == 3) {
			t.Errorf("%d entries: First is %v", n, has)
		}
	}
}

// TestSectionsWorstFirst holds the order of sections.
func TestSectionsWorstFirst(t *testing.T) {
	some := func(section string, severity finding.Severity, status finding.Status, n int) []finding.Finding {
		var all []finding.Finding
		for i := range n {
			all = append(all, rule{fmt.Sprintf("%s-%d", section, i), "x", section, "network", severity, "", ""}.finding(status, "s"))
		}
		return all
	}
	r := report(80, slices.Concat(
		some("Files", finding.High, finding.Pass, 2),
		some("Volumes", finding.Low, finding.Unknown, 1),
		some("Swarm", finding.Low, finding.Manual, 1),
		some("Daemon", finding.Low, finding.Fail, 9),
		some("Networks", finding.High, finding.Fail, 1),
		some("Host", finding.High, finding.Fail, 2),
		some("Containers", finding.Low, finding.Fail, 9),
		some("Own things", finding.Critical, finding.Fail, 1),
		some("Images", finding.High, finding.NotApplicable, 1),
	)...)
	got := table(t, pipe(), r, Options{})
	var heads []string
	_, got, _ = strings.Cut(got[strings.Index(got, "Mend first"):], "\n\n")
	for block := range strings.SplitSeq(got, "\n\n") {
		heads = append(heads, strings.TrimSpace(strings.SplitN(block, "  ", 2)[0]))
	}
	want := []string{"Own things", "Host", "Networks", "Containers", "Daemon", "Volumes", "Swarm", "Files, images"}
	if d := cmp.Diff(want, heads[:len(want)]); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestColorChangesNothing: without colour the text is the same.
func TestColorChangesNothing(t *testing.T) {
	for _, r := range []finding.Report{small(), fleet(), blind()} {
		for _, verbose := range []bool{false, true} {
			plain := table(t, terminal(72, false), r, Options{Verbose: verbose})
			color := table(t, terminal(72, true), r, Options{Verbose: verbose})
			if plain == color {
				t.Error("no colour at all")
			}
			if d := cmp.Diff(plain, sgr.ReplaceAllString(color, "")); d != "" {
				t.Errorf("(-plain +colour)\n%s", d)
			}
		}
	}
}

// TestWidth: nothing but commands runs over, and no line ends in a space.
func TestWidth(t *testing.T) {
	for width := 60; width <= 100; width++ {
		for _, r := range []finding.Report{small(), fleet(), blind()} {
			for _, verbose := range []bool{false, true} {
				for line := range strings.Lines(table(t, terminal(width, false), r, Options{Verbose: verbose, FixHint: fix})) {
					line = strings.TrimSuffix(line, "\n")
					if term.Width(line) > width && !strings.Contains(line, "docker update ") && !strings.Contains(line, "for all ") {
						t.Errorf("at %d: %d cells: %q", width, term.Width(line), line)
					}
					if strings.TrimRight(line, " ") != line {
						t.Errorf("at %d: a space at the end: %q", width, line)
					}
				}
			}
		}
	}
}

// TestPipe: elsewhere than on a terminal nothing is shortened or coloured.
func TestPipe(t *testing.T) {
	got := table(t, term.Config{UTF8: true, Color: true}, fleet(), Options{})
	if strings.Contains(got, "\x1b") {
		t.Error("colour on a pipe")
	}
	for i := 11; i < 37; i++ {
		if name := fmt.Sprintf("job-%d", i); !strings.Contains(got, name) {
			t.Errorf("%s is left out", name)
		}
	}
	if got := table(t, terminal(80, true), fleet(), Options{}); strings.Contains(got, "job-20") {
		t.Error("nothing is shortened on a terminal")
	}
	if got := table(t, terminal(80, true), fleet(), Options{Verbose: true}); !strings.Contains(got, "job-20") {
		t.Error("-v does not list all names")
	}
}

// TestReachNames: a name that is too wide has its text below, and several with
// equal reach are one line.
func TestReachNames(t *testing.T) {
	r := report(80, memory.finding(finding.Fail, "d"))
	long := strings.Repeat("very-", 8) + "long"
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		r.Reach = append(r.Reach, finding.Reach{Subject: name, Text: "every port of the host"})
	}
	r.Reach = append(r.Reach, finding.Reach{Subject: long, Text: "the data of db"})
	for _, test := range []struct {
		config term.Config
		want   string
	}{
		{terminal(80, false), "From here an intruder reaches\n" +
			"    d   every port of the host, so do a, b, c and 1 more\n    " + long + "\n        the data of db\n"},
		{pipe(), "From here an intruder reaches\n" +
			"    d   every port of the host, so do a, b, c and e\n    " + long + "   the data of db\n"},
	} {
		if got := table(t, test.config, r, Options{}); !strings.Contains(got, test.want) {
			t.Errorf("no\n%s\nin\n%s", test.want, got)
		}
	}
}

// TestHostile: words of others stay words.
func TestHostile(t *testing.T) {
	const evil = "web\x1b]0;owned\x07\n C  db: all is well\u202e\u009b2J\xff"
	f := privileged.finding(finding.Fail, evil)
	f.Title, f.Message, f.Why, f.Element, f.Section, f.Rule = evil, evil, evil, evil, evil, evil
	f.Remedy.Run = evil
	w := memory.finding(finding.Waived, evil)
	w.Section = evil
	w.Waiver = &finding.Waiver{Owner: evil, Expires: evil, Reason: evil}
	u := memory.finding(finding.Unknown, evil)
	u.Section, u.Reason = evil, evil
	m := group1.finding(finding.Manual, evil)
	m.Section, m.Evidence = evil, map[string]any{evil: []any{evil, 1.5, map[string]any{evil: evil}}}
	r := report(80, f, w, u, m)
	r.Target = finding.Target{Name: evil, EngineVersion: evil, OS: evil}
	r.Benchmark = evil
	r.Reach = []finding.Reach{{Subject: evil, Text: evil}}
	r.Rules = &finding.Rules{Replaced: []finding.Replaced{{Rule: evil, File: evil}}}
	for _, c := range []term.Config{terminal(80, false), terminal(60, true), pipe(), {}} {
		for _, verbose := range []bool{false, true} {
			got := table(t, c, r, Options{Verbose: verbose, FixHint: evil})
			harmless := sgr.ReplaceAllString(got, "")
			if bad := unsafe(harmless, c.UTF8); bad != "" {
				t.Errorf("%q in\n%q", bad, harmless)
			}
			if !strings.Contains(got, `\x1b]0;owned\x07`) || !strings.Contains(got, `\u202e`) {
				t.Errorf("the name is not shown:\n%s", got)
			}
		}
	}
}

// unsafe finds a character that a terminal acts on or that has no place.
func unsafe(s string, utf8ok bool) string {
	if !utf8.ValidString(s) {
		return "invalid UTF-8"
	}
	for _, r := range s {
		if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || r == '\u00a0') || r > '~' && !utf8ok {
			return string(r)
		}
	}
	return ""
}

// anyText makes words as an enemy writes them.
func anyText() *rapid.Generator[string] {
	parts := []string{"a", "B", "-", "--x", " ", "\n", "\t", "\x1b[2J", "\x07", "\r", "\u009b", "\u202e", "\u2066", "\u200b", "\u00a0", "\u2028", "é", "中", "\xff", "\x00",
		`"`, "'", ";", ": ", ".", "\U000e0041", "web", "docker ", "/x", "9"}
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6), func(s []string) string { return strings.Join(s, "") })
}

// anyReport makes a report of random findings. No finding has ids, so that each
// entry ends in the name of its rule.
func anyReport(t *rapid.T) finding.Report {
	text := anyText()
	rules := rapid.SliceOfN(rapid.Map(text, func(s string) string { return s + "r" }), 1, 8).Draw(t, "rules")
	names := rapid.SliceOfN(text, 1, 6).Draw(t, "names")
	kinds := []string{"container", "host", "daemon", "file", "image"}
	statuses := []finding.Status{finding.Pass, finding.Fail, finding.Waived, finding.Unknown, finding.Manual, finding.NotApplicable}
	all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) finding.Finding {
		f := finding.Finding{
			About: &finding.About{Rule: rapid.SampledFrom(rules).Draw(t, "rule"), Title: text.Draw(t, "title"), Why: text.Draw(t, "why"),
				Severity: rapid.SampledFrom(finding.Severities).Draw(t, "severity"), Section: rapid.SampledFrom([]string{"Containers", "Host", "\x1b[1m"}).Draw(t, "section")},
			Detail: &finding.Detail{Message: text.Draw(t, "message"), Reason: text.Draw(t, "reason"),
				Evidence: map[string]any{text.Draw(t, "key"): text.Draw(t, "value")},
				Remedy:   &finding.Remedy{Run: text.Draw(t, "run"), Update: text.Draw(t, "update"), Shell: text.Draw(t, "shell")}},
			Status:  rapid.SampledFrom(statuses).Draw(t, "status"),
			Subject: &finding.Subject{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Name: rapid.SampledFrom(names).Draw(t, "name")},
			Element: text.Draw(t, "element"),
		}
		if f.Status == finding.Waived {
			f.Waiver = &finding.Waiver{Owner: text.Draw(t, "owner"), Expires: text.Draw(t, "expires"), Reason: text.Draw(t, "accepted")}
		}
		return f
	}), 0, 25).Draw(t, "findings")
	r := finding.Report{Target: finding.Target{Name: text.Draw(t, "target"), OS: text.Draw(t, "os")}, Started: started, Findings: all}
	for _, name := range names {
		r.Reach = append(r.Reach, finding.Reach{Subject: name, Text: text.Draw(t, "reach")})
	}
	r.Finish(rapid.SampledFrom([]int{0, 1, 50, 80, 100}).Draw(t, "mark"))
	return r
}

// TestAnyReport: whatever a report holds, what is printed is harmless, colour
// changes nothing, and no failure goes unsaid.
func TestAnyReport(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := anyReport(rt)
		before := fmt.Sprintf("%#v", r)
		o := Options{Verbose: rapid.Bool().Draw(rt, "verbose"), FixHint: "plimsoll audit -v --only", Form: rapid.SampledFrom([]string{"", "run"}).Draw(rt, "form")}
		width := rapid.IntRange(60, 100).Draw(rt, "width")
		plain := table(t, terminal(width, false), r, o)
		color := table(t, terminal(width, true), r, o)
		if stripped := sgr.ReplaceAllString(color, ""); stripped != plain {
			rt.Errorf("colour changes the text: %s", cmp.Diff(plain, stripped))
		}
		piped := table(t, pipe(), r, o)
		for _, text := range []string{plain, piped} {
			if bad := unsafe(text, true); bad != "" {
				rt.Errorf("%q in\n%q", bad, text)
			}
		}
		if bad := unsafe(table(t, term.Config{}, r, o), false); bad != "" {
			rt.Errorf("%q in ASCII", bad)
		}
		_, sections, _ := strings.Cut(piped, "\nMend first\n")
		if sections == "" {
			sections = piped
		}
		lines := strings.Split(sections, "\n")
		for _, f := range r.Findings {
			if f.Status != finding.Fail {
				continue
			}
			// What several rules say in one section in the same words is one entry, of one of them.
			if !slices.ContainsFunc(lines, func(line string) bool {
				return regexp.MustCompile(`^ [CHMLI]  `).MatchString(line) && slices.ContainsFunc(r.Findings, func(g finding.Finding) bool {
					return g.Status == finding.Fail && (g.Rule == f.Rule || f.Title != "" && g.Title == f.Title && g.Section == f.Section) && strings.HasSuffix(line, "  "+term.Escape(g.Rule))
				})
			}) {
				rt.Errorf("%q is not there:\n%s", f.Rule, piped)
			}
			if o.Verbose && !strings.Contains(strings.Join(strings.Fields(sections), ""), strings.Join(strings.Fields(term.Escape(f.Rule)), "")) {
				rt.Errorf("%q is not named:\n%s", f.Rule, piped)
			}
		}
		if after := fmt.Sprintf("%#v", r); before != after {
			rt.Error("the report was changed")
		}
	})
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestWriteError: a report that could not be written is an error.
func TestWriteError(t *testing.T) {
	if err := Table(term.New(term.Config{Writer: full{}}), small(), Options{}); err == nil || err.Error() != "writing the report: no space left" {
		t.Errorf("got %v", err)
	}
	if err := HTML(full{}, small(), Options{}); err == nil || err.Error() != "writing the report: no space left" {
		t.Errorf("got %v", err)
	}
	if err := JSON(full{}, small()); err == nil || err.Error() != "writing the report: no space left" {
		t.Errorf("got %v", err)
	}
}

// BenchmarkTable writes a report of 50 containers and 34 rules.
func BenchmarkTable(b *testing.B) {
	r := fleet()
	b.ReportAllocs()
	for b.Loop() {
		table(b, terminal(80, true), r, Options{})
	}
}
