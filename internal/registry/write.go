package registry

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
)

// WriteJSON writes a report for programs (schema plimsoll/registry/1, RFC 8259), characters
// that a terminal would act on as escapes.
func (r *Report) WriteJSON(w io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if _, err := w.Write(append(term.EscapeJSON(text), '\n')); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// csvHead has the names that the JSON has.
var csvHead = []string{"repository", "tag", "digest", "kind", "artifact", "platforms", "size", "created", "signed_known", "trusted", "signed_by", "refused", "refused_why",
	"base_name", "base_digest", "base_from", "scanned", "worst", "same", "moved_from", "moved_seen", "error"}

// WriteCSV writes a report for spreadsheets (RFC 4180, with a head), a line a tag, and one for a
// repository whose tags can't be told. A text that a
// spreadsheet would take for a formula has a quote before it. Cells of what is not known are
// empty.
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	// A csv.Writer keeps its first error for Error.
	_ = c.Write(csvHead)
	for _, repo := range r.Repositories {
		if repo.Error != "" {
			row := make([]string, len(csvHead))
			row[0], row[len(row)-1] = term.Inert(repo.Name), term.Inert("its tags can't be told: "+repo.Error)
			_ = c.Write(row)
		}
	}
	for _, t := range r.Tags {
		var platforms []string
		for _, p := range t.Platforms {
			platforms = append(platforms, p.Platform)
		}
		base, moved, size, trusted := Base{}, Moved{}, "", ""
		if t.Base != nil {
			base = *t.Base
		}
		if t.Moved != nil {
			moved = *t.Moved
		}
		if t.Kind != "" {
			size = strconv.FormatInt(t.Size, 10)
		}
		if t.Signed.Known {
			trusted = strconv.FormatBool(t.Signed.Trusted)
		}
		row := []string{t.Repository, t.Tag, t.Digest, t.Kind, t.Artifact, strings.Join(platforms, " "), size, stamp(t.Created), strconv.FormatBool(t.Signed.Known), trusted,
			strings.Join(t.Signed.By, ", "), t.Signed.Refused, t.Signed.Why, base.Name, base.Digest, base.From, stamp(t.Scanned), string(t.Worst), strings.Join(t.Same, " "), moved.From, stamp(moved.Seen), t.Error}
		for i := range row {
			row[i] = term.Inert(row[i])
		}
		_ = c.Write(row)
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// WriteTable writes a report for people, in one write. Every text is made harmless.
func (r *Report) WriteTable(out *term.Printer) error {
	var b strings.Builder
	for _, repo := range r.Repositories {
		fmt.Fprintf(&b, " %s\n", out.Paint(term.Bold, out.Escape(repo.Name)))
		if repo.Error != "" {
			fmt.Fprintf(&b, "%s %s\n\n", out.Glyph(term.Unknown), out.Escape("its tags can't be told: "+repo.Error))
			continue
		}
		var rows [][]term.Cell
		var wrong []string
		first := map[string]string{}
		for _, t := range r.Tags {
			if t.Repository != repo.Name {
				continue
			}
			if t.Error != "" {
				wrong = append(wrong, fmt.Sprintf("%s %s\n", out.Glyph(term.Unknown), out.Escape(t.Tag+": "+t.Error)))
			}
			rows = append(rows, t.row(r.Time, first))
		}
		if len(rows) > 0 {
			b.WriteString(out.Table([]string{"TAG", "DIGEST", "PLATFORMS", "SIZE", "CREATED", "TRUSTED", "BASE", "SCANNED", "MOVED"}, rows))
		}
		b.WriteString(strings.Join(wrong, ""))
		for _, line := range repo.ending() {
			fmt.Fprintf(&b, " %s\n", out.Paint(term.Faint, out.Escape(line)))
		}
		b.WriteString("\n")
	}
	for _, line := range r.ending() {
		b.WriteString(" " + out.Escape(line) + "\n")
	}
	if _, err := out.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// row is a tag in the table. First has the tags that lead to digests that were there already.
func (t *Tag) row(now time.Time, first map[string]string) []term.Cell {
	plain := func(text string) term.Cell { return term.Cell{Text: text, Style: term.Plain} }
	what, size, created, base, scanned := plain(""), plain(""), plain(""), plain(""), plain("")
	switch before, again := first[t.Digest]; {
	case t.Kind == "":
	case again:
		what = term.Cell{Text: "= " + before, Style: term.Faint}
	default:
		first[t.Digest] = t.Tag
		what, size, created = plain(t.what()), plain(term.Bytes(t.Size)), plain(since(t.Created, now))
		if t.Base != nil {
			base = plain(t.Base.words())
		}
		if scanned = plain("-"); t.unscanned() {
			scanned = term.Cell{Text: "never", Style: term.Missing}
		} else if !t.Scanned.IsZero() {
			scanned = plain(strings.TrimSpace(t.Scanned.Format(time.DateOnly) + " " + string(t.Worst)))
		}
	}
	signed := term.Cell{Text: "not known", Style: term.Missing}
	switch s := t.Signed; {
	case s.Known && s.Trusted:
		signed = term.Cell{Text: "yes: " + strings.Join(s.By, ", "), Style: term.Pass}
	case s.Known:
		signed = term.Cell{Text: "no: " + s.Refused, Style: term.Late}
	}
	moved := plain("")
	if t.Moved != nil {
		moved = term.Cell{Text: "from " + short(t.Moved.From) + " since " + t.Moved.Seen.Format(time.DateOnly), Style: term.Late}
	}
	return []term.Cell{{Text: t.Tag, Style: term.Bold}, {Text: short(t.Digest), Style: term.Faint}, what, size, created, signed, base, scanned, moved}
}

// shown is how many platforms have room.
const shown = 2

// what says in a cell what a tag leads to.
func (t *Tag) what() string {
	if t.Kind == KindArtifact {
		return strings.TrimSpace("artifact " + t.Artifact)
	}
	var list []string
	for _, p := range t.Platforms[:min(len(t.Platforms), shown)] {
		list = append(list, p.Platform)
	}
	text := strings.Join(list, ", ")
	if more := len(t.Platforms) - shown; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// since is a day, and how many ago that was. What is built to be the same again says a time of
// no meaning, mostly 1970.
func since(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	text := at.Format(time.DateOnly)
	if days := int(now.Sub(at).Hours() / 24); at.Year() > 1980 && days >= 0 {
		text += fmt.Sprintf(", %d d", days)
	}
	return text
}

func (b *Base) words() string {
	text := b.Name
	if text == "" {
		text = short(b.Digest)
	}
	return text + " (" + b.From + ")"
}

// short is the first digits of a digest.
func short(id string) string {
	_, hex, _ := strings.Cut(id, ":")
	return hex[:min(len(hex), 12)]
}

// ending tells of a repository what no row does.
func (r *Repository) ending() []string {
	var lines, beside []string
	for _, c := range []struct {
		n    int
		what string
	}{{r.Beside.Signatures, "with signatures"}, {r.Beside.Attestations, "with attestations"}, {r.Beside.SBOMs, "with SBOMs"}, {r.Beside.Referrers, "with referrers"}} {
		if c.n > 0 {
			beside = append(beside, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(beside) > 0 {
		lines = append(lines, "Tags beside these: "+strings.Join(beside, ", ")+".")
	}
	if r.LeftOut > 0 {
		lines = append(lines, r.leftOut())
	}
	if r.Seen.IsZero() {
		lines = append(lines, "What moved is not known: nothing that was seen before is remembered.")
	}
	return lines
}

func (r *Repository) leftOut() string {
	return fmt.Sprintf("%d of %d tags were left out, from %s on: --limit looks at more.", r.LeftOut, r.Tags, r.From)
}

// LeftOut says of which repositories not all tags were looked at.
func (r *Report) LeftOut() []string {
	var lines []string
	for _, one := range r.Repositories {
		if one.LeftOut > 0 {
			lines = append(lines, one.Name+": "+one.leftOut())
		}
	}
	return lines
}

// ending sums up.
func (r *Report) ending() []string {
	var untrusted, unknown, moved, unscanned, failed int
	images := map[string]bool{}
	for _, t := range r.Tags {
		images[t.Repository+t.Digest] = t.Digest != ""
		add := func(is bool, n *int) {
			if is {
				*n++
			}
		}
		add(t.Signed.Known && !t.Signed.Trusted, &untrusted)
		add(!t.Signed.Known, &unknown)
		add(t.Moved != nil, &moved)
		add(t.unscanned(), &unscanned)
		add(t.Error != "", &failed)
	}
	distinct := 0
	for _, is := range images {
		if is {
			distinct++
		}
	}
	text := fmt.Sprintf("Tags: %d, of images: %d.", len(r.Tags), distinct)
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{untrusted, "not trusted"}, {moved, "moved"}, {unscanned, "never scanned"}, {failed, "not wholly told"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) > 0 {
		text += " " + strings.Join(parts, ", ") + "."
	}
	if r.Policy == "" && unknown > 0 {
		return []string{text, "Who signed is not known: there is no policy of trust."}
	}
	return []string{text}
}
