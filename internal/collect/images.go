package collect

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// imagery is all images: those that containers run, and those that the engine
// lists.
type imagery struct {
	found map[string]*foundImage
	// others are those that no container runs, sorted by id.
	others []string
	// listed is what the list says of an image, for one that can be asked no more of.
	listed map[string]listedImage
	// rest is why there may be more images, "" when all are known, and blind why one
	// may be related to others in ways that nobody knows.
	rest, blind string
}

// listedImage is what is read of an element of GET /images/json.
type listedImage struct {
	ID          string `json:"Id"`
	RepoTags    []string
	RepoDigests []string
}

// allImages adds to the images that containers run those of the list.
func allImages(running map[string]*foundImage, list []json.RawMessage, reason string) *imagery {
	all := &imagery{found: maps.Clone(running), listed: map[string]listedImage{}, rest: reason}
	for _, raw := range list {
		var one listedImage
		if err := decode("the engine's list of images", raw, &one); err != nil || !isImageID(one.ID) {
			all.rest = reasonUnreadable
			continue
		}
		all.listed[one.ID] = one
		if all.found[one.ID] == nil {
			all.found[one.ID] = &foundImage{}
			all.others = append(all.others, one.ID)
		}
	}
	slices.Sort(all.others)
	return all
}

// look reads from the engine's own store what its answers lack, once all images
// were inspected: those in use first, for the store is looked at in bounds.
func (a *imagery) look(ctx context.Context, c *collector) error {
	dataRoot, driver := c.facts.Daemon.DataRoot, c.facts.Daemon.StorageDriver
	store := openStore(c.host, c.noHost, dataRoot, driver)
	defer store.close()
	layers := layerSet{}
	running := slices.DeleteFunc(slices.Sorted(maps.Keys(a.found)), func(id string) bool {
		_, other := slices.BinarySearch(a.others, id)
		return other
	})
	for _, id := range slices.Concat(running, a.others) {
		if err := ctx.Err(); err != nil {
			return err
		}
		i := a.found[id]
		if i.config == nil {
			continue
		}
		if !c.ImageHistory {
			i.steps, i.noHistory = store.history(id, i.layers)
		}
		if len(i.layers) > maxLayers {
			i.noSetuid = "it has too many layers"
			continue
		}
		i.top = layers.top(i.layers)
		if i.top != nil && len(i.top.images) < maxAlike {
			i.top.images = append(i.top.images, i)
		}
		i.setuid, i.noSetuid = store.setuid(i.top)
		if i.layers == nil {
			i.noSetuid = reasonSilent
		}
	}
	return nil
}

// maxAlike bounds how many images with the same layers are compared with another
// to find what it was built on.
const maxAlike = 16

// images makes facts of the engine's images, sorted by name, then id.
func (c *collector) images(all *imagery, listed []listedContainer) {
	c.facts.Images = []facts.Image{}
	if all.rest != "" {
		c.unseen("images"+workload.Open, all.rest)
		all.blind = "there may be images that are not listed"
	}
	usedBy, untold := map[string][]string{}, false
	for _, l := range listed {
		usedBy[l.image] = append(usedBy[l.image], l.name)
		untold = untold || l.image == ""
	}
	reader := newStepReader()
	position := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(all.found)) {
		i := all.found[id]
		if i.config == nil && !i.gone && all.blind == "" {
			all.blind = "an image could not be looked at"
		}
		if i.gone {
			if slices.Contains(all.others, id) {
				c.warn("the image %s was removed meanwhile, and is left out", id)
			}
			continue
		}
		out := facts.Image{ID: id, UsedBy: append([]string{}, usedBy[id]...)}
		i.imageFacts(&out, all.listed[id], reader)
		if c.Trust != nil {
			why := ""
			if out.Trust, why = c.Trust(id, out.Digests); why != "" {
				out.Unseen = append(out.Unseen, workload.Unseen{Path: "trust", Reason: why})
			}
		}
		if untold {
			out.Unseen = append(out.Unseen, workload.Unseen{Path: "used_by" + workload.Open, Reason: reasonSilent})
		}
		c.facts.Images = append(c.facts.Images, out)
	}
	images := c.facts.Images
	slices.SortStableFunc(images, func(a, b facts.Image) int { return cmp.Or(cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.ID, b.ID)) })
	for at := range images {
		position[images[at].ID] = at
	}
	c.bases(all, position)
}

// imageFacts makes facts of one image but for what it has to do with others.
func (i *foundImage) imageFacts(out *facts.Image, listed listedImage, reader *stepReader) {
	hide := func(reason string, paths ...string) {
		for _, path := range paths {
			out.Unseen = append(out.Unseen, workload.Unseen{Path: path, Reason: reason})
		}
	}
	out.Tags, out.Digests = named(listed.RepoTags), named(listed.RepoDigests)
	out.Environment, out.EnvironmentEmpty, out.Labels, out.ExposedPorts, out.Volumes = []string{}, []string{}, map[string]string{}, []string{}, []string{}
	out.History, out.Packages, out.Setuid = []facts.ImageStep{}, []string{}, []facts.SetuidFile{}
	out.LayerSteps, out.LayerBytes = []int64{}, []int64{}
	const fromConfig = "user healthcheck environment environment_empty labels exposed_ports volumes"
	if i.config == nil {
		if listed.ID == "" {
			hide(i.reason, "tags", "digests", "dangling")
		}
		out.Dangling = len(out.Tags) == 0
		hide(i.reason, append(strings.Fields(fromConfig), "created", "tagged", "size_bytes", "base", "layers", "layer_steps", "layer_bytes", "history", "packages", "setuid")...)
		return
	}
	out.Tags, out.Digests = named(i.config.Tags), named(i.config.Digests)
	out.Dangling = len(out.Tags) == 0
	if t, err := time.Parse(time.RFC3339Nano, i.config.Created); err == nil && !t.IsZero() {
		out.Created = t.UTC()
	} else {
		hide("the image does not say it", "created")
	}
	out.Tagged = i.tagged
	if i.size != nil {
		out.SizeBytes = *i.size
	} else {
		hide(reasonSilent, "size_bytes")
	}
	if out.Layers = int64(len(i.layers)); i.layers == nil {
		hide(reasonSilent, "layers")
	}
	if i.bare {
		hide(reasonSilent, strings.Fields(fromConfig)...)
	} else {
		out.User = cmp.Or(execUser(i.config.User, ""), "0")
		out.Healthcheck = i.config.HasHealth
		empty := map[string]bool{}
		for _, variable := range i.config.Env {
			name, value, set := strings.Cut(variable, "=")
			out.Environment = append(out.Environment, name)
			empty[name] = set && value == ""
		}
		out.Environment = unique(out.Environment)
		out.EnvironmentEmpty = slices.DeleteFunc(slices.Clone(out.Environment), func(name string) bool { return !empty[name] })
		out.Labels = redact.Labels(i.config.Labels)
		out.ExposedPorts, out.Volumes = append(out.ExposedPorts, i.config.ExposedPorts...), append(out.Volumes, i.config.Volumes...)
	}
	i.stepFacts(out, reader)
	if i.noSetuid != "" {
		hide(i.noSetuid, "setuid")
		return
	}
	for _, f := range i.setuid {
		out.Setuid = append(out.Setuid, facts.SetuidFile{Path: textOf(f.Path), Mode: f.Mode})
	}
}

// named are the names of an image, sorted, without what stands for none.
func named(names []string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, "<none>") })
	return unique(out)
}

// The labels that say what an image was built on (the OCI image specification's
// annotations.md).
const (
	baseNameLabel   = "org.opencontainers.image.base.name"
	baseDigestLabel = "org.opencontainers.image.base.digest"
)

// bases finds what each image was built on: what its labels say, and the image here
// that has the most of its layers and steps, and no other.
func (c *collector) bases(all *imagery, position map[string]int) {
	images := c.facts.Images
	of := map[*foundImage]*facts.Image{}
	for id, at := range position {
		of[all.found[id]] = &images[at]
	}
	for at := range images {
		own := &images[at]
		i := all.found[own.ID]
		if i.config == nil {
			continue
		}
		own.Base.Name, own.Base.Digest = own.Labels[baseNameLabel], own.Labels[baseDigestLabel]
		var base *facts.Image
		for l := i.top; l != nil && base == nil; l = l.below {
			for _, candidate := range l.images {
				other := of[candidate]
				if other == nil || candidate == i || !isBuiltOn(i, candidate, l == i.top) {
					continue
				}
				if base == nil || len(other.History) > len(base.History) || len(other.History) == len(base.History) && other.Name() < base.Name() {
					base = other
				}
			}
		}
		if base == nil {
			continue
		}
		base.Derived++
		own.Base.ID = base.ID
		own.Base.Name = cmp.Or(own.Base.Name, base.Name())
		own.Base.Steps = int64(min(len(base.History), len(own.History)))
	}
	for at := range images {
		own := &images[at]
		hide := func(path, reason string) {
			own.Unseen = append(own.Unseen, workload.Unseen{Path: path, Reason: reason})
		}
		if all.blind == "" {
			continue
		}
		hide("derived", all.blind)
		if own.Base.ID == "" && all.found[own.ID].config != nil {
			hide("base.id", all.blind)
		}
	}
}

// isBuiltOn is true when the steps of an image begin with those of the other, which
// has the same layers, or less. Where neither history is known, the layers count.
func isBuiltOn(own, other *foundImage, sameLayers bool) bool {
	if len(own.steps) == 0 || len(other.steps) == 0 {
		return !sameLayers
	}
	same := func(a, b rawStep) bool {
		return a.CreatedBy == b.CreatedBy && a.Created == b.Created && a.Comment == b.Comment && a.size == b.size
	}
	return len(other.steps) < len(own.steps) && slices.EqualFunc(own.steps[:len(other.steps)], other.steps, same)
}
