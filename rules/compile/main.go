// Command compile writes the rules in a form that needs neither YAML nor CEL's
// checker to be read: go generate ./rules.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plimsoll/plimsoll/internal/rule"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "compile:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: compile DIR")
	}
	text, err := rule.Compiled(os.DirFS(args[0]))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], rule.CompiledFile), text, 0o644)
}
