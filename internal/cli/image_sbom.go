//go:build !front

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/scan"
)

// sbomFormats are what --format of image sbom takes.
var sbomFormats = []string{"cyclonedx", "spdx"}

// imageSBOMCommand is plimsoll image sbom.
func (a *app) imageSBOMCommand() *cobra.Command {
	var p peering
	var format, output string
	c := &cobra.Command{
		Use:   "sbom REF",
		Short: "Write down what software an image consists of",
		Long: `sbom writes a bill of materials: each package with its version, what it was built
from, the file that tells of it, and the layer and the step of the Dockerfile
that brought it. As CycloneDX 1.6 or SPDX 2.3, in JSON. Two of one image differ
in their time alone.

` + references + `
  sbom:FILE             a CycloneDX or SPDX document, to be written anew`,
		Example: `  plimsoll image sbom shop/api:4.18 -o shop.cdx.json
  plimsoll image sbom registry:registry.example/shop/api --format spdx
  plimsoll image scan sbom:shop.cdx.json`,
		Args: oneReference,
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(sbomFormats, format) {
				return &failure{code: exitUsage, message: fmt.Sprintf("--format %s is not a format of image sbom", format), hint: "Use  --format " + strings.Join(sbomFormats, "  or  --format ")}
			}
			if err := checkOutput(output); err != nil {
				return err
			}
			return a.imageSBOM(c.Context(), &p, args[0], format, output)
		},
	}
	p.flags(c)
	c.Flags().StringVar(&format, "format", sbomFormats[0], "`FORMAT`: "+strings.Join(sbomFormats, " or "))
	c.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return c
}

func (a *app) imageSBOM(ctx context.Context, p *peering, ref, format, output string) error {
	contents, err := a.contents(ctx, ref, p)
	if err != nil {
		return err
	}
	d := &contents.Document
	if err := a.deliver(ctx, output, "the bill of materials", func(w io.Writer) error {
		if format == "spdx" {
			return d.WriteSPDX(w, a.maker())
		}
		return d.WriteCycloneDX(w, a.maker(), nil)
	}); err != nil {
		return err
	}
	for _, text := range d.Unread[:min(len(d.Unread), 10)] {
		a.note("Not in it, for it can't be read: " + text)
	}
	if n := len(d.Unread); n > 0 {
		return &failure{code: exitUnable, message: fmt.Sprintf("the bill of materials lacks what %s would tell", count(n, "file"))}
	}
	if len(d.Packages) == 0 {
		return &failure{code: exitUnable, message: "no file of " + ref + " tells of a package", hint: "What a program from scratch was made of is in its build alone."}
	}
	return nil
}

// maker is who writes documents.
func (a *app) maker() sbom.Maker {
	return sbom.Maker{Name: "plimsoll", Version: version(), At: a.world.Now()}
}

// sbomContents are those of a document that somebody wrote.
func (a *app) sbomContents(ctx context.Context, file string) (*scan.Contents, error) {
	data, err := readFile(ctx, file, sbom.MaxBytes)
	if err != nil {
		return nil, &failure{code: exitUsage, message: "sbom:" + file + " can't be read", err: err}
	}
	d, err := sbom.Read(file, data)
	if err != nil {
		return nil, &failure{code: exitUsage, message: "sbom:" + file + " can't be read", hint: "Documents of CycloneDX and SPDX are read, in JSON.", err: err}
	}
	d.Name = "sbom:" + file
	return &scan.Contents{Document: *d}, nil
}
