package advice

import (
	"debug/elf"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
)

// system are the folders that are a distribution's (the Filesystem Hierarchy Standard 3.0). What
// lies elsewhere, and in /etc, came with the program, and stays.
var system = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr", "/var", "/boot"}

// kept are folders below them that a program may need whatever it is, or that are not the
// distribution's: certificates, time zones, and what was installed by hand or is served.
var kept = []string{"/usr/local", "/usr/share/ca-certificates", "/usr/share/pki", "/usr/share/zoneinfo", "/var/www", "/var/opt"}

// keptPackages are those of the distribution that such folders are of.
var keptPackages = []string{"ca-certificates", "ca-certificates-bundle", "tzdata", "netbase"}

// toolchains are folders that compilers are installed to by hand.
var toolchains = []string{"/usr/local/go", "/usr/local/cargo", "/usr/local/rustup", "/root/.cargo", "/root/.rustup", "/go/pkg"}

// within is true for a path in one of some folders, or one of them.
func within(p string, folders []string) bool {
	return slices.ContainsFunc(folders, func(dir string) bool {
		return p == dir || strings.HasPrefix(p, dir) && len(p) > len(dir) && p[len(dir)] == '/'
	})
}

// own are the folders that the configuration names.
func (a *adviser) ownFolders() []string {
	var list []string
	for dir := range a.Config.Config.Volumes {
		list = append(list, path.Clean(dir))
	}
	if dir := path.Clean("/" + a.Config.Config.WorkingDir); dir != "/" && !slices.Contains(system, dir) {
		list = append(list, dir)
	}
	return list
}

// plain is a path that may stand in a command which somebody copies.
var plain = regexp.MustCompile(`^[A-Za-z0-9@/._+-]+$`)

// smaller is advice about a base with less in it.
func (a *adviser) smaller(p *program, why string) {
	if p == nil {
		a.tell(Scratch, why)
		a.tell(Distroless, why)
		return
	}
	needs := a.Tree.Needs(p.file)
	if needs.Unread != "" {
		a.tell(Scratch, p.file.Path+": "+needs.Unread)
		a.tell(Distroless, p.file.Path+": "+needs.Unread)
		return
	}
	own := a.ownFolders()
	elsewhere := func(f image.File) bool {
		return (!within(f.Path, system) || within(f.Path, kept) || within(f.Path, own)) && !within(f.Path, toolchains)
	}
	if needs.Interp == "" && len(needs.Needed) == 0 && p.family == "" {
		bytes, packages, flaws := a.going(func(f image.File) bool { return f.Content != p.file.Content && !elsewhere(f) },
			func(name string) bool {
				return !slices.Contains(keptPackages, name) && !slices.Contains(a.owners[p.file.Content], name)
			})
		a.give(finding.Advice{Kind: Scratch, Title: "All of the system but " + p.file.Path + ", which is static", Bytes: bytes, Packages: packages, Flaws: flaws,
			Why:  "A static program needs no library, no shell and no package manager; certificates, time zones and what lies outside of the system's folders stay: gcr.io/distroless/static has the first two. What it calls by name is not seen.",
			Step: "FROM scratch" + copied(p.file.Path)})
		return
	}
	if len(a.Files.Shells) == 0 && len(a.Files.PackageManagers) == 0 {
		return
	}
	a.distroless(p, elsewhere)
}

// copied is the step that copies a file.
func copied(p string) string {
	if !plain.MatchString(p) {
		p = "PROGRAM"
	}
	return ", then  COPY --from=BUILD " + p + " " + p
}

// distroless is advice about a base without a shell.
func (a *adviser) distroless(p *program, elsewhere func(image.File) bool) {
	files, missing := a.Tree.Closure(p.file)
	if len(missing) > 0 {
		a.tell(Distroless, "what "+p.file.Path+" needs is not all there: "+missing[0])
		return
	}
	if !a.listed() {
		a.tell(Distroless, "the database of packages lists no files")
		return
	}
	needed := map[int]bool{}
	stays := map[string]bool{}
	add := func(list []image.File) {
		for _, f := range list {
			needed[f.Content] = true
			for _, name := range a.owners[f.Content] {
				stays[name] = true
			}
		}
	}
	ofFamily := func(name string) bool {
		return p.family != "" && slices.ContainsFunc(families[p.family].packages, func(part string) bool { return strings.Contains(name, part) })
	}
	for name := range a.Installed {
		if ofFamily(name) {
			stays[name] = true
		}
	}
	// What stays needs its libraries too: those of plugins and modules.
	var others []image.File
	for _, f := range a.files {
		if n := a.Tree.Needs(f); n != nil && n.Script == "" && (elsewhere(f) || slices.ContainsFunc(a.owners[f.Content], ofFamily)) {
			others = append(others, f)
		}
	}
	all, missing := a.Tree.Closure(p.file, others...)
	if len(missing) > 0 {
		a.tell(Distroless, missing[0])
		return
	}
	add(all)
	goes := func(name string) bool { return !stays[name] && !slices.Contains(keptPackages, name) }
	bytes, packages, flaws := a.going(func(f image.File) bool {
		if needed[f.Content] || elsewhere(f) {
			return false
		}
		owners := a.owners[f.Content]
		return len(owners) == 0 || !slices.ContainsFunc(owners, func(name string) bool { return !goes(name) })
	}, goes)
	libraries, from := a.from(p, files)
	step := "FROM " + from
	switch {
	case p.family != "":
		step += ", the one of your version, then  COPY --from=BUILD  what is yours"
	case libraries > 0:
		step += fmt.Sprintf("%s and the %s that it needs", copied(p.file.Path), counted(libraries, "library", "libraries"))
	default:
		step += copied(p.file.Path)
	}
	a.give(finding.Advice{Kind: Distroless, Title: "Shell, package manager and what else " + p.file.Path + " does not need", Bytes: bytes, Packages: packages, Flaws: flaws,
		Why:  "It is started with its own libraries alone; they stay, and so do certificates, time zones and what lies outside of the system's folders. What it calls or loads by name is not seen.",
		Step: step})
}

// listed is true where some package of the distribution has its files listed.
func (a *adviser) listed() bool { return len(a.owners) > 0 }

// Libraries of the images of distroless (GoogleContainerTools/distroless, base/config.bzl and
// cc/config.bzl): of glibc and OpenSSL, those that the release for Debian 13 has beside them,
// and those of GCC. There are images for these machines.
var (
	ofBase   = strings.Fields("libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2 libutil.so.1 libmvec.so.1 libssl.so.3 libcrypto.so.3")
	of13     = strings.Fields("libz.so.1 libzstd.so.1")
	ofCC     = strings.Fields("libstdc++.so.6 libgcc_s.so.1 libgomp.so.1")
	machines = []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64, elf.EM_ARM, elf.EM_S390, elf.EM_PPC64}
)

// from is the smallest base that has what a program is started with, and how many libraries it
// does not have. The images of distroless are of Debian: what was built for an older or another
// C library can't be sure of theirs.
func (a *adviser) from(p *program, files []image.File) (libraries int, from string) {
	release := ""
	if a.OS.ID == "debian" && (a.OS.VersionID == "12" || a.OS.VersionID == "13") && slices.Contains(machines, a.Tree.Needs(p.file).Machine) {
		release = "-debian" + a.OS.VersionID
	}
	if p.family != "" {
		return 0, families[p.family].image + release
	}
	if release == "" {
		return len(files) - 1, "scratch"
	}
	from = "gcr.io/distroless/base" + release
	for _, f := range files[1:] {
		name := a.Tree.Needs(f).Soname
		switch {
		case strings.HasPrefix(name, "ld-linux") || slices.Contains(ofBase, name) || a.OS.VersionID == "13" && slices.Contains(of13, name):
		case slices.Contains(ofCC, name):
			from = "gcr.io/distroless/cc" + release
		default:
			libraries++
		}
	}
	return libraries, from
}

// isForBuilding is true for a package of a distribution that only who builds software needs, by
// its name: compilers, headers, and what drives them.
func isForBuilding(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	if strings.HasSuffix(name, "-dev") || strings.HasSuffix(name, "-devel") || strings.HasSuffix(name, "-headers") {
		return true
	}
	return building.MatchString(name)
}

var building = regexp.MustCompile(`^(gcc|g\+\+|gcc-c\+\+|cpp|clang|llvm|gfortran|rustc|rust|cargo|golang|go|tcc|binutils|make|cmake|ninja|ninja-build|meson|autoconf|automake|libtool|bison|flex|m4|build-base|build-essential|dpkg-dev|fakeroot|pkg-config|pkgconf|linux-headers|kernel-headers|ghc|fpc|nasm|yasm)(-[0-9.]+)?(-(go|src|tools|bin|x86-64-linux-gnu|aarch64-linux-gnu|common))?$`)

// stages is advice about what is for building.
func (a *adviser) stages(p *program) {
	started := map[string]bool{}
	if p != nil {
		files, _ := a.Tree.Closure(p.file)
		for _, f := range files {
			for _, name := range a.owners[f.Content] {
				started[name] = true
			}
		}
		if within(p.file.Path, toolchains) || slices.ContainsFunc(a.owners[p.file.Content], isForBuilding) {
			a.tell(Stages, "the image is for building: it runs "+p.file.Path)
			return
		}
	}
	owned := map[string]bool{}
	for _, names := range a.owners {
		for _, name := range names {
			owned[name] = true
		}
	}
	goes := map[string]bool{}
	var names []string
	for i := range a.Packages {
		one := &a.Packages[i]
		if !ofDistribution(one) || !isForBuilding(one.Name) || started[one.Name] || goes[one.Name] {
			continue
		}
		if len(a.Installed[one.Name]) == 0 {
			a.tell(Stages, "the database of packages lists no files of "+one.Name)
			return
		}
		goes[one.Name] = true
		names = append(names, one.Name)
	}
	compiled := slices.ContainsFunc(a.Files.Compilers, func(c string) bool { return within(c, toolchains) })
	bytes, packages, flaws := a.going(func(f image.File) bool {
		if p != nil && f.Content == p.file.Content {
			return false
		}
		if compiled && within(f.Path, toolchains) {
			return true
		}
		owners := a.owners[f.Content]
		return len(owners) > 0 && !slices.ContainsFunc(owners, func(name string) bool { return !goes[name] })
	}, func(name string) bool { return goes[name] })
	slices.Sort(names)
	if compiled {
		names = append(names, "a toolchain in "+path.Dir(path.Dir(a.Files.Compilers[slices.IndexFunc(a.Files.Compilers, func(c string) bool { return within(c, toolchains) })])))
	}
	if len(names) == 0 {
		return
	}
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("%d more", more))
	}
	a.give(finding.Advice{Kind: Stages, Title: "Compilers, headers and what else is for building", Bytes: bytes, Packages: packages, Flaws: flaws,
		Why:  "What was built does not need " + together(names) + ".",
		Step: "build in a stage of its own, and  COPY --from=BUILD  what came of it"})
}
