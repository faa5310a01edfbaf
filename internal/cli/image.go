//go:build !front

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/scan"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/term"
)

// references says in help how an image is named.
const references = `REF is an image of the engine, by its name or id, or one of

  docker-archive:FILE   as docker save writes it
  oci-archive:FILE      a tar file of an OCI layout
  oci:DIR               an OCI layout
  registry:NAME         in a registry, with docker's credentials
  dir:PATH              a folder that is the root of a file system`

// imageCommand is plimsoll image with its verbs.
func (a *app) imageCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "image",
		Short: imageShort,
		Example: `  plimsoll image scan nginx:1.27
  plimsoll image sbom docker-archive:shop.tar --format spdx -o shop.spdx.json`,
		Args: commandsOnly,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.imageScanCommand(), a.imageDiffCommand(), a.imageLintCommand(), a.imageSBOMCommand(), a.imageSignCommand(), a.imageVerifyCommand())
	return c
}

// peering are the flags of commands that look into an image.
type peering struct {
	platform, name string
	noCache        bool
	mirrors        []string
	certs          string
	insecure       []string
	realms         []string
}

func (p *peering) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.platform, "platform", "", "of an image for several, that for `OS/ARCH`, such as linux/arm64")
	f.StringVar(&p.name, "name", "", "of an archive or a layout with several images, the one called `NAME`")
	f.BoolVar(&p.noCache, "no-cache", false, "read each layer anew, and keep nothing of it")
	p.registryFlags(f)
}

// registryFlags say how registries are asked.
func (p *peering) registryFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&p.mirrors, "registry-mirror", nil, "ask `HOST=URL` before the registry HOST, as in docker.io=https://mirror.example (repeatable)")
	f.StringVar(&p.certs, "registry-certs", "/etc/docker/certs.d", "`DIR` with authorities and certificates for registries, as docker has it")
	f.StringSliceVar(&p.insecure, "insecure-registry", nil, "registries, `HOSTS`, that may be spoken to in plain HTTP; loopback may always")
	f.StringSliceVar(&p.realms, "token-server", nil, "`HOSTS` that may have the credentials of a registry of another domain")
}

// imageOptions say how an image is opened.
func (a *app) imageOptions(p *peering) (image.Options, error) {
	if os, arch, _ := strings.Cut(p.platform, "/"); p.platform != "" && (os == "" || arch == "") {
		return image.Options{}, &failure{code: exitUsage, message: fmt.Sprintf("--platform %.100q is no platform", p.platform), hint: "Give one such as linux/arm64."}
	}
	o := image.Options{Name: p.name, Platform: p.platform, Registries: image.Registries{
		Config: engine.Settings{Getenv: a.world.Getenv, HomeDir: a.world.HomeDir}.ConfigDir(), Certs: p.certs, Insecure: p.insecure, Realms: p.realms, Proxy: http.ProxyFromEnvironment, Mirrors: map[string][]string{},
	}}
	if a.world.Environ != nil {
		o.Registries.Environ = a.world.Environ()
	}
	for _, text := range p.mirrors {
		host, url, found := strings.Cut(text, "=")
		if !found || host == "" || url == "" {
			return o, &failure{code: exitUsage, message: fmt.Sprintf("--registry-mirror %s names no host and URL", text), hint: "For example  --registry-mirror docker.io=https://mirror.example"}
		}
		o.Registries.Mirrors[host] = append(o.Registries.Mirrors[host], url)
	}
	return o, nil
}

// oneReference takes the reference of an image.
func oneReference(c *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return &failure{code: exitUsage, message: fmt.Sprintf("%s takes one image, and %d are named", strings.TrimPrefix(c.CommandPath(), "plimsoll "), len(args)), hint: "For example\n" + c.Example}
}

// contents looks into an image, with progress on standard error.
func (a *app) contents(ctx context.Context, text string, p *peering) (*scan.Contents, error) {
	if file, is := strings.CutPrefix(text, "sbom:"); is {
		return a.sbomContents(ctx, file)
	}
	ref, err := parseReference(text)
	if err != nil {
		return nil, err
	}
	if ref.Several() {
		return nil, &failure{code: exitUsage, message: text + " stands for several images", hint: "Name one of them; only  plimsoll image scan  takes several."}
	}
	progress := a.progress()
	defer progress.Stop()
	o := scan.Options{Progress: func(done, of int) {
		if done == 0 {
			progress.Count("Reading the image", of, "layers")
		} else {
			progress.Done(1)
		}
	}, Log: func(format string, args ...any) { a.note(fmt.Sprintf(format, args...)) }}
	if !p.noCache {
		o.Cache = a.layerCache()
	}
	look := func(i *image.Image) (*scan.Contents, error) {
		defer i.Close()
		c, err := scan.Look(ctx, i, text, o)
		if err != nil {
			return nil, &failure{code: exitUsage, message: text + " can't be read", err: err}
		}
		return c, nil
	}
	i, kept, err := a.openImage(ctx, ref, p, progress)
	if err != nil {
		return nil, err
	}
	c, err := look(i)
	if err != nil && kept && ctx.Err() == nil { // what was kept is damaged
		again := *p
		again.noCache = true
		if i, _, err = a.openImage(ctx, ref, &again, progress); err != nil {
			return nil, err
		}
		return look(i)
	}
	return c, err
}

func parseReference(text string) (image.Reference, error) {
	ref, err := image.Parse(text)
	if err != nil {
		return ref, &failure{code: exitUsage, message: fmt.Sprintf("%q names no image", text), hint: "See  plimsoll image scan --help", err: err}
	}
	return ref, nil
}

// layerCache is where what layers told is kept.
func (a *app) layerCache() scan.Cache { return scan.Cache(filepath.Join(a.state, "layers")) }

// openImage opens what a reference names. Kept is an image of the engine that needs nothing
// of it, since all of its layers are known.
func (a *app) openImage(ctx context.Context, ref image.Reference, p *peering, progress *term.Progress) (i *image.Image, kept bool, err error) {
	o, err := a.imageOptions(p)
	if err != nil {
		return nil, false, err
	}
	if ref.Source != image.Engine {
		i, err = image.Open(ctx, ref, o)
		switch {
		case err == nil:
			return i, false, nil
		case errors.Is(err, fs.ErrPermission), ref.Source == image.Registry:
			return nil, false, &failure{code: exitUnable, message: ref.String() + " can't be read", err: err}
		}
		return nil, false, &failure{code: exitUsage, message: ref.String() + " can't be read", err: err}
	}
	client, _, err := a.client(ctx)
	if err != nil {
		return nil, false, err
	}
	defer client.Close()
	progress.Wait("Waiting for the engine", "the image", 0)
	raw, err := client.ImageInspect(ctx, ref.At)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, false, &failure{code: exitUsage, message: fmt.Sprintf("the engine has no image %q", ref.At), hint: "Pull it first:  docker pull " + ref.At + "\nor look where it is:  registry:" + ref.At, err: err}
	}
	if err != nil {
		return nil, false, err
	}
	var body struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	if _, err := strict.Decode("the engine's answer", raw, &body); err != nil || body.ID == "" {
		return nil, false, &failure{code: exitUnable, message: "what the engine says of the image can't be understood", err: cmp.Or(err, errors.New("it has no id"))}
	}
	if !p.noCache {
		if i := a.layerCache().Image(ref.At, digest.Digest(body.ID)); i != nil {
			i.Names = body.RepoTags
			return i, true, nil
		}
	}
	stream, err := client.ImageSave(ctx, ref.At)
	if err != nil {
		return nil, false, err
	}
	defer stream.Close()
	i, err = image.Stream(ctx, ref.At, stream, o)
	if err != nil {
		return nil, false, &failure{code: exitUnable, message: ref.At + " can't be read", err: err}
	}
	if string(i.ID) != body.ID && string(i.Manifest) != body.ID && !strings.HasPrefix(ref.At, "sha256:") {
		// A name may have been given to another image between the two questions; an engine with
		// containerd's store has the manifest's digest for an id.
		a.note(fmt.Sprintf("the engine calls it %s, and what it sent is %s", body.ID, i.ID))
	}
	return i, false, nil
}
