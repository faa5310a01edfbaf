package test

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plimsoll/plimsoll/internal/cli"
)

// TestMain makes the test binary the real program where a script, or another
// test, runs it by the name plimsoll, which is in PATH; and a wrong one by another.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plimsoll": cli.Main, "wrong-gate": wrongGate})
}
