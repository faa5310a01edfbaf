// Package workload has the one shape of a container, Spec, and the adapters
// that make a Spec from each form in which a container is met: the engine's
// inspect answer (FromInspect), a create request (FromCreate), and /proc seen
// from inside a container that somebody else hosts (FromInside). The run line
// has a package of its own, runline, which makes a create request first.
//
// An adapter makes every value canonical, fills in the defaults that the
// Engine API documents, and lists in Spec.Unseen what its source cannot tell:
// above all what the image or the daemon's configuration decides, when a
// Surroundings does not say. It never judges.
//
// The field names of the raw bodies are those of the Engine API
// (https://docs.docker.com/reference/api/engine/), versions 1.40 to 1.56.
package workload
