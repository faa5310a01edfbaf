package registry

import (
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// Schema names the JSON of a report.
const Schema = "plimsoll/registry/1"

// Report is what is in repositories. Times are in UTC; what is not known is absent.
type Report struct {
	Schema string `json:"schema"`
	// Name is what was asked for.
	Name string    `json:"name"`
	Time time.Time `json:"time"`
	// Policy is the policy of trust that was asked, "" for none: then nothing is known of who
	// signed.
	Policy       string       `json:"policy,omitempty"`
	Repositories []Repository `json:"repositories"`
	// Tags are in the order of repositories and tags.
	Tags []*Tag `json:"tags"`
}

// Repository is one that was looked at.
type Repository struct {
	Name string `json:"name"`
	// Tags is how many tags of images it has, of which LeftOut were not looked at: all from
	// From on, in the order of their names.
	Tags    int    `json:"tags"`
	LeftOut int    `json:"left_out,omitempty"`
	From    string `json:"left_out_from,omitempty"`
	Beside  Beside `json:"beside"`
	// Seen is when it was looked at before; zero for the first time, when no tag can have
	// moved.
	Seen time.Time `json:"seen,omitzero"`
	// Error is why its tags could not be told.
	Error string `json:"error,omitempty"`
}

// Beside is how many tags are no images, but about some.
type Beside struct {
	Signatures   int `json:"signatures"`
	Attestations int `json:"attestations"`
	SBOMs        int `json:"sboms"`
	Referrers    int `json:"referrers"` // lists of referrers
}

// The kinds of what a tag leads to.
const (
	KindImage    = "image"
	KindIndex    = "index"
	KindArtifact = "artifact" // something else than an image, such as a chart
)

// Tag is one tag, and what it leads to.
type Tag struct {
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Digest     string `json:"digest,omitempty"`
	Kind       string `json:"kind,omitempty"`
	// Artifact is what kind of thing an artifact is, by its own word.
	Artifact string `json:"artifact,omitempty"`
	// Platforms are the images, one for each platform.
	Platforms []Platform `json:"platforms,omitempty"`
	// Size is the bytes of all that it consists of, packed, for all platforms.
	Size int64 `json:"size"`
	// Created is when it was made, by its own word.
	Created time.Time `json:"created,omitzero"`
	Signed  Signed    `json:"signed"`
	Base    *Base     `json:"base,omitempty"`
	// Scanned is when an image of it was last scanned here, and Worst the gravest that was
	// found then, "" for nothing.
	Scanned time.Time        `json:"scanned,omitzero"`
	Worst   finding.Severity `json:"worst,omitempty"`
	// Same are the other tags of the repository that lead to the same.
	Same  []string `json:"same,omitempty"`
	Moved *Moved   `json:"moved,omitempty"`
	// Error is what could not be told, and why.
	Error string `json:"error,omitempty"`
}

// Platform is an image for one platform.
type Platform struct {
	Platform string `json:"platform"` // as linux/arm64/v8
	Digest   string `json:"digest"`
	Size     int64  `json:"size"` // packed
}

// Signed says whether those who are trusted have signed.
type Signed struct {
	// Known is false where no policy was asked, or it could not be told.
	Known   bool `json:"known"`
	Trusted bool `json:"trusted"`
	// By are those who vouch for it, and Refused the step that refused, with the reason.
	By      []string `json:"by,omitempty"`
	Refused string   `json:"refused,omitempty"`
	Why     string   `json:"why,omitempty"`
}

// How the base of an image is known.
const (
	FromAnnotation = "annotation" // of its manifest or index
	FromLabel      = "label"
	FromLayers     = "layers" // it begins with all layers of another image of the report
)

// Base is what an image was built on.
type Base struct {
	Name   string `json:"name,omitempty"`
	Digest string `json:"digest,omitempty"`
	From   string `json:"from"`
}

// Moved says that a tag led to something else.
type Moved struct {
	From string    `json:"from"`
	Seen time.Time `json:"seen"` // the last time that it led there
}

// Failed is true where something could not be told.
func (r *Report) Failed() bool {
	for _, repo := range r.Repositories {
		if repo.Error != "" {
			return true
		}
	}
	for _, t := range r.Tags {
		if t.Error != "" {
			return true
		}
	}
	return false
}

// What a report may fail on.
const (
	FailUnsigned  = "unsigned"  // a tag that the policy does not trust
	FailMoved     = "moved"     // a tag that led to something else before
	FailUnscanned = "unscanned" // an image that was never scanned
)

// Has is true where some tag is what a report may fail on.
func (r *Report) Has(what string) bool {
	for _, t := range r.Tags {
		switch {
		case what == FailUnsigned && t.Signed.Known && !t.Signed.Trusted,
			what == FailMoved && t.Moved != nil,
			what == FailUnscanned && t.unscanned():
			return true
		}
	}
	return false
}

// unscanned is true for an image that was never scanned.
func (t *Tag) unscanned() bool {
	return t.Scanned.IsZero() && (t.Kind == KindImage || t.Kind == KindIndex) && t.Error == ""
}
