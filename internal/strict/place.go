package strict

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// PlaceIn is the line and column in a file where a text ends that a YAML
// scalar begins with; or the line where the scalar begins alone, column 0.
func PlaceIn(file []byte, n *yaml.Node, before string) (line, column int) {
	lines := strings.Split(string(file), "\n")
	if n.Style&yaml.LiteralStyle != 0 {
		// It begins on the line below the mark, and is moved to the left.
		at := strings.Count(before, "\n")
		line = n.Line + 1 + at
		if all := strings.Split(n.Value, "\n"); at < len(all) && line <= len(lines) {
			if indent, is := strings.CutSuffix(strings.TrimSuffix(lines[line-1], "\r"), all[at]); is {
				column = 1 + utf8.RuneCountInString(indent+before[strings.LastIndexByte(before, '\n')+1:])
			}
		}
		return line, column
	}
	if n.Line > len(lines) {
		return n.Line, 0
	}
	s := scalar{written: []rune(strings.Join(lines[n.Line-1:], "\n")), style: n.Style}
	s.at = min(n.Column-1, len(s.written))
	switch {
	case n.Style&yaml.FoldedStyle != 0: // it begins on the line below the mark
		s.at = utf8.RuneCountInString(lines[n.Line-1])
		s.skipBlanks()
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		s.at++
	}
	if !s.follow([]rune(before)) {
		return n.Line, 0
	}
	line, column = n.Line, s.at+1
	for i, c := range s.written[:s.at] {
		if c == '\n' {
			line, column = line+1, s.at-i
		}
	}
	return line, column
}

// scalar is a plain or quoted scalar as it is written, of which the part before
// at was walked over.
type scalar struct {
	written []rune
	at      int
	style   yaml.Style
}

// follow walks over what is written for a text, and reports whether that could
// be told.
func (s *scalar) follow(text []rune) bool {
	for len(text) > 0 {
		if s.at >= len(s.written) {
			return false
		}
		n, ok := 1, true
		switch c := s.written[s.at]; {
		case strings.ContainsRune(" \t\r\n", c):
			n, ok = s.blank(text)
		case c == '\\' && s.style&yaml.DoubleQuotedStyle != 0:
			n, ok = s.escape(text[0])
		case c != text[0]:
			ok = false
		case c == '\'' && s.style&yaml.SingleQuotedStyle != 0: // which is written twice
			s.at += 2
		default:
			s.at++
		}
		if !ok {
			return false
		}
		text = text[n:]
	}
	return true
}

// blank walks over blanks, and gives how many of a text they are: line ends are
// folded with the blanks around them.
func (s *scalar) blank(text []rune) (n int, ok bool) {
	from := s.at
	s.skipBlanks()
	if !slices.Contains(s.written[from:s.at], '\n') {
		s.at = from + 1
		return 1, text[0] == s.written[from]
	}
	if text[0] == ' ' {
		return 1, true
	}
	for n < len(text) && (text[n] == '\n' || n > 0 && text[n] == ' ') { // folded, a line moved to the right is not joined
		n++
	}
	return n, n > 0
}

func (s *scalar) skipBlanks() {
	for s.at < len(s.written) && strings.ContainsRune(" \t\r\n", s.written[s.at]) {
		s.at++
	}
}

// escape walks over a backslash in double quotes, and what it stands before: the
// end of a line, which is no part of the text then, or a character.
func (s *scalar) escape(c rune) (n int, ok bool) {
	if s.at+1 >= len(s.written) {
		return 0, false
	}
	switch next := s.written[s.at+1]; {
	case next == '\n':
		s.at++
		s.skipBlanks()
		return 0, true
	case (next == '"' || next == '\\') && next == c:
		s.at += 2
		return 1, true
	}
	return 0, false
}
