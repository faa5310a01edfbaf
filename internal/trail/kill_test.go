package trail

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// appendEnv is the folder that a child of TestKilled appends to.
const appendEnv = "PLIMSOLL_TEST_APPEND"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appendEnv); dir != "" {
		appendForever(dir)
	}
	os.Exit(m.Run())
}

// appendForever appends from 64 goroutines, and says each event that was acknowledged,
// until it is killed.
func appendForever(dir string) {
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now, SegmentBytes: 64 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for w := range 64 {
		go func() {
			for i := w; ; i += 64 {
				e := event(i)
				e.Subject.Name = fmt.Sprintf("%d-%d", os.Getpid(), i)
				seq, err := l.Append(context.Background(), e)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%d %s\n", seq, e.Subject.Name) // one write(2): nothing is kept back
			}
		}()
	}
	select {}
}

// TestKilled: a process that is killed among 64 appenders loses nothing that it
// acknowledged.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	acknowledged := map[int64]string{}
	for round := range 30 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), appendEnv+"="+dir)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := 30 + rand.IntN(200) // events
		lines := bufio.NewScanner(out)
		n := 0
		for lines.Scan() {
			var seq int64
			var name string
			if _, err := fmt.Sscan(lines.Text(), &seq, &name); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			if other, twice := acknowledged[seq]; twice {
				t.Fatalf("event %d is %s and %s", seq, other, name)
			}
			acknowledged[seq] = name
			if n++; n == after {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); n < after || err == nil {
			t.Fatalf("round %d: %d events, %v: %s", round, n, err, stderr.String())
		}
	}
	held(t, "after 30 kills", dir, acknowledged)
}

// TestTwoProcesses: a second process is refused the trail, and can write it when the
// first has let it go.
func TestTwoProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	l := open(t, dir)
	other := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), appendEnv+"="+dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := other(); err == nil || !strings.Contains(out, "another process writes this trail") {
		t.Errorf("a second process says %v: %s", err, out)
	}
	fill(t, l, 100, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _ := other(); !strings.HasPrefix(out, "10") && !strings.Contains(out, "\n10") {
		t.Errorf("after that it says %.200s", out)
	}
}
