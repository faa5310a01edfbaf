package extract

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// Assemble makes of what the files of all layers told, the lowest first, and of what is
// there in the end, the distribution, the packages that are there, and the files that tell
// of some and could not be read, each with the reason. What a layer above took away or
// replaced does not count.
func Assemble(v *image.View, found []Found) (sbom.OS, []sbom.Package, []string) {
	last, unread := there(v, found)
	distro := osOf(v, last)
	owner := owners(v, last)
	packages := []sbom.Package{}
	for _, p := range slices.Sorted(maps.Keys(last)) {
		f := last[p]
		if f.Lock {
			// One that came with a package of the distribution lists what that was built with.
			if _, installed := v.Stat(path.Dir(p) + "/node_modules"); installed || owner[p] != "" {
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
			one.Path, one.Layer = p, f.Layer
			switch one.Type {
			case sbom.Deb, sbom.APK, sbom.RPM:
				one.Distro = distro
			default:
				one.Owner = owner[p]
			}
			packages = append(packages, one)
		}
	}
	slices.SortStableFunc(packages, func(a, b sbom.Package) int { return a.Compare(&b) })
	packages = slices.CompactFunc(packages, func(a, b sbom.Package) bool { return a.Compare(&b) == 0 })
	slices.Sort(unread)
	return distro, packages, unread
}

// there are the files that are there in the end, by path, and those of them that could not be
// read, each with the reason.
func there(v *image.View, found []Found) (last map[string]*Found, unread []string) {
	last = map[string]*Found{}
	for i := range found {
		f := &found[i]
		// What a later entry of the same layer made a link or a folder does not count either.
		if at, is := v.Stat(f.Path); is && at.Layer == f.Layer && at.Mode.IsRegular() {
			last[f.Path] = f
		}
	}
	linked(found, last, func(p, why string) { unread = append(unread, p+": "+why) })
	return last, unread
}

// Installed are, by package of the distribution, the lists of what it says it installed, files
// and folders, a line each as it is written there: a package may be there without any. What is
// not there in the end does not count, nor what a layer above took away of a database.
func Installed(v *image.View, found []Found) map[string][]string {
	last, _ := there(v, found)
	all := map[string][]string{}
	for _, p := range slices.Sorted(maps.Keys(last)) {
		for _, o := range last[p].Owns {
			all[o.Package] = append(all[o.Package], o.Files)
		}
	}
	return all
}

// owners are the distribution's packages by the paths that they installed. Of two with one
// path it is the first by name.
func owners(v *image.View, last map[string]*Found) map[string]string {
	owner := map[string]string{}
	for _, f := range last {
		for _, o := range f.Owns {
			name := o.Package
			for p := range strings.Lines(o.Files) {
				if p = strings.TrimSuffix(p, "\n"); !couldTell(p) {
					continue
				}
				at, is := v.Resolve(p) // /bin is a link to /usr/bin
				if before, twice := owner[at.Path]; is && (!twice || name < before) {
					owner[at.Path] = name
				}
			}
		}
	}
	return owner
}

// linked puts what the file of a hard link told in the link's place, where that file is no
// longer there under the name by which it was read. A link whose file was not read, since
// that name did not tell of packages, is given to unread.
func linked(found []Found, last map[string]*Found, unread func(path, why string)) {
	at := map[string][]int{} // the positions in found, by path
	for i := range found {
		at[found[i].Path] = append(at[found[i].Path], i)
	}
	for p, f := range last {
		if f.Link == "" {
			continue
		}
		delete(last, p)
		list := at[p]
		target, n := f, list[len(list)-1]
		for target != nil && target.Link != "" { // a link to a link leads to an earlier entry
			earlier, _ := slices.BinarySearch(at[target.Link], n)
			if earlier == 0 {
				target = nil
				break
			}
			n = at[target.Link][earlier-1]
			target = &found[n]
		}
		switch {
		case target == nil || kindOfPath(target.Path) != kindOfPath(p):
			if kindOfPath(p) != nothing {
				unread(p, "it is a hard link to "+f.Link+", which was not read")
			}
		case last[target.Path] != target:
			one := *target
			one.Path, one.Layer = p, f.Layer
			last[p] = &one
		}
	}
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
