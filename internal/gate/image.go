package gate

import (
	"context"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// judgePull objects to images that the engine would fetch from any address. What is pulled
// by a name comes from a registry, and is judged when a container is made of it.
func judgePull(_ context.Context, x *exchange) error {
	q := &x.match.Query
	x.subject.Name = trail.Clip(q.Get("fromImage")+q.Get("repo"), maxName)
	if from := q.Get("fromSrc"); from != "" && from != "-" {
		x.decision.object("the engine would fetch the image from an address that the client chooses", "send it: docker import FILE")
	}
	return nil
}

// judgePush objects to sending images to where the policy does not take them from.
func judgePush(_ context.Context, x *exchange) error {
	name := x.match.Var("name")
	x.subject.Name = trail.Clip(name, maxName)
	to := workload.ImageName(name)
	if len(x.p.Require.Images) > 0 && !slices.ContainsFunc(x.p.Require.Images, func(pattern string) bool { return workload.NameFits(pattern, to) }) {
		x.decision.object("the image would go to where the policy takes none from", "push it to one of "+strings.Join(x.p.Require.Images, ", "))
	}
	return nil
}
