package collect

import "github.com/plimsoll/plimsoll/internal/facts"

// images makes facts of the engine's images.
func (c *collector) images() {
	c.facts.Images = []facts.Image{}
	c.unseen("images", reasonSilent)
}
