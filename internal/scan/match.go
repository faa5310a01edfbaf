package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// Records tells what is known of packages; *vuln.Set is one.
type Records interface {
	Match(vuln.Query) (vuln.Answer, error)
	Details(vuln.Match) (*vuln.Details, error)
	// Weigh tells what others say of a CVE.
	Weigh(id string) (vuln.Weight, error)
}

// Component is what is mended together: the packages that were built from one source, in
// one version.
type Component struct {
	Type, Ecosystem string
	// Name and Version are the source's for packages of distributions.
	Name, Version string
	Packages      []sbom.Package
	Flaws         []Flaw
	// Fixed is the version from which on none of the flaws that have a fix is left, ""
	// where none has.
	Fixed string
	// Undecided are ids of advisories whose ranges cannot be read.
	Undecided []string
	// NotEvaluated is why it could not be told whether there are flaws, "" where it could.
	NotEvaluated string
}

// Flaw is a known flaw of a component.
type Flaw struct {
	vuln.Match
	// Weight is what others say of it.
	Weight vuln.Weight
	// Summary is what the advisory says in a line, "" where it says nothing.
	Summary string
}

type componentKey struct{ typ, ecosystem, name, version string }

// components puts packages together. Those that the distribution installed with one of its
// own are left out: it mends them, under its own version.
func components(packages []sbom.Package) (list []*Component, owned int) {
	at := map[componentKey]*Component{}
	for _, p := range packages {
		if p.Owner != "" {
			owned++
			continue
		}
		ecosystem, why := p.Ecosystem()
		key := componentKey{p.Type, ecosystem, p.SourceName(), p.SourceVersion()}
		c := at[key]
		if c == nil {
			c = &Component{Type: p.Type, Ecosystem: ecosystem, Name: key.name, Version: key.version, NotEvaluated: why}
			at[key] = c
			list = append(list, c)
		}
		c.Packages = append(c.Packages, p)
	}
	return list, owned
}

// match asks what is known of a component.
func (c *Component) match(records Records) error {
	if c.NotEvaluated != "" {
		return nil
	}
	names := []string{c.Name}
	if c.Type == sbom.RPM { // records of RPMs name the source, or the binaries
		for _, p := range c.Packages {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	known := map[string]bool{}
	for _, name := range names {
		a, err := records.Match(vuln.Query{Ecosystem: c.Ecosystem, Name: name, Version: c.Version})
		if err != nil {
			return fmt.Errorf("asking about %s: %w", c.Name, err)
		}
		c.NotEvaluated = cmp.Or(c.NotEvaluated, a.NotEvaluated)
		for _, id := range a.Undecided {
			if !slices.Contains(c.Undecided, id) {
				c.Undecided = append(c.Undecided, id)
			}
		}
		for _, m := range a.Matches {
			if known[m.ID] {
				continue
			}
			known[m.ID] = true
			d, err := records.Details(m)
			if err != nil {
				return fmt.Errorf("reading what is said of %s: %w", m.ID, err)
			}
			w, err := records.Weigh(m.ID)
			if err != nil {
				return fmt.Errorf("weighing %s: %w", m.ID, err)
			}
			summary, _, _ := strings.Cut(cmp.Or(d.Summary, d.Details), "\n")
			c.Flaws = append(c.Flaws, Flaw{Match: m, Weight: w, Summary: strings.TrimSpace(summary)})
			c.Fixed = vuln.Later(c.Ecosystem, c.Fixed, m.Fixed)
		}
	}
	return nil
}
