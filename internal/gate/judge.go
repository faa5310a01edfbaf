package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
)

// objection is one reason to refuse a request.
type objection struct {
	// Rule is the rule that is broken, or "" with What being the policy's own.
	Rule     string           `json:"rule,omitempty"`
	Severity finding.Severity `json:"severity,omitempty"`
	What     string           `json:"what"`
	Remedy   string           `json:"remedy,omitempty"`
	// Lacks is what is not known of the image, "verified" or "scanned": plimsoll serve, which
	// reads it in the trail, looks for it then.
	Lacks string `json:"lacks,omitempty"`
}

// used is a grant that let something pass.
type used struct {
	Rule string `json:"rule"`
	Line int    `json:"line"` // of the policy file
	Why  string `json:"why"`
}

// decision is what the policy says of a request.
type decision struct {
	Objections []objection `json:"objections,omitempty"`
	Grants     []used      `json:"grants,omitempty"`
	// Unknown are rules that are enforced, could not be decided, and are not grave enough to
	// refuse for that.
	Unknown []string `json:"unknown,omitempty"`
}

func (d *decision) refused() bool { return len(d.Objections) > 0 }

// add adds what was decided of a part.
func (d *decision) add(other *decision) {
	d.Objections = append(d.Objections, other.Objections...)
	d.Grants = append(d.Grants, other.Grants...)
	d.Unknown = append(d.Unknown, other.Unknown...)
}

func (d *decision) object(what, remedy string) {
	d.Objections = append(d.Objections, objection{What: what, Remedy: remedy})
}

// lacks objects to what is not known of an image.
func (d *decision) lacks(lacks, what, remedy string) {
	d.Objections = append(d.Objections, objection{What: what, Remedy: remedy, Lacks: lacks})
}

// stage is when a container is judged.
type stage int

const (
	// asked is before the engine has made anything of the request: what is unknown may be
	// known later, and does not count yet.
	asked stage = iota
	// made is when nothing more will be known: what is unknown of a critical or high rule
	// that is enforced is refused.
	made
)

// judge decides on the one container in f.
func (p *Policy) judge(f *facts.Facts, at stage, who *identity, now time.Time) (*decision, error) {
	findings, err := p.judged.Judge(f)
	if err != nil {
		return nil, fmt.Errorf("judging by the rules: %w", err)
	}
	d := &decision{}
	image := &f.Containers[0].Image
	for i := range findings {
		found := &findings[i]
		broken := found.Status == finding.Fail
		if !broken && found.Status != finding.Unknown {
			continue
		}
		if !broken && at == asked {
			continue
		}
		if !broken && !found.Severity.AtLeast(finding.High) {
			d.Unknown = appendOnce(d.Unknown, found.Rule)
			continue
		}
		if g := p.granted(found.Rule, image, who, now); g != nil {
			d.Grants = appendOnce(d.Grants, used{found.Rule, g.line, g.Why})
			continue
		}
		d.Objections = append(d.Objections, objectionTo(found))
	}
	return d, nil
}

func objectionTo(f *finding.Finding) objection {
	o := objection{Rule: f.Rule, Severity: f.Severity, What: f.Message}
	if f.Status == finding.Unknown {
		o.What = "it can't be told whether " + f.Title + ": " + f.Reason
	}
	if f.Remedy != nil {
		o.Remedy = f.Remedy.Run
	}
	return o
}

func appendOnce[T comparable](list []T, x T) []T {
	for _, have := range list {
		if have == x {
			return list
		}
	}
	return append(list, x)
}

// message is what a client is told: the rule, why, and how to mend the command.
func (d *decision) message() string {
	var b strings.Builder
	b.WriteString("plimsoll refuses this: ")
	for i, o := range d.Objections {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(o.What)
		if o.Rule != "" {
			fmt.Fprintf(&b, " (%s, %s)", o.Rule, o.Severity)
		}
		if o.Remedy != "" {
			b.WriteString(". " + capital(o.Remedy))
		}
	}
	return b.String()
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
