package rule

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// memo remembers what each rule found for containers that were alike in all
// that the rule reads. A verdict depends on nothing else, and the containers of
// a host differ in few things: of a thousand, hundreds have the same limits.
//
// It belongs to one goroutine, and to one host, daemon and moment.
type memo struct {
	plan *memoPlan
	// known numbers the values met of each fact.
	known []map[string]uint32
	// found are the findings of each rule by the numbers of what it reads.
	found []map[string][]finding.Finding

	// numbers are those of the container at hand; 0 is a value that is not
	// remembered.
	numbers []uint32
	scratch []byte
}

// memoPlan says which facts of a container each rule reads. It does not change.
type memoPlan struct {
	facts []memoFact
	// reads are, by rule, positions in facts; nil for a rule that is always
	// judged anew.
	reads [][]int
}

// memoFact is a fact as deep as names alone lead: a list or a map is one fact.
type memoFact struct {
	chain []string // of names, after "container"
	index []int    // of the field in a Spec
}

// remembered bounds how many values of a fact, and how many verdicts of a rule,
// a memo holds. What is different in every container is not worth a place.
const remembered = 512

func planMemo(rules []*Rule) *memoPlan {
	p := &memoPlan{reads: make([][]int, len(rules))}
	for i, r := range rules {
		if r.Subject == "container" {
			p.reads[i] = p.readBy(r)
		}
	}
	return p
}

// readBy gives the facts that a rule reads, or nil when that cannot be told.
func (p *memoPlan) readBy(r *Rule) []int {
	reads := []int{}
	for _, e := range r.code.all() {
		for _, chain := range e.paths {
			if chain[0] != "container" {
				continue // the same for all containers, or made of what is
			}
			f, ok := memoFactOf(chain[1:])
			if !ok {
				return nil
			}
			at := slices.IndexFunc(p.facts, func(o memoFact) bool { return slices.Equal(o.index, f.index) })
			if at < 0 {
				at = len(p.facts)
				p.facts = append(p.facts, f)
			}
			if !slices.Contains(reads, at) {
				reads = append(reads, at)
			}
		}
	}
	return reads
}

// memoFactOf follows names through structs. It is not ok for the whole of a
// struct, in which each container differs.
func memoFactOf(chain []string) (memoFact, bool) {
	var f memoFact
	t := reflect.TypeFor[workload.Spec]()
	for _, name := range chain {
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
			break
		}
		i := fieldNamed(t, name)
		if i < 0 {
			return f, false
		}
		f.chain, f.index, t = append(f.chain, name), append(f.index, i), t.Field(i).Type
	}
	return f, len(f.index) > 0 && (t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]())
}

// fieldNamed is the position of the field that JSON calls so, or -1.
func fieldNamed(t reflect.Type, name string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("json") == name {
			return i
		}
	}
	return -1
}

func newMemo(plan *memoPlan) *memo {
	m := &memo{plan: plan, known: make([]map[string]uint32, len(plan.facts)), found: make([]map[string][]finding.Finding, len(plan.reads)),
		numbers: make([]uint32, len(plan.facts))}
	for i := range m.known {
		m.known[i] = map[string]uint32{}
	}
	for i := range m.found {
		m.found[i] = map[string][]finding.Finding{}
	}
	return m
}

// look numbers the facts of a container.
func (m *memo) look(c *workload.Spec) {
	value := reflect.ValueOf(c).Elem()
	for i, f := range m.plan.facts {
		b := appendFact(m.scratch[:0], value.FieldByIndex(f.index))
		for _, u := range c.Unseen {
			if touches(u.Path, f.chain) {
				b = appendText(appendText(b, u.Path), u.Reason)
			}
		}
		m.scratch = b
		n, ok := m.known[i][string(b)]
		if !ok && len(m.known[i]) < remembered {
			n = uint32(len(m.known[i]) + 1)
			m.known[i][string(b)] = n
		}
		m.numbers[i] = n
	}
}

// touches is true when the path, of which lists and positions end the names, is
// a part of the fact or the fact of it.
func touches(path string, chain []string) bool {
	for _, name := range chain {
		var own string
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			return path == name
		}
		own, path = path[:end], path[end:]
		if own != name {
			return false
		}
		if path[0] == '[' {
			return true
		}
		path = path[1:]
	}
	return true
}

// judge appends what the i-th rule found for a container that was looked at,
// and asks for it where it is not remembered.
func (m *memo) judge(found []finding.Finding, i int, r *Rule, v *view) []finding.Finding {
	reads := m.plan.reads[i]
	if reads == nil {
		return r.judge(found, v)
	}
	key := m.scratch[:0]
	for _, at := range reads {
		if m.numbers[at] == 0 {
			return r.judge(found, v)
		}
		key = binary.LittleEndian.AppendUint32(key, m.numbers[at])
	}
	m.scratch = key
	before := len(found)
	known, ok := m.found[i][string(key)]
	if !ok {
		found = r.judge(found, v)
		if len(m.found[i]) < remembered {
			m.found[i][string(key)] = slices.Clone(found[before:])
		}
		return found
	}
	found = append(found, known...)
	for k := before; k < len(found); k++ {
		f := &found[k]
		f.Subject = v.subject
		if r.code.namesSubject && (f.Status == finding.Fail || f.Status == finding.Manual) {
			r.tell(f)
		}
	}
	return found
}

// appendFact writes a value so that two values give the same bytes exactly when
// no rule can tell them apart.
func appendFact(b []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return appendText(b, v.String())
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()))
	case reflect.Slice:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		for i := range v.Len() {
			b = appendFact(b, v.Index(i))
		}
		return b
	case reflect.Map:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
		for _, k := range keys {
			b = appendFact(appendText(b, k.String()), v.MapIndex(k))
		}
		return b
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return binary.AppendVarint(binary.AppendVarint(b, t.Unix()), int64(t.Nanosecond()))
		}
		for i := range v.NumField() {
			b = appendFact(b, v.Field(i))
		}
		return b
	}
	panic("rule: a fact of the kind " + v.Kind().String())
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
