// Command pack writes what judging needs of the rules in a form that is read faster
// than YAML: go generate ./rules.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/plimsoll/plimsoll/internal/rule"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: pack DIR")
	}
	text, err := rule.Pack(os.DirFS(args[0]))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(args[0], rule.PackedFile), text, 0o644)
}
