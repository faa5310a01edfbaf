package dockerd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const ours = `[Unit]
ExecStart=/not/this
[Service]
Type=notify
# the daemon
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS \
    --containerd=/run/containerd/containerd.sock
`

func TestParseUnits(t *testing.T) {
	u, err := ParseUnits([]UnitFile{{"docker.service", []byte(ours)}})
	if err != nil {
		t.Fatal(err)
	}
	words, err := u.Command(map[string][]byte{"/etc/default/docker": []byte("# options\nDOCKER_OPTS=\"--icc=false --label='a b'\"\n")})
	if err != nil || u.Origin != "docker.service" {
		t.Fatal(err, u.Origin)
	}
	want := []string{"/usr/sbin/dockerd", "-H", "fd://", "--icc=false", "--label=a b", "--containerd=/run/containerd/containerd.sock"}
	if diff := cmp.Diff(want, words); diff != "" {
		t.Error(diff)
	}
	// Without the file the variable is empty, and gone.
	if words, err = u.Command(nil); err != nil || len(words) != 4 {
		t.Error(err, words)
	}
	for name, test := range map[string]struct{ dropIn, want string }{
		"another line":                 {"[Service]\nExecStart=\nExecStart=-@/bin/dockerd --icc=false\n", "/bin/dockerd --icc=false"},
		"only forgotten":               {"[Service]\nExecStart=\n", ""},
		"a variable":                   {"[Service]\nEnvironment=DOCKER_OPTS=--mtu=9 'A=b c'\n", "/usr/sbin/dockerd -H fd:// --mtu=9 --containerd=/run/containerd/containerd.sock"},
		"another section":              {"[Install]\nExecStart=/bin/true\n", "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"},
		"in a word":                    {"[Service]\nEnvironment=X=9\nExecStart=/d --mtu=${X} --a=$$X --b=${Y} $Z ${\n", "/d --mtu=9 --a=$X --b=  ${"},
		"quotes, escapes":              {"[Service]\nExecStart=/d \"--a=b c\" '--d=\\te' --f\\sg\n", "/d --a=b c --d=\te --f g"},
		"comments in a line":           {"[Service]\n# of old \\\nExecStart=/d \\\n  # -H \\\n; x\n  -H fd:// \\\n  --a\n", "/d -H fd:// --a"},
		"specifiers":                   {"[Service]\nEnvironment=A=%t/a B=%n\nExecStart=/d -H unix://%t/alt.sock --a=%h/50%% ${A}\n", "/d -H unix:///run/alt.sock --a=/root/50% /run/a"},
		"specifiers that do not count": {"[Service]\nExecStart=/d %i\nExecStart=/d\n[Unit]\nDescription=%n\n", "/d"},
		"a comment inside":             {"[Service]\n; ExecStart=/e\nExecStart = /d\n", "/d"},
	} {
		u, err := ParseUnits([]UnitFile{{"docker.service", []byte(ours)}, {"docker.service.d/10.conf", []byte(test.dropIn)}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		words, err := u.Command(nil)
		if got := strings.Join(words, " "); err != nil || strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(test.want), " ") {
			t.Errorf("%s: %v\n%q, want\n%q", name, err, got, test.want)
		}
	}
	for text, want := range map[string]string{
		"[Service]\n\nExecStart=/d \"x\n":              `u line 3: the quote " is not closed`,
		"[Service]\nEnvironment='x\n":                  `u line 2: the quote ' is not closed`,
		"[Service]\nExecStart=/d -H unix:///%i.sock\n": `u: what %i stands for in "unix:///%i.sock" is not known`,
		"[Service]\nEnvironmentFile=/a/%\n":            `u: what % stands for in "/a/%" is not known`,
		"[Socket]\nListenStream=/%n\n":                 `u: what %n stands for in "/%n" is not known`,
	} {
		if _, err := ParseUnits([]UnitFile{{"u", []byte(text)}}); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	u = Unit{Words: []string{"d", "$X"}, Environment: map[string]string{"X": "%i"}, EnvironmentFiles: []string{"e"}}
	if _, err := u.Command(nil); err == nil || err.Error() != `the variable X: what %i stands for in "%i" is not known` {
		t.Error(err)
	}
	if words, err := u.Command(map[string][]byte{"e": []byte("X=%i\n")}); err != nil || len(words) != 2 || words[1] != "%i" {
		t.Error(err, words) // no specifiers are in a file of variables
	}
	if _, err := u.Command(map[string][]byte{"e": []byte("X='a\n")}); err == nil || err.Error() != "e: line 1: the quote ' is not closed" {
		t.Error(err)
	}
}

func TestVariables(t *testing.T) {
	for text, want := range map[string]string{
		"# old\n;X=1\nX=2\n":    "2",
		"#X='1 \\\n# 2'\nX=3\n": "3",
		"# old \\\n\nX=1\n":     "1",
		"X=1 \\\n#2\n":          "1  #2",
		"X=1\n# old \\\n":       "1",
		"Y=1\n# old \\\nX=1\n":  "line 3: the comment before it ends in a backslash, which versions of systemd read in two ways",
	} {
		vars := map[string]string{}
		got := ""
		if err := readEnvironment([]byte(text), vars); err != nil {
			got = err.Error()
		} else {
			got = vars["X"]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestStreams(t *testing.T) {
	for text, want := range map[string]string{
		"[Socket]\nListenStream=/run/docker.sock\n":                                  "/run/docker.sock",
		"[Socket]\nListenStream = /srv/a\nListenStream=\\\n# no\n %t/b\n":            "/srv/a /run/b",
		"[Socket]\nListenStream=/srv/a\nListenStream=\nListenStream=2375\n":          "2375",
		"[Socket]\nListenStream=/srv/a\nListenStream =\n":                            "",
		"[Service]\nListenStream=/srv/a\n[Socket]\n#ListenStream=/srv/b\nX=/srv/c\n": "",
	} {
		u, err := ParseUnits([]UnitFile{{"u", []byte(text)}})
		if got := strings.Join(u.Streams, " "); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// A drop-in that forgets and says all anew is the same as a unit that says only that.
func FuzzParseUnits(f *testing.F) {
	f.Add([]byte(ours), []byte("[Service]\nExecStart=/d $A \"b c\"\nEnvironment=A=1\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		alone, err := ParseUnits([]UnitFile{{"b", second}})
		if err != nil {
			return
		}
		reset := append([]byte("[Service]\nExecStart=\nEnvironment=\nEnvironmentFile=\n[Socket]\nListenStream=\n[X]\n"), second...)
		both, err := ParseUnits([]UnitFile{{"a", first}, {"b", reset}})
		if err != nil {
			return
		}
		if diff := cmp.Diff(alone, both); diff != "" {
			t.Fatal(diff)
		}
		words, err := both.Command(nil)
		if err == nil && len(words) > maxWords {
			t.Fatalf("%d words", len(words))
		}
	})
}
