package vex

import (
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	purl "github.com/package-url/packageurl-go"
)

// Image is the image in which a package is. What is not known of it is "": a statement that
// names it is then about another.
type Image struct {
	// Digests are those of the manifest, of the index that it was found by, and of the
	// configuration.
	Digests []digest.Digest
	// Names are its references: docker.io/library/nginx:1.25, or as short as docker takes
	// them.
	Names []string
	// Platform is operating system and architecture, linux/arm64, with a variant as a third.
	Platform string
}

// known is an image as it is compared.
type known struct {
	digests map[string]bool
	// tags are those of each repository, which is called by its whole name.
	tags     map[string]map[string]bool
	platform string
}

func (i Image) known() *known {
	k := &known{digests: map[string]bool{}, tags: map[string]map[string]bool{}, platform: i.Platform}
	for _, d := range i.Digests {
		if d.Validate() == nil {
			k.digests[string(d)] = true
		}
	}
	for _, name := range i.Names {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			continue
		}
		repository := named.Name()
		if k.tags[repository] == nil {
			k.tags[repository] = map[string]bool{}
		}
		if tagged, is := reference.TagNameOnly(named).(reference.Tagged); is {
			k.tags[repository][tagged.Tag()] = true
		}
	}
	return k
}

// target is what is named by a package URL, a package or an image. Its zero value is nothing
// that could be compared.
type target struct {
	url *purl.PackageURL
	// image is set for one of the type oci or docker.
	image *named
}

// named is an image as a statement names it: by what is not "" of these, all of it.
type named struct{ digest, repository, tag, os, arch, platform string }

// targetOf reads a package URL.
func targetOf(text string) (target, error) {
	u, err := purl.FromString(text)
	if err != nil {
		return target{}, err
	}
	switch u.Type {
	case purl.TypeOCI, purl.TypeDocker:
		return target{image: namedBy(u)}, nil
	}
	return target{url: canonical(u)}, nil
}

// namedBy reads a package URL of an image (purl-spec, types/oci and types/docker); nil for one
// that does not tell which image it is. An oci one has a digest, or a repository_url; a docker
// one has its name as docker takes it, below the registry of its repository_url.
func namedBy(u purl.PackageURL) *named {
	n := &named{}
	repository := u.Name
	if u.Namespace != "" {
		repository = u.Namespace + "/" + u.Name
	}
	if u.Type == purl.TypeOCI {
		repository = ""
	}
	for _, q := range u.Qualifiers {
		switch q.Key {
		case "repository_url":
			at := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(q.Value, "https://"), "http://"), "/")
			if repository != "" {
				at += "/" + repository
			}
			repository = at
		case "tag":
			n.tag = q.Value
		case "arch":
			n.arch = q.Value
		case "os":
			n.os = q.Value
		case "platform":
			n.platform = q.Value
		default:
			return nil // what it means is not known, so neither is what it leaves out
		}
	}
	switch {
	case digest.Digest(u.Version).Validate() == nil:
		n.digest = u.Version
	case u.Type == purl.TypeOCI && u.Version != "":
		return nil
	case u.Version != "" && n.tag != "" && n.tag != u.Version:
		return nil
	case u.Version != "":
		n.tag = u.Version
	}
	// A digest says all: the same image has other names elsewhere.
	if n.digest != "" {
		return n
	}
	at, err := reference.ParseNormalizedNamed(repository)
	if err != nil || !reference.IsNameOnly(at) {
		return nil
	}
	n.repository = at.Name()
	return n
}

// isImage says whether the target is the image.
func (t target) isImage(k *known) bool {
	n := t.image
	if n == nil {
		return false
	}
	os, rest, _ := strings.Cut(k.platform, "/")
	arch, _, _ := strings.Cut(rest, "/")
	if n.os != "" && n.os != os || n.arch != "" && n.arch != arch || n.platform != "" && n.platform != k.platform && !strings.HasPrefix(k.platform, n.platform+"/") {
		return false
	}
	if n.digest != "" {
		return k.digests[n.digest]
	}
	tags, is := k.tags[n.repository]
	return is && (n.tag == "" || tags[n.tag])
}

// isPackage says whether the target names the package.
func (t target) isPackage(p *purl.PackageURL) bool {
	u := t.url
	if u == nil || p == nil || u.Type != p.Type || u.Namespace != p.Namespace || u.Name != p.Name {
		return false
	}
	if u.Version != "" && u.Version != p.Version || u.Subpath != "" && u.Subpath != p.Subpath {
		return false
	}
	has := p.Qualifiers.Map()
	for _, q := range u.Qualifiers {
		if v, is := has[q.Key]; !is || v != q.Value {
			return false
		}
	}
	return true
}

// canonical gives the one form of a package URL that several spellings have: the epoch of a
// distribution's version may be a qualifier, one of 0 may be left out, and so may Go's v.
func canonical(u purl.PackageURL) *purl.PackageURL {
	switch u.Type {
	case purl.TypeDebian, purl.TypeRPM:
		var rest purl.Qualifiers
		for _, q := range u.Qualifiers {
			if q.Key != "epoch" || u.Version == "" {
				rest = append(rest, q)
			} else if !strings.Contains(u.Version, ":") {
				u.Version = q.Value + ":" + u.Version
			}
		}
		u.Qualifiers = rest
		u.Version = strings.TrimPrefix(u.Version, "0:")
	case purl.TypeGolang:
		u.Version = strings.TrimPrefix(u.Version, "v")
	}
	return &u
}
