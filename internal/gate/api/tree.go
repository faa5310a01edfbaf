package api

import "strings"

// node is a place in the tree of all patterns. From it lead fixed words, a variable
// of one segment, and a variable of one or more segments, which ends the path or has
// one fixed word behind it.
type node struct {
	words map[string]*node
	one   *node
	many  byMethod
	tails map[string]byMethod
	ends  byMethod
}

// byMethod has the endpoint for each method.
type byMethod [5]*Endpoint

var methods = [len(byMethod{})]string{"GET", "HEAD", "POST", "PUT", "DELETE"}

// of gives the endpoint for a method, spelt as RFC 9110 does, or nil.
func (b *byMethod) of(method string) *Endpoint {
	for i, m := range methods {
		if m == method {
			return b[i]
		}
	}
	return nil
}

func (b *byMethod) set(e *Endpoint) {
	for i, m := range methods {
		if m == e.Method {
			b[i] = e
		}
	}
}

// options is the route of every OPTIONS request.
var options *Endpoint

var routes = func() *node {
	root := &node{}
	for i := range table {
		e := &table[i]
		if e.Method == "OPTIONS" {
			options = e
			continue
		}
		root.add(e, e.segments)
	}
	return root
}()

func (n *node) add(e *Endpoint, segments []string) {
	switch {
	case len(segments) == 0:
		n.ends.set(e)
	case strings.HasSuffix(segments[0], "...}") && len(segments) == 1:
		n.many.set(e)
	case strings.HasSuffix(segments[0], "...}"):
		if n.tails == nil {
			n.tails = map[string]byMethod{}
		}
		tail := n.tails[segments[1]]
		tail.set(e)
		n.tails[segments[1]] = tail
	case strings.HasPrefix(segments[0], "{"):
		if n.one == nil {
			n.one = &node{}
		}
		n.one.add(e, segments[1:])
	default:
		if n.words == nil {
			n.words = map[string]*node{}
		}
		if n.words[segments[0]] == nil {
			n.words[segments[0]] = &node{}
		}
		n.words[segments[0]].add(e, segments[1:])
	}
}

// find looks for the endpoint of a path, which is given without the slash before it,
// and notes its variables from the index next on. A fixed word goes before a
// variable; where it leads nowhere, as /containers/json/start does, the variable is
// tried: a container may be named json.
func (n *node) find(method, path string, values *[maxVariables]string, next int) *Endpoint {
	first, rest, more := strings.Cut(path, "/")
	if below := n.words[first]; below != nil {
		if e := below.follow(method, rest, more, values, next); e != nil {
			return e
		}
	}
	if first == "" {
		return nil
	}
	if n.one != nil {
		values[next] = first
		if e := n.one.follow(method, rest, more, values, next+1); e != nil {
			return e
		}
	}
	if strings.HasSuffix(path, "/") {
		return nil
	}
	if last := strings.LastIndexByte(path, '/'); last >= 0 {
		if tail, ok := n.tails[path[last+1:]]; ok {
			if e := tail.of(method); e != nil {
				values[next] = path[:last]
				return e
			}
		}
	}
	if e := n.many.of(method); e != nil {
		values[next] = path
		return e
	}
	return nil
}

func (n *node) follow(method, rest string, more bool, values *[maxVariables]string, next int) *Endpoint {
	if !more {
		return n.ends.of(method)
	}
	return n.find(method, rest, values, next)
}
