package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// build makes all programs that are compared, with the flags of a release, and
// installs them: a linker writes its file through memory, a page at a time, and
// the kernel then keeps it in smaller pieces than one that was copied, which costs
// a larger program more when it starts.
func (b *bench) build() error {
	hello := filepath.Join(b.dir, "src")
	if err := os.Mkdir(hello, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"go.mod":  "module hello\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"hello\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(hello, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, one := range []struct{ dir, name, source, tags string }{{".", "plimsoll", "./cmd/plimsoll", "front"}, {".", "plimsoll-images", "./cmd/plimsoll", ""}, {".", "plimsoll-gate", "./cmd/plimsoll-gate", ""},
		{".", "minimal", "./bench/minimal", ""}, {".", "reverse", "./bench/reverse", ""}, {".", "floor", "./bench/floor", ""}, {hello, "hello", ".", ""}} {
		cmd := exec.Command("go", "build", "-C", one.dir, "-trimpath", "-tags", one.tags, "-ldflags=-s -w", "-o", b.program(one.name+".linked"), one.source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", one.source, err, out)
		}
		if err := install(b.program(one.name+".linked"), b.program(one.name)); err != nil {
			return fmt.Errorf("installing %s: %w", one.name, err)
		}
	}
	return nil
}

// install moves a program to where it stays, by copying it.
func install(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o755); err != nil {
		return err
	}
	return os.Remove(from)
}
