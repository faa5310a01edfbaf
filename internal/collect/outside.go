package collect

import (
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Outside is an image that was not looked at in an engine: in an archive, a folder or a
// registry. All of it was seen.
type Outside struct {
	Config workload.ImageConfig
	// Steps are its history, the oldest first.
	Steps []Step
	// Layers are the digests of its layers, the lowest first, and LayerBytes their sizes.
	Layers     []string
	LayerBytes []int64
	Setuid     []facts.SetuidFile
}

// Step is a step of a history as it is written (the OCI image specification's config.md).
type Step struct {
	Created, CreatedBy, Comment string
	EmptyLayer                  bool
}

// Facts are those of the image by itself: no container is made of it, no other image is
// built on it, and it is not left over. What only an engine knows is unseen.
func (o *Outside) Facts() facts.Image {
	i := &foundImage{config: &o.Config, layers: append([]string{}, o.Layers...), setuid: o.Setuid, size: new(int64)}
	at := 0
	for _, s := range o.Steps {
		raw := rawStep{Created: s.Created, CreatedBy: s.CreatedBy, Comment: s.Comment, EmptyLayer: s.EmptyLayer, size: -1}
		if !s.EmptyLayer && at < len(o.LayerBytes) {
			raw.size = o.LayerBytes[at]
			at++
		}
		i.steps = append(i.steps, raw)
	}
	for _, n := range o.LayerBytes {
		*i.size += n
	}
	if len(o.Steps) == 0 {
		i.noHistory = reasonNoHistory
	}
	out := facts.Image{ID: o.Config.ID, UsedBy: []string{}}
	i.imageFacts(&out, listedImage{}, newStepReader())
	out.Base.Name, out.Base.Digest = out.Labels[baseNameLabel], out.Labels[baseDigestLabel]
	out.Dangling = false
	for _, path := range []string{"tagged", "base.id"} {
		out.Unseen = append(out.Unseen, workload.Unseen{Path: path, Reason: "it was not looked at in an engine"})
	}
	return out
}
