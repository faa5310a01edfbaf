package collect

import (
	"cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// files makes facts of the host's files.
func (c *collector) files() {
	c.facts.Files = []facts.File{}
	c.unseen("files", cmp.Or(c.noHost, reasonSilent))
}
