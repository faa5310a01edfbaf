package vuln

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// released are the families that have a release behind a colon. A record of the bare family
// is about every release of it; a question without a release cannot be answered.
var released = []string{"AlmaLinux", "Alpaquita", "Alpine", "BellSoft Hardened Containers", "Debian", "Mageia", "Red Hat", "Rocky Linux", "SUSE", "Ubuntu", "openEuler", "openSUSE"}

// Family is the part of an ecosystem before the colon: that of Debian:12 is Debian.
func Family(ecosystem string) string {
	family, _, _ := strings.Cut(ecosystem, ":")
	return family
}

// hasOrder says whether the order of a family's versions is known.
func hasOrder(family string) bool {
	_, err := semantic.Parse("1", family)
	return !errors.Is(err, semantic.ErrUnsupportedEcosystem)
}

var separators = regexp.MustCompile(`[-_.]+`)

// normalName is the one spelling of a package's name, where the family takes several for
// one: PyPI's is of PEP 503.
func normalName(family, name string) string {
	switch family {
	case "PyPI":
		return separators.ReplaceAllString(strings.ToLower(name), "-")
	case "Packagist", "NuGet":
		return strings.ToLower(name)
	}
	return name
}

var goRelease = regexp.MustCompile(`^go([0-9]+\.[0-9]+)(\.[0-9]+)?((?:rc|beta)[0-9]+)?$`)

// normalVersion makes of a version that Go's build information has (v1.2.3, go1.22rc1)
// what the records have.
func normalVersion(family, version string) string {
	if family != "Go" {
		return version
	}
	if m := goRelease.FindStringSubmatch(version); m != nil {
		version = m[1] + cmp.Or(m[2], ".0")
		if m[3] != "" {
			version += "-" + strings.Replace(strings.Replace(m[3], "rc", "rc.", 1), "beta", "beta.", 1)
		}
		return version
	}
	return strings.TrimPrefix(version, "v")
}

// ordered reads a version of a family.
func ordered(family, version string) (semantic.Version, error) {
	switch {
	case version == "":
		return nil, fmt.Errorf("it has no version")
	case family == "Go" && version == "(devel)":
		return nil, fmt.Errorf("(devel) is no version")
	case len(version) > maxVersion:
		return nil, fmt.Errorf("its version has %d bytes, and %d is the most", len(version), maxVersion)
	}
	return semantic.Parse(version, family)
}

// eventKind is what an event of a range is.
type eventKind uint8

const (
	introduced eventKind = iota
	fixed
	lastAffected
)

// event is an event of a range, as it is stored.
type event struct {
	kind    eventKind
	version string
}

// zero is before every version, in introduced by OSV's word; a flaw that is fixed there
// never was.
const zero = "0"

// eventsOf makes the sorted events of a range. The error says why it cannot be read.
func eventsOf(family string, r Range) ([]event, error) {
	type placed struct {
		event
		at semantic.Version // nil is before all
	}
	var all []placed
	begins := false
	for _, e := range r.Events {
		for _, x := range []event{{introduced, e.Introduced}, {fixed, e.Fixed}, {lastAffected, e.LastAffected}} {
			if x.version == "" {
				continue
			}
			p := placed{event: x}
			if x.version != zero || x.kind == lastAffected {
				at, err := ordered(family, x.version)
				if err != nil {
					return nil, err
				}
				p.at = at
			}
			begins = begins || x.kind == introduced
			all = append(all, p)
		}
	}
	if !begins {
		return nil, fmt.Errorf("it has no introduced")
	}
	var failed error
	slices.SortStableFunc(all, func(x, y placed) int {
		switch {
		case x.at == nil && y.at == nil:
			return 0
		case x.at == nil:
			return -1
		case y.at == nil:
			return 1
		}
		c, err := x.at.Compare(y.at)
		if err != nil {
			failed = err
		}
		return c
	})
	if failed != nil {
		return nil, failed
	}
	events := make([]event, len(all))
	for i, p := range all {
		events[i] = p.event
	}
	return events, nil
}

// within says whether a version is in a range of sorted events, and which fixed ends it: the
// lowest above the version, "" for none, wherever the version is.
func within(at semantic.Version, events []event) (in bool, fix string, err error) {
	for _, e := range events {
		c := 1 // at is above zero
		if e.version != zero || e.kind == lastAffected {
			if c, err = at.CompareStr(e.version); err != nil {
				return false, "", err
			}
		}
		switch {
		case e.kind == introduced && c >= 0:
			in = true
		case e.kind == fixed && c >= 0, e.kind == lastAffected && c > 0:
			in = false
		case e.kind == fixed && fix == "":
			fix = e.version
		}
	}
	return in, fix, nil
}
