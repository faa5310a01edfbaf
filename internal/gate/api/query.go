package api

import (
	"reflect"
	"strings"
)

// Query is the query of a request, in its order, decoded. Filters stay the JSON that
// they are.
type Query []Value

// Value is one parameter of a query.
type Value struct{ Name, Value string }

// Get gives the value of a parameter, the first where there may be many; empty where
// there is none.
func (q Query) Get(name string) string {
	for _, v := range q {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// All gives each value of a parameter.
func (q Query) All(name string) (values []string) {
	for _, v := range q {
		if v.Name == name {
			values = append(values, v.Value)
		}
	}
	return values
}

// Has reports whether a parameter is there, be it empty.
func (q Query) Has(name string) bool {
	for _, v := range q {
		if v.Name == name {
			return true
		}
	}
	return false
}

// Bool reads a parameter as the engine reads all that are true or false: what says
// no, in any case, and nothing at all are false, and everything else is true.
func (q Query) Bool(name string) bool {
	switch strings.ToLower(strings.TrimSpace(q.Get(name))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

// readQuery reads the query of a request as net/url's ParseQuery does, and refuses
// what that leaves out silently, and a parameter given twice of which the engine
// reads the first. Of a mutation every parameter must be known.
func readQuery(e *Endpoint, v Version, text string) (Query, *Refusal) {
	if text == "" {
		return nil, nil
	}
	q := make(Query, 0, 1+strings.Count(text, "&"))
	var seen uint64 // a bit for each of the endpoint's parameters
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, ok := decodeQuery(rawName)
		value, okValue := decodeQuery(rawValue)
		if !ok || !okValue {
			return nil, refuse(400, "the query has "+show(pair)+", which is not encoded as a parameter; percent-encode its name and value, also ; and #")
		}
		at := e.param(name)
		switch {
		case at < 0 && e.Effect == Mutate && e.inBody(name):
			continue // dockerode puts what is for the body into the query too, where the engine reads nothing of it
		case at < 0 && e.Effect == Mutate:
			return nil, e.unknown(name)
		case at >= 0 && e.Effect == Mutate && !v.within(e.Query[at].Since, e.Query[at].Last):
			return nil, refuse(400, e.String()+": the parameter "+show(name)+" is in API "+e.Query[at].Since.String()+" to "+e.Query[at].Last.String()+
				", and the path asks for "+v.String()+"; leave it out, or ask for a version that has it")
		case at >= 0 && !e.Query[at].Many && seen&(1<<at) != 0:
			return nil, refuse(400, e.String()+": the parameter "+show(name)+" is given twice, and the engine would read one of them; leave one out")
		case at >= 0:
			seen |= 1 << at
		}
		q = append(q, Value{name, value})
	}
	return q, nil
}

func (e *Endpoint) param(name string) int {
	for i := range e.Query {
		if e.Query[i].Name == name {
			return i
		}
	}
	return -1
}

// inBody reports whether the body has a key of the name.
func (e *Endpoint) inBody(name string) bool {
	if e.Body.Kind != JSON || e.Body.Type.Kind() != reflect.Struct {
		return false
	}
	_, has := shapeOf(e.Body.Type).keys[name]
	return has
}

// unknown refuses a parameter, and says which was meant or what is known.
func (e *Endpoint) unknown(name string) *Refusal {
	message := e.String() + " has no parameter " + show(name)
	var known []string
	for _, p := range e.Query {
		if strings.EqualFold(p.Name, name) {
			return refuse(400, message+"; write "+p.Name)
		}
		known = append(known, p.Name)
	}
	if known == nil {
		return refuse(400, message+"; it has none: leave it out")
	}
	return refuse(400, message+"; leave it out. It has "+strings.Join(known, ", "))
}

// decodeQuery decodes a name or value: + is a blank, and every other byte that may
// stand in a query stands for itself (RFC 3986, section 3.4). A semicolon separated
// parameters once, and does for some readers still.
func decodeQuery(text string) (string, bool) {
	plain := true
	for i := range len(text) {
		switch c := text[i]; {
		case c == '%' || c == '+':
			plain = false
		case c <= ' ' || c == ';' || c == '#' || c >= 0x7f:
			return "", false
		}
	}
	if plain {
		return text, true
	}
	decoded := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '%':
			var ok bool
			if c, ok = percent(text, i); !ok {
				return "", false
			}
			i += 2
		case '+':
			c = ' '
		}
		decoded = append(decoded, c)
	}
	return string(decoded), true
}
