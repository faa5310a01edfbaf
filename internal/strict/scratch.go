package strict

import (
	"bytes"
	"reflect"
	"sync"
)

// scratch is what the parser of one document leaves to that of a later one,
// since an engine's answers are many and alike. No tree and no value that was
// filled points into it, and it points into none while it waits.
type scratch struct {
	// members and items are of the objects and lists that are open, the
	// innermost last.
	members []Member
	items   []*Value
	// known has keys that occurred, each in the slot of its hash, so that a tree
	// need not have a copy of each.
	known [knownKeys]string
	// keyPlace and textPlace are strings on their way into a map, as a key and as
	// an element.
	keyPlace, textPlace reflect.Value
}

const (
	knownKeys = 1 << 10
	// longestKnown is how many bytes a key in known has at most.
	longestKnown = 64
	// mostKept is for how many members or items room is kept.
	mostKept = 1 << 10
)

var stringType = reflect.TypeFor[string]()

var scratches = sync.Pool{New: func() any {
	return &scratch{keyPlace: reflect.New(stringType).Elem(), textPlace: reflect.New(stringType).Elem()}
}}

// giveBack is for a document that was read to its end: its objects and lists
// have then all been taken off.
func (s *scratch) giveBack() {
	s.keyPlace.SetZero()
	s.textPlace.SetZero()
	if cap(s.members) <= mostKept && cap(s.items) <= mostKept {
		scratches.Put(s)
	}
}

// cut takes the top off a stack, from base on.
func cut[T any](stack []T, base int) []T {
	clear(stack[base:])
	return stack[:base]
}

// newValue makes values together, about as many as the rest of the text holds,
// but not many more than 64.
func (p *parser) newValue() *Value {
	if len(p.spare) == 0 {
		p.spare = make([]Value, 1+min(len(p.data)-p.pos, 1<<10)/16)
	}
	v := &p.spare[0]
	p.spare = p.spare[1:]
	return v
}

// keyText gives the text of a quoted key, and its hash.
func (s *scratch) keyText(quoted []byte) (key string, hash uint32) {
	raw := quoted[1 : len(quoted)-1]
	if len(raw) > longestKnown || bytes.IndexByte(raw, '\\') >= 0 {
		key = unquote(quoted)
		return key, hashOf([]byte(key))
	}
	hash = hashOf(raw)
	slot := &s.known[hash%knownKeys]
	if *slot != string(raw) {
		*slot = string(raw)
	}
	return *slot, hash
}

// hashOf gives 16 bits. It looks at a few bytes only: of two keys that share a
// slot in known, the later one takes it, and in a keySet they cost a scan.
func hashOf(key []byte) uint32 {
	n := len(key)
	if n == 0 {
		return 0
	}
	h := uint32(n) | uint32(key[0])<<8 | uint32(key[n/2])<<16 | uint32(key[n-1])<<24
	return h * 0x9e3779b1 >> 16
}

// keySet finds a key that an object has twice. Up to mostScanned members it
// compares them one by one, and only where a key of the same hash occurred.
type keySet struct {
	hashes [8]uint64 // a bit for each, of 512
	index  map[string]int
}

const mostScanned = 128

// add gives the index of the member that has the key already, or -1.
func (s *keySet) add(key string, hash uint32, members []Member) int {
	if len(members) < mostScanned {
		word, bit := &s.hashes[hash/64%8], uint64(1)<<(hash%64)
		if *word&bit != 0 {
			return find(members, key)
		}
		*word |= bit
		return -1
	}
	if s.index == nil {
		s.index = make(map[string]int, 2*mostScanned)
		for i := range members {
			s.index[members[i].Key] = i
		}
	}
	if i, ok := s.index[key]; ok {
		return i
	}
	s.index[key] = len(members)
	return -1
}
