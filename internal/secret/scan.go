package secret

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// hit is a secret in a text, as places in it.
type hit struct {
	id       string
	from, to int // of the secret; the value is never given on
	low      bool
}

// window is a part of a text that a rule's pattern is tried on.
type window struct{ from, to int }

// scan finds what the rules find in a text. What of the work is left undone, for want of
// budget, is told.
type scan struct {
	path   string
	text   []byte
	budget int // how many bytes patterns may still be tried on
	most   int // how many hits are kept
	hits   []hit
	next   map[string]int // where options are, see follows
	undone bool           // for want of budget or room
}

// anywhere are the rules whose keyword is not in what their pattern matches, but
// somewhere in the file.
var anywhere = map[string]bool{"airtable-personnal-access-token": true, "facebook-access-token": true}

// judging is what judging a match costs, in bytes that a pattern is tried on: allowlists
// have 1500 words and some slow patterns.
const judging = 4 << 10

// slack is how far a window is widened to begin and end with a line, so that what begins
// or ends a line does so in the window too.
const slack = 256

// run scans the text. A pattern is tried only around the keywords of its rule, since
// Go's regular expressions are linear but slow: 20 MB/s, and some keyword is in each file.
func (s *scan) run() {
	all, windows := matchers(), s.windows()
	hasPutty := bytes.Contains(s.text, putty)
	if (hasPutty || len(windows) > 0) && !allowedEverywhere().allowsPath(s.path) {
		// In the order of the rules, so that one file always gives one answer.
		for n := range all {
			if list := windows[uint16(n)]; list != nil {
				s.rule(&all[n], list)
			}
		}
		if hasPutty {
			s.puttys()
		}
	}
	s.settle()
}

// windows are the parts of the text that each rule, by its number, has to be tried on.
func (s *scan) windows() map[uint16][]window {
	k, all := allKeywords(), matchers()
	windows := map[uint16][]window{}
	k.find(s.text, func(word uint16, end int) {
		start := end - len(k.words[word])
		for _, n := range k.users[word] {
			id := all[n].rule.id
			if id == privateKey {
				windows[n] = []window{} // keys reads them
				continue
			}
			r := all[n].reach()
			if anywhere[id] {
				r = reach{len(s.text), len(s.text)}
			} else if id == generic {
				// What is in a window already needs no look, and hostile texts have many.
				if list := windows[n]; len(list) > 0 && list[len(list)-1].to > end+2*maxRun {
					continue
				}
				behind := assigned(s.text, end)
				if behind == 0 {
					continue
				}
				r = reach{beforeName, behind - start + 2}
			} else if check := narrow[id]; check != nil && !check(s, start, end) {
				continue
			}
			from, to := max(0, start-r.before), min(len(s.text), start+r.behind)
			list := windows[n]
			if last := len(list) - 1; last >= 0 && from <= list[last].to {
				list[last].to = max(list[last].to, to)
				continue
			}
			windows[n] = append(list, window{from, to})
		}
	})
	return windows
}

// rule tries one rule on its windows.
func (s *scan) rule(m *matcher, windows []window) {
	if re := m.path(); re != nil && !re.MatchString(s.path) {
		return
	}
	for _, a := range m.allows {
		if a.allowsPath(s.path) {
			return
		}
	}
	if m.rule.id == privateKey {
		s.keys()
		return
	}
	done := 0 // patterns find nothing twice where windows meet when widened
	for _, w := range windows {
		w = s.widen(w)
		w.from = max(w.from, done)
		if w.from >= w.to {
			continue
		}
		if !s.spend((w.to - w.from) * m.weight()) {
			return
		}
		// More than the budget has room for are not looked for.
		for _, at := range m.re().FindAllSubmatchIndex(s.text[w.from:w.to], s.budget/judging+1) {
			// What goes to the end of the window, and not of the text, may be cut, and is
			// found by its own keyword if it is whole.
			if at[1] == w.to-w.from && w.to < len(s.text) && s.text[w.to-1] != '\n' || at[0] == 0 && w.from > 0 && s.text[w.from-1] != '\n' && w.from != done {
				continue
			}
			if !s.spend(judging) {
				return
			}
			if len(s.hits) >= s.most {
				s.undone = true
				return
			}
			s.match(m, w.from, at)
			done = w.from + at[1]
		}
	}
}

// widen lets a window begin and end with a line, where that is near.
func (s *scan) widen(w window) window {
	low := max(0, w.from-slack)
	if i := bytes.LastIndexByte(s.text[low:w.from], '\n'); i >= 0 {
		w.from = low + i + 1
	} else if low == 0 {
		w.from = 0
	}
	high := min(len(s.text), w.to+slack)
	if i := bytes.IndexByte(s.text[w.to:high], '\n'); i >= 0 {
		w.to += i + 1
	} else if high == len(s.text) {
		w.to = high
	}
	return w
}

// match judges what a pattern matched, as gitleaks does.
func (s *scan) match(m *matcher, base int, at []int) {
	from, to := m.secretOf(at)
	from, to = base+from, base+to
	match := strings.Trim(string(s.text[base+at[0]:base+at[1]]), "\n")
	secret := string(s.text[from:to])
	if m.rule.entropy > 0 && entropy(secret) <= m.rule.entropy {
		return
	}
	line := s.line(from)
	if allowedEverywhere().allows(s.path, secret, match, line) {
		return
	}
	for _, a := range m.allows {
		if a.allows(s.path, secret, match, line) {
			return
		}
	}
	low := strings.Contains(line, "gitleaks:allow") || isPlaceholder(secret)
	if m.rule.id == generic && (low || isWords(secret)) {
		// What is given to a key in a program is mostly another name.
		if low || from == 0 || s.text[from-1] != '"' && s.text[from-1] != '\'' {
			return
		}
		low = true
	}
	s.add(hit{id: m.rule.id, from: from, to: to, low: low})
}

// spend is false where the budget has no more room for so many bytes, which is told.
func (s *scan) spend(n int) bool {
	s.budget -= n
	s.undone = s.undone || s.budget < 0
	return s.budget >= 0
}

// add keeps a hit, if there is room.
func (s *scan) add(h hit) {
	if len(s.hits) >= s.most {
		s.undone = true
		return
	}
	s.hits = append(s.hits, h)
}

// isWords is true for names of letters with at most four digits at the end of each.
func isWords(text string) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("_.-/=", r) }) {
		bare := strings.TrimRight(word, "0123456789")
		if len(word)-len(bare) > 4 || strings.ContainsAny(bare, "0123456789+") {
			return false
		}
	}
	return true
}

// maxLine is how much of a line around a place is looked at.
const maxLine = 1 << 10

// line is the line that a place is in, or the part of it that is near.
func (s *scan) line(at int) string {
	from, to := max(0, at-maxLine), min(len(s.text), at+maxLine)
	if i := bytes.LastIndexByte(s.text[from:at], '\n'); i >= 0 {
		from += i + 1
	}
	if i := bytes.IndexByte(s.text[at:to], '\n'); i >= 0 {
		to = at + i
	}
	return string(s.text[from:to])
}

// settle leaves one hit of those that are in each other: the generic rule gives way, and
// of others the first stays.
func (s *scan) settle() {
	var kept []hit
	for pass := range 2 {
		for _, h := range s.hits {
			if (h.id == generic) != (pass == 1) {
				continue
			}
			inside := false
			for _, k := range kept {
				inside = inside || h.from < k.to && k.from < h.to
			}
			if !inside {
				kept = append(kept, h)
			}
		}
	}
	s.hits = kept
}

// position is the line and the column, in characters, of a place, from 1.
func position(text []byte, at int) (line, column int) {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	return bytes.Count(text[:start], []byte{'\n'}) + 1, utf8.RuneCount(text[start:at]) + 1
}

// narrow are looks at what is behind a keyword that is in many files, for rules whose
// patterns would be tried too often. They are never stricter than the pattern.
var narrow = map[string]func(s *scan, start, end int) bool{
	"jwt":                 func(s *scan, start, end int) bool { return looksSigned(s.text, start, end) },
	"vault-service-token": func(s *scan, _, end int) bool { return run(s.text, end, inToken, 24) >= 24 },
	"twilio-api-key":      func(s *scan, _, end int) bool { return run(s.text, end, inHex, 32) >= 32 },
	"lob-api-key":         func(s *scan, _, end int) bool { return run(s.text, end, inHex, 35) >= 35 },
	"authress-service-client-access-key": func(s *scan, _, end int) bool {
		n := end + run(s.text, end, inBase62, 30)
		return n < len(s.text) && (s.text[n] == '.' || s.text[n] == '_')
	},
	"facebook-page-access-token":      func(s *scan, _, end int) bool { return run(s.text, end, inBase62, 100) >= 100 },
	"1password-service-account-token": func(s *scan, _, end int) bool { return bytes.HasPrefix(s.text[end:], []byte("eyJ")) },
	"curl-auth-user":                  func(s *scan, _, end int) bool { return s.follows("-u", end) || s.follows("--user", end) },
	"curl-auth-header":                func(s *scan, _, end int) bool { return s.follows("-H", end) || s.follows("--header", end) },
}

// run is how many bytes of a class there are at a place, at most so many.
func run(text []byte, at int, bit uint16, most int) int {
	n := 0
	for n < most && at+n < len(text) && class[text[at+n]]&bit != 0 {
		n++
	}
	return n
}

// follows is true where an option follows within reach of a place. The places must not
// go back: then the text is gone through once.
func (s *scan) follows(option string, at int) bool {
	next, known := s.next[option]
	if !known || next < at {
		next = len(s.text) + endless
		if i := bytes.Index(s.text[at:], []byte(option)); i >= 0 {
			next = at + i
		}
		if s.next == nil {
			s.next = map[string]int{}
		}
		s.next[option] = next
	}
	return next < at+endless
}

const (
	// maxRun bounds the look at a value that may be of any length; a longer one passes.
	maxRun = 256
	// beforeName is more than the generic rule's names have before a keyword, of which 50
	// characters belong to its match.
	beforeName = 200
)

// assigned is where a value ends that may be given to a name with the keyword in it, as
// the generic rule has it: at most 20 characters of the name, 3 of space or quotes, an
// operator, 5 of space or quotes, and 10 or more of a value, which space, quotes or a
// semicolon end. 0 is for none.
func assigned(text []byte, end int) int {
	i := end + run(text, end, inName, 24)
	operator := run(text, i, inOperator, 4)
	if operator == 0 {
		return 0
	}
	i += operator
	i += run(text, i, inGap, 9)
	n := run(text, i, inValue, maxRun)
	switch {
	case n == maxRun:
		return end + endless
	case n >= 10 && (i+n == len(text) || class[text[i+n]]&ends != 0):
		return i + n
	}
	return 0
}

// looksSigned is true where "ey" may begin a signed token: header and payload are JSON,
// which in base64 begins so. It looks only where a word begins, as the pattern does; the
// runs do not overlap then.
func looksSigned(text []byte, start, end int) bool {
	if start > 0 && (class[text[start-1]]&inBase62 != 0 || text[start-1] == '_') {
		return false
	}
	n := run(text, end, inBase62, len(text))
	return n >= 17 && bytes.HasPrefix(text[end+n:], []byte(".ey"))
}

// The classes of bytes that the looks go by.
const (
	inName = 1 << iota
	inOperator
	inGap
	inValue
	ends
	inBase62
	inToken
	inHex
)

var class = func() (c [256]uint16) {
	set := func(bit uint16, chars string) {
		for i := range len(chars) {
			c[chars[i]] |= bit
		}
	}
	const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	const space = " \t\n\f\r"
	set(inName, alphanumeric+"_.-'\""+space)
	set(inOperator, "=>:|?,")
	set(inGap, "`'\"="+space)
	set(inValue, alphanumeric+"_.=-+/")
	set(ends, "`'\";\\"+space)
	set(inBase62, alphanumeric)
	set(inToken, alphanumeric+"_-")
	set(inHex, "0123456789abcdefABCDEF")
	return c
}()
