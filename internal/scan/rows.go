package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/report"
	"github.com/plimsoll/plimsoll/internal/term"
)

// Row is one image of several: its report, or why there is none.
type Row struct {
	Name   string
	Report *finding.Report
	Err    error
}

// counts are how many flaws and secrets of each severity count, and whether something could
// not be told.
func (r *Row) counts() (n [5]int, fixable int, untold bool) {
	for i := range r.Report.Findings {
		f := &r.Report.Findings[i]
		switch {
		case f.Status == finding.Unknown:
			untold = true
		case f.Status == finding.Fail:
			n[f.Severity.Rank()]++
			if told(f, "fixed") != "" {
				fixable++
			}
		}
	}
	return n, fixable, untold
}

// glyph is the worst of what was found, or that something could not be told.
func (r *Row) glyph() term.Style {
	if r.Report == nil {
		return term.Unknown
	}
	n, _, untold := r.counts()
	if at := slices.IndexFunc(n[:4], func(n int) bool { return n > 0 }); at >= 0 {
		return report.GlyphOf(finding.Severities[at])
	}
	if untold {
		return term.Unknown
	}
	return term.Pass
}

// worstFirst are rows in the order in which they are told. One that could not be scanned
// counts as one with a critical flaw.
func worstFirst(rows []Row) []Row {
	rank := func(r *Row) [6]int {
		if r.Report == nil {
			return [6]int{-1}
		}
		n, _, _ := r.counts()
		return [6]int{-n[0], -n[1], -n[2], -n[3], 1}
	}
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b Row) int {
		x, y := rank(&a), rank(&b)
		return cmp.Or(slices.Compare(x[:], y[:]), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// RowsTable writes several images, a row each, the worst first.
func RowsTable(out *term.Printer, name string, rows []Row) error {
	sorted := worstFirst(rows)
	wide := len("IMAGE")
	for i := range sorted {
		wide = max(wide, term.Width(out.Escape(sorted[i].Name)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n", out.Paint(term.Bold, out.Escape(name)), report.Count(len(rows), "image", "images"))
	b.WriteString(out.Paint(term.Faint, fmt.Sprintf("    %-*s  %8s  %4s  %6s  %5s  %5s  %8s", wide, "IMAGE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "FIX", "PACKAGES")) + "\n")
	failed := 0
	for i := range sorted {
		r := &sorted[i]
		shown := out.Escape(r.Name)
		shown += strings.Repeat(" ", wide-term.Width(shown))
		if r.Report == nil {
			failed++
			fmt.Fprintf(&b, "%s %s  %s\n", out.Glyph(term.Unknown), shown, out.Escape(strings.ReplaceAll(r.Err.Error(), "\n", "; ")))
			continue
		}
		n, fixable, untold := r.counts()
		note := ""
		if untold {
			note = "  not evaluated as a whole"
		}
		fmt.Fprintf(&b, "%s %s  %8d  %4d  %6d  %5d  %5d  %8d%s\n", out.Glyph(r.glyph()), shown, n[0], n[1], n[2], n[3], fixable, r.Report.Image.Packages, note)
	}
	if failed > 0 {
		fmt.Fprintf(&b, "\n %s could not be scanned.\n", report.Count(failed, "image", "images"))
	}
	if _, err := out.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// RowsHTML writes several images as one page, the worst first: a row each, and then what was
// found in each, as [HTML] has it of one. About says by what program they were scanned, when
// that began, how long it took, and as its target what they are.
func RowsHTML(w io.Writer, about finding.Report, rows []Row) error {
	images := report.Part{Name: "Images", Count: report.Count(len(rows), "image", "images")}
	sheet := report.Sheet{Parts: []report.Part{images}}
	affected, failed, first := 0, 0, ""
	for _, r := range worstFirst(rows) {
		e := report.Entry{Glyph: r.glyph(), Title: r.Name}
		if r.Report == nil {
			failed++
			e.Lines = []string{r.Err.Error()}
			images.Entries = append(images.Entries, e)
			continue
		}
		t := &table{report: *r.Report, verbose: true, short: true, page: true}
		one := t.sheet()
		e.Lines = one.Ending
		images.Entries = append(images.Entries, e)
		if t.flaws+len(t.secret) > 0 {
			affected++
		}
		if text := t.first(); first == "" && text != "" {
			first = r.Name + ": " + strings.TrimPrefix(text, "First: ")
		}
		found := report.Part{Name: r.Name, Count: r.Report.Target.OS}
		for _, part := range one.Parts {
			found.Entries = append(found.Entries, part.Entries...)
		}
		if len(found.Entries) > 0 {
			sheet.Parts = append(sheet.Parts, found)
		}
	}
	sheet.Parts[0] = images
	number, verb := "none", "has"
	if affected > 0 {
		number = strconv.Itoa(affected)
	}
	if affected > 1 {
		verb = "have"
	}
	heading := fmt.Sprintf("%s: %s of %s %s known flaws or secrets", about.Target.Name, number, report.Count(len(rows), "image", "images"), verb)
	if failed > 0 {
		sheet.Ending = []string{report.Count(failed, "image", "images") + " could not be scanned."}
	}
	if first != "" {
		first = "First: " + first
	}
	return report.SheetHTML(w, sheet, about, heading, first)
}

// RowsJSON writes the reports about several images for programs.
func RowsJSON(w io.Writer, name string, rows []Row) error {
	type row struct {
		Name   string          `json:"name"`
		Error  string          `json:"error,omitempty"`
		Report *finding.Report `json:"report,omitempty"`
	}
	out := struct {
		Schema    string `json:"schema"`
		Reference string `json:"reference"`
		Images    []row  `json:"images"`
	}{"plimsoll/reports/1", name, []row{}}
	for _, r := range rows {
		one := row{Name: r.Name, Report: r.Report}
		if r.Err != nil {
			one.Error = r.Err.Error()
		}
		out.Images = append(out.Images, one)
	}
	data, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the reports: %w", err)
	}
	if _, err := w.Write(append(term.EscapeJSON(data), '\n')); err != nil {
		return fmt.Errorf("writing the reports: %w", err)
	}
	return nil
}

// RowsSARIF writes the reports about several images in SARIF, a run each. Of one that could
// not be scanned the run says so.
func RowsSARIF(w io.Writer, tool finding.Tool, rows []Row) error {
	runs := make([]report.Run, len(rows))
	for i, r := range rows {
		runs[i] = report.Run(r)
	}
	return report.SARIFRuns(w, tool, runs)
}
