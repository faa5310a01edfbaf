package rule

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// fieldNames are the names of all facts, for "did you mean".
var fieldNames = sync.OnceValue(func() []string {
	seen := map[string]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch {
		case t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer:
			walk(t.Elem())
		case t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]():
			for i := range t.NumField() {
				if name := t.Field(i).Tag.Get("json"); name != "-" {
					seen[name] = true
					walk(t.Field(i).Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[facts.Facts]())
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
})

// composite is native for what is not a single value.
func composite(v ref.Val) any {
	switch x := v.(type) {
	case types.Timestamp:
		return x.Time.UTC().Format(time.RFC3339)
	case types.Duration:
		return x.Duration.String()
	case traits.Mapper:
		out := map[string]any{}
		for it := x.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			out[fmt.Sprint(native(key))] = native(x.Get(key))
		}
		return out
	case traits.Lister:
		out := []any{}
		for it := x.Iterator(); it.HasNext() == types.True; {
			out = append(out, native(it.Next()))
		}
		return out
	}
	return fmt.Sprint(v.Value())
}

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

// isIdentifier reports whether a name may stand in an expression: small
// letters, digits and underscores, a letter first.
func isIdentifier(name string) bool {
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != ""
}

// expand replaces {name} in a text by evidence.
func expand(text string, subject string, evidence map[string]any) string {
	return fillIn(text, func(name string) string {
		if name == "subject" {
			return subject
		}
		if v, ok := evidence[name]; ok {
			return sentence(v)
		}
		return "what was not observed"
	})
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
	}
	return v
}
