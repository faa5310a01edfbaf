package gate

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// PolicySchema names the form of a policy file.
const PolicySchema = "plimsoll/policy/1"

// Policy says what the gate refuses, and to whom. It does not change once it is made.
type Policy struct {
	// Name is the file that it was read from, "" for the policy that stands where
	// there is none.
	Name string
	// Mode is what the file asks for, "" where it does not say.
	Mode Mode

	// judged are the rules about containers whose failure is a refusal, and enforced their
	// names.
	judged   *rule.Set
	enforced map[string]bool

	document
}

// document is a policy as YAML has it.
type document struct {
	Schema   string   `yaml:"schema"`
	Mode     Mode     `yaml:"mode"`
	Enforce  enforce  `yaml:"enforce"`
	Allow    []*allow `yaml:"allow"`
	Grants   []*Grant `yaml:"grants"`
	Require  require  `yaml:"require"`
	Defaults defaults `yaml:"defaults"`
	Reads    reads    `yaml:"reads"`
}

// Mode is what the gate does about what the policy refuses.
type Mode string

const (
	Observe Mode = "observe" // it passes, and is recorded as what would have been refused
	Enforce Mode = "enforce"
)

// enforce chooses the rules whose failure is a refusal.
type enforce struct {
	// Severity is from which one on; "" is high.
	Severity finding.Severity `yaml:"severity"`
	// Also and Not are names of rules, benchmark ids, or globs of either.
	Also []string `yaml:"also"`
	Not  []string `yaml:"not"`
}

// callers chooses who something is for: whoever is one of the users or in one of the
// groups, by name or number, or shows a certificate of one of these subjects, as the trail
// has them. None of all is everybody.
type callers struct {
	Users        []string `yaml:"users"`
	Groups       []string `yaml:"groups"`
	Certificates []string `yaml:"certificates"`
}

// allow gives classes of endpoints that are refused otherwise.
type allow struct {
	Classes []string `yaml:"classes"`
	callers `yaml:",inline"`
}

// Grant lets somebody break a rule for some images until a day.
type Grant struct {
	Rule string `yaml:"rule"`
	// Image is a pattern of names of images, whole and without tag or digest, such as
	// docker.io/library/nginx: as path.Match has it but that a star means slashes too. The
	// image must have come from there. Or it is an image's id, sha256: and 64 digits, for
	// one that came from nowhere.
	Image   string `yaml:"image"`
	callers `yaml:",inline"`
	// Until is the last day on which it counts, as 2006-01-02, in UTC.
	Until string `yaml:"until"`
	Why   string `yaml:"why"`

	line int
}

// require is what a new container must have said or be.
type require struct {
	Owner bool `yaml:"owner"`
	Why   bool `yaml:"why"`
	// Images are patterns of names of images, as those of grants: one must fit, and the
	// image have come from there. Digest has the name end in the digest.
	Images  []string       `yaml:"images"`
	Digest  bool           `yaml:"digest"`
	Verdict *verdictNeeded `yaml:"verdict"`
}

// verdictNeeded is what must be known of an image, by the verdict that plimsoll wrote.
type verdictNeeded struct {
	Verified bool `yaml:"verified"`
	// ScannedWithin is how old a scan may be, such as 30d; "" is that none is needed.
	ScannedWithin string `yaml:"scanned_within"`
	// Worst is the gravest severity that a scan may have found; "" is any.
	Worst finding.Severity `yaml:"worst"`
	// Absent is what happens where nothing is known: refuse, which is the default, or
	// pass.
	Absent string `yaml:"absent"`

	within time.Duration
}

// reads are what is refused of what only looks.
type reads struct {
	Refuse []string `yaml:"refuse"`
}

// DefaultPolicy is the policy where there is no file: critical and high rules are
// enforced, and what no rule judges is refused.
func DefaultPolicy(set *rule.Set) (*Policy, error) {
	p := &Policy{}
	return p, p.choose(set)
}

// ReadPolicy reads a policy file; set are the rules that it may name. What is wrong in it
// is a *strict.Error with its line.
func ReadPolicy(name string, data []byte, set *rule.Set) (*Policy, error) {
	docs, err := strict.YAMLDocuments(name, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("it holds %d documents, not one", len(docs)), Hint: "begin with  schema: " + PolicySchema}
	}
	p := &Policy{Name: name}
	if err := docs[0].Decode(&p.document); err != nil {
		return nil, err
	}
	c := checker{docs[0]}
	if err := c.check(&p.document); err != nil {
		return nil, err
	}
	p.Mode = p.document.Mode
	if err := p.choose(set); err != nil {
		return nil, c.fail("chooses rules that there are not: "+err.Error(), "see  plimsoll rules list", "enforce")
	}
	for i, g := range p.Grants {
		if _, err := set.Select(rule.Selection{Only: []string{g.Rule}}); err != nil {
			return nil, c.fail("is of no rule: "+err.Error(), "see  plimsoll rules list", "grants", i, "rule")
		}
		g.line = docs[0].At("grants", i).Line
	}
	return p, nil
}

// choose finds the rules that the policy enforces.
func (p *Policy) choose(set *rule.Set) error {
	all, err := set.Select(rule.Selection{Subjects: []string{"container"}})
	if err != nil {
		return err
	}
	p.enforced = map[string]bool{}
	from := p.Enforce.Severity
	if from == "" {
		from = finding.High
	}
	for _, r := range all.Rules() {
		if r.Severity.AtLeast(from) {
			p.enforced[r.Name] = true
		}
	}
	for _, list := range []struct {
		names []string
		on    bool
	}{{p.Enforce.Also, true}, {p.Enforce.Not, false}} {
		if len(list.names) == 0 {
			continue
		}
		chosen, err := all.Select(rule.Selection{Only: list.names})
		if err != nil {
			return err
		}
		for _, r := range chosen.Rules() {
			p.enforced[r.Name] = list.on
		}
	}
	p.judged = all.Where(func(r *rule.Rule) bool { return p.enforced[r.Name] })
	return p.judged.Compile()
}

// allows reports whether who may use a class that is refused otherwise.
func (p *Policy) allows(class string, who *identity) bool {
	return slices.ContainsFunc(p.Allow, func(a *allow) bool { return slices.Contains(a.Classes, class) && a.has(who) })
}

// granted gives the grant by which who may break a rule for an image, or nil.
func (p *Policy) granted(name string, image *workload.Image, who *identity, now time.Time) *Grant {
	for _, g := range p.Grants {
		until, err := time.Parse(time.DateOnly, g.Until)
		if err != nil || !now.Before(until.AddDate(0, 0, 1)) {
			continue
		}
		if fits, _ := path.Match(g.Rule, name); fits && g.isFor(image) && g.has(who) {
			return g
		}
	}
	return nil
}

// isFor says whether a grant is for an image. Before the engine has it, its name counts:
// it is judged again when it has.
func (g *Grant) isFor(i *workload.Image) bool {
	if i.ID != "" && g.Image == i.ID {
		return true
	}
	return workload.NameFits(g.Image, i.Name) && (i.ID == "" || cameFrom(i))
}

func (c *callers) has(who *identity) bool {
	if len(c.Users)+len(c.Groups)+len(c.Certificates) == 0 {
		return true
	}
	if who.CertSubject != "" {
		return slices.Contains(c.Certificates, who.CertSubject)
	}
	if who.unknown || !who.isOfHost() {
		return false
	}
	if slices.Contains(c.Users, strconv.Itoa(int(who.UID))) || who.User != "" && slices.Contains(c.Users, who.User) {
		return true
	}
	return slices.ContainsFunc(c.Groups, who.inGroup)
}

// checker checks what a policy's fields say.
type checker struct{ doc *strict.Document }

func (c checker) fail(msg, hint string, steps ...any) error { return c.doc.FailAt(msg, hint, steps...) }

func (c checker) check(d *document) error {
	if d.Schema != PolicySchema {
		return c.fail(fmt.Sprintf("is not %s: %.100q", PolicySchema, d.Schema), "write schema: "+PolicySchema, "schema")
	}
	if d.Mode != "" && d.Mode != Observe && d.Mode != Enforce {
		return c.fail(fmt.Sprintf("is neither observe nor enforce: %.100q", string(d.Mode)), "write mode: observe  or leave it out", "mode")
	}
	if s := d.Enforce.Severity; s != "" {
		if _, err := finding.ParseSeverity(string(s)); err != nil {
			return c.fail(fmt.Sprintf("is no severity: %.100q", string(s)), "write critical, high, medium, low or info", "enforce", "severity")
		}
	}
	for i, a := range d.Allow {
		if a == nil || len(a.Classes) == 0 {
			return c.fail("names no class", "write classes: [swarm]", "allow", i)
		}
		for k, class := range a.Classes {
			if !slices.Contains(grantable(), class) {
				return c.fail(fmt.Sprintf("is no class that can be allowed: %.100q", class), "one of "+strings.Join(grantable(), ", "), "allow", i, "classes", k)
			}
		}
	}
	for i, g := range d.Grants {
		if g == nil {
			return c.fail("is empty", "say rule, image, until and why", "grants", i)
		}
		for _, f := range []struct{ name, text, hint string }{
			{"rule", g.Rule, "name the rule that may be broken"}, {"image", g.Image, `name the image, or a pattern such as "registry.example.org/ci/*"`},
			{"until", g.Until, "a date such as 2027-02-01"}, {"why", g.Why, "say why"},
		} {
			if strings.TrimSpace(f.text) == "" {
				return c.fail("is missing", f.hint, "grants", i, f.name)
			}
		}
		if _, err := time.Parse(time.DateOnly, g.Until); err != nil {
			return c.fail(fmt.Sprintf("is not a date: %.100q", g.Until), "a date such as 2027-02-01", "grants", i, "until")
		}
		if _, err := path.Match(g.Image, ""); err != nil {
			return c.fail(fmt.Sprintf("is not a pattern: %.100q", g.Image), "", "grants", i, "image")
		}
	}
	if err := c.patterns(d.Require.Images, "require", "images"); err != nil {
		return err
	}
	if err := c.checkVerdict(d.Require.Verdict); err != nil {
		return err
	}
	if err := c.checkDefaults(&d.Defaults); err != nil {
		return err
	}
	for i, what := range d.Reads.Refuse {
		if !slices.Contains(readable, what) {
			return c.fail(fmt.Sprintf("is nothing that can be refused: %.100q", what), "one of "+strings.Join(readable, ", "), "reads", "refuse", i)
		}
	}
	return nil
}

// patterns checks patterns of names of images.
func (c checker) patterns(list []string, at ...any) error {
	for i, pattern := range list {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return c.fail(fmt.Sprintf("is not a pattern: %.100q", pattern), `such as "registry.example.org/*"`, append(at, i)...)
		}
	}
	return nil
}
