//go:build !front

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// trustKeysCommand is plimsoll trust keys with its verbs.
func (a *app) trustKeysCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "keys",
		Short: "List, add and revoke the keys that the policy of trust has",
		Example: `  plimsoll trust keys list
  plimsoll trust keys add release-2026 cosign.pub
  plimsoll trust keys revoke release-2025 --why "the laptop was stolen"`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&file, "trust", defaultTrust, "the policy of trust, `FILE`")
	c.AddCommand(a.keysListCommand(&file), a.keysAddCommand(&file), a.keysRevokeCommand(&file))
	return c
}

// tableOrJSON refuses other formats.
func tableOrJSON(format string) error {
	if format != "table" && format != "json" {
		return &failure{code: exitUsage, message: "--format " + format + " is not a format", hint: "Use  --format table  or  --format json"}
	}
	return nil
}

// printJSON prints a document for programs.
func (a *app) printJSON(body any) error {
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		return err
	}
	return a.print(string(term.EscapeJSON(data)) + "\n")
}

// listedKey is a key of the policy in a list.
type listedKey struct {
	Name        string    `json:"name"`
	Algorithm   string    `json:"algorithm"`
	Fingerprint string    `json:"fingerprint"`
	UsedBy      []usedKey `json:"used_by"`
	Revoked     string    `json:"revoked,omitempty"`
	Why         string    `json:"why,omitempty"`
}

// usedKey is an entry that counts a key's signature.
type usedKey struct {
	Place string `json:"place"`
	Name  string `json:"name"`
}

func (a *app) keysListCommand(file *string) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "list",
		Short: "List the keys: which they are, what they are for, which are revoked",
		Long: `list tells each key of the policy with its fingerprint, the SHA-256 of its
SubjectPublicKeyInfo, which openssl tells too:

  openssl pkey -pubin -in cosign.pub -outform DER | sha256sum`,
		Example: "  plimsoll trust keys list\n  plimsoll trust keys list --trust ./trust.yaml --format json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := tableOrJSON(format); err != nil {
				return err
			}
			p, err := readTrust(c.Context(), *file)
			if err != nil {
				return err
			}
			list := []listedKey{}
			for _, name := range slices.Sorted(maps.Keys(p.Keys)) {
				k := p.Keys[name]
				l := listedKey{Name: name, UsedBy: []usedKey{}, Revoked: k.Revoked}
				if l.Algorithm, err = k.Algorithm(); err != nil {
					return err
				}
				if l.Fingerprint, err = k.Fingerprint(); err != nil {
					return err
				}
				for _, e := range p.UsesOf(name) {
					l.UsedBy = append(l.UsedBy, usedKey{e.Place(), e.Name})
				}
				if k.Revoked != "" {
					l.Why = k.Why
				}
				list = append(list, l)
			}
			if format == "json" {
				return a.printJSON(struct {
					Schema string      `json:"schema"`
					File   string      `json:"file"`
					Keys   []listedKey `json:"keys"`
				}{"plimsoll/trust-keys/1", p.File, list})
			}
			return a.print(a.keysTable(list))
		},
	}
	c.Flags().StringVar(&format, "format", "table", "`FORMAT`: table or json")
	return c
}

// keysTable tells keys to people.
func (a *app) keysTable(list []listedKey) string {
	if len(list) == 0 {
		return " The policy has no keys. Add one:\n  plimsoll trust keys add NAME cosign.pub\n"
	}
	var rows [][]term.Cell
	for _, k := range list {
		uses := make([]string, len(k.UsedBy))
		for i, u := range k.UsedBy {
			uses[i] = u.Name
		}
		used := term.Cell{Text: strings.Join(uses, ", ")}
		if len(uses) == 0 {
			used = term.Cell{Text: "nothing", Style: term.Missing}
		}
		row := []term.Cell{{Text: k.Name, Style: term.Bold}, {Text: k.Algorithm}, {Text: shortID(k.Fingerprint), Style: term.Faint}, used}
		if k.Revoked != "" {
			row = append(row, term.Cell{Text: k.Revoked + ": " + k.Why, Style: term.Late})
		}
		rows = append(rows, row)
	}
	return a.stdout.Table([]string{"NAME", "ALGORITHM", "FINGERPRINT", "USED BY", "REVOKED"}, rows)
}

// shortID is the first digits of a digest.
func shortID(id string) string {
	_, hex, _ := strings.Cut(id, ":")
	return hex[:min(len(hex), 12)]
}

func (a *app) keysAddCommand(file *string) *cobra.Command {
	var images string
	c := &cobra.Command{
		Use:   "add NAME FILE",
		Short: "Add a public key to the policy",
		Long: `add writes a public key, as cosign.pub has it, behind the keys of the policy, and
leaves all else in the file as it is. Nothing is trusted for its word before an
entry names it:

  images:
    - name: registry.example/shop/*
      signed: {any: [{key: NAME}]}

Where there is no policy yet, --images begins one that says that of images by name.`,
		Example: `  plimsoll trust keys add release-2026 cosign.pub
  plimsoll trust keys add release release.pub --images 'registry.example/shop/*'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return &failure{code: exitUsage, message: "trust keys add takes a name and a file", hint: "For example\n" + c.Example}
		},
		RunE: func(c *cobra.Command, args []string) error {
			return a.addKey(c.Context(), *file, args[0], args[1], images)
		},
	}
	c.Flags().StringVar(&images, "images", "", "begin a policy by which images whose names fit the `PATTERN` must be signed by the key")
	return c
}

func (a *app) addKey(ctx context.Context, file, name, from, images string) error {
	public, err := readFile(ctx, from, maxKey)
	if err != nil {
		return &failure{code: exitUsage, message: "the key can't be read", hint: "Name the file of the public key, such as cosign.pub", err: err}
	}
	change := a.changeTrust
	if images != "" {
		change = a.beginTrust
	}
	p, err := change(ctx, file, func(data []byte) ([]byte, error) {
		var text []byte
		if images != "" {
			text, err = sign.NewPolicy(file, images, name, public)
		} else {
			text, err = sign.AddKey(file, data, name, public)
		}
		if err != nil && strings.Contains(string(public), "PRIVATE KEY-----") {
			return nil, &failure{code: exitUsage, message: from + " is a private key, which stays with who signs", hint: "Make a file of its public half:\n  cosign public-key --key " + from + "\n  openssl pkey -in " + from + " -pubout"}
		}
		return text, err
	})
	if err != nil {
		return err
	}
	id := p.ID(sign.Signer{Key: name})
	if !a.record(ctx, "the new key", trail.Event{Type: trail.Trust, Subject: trail.Subject{Kind: "key", ID: id, Name: name}, Detail: map[string]any{"did": "add", "policy": file}}) {
		a.note("Another program holds the trail, as plimsoll serve does: the new key is not in it.")
	}
	return a.print(a.stdout.Escape(fmt.Sprintf(" %s is a key of %s: %s", name, file, id)) + "\n")
}

// changeTrust puts another text in the place of the policy's, with its owner and mode, and
// gives the policy that it is. Who changes it at the same time waits.
func (a *app) changeTrust(ctx context.Context, file string, change func([]byte) ([]byte, error)) (*sign.Policy, error) {
	unlock, err := lockFolder(ctx, filepath.Dir(file))
	if err != nil {
		return nil, unreadTrust(err, "Name another with  --trust FILE")
	}
	defer unlock()
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, &failure{code: exitUsage, message: file + " is no file that a policy can be kept in", hint: "Name one with  --trust FILE"}
	}
	data, err := readTrustFile(ctx, file)
	if err != nil {
		return nil, err
	}
	return a.writeTrust(ctx, file, data, change)
}

// beginTrust is changeTrust where there is no policy yet, nor perhaps a folder for it.
func (a *app) beginTrust(ctx context.Context, file string, text func([]byte) ([]byte, error)) (*sign.Policy, error) {
	unable := func(err error) error {
		return &failure{code: exitUnable, message: file + " can't be written", err: err}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, unable(err)
	}
	unlock, err := lockFolder(ctx, filepath.Dir(file))
	if err != nil {
		return nil, unable(err)
	}
	defer unlock()
	if _, err := os.Lstat(file); err == nil {
		return nil, &failure{code: exitUsage, message: "--images begins a policy, and " + file + " is there", hint: "Add the key without --images, and an entry for the images by hand."}
	}
	return a.writeTrust(ctx, file, nil, text)
}

func (a *app) writeTrust(ctx context.Context, file string, data []byte, change func([]byte) ([]byte, error)) (*sign.Policy, error) {
	text, err := change(data)
	if err != nil {
		return nil, err
	}
	p, err := sign.ReadPolicy(file, text)
	if err != nil {
		return nil, err
	}
	err = replaceFile(ctx, file, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err != nil {
		return nil, &failure{code: exitUnable, message: file + " can't be written", err: err}
	}
	return p, nil
}

// revoking are the flags of trust keys revoke.
type revoking struct {
	file, name, why, at, format string
	day                         time.Time
}

func (a *app) keysRevokeCommand(file *string) *cobra.Command {
	var r revoking
	c := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Revoke a key: nothing that it signed counts any more",
		Long: `revoke writes into the policy that a key counts no more, and takes back at once
what was verified by it: each image that too few others have signed, by what was
found when it was verified, loses its verdict, so that a gate which requires one
refuses it. Then the engine is asked which containers run from these images.

Each run that finds such containers has exit code 1, also one for a key that is
revoked already; 3 is that it could not be told, and the key is revoked all the
same.`,
		Example: `  plimsoll trust keys revoke release-2025 --why "the laptop was stolen"
  plimsoll trust keys revoke release-2025 --why "its owner has left" --at 2026-11-01`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return nil
			}
			return &failure{code: exitUsage, message: "trust keys revoke takes the name of a key", hint: "For example\n" + c.Example}
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := tableOrJSON(r.format); err != nil {
				return err
			}
			r.file, r.name, r.day = *file, args[0], a.world.Now()
			if r.why == "" {
				return &failure{code: exitUsage, message: "a key is revoked for a reason", hint: `Say it:  --why "the laptop was stolen"`}
			}
			if r.at != "" {
				var err error
				if r.day, err = time.ParseInLocation(day, r.at, a.world.Now().Location()); err != nil || r.day.After(a.world.Now()) {
					return &failure{code: exitUsage, message: "--at " + r.at + " is not a day until today", hint: "Give one such as 2026-11-01. The key counts no more from now on, whatever the day."}
				}
			}
			return a.revokeKey(c.Context(), &r)
		},
	}
	f := c.Flags()
	f.StringVar(&r.why, "why", "", "`TEXT` that says what became of it")
	f.StringVar(&r.at, "at", "", "`DAY` on which that was, as in 2026-11-01 (default today)")
	f.StringVar(&r.format, "format", "table", "`FORMAT`: table or json")
	return c
}

// errRevoked says that the key was revoked before.
var errRevoked = errors.New("it is revoked already")

func (a *app) revokeKey(ctx context.Context, r *revoking) error {
	p, err := a.changeTrust(ctx, r.file, func(data []byte) ([]byte, error) {
		if p, err := sign.ReadPolicy(r.file, data); err == nil && p.Keys[r.name].Revoked != "" {
			return nil, errRevoked
		}
		return sign.Revoke(r.file, data, r.name, r.day, r.why)
	})
	if errors.Is(err, errRevoked) {
		if p, err = readTrust(ctx, r.file); err == nil {
			a.note(fmt.Sprintf("%s is revoked already, since %s; %s stays as it is.", r.name, p.Keys[r.name].Revoked, r.file))
		}
	}
	if err != nil {
		return err
	}
	return a.afterRevoked(ctx, p, r)
}
