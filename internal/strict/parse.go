package strict

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// document is the text that a tree of values points into.
type document struct {
	file string
	data []byte
	root *Value
}

// fail makes an error at a byte offset.
func (d *document) fail(offset int, msg, hint string) *Error {
	line, column := position(d.data, offset)
	return &Error{File: d.file, Line: line, Column: column, Msg: msg, Hint: hint, Source: d.data}
}

// Tree parses one JSON text (RFC 8259) into an ordered tree. It refuses a key
// that an object has twice, anything after the value, bytes and \u escapes that
// are no Unicode text, and more than 200 levels. Keys that differ only in case
// are different keys here, since labels and the like may have both; see [JSON].
// The error is an [*Error]. The tree points into data, which must not change.
func Tree(file string, data []byte) (*Value, error) {
	d := &document{file: file, data: data}
	p := parser{doc: d, data: data, scratch: scratches.Get().(*scratch)}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return nil, d.fail(0, "the file starts with a byte order mark", "save it as plain UTF-8")
	}
	p.space()
	if p.pos == len(data) {
		return nil, &Error{File: file, Msg: "there is no JSON in it", Source: data}
	}
	root, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(data) {
		return nil, d.fail(p.pos, "something follows after the JSON value", "one value is read; remove the rest")
	}
	d.root = root
	p.scratch.giveBack()
	return root, nil
}

// parser walks over data once; pos is the next byte.
type parser struct {
	*scratch
	doc   *document
	data  []byte
	pos   int
	spare []Value // made together, not used yet
}

// peek gives the next byte, or 0 at the end; 0 is valid nowhere in JSON.
func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// unexpected says what stands where something else should.
func (p *parser) unexpected(want string) *Error {
	if p.pos >= len(p.data) {
		return p.doc.fail(p.pos, "the JSON ends early: "+want+" is missing", "")
	}
	r, size := utf8.DecodeRune(p.data[p.pos:])
	if r == utf8.RuneError && size == 1 {
		return p.doc.fail(p.pos, "not UTF-8 text", "save it as UTF-8")
	}
	hint := ""
	switch r {
	case '\'':
		hint = `JSON quotes with "`
	case '/', '#':
		hint = "JSON has no comments"
	}
	return p.doc.fail(p.pos, want+" should stand here, not "+strconv.QuoteRune(r), hint)
}

func (p *parser) value(depth int) (*Value, *Error) {
	if depth > maxDepth {
		return nil, p.doc.fail(p.pos, "more than "+strconv.Itoa(maxDepth)+" levels inside each other", "")
	}
	v := p.newValue()
	v.doc, v.start = p.doc, p.pos
	var err *Error
	switch c := p.peek(); {
	case c == '{':
		v.Kind = Object
		err = p.object(v, depth)
	case c == '[':
		v.Kind = Array
		err = p.array(v, depth)
	case c == '"':
		v.Kind = String
		err = p.str()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		err = p.number()
	default:
		v.Kind, err = p.literal()
	}
	v.end = p.pos
	return v, err
}

func (p *parser) literal() (Kind, *Error) {
	word, kind := "null", Null
	switch p.peek() {
	case 't':
		word, kind = "true", Bool
	case 'f':
		word, kind = "false", Bool
	}
	if end := p.pos + len(word); end <= len(p.data) && string(p.data[p.pos:end]) == word {
		p.pos = end
		return kind, nil
	}
	return Null, p.unexpected("a value")
}

func (p *parser) object(v *Value, depth int) *Error {
	p.pos++ // {
	p.space()
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	base := len(p.members)
	var seen keySet
	for {
		keyAt := p.pos
		if p.peek() != '"' {
			return p.unexpected(`a key in "quotes"`)
		}
		if err := p.str(); err != nil {
			return err
		}
		key, hash := p.key(p.data[keyAt:p.pos])
		if first := seen.add(key, hash, p.members[base:]); first >= 0 {
			line, _ := position(p.data, p.members[base+first].keyAt)
			e := p.doc.fail(keyAt, strconv.Quote(key)+" is given twice, first in line "+strconv.Itoa(line), "keep one of them")
			return e.within(keyStep(key))
		}
		p.space()
		if p.peek() != ':' {
			return p.unexpected("a : after the key").within(keyStep(key))
		}
		p.pos++
		p.space()
		child, err := p.value(depth + 1)
		if err != nil {
			return err.within(keyStep(key))
		}
		p.members = append(p.members, Member{Key: key, Value: child, keyAt: keyAt})
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
			if p.peek() == '}' {
				return p.doc.fail(p.pos, "a comma stands before }", "remove the comma")
			}
		case '}':
			p.pos++
			v.Members, p.members = takeOff(p.members, base)
			return nil
		default:
			return p.unexpected("a , or }")
		}
	}
}

func (p *parser) array(v *Value, depth int) *Error {
	p.pos++ // [
	p.space()
	if p.peek() == ']' {
		p.pos++
		v.Items = []*Value{}
		return nil
	}
	base := len(p.items)
	for {
		i := len(p.items) - base
		child, err := p.value(depth + 1)
		if err != nil {
			return err.within(indexStep(i))
		}
		p.items = append(p.items, child)
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
			if p.peek() == ']' {
				return p.doc.fail(p.pos, "a comma stands before ]", "remove the comma")
			}
		case ']':
			p.pos++
			v.Items, p.items = takeOff(p.items, base)
			return nil
		default:
			return p.unexpected("a , or ]")
		}
	}
}

// str walks over a string, from quote to quote.
func (p *parser) str() *Error {
	start := p.pos
	p.pos++
	for {
		at := p.pos
		for at < len(p.data) && plain[p.data[at]] {
			at++
		}
		p.pos = at
		if p.pos == len(p.data) {
			return p.doc.fail(start, "the string has no end", `close it with "`)
		}
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		case c < ' ':
			return p.doc.fail(p.pos, "a control character stands in a string", "write it as an escape, such as \\n")
		default:
			r, size := utf8.DecodeRune(p.data[p.pos:])
			if r == utf8.RuneError && size == 1 {
				return p.doc.fail(p.pos, "not UTF-8 text", "save it as UTF-8")
			}
			p.pos += size
		}
	}
}

// plain has the bytes of a string that stand for themselves and need no look:
// nearly all of them.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// escape walks over a backslash and what belongs to it. Half of a surrogate
// pair is refused: it stands for no character, and decoders replace it, so that
// two different keys would become one.
func (p *parser) escape() *Error {
	if p.pos+1 >= len(p.data) {
		return p.doc.fail(p.pos, "the JSON ends early: the string has no end", "")
	}
	switch p.data[p.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.pos += 2
		return nil
	case 'u':
		unit, ok := p.hex(p.pos)
		if !ok {
			break
		}
		if unit < 0xd800 || unit > 0xdfff {
			p.pos += 6
			return nil
		}
		if low, ok := p.hex(p.pos + 6); ok && unit < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
			p.pos += 12
			return nil
		}
		return p.doc.fail(p.pos, `half of a surrogate pair is no character`, "")
	}
	return p.doc.fail(p.pos, "a backslash begins no known escape here", `a backslash itself is written \\`)
}

// hex reads the four digits of a \u escape that begins at the offset.
func (p *parser) hex(at int) (uint64, bool) {
	if at+6 > len(p.data) || p.data[at] != '\\' || p.data[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.data[at+2:at+6]), 16, 32)
	return n, err == nil
}

// number walks over a number: RFC 8259, section 6.
func (p *parser) number() *Error {
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
		if c := p.peek(); c >= '0' && c <= '9' {
			return p.doc.fail(p.pos-1, "a number starts with 0", "JSON numbers are decimal; remove the 0")
		}
	} else if !p.digits() {
		return p.unexpected("a digit")
	}
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			return p.unexpected("a digit")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return p.unexpected("a digit")
		}
	}
	return nil
}

func (p *parser) digits() bool {
	start := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}
