// Package finding has the words that judging ends in: Finding, its Status and
// Severity, the Report that holds them and the Score that sums them up.
//
// Findings are values and do not change once made. Whatever prints, mails or
// stores a judgement takes them and nothing else, so this package imports
// nothing of the project.
package finding

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Status is what judging one rule for one subject came to.
type Status string

// The six statuses.
const (
	Pass          Status = "pass"
	Fail          Status = "fail"
	Waived        Status = "waived"         // fails, and was accepted
	Unknown       Status = "unknown"        // could not be observed; Reason says why
	Manual        Status = "manual"         // a person must look; Evidence is gathered
	NotApplicable Status = "not_applicable" // the rule does not concern the subject
)

// Severity is a rule's weight.
type Severity string

// The severities, gravest first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
)

// Severities lists them, gravest first.
var Severities = []Severity{Critical, High, Medium, Low, Info}

// ParseSeverity reads a severity's name.
func ParseSeverity(s string) (Severity, error) {
	if slices.Contains(Severities, Severity(s)) {
		return Severity(s), nil
	}
	return "", fmt.Errorf("%q is not a severity: use critical, high, medium, low or info", s)
}

// Rank is 0 for critical to 4 for info.
func (s Severity) Rank() int { return slices.Index(Severities, s) }

// AtLeast is true when s is as grave as other or graver.
func (s Severity) AtLeast(other Severity) bool { return s.Rank() <= other.Rank() }

// Subject is the thing that was judged.
type Subject struct {
	// Kind is host, daemon, file, image, container, network, volume, swarm,
	// dockerfile or trail.
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Position is a place in a file that a person wrote. Lines and columns count
// from 1; a column of 0 is the whole line.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Remedy tells how to mend it, in each of the forms that the subject may have
// been written in.
type Remedy struct {
	Run        string `json:"run,omitempty"`    // the flag to add or leave out of a run line
	Update     string `json:"update,omitempty"` // a command that mends the running container
	Compose    string `json:"compose,omitempty"`
	Dockerfile string `json:"dockerfile,omitempty"`
	Daemon     string `json:"daemon,omitempty"` // daemon.json
	Shell      string `json:"shell,omitempty"`
}

// Waiver is an accepted failure, as a finding carries it.
type Waiver struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"` // a date, 2006-01-02
}

// Finding is the result of one rule for one subject, or for one element of it.
type Finding struct {
	Rule     string    `json:"rule"`
	Title    string    `json:"title"`
	Severity Severity  `json:"severity"`
	Status   Status    `json:"status"`
	Subject  Subject   `json:"subject"`
	Element  string    `json:"element,omitempty"`
	Position *Position `json:"position,omitempty"`
	// Message is the state in one sentence, without the subject's name.
	Message string `json:"message"`
	Why     string `json:"why"`
	// Reason says why the status is unknown or not_applicable.
	Reason string `json:"reason,omitempty"`
	// Missing are the facts that an unknown finding would have needed.
	Missing []Missing `json:"missing,omitempty"`
	// Section is the part of the report that the finding belongs to.
	Section string `json:"section"`
	// Gain is what mending this rule everywhere brings to the score.
	Gain     int            `json:"gain"`
	Evidence map[string]any `json:"evidence"`
	Remedy   Remedy         `json:"remedy"`
	// Refs names the recommendations of benchmarks, by benchmark ("cis-1.8").
	Refs   map[string][]string `json:"refs"`
	Waiver *Waiver             `json:"waiver,omitempty"`
}

// Missing is a fact that was not observed, and why.
type Missing struct {
	Path   string `json:"path"` // for example container.image.tags
	Reason string `json:"reason"`
}

// Reach is what an intruder gets to from a subject.
type Reach struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// Replaced is a rule of ours that the user's rules replaced.
type Replaced struct {
	Rule string `json:"rule"`
	File string `json:"file"`
}

// MarshalJSON writes the lists that are empty as empty, never as null.
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	p := plain(f)
	if p.Evidence == nil {
		p.Evidence = map[string]any{}
	}
	if p.Refs == nil {
		p.Refs = map[string][]string{}
	}
	return json.Marshal(p)
}
