package cli

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/inventory"
	"github.com/plimsoll/plimsoll/internal/term"
)

// inventoryCommand is plimsoll inventory.
func (a *app) inventoryCommand() *cobra.Command {
	var f inventory.Filter
	var at, unscanned, format, output string
	c := &cobra.Command{
		Use:   "inventory",
		Short: "What is deployed: by whom, when, why, whose, for how long",
		Long: `inventory lists what is deployed here, a line a deployment, worst first, as the
trail tells it. With --at it tells what was deployed at another time, as it was
then.

Who deploys says why by labels:

  docker run -l plimsoll.owner=team-shop -l plimsoll.why="release 4.18" \
    -l plimsoll.intent="the shop's API" -l plimsoll.retire-after=90d shop/api:4.18.2

plimsoll serve records. Without it the inventory stays as it was.`,
		Example: `  plimsoll inventory
  plimsoll inventory --overdue
  plimsoll inventory --unscanned 30d --format csv -o unscanned.csv
  plimsoll inventory --at 2026-11-01T12:00:00Z --image nginx`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if formats := []string{"table", "json", "csv", "html"}; !slices.Contains(formats, format) {
				return &failure{code: exitUsage, message: "--format " + format + " is not a format of inventory", hint: "Use table, json, csv or html."}
			}
			f.Now = a.world.Now()
			var err error
			if at != "" {
				if f.At, err = parseMoment("--at", at, f.Now); err != nil {
					return err
				}
			}
			if unscanned != "" {
				if f.Unscanned, err = parseAge(unscanned); err != nil || f.Unscanned == 0 {
					return &failure{code: exitUsage, message: "--unscanned " + unscanned + " is not an age", hint: "Give one such as 12h, 30d or 6w."}
				}
			}
			list, err := a.listInventory(c.Context(), f)
			if err != nil {
				return err
			}
			return a.deliver(c.Context(), output, "the inventory", func(w io.Writer) error {
				switch format {
				case "json":
					return list.WriteJSON(w)
				case "csv":
					return list.WriteCSV(w)
				case "html":
					return list.WriteHTML(w)
				}
				p := a.stdout
				if output != "" {
					p = term.New(term.Config{Writer: w, UTF8: true})
				}
				return list.WriteTable(p, inventory.TableOptions{Columns: p.Columns(), Verbose: a.verbose})
			})
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.Overdue, "overdue", false, "only what should be retired by now")
	flags.BoolVar(&f.Unowned, "unowned", false, "only what has no owner")
	flags.StringVar(&unscanned, "unscanned", "", "only what was not scanned for this `AGE`: 12h, 30d")
	flags.StringVar(&f.Owner, "owner", "", "only what belongs to `OWNER`")
	flags.StringVar(&f.Image, "image", "", "only images with this `TEXT` in their name, of this pattern (*/nginx:1.*), or sha256:DIGITS")
	flags.StringVar(&at, "at", "", "what was deployed at this `TIME`: a date, a time, or an age such as 12h")
	flags.BoolVar(&f.All, "all", false, "what was removed too")
	flags.StringVar(&format, "format", "table", "`FORMAT`: table, json, csv or html")
	flags.StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

// listInventory brings the read model up to the trail, and asks it.
func (a *app) listInventory(ctx context.Context, f inventory.Filter) (*inventory.Listing, error) {
	source, err := inventory.Trail(a.trailDir())
	if err != nil {
		return nil, a.noTrail(err)
	}
	db, err := inventory.Open(filepath.Join(a.state, "inventory.db"))
	if err != nil {
		return nil, &failure{code: exitUnable, message: "the inventory's database can't be opened", hint: "Run it as root. The file may be removed: it is made again from the trail.", err: err}
	}
	var list *inventory.Listing
	if err = db.Sync(ctx, source); err == nil {
		list, err = db.List(ctx, f)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &failure{code: exitUnable, message: "the inventory can't be read", hint: "Its database " + filepath.Join(a.state, "inventory.db") + " may be removed: it is made again from the trail.", err: err}
	}
	return list, nil
}
