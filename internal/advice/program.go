package advice

import (
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image"
)

// program is what an image runs.
type program struct {
	file image.File
	// family is what reads the program where that is a script, or the interpreter itself is
	// started: one of families. "" is a program of its own.
	family string
}

// families are interpreters that there is an image of distroless for, with what their packages
// have in their names, and the image without its release.
var families = map[string]struct {
	packages []string
	image    string
}{
	"python": {[]string{"python"}, "gcr.io/distroless/python3"},
	"node":   {[]string{"node"}, "gcr.io/distroless/nodejs22"},
	"java":   {[]string{"openjdk", "jre", "java"}, "gcr.io/distroless/java21"},
}

// shells, and programs that only start another: the words of theirs that stand before it are
// passed over.
var (
	shells   = strings.Fields("sh bash dash ash zsh ksh mksh fish tcsh csh busybox")
	wrappers = strings.Fields("tini tini-static dumb-init catatonit env")
)

// mostWrappers is how many programs may start one another.
const mostWrappers = 4

// program is what the image runs (image-spec config.md, Entrypoint and Cmd), or why that is not
// known.
func (a *adviser) program() (*program, string) {
	if a.Config == nil {
		return nil, "it has no configuration that names a program"
	}
	argv := slices.Concat(a.Config.Config.Entrypoint, a.Config.Config.Cmd)
	for range mostWrappers {
		if len(argv) == 0 || argv[0] == "" {
			return nil, "its configuration names no program"
		}
		at, is := a.command(argv[0])
		if !is {
			return nil, argv[0] + ", which it runs, is not there as a program"
		}
		base := path.Base(argv[0])
		if slices.Contains(wrappers, base) {
			argv = argv[1:]
			for len(argv) > 0 && (strings.HasPrefix(argv[0], "-") || base == "env" && strings.Contains(argv[0], "=")) {
				argv = argv[1:]
			}
			continue
		}
		return a.interpreted(at, base)
	}
	return nil, "too many programs start one another"
}

// interpreted finds what reads a program.
func (a *adviser) interpreted(at image.File, name string) (*program, string) {
	needs := a.Tree.Needs(at)
	switch {
	case needs == nil:
		return nil, at.Path + ", which it runs, is neither a program of ELF nor a script"
	case needs.Script == "":
		base := path.Base(at.Path)
		if slices.Contains(shells, base) || slices.Contains(shells, name) {
			return nil, "the entrypoint is run by a shell, " + at.Path
		}
		return &program{file: at, family: familyOf(base)}, ""
	}
	words := strings.Fields(needs.Script)
	if len(words) > 1 && path.Base(words[0]) == "env" {
		words = slices.DeleteFunc(words[1:], func(w string) bool { return strings.HasPrefix(w, "-") || strings.Contains(w, "=") })
	}
	if len(words) == 0 {
		return nil, "the entrypoint is a script, and names no interpreter"
	}
	if slices.Contains(shells, path.Base(words[0])) {
		return nil, "the entrypoint is a shell script, " + at.Path
	}
	by, is := a.command(words[0])
	if n := a.Tree.Needs(by); !is || n == nil || n.Script != "" {
		return nil, words[0] + ", which reads the script " + at.Path + ", is not there as a program"
	}
	family := familyOf(path.Base(by.Path))
	if family == "" {
		return nil, "the entrypoint is a script of " + path.Base(words[0])
	}
	return &program{file: by, family: family}, ""
}

// familyOf is the family of an interpreter, by the name of its file.
func familyOf(base string) string {
	switch {
	case strings.HasPrefix(base, "python") && strings.Trim(base[len("python"):], "0123456789.") == "":
		return "python"
	case base == "node" || base == "nodejs":
		return "node"
	case base == "java":
		return "java"
	}
	return ""
}

// command finds a program as execvp(3) does, by the PATH of the configuration.
func (a *adviser) command(name string) (image.File, bool) {
	fits := func(p string) (image.File, bool) {
		f, is := a.View.Resolve(p)
		return f, is && f.Mode.IsRegular() && f.Mode.Perm()&0o111 != 0
	}
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join("/", a.Config.Config.WorkingDir, name)
		}
		return fits(name)
	}
	folders := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" // what engines set
	for _, e := range a.Config.Config.Env {
		if value, is := strings.CutPrefix(e, "PATH="); is {
			folders = value
		}
	}
	for dir := range strings.SplitSeq(folders, ":") {
		if !path.IsAbs(dir) {
			continue
		}
		if f, is := fits(path.Join(dir, name)); is {
			return f, true
		}
	}
	return image.File{}, false
}
