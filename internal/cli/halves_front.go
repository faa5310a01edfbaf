//go:build front

package cli

import "github.com/spf13/cobra"

// imagesCommands are those that the whole program has.
func (a *app) imagesCommands() []*cobra.Command {
	var list []*cobra.Command
	for use, short := range map[string]string{"image": imageShort, "db": dbShort, "registry": registryShort, "serve": serveShort, "trust": trustShort} {
		list = append(list, &cobra.Command{Use: use, Short: short, DisableFlagParsing: true, Annotations: map[string]string{elsewhereNote: imagesProgram},
			RunE: func(c *cobra.Command, _ []string) error { return a.become(c) }})
	}
	return list
}
