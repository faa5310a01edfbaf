package secret

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestAutomaton: all keywords that a plain search finds are found, and no others, also
// those that are in each other and in capitals.
func TestAutomaton(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var words []string
		for range 1 + r.IntN(8) {
			words = append(words, randomOf(r, "ab-", 1+r.IntN(5)))
		}
		slices.Sort(words)
		words = slices.Compact(words)
		text := randomOf(r, "abAB-x", r.IntN(60))
		var got, want []string
		newAutomaton(words).find([]byte(text), func(w uint16, end int) { got = append(got, fmt.Sprint(words[w], end)) })
		for _, w := range words {
			for end := len(w); end <= len(text); end++ {
				if strings.EqualFold(text[end-len(w):end], w) {
					want = append(want, fmt.Sprint(w, end))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q in %q (-want +got):\n%s", words, text, diff)
		}
	}
}

func randomOf(r *rand.Rand, alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// sample is a random text that a pattern matches, but for what it says of borders.
func sample(r *rand.Rand, re *syntax.Regexp, to *strings.Builder) {
	times := func(low, high int) {
		if high < 0 || high > low+30 {
			high = low + 30
		}
		for range low + r.IntN(high-low+1) {
			sample(r, re.Sub[0], to)
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, c := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && r.IntN(4) == 0 && c < utf8.RuneSelf {
				to.WriteString(strings.ToUpper(string(c)))
			} else {
				to.WriteRune(c)
			}
		}
	case syntax.OpCharClass:
		// Letters of ASCII where there are some, as real texts have them.
		var runes []rune
		for i := 0; i < len(re.Rune); i += 2 {
			for c := re.Rune[i]; c <= re.Rune[i+1] && c < utf8.RuneSelf; c++ {
				runes = append(runes, c)
			}
		}
		if len(runes) > 0 {
			to.WriteRune(runes[r.IntN(len(runes))])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		to.WriteByte("a ..."[r.IntN(5)])
	case syntax.OpStar:
		times(0, -1)
	case syntax.OpPlus:
		times(1, -1)
	case syntax.OpQuest:
		times(0, 1)
	case syntax.OpRepeat:
		times(re.Min, re.Max)
	case syntax.OpAlternate:
		sample(r, re.Sub[r.IntN(len(re.Sub))], to)
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			sample(r, sub, to)
		}
	}
}

// plainly is what a rule finds when its pattern is tried on all of a text, as gitleaks
// does.
func plainly(m *matcher, text []byte) []hit {
	s := &scan{text: text, most: 1000}
	if !slices.ContainsFunc(m.rule.keywords, func(w string) bool { return bytes.Contains(bytes.ToLower(text), []byte(w)) }) {
		return nil
	}
	for _, at := range m.re().FindAllSubmatchIndex(text, -1) {
		s.match(m, 0, at)
	}
	return s.hits
}

// TestWindows: for each rule, what its pattern finds in a whole text is found around the
// keywords, wherever the text is long; so no look before the pattern is too strict.
func TestWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	all := matchers()
	for n := range all {
		m := &all[n]
		if m.rule.pattern == "" || m.rule.id == privateKey {
			continue
		}
		tree, err := syntax.Parse(m.rule.pattern, syntax.Perl)
		if err != nil {
			t.Fatalf("%s: %v", m.rule.id, err)
		}
		found, tries := 0, 0
		for tries = 0; tries < 100 && found < 5; tries++ {
			var b strings.Builder
			sample(r, tree, &b)
			if anywhere[m.rule.id] {
				b.WriteString("\n" + m.rule.keywords[0])
			}
			text := []byte(randomOf(r, "abcdefg =:\n", r.IntN(1000)) + "\n" + b.String() + "\n" + randomOf(r, "abcdefg =:\n", r.IntN(10000)))
			want := plainly(m, text)
			s := &scan{text: text, budget: 1 << 30, most: 1000}
			windows := s.windows()[uint16(n)]
			if m.rule.path != "" {
				s.path = map[string]string{`(?i)\.php$`: "/a.php", `(?i)\.(?:tf|hcl)$`: "/a.tf", `(?i)\.ya?ml$`: "/a.yaml", `(?i)nuget\.config$`: "/nuget.config"}[m.rule.path]
				if s.path == "" {
					t.Fatalf("%s has the path %s", m.rule.id, m.rule.path)
				}
			}
			s.rule(m, windows)
			if diff := cmp.Diff(want, s.hits, cmp.AllowUnexported(hit{})); diff != "" {
				t.Fatalf("%s in %q (-want +got):\n%s", m.rule.id, b.String(), diff)
			}
			found += len(want)
		}
		if found == 0 {
			t.Errorf("%s: nothing found in %d texts", m.rule.id, tries)
		}
	}
}
