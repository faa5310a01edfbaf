package term

import "strings"

// Style is what a text means, and so how it looks. Nothing is told by colour
// alone: whatever has a colour has a sign or a word too.
type Style int

// The styles. The first group has glyphs, see [Printer.Glyph].
const (
	Critical      Style = iota // a failure, by its severity
	High                       //
	Medium                     //
	Low                        //
	Info                       //
	Pass                       // all is well
	Waived                     // an accepted failure
	Unknown                    // could not be observed
	Manual                     // a person must look
	NotApplicable              // does not concern this subject
	Allow                      // decisions of the gate
	Change                     //
	Deny                       //

	Plain   // text, remedies, commands
	Bold    // host and section names, the summary, titles of critical and high findings
	Faint   // ids, counts at the right, times, column heads
	Missing // a value that should be there
	Late    // a date that has passed

	reached // parts of the load line
	lacking
	mark
	beyond
)

// look is how a style is drawn. Two styles may look the same.
type look struct {
	sgr          string // parameters of Select Graphic Rendition; "" is plain
	glyph, ascii string
}

var looks = [...]look{
	Critical:      {"1;97;41", "C", "C"},
	High:          {"1;31", "H", "H"},
	Medium:        {"33", "M", "M"},
	Low:           {"36", "L", "L"},
	Info:          {"2", "I", "I"},
	Pass:          {"32", "✓", "+"},
	Waived:        {"35", "~", "~"},
	Unknown:       {"33", "?", "?"},
	Manual:        {"36", "»", ">"},
	NotApplicable: {"2", "-", "-"},
	Allow:         {"32", "✓", "+"},
	Change:        {"36", "~", "~"},
	Deny:          {"1;31", "✗", "x"},

	Plain:   {},
	Bold:    {sgr: "1"},
	Faint:   {sgr: "2"},
	Missing: {sgr: "33"},
	Late:    {sgr: "31"},

	reached: {"36", "━", "="},
	lacking: {"31", "╌", "."},
	mark:    {"1", "⊖", "O"},
	beyond:  {"2", "─", "-"},
}

// Paint gives the text in its style, or as it is where styles are off. The text
// must be escaped already, and its width taken before.
func (p *Printer) Paint(s Style, text string) string {
	if !p.config.Color || looks[s].sgr == "" || text == "" {
		return text
	}
	return "\x1b[" + looks[s].sgr + "m" + text + "\x1b[0m"
}

// Glyph gives the sign of a style, three cells wide with the sign in the
// middle; three spaces for a style that has none.
func (p *Printer) Glyph(s Style) string {
	sign := p.sign(s)
	if sign == "" {
		return "   "
	}
	return p.Paint(s, " "+sign+" ")
}

// sign is the bare character of a style.
func (p *Printer) sign(s Style) string {
	if p.config.UTF8 {
		return looks[s].glyph
	}
	return looks[s].ascii
}

// draw repeats the character of a style, in its colour.
func (p *Printer) draw(s Style, n int) string {
	return p.Paint(s, strings.Repeat(p.sign(s), max(n, 0)))
}

// LoadLine draws a score against the mark, both from 0 to 100, in the given
// number of cells. The mark's cell shows the mark whatever the score is, and a
// score below it always shows something lacking.
func (p *Printer) LoadLine(score, markAt, cells int) string {
	// The scale ends in the middle of the last cell.
	cell := func(points int) int { return (min(max(points, 0), 100)*(cells-1) + 50) / 100 }
	at, filled := cell(markAt), cell(score)
	if score >= 100 {
		filled = cells
	}
	if score < markAt {
		filled = min(filled, at-1)
		return p.draw(reached, filled) + p.draw(lacking, at-max(filled, 0)) + p.draw(mark, 1) + p.draw(beyond, cells-at-1)
	}
	above := max(filled-at-1, 0)
	return p.draw(reached, at) + p.draw(mark, 1) + p.draw(reached, above) + p.draw(beyond, cells-at-1-above)
}
