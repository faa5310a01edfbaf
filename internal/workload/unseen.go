package workload

import (
	"slices"
	"strings"
)

// Unseen is one fact that could not be observed.
//
// Path is dotted, below the document that lists it, with list positions in
// brackets: "mounts[0].resolved". "[*]" stands for every element. A path that
// ends in "[...]" says that the list is right as far as it goes and may be
// longer: what is in it can be judged, what is missing cannot.
type Unseen struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Open is the suffix of a path to a list that may be longer than what was seen.
const Open = "[...]"

// The reasons that adapters give; they complete "not observed: PATH, …".
const (
	reasonImage     = "the image decides it"
	reasonDaemon    = "the daemon's configuration decides it"
	reasonChosen    = "the engine chooses it of a range"
	reasonNotLive   = "the container does not exist yet"
	reasonHost      = "the host's files were not looked at"
	reasonVolume    = "the volume's options were not looked at"
	reasonJoined    = "another container decides it"
	reasonNoKey     = "no key to hash with"
	reasonSilent    = "the engine does not say it"
	reasonInside    = "it cannot be seen from inside"
	reasonStopped   = "no process runs"
	reasonFile      = "it is in a file that was not read"
	reasonNoImage   = "the image is gone"
	reasonProcesses = "the host's processes were not looked at"
)

// hide records that path could not be seen.
func (s *Spec) hide(reason string, paths ...string) {
	for _, p := range paths {
		s.Unseen = append(s.Unseen, Unseen{Path: p, Reason: reason})
	}
}

// Reveal takes path and everything below it off the list of what is unseen,
// for a collector that has found it out since.
func (s *Spec) Reveal(path string) {
	s.Unseen = slices.DeleteFunc(s.Unseen, func(u Unseen) bool {
		rest, below := strings.CutPrefix(u.Path, path)
		return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// Hide records that path could not be seen, for a collector that looked and
// could not.
func (s *Spec) Hide(path, reason string) { s.hide(reason, path) }

// sortUnseen orders the list by path and drops repetitions; the first reason
// given for a path stays.
func (s *Spec) sortUnseen() {
	slices.SortStableFunc(s.Unseen, func(a, b Unseen) int { return strings.Compare(a.Path, b.Path) })
	s.Unseen = slices.CompactFunc(s.Unseen, func(a, b Unseen) bool { return a.Path == b.Path })
}
