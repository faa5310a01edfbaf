package term

import "strings"

// Cell is a text of a table, in a style. The table makes the text harmless.
type Cell struct {
	Text  string
	Style Style
}

// Table lays rows out in columns under faint heads, two spaces apart, a line a row and none
// wider than it must be. A row may have fewer cells than there are heads.
func (p *Printer) Table(heads []string, rows [][]Cell) string {
	widths := make([]int, len(heads))
	lines := make([][]Cell, 0, len(rows)+1)
	head := make([]Cell, len(heads))
	for i, text := range heads {
		head[i] = Cell{text, Faint}
	}
	for _, row := range append([][]Cell{head}, rows...) {
		line := make([]Cell, len(row))
		for i, c := range row {
			line[i] = Cell{p.Escape(c.Text), c.Style}
			widths[i] = max(widths[i], Width(line[i].Text))
		}
		lines = append(lines, line)
	}
	var out strings.Builder
	for _, line := range lines {
		gap := 1
		for i, c := range line {
			if c.Text != "" {
				out.WriteString(strings.Repeat(" ", gap) + p.Paint(c.Style, c.Text))
				gap = 0
			}
			gap += widths[i] - Width(c.Text) + 2
		}
		out.WriteString("\n")
	}
	return out.String()
}
