package cel

import (
	"errors"
	"math/bits"
	"reflect"
	"strings"
)

// Budget is what all evaluations that it is handed to may cost together. A unit
// is a step, or an element or some ten characters looked at: a million take well
// under a second. The nil Budget has no end. It is for one goroutine.
type Budget struct {
	left  uint64
	spent bool
}

// NewBudget is a budget of as many units.
func NewBudget(units uint64) *Budget { return &Budget{left: units} }

// Spend pays for what is about to be done, and reports whether it may be. Once
// something could not be paid, nothing can.
func (b *Budget) Spend(cost uint64) bool {
	switch {
	case b == nil:
		return true
	case b.spent || cost > b.left:
		b.left, b.spent = 0, true
		return false
	}
	b.left -= cost
	return true
}

// Spent reports whether something could not be paid.
func (b *Budget) Spent() bool { return b != nil && b.spent }

// ErrBudget is what ends an evaluation whose budget is spent. Package rule gives
// it as the reason of a finding.
var ErrBudget = errors.New("it costs too much: cost limit exceeded")

// Metered is the environment for expressions that are not trusted. Each part of
// them pays one unit before it runs, and the weight of its value after; what is
// made out of little is paid before it is made. The patterns that are written in
// all expressions of the environment have a bound together.
func (e *Env) Metered() *Env {
	return &Env{parent: e, patterns: NewBudget(maxPatterns)}
}

// spend pays for what is about to be done, and reports whether it may be.
func (f *frame) spend(cost uint64) bool { return f.budget.Spend(cost) }

// metered is a part of an expression that pays for itself.
func metered(code run) run {
	return func(f *frame) Value {
		if !f.spend(1) {
			return without()
		}
		v := code(f)
		if f.budget != nil && !f.spend(v.weight(f.budget.left)) {
			return without()
		}
		return v
	}
}

// paid is the code of a part, which pays for itself where the environment says
// so.
func (c *checker) paid(code run) run {
	if c.env.patterns == nil {
		return code
	}
	return metered(code)
}

// weight is how much work it is to look at all of a value but what is in
// structs. It does not look further than is needed to know that it is more than
// most: an expression soon makes a list that holds another twice, which holds
// another twice, and no time is enough to walk through that.
func (v Value) weight(most uint64) uint64 {
	s := scales{most: most}
	s.value(v)
	return s.sum
}

// weightToCompare is the weight with that of structs, which == looks into.
func (v Value) weightToCompare(most uint64) uint64 {
	s := scales{most: most, structs: true}
	s.value(v)
	return s.sum
}

// scales sum up a weight until it is more than most.
type scales struct {
	sum, most uint64
	structs   bool
}

func textWeight(length int) uint64 { return 1 + uint64(length/10) }

func (s *scales) value(v Value) {
	switch v.kind {
	case String, Opaque:
		s.sum += textWeight(len(v.text))
	case Unknown:
		s.sum += 1 + uint64(len(v.Unseen()))
	case List:
		s.sum++
		s.list(v.list())
	case Map:
		s.sum++
		s.table(v.mapping())
	case Object:
		s.sum++
		if s.structs {
			s.data(reflect.ValueOf(v.ref).Elem())
		}
	default:
		s.sum++
	}
}

func (s *scales) list(l list) {
	if words, ok := l.(*texts); ok {
		for i := 0; i < len(*words) && s.sum <= s.most; i++ {
			s.sum += textWeight(len((*words)[i]))
		}
		return
	}
	for i := 0; i < l.len() && s.sum <= s.most; i++ {
		s.value(l.at(i))
	}
}

func (s *scales) table(m mapping) {
	switch m := m.(type) {
	case entries:
		for _, e := range m {
			if s.sum > s.most {
				return
			}
			s.value(e.key)
			s.value(e.value)
		}
	case *goMap:
		for it := m.table.MapRange(); s.sum <= s.most && it.Next(); {
			s.sum += textWeight(it.Key().Len())
			s.value(m.read(it.Value()))
		}
	}
}

// data weighs Go data, as deep as it goes.
func (s *scales) data(v reflect.Value) {
	s.sum++
	switch v.Kind() {
	case reflect.String:
		s.sum += uint64(v.Len() / 10)
	case reflect.Struct:
		for i := 0; i < v.NumField() && s.sum <= s.most; i++ {
			s.data(v.Field(i))
		}
	case reflect.Slice:
		for i := 0; i < v.Len() && s.sum <= s.most; i++ {
			s.data(v.Index(i))
		}
	case reflect.Map:
		for it := v.MapRange(); s.sum <= s.most && it.Next(); {
			s.data(it.Key())
			s.data(it.Value())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			s.data(v.Elem())
		}
	}
}

// The costs of functions that do more than look at their arguments once, or make
// much out of little. Most is what can be paid at all.

// costing gives a function its cost.
func costing(f *Function, cost func(args []Value, most uint64) uint64) *Function {
	f.cost = cost
	return f
}

// times multiplies weights, which no budget is larger than.
func times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high > 0 {
		return 1 << 63
	}
	return low
}

// searching compares a text at each place of another.
func searching(args []Value, _ uint64) uint64 {
	return times(textWeight(len(args[0].text)), textWeight(len(args[1].text)))
}

// splitting makes as many texts as there are parts.
func splitting(args []Value, _ uint64) uint64 {
	return 1 + uint64(strings.Count(args[0].text, args[1].text))
}

// replacing makes the text with each occurrence replaced, or as many as the
// fourth argument says.
func replacing(args []Value, _ uint64) uint64 {
	count := uint64(strings.Count(args[0].text, args[1].text))
	if len(args) > 3 && args[3].Int() >= 0 {
		count = min(count, uint64(args[3].Int()))
	}
	return textWeight(len(args[0].text)) + times(count, uint64(len(args[2].text)))/10
}

// joining makes a text with a separator at each element.
func joining(args []Value, most uint64) uint64 {
	between := 0
	if len(args) > 1 {
		between = len(args[1].text)
	}
	return args[0].weight(most) + times(uint64(args[0].list().len()), uint64(between))/10
}

// adding makes a text or a list of both.
func adding(args []Value, most uint64) uint64 { return args[0].weight(most) + args[1].weight(most) }

// ranging makes as many numbers.
func ranging(args []Value, _ uint64) uint64 { return uint64(max(args[0].Int(), 0)) }

// walking goes over all of its argument.
func walking(args []Value, most uint64) uint64 { return args[0].weight(most) }

// ordering compares each element a few times.
func ordering(args []Value, most uint64) uint64 {
	return sortingCost(args[0].weight(most), args[0].list().len())
}

// sortingCost is what it takes to sort n values that weigh so much together.
func sortingCost(weight uint64, n int) uint64 { return times(weight, uint64(bits.Len(uint(n)))) }

// pairing compares each element of one list with each of the other, which is
// the first again where there is only one.
func pairing(args []Value, most uint64) uint64 {
	return times(args[0].weightToCompare(most), 1+uint64(args[len(args)-1].list().len()))
}

// finding compares a value with each element of a list.
func finding(args []Value, most uint64) uint64 {
	return times(args[0].weightToCompare(most), 1+uint64(args[1].list().len()))
}

// zoneCost is the cost of reading a zone's file.
const zoneCost = 300

func zoning(args []Value, _ uint64) uint64 {
	if isOffset(args[1].text) {
		return 1
	}
	return zoneCost
}
