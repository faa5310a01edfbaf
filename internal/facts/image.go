package facts

import (
	"time"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// What an image's Trust may be.
const (
	TrustUnasked = ""          // no policy says whom images need
	Trusted      = "trusted"   // those have vouched for it whom the policy wants
	Untrusted    = "untrusted" // they have not, not any more, or nobody looked
)

// Image is an image that the engine holds.
type Image struct {
	// ID is its digest as the engine gives it.
	ID string `json:"id"`
	// Tags are its names with tags, sorted, as the engine writes them.
	Tags []string `json:"tags"`
	// Digests are the names with digests that a registry knows it by, sorted; one that
	// was built here, or loaded from a file, has none.
	Digests []string `json:"digests"`
	// Created is when it was built, as it says itself.
	Created time.Time `json:"created"`
	// Tagged is when it got a name here last, by being built, pulled or named; zero where
	// the engine does not know, as after a load.
	Tagged time.Time `json:"tagged"`
	// SizeBytes is that of all its layers, those that it shares with others too.
	SizeBytes int64 `json:"size_bytes"`
	// Dangling is true when no tag names it: docker image prune removes it, unless a
	// container is made of it.
	Dangling bool `json:"dangling"`
	// UsedBy are the names of the containers that are made of it, whether they run or
	// not, in the order of containers.
	UsedBy []string `json:"used_by"`
	// Trust is what was found of its signatures by the policy of trust: one of the words
	// below.
	Trust string `json:"trust"`
	// Base is what it was built on.
	Base ImageBase `json:"base"`
	// Derived is how many images of this engine were built on it.
	Derived int64 `json:"derived"`
	// User is what its programs run as, without a group: "0" for root.
	User string `json:"user"`
	// Healthcheck is true when it says how to check its health.
	Healthcheck bool `json:"healthcheck"`
	// Environment are the names of the variables that it sets, sorted.
	Environment []string `json:"environment"`
	// EnvironmentEmpty are those of them that have an empty value, sorted.
	EnvironmentEmpty []string          `json:"environment_empty"`
	Labels           map[string]string `json:"labels"`
	// ExposedPorts are like 80/tcp, sorted, and Volumes paths.
	ExposedPorts []string `json:"exposed_ports"`
	Volumes      []string `json:"volumes"`
	// Layers is how many layers it has, LayerSteps the numbers of the steps that made
	// them, and LayerBytes their sizes, the lowest first.
	Layers     int64   `json:"layers"`
	LayerSteps []int64 `json:"layer_steps"`
	LayerBytes []int64 `json:"layer_bytes"`
	// History is how it was built, the oldest step first.
	History []ImageStep `json:"history"`
	// Packages are those that the steps of its history name for installation, sorted.
	Packages []string `json:"packages"`
	// Setuid are the files that run as their owner or their group, whoever starts
	// them, sorted by path.
	Setuid []SetuidFile `json:"setuid"`
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// ImageBase is the image that another was built on.
type ImageBase struct {
	// Name and Digest are as the image's labels say
	// (org.opencontainers.image.base.name and .digest), or else Name is that of the
	// image with ID.
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// ID is the image of this engine whose layers and history the image begins with;
	// "" without one.
	ID string `json:"id"`
	// Steps is how many of the image's steps, from the oldest on, are known to be those
	// of the image with ID.
	Steps int64 `json:"steps"`
}

// ImageStep is one step of an image's history.
type ImageStep struct {
	// Number counts from 1, the oldest.
	Number int64 `json:"number"`
	// CreatedBy is what made it, as the engine has it, but for what looks like the
	// value of a secret, and for values of variables: *** stands for these.
	CreatedBy string `json:"created_by"`
	// Instruction is the Dockerfile's, in capitals; "" where there was none. A layer
	// that a command made is taken for RUN's, by docker commit too. Command is what came
	// behind it, without the shell.
	Instruction string `json:"instruction"`
	Command     string `json:"command"`
	// Variables are the names of what got a value here: by ENV, ARG and build
	// arguments, and in a command by an assignment that sounds like a secret.
	Variables []string `json:"variables"`
	// Secrets say what was taken for a secret by its form, or as the value of an
	// option: "a password in a URL".
	Secrets []string `json:"secrets"`
	Comment string   `json:"comment"`
}

// SetuidFile is a file of an image that runs as its owner or its group.
type SetuidFile struct {
	Path string `json:"path"`
	// Mode is octal: 4755.
	Mode string `json:"mode"`
}

// Name is the first of its tags, or the beginning of its id.
func (i *Image) Name() string {
	if len(i.Tags) > 0 {
		return i.Tags[0]
	}
	return i.ID[:min(len("sha256:")+12, len(i.ID))]
}
