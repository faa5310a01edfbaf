package vex

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// cycloneComponent is a component, with those within it.
type cycloneComponent struct {
	Type       string             `json:"type"`
	Ref        string             `json:"bom-ref"`
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	PURL       string             `json:"purl"`
	Components []cycloneComponent `json:"components"`
}

// cycloneDX is a document of CycloneDX, with what is read of it.
type cycloneDX struct {
	Version  string `json:"specVersion"`
	Serial   string `json:"serialNumber"`
	Metadata struct {
		Timestamp time.Time `json:"timestamp"`
		Authors   []struct {
			Name string `json:"name"`
		} `json:"authors"`
		Component *cycloneComponent `json:"component"`
	} `json:"metadata"`
	Components      []cycloneComponent     `json:"components"`
	Vulnerabilities []cycloneVulnerability `json:"vulnerabilities"`
}

// cycloneVulnerability is one flaw, and what is said of it.
type cycloneVulnerability struct {
	ID         string `json:"id"`
	References []struct {
		ID string `json:"id"`
	} `json:"references"`
	Updated  time.Time `json:"updated"`
	Analysis *struct {
		State         string    `json:"state"`
		Justification string    `json:"justification"`
		Response      []string  `json:"response"`
		Detail        string    `json:"detail"`
		First         time.Time `json:"firstIssued"`
		Updated       time.Time `json:"lastUpdated"`
	} `json:"analysis"`
	Affects []struct {
		Ref      string `json:"ref"`
		Versions []struct {
			Version string `json:"version"`
			Range   string `json:"range"`
			Status  string `json:"status"`
		} `json:"versions"`
	} `json:"affects"`
}

const falsePositive = "false_positive"

// cycloneStates are CycloneDX's states of an analysis.
var cycloneStates = map[string]Status{"resolved": Fixed, "resolved_with_pedigree": Fixed, "exploitable": Affected, "in_triage": Looking, falsePositive: NotAffected, "not_affected": NotAffected}

// cycloneReasons are CycloneDX's justifications.
var cycloneReasons = []string{"code_not_present", "code_not_reachable", "requires_configuration", "requires_dependency", "requires_environment", "protected_by_compiler", "protected_at_runtime", "protected_at_perimeter", "protected_by_mitigating_control"}

func parseCycloneDX(file string, data []byte) ([]Statement, error) {
	var d cycloneDX
	if _, err := strict.Decode(file, data, &d); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"1.4", "1.5", "1.6"}, d.Version) {
		return nil, wrong(file, "specVersion", fmt.Sprintf("is %.20q, and 1.4 to 1.6 are read", d.Version))
	}
	b := bom{file: file, document: &d, refs: map[string]*cycloneComponent{}}
	if c := d.Metadata.Component; c != nil {
		b.name([]cycloneComponent{*c})
	}
	b.name(d.Components)
	var list []Statement
	for i := range d.Vulnerabilities {
		if a := d.Vulnerabilities[i].Analysis; a == nil || a.State == "" {
			continue // a scanner's finding, of which nobody has said anything
		}
		s, err := b.statement(i)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// bom is a document that is read.
type bom struct {
	file     string
	document *cycloneDX
	refs     map[string]*cycloneComponent
}

// name takes components by their names in the document, the first of each.
func (b *bom) name(list []cycloneComponent) {
	for i := range list {
		c := &list[i]
		if c.Ref != "" && b.refs[c.Ref] == nil {
			b.refs[c.Ref] = c
		}
		b.name(c.Components)
	}
}

// statement reads one flaw.
func (b *bom) statement(i int) (Statement, error) {
	v, field := &b.document.Vulnerabilities[i], fmt.Sprintf("vulnerabilities[%d]", i)
	a := v.Analysis
	s := Statement{IDs: []string{v.ID}, Status: cycloneStates[a.State], Justification: a.Justification, Impact: a.Detail, Action: strings.Join(a.Response, ", "),
		Time: b.document.Metadata.Timestamp, Document: b.document.Serial, File: b.file, Index: i}
	if len(b.document.Metadata.Authors) > 0 {
		s.Author = b.document.Metadata.Authors[0].Name
	}
	for _, t := range []time.Time{v.Updated, a.First, a.Updated} {
		if !t.IsZero() {
			s.Time = t
		}
	}
	for _, r := range v.References {
		s.IDs = append(s.IDs, r.ID)
	}
	for n, id := range s.IDs {
		at := field + ".id"
		if n > 0 {
			at = fmt.Sprintf("%s.references[%d].id", field, n-1)
		}
		if why := badID(id); why != "" {
			return s, wrong(b.file, at, why)
		}
	}
	if a.State == falsePositive && s.Justification == "" {
		s.Justification = falsePositive
	}
	switch {
	case s.Status == "":
		return s, wrong(b.file, field+".analysis.state", fmt.Sprintf("is %.50q, which is none", a.State))
	case a.Justification != "" && !slices.Contains(cycloneReasons, a.Justification):
		return s, wrong(b.file, field+".analysis.justification", fmt.Sprintf("is %.100q, which is none", a.Justification))
	case s.Status == NotAffected && s.Justification == "" && strings.TrimSpace(s.Impact) == "":
		return s, wrong(b.file, field+".analysis", "says not_affected and not why, in justification or detail")
	case len(v.Affects) == 0:
		return s, wrong(b.file, field+".affects", "is missing or empty, so that it is not said what the statement is about")
	}
	whole, err := b.whole()
	if err != nil {
		return s, err
	}
	for n, one := range v.Affects {
		t, err := b.affected(one.Ref, fmt.Sprintf("%s.affects[%d].ref", field, n))
		if err != nil {
			return s, err
		}
		list := []target{t}
		if len(one.Versions) > 0 && t.url != nil {
			list = list[:0]
			for _, version := range one.Versions {
				// Of a version of the other status the statement says nothing, and a range
				// is none that could be compared.
				if says := version.Status; version.Version == "" || (says == "unaffected") != (s.Status == NotAffected || s.Status == Fixed) || says == "unknown" {
					continue
				}
				u := *t.url
				u.Version = version.Version
				list = append(list, target{url: canonical(u)})
			}
		}
		for _, t := range list {
			p := product{whole: t}
			if whole.image != nil && t.image == nil {
				p = product{whole: whole, parts: []target{t}}
			}
			s.products = append(s.products, p)
		}
	}
	return s, nil
}

// whole is the image that the document is about, where it is about one: then what it says of
// a package is said of that image's.
func (b *bom) whole() (target, error) {
	c := b.document.Metadata.Component
	if c == nil || c.Type != "container" && !strings.HasPrefix(c.PURL, "pkg:oci/") && !strings.HasPrefix(c.PURL, "pkg:docker/") {
		return target{}, nil
	}
	t, err := c.target()
	if err != nil || t.image == nil {
		return t, wrong(b.file, "metadata.component", "is a container, and does not say which by a package URL or a digest")
	}
	return t, nil
}

// target is what a component is.
func (c *cycloneComponent) target() (target, error) {
	if c.PURL != "" {
		return targetOf(c.PURL)
	}
	if c.Type != "container" {
		return target{}, nil
	}
	if digest.Digest(c.Version).Validate() == nil {
		return target{image: &named{digest: c.Version}}, nil
	}
	at, err := reference.ParseNormalizedNamed(c.Name)
	if err != nil {
		return target{}, nil
	}
	n := &named{repository: at.Name(), tag: c.Version}
	switch at := at.(type) {
	case reference.Digested:
		n = &named{digest: string(at.Digest())}
	case reference.Tagged:
		n.tag = at.Tag()
	}
	return target{image: n}, nil
}

// affected reads a reference: to a component of the document, or to one of another, whose name
// there (the fragment of a BOM-Link) then is its package URL, as those who write them do.
func (b *bom) affected(ref, field string) (target, error) {
	text := ref
	if rest, is := strings.CutPrefix(ref, "urn:cdx:"); is {
		document, fragment, _ := strings.Cut(rest, "#")
		// Some write a package URL there as it is, with the escapes that are its own.
		if whole, err := url.PathUnescape(fragment); err == nil && !strings.HasPrefix(fragment, "pkg:") {
			fragment = whole
		}
		text = fragment
		if serial, _, _ := strings.Cut(document, "/"); b.document.Serial == "urn:uuid:"+serial {
			ref = fragment
		}
	}
	if c := b.refs[ref]; c != nil {
		t, err := c.target()
		if err != nil {
			return t, wrong(b.file, field, fmt.Sprintf("is a component whose purl is none: %.200q", c.PURL))
		}
		return t, nil
	}
	if strings.HasPrefix(text, "pkg:") {
		if t, err := targetOf(text); err == nil {
			return t, nil
		}
	}
	return target{}, wrong(b.file, field, fmt.Sprintf("names no component of the document, and no package URL: %.200q", ref))
}
