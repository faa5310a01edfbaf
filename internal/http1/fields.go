package http1

import (
	"strings"
)

// Field is one header field as it was sent, without the whitespace around its
// value.
type Field struct{ Name, Value string }

// Fields are the header fields of a message in their order. Names are compared
// without regard to case (RFC 9110, section 5.1).
type Fields []Field

// Get gives the first value of a name, or "".
func (f Fields) Get(name string) string {
	for i := range f {
		if is(f[i].Name, name) {
			return f[i].Value
		}
	}
	return ""
}

// Values gives all values of a name.
func (f Fields) Values(name string) []string {
	var values []string
	for i := range f {
		if is(f[i].Name, name) {
			values = append(values, f[i].Value)
		}
	}
	return values
}

// Add appends a field. The name is a token; a byte that may not stand in a value
// becomes a space, as in net/http, so that no value can end its line.
func (f *Fields) Add(name, value string) {
	*f = append(*f, Field{name, clean(value)})
}

// Set gives a name this one value, in the place of its first; see Add.
func (f *Fields) Set(name, value string) {
	for i := range *f {
		if is((*f)[i].Name, name) {
			(*f)[i].Value = clean(value)
			*f = append((*f)[:i+1], without((*f)[i+1:], name)...)
			return
		}
	}
	f.Add(name, value)
}

// Del takes every field of a name away.
func (f *Fields) Del(name string) { *f = without(*f, name) }

func without(f Fields, name string) Fields {
	left := f[:0]
	for _, field := range f {
		if !is(field.Name, name) {
			left = append(left, field)
		}
	}
	return left
}

// is compares two names. Both are ASCII, so that nothing folds into a letter.
func is(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

// clean makes any text a field's value.
func clean(value string) string {
	if _, ok := all(value, valueByte); ok {
		return trim(value)
	}
	b := []byte(value)
	for i, c := range b {
		if class[c]&valueByte == 0 {
			b[i] = ' '
		}
	}
	return trim(string(b))
}

// parseFields parses field lines to the end of a head, which is an empty line.
func parseFields(text string) (Fields, *Error) {
	lines := strings.Count(text, "\n") - 1
	if lines > maxFields {
		return nil, &Error{Status: 431, Msg: "the head has more than 200 header fields: send fewer"}
	}
	fields := make(Fields, 0, lines)
	for {
		i := 0
		for class[text[i]]&tokenByte != 0 {
			i++
		}
		if i == 0 && text == "\r\n" {
			return fields, nil
		}
		if i == 0 || text[i] != ':' {
			return nil, badName(text, i)
		}
		name := text[:i]
		i++
		start := i
		for class[text[i]]&valueByte != 0 {
			i++
		}
		if text[i] != '\r' || text[i+1] != '\n' {
			return nil, badByte(text[i], "the header field "+quote(name))
		}
		fields = append(fields, Field{name, trim(text[start:i])})
		text = text[i+2:]
	}
}

// badName says why no field's name is at the start of text, which is a token of i
// bytes.
func badName(text string, i int) *Error {
	c := text[i]
	line, _, _ := strings.Cut(text, "\n")
	line = strings.TrimSuffix(line, "\r")
	switch {
	case i == 0 && (c == ' ' || c == '\t'):
		return bad("a header field is continued on a second line " + quote(line) + ": write it on one (RFC 9112, section 5.2)")
	case c == ' ' || c == '\t':
		return bad("whitespace stands between the header field " + quote(text[:i]) + " and its colon: leave it out (RFC 9112, section 5.1)")
	case c == '\r' || c == '\n':
		if i == 0 || !strings.HasPrefix(text[i:], "\r\n") {
			return badByte(c, "a header field")
		}
		return bad("the header field " + quote(line) + " has no colon")
	case i == 0 && c == ':':
		return bad("the header field " + quote(line) + " has no name")
	}
	return bad("the name of the header field " + quote(line) + " has a byte that no name may have (RFC 9110, section 5.1)")
}

// badByte says what is wrong with a byte in a line.
func badByte(c byte, where string) *Error {
	switch c {
	case '\n':
		return bad(where + " ends in a line feed without a carriage return: end lines in CR LF (RFC 9112, section 2.2)")
	case '\r':
		return bad(where + " has a carriage return without a line feed (RFC 9112, section 2.2)")
	case 0:
		return bad(where + " has a NUL byte")
	}
	return bad(where + " has a control character")
}

// eachElement calls f with each element of a list (RFC 9110, section 5.6.1),
// empty ones left out, until f says false.
func eachElement(list string, f func(string) bool) bool {
	for list != "" {
		var element string
		element, list, _ = strings.Cut(list, ",")
		if element = trim(element); element != "" && !f(element) {
			return false
		}
	}
	return true
}
