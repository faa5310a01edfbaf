package finding

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Report is a judgement as a whole. Its JSON is the contract with other
// programs: fields may be added, never renamed.
type Report struct {
	Schema     string    `json:"schema"` // ReportSchema
	Tool       Tool      `json:"tool"`
	Started    time.Time `json:"started"`
	DurationMS int64     `json:"duration_ms"`
	Target     Target    `json:"target"`
	// Benchmark is the one that the report was limited to, for example cis-1.8.
	Benchmark string `json:"benchmark,omitempty"`
	// Rules says where the rules are not ours.
	Rules *Rules `json:"rules,omitempty"`
	// Waivers says which accepted failures changed nothing; nil when none were given.
	Waivers *Waivers `json:"waivers,omitempty"`
	// Baseline says what changed since an earlier report; nil when none was given.
	Baseline *Baseline `json:"baseline,omitempty"`
	// Image is what was looked into; nil where the report is about no image alone.
	Image    *Image    `json:"image,omitempty"`
	Reach    []Reach   `json:"reach"`
	Summary  Summary   `json:"summary"`
	Findings []Finding `json:"findings"`
}

// ReportSchema names the shape of a Report.
const ReportSchema = "plimsoll/report/1"

// Tool is the program that judged.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Target is what was judged. Engine and API versions are "" when no engine was.
type Target struct {
	Name          string `json:"name"`
	EngineVersion string `json:"engine_version"`
	APIVersion    string `json:"api_version"`
	OS            string `json:"os"`
	// Containers counts the containers judged.
	Containers int `json:"containers"`
}

// Waivers are those of a file that did not do what was meant.
type Waivers struct {
	File string `json:"file"`
	// Expired are those whose finding fails again, because their day is over; Stale
	// are those that no failure needs.
	Expired []WaiverAt `json:"expired"`
	Stale   []WaiverAt `json:"stale"`
}

// WaiverAt is one waiver by its place.
type WaiverAt struct {
	Line    int    `json:"line"`
	Rule    string `json:"rule"`
	Subject string `json:"subject"`
	Element string `json:"element,omitempty"`
}

// Baseline is how a report differs from an earlier one.
type Baseline struct {
	File    string    `json:"file"`
	Started time.Time `json:"started"` // of the earlier report
	// New and Known count the failures of this report: those that the earlier one
	// lacks, and those that it has.
	New   int `json:"new"`
	Known int `json:"known"`
	// Mended are earlier failures whose subject is there and fails no more, Gone
	// those whose subject is not.
	Mended []Past `json:"mended"`
	Gone   []Past `json:"gone"`
}

// Past is a failure of an earlier report.
type Past struct {
	Rule     string   `json:"rule"`
	Title    string   `json:"title"`
	Severity Severity `json:"severity"`
	Subject  Subject  `json:"subject"`
	Element  string   `json:"element,omitempty"`
	Message  string   `json:"message"`
}

// Rules says which rules of ours were replaced.
type Rules struct {
	Replaced []Replaced `json:"replaced"`
}

// Summary counts findings by status, failures by severity, and scores them.
type Summary struct {
	Pass          int              `json:"pass"`
	Fail          int              `json:"fail"`
	Waived        int              `json:"waived"`
	Unknown       int              `json:"unknown"`
	Manual        int              `json:"manual"`
	NotApplicable int              `json:"not_applicable"`
	BySeverity    map[Severity]int `json:"by_severity"`
	Score         int              `json:"score"`
	Mark          int              `json:"mark"`
}

// DefaultMark is the score that a host should lie above.
const DefaultMark = 80

// Finish orders the findings, and fills Summary and each finding's Gain. A mark
// of 0 is for what has no score, such as a run line.
func (r *Report) Finish(mark int) {
	r.Schema = ReportSchema
	Sort(r.Findings, r.Benchmark)
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	if r.Reach == nil {
		r.Reach = []Reach{}
	}
	r.Summary = summarize(r.Findings)
	r.Summary.Mark = mark
	if mark == 0 {
		return
	}
	t := tally(r.Findings)
	score := t.score(mark, "")
	r.Summary.Score = score
	var last *Finding // that has a gain; those of one rule are neighbours
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Status != Fail:
			continue
		case last != nil && last.sameRule(f):
			f.Gain = last.Gain
		default:
			f.Gain = int32(t.score(mark, f.Rule) - score)
		}
		last = f
	}
}

// summarize counts findings.
func summarize(findings []Finding) Summary {
	s := Summary{BySeverity: map[Severity]int{}}
	for _, v := range Severities {
		s.BySeverity[v] = 0
	}
	var by [Statuses]int
	for i := range findings {
		f := &findings[i]
		by[f.Status]++
		if f.Status == Fail {
			s.BySeverity[f.Severity]++
		}
	}
	s.Pass, s.Fail, s.Waived, s.Unknown, s.Manual, s.NotApplicable = by[Pass], by[Fail], by[Waived], by[Unknown], by[Manual], by[NotApplicable]
	return s
}

// weight is what a rule of a severity weighs in the score.
func weight(s Severity) float64 {
	return [...]float64{12, 6, 3, 1, 0}[s.Rank()]
}

// ruleTally counts a rule's subjects: all that it applies to, those that fail
// it, and those that could not be judged and do not fail it elsewhere.
type ruleTally struct {
	rule                      string
	severity                  Severity
	subjects, failed, unknown int
}

// tallies are by the name of the rule.
type tallies []*ruleTally

// tally counts findings in the order of Sort, by which those of one rule, and
// among them those of one subject, are neighbours.
func tally(findings []Finding) tallies {
	var t tallies
	var r *ruleTally
	for i := 0; i < len(findings); {
		first := &findings[i]
		if i == 0 || !first.sameRule(&findings[i-1]) {
			r = nil
		}
		var applies, failed, unknown bool
		for ; i < len(findings) && findings[i].sameRule(first) && findings[i].Subject.Is(first.Subject); i++ {
			status := findings[i].Status
			applies = applies || status != NotApplicable
			failed = failed || status == Fail
			unknown = unknown || status == Unknown
		}
		if !applies {
			continue
		}
		if r == nil {
			r = &ruleTally{rule: first.Rule, severity: first.Severity}
			t = append(t, r)
		}
		r.subjects++
		switch {
		case failed:
			r.failed++
		case unknown:
			r.unknown++
		}
	}
	slices.SortFunc(t, func(a, b *ruleTally) int { return strings.Compare(a.rule, b.rule) })
	return t
}

// sameRule reports whether two findings are of one rule.
func (f *Finding) sameRule(other *Finding) bool {
	return f.About == other.About || f.Rule == other.Rule
}

// loss is the share of its weight that the rule loses: all of it when a grave
// rule fails anywhere, else the failing share of its subjects; a subject that
// could not be judged loses half of its share.
func (r *ruleTally) loss() float64 {
	if r.failed > 0 && r.severity.AtLeast(High) {
		return 1
	}
	return (float64(r.failed) + float64(r.unknown)/2) / float64(r.subjects)
}

// score is round(100 × (1 − lost / total)), as if the rule named mended held,
// and at most one under the mark while a critical rule fails.
func (t tallies) score(mark int, mended string) int {
	var lost, total float64
	critical := false
	for _, r := range t {
		w := weight(r.severity)
		total += w
		if r.rule == mended {
			continue
		}
		lost += w * r.loss()
		critical = critical || r.severity == Critical && r.failed > 0
	}
	score := 100
	if total > 0 {
		score = int(math.Round(100 * (1 - lost/total)))
	}
	if critical {
		score = min(score, mark-1)
	}
	return max(score, 0)
}

// ScoreFormula describes the score for people.
const ScoreFormula = `Each rule that applies weighs 12 (critical), 6 (high), 3 (medium), 1 (low) or 0
(info). A critical or high rule loses its whole weight if any subject fails it;
the others lose the failing share of their subjects. A subject that could not be
judged loses half of its share. What is waived or needs a person loses nothing.

  score = round(100 * (1 - lost / total))

While a critical finding fails, the score is at most the mark minus 1. The mark
(80 unless the configuration says otherwise) is the load line that a host should
lie above. No rule has a weight of its own. The gain of a finding is what
mending its rule everywhere would add.`

// Place is where a rule stands in reports: by its id in the benchmark (numeric
// parts, none last; in the newest that it has, when none is named), then by name.
type Place struct{ id, rule string }

// PlaceOf gives the place of a rule.
func PlaceOf(a *About, benchmark string) Place { return Place{a.Ref(benchmark), a.Rule} }

// Compare is negative when p comes before other.
func (p Place) Compare(other Place) int {
	return cmp.Or(compareIDs(p.id, other.id), cmp.Compare(p.rule, other.rule))
}

// compareSubjects orders the findings of one rule by subject and element. It is
// called often, mostly for what differs in the name.
func compareSubjects(a, b *Finding) int {
	switch {
	case a.Subject == b.Subject:
		return cmp.Compare(a.Element, b.Element)
	case a.Subject.Kind != b.Subject.Kind:
		return cmp.Compare(a.Subject.Kind, b.Subject.Kind)
	case a.Subject.Name != b.Subject.Name:
		return cmp.Compare(a.Subject.Name, b.Subject.Name)
	}
	return cmp.Or(cmp.Compare(a.Subject.ID, b.Subject.ID), cmp.Compare(a.Element, b.Element))
}

// Sort orders findings for files: by the place of their rule, subject and
// element. All findings of a rule have the same ids.
//
// There may be a million findings, which are large, of a hundred rules. So the
// rules are put in order, then the positions of each one's findings, and each
// finding is moved once; none where all are in order already, as they come from
// judging.
func Sort(findings []Finding, benchmark string) {
	if inOrder(findings, benchmark) {
		return
	}
	type ruled struct {
		place Place
		at    []int
	}
	byName := map[string]*ruled{}
	var rules []*ruled
	for i := range findings {
		f := &findings[i]
		r := byName[f.Rule]
		if r == nil {
			r = &ruled{place: PlaceOf(f.About, benchmark)}
			byName[f.Rule] = r
			rules = append(rules, r)
		}
		r.at = append(r.at, i)
	}
	slices.SortFunc(rules, func(a, b *ruled) int { return a.place.Compare(b.place) })
	order := make([]int, 0, len(findings))
	for _, r := range rules {
		slices.SortStableFunc(r.at, func(i, j int) int { return compareSubjects(&findings[i], &findings[j]) })
		order = append(order, r.at...)
	}
	arrange(findings, order)
}

// inOrder reports whether findings are as Sort would leave them.
func inOrder(findings []Finding, benchmark string) bool {
	for i := 1; i < len(findings); i++ {
		a, b := &findings[i-1], &findings[i]
		order := 0
		if a.About != b.About {
			order = PlaceOf(a.About, benchmark).Compare(PlaceOf(b.About, benchmark))
		}
		if order == 0 {
			order = compareSubjects(a, b)
		}
		if order > 0 {
			return false
		}
	}
	return true
}

// arrange puts at each position i the finding from order[i], without a second
// list. It uses order up.
func arrange(findings []Finding, order []int) {
	for start := range order {
		moved := findings[start]
		at := start
		for order[at] != start {
			from := order[at]
			findings[at], order[at] = findings[from], at
			at = from
		}
		findings[at], order[at] = moved, at
	}
}

// Ref is the first id in the benchmark named, or in its newest one,
// "" when it has none.
func (a *About) Ref(benchmark string) string {
	if benchmark == "" {
		_, id := a.NewestRef()
		return id
	}
	if ids := a.Refs[benchmark]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// NewestRef is the newest benchmark with the first id in it.
func (a *About) NewestRef() (benchmark, id string) {
	for name, ids := range a.Refs {
		if len(ids) > 0 && (benchmark == "" || CompareBenchmarks(name, benchmark) < 0) {
			benchmark, id = name, ids[0]
		}
	}
	return benchmark, id
}

// CompareBenchmarks puts the newest first, by their names. The benchmark of
// Docker 1.13 is older than 1.0 of the numbering that CIS began after it.
func CompareBenchmarks(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "cis-1.13":
		return 1
	case b == "cis-1.13":
		return -1
	}
	number := func(name string) string { return strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz-") }
	return cmp.Or(compareIDs(number(b), number(a)), strings.Compare(a, b))
}

// compareIDs compares "5.9" and "5.11" by their numbers; "" comes last.
func compareIDs(a, b string) int {
	if a == "" || b == "" {
		return cmp.Compare(len(b), len(a))
	}
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		c := cmp.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// Image is an image that was looked into.
type Image struct {
	// Reference is what was asked for.
	Reference string `json:"reference"`
	// ID is the digest of its configuration, Manifest that of its manifest; "" where there
	// is none.
	ID       string   `json:"id"`
	Manifest string   `json:"manifest"`
	Names    []string `json:"names"`
	// Packages counts those that were found, and Owned those of them that belong to one of
	// the distribution's and are judged as that.
	Packages int `json:"packages"`
	Owned    int `json:"owned"`
	// SupportEnds is until when its distribution is mended, nil where that is not known.
	SupportEnds *time.Time `json:"support_ends,omitempty"`
	// Data is what was known of flaws, by family of ecosystems.
	Data []Data `json:"data"`
	// Layers are what became of the bytes of each layer, the lowest first; none where no
	// layers were read.
	Layers []LayerBytes `json:"layers,omitempty"`
	// Surface is what there is for an intruder to use, nil where no files were seen.
	Surface *Surface `json:"surface,omitempty"`
	// Advice is what the image could do without, what saves most first, and Untold what could
	// not be told of that.
	Advice []Advice `json:"advice"`
	Untold []Untold `json:"untold"`
}

// Surface counts what there is for an intruder to use.
type Surface struct {
	Executables int64 `json:"executables"`
	// Privileged are programs with setuid, setgid or capabilities.
	Privileged int `json:"privileged"`
	Shells     int `json:"shells"`
	// Unlinked are libraries that nothing is linked to.
	Unlinked int `json:"unlinked"`
}

// LayerBytes is what the files of a layer take, and what of it is vain since later entries
// overwrote or deleted them.
type LayerBytes struct {
	Bytes       int64 `json:"bytes"`
	Overwritten int64 `json:"overwritten"`
	Deleted     int64 `json:"deleted"`
}

// Advice is something that an image could do without. One does not exclude another: what two
// save may be the same.
type Advice struct {
	// Kind is one of the constants of package advice.
	Kind string `json:"kind"`
	// Title is what could go, and Why says in a sentence why.
	Title string `json:"title"`
	Why   string `json:"why"`
	// Bytes are of files that are there in the end, each content once, but for what is vain.
	Bytes int64 `json:"bytes"`
	// Packages counts those that go, and Flaws their known flaws; nil where nobody asked for
	// any.
	Packages int   `json:"packages"`
	Flaws    *Gone `json:"flaws,omitempty"`
	// Step is what to write, or to do.
	Step string `json:"step"`
}

// Gone counts known flaws that go.
type Gone struct {
	Total int `json:"total"`
	// Fixable counts those that a newer version would mend too.
	Fixable int `json:"fixable"`
	// Worst is the severity of the gravest, "" for none.
	Worst Severity `json:"worst"`
}

// Add counts a flaw.
func (g *Gone) Add(s Severity, fixable bool) {
	g.Total++
	if fixable {
		g.Fixable++
	}
	if g.Worst == "" || s.Rank() < g.Worst.Rank() {
		g.Worst = s
	}
}

// Untold is advice that could not be told, with the reason.
type Untold struct {
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
}

// Data is a database that was asked, and when the newest of its records was modified.
type Data struct {
	Name   string    `json:"name"`
	Newest time.Time `json:"newest"`
}
