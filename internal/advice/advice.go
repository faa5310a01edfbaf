// Package advice says what an image could do without: with the bytes, the packages and the
// known flaws that go with it, and the step that does it.
//
// [Of] takes what is known of an image ([Image]) and gives a list (finding.Advice), and of what
// advice could not be told with the reason (finding.Untold). Nothing is guessed: where the
// program that an image runs, or what belongs to a package, is not known, the advice that needs
// it is not given. What a program calls or loads by name while it runs is not seen, and the
// advice that rests on that says so.
package advice

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/linking"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// The kinds of advice.
const (
	Scratch       = "scratch"       // nothing but the program
	Distroless    = "distroless"    // a base without shell and package manager
	Stages        = "stages"        // what is for building
	Caches        = "caches"        // of package managers
	Documentation = "documentation" // and translations
	Duplicates    = "duplicates"    // equal files
	Vain          = "vain"          // what later layers hide
	Base          = "base"          // a newer base image
)

// Image is what is known of an image.
type Image struct {
	View *image.View
	// Config is nil where there is none.
	Config *image.Config
	Tree   *linking.Tree
	// OS is the distribution, and Installed are the lists of files of its packages by their
	// names, a line each.
	OS        sbom.OS
	Packages  []sbom.Package
	Installed map[string][]string
	Files     *facts.Contents
	// Flaws are the known ones, and Judged is false where nobody asked for any.
	Flaws  []Flaw
	Judged bool
}

// Flaw is a known flaw that counts.
type Flaw struct {
	// PURLs are the packages that have it: it goes when they all do.
	PURLs    []string
	Severity finding.Severity
	// Fixable is true where a newer version is without it, and Base where the packages came
	// with the base image.
	Fixable, Base bool
}

// mostOwners is how many packages a file may be of, and mostDirs how many folders are kept in
// mind: lists may be made to cost much.
const (
	mostOwners = 16
	mostDirs   = 1 << 16
)

// least is how many bytes are worth a line, where no package goes.
const least = 64 << 10

// adviser makes the list.
type adviser struct {
	Image
	list   []finding.Advice
	untold []finding.Untold
	// owners are the packages of the distribution by the number of the content, and dirs what
	// folders of lists are by way of links.
	owners map[int][]string
	dirs   map[string]string
	// files are the regular ones that are there, and contents the numbers of their contents by
	// their paths.
	files    []image.File
	contents map[string]int
}

// Of makes the list, what saves most first: by flaws, then by bytes.
func Of(i Image) ([]finding.Advice, []finding.Untold) {
	a := &adviser{Image: i, list: []finding.Advice{}, untold: []finding.Untold{}, owners: map[int][]string{}, dirs: map[string]string{}, contents: map[string]int{}}
	if a.View != nil {
		a.own()
		program, why := a.program()
		a.smaller(program, why)
		a.stages(program)
		a.leftovers()
	}
	a.base()
	slices.SortStableFunc(a.list, func(x, y finding.Advice) int {
		return cmp.Or(cmp.Compare(total(y.Flaws), total(x.Flaws)), cmp.Compare(y.Bytes, x.Bytes))
	})
	return a.list, a.untold
}

func total(g *finding.Gone) int {
	if g == nil {
		return 0
	}
	return g.Total
}

// tell notes what could not be told.
func (a *adviser) tell(kind, reason string) {
	a.untold = append(a.untold, finding.Untold{Kind: kind, Reason: reason})
}

// give gives advice, unless it would save next to nothing.
func (a *adviser) give(one finding.Advice) {
	if one.Bytes >= least || one.Packages > 0 {
		a.list = append(a.list, one)
	}
}

// own finds whose each file is.
func (a *adviser) own() {
	for f := range a.View.All() {
		if f.Mode.IsRegular() {
			a.files = append(a.files, f)
			a.contents[f.Path] = f.Content
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Installed)) {
		for _, list := range a.Installed[name] {
			for p := range strings.Lines(list) {
				at := a.lookup(strings.TrimSuffix(p, "\n"))
				if at > 0 && !slices.Contains(a.owners[at], name) && len(a.owners[at]) < mostOwners {
					a.owners[at] = append(a.owners[at], name)
				}
			}
		}
	}
}

// lookup is the content of the file at the path of a list, in which /bin may be a link to
// /usr/bin; 0 is none.
func (a *adviser) lookup(p string) int {
	slash := strings.LastIndexByte(p, '/')
	if slash < 0 {
		return 0
	}
	dir := p[:slash]
	at, known := a.dirs[dir]
	if !known {
		if len(a.dirs) == mostDirs {
			clear(a.dirs)
		}
		at = "/\x00" // where nothing is
		if f, is := a.View.Resolve(dir); is && f.Mode.IsDir() {
			at = strings.TrimSuffix(f.Path, "/")
		}
		a.dirs[dir] = at
	}
	return a.contents[at+p[slash:]]
}

// ofDistribution is true for a package that a distribution's own manager installed.
func ofDistribution(p *sbom.Package) bool {
	return p.Type == sbom.Deb || p.Type == sbom.APK || p.Type == sbom.RPM
}

// going is what goes with some files and packages: the bytes of files all of whose names go, and
// the packages that tell of themselves in such a file, or are of the distribution and go.
func (a *adviser) going(goes func(image.File) bool, packageGoes func(name string) bool) (bytes int64, packages int, flaws *finding.Gone) {
	stays, sizes := map[int]bool{}, map[int]int64{}
	gone := map[string]bool{} // by path
	for _, f := range a.files {
		if goes(f) {
			sizes[f.Content] = f.Size
			gone[f.Path] = true
		} else {
			stays[f.Content] = true
		}
	}
	for content, size := range sizes {
		if !stays[content] {
			bytes += size
		}
	}
	purls := map[string]bool{} // false for those of which one stays
	for i := range a.Packages {
		p := &a.Packages[i]
		goes := gone[p.Path]
		if ofDistribution(p) {
			goes = packageGoes(p.Name)
		} else if p.Owner != "" {
			goes = packageGoes(p.Owner)
		}
		if goes {
			packages++
		}
		url := p.PURL()
		if before, twice := purls[url]; !twice || before {
			purls[url] = goes
		}
	}
	if !a.Judged {
		return bytes, packages, nil
	}
	flaws = &finding.Gone{}
	for i := range a.Flaws {
		f := &a.Flaws[i]
		if len(f.PURLs) > 0 && !slices.ContainsFunc(f.PURLs, func(url string) bool { return !purls[url] }) {
			flaws.Add(f.Severity, f.Fixable)
		}
	}
	return bytes, packages, flaws
}

// leftovers are advice about bytes alone.
func (a *adviser) leftovers() {
	f := a.Files
	var dirs []string
	var bytes int64
	for _, c := range f.Caches {
		if c.Bytes > 0 {
			bytes += c.Bytes
			dirs = append(dirs, c.Path)
		}
	}
	a.give(finding.Advice{Kind: Caches, Title: "Caches of package managers", Bytes: bytes, Flaws: a.none(),
		Why: "Nothing reads " + together(dirs) + " any more.", Step: "RUN … && rm -rf " + strings.Join(dirs, " ") + "  in the step that fills them"})
	a.give(finding.Advice{Kind: Documentation, Title: "Manuals, documentation and translations", Bytes: f.Documentation, Flaws: a.none(),
		Why: "Nobody reads them in a container.", Step: "RUN … && rm -rf /usr/share/doc /usr/share/man /usr/share/locale  in the step that brings them"})
	if slices.ContainsFunc(f.Unseen, func(u workload.Unseen) bool { return u.Path == "duplicates" }) {
		a.tell(Duplicates, "the files of a folder are not read as a whole")
	}
	bytes = 0
	for _, d := range f.Duplicates {
		bytes += d.Saved
	}
	if len(f.Duplicates) > 0 {
		first := f.Duplicates[0]
		a.give(finding.Advice{Kind: Duplicates, Title: "Copies of files that are there already", Bytes: bytes, Flaws: a.none(),
			Why: fmt.Sprintf("%s there several times, first %s.", counted(len(f.Duplicates), "file is", "files are"), strings.Join(first.Paths[:min(2, len(first.Paths))], " and ")), Step: "keep one of each and make links of the others, or leave out the step that copies them"})
	}
	a.give(finding.Advice{Kind: Vain, Title: "What later layers replace or remove", Bytes: f.Wasted, Flaws: a.none(),
		Why: "It stays in the layers below, is pulled with them and can be read.", Step: "make and remove files in one RUN, or copy what is left from a stage"})
}

// counted is a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// together lists words.
func together(words []string) string {
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, "")
}

// none is the flaws of what has none.
func (a *adviser) none() *finding.Gone {
	if !a.Judged {
		return nil
	}
	return &finding.Gone{}
}

// base is about the flaws of the base image.
func (a *adviser) base() {
	if !a.Judged {
		return
	}
	gone, fixable := &finding.Gone{}, 0
	for i := range a.Flaws {
		f := &a.Flaws[i]
		if !f.Fixable {
			continue
		}
		fixable++
		if f.Base {
			gone.Add(f.Severity, true)
		}
	}
	if gone.Total == 0 {
		return
	}
	a.list = append(a.list, finding.Advice{Kind: Base, Title: fmt.Sprintf("%d of %s with a fix, on a newer base image", gone.Total, counted(fixable, "flaw", "flaws")), Flaws: gone,
		Why: "They came with the base image, whose packages are mended there.", Step: "build it anew:  docker build --pull"})
}
