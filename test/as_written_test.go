package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
	"github.com/plimsoll/plimsoll/test/notary"
)

// page is one of the documentation whose commands are run as they are written.
type page struct {
	text string
	// dir has what stands in /etc/plimsoll, and what else there is of the machine.
	dir    string
	engine *lab.Engine
	// host is the registry that the page calls registry.example.
	host string
}

// newPage has an engine with the images of the page, a registry, and before them a gate that
// enforces.
func newPage(t *testing.T, name string) *page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	w := &page{dir: t.TempDir(), engine: lab.Private(t, nil)}
	_, w.host = standRegistry(t, w.engine, nil)
	for _, name := range []string{"api:4.18", "web:1"} {
		if err := w.engine.Busybox(t.Context(), w.host+"/shop/"+name, "LABEL is="+name+"\nCMD [\"echo\", \"it runs\"]"); err != nil {
			t.Fatal(err)
		}
	}
	w.text = strings.NewReplacer("registry.example", w.host, "/etc/plimsoll", w.dir).Replace(string(text))
	w.gate(t)
	return w
}

// gate starts the gate, and puts programs before those of the machine: what is installed
// elsewhere here, or not at all.
func (w *page) gate(t *testing.T) {
	t.Helper()
	program, state, socket := build(t), filepath.Join(w.dir, "state"), filepath.Join(w.dir, "gate.sock")
	policy := filepath.Join(w.dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte("schema: plimsoll/policy/1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gate := standGate(t, program, w.engine, policy, socket, state)
	openssl, environ, err := lab.Program("openssl", "/usr/bin/openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	w.program(t, "openssl", "exec env "+strings.Join(environ, " ")+" "+openssl+` "$@"`)
	w.program(t, "docker", "PATH="+lab.Path+` exec docker -H unix://`+socket+` "$@"`)
	w.program(t, "plimsoll", `case "$1 $2" in
"trust keys"|"image verify") set -- "$@" --trust `+w.dir+`/trust.yaml ;;
esac
exec env DOCKER_HOST=unix://`+socket+` `+program+`/plimsoll "$@" --state `+state)
	// Who types is slower than the gate reads.
	w.program(t, "systemctl", fmt.Sprintf(`test "$*" = "kill -s HUP plimsoll-gate" || exit 1
read() { plimsoll trail list --gate --format json | grep -c '"type":"policy"'; }
before=$(read)
kill -HUP %d
for i in $(seq 200); do test "$(read)" -gt "$before" && exit; sleep 0.05; done
exit 1`, gate.Pid))
}

// program puts a shell's script where a program is looked for first.
func (w *page) program(t *testing.T, name, script string) {
	t.Helper()
	bin := filepath.Join(w.dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// commands are the lines of the first block of commands below a heading.
func (w *page) commands(t *testing.T, heading string) []string {
	t.Helper()
	_, below, found := strings.Cut(w.text, "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the page has no heading %q", heading)
	}
	var lines []string
	for line := range strings.Lines(below) {
		command, is := strings.CutPrefix(line, "    ")
		switch {
		case is:
			lines = append(lines, strings.TrimSpace(command))
		case len(lines) > 0:
			return lines
		}
	}
	t.Fatalf("there are no commands below %q", heading)
	return nil
}

// ended is the line that a shell prints behind each command.
var ended = regexp.MustCompile(`(?m)^== ended with (\d+)\n`)

// run types commands into one shell, and gives what each printed and how it ended.
func (w *page) run(t *testing.T, commands []string, environ ...string) (printed, codes []string) {
	t.Helper()
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\necho == ended with $?\n", c)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-s")
	cmd.Dir, cmd.Stdin = w.dir, strings.NewReader(script.String())
	cmd.Env = append([]string{"PATH=" + filepath.Join(w.dir, "bin") + ":" + lab.Path, "HOME=" + w.dir}, environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	at := 0
	for _, m := range ended.FindAllSubmatchIndex(out, -1) {
		printed, codes = append(printed, string(out[at:m[0]])), append(codes, string(out[m[2]:m[3]]))
		at = m[1]
	}
	if len(codes) != len(commands) {
		t.Fatalf("%d of %d commands ended: %s", len(codes), len(commands), out)
	}
	return printed, codes
}

// lead runs the commands, of which all must do but those that are said to be refused; what is
// refused is told how to be verified.
func (w *page) lead(t *testing.T, commands []string, environ ...string) {
	t.Helper()
	printed, codes := w.run(t, commands, environ...)
	runs, refused := 0, 0
	for i, c := range commands {
		switch {
		case strings.Contains(c, "# refused"):
			refused++
			if codes[i] == "0" || !strings.Contains(printed[i], "plimsoll image verify ") || strings.Contains(printed[i], "it runs") {
				t.Errorf("%s: ended with %s: %s", c, codes[i], printed[i])
			}
		case codes[i] != "0":
			t.Errorf("%s: ended with %s: %s", c, codes[i], printed[i])
		case strings.HasPrefix(c, "docker run"):
			runs++
			if !strings.Contains(printed[i], "it runs") {
				t.Errorf("%s: %s", c, printed[i])
			}
		case strings.Contains(c, "image verify") && !strings.Contains(printed[i], "is trusted"):
			t.Errorf("%s: %s", c, printed[i])
		}
	}
	if runs != 1 || refused != 1 || len(commands) > 10 {
		t.Errorf("%d commands, of which %d run and %d are refused: %q", len(commands), runs, refused, commands)
	}
}

// TestAuthenticityAsWritten: the way from nothing to enforced that docs/authenticity.md has, typed
// as it is there: the image that was signed runs, and one that nobody signed does not.
func TestAuthenticityAsWritten(t *testing.T) {
	t.Parallel()
	w := newPage(t, "authenticity.md")
	w.lead(t, w.commands(t, "From nothing to enforced"))
}

// TestContentTrustAsWritten: the same of docs/dct.md, with a real server of content trust.
func TestContentTrustAsWritten(t *testing.T) {
	t.Parallel()
	w := newPage(t, "dct.md")
	n := notary.Start(t)
	w.text = strings.ReplaceAll(w.text, "https://notary.example", n.URL)
	// Where docker and plimsoll look for the authority of its certificate.
	certs := n.Certs(n.URL)
	if err := os.CopyFS(filepath.Join(w.dir, ".docker", "tls"), os.DirFS(certs)); err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(w.dir, "bin", "plimsoll")
	script, err := os.ReadFile(real)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(real, []byte(strings.Replace(string(script), "--trust ", "--registry-certs "+certs+" --trust ", 1)), 0o755); err != nil {
		t.Fatal(err)
	}
	// What is edited becomes what the page shows, with the id that docker told.
	_, yaml, found := strings.Cut(w.text, "```yaml\n")
	yaml, _, end := strings.Cut(yaml, "```")
	if !found || !end {
		t.Fatal("the page has no policy")
	}
	yaml = regexp.MustCompile(`(?m)^ +role: .*\n`).ReplaceAllString(yaml, "") // for delegations only
	if err := os.WriteFile(filepath.Join(w.dir, "shown.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	w.program(t, "editor", `id=$(docker trust inspect --pretty `+w.host+`/shop/api | sed -n 's/.*Root Key:[^0-9a-f]*//p')
sed "s/ID OF THE ROOT KEY/$id/" `+w.dir+`/shown.yaml > "$1"`)
	w.lead(t, w.commands(t, "From nothing to enforced"), "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=not a secret", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=not a secret")
}
