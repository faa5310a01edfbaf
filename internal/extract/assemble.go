package extract

import (
	"path"
	"slices"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// Assemble makes of what the files of all layers told, the lowest first, and of what is
// there in the end, the distribution, the packages that are there, and the files that tell
// of some and could not be read, each with the reason. What a layer above took away or
// replaced does not count.
func Assemble(v *image.View, found []Found) (sbom.OS, []sbom.Package, []string) {
	last := map[string]*Found{} // by path
	for i := range found {
		f := &found[i]
		if at, is := v.Stat(f.Path); is && at.Layer == f.Layer {
			last[f.Path] = f
		}
	}
	distro := osOf(v, last)
	owner := map[string]string{}
	for _, f := range last {
		for name, paths := range f.Owns {
			for _, p := range paths {
				if at, is := v.Resolve(p); is { // /bin is a link to /usr/bin
					owner[at.Path] = name
				}
			}
		}
	}
	packages := []sbom.Package{}
	var unread []string
	for p, f := range last {
		if f.Lock {
			if _, installed := v.Stat(path.Dir(p) + "/node_modules"); installed {
				continue
			}
		}
		if f.Unread != "" && owner[p] == "" {
			unread = append(unread, p+": "+f.Unread)
		}
		if log, is := v.Stat(p + "-wal"); is && log.Size > 0 && kindOfPath(p) == rpmDB {
			unread = append(unread, p+": what was changed last is in its write-ahead log, which is not read")
		}
		for _, one := range f.Packages {
			one.Layer = f.Layer
			switch one.Type {
			case sbom.Deb, sbom.APK, sbom.RPM:
				one.Distro = distro
			default:
				one.Owner = owner[p]
			}
			packages = append(packages, one)
		}
	}
	slices.SortFunc(packages, func(a, b sbom.Package) int { return a.Compare(&b) })
	packages = slices.CompactFunc(packages, func(a, b sbom.Package) bool { return a.Compare(&b) == 0 })
	slices.Sort(unread)
	return distro, packages, unread
}

// osOf is the distribution, by the first of the places of os-release(5).
func osOf(v *image.View, last map[string]*Found) sbom.OS {
	for _, p := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		if at, is := v.Resolve(p); is {
			if f := last[at.Path]; f != nil && f.OS != nil {
				return *f.OS
			}
		}
	}
	return sbom.OS{}
}
