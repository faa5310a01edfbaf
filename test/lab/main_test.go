package lab

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// token is in the name of every folder and cgroup of this test run's engines,
// so that they can be told from others on the machine.
var token = fmt.Sprintf("plimsoll-lab-test-%d", os.Getpid())

// The test program is also the lab command of these tests: asLab holds the
// folder for its engines instead of Base.
const asLab = "PLIMSOLL_LAB_TEST_BASE"

func TestMain(m *testing.M) {
	if did, err := Internal(os.Args[1:]); did {
		exit(0, err)
	}
	if base := os.Getenv(asLab); base != "" {
		signals := make(chan os.Signal, 8)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
		w := World{Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, base: base}
		exit(labCommand(w, os.Args[1], os.Args[2:]))
	}
	os.Exit(m.Run())
}

func labCommand(w World, verb string, args []string) (int, error) {
	switch verb {
	case "run":
		return Run(w, args)
	case "test":
		return Test(w, Packages, args)
	case "demo":
		return RunDemo(w, args)
	case "audit":
		return Audit(w, args)
	case "install":
		return RunInstall(w, args)
	}
	return RunRemove(w)
}

func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// lacking skips a test for want of something on this machine, but fails it
// where it must not be wanting.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lacking(t, "needs root")
	}
}

// needEngine skips a test where engines cannot be started.
func needEngine(t *testing.T) {
	t.Helper()
	needRoot(t)
	if missing := missing(t); len(missing) > 0 {
		lacking(t, fmt.Sprintf("%v are not installed: run `lab install`", missing))
	}
}

// testBase is the folder of this test run's engines.
func testBase() string { return filepath.Join(filepath.Dir(Base), token) }

// shortTempDir is a temporary folder whose sockets have short enough paths.
func shortTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// missing are the engine's packages that are not installed.
func missing(t *testing.T) []string {
	t.Helper()
	m, err := Missing(Packages)
	if err != nil {
		lacking(t, err.Error())
	}
	return m
}
