package runline

import (
	"errors"
	"fmt"
	"strings"
)

const (
	digits       = "0123456789"
	lowerHex     = digits + "abcdef"
	lowerAlnum   = digits + "abcdefghijklmnopqrstuvwxyz"
	alnum        = lowerAlnum + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	addressChars = lowerHex + "ABCDEF" + ":"
)

// only is true for a text of one or more of these ASCII characters.
func only(text, chars string) bool { return text != "" && strings.Trim(text, chars) == "" }

// checkImage demands a name that an engine could look up: an id, or
// [DOMAIN/]NAME[:TAG][@DIGEST] by the grammar of
// https://pkg.go.dev/github.com/distribution/reference.
func checkImage(ref string) error {
	if isDigest(ref) || isDigest("sha256:"+ref) {
		return nil
	}
	name, digest, pinned := strings.Cut(ref, "@")
	if pinned && !isDigest(digest) {
		return fmt.Errorf("the digest %q is not sha256: and 64 hexadecimal digits in lower case", digest)
	}
	domain, rest := splitDomain(name)
	path, tag, tagged := strings.Cut(rest, ":")
	switch {
	case tagged && !isTag(tag):
		return fmt.Errorf("the tag %q is not up to 128 letters, digits, underscores, dots and hyphens", tag)
	case path != strings.ToLower(path):
		return fmt.Errorf("the name %q must be in lower case", strings.TrimPrefix(path, "library/"))
	case !isDomain(domain):
		// What looks like a domain and is none may yet be a part of the name.
		path = domain + "/" + path
	}
	if !isPath(path) {
		return errors.New("it is not [DOMAIN/]NAME[:TAG][@DIGEST]")
	}
	if len(path) > 255 {
		return errors.New("its name is longer than 255 characters")
	}
	return nil
}

// splitDomain gives a name without a domain that of Docker Hub, and its place
// there.
func splitDomain(name string) (domain, rest string) {
	const hub = "docker.io"
	first, after, found := strings.Cut(name, "/")
	switch {
	case !found:
		return hub, "library/" + name
	case first == "index.docker.io":
		domain, rest = hub, after
	case first == "localhost", strings.ContainsAny(first, ".:"), first != strings.ToLower(first):
		domain, rest = first, after
	default:
		domain, rest = hub, name
	}
	if domain == hub && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return domain, rest
}

// isDigest is true for one of an algorithm that clients can check.
func isDigest(text string) bool {
	algorithm, value, _ := strings.Cut(text, ":")
	length := map[string]int{"sha256": 64, "sha384": 96, "sha512": 128}[algorithm]
	return length > 0 && len(value) == length && only(value, lowerHex)
}

func isTag(text string) bool {
	return len(text) <= 128 && only(text, alnum+"_.-") && text[0] != '.' && text[0] != '-'
}

// isDomain is true for HOST[:PORT], where an address of IPv6 is in brackets.
func isDomain(text string) bool {
	host, port := text, ""
	if inner, bracketed := strings.CutPrefix(text, "["); bracketed {
		address, after, closed := strings.Cut(inner, "]")
		if !closed || !only(address, addressChars) {
			return false
		}
		port = after
	} else {
		if i := strings.IndexByte(text, ':'); i >= 0 {
			host, port = text[:i], text[i:]
		}
		for label := range strings.SplitSeq(host, ".") {
			if !only(label, alnum+"-") || label[0] == '-' || label[len(label)-1] == '-' {
				return false
			}
		}
	}
	return port == "" || port[0] == ':' && only(port[1:], digits)
}

func isPath(text string) bool {
	for component := range strings.SplitSeq(text, "/") {
		if !isComponent(component) {
			return false
		}
	}
	return true
}

// isComponent is true for letters and digits with separators between them: a
// dot, one or two underscores, or any number of hyphens.
func isComponent(text string) bool {
	for {
		rest := strings.TrimLeft(text, lowerAlnum)
		if rest == text || rest == "" {
			return text != "" && rest == ""
		}
		text = strings.TrimLeft(rest, "._-")
		separator := rest[:len(rest)-len(text)]
		if separator != "." && separator != "_" && separator != "__" && !only(separator, "-") {
			return false
		}
	}
}
