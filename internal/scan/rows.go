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

// RowsTable writes several images, a row each, the worst first.
func RowsTable(out *term.Printer, name string, rows []Row) error {
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
		glyph := term.Pass
		if at := slices.IndexFunc(n[:4], func(n int) bool { return n > 0 }); at >= 0 {
			glyph = report.GlyphOf(finding.Severities[at])
		}
		note := ""
		if untold {
			note = "  not evaluated as a whole"
			if glyph == term.Pass {
				glyph = term.Unknown
			}
		}
		fmt.Fprintf(&b, "%s %s  %8d  %4d  %6d  %5d  %5d  %8d%s\n", out.Glyph(glyph), shown, n[0], n[1], n[2], n[3], fixable, r.Report.Image.Packages, note)
	}
	if failed > 0 {
		fmt.Fprintf(&b, "\n %s could not be scanned.\n", report.Count(failed, "image", "images"))
	}
	if _, err := out.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
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
