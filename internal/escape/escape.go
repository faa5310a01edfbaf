// Package escape has two dated tables about what runs containers: flaws that are
// known, above all those that lead out of a container, and releases of the engine.
// [Known] tells which flaws a [Component] has, and [Support] whether an engine is the
// newest that its branch has.
//
// It asks nobody and knows nothing newer than [Date]. Whether a flaw is within reach
// on a host is for the caller to find out, by the [Path] of each. Versions are ordered
// as the projects number them, and those of Debian's packages by deb-version(7).
package escape

import (
	"slices"
	"strings"
	"time"
)

// Component is a program that runs containers, as it is installed.
type Component struct {
	// Name is engine, containerd or runc, and Version what it says of itself.
	Name, Version string
	// Upstream is true for one that its project, or Docker, has built: its version
	// alone then tells which flaws it has.
	Upstream bool
	// Package, PackageVersion and Release are a Debian package and the release of
	// Debian, such as 12; "" where that is not known.
	Package, PackageVersion, Release string
}

// Flaw is one that a component has, or may have.
type Flaw struct {
	ID string
	// Escape is true where the host can be lost, not less.
	Escape bool
	Path   Path
	// Sure is false where a distribution may have mended it without another version.
	Sure bool
	// Fixed is the first version without it.
	Fixed string
	// Source is where this is known from.
	Source string
}

// Known are the flaws of a component by its version, in the order of their ids. It is
// false where the version is none that is known.
func Known(c Component) ([]Flaw, bool) {
	own, ok := readRelease(c.Version)
	if !ok {
		return nil, false
	}
	found := []Flaw{}
	for _, f := range flaws {
		if f.component != c.Name {
			continue
		}
		fixed := ""
		for _, b := range f.affected {
			from, _ := readRelease(b.from)
			until, _ := readRelease(b.fixed)
			if own.compare(from) >= 0 && own.compare(until) < 0 {
				fixed = b.fixed
			}
		}
		if fixed == "" {
			continue
		}
		one := Flaw{ID: f.id, Escape: f.escape, Path: f.path, Sure: c.Upstream && !strings.Contains(c.Version, "+dev"), Fixed: fixed, Source: f.source}
		if in := mended[c.Package][c.Release][f.id]; in != "" && c.PackageVersion != "" {
			if ComparePackages(c.PackageVersion, in) >= 0 {
				continue
			}
			one.Sure, one.Fixed = true, in
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b Flaw) int { return strings.Compare(a.ID, b.ID) })
	return found, true
}

// Release is what is known of an engine's place among the releases.
type Release struct {
	// Branch is the line that it belongs to, and Newest the newest release of it.
	Branch, Newest string
	// Ended is the day from which nobody maintains the branch; zero for none yet.
	Ended time.Time
	// Behind is true where the engine is older than Newest.
	Behind bool
}

// Support finds an engine among the releases; false where it is of no branch that is
// known.
func Support(c Component) (Release, bool) {
	if b, ok := distributed[c.Package][c.Release]; ok && c.PackageVersion != "" {
		return b.release(ComparePackages(c.PackageVersion, b.newest) < 0), true
	}
	own, ok := readRelease(c.Version)
	if !ok || !c.Upstream {
		return Release{}, false
	}
	for _, b := range branches {
		line, _ := readRelease(b.name)
		newest, _ := readRelease(b.newest)
		if len(own.numbers) >= len(line.numbers) && line.compare(release{numbers: own.numbers[:len(line.numbers)]}) == 0 {
			return b.release(own.compare(newest) < 0), true
		}
	}
	return Release{}, false
}

func (b branch) release(behind bool) Release {
	ended, _ := time.Parse(time.DateOnly, b.ended) // zero for ""; a test holds the rest
	return Release{Branch: b.name, Newest: b.newest, Ended: ended, Behind: behind}
}

// Update is the first version of a component that has none of the flaws; "" for no
// flaws.
func Update(c Component, of []Flaw) string {
	newest := ""
	for _, f := range of {
		later := newest == ""
		if !later && c.PackageVersion != "" {
			later = ComparePackages(f.Fixed, newest) > 0
		} else if !later {
			a, _ := readRelease(f.Fixed)
			b, _ := readRelease(newest)
			later = a.compare(b) > 0
		}
		if later {
			newest = f.Fixed
		}
	}
	return newest
}
