package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/inventory"
	"github.com/plimsoll/plimsoll/internal/trail"
)

func (a *app) trailCountersignCommand() *cobra.Command {
	var s trailSource
	var keyFile, name string
	c := &cobra.Command{
		Use:   "countersign [BUNDLE]",
		Short: "Vouch for a checkpoint with another key, on another machine",
		Long: `countersign verifies a trail, checks that it is the one that this key vouched for
before with events added, and prints its checkpoint with one more signature and
the time (C2SP tlog-cosignature). Run it where the trail's host has no power.

The key is made at first use. Beside it, in FILE.last, is the last checkpoint
that it vouched for: a trail that was edited since then is refused.`,
		Example: `  plimsoll trail countersign trail.tar --trail-key key.pub --key witness.key > monday.note
  plimsoll trail verify --against monday.note --witness witness.key.pub`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &failure{code: exitUsage, message: "countersign takes one bundle", hint: "Without any it is the trail of this host."}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				s.bundle = args[0]
			}
			if keyFile == "" {
				return &failure{code: exitUsage, message: "countersign needs a key of its own", hint: "Name a file for it, which is made at first use:\n  plimsoll trail countersign --key witness.key"}
			}
			return a.countersign(c.Context(), &s, keyFile, name)
		},
	}
	s.flags(c, "trail-key")
	c.Flags().StringVar(&keyFile, "key", "", "the `FILE` of the witness's key")
	c.Flags().StringVar(&name, "name", "witness", "what a new witness is called: a `NAME` without spaces")
	return c
}

func (a *app) countersign(ctx context.Context, s *trailSource, keyFile, name string) error {
	key, err := a.keyOf(ctx, s, "trail-key")
	if err != nil {
		return err
	}
	config := trail.VerifyConfig{Key: key}
	last := keyFile + ".last"
	switch data, err := readFile(ctx, last, maxNoteBytes); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return &failure{code: exitUnable, message: last + " can't be read", err: err}
	default:
		before, err := key.Open(data)
		if err != nil {
			return &failure{code: exitFindings, message: "what this key vouched for last is of another trail", hint: "A witness of several trails has a key for each.", err: err}
		}
		config.Against = []trail.Checkpoint{before}
	}
	v, err := a.verifyTrail(ctx, s, config)
	if err != nil {
		return err
	}
	if len(v.Problems) > 0 {
		return &failure{code: exitFindings, message: "this trail is not vouched for: " + v.Problems[0].String(), hint: "See all with  plimsoll trail verify"}
	}
	note, err := a.checkpointOf(s, key, v)
	if err != nil {
		return err
	}
	w, err := a.witness(ctx, keyFile, name)
	if err != nil {
		return err
	}
	if note, err = w.Countersign(note, a.world.Now()); err != nil {
		return &failure{code: exitUnable, message: "the checkpoint can't be countersigned", err: err}
	}
	// What it vouches for is kept before anybody sees it.
	if err := replaceFile(ctx, last, func(w io.Writer) error { _, err := w.Write(note); return err }); err != nil {
		return &failure{code: exitUnable, message: last + " can't be written, so nothing is countersigned", err: err}
	}
	return a.print(string(note))
}

// checkpointOf is the note of what was verified. It is read a second time, so what it says
// is compared: nothing else may be vouched for.
func (a *app) checkpointOf(s *trailSource, key *trail.Key, v *trail.Verified) ([]byte, error) {
	note, err := a.readCheckpoint(s, v)
	if err != nil {
		return nil, &failure{code: exitUnable, message: "the checkpoint can't be read", err: err}
	}
	c, err := key.Open(note)
	if err == nil && s.bundle != "" && c != v.Checkpoint {
		err = fmt.Errorf("it is of %v, and %v was verified", c, v.Checkpoint)
	}
	if err != nil {
		return nil, &failure{code: exitFindings, message: "the checkpoint is not that of the trail that was verified", hint: "Was it changed meanwhile?", err: err}
	}
	return note, nil
}

// readCheckpoint reads the note of a bundle, or of a trail that may have grown since it
// was verified.
func (a *app) readCheckpoint(s *trailSource, v *trail.Verified) ([]byte, error) {
	if s.bundle == "" {
		view, err := trail.Read(a.trailDir())
		if err != nil {
			return nil, err
		}
		if err := view.ProveConsistent(v.Checkpoint); err != nil {
			return nil, err
		}
		return view.Signed()
	}
	f, err := os.Open(s.bundle)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return trail.BundleCheckpoint(f)
}

// witness reads the key of a witness, or makes it.
func (a *app) witness(ctx context.Context, file, name string) (*trail.Witness, error) {
	data, err := readFile(ctx, file, maxNoteBytes)
	if err == nil {
		w, err := trail.ParseWitness(string(data))
		if err != nil {
			return nil, &failure{code: exitUsage, message: file + " is not the key of a witness", err: err}
		}
		return w, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, &failure{code: exitUnable, message: file + " can't be read", err: err}
	}
	w, err := trail.NewWitness(name)
	if err != nil {
		return nil, &failure{code: exitUsage, message: err.Error(), hint: "Use letters, digits, dots and dashes."}
	}
	if err := os.WriteFile(file, []byte(w.Private()+"\n"), 0o600); err != nil {
		return nil, &failure{code: exitUnable, message: "the key of the witness can't be written", err: err}
	}
	if err := os.WriteFile(file+".pub", []byte(w.Public()+"\n"), 0o644); err != nil {
		return nil, &failure{code: exitUnable, message: "the key of the witness can't be written", err: err}
	}
	a.note("A new witness: its public key is in " + file + ".pub")
	return w, nil
}

func (a *app) trailPruneCommand() *cobra.Command {
	var before string
	c := &cobra.Command{
		Use:   "prune",
		Short: "Throw away old events, and keep their hashes",
		Long: `prune removes segments of events that are all older than --before. Their hashes
stay, so that every checkpoint can still be compared, and that it was done, by
whom and when, is an event. Export first what may be wanted again.`,
		Example: "  plimsoll trail export -o trail-2025.tar\n  plimsoll trail prune --before 2026-01-01",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if before == "" {
				return &failure{code: exitUsage, message: "prune needs to know what is old", hint: "For example\n  plimsoll trail prune --before 365d"}
			}
			limit, err := parseMoment("--before", before, a.world.Now())
			if err != nil {
				return err
			}
			p, err := a.prune(c.Context(), limit)
			if err != nil {
				return err
			}
			if p.Next == p.First {
				return a.print("Nothing is old enough: segments go when all in them is, and the last one stays.\n")
			}
			return a.print(fmt.Sprintf("Events %d to %d are gone; their hashes stay.\n", p.First, p.Next-1))
		},
	}
	c.Flags().StringVar(&before, "before", "", "what is older than this `TIME`: a date, a time, or an age such as 365d")
	return c
}

// prune throws away what is old, and before says again what is known of the containers
// that are there: the inventory is made of what is kept.
func (a *app) prune(ctx context.Context, limit time.Time) (trail.Pruned, error) {
	listing, err := a.listInventory(ctx, inventory.Filter{Now: a.world.Now()})
	if err != nil {
		return trail.Pruned{}, err
	}
	l, err := trail.Open(trail.Config{Dir: a.trailDir(), Now: a.world.Now})
	if errors.Is(err, trail.ErrLocked) {
		return trail.Pruned{}, &failure{code: exitUnable, message: "the trail is being written", hint: "Stop plimsoll serve for the time of the prune."}
	}
	if err != nil {
		return trail.Pruned{}, a.noTrail(err)
	}
	p, err := l.Prunable(ctx, limit)
	if p.Next > p.First {
		for _, d := range listing.Deployments {
			if err == nil {
				_, err = l.Append(ctx, inventory.Carried(d))
			}
		}
		if err == nil {
			p, err = l.Prune(ctx, limit, trail.Event{Actor: who()})
		}
	}
	if err := errors.Join(err, l.Close()); err != nil {
		return p, &failure{code: exitUnable, message: "the trail can't be pruned", err: err}
	}
	return p, nil
}

// who is the person that runs this.
func who() *trail.Actor {
	uid := uint32(os.Getuid())
	w := &trail.Actor{UID: &uid, PID: os.Getpid()}
	if u, err := user.Current(); err == nil {
		w.User = u.Username
	}
	if exe, err := os.Executable(); err == nil {
		w.Exe = exe
	}
	// The user that logged in, before su and sudo; all ones is nobody (proc(5)).
	if data, err := os.ReadFile("/proc/self/loginuid"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32); err == nil && n != 1<<32-1 {
			login := uint32(n)
			w.LoginUID = &login
		}
	}
	return w
}
