package strict

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// peek gives the next byte, or 0 at the end; 0 is valid nowhere in JSON.
func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.data) && p.data[p.pos] <= ' ' {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// end refuses anything after the value.
func (p *parser) end() *Error {
	p.space()
	if p.pos < len(p.data) {
		return p.doc.fail(p.pos, "something follows after the JSON value", "one value is read; remove the rest")
	}
	return nil
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

// kindBy tells a value by its first byte; what begins none is Null.
var kindBy = func() (table [256]Kind) {
	table['{'], table['['], table['"'], table['t'], table['f'], table['-'] = Object, Array, String, Bool, Bool, Number
	for c := '0'; c <= '9'; c++ {
		table[c] = Number
	}
	return table
}()

// literal walks over true, false or null.
func (p *parser) literal() *Error {
	word := "null"
	switch p.peek() {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	}
	if end := p.pos + len(word); end <= len(p.data) && string(p.data[p.pos:end]) == word {
		p.pos = end
		return nil
	}
	return p.unexpected("a value")
}

// begin walks over the bracket that opens an object or a list, and reports
// whether there is anything before the closing one.
func (p *parser) begin(closing byte) bool {
	p.pos++
	p.space()
	if p.peek() == closing {
		p.pos++
		return false
	}
	return true
}

// more walks from one member or element to the next, or over the closing
// bracket.
func (p *parser) more(closing byte) (bool, *Error) {
	p.space()
	switch p.peek() {
	case ',':
		p.pos++
		p.space()
		if p.peek() == closing {
			return false, p.doc.fail(p.pos, "a comma stands before "+string(closing), "remove the comma")
		}
		return true, nil
	case closing:
		p.pos++
		return false, nil
	}
	return false, p.unexpected("a , or " + string(closing))
}

// key walks over a key and gives it in its quotes.
func (p *parser) key() ([]byte, *Error) {
	at := p.pos
	if p.peek() != '"' {
		return nil, p.unexpected(`a key in "quotes"`)
	}
	if err := p.str(); err != nil {
		return nil, err
	}
	return p.data[at:p.pos], nil
}

// colon walks from a key to its value.
func (p *parser) colon() *Error {
	p.space()
	if p.peek() != ':' {
		return p.unexpected("a : after the key")
	}
	p.pos++
	p.space()
	return nil
}

// str walks over a string, from quote to quote, and notes whether it is escaped.
func (p *parser) str() *Error {
	start := p.pos
	p.pos++
	p.escaped = false
	for {
		p.pos += plainBytes(p.data[p.pos:])
		if p.pos == len(p.data) {
			return p.doc.fail(start, "the string has no end", `close it with "`)
		}
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return nil
		case c == '\\':
			p.escaped = true
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

// plainBytes is how many bytes at the beginning of text are ASCII that stands for
// itself in a JSON string: no quote, backslash or control character.
func plainBytes(text []byte) int {
	n := 0
	for n+8 <= len(text) && allPlain(binary.LittleEndian.Uint64(text[n:])) {
		n += 8
	}
	for n < len(text) && plain[text[n]] {
		n++
	}
	return n
}

// allPlain reports whether eight bytes are plain, all at once. Less one, or less
// a blank, a byte that must not be there falls below zero, which sets its top
// bit; bytes beyond ASCII have it set already. The lowest such byte is told
// right, whatever it borrows from those above it.
func allPlain(eight uint64) bool {
	const each, top = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^each*'"', eight^each*'\\' // 0 where it stands
	return (eight|(eight-each*' ')|(quote-each)|(backslash-each))&top == 0
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
		unit, ok := hex(p.data, p.pos)
		if !ok {
			break
		}
		if unit < 0xd800 || unit > 0xdfff {
			p.pos += 6
			return nil
		}
		if low, ok := hex(p.data, p.pos+6); ok && unit < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
			p.pos += 12
			return nil
		}
		return p.doc.fail(p.pos, `half of a surrogate pair is no character`, "")
	}
	return p.doc.fail(p.pos, "a backslash begins no known escape here", `a backslash itself is written \\`)
}

// hex reads the four digits of a \u escape that begins at the offset.
func hex(text []byte, at int) (rune, bool) {
	if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 32)
	return rune(n), err == nil
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

// unquote gives the content of a string that str has walked over.
func unquote(quoted []byte) string {
	raw := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	return string(unescape(make([]byte, 0, len(raw)), raw))
}

// unescape adds to text what stands between the quotes of a string.
func unescape(text, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			text = append(text, raw[i])
			continue
		}
		switch i++; raw[i] {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, _ := hex(raw, i-1)
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex(raw, i+1)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			text = utf8.AppendRune(text, r)
		default:
			text = append(text, raw[i])
		}
	}
	return text
}
