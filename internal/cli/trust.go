//go:build !front

package cli

import "github.com/spf13/cobra"

// trustCommand is plimsoll trust with its verbs.
func (a *app) trustCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "trust",
		Short:   trustShort,
		Example: `  plimsoll trust lint`,
		Args:    commandsOnly,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.trustLintCommand())
	return c
}
