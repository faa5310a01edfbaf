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

// expand replaces {name} in a text by evidence.
func expand(text string, subject string, evidence map[string]any) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return placeholder().ReplaceAllStringFunc(text, func(m string) string {
		name := m[1 : len(m)-1]
		if name == "subject" {
			return subject
		}
		if !identifier().MatchString(name) {
			return m
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

// unsafeWord matches text that a shell would not take as it stands: one with
// characters that mean something there, and a path with a space in it.
var unsafeWord = lazy(`[\x00-\x1f\x7f"'$&;|<>(){}*?!#~\\` + "`" + `]|^/.*\s`)

// quoteWords makes evidence safe to stand in a line that somebody copies to a
// shell: names and paths come from whoever deployed the container.
func quoteWords(v any) any {
	switch x := v.(type) {
	case string:
		if !unsafeWord().MatchString(x) {
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
