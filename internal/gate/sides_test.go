package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

// debian is the client of Debian's docker.io.
const debian = "/usr/bin/docker"

// side is an engine of its own with, or without, a gate before it, and with a tee before
// both.
type side struct {
	t      *testing.T
	name   string
	mode   Mode // "" for no gate
	engine *lab.Engine
	gate   *standing
	tee    *tee
	behind *tee   // between gate and engine
	dir    string // where commands run
	client string // the program for those that begin with docker
	own    *strings.Replacer
	// compose is the program for those that begin with compose, and environ what it needs.
	compose, environ []string
	ids              map[string]string // of containers, by name
}

// step is something that is done on each side.
type step struct {
	// line is a command line, with words in single quotes where they have blanks. It is the
	// name of the step, also where do is what is done.
	line  string
	stdin string
	do    func(*side) outcome
	// refused is part of what is said where the gate enforces the default policy, or several
	// with | between them of which one is; "" is that it is not refused.
	refused string
	// alone has the number of equal exchanges not compared: how often a client asks depends
	// on how fast things are.
	alone bool
	// outside is compared by what a person sees alone.
	outside bool
	// blur matches what differs each time beside what mappings has.
	blur string
	// shuffled is what comes in another order each time.
	shuffled bool
}

// outcome is what somebody notices of a step.
type outcome struct {
	Code      int
	Out, Err  string
	Exchanges []string
}

// sides makes the engine that is asked without a gate, and those behind one in each of
// the modes; a thorough test has both. Each engine has the image web:1, and in its folder
// what files has.
func sides(t *testing.T, client string, files map[string]string, modes ...Mode) []*side {
	t.Helper()
	return sidesOf(t, func() *lab.Engine { return lab.Private(t, nil) }, client, files, modes...)
}

// sidesOf is sides with engines of another kind.
func sidesOf(t *testing.T, engine func() *lab.Engine, client string, files map[string]string, modes ...Mode) []*side {
	t.Helper()
	all := []*side{{name: "bare"}}
	if thorough {
		modes = []Mode{Observe, Enforce}
	}
	for _, mode := range modes {
		all = append(all, &side{name: string(mode), mode: mode})
	}
	var started sync.WaitGroup
	for _, s := range all {
		s.t, s.client, s.ids = t, client, map[string]string{}
		started.Go(func() { s.engine = engine() })
	}
	started.Wait()
	for _, s := range all {
		if err := s.engine.Busybox(context.Background(), "web:1", `CMD ["echo","from the image"]`, "EXPOSE 80"); err != nil {
			t.Fatal(err)
		}
		s.begin(files)
	}
	return all
}

// begin puts the gate, the tee and the files there.
func (s *side) begin(files map[string]string) {
	s.t.Helper()
	behind := s.engine.Socket()
	if s.mode != "" {
		s.behind = teeBefore(s.t, filepath.Join(s.t.TempDir(), "behind.sock"), behind)
		s.gate = standAt(s.t, s.engine.Host(), s.behind.socket, s.mode, "")
		behind = s.gate.socket
	}
	s.dir = s.t.TempDir()
	for name, text := range files {
		path := filepath.Join(s.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	s.tee = teeBefore(s.t, filepath.Join(s.t.TempDir(), "tee.sock"), behind)
	s.own = strings.NewReplacer(s.tee.socket, "SOCKET", s.dir, "DIR", filepath.Dir(s.engine.Socket()), "ENGINE")
}

// words splits a line at blanks, but not within single quotes.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// command makes a command of a line, with the side's engine as its own.
func (s *side) command(ctx context.Context, line string) *exec.Cmd {
	args := words(line)
	switch args[0] {
	case "docker":
		args[0] = s.client
	case "newer":
		args[0] = newer
	}
	dir, buildkit := s.dir, "0"
	if args[0] == "buildkit" {
		args[0], buildkit = s.client, "1"
	}
	if args[0] == "python" {
		args[0] = s.compose[0]
	}
	if args[0] == "compose" {
		args = slices.Concat(s.compose, []string{"--no-ansi"}, args[1:])
		dir = filepath.Join(dir, "shop")
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + s.dir, "DOCKER_HOST=unix://" + s.tee.socket, "DOCKER_CONFIG=" + filepath.Dir(s.tee.socket), "DOCKER_BUILDKIT=" + buildkit, "DOCKER_CLI_HINTS=false", "TERM=xterm"}
	cmd.Env = append(cmd.Env, s.environ...)
	cmd.WaitDelay = time.Second
	return cmd
}

// run runs a line to its end.
func (s *side) run(line, stdin string) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := s.command(ctx, line)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	return outcome{Code: code(err), Out: out.String(), Err: errs.String()}
}

// verbatim says that clients got each byte that the engine gave for them, which holds where
// the gate answers nothing itself. A client may have gone before it got all.
func (s *side) verbatim(line string, before, behind []*teed) {
	s.t.Helper()
	var want, got []string
	for _, c := range behind {
		want = append(want, c.down.String())
	}
	gone := 0
	for _, c := range before {
		text := c.down.String()
		if i := slices.Index(want, text); i >= 0 {
			want = slices.Delete(want, i, i+1)
		} else if text == "" {
			gone++
		} else {
			got = append(got, text)
		}
	}
	// What is left is not equal to anything.
	got = slices.DeleteFunc(got, func(text string) bool {
		i := slices.IndexFunc(want, func(whole string) bool { return strings.HasPrefix(whole, text) })
		if i >= 0 {
			want = slices.Delete(want, i, i+1)
		}
		return i >= 0
	})
	if len(got) > 0 || len(want) > gone {
		s.t.Errorf("%s: %s: (- as the engine said it, + as it came)\n%s", s.name, line, cmp.Diff(want, got))
	}
}

// lines are an outcome for a person to compare.
func (o *outcome) lines() []string {
	return strings.Split(fmt.Sprintf("exit code %d\n%s\n--- standard error\n%s\n--- %s", o.Code, o.Out, o.Err, strings.Join(o.Exchanges, "\n--- ")), "\n")
}

// difference has the first lines that only one has.
func difference(a, b *outcome, shuffled bool) string {
	const most = 40
	var out []string
	one, other := a.lines(), b.lines()
	if shuffled {
		slices.Sort(one)
		slices.Sort(other)
	}
	for _, line := range strings.Split(cmp.Diff(one, other), "\n") {
		if strings.HasPrefix(line, "-") || strings.HasPrefix(line, "+") || strings.Contains(line, "...") {
			out = append(out, line)
		}
	}
	if len(out) > most {
		out = append(out[:most], "...")
	}
	return strings.Join(out, "\n")
}

// sent sends each text over a connection of its own, and reads what comes of it to its end:
// who answers must close.
func sent(requests ...string) func(*side) outcome {
	return func(s *side) outcome {
		s.t.Helper()
		for _, text := range requests {
			if _, err := s.ask(text); err != nil {
				s.t.Errorf("%s: %v: %.200q", s.name, err, text)
			}
		}
		return outcome{}
	}
}

func (s *side) ask(text string) ([]byte, error) {
	c, err := net.Dial("unix", s.tee.socket)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

// in is a time so many seconds from now, for a query.
func in(seconds int) string {
	return strconv.FormatInt(time.Now().Unix()+int64(seconds), 10)
}

func code(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// steps does all steps on one side, and maps what came of them.
func (s *side) steps(all []step) []outcome {
	s.tee.take(s.t)
	out := make([]outcome, 0, len(all))
	for _, step := range all {
		var o outcome
		if step.do != nil {
			o = step.do(s)
		} else {
			o = s.run(step.line, step.stdin)
		}
		conns := s.tee.take(s.t)
		if s.mode != "" {
			behind := s.behind.take(s.t)
			if s.mode == Observe {
				s.verbatim(step.line, conns, behind)
			}
		}
		o.Exchanges = sorted(s.t, conns, s.own, step.blur)
		if step.outside {
			o.Exchanges = nil
		}
		if step.alone {
			o.Exchanges = slices.Compact(o.Exchanges)
		}
		o.Out, o.Err = content("text", []byte(o.Out), s.own), mapped(o.Err, s.own)
		if step.blur != "" {
			what := regexp.MustCompile(step.blur)
			o.Out, o.Err = what.ReplaceAllString(o.Out, ""), what.ReplaceAllString(o.Err, "")
		}
		out = append(out, o)
	}
	return out
}

// refuses says whether a text has one of those by which the step is refused.
func (s *step) refuses(text string) bool {
	return slices.ContainsFunc(strings.Split(s.refused, "|"), func(one string) bool { return strings.Contains(text, one) })
}

// same does steps on all sides and compares what came of them with what comes of them
// without a gate.
func same(t *testing.T, all []*side, steps []step) {
	t.Helper()
	outcomes := make([][]outcome, len(all))
	var done sync.WaitGroup
	for i, s := range all {
		done.Go(func() { outcomes[i] = s.steps(steps) })
	}
	done.Wait()
	for i, s := range all[1:] {
		for k, step := range steps {
			bare, got := outcomes[0][k], outcomes[i+1][k]
			if step.refused != "" && s.mode == Enforce {
				if text := got.Out + got.Err + strings.Join(got.Exchanges, ""); got.Code == 0 && step.do == nil || !step.refuses(text) {
					t.Errorf("%s: %s: want a refusal with %q, got %d\n%s", s.name, step.line, step.refused, got.Code, text)
				}
				continue
			}
			if diff := difference(&bare, &got, step.shuffled); diff != "" {
				t.Errorf("%s: %s: (- without the gate, + with it)\n%s", s.name, step.line, diff)
			}
		}
		s.onlyListed(steps)
	}
}

// onlyListed says that the trail has a refusal where one is listed, and nowhere else.
func (s *side) onlyListed(steps []step) {
	s.t.Helper()
	listed := 0
	for _, step := range steps {
		if step.refused != "" {
			listed++
		}
	}
	var refusals []string
	for _, e := range s.gate.events(s.t) {
		if strings.HasPrefix(e, refuse+" ") {
			refusals = append(refusals, e)
		}
	}
	if len(refusals) < listed || listed == 0 && len(refusals) > 0 {
		s.t.Errorf("%s: %d refusals are recorded, and %d steps are to be refused:\n%s", s.name, len(refusals), listed, strings.Join(refusals, "\n"))
	}
}
