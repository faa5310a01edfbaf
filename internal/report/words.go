package report

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// most is how many of a long list are named.
const most = 3

// shorten lists names: on a terminal three and how many more, else all,
// the last two joined by last.
func (p *page) shorten(names []string, last string) string {
	return Shorten(names, last, p.short)
}

// number writes a number with commas.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count writes a number of things; zero is "no".
func count(n int, one, many string) string {
	switch n {
	case 0:
		return "no " + many
	case 1:
		return "1 " + one
	}
	return number(n) + " " + many
}

// plain is a word that is capitalised only because a sentence begins with it.
func plain(word string) bool {
	word = strings.TrimSuffix(strings.TrimRight(word, ",:;"), "'s")
	if slices.Contains([]string{"Docker", "Linux", "Debian", "Kata", "Dockerfile"}, word) {
		return false
	}
	for i, r := range word {
		if i == 0 && !unicode.IsUpper(r) || i > 0 && !unicode.IsLower(r) && r != '\'' {
			return false
		}
	}
	return word != ""
}

// lowerFirst writes a sentence so that it can follow a colon.
func lowerFirst(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if !plain(word) {
		return s
	}
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[size:]
}

// upperFirst writes a sentence so that it can stand first. What is no word,
// such as a path or an option, stays as it is.
func upperFirst(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if strings.ContainsAny(word, "/._=-0123456789") && !strings.HasSuffix(word, ".") {
		return s
	}
	r, size := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// sentence is a text with a capital and a full stop.
func sentence(s string) string {
	s = upperFirst(strings.TrimSpace(s))
	if s != "" && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// single reports whether there is only one subject of its kind, or it stands for
// all that were not listed, so that it needs no name.
func single(s *finding.Subject) bool {
	return s.Name == finding.NotListed || s.Kind == "host" || s.Kind == "daemon" || s.Kind == "swarm"
}

// name is what a subject is called.
func name(s *finding.Subject) string {
	if s.Name != "" {
		return s.Name
	}
	if s.ID != "" {
		return s.ID
	}
	return s.Kind
}

// about joins a subject and its state to a title.
func about(s *finding.Subject, state string) string {
	switch {
	case single(s):
		return upperFirst(state)
	case s.Kind == "file":
		return name(s) + " " + lowerFirst(state)
	}
	return name(s) + ": " + lowerFirst(state)
}

// id is what a finding is known by elsewhere: its recommendations in the
// benchmark that the report is limited to, else in the newest that has it; or
// the rule's name.
func (p *page) id(f *finding.Finding) string {
	benchmark := p.report.Benchmark
	if benchmark == "" {
		benchmark, _ = f.NewestRef()
	}
	ids := f.Refs[benchmark]
	if len(ids) == 0 {
		return f.Rule
	}
	return benchmarkName(benchmark) + " " + strings.Join(ids, ", ")
}

// benchmarkName writes cis-1.8 as CIS 1.8.
func benchmarkName(key string) string {
	body, version, found := strings.Cut(key, "-")
	if !found {
		return strings.ToUpper(key)
	}
	return strings.ToUpper(body) + " " + version
}
