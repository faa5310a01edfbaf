package runline

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ParseString reads a line as it is typed into a shell: words, quotes,
// backslashes, lines joined by a backslash at their end, and a comment behind
// them (POSIX.1-2024, Shell Command Language, 2.2 and 2.3). One command is
// taken; what would start another, or redirect it, is refused. So is what the
// shell would replace before docker sees it ($NAME, $(…), `…`, ~ at a word's
// beginning): kept as it is written, it would be judged as something that never
// runs. Patterns such as * stay as they are, as a shell leaves them that finds
// no file.
func ParseString(line string, world World) (Line, error) {
	words, err := split(line)
	if err != nil {
		return Line{}, fmt.Errorf("reading the run line: %w", err)
	}
	if len(words) == 0 {
		return Line{}, errors.New("the run line is empty: write it as docker run [OPTIONS] IMAGE [COMMAND]")
	}
	return Parse(words, world)
}

// Quote writes arguments as one line that a POSIX shell, and ParseString, split
// into the same arguments again.
func Quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsFunc(a, needsQuotes) {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func needsQuotes(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=+:,./@%", r))
}

// splitter is a shell's reading of one line: text still to come, the word in
// the making, and whether there is one (an empty pair of quotes makes one).
type splitter struct {
	rest   string
	word   strings.Builder
	inWord bool
	words  []string
}

func split(line string) ([]string, error) {
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return nil, errors.New("it is not valid UTF-8 text")
	}
	s := &splitter{rest: line}
	for s.rest != "" {
		c, size := utf8.DecodeRuneInString(s.rest)
		text := s.rest
		s.rest = s.rest[size:]
		var err error
		switch c {
		case ' ', '\t':
			s.endWord()
		case '\n':
			s.endWord()
			err = s.endLine()
		case '\'':
			err = s.singleQuotes()
		case '"':
			err = s.doubleQuotes()
		case '\\':
			err = s.backslash()
		case ';', '|', '&', '<', '>', '(', ')':
			err = fmt.Errorf("%q is the shell's: give one docker run line alone, or put it in quotes if docker shall see it", c)
		case '#':
			if s.inWord {
				s.add(c)
			} else if i := strings.IndexByte(s.rest, '\n'); i >= 0 {
				s.rest = s.rest[i:]
			} else {
				s.rest = ""
			}
		case '~':
			if !s.inWord {
				return nil, fmt.Errorf("the shell would put a home directory for %q: write the whole path", firstWord(text))
			}
			s.add(c)
		default:
			if err = expansion(text, false); err == nil {
				s.add(c)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	s.endWord()
	return s.words, nil
}

func (s *splitter) add(c rune) {
	s.word.WriteRune(c)
	s.inWord = true
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

// endLine: only blank lines and comments may follow a line that has words.
func (s *splitter) endLine() error {
	if len(s.words) == 0 {
		return nil
	}
	for line := range strings.SplitSeq(s.rest, "\n") {
		if line = strings.TrimLeft(line, " \t"); line != "" && line[0] != '#' {
			return fmt.Errorf("a second command begins at %q: end the line before with a backslash if it goes on", firstWord(line))
		}
	}
	s.rest = ""
	return nil
}

func (s *splitter) singleQuotes() error {
	text, after, closed := strings.Cut(s.rest, "'")
	if !closed {
		return errors.New("a single quote is not closed")
	}
	s.word.WriteString(text)
	s.inWord, s.rest = true, after
	return nil
}

// doubleQuotes: a backslash takes its meaning only from $, `, ", \ and a
// newline.
func (s *splitter) doubleQuotes() error {
	s.inWord = true
	for s.rest != "" {
		c, size := utf8.DecodeRuneInString(s.rest)
		if c == '"' {
			s.rest = s.rest[size:]
			return nil
		}
		if err := expansion(s.rest, true); err != nil {
			return err
		}
		s.rest = s.rest[size:]
		if c == '\\' && s.rest != "" && strings.IndexByte("$`\"\\\n", s.rest[0]) >= 0 {
			c, s.rest = rune(s.rest[0]), s.rest[1:]
			if c == '\n' {
				continue
			}
		}
		s.add(c)
	}
	return errors.New("a double quote is not closed")
}

func (s *splitter) backslash() error {
	if s.rest == "" {
		return errors.New("the line ends in a backslash: a next line is missing")
	}
	c, size := utf8.DecodeRuneInString(s.rest)
	s.rest = s.rest[size:]
	if c != '\n' {
		s.add(c)
	}
	return nil
}

// expansion refuses text that begins with something the shell would replace. A
// $ that no name follows is a $.
func expansion(text string, quoted bool) error {
	if text[0] == '`' {
		return errors.New("the shell would run a command for `…`: write what it prints")
	}
	if text[0] != '$' || len(text) == 1 {
		return nil
	}
	c := rune(text[1])
	switch {
	case c == '(':
		return errors.New("the shell would run a command for $(…): write what it prints")
	case c == '{', c == '_', c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z',
		strings.ContainsRune("@*#?-$!", c), !quoted && (c == '\'' || c == '"'):
		return fmt.Errorf("the shell would put something else for %q: write its value, or put it in single quotes if docker shall see it", firstWord(text))
	}
	return nil
}

// firstWord is the beginning of text, for a message.
func firstWord(text string) string {
	if i := strings.IndexAny(text, " \t\n\"'/:"); i > 0 {
		text = text[:i]
	}
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:40]) + "…"
	}
	return text
}
