//go:build !front

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/term"
)

// bundling are the flags of trust bundle.
type bundling struct {
	peering
	trust, output string
	all, noLayers bool
}

// trustBundleCommand is plimsoll trust bundle.
func (a *app) trustBundleCommand() *cobra.Command {
	var b bundling
	c := &cobra.Command{
		Use:   "bundle REF -o FILE",
		Short: "Pack an image with what vouches for it into one file, for where no registry is",
		Long: `bundle packs an image of a registry into one tar file, with its signatures and
attestations, and all that refers to it. What servers of Docker Content Trust say of
it and the files with authorities are there too, where the policy names some for the
image. Nothing is verified here. Where no network is, this verifies it, by the policy
that is there:

  plimsoll image verify --bundle FILE REF

The file is an OCI layout, as skopeo and others read it, and docker load takes it.
Files that the policy here trusts are below trust/roots in it: nobody trusts them for
that they came along; tar -xf FILE trust/roots  takes them out, to be installed.`,
		Example: `  plimsoll trust bundle registry.example/shop/api:4.18 -o api.tar
  plimsoll trust bundle --all-platforms registry.example/shop/api:4.18 -o api.tar
  plimsoll trust bundle --no-layers registry.example/shop/api:4.18 -o signatures.tar`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if b.output == "" {
				return &failure{code: exitUsage, message: "trust bundle needs a file to write", hint: "Name one:  -o api.tar"}
			}
			if b.all && b.platform != "" {
				return &failure{code: exitUsage, message: "--all-platforms and --platform can't both be", hint: "Leave one of them out."}
			}
			return a.trustBundle(c.Context(), &b, args[0], c.Flags().Changed("trust"))
		},
	}
	f := c.Flags()
	f.StringVarP(&b.output, "output", "o", "", "`FILE` to write")
	f.StringVar(&b.platform, "platform", "", "of an image for several, that for `OS/ARCH`, such as linux/arm64; default this machine's")
	f.BoolVar(&b.all, "all-platforms", false, "of an image for several, all")
	f.BoolVar(&b.noLayers, "no-layers", false, "leave the layers out: what vouches for the image, and its manifests")
	f.StringVar(&b.trust, "trust", defaultTrust, "the policy of trust, `FILE`, which names servers and authorities")
	b.registryFlags(f)
	return c
}

func (a *app) trustBundle(ctx context.Context, b *bundling, text string, named bool) error {
	if _, err := a.config(ctx); err != nil {
		return err
	}
	if err := checkOutput(b.output); err != nil {
		return err
	}
	policy, err := readTrust(ctx, b.trust)
	if errors.Is(err, fs.ErrNotExist) && !named {
		policy, err = nil, nil // signatures in the registry need none to be packed
	}
	if err != nil {
		return err
	}
	ref, err := registryReference(text)
	if err != nil {
		return err
	}
	o, err := a.imageOptions(&b.peering)
	if err != nil {
		return err
	}
	by := sign.Verifier{Policy: policy, Image: o}
	progress := a.progress()
	defer progress.Stop()
	packing := image.Packing{Platform: b.platform, All: b.all, NoLayers: b.noLayers, At: a.world.Now(), By: "plimsoll " + version(), Progress: counting(progress, "Packing the image")}
	var info image.BundleInfo
	var left []string
	err = replaceFile(ctx, b.output, func(w io.Writer) error {
		var err error
		info, left, err = by.Pack(ctx, w, ref, packing)
		return err
	})
	progress.Stop()
	if err != nil {
		return &failure{code: exitUnable, message: text + " can't be packed", err: untyped(err)}
	}
	for _, what := range left {
		a.note("left out: " + what)
	}
	var bytes int64
	for _, f := range info.Files {
		bytes += f.Size
	}
	return a.print(fmt.Sprintf("%s has %s@%s, in %d files of %s; there, it is verified by\n  plimsoll image verify --bundle %s %s\n", a.stdout.Escape(b.output), a.stdout.Escape(info.Name), info.Digest, len(info.Files), term.Bytes(bytes), a.stdout.Escape(b.output), a.stdout.Escape(strings.TrimPrefix(text, "registry:"))))
}

// registryReference reads a name of a registry, with or without that word.
func registryReference(text string) (image.Reference, error) {
	ref, err := parseReference(text)
	if err != nil {
		return ref, err
	}
	switch {
	case ref.Source == image.Engine:
		ref.Source = image.Registry
	case ref.Source != image.Registry, ref.Several():
		return ref, &failure{code: exitUsage, message: text + " names no image of a registry", hint: "Name one, such as  registry.example/shop/api:4.18"}
	}
	return ref, nil
}

// counting tells how many files are done.
func counting(p *term.Progress, label string) func(done, of int) {
	return func(done, of int) {
		if done == 0 {
			p.Count(label, of, "files")
		} else {
			p.Done(done)
		}
	}
}

// untyped is the error of somebody else's document, which is no usage of ours.
func untyped(err error) error { return errors.New(err.Error()) }
