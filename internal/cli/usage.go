package cli

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// commandsOnly refuses a word that is no command, for a command that only has
// others below it.
func commandsOnly(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			known = append(known, below.Name())
		}
	}
	hint := "See  " + c.CommandPath() + " --help"
	if near := strict.Nearest(args[0], known); near != "" {
		hint = "Did you mean\n  " + c.CommandPath() + " " + near
	}
	return &failure{code: exitUsage, message: fmt.Sprintf("%q is not a command of %s", args[0], c.CommandPath()), hint: hint}
}

// noEmptyFlags refuses a flag with nothing behind it, as a variable that is not set
// leaves it: to go on without it would do something else than was meant.
func noEmptyFlags(c *cobra.Command) error {
	var empty error
	c.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && empty == nil {
			empty = &failure{code: exitUsage, message: "--" + f.Name + " has no value", hint: "Give it one, or leave it out."}
		}
	})
	return empty
}

// noArguments refuses any word but flags.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return &failure{code: exitUsage, message: fmt.Sprintf("%s takes flags only, and %q is none", c.CommandPath(), args[0]), hint: "See  " + c.CommandPath() + " --help"}
}

// flagError words what is wrong with the flags of c.
func (a *app) flagError(c *cobra.Command, err error) error {
	// A misspelt command comes before its flags, which are not ours to know.
	if c.HasSubCommands() && len(c.Flags().Args()) > 0 {
		return commandsOnly(c, c.Flags().Args())
	}
	hint := "See  " + c.CommandPath() + " --help"
	if name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		if near := strict.Nearest(name, flagNames(c)); near != "" {
			hint = "Did you mean  --" + near
		}
	}
	if c.Name() == "check" && !slices.Contains(a.world.Args, "--") {
		hint = "The run line comes after --, as in\n  plimsoll check -- docker run nginx"
	}
	return &failure{code: exitUsage, message: err.Error(), hint: hint}
}

// flagNames are the flags that c takes, its own and the global ones.
func flagNames(c *cobra.Command) []string {
	var names []string
	usage := c.LocalFlags().FlagUsages() + c.InheritedFlags().FlagUsages()
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)`).FindAllStringSubmatch(usage, -1) {
		names = append(names, m[1])
	}
	return names
}

// helpCommand is plimsoll help.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Show the help of a command",
		Example: "  plimsoll help audit\n  plimsoll help rules test",
		// Help needs no flag to be right.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return commandsOnly(of, rest)
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// completionCommand is plimsoll completion.
func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print what completes commands and flags in bash, zsh or fish",
		Example:   "  plimsoll completion bash > /etc/bash_completion.d/plimsoll\n  plimsoll completion zsh > \"${fpath[1]}/_plimsoll\"\n  plimsoll completion fish > ~/.config/fish/completions/plimsoll.fish",
		ValidArgs: shells,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return &failure{code: exitUsage, message: "completion takes the name of a shell", hint: "Use one of " + strings.Join(shells, ", ") + "."}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			var out bytes.Buffer
			var err error
			switch root := c.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&out, true)
			case "zsh":
				err = root.GenZshCompletion(&out)
			default:
				err = root.GenFishCompletion(&out, true)
			}
			if err != nil {
				return fmt.Errorf("making the completion for %s: %w", args[0], err)
			}
			return a.print(out.String())
		},
	}
}
