package rule

import (
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// memo tells which containers are alike in all that a rule reads, so that a
// verdict is reached once. It depends on nothing else, and the containers of a
// host differ in few things: of a thousand, hundreds have the same limits.
//
// It is for one host, daemon and moment.
type memo struct {
	facts []memoFact
	// reads are, by rule, positions in facts; nil for a rule that is to judge
	// each container anew.
	reads [][]int
	// numbers are, by fact, the number of each container's value: 0 is one that
	// is not remembered.
	numbers [][]uint32
}

// memoFact is a fact as deep as names alone lead: a list or a map is one fact.
type memoFact struct {
	chain []string // of names, after "container"
	index []int    // of the field in a Spec
}

// remembered bounds how many values of a fact, and how many verdicts of a rule,
// a memo holds. What is different in every container is not worth a place.
const remembered = 512

// newMemo numbers the containers' facts that the rules read. It is nil where
// there are no two containers that could be alike.
func newMemo(rules []*Rule, containers []workload.Spec) *memo {
	if len(containers) < 2 {
		return nil
	}
	m := &memo{reads: make([][]int, len(rules))}
	for i, r := range rules {
		if r.Subject == "container" && !r.code.readsAll {
			m.reads[i] = m.places(r.code.reads)
		}
	}
	blind := blindnessOf(containers)
	m.numbers = make([][]uint32, len(m.facts))
	_ = forAll(len(m.facts), len(m.facts), func(i int) error {
		m.numbers[i] = m.facts[i].number(containers, blind)
		return nil
	})
	return m
}

// blindness is what was not seen of containers, of which most lack the same.
type blindness struct {
	of    []int // by container, its place in lists
	lists [][]workload.Unseen
}

func blindnessOf(containers []workload.Spec) blindness {
	b := blindness{of: make([]int, len(containers))}
	known := map[string]int{}
	var key []byte
	for i := range containers {
		key = key[:0]
		for _, u := range containers[i].Unseen {
			key = appendText(appendText(key, u.Path), u.Reason)
		}
		at, ok := known[string(key)]
		if !ok {
			at = len(b.lists)
			known[string(key)] = at
			b.lists = append(b.lists, containers[i].Unseen)
		}
		b.of[i] = at
	}
	return b
}

// about gives, by place in lists, what was not seen of a fact.
func (b *blindness) about(f *memoFact) []string {
	texts := make([]string, len(b.lists))
	for i, list := range b.lists {
		var text []byte
		for _, u := range list {
			if touches(u.Path, f.chain) {
				text = appendText(appendText(text, u.Path), u.Reason)
			}
		}
		texts[i] = string(text)
	}
	return texts
}

// places gives the positions in m.facts, to which it adds those that are new.
func (m *memo) places(facts []memoFact) []int {
	at := make([]int, len(facts))
	for i, f := range facts {
		at[i] = slices.IndexFunc(m.facts, f.is)
		if at[i] < 0 {
			at[i] = len(m.facts)
			m.facts = append(m.facts, f)
		}
	}
	return at
}

func (f memoFact) is(other memoFact) bool { return slices.Equal(f.index, other.index) }

// factsRead gives the facts of a container that the expressions read; all is
// true when they cannot be told.
func (p *parts) factsRead() (facts []memoFact, all bool) {
	for _, chain := range p.paths {
		if chain[0] != "container" {
			continue // the same for all containers, or made of what is
		}
		f, ok := memoFactOf(chain[1:])
		if !ok {
			return nil, true
		}
		if !slices.ContainsFunc(facts, f.is) {
			facts = append(facts, f)
		}
	}
	return facts, false
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
	names, ok := jsonNames.Load(t)
	if !ok {
		list := make([]string, t.NumField())
		for i := range list {
			list[i] = t.Field(i).Tag.Get("json")
		}
		names, _ = jsonNames.LoadOrStore(t, list)
	}
	return slices.Index(names.([]string), name)
}

// jsonNames are the names of a struct's fields in JSON, by its reflect.Type.
var jsonNames sync.Map

// number gives containers the same number when rules cannot tell their values
// of the fact apart.
func (f *memoFact) number(containers []workload.Spec, blind blindness) []uint32 {
	numbers := make([]uint32, len(containers))
	unseen := blind.about(f)
	known := map[string]uint32{}
	var value []byte
	for i := range containers {
		c := &containers[i]
		value = appendFact(value[:0], reflect.ValueOf(c).Elem().FieldByIndex(f.index))
		value = append(value, unseen[blind.of[i]]...)
		n, ok := known[string(value)]
		if !ok && len(known) < remembered {
			n = uint32(len(known) + 1)
			known[string(value)] = n
		}
		numbers[i] = n
	}
	return numbers
}

// touches is true when the path, of which lists and positions end the names, is
// a part of the fact or the fact of it.
func touches(path string, chain []string) bool {
	if !strings.HasPrefix(path, chain[0]) {
		return false // as for most; the rest looks closer
	}
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

// judge appends what the i-th rule finds for the containers.
func (m *memo) judge(found []finding.Finding, i int, r *Rule, containers []view) []finding.Finding {
	type span struct{ from, to int }
	known := map[string]span{} // places in found
	var key []byte
	for k := range containers {
		v := &containers[k]
		key = key[:0]
		alone := false
		for _, fact := range m.reads[i] {
			alone = alone || m.numbers[fact][k] == 0
			key = binary.LittleEndian.AppendUint32(key, m.numbers[fact][k])
		}
		like, ok := known[string(key)]
		if !ok || alone {
			from := len(found)
			found = r.judge(found, v)
			if !alone && len(known) < remembered {
				known[string(key)] = span{from, len(found)}
			}
			continue
		}
		for at := like.from; at < like.to; at++ {
			found = append(found, found[at])
			f := &found[len(found)-1]
			f.Subject = v.subject
			r.tellAgain(f)
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
