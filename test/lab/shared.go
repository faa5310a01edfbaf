package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What `lab run` tells the command that it runs.
const (
	envEngine = "PLIMSOLL_TEST_ENGINE" // DOCKER_HOST of the shared engine
	envPid    = "PLIMSOLL_TEST_PID"    // its dockerd
	envLab    = "PLIMSOLL_TEST_LAB"    // a program for Config.Program
)

// T is what Shared and Private need of a *testing.T.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
}

// Shared returns the engine of the whole test run. It is the caller's to use
// but not to change for others: a test gives its containers names of their own
// (its own name in them) and removes them. Closing it does nothing.
//
// Where `lab run` did not start the tests, a test is skipped, or fails if the
// environment says CI=true: there, a run that tested nothing must not look
// like one that passed.
func Shared(t T) *Engine {
	t.Helper()
	e, err := fromEnviron(os.Getenv)
	if err != nil {
		give(t, err)
		return nil
	}
	return e
}

// Private returns an engine of the test's own with the given settings, and
// closes it when the test ends. It needs a second or two; Shared is for tests
// that can do with Debian's settings. Where there is none it does as Shared.
func Private(t T, settings map[string]any) *Engine {
	t.Helper()
	return startFor(t, Config{Settings: settings})
}

func startFor(t T, c Config) *Engine {
	t.Helper()
	if c.Program = os.Getenv(envLab); c.Program == "" {
		give(t, errNoLab)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	e, err := Start(ctx, c)
	if err != nil {
		t.Fatalf("a private engine: %v", err)
		return nil
	}
	t.Cleanup(func() {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatalf("ending the private engine: %v", err)
		}
	})
	return e
}

// errNoLab says how tests get an engine.
var errNoLab = errors.New("no engine to test with: run `make test`, or `go run ./test/lab/cmd/lab run -- go test ./...` as root")

func give(t T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%v", err)
		return
	}
	t.Skipf("%v", err)
}

// fromEnviron makes the shared engine out of what `lab run` told.
func fromEnviron(getenv func(string) string) (*Engine, error) {
	host, pid := getenv(envEngine), getenv(envPid)
	if host == "" || pid == "" {
		return nil, errNoLab
	}
	socket, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return nil, fmt.Errorf("%s=%s is not the socket of a lab's engine: unset it and use `lab run`", envEngine, host)
	}
	n, err := strconv.Atoi(pid)
	if err != nil || n <= 1 {
		return nil, fmt.Errorf("%s=%s is not a process id: unset it and use `lab run`", envPid, pid)
	}
	e := &Engine{Pid: n, dir: filepath.Dir(socket)}
	e.close.Do(func() {}) // it is not ours to end
	return e, nil
}

// environ is what the command of `lab run` finds in its environment for e.
func (e *Engine) environ() []string {
	return []string{
		envEngine + "=" + e.Host(),
		envPid + "=" + strconv.Itoa(e.Pid),
		envLab + "=" + filepath.Join(e.dir, "lab"),
	}
}
