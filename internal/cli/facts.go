package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// factsCommand is plimsoll facts.
func (a *app) factsCommand() *cobra.Command {
	var look looking
	var output string
	c := &cobra.Command{
		Use:   "facts",
		Short: "Print what can be observed, as JSON",
		Long: `facts prints all that an audit looks at, as one JSON document, and judges
nothing. The document can be judged later and elsewhere: plimsoll audit --facts.
Values of environment variables and passwords are not in it.`,
		Example: `  plimsoll facts -o facts.json
  plimsoll facts | plimsoll audit --facts -`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := look.check(a.host); err != nil {
				return err
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			f, err := a.look(c.Context(), &look, func() {})
			if err != nil {
				return err
			}
			data, err := facts.Encode(f)
			if err != nil {
				return err
			}
			return a.deliver(c.Context(), output, "the facts", func(w io.Writer) error {
				_, err := w.Write(data)
				return err
			})
		},
	}
	look.flags(c)
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}
