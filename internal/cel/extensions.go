package cel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// about makes a function of two texts that gives a truth.
func about(do func(a, b string) bool) func(a, b Value) Value {
	return func(a, b Value) Value { return BoolValue(do(a.text, b.text)) }
}

// textFunctions are those of the standard, and of the strings extension.
func textFunctions() []*Function {
	list := []*Function{
		{Name: "indexOf", Args: []*Type{StringType, StringType, IntType}, Result: IntType, cost: searching, More: func(a []Value) Value { return indexOf(a[0], a[1], a[2]) }},
		{Name: "lastIndexOf", Args: []*Type{StringType, StringType, IntType}, Result: IntType, cost: searching, More: func(a []Value) Value { return lastIndexOf(a[0], a[1], a[2]) }},
		{Name: "substring", Args: []*Type{StringType, IntType, IntType}, Result: StringType, More: func(a []Value) Value { return substring(a[0].text, a[1].Int(), a[2].Int()) }},
		{Name: "replace", Args: []*Type{StringType, StringType, StringType}, Result: StringType, cost: replacing, More: func(a []Value) Value { return replaced(a[0], a[1], a[2], -1) }},
		{Name: "replace", Args: []*Type{StringType, StringType, StringType, IntType}, Result: StringType, cost: replacing, More: func(a []Value) Value { return replaced(a[0], a[1], a[2], a[3].Int()) }},
		{Name: "split", Args: []*Type{StringType, StringType, IntType}, Result: ListOf(StringType), cost: splitting, More: func(a []Value) Value {
			return textsValue(strings.SplitN(a[0].text, a[1].text, int(a[2].Int())))
		}},
		binary("contains", StringType, StringType, BoolType, about(strings.Contains)),
		binary("startsWith", StringType, StringType, BoolType, about(strings.HasPrefix)),
		binary("endsWith", StringType, StringType, BoolType, about(strings.HasSuffix)),
		matching(),
		binary("charAt", StringType, IntType, StringType, charAt),
		costing(binary("indexOf", StringType, StringType, IntType, func(a, b Value) Value { return indexOf(a, b, IntValue(0)) }), searching),
		costing(binary("lastIndexOf", StringType, StringType, IntType, func(a, b Value) Value {
			n := int64(utf8.RuneCountInString(a.text))
			if b.text == "" {
				return IntValue(n)
			}
			return lastIndexOf(a, b, IntValue(max(n-1, 0)))
		}), searching),
		unary("lowerAscii", StringType, StringType, func(a Value) Value { return StringValue(strings.Map(lowerASCII, a.text)) }),
		unary("upperAscii", StringType, StringType, func(a Value) Value { return StringValue(strings.Map(upperASCII, a.text)) }),
		unary("trim", StringType, StringType, func(a Value) Value { return StringValue(strings.TrimSpace(a.text)) }),
		unary("reverse", StringType, StringType, func(a Value) Value {
			runes := []rune(a.text)
			slices.Reverse(runes)
			return StringValue(string(runes))
		}),
		costing(binary("split", StringType, StringType, ListOf(StringType), func(a, b Value) Value { return textsValue(strings.Split(a.text, b.text)) }), splitting),
		costing(unary("join", ListOf(StringType), StringType, func(a Value) Value { return joined(a, "") }), joining),
		costing(binary("join", ListOf(StringType), StringType, StringType, func(a, b Value) Value { return joined(a, b.text) }), joining),
		binary("substring", StringType, IntType, StringType, func(a, b Value) Value {
			return substring(a.text, b.Int(), int64(utf8.RuneCountInString(a.text)))
		}),
	}
	for _, f := range list {
		f.Method = true
	}
	return append(list, matching())
}

// matching is matches(), as a function.
func matching() *Function {
	return &Function{Name: "matches", Args: []*Type{StringType, StringType}, Result: BoolType,
		framed: func(f *frame, args []Value) Value { return matches(f, args[0].text, args[1].text) }}
}

func lowerASCII(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

func upperASCII(r rune) rune {
	if r >= 'a' && r <= 'z' {
		r -= 'a' - 'A'
	}
	return r
}

// Positions in a text count characters.

func charAt(a, b Value) Value {
	runes := []rune(a.text)
	i := b.Int()
	if i < 0 || i > int64(len(runes)) {
		return failed("index out of range: %d", i)
	}
	if i == int64(len(runes)) {
		return StringValue("")
	}
	return StringValue(string(runes[i]))
}

func indexOf(a, b, from Value) Value {
	runes, word, i := []rune(a.text), []rune(b.text), from.Int()
	switch {
	case i < 0:
		return failed("index out of range: %d", i)
	case len(word) == 0:
		return IntValue(min(i, int64(len(runes))))
	}
	for ; i <= int64(len(runes)-len(word)); i++ {
		if slices.Equal(runes[i:i+int64(len(word))], word) {
			return IntValue(i)
		}
	}
	return IntValue(-1)
}

// lastIndexOf is the last place of b in a that is not behind from.
func lastIndexOf(a, b, from Value) Value {
	runes, word, i := []rune(a.text), []rune(b.text), from.Int()
	switch {
	case i < 0:
		return failed("index out of range: %d", i)
	case len(word) == 0:
		return IntValue(min(i, int64(len(runes))))
	case i >= int64(len(runes)):
		return IntValue(-1)
	}
	for i = min(i, int64(len(runes)-len(word))); i >= 0; i-- {
		if slices.Equal(runes[i:i+int64(len(word))], word) {
			return IntValue(i)
		}
	}
	return IntValue(-1)
}

func substring(text string, from, to int64) Value {
	runes := []rune(text)
	if from < 0 || from > int64(len(runes)) {
		return failed("index out of range: %d", from)
	}
	if to < from || to > int64(len(runes)) {
		return failed("index out of range: %d to %d", from, to)
	}
	return StringValue(string(runes[from:to]))
}

// maxMade bounds what one call can make of little: the length of a text that is
// joined or replaced, and of a range.
const maxMade = 1 << 24

func replaced(a, old, by Value, n int64) Value {
	count := int64(strings.Count(a.text, old.text))
	if n >= 0 {
		count = min(count, n)
	}
	if int64(len(a.text))+count*int64(len(by.text)) > maxMade {
		return failed("the text gets too long")
	}
	return StringValue(strings.Replace(a.text, old.text, by.text, int(count)))
}

func joined(a Value, between string) Value {
	l := a.list()
	words, length := make([]string, l.len()), 0
	for i := range words {
		v := l.at(i)
		if v.kind != String {
			return noOverload("join", v)
		}
		words[i] = v.text
		if length += len(v.text) + len(between); length > maxMade {
			return failed("the text gets too long")
		}
	}
	return StringValue(strings.Join(words, between))
}

// listFunctions are those of the lists and sets extensions.
func listFunctions() []*Function {
	sets := func(name string, holds func(a, b list) bool) *Function {
		return equating(costing(binary("sets."+name, listA, listA, BoolType, func(a, b Value) Value { return BoolValue(holds(a.list(), b.list())) }), pairing))
	}
	list := []*Function{
		sets("contains", containsAll),
		sets("equivalent", func(a, b list) bool { return containsAll(a, b) && containsAll(b, a) }),
		sets("intersects", intersects),
		costing(unary("lists.range", IntType, ListOf(IntType), func(a Value) Value {
			if a.Int() < 0 || a.Int() > maxMade {
				return failed("no list has %d elements", a.Int())
			}
			numbers := make(values, a.Int())
			for i := range numbers {
				numbers[i] = IntValue(int64(i))
			}
			return listValue(numbers)
		}), ranging),
		method(&Function{Name: "slice", Args: []*Type{listA, IntType, IntType}, Result: listA, More: slice}),
		costing(method(unary("flatten", ListOf(listA), listA, func(a Value) Value { return flattened(a, 1) })), walking),
		costing(method(binary("flatten", ListOf(DynType), IntType, ListOf(DynType), func(a, b Value) Value {
			if b.Int() < 0 {
				return failed("level must be non-negative")
			}
			return flattened(a, b.Int())
		})), walking),
		equating(costing(method(unary("distinct", listA, listA, func(a Value) Value {
			var kept values
			for _, v := range a.Elements() {
				if indexIn(kept, v) < 0 {
					kept = append(kept, v)
				}
			}
			return listValue(kept)
		})), pairing)),
		method(unary("reverse", listA, listA, func(a Value) Value {
			items := all(a.list())
			slices.Reverse(items)
			return listValue(items)
		})),
	}
	for _, t := range []*Type{BoolType, IntType, DoubleType, StringType, TimestampType, DurationType} {
		list = append(list, costing(method(unary("sort", ListOf(t), ListOf(t), func(a Value) Value {
			keyed := make([]entry, 0, a.list().len())
			for _, v := range a.Elements() {
				keyed = append(keyed, entry{v, v})
			}
			return sorted(keyed)
		})), ordering))
	}
	return list
}

func containsAll(a, b list) bool {
	for i := range b.len() {
		if indexIn(a, b.at(i)) < 0 {
			return false
		}
	}
	return true
}

func intersects(a, b list) bool {
	for i := range a.len() {
		if indexIn(b, a.at(i)) >= 0 {
			return true
		}
	}
	return false
}

func slice(args []Value) Value {
	items, from, to := all(args[0].list()), args[1].Int(), args[2].Int()
	if from < 0 || to < from || to > int64(len(items)) {
		return failed("cannot slice(%d, %d), list has length %d", from, to, len(items))
	}
	return listValue(items[from:to])
}

func flattened(a Value, levels int64) Value {
	var flat values
	var add func(l list, left int64)
	add = func(l list, left int64) {
		for i := range l.len() {
			if v := l.at(i); v.kind == List && left > 0 {
				add(v.list(), left-1)
			} else {
				flat = append(flat, v)
			}
		}
	}
	add(a.list(), levels)
	return listValue(flat)
}

// sorted are the values in the order of their keys, which must be of one kind.
func sorted(keyed []entry) Value {
	for _, e := range keyed {
		if !slices.Contains(ordered, e.key.kind) || e.key.kind != keyed[0].key.kind {
			return failed("list elements must be comparable and of one type")
		}
	}
	slices.SortStableFunc(keyed, func(a, b entry) int {
		order, _ := compare(a.key, b.key)
		return order
	})
	items := make(values, len(keyed))
	for i, e := range keyed {
		items[i] = e.value
	}
	return listValue(items)
}

// timeFunctions are the parts of a moment, in UTC or a zone, and of a length of
// time.
func timeFunctions() []*Function {
	var list []*Function
	for _, part := range []struct {
		name string
		of   func(t time.Time) int
	}{
		{"getFullYear", time.Time.Year},
		{"getMonth", func(t time.Time) int { return int(t.Month()) - 1 }},
		{"getDayOfYear", func(t time.Time) int { return t.YearDay() - 1 }},
		{"getDayOfMonth", func(t time.Time) int { return t.Day() - 1 }},
		{"getDate", time.Time.Day},
		{"getDayOfWeek", func(t time.Time) int { return int(t.Weekday()) }},
		{"getHours", time.Time.Hour},
		{"getMinutes", time.Time.Minute},
		{"getSeconds", time.Time.Second},
		{"getMilliseconds", func(t time.Time) int { return t.Nanosecond() / 1e6 }},
	} {
		list = append(list,
			method(unary(part.name, TimestampType, IntType, func(a Value) Value { return IntValue(int64(part.of(a.time().UTC()))) })),
			costing(method(binary(part.name, TimestampType, StringType, IntType, func(a, b Value) Value {
				zone, err := zoneOf(b.text)
				if err != nil {
					return failed("%.100v", err)
				}
				return IntValue(int64(part.of(a.time().In(zone))))
			})), zoning))
	}
	for _, part := range []struct {
		name string
		of   func(d time.Duration) int64
	}{
		{"getHours", func(d time.Duration) int64 { return int64(d.Hours()) }},
		{"getMinutes", func(d time.Duration) int64 { return int64(d.Minutes()) }},
		{"getSeconds", func(d time.Duration) int64 { return int64(d.Seconds()) }},
		{"getMilliseconds", time.Duration.Milliseconds},
	} {
		list = append(list, method(unary(part.name, DurationType, IntType, func(a Value) Value { return IntValue(part.of(a.duration())) })))
	}
	return list
}

// isOffset reports whether the name of a zone says what it is ahead of UTC, such
// as +02:00.
func isOffset(name string) bool { return strings.Contains(name, ":") }

// zoneOf is a zone by its name, or by what it is ahead of UTC. A verdict does not
// hang on the zone of the machine.
func zoneOf(name string) (*time.Location, error) {
	if !isOffset(name) {
		if name == "Local" {
			return nil, errors.New("the zone of a machine is not known: name one, such as Europe/Berlin")
		}
		return time.LoadLocation(name)
	}
	hours, minutes, _ := strings.Cut(name, ":")
	h, err := strconv.Atoi(hours)
	if err != nil {
		return nil, err
	}
	m, err := strconv.Atoi(minutes)
	if err != nil {
		return nil, err
	}
	if h < -23 || h > 23 || m < 0 || m > 59 {
		return nil, fmt.Errorf("%.100q is not within a day of UTC", name)
	}
	if strings.HasPrefix(name, "-") {
		m = -m
	}
	return time.FixedZone("", (h*60+m)*60), nil
}
