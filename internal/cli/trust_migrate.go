//go:build !front

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/term"
)

// migrating are the flags of trust migrate.
type migrating struct {
	signing
	trust, from, server, format string
	dry                         bool
}

func (a *app) trustMigrateCommand() *cobra.Command {
	var m migrating
	c := &cobra.Command{
		Use:   "migrate --from dct --key FILE NAME…",
		Short: "Sign with a key what Docker Content Trust has signed",
		Long: `migrate signs each tag of a repository that verifies by Docker Content Trust with a
key of cosign's: exactly the manifest that content trust has signed. The server is
the one that the policy of trust has for the name. What the key has signed already
is left, so that it can be run again; a tag that leads to something else by now, or
does not verify, is told and not signed.

The exit code is 1 where a tag was not migrated, and 3 where a server or a registry
could not be asked.`,
		Example: `  plimsoll trust migrate --from dct --key cosign.key --dry-run registry.example/shop/api
  plimsoll trust migrate --from dct --key cosign.key registry.example/shop/api registry.example/shop/web:1.2`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case m.from != "dct":
				return &failure{code: exitUsage, message: "trust migrate is from Docker Content Trust", hint: "Say  --from dct"}
			case m.key == "":
				return &failure{code: exitUsage, message: "trust migrate needs a key", hint: "Name its file:  --key cosign.key"}
			case !slices.Contains(layouts, m.layout):
				return &failure{code: exitUsage, message: "--layout " + m.layout + " is none", hint: "Use  --layout tag,  referrer  or  both"}
			case len(args) == 0:
				return &failure{code: exitUsage, message: "trust migrate takes names of repositories, or of tags in them", hint: "For example\n" + c.Example}
			}
			if err := tableOrJSON(m.format); err != nil {
				return err
			}
			return a.migrate(c.Context(), &m, args)
		},
	}
	f := c.Flags()
	f.StringVar(&m.from, "from", "", "`WHAT` has signed until now: dct, Docker Content Trust")
	f.StringVar(&m.key, "key", "", "the private key, `FILE`")
	f.StringVar(&m.passwordFile, "password-file", "", "`FILE` with the key's password; without one COSIGN_PASSWORD has it")
	f.StringVar(&m.layout, "layout", "tag", "`WHERE` the signatures go: "+strings.Join(layouts, ", "))
	f.StringVar(&m.trust, "trust", defaultTrust, "the policy of trust, `FILE`")
	f.StringVar(&m.server, "server", "", "the policy's `NAME` of the server, where an entry has several")
	f.BoolVar(&m.dry, "dry-run", false, "say what would be signed, and sign nothing")
	f.StringVar(&m.format, "format", "table", "`FORMAT`: table or json")
	m.registryFlags(f)
	return c
}

// wanted is a repository with the tags of it that are meant; none are all.
type wanted struct {
	name string
	tags []string
}

// wantedOf reads names of repositories and of tags.
func wantedOf(args []string) ([]*wanted, error) {
	var list []*wanted
	for _, text := range args {
		named, err := reference.ParseNormalizedNamed(text)
		if _, digested := named.(reference.Digested); err != nil || digested {
			return nil, &failure{code: exitUsage, message: fmt.Sprintf("%.200q names no repository, and no tag of one", text), hint: "Such as  registry.example/shop/api  or  registry.example/shop/api:4.18", err: err}
		}
		i := slices.IndexFunc(list, func(w *wanted) bool { return w.name == named.Name() })
		tagged, is := named.(reference.Tagged)
		switch {
		case i < 0 && is:
			list = append(list, &wanted{named.Name(), []string{tagged.Tag()}})
		case i < 0:
			list = append(list, &wanted{name: named.Name()})
		case !is:
			list[i].tags = nil
		case len(list[i].tags) > 0 && !slices.Contains(list[i].tags, tagged.Tag()):
			list[i].tags = append(list[i].tags, tagged.Tag())
		}
	}
	return list, nil
}

func (a *app) migrate(ctx context.Context, m *migrating, args []string) error {
	if _, err := a.config(ctx); err != nil {
		return err
	}
	policy, err := readTrust(ctx, m.trust)
	if err != nil {
		return err
	}
	list, err := wantedOf(args)
	if err != nil {
		return err
	}
	if _, is := policy.Servers[m.server]; m.server != "" && !is {
		return &failure{code: exitUsage, message: fmt.Sprintf("--server %.100q is none of %s", m.server, m.trust), hint: "Name one of its  content_trust"}
	}
	by, err := a.signer(ctx, &m.signing)
	if err != nil {
		return err
	}
	o, err := a.imageOptions(&m.peering)
	if err != nil {
		return err
	}
	progress := a.progress()
	defer progress.Stop()
	label := ""
	how := sign.Migration{Verifier: a.verifier(policy, o), Server: m.server, By: by, Layouts: layoutsOf(m.layout), Dry: m.dry, Progress: func(done, of int) {
		if done == 0 {
			progress.Count(label, of, "tags")
		} else {
			progress.Done(1)
		}
	}}
	rows := []sign.Migrated{}
	for _, w := range list {
		label = "Signing " + w.name
		some, err := how.Repository(ctx, w.name, w.tags)
		rows = append(rows, some...)
		if err != nil {
			break // ctx has ended
		}
	}
	progress.Stop()
	write := a.migratedTable
	if m.format == "json" {
		write = a.migratedJSON
	}
	if err := write(rows, policy.NamesOf(by.Key.ID), by.Key.ID, m); err != nil {
		return err
	}
	is := func(did string) bool {
		return slices.ContainsFunc(rows, func(r sign.Migrated) bool { return r.Did == did })
	}
	switch {
	case ctx.Err() != nil:
		return &failure{code: exitSignal, message: "ended by a signal; what is told above is done", hint: "Run it again: it goes on where it was."}
	case is(sign.MigratedUnable):
		return &failure{code: exitUnable, message: "a server or a registry could not be asked", hint: "Run it again when it answers: it goes on where it was."}
	case slices.ContainsFunc(rows, func(r sign.Migrated) bool { return !r.Done() }):
		return errFindings
	}
	return nil
}

// layoutsOf are the places that a word of --layout means.
func layoutsOf(word string) []cosign.Layout {
	switch word {
	case "tag":
		return []cosign.Layout{cosign.Tags}
	case "referrer":
		return []cosign.Layout{cosign.Referrers}
	}
	return []cosign.Layout{cosign.Tags, cosign.Referrers}
}

// migratedTable tells it to people.
func (a *app) migratedTable(rows []sign.Migrated, names []string, id string, m *migrating) error {
	p := a.stdout
	var b strings.Builder
	styles := map[string]term.Style{sign.MigratedNow: term.Pass, sign.MigratedBefore: term.Pass, sign.MigratedDry: term.Change, sign.MigratedUnable: term.Unknown}
	n := map[string]int{}
	for _, r := range rows {
		style, known := styles[r.Did]
		if !known {
			style = term.Deny
		}
		n[r.Did]++
		what, said := r.Name, strings.ReplaceAll(r.Did, "-", " ")
		if r.Tag != "" {
			what += ":" + r.Tag
		}
		if r.Why != "" {
			said += ": " + r.Why
		}
		fmt.Fprintf(&b, "%s %s  %s\n", p.Glyph(style), p.Escape(what), p.Escape(said))
		if r.Digest != "" {
			fmt.Fprintf(&b, "      %s\n", p.Paint(term.Faint, p.Escape(r.Digest+" by "+r.Role)))
		}
		if r.Hint != "" {
			fmt.Fprintf(&b, "      %s\n", p.Escape(r.Hint))
		}
	}
	var sums []string
	for _, did := range []string{sign.MigratedNow, sign.MigratedBefore, sign.MigratedDry, sign.MigratedMoved, sign.MigratedGone, sign.MigratedNot, sign.MigratedUnable} {
		if n[did] > 0 {
			sums = append(sums, fmt.Sprintf("%d %s", n[did], strings.ReplaceAll(did, "-", " ")))
		}
	}
	fmt.Fprintf(&b, "\n %s.\n", strings.Join(sums, ", "))
	if len(names) == 0 {
		fmt.Fprintf(&b, " %s does not have the key %s yet:\n  plimsoll trust keys add NAME cosign.pub\n", p.Escape(m.trust), shortID(id))
	}
	return a.print(b.String())
}

// migratedJSON tells it to programs.
func (a *app) migratedJSON(rows []sign.Migrated, names []string, id string, m *migrating) error {
	type row struct {
		Name   string `json:"name"`
		Tag    string `json:"tag,omitempty"`
		Digest string `json:"digest,omitempty"`
		Role   string `json:"role,omitempty"`
		Did    string `json:"did"`
		Why    string `json:"why,omitempty"`
		Hint   string `json:"hint,omitempty"`
	}
	body := struct {
		Schema string   `json:"schema"`
		Key    string   `json:"key"`
		Names  []string `json:"names"` // of the key in the policy
		DryRun bool     `json:"dry_run"`
		Tags   []row    `json:"tags"`
	}{"plimsoll/migrated/1", id, append([]string{}, names...), m.dry, []row{}}
	for _, r := range rows {
		body.Tags = append(body.Tags, row(r))
	}
	return a.printJSON(body)
}
