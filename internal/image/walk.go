package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Kind is what an entry does to the files below it.
type Kind uint8

// The kinds of entries.
const (
	Plain    Kind = iota // a file, folder, symbolic link or device: Mode says which
	HardLink             // another name of the file at Link
	Whiteout             // what the layers below have at Path, and below it, is gone
	Opaque               // what the layers below have below the folder Path is gone
)

// Entry is an entry of a layer.
type Entry struct {
	// Layer is the number of the layer, from 0, the lowest.
	Layer int
	Kind  Kind
	// Path begins with a slash, has no . and no .., and is where the entry ends up: that
	// of what is gone for a whiteout.
	Path string
	// Mode has the type and the permissions with the setuid, setgid and sticky bits.
	Mode     fs.FileMode
	UID, GID int
	Modified time.Time
	// Size is the bytes of Body, with the holes of a sparse file; 0 for what is no file.
	Size int64
	// Link is where a symbolic link leads, as it is written; of a hard link the clean path.
	Link string
	// Xattrs are extended attributes by their names, such as security.capability; nil for
	// none.
	Xattrs map[string]string
	// Name is the path as the archive has it, clean, where links of the layer led to Path
	// from there, and LinkName the same of a hard link's Link; else both are "". A layer
	// that is taken from its recorded entries needs them: see [Known].
	Name, LinkName string
	// Body is the content of a file, empty for all else. It is there during the call, need
	// not be read, and gives an error where the layer ends too early, or a file of a root
	// folder cannot be read.
	Body io.Reader
}

// A layer's marks (the OCI image specification, layer.md, Whiteouts): a name after the
// first is gone, the second is a folder's own; whatever else begins as the third is about
// aufs itself, which engines pass over.
const (
	whiteoutMark = ".wh."
	opaqueMark   = ".wh..wh..opq"
	aufsMark     = ".wh..wh."
)

// maxName is the longest name that file systems of Linux take.
const maxName = 255

// Walk gives each entry of each layer to visit, the lowest layer first, in the order of
// its archive; those of a root folder by name. An error of visit ends the walk and is
// returned as it is. What visit was given of a layer counts when Walk returns no error:
// digests are known at a layer's end. An image may be walked again.
func (i *Image) Walk(ctx context.Context, visit func(*Entry) error) (*View, error) {
	return i.WalkUnknown(ctx, func(Layer) ([]Entry, bool) { return nil, false }, visit)
}

// WalkUnknown is [Image.Walk] of an image some of whose layers are known: these are not
// opened, let alone read or fetched, and visit is not called for their entries, which the
// caller has. The view is the one that the bytes give.
func (i *Image) WalkUnknown(ctx context.Context, known Known, visit func(*Entry) error) (*View, error) {
	w := &walker{ctx: ctx, image: i, view: newView(len(i.Layers), i.limits)}
	for n := range i.Layers {
		w.view.begin(n)
		w.visit = visit
		var err error
		if i.root != nil {
			err = w.folders()
		} else if entries, is := known(i.Layers[n]); is {
			w.visit = func(*Entry) error { return nil }
			err = w.replay(n, entries)
		} else {
			err = w.layer(n)
		}
		var own *visitError
		switch {
		case errors.As(err, &own):
			return nil, own.error
		case err != nil:
			return nil, i.wrong(n, err)
		}
		w.view.lay()
	}
	return w.view, nil
}

// wrong says where an error is.
func (i *Image) wrong(n int, err error) error {
	if i.root != nil {
		return fmt.Errorf("reading %s: %w", i.where, err)
	}
	return fmt.Errorf("reading %s: layer %d (%s): %w", i.where, n, i.Layers[n].DiffID, err)
}

// visitError is an error of the caller's own; Walk takes it out again.
type visitError struct{ error }

// walker walks one image.
type walker struct {
	ctx   context.Context
	image *Image
	visit func(*Entry) error
	view  *View
	// total is how many bytes the layers had when unpacked, and files those of their files.
	total, files int64
}

// layer reads one layer, once.
func (w *walker) layer(n int) error {
	at := w.image.Layers[n]
	b, err := w.image.store.open(w.ctx, at.part())
	if err != nil {
		return err
	}
	defer b.close()
	packedBytes := bufio.NewReaderSize(b, 16) // what reads behind it reads more at once, past it
	start, err := packedBytes.Peek(longestMagic)
	if err != nil && err != io.EOF {
		return err
	}
	form, err := compressedAs(start)
	if err != nil {
		return err
	}
	// What is not compressed has one digest by whichever name.
	var packed hash.Hash
	if at.Digest != "" && (form != "" || at.Digest.Algorithm() != at.DiffID.Algorithm()) {
		packed = at.Digest.Algorithm().Hash()
	}
	l := w.image.limits
	u, err := unpack(packedBytes, form, l, min(l.Layer, l.Total-w.total), packed)
	if err != nil {
		return err
	}
	defer u.stop()
	plain := &counted{r: u, sum: at.DiffID.Algorithm().Hash()}
	r := bufio.NewReaderSize(plain, unpackedBuffer)
	if err := w.entries(n, r); err != nil {
		return err
	}
	// The digests are of all bytes, those behind the archive's end too.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if err := u.rest(); err != nil {
		return err
	}
	w.total += u.n
	diff := digest.NewDigest(at.DiffID.Algorithm(), plain.sum)
	if packed != nil {
		if err := check(shown(at.name), at.Digest, digest.NewDigest(at.Digest.Algorithm(), packed)); err != nil {
			return err
		}
	}
	if diff != at.DiffID {
		return fmt.Errorf("%q is not what its diff id says: unpacked it is %s", shown(at.name), diff)
	}
	if packed == nil && at.Digest != "" {
		return check(shown(at.name), at.Digest, diff)
	}
	return nil
}

// entries reads the entries of a layer's archive. The reader must not be a seeker.
func (w *walker) entries(n int, from io.Reader) error {
	r := tar.NewReader(from)
	last := ""
	for {
		h, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil && last == "":
			return fmt.Errorf("at its beginning: %w", err)
		case err != nil:
			return fmt.Errorf("behind entry %q: %w", shown(last), err)
		}
		last = h.Name
		if err := w.entry(n, h, r); err != nil {
			var own *visitError
			if errors.As(err, &own) {
				return err
			}
			return fmt.Errorf("entry %q %w", shown(h.Name), err)
		}
	}
}

// entry handles one header of a layer's archive. Its errors complete a sentence that
// begins with the entry.
func (w *walker) entry(n int, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return w.view.count()
	}
	name, err := inside(h.Name, w.image.limits.Path)
	if err != nil {
		return err
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if strings.HasPrefix(base, aufsMark) && base != opaqueMark || strings.HasPrefix(name, aufsMark) && dir != "." {
		return w.view.count()
	}
	if strings.HasPrefix(base, whiteoutMark) {
		return w.gone(dir, base, n)
	}
	// A mode may name a type too, which does not count beside the header's.
	e := &Entry{Layer: n, UID: h.Uid, GID: h.Gid, Modified: h.ModTime, Mode: h.FileInfo().Mode() &^ fs.ModeType, Xattrs: xattrs(h.PAXRecords), Body: nothing{}}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Size, e.Body = h.Size, content
	case tar.TypeDir:
		e.Mode |= fs.ModeDir
	case tar.TypeChar:
		e.Mode |= fs.ModeDevice | fs.ModeCharDevice
	case tar.TypeBlock:
		e.Mode |= fs.ModeDevice
	case tar.TypeFifo:
		e.Mode |= fs.ModeNamedPipe
	case tar.TypeSymlink:
		e.Mode |= fs.ModeSymlink
		e.Link = h.Linkname
	case tar.TypeLink:
		e.Kind, e.Link = HardLink, h.Linkname
	default:
		return fmt.Errorf("is of type %q, which is none of a layer's", h.Typeflag)
	}
	return w.place(name, e)
}

// xattrs are the extended attributes of a header, under which both GNU tar and star
// keep them.
func xattrs(records map[string]string) map[string]string {
	var found map[string]string
	for key, value := range records {
		if name, is := strings.CutPrefix(key, "SCHILY.xattr."); is {
			if found == nil {
				found = map[string]string{}
			}
			found[name] = value
		}
	}
	return found
}

// gone handles a whiteout, by its mark.
func (w *walker) gone(dir, base string, n int) error {
	e := &Entry{Layer: n, Kind: Opaque, Body: nothing{}}
	if base == opaqueMark {
		return w.place(dir, e)
	}
	name := strings.TrimPrefix(base, whiteoutMark)
	if name == "" || name == "." || name == ".." {
		return errors.New("is a whiteout of no name")
	}
	e.Kind = Whiteout
	return w.place(path.Join(dir, name), e)
}

// place gives the view an entry, and then the caller. The name is clean and relative, and
// the link as it is written; both may have come from a stranger.
func (w *walker) place(name string, e *Entry) error {
	longest := 0
	for part := range way(name) {
		longest = max(longest, len(part))
	}
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	above := dir
	if e.Kind == Opaque {
		above = name
	}
	switch {
	case longest > maxName:
		return fmt.Errorf("has a name of %d bytes, and %d is the most", longest, maxName)
	case strings.Contains("/"+above, "/"+whiteoutMark):
		return errors.New("lies below a whiteout")
	}
	switch {
	case e.Kind == Opaque:
		return w.mark(name, "", e)
	case e.Kind == Whiteout:
		return w.mark(dir, base, e)
	case e.Kind == HardLink:
		target, err := inside(e.Link, w.image.limits.Path)
		if err != nil {
			return fmt.Errorf("is a link to %q, which %w", shown(e.Link), err)
		}
		e.Link = below("/", target)
	case e.Mode&fs.ModeSymlink != 0:
		if len(e.Link) > w.image.limits.Path || strings.IndexByte(e.Link, 0) >= 0 || e.Link == "" {
			return fmt.Errorf("is a link to %q, which is no path", shown(e.Link))
		}
	}
	if name == "." {
		if !e.Mode.IsDir() || e.Kind != Plain {
			return errors.New("would be the root, and is no folder")
		}
		if err := w.view.count(); err != nil {
			return err
		}
		w.view.own.mode, w.view.own.layer, w.view.own.implied = e.Mode, w.view.layer, false
		e.Path = "/"
		return w.show(e)
	}
	return w.add(dir, base, e)
}

// led sets the path of an entry, and keeps the one that led there.
func (e *Entry) led(from, to string) {
	if e.Path = to; from != to {
		e.Name = from
	}
}

// add gives the view an entry that is none of the root and no whiteout.
func (w *walker) add(dir, base string, e *Entry) error {
	in, err := w.view.folder(dir)
	if err != nil {
		return err
	}
	e.led(path.Join("/", dir, base), below(in.path(), base))
	n := &node{mode: e.Mode, link: e.Link}
	switch {
	case e.Kind == HardLink:
		target, err := w.target(e.Link)
		if err != nil {
			return err
		}
		if target == nil || target.mode.IsDir() {
			return fmt.Errorf("is a link to %q, where no file is", shown(e.Link))
		}
		n.mode, n.link, n.content = target.mode, target.link, target.content
		e.Mode = target.mode
		if to := target.path(); to != e.Link {
			e.Link, e.LinkName = to, e.Link
		}
	case e.Mode.IsRegular():
		if e.Size < 0 || e.Size > w.image.limits.File {
			return fmt.Errorf("has %d bytes, and %d is the most", e.Size, w.image.limits.File)
		}
		if w.files += e.Size; w.files > w.image.limits.Total {
			return beyond("is one too many: the files have", w.image.limits.Total, "bytes")
		}
		w.view.contents++
		n.content = &content{size: e.Size, number: w.view.contents, layer: w.view.layer}
		w.view.Layers[e.Layer].Bytes += e.Size
	}
	if _, err := w.view.put(in, base, n); err != nil {
		return err
	}
	return w.show(e)
}

// target is what a hard link is to: of the layer itself, or else of those below, where
// some engines look too.
func (w *walker) target(name string) (*node, error) {
	found, steps := find(w.view.own, name, false)
	if found == nil {
		var more int
		found, more = find(w.view.root, name, false)
		steps += more
	}
	return found, w.view.follow(steps)
}

// mark gives the view a whiteout: of a name in a folder, or of all that is in it.
func (w *walker) mark(dir, name string, e *Entry) error {
	if err := w.view.count(); err != nil {
		return err
	}
	in, err := w.view.folder(dir)
	if err != nil {
		return err
	}
	if m := w.view.mark(in); e.Kind == Opaque {
		m.opaque = true
		e.led(path.Join("/", dir), in.path())
	} else {
		m.gone = append(m.gone, strings.Clone(name))
		e.led(path.Join("/", dir, name), below(in.path(), name))
	}
	return w.show(e)
}

// nothing is the content of what has none.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }

// body is the content of an entry, whose errors say where they are: the caller returns
// them as they are.
type body struct {
	image *Image
	entry *Entry
	r     io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = b.image.wrong(b.entry.Layer, fmt.Errorf("the content of %q: %w", shown(b.entry.Path), err))
	}
	return n, err
}

// show gives an entry to the caller.
func (w *walker) show(e *Entry) error {
	w.view.Layers[e.Layer].Entries++
	e.Body = &body{w.image, e, e.Body}
	if err := w.visit(e); err != nil {
		return &visitError{err}
	}
	return nil
}
