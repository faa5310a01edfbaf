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

	root   *node
	limits Limits
	// nodes is how many entries and implied folders there were, steps how many names of
	// links were followed.
	nodes, steps int
	layer        int32
}

// LayerUse is what a layer holds, and what of that the layers above, or later entries of
// itself, made vain. Bytes are of the content of files, each once however many links it
// has.
type LayerUse struct {
	// Entries is how many entries the layer has, whiteouts too.
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
}

// node is a path that is there.
type node struct {
	name     string
	parent   *node
	children map[string]*node
	content  *content
	link     string
	mode     fs.FileMode
	// layer is the one whose entry is here. touched is the last layer that has something
	// here or below, clear the last as of which nothing of the layers below is below here.
	layer, touched, clear int32
	// length is the bytes of its path.
	length int32
}

// content is what the hard links of a file share.
type content struct {
	size  int64
	layer int32
	links int32
}

func newView(layers int, l Limits) *View {
	root := &node{mode: fs.ModeDir | 0o755, clear: -1}
	return &View{Layers: make([]LayerUse, layers), root: root, limits: l}
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

// folder gives the folder at a clean relative path for an entry below it, and makes it
// where it is not there. Links of the layer itself lead on, as when an engine unpacks the
// layer by itself; what a layer below has in the way is replaced.
func (v *View) folder(clean string) (*node, error) {
	at := v.root
	hops := 0
	todo := slices.Collect(way(clean))
	slices.Reverse(todo)
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		at.touched = v.layer
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
		case next != nil && next.mode.IsDir():
			at = next
			continue
		case next != nil && next.layer == v.layer && next.mode&fs.ModeSymlink != 0:
			if hops++; hops > maxHops {
				return nil, errors.New("lies below links that go round")
			}
			if path.IsAbs(next.link) {
				at = v.root
			}
			parts := strings.Split(next.link, "/")
			slices.Reverse(parts)
			todo = append(todo, parts...)
			if err := v.follow(len(parts)); err != nil {
				return nil, err
			}
			continue
		case next != nil && next.layer == v.layer:
			return nil, fmt.Errorf("lies below %q, which is no folder", shown(next.path()))
		}
		made, err := v.put(at, name, &node{mode: fs.ModeDir | 0o755})
		if err != nil {
			return nil, err
		}
		at = made
	}
	at.touched = v.layer
	return at, nil
}

// put gives a folder an entry, in the place of what is there. A folder stays where one is.
func (v *View) put(in *node, name string, n *node) (*node, error) {
	if err := v.count(); err != nil {
		return nil, err
	}
	n.parent, n.layer, n.touched, n.clear = in, v.layer, v.layer, v.layer
	if n.length = in.length + 1 + int32(len(name)); int(n.length) > v.limits.Path {
		return nil, fmt.Errorf("ends up at a path of more than %d bytes", v.limits.Path)
	}
	if old := in.children[name]; old != nil {
		if old.mode.IsDir() && n.mode.IsDir() {
			old.mode, old.layer, old.touched = n.mode, v.layer, v.layer
			return old, nil
		}
		// A link to itself keeps its content.
		if n.content != nil && n.content == old.content {
			old.mode, old.layer, old.touched = n.mode, v.layer, v.layer
			return old, nil
		}
		n.name = old.name
	} else {
		n.name = strings.Clone(name) // not with the whole path
	}
	// First, since what it links to may be below what it replaces.
	if n.content != nil {
		n.content.links++
	}
	if old := in.children[name]; old != nil {
		v.drop(old, true)
	}
	if in.children == nil {
		in.children = map[string]*node{}
	}
	in.children[n.name] = n
	return n, nil
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

// whiteout takes away what the layers below have at a name.
func (v *View) whiteout(in *node, name string) {
	n := in.children[name]
	switch {
	case n == nil:
	case n.touched < v.layer:
		v.drop(n, false)
		delete(in.children, name)
	default:
		// The layer has something of its own there, in a folder that it does not state.
		if n.layer < v.layer {
			n.mode, n.layer = fs.ModeDir|0o755, v.layer
		}
		v.opaque(n)
	}
}

// opaque takes away what the layers below have below a node that the layer has touched.
// Each folder is gone through once a layer, so that markers at every level cost no more
// than one.
func (v *View) opaque(n *node) {
	for todo := []*node{n}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at.clear == v.layer {
			continue
		}
		at.clear = v.layer
		for name, child := range at.children {
			if child.touched < v.layer {
				v.drop(child, false)
				delete(at.children, name)
			} else {
				todo = append(todo, child)
			}
		}
	}
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
		f.Size = n.content.size
	}
	return f
}

// find is the node at a path inside the root, links followed in folders and, if wanted, at
// its end; nil where nothing is, or links go round. steps is how many names of links that
// took.
func (v *View) find(name string, follow bool) (at *node, steps int) {
	at = v.root
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
			at = v.root
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
	n, _ := v.find(name, follow)
	if n == nil {
		return File{}, false
	}
	return n.file(n.path()), true
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
