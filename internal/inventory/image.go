package inventory

import "strings"

// hub is the registry of names that have none.
const hub = "docker.io"

// parted divides an image's name into its registry, by the rule of docker's own client
// (distribution/reference, splitDockerDomain), and what follows up to a digest.
func parted(image string) (registry, name string) {
	image, _, _ = strings.Cut(image, "@")
	registry, name, found := strings.Cut(image, "/")
	if !found || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry, name = hub, image
	}
	if registry == hub || registry == "index."+hub {
		registry, name = hub, strings.TrimPrefix(name, "library/")
	}
	return registry, name
}

// untagged is a name without its tag.
func untagged(name string) string {
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i]
	}
	return name
}

// isID says whether an image was asked for by its id, and so has no name.
func isID(image string) bool {
	hex := strings.TrimPrefix(image, "sha256:")
	return (len(hex) == 64 || hex != image) && strings.Trim(hex, "0123456789abcdef") == ""
}

// defaultRegistry is the registry that all deployments have in common, or "".
func defaultRegistry(list []Deployment) string {
	common := ""
	for i := range list {
		if isID(list[i].Image) {
			continue
		}
		registry, _ := parted(list[i].Image)
		if common != "" && registry != common {
			return ""
		}
		common = registry
	}
	return common
}

// imageName is an image's name without its digest, and without the registry where it
// goes without saying.
func imageName(d *Deployment, without string) string {
	if isID(d.Image) {
		return ""
	}
	registry, name := parted(d.Image)
	if registry == without || registry == hub && !strings.HasPrefix(d.Image, hub) {
		return name
	}
	return registry + "/" + name
}

// shortDigest is the first eight digits of an image's digest.
func shortDigest(d *Deployment) string {
	digest := d.Digest
	if digest == "" && isID(d.Image) {
		digest = d.Image
	}
	_, hex, found := strings.Cut(digest, ":")
	if !found {
		hex = digest
	}
	return hex[:min(len(hex), 8)]
}
