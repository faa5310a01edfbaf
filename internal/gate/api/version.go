package api

import (
	"strconv"
	"strings"
)

// Version is a version of the Engine API, by its minor number: 41 is 1.41. 0 is
// none: a path without one, which the engine reads as its own newest.
type Version uint8

// The versions that the table covers.
const (
	Oldest Version = 40 // Docker Engine 19.03
	Newest Version = 56 // Docker Engine 29
)

// oldestAsked is the oldest version that may be asked for: Traefik had 1.24 in it for
// years, Portainer has 1.37. What is older than Oldest is read as that. Engines decode
// both alike, and make less of the older one: they leave fields out that came later, or
// have another default for them, which their own description shows (moby's
// api/server/router, versions.LessThan). Before 1.24 a start could bring a HostConfig.
const oldestAsked Version = 24

// String is such as 1.41, or empty for none.
func (v Version) String() string {
	if v == 0 {
		return ""
	}
	return "1." + strconv.Itoa(int(v))
}

// within reports whether what exists from first to last exists in v. Without a
// version anything may.
func (v Version) within(first, last Version) bool {
	return v == 0 || first <= v && v <= last
}

// readVersion reads the first segment of a path, such as v1.41. The engine takes
// any v and digits and points, and compares number by number, so that v01.41 and
// v1.41.0 are 1.41 to it; here each has one spelling. ok is false where the segment
// is no version at all.
func readVersion(segment string) (v Version, refusal *Refusal, ok bool) {
	if len(segment) < 2 || segment[0] != 'v' && segment[0] != 'V' || segment[1] < '0' || segment[1] > '9' {
		return 0, nil, false
	}
	minor, dotted := strings.CutPrefix(segment, "v1.")
	n, err := strconv.Atoi(minor)
	if !dotted || err != nil || len(segment) > len("v1.999") || strconv.Itoa(n) != minor {
		return 0, refuse(400, "the path begins with "+show(segment)+", which is no version of the Engine API as it is written; write it like v"+Oldest.String()), true
	}
	switch {
	case n < int(oldestAsked):
		return 0, refuse(400, "client version 1."+minor+" is too old. Minimum supported API version is "+oldestAsked.String()+
			", please upgrade your client to a newer version, or set DOCKER_API_VERSION="+Oldest.String()+" or what the client has for it"), true
	case n > int(Newest):
		return 0, refuse(400, "client version 1."+minor+" is too new. Maximum supported API version is "+Newest.String()+
			"; set DOCKER_API_VERSION="+Newest.String()+" or what the client has for it, or upgrade the gate"), true
	}
	return max(Version(n), Oldest), nil, true
}

// TooNew says whether a version as an engine writes it, such as 1.57, is above Newest. What is
// written otherwise is not.
func TooNew(version string) bool {
	minor, ok := strings.CutPrefix(version, "1.")
	n, err := strconv.Atoi(minor)
	return ok && err == nil && n > int(Newest)
}
