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

// Status is what judging one rule for one subject came to; zero is none. As text
// it is pass, fail, waived, unknown, manual or not_applicable.
type Status uint8

// The six statuses.
const (
	Pass          Status = iota + 1
	Fail                 // the state is not as it should be
	Waived               // fails, and was accepted
	Unknown              // could not be observed; Reason says why
	Manual               // a person must look; Evidence is gathered
	NotApplicable        // the rule does not concern the subject
)

var statusTexts = [...]string{"", "pass", "fail", "waived", "unknown", "manual", "not_applicable"}

// Statuses is how many there are, with none.
const Statuses = len(statusTexts)

func (s Status) String() string { return statusTexts[s] }

// MarshalText is the status as JSON and YAML have it.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(text []byte) error {
	at := slices.Index(statusTexts[:], string(text))
	if at < 0 {
		return fmt.Errorf("%q is not a status", text)
	}
	*s = Status(at)
	return nil
}

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
	// Also are its other names, each on a line: an image has a name a tag.
	Also string `json:"-"`
}

// NotListed is the name of a subject that stands for those that could not be
// listed.
const NotListed = "*"

// Is reports whether two subjects are one. Most differ in their id.
func (s *Subject) Is(other *Subject) bool {
	return s == other || s.ID == other.ID && s.Name == other.Name && s.Kind == other.Kind
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
	Run        string `json:"run,omitempty" yaml:"run"`       // the flag to add or leave out of a run line
	Update     string `json:"update,omitempty" yaml:"update"` // a command that mends the running container
	Compose    string `json:"compose,omitempty" yaml:"compose"`
	Dockerfile string `json:"dockerfile,omitempty" yaml:"dockerfile"`
	Daemon     string `json:"daemon,omitempty" yaml:"daemon"` // daemon.json
	Shell      string `json:"shell,omitempty" yaml:"shell"`
}

// Fix is what a program can do to mend a failure. A finding has it for who writes
// such a program; it is no part of the report's JSON.
type Fix struct {
	// Daemon are keys of daemon.json with their values in JSON; "" takes a key out.
	Daemon []Setting
	// Update are options of docker update, by their long names.
	Update []Setting
	// Mode has the permissions that a file may have at most, such as 0644, and Owner
	// who it is to belong to, as user:group.
	Mode, Owner string
	// Audit is a rule for the kernel's audit system, as auditctl takes it.
	Audit string
}

// Setting is a name with its value.
type Setting struct{ Name, Value string }

// Waiver is an accepted failure, as a finding carries it.
type Waiver struct {
	Reason  string `json:"reason"`
	Owner   string `json:"owner"`
	Expires string `json:"expires"` // a date, 2006-01-02
}

// About is what all findings of one rule have in common, and share.
type About struct {
	Rule     string
	Title    string
	Severity Severity
	Why      string
	// Section is the part of the report that the findings belong to.
	Section string
	// Refs names the recommendations of benchmarks, by benchmark ("cis-1.8").
	Refs map[string][]string
}

// Detail is what a finding says beside its status. Findings that say the same
// share it, so that it does not change once made.
type Detail struct {
	Position *Position
	// Message is the state in one sentence, without the subject's name.
	Message string
	// Reason says why the status is unknown or not_applicable.
	Reason string
	// Missing are the facts that an unknown finding would have needed.
	Missing  []Missing
	Evidence map[string]any
	Remedy   *Remedy // nil when nothing is to be mended
	Fix      *Fix    // nil where only a person can
	Waiver   *Waiver
}

// Finding is the result of one rule for one subject, or for one element of it.
// A host with a thousand containers has a hundred thousand of them, most of
// which pass and say nothing of their own, so that it is kept small. Its three
// pointers are shared and never nil.
type Finding struct {
	*About
	*Detail
	Subject *Subject
	Element string
	Status  Status
	// Known is true for a failure that an earlier report has too.
	Known bool
	// Gain is what mending this rule everywhere brings to the score, in points.
	Gain int32
}

// wire is a finding's JSON.
type wire struct {
	Rule     string              `json:"rule"`
	Title    string              `json:"title"`
	Severity Severity            `json:"severity"`
	Status   Status              `json:"status"`
	Subject  *Subject            `json:"subject"`
	Element  string              `json:"element,omitempty"`
	Position *Position           `json:"position,omitempty"`
	Message  string              `json:"message"`
	Why      string              `json:"why"`
	Reason   string              `json:"reason,omitempty"`
	Missing  []Missing           `json:"missing,omitempty"`
	Known    bool                `json:"known,omitempty"`
	Section  string              `json:"section"`
	Gain     int32               `json:"gain"`
	Evidence map[string]any      `json:"evidence"`
	Remedy   *Remedy             `json:"remedy"`
	Refs     map[string][]string `json:"refs"`
	Waiver   *Waiver             `json:"waiver,omitempty"`
}

// MarshalJSON writes what is empty as empty, never as null.
func (f Finding) MarshalJSON() ([]byte, error) {
	w := wire{Rule: f.Rule, Title: f.Title, Severity: f.Severity, Status: f.Status, Subject: f.Subject, Element: f.Element,
		Position: f.Position, Message: f.Message, Why: f.Why, Reason: f.Reason, Missing: f.Missing, Known: f.Known, Section: f.Section, Gain: f.Gain,
		Evidence: f.Evidence, Remedy: f.Remedy, Refs: f.Refs, Waiver: f.Waiver}
	if w.Evidence == nil {
		w.Evidence = map[string]any{}
	}
	if w.Refs == nil {
		w.Refs = map[string][]string{}
	}
	if w.Remedy == nil {
		w.Remedy = &Remedy{}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Finding) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Remedy != nil && *w.Remedy == (Remedy{}) {
		w.Remedy = nil
	}
	if w.Subject == nil {
		w.Subject = &Subject{}
	}
	*f = Finding{About: &About{Rule: w.Rule, Title: w.Title, Severity: w.Severity, Why: w.Why, Section: w.Section, Refs: w.Refs},
		Detail:  &Detail{Position: w.Position, Message: w.Message, Reason: w.Reason, Missing: w.Missing, Evidence: w.Evidence, Remedy: w.Remedy, Waiver: w.Waiver},
		Subject: w.Subject, Element: w.Element, Status: w.Status, Known: w.Known, Gain: w.Gain}
	return nil
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
