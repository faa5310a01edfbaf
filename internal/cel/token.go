package cel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is an expression that is none, or whose types do not fit.
type SyntaxError struct {
	Offset int    // in bytes, where the mistake is
	Msg    string // what is wrong
	// Word is a name that is not known, and Known are those that are where it
	// stands; both are empty for other mistakes.
	Word  string
	Known []string
}

func (e *SyntaxError) Error() string { return e.Msg }

// token is one token; its text is source[from:to].
type token struct {
	kind     tokenKind
	op       operator
	from, to int32
	value    Value // of a literal
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenLiteral
	tokenOperator // whose text says which
)

// brief is as much of a word as somebody would read.
func brief(word string) string {
	const most = 100
	if len(word) <= most {
		return word
	}
	return strings.ToValidUTF8(word[:most], "") + "…"
}

// reservedWords cannot be names, but can be fields.
var reservedWords = []string{"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "namespace", "package", "return", "var", "void", "while"}

// operator is a token that is neither a name nor a literal: its character, or
// one of those below.
type operator byte

const (
	twoAnd operator = iota + 1
	twoOr
	twoEqual
	twoOther
	twoLess
	twoGreater
	wordIn
)

// twos are the operators of two characters.
var twos = [...]string{twoAnd: "&&", twoOr: "||", twoEqual: "==", twoOther: "!=", twoLess: "<=", twoGreater: ">="}

// scanner cuts an expression into tokens.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) fail(at int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Offset: at, Msg: fmt.Sprintf(format, args...)}
}

// token is what was walked over since start.
func (s *scanner) token(kind tokenKind, start int) token {
	return token{kind: kind, from: int32(start), to: int32(s.pos)}
}

// next gives the next token.
func (s *scanner) next() (token, *SyntaxError) {
	s.blank()
	start := s.pos
	if start == len(s.text) {
		return s.token(tokenEnd, start), nil
	}
	c := s.text[start]
	switch {
	case isQuote(c) || (c == 'r' || c == 'R') && start+1 < len(s.text) && isQuote(s.text[start+1]):
		return s.quoted()
	case isLetter(c):
		for s.pos < len(s.text) && (isLetter(s.text[s.pos]) || isDigit(s.text[s.pos])) {
			s.pos++
		}
		return s.word(start)
	case isDigit(c) || c == '.' && start+1 < len(s.text) && isDigit(s.text[start+1]):
		return s.number()
	}
	if op := s.operator(c); op != 0 {
		t := s.token(tokenOperator, start)
		t.op = op
		return t, nil
	}
	r, _ := utf8.DecodeRuneInString(s.text[start:])
	return token{}, s.fail(start, "%q does not belong into an expression", r)
}

// operator walks over an operator that begins with c; 0 is none.
func (s *scanner) operator(c byte) operator {
	if rest := s.text[s.pos:]; len(rest) > 1 {
		for op := twoAnd; op <= twoGreater; op++ {
			if rest[:2] == twos[op] {
				s.pos += 2
				return op
			}
		}
	}
	if strings.IndexByte("<>!+-*/%?:.,()[]{}", c) < 0 {
		return 0
	}
	s.pos++
	return operator(c)
}

func isQuote(c byte) bool  { return c == '"' || c == '\'' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// while walks over bytes.
func (s *scanner) while(fits func(c byte) bool) {
	for s.pos < len(s.text) && fits(s.text[s.pos]) {
		s.pos++
	}
}

// blank walks over what separates tokens, which a comment does as well.
func (s *scanner) blank() {
	for {
		for s.pos < len(s.text) && strings.IndexByte(" \t\n\r\f", s.text[s.pos]) >= 0 {
			s.pos++
		}
		if !strings.HasPrefix(s.text[s.pos:], "//") {
			return
		}
		s.while(func(c byte) bool { return c != '\n' })
	}
}

func (s *scanner) word(start int) (token, *SyntaxError) {
	t := s.token(tokenLiteral, start)
	switch s.text[start:s.pos] {
	case "true":
		t.value = BoolValue(true)
	case "false":
		t.value = BoolValue(false)
	case "null":
		t.value = Value{kind: Null}
	case "in":
		t.kind, t.op = tokenOperator, wordIn
	default:
		t.kind = tokenName
		if s.pos < len(s.text) && isQuote(s.text[s.pos]) && strings.Trim(strings.ToLower(s.text[start:s.pos]), "rb") == "" {
			return t, s.fail(start, "bytes are of no use here: no fact has them")
		}
	}
	return t, nil
}

// number reads a whole number, decimal or with 0x, or one with a point or an
// exponent. A sign is no part of it.
func (s *scanner) number() (token, *SyntaxError) {
	start := s.pos
	whole := true
	if strings.HasPrefix(s.text[start:], "0x") && start+2 < len(s.text) && isHex(s.text[start+2]) {
		s.pos += 2
		s.while(isHex)
	} else {
		s.while(isDigit)
		if s.pos+1 < len(s.text) && s.text[s.pos] == '.' && isDigit(s.text[s.pos+1]) {
			whole = false
			s.pos++
			s.while(isDigit)
		}
		if end := s.exponent(); end > 0 {
			whole = false
			s.pos = end
			s.while(isDigit)
		}
	}
	t := s.token(tokenLiteral, start)
	if s.pos < len(s.text) && isLetter(s.text[s.pos]) {
		if c := s.text[s.pos]; c == 'u' || c == 'U' {
			return t, s.fail(start, "numbers without a sign are of no use here: write %s", brief(s.text[start:s.pos]))
		}
		return t, s.fail(s.pos, "a letter stands in a number")
	}
	if !whole {
		n, err := strconv.ParseFloat(s.text[start:s.pos], 64)
		if err != nil {
			return t, s.fail(start, "the number is too large")
		}
		t.value = DoubleValue(n)
	}
	return t, nil
}

// exponent gives where the digits of an exponent begin, or 0 where there is none.
func (s *scanner) exponent() int {
	at := s.pos
	if at < len(s.text) && (s.text[at] == 'e' || s.text[at] == 'E') {
		at++
		if at < len(s.text) && (s.text[at] == '+' || s.text[at] == '-') {
			at++
		}
		if at < len(s.text) && isDigit(s.text[at]) {
			return at
		}
	}
	return 0
}

// newlines makes one of each way to end a line.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// quoted reads a text: in one or three quotes of either kind, raw with an r in
// front.
func (s *scanner) quoted() (token, *SyntaxError) {
	start := s.pos
	raw := !isQuote(s.text[start])
	if raw {
		s.pos++
	}
	mark := s.text[s.pos : s.pos+1]
	if three := strings.Repeat(mark, 3); strings.HasPrefix(s.text[s.pos:], three) {
		mark = three
	}
	s.pos += len(mark)
	body := s.pos
	for !strings.HasPrefix(s.text[s.pos:], mark) {
		switch {
		case s.pos == len(s.text) || len(mark) == 1 && (s.text[s.pos] == '\n' || s.text[s.pos] == '\r'):
			return token{}, s.fail(start, "the text has no end: close it with %s", mark)
		case s.text[s.pos] == '\\' && !raw:
			s.pos++
		}
		s.pos = min(s.pos+1, len(s.text))
	}
	text := s.text[body:s.pos]
	s.pos += len(mark)
	text = newlines.Replace(text)
	if !utf8.ValidString(text) {
		return token{}, s.fail(body, "the text is not UTF-8")
	}
	if !raw {
		var err *SyntaxError
		if text, err = s.unescape(body, text); err != nil {
			return token{}, err
		}
	}
	t := s.token(tokenLiteral, start)
	t.value = StringValue(text)
	return t, nil
}

// escapes are what a letter after a backslash stands for.
var escapes = map[byte]byte{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\', '\'': '\'', '"': '"', '`': '`', '?': '?'}

// unescape replaces the escapes of a text that begins at the offset.
func (s *scanner) unescape(at int, text string) (string, *SyntaxError) {
	if strings.IndexByte(text, '\\') < 0 {
		return text, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++
		c := text[i] // there is one: the closing quote would be escaped else
		if plain, ok := escapes[c]; ok {
			b.WriteByte(plain)
			continue
		}
		digits, base := 0, 16
		switch c {
		case 'x', 'X':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		case '0', '1', '2', '3':
			digits, base, i = 3, 8, i-1
		}
		if digits == 0 || i+digits >= len(text) {
			return "", s.fail(at+i, `a backslash begins no known escape here; a backslash itself is written \\`)
		}
		n, err := strconv.ParseUint(text[i+1:i+1+digits], base, 32)
		if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
			return "", s.fail(at+i, "the escape stands for no character")
		}
		b.WriteRune(rune(n))
		i += digits
	}
	return b.String(), nil
}

// CheckName says why nothing in an environment can have a name, where that is so.
func CheckName(name string) error {
	if !isName(name) || slices.Contains([]string{"true", "false", "null", opIn}, name) {
		return fmt.Errorf("%s is a word that CEL keeps for itself", name)
	}
	for known := range library() {
		if strings.HasPrefix(known, name+".") {
			return fmt.Errorf("%s would hide functions such as %s()", name, known)
		}
	}
	return nil
}

// isName reports whether a word may name a variable.
func isName(word string) bool { return !slices.Contains(reservedWords, word) }
