package facts

import "github.com/plimsoll/plimsoll/internal/workload"

// Image is an image that the engine holds.
type Image struct {
	// ID is its digest as the engine gives it.
	ID string `json:"id"`
	// Tags are its names with tags, sorted; an image without one is dangling.
	Tags []string `json:"tags"`
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// Name is the first of its tags, or the beginning of its id.
func (i *Image) Name() string {
	if len(i.Tags) > 0 {
		return i.Tags[0]
	}
	return i.ID[:min(len("sha256:")+12, len(i.ID))]
}
