package cel

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"
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
		{Name: "indexOf", Args: []*Type{StringType, StringType, IntType}, Result: IntType, cost: eachByEach, More: func(a []Value) Value { return indexOf(a[0], a[1], a[2]) }},
		{Name: "lastIndexOf", Args: []*Type{StringType, StringType, IntType}, Result: IntType, cost: eachByEach, More: func(a []Value) Value { return lastIndexOf(a[0], a[1], a[2]) }},
		{Name: "substring", Args: []*Type{StringType, IntType, IntType}, Result: StringType, More: func(a []Value) Value { return substring(a[0].text, a[1].Int(), a[2].Int()) }},
		{Name: "replace", Args: []*Type{StringType, StringType, StringType}, Result: StringType, More: func(a []Value) Value { return replaced(a[0], a[1], a[2], -1) }},
		{Name: "replace", Args: []*Type{StringType, StringType, StringType, IntType}, Result: StringType, More: func(a []Value) Value { return replaced(a[0], a[1], a[2], a[3].Int()) }},
		{Name: "split", Args: []*Type{StringType, StringType, IntType}, Result: ListOf(StringType), More: func(a []Value) Value {
			return textsValue(strings.SplitN(a[0].text, a[1].text, int(a[2].Int())))
		}},
		binary("contains", StringType, StringType, BoolType, about(strings.Contains)),
		binary("startsWith", StringType, StringType, BoolType, about(strings.HasPrefix)),
		binary("endsWith", StringType, StringType, BoolType, about(strings.HasSuffix)),
		costing(binary("matches", StringType, StringType, BoolType, matches), matching),
		binary("charAt", StringType, IntType, StringType, charAt),
		costing(binary("indexOf", StringType, StringType, IntType, func(a, b Value) Value { return indexOf(a, b, IntValue(0)) }), eachByEach),
		costing(binary("lastIndexOf", StringType, StringType, IntType, func(a, b Value) Value {
			n := int64(utf8.RuneCountInString(a.text))
			if b.text == "" {
				return IntValue(n)
			}
			return lastIndexOf(a, b, IntValue(max(n-1, 0)))
		}), eachByEach),
		unary("lowerAscii", StringType, StringType, func(a Value) Value { return StringValue(strings.Map(lowerASCII, a.text)) }),
		unary("upperAscii", StringType, StringType, func(a Value) Value { return StringValue(strings.Map(upperASCII, a.text)) }),
		unary("trim", StringType, StringType, func(a Value) Value { return StringValue(strings.TrimSpace(a.text)) }),
		unary("reverse", StringType, StringType, func(a Value) Value {
			runes := []rune(a.text)
			slices.Reverse(runes)
			return StringValue(string(runes))
		}),
		binary("split", StringType, StringType, ListOf(StringType), func(a, b Value) Value { return textsValue(strings.Split(a.text, b.text)) }),
		unary("join", ListOf(StringType), StringType, func(a Value) Value { return joined(a, "") }),
		binary("join", ListOf(StringType), StringType, StringType, func(a, b Value) Value { return joined(a, b.text) }),
		binary("substring", StringType, IntType, StringType, func(a, b Value) Value {
			return substring(a.text, b.Int(), int64(utf8.RuneCountInString(a.text)))
		}),
	}
	for _, f := range list {
		f.Method = true
	}
	return append(list, costing(binary("matches", StringType, StringType, BoolType, matches), matching))
}

func matches(a, b Value) Value {
	re, err := regexp.Compile(b.text)
	if err != nil {
		return failed("%v", err)
	}
	return BoolValue(re.MatchString(a.text))
}

// matchesLiteral is matches() with a pattern that is written there.
func matchesLiteral(pattern *node, text run) (run, *SyntaxError) {
	re, err := regexp.Compile(pattern.value.text)
	if err != nil {
		return nil, wrong(pattern, "%s", strings.TrimPrefix(err.Error(), "error parsing "))
	}
	steps := sync.OnceValue(func() uint64 { return stepsOf(pattern.value.text) })
	return func(f *frame) Value {
		v := text(f)
		switch {
		case v.special():
			return v
		case v.kind != String:
			return noOverload("matches", v)
		case f.limit > 0 && !f.spend(v.weight()*steps()):
			return without()
		}
		return BoolValue(re.MatchString(v.text))
	}, nil
}

// stepsOf is how many steps the program of a pattern has: it may take each of
// them for each character of a text. One that is none has no steps.
func stepsOf(pattern string) uint64 {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return uint64(len(program.Inst))
}

// The costs of functions that do more than look at their arguments once.

// matching makes the pattern's program, and runs it.
func matching(a, b Value) uint64 { return (1 + a.weight()) * stepsOf(b.text) }

// eachByEach compares each part of one with each part of the other.
func eachByEach(a, b Value) uint64 { return a.weight() * b.weight() }

func itself(a, _ Value) uint64 { return eachByEach(a, a) }

func asMany(a, _ Value) uint64 { return uint64(min(max(a.Int(), 0), maxWeight)) }

// costing gives a function its cost.
func costing(f *Function, cost func(a, b Value) uint64) *Function {
	f.cost = cost
	return f
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
		return costing(binary("sets."+name, listA, listA, BoolType, func(a, b Value) Value { return BoolValue(holds(a.list(), b.list())) }), eachByEach)
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
		}), asMany),
		method(&Function{Name: "slice", Args: []*Type{listA, IntType, IntType}, Result: listA, More: slice}),
		method(unary("flatten", ListOf(listA), listA, func(a Value) Value { return flattened(a, 1) })),
		method(binary("flatten", ListOf(DynType), IntType, ListOf(DynType), func(a, b Value) Value {
			if b.Int() < 0 {
				return failed("level must be non-negative")
			}
			return flattened(a, b.Int())
		})),
		costing(method(unary("distinct", listA, listA, func(a Value) Value {
			var kept values
			for _, v := range a.Elements() {
				if indexIn(kept, v) < 0 {
					kept = append(kept, v)
				}
			}
			return listValue(kept)
		})), itself),
		method(unary("reverse", listA, listA, func(a Value) Value {
			items := all(a.list())
			slices.Reverse(items)
			return listValue(items)
		})),
	}
	for _, t := range []*Type{BoolType, IntType, DoubleType, StringType, TimestampType, DurationType} {
		list = append(list, method(unary("sort", ListOf(t), ListOf(t), func(a Value) Value {
			keyed := make([]entry, 0, a.list().len())
			for _, v := range a.Elements() {
				keyed = append(keyed, entry{v, v})
			}
			return sorted(keyed)
		})))
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
			method(binary(part.name, TimestampType, StringType, IntType, func(a, b Value) Value {
				zone, err := zoneOf(b.text)
				if err != nil {
					return ErrorValue(err)
				}
				return IntValue(int64(part.of(a.time().In(zone))))
			})))
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

// zoneOf is a zone by its name, or by what it is ahead of UTC, such as +02:00.
func zoneOf(name string) (*time.Location, error) {
	hours, minutes, ok := strings.Cut(name, ":")
	if !ok {
		return time.LoadLocation(name)
	}
	h, err := strconv.Atoi(hours)
	if err != nil {
		return nil, err
	}
	m, err := strconv.Atoi(minutes)
	if err != nil {
		return nil, err
	}
	if h < 0 {
		m = -m
	}
	return time.FixedZone(name, (h*60+m)*60), nil
}
