package linking

import (
	"bufio"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image"
)

// mostFolders is how many folders the loader's lists may have, and mostLookups how often a
// library is looked for in one: all that a large desktop has takes some 10,000 times, and as
// many as are allowed about a second.
const (
	mostFolders = 256
	mostLookups = 1 << 20
)

// ListsFolders is true for a file in which folders of the loader are listed: ld.so.conf(5)'s,
// and musl's.
func ListsFolders(p string) bool {
	return p == "/etc/ld.so.conf" || path.Dir(p) == "/etc/ld.so.conf.d" && path.Ext(p) == ".conf" || strings.HasPrefix(p, "/etc/ld-musl-") && path.Ext(p) == ".path"
}

// Folders are those that such a file lists. The error is that of reading it.
func Folders(r io.Reader) ([]string, error) {
	var list []string
	lines := bufio.NewScanner(io.LimitReader(r, 64<<10))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.HasPrefix(line, "include") { // of files that are read too
			continue
		}
		for one := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(": \t,", r) }) {
			if path.IsAbs(one) && len(one) <= mostName && len(list) < mostFolders {
				list = append(list, clean([]byte(path.Clean(one))))
			}
		}
	}
	return list, lines.Err()
}

// Tree is what is there in the end, with what it needs. It does not change once it is made.
type Tree struct {
	view    *image.View
	needs   map[int]*Needs
	folders []string
}

// NewTree makes a tree. Needs are by the number of the content (image.File), and folders what
// the image's lists of the loader have.
func NewTree(v *image.View, needs map[int]*Needs, folders []string) *Tree {
	t := &Tree{view: v, needs: needs}
	add := func(dir string) {
		if at, is := v.Resolve(dir); is && at.Mode.IsDir() && !slices.Contains(t.folders, at.Path) && len(t.folders) < mostFolders {
			t.folders = append(t.folders, at.Path)
		}
	}
	for _, dir := range folders {
		add(dir)
	}
	// What loaders are built with: Debian's have the folder of each kind of machine first.
	for _, above := range []string{"/lib", "/usr/lib"} {
		for f := range v.In(above) {
			if strings.Contains(path.Base(f.Path), "-linux-") {
				add(f.Path)
			}
		}
	}
	for _, dir := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"} {
		add(dir)
	}
	return t
}

// Needs are those of a file; nil where it is neither ELF nor a script.
func (t *Tree) Needs(f image.File) *Needs { return t.needs[f.Content] }

// chain is a file that was loaded, and what loaded it.
type chain struct {
	file  image.File
	needs *Needs
	by    *chain
}

// search is one search for what programs are started with.
type search struct {
	*Tree
	// seen are the contents that were found, loaded the names that the program has loaded.
	seen    map[int]bool
	loaded  map[string]bool
	files   []image.File
	missing []string
	todo    []*chain
	lookups int
}

// Closure are the files that a program is started with, itself and its loader among them, each
// once, and the names of libraries that are not where a loader looks for them, each with what
// needs it. The second is also why a file could not be read, or that there is too much to look
// for. What others are started with is added, without a word where that is not all there.
func (t *Tree) Closure(program image.File, others ...image.File) (files []image.File, missing []string) {
	s := &search{Tree: t, seen: map[int]bool{}}
	s.start(program)
	missing = s.missing
	for _, one := range others {
		s.start(one)
	}
	if s.lookups > mostLookups {
		missing = append(missing, "there is more to look for than is looked for")
	}
	return s.files, missing
}

// start follows what a program needs.
func (s *search) start(program image.File) {
	s.loaded = map[string]bool{}
	first := s.needs[program.Content]
	if first == nil || first.Script != "" {
		s.missing = append(s.missing, program.Path+" is no program of ELF")
		return
	}
	s.add(program, first, nil)
	if first.Interp != "" {
		at, is := s.view.Resolve(first.Interp)
		if n := s.needs[at.Content]; is && n != nil && n.Script == "" {
			s.add(at, n, nil)
		} else {
			s.missing = append(s.missing, first.Interp+", which is the loader of "+program.Path)
		}
	}
	for len(s.todo) > 0 {
		c := s.todo[0]
		s.todo = s.todo[1:]
		for _, name := range c.needs.Needed {
			if s.loaded[name] {
				continue
			}
			s.loaded[name] = true
			at, is := s.find(name, c)
			if !is {
				s.missing = append(s.missing, name+", which "+c.file.Path+" needs")
				continue
			}
			s.add(at, s.needs[at.Content], c)
		}
	}
}

// add adds a file.
func (s *search) add(f image.File, n *Needs, by *chain) {
	if n.Soname != "" {
		s.loaded[n.Soname] = true
	}
	if s.seen[f.Content] {
		return
	}
	s.seen[f.Content] = true
	s.files = append(s.files, f)
	if n.Unread != "" {
		s.missing = append(s.missing, f.Path+": "+n.Unread)
	}
	s.todo = append(s.todo, &chain{f, n, by})
}

// find is the library of a name, by the order of ld.so(8): the folders of DT_RPATH of what
// needs it and of what loaded that, where there is no DT_RUNPATH, then of DT_RUNPATH, then the
// loader's own. One for another machine is passed over.
func (s *search) find(name string, by *chain) (image.File, bool) {
	fits := func(p string) (image.File, bool) {
		if s.lookups++; s.lookups > mostLookups {
			return image.File{}, false
		}
		at, is := s.view.Resolve(p)
		n := s.needs[at.Content]
		return at, is && n != nil && n.Script == "" && n.Machine == by.needs.Machine && n.Class == by.needs.Class
	}
	if strings.Contains(name, "/") {
		return fits(name)
	}
	in := func(folders []string, origin string) (image.File, bool) {
		for _, dir := range folders {
			dir = strings.ReplaceAll(strings.ReplaceAll(dir, "${ORIGIN}", origin), "$ORIGIN", origin)
			if !path.IsAbs(dir) || strings.Contains(dir, "$") {
				continue
			}
			if at, is := fits(dir + "/" + name); is {
				return at, true
			}
		}
		return image.File{}, false
	}
	if len(by.needs.Runpath) == 0 {
		for c := by; c != nil && s.lookups <= mostLookups; c = c.by {
			if len(c.needs.Runpath) > 0 {
				continue
			}
			if at, is := in(c.needs.Rpath, path.Dir(c.file.Path)); is {
				return at, true
			}
		}
	}
	if at, is := in(by.needs.Runpath, path.Dir(by.file.Path)); is {
		return at, true
	}
	return in(s.folders, "")
}

// byName are libraries of glibc that programs load by name, or that are there for programs
// built long ago: nothing that is new needs them.
var byName = []string{"libnss_", "libgcc_s.so", "ld-", "ld.so", "libBrokenLocale", "libanl", "libc_malloc_debug", "libdl.", "libmemusage", "libmvec", "libnsl", "libpcprofile", "libpthread", "libresolv", "librt.", "libthread_db", "libutil."}

// Unlinked are the libraries in the loader's own folders that no program or library of the
// image needs, whether itself or by way of others, sorted by path. Libraries elsewhere are
// plugins and the like, which are loaded by name, and count as needing theirs; so do those of
// glibc that are loaded so.
func (t *Tree) Unlinked() []image.File {
	type library struct {
		file    image.File
		names   []string
		reached bool
	}
	libraries := map[int]*library{}
	var todo []*Needs
	visited := map[int]bool{}
	start := func(content int) {
		if n := t.needs[content]; n != nil && !visited[content] {
			visited[content] = true
			todo = append(todo, n)
		}
	}
	for f := range t.view.All() {
		n := t.needs[f.Content]
		base := path.Base(f.Path)
		if n == nil || n.Script != "" || !f.Mode.IsRegular() {
			continue
		}
		plain := strings.Contains(base, ".so") && slices.Contains(t.folders, path.Dir(f.Path)) && !slices.ContainsFunc(byName, func(b string) bool { return strings.HasPrefix(base, b) })
		if !plain || n.Unread != "" {
			start(f.Content)
			continue
		}
		l := libraries[f.Content]
		if l == nil {
			l = &library{file: f, names: []string{n.Soname}}
			libraries[f.Content] = l
		}
		l.names = append(l.names, base)
	}
	// A library is also known by the links that lead to it.
	for _, dir := range t.folders {
		for f := range t.view.In(dir) {
			if f.Link == "" {
				continue
			}
			if at, is := t.view.Resolve(f.Path); is {
				if l := libraries[at.Content]; l != nil {
					l.names = append(l.names, path.Base(f.Path))
				}
			}
		}
	}
	named := map[string][]int{}
	for content, l := range libraries {
		for _, name := range l.names {
			named[name] = append(named[name], content)
		}
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, name := range append([]string{n.Interp}, n.Needed...) {
			name = path.Base(name)
			for _, content := range named[name] {
				libraries[content].reached = true
				start(content)
			}
			delete(named, name) // each counts once, however many need it
		}
	}
	var list []image.File
	for content, l := range libraries {
		// One that has a second name elsewhere was started with.
		if !l.reached && !visited[content] {
			list = append(list, l.file)
		}
	}
	slices.SortFunc(list, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	return list
}
