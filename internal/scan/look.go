// Package scan says what is in an image: what software, which known flaws of it, and what
// should not be there.
//
// [Look] reads an image once and gives [Contents]; layers that were read before come out of
// a [Cache]. [Judge] asks what is known of the packages and makes a finding.Report of it,
// which [Table] writes for people; [DiffOf] puts two images beside each other. What the data could not tell is a finding of its own,
// never a clean answer.
//
// Nothing of the image is run, and nothing is fetched but the image itself.
package scan

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/contents"
	"github.com/plimsoll/plimsoll/internal/extract"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/linking"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/secret"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Options say how an image is looked at. The zero value keeps nothing.
type Options struct {
	// Temp is the folder for what has to be spooled, "" the system's.
	Temp string
	// Cache holds what layers told; "" is none.
	Cache Cache
	// Progress is told how many of how many layers were read; nil: it is not.
	Progress func(done, of int)
	// Log is told what a person who looks for a fault should know; nil: it is not.
	Log func(format string, args ...any)
}

func (o *Options) tell(done, of int) {
	if o.Progress != nil {
		o.Progress(done, of)
	}
}

// Contents are what is in an image.
type Contents struct {
	Document sbom.Document
	// Config is the configuration as it is written; nil where the source has none, as a root
	// folder.
	Config *image.Config
	// Facts are those of its configuration and history.
	Facts facts.Image
	// Files are facts of its files.
	Files facts.Contents
	// View is what is there in the end; nil where only a document tells of the image.
	View *image.View
	// Secrets are those of all layers, also of files that are gone in the end, and of the
	// configuration.
	Secrets []secret.Secret
	// Cut are files that were not looked at for secrets as a whole, each with the reason.
	Cut []string
	// Tree is what its programs need, nil where there is no View, and Installed are the lists
	// of files of the distribution's packages, by their names, as far as they have any.
	Tree      *linking.Tree
	Installed map[string][]string
	// Read counts the layers that were read, and Kept those that were known.
	Read, Kept int
}

// small is up to which size a file that tells of packages is looked at for secrets too.
// What is larger are programs, archives and databases.
const small = 4 << 20

// mostOwned is how many bytes the lists of files that packages installed may have in a layer:
// those of 500,000 files.
const mostOwned = 32 << 20

// looker takes what the entries of an image tell.
type looker struct {
	ctx     context.Context
	find    *extract.Finder
	secrets *secret.Detector
	layers  []*kept
	// files counts the files with content of each layer.
	files []int
	// whole is true where each byte of the image passes anyhow: a root folder is not read as a
	// whole.
	whole  bool
	pass   passing
	buffer bytes.Buffer
}

// Look reads an image, which the caller closes. Name is what it was asked for as.
func Look(ctx context.Context, i *image.Image, name string, o Options) (*Contents, error) {
	l := &looker{ctx: ctx, layers: make([]*kept, len(i.Layers)), files: make([]int, len(i.Layers)), whole: i.ID != ""}
	var err error
	if l.find, err = extract.New(extract.Options{Temp: o.Temp}); err != nil {
		return nil, err
	}
	if l.secrets, err = secret.New(secret.Options{}); err != nil {
		return nil, err
	}
	c := &Contents{}
	for n := range l.layers {
		l.layers[n] = &kept{fresh: true}
	}
	n := 0
	known := func(layer image.Layer) ([]image.Entry, bool) {
		o.tell(n, len(i.Layers))
		k, err := o.Cache.load(layer.DiffID)
		if err != nil && o.Log != nil {
			o.Log("what was kept of a layer can't be used, and is read anew: %v", err)
		}
		n++
		if k == nil {
			return nil, false
		}
		l.layers[n-1] = k
		for i := range k.Entries {
			if hasContent(&k.Entries[i]) {
				l.files[n-1]++
			}
		}
		return k.Entries, true
	}
	if c.View, err = i.WalkUnknown(ctx, known, l.visit); err != nil {
		return nil, err
	}
	for n, k := range l.layers {
		if !k.fresh {
			c.Kept++
			continue
		}
		c.Read++
		if l.find.Exhausted() {
			continue // another image with this layer may have it read
		}
		if err := o.Cache.store(i.Layers[n].DiffID, k); err != nil && o.Log != nil {
			o.Log("what a layer told can't be kept: %v", err)
		}
	}
	if err := o.Cache.keepConfig(i); err != nil && o.Log != nil {
		o.Log("the configuration can't be kept: %v", err)
	}
	l.together(c, i, name)
	return c, nil
}

// visit takes an entry of a layer that was not known.
func (l *looker) visit(e *image.Entry) error {
	k := l.layers[e.Layer]
	if !k.fresh {
		return nil
	}
	plain := *e
	plain.Body = nil
	k.Entries = append(k.Entries, plain)
	if !hasContent(e) {
		return l.look(k, e)
	}
	l.files[e.Layer]++
	if linking.ListsFolders(e.Path) {
		var list bytes.Buffer
		folders, err := linking.Folders(io.TeeReader(e.Body, &list))
		if err != nil {
			return err
		}
		k.Folders = append(k.Folders, listed{e.Path, folders})
		e.Body = io.MultiReader(&list, e.Body)
	}
	l.pass.begin(e, l.whole)
	if err := l.look(k, e); err != nil {
		return err
	}
	one, err := l.pass.end(l.files[e.Layer])
	if one != nil {
		k.Passed = append(k.Passed, *one)
	}
	return err
}

// hasContent is true for an entry that the view counts as content of its own.
func hasContent(e *image.Entry) bool { return e.Kind == image.Plain && e.Mode.IsRegular() }

// look reads an entry for who wants it.
func (l *looker) look(k *kept, e *image.Entry) error {
	accounts := contents.Wants(e)
	if packages := l.find.Wants(e); packages || accounts {
		kept := e.Size <= small
		if kept {
			l.buffer.Reset()
			if _, err := io.CopyN(&l.buffer, e.Body, e.Size); err != nil {
				return err
			}
			e.Body = bytes.NewReader(l.buffer.Bytes())
		}
		if accounts {
			told, err := contents.File(e)
			if err != nil {
				return err
			}
			if told != nil {
				k.Told = append(k.Told, *told)
			}
			e.Body = bytes.NewReader(l.buffer.Bytes())
		}
		if !packages {
			return l.secret(k, e)
		}
		found, err := l.find.File(l.ctx, e)
		if err != nil {
			return err
		}
		if found != nil {
			for _, o := range found.Owns {
				k.owned += int64(len(o.Files))
			}
			if k.owned > mostOwned && found.Owns != nil {
				found.Owns, found.Unread = nil, fmt.Sprintf("packages of its layer list more than %d bytes of files", mostOwned)
			}
			k.Found = append(k.Found, *found)
		}
		if !kept {
			return nil
		}
		e.Body = bytes.NewReader(l.buffer.Bytes())
	}
	return l.secret(k, e)
}

// secret looks for secrets in an entry.
func (l *looker) secret(k *kept, e *image.Entry) error {
	found, err := l.secrets.File(l.ctx, e)
	if err != nil {
		return err
	}
	k.Secrets = append(k.Secrets, found.Secrets...)
	if found.Unread != "" {
		k.Cut = append(k.Cut, e.Path+": "+found.Unread)
	}
	return nil
}

// together puts together what the layers told.
func (l *looker) together(c *Contents, i *image.Image, name string) {
	var found []extract.Found
	var told []contents.Told
	entries := make([][]image.Entry, len(l.layers))
	for n, k := range l.layers {
		entries[n] = k.Entries
		for _, t := range k.Told {
			t.Layer = n
			told = append(told, t)
		}
		for _, f := range k.Found {
			f.Layer = n
			found = append(found, f)
		}
		for _, s := range k.Secrets {
			s.Layer = n
			c.Secrets = append(c.Secrets, s)
		}
		c.Cut = append(c.Cut, k.Cut...)
	}
	public(c.Secrets, found)
	config := l.secrets.Config(&i.Config)
	c.Secrets = append(c.Secrets, config.Secrets...)
	if config.Unread != "" {
		c.Cut = append(c.Cut, "the configuration: "+config.Unread)
	}
	d := &c.Document
	d.Name, d.Names, d.ID, d.Manifest = name, i.Names, i.ID, i.Manifest
	if i.Config.Created != nil {
		d.Created = i.Config.Created.UTC()
	}
	if i.Document != nil {
		c.Config = &i.Config
	}
	d.OS, d.Packages, d.Unread = extract.Assemble(c.View, found)
	d.Unread = append(d.Unread, c.View.Unseen...)
	l.linked(c)
	c.Installed = extract.Installed(c.View, found)
	c.Files = contents.Of(c.View, contents.Seen{Layers: entries, Told: told, Sums: l.sums(), Tree: c.Tree}, d.OS)
	outside := outsideOf(i, c.View)
	c.Facts = outside.Facts()
	c.Files.ID, c.Files.Name = string(i.ID), name
	if len(c.Facts.Tags) > 0 {
		c.Files.Name = c.Facts.Name()
	}
	base := baseLayers(&c.Facts)
	for n, layer := range i.Layers {
		s := sbom.Layer{DiffID: layer.DiffID, Digest: layer.Digest, Base: n < base}
		if len(c.Facts.LayerSteps) == len(i.Layers) {
			s.Step = c.Facts.History[c.Facts.LayerSteps[n]-1].CreatedBy
		}
		d.Layers = append(d.Layers, s)
	}
}

// public notes which secrets are in files that a package of the distribution brought, of those
// that are told by a name alone: with packages of one's own a key may come too. What lies
// where people write is theirs, whoever brought the file.
func public(secrets []secret.Secret, found []extract.Found) {
	files := make([]extract.File, 0, len(secrets))
	for i := range secrets {
		files = append(files, extract.File{Path: secrets[i].Path, Layer: secrets[i].Layer})
	}
	by := extract.Brought(found, files)
	for i := range secrets {
		s := &secrets[i]
		if s.Rule == "generic-api-key" && !slices.ContainsFunc([]string{"/etc/", "/var/", "/root/", "/home/", "/srv/"}, func(dir string) bool { return strings.HasPrefix(s.Path, dir) }) {
			s.Package = by[files[i]]
		}
	}
}

// linked puts together what the image's programs need.
func (l *looker) linked(c *Contents) {
	needs, before := map[int]*linking.Needs{}, 0
	var folders []string
	for n, k := range l.layers {
		for i := range k.Passed {
			if p := &k.Passed[i]; p.Needs != nil {
				needs[before+p.Nth] = p.Needs
			}
		}
		before += l.files[n]
		for _, list := range k.Folders {
			if at, is := c.View.Stat(list.Path); is && at.Layer == n {
				folders = append(folders, list.Folders...)
			}
		}
	}
	c.Tree = linking.NewTree(c.View, needs, folders)
}

// sums are those of contents, by their numbers; nil where none was made.
func (l *looker) sums() map[int]uint64 {
	if !l.whole {
		return nil
	}
	sums, before := map[int]uint64{}, 0
	for n, k := range l.layers {
		for _, p := range k.Passed {
			if p.Sum != 0 {
				sums[before+p.Nth] = p.Sum
			}
		}
		before += l.files[n]
	}
	return sums
}

// outsideOf is an image by its configuration.
func outsideOf(i *image.Image, v *image.View) collect.Outside {
	o := collect.Outside{Config: workload.ImageConfig{ID: string(i.ID), Tags: i.Names, User: i.Config.Config.User, Env: i.Config.Config.Env, Labels: i.Config.Config.Labels,
		Entrypoint: i.Config.Config.Entrypoint, Cmd: i.Config.Config.Cmd, StopSignal: i.Config.Config.StopSignal}}
	if at := i.Config.Created; at != nil {
		o.Config.Created = at.Format("2006-01-02T15:04:05.999999999Z07:00")
	}
	check := i.Config.Config.Healthcheck
	o.Config.HasHealth = check != nil && len(check.Test) > 0 && check.Test[0] != "NONE"
	for port := range i.Config.Config.ExposedPorts {
		o.Config.ExposedPorts = append(o.Config.ExposedPorts, port)
	}
	for volume := range i.Config.Config.Volumes {
		o.Config.Volumes = append(o.Config.Volumes, volume)
	}
	slices.Sort(o.Config.ExposedPorts)
	slices.Sort(o.Config.Volumes)
	for _, h := range i.Config.History {
		s := collect.Step{CreatedBy: h.CreatedBy, Comment: h.Comment, EmptyLayer: h.EmptyLayer}
		if h.Created != nil {
			s.Created = h.Created.Format("2006-01-02T15:04:05Z07:00")
		}
		o.Steps = append(o.Steps, s)
	}
	for n, layer := range i.Layers {
		o.Layers = append(o.Layers, string(layer.DiffID))
		o.LayerBytes = append(o.LayerBytes, v.Layers[n].Bytes)
	}
	for f := range v.All() {
		if f.Mode.IsRegular() && f.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
			o.Setuid = append(o.Setuid, facts.SetuidFile{Path: f.Path, Mode: fmt.Sprintf("%04o", unixMode(f.Mode))})
		}
	}
	return o
}

// baseLayers guesses how many layers came of a base image: base images end with a step that
// makes no layer (CMD or ENTRYPOINT), and what was built on them goes on behind it. 0 is
// none that can be told.
func baseLayers(i *facts.Image) int {
	if len(i.LayerSteps) == 0 {
		return 0
	}
	base := 0
	for _, s := range i.History {
		if s.Number > i.LayerSteps[len(i.LayerSteps)-1] {
			break
		}
		if s.Instruction == "CMD" || s.Instruction == "ENTRYPOINT" {
			base, _ = slices.BinarySearch(i.LayerSteps, s.Number)
		}
	}
	return base
}

// unixMode has the permissions and the three bits above them as chmod(1) has them.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for bit, of := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&of != 0 {
			mode |= bit
		}
	}
	return mode
}
