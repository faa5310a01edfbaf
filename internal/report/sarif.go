package report

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Run is one of several images that were looked into: its report, or why there is none.
type Run struct {
	Name   string
	Report *finding.Report
	Err    error
}

// SARIF writes a finished report in the Static Analysis Results Interchange Format (OASIS
// SARIF 2.1.0), as one run. What fails is a result, with a suppression where it was accepted;
// what could not be judged is one of the kind open, and what a person must look at one of the
// kind review. What passes and what does not apply is left out.
//
// The place of a result is the line in a file where there is one, else the file of an image
// that tells of it, else the subject as a path such as container/web, for readers that show
// nothing without a file. Fingerprints do not change with lines, times and the ids of images.
func SARIF(w io.Writer, r finding.Report) error {
	return SARIFRuns(w, r.Tool, []Run{{Name: r.Target.Name, Report: &r}})
}

// SARIFRuns writes several reports in SARIF, a run each. One without a report is a run that
// did not succeed, with the reason.
func SARIFRuns(w io.Writer, tool finding.Tool, runs []Run) error {
	b := bufio.NewWriter(w)
	b.WriteString("{\n  \"$schema\": \"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json\",\n  \"version\": \"2.1.0\",\n  \"runs\": [") // a bufio.Writer keeps its first error for Flush
	for i, one := range runs {
		if i > 0 {
			b.WriteString(",")
		}
		r := cmp.Or(one.Report, &finding.Report{Target: finding.Target{Name: one.Name}})
		if err := writeRun(b, tool, r, one.Err); err != nil {
			return err
		}
	}
	b.WriteString("\n  ]\n}\n")
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// sarifLevels are the words for severities, by rank, where a result fails.
var sarifLevels = [...]string{"error", "error", "warning", "note", "note"}

// sarifScores are what readers of security-severity take each severity for, by rank, where
// no score is known: the middle of its range in CVSS.
var sarifScores = [...]float64{9.5, 8, 5.5, 2, 0}

type sarifText struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown,omitempty"`
}

type sarifRule struct {
	ID      string         `json:"id"`
	Short   sarifText      `json:"shortDescription"`
	Full    *sarifText     `json:"fullDescription,omitempty"`
	HelpURI string         `json:"helpUri,omitempty"`
	Help    *sarifText     `json:"help,omitempty"`
	Default sarifDefault   `json:"defaultConfiguration"`
	More    map[string]any `json:"properties"`

	severity finding.Severity
	score    float64
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifRun struct {
	Tool struct {
		Driver struct {
			Name    string       `json:"name"`
			Version string       `json:"version"`
			Rules   []*sarifRule `json:"rules"`
		} `json:"driver"`
	} `json:"tool"`
	Invocations []sarifInvocation    `json:"invocations"`
	Bases       map[string]sarifBase `json:"originalUriBaseIds,omitempty"`
	Automation  sarifAutomation      `json:"automationDetails"`
	Columns     string               `json:"columnKind"`
	Results     []finding.Finding    `json:"results"` // the last, written one by one
}

type sarifBase struct {
	Description sarifText `json:"description"`
}

type sarifAutomation struct {
	ID          string    `json:"id"`
	Description sarifText `json:"description"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Start         string              `json:"startTimeUtc,omitempty"`
	End           string              `json:"endTimeUtc,omitempty"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string         `json:"level"`
	Message sarifText      `json:"message"`
	Rule    *sarifRuleLink `json:"associatedRule,omitempty"`
}

type sarifRuleLink struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

type sarifResult struct {
	RuleID       string             `json:"ruleId"`
	RuleIndex    int                `json:"ruleIndex"`
	Kind         string             `json:"kind"`
	Level        string             `json:"level"`
	Message      sarifText          `json:"message"`
	Locations    []sarifLocation    `json:"locations"`
	Fingerprints map[string]string  `json:"partialFingerprints"`
	Baseline     string             `json:"baselineState,omitempty"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	More         map[string]any     `json:"properties,omitempty"`
}

type sarifSuppression struct {
	Kind          string         `json:"kind"`
	Status        string         `json:"status"`
	Justification string         `json:"justification"`
	More          map[string]any `json:"properties,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId,omitempty"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name string `json:"name"`
	Full string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// imageRoot is what paths in an image are relative to.
const imageRoot = "IMAGE"

// mostPlaces is how many places a result has: of a flaw in a hundred copies the others are
// in the report as JSON.
const mostPlaces = 20

// listedInSARIF says whether a finding is a result. Of an image, what does not apply is a
// known flaw that somebody says does no harm.
func listedInSARIF(r *finding.Report, f *finding.Finding) bool {
	return f.Status != finding.Pass && (f.Status != finding.NotApplicable || r.Image != nil)
}

func writeRun(b *bufio.Writer, tool finding.Tool, r *finding.Report, failed error) error {
	run := sarifRun{Columns: "unicodeCodePoints", Results: []finding.Finding{}}
	driver := &run.Tool.Driver
	driver.Name, driver.Version, driver.Rules = tool.Name, tool.Version, []*sarifRule{}
	at := map[string]int{}
	invocation := sarifInvocation{Successful: failed == nil}
	if failed != nil {
		invocation.Notifications = []sarifNotification{{Level: "error", Message: sarifText{Text: r.Target.Name + " could not be looked into: " + failed.Error()}}}
	} else {
		invocation.Start, invocation.End = sarifTime(r.Started), sarifTime(r.Started.Add(time.Duration(r.DurationMS)*time.Millisecond))
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if !listedInSARIF(r, f) {
			continue
		}
		n, known := at[f.Rule]
		if !known {
			n = len(driver.Rules)
			at[f.Rule] = n
			driver.Rules = append(driver.Rules, newSARIFRule(f))
		}
		driver.Rules[n].weigh(f)
		if f.Status == finding.Unknown {
			invocation.Notifications = append(invocation.Notifications, sarifNotification{Level: "warning", Message: sarifText{Text: sarifMessage(f)}, Rule: &sarifRuleLink{f.Rule, n}})
		}
		if len(imagePaths(f)) > 0 && run.Bases == nil {
			run.Bases = map[string]sarifBase{imageRoot: {Description: sarifText{Text: "The root of the image's file system."}}}
		}
	}
	for _, rule := range driver.Rules {
		rule.finish()
	}
	run.Invocations = []sarifInvocation{invocation}
	run.Automation = sarifAutomation{ID: "plimsoll/" + url.PathEscape(r.Target.Name) + "/", Description: sarifText{Text: cmp.Or(r.Target.Name, "plimsoll")}}

	head, err := json.MarshalIndent(run, "    ", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	head, ok := bytes.CutSuffix(head, []byte("[]\n    }"))
	if !ok || !bytes.HasSuffix(head, []byte(`"results": `)) {
		return errors.New("encoding the report: the results are not its last field")
	}
	b.WriteString("\n    ")
	b.Write(term.EscapeJSON(head))
	separator, seen := "[", map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if !listedInSARIF(r, f) {
			continue
		}
		x := newSARIFResult(r, f, at[f.Rule])
		print := fingerprint(f)
		if seen[print]++; seen[print] > 1 {
			print += "/" + strconv.Itoa(seen[print])
		}
		x.Fingerprints["plimsoll/v1"] = print
		text, err := json.MarshalIndent(x, "        ", "  ")
		if err != nil {
			return fmt.Errorf("encoding the finding of %s for %s: %w", f.Rule, f.Subject.Name, err)
		}
		b.WriteString(separator + "\n        ")
		b.Write(term.EscapeJSON(text))
		separator = ","
	}
	if separator == "[" {
		b.WriteString("[]\n    }")
	} else {
		b.WriteString("\n      ]\n    }")
	}
	return nil
}

// sarifTime is a time as the format has it: UTC, with milliseconds.
func sarifTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func newSARIFRule(f *finding.Finding) *sarifRule {
	rule := &sarifRule{ID: f.Rule, Short: sarifText{Text: cmp.Or(f.Title, f.Rule)}, severity: f.Severity}
	why := strings.TrimSpace(f.Why)
	if why != "" {
		rule.Full = &sarifText{Text: strings.ReplaceAll(why, "\n", " ")}
	}
	if strings.HasPrefix(f.Rule, "CVE-") || strings.HasPrefix(f.Rule, "GHSA-") {
		rule.HelpURI = "https://osv.dev/vulnerability/" + url.PathEscape(f.Rule)
	}
	mends := mendings(f.Remedy)
	if why != "" || len(mends) > 0 {
		plain, marked := []string{}, []string{}
		if why != "" {
			plain, marked = append(plain, why), append(marked, markdownText(why))
		}
		for _, m := range mends {
			plain = append(plain, m.where+": "+m.text)
			marked = append(marked, "**"+m.where+"**\n\n"+markdownCode(m.text))
		}
		rule.Help = &sarifText{Text: strings.Join(plain, "\n\n"), Markdown: strings.Join(marked, "\n\n")}
	}
	tags := []string{"security", f.Section}
	for _, benchmark := range slices.Sorted(maps.Keys(f.Refs)) {
		for _, id := range f.Refs[benchmark] {
			tags = append(tags, benchmark+"/"+id)
		}
	}
	rule.More = map[string]any{"tags": slices.DeleteFunc(tags, func(t string) bool { return t == "" })}
	return rule
}

// weigh takes the gravest of a rule's findings.
func (r *sarifRule) weigh(f *finding.Finding) {
	if f.Severity.Rank() < r.severity.Rank() {
		r.severity = f.Severity
	}
	if score, is := f.Evidence["cvss"].(float64); is {
		r.score = max(r.score, score)
	}
}

func (r *sarifRule) finish() {
	if rank := r.severity.Rank(); rank >= 0 {
		r.Default.Level = sarifLevels[rank]
		if r.score == 0 {
			r.score = sarifScores[rank]
		}
	}
	r.More["security-severity"] = strconv.FormatFloat(r.score, 'f', 1, 64)
}

// mending is one form of a remedy.
type mending struct{ where, text string }

func mendings(r *finding.Remedy) []mending {
	if r == nil {
		return nil
	}
	var list []mending
	for _, m := range []mending{{"docker run", r.Run}, {"The running container", r.Update}, {"Compose file", r.Compose}, {"Dockerfile", r.Dockerfile}, {"daemon.json", r.Daemon}, {"Command", r.Shell}} {
		if m.text != "" {
			list = append(list, m)
		}
	}
	return list
}

// markdownText has no character that Markdown, or HTML in it, gives a meaning.
func markdownText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|&~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// markdownCode is a block of code that its content does not end (CommonMark, fenced code
// blocks).
func markdownCode(s string) string {
	fence := "```"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	return fence + "\n" + s + "\n" + fence
}

func newSARIFResult(r *finding.Report, f *finding.Finding, rule int) sarifResult {
	x := sarifResult{RuleID: f.Rule, RuleIndex: rule, Kind: "fail", Level: "none", Message: sarifText{Text: sarifMessage(f)}, Locations: sarifPlaces(f), Fingerprints: map[string]string{}}
	switch f.Status {
	case finding.Unknown:
		x.Kind = "open"
	case finding.Manual:
		x.Kind = "review"
	default:
		x.Level = sarifLevels[max(f.Severity.Rank(), 0)]
	}
	switch {
	case f.Waiver != nil && f.Status == finding.Waived:
		x.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: f.Waiver.Reason, More: map[string]any{"owner": f.Waiver.Owner, "expires": f.Waiver.Expires}}}
	case f.Status == finding.Waived || f.Status == finding.NotApplicable:
		x.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: f.Reason}}
	}
	// All results of a run have a state or none has (3.27.24). What does not fail is not new.
	switch {
	case r.Baseline != nil && f.Status == finding.Fail && !f.Known:
		x.Baseline = "new"
	case r.Baseline != nil:
		x.Baseline = "unchanged"
	}
	for _, name := range []string{"package", "version", "fixed", "step"} {
		if v, is := f.Evidence[name].(string); is && v != "" {
			if x.More == nil {
				x.More = map[string]any{}
			}
			x.More[name] = v
		}
	}
	return x
}

// sarifMessage is the state in a sentence, with the subject where there may be several.
func sarifMessage(f *finding.Finding) string {
	state := cmp.Or(f.Message, f.Title, f.Rule)
	if f.Status == finding.Unknown {
		if f.Message == "" {
			state = "it can't be told whether " + lowerFirst(state)
		}
		if f.Reason != "" {
			state += ": " + f.Reason
		}
	}
	return about(f.Subject, state)
}

// imagePaths are the files of an image that tell of a finding.
func imagePaths(f *finding.Finding) []string {
	var list []string
	switch paths := f.Evidence["paths"].(type) {
	case []string:
		list = paths
	case []any: // of a report that was read
		for _, p := range paths {
			if s, is := p.(string); is {
				list = append(list, s)
			}
		}
	}
	if p, is := f.Evidence["path"].(string); is && f.Subject.Kind == "image" {
		list = append(list, p)
	}
	if f.Subject.Kind != "image" && f.Subject.Kind != "contents" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(list), func(p string) bool { return !strings.HasPrefix(p, "/") })
}

func sarifPlaces(f *finding.Finding) []sarifLocation {
	full := f.Subject.Kind + "/" + f.Subject.Name
	if f.Element != "" {
		full += "/" + f.Element
	}
	logical := []sarifLogical{{Name: cmp.Or(f.Element, f.Subject.Name, f.Subject.Kind), Full: full, Kind: "resource"}}
	if p := f.Position; p != nil {
		return []sarifLocation{{Physical: &sarifPhysical{Artifact: sarifArtifact{URI: sarifURI(p.File)}, Region: region(p.Line, p.Column)}, Logical: logical}}
	}
	var places []sarifLocation
	for _, path := range imagePaths(f) {
		if len(places) == mostPlaces {
			break
		}
		line, _ := f.Evidence["line"].(int)
		column, _ := f.Evidence["column"].(int)
		places = append(places, sarifLocation{Physical: &sarifPhysical{Artifact: sarifArtifact{URI: sarifURI(strings.TrimPrefix(path, "/")), Base: imageRoot}, Region: region(line, column)}, Logical: logical})
	}
	if len(places) == 0 {
		path := f.Subject.Kind + "/" + f.Subject.Name
		if f.Subject.Kind == "file" {
			path = strings.TrimLeft(f.Subject.Name, "/")
		}
		places = []sarifLocation{{Physical: &sarifPhysical{Artifact: sarifArtifact{URI: sarifURI(path)}}, Logical: logical}}
	}
	return places
}

// region is a place in a file; nil where no line is known.
func region(line, column int) *sarifRegion {
	if line < 1 {
		return nil
	}
	return &sarifRegion{StartLine: line, StartColumn: max(column, 0)}
}

// sarifURI is a path as a relative or absolute reference (RFC 3986): each part escaped, and
// no part taken for a scheme or a host.
func sarifURI(path string) string {
	parts := strings.Split(strings.ToValidUTF8(path, "\uFFFD"), "/")
	for i, p := range parts {
		switch p {
		case ".", "..":
			parts[i] = strings.ReplaceAll(p, ".", "%2E")
		default:
			parts[i] = strings.ReplaceAll(url.PathEscape(p), ":", "%3A")
		}
	}
	text := strings.Join(parts, "/")
	for strings.HasPrefix(text, "//") {
		text = text[1:]
	}
	return cmp.Or(text, "%20")
}

// fingerprint tells a result from others, in this report and the next: by its rule, subject
// and element, and for secrets by their own fingerprint, not their line.
func fingerprint(f *finding.Finding) string {
	element := f.Element
	if own, is := f.Evidence["fingerprint"].(string); is {
		element = own
	}
	sum := sha256.New()
	for _, part := range []string{f.Rule, f.Subject.Kind, f.Subject.Name, element} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
