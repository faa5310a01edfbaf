package report

import (
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Sheet is a page of other things than the findings of rules, in the look of a report: what
// it is about, parts with entries, and what it comes to. Its texts may hold words of others.
type Sheet struct {
	// Head are lines; the first word of the first is the name of what it is about.
	Head  []string
	Parts []Part
	// Ending are paragraphs; the first sentence of the first is the sum.
	Ending []string
}

// Part is a part of a sheet.
type Part struct {
	Name string
	// Count is what it holds, in a few words.
	Count   string
	Entries []Entry
}

// Entry is one thing of a part: a glyph, a title, an id at the right, lines below it, why it
// matters, and a command to copy.
type Entry struct {
	Glyph   term.Style
	Title   string
	Right   string
	Lines   []string
	Why     string
	Command string
	// Findings are those that the entry is about, none for what is no finding, and Grid what
	// is known of them; nil is their evidence. Both are for [SheetHTML].
	Findings []*finding.Finding
	Grid     *Grid
}

// Grid is a table in an entry: the names of its columns, and its rows, as wide.
type Grid struct {
	Head []string
	Rows [][]string
}

// GlyphOf is the glyph of a severity.
func GlyphOf(s finding.Severity) term.Style { return glyphs[s.Rank()] }

// Write writes the sheet, in one write.
func (s *Sheet) Write(out *term.Printer) error {
	p := &page{out: out}
	for i, text := range s.Head {
		bold := 0
		if i == 0 {
			bold = 1
		}
		p.words(text, 0, bold)
	}
	for _, part := range s.Parts {
		p.part(part)
	}
	p.blank()
	for i, text := range s.Ending {
		bold := 0
		if i == 0 {
			first, _, _ := strings.Cut(text, ". ")
			bold = len(strings.Fields(first))
		}
		p.sum(out.Escape(text), 1, bold)
	}
	if _, err := out.Write([]byte(p.text.String())); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// part writes a part, unless nothing is in it.
func (p *page) part(part Part) {
	if len(part.Entries) == 0 {
		return
	}
	p.blank()
	p.head(part.Name, part.Count)
	for _, e := range part.Entries {
		style := term.Plain
		if e.Glyph == term.Critical || e.Glyph == term.High {
			style = term.Bold
		}
		p.entry(e.Glyph, style, e.Title, e.Right)
		for _, line := range e.Lines {
			p.words(line, margin, 0)
		}
		if e.Why != "" {
			p.words(e.Why, margin, 0)
		}
		if e.Command != "" {
			p.command(e.Command)
		}
	}
}

// Shorten lists names: three and how many more where that is wanted, else all, the last two
// joined by last.
func Shorten(names []string, last string, short bool) string {
	if n := len(names) - most; n > 0 && short {
		return strings.Join(names[:most], ", ") + " and " + number(n) + " more"
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + last + names[n-1]
	}
	return strings.Join(names, "")
}

// Count writes a number of things; zero is "no".
func Count(n int, one, many string) string { return count(n, one, many) }
