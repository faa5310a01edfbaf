package secret

import (
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// rule is one of gitleaks' rules. A secret is what its pattern's group matches; group 0
// is the first that is not empty, or all where there is none.
type rule struct {
	id, pattern, path string
	entropy           float64
	group             int
	keywords          []string // in lower case; one of them is in each match
	allow             []allow
}

// allow says what is no secret: by its path, by patterns of the secret, the whole match
// or its line, and by words in the secret. One of them does, or all where all is set.
type allow struct {
	all                        bool
	target                     string
	paths, patterns, stopwords []string
}

// generic is the rule that goes by the name that a value is given to, and is most often
// wrong.
const generic = "generic-api-key"

// matcher is a rule compiled when something first needs it. Many may use it.
type matcher struct {
	rule   *rule
	re     func() *regexp.Regexp
	path   func() *regexp.Regexp
	reach  func() reach
	weight func() int
	allows []allower
}

type allower struct {
	*allow
	path, pattern func() *regexp.Regexp
}

var (
	matchers = sync.OnceValue(func() []matcher {
		list := make([]matcher, len(packed))
		for n := range packed {
			r := &packed[n]
			m := matcher{rule: r, re: lazily(r.pattern), path: lazily(r.path)}
			m.reach = sync.OnceValue(func() reach { return reachOf(r) })
			m.weight = sync.OnceValue(func() int { return weightOf(r) })
			for i := range r.allow {
				m.allows = append(m.allows, newAllower(&r.allow[i]))
			}
			list[n] = m
		}
		return list
	})
	allowedEverywhere = sync.OnceValue(func() allower { return newAllower(&packedAllow) })
)

// lazily compiles a pattern, or the alternatives of several, when it is first asked for;
// nil is for none.
func lazily(patterns ...string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp {
		if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" {
			return nil
		}
		return regexp.MustCompile("(?:" + strings.Join(patterns, ")|(?:") + ")")
	})
}

func newAllower(a *allow) allower {
	return allower{a, lazily(a.paths...), lazily(a.patterns...)}
}

// allowsPath is true where the path alone decides.
func (a allower) allowsPath(path string) bool {
	re := a.path()
	return re != nil && re.MatchString(path) && !(a.all && len(a.patterns)+len(a.stopwords) > 0)
}

// allows is true for what is no secret.
func (a allower) allows(path, secret, match, line string) bool {
	var checks, passed int
	check := func(there bool, passes func() bool) {
		if there {
			checks++
			if (a.all || passed == 0) && passes() {
				passed++
			}
		}
	}
	target := secret
	switch a.target {
	case "match":
		target = match
	case "line":
		target = line
	}
	check(len(a.paths) > 0, func() bool { return a.path().MatchString(path) })
	check(len(a.patterns) > 0, func() bool { return a.pattern().MatchString(target) })
	check(len(a.stopwords) > 0, func() bool {
		lower := strings.ToLower(secret)
		for _, w := range a.stopwords {
			if strings.Contains(lower, w) {
				return true
			}
		}
		return false
	})
	return passed > 0 && (!a.all || passed == checks)
}

// secretOf is what of a match is the secret, as places in it.
func (m *matcher) secretOf(at []int) (from, to int) {
	if n := m.rule.group; n > 0 {
		return at[2*n], at[2*n+1]
	}
	for i := 2; i < len(at); i += 2 {
		if at[i+1] > at[i] {
			return at[i], at[i+1]
		}
	}
	return at[0], at[1]
}

// entropy is Shannon's, in bits a character.
func entropy(text string) float64 {
	counts := map[rune]float64{}
	n := 0.0
	for _, r := range text {
		counts[r]++
		n++
	}
	sum := 0.0
	for _, c := range counts {
		sum -= c / n * math.Log2(c/n)
	}
	return sum
}

// reach is how far a match may go before the beginning of a keyword in it, and behind
// that: what has to be looked at.
type reach struct{ before, behind int }

const (
	// endless is the reach of a pattern without a bound.
	endless = 8 << 10
	// unbounded marks a length without bound.
	unbounded = -1
)

// reachOf tells by a rule's pattern how far its matches go from a keyword.
func reachOf(r *rule) reach {
	tree, err := syntax.Parse(r.pattern, syntax.Perl)
	if err != nil {
		panic("secret: " + r.id + ": " + err.Error()) // every pattern is tried by a test
	}
	longest := 0
	for _, w := range r.keywords {
		longest = max(longest, len(w))
	}
	n := lengthOf(tree)
	if n != unbounded && n <= endless {
		return reach{n + 1, n + 1}
	}
	before := beginningOf(tree) + longest
	return reach{min(before, endless) + 1, endless}
}

// weightOf is how many times as long as a small pattern this one takes for a byte, at
// worst: each instruction of its program may be at work.
func weightOf(r *rule) int {
	tree, err := syntax.Parse(r.pattern, syntax.Perl)
	if err != nil {
		panic("secret: " + r.id + ": " + err.Error()) // every pattern is tried by a test
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		panic("secret: " + r.id + ": " + err.Error())
	}
	weight := 1 + len(program.Inst)/100
	if hasAnything(tree) {
		weight *= 16 // measured: 3 microseconds a byte
	}
	return weight
}

// hasAnything is true for a pattern with a dot and a star: all that is begun stays at work.
func hasAnything(re *syntax.Regexp) bool {
	if (re.Op == syntax.OpStar || re.Op == syntax.OpPlus) && (re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL) {
		return true
	}
	return slices.ContainsFunc(re.Sub, hasAnything)
}

// lengthOf is how many bytes the longest match has.
func lengthOf(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		n := 0
		for _, r := range re.Rune {
			n += utf8.RuneLen(r)
			if re.Flags&syntax.FoldCase != 0 {
				n += 2 // the longest that folds to a letter of ASCII has three bytes
			}
		}
		return n
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return 0
		}
		return utf8.RuneLen(re.Rune[len(re.Rune)-1])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax
	case syntax.OpStar, syntax.OpPlus:
		return unbounded
	case syntax.OpRepeat:
		n := lengthOf(re.Sub[0])
		if re.Max < 0 || n == unbounded {
			return unbounded
		}
		return re.Max * n
	case syntax.OpCapture, syntax.OpQuest:
		return lengthOf(re.Sub[0])
	case syntax.OpConcat, syntax.OpAlternate:
		sum, most := 0, 0
		for _, sub := range re.Sub {
			n := lengthOf(sub)
			if n == unbounded {
				return unbounded
			}
			sum, most = sum+n, max(most, n)
		}
		if re.Op == syntax.OpConcat {
			return sum
		}
		return most
	}
	return 0 // what stands between characters
}

// beginningOf is how many bytes a match may have before its first part without a bound;
// the keywords of such rules stand there.
func beginningOf(re *syntax.Regexp) int {
	if n := lengthOf(re); n != unbounded {
		return n
	}
	n := 0
	switch re.Op {
	case syntax.OpCapture:
		return beginningOf(re.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			n = max(n, beginningOf(sub))
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			n += beginningOf(sub)
			if lengthOf(sub) == unbounded {
				break
			}
		}
	}
	return n
}
