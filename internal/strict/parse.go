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
	p := parser{doc: d, data: data}
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
	return root, nil
}

// parser walks over data once; pos is the next byte.
type parser struct {
	doc  *document
	data []byte
	pos  int
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
	v := &Value{doc: p.doc, start: p.pos}
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
	for _, l := range []struct {
		text string
		kind Kind
	}{{"null", Null}, {"true", Bool}, {"false", Bool}} {
		if bytes.HasPrefix(p.data[p.pos:], []byte(l.text)) {
			p.pos += len(l.text)
			return l.kind, nil
		}
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
	// A map only once a scan of the members would cost more.
	var seen map[string]int
	for {
		keyAt := p.pos
		if p.peek() != '"' {
			return p.unexpected(`a key in "quotes"`)
		}
		if err := p.str(); err != nil {
			return err
		}
		keyEnd := p.pos
		key := unquote(p.data[keyAt:keyEnd])
		if first := find(v.Members, seen, key); first >= 0 {
			line, _ := position(p.data, v.Members[first].keyAt)
			e := p.doc.fail(keyAt, strconv.Quote(key)+" is given twice, first in line "+strconv.Itoa(line), "keep one of them")
			return e.within(keyStep(key))
		}
		if len(v.Members) == 8 {
			seen = make(map[string]int, 16)
			for i, m := range v.Members {
				seen[m.Key] = i
			}
		}
		if seen != nil {
			seen[key] = len(v.Members)
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
		v.Members = append(v.Members, Member{Key: key, Value: child, keyAt: keyAt, keyEnd: keyEnd})
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
			return nil
		default:
			return p.unexpected("a , or }")
		}
	}
}

// find gives the index of the member with the key, or -1.
func find(members []Member, seen map[string]int, key string) int {
	if seen != nil {
		if i, ok := seen[key]; ok {
			return i
		}
		return -1
	}
	for i := range members {
		if members[i].Key == key {
			return i
		}
	}
	return -1
}

func (p *parser) array(v *Value, depth int) *Error {
	p.pos++ // [
	v.Items = []*Value{}
	p.space()
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	for {
		child, err := p.value(depth + 1)
		if err != nil {
			return err.within(indexStep(len(v.Items)))
		}
		v.Items = append(v.Items, child)
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
	for p.pos < len(p.data) {
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
		case c < utf8.RuneSelf:
			p.pos++
		default:
			r, size := utf8.DecodeRune(p.data[p.pos:])
			if r == utf8.RuneError && size == 1 {
				return p.doc.fail(p.pos, "not UTF-8 text", "save it as UTF-8")
			}
			p.pos += size
		}
	}
	return p.doc.fail(start, "the string has no end", `close it with "`)
}

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
