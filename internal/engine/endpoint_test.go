package engine

import (
	"strings"
	"testing"
	"unicode"

	"github.com/docker/cli/opts"
)

func TestParseAddress(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{"unix:///run/docker.sock", "unix:///run/docker.sock"},
		{"unix://", "unix:///var/run/docker.sock"},
		{"unix:///run/../run//docker.sock", "unix:///run/docker.sock"},
		{"unix:///run/my engine/docker.sock", "unix:///run/my engine/docker.sock"},
		{" unix:///run/docker.sock\n", "unix:///run/docker.sock"},
		{"tcp://", "tcp://localhost:2375"},
		{"tcp://harbour-1", "tcp://harbour-1:2375"},
		{"tcp://:2376", "tcp://localhost:2376"},
		{"tcp://harbour-1:02376", "tcp://harbour-1:2376"},
		{"tcp://harbour-1:2376/", "tcp://harbour-1:2376"},
		{"tcp://harbour-1:2376/engines/a/", "tcp://harbour-1:2376/engines/a"},
		{"harbour-1:2376", "tcp://harbour-1:2376"},
		{"tcp://[::1]:2376", "tcp://[::1]:2376"},
		{"tcp://[fe80::1%25eth0]:2376", "tcp://[fe80::1%25eth0]:2376"},
		{"ssh://harbour-1", "ssh://harbour-1"},
		{"ssh://mei@harbour-1:2222", "ssh://mei@harbour-1:2222"},
		{"ssh://mei@[::1]", "ssh://mei@[::1]"},
		{"ssh://harbour-1/", "ssh://harbour-1"},
		{"ssh://harbour-1/run/user/1000/docker.sock", "ssh://harbour-1/run/user/1000/docker.sock"},
		{`ssh://PORT%5Cmei@harbour-1`, `ssh://PORT%5Cmei@harbour-1`},
	} {
		a, err := parseAddress(tc.raw)
		if err != nil {
			t.Errorf("%q: %v", tc.raw, err)
			continue
		}
		if a.String() != tc.want {
			t.Errorf("%q: got %q, want %q", tc.raw, a, tc.want)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for _, tc := range []struct{ raw, want string }{
		{"", "starts with unix://"},
		{"/var/run/docker.sock", "starts with unix://"},
		{"./docker.sock", "starts with unix://"},
		{"unix://docker.sock", "must start with /"},
		{"unix:///run/\x1b[31mdocker.sock", "control character"},
		{"tcp://mei@harbour-1:1", "tcp://HOST:PORT"},
		{"tcp://harbour-1:1?x=y", "tcp://HOST:PORT"},
		{"tcp://harbour-1:99999", "not between 1 and 65535"},
		{"tcp://harbour-1:0", "not between 1 and 65535"},
		{"tcp://harbour!1:2376", "no host name has"},
		{"tcp://[::1:2376", "tcp://HOST:PORT"},
		{"::", "no host name has"},
		{"ssh://a%25b", "no host name has"},
		{"http://harbour-1:2375", "write tcp://"},
		{"https://harbour-1:2376", "DOCKER_TLS_VERIFY"},
		{"npipe:////./pipe/docker_engine", "cannot be reached from here"},
		{"fd://", "cannot be reached from here"},
		{"tpc://harbour-1", "tpc:// is not known"},
		{"ssh://", "the host is missing"},
		{"ssh://-oProxyCommand=id", "starts with a dash"},
		{"ssh://mei@-harbour-1", "starts with a dash"},
		{"ssh://har;bour", "no host name has"},
		{"ssh://har$(id)bour", "no host name has"},
		{"ssh://-l@harbour-1", "the name of the user"},
		{"ssh://@harbour-1", "the name of the user"},
		{"ssh://me%20i@harbour-1", "the name of the user"},
		{"ssh://me%60id%60@harbour-1", "the name of the user"},
		{"ssh://mei:secret@harbour-1", "password"},
		{"ssh://harbour-1?x", "ssh://[USER@]HOST[:PORT]"},
		{"ssh://harbour-1:0", "not between 1 and 65535"},
		{"ssh://harbour-1/run/%0adocker.sock", "control character"},
	} {
		_, err := parseAddress(tc.raw)
		if err == nil {
			t.Errorf("%q was taken", tc.raw)
			continue
		}
		wantError(t, err, tc.want, "--host ssh://harbour-1")
	}
}

// A password must not come back in the error that refuses it.
func TestParseAddressHidesPassword(t *testing.T) {
	for _, raw := range []string{
		"ssh://mei:tr0ub4dor@harbour-1", "tcp://mei:tr0ub4dor@harbour-1:1", "mei:tr0ub4dor@harbour-1:1",
		"http://mei:tr0ub4dor@harbour-1", "ssh://mei:tr0ub4dor@%", "ssh://mei:a@tr0ub4dor@harbour-1",
	} {
		_, err := parseAddress(raw)
		if err == nil || strings.Contains(err.Error(), "tr0ub4dor") || !strings.Contains(err.Error(), "mei:…@") {
			t.Errorf("%s: the error is %v", raw, err)
		}
	}
	if _, err := parseAddress("ssh://-l@har:bour"); err == nil || !strings.Contains(err.Error(), `"ssh://-l@har:bour"`) {
		t.Errorf("an address without a password is shown as %v", err)
	}
}

// docker's own parser is the oracle for what it takes and we take too.
func TestParseAddressLikeDocker(t *testing.T) {
	for _, raw := range []string{
		"unix://", "unix:///run/docker.sock", "tcp://", "tcp://harbour-1", "tcp://harbour-1:2376",
		"harbour-1:2376", "tcp://:2376", "tcp://[::1]:2376", "tcp://harbour-1:2376/prefix", "ssh://mei@harbour-1:22",
	} {
		want, err := opts.ParseHost(false, raw)
		if err != nil {
			t.Fatalf("docker refuses %q: %v", raw, err)
		}
		a, err := parseAddress(raw)
		if err != nil {
			t.Fatal(err)
		}
		if a.String() != want {
			t.Errorf("%q: got %q, docker has %q", raw, a, want)
		}
	}
}

// An address that is taken has one spelling, which is taken again as itself,
// and gives ssh nothing that could be an option or a second command.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{
		"unix:///a", "tcp://a:1/b", "ssh://u@h:1/p'q", "tcp://[::1%25a]", "h:1", "unix://", "ssh://-h", "ssh://a%25b/%25",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := parseAddress(raw)
		if err != nil {
			return
		}
		b, err := parseAddress(a.String())
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", raw, a, err)
		}
		if a != b {
			t.Fatalf("%q became %#v, and that %#v", raw, a, b)
		}
		if strings.ContainsFunc(a.String(), unicode.IsControl) {
			t.Fatalf("%q became %q", raw, a)
		}
		if a.scheme != "ssh" {
			return
		}
		args := sshArgs(a)
		host := args[len(args)-2]
		if args[len(args)-3] != "--" || host == "" || host[0] == '-' {
			t.Fatalf("%q gives ssh %q", raw, args)
		}
		if got := shellWords(t, args[len(args)-1]); a.path != "" && (len(got) != 5 || got[2] != "unix://"+a.path) {
			t.Fatalf("%q gives the remote shell %q", raw, got)
		}
	})
}

// shellWords splits a command in which only single quotes and \' occur, as a
// POSIX shell does.
func shellWords(t *testing.T, s string) []string {
	var words []string
	var word strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case quoted:
			word.WriteByte(s[i])
		case s[i] == '\\':
			i++
			word.WriteByte(s[i])
		case s[i] == ' ':
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(s[i])
		}
	}
	if quoted {
		t.Fatalf("%q has an open quote", s)
	}
	return append(words, word.String())
}
