package rule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// good is a rule that holds; tests change one line of it.
const good = `schema: plimsoll/rule/1
rule: sample
subject: container
severity: low
title: The sample fails
why: Because.
params:
  most: 5
  names: [a, b]
let:
  big: container.resources.memory_bytes > params.most
pass: big
evidence:
  memory: container.resources.memory_bytes
message: it has {memory}
remedy:
  run: add --memory {memory}
refs: {cis-1.8: ["5.11"]}
tests:
  - run: docker run nginx
    want: fail
`

func load(text string) (*Set, error) {
	s, err := Load(fstest.MapFS{"container/sample.yaml": {Data: []byte(text)}}, nil, "")
	if err != nil {
		return nil, err
	}
	return s, s.Compile()
}

func TestLoadGood(t *testing.T) {
	s, err := load(good)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Rules()); n != 1 {
		t.Fatalf("%d rules", n)
	}
	if r := s.Rules()[0]; r.Name != "sample" || len(r.Params) != 2 || len(r.Tests) != 1 || r.Tests[0].Line != 20 {
		t.Errorf("read as %+v", r)
	}
}

// TestLoadRefuses: each change makes the rule one that must not be loaded, with
// the line and the words that the user needs.
func TestLoadRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, from, to string
		line           int
		want           string
	}{
		{"unknown key", "severity: low", "severity: low\nseverty: low", 5, `did you mean "severity"`},
		{"wrong schema", "plimsoll/rule/1", "plimsoll/rule/9", 1, "write schema: plimsoll/rule/1"},
		{"wrong subject", "subject: container", "subject: pod", 3, `"pod" is not a subject`},
		{"wrong severity", "severity: low", "severity: bad", 4, `"bad" is not a severity`},
		{"full stop", "title: The sample fails", "title: The sample fails.", 5, "without a full stop"},
		{"misspelt fact", "container.resources.memory_bytes > params", "container.resources.memory_byte > params", 11, `did you mean "memory_bytes"`},
		{"misspelt parameter", "params.most", "params.mosd", 11, "undeclared reference"},
		{"misspelt let", "pass: big", "pass: bigg", 12, `did you mean "big"`},
		{"not a condition", "pass: big", "pass: container.name", 12, "is string, not bool"},
		{"leading zero", "pass: big", "pass: big && container.live.pid != 0644", 12, "reads as decimal"},
		{"leading zero after a sign", "pass: big", "pass: big && container.live.pid != -0644", 12, "reads as decimal"},
		{"order of what may be text", "pass: big", "pass: big && dyn(container.name) < 'b'", 12, "letter by letter"},
		{"order of text and what may be", "pass: big", "pass: \"big && 'b' > dyn(container.name)\"", 12, "letter by letter"},
		{"a word of CEL's", "big: container", "in: container", 11, "in is a word that CEL keeps for itself"},
		{"a reserved word", "memory: container", "for: container", 14, "for is a word that CEL keeps for itself"},
		{"the name of functions", "big: container", "lists: container", 11, "would hide functions such as lists."},
		{"a name that is too long", "big: container", strings.Repeat("a", 101) + ": container", 11, "cannot be a name here"},
		{"too many params", "  most: 5", "  most: 5\n" + lines(199, "  p%d: 1\n"), 7, "201 names are too many"},
		{"too many lets", "  big: container", lines(200, "  l%d: 1 + 1\n") + "  big: container", 10, "201 names are too many"},
		{"element by a let", "pass: big", "each: \"['a']\"\nelement: string(big)\npass: big", 13, "undeclared reference to 'big'"},
		{"paths are not compared", "pass: big", "pass: \"path('/a') in [path('/a')]\"", 12, "path in list(path) is not possible"},
		{"text order", "pass: big", "pass: big && container.name < 'b'", 12, "letter by letter"},
		{"has", "pass: big", "pass: has(container.name)", 12, "has() is false for 0"},
		{"no evidence", "it has {memory}", "it has {memori}", 15, `did you mean "memory"`},
		{"evidence is an object", "memory: container.resources.memory_bytes", "memory: container.resources", 14, "name the field that matters"},
		{"pass and manual", "pass: big", "pass: big\nmanual: is it", 12, "either pass or manual"},
		{"elements without a name", "pass: big", "each: container.mounts\npass: big", 12, "the elements have no name"},
		{"each of no list", "pass: big", "each: container.name\npass: big", 12, "each is not a list"},
		{"remedy missing", "remedy:\n  run: add --memory {memory}\n", "", 0, "remedy is missing"},
		{"another name than the file's", "rule: sample", "rule: other", 2, `its file "sample"`},
		{"an adapter that does not exist", "run: docker run nginx", "service: {}", 20, "service"},
		{"benchmark key", "cis-1.8", "cis", 18, "is not a benchmark"},
		{"a recommendation that does not exist", "\"5.11\"", "\"5.99\"", 18, `cis-1.8 has no recommendation "5.99"`},
		{"parameter without a default", "most: 5", "most:", 8, "without a default"},
		{"reserved name", "big: container", "it: container", 11, "cannot be a name here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(good, tc.from, tc.to, 1)
			if text == good {
				t.Fatal("the change changes nothing")
			}
			_, err := load(text)
			if err == nil {
				t.Fatal("loaded")
			}
			var at *strict.Error
			if !errors.As(err, &at) {
				t.Fatalf("no place: %v", err)
			}
			if at.File != "container/sample.yaml" || tc.line != 0 && at.Line != tc.line {
				t.Errorf("placed at %s line %d, want line %d: %v", at.File, at.Line, tc.line, err)
			}
			if text := err.Error() + "; " + at.Hint; !strings.Contains(text, tc.want) {
				t.Errorf("says %q, want %q in it", text, tc.want)
			}
		})
	}
}

// lines are as many lines with their number in them.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestLoadManyNames: hundreds of names are not too many.
func TestLoadManyNames(t *testing.T) {
	text := strings.Replace(good, "  most: 5\n", "  most: 5\n"+lines(198, "  p%d: 1\n"), 1)
	text = strings.Replace(text, "let:\n", "let:\n"+lines(199, "  l%d: 1 + 1\n"), 1)
	if _, err := load(text); err != nil {
		t.Error(err)
	}
}

// TestUserFilesAreBounded: a file of a user's that is too large is not read.
func TestUserFilesAreBounded(t *testing.T) {
	for size, fits := range map[int]bool{maxFile: true, maxFile + 1: false} {
		text := good + strings.Repeat("#", size-len(good)-1) + "\n"
		_, err := Load(nil, fstest.MapFS{"big.yaml": {Data: []byte(text)}}, "rules.d")
		if fits != (err == nil) || !fits && (!strings.Contains(err.Error(), "rules.d/big.yaml: the file is too large") || !strings.Contains(errors.Unwrap(fmt.Errorf("%w", err)).(*strict.Error).Hint, "1048576 bytes")) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestPlaces: a mistake is shown at its line and column, however the expression
// is written.
func TestPlaces(t *testing.T) {
	for _, tc := range []struct {
		name, pass   string
		line, column int
	}{
		{"plain", "container.nme == 'a'", 12, 17},
		{"plain, over lines", "container.name == 'a' &&\n   container.nme == 'b'", 13, 14},
		{"plain, with an empty line", "container.name == 'a'\n\n   && container.nme == 'b'", 14, 17},
		{"plain, with blanks before the end", "container.name == 'a' &&  \n   container.nme == 'b'", 13, 14},
		{"plain, with other letters", "container.name == 'größe' && container.nme == 'b'", 12, 46},
		{"single quotes", "'container.name == ''a'' && container.nme == 1'", 12, 45},
		{"single quotes, over lines", "'container.name == ''a''\n  && container.nme == 1'", 13, 16},
		{"double quotes", "\"container.name == 'a' && container.nme == 1\"", 12, 43},
		{"double quotes, escaped", "\"container.name == \\\"a\\\" && container.nme == 1\"", 12, 45},
		{"double quotes, an escaped end of line", "\"container.name == 'a' && \\\n  container.nme == 1\"", 13, 13},
		{"double quotes, of which nobody can tell", "\"container.name == '\\x61' && container.nme == 1\"", 12, 0},
		{"literal", "|\n  container.name == 'a' &&\n  container.nme == 1", 14, 13},
		{"literal, moved to the right", "|\n  container.name == 'a' &&\n    container.nme == 1", 14, 15},
		{"folded", ">\n  container.name == 'a' &&\n  container.nme == 1", 14, 13},
		{"folded, moved to the right", ">-\n  container.name == 'a' &&\n    container.nme == 1", 14, 15},
		{"ends early", "container.name ==\n", 12, 24},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(strings.Replace(good, "pass: big", "pass: "+tc.pass, 1))
			at, ok := errors.AsType[*strict.Error](err)
			if !ok || at.Line != tc.line || at.Column != tc.column {
				t.Errorf("line %d column %d, want %d, %d: %v", at.Line, at.Column, tc.line, tc.column, err)
			}
		})
	}
}

func TestUserRulesReplaceOurs(t *testing.T) {
	ours := fstest.MapFS{"container/sample.yaml": {Data: []byte(good)}}
	theirs := fstest.MapFS{"mine.yaml": {Data: []byte(strings.Replace(good, "severity: low", "severity: high", 1) + "---\n" +
		strings.Replace(good, "rule: sample", "rule: another", 1))}}
	s, err := Load(ours, theirs, "rules.d")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Rules()) != 2 || s.Rules()[1].Severity != "high" || s.Rules()[1].Ours {
		t.Errorf("loaded %+v", s.Rules())
	}
	if r := s.Replaced(); len(r) != 1 || r[0].Rule != "sample" || r[0].File != "rules.d/mine.yaml" {
		t.Errorf("replaced %v", r)
	}
	if _, err := Load(ours, fstest.MapFS{"readme.txt": {}}, "rules.d"); err == nil || !strings.Contains(err.Error(), "no rule is in it") {
		t.Errorf("an empty folder: %v", err)
	}
	twice := fstest.MapFS{"a.yaml": {Data: []byte(good)}, "b.yaml": {Data: []byte(good)}}
	if _, err := Load(ours, twice, "rules.d"); err == nil || !strings.Contains(err.Error(), "is in rules.d/a.yaml too") {
		t.Errorf("one name twice: %v", err)
	}
}

func TestSelect(t *testing.T) {
	second := strings.NewReplacer("rule: sample", "rule: second", `cis-1.8: ["5.11"]`, `cis-1.8: ["5.2"], cis-1.13: ["5.1", "5.11"]`).Replace(good)
	s, err := Load(fstest.MapFS{"container/sample.yaml": {Data: []byte(good)}, "container/second.yaml": {Data: []byte(second)}}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		want Selection
		got  string
	}{
		{"everything", Selection{}, "sample second"},
		{"by name", Selection{Only: []string{"sample"}}, "sample"},
		{"by glob", Selection{Only: []string{"s*d"}}, "second"},
		{"by id", Selection{Only: []string{"5.2"}}, "second"},
		{"by id in its benchmark", Selection{Only: []string{"cis-1.13:5.1"}}, "second"},
		{"ids of another benchmark", Selection{Only: []string{"5.2"}, Benchmark: "cis-1.8"}, "second"},
		{"by an id that only an old benchmark has", Selection{Only: []string{"5.1"}}, "second"},
		{"an id means the newest benchmark's", Selection{Skip: []string{"5.11"}}, "second"},
		{"an id means that of the benchmark wanted", Selection{Only: []string{"5.11"}, Benchmark: "cis-1.13"}, "second"},
		{"the benchmark of an id goes before", Selection{Skip: []string{"cis-1.8:5.11"}, Benchmark: "cis-1.13"}, "second"},
		{"glob of ids", Selection{Skip: []string{"5.1*"}}, "second"},
		{"glob of ids of a benchmark", Selection{Skip: []string{"cis-1.13:5.1*"}}, "sample"},
		{"skip wins", Selection{Only: []string{"s*"}, Skip: []string{"second"}}, "sample"},
		{"benchmark", Selection{Benchmark: "cis-1.13"}, "second"},
		{"severity", Selection{Severity: "high"}, ""},
	} {
		got, err := s.Select(tc.want)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		var names []string
		for _, r := range got.Rules() {
			names = append(names, r.Name)
		}
		if strings.Join(names, " ") != tc.got {
			t.Errorf("%s: %q, want %q", tc.name, names, tc.got)
		}
	}
	for pattern, want := range map[string]string{"samplee": `did you mean "sample"`, "[": "not a pattern", "9.9": "names no rule"} {
		if _, err := s.Select(Selection{Only: []string{pattern}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", pattern, err, want)
		}
	}
}

// FuzzLoad: what is loaded can be judged, and what is refused says where.
func FuzzLoad(f *testing.F) {
	f.Add(good)
	f.Add(strings.Replace(good, "pass: big", "each: container.mounts\nelement: it.target\npass: it.read_only", 1))
	f.Add("a: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Load(fstest.MapFS{}, fstest.MapFS{"x.yaml": {Data: []byte(text)}}, "")
		if err == nil {
			err = s.Compile()
		}
		if err != nil {
			if !strings.Contains(err.Error(), "x.yaml") {
				t.Errorf("no file in %q", err)
			}
			return
		}
		for _, f := range judgeSpec(t, s, `{"Image":"nginx"}`) {
			if f.Status == 0 {
				t.Errorf("no status: %+v", f)
			}
		}
	})
}
