// Command lab runs things against a private Docker engine that leaves no
// trace. `lab` alone says how; package lab says how it works.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/plimsoll/plimsoll/test/lab"
)

const usage = `usage:
  lab run [--on-disk] -- COMMAND...
                             run COMMAND with a private engine for tests, which has its data
                             in memory, or on the disk
  lab test [--on-disk] PACKAGE... -- COMMAND...
                             the same, with these Debian packages for as long as it runs
  lab demo [-- COMMAND...]   run COMMAND, or wait for Ctrl-C, with eight sample containers
  lab audit -- PLIMSOLL      audit this machine's engine, or a throwaway one where there is none
  lab install [PACKAGE...]   install what an engine needs, or the named Debian packages
  lab remove                 remove again what "lab install" added

All need root, except "lab audit" where there is an engine.
`

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if did, err := lab.Internal(args); did {
		return report(0, err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	w := lab.World{Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals}
	verb, rest := "", args
	if len(args) > 0 {
		verb, rest = args[0], args[1:]
	}
	// What follows "--" is a command.
	names, command := rest, []string(nil)
	if i := slices.Index(rest, "--"); i >= 0 {
		names, command = rest[:i], rest[i+1:]
	}
	if (verb == "run" || verb == "test") && len(names) > 0 && names[0] == "--on-disk" {
		w.OnDisk, names = true, names[1:]
	}
	isCommand := len(names) == 0 && len(command) > 0
	switch {
	case verb == "run" && isCommand:
		return report(lab.Run(w, command))
	case verb == "test" && len(names) > 0 && len(command) > 0:
		return report(lab.Test(w, names, command))
	case verb == "audit" && isCommand:
		return report(lab.Audit(w, command))
	case verb == "demo" && (isCommand || len(rest) == 0):
		return report(lab.RunDemo(w, command))
	case verb == "install" && command == nil:
		if len(rest) == 0 {
			rest = lab.Packages
		}
		return report(lab.RunInstall(w, rest))
	case verb == "remove" && len(rest) == 0:
		return report(lab.RunRemove(w))
	case verb == "help" || verb == "-h" || verb == "--help":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return 2
}

// report prints an error and returns the exit code, which is not 0 with one.
func report(code int, err error) int {
	if err != nil {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		return max(code, 1)
	}
	return code
}
