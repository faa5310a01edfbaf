package sign

import (
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// NewPolicy gives the text of a policy by which images whose names fit a pattern must be signed
// by a key, which is checked as AddKey does.
func NewPolicy(file, pattern, name string, public []byte) ([]byte, error) {
	key, err := publicKey(name, public)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "schema: %s\nkeys:\n  %s:\n    pem: |\n", PolicySchema, name)
	for line := range strings.Lines(key.PEM) {
		out.WriteString("      " + line)
	}
	fmt.Fprintf(&out, "images:\n  - name: %s\n    signed: {any: [{key: %s}]}\n", strconv.Quote(pattern), name)
	if _, err := ReadPolicy(file, []byte(out.String())); err != nil {
		wrong := new(strict.Error)
		if errors.As(err, &wrong) && strings.HasSuffix(wrong.Field, ".name") {
			return nil, fmt.Errorf("%.100q is no pattern of names: write it whole, as registry.example/shop/*", pattern)
		}
		return nil, err
	}
	return []byte(out.String()), nil
}

// publicKey reads a key that is to be called by a name.
func publicKey(name string, public []byte) (Key, error) {
	if !keyName.MatchString(name) {
		return Key{}, fmt.Errorf("%.100q is no name of a key: write small letters, digits, dots and dashes, as release-2026", name)
	}
	if _, err := cosign.ParseKey(name, public); err != nil {
		return Key{}, err
	}
	block, _ := pem.Decode(public)
	return Key{PEM: string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))}, nil
}

// AddKey gives the text of a policy with one key more, behind the others: a block of
// SubjectPublicKeyInfo in PEM, of a kind that signs images. Nothing else in it changes. A name that is there is refused, and
// a key that is there by another name. The text was read again, and says what it said and the
// key; a file in which that can't be done is left to its writer.
func AddKey(file string, data []byte, name string, public []byte) ([]byte, error) {
	old, t, err := openText(file, data)
	if err != nil {
		return nil, err
	}
	if _, is := old.Keys[name]; is {
		return nil, t.doc.FailAt("is there already", "give the new key another name, and revoke the old one when nothing needs it", "keys", name)
	}
	key, err := publicKey(name, public)
	if err != nil {
		return nil, err
	}
	at, err := key.Fingerprint()
	if err != nil {
		return nil, fmt.Errorf("adding the key %s: %w", name, err)
	}
	if names := old.NamesOf(at); len(names) > 0 {
		return nil, t.doc.FailAt("is that key already", "a key has one name: use this one", "keys", names[0])
	}
	// The list of keys begins in lines of its own, or is not there yet.
	keys := t.doc.At("keys")
	line, margin, head := 0, "  ", []string(nil)
	switch {
	case t.keyOf("keys") == nil:
		if t.doc.Root.Style&yaml.FlowStyle != 0 {
			return nil, t.byHand("the file is written in braces, to which no key can be added", "write each field in a line of its own")
		}
		if line = len(t.lines()); t.doc.Root.Content[0].Value == "schema" {
			line = t.doc.Root.Content[0].Line
		}
		head = []string{"keys:"}
	case keys.Kind == yaml.ScalarNode && keys.Value == "": // a name with nothing behind it
		line = t.keyOf("keys").Line
	case keys.Kind == yaml.MappingNode && keys.Style&yaml.FlowStyle == 0 && len(keys.Content) > 0:
		last := keys.Content[len(keys.Content)-2]
		margin = strings.Repeat(" ", last.Column-1)
		line = t.endOf(last)
	default:
		return nil, t.byHand("the keys are written in braces, to which none can be added", "write each key in lines of its own")
	}
	added := append(head, margin+name+":", margin+"  pem: |")
	for text := range strings.Lines(key.PEM) {
		added = append(added, margin+"    "+strings.TrimSuffix(text, "\n"))
	}
	want := maps.Clone(old.Keys)
	if want == nil {
		want = map[string]Key{}
	}
	want[name] = key
	return t.checked(t.insert(line, added), old, want)
}

// Revoke gives the text of a policy in which a key is revoked from a day on, under each of
// its names: in front of what else it says of them. Nothing else changes, and the text was
// read again, as AddKey has it. A key that is revoked already is refused.
func Revoke(file string, data []byte, name string, day time.Time, why string) ([]byte, error) {
	old, t, err := openText(file, data)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(why) == "" || !utf8.ValidString(why) || strings.ContainsFunc(why, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }) {
		return nil, fmt.Errorf("%.100q says not why: write a line of text", why)
	}
	key, is := old.Keys[name]
	if !is {
		hint := "see  plimsoll trust keys list"
		if near := strict.Nearest(name, slices.Sorted(maps.Keys(old.Keys))); near != "" {
			hint = "did you mean  " + near
		}
		return nil, &strict.Error{File: file, Msg: fmt.Sprintf("it has no key called %.100q", name), Hint: hint}
	}
	at, err := key.Fingerprint()
	if err != nil {
		return nil, fmt.Errorf("revoking the key %s: %w", name, err)
	}
	want, text := maps.Clone(old.Keys), data
	for _, one := range old.NamesOf(at) {
		if old.Keys[one].Revoked != "" {
			if one == name {
				return nil, t.doc.FailAt("is revoked already", "", "keys", name)
			}
			continue
		}
		k := want[one]
		k.Revoked, k.Why = day.Format(time.DateOnly), why
		want[one] = k
		// Each change moves what follows.
		if _, t, err = openText(file, text); err == nil {
			text, err = t.revoked(one, k)
		}
		if err != nil {
			return nil, err
		}
	}
	return t.checked(text, old, want)
}

// text is a policy's file, to be changed where it says something.
type text struct {
	file string
	data []byte
	doc  *strict.Document
}

func openText(file string, data []byte) (*Policy, *text, error) {
	p, err := ReadPolicy(file, data)
	if err != nil {
		return nil, nil, err
	}
	docs, err := strict.YAMLDocuments(file, data)
	if err != nil {
		return nil, nil, err
	}
	return p, &text{file, data, docs[0]}, nil
}

func (t *text) byHand(msg, hint string) error {
	return &strict.Error{File: t.file, Msg: msg, Hint: hint + ", or change the file by hand"}
}

// keyOf is the node of a name in the file's outermost mapping, nil where it has none.
func (t *text) keyOf(names ...string) *yaml.Node {
	n, at := t.doc.Root, (*yaml.Node)(nil)
	for _, name := range names {
		at = nil
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				at, n = n.Content[i], n.Content[i+1]
				break
			}
		}
		if at == nil {
			return nil
		}
	}
	return at
}

// lines are the lines of the file with their ends.
func (t *text) lines() []string { return strings.SplitAfter(string(t.data), "\n") }

// endOf is the last line, counted from 1, of what a name in a block says: all that follows
// and stands farther right (YAML 1.2, section 8.2), without comments and empty lines behind it.
func (t *text) endOf(key *yaml.Node) int {
	lines := t.lines()
	last := key.Line
	for i := key.Line; i < len(lines); i++ {
		text := strings.TrimRight(lines[i], "\r\n")
		bare := strings.TrimLeft(text, " ")
		if bare == "" {
			continue
		}
		if len(text)-len(bare) < key.Column {
			if bare[0] == '#' {
				continue
			}
			break
		}
		last = i + 1
	}
	return last
}

// insert puts lines behind one, 0 for the file's beginning.
func (t *text) insert(behind int, added []string) []byte {
	lines := t.lines()
	end := "\n"
	if strings.HasSuffix(lines[0], "\r\n") {
		end = "\r\n"
	}
	var out strings.Builder
	for _, l := range lines[:behind] {
		out.WriteString(l)
		if l != "" && !strings.HasSuffix(l, "\n") {
			out.WriteString(end)
		}
	}
	for _, l := range added {
		out.WriteString(l + end)
	}
	for _, l := range lines[behind:] {
		out.WriteString(l)
	}
	return []byte(out.String())
}

// revoked adds to what the file says of a key that it is revoked.
func (t *text) revoked(name string, k Key) ([]byte, error) {
	key, value := t.keyOf("keys", name), t.doc.At("keys", name)
	fields := []string{"revoked: " + k.Revoked, "why: " + strconv.Quote(k.Why)}
	if key == nil || value.Kind != yaml.MappingNode || len(value.Content) == 0 {
		return nil, t.byHand("the key "+name+" stands for another place, at which it can't be revoked", "write the key out")
	}
	first := value.Content[0]
	if value.Style&yaml.FlowStyle == 0 {
		margin := strings.Repeat(" ", first.Column-1)
		return t.insert(key.Line, []string{margin + fields[0], margin + fields[1]}), nil
	}
	at := t.offset(first)
	return slices.Concat(t.data[:at], []byte(strings.Join(fields, ", ")+", "), t.data[at:]), nil
}

// offset is where a node begins: its column counts characters.
func (t *text) offset(n *yaml.Node) int {
	at, lines := 0, t.lines()
	for _, l := range lines[:n.Line-1] {
		at += len(l)
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(t.data[at:])
		at += size
	}
	return at
}

// checked gives a new text if it is a policy that says what the old one said, but for its keys.
func (t *text) checked(now []byte, old *Policy, want map[string]Key) ([]byte, error) {
	p, err := ReadPolicy(t.file, now)
	if err == nil {
		old.Keys = want
		if reflect.DeepEqual(p.plain(), old.plain()) {
			return now, nil
		}
	}
	return nil, &strict.Error{File: t.file, Msg: "the file is written in a way in which this can't be done without changing more", Hint: "change it by hand", Err: err}
}

// plain is a policy without what may change where it says the same.
func (p *Policy) plain() *Policy {
	is := *p
	is.Keys, is.Images = map[string]Key{}, nil
	for name, k := range p.Keys {
		k.PEM = strings.TrimSpace(k.PEM) // the last line of a file may get its end
		is.Keys[name] = k
	}
	for _, e := range p.Images {
		one := *e
		one.line = 0
		is.Images = append(is.Images, &one)
	}
	return &is
}
