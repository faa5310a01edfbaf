package image

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
)

// View is what is there when all layers lie on each other, and what became of each. It
// does not change once [Image.Walk] has returned it, and many may read it.
type View struct {
	// Layers are what became of each layer.
	Layers []LayerUse
	// Unseen are the paths below a root folder that could not be looked at, each with the
	// reason; no other source has any.
	Unseen []string

	// root is of all layers that were read, own of the one that is being read: each is
	// unpacked by itself, as engines do, and then laid on what is below. marks are the
	// whiteouts of own.
	root, own *node
	marks     map[*node]*marks
	limits    Limits
	// nodes is how many entries and implied folders there were, steps how many names of
	// links were followed.
	nodes, steps int
	// contents is how many files there were.
	contents int
	layer    int32
}

// LayerUse is what a layer holds, and what of that the layers above, or later entries of
// itself, made vain. Bytes are of the content of files, each once however many links it
// has.
type LayerUse struct {
	// Entries is how many entries of the layer were told of, whiteouts too.
	Entries int
	Bytes   int64
	// Overwritten are bytes whose last name was given to another entry, Deleted those that
	// a whiteout took away, or a file where their folder was.
	Overwritten, Deleted int64
}

// File is a path of the view.
type File struct {
	Path string
	Mode fs.FileMode
	// Size is the bytes of its content; 0 for what has none.
	Size int64
	// Layer is the layer whose entry is there, or that implied the folder by a path.
	Layer int
	// Link is where a symbolic link leads, as it is written.
	Link string
	// Content numbers the content, from 1, in the order in which the walk gave the files: the
	// hard links of a file share it. 0 is for what has none.
	Content int
}

// node is a path that is there.
type node struct {
	name     string
	parent   *node
	children map[string]*node
	content  *content
	link     string
	mode     fs.FileMode
	// layer is the one whose entry is here, or whose entry below here implied a folder.
	layer   int32
	implied bool
	// length is the bytes of its path.
	length int32
}

// marks are the whiteouts in a folder of a layer.
type marks struct {
	opaque bool
	gone   []string
}

// content is what the hard links of a file share.
type content struct {
	size         int64
	number       int
	layer, links int32
}

func newView(layers int, l Limits) *View {
	v := &View{Layers: make([]LayerUse, layers), limits: l, root: newRoot()}
	v.begin(0)
	return v
}

func newRoot() *node { return &node{mode: fs.ModeDir | 0o755, implied: true} }

// begin begins a layer.
func (v *View) begin(n int) {
	v.layer, v.own, v.marks = int32(n), newRoot(), map[*node]*marks{}
}

// count counts something that takes memory.
func (v *View) count() error {
	if v.nodes == v.limits.Entries {
		return beyond("is one too many: the layers have", v.limits.Entries, "entries")
	}
	v.nodes++
	return nil
}

// follow counts the names of links that were followed, which take time: a short entry can
// lead through long links, over and over.
func (v *View) follow(names int) error {
	if v.steps += names; v.steps > 16*v.limits.Entries {
		return beyond("lies below one link too many: they have", 16*v.limits.Entries, "names")
	}
	return nil
}

// way splits a clean relative path.
func way(clean string) iter.Seq[string] {
	if clean == "." {
		return func(func(string) bool) {}
	}
	return strings.SplitSeq(clean, "/")
}

// folder gives the layer's folder at a clean relative path for an entry below it, and makes
// it where it is not there. Links of the layer lead on; what a layer below has in the way
// does not matter yet.
func (v *View) folder(clean string) (*node, error) {
	at := v.own
	hops := 0
	todo := slices.Collect(way(clean))
	slices.Reverse(todo)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[name]
		switch {
		case next == nil:
			made, err := v.put(at, name, &node{mode: fs.ModeDir | 0o755, implied: true})
			if err != nil {
				return nil, err
			}
			at = made
		case next.mode.IsDir():
			at = next
		case next.mode&fs.ModeSymlink != 0:
			if hops++; hops > maxHops {
				return nil, errors.New("lies below links that go round")
			}
			if path.IsAbs(next.link) {
				at = v.own
			}
			parts := strings.Split(next.link, "/")
			slices.Reverse(parts)
			todo = append(todo, parts...)
			if err := v.follow(len(parts)); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("lies below %q, which is no folder", shown(next.path()))
		}
	}
	return at, nil
}

// put gives a folder of the layer an entry, in the place of what is there. A folder stays
// where one is.
func (v *View) put(in *node, name string, n *node) (*node, error) {
	if err := v.count(); err != nil {
		return nil, err
	}
	n.parent, n.layer = in, v.layer
	if n.length = in.length + 1 + int32(len(name)); int(n.length) > v.limits.Path {
		return nil, fmt.Errorf("ends up at a path of more than %d bytes", v.limits.Path)
	}
	old := in.children[name]
	if old != nil && old.mode.IsDir() && n.mode.IsDir() {
		old.mode, old.implied = n.mode, n.implied
		return old, nil
	}
	n.name = strings.Clone(name) // not with the whole path
	// First, since what it links to may be below what it replaces.
	if n.content != nil {
		n.content.links++
	}
	if old != nil {
		v.drop(old, true)
	}
	in.attach(n)
	return n, nil
}

// attach puts a node into a folder.
func (in *node) attach(n *node) {
	if in.children == nil {
		in.children = map[string]*node{}
	}
	in.children[n.name] = n
	n.parent = in
}

// drop lets go of the content of a node and all below; the caller takes it out of its
// folder. overwritten is true when another entry takes the node's own place.
func (v *View) drop(n *node, overwritten bool) {
	for todo := []*node{n}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c := at.content; c != nil {
			if c.links--; c.links == 0 && overwritten && at == n {
				v.Layers[c.layer].Overwritten += c.size
			} else if c.links == 0 {
				v.Layers[c.layer].Deleted += c.size
			}
		}
		for _, child := range at.children {
			todo = append(todo, child)
		}
	}
}

// mark gives the whiteouts of a folder of the layer.
func (v *View) mark(in *node) *marks {
	m := v.marks[in]
	if m == nil {
		m = &marks{}
		v.marks[in] = m
	}
	return m
}

// lay lays the layer that was read on those below, its whiteouts first: they are about
// those below alone, wherever in the layer they stand.
func (v *View) lay() {
	type pair struct{ to, from *node }
	for todo := []pair{{v.root, v.own}}; len(todo) > 0; {
		to, from := todo[len(todo)-1].to, todo[len(todo)-1].from
		todo = todo[:len(todo)-1]
		if !from.implied {
			to.mode, to.layer, to.implied = from.mode, from.layer, false
		}
		if m := v.marks[from]; m != nil {
			if m.opaque {
				for _, n := range to.children {
					v.drop(n, false)
				}
				to.children = nil
			}
			for _, name := range m.gone {
				// The engines make a folder of the layer in the place of its whiteout, and
				// overlayfs then joins it to the one below.
				if n := from.children[name]; n != nil && n.mode.IsDir() {
					continue
				}
				if n := to.children[name]; n != nil {
					v.drop(n, false)
					delete(to.children, name)
				}
			}
		}
		for name, n := range from.children {
			old := to.children[name]
			switch {
			case old == nil:
				to.attach(n)
			case old.mode.IsDir() && n.mode.IsDir():
				todo = append(todo, pair{old, n})
			default:
				v.drop(old, true)
				to.attach(n)
			}
		}
	}
	v.own, v.marks = nil, nil
}

// path is where a node is.
func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	var names []string
	for at := n; at.parent != nil; at = at.parent {
		names = append(names, at.name)
	}
	slices.Reverse(names)
	return "/" + strings.Join(names, "/")
}

// below joins a folder's path and a name.
func below(folder, name string) string {
	if folder == "/" {
		return folder + name
	}
	return folder + "/" + name
}

func (n *node) file(at string) File {
	f := File{Path: at, Mode: n.mode, Layer: int(n.layer), Link: n.link}
	if n.content != nil {
		f.Size, f.Content = n.content.size, n.content.number
	}
	return f
}

// find is the node at a path below a root, links followed in folders and, if wanted, at
// its end; nil where nothing is, or links go round. steps is how many names of links that
// took.
func find(root *node, name string, follow bool) (at *node, steps int) {
	at = root
	todo := strings.Split(name, "/")
	slices.Reverse(todo)
	for hops := 0; len(todo) > 0; {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case !at.mode.IsDir():
			return nil, steps
		case name == "" || name == ".":
			continue
		case name == "..":
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[name]
		if next == nil {
			return nil, steps
		}
		if next.mode&fs.ModeSymlink == 0 || len(todo) == 0 && !follow {
			at = next
			continue
		}
		if hops++; hops > maxHops {
			return nil, steps
		}
		if path.IsAbs(next.link) {
			at = root
		}
		parts := strings.Split(next.link, "/")
		slices.Reverse(parts)
		todo = append(todo, parts...)
		steps += len(parts)
	}
	return at, steps
}

// Stat is what is at a path, without following a link at its end; those before lead on
// inside the root. false is for nothing.
func (v *View) Stat(name string) (File, bool) { return v.stat(name, false) }

// Resolve is what is at a path, every link followed inside the root. false is for nothing,
// or links that go round.
func (v *View) Resolve(name string) (File, bool) { return v.stat(name, true) }

func (v *View) stat(name string, follow bool) (File, bool) {
	n, _ := find(v.root, name, follow)
	if n == nil {
		return File{}, false
	}
	return n.file(n.path()), true
}

// In gives what a folder holds, links on the way to it followed, in the order of the bytes of
// the names.
func (v *View) In(name string) iter.Seq[File] {
	return func(yield func(File) bool) {
		n, _ := find(v.root, name, true)
		if n == nil {
			return
		}
		at := n.path()
		for _, name := range slices.Sorted(maps.Keys(n.children)) {
			if !yield(n.children[name].file(below(at, name))) {
				return
			}
		}
	}
}

// All gives every path that is there but the root, folders before what they hold, in the
// order of the bytes of the names.
func (v *View) All() iter.Seq[File] {
	return func(yield func(File) bool) {
		var walk func(n *node, at string) bool
		walk = func(n *node, at string) bool {
			for _, name := range slices.Sorted(maps.Keys(n.children)) {
				child := n.children[name]
				where := below(at, name)
				if !yield(child.file(where)) || !walk(child, where) {
					return false
				}
			}
			return true
		}
		walk(v.root, "/")
	}
}
