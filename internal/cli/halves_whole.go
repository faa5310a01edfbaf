//go:build !front

package cli

import "github.com/spf13/cobra"

// imagesCommands are those that the front leaves to this program.
func (a *app) imagesCommands() []*cobra.Command {
	return []*cobra.Command{a.imageCommand(), a.dbCommand(), a.registryCommand(), a.serveCommand(), a.trustCommand()}
}
