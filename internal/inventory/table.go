package inventory

import (
	"fmt"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
)

// TableOptions say how a table is written. The zero value is one for a pipe.
type TableOptions struct {
	// Columns is the width of the terminal; unlike a report, the table may be wider than
	// its printer says. 0 is the printer's own width. It counts on a terminal only:
	// elsewhere all columns are written, and nothing is cut.
	Columns int
	// Verbose writes a block a deployment, with all that is known.
	Verbose bool
}

// The widths in cells from which on there is room for more columns.
const (
	roomForWho = 90
	roomForAll = 170
)

// WriteTable writes a listing for people, in one write. Every text is made harmless.
func (l *Listing) WriteTable(out *term.Printer, o TableOptions) error {
	t := &table{l: l, out: out, columns: o.Columns}
	if t.columns <= 0 {
		t.columns = out.Width()
	}
	switch {
	case len(l.Deployments) == 0:
		t.nothing()
	case o.Verbose:
		t.blocks()
	default:
		t.rows()
	}
	t.ending()
	if _, err := out.Write([]byte(t.text.String())); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

// table is one on its way.
type table struct {
	l       *Listing
	out     *term.Printer
	columns int
	text    strings.Builder
}

// column is one of the table. Its cells are escaped, and painted when they are padded.
type column struct {
	head  string
	gap   int // behind it
	cells []words
	width int
}

func (t *table) column(head string, gap int, cell func(d *Deployment) words) *column {
	c := &column{head: head, gap: gap, width: len(head)}
	for i := range t.l.Deployments {
		w := cell(&t.l.Deployments[i])
		w.text = t.out.Escape(w.text)
		c.cells = append(c.cells, w)
		c.width = max(c.width, term.Width(w.text))
	}
	return c
}

// rows writes a line a deployment.
func (t *table) rows() {
	now, without := t.l.Time, defaultRegistry(t.l.Deployments)
	all := !t.out.Terminal() || t.columns >= roomForAll
	more := all || t.columns >= roomForWho
	image := t.column("IMAGE", 1, func(d *Deployment) words { return plain(imageName(d, without)) })
	image.width = len(image.head)
	digests := make([]string, len(image.cells))
	for i := range image.cells {
		if short := shortDigest(&t.l.Deployments[i]); short != "" {
			digests[i] = "@" + t.out.Escape(short)
		}
		image.width = max(image.width, term.Width(image.cells[i].text+digests[i]))
	}
	columns := []*column{
		t.column("NAME", 2, func(d *Deployment) words { return plain(d.called()) }),
		t.worst(),
		image,
	}
	add := func(is bool, head string, gap int, cell func(d *Deployment) words) {
		if is {
			columns = append(columns, t.column(head, gap, cell))
		}
	}
	add(more, "WHO", 1, func(d *Deployment) words { return ordinary(d.Who) })
	add(true, "WHEN", 2, func(d *Deployment) words { return plain(past(d.Deployed, now, time.DateOnly)) })
	add(all, "WHY", 2, func(d *Deployment) words { return given(d.Why) })
	add(true, "OWNER", 2, func(d *Deployment) words { return given(d.Owner) })
	add(all, "INTENT", 2, func(d *Deployment) words { return given(d.Intent) })
	add(more, "RETIRE AFTER", 2, func(d *Deployment) words { return d.retiring(now, time.DateOnly) })
	add(all, "SCANNED", 2, func(d *Deployment) words { return d.scan(now) })
	// Where removed ones are listed too, they must be told from the others.
	add(all || t.l.Filter.All, "STATE", 2, func(d *Deployment) words { return plain(d.status()) })
	t.fit(columns, image, digests)
	for i := range image.cells {
		image.cells[i].text += digests[i]
	}
	t.line(columns, -1)
	for i := range t.l.Deployments {
		t.line(columns, i)
	}
}

// worst has the sign of the worst finding, and how many there are behind it. An x holds
// the place of the sign.
func (t *table) worst() *column {
	c := t.column("WORST", 2, func(d *Deployment) words {
		style, n, _ := d.verdict()
		if n == 0 {
			return words{"x ", style}
		}
		return words{"x  " + number(n), style}
	})
	c.width = max(c.width, len("x  999"))
	return c
}

// fit cuts the names of images where the table has no room for them.
func (t *table) fit(columns []*column, image *column, digests []string) {
	width := 1
	for i, c := range columns {
		width += c.width
		if i < len(columns)-1 {
			width += c.gap
		}
	}
	over := width - t.columns
	if over <= 0 || !t.out.Terminal() {
		return
	}
	const least = 8 // of a name that still tells something
	image.width = max(image.width-over, len(image.head))
	widest := image.width
	for i := range image.cells {
		room := max(image.width-term.Width(digests[i]), least)
		image.cells[i].text = t.cut(image.cells[i].text, room)
		widest = max(widest, term.Width(image.cells[i].text+digests[i]))
	}
	image.width = widest
}

// cut takes the middle out of a text that is wider than so many cells.
func (t *table) cut(s string, cells int) string {
	if term.Width(s) <= cells {
		return s
	}
	dots := "..."
	if t.out.Escape("…") == "…" {
		dots = "…"
	}
	keep := cells - term.Width(dots)
	runes := []rune(s)
	var head, tail string
	// The tag is at the end, and tells more than the middle.
	for i, j := 0, len(runes)-1; i <= j; {
		next := runes[j]
		fromHead := term.Width(head) < term.Width(tail)
		if fromHead {
			next = runes[i]
		}
		if term.Width(head+tail+string(next)) > keep {
			break
		}
		if fromHead {
			head += string(next)
			i++
		} else {
			tail = string(next) + tail
			j--
		}
	}
	return head + dots + tail
}

// line writes a row, or the heads.
func (t *table) line(columns []*column, row int) {
	var b strings.Builder
	b.WriteString(" ")
	spaces := 0
	for _, c := range columns {
		w := words{c.head, term.Faint}
		if row >= 0 {
			w = c.cells[row]
		}
		width := term.Width(w.text)
		switch {
		case row >= 0 && c.head == "WORST":
			// The sign has an empty cell on each side.
			b.WriteString(strings.Repeat(" ", spaces-1) + t.out.Glyph(w.style) + w.text[2:])
			spaces = c.width - width + c.gap
		case w.text == "":
			spaces += c.width + c.gap
		default:
			b.WriteString(strings.Repeat(" ", spaces) + t.out.Paint(w.style, w.text))
			spaces = c.width - width + c.gap
		}
	}
	t.text.WriteString(strings.TrimRight(b.String(), " ") + "\n")
}

// nothing says that there is no deployment.
func (t *table) nothing() {
	t.text.WriteString(" " + t.out.Escape(t.l.empty()) + "\n")
}

// ending sums up.
func (t *table) ending() {
	if len(t.l.Deployments) == 0 {
		return
	}
	s := "\n " + t.l.total() + "."
	if parts := t.l.attention(); len(parts) > 0 {
		s += " " + strings.Join(parts, ", ") + "."
	}
	t.text.WriteString(s + "\n")
	if option := t.l.show(); option != "" {
		if !t.l.Filter.At.IsZero() {
			option += " --at " + t.l.Filter.At.Format(time.RFC3339)
		}
		t.text.WriteString(" Show them: plimsoll inventory " + option + "\n")
	}
}
