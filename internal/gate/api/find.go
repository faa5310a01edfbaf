package api

import (
	"strings"
	"unicode/utf8"
)

// Match is a request line that was understood.
type Match struct {
	Endpoint *Endpoint
	Version  Version // 0 where the path has none
	Query    Query

	values [maxVariables]string
}

// maxVariables is the most that a pattern has: checkpoints have a container's and
// their own.
const maxVariables = 2

// Var is a variable of the path, such as id, decoded; empty where the pattern has
// none of the name.
func (m *Match) Var(name string) string {
	for i, n := range m.Endpoint.variables {
		if n == name {
			return m.values[i]
		}
	}
	return ""
}

// Find understands the method and the target of a request line, or refuses them.
// The target is to be forwarded as it is.
func Find(method, target string) (Match, *Refusal) {
	path, query, _ := strings.Cut(target, "?")
	if refusal := canonical(path); refusal != nil {
		return Match{}, refusal
	}
	var m Match
	rest := path[1:]
	first, after, more := strings.Cut(rest, "/")
	v, refusal, versioned := readVersion(first)
	switch {
	case refusal != nil:
		return Match{}, refusal
	case versioned && !more:
		return Match{}, notFound(method, path)
	case versioned:
		m.Version, rest = v, after
	}
	if method == "OPTIONS" {
		// The engine has one handler for all of them.
		m.Endpoint, m.values[0] = options, rest
	} else if m.Endpoint = routes.find(method, rest, &m.values, 0); m.Endpoint == nil {
		return Match{}, notFound(method, path)
	}
	for i, name := range m.Endpoint.variables {
		if refusal := decodeVariable(&m.values[i], m.Endpoint.many == name); refusal != nil {
			return Match{}, refusal
		}
	}
	if e := m.Endpoint; e.Last < Oldest || !m.Version.within(e.Since, e.Last) {
		return Match{}, outdated(e, m.Version)
	}
	if m.Query, refusal = readQuery(m.Endpoint, m.Version, query); refusal != nil {
		return Match{}, refusal
	}
	return m, nil
}

func outdated(e *Endpoint, v Version) *Refusal {
	if e.Last < Oldest {
		return refuse(404, e.String()+" was removed from the Engine API in "+(e.Last+1).String()+"; use GET /containers/{id}/archive instead")
	}
	return refuse(404, e.String()+" requires API version "+e.Since.String()+" to "+e.Last.String()+", but the path asks for "+v.String()+
		"; set DOCKER_API_VERSION="+max(e.Since, min(e.Last, v)).String())
}

// notFound says what the engine says, and where the path is right for which
// methods, or what is near.
func notFound(method, path string) *Refusal {
	message := "page not found: " + show(method+" "+path) + " is not in the Engine API " + Oldest.String() + " to " + Newest.String()
	rest := path[1:]
	if first, after, more := strings.Cut(rest, "/"); more {
		if _, _, versioned := readVersion(first); versioned {
			rest = after
		}
	}
	var values [maxVariables]string
	var has []string
	for _, other := range methods {
		if e := routes.find(other, rest, &values, 0); e != nil && other != method {
			has = append(has, other)
		}
	}
	switch {
	case strings.Contains(path, "%"):
		return refuse(404, message+" as it is written; only names may be percent-encoded, no other part of a path")
	case has != nil:
		return refuse(404, message+", which has "+strings.Join(has, " and ")+" there")
	}
	return refuse(404, message+"; upgrade the gate if the route is newer")
}

// canonical refuses a path that the engine, or something on the way to it, would
// clean, decode or resolve into another.
func canonical(path string) *Refusal {
	if path == "" || path[0] != '/' {
		return refuse(400, "the target of the request is not a path: "+show(path)+"; begin it with /")
	}
	start := 1 // of the segment
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			if !inPath[path[i]] {
				return refuse(400, "the path has "+show(path[i:i+1])+", which stands for itself in no path; write it percent-encoded")
			}
			continue
		}
		segment := path[start:i]
		// The one empty segment is the last of /networks/ and /debug/pprof/.
		if segment == "" && i < len(path) || segment == "." || segment == ".." {
			return refuse(400, "the path "+show(path)+" is not canonical; leave out empty segments and dots")
		}
		start = i + 1
	}
	return nil
}

// inPath has the bytes that may stand in a path as they are: pchar of RFC 3986,
// section 3.3, and the percent sign.
var inPath = func() (table [256]bool) {
	for c := range len(table) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		table[c] = letter || '0' <= c && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@%", byte(c)) >= 0
	}
	return table
}()

// decodeVariable decodes a variable once, and refuses what the engine would route
// or resolve otherwise, and what a second decoding would change. many is for one that
// may have slashes.
func decodeVariable(value *string, many bool) *Refusal {
	if strings.IndexByte(*value, '%') < 0 {
		return nil // canonical has looked at it
	}
	decoded := make([]byte, 0, len(*value))
	for i := 0; i < len(*value); i++ {
		c := (*value)[i]
		if c == '%' {
			var ok bool
			if c, ok = percent(*value, i); !ok {
				return refuse(400, "a % in the path begins no escape: "+show(*value)+"; write it as %25")
			}
			i += 2
		}
		decoded = append(decoded, c)
	}
	text := string(decoded)
	if !utf8.ValidString(text) {
		return refuse(400, "the name "+show(text)+" in the path is not UTF-8 text")
	}
	for _, r := range text {
		if r == '/' && !many || r < ' ' || r >= 0x7f && r < 0xa0 || strings.ContainsRune(`%?#\`, r) {
			return refuse(400, "the name "+show(text)+" in the path has "+show(string(r))+", which no name here has; write the name as the engine has it")
		}
	}
	for segment := range strings.SplitSeq(text, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return refuse(400, "the name "+show(text)+" in the path is not canonical; leave out empty segments and dots")
		}
	}
	*value = text
	return nil
}

// percent reads the escape that begins at i.
func percent(text string, i int) (byte, bool) {
	if i+2 >= len(text) {
		return 0, false
	}
	high, low := hexDigit[text[i+1]], hexDigit[text[i+2]]
	return high<<4 | low&0xf, high < 16 && low < 16
}

var hexDigit = func() (table [256]byte) {
	for c := range len(table) {
		switch {
		case '0' <= c && c <= '9':
			table[c] = byte(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			table[c] = byte(c|0x20-'a') + 10
		default:
			table[c] = 0xff
		}
	}
	return table
}()
