package collect

import (
	"cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// inventory counts what the engine holds, once all of it is known.
func (c *collector) inventory(images *imagery) {
	out := facts.Inventory{ContainersUnchecked: []string{}, VolumesNamed: []string{}, Images: int64(len(c.facts.Images)), Containers: int64(len(c.facts.Containers))}
	sizes, tags := true, true
	for i := range c.facts.Images {
		image := &c.facts.Images[i]
		for _, u := range image.Unseen {
			sizes, tags = sizes && u.Path != "size_bytes", tags && u.Path != "dangling"
		}
		out.ImagesBytes += image.SizeBytes
		if image.Dangling {
			out.ImagesDangling++
		}
		if len(image.UsedBy) == 0 && image.Derived == 0 {
			out.ImagesUnused++
			out.ImagesUnusedBytes += image.SizeBytes
		}
	}
	unsure := false
	for i := range c.facts.Containers {
		s := &c.facts.Containers[i]
		if !isSeen(s, "live") || !isSeen(s, "live.status") {
			unsure = true
			continue
		}
		switch s.Live.Status {
		case "running", "paused", "restarting":
			out.ContainersRunning++
			switch {
			case !isSeen(s, "healthcheck") || !isSeen(s, "healthcheck.defined"):
				unsure = true
			case !s.Healthcheck.Defined:
				out.ContainersUnchecked = append(out.ContainersUnchecked, s.Name)
			}
		default:
			out.ContainersStopped++
		}
	}
	for _, v := range c.facts.Volumes {
		if isID(v.Name) { // the engine makes such names up (moby's volume/service)
			out.VolumesAnonymous++
		} else {
			out.VolumesNamed = append(out.VolumesNamed, v.Name)
		}
	}
	c.facts.Daemon.Inventory = out
	hide := func(reason string, names ...string) {
		for _, name := range names {
			c.unseen("daemon.inventory."+name, reason)
		}
	}
	if images.rest != "" {
		hide(images.rest, "images", "images_bytes")
	} else if !sizes {
		hide("the size of an image was not observed", "images_bytes")
	}
	if images.blind != "" {
		hide(images.blind, "images_unused", "images_unused_bytes")
	} else if !sizes {
		hide("the size of an image was not observed", "images_unused_bytes")
	}
	if images.rest != "" || !tags {
		hide(cmp.Or(images.rest, images.blind), "images_dangling")
	}
	if unsure {
		hide("a container could not be looked at", "containers_running", "containers_stopped", "containers_unchecked"+workload.Open)
	}
	if _, more := c.facts.Rest("volumes"); more {
		hide("the volumes were not all observed", "volumes_named"+workload.Open, "volumes_anonymous")
	}
}
