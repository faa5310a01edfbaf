//go:build !front

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/image"
)

// signing are the flags of image sign.
type signing struct {
	peering
	key, passwordFile, layout string
}

// layouts are what --layout takes.
var layouts = []string{"tag", "referrer", "both"}

// imageSignCommand is plimsoll image sign.
func (a *app) imageSignCommand() *cobra.Command {
	var s signing
	c := &cobra.Command{
		Use:   "sign REF",
		Short: "Sign an image in a registry with a key",
		Long: `sign puts a signature beside an image in its registry, as cosign does: cosign
verify --key takes it, and so does image verify. REF is a name in a registry; what
it leads to now is what is signed, by its digest: of an image for several platforms
the index, and with it all of them.

When it is signed is signed too: by a tag, image verify trusts nothing that is older
than what it has trusted. To go back to an older image, sign it again.

The key is a file as cosign generate-key-pair writes it, whose password comes from
COSIGN_PASSWORD or a file, or PKCS#8 in the clear. Nothing is written to a public
log.

A signature is at a tag (sha256-DIGEST.sig), which all registries and versions of
cosign know, or refers to the image (OCI 1.1), as cosign does since version 3.`,
		Example: `  plimsoll image sign --key cosign.key registry.example/shop/api:4.18
  plimsoll image sign --key cosign.key --layout both registry.example/shop/api@sha256:…`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if s.key == "" {
				return &failure{code: exitUsage, message: "image sign needs a key", hint: "Name its file:  --key cosign.key"}
			}
			if !strings.Contains(" "+strings.Join(layouts, " ")+" ", " "+s.layout+" ") {
				return &failure{code: exitUsage, message: "--layout " + s.layout + " is none", hint: "Use  --layout tag,  referrer  or  both"}
			}
			return a.imageSign(c.Context(), &s, args[0])
		},
	}
	f := c.Flags()
	f.StringVar(&s.key, "key", "", "the private key, `FILE`")
	f.StringVar(&s.passwordFile, "password-file", "", "`FILE` with the key's password; without one COSIGN_PASSWORD has it")
	f.StringVar(&s.layout, "layout", "tag", "`WHERE` the signature goes: "+strings.Join(layouts, ", "))
	s.registryFlags(f)
	return c
}

// maxKey bounds files of keys and passwords.
const maxKey = 64 << 10

// signer reads the key.
func (a *app) signer(ctx context.Context, s *signing) (*cosign.Signer, error) {
	data, err := readFile(ctx, s.key, maxKey)
	if err != nil {
		return nil, &failure{code: exitUsage, message: "the key can't be read", hint: "Name the file of the private key:  --key cosign.key", err: err}
	}
	password := []byte(a.world.Getenv("COSIGN_PASSWORD"))
	if s.passwordFile != "" {
		if password, err = readFile(ctx, s.passwordFile, maxKey); err != nil {
			return nil, &failure{code: exitUsage, message: "the password can't be read", err: err}
		}
		password = bytes.TrimRight(password, "\r\n")
	}
	signer, err := cosign.ParseSigner(s.key, data, password)
	if errors.Is(err, cosign.ErrPassword) {
		return nil, &failure{code: exitUsage, message: "the password does not open " + s.key, hint: "Give it in the environment, as COSIGN_PASSWORD, or in a file:  --password-file FILE"}
	}
	if err != nil {
		return nil, &failure{code: exitUsage, message: s.key + " is no key to sign with", err: err}
	}
	return signer, nil
}

func (a *app) imageSign(ctx context.Context, s *signing, text string) error {
	if _, err := a.config(ctx); err != nil {
		return err
	}
	signer, err := a.signer(ctx, s)
	if err != nil {
		return err
	}
	ref, err := parseReference(text)
	if err != nil {
		return err
	}
	switch ref.Source {
	case image.Engine: // a plain name is one of a registry here
		ref.Source = image.Registry
	case image.Registry:
	default:
		return &failure{code: exitUsage, message: text + " is in no registry, where signatures are", hint: "Push the image first, and name it by the registry."}
	}
	o, err := a.imageOptions(&s.peering)
	if err != nil {
		return err
	}
	unable := func(err error) error {
		return &failure{code: exitUnable, message: text + " can't be signed", err: err}
	}
	remote, err := image.OpenRemote(ctx, ref, true, o)
	if err != nil {
		return unable(err)
	}
	defer remote.Close()
	subject, err := remote.Named(ctx)
	if err != nil {
		return unable(err)
	}
	if s.layout != "referrer" {
		if err := signer.SignTag(ctx, remote, subject.Digest, a.world.Now()); err != nil {
			return unable(err)
		}
	}
	if s.layout != "tag" {
		if err := signer.SignReferrer(ctx, remote, subject.Descriptor, a.world.Now()); err != nil {
			return unable(err)
		}
	}
	return a.print(fmt.Sprintf("%s@%s is signed by the key %s\n", a.stdout.Escape(remote.Repository()), subject.Digest, signer.Key.ID))
}
