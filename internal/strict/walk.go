package strict

import (
	"errors"
	"strconv"
)

// errTwice is for a key that an object has already.
var errTwice = errors.New("a key is given twice")

// eachMember walks over an object and calls fill before each member, for it to
// walk over the key, the colon and the value.
func (f *filler) eachMember(fill func() error) error {
	for more := f.begin('}'); more; {
		if err := fill(); err != nil {
			return err
		}
		var err *Error
		if more, err = f.more('}'); err != nil {
			return err
		}
	}
	return nil
}

// keyColon walks over a key and its colon.
func (f *filler) keyColon() (key string, hash uint32, err error) {
	quoted, wrong := f.key()
	if wrong != nil {
		return "", 0, wrong
	}
	if wrong := f.colon(); wrong != nil {
		return "", 0, wrong
	}
	key, hash = f.keyText(quoted)
	return key, hash, nil
}

// eachItem walks over a list, calls fill before each element, for it to walk
// over that, and gives their number.
func (f *filler) eachItem(fill func(i int) error) (n int, err error) {
	for more := f.begin(']'); more; n++ {
		if err := fill(n); err != nil {
			return n, err
		}
		var err *Error
		if more, err = f.more(']'); err != nil {
			return n, err
		}
	}
	return n, nil
}

// skip walks over a value and gives its text.
func (f *filler) skip(depth int) ([]byte, error) {
	start := f.pos
	if err := f.walk(nil, depth); err != nil {
		return nil, err
	}
	return f.data[start:f.pos:f.pos], nil
}

// text walks over a string and gives its content.
func (f *filler) text() (string, error) {
	start := f.pos
	if err := f.str(); err != nil {
		return "", err
	}
	text := f.data[start+1 : f.pos-1]
	if f.escaped {
		return unquote(f.data[start:f.pos]), nil
	}
	if len(text) == 0 || len(text) > longestInChunk {
		return string(text), nil
	}
	// A chunk is never made larger: that would copy it.
	if f.chunk.Cap()-f.chunk.Len() < len(text) {
		f.chunk.Reset()
		f.chunk.Grow(min(chunkSize, len(f.data)-start))
	}
	at := f.chunk.Len()
	f.chunk.Write(text)
	return f.chunk.String()[at:], nil
}

const (
	chunkSize      = 1 << 10
	longestInChunk = chunkSize / 8
)

// free gives what encoding/json makes of the next value for an empty interface.
func (f *filler) free(depth int) (any, error) {
	switch kind := kindBy[f.peek()]; {
	case depth > maxDepth:
		return nil, f.tooDeep()
	case kind == Object:
		object := map[string]any{}
		err := f.eachMember(func() error {
			key, _, err := f.keyColon()
			if err != nil {
				return err
			}
			if _, ok := object[key]; ok {
				return errTwice
			}
			object[key], err = f.free(depth + 1)
			return err
		})
		return object, err
	case kind == Array:
		list := []any{}
		_, err := f.eachItem(func(int) error {
			item, err := f.free(depth + 1)
			list = append(list, item)
			return err
		})
		return list, err
	case kind == String:
		return f.text()
	}
	raw, err := f.skip(depth)
	if err != nil {
		return nil, err
	}
	switch raw[0] {
	case 'n':
		return nil, nil
	case 't', 'f':
		return raw[0] == 't', nil
	}
	return strconv.ParseFloat(string(raw), 64)
}
