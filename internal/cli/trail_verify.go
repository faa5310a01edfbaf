package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// maxNoteBytes bounds notes, keys and proofs.
const maxNoteBytes = 1 << 20

// trailSource is what is verified, and by which key.
type trailSource struct {
	bundle string // "" is the trail of --state
	key    string // a file, or the key itself
}

func (s *trailSource) flags(c *cobra.Command, flag string) {
	c.Flags().StringVar(&s.key, flag, "", "the trail's public `KEY`, or a file with it (default key.pub in the trail's folder)")
}

// text reads what is given as itself or as a file: a key or a checkpoint.
func (a *app) text(ctx context.Context, flag, value string, itself func(string) bool) (string, error) {
	if itself(value) {
		return value, nil
	}
	data, err := readFile(ctx, value, maxNoteBytes)
	if err != nil {
		return "", &failure{code: exitUsage, message: flag + " " + value + " can't be read", hint: "Give a file, or the text itself in quotes.", err: err}
	}
	return string(data), nil
}

// keyOf reads the key of a source.
func (a *app) keyOf(ctx context.Context, s *trailSource, flag string) (*trail.Key, error) {
	if s.key == "" && s.bundle != "" {
		return nil, &failure{code: exitUsage, message: "a bundle is verified by the trail's public key, and none is given",
			hint: "Give key.pub of the trail's folder, from a way that you trust:\n  plimsoll trail verify " + s.bundle + " --key key.pub"}
	}
	name := s.key
	if name == "" {
		name = filepath.Join(a.trailDir(), "key.pub")
	}
	text, err := a.text(ctx, "--"+flag, name, func(t string) bool { return strings.HasPrefix(t, "plimsoll/") && strings.Count(t, "+") >= 2 })
	if s.key == "" && err != nil {
		if _, e := os.Stat(a.trailDir()); errors.Is(e, fs.ErrNotExist) {
			return nil, a.noTrail(e)
		}
		return nil, &failure{code: exitUnable, message: name + " can't be read", hint: "Run it as root, or give the key with  --" + flag, err: errors.Unwrap(err)}
	}
	if err != nil {
		return nil, err
	}
	key, err := trail.ParseKey(text)
	if err != nil {
		return nil, &failure{code: exitUsage, message: name + " is not the public key of a trail", hint: "It is in key.pub of the trail's folder: one line, NAME+HASH+KEY.", err: err}
	}
	return key, nil
}

// verifyTrail verifies a folder or a bundle.
func (a *app) verifyTrail(ctx context.Context, s *trailSource, c trail.VerifyConfig) (*trail.Verified, error) {
	if s.bundle == "" {
		v, err := trail.Verify(ctx, a.trailDir(), c)
		if err != nil {
			return nil, a.noTrail(err)
		}
		return v, nil
	}
	f, err := os.Open(s.bundle)
	if err != nil {
		return nil, &failure{code: exitUsage, message: "the bundle can't be read", hint: "Make one with  plimsoll trail export -o FILE", err: err}
	}
	defer f.Close()
	v, err := trail.VerifyBundle(ctx, f, c)
	if err != nil {
		return nil, &failure{code: exitUsage, message: s.bundle + " can't be read as a bundle", hint: "Make one with  plimsoll trail export -o FILE", err: err}
	}
	return v, nil
}

func (a *app) trailVerifyCommand() *cobra.Command {
	var s trailSource
	var against, witness, proof string
	var deep bool
	c := &cobra.Command{
		Use:   "verify [BUNDLE]",
		Short: "Show that the trail was not edited",
		Long: `verify makes the whole tree of events again and compares it with every signed
checkpoint. It names the first event that was changed or lost.

Whoever has the trail's key and its files, as root has on the host, can make
another trail that verifies. Only a checkpoint from elsewhere shows that:
--against, a note or a line "SIZE ROOT" from a mail.

Exit code 1 says that it does not verify.`,
		Example: `  plimsoll trail verify
  plimsoll trail verify --against monday.note
  plimsoll trail verify --against "1204 CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
  plimsoll trail verify trail.tar --key key.pub --deep
  plimsoll trail verify --proof event-1204.proof --key key.pub`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return &failure{code: exitUsage, message: "verify takes one bundle", hint: "Without any it verifies the trail of this host."}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				s.bundle = args[0]
			}
			if proof != "" {
				if s.bundle != "" || against != "" || deep {
					return &failure{code: exitUsage, message: "--proof is verified by itself", hint: "Leave out the bundle, --against and --deep."}
				}
				return a.verifyProof(c.Context(), &s, proof)
			}
			if witness != "" && against == "" {
				return &failure{code: exitUsage, message: "--witness is of a note, and none is given", hint: "Give the countersigned note with  --against FILE"}
			}
			key, err := a.keyOf(c.Context(), &s, "key")
			if err != nil {
				return err
			}
			config := trail.VerifyConfig{Key: key, Deep: deep}
			var said string
			if against != "" {
				var given trail.Checkpoint
				if given, said, err = a.against(c.Context(), key, against, witness); err != nil {
					return err
				}
				config.Against = []trail.Checkpoint{given}
			}
			v, err := a.verifyTrail(c.Context(), &s, config)
			if err != nil {
				return err
			}
			return a.trailVerdict(&s, v, said)
		},
	}
	s.flags(c, "key")
	f := c.Flags()
	f.StringVar(&against, "against", "", "a checkpoint from elsewhere: `NOTE`, a file, or the line \"SIZE ROOT\"")
	f.StringVar(&witness, "witness", "", "the public `KEY` of who must have countersigned the note, or a file with it")
	f.StringVar(&proof, "proof", "", "verify this `FILE` of plimsoll trail prove instead")
	f.BoolVar(&deep, "deep", false, "also check that each event is written as plimsoll writes it")
	return c
}

// against reads a checkpoint from elsewhere, and what there is to say of it.
func (a *app) against(ctx context.Context, key *trail.Key, value, witness string) (trail.Checkpoint, string, error) {
	if c, err := trail.ParseSizeRoot(value); err == nil && witness == "" {
		return c, "", nil
	}
	text, err := a.text(ctx, "--against", value, func(t string) bool { return strings.Contains(t, "\n\n") })
	if err != nil {
		return trail.Checkpoint{}, "", err
	}
	if c, err := trail.ParseSizeRoot(text); err == nil && witness == "" {
		return c, "", nil
	}
	c, err := key.Open([]byte(text))
	if err != nil {
		return c, "", &failure{code: exitFindings, message: "--against is no checkpoint that this trail signed", hint: "Is it of another trail, or the key another?", err: err}
	}
	if witness == "" {
		return c, "", nil
	}
	public, err := a.text(ctx, "--witness", witness, func(t string) bool { return strings.Count(t, "+") >= 2 })
	if err != nil {
		return c, "", err
	}
	who, err := trail.ParseWitnessKey(public)
	if err != nil {
		return c, "", &failure{code: exitUsage, message: "--witness is not the key of a witness", hint: "plimsoll trail countersign prints it.", err: err}
	}
	at, err := who.Check([]byte(text))
	if err != nil {
		return c, "", &failure{code: exitFindings, message: "the checkpoint is not countersigned", err: err}
	}
	return c, fmt.Sprintf("%s countersigned its first %s on %s", who.Name, count64(c.Size, "event"), at.Format("2006-01-02 15:04 UTC")), nil
}

// count64 words a number of things.
func count64(n int64, thing string) string { return count(int(n), thing) }

// trailVerdict prints what was found.
func (a *app) trailVerdict(s *trailSource, v *trail.Verified, said string) error {
	p := a.stdout
	var out strings.Builder
	for _, problem := range v.Problems {
		fmt.Fprintf(&out, " %s  %s\n", p.Glyph(term.Deny), p.Escape(problem.String()))
	}
	name := p.Escape(v.Origin)
	if len(v.Problems) > 0 {
		fmt.Fprintf(&out, "\n %s\n", p.Paint(term.Bold, "The trail does not verify: "+count(len(v.Problems), "fault")+"."))
	} else {
		fmt.Fprintf(&out, " %s  %s\n", p.Glyph(term.Pass), p.Paint(term.Bold, fmt.Sprintf("The trail verifies: %s, %s", count64(v.Size, "event"), count(v.Checkpoints, "checkpoint"))))
	}
	fmt.Fprintf(&out, "    trail  %s\n    size   %d\n    root   %s\n", name, v.Size, v.Root)
	if v.First > 0 {
		fmt.Fprintf(&out, "    Events 0 to %d were pruned; their hashes are there.\n", v.First-1)
	}
	if v.Torn > 0 {
		fmt.Fprintf(&out, "    Behind the last event are %s of one that is being written, or that a crash cut short.\n", count(v.Torn, "byte"))
	}
	if said != "" {
		fmt.Fprintf(&out, "    %s\n", p.Escape(said))
	}
	if err := a.print(out.String()); err != nil {
		return err
	}
	if len(v.Problems) > 0 {
		return errFindings
	}
	if s.key == "" {
		a.note("Verified by the key.pub in the trail's own folder. Whoever can write there can change both: keep key.pub and checkpoints elsewhere.")
	}
	return nil
}

func (a *app) verifyProof(ctx context.Context, s *trailSource, file string) error {
	if s.key == "" {
		return &failure{code: exitUsage, message: "a proof is verified by the trail's public key, and none is given",
			hint: "Give key.pub of the trail's folder, from a way that you trust:\n  plimsoll trail verify --proof " + file + " --key key.pub"}
	}
	key, err := a.keyOf(ctx, s, "key")
	if err != nil {
		return err
	}
	data, err := readFile(ctx, file, maxNoteBytes)
	if err != nil {
		return &failure{code: exitUsage, message: "the proof can't be read", err: err}
	}
	r, c, err := trail.CheckProof(data, key)
	if err != nil {
		return &failure{code: exitFindings, message: "the proof does not hold", err: err}
	}
	p := a.stdout
	return a.print(fmt.Sprintf(" %s  %s\n    %s\n", p.Glyph(term.Pass), p.Paint(term.Bold, fmt.Sprintf("Event %d is in the trail %s of %s", r.Seq, p.Escape(c.Origin), count64(c.Size, "event"))),
		term.EscapeJSON(r.Data)))
}
