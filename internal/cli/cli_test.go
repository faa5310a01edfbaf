package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// run runs a command line in surroundings that are the same everywhere.
func run(t *testing.T, ctx context.Context, w World, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	w.Args = args
	w.Getenv = func(name string) string { return map[string]string{"LANG": "C.UTF-8"}[name] }
	w.LookupEnv = func(string) (string, bool) { return "", false }
	if w.Now == nil {
		w.Now = func() time.Time { return time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC) }
	}
	w.Stderr = &errs
	if w.Stdin == nil {
		w.Stdin = strings.NewReader("")
	}
	if w.Stdout == nil {
		w.Stdout = &out
	}
	code = Run(ctx, w)
	return code, out.String(), errs.String()
}

// TestEveryCommandHelps: a command without an example, or whose flags say
// nothing of their value, is no help.
func TestEveryCommandHelps(t *testing.T) {
	seen := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		seen++
		if c.Short == "" || !strings.HasPrefix(c.Example, "  plimsoll ") {
			t.Errorf("%s: short %q, example %q", c.CommandPath(), c.Short, c.Example)
		}
		for _, line := range strings.Split(c.LocalFlags().FlagUsages(), "\n") {
			if strings.Contains(line, " string ") || strings.Contains(line, " strings ") {
				t.Errorf("%s: the value of a flag has no name: %s", c.CommandPath(), line)
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	walk(root)
	if seen < 10 {
		t.Errorf("%d commands were seen", seen)
	}
}

// TestClock: the times of a report are the World's, and nothing else in it
// changes from one run to the next.
func TestClock(t *testing.T) {
	args := []string{"check", "--format", "json", "--", "docker", "run", "nginx"}
	code, first, stderr := run(t, t.Context(), World{}, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, stderr %s", code, stderr)
	}
	if !strings.Contains(first, `"started": "2026-11-24T10:00:00Z",`) || !strings.Contains(first, `"duration_ms": 0,`) {
		t.Errorf("the times are not the clock's:\n%.300s", first)
	}
	_, second, _ := run(t, t.Context(), World{}, args...)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}

// broken takes nothing.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func TestBrokenOutput(t *testing.T) {
	for _, args := range [][]string{
		{"version"}, {"rules", "list"}, {"rules", "show", "score"}, {"rules", "show", "memory-unlimited"}, {"completion", "bash"},
		{}, {"--help"}, {"help"}, {"help", "audit"}, {"audit", "--help"}, {"rules"}, {"rules", "--help"}, {"rules", "test", "-h"},
		{"check", "--", "docker", "run", "nginx"},
		{"check", "--format", "json", "--", "docker", "run", "--privileged", "nginx"},
	} {
		code, _, stderr := run(t, t.Context(), World{Stdout: broken{}}, args...)
		if code != exitUnable || !strings.Contains(stderr, "the disk is full") {
			t.Errorf("%s: code %d, stderr %q", args, code, stderr)
		}
		want := 0
		if slices.Contains(args, "--privileged") {
			want = exitFindings
		}
		if code, out, _ := run(t, t.Context(), World{}, args...); code != want || out == "" {
			t.Errorf("%s: code %d, %d bytes where nothing is broken", args, code, len(out))
		}
	}
}

// silent is a standard input on which nothing comes.
type silent struct{ begun, end chan struct{} }

func (s silent) Read([]byte) (int, error) {
	close(s.begun)
	<-s.end
	return 0, io.EOF
}

func TestSignalWhileReading(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	in := silent{begun: make(chan struct{}), end: make(chan struct{})}
	defer close(in.end)
	go func() {
		<-in.begun
		stop()
	}()
	code, stdout, stderr := run(t, ctx, World{Stdin: in}, "audit", "--facts", "-")
	if code != exitSignal || stdout != "" || !strings.Contains(stderr, "ended by a signal") {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestReplaceFile(t *testing.T) {
	failing := errors.New("it broke off")
	half := func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return failing
	}
	whole := func(w io.Writer) error {
		_, err := io.WriteString(w, "whole")
		return err
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	for name, test := range map[string]struct {
		ctx   context.Context
		write func(io.Writer) error
		old   string // "" is no file
		want  string
		err   error
	}{
		"new":            {t.Context(), whole, "", "whole", nil},
		"in its place":   {t.Context(), whole, "old", "whole", nil},
		"fails, new":     {t.Context(), half, "", "", failing},
		"fails, old":     {t.Context(), half, "old", "old", failing},
		"ended by ctx":   {ended, whole, "old", "old", context.Canceled},
		"writes nothing": {t.Context(), func(io.Writer) error { return nil }, "old", "", nil},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "report")
		if test.old != "" {
			if err := os.WriteFile(file, []byte(test.old), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := replaceFile(test.ctx, file, test.write); !errors.Is(err, test.err) {
			t.Errorf("%s: %v", name, err)
		}
		got, err := os.ReadFile(file)
		if there := err == nil; there != (test.old != "" || test.err == nil) || string(got) != test.want {
			t.Errorf("%s: there is %q, %v", name, got, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 1 {
			t.Errorf("%s: the folder holds %v, %v", name, entries, err)
		}
	}
}

func TestReadFileIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(t.Context(), file, 100); err != nil || len(got) != 100 {
		t.Errorf("at the limit: %d bytes, %v", len(got), err)
	}
	if _, err := readFile(t.Context(), file, 99); err == nil || !strings.Contains(err.Error(), "longer than 99 bytes") {
		t.Errorf("above it: %v", err)
	}
	// A device says no size.
	if _, err := readFile(t.Context(), "/dev/zero", 1<<20); err == nil || !strings.Contains(err.Error(), "longer than 1 MiB") {
		t.Errorf("without an end: %v", err)
	}
}

func TestAwait(t *testing.T) {
	if got, err := await(t.Context(), func() (int, error) { return 7, io.EOF }); got != 7 || err != io.EOF {
		t.Errorf("%d, %v", got, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	never := make(chan struct{})
	defer close(never)
	stop()
	if _, err := await(ctx, func() (int, error) { <-never; return 7, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestConfigIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plimsoll.yaml")
	for text, want := range map[string]struct {
		mark int
		fail string
	}{
		"mark: 1":           {1, ""},
		"mark: 100":         {100, ""},
		"":                  {80, ""},
		"mark: 0":           {0, "mark is 0"},
		"mark: -3":          {0, "mark is -3"},
		"mark: 80\nmarc: 1": {0, "did you mean"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a := &app{configFile: file}
		got, err := a.config(t.Context())
		if want.fail == "" && (err != nil || got.Mark != want.mark) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if want.fail != "" {
			code, _, stderr := run(t, t.Context(), World{}, "check", "--config", file, "--", "docker", "run", "nginx")
			if code != exitUsage || !strings.Contains(stderr, want.fail) {
				t.Errorf("%q: code %d, %s", text, code, stderr)
			}
		}
	}
}

func TestEnvKey(t *testing.T) {
	a := &app{state: t.TempDir()}
	if key, err := a.envKey(t.Context()); key != nil || err != nil {
		t.Errorf("without a file: %q, %v", key, err)
	}
	file := filepath.Join(a.state, "env.key")
	for size, good := range map[int]bool{0: false, 31: false, 32: true, 33: false, 5000: false} {
		if err := os.WriteFile(file, bytes.Repeat([]byte("k"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := a.envKey(t.Context())
		if (err == nil) != good || good && len(key) != 32 {
			t.Errorf("%d bytes: %d, %v", size, len(key), err)
		}
	}
}

// fifo makes a pipe whose other end nobody opens before the test ends.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe.yaml")
	if err := unix.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It frees whoever still waits to open it.
		if f, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
			f.Close()
		}
	})
	return name
}

// TestSignalWhileOpening: opening a pipe whose other end is not open waits, and
// a signal ends that like any other wait.
func TestSignalWhileOpening(t *testing.T) {
	facts := filepath.Join("..", "..", "test", "testdata", "script", "facts.json")
	for name, args := range map[string][]string{
		"facts":         {"audit", "--facts", "FILE"},
		"configuration": {"audit", "--facts", facts, "--config", "FILE"},
		"environment":   {"check", "--", "docker", "run", "--env-file", "FILE", "nginx"},
		"labels":        {"check", "--", "docker", "run", "--label-file", "FILE", "nginx"},
		"seccomp":       {"check", "--", "docker", "run", "--security-opt", "seccomp=FILE", "nginx"},
		"output":        {"check", "-o", "FILE", "--", "docker", "run", "nginx"},
		"audit -o":      {"audit", "--facts", facts, "-o", "FILE"},
	} {
		ended, stop := context.WithCancel(t.Context())
		stop()
		pipe := fifo(t)
		for i := range args {
			args[i] = strings.Replace(args[i], "FILE", pipe, 1)
		}
		code, stdout, stderr := run(t, ended, World{}, args...)
		if code != exitSignal || stdout != "" || !strings.Contains(stderr, "ended by a signal") {
			t.Errorf("%s: code %d, stdout %q, stderr %q", name, code, stdout, stderr)
		}
	}
}

// TestPipesWork: what is read or written through a pipe is as good as a file.
func TestPipesWork(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		args []string
	}{
		"configuration": {"mark: 70\n", []string{"check", "--config", "FILE", "--", "docker", "run", "nginx"}},
		"environment":   {"A=1\n", []string{"check", "--", "docker", "run", "--env-file", "FILE", "nginx"}},
		"labels":        {"a=1\n", []string{"check", "--", "docker", "run", "--label-file", "FILE", "nginx"}},
		"seccomp":       {"{}\n", []string{"check", "--", "docker", "run", "--security-opt", "seccomp=FILE", "nginx"}},
	} {
		pipe := fifo(t)
		go os.WriteFile(pipe, []byte(test.text), 0)
		for i := range test.args {
			test.args[i] = strings.Replace(test.args[i], "FILE", pipe, 1)
		}
		if code, stdout, stderr := run(t, t.Context(), World{}, test.args...); code != 0 && code != exitFindings || stdout == "" {
			t.Errorf("%s: code %d, stderr %q", name, code, stderr)
		}
	}
	pipe := fifo(t)
	read := make(chan string, 1)
	go func() {
		data, _ := os.ReadFile(pipe)
		read <- string(data)
	}()
	if code, _, stderr := run(t, t.Context(), World{}, "check", "-o", pipe, "--", "docker", "run", "nginx"); code != 0 {
		t.Fatalf("code %d, stderr %q", code, stderr)
	}
	if got := <-read; !strings.Contains(got, "emory is unlimited") {
		t.Errorf("through the pipe came %q", got)
	}
}

// TestRuleFolder: a pipe among rule files is refused and not waited for; a file,
// and a link to one, are read.
func TestRuleFolder(t *testing.T) {
	pipe := fifo(t)
	for _, args := range [][]string{{"rules", "test", filepath.Dir(pipe)}, {"check", "--rules", filepath.Dir(pipe), "--", "docker", "run", "nginx"}} {
		code, _, stderr := run(t, t.Context(), World{}, args...)
		if code != exitUsage || !strings.Contains(stderr, "pipe.yaml: it is not a regular file") {
			t.Errorf("%s: code %d, stderr %q", args, code, stderr)
		}
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "below", "a.yaml"), []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("below/a.yaml", filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(ruleFolder(filepath.Join(dir, "below")), "a.yaml"); err != nil {
		t.Error(err)
	}
	if data, err := fs.ReadFile(ruleFolder(dir), "b.yaml"); err != nil || string(data) != "a" {
		t.Errorf("through the link: %q, %v", data, err)
	}
}
