package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// Diff is what a second image has that the first has not, and the other way. Contents of
// files are not compared.
type Diff struct {
	Schema string `json:"schema"` // plimsoll/imagediff/1
	Before string `json:"before"`
	After  string `json:"after"`
	// New and Mended are failures that only the second or the first has, Left how many both
	// have.
	New    []finding.Finding `json:"new"`
	Mended []finding.Finding `json:"mended"`
	Left   int               `json:"left"`
	// Packages that came, went, or have another version, and Settings of the configuration
	// that are others.
	Added    []string  `json:"added"`
	Removed  []string  `json:"removed"`
	Versions []Version `json:"versions"`
	Settings []Setting `json:"settings"`
	// Shared is how many layers both have; Bytes are those of the files of all layers.
	Shared      int   `json:"shared_layers"`
	BytesBefore int64 `json:"bytes_before"`
	BytesAfter  int64 `json:"bytes_after"`
}

// Version is a package in another version.
type Version struct {
	Package string `json:"package"`
	Before  string `json:"before"`
	After   string `json:"after"`
	// Down is true where the second has an older one.
	Down bool `json:"down"`
}

// Setting is a part of the configuration.
type Setting struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// DiffOf compares two images and the reports about them.
func DiffOf(before, after *Contents, was, is finding.Report) *Diff {
	d := &Diff{Schema: "plimsoll/imagediff/1", Before: before.Document.Name, After: after.Document.Name, New: []finding.Finding{}, Mended: []finding.Finding{}, Added: []string{}, Removed: []string{},
		Versions: []Version{}, Settings: []Setting{}}
	d.New, d.Left = only(is, was)
	d.Mended, _ = only(was, is)
	d.packages(before.Document.Packages, after.Document.Packages)
	d.settings(before, after)
	had := map[string]bool{}
	for _, l := range before.Document.Layers {
		had[string(l.DiffID)] = true
	}
	for _, l := range after.Document.Layers {
		if had[string(l.DiffID)] {
			d.Shared++
		}
	}
	d.BytesBefore, d.BytesAfter = before.Files.Size, after.Files.Size
	return d
}

// only are the failures of a report that another has not. A flaw is the same in another
// version of the package.
func only(r, other finding.Report) (list []finding.Finding, both int) {
	key := func(f *finding.Finding) string {
		element, _, _ := strings.Cut(f.Element, "@")
		if f.Section == SectionSecrets {
			element = f.Element
		}
		return f.Rule + "\x00" + element
	}
	has := map[string]bool{}
	for i := range other.Findings {
		if f := &other.Findings[i]; f.Status == finding.Fail {
			has[key(f)] = true
		}
	}
	list = []finding.Finding{}
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Status != finding.Fail:
		case has[key(f)]:
			both++
		default:
			list = append(list, *f)
		}
	}
	slices.SortStableFunc(list, func(a, b finding.Finding) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })
	return list, both
}

// packages compares them by type and name; of several versions of one the sets count.
func (d *Diff) packages(before, after []sbom.Package) {
	type name struct{ typ, name string }
	gather := func(list []sbom.Package) map[name][]string {
		out := map[name][]string{}
		for _, p := range list {
			n := name{p.Type, p.Name}
			if !slices.Contains(out[n], p.Version) {
				out[n] = append(out[n], p.Version)
			}
		}
		return out
	}
	ecosystems := map[name]string{}
	for _, p := range after {
		ecosystems[name{p.Type, p.Name}], _ = p.Ecosystem()
	}
	had, have := gather(before), gather(after)
	all := maps.Clone(had)
	maps.Copy(all, have)
	for _, n := range slices.SortedFunc(maps.Keys(all), func(a, b name) int { return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.name, b.name)) }) {
		x, y := had[n], have[n]
		slices.Sort(x)
		slices.Sort(y)
		switch {
		case slices.Equal(x, y):
		case len(x) == 0:
			d.Added = append(d.Added, n.name+" "+strings.Join(y, ", "))
		case len(y) == 0:
			d.Removed = append(d.Removed, n.name+" "+strings.Join(x, ", "))
		default:
			v := Version{Package: n.name, Before: strings.Join(x, ", "), After: strings.Join(y, ", ")}
			if len(x) == 1 && len(y) == 1 {
				v.Down = vuln.Later(ecosystems[n], x[0], y[0]) == x[0]
			}
			d.Versions = append(d.Versions, v)
		}
	}
}

// settings compares what containers get from the image. Values of variables are not told.
func (d *Diff) settings(before, after *Contents) {
	a, b := &before.Facts, &after.Facts
	list := func(l []string) string { return strings.Join(l, " ") }
	setuid := func(c *Contents) string {
		var paths []string
		for _, f := range c.Facts.Setuid {
			paths = append(paths, f.Path)
		}
		for _, f := range c.Files.Capable {
			paths = append(paths, f.Path+" ("+strings.Join(f.Capabilities, ", ")+")")
		}
		return list(paths)
	}
	for _, s := range []Setting{
		{"distribution", before.Files.Distribution, after.Files.Distribution}, {"user", a.User, b.User}, {"health check", fmt.Sprint(a.Healthcheck), fmt.Sprint(b.Healthcheck)},
		{"environment", list(a.Environment), list(b.Environment)}, {"ports", list(a.ExposedPorts), list(b.ExposedPorts)}, {"volumes", list(a.Volumes), list(b.Volumes)},
		{"programs that run as others", setuid(before), setuid(after)},
	} {
		if s.Before != s.After {
			d.Settings = append(d.Settings, s)
		}
	}
}

// Worst says whether something new is at least that grave.
func (d *Diff) Worst(limit finding.Severity) bool {
	return slices.ContainsFunc(d.New, func(f finding.Finding) bool { return f.Severity.AtLeast(limit) })
}

// WriteJSON writes it for programs.
func (d *Diff) WriteJSON(w io.Writer) error {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the comparison: %w", err)
	}
	if _, err := w.Write(append(term.EscapeJSON(data), '\n')); err != nil {
		return fmt.Errorf("writing the comparison: %w", err)
	}
	return nil
}

// WriteTable writes it as text: what became worse first.
func (d *Diff) WriteTable(out *term.Printer, verbose bool) error {
	short := out.Terminal() && !verbose
	s := report.Sheet{Head: []string{d.After + "  beside " + d.Before}}
	findings := func(name string, list []finding.Finding, glyph func(finding.Severity) term.Style) report.Part {
		p := report.Part{Name: name, Count: report.Count(len(list), "finding", "findings")}
		for _, f := range list {
			p.Entries = append(p.Entries, report.Entry{Glyph: glyph(f.Severity), Title: f.Message, Right: f.Rule})
		}
		return p
	}
	parts := []report.Part{findings("New", d.New, report.GlyphOf), findings("Mended", d.Mended, func(finding.Severity) term.Style { return term.Pass })}
	versions := report.Part{Name: "Packages", Count: fmt.Sprintf("%d added, %d removed, %d in another version", len(d.Added), len(d.Removed), len(d.Versions))}
	for _, v := range d.Versions {
		e := report.Entry{Glyph: term.Plain, Title: v.Package + " " + v.Before + " -> " + v.After}
		if v.Down {
			e.Glyph, e.Right = term.Medium, "an older version"
		}
		versions.Entries = append(versions.Entries, e)
	}
	for _, one := range []struct {
		what string
		list []string
	}{{"added: ", d.Added}, {"removed: ", d.Removed}} {
		if len(one.list) > 0 {
			versions.Entries = append(versions.Entries, report.Entry{Glyph: term.Plain, Title: one.what + report.Shorten(one.list, " and ", short)})
		}
	}
	settings := report.Part{Name: "Configuration", Count: report.Count(len(d.Settings), "change", "changes")}
	for _, one := range d.Settings {
		settings.Entries = append(settings.Entries, report.Entry{Glyph: term.Plain, Title: one.Name + ": " + cmp.Or(one.Before, "none") + " -> " + cmp.Or(one.After, "none")})
	}
	for _, p := range append(parts, versions, settings) {
		if len(p.Entries) > 0 {
			s.Parts = append(s.Parts, p)
		}
	}
	s.Ending = []string{fmt.Sprintf("%d new, %d mended, %d as before. %s shared, %+.1f MiB.", len(d.New), len(d.Mended), d.Left, report.Count(d.Shared, "layer is", "layers are"), float64(d.BytesAfter-d.BytesBefore)/(1<<20))}
	return s.Write(out)
}
