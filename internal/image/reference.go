package image

import (
	"errors"
	"fmt"
	"regexp"
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
	Registry      Source = "registry"       // an image in a registry, by name
)

// Reference says where an image is.
type Reference struct {
	Source Source
	// At is the path of the file or folder, or the name of the image: for a registry
	// docker's, or a name for several, as [Reference.Several] has it.
	At string
}

// String is the reference as [Parse] reads it.
func (r Reference) String() string { return string(r.Source) + ":" + r.At }

// Several is true for a reference of a registry that stands for all images of a repository,
// HOST/PATH:*, or of the repositories below a path, HOST/PATH/* or HOST/*. See [List].
func (r Reference) Several() bool {
	return r.Source == Registry && (strings.HasSuffix(r.At, ":*") || strings.HasSuffix(r.At, "/*"))
}

// maxReference bounds a reference: a path has at most 4096 bytes.
const maxReference = 4096 + 64

// engineOwn is what follows registry: in the engine's names of images of which the word is a
// part: the image registry with a version for its tag, as registry:2 and registry:latest are,
// and images of a host called registry that has a port, as registry:5000/app is.
var engineOwn = regexp.MustCompile(`^(v?[0-9][^/:]*|latest)(@|$)|^[0-9]+/`)

// Parse reads a reference. What begins with no source's word is the engine's name of an
// image; engine:NAME is one too, for names such as dir:latest. Of what begins with registry:,
// names that the engine has every day stay the engine's: registry:2, registry:2.8.3,
// registry:v3, registry:latest and registry:5000/app. In a registry these are registry:registry:2
// and the like; any other tag of that image is the engine's by engine:registry:TAG.
func Parse(text string) (Reference, error) {
	if len(text) > maxReference {
		return Reference{}, fmt.Errorf("the reference has %d bytes, and %d is the most", len(text), maxReference)
	}
	if strings.IndexByte(text, 0) >= 0 {
		return Reference{}, fmt.Errorf("%q is no reference: it has a NUL", text)
	}
	word, at, found := strings.Cut(text, ":")
	source := Source(word)
	if !found || !slices.Contains([]Source{DockerArchive, OCIArchive, OCILayout, Folder, Engine, Registry}, source) || source == Registry && engineOwn.MatchString(at) {
		source, at = Engine, text
	}
	if at == "" {
		if source == Engine || source == Registry {
			return Reference{}, errors.New("the image has no name")
		}
		return Reference{}, fmt.Errorf("%q names no path: write %s:PATH", text, source)
	}
	r := Reference{Source: source, At: at}
	var err error
	switch source {
	case Engine:
		// The engine takes names, names with digests, ids and beginnings of ids.
		_, err = reference.ParseAnyReference(at)
	case Registry:
		if r.Several() {
			_, err = r.pattern()
		} else {
			_, err = reference.ParseNormalizedNamed(at)
		}
	}
	if err != nil {
		return Reference{}, fmt.Errorf("%q is no name of an image: %w", at, err)
	}
	return r, nil
}

// pattern is what a name for several images stands for.
type pattern struct {
	// host is docker's name of the registry, path the repository, or the one that they are
	// below: "" for all.
	host, path string
	// below is true for the repositories below path, false for the one.
	below bool
}

func (r Reference) pattern() (pattern, error) {
	if name, one := strings.CutSuffix(r.At, ":*"); one {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return pattern{}, err
		}
		if !reference.IsNameOnly(named) {
			return pattern{}, errors.New("it has a tag, or a digest, before that for all")
		}
		return pattern{host: reference.Domain(named), path: reference.Path(named)}, nil
	}
	// A name below, so that what is before the first slash is the host that it would be.
	const below = "/any"
	named, err := reference.ParseNormalizedNamed(strings.TrimSuffix(r.At, "/*") + below)
	if err != nil {
		return pattern{}, err
	}
	path := strings.TrimSuffix("/"+reference.Path(named), below)
	return pattern{host: reference.Domain(named), path: strings.TrimPrefix(path, "/"), below: true}, nil
}
