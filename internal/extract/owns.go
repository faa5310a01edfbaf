package extract

import (
	"bufio"
	"bytes"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/sbom"
)

// couldTell is true for paths of files that may tell of packages: those of languages, and
// programs, which lie in these folders.
func couldTell(p string) bool {
	switch kindOfPath(p) {
	case javaArchive, npmPackage, npmLock, yarnLock, pnpmLock, wheel, gemSpec, installedPHP, depsJSON:
		return true
	}
	for _, dir := range []string{"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/libexec/", "/usr/lib/go", "/usr/lib/git-core/"} {
		if strings.HasPrefix(p, dir) {
			return true
		}
	}
	return false
}

// File is a file of a layer.
type File struct {
	Path  string
	Layer int
}

// Brought says of files which package of the distribution brought them: one whose list of
// files, or database, is in the same layer and has the path, so that what a later layer put in
// its place does not count. Paths may be below /usr where the list has them without.
func Brought(found []Found, files []File) map[File]string {
	by := map[File]string{}
	wanted := map[File]bool{}
	for _, f := range files {
		wanted[f] = true
	}
	for _, f := range found {
		for _, o := range f.Owns {
			for p := range strings.Lines(o.Files) {
				p = strings.TrimSuffix(p, "\n")
				for _, at := range []File{{p, f.Layer}, {"/usr" + p, f.Layer}} {
					if wanted[at] && by[at] == "" {
						by[at] = o.Package
					}
				}
			}
		}
	}
	return by
}

// Owned are the files and folders that a package of the distribution installed, a line each.
type Owned struct{ Package, Files string }

// owns notes the files of a package, a line each. A name with a line break in it is left out.
func (f *Found) owns(name string, files iter.Seq[string]) {
	var lines strings.Builder
	for p := range files {
		if !strings.Contains(p, "\n") {
			lines.WriteString(p)
			lines.WriteByte('\n')
		}
	}
	if lines.Len() > 0 {
		f.Owns = append(f.Owns, Owned{name, lines.String()})
	}
}

// ownedByAPK notes the files that the packages of apk's database installed (apk-package(5): P
// a package, F a folder, R a file in it).
func (f *Found) ownedByAPK(data []byte) {
	name, dir := "", ""
	var files []string
	flush := func() {
		if name != "" {
			f.owns(name, slices.Values(files))
		}
		files = files[:0]
	}
	for line := range bytes.Lines(data) {
		key, value, found := strings.Cut(strings.TrimRight(string(line), "\r\n"), ":")
		switch {
		case !found:
		case key == "P":
			flush()
			name, dir = value, ""
		case key == "F":
			dir = value
		case key == "R":
			files = append(files, "/"+strings.TrimPrefix(dir+"/"+value, "/"))
		}
	}
	flush()
}

// readOS reads an os-release file (os-release(5)): assignments as a shell has them.
func readOS(r io.Reader) (*sbom.OS, error) {
	o := &sbom.OS{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, found := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		value = unquoted(value)
		switch name {
		case "ID":
			o.ID = strings.ToLower(value)
		case "VERSION_ID":
			o.VersionID = value
		case "VERSION_CODENAME":
			o.Codename = value
		case "ID_LIKE":
			o.Like = strings.Fields(value)
		case "PRETTY_NAME":
			o.Name = value
		}
	}
	return o, lines.Err()
}

// unquoted takes a shell's quotes away, and in double ones its backslashes.
func unquoted(s string) string {
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s
	}
	double := s[0] == '"'
	s = s[1 : len(s)-1]
	if !double {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
