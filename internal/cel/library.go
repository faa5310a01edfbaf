package cel

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Types of signatures: any list, of one element type in a call.
var (
	paramA = &Type{kind: param, name: "A"}
	paramB = &Type{kind: param, name: "B"}
	listA  = ListOf(paramA)
	mapAB  = MapOf(paramA, paramB)
)

// ordered are the kinds that < compares.
var ordered = []Kind{Bool, Int, Double, String, Timestamp, Duration}

// library are CEL's functions by name.
var library = sync.OnceValue(func() map[string][]*Function {
	all := map[string][]*Function{}
	for _, part := range [][]*Function{arithmetic(), orders(), conversions(), sizes(), textFunctions(), listFunctions(), timeFunctions()} {
		for _, f := range part {
			all[f.Name] = append(all[f.Name], f)
		}
	}
	return all
})

func unary(name string, a, result *Type, do func(a Value) Value) *Function {
	return &Function{Name: name, Args: []*Type{a}, Result: result, One: do}
}

func binary(name string, a, b, result *Type, do func(a, b Value) Value) *Function {
	return &Function{Name: name, Args: []*Type{a, b}, Result: result, Two: do}
}

// method makes a function a method.
func method(f *Function) *Function {
	f.Method = true
	return f
}

// equating makes a function one that compares what it is given.
func equating(f *Function) *Function {
	f.equates = true
	return f
}

// doubles and ints make functions of values of Go's.
func doubles(do func(a, b float64) float64) func(a, b Value) Value {
	return func(a, b Value) Value { return DoubleValue(do(a.double(), b.double())) }
}

const overflow = "integer overflow"

func ints(do func(a, b int64) (int64, bool)) func(a, b Value) Value {
	return func(a, b Value) Value {
		n, ok := do(a.Int(), b.Int())
		if !ok {
			return failed(overflow)
		}
		return IntValue(n)
	}
}

func addInts(a, b int64) (int64, bool) { return a + b, (a+b > a) == (b > 0) }
func subInts(a, b int64) (int64, bool) { return a - b, (a-b < a) == (b > 0) }

func mulInts(a, b int64) (int64, bool) {
	n := a * b
	return n, a == 0 || (n/a == b && !(a == -1 && b == math.MinInt64))
}

func divided(word string, do func(a, b int64) int64) func(a, b Value) Value {
	return func(a, b Value) Value {
		switch {
		case b.Int() == 0:
			return failed("%s by zero", word)
		case a.Int() == math.MinInt64 && b.Int() == -1:
			return failed(overflow)
		}
		return IntValue(do(a.Int(), b.Int()))
	}
}

// spans makes a function of two durations.
func spans(do func(a, b int64) (int64, bool)) func(a, b Value) Value {
	return func(a, b Value) Value {
		n, ok := do(a.Int(), b.Int())
		if !ok {
			return failed("duration overflow")
		}
		return DurationValue(time.Duration(n))
	}
}

// moved is a time some way later. CEL's times are of the years 1 to 9999.
func moved(t time.Time, by time.Duration) Value {
	t = t.Add(by)
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return failed("timestamp overflow")
	}
	return TimeValue(t)
}

// apart is the time between two moments.
func apart(a, b Value) Value {
	d := a.time().Sub(b.time())
	if !b.time().Add(d).Equal(a.time()) {
		return failed("duration overflow")
	}
	return DurationValue(d)
}

func arithmetic() []*Function {
	return []*Function{
		binary("+", IntType, IntType, IntType, ints(addInts)),
		binary("-", IntType, IntType, IntType, ints(subInts)),
		binary("*", IntType, IntType, IntType, ints(mulInts)),
		binary("/", IntType, IntType, IntType, divided("division", func(a, b int64) int64 { return a / b })),
		binary("%", IntType, IntType, IntType, divided("modulus", func(a, b int64) int64 { return a % b })),
		binary("+", DoubleType, DoubleType, DoubleType, doubles(func(a, b float64) float64 { return a + b })),
		binary("-", DoubleType, DoubleType, DoubleType, doubles(func(a, b float64) float64 { return a - b })),
		binary("*", DoubleType, DoubleType, DoubleType, doubles(func(a, b float64) float64 { return a * b })),
		binary("/", DoubleType, DoubleType, DoubleType, doubles(func(a, b float64) float64 { return a / b })),
		unary(opNegate, IntType, IntType, func(a Value) Value {
			if a.Int() == math.MinInt64 {
				return failed(overflow)
			}
			return IntValue(-a.Int())
		}),
		unary(opNegate, DoubleType, DoubleType, func(a Value) Value { return DoubleValue(-a.double()) }),
		costing(binary("+", StringType, StringType, StringType, func(a, b Value) Value { return StringValue(a.text + b.text) }), adding),
		costing(binary("+", listA, listA, listA, func(a, b Value) Value { return listValue(append(all(a.list()), all(b.list())...)) }), adding),
		binary("+", TimestampType, DurationType, TimestampType, func(a, b Value) Value { return moved(a.time(), b.duration()) }),
		binary("+", DurationType, TimestampType, TimestampType, func(a, b Value) Value { return moved(b.time(), a.duration()) }),
		binary("+", DurationType, DurationType, DurationType, spans(addInts)),
		binary("-", TimestampType, TimestampType, DurationType, apart),
		binary("-", TimestampType, DurationType, TimestampType, func(a, b Value) Value {
			if b.num == 1<<63 {
				return failed("duration overflow")
			}
			return moved(a.time(), -b.duration())
		}),
		binary("-", DurationType, DurationType, DurationType, spans(subInts)),
		equating(costing(binary(opIn, paramA, listA, BoolType, in), finding)),
		equating(binary(opIn, paramA, mapAB, BoolType, func(a, b Value) Value {
			_, ok := b.mapping().get(a)
			return BoolValue(ok)
		})),
	}
}

// in reports whether a list has an element.
func in(a, b Value) Value { return BoolValue(indexIn(b.list(), a) >= 0) }

// indexIn is the place of a value in a list, or -1.
func indexIn(l list, v Value) int {
	if words, ok := l.(*texts); ok {
		if v.kind != String {
			return -1
		}
		return slices.Index(*words, v.text)
	}
	for i := range l.len() {
		if equal(l.at(i), v) {
			return i
		}
	}
	return -1
}

// orders are <, <=, > and >=. Numbers of different types are compared where
// nobody could tell before.
func orders() []*Function {
	var list []*Function
	for _, one := range []struct {
		name  string
		holds func(order int) bool
	}{
		{"<", func(o int) bool { return o < 0 }}, {"<=", func(o int) bool { return o <= 0 }},
		{">", func(o int) bool { return o > 0 }}, {">=", func(o int) bool { return o >= 0 }},
	} {
		name := one.name
		do := func(a, b Value) Value {
			order, ok := compare(a, b)
			return BoolValue(ok && one.holds(order))
		}
		for _, t := range []*Type{BoolType, IntType, DoubleType, StringType, TimestampType, DurationType} {
			list = append(list, binary(name, t, t, BoolType, do))
		}
		for _, f := range []*Function{binary(name, IntType, DoubleType, BoolType, do), binary(name, DoubleType, IntType, BoolType, do)} {
			f.dynamic = true
			list = append(list, f)
		}
	}
	return list
}

func conversions() []*Function {
	same := func(a Value) Value { return a }
	write := func(a Value) Value {
		text, _ := a.written()
		return StringValue(text)
	}
	list := []*Function{
		equating(unary("dyn", paramA, DynType, same)),
		unary("bool", BoolType, BoolType, same), unary("bool", StringType, BoolType, toBool),
		unary("int", IntType, IntType, same), unary("int", DoubleType, IntType, doubleToInt), unary("int", StringType, IntType, textToInt),
		unary("int", TimestampType, IntType, func(a Value) Value { return IntValue(a.time().Unix()) }),
		unary("int", DurationType, IntType, func(a Value) Value { return IntValue(a.Int()) }),
		unary("double", DoubleType, DoubleType, same),
		unary("double", IntType, DoubleType, func(a Value) Value { return DoubleValue(float64(a.Int())) }),
		unary("double", StringType, DoubleType, textToDouble),
		unary("timestamp", TimestampType, TimestampType, same), unary("timestamp", StringType, TimestampType, textToTime),
		unary("timestamp", IntType, TimestampType, func(a Value) Value { return checkedTime(time.Unix(a.Int(), 0).UTC()) }),
		unary("duration", DurationType, DurationType, same), unary("duration", StringType, DurationType, textToDuration),
	}
	for _, t := range []*Type{BoolType, IntType, DoubleType, StringType, TimestampType, DurationType} {
		list = append(list, unary("string", t, StringType, write))
	}
	return list
}

func toBool(a Value) Value {
	switch a.text {
	case "1", "t", "T", "true", "TRUE", "True":
		return BoolValue(true)
	case "0", "f", "F", "false", "FALSE", "False":
		return BoolValue(false)
	}
	return failed("%.100q is neither true nor false", a.text)
}

func doubleToInt(a Value) Value {
	d := a.double()
	if d != d || d <= -1<<63 || d >= 1<<63 {
		return failed(overflow)
	}
	return IntValue(int64(d))
}

func textToInt(a Value) Value {
	n, err := strconv.ParseInt(a.text, 10, 64)
	if err != nil {
		return failed("%.100q is no whole number", a.text)
	}
	return IntValue(n)
}

func textToDouble(a Value) Value {
	n, err := strconv.ParseFloat(a.text, 64)
	if err != nil {
		return failed("%.100q is no number", a.text)
	}
	return DoubleValue(n)
}

func textToTime(a Value) Value {
	t, err := time.Parse(time.RFC3339, a.text)
	if err != nil || a.text[len("2006-01-02T1")] == ':' || strings.Contains(a.text, ",") { // of which Parse takes both
		return failed("%.100q is no time such as 2026-01-31T12:00:00Z", a.text)
	}
	return checkedTime(t)
}

func checkedTime(t time.Time) Value { return moved(t, 0) }

func textToDuration(a Value) Value {
	d, err := time.ParseDuration(a.text)
	if err != nil {
		return failed("%.100q is no length of time such as 90m", a.text)
	}
	return DurationValue(d)
}

// sizes are size(x) and x.size().
func sizes() []*Function {
	var list []*Function
	for t, size := range map[*Type]func(v Value) int{
		StringType: func(v Value) int { return utf8.RuneCountInString(v.text) },
		listA:      func(v Value) int { return v.list().len() },
		mapAB:      func(v Value) int { return v.mapping().len() },
	} {
		do := func(v Value) Value { return IntValue(int64(size(v))) }
		list = append(list, unary("size", t, IntType, do), method(unary("size", t, IntType, do)))
	}
	return list
}
