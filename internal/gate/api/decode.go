package api

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Decode reads the body of a request to e, of a version of the API. 0, where the path
// has none, is whatever the engine's newest is: a key of any version may be there.
// tree is to be forwarded, by [Encode]; it is nil where there is no body, and then
// nothing is to be forwarded. body is a pointer to a value of
// e.Body.Type, filled from the very same text, and nil for an endpoint that takes no
// JSON.
//
// It refuses, naming the key: a key given twice or in another case; a key that the
// API does not have, or not in this version, with a value; anything that does not
// fit its place; anything after the value; bytes that are no Unicode text. A key
// that the API does not have and that says nothing (null, false, 0, "", [] or {}),
// as SDKs send for what they have dropped, is taken out of the tree; so is what
// belongs into the query, and is there too where it comes from dockerode. The few
// keys that docker-py spells otherwise than the API are spelt right in the tree.
func Decode(e *Endpoint, v Version, data []byte) (tree *strict.Value, body any, refusal *Refusal) {
	if e.Body.Kind == None {
		return nil, nil, e.decodeNone(data)
	}
	if e.Body.Kind != JSON {
		return nil, nil, nil
	}
	into := reflect.New(e.Body.Type)
	if len(data) == 0 {
		return nil, into.Interface(), nil
	}
	if values(data) > maxValues {
		return nil, nil, refuse(413, e.String()+": the body has more than the "+strconv.Itoa(maxValues)+" values that one may have; send less")
	}
	tree, err := strict.Tree("", data)
	if err != nil {
		return nil, nil, e.badJSON(err)
	}
	c := checker{endpoint: e, version: v, root: tree}
	if refusal := c.check(tree, e.Body.Type); refusal != nil {
		return nil, nil, refusal
	}
	if c.renamed {
		// So that the body is filled from what is forwarded.
		if tree, err = strict.Tree("", Encode(tree)); err != nil {
			return nil, nil, e.badJSON(err)
		}
	}
	if err := tree.Decode(into.Interface()); err != nil {
		return nil, nil, e.badJSON(err)
	}
	return tree, into.Interface(), nil
}

// maxValues is how many values a body may have: what is read of one takes fifty times the
// bytes of the shortest. A large stack has some thousand.
const maxValues = 100_000

// values counts the values and keys in a JSON text, about, and no fewer than there are.
func values(data []byte) int {
	n, inText := 1, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inText = !inText
		case c == '\\' && inText:
			i++
		case !inText && (c == ',' || c == ':' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// decodeNone looks at a body where none belongs. Some clients, dockerode for one,
// send an empty object, or the parameters of the query once more; the engine reads
// nothing of it, and neither is it forwarded.
func (e *Endpoint) decodeNone(data []byte) *Refusal {
	if len(data) == 0 {
		return nil
	}
	if values(data) > maxValues {
		return refuse(413, e.String()+" takes no body; send none")
	}
	tree, err := strict.Tree("", data)
	if err != nil {
		return e.badJSON(err)
	}
	if tree.Kind != strict.Object && tree.Kind != strict.Null {
		return refuse(400, e.String()+" takes no body; send none")
	}
	for _, m := range tree.Members {
		if e.param(m.Key) < 0 && !sayNothing(m.Value) {
			return refuse(400, e.String()+" takes no body, and this one has "+show(m.Key)+"; send none")
		}
	}
	return nil
}

func (e *Endpoint) badJSON(err error) *Refusal {
	message := e.String() + ": reading the body: " + err.Error()
	var at *strict.Error
	if errors.As(err, &at) {
		if at.Field != "" && !strings.Contains(at.Msg, at.Field) {
			message += ", in " + show(at.Field)
		}
		if at.Hint != "" {
			message += "; " + at.Hint
		}
	}
	return refuse(400, message)
}

// checker looks through a tree before it is decoded.
type checker struct {
	endpoint *Endpoint
	version  Version
	root     *strict.Value
	renamed  bool // a key is spelt otherwise in the tree than in its text
}

// check refuses keys of v that its type does not have, and takes out what says
// nothing. Kinds that do not fit are left to decoding.
func (c *checker) check(v *strict.Value, t reflect.Type) *Refusal {
	t, ok := inside(t)
	if !ok {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return c.checkObject(v, shapeOf(t))
	case reflect.Map:
		for _, m := range v.Members {
			if refusal := c.check(m.Value, t.Elem()); refusal != nil {
				return refusal
			}
		}
	case reflect.Slice:
		for _, item := range v.Items {
			if refusal := c.check(item, t.Elem()); refusal != nil {
				return refusal
			}
		}
	}
	return nil
}

func (c *checker) checkObject(v *strict.Value, s *shape) *Refusal {
	kept := v.Members[:0]
	for _, m := range v.Members {
		if right := s.also[m.Key]; right != "" {
			if v.Get(right) != nil {
				return c.refuse(v, m.Key, "is there beside "+right+", which it is another spelling of; keep one of them")
			}
			m.Key, c.renamed = right, true
		}
		k, known := s.keys[m.Key]
		switch {
		case known && k.unread:
			continue
		case known && c.version.within(k.since, k.last):
			if refusal := c.check(m.Value, k.typ); refusal != nil {
				return refusal
			}
		case known && !isZero(m.Value, k.typ):
			return c.refuse(v, m.Key, "is in API "+k.since.String()+" to "+k.last.String()+", and the path asks for "+c.version.String()+
				"; leave it out, or set DOCKER_API_VERSION="+max(k.since, min(k.last, c.version)).String())
		case known:
		case s.folded[strict.Fold(m.Key)] != "":
			return c.refuse(v, m.Key, "is another spelling of "+s.folded[strict.Fold(m.Key)]+"; write it like that, once")
		case sayNothing(m.Value), v == c.root && c.endpoint.param(m.Key) >= 0:
			continue
		default:
			return c.refuse(v, m.Key, "is not in the Engine API "+Oldest.String()+" to "+Newest.String()+"; leave it out"+c.meant(m.Key, s))
		}
		kept = append(kept, m)
	}
	clear(v.Members[len(kept):])
	v.Members = kept
	return nil
}

// meant says what was probably meant by a key that is not known.
func (c *checker) meant(key string, s *shape) string {
	var known []string
	for _, name := range slices.Sorted(maps.Keys(s.keys)) {
		k := s.keys[name]
		if t, ok := inside(k.typ); ok && t.Kind() == reflect.Struct {
			if _, below := shapeOf(t).keys[key]; below {
				return ", or put it into " + name // as of HostConfig, before API 1.15
			}
		}
		if c.version.within(k.since, k.last) && !k.unread {
			known = append(known, name)
		}
	}
	if near := strict.Nearest(key, known); near != "" {
		return ", or write " + near
	}
	return ""
}

func (c *checker) refuse(v *strict.Value, key, why string) *Refusal {
	where := ""
	if path := v.Path(); path != "" {
		where = " in " + show(path)
	}
	return refuse(400, c.endpoint.String()+": the body's key "+show(key)+where+" "+why)
}

// sayNothing reports whether a value is what a key is set to that is not used.
func sayNothing(v *strict.Value) bool {
	switch v.Kind {
	case strict.Array, strict.Object:
		return len(v.Items)+len(v.Members) == 0
	}
	switch string(v.Raw()) {
	case "null", "false", "0", `""`:
		return true
	}
	return false
}

// isZero reports whether a value leaves a field of the type as it is without it. Of
// a pointer only null does: it keeps 0 and absent apart.
func isZero(v *strict.Value, t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return v.Kind == strict.Null
	}
	return sayNothing(v)
}

// Encode writes a tree that Decode gave as JSON: every value as it was written, each
// key as it was meant. Nil, for no body, is none. What is put into the tree meanwhile
// may come from other trees.
func Encode(tree *strict.Value) []byte {
	if tree == nil {
		return nil
	}
	return appendValue(make([]byte, 0, len(tree.Raw())), tree)
}

func appendValue(out []byte, v *strict.Value) []byte {
	switch v.Kind {
	case strict.Object:
		out = append(out, '{')
		for i, m := range v.Members {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendText(out, m.Key), ':')
			out = appendValue(out, m.Value)
		}
		return append(out, '}')
	case strict.Array:
		out = append(out, '[')
		for i, item := range v.Items {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendValue(out, item)
		}
		return append(out, ']')
	}
	return append(out, v.Raw()...)
}

// appendText quotes a key, with the escapes that RFC 8259, section 7, demands.
func appendText(out []byte, text string) []byte {
	const digits = "0123456789abcdef"
	out = append(out, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}
