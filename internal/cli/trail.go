package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// trailCommand is plimsoll trail with its verbs.
func (a *app) trailCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trail",
		Short: "The audit trail: what happened, and that it was not edited",
		Long: `The trail is what plimsoll serve records: each deployment, start, stop, exec and
so on, one event each, in a log that only grows. Its size and root hash are
signed. Keep them elsewhere now and then (plimsoll trail checkpoint), and
verify --against shows whether anything before was changed.

The gate keeps a trail of its own, of the requests that it passed on or refused,
and who made them: with --gate each of these commands is about that one.`,
		Example: `  plimsoll trail list --since 7d --container web
  plimsoll trail verify
  plimsoll trail export -o trail.tar
  plimsoll trail verify trail.tar --key key.pub`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().BoolVar(&a.ofGate, "gate", false, "the gate's own trail: who asked for what")
	c.AddCommand(a.trailListCommand(), a.trailShowCommand(), a.trailVerifyCommand(), a.trailProveCommand(), a.trailCheckpointCommand(),
		a.trailExportCommand(), a.trailCountersignCommand(), a.trailPruneCommand())
	return c
}

// trailDir is the folder of the trail.
func (a *app) trailDir() string {
	if a.ofGate {
		return filepath.Join(a.state, gate.TrailFolder)
	}
	return filepath.Join(a.state, "trail")
}

// noTrail says what to do where there is none.
func (a *app) noTrail(err error) error {
	f := &failure{code: exitUnable, message: "the trail in " + a.trailDir() + " can't be read", err: err}
	corrupt := new(trail.CorruptError)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.message, f.err = "there is no trail in "+a.trailDir(), nil
		f.hint = "plimsoll serve begins one. Or name another folder with  --state DIR"
		if a.ofGate {
			f.hint = "plimsoll gate begins one. Or name another folder with  --state DIR"
		}
	case errors.Is(err, fs.ErrPermission):
		f.hint = "Run it as root."
	case errors.As(err, &corrupt):
		f.code, f.hint = exitFindings, "See all that is wrong with\n  plimsoll trail verify"
	}
	return f
}

func (a *app) readTrail() (*trail.View, error) {
	v, err := trail.Read(a.trailDir())
	if err != nil {
		return nil, a.noTrail(err)
	}
	return v, nil
}

// trailFilter says which events are wanted.
type trailFilter struct {
	types            []string
	container, image string
	since, until     string
	last             int
	from, to         time.Time
}

func (f *trailFilter) parse(now time.Time) error {
	var err error
	if f.since != "" {
		if f.from, err = parseMoment("--since", f.since, now); err != nil {
			return err
		}
	}
	if f.until != "" {
		if f.to, err = parseMoment("--until", f.until, now); err != nil {
			return err
		}
	}
	if f.last < 0 {
		return &failure{code: exitUsage, message: fmt.Sprintf("-n %d is less than none", f.last), hint: "Give how many of the last events to print."}
	}
	return nil
}

func (f *trailFilter) wants(e *trail.Event) bool {
	if len(f.types) > 0 {
		named := false
		for _, t := range f.types {
			named = named || t == e.Type
		}
		if !named {
			return false
		}
	}
	s := e.Subject
	switch {
	case f.container != "" && !(s.Kind == "container" && (s.Name == f.container || len(f.container) >= 6 && strings.HasPrefix(s.ID, f.container))):
		return false
	case f.image != "" && !strings.Contains(imageOf(e), f.image):
		return false
	}
	return !e.Time.Before(f.from) && (f.to.IsZero() || e.Time.Before(f.to))
}

// imageOf is the image that an event is about.
func imageOf(e *trail.Event) string {
	if e.Subject.Kind == "image" {
		return cmp.Or(e.Subject.Name, e.Subject.ID)
	}
	return e.Subject.Image
}

func (a *app) trailListCommand() *cobra.Command {
	var f trailFilter
	var format string
	c := &cobra.Command{
		Use:   "list",
		Short: "List events, the oldest first",
		Example: `  plimsoll trail list --since 2026-11-01 --type deploy,remove
  plimsoll trail list --container web -n 20
  plimsoll trail list --format json | jq .subject.name`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "table" && format != "json" {
				return &failure{code: exitUsage, message: "--format " + format + " is not a format of trail list", hint: "Use table or json."}
			}
			if err := f.parse(a.world.Now()); err != nil {
				return err
			}
			v, err := a.readTrail()
			if err != nil {
				return err
			}
			return a.listTrail(c.Context(), v, &f, format)
		},
	}
	flags := c.Flags()
	flags.StringSliceVar(&f.types, "type", nil, "only these `TYPES`: deploy, start, stop, exec and so on")
	flags.StringVar(&f.container, "container", "", "only one container, by its `NAME` or the beginning of its id")
	flags.StringVar(&f.image, "image", "", "only what is about an image with this `TEXT` in its name")
	flags.StringVar(&f.since, "since", "", "only from this `TIME` on: a date, a time, or an age such as 12h or 30d")
	flags.StringVar(&f.until, "until", "", "only before this `TIME`")
	flags.IntVarP(&f.last, "last", "n", 0, "only the last `N` of them; 0 is all")
	flags.StringVar(&format, "format", "table", "`FORMAT`: table or json, a line an event")
	return c
}

// listTrail prints events as they are read; of -n, only as many are kept.
func (a *app) listTrail(ctx context.Context, v *trail.View, f *trailFilter, format string) error {
	line := a.trailLine
	if format == "json" {
		line = func(r trail.Record, _ *trail.Event) string { return string(term.EscapeJSON(r.Data)) + "\n" }
	} else if err := a.print(a.stdout.Paint(term.Faint, fmt.Sprintf("%9s  %-16s  %-8s  %s%-12s  %-20s  %s", "EVENT", "TIME", "TYPE", a.ofGateColumn("CAME OF IT"), "ACTOR", "CONTAINER", "IMAGE")) + "\n"); err != nil {
		return err
	}
	var last []string // of -n, the next to go at shown%n
	shown := 0
	for r, err := range v.Events(0) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return a.noTrail(err)
		}
		e, err := r.Event()
		if err != nil {
			return a.noTrail(err)
		}
		if !f.wants(e) {
			continue
		}
		text := line(r, e)
		switch {
		case f.last == 0:
			if err := a.print(text); err != nil {
				return err
			}
		case len(last) < f.last:
			last = append(last, text)
		default:
			last[shown%f.last] = text
		}
		shown++
	}
	if n := len(last); n > 0 {
		return a.print(strings.Join(append(last[shown%n:], last[:shown%n]...), ""))
	}
	return nil
}

// trailLine is an event in the table.
func (a *app) trailLine(r trail.Record, e *trail.Event) string {
	p := a.stdout
	who := "unknown" // nobody stands between the engine and who asks it
	style := term.Missing
	if e.Actor != nil {
		who, style = actorName(e.Actor), term.Plain
	}
	cell := func(text string, width int) string {
		text = p.Escape(text)
		return text + strings.Repeat(" ", max(0, width-term.Width(text)))
	}
	subject := cmp.Or(e.Subject.Name, e.Subject.ID[:min(len(e.Subject.ID), 12)])
	switch e.Subject.Kind {
	case "container":
	case "image":
		subject = ""
	default:
		subject = e.Subject.Kind + " " + subject
	}
	phase, _ := e.Detail["gate"].(string)
	text := fmt.Sprintf("%9d  %s  %s  %s%s  %s  %s", r.Seq, e.Time.In(a.world.Now().Location()).Format("2006-01-02 15:04"), cell(e.Type, 8), a.ofGateColumn(p.Escape(phase)),
		p.Paint(style, cell(who, 12)), cell(subject, 20), p.Escape(imageOf(e)))
	if rules := objectedRules(e); rules != "" {
		text += "  " + p.Paint(term.Faint, p.Escape(rules))
	}
	return strings.TrimRight(text, " ") + "\n"
}

// ofGateColumn is a cell that only the gate's trail has: what came of a request.
func (a *app) ofGateColumn(text string) string {
	if !a.ofGate {
		return ""
	}
	return fmt.Sprintf("%-12s  ", text)
}

// objectedRules are the rules that the gate refused a request by.
func objectedRules(e *trail.Event) string {
	list, _ := e.Detail["objections"].([]any)
	var rules []string
	for _, o := range list {
		if o, _ := o.(map[string]any); o != nil {
			if rule, _ := o["rule"].(string); rule != "" {
				rules = append(rules, rule)
			}
		}
	}
	return strings.Join(rules, ", ")
}

// actorName is how an actor is called in a line.
func actorName(w *trail.Actor) string {
	switch {
	case w.CertSubject != "":
		return w.CertSubject
	case w.User != "":
		return w.User
	case w.UID != nil:
		return "uid " + strconv.FormatUint(uint64(*w.UID), 10)
	}
	return "unknown"
}

// eventOf reads the one argument of a command, the number of an event, and the trail.
func (a *app) eventOf(c *cobra.Command, args []string) (*trail.View, int64, error) {
	var seq int64 = -1
	if len(args) == 1 {
		if n, err := strconv.ParseInt(args[0], 10, 64); err == nil {
			seq = n
		}
	}
	if seq < 0 {
		return nil, 0, &failure{code: exitUsage, message: c.CommandPath() + " takes the number of one event", hint: "See  plimsoll trail list"}
	}
	v, err := a.readTrail()
	return v, seq, err
}

func (a *app) trailShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show EVENT",
		Short:   "Show one event whole",
		Example: "  plimsoll trail show 1204",
		RunE: func(c *cobra.Command, args []string) error {
			v, seq, err := a.eventOf(c, args)
			if err != nil {
				return err
			}
			r, err := v.Event(seq)
			if err != nil {
				return a.noEvent(v, seq, err)
			}
			var b bytes.Buffer
			if err := json.Indent(&b, r.Data, "", "  "); err != nil {
				return a.noTrail(err)
			}
			return a.print(string(term.EscapeJSON(b.Bytes())) + "\n")
		},
	}
}

// noEvent says that there is no such event, or why it cannot be read.
func (a *app) noEvent(v *trail.View, seq int64, err error) error {
	if seq >= v.Size() || seq < v.First() {
		return &failure{code: exitUsage, message: err.Error(), hint: "See  plimsoll trail list"}
	}
	return a.noTrail(err)
}

func (a *app) trailProveCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "prove EVENT",
		Short: "Prove to somebody else that one event is in the trail",
		Long: `prove writes a proof (C2SP tlog-proof): the event, the hashes beside it in the
tree, and the signed checkpoint. Whoever has the trail's public key checks it
with  plimsoll trail verify --proof FILE --key key.pub, and needs nothing else.`,
		Example: "  plimsoll trail prove 1204 -o event-1204.proof",
		RunE: func(c *cobra.Command, args []string) error {
			v, seq, err := a.eventOf(c, args)
			if err != nil {
				return err
			}
			proof, err := v.Prove(seq)
			if err != nil {
				return a.noEvent(v, seq, err)
			}
			return a.deliver(c.Context(), output, "the proof", func(w io.Writer) error { _, err := w.Write(proof); return err })
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

// deliver writes to the file that was named, whole or not at all, or to standard output.
func (a *app) deliver(ctx context.Context, output, what string, write func(io.Writer) error) error {
	err := checkOutput(output)
	if err != nil {
		return err
	}
	if output != "" {
		err = replaceFile(ctx, output, write)
	} else {
		err = write(a.stdout)
	}
	if err != nil {
		return &failure{code: exitUnable, message: what + " can't be written", err: err}
	}
	return nil
}

func (a *app) trailCheckpointCommand() *cobra.Command {
	var line bool
	c := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the size and root of the trail, signed",
		Long: `checkpoint prints a signed note (C2SP tlog-checkpoint). Keep it where the host
cannot reach it: a mail, another machine, paper. Later
plimsoll trail verify --against it shows whether anything before was changed.`,
		Example: "  plimsoll trail checkpoint > monday.note\n  plimsoll trail checkpoint --line",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			v, err := a.readTrail()
			if err != nil {
				return err
			}
			if line {
				return a.print(v.Checkpoint().String() + "\n")
			}
			note, err := v.Signed()
			if err != nil {
				return a.noTrail(err)
			}
			return a.print(string(note))
		},
	}
	c.Flags().BoolVar(&line, "line", false, "only size and root, in one line that a mail can hold")
	return c
}

func (a *app) trailExportCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "export",
		Short: "Write the whole trail into one file, to be verified elsewhere",
		Long: `export writes a bundle: a tar archive of events, tiles of hashes and checkpoints
(C2SP tlog-tiles). With the trail's public key, key.pub in its folder, it is
verified without Docker and without this host. Keep that key apart from it.`,
		Example: "  plimsoll trail export -o trail.tar\n  plimsoll trail export | ssh archive 'cat > trail.tar'",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if output == "" && a.stdout.Terminal() {
				return &failure{code: exitUsage, message: "the bundle is an archive, and standard output a terminal", hint: "Name a file:\n  plimsoll trail export -o trail.tar"}
			}
			v, err := a.readTrail()
			if err != nil {
				return err
			}
			return a.deliver(c.Context(), output, "the bundle", func(w io.Writer) error { return v.Export(c.Context(), w) })
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}
