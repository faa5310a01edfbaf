package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/cel"
)

// sentence writes a value into a message: a list as "a, b and c".
func sentence(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case []any:
		words := make([]string, len(x))
		for i, e := range x {
			words[i] = sentence(e)
		}
		if len(words) < 2 {
			return strings.Join(words, "")
		}
		return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
	case map[string]any:
		words := make([]string, 0, len(x))
		for k, e := range x {
			words = append(words, k+"="+sentence(e))
		}
		slices.Sort(words)
		return strings.Join(words, ", ")
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// fillIn replaces each {name} in a text, where name is an identifier.
func fillIn(text string, value func(name string) string) string {
	open := strings.IndexByte(text, '{')
	if open < 0 {
		return text
	}
	var b strings.Builder
	for ; open >= 0; open = strings.IndexByte(text, '{') {
		b.WriteString(text[:open])
		text = text[open:]
		end := strings.IndexAny(text[1:], "{}") + 1
		if name := text[1:max(1, end)]; end > 0 && text[end] == '}' && isIdentifier(name) {
			filled := value(name)
			text = text[end+1:]
			// What has quotes of its own takes those around it for its own.
			if strings.HasSuffix(b.String(), "'") && strings.HasPrefix(text, "'") && len(filled) > 1 && filled[0] == '\'' && strings.HasSuffix(filled, "'") {
				filled = filled[1 : len(filled)-1]
			}
			b.WriteString(filled)
			continue
		}
		b.WriteByte('{')
		text = text[1:]
	}
	b.WriteString(text)
	return b.String()
}

// maxName is how long a name may be.
const maxName = 100

// isIdentifier reports whether a name may stand in an expression: small
// letters, digits and underscores, a letter first.
func isIdentifier(name string) bool {
	if len(name) > maxName {
		return false
	}
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// expand replaces {name} in a text by evidence, each time for its length.
func expand(text string, subject string, evidence map[string]any, budget *cel.Budget) string {
	if budget != nil && strings.Contains(text, "{") && !budget.Spend(uint64(len(text))) {
		return ""
	}
	return fillIn(text, func(name string) string {
		v, ok := evidence[name]
		switch {
		case name == "subject":
			v = subject
		case !ok:
			return "what was not observed"
		}
		if budget != nil && !budget.Spend(lengthOf(v)) {
			return ""
		}
		return sentence(v)
	})
}

// lengthOf is about how long a value is in a sentence.
func lengthOf(v any) uint64 {
	length := uint64(10)
	switch x := v.(type) {
	case string:
		length += uint64(len(x))
	case []any:
		for _, e := range x {
			length += lengthOf(e)
		}
	case map[string]any:
		for k, e := range x {
			length += uint64(len(k)) + lengthOf(e)
		}
	}
	return length
}

// lazy compiles an expression when it is first used: compiling all of them would
// make every start of the program slower.
func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// isUnsafeWord reports whether a shell would not take a text as it stands: one
// with characters that mean something there, or a path with a space in it.
func isUnsafeWord(text string) bool {
	special := func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune("\"'$&;|<>(){}*?!#~\\`", r) }
	return strings.ContainsFunc(text, special) || strings.HasPrefix(text, "/") && strings.Contains(text, " ")
}

// quoteWords makes evidence safe to stand in a line that somebody copies to a
// shell: names and paths come from whoever deployed the container.
func quoteWords(v any) any {
	switch x := v.(type) {
	case string:
		if !isUnsafeWord(x) {
			return x
		}
		plain := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f {
				return '?'
			}
			return r
		}, x)
		return "'" + strings.ReplaceAll(plain, "'", `'\''`) + "'"
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = quoteWords(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[sentence(quoteWords(k))] = quoteWords(e)
		}
		return out
	}
	return v
}
