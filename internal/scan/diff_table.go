package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/term"
)

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

// WriteTable writes it as text: what became worse, what became better, and then what is
// only another. Verbose lists each flaw.
func (d *Diff) WriteTable(out *term.Printer, verbose bool) error {
	t := &diffTable{d: d, verbose: verbose, short: out.Terminal() && !verbose}
	s := report.Sheet{Head: []string{t.side(&d.After), "beside " + t.side(&d.Before)}, Ending: t.ending()}
	for _, part := range []report.Part{t.worse(), t.better(), t.packages(), t.configuration(), t.untold()} {
		if len(part.Entries) > 0 {
			s.Parts = append(s.Parts, part)
		}
	}
	return s.Write(out)
}

// diffTable makes the parts of the table.
type diffTable struct {
	d              *Diff
	verbose, short bool
}

func (t *diffTable) side(s *Side) string {
	name := s.Name
	if id := strings.TrimPrefix(s.ID, "sha256:"); id != "" && !strings.Contains(name, id[:min(8, len(id))]) {
		name += "@sha256:" + id[:min(8, len(id))]
	}
	about := []string{report.Count(s.Packages, "package", "packages")}
	if s.OS != "" {
		about = append([]string{s.OS}, about...)
	}
	return name + "  " + strings.Join(about, ", ")
}

// half is a part about what became worse or better, with the counts of what it has.
func half(name string, entries []report.Entry, counts ...string) report.Part {
	return report.Part{Name: name, Entries: entries, Count: strings.Join(slices.DeleteFunc(counts, func(s string) bool { return strings.HasPrefix(s, "no ") }), ", ")}
}

func (t *diffTable) worse() report.Part {
	flaws, secrets := t.sorted(t.d.New)
	entries := append(flaws.entries(flaws.together()), flaws.secrets().Entries...)
	slices.SortStableFunc(entries, func(a, b report.Entry) int { return cmp.Compare(a.Glyph, b.Glyph) })
	entries = append(entries, privilegedEntries(t.d.Privileged.New, " has ", term.Manual)...)
	downs := t.changes("down", term.Manual)
	settings := t.settings("worse", term.Manual)
	entries = append(append(entries, downs...), settings...)
	return half("Worse", entries, report.Count(flaws.flaws, "flaw", "flaws"), report.Count(secrets, "secret", "secrets"), report.Count(len(t.d.Privileged.New), "program", "programs"),
		report.Count(len(downs), "older version", "older versions"), report.Count(len(settings), "setting", "settings"))
}

func (t *diffTable) better() report.Part {
	flaws, secrets := t.sorted(t.d.Mended)
	var entries []report.Entry
	for _, e := range flaws.together() {
		one := report.Entry{Glyph: term.Pass, Title: e.name + " " + e.version, Right: e.findings[0].Rule}
		if n := len(e.findings) - 1; n > 0 {
			one.Right += fmt.Sprintf(" and %d more", n)
			if !t.short {
				one.Lines = []string{e.ids()}
			}
		}
		entries = append(entries, one)
	}
	for _, e := range flaws.secrets().Entries {
		e.Glyph, e.Title = term.Pass, "Gone: "+e.Title
		entries = append(entries, e)
	}
	entries = append(entries, privilegedEntries(t.d.Privileged.Gone, " no longer has ", term.Pass)...)
	settings := t.settings("better", term.Pass)
	return half("Better", append(entries, settings...), report.Count(flaws.flaws, "flaw", "flaws"), report.Count(secrets, "secret", "secrets"),
		report.Count(len(t.d.Privileged.Gone), "program", "programs"), report.Count(len(settings), "setting", "settings"))
}

// sorted puts findings together as the table of one image does, and says how many are secrets.
func (t *diffTable) sorted(list []finding.Finding) (*table, int) {
	s := &table{report: finding.Report{Findings: list}, verbose: t.verbose, short: t.short}
	s.split()
	return s, len(s.secret)
}

// privilegedEntries are an entry a file, with a verb between it and the rights.
func privilegedEntries(files []PrivilegedFile, verb string, glyph term.Style) []report.Entry {
	var list []report.Entry
	for _, f := range files {
		list = append(list, report.Entry{Glyph: glyph, Title: f.Path + verb + strings.Join(f.Rights, ", ")})
	}
	return list
}

// changes are the packages in other versions that went a way.
func (t *diffTable) changes(way string, glyph term.Style) []report.Entry {
	var list []report.Entry
	for _, c := range t.d.Packages.Changed {
		if c.Way != way {
			continue
		}
		e := report.Entry{Glyph: glyph, Title: c.Name + " " + versions(c.Before) + " -> " + versions(c.After), Right: c.Type}
		if way == "" {
			e.Lines = []string{"Which is the later can't be said."}
		}
		list = append(list, e)
	}
	return list
}

// versions are the versions of a package in a line.
func versions(list []string) string {
	var known []string
	for _, v := range list {
		known = append(known, cmp.Or(v, "of no version"))
	}
	return strings.Join(known, ", ")
}

func (t *diffTable) packages() report.Part {
	p := &t.d.Packages
	part := report.Part{Name: "Packages", Count: fmt.Sprintf("%d added, %d removed, %d in another version", len(p.Added), len(p.Removed), len(p.Changed))}
	part.Entries = append(t.changes("up", term.Plain), t.changes("", term.Plain)...)
	for _, one := range []struct {
		what string
		list []PackageVersions
	}{{"Added: ", p.Added}, {"Removed: ", p.Removed}} {
		var names []string
		for _, v := range one.list {
			names = append(names, v.Name+" "+versions(v.Versions))
		}
		if len(names) > 0 {
			part.Entries = append(part.Entries, report.Entry{Glyph: term.Plain, Title: one.what + report.Shorten(names, " and ", t.short)})
		}
	}
	return part
}

// settings are the parts of the configuration that went a way.
func (t *diffTable) settings(way string, glyph term.Style) []report.Entry {
	var list []report.Entry
	for _, s := range t.d.Configuration {
		if s.Way != way {
			continue
		}
		before, after := strings.Join(s.Before, ", "), strings.Join(s.After, ", ")
		e := report.Entry{Glyph: glyph}
		switch {
		case !s.set:
			e.Title = s.Name + ": " + cmp.Or(before, "none") + " -> " + cmp.Or(after, "none")
		case before == "":
			e.Title = s.Name + ": with " + after
		case after == "":
			e.Title = s.Name + ": without " + before
		default:
			e.Title = s.Name + ": with " + after + "; without " + before
		}
		list = append(list, e)
	}
	return list
}

func (t *diffTable) configuration() report.Part {
	list := t.settings("", term.Plain)
	return report.Part{Name: "Configuration", Count: report.Count(len(list), "change", "changes"), Entries: list}
}

func (t *diffTable) untold() report.Part {
	part := report.Part{Name: "Not compared"}
	for _, f := range t.d.Untold {
		part.Entries = append(part.Entries, report.Entry{Glyph: term.Unknown, Title: f.Message + ": whether that is new can't be told", Right: f.Rule})
	}
	for _, n := range t.d.NotCompared {
		part.Entries = append(part.Entries, report.Entry{Glyph: term.Unknown, Title: n.What + ": " + n.Reason})
	}
	return part
}

func (t *diffTable) ending() []string {
	d := t.d
	ending := []string{fmt.Sprintf("%d new, %d mended, %d as before.", len(d.New), len(d.Mended), len(d.Left))}
	if !slices.ContainsFunc(d.NotCompared, func(n NotCompared) bool { return n.What == "layers" }) {
		ending = append(ending, fmt.Sprintf("%s shared, %s; %d added, %s; %d taken away, %s.", report.Count(d.Layers.Shared, "layer is", "layers are"), term.Bytes(d.Layers.SharedBytes),
			d.Layers.Added, term.Bytes(d.Layers.AddedBytes), d.Layers.Taken, term.Bytes(d.Layers.TakenBytes)))
	}
	minor := 0
	for _, list := range [][]finding.Finding{d.New, d.Mended} {
		for i := range list {
			if told(&list[i], "level") == "negligible" {
				minor++
			}
		}
	}
	if minor > 0 && !t.verbose {
		ending = append(ending, fmt.Sprintf("%d of the new and mended %s no security issue, as the distribution says: -v lists them.", minor, isAre(minor)))
	}
	return ending
}
