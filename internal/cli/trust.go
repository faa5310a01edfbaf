//go:build !front

package cli

import "github.com/spf13/cobra"

// trustCommand is plimsoll trust with its verbs.
func (a *app) trustCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trust",
		Short: trustShort,
		Example: `  plimsoll trust lint
  plimsoll trust keys list
  plimsoll trust keys revoke release-2025 --why "the laptop was stolen"
  plimsoll trust bundle registry.example/shop/api:4.18 -o api.tar
  plimsoll trust migrate --from dct --key cosign.key registry.example/shop/api`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.trustKeysCommand(), a.trustLintCommand(), a.trustBundleCommand(), a.trustMigrateCommand())
	return c
}
