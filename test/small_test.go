package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// gateModules are all that plimsoll-gate is made of beside the standard library: it stands
// in front of root, and each is a risk. At most 15.
var gateModules = []string{
	module,
	"go.yaml.in/yaml/v3",
	"golang.org/x/mod",
	"golang.org/x/sys",
	"golang.org/x/text",
}

// maxGate bounds the size of the program, stripped.
const maxGate = 16 << 20

// TestGateIsSmall: plimsoll-gate is made of the modules in the list and no other, and is
// no larger than it may be.
func TestGateIsSmall(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", module+"/cmd/plimsoll-gate").Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, gateModules) || len(got) > 15 {
		t.Errorf("plimsoll-gate is made of %q", got)
	}
	program := filepath.Join(t.TempDir(), "plimsoll-gate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, module+"/cmd/plimsoll-gate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxGate {
		t.Errorf("plimsoll-gate has %d bytes, and %d is the most", info.Size(), maxGate)
	}
}
