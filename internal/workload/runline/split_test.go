package runline

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestSplit has a shell split the same lines.
func TestSplit(t *testing.T) {
	for _, line := range []string{
		"docker run nginx",
		"  docker\trun   nginx  \n\n  # done\n",
		"docker run \\\n  --name web \\\n\tnginx",
		"do\\\ncker run nginx",
		`docker run -e 'A=$HOME $(id) "x" \' nginx`,
		`docker run -e "A='b' \"c\" \\ \$HOME \x \` + "`" + `" nginx`,
		"docker run -e \"A=1\\\n2\" nginx",
		"docker run -e \"A=two\nlines\" nginx",
		`docker run a'b'"c"d '' "" \  \' nginx`,
		`docker run -e A=b#c # -e D=e`,
		`docker run '#' \# "#" nginx`,
		`docker run -e "A=5$" -e B=5$ -e "C=$ 5$" nginx`,
		`docker run -v a~b:/x -e A=~ '~' \~ nginx`,
		`docker run -e ü=ß 日本`,
		"docker run a\rb",
	} {
		got, err := split(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		// The lines have no pattern that a file could match.
		out, err := exec.Command("/bin/sh", "-c", `docker() { printf '%s\0' docker "$@"; }; `+line).Output()
		if err != nil {
			t.Errorf("%q: the shell: %v", line, err)
			continue
		}
		want := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-shell +split)\n%s", line, diff)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"docker run nginx; ls":              "';' is the shell's: give one docker run line alone",
		"docker run nginx | cat":            "'|' is the shell's",
		"docker run nginx && ls":            "'&' is the shell's",
		"docker run nginx &":                "'&' is the shell's",
		"docker run nginx > out":            "'>' is the shell's",
		"docker run nginx < in":             "'<' is the shell's",
		"(docker run nginx)":                "'(' is the shell's",
		"docker run -v $PWD:/x nginx":       `the shell would put something else for "$PWD": write its value`,
		`docker run -v "${PWD}/a":/x nginx`: `something else for "${PWD}"`,
		"docker run -e A=$1 nginx":          `something else for "$1"`,
		"docker run -e A=$? nginx":          `something else for "$?"`,
		"docker run -e A=$'b' nginx":        `something else for "$"`,
		"docker run $(id) nginx":            "the shell would run a command for $(…)",
		`docker run "$(id)" nginx`:          "the shell would run a command for $(…)",
		"docker run `id` nginx":             "the shell would run a command for `…`",
		"docker run \"`id`\" nginx":         "the shell would run a command for `…`",
		"docker run -v ~/data:/x nginx":     `the shell would put a home directory for "~": write the whole path`,
		"docker run -v ~ada/data:/x nginx":  `a home directory for "~ada"`,
		"docker run 'nginx":                 "a single quote is not closed",
		`docker run "nginx`:                 "a double quote is not closed",
		`docker run "nginx\`:                "a double quote is not closed",
		`docker run nginx \`:                "the line ends in a backslash",
		"docker run a\ndocker run b":        `a second command begins at "docker"`,
		"docker run a \\ \nb":               `a second command begins at "b"`,
		"docker run \x00":                   "it is not valid UTF-8 text",
		"docker run \xff":                   "it is not valid UTF-8 text",
	} {
		if words, err := split(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q\n got %q, %v\nwant %s", line, words, err, want)
		}
	}
	if _, err := ParseString("docker run $X", World{}); err == nil || !strings.HasPrefix(err.Error(), "reading the run line: ") {
		t.Errorf("ParseString: %v", err)
	}
}

func TestQuote(t *testing.T) {
	for want, args := range map[string][]string{
		"docker run -v /a:/b nginx:1.27": {"docker", "run", "-v", "/a:/b", "nginx:1.27"},
		`'' 'a b' 'it'\''s' '$x' '~'`:    {"", "a b", "it's", "$x", "~"},
		"'a\nb' 'ü'":                     {"a\nb", "ü"},
	} {
		got := Quote(args)
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if again, err := split(got); err != nil || !cmp.Equal(args, again) {
			t.Errorf("%s is split into %q, %v", got, again, err)
		}
	}
}

// FuzzParseString: a line that is accepted, quoted and parsed again, is the
// same line, and its request read as JSON is the same container.
func FuzzParseString(f *testing.F) {
	for _, name := range []string{"lines.txt", "refused.txt"} {
		for _, l := range readLines(f, name) {
			f.Add(l.text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		line, err := ParseString(text, desk())
		if err != nil {
			return
		}
		again, err := ParseString(Quote(line.Args), desk())
		if err != nil {
			t.Fatalf("%q is taken, %s is not: %v", text, Quote(line.Args), err)
		}
		if diff := cmp.Diff(line, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q\n%s", text, diff)
		}
		checkTravels(t, line)
	})
}
