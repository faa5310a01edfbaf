package waiver

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Add gives the text of a file with one waiver more, behind all others; no text is
// an empty file. Nothing else in it changes: comments, order and spelling are the
// reader's. A waiver that is [Waiver.Wrong] is refused, and one for a rule, subject
// and element that the file has one for. A file whose waivers do not end it, each on
// lines of its own, is left to its writer.
func Add(name string, data []byte, w Waiver) ([]byte, error) {
	if field, problem, _ := w.Wrong(); field != "" {
		return nil, fmt.Errorf("the waiver's %s %s", field, problem)
	}
	item, err := yaml.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("writing a waiver: %w", err)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("schema: " + Schema + "\nwaivers:\n")
		return checked(name, &File{}, append(data, indented(item, 2)...), w)
	}
	old, err := Read(name, data)
	if err != nil {
		return nil, err
	}
	for _, one := range old.Waivers {
		if one.Rule == w.Rule && one.Subject == w.Subject && one.Element == w.Element {
			return nil, old.fail(one, "rule", "is waived here already", "change its reason and the day on which it ends")
		}
	}
	text := bytes.Clone(data)
	if !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	dash := 2
	switch list := valueOf(old.doc.Root, "waivers"); {
	case len(list.Content) > 0 && list.Style&yaml.FlowStyle == 0:
		dash = list.Column - 1 // a list begins at its first dash
	case list.Kind == 0:
		text = append(text, "waivers:\n"...)
	case list.Kind == yaml.ScalarNode && list.Value == "": // a key with nothing behind it
	default:
		return nil, old.doc.Fail(list, "waivers", "the waivers are written in brackets, to which none can be added", "write each in lines of its own")
	}
	return checked(name, old, append(text, indented(item, dash)...), w)
}

// indented is lines as an element of a list, whose dash stands behind so many spaces.
func indented(item []byte, dash int) []byte {
	var out bytes.Buffer
	lead := "- "
	for line := range bytes.Lines(item) {
		out.WriteString(strings.Repeat(" ", dash) + lead)
		out.Write(line)
		lead = "  "
	}
	return out.Bytes()
}

// checked gives the text if it says what it said before and the waiver.
func checked(name string, old *File, text []byte, w Waiver) ([]byte, error) {
	now, err := Read(name, text)
	want := append(slices.Clone(old.Waivers), &w)
	if err == nil && slices.EqualFunc(now.Waivers, want, (*Waiver).says) {
		return text, nil
	}
	return nil, &strict.Error{File: name, Msg: "the waivers do not end the file, so none can be added behind them", Hint: "put  waivers:  last, or add it by hand", Err: err}
}

// says reports whether a waiver says what another does.
func (w *Waiver) says(other *Waiver) bool {
	a, b := *w, *other
	a.Line, a.node, b.Line, b.node = 0, nil, 0, nil
	return a == b
}
