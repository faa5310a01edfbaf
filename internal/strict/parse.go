package strict

import (
	"bytes"
	"slices"
	"strconv"
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
	d.root = p.newValue()
	if err := p.walk(d.root, 0); err != nil {
		return nil, err
	}
	if err := p.end(); err != nil {
		return nil, err
	}
	p.scratch.giveBack()
	return d.root, nil
}

// parser walks over data once; pos is the next byte.
type parser struct {
	*scratch
	doc     *document
	data    []byte
	pos     int
	escaped bool    // there are escapes in the string walked over last
	spare   []Value // made together, not used yet
}

// walk goes over a value and checks it. What it finds it keeps in v, if that is
// not nil.
func (p *parser) walk(v *Value, depth int) (err *Error) {
	if depth > maxDepth {
		return p.tooDeep()
	}
	start, kind := p.pos, kindBy[p.peek()]
	switch kind {
	case Object:
		err = p.object(v, depth)
	case Array:
		err = p.array(v, depth)
	case String:
		err = p.str()
	case Number:
		err = p.number()
	default:
		err = p.literal()
	}
	if v != nil {
		v.Kind, v.doc, v.start, v.end = kind, p.doc, start, p.pos
	}
	return err
}

func (p *parser) tooDeep() *Error {
	return p.doc.fail(p.pos, "more than "+strconv.Itoa(maxDepth)+" levels inside each other", "")
}

// note puts the key that p stands behind on the stack, as a member of the open
// object whose members begin at base, and refuses one that is there already.
func (p *parser) note(quoted []byte, seen *keySet, base int) (string, *Error) {
	key, hash := p.keyText(quoted)
	keyAt := p.pos - len(quoted)
	if first := seen.add(key, hash, p.members[base:]); first >= 0 {
		line, _ := position(p.data, p.members[base+first].keyAt)
		e := p.doc.fail(keyAt, strconv.Quote(key)+" is given twice, first in line "+strconv.Itoa(line), "keep one of them")
		return key, e.within(keyStep(key))
	}
	p.members = append(p.members, Member{Key: key, keyAt: keyAt})
	return key, nil
}

func (p *parser) object(v *Value, depth int) *Error {
	base := len(p.members)
	var seen keySet
	for more := p.begin('}'); more; {
		quoted, err := p.key()
		if err != nil {
			return err
		}
		at := len(p.members)
		key, err := p.note(quoted, &seen, base)
		if err != nil {
			return err
		}
		if err := p.colon(); err != nil {
			return err.within(keyStep(key))
		}
		var child *Value
		if v != nil {
			child = p.newValue()
			p.members[at].Value = child
		}
		if err := p.walk(child, depth+1); err != nil {
			return err.within(keyStep(key))
		}
		if more, err = p.more('}'); err != nil {
			return err
		}
	}
	if v != nil && len(p.members) > base {
		v.Members = slices.Clone(p.members[base:])
	}
	p.members = cut(p.members, base)
	return nil
}

func (p *parser) array(v *Value, depth int) *Error {
	base, i := len(p.items), 0
	for more := p.begin(']'); more; i++ {
		var child *Value
		if v != nil {
			child = p.newValue()
			p.items = append(p.items, child)
		}
		err := p.walk(child, depth+1)
		if err != nil {
			return err.within(indexStep(i))
		}
		if more, err = p.more(']'); err != nil {
			return err
		}
	}
	if v != nil {
		v.Items = append([]*Value{}, p.items[base:]...)
	}
	p.items = cut(p.items, base)
	return nil
}
