package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

// Source is a kind of place that an image is in.
type Source string

// The sources, by the words that references begin with.
const (
	DockerArchive Source = "docker-archive" // a file as docker save writes it
	OCIArchive    Source = "oci-archive"    // a tar file of an OCI layout
	OCILayout     Source = "oci"            // a folder that is an OCI layout
	Folder        Source = "dir"            // a folder that is the root of a file system
	Engine        Source = "engine"         // an image of the engine, by name or id
)

// Reference says where an image is.
type Reference struct {
	Source Source
	// At is the path of the file or folder, or the engine's name of the image.
	At string
}

// String is the reference as [Parse] reads it.
func (r Reference) String() string { return string(r.Source) + ":" + r.At }

// maxReference bounds a reference: a path has at most 4096 bytes.
const maxReference = 4096 + 64

// Parse reads a reference. What begins with no source's word is the engine's name of an
// image; engine:NAME is one too, for names such as dir:latest.
func Parse(text string) (Reference, error) {
	if len(text) > maxReference {
		return Reference{}, fmt.Errorf("the reference has %d bytes, and %d is the most", len(text), maxReference)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return Reference{}, fmt.Errorf("%q is no reference: it has a NUL", text)
	}
	word, at, found := strings.Cut(text, ":")
	source := Source(word)
	if !found || !slices.Contains([]Source{DockerArchive, OCIArchive, OCILayout, Folder, Engine}, source) {
		source, at = Engine, text
	}
	if at == "" {
		if source == Engine {
			return Reference{}, errors.New("the image has no name")
		}
		return Reference{}, fmt.Errorf("%q names no path: write %s:PATH", text, source)
	}
	if source == Engine {
		// The engine takes names, names with digests, ids and beginnings of ids.
		if _, err := reference.ParseAnyReference(at); err != nil {
			return Reference{}, fmt.Errorf("%q is no name of an image: %w", at, err)
		}
	}
	return Reference{Source: source, At: at}, nil
}
