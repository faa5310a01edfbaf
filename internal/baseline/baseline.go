// Package baseline compares a report with an earlier one, so that what was known
// before does not hide what is new.
//
// [Read] reads the JSON of a report, of which it keeps the failures, and
// [Earlier.Apply] marks those of a later report that were there already, and says
// what was mended. A failure is the same when its rule, its subject's kind and
// name and its element are: an id changes with each deployment. The package does
// no I/O and judges nothing: what was known fails as before and costs its score.
//
// SARIF 2.1.0 (section 3.27.24, baselineState) has the same three states by the
// names of new, unchanged and absent.
package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Earlier is what is kept of an earlier report. It does not change.
type Earlier struct {
	File    string
	Started time.Time
	// Target is what the report was about, and Benchmark what it was limited to.
	Target, Benchmark string

	failures map[key][]finding.Past // several may be of one element
	images   map[string]string      // the names of images that failed, by their ids
}

// key is what makes two failures the same.
type key struct{ rule, kind, name, element string }

// document is a report as far as it is read.
type document struct {
	Schema    string    `json:"schema"`
	Started   time.Time `json:"started"`
	Benchmark string    `json:"benchmark"`
	Target    struct {
		Name string `json:"name"`
	} `json:"target"`
	Findings []struct {
		Rule     string           `json:"rule"`
		Title    string           `json:"title"`
		Severity finding.Severity `json:"severity"`
		Status   finding.Status   `json:"status"`
		Subject  finding.Subject  `json:"subject"`
		Element  string           `json:"element"`
		Message  string           `json:"message"`
	} `json:"findings"`
}

// Read reads a report in JSON. What is none is a [*strict.Error].
func Read(file string, data []byte) (*Earlier, error) {
	var d document
	if _, err := strict.Decode(file, data, &d); err != nil {
		return nil, err
	}
	if d.Schema != finding.ReportSchema {
		return nil, &strict.Error{File: file, Msg: fmt.Sprintf("it is no report of plimsoll: its schema is %.100q", d.Schema), Hint: "make one with  plimsoll audit --format json -o FILE"}
	}
	if d.Started.IsZero() || d.Findings == nil {
		return nil, &strict.Error{File: file, Msg: "the report does not say when it was made, or what was found", Hint: "make it anew with  plimsoll audit --format json -o FILE"}
	}
	e := &Earlier{File: file, Started: d.Started, Target: d.Target.Name, Benchmark: d.Benchmark, failures: map[key][]finding.Past{}, images: map[string]string{}}
	for i, f := range d.Findings {
		if f.Status != finding.Fail {
			continue
		}
		if _, err := finding.ParseSeverity(string(f.Severity)); err != nil || f.Rule == "" {
			return nil, &strict.Error{File: file, Field: fmt.Sprintf("findings[%d]", i), Msg: fmt.Sprintf("finding %d has no rule or no severity", i+1), Hint: "make the report anew"}
		}
		if f.Subject.Kind == "image" {
			e.images[f.Subject.ID] = f.Subject.Name
		}
		k := key{f.Rule, f.Subject.Kind, f.Subject.Name, f.Element}
		e.failures[k] = append(e.failures[k], finding.Past{Rule: f.Rule, Title: f.Title, Severity: f.Severity, Subject: f.Subject, Element: f.Element, Message: f.Message})
	}
	return e, nil
}

// Apply marks the failures of a finished report that are not new, and fills its
// Baseline. judged are the names of the rules that were judged by: an earlier failure
// of one of them is gone when its subject is, and mended when the subject is there
// and neither fails it, nor was accepted, nor could not be judged. Of several
// failures of one element as many are known as there were.
func (e *Earlier) Apply(r *finding.Report, judged []string) {
	out := &finding.Baseline{File: e.File, Started: e.Started, Mended: []finding.Past{}, Gone: []finding.Past{}}
	there, open := map[key]bool{}, map[key]bool{}
	still := map[key]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		name := f.Subject.Name
		if before, known := e.images[f.Subject.ID]; known && f.Subject.Kind == "image" {
			name = before // it may have got a tag, or lost one
		}
		there[key{kind: f.Subject.Kind, name: name}] = true
		own := key{f.Rule, f.Subject.Kind, name, f.Element}
		switch f.Status {
		case finding.Unknown:
			open[key{own.rule, own.kind, own.name, ""}] = true
			if own.name == finding.NotListed {
				open[key{rule: own.rule, kind: own.kind}] = true
			}
		case finding.Waived:
			still[own]++
		case finding.Fail:
			still[own]++
			if f.Known = still[own] <= len(e.failures[own]); f.Known {
				out.Known++
			} else {
				out.New++
			}
		}
	}
	for k, past := range e.failures {
		past = past[min(still[k], len(past)):]
		switch {
		case len(past) == 0 || !slices.Contains(judged, k.rule) || open[key{k.rule, k.kind, k.name, ""}] || open[key{rule: k.rule, kind: k.kind}]:
		case there[key{kind: k.kind, name: k.name}]:
			out.Mended = append(out.Mended, past...)
		default:
			out.Gone = append(out.Gone, past...)
		}
	}
	for _, list := range [][]finding.Past{out.Mended, out.Gone} {
		slices.SortFunc(list, func(a, b finding.Past) int {
			return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject.Name, b.Subject.Name), cmp.Compare(a.Element, b.Element))
		})
	}
	r.Baseline = out
}
