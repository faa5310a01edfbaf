package workload

import (
	"net/netip"
	"path"
	"strconv"
	"strings"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// canonicalID gives a user's or group's canonical form: a number without sign
// and leading zeros, "0" for root; any other name as it is. The engine takes
// what Atoi takes for a number, so "+0" and "00" are root too.
func canonicalID(id string) string {
	if id == "root" {
		return "0"
	}
	if n, err := strconv.Atoi(id); err == nil && n >= 0 {
		return strconv.Itoa(n)
	}
	return id
}

// canonicalUser splits USER[:GROUP]; an empty user is root.
func canonicalUser(user string) (string, string) {
	u, g, _ := strings.Cut(user, ":")
	if u == "" {
		u = "0"
	}
	return canonicalID(u), canonicalID(g)
}

// canonicalIP writes an address as RFC 5952 does, one of IPv4 inside IPv6 as that of
// IPv4 (RFC 4291, section 2.5.5.2); what is no address, and "", stays.
func canonicalIP(ip string) string {
	if a, err := netip.ParseAddr(strings.Trim(ip, "[]")); err == nil {
		return a.Unmap().String()
	}
	return ip
}

func canonicalIPs(ips []string) []string {
	out := make([]string, len(ips))
	for i, ip := range ips {
		out[i] = canonicalIP(ip)
	}
	return out
}

// cleanPath makes an absolute slash path canonical; "" stays "".
func cleanPath(p string) string {
	if p == "" {
		return ""
	}
	if p[0] != '/' {
		p = "/" + p
	}
	return path.Clean(p)
}

// parseReference splits an image's name as the engine does (the reference
// grammar of distribution: the first part is a registry when it has a dot, a
// colon or an upper case letter, or is localhost). An id has neither name nor
// tag.
func parseReference(ref string) Image {
	img := Image{Ref: ref}
	name, digest, hasDigest := strings.Cut(ref, "@")
	if hasDigest {
		img.Digest = strings.ToLower(digest)
	}
	if !hasDigest && isImageID(name) {
		return img
	}
	if digits, short := strings.CutPrefix(name, "sha256:"); short && !hasDigest && isHex(digits) {
		return img // the beginning of an id: an image is not called sha256
	}
	if slash, colon := strings.LastIndexByte(name, '/'), strings.LastIndexByte(name, ':'); colon > slash {
		name, img.Tag = name[:colon], name[colon+1:]
	}
	if name == "" {
		return img
	}
	registry, rest, hasSlash := strings.Cut(name, "/")
	switch {
	case !hasSlash:
		name = "docker.io/library/" + name
	case registry == "index.docker.io":
		name = "docker.io/" + rest
	case !strings.ContainsAny(registry, ".:") && registry != "localhost" && strings.ToLower(registry) == registry:
		name = "docker.io/" + name
	}
	if rest, isHub := strings.CutPrefix(name, "docker.io/"); isHub && !strings.Contains(rest, "/") {
		name = "docker.io/library/" + rest
	}
	img.Name = name
	if img.Tag == "" && !hasDigest {
		img.Tag = "latest"
	}
	return img
}

// ImageName is the canonical repository in an image's name, as Image has it.
func ImageName(ref string) string { return parseReference(ref).Name }

// isImageID is true for sha256:<64 hex> and for 64 hex digits alone. A shorter
// run of digits may be a name or an id's beginning: only the engine can tell.
func isImageID(ref string) bool {
	h := strings.TrimPrefix(ref, "sha256:")
	return len(h) == 64 && isHex(h)
}

// isHex is true for hexadecimal digits as the engine writes them, and nothing
// else.
func isHex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }

// mayBeID is true for a network's name that can be an id or its beginning. Words
// without a digit, such as db, are names.
func mayBeID(name string) bool { return isHex(name) && strings.ContainsAny(name, "0123456789") }

// canonicalReference is parseReference's name with its tag or digest, as
// RepoTags and RepoDigests are compared.
func canonicalReference(ref string) string {
	img := parseReference(ref)
	if img.Digest != "" {
		return img.Name + "@" + img.Digest
	}
	return img.Name + ":" + img.Tag
}

// join splits "container[:ro|rw]" of --volumes-from.
func parseVolumesFrom(v string) Join {
	name, mode, _ := strings.Cut(v, ":")
	j := Join{Container: name}
	for _, o := range strings.Split(mode, ",") {
		if o == "ro" {
			j.ReadOnly = true
		}
	}
	return j
}

// canonicalLinks writes each link as it is asked for, container:alias; an
// inspect answer has it as /container:/name/alias, and an alias that is not
// given is the container's name.
func canonicalLinks(links []string) []string {
	out := make([]string, 0, len(links))
	for _, l := range links {
		name, alias, found := strings.Cut(l, ":")
		name = strings.TrimPrefix(name, "/")
		if !found {
			alias = name
		}
		out = append(out, name+":"+alias[strings.LastIndexByte(alias, '/')+1:])
	}
	return sortedUnique(out)
}

// NameFits matches the name of an image, whole and without tag and digest, with a pattern of a
// policy: path.Match, but that a star means slashes too.
func NameFits(pattern, name string) bool {
	const slash = "\x00"
	fits, err := path.Match(strings.ReplaceAll(pattern, "/", slash), strings.ReplaceAll(name, "/", slash))
	return fits && err == nil
}
