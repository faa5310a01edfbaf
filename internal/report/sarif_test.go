package report

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// sarifSchemaOf is OASIS's own schema, which the module of another's library has as a text.
var sarifSchemaOf = sync.OnceValues(func() (*jsonschema.Schema, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "pkg/report/v210/sarif/schema.go"), nil, 0)
	if err != nil {
		return nil, err
	}
	text := ""
	ast.Inspect(file, func(n ast.Node) bool {
		if l, is := n.(*ast.BasicLit); is && l.Kind == token.STRING && text == "" {
			text, err = strconv.Unquote(l.Value)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("file:///sarif.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("file:///sarif.json")
})

func validSARIF(data []byte) error {
	schema, err := sarifSchemaOf()
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return schema.Validate(doc)
}

type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// readSARIF writes a report, checks it by the schema and reads it with another's code.
func readSARIF(t failer, r finding.Report) (*sarif.Run, string) {
	t.Helper()
	var b bytes.Buffer
	if err := SARIF(&b, r); err != nil {
		t.Fatal(err)
	}
	if err := validSARIF(b.Bytes()); err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	doc, err := sarif.FromBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Runs) != 1 {
		t.Fatalf("%d runs", len(doc.Runs))
	}
	return doc.Runs[0], b.String()
}

// scanned is a scan of an image with a flaw, a secret, and something that was not told.
func scanned() finding.Report {
	subject := &finding.Subject{Kind: "image", ID: "sha256:7f13", Name: "shop/api:4.18"}
	flaw := finding.Finding{
		About: &finding.About{Rule: "CVE-2024-0001", Title: "overflow in [zlib](http://evil.example) {0}", Severity: finding.High, Section: "packages", Refs: map[string][]string{}},
		Detail: &finding.Detail{Message: "zlib 1.2 is affected, 1.3 is not", Remedy: &finding.Remedy{Dockerfile: "RUN apt-get install -y --only-upgrade zlib1g"},
			Evidence: map[string]any{"cvss": 9.8, "paths": []string{"/app/a b%/100% [x].jar", "/var/lib/dpkg/status"}}},
		Subject: subject, Element: "pkg:deb/debian/zlib@1.2", Status: finding.Fail,
	}
	secret := finding.Finding{
		About:   &finding.About{Rule: "secret:netrc", Title: "a password is in the image", Severity: finding.High, Section: "secrets"},
		Detail:  &finding.Detail{Message: "a password is in /root/.netrc, line 7", Evidence: map[string]any{"fingerprint": "aa", "path": "/root/.netrc", "line": 7}},
		Subject: subject, Element: "/root/.netrc:7", Status: finding.Fail,
	}
	untold := finding.Finding{
		About:   &finding.About{Rule: "flaws-not-evaluated", Title: "whether 3 packages have known flaws", Severity: finding.High, Section: "packages"},
		Detail:  &finding.Detail{Message: "It can't be told whether 3 packages have known flaws", Reason: "there is no database of npm"},
		Subject: subject, Element: "npm", Status: finding.Unknown,
	}
	r := finding.Report{Tool: finding.Tool{Name: "plimsoll", Version: "1.0"}, Started: started, DurationMS: 1500, Target: finding.Target{Name: "shop/api:4.18", OS: "Debian 12"},
		Image: &finding.Image{Reference: "shop/api:4.18", ID: "sha256:7f13"}, Findings: []finding.Finding{flaw, secret, untold}}
	r.Finish(0)
	return r
}

// TestSARIFGolden holds the looks of the document.
func TestSARIFGolden(t *testing.T) {
	for name, r := range map[string]finding.Report{"small": small(), "scan": scanned()} {
		_, got := readSARIF(t, r)
		file := filepath.Join("testdata", name+".sarif")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", file, d)
		}
	}
}

// TestSARIFRefused: the schema that the tests trust does refuse.
func TestSARIFRefused(t *testing.T) {
	_, good := readSARIF(t, small())
	for _, change := range [][2]string{{`"2.1.0"`, `"2.2.0"`}, {`"kind": "open"`, `"kind": "shut"`}, {`"startTimeUtc": "2026`, `"startTimeUtc": "today`}, {`"executionSuccessful"`, `"successful"`}, {`"uri": "etc`, `"uri": "%zz etc`}} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("no %s in the document", change[0])
		} else if validSARIF([]byte(bad)) == nil {
			t.Errorf("%s passes for %s", change[1], change[0])
		}
	}
}

// TestSARIFScan: what services read of a scan.
func TestSARIFScan(t *testing.T) {
	run, _ := readSARIF(t, scanned())
	if n := len(run.Results); n != 3 {
		t.Fatalf("%d results", n)
	}
	byRule := map[string]*sarif.Result{}
	for _, one := range run.Results {
		byRule[*one.RuleID] = one
		if got := *run.Tool.Driver.Rules[one.RuleIndex].ID; got != *one.RuleID {
			t.Errorf("the index of %s is that of %s", *one.RuleID, got)
		}
	}
	flaw := byRule["CVE-2024-0001"]
	if got := run.Tool.Driver.Rules[flaw.RuleIndex].Properties.Properties["security-severity"]; got != "9.8" {
		t.Errorf("security-severity is %v", got)
	}
	if flaw.Kind != "fail" || flaw.Level != "error" || len(flaw.Locations) != 2 || flaw.Locations[0].LogicalLocations[0].Kind == nil {
		t.Errorf("the flaw is %+v", flaw)
	}
	at := flaw.Locations[0].PhysicalLocation.ArtifactLocation
	if u, err := url.Parse(*at.URI); err != nil || u.Path != "app/a b%/100% [x].jar" || *at.URIBaseID != imageRoot {
		t.Errorf("the file is at %v, %v", *at.URI, err)
	}
	if got := *byRule["secret:netrc"].Locations[0].PhysicalLocation.Region.StartLine; got != 7 {
		t.Errorf("the secret is at line %d", got)
	}
	if open := byRule["flaws-not-evaluated"]; open.Kind != "open" || open.Level != "none" {
		t.Errorf("what was not told is %s, %s", open.Kind, open.Level)
	}
	notes := run.Invocations[0].ToolExecutionNotifications
	if len(notes) != 1 || *notes[0].Message.Text != "shop/api:4.18: it can't be told whether 3 packages have known flaws: there is no database of npm" {
		t.Errorf("the notifications are %+v", notes)
	}
}

// TestSARIFStatuses: what is accepted is suppressed, what passes is left out, and a baseline
// is told of where there is one.
func TestSARIFStatuses(t *testing.T) {
	count := func(r finding.Report) map[string]int {
		n := map[string]int{}
		run, _ := readSARIF(t, r)
		for _, one := range run.Results {
			n[one.Kind]++
			n[one.Level]++
			if len(one.Suppressions) > 0 {
				n["suppressed"]++
				if got := one.Suppressions[0]; *got.Kind != "external" || *got.Justification != "it is the front door" {
					t.Errorf("the suppression is %+v", got)
				}
			}
			if one.BaselineState != nil {
				n[*one.BaselineState]++
			}
		}
		return n
	}
	f := fleet()
	n := count(f)
	if n["fail"] != f.Summary.Fail+f.Summary.Waived || n["suppressed"] != 1 || n["new"]+n["unchanged"] != 0 || n["pass"] != 0 {
		t.Errorf("the fleet has %v, its summary is %+v", n, f.Summary)
	}
	if n := count(small()); n["fail"] != 3 || n["open"] != 1 || n["review"] != 1 || n["error"] != 1 || n["warning"] != 1 || n["note"] != 1 || n["none"] != 2 {
		t.Errorf("the small host has %v", n)
	}
	s := since()
	if n := count(s); n["new"] != s.Baseline.New || n["unchanged"] != s.Baseline.Known+s.Summary.Waived {
		t.Errorf("since has %v, its baseline is %+v", n, s.Baseline)
	}
}

// TestSARIFFingerprints: they last when times, ids and lines change, and differ else.
func TestSARIFFingerprints(t *testing.T) {
	prints := func(r finding.Report) (all []string) {
		run, _ := readSARIF(t, r)
		for _, one := range run.Results {
			all = append(all, one.PartialFingerprints["plimsoll/v1"])
		}
		return all
	}
	a, b := scanned(), scanned()
	b.Started, b.DurationMS = b.Started.Add(time.Hour), 9
	for i := range b.Findings {
		f := &b.Findings[i]
		f.Subject = &finding.Subject{Kind: f.Subject.Kind, ID: "sha256:other", Name: f.Subject.Name}
		if f.Rule == "secret:netrc" {
			f.Element, f.Evidence = "/root/.netrc:9", map[string]any{"fingerprint": "aa", "path": "/root/.netrc", "line": 9}
		}
	}
	if d := cmp.Diff(prints(a), prints(b)); d != "" {
		t.Error(d)
	}
	seen := map[string]bool{}
	r := fleet()
	r.Findings = append(r.Findings, r.Findings[0], r.Findings[0])
	r.Finish(finding.DefaultMark)
	for _, one := range prints(r) {
		if seen[one] {
			t.Errorf("two results have %s", one)
		}
		seen[one] = true
	}
}

// TestSARIFRepeats: two runs differ in their times alone.
func TestSARIFRepeats(t *testing.T) {
	_, want := readSARIF(t, fleet())
	for range 5 {
		if _, got := readSARIF(t, fleet()); got != want {
			t.Fatal("equal reports differ")
		}
	}
	later := fleet()
	later.Started = later.Started.Add(time.Hour)
	_, got := readSARIF(t, later)
	if got == want || strings.ReplaceAll(got, "T21:38", "T20:38") != want {
		t.Error("more than the times differs")
	}
}

// TestSARIFRuns: several images are a run each, and one that was not read is one that did
// not succeed.
func TestSARIFRuns(t *testing.T) {
	one := scanned()
	var b bytes.Buffer
	if err := SARIFRuns(&b, one.Tool, []Run{{Name: one.Target.Name, Report: &one}, {Name: "shop/web:1", Err: errors.New("no such {image}")}}); err != nil {
		t.Fatal(err)
	}
	if err := validSARIF(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	doc, err := sarif.FromBytes(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Runs) != 2 || len(doc.Runs[0].Results) != 3 || !*doc.Runs[0].Invocations[0].ExecutionSuccessful {
		t.Fatalf("the document has %d runs", len(doc.Runs))
	}
	failed := doc.Runs[1].Invocations[0]
	if *failed.ExecutionSuccessful || *failed.ToolExecutionNotifications[0].Message.Text != "shop/web:1 could not be looked into: no such {image}" || len(doc.Runs[1].Results) != 0 {
		t.Errorf("what failed is %+v", failed)
	}
	if *doc.Runs[0].AutomationDetails.ID == *doc.Runs[1].AutomationDetails.ID {
		t.Error("the runs are not told apart")
	}
}

// TestMarkdown: what others wrote stays text.
func TestMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"a leak takes all memory": "a leak takes all memory", "<img src=x> [a](b) `c` **d**": "\\<img src=x\\> \\[a\\]\\(b\\) \\`c\\` \\*\\*d\\*\\*",
		"# head": "\\# head", "&lt;": `\&lt;`,
	} {
		if got := markdownText(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got, want := markdownCode("a\n```\n# b"), "````\na\n```\n# b\n````"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAnySARIF: whatever a report holds, the document is valid, harmless on a terminal, has a
// result for each finding that does not pass, and each address of a file leads back to it.
func TestAnySARIF(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := anyReport(rt)
		hostile := "/" + anyText().Draw(rt, "path") + "/x"
		for i := range r.Findings {
			if f := &r.Findings[i]; i%2 == 0 {
				f.Evidence = map[string]any{"path": hostile}
			}
		}
		run, text := readSARIF(rt, r)
		if bad := unsafe(text, true); bad != "" {
			rt.Fatalf("%q in %s", bad, text)
		}
		if want := len(r.Findings) - r.Summary.Pass - r.Summary.NotApplicable; len(run.Results) != want {
			rt.Fatalf("%d results, want %d", len(run.Results), want)
		}
		for _, one := range run.Results {
			at := one.Locations[0].PhysicalLocation.ArtifactLocation
			u, err := url.Parse(*at.URI)
			if err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
				rt.Fatalf("%q is no address of a file (%v)", *at.URI, err)
			}
			if at.URIBaseID != nil && "/"+u.Path != term.Escape(strings.ToValidUTF8(hostile, "\ufffd")) && "/"+strings.TrimLeft(u.Path, "/") != "/"+strings.TrimLeft(strings.ToValidUTF8(hostile, "\ufffd"), "/") {
				rt.Fatalf("%q leads to %q, want %q", *at.URI, u.Path, hostile)
			}
		}
	})
}

// TestSARIFHostile: a report made to do harm is inert.
func TestSARIFHostile(t *testing.T) {
	f := memory.finding(finding.Fail, "</script><img src=x onerror=alert(1)>\x1b[2J\u202e\xff"+strings.Repeat("long", 2500))
	_, text := readSARIF(t, report(80, f))
	for _, bad := range []string{"<", "\x1b", "\u202e", "\xff"} {
		if strings.Contains(text, bad) {
			t.Errorf("%q is in the document", bad)
		}
	}
}
