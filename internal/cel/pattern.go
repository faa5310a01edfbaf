package cel

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"unicode/utf8"
)

// Bounds on patterns of expressions that are not trusted, in steps of their
// programs: one pattern, and all that are written in the expressions of an
// environment, with what it takes to read them.
const (
	maxPattern  = 10_000
	maxPatterns = 100_000
	tooBig      = "the pattern is too big"
)

// matches is matches() with a pattern that is only known when it runs. It makes
// the pattern's program, and runs it.
func matches(f *frame, text, pattern string) Value {
	var steps uint64
	if f.budget != nil {
		if !f.spend(readingCost(pattern)) {
			return without()
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			return failed("%.100v", err)
		}
		if steps = stepsOf(parsed); steps > maxPattern {
			return failed(tooBig)
		}
		if !f.spend(steps) || !f.spend(runningCost(steps, text)) {
			return without()
		}
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return failed("%.100v", err)
	}
	return BoolValue(re.MatchString(text))
}

// runningCost is the cost of a program that may take each of its steps for each
// character. It takes most of them for few.
func runningCost(steps uint64, text string) uint64 {
	return 1 + times(steps, textWeight(len(text)))/8
}

// matchesLiteral is matches() with a pattern that is written there.
func (c *checker) matchesLiteral(pattern *node, text run) (run, *SyntaxError) {
	steps, err := c.literalPattern(pattern)
	if err != nil {
		return nil, err
	}
	expression := pattern.value.text
	compiled := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
	if !c.env.proven {
		re, err := regexp.Compile(expression)
		if err != nil {
			return nil, badPattern(pattern, err)
		}
		compiled = func() *regexp.Regexp { return re }
	}
	return func(f *frame) Value {
		v := text(f)
		switch {
		case v.special():
			return v
		case v.kind != String:
			return noOverload("matches", v)
		case f.budget != nil && !f.spend(runningCost(steps, v.text)):
			return without()
		}
		return BoolValue(compiled().MatchString(v.text))
	}, nil
}

func badPattern(n *node, err error) *SyntaxError {
	return wrong(n, "%.200s", strings.TrimPrefix(err.Error(), "error parsing "))
}

// literalPattern refuses a pattern that is too big, before its program is made,
// and gives the program's steps. It knows them of metered expressions only.
func (c *checker) literalPattern(pattern *node) (steps uint64, err *SyntaxError) {
	total := c.env.patterns
	if total == nil {
		return 0, nil
	}
	if !total.Spend(readingCost(pattern.value.text)) {
		return 0, wrong(pattern, tooBig)
	}
	parsed, wrongPattern := syntax.Parse(pattern.value.text, syntax.Perl)
	if wrongPattern != nil {
		return 0, badPattern(pattern, wrongPattern)
	}
	steps = stepsOf(parsed)
	if steps > maxPattern || !total.Spend(steps) {
		return 0, wrong(pattern, tooBig)
	}
	return steps, nil
}

// What parsing a class takes: the tables of Unicode are long, and where case
// does not count each character of a range is looked up.
const (
	tableCost       = 500
	foldedTableCost = 5000
	lastFolded      = 0x1e943 // the last character that has a case
)

// foldedRangeCost is the cost of a range that ends and begins where the texts
// meet. What is escaped may be any character.
func foldedRangeCost(before, after string) uint64 {
	from, _ := utf8.DecodeLastRuneInString(before)
	to, _ := utf8.DecodeRuneInString(after)
	if to == '\\' || to > lastFolded {
		to = lastFolded
	}
	return uint64(max(to-from, 0)+0x80) / 4
}

// readingCost estimates what it takes to parse a pattern, before that is done.
func readingCost(pattern string) uint64 {
	cost := uint64(len(pattern))
	folded := foldsCase(pattern)
	table := uint64(tableCost)
	if folded {
		table = foldedTableCost
	}
	for i := 0; i+1 < len(pattern); i++ {
		next := pattern[i+1]
		switch c := pattern[i]; {
		case c == '\\' && (next == 'p' || next == 'P'):
			cost += table
		case c == '-' && folded:
			cost += foldedRangeCost(pattern[:i], pattern[i+1:])
		}
	}
	return cost
}

// foldsCase reports whether a pattern may have the flag i somewhere.
func foldsCase(pattern string) bool {
	_, rest, found := strings.Cut(pattern, "(?")
	for found {
		if strings.HasPrefix(strings.TrimLeft(rest, "msU-"), "i") {
			return true
		}
		_, rest, found = strings.Cut(rest, "(?")
	}
	return false
}

// stepsOf is how many steps the program of a pattern will have, and the more the
// longer its classes are.
func stepsOf(re *syntax.Regexp) uint64 {
	var below uint64
	for _, sub := range re.Sub {
		below = min(below+stepsOf(sub), 1<<60)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return uint64(len(re.Rune))
	case syntax.OpCharClass:
		return 1 + uint64(len(re.Rune)/32)
	case syntax.OpRepeat:
		count, each := max(re.Min, re.Max), below
		if re.Max != re.Min {
			each++ // the step that leaves one out
		}
		return 1 + min(times(uint64(count), each), 1<<60)
	case syntax.OpAlternate:
		return below + uint64(len(re.Sub))
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		return below + 2
	case syntax.OpConcat:
		return below
	}
	return 1
}
