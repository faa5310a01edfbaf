package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

func asHTML(t testing.TB, r finding.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHTMLGolden holds the looks of the page; open the files in a browser.
func TestHTMLGolden(t *testing.T) {
	for name, test := range map[string]struct {
		report finding.Report
		o      Options
	}{"small": {small(), Options{}}, "since": {since(), Options{}}, "blind": {blind(), Options{Form: "run"}}} {
		got := asHTML(t, test.report, test.o)
		file := filepath.Join("testdata", name+".html")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v: run go test -update, and read the file before you keep it", err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", file, d)
		}
	}
}

// element is a part of a page as a browser reads it.
type element struct {
	tag        string
	attributes map[string]string
	text       string // of all in it
}

// parsed reads a page as browsers do (HTML5), and holds what is true of every page: it is
// made of a few elements and attributes, none of which acts or asks for anything, each id is
// there once, and what can be seen is harmless.
func parsed(t interface{ Errorf(string, ...any) }, page string) []element {
	if bad := unsafe(page, true); bad != "" {
		t.Errorf("%q is in the page", bad)
	}
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	tags := strings.Fields("html head meta title link style body svg symbol path rect circle defs pattern text use a header div span button main h1 h2 p section dl dt dd form label input details summary pre code table caption thead tbody tr th td time footer output script")
	attributes := strings.Fields("lang charset http-equiv content name rel href class aria-hidden aria-label aria-labelledby id viewBox d fill fill-rule stroke stroke-width stroke-linecap stroke-linejoin stroke-dasharray x y cx cy r rx width height patternUnits patternTransform text-anchor data-do data-filter data-l role title scope for type placeholder checked open hidden datetime")
	var all []element
	ids := map[string]bool{}
	var text func(n *html.Node) string
	text = func(n *html.Node) string {
		s := ""
		if n.Type == html.TextNode {
			s = n.Data
		}
		for c := range n.ChildNodes() {
			s += text(c)
		}
		return s
	}
	for n := range root.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("the page has a comment %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		e := element{tag: n.Data, attributes: map[string]string{}, text: text(n)}
		if !slices.Contains(tags, n.Data) {
			t.Errorf("the page has an element %q", n.Data)
		}
		for _, a := range n.Attr {
			e.attributes[a.Key] = a.Val
			if !slices.Contains(attributes, a.Key) {
				t.Errorf("the page has an attribute %q", a.Key)
			}
		}
		if to, is := e.attributes["href"]; is && !strings.HasPrefix(to, "#") && to != "data:," {
			t.Errorf("the page asks for %q", to)
		}
		if fill := e.attributes["fill"]; strings.Contains(fill, "(") && !strings.HasPrefix(fill, "url(#g") {
			t.Errorf("the page is filled with %q", fill)
		}
		if id, is := e.attributes["id"]; is && ids[id] {
			t.Errorf("the page has two %q", id)
		} else {
			ids[id] = is
		}
		all = append(all, e)
	}
	for _, tag := range []string{"script", "style", "main", "h1", "title"} {
		if n := len(of(all, tag)); n != 1 {
			t.Errorf("the page has %d of %s", n, tag)
		}
	}
	for _, e := range of(all, "use") {
		if id := strings.TrimPrefix(e.attributes["href"], "#"); !ids[id] {
			t.Errorf("the page has no %s", id)
		}
	}
	return all
}

func of(all []element, tag string) []element {
	return slices.DeleteFunc(slices.Clone(all), func(e element) bool { return e.tag != tag })
}

// TestHTML: the page starts with how things stand and what to do first, has its parts worst
// first, and of each finding why, what was found, how to mend it and what it is known as.
func TestHTML(t *testing.T) {
	page := asHTML(t, fleet(), Options{})
	all := parsed(t, page)
	if got := of(all, "h1")[0].text; got != "harbour-1 lies 1 below the mark" {
		t.Errorf("the heading is %q", got)
	}
	var sections []string
	for _, e := range of(all, "h2") {
		sections = append(sections, e.text)
	}
	if d := cmp.Diff([]string{"From here an intruder reaches", "Containers", "Daemon", "Passing"}, sections); d != "" {
		t.Errorf("sections (-want +got)\n%s", d)
	}
	first := of(all, "details")[0]
	if _, open := first.attributes["open"]; !open || !strings.Contains(first.text, "the engine's socket is inside") {
		t.Errorf("the first finding is %v", first)
	}
	for _, e := range of(all, "details")[1:] {
		if _, open := e.attributes["open"]; open {
			t.Errorf("open is %s", e.text)
		}
	}
	for _, want := range []string{
		"First: metrics: leave out -v /var/run/docker.sock:/var/run/docker.sock (&#43;",
		"97 failing: 1 critical, 3 high", "ci-runner-1</th><td>root on the host (every privilege), so does ci-runner-2",
		"<span class=\"strong\">Why.</span> One process that leaks can take the memory of the whole host, and the kernel then ends processes of others.</p>\n<p>The limit holds",
		"<code>docker update --memory 1g --memory-swap 1g metrics\ndocker update --memory 1g --memory-swap 1g ci-runner-1\n", "CIS 1.8 5.11 · CIS 1.6 9.5.11 · rule memory-unlimited",
		"metrics, ci-runner-1, ci-runner-2 and 31 more", "<th scope=\"row\">adminer</th><td data-l=\"Of it\">8080</td>",
		"Waived by ana until 2026-11-27 (in 3 d): &#34;it is the front door&#34;", "Not found in 16 of 50",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	manual := asHTML(t, small(), Options{})
	parsed(t, manual)
	for _, want := range []string{"mei can become root through the group docker", ">user mei</td>", "Check that she should, then waive it", "It can&#39;t be told whether the kernel audits dockerd", "Run plimsoll as root: the audit rules could not be read."} {
		if !strings.Contains(manual, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

// TestHTMLSaysAll: each subject of each failure is in the page.
func TestHTMLSaysAll(t *testing.T) {
	r := since()
	all := of(parsed(t, asHTML(t, r, Options{})), "details")
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Status == finding.Pass || f.Status == finding.NotApplicable {
			continue
		}
		if !slices.ContainsFunc(all, func(e element) bool {
			return strings.Contains(e.text, "rule "+f.Rule) && strings.Contains(e.text, f.Subject.Name) && (!f.Known || strings.Contains(e.text, "Known since 2026-11-17"))
		}) && f.Subject.Kind != "daemon" {
			t.Errorf("%s of %s is missing", f.Rule, f.Subject.Name)
		}
	}
}

func TestHTMLState(t *testing.T) {
	none := report(0)
	fails, holds := memory.finding(finding.Fail, "web"), memory.finding(finding.Pass, "db")
	untold := memory.finding(finding.Unknown, "web")
	at := report(50, fails, holds)
	at.Summary.Score = 50
	for want, r := range map[string]finding.Report{
		"harbour-1: nothing was judged":        none,
		"harbour-1: 1 of 2 judgements fails":   report(0, fails, holds),
		"harbour-1: 2 of 2 judgements fail":    report(0, fails, privileged.finding(finding.Fail, "web")),
		"harbour-1: none of 1 judgement fails": report(0, holds, untold),
		"harbour-1: nothing could be judged":   report(0, untold),
		"harbour-1 lies 20 above the mark":     report(80, holds),
		"harbour-1 lies 80 below the mark":     report(80, privileged.finding(finding.Fail, "web")),
		"harbour-1 lies at the mark":           at,
	} {
		all := parsed(t, asHTML(t, r, Options{}))
		if got := of(all, "h1")[0].text; got != want {
			t.Errorf("the heading is %q, want %q", got, want)
		}
		if drawn := len(of(all, "pattern")) > 0; drawn != (r.Summary.Mark > 0) {
			t.Errorf("%s: a load line is %v", want, drawn)
		}
	}
}

// TestHTMLFilters: there is a filter for each kind of entry, with their number, and none for
// what is not there; passes are hidden at first. Without findings there is nothing to filter.
func TestHTMLFilters(t *testing.T) {
	page := asHTML(t, since(), Options{})
	all := parsed(t, page)
	entries := map[string]int{}
	for _, e := range of(all, "details") {
		for class := range strings.FieldsSeq(e.attributes["class"]) {
			if kind, is := strings.CutPrefix(class, "is-"); is {
				entries[kind]++
			}
		}
	}
	for _, e := range of(all, "tr") {
		if strings.HasPrefix(e.text, " ") { // its icon
			entries["pass"]++
		}
	}
	chips := map[string]int{}
	for _, e := range of(all, "label") {
		if e.attributes["for"] == "" {
			words := strings.Fields(e.text)
			n, err := strconv.Atoi(words[len(words)-1])
			if err != nil {
				t.Error(err)
			}
			chips[strings.ToLower(words[0])] = n
		}
	}
	if d := cmp.Diff(entries, chips); d != "" || len(chips) < 5 {
		t.Errorf("entries and filters (-entries +filters)\n%s", d)
	}
	for _, e := range of(all, "input") {
		kind, is := strings.CutPrefix(e.attributes["id"], "f-")
		if _, checked := e.attributes["checked"]; is && checked != (kind != "pass") {
			t.Errorf("%s is shown: %v", kind, checked)
		}
		if is && !strings.Contains(pageCSS, "body:has(#f-"+kind+":not(:checked)) .is-"+kind) {
			t.Errorf("nothing hides %s", kind)
		}
	}
	if page := asHTML(t, report(80), Options{}); strings.Contains(page, "<form") {
		t.Error("an empty report can be filtered")
	}
}

// TestHTMLMany: of very many findings some rows are shown, and how many more there are.
func TestHTMLMany(t *testing.T) {
	var findings []finding.Finding
	for i := range mostRows + 7 {
		findings = append(findings, memory.finding(finding.Fail, fmt.Sprintf("job-%04d", i)))
	}
	for n, more := range map[int]bool{mostRows: false, mostRows + 7: true} {
		page := asHTML(t, report(80, findings[:n]...), Options{})
		rows := len(of(parsed(t, page), "tr"))
		if rows != mostRows+1 || strings.Contains(page, "and 7 more, which --format json lists") != more {
			t.Errorf("%d findings are %d rows", n, rows)
		}
	}
}

// TestHTMLImage: a report about an image ends with what it could do without.
func TestHTMLImage(t *testing.T) {
	r := small()
	r.Summary.Mark = 0
	r.Image = &finding.Image{ID: "sha256:0123456789", Packages: 9, Advice: []finding.Advice{{Title: "The shell", Why: "Nothing starts it.", Bytes: 1 << 20, Step: "FROM scratch"}}}
	page := asHTML(t, r, Options{Form: "dockerfile"})
	parsed(t, page)
	for _, want := range []string{"It could do without", "The shell", "1 MiB", "Nothing starts it.", "<code>FROM scratch</code>", `<dd title="sha256:0123456789">01234567</dd>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
}

// TestHTMLHostile: what others wrote is a text, all of it can be seen, and it adds no element.
func TestHTMLHostile(t *testing.T) {
	for _, evil := range []string{
		"</script></style></title></pre><img src=x onerror=alert(1)><script>alert(1)</script>",
		`" onmouseover="alert(1)" x="`, "' autofocus onfocus=alert(1) '", "javascript:alert(1)", "<!-- ", "]]>", "{{.}}", "&lt;b&gt;", "web\x1b]0;owned\x07\u202e\u009b2J\xff\x00",
		strings.Repeat("0123456789", 1000),
	} {
		f := privileged.finding(finding.Fail, evil)
		f.Title, f.Message, f.Why, f.Element, f.Section, f.Rule = evil, evil, evil, evil, evil, evil
		f.Refs, f.Position = map[string][]string{evil: {evil}}, &finding.Position{File: evil, Line: 1}
		f.Remedy.Update, f.Waiver = "--"+evil+"\n"+evil, &finding.Waiver{Owner: evil, Expires: evil, Reason: evil}
		w := memory.finding(finding.Waived, evil)
		w.Section, w.Waiver = evil, &finding.Waiver{Owner: evil, Expires: evil, Reason: evil}
		u := memory.finding(finding.Unknown, evil)
		u.Section, u.Missing = evil, []finding.Missing{{Path: evil, Reason: evil}}
		m := group1.finding(finding.Manual, evil)
		m.Section, m.Evidence = evil, map[string]any{evil: []any{evil, 1.5, map[string]any{evil: evil}}}
		r := report(80, f, w, u, m, pids.finding(finding.Pass, evil))
		r.Target = finding.Target{Name: evil, EngineVersion: evil, APIVersion: evil, OS: evil}
		r.Tool, r.Benchmark = finding.Tool{Name: evil, Version: evil}, evil
		r.Reach = []finding.Reach{{Subject: evil, Text: evil}}
		r.Rules = &finding.Rules{Replaced: []finding.Replaced{{Rule: evil, File: evil}}}
		r.Baseline = &finding.Baseline{File: evil}
		r.Image = &finding.Image{ID: evil, Data: []finding.Data{{Name: evil}}, Advice: []finding.Advice{{Title: evil, Why: evil, Step: evil}}, Untold: []finding.Untold{{Kind: evil, Reason: evil}}}
		all := parsed(t, asHTML(t, r, Options{}))
		if got, want := of(all, "h1")[0].text, term.Escape(evil)+" lies"; !strings.HasPrefix(got, want) {
			t.Errorf("the heading is %.300q, want %.300q", got, want)
		}
		if got := of(all, "code")[0].text; got != term.Escape(strings.TrimSpace("--"+evil))+"\n"+term.Escape(strings.TrimSpace(evil)) {
			t.Errorf("to be copied is %.300q", got)
		}
	}
}

// TestHTMLAny: whatever a report holds, its page is harmless, and no failure goes unsaid.
func TestHTMLAny(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := anyReport(rt)
		before := fmt.Sprintf("%#v", r)
		page := asHTML(t, r, Options{})
		all := parsed(rt, page)
		if after := fmt.Sprintf("%#v", r); after != before {
			rt.Errorf("the report was changed: %s", cmp.Diff(before, after))
		}
		entries := of(all, "details")
		for i := range r.Findings {
			f := &r.Findings[i]
			if f.Status == finding.Pass || f.Status == finding.NotApplicable {
				continue
			}
			if rule := term.Escape(f.Rule); !slices.ContainsFunc(entries, func(e element) bool { return strings.Contains(e.text, rule) }) {
				rt.Errorf("%q is not in the page", rule)
			}
		}
	})
}

// TestHTMLRepeats: two pages of the same facts differ in their times alone.
func TestHTMLRepeats(t *testing.T) {
	a, b := fleet(), fleet()
	b.Started, b.DurationMS = b.Started.Add(time.Hour), 77
	if asHTML(t, a, Options{}) == asHTML(t, b, Options{}) {
		t.Error("the times are not written")
	}
	b.Started, b.DurationMS = a.Started, a.DurationMS
	for range 5 {
		if asHTML(t, a, Options{}) != asHTML(t, b, Options{}) {
			t.Fatal("equal reports differ")
		}
	}
}

// TestLoadLines: whatever score and mark are, the drawing has both where they are, every
// text is in it and none lies over another.
func TestLoadLines(t *testing.T) {
	for score := -1; score <= 101; score++ {
		for mark := 1; mark <= 100; mark++ {
			for _, l := range loadLines(score, mark) {
				if l.Reached < 0 || l.Reached+l.Lacking > float64(l.Bar) || (l.Lacking > 0) != l.Below() {
					t.Fatalf("%d of %d: %+v", score, mark, l)
				}
				if want := 8 + float64(max(l.Score, l.Mark)*l.Bar)/100; max(l.At, l.LackFrom) != want {
					t.Fatalf("%d of %d ends at %v, want %v: %+v", score, mark, max(l.At, l.LackFrom), want, l)
				}
				if l.MarkAt < 28 || l.MarkAt > float64(l.Width-28) || l.ScoreAt < 10 || l.ScoreAt > float64(l.Width-10) {
					t.Fatalf("%d of %d: a text is cut: %+v", score, mark, l)
				}
				if l.Zero && l.ScoreAt < 15+10 || l.Hundred && l.ScoreAt > float64(l.End-20-10) {
					t.Fatalf("%d of %d: texts lie over each other: %+v", score, mark, l)
				}
			}
		}
	}
}

// BenchmarkHTML writes a report of 50 containers.
func BenchmarkHTML(b *testing.B) {
	r := fleet()
	b.ReportAllocs()
	for b.Loop() {
		asHTML(b, r, Options{})
	}
}
