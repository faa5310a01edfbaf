package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
)

const (
	// maxLayerEntries bounds how many files of layers are looked at, of all images
	// together: a distribution has some 10,000, and that many take 70 ms of a slow
	// machine's processor, most of it the kernel's.
	maxLayerEntries = 100_000
	// maxLayers bounds those of one image; overlay2 stacks 128.
	maxLayers = 1024
)

// layer is a layer on the others that it was made on. Layers that have the same
// below them are one, in however many images.
type layer struct {
	below *layer // nil at the bottom
	diff  string
	// images are some of those that end with this layer.
	images []*foundImage
	// chain is the id of the layer with all below, "" before it is asked for.
	chain string
	// setuid are the files that an image ending here has, or reason is why that is not
	// known; both once looked is true.
	looked bool
	setuid []facts.SetuidFile
	reason string
}

// layerSet has every layer once.
type layerSet map[layerKey]*layer

type layerKey struct {
	below *layer
	diff  string
}

// top is the last of an image's layers; nil for an image without.
func (s layerSet) top(diffs []string) *layer {
	var at *layer
	for _, diff := range diffs {
		key := layerKey{at, diff}
		next := s[key]
		if next == nil {
			next = &layer{below: at, diff: diff}
			s[key] = next
		}
		at = next
	}
	return at
}

func (l *layer) chainID() string {
	if l.chain == "" {
		below := ""
		if l.below != nil {
			below = l.below.chainID()
		}
		l.chain = chainID(below, l.diff)
	}
	return l.chain
}

// setuid finds the files that run as their owner or group in an image that ends
// with the layer.
func (s *imageStore) setuid(l *layer) ([]facts.SetuidFile, string) {
	switch {
	case l == nil:
		return nil, ""
	case s.noLayers != "":
		return nil, s.noLayers
	case l.looked:
		return l.setuid, l.reason
	}
	l.looked = true
	below, reason := s.setuid(l.below)
	if l.reason = reason; reason != "" {
		return nil, reason
	}
	folder, err := s.filesOf(l)
	if err != nil {
		l.reason = "a layer in the engine's store cannot be looked at: " + err.Error()
		return nil, l.reason
	}
	defer folder.Close()
	own, err := s.setuidIn(folder)
	if err != nil {
		l.reason = err.Error()
		return nil, l.reason
	}
	for _, f := range below {
		hidden, err := covers(folder, f.Path)
		if err != nil {
			l.reason = "a layer in the engine's store cannot be looked at: " + err.Error()
			return nil, l.reason
		}
		if !hidden {
			own = append(own, f)
		}
	}
	slices.SortFunc(own, func(a, b facts.SetuidFile) int { return cmp.Compare(a.Path, b.Path) })
	l.setuid = own
	return own, ""
}

var cacheName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`) })

// filesOf opens the folder with what a layer changes.
func (s *imageStore) filesOf(l *layer) (*os.File, error) {
	number := hexOf(l.chainID())
	if number == "" {
		return nil, errors.New("its id is no digest")
	}
	name, err := readIn(s.layers, number+"/cache-id", 256)
	if err != nil {
		return nil, err
	}
	if !cacheName().Match(name) {
		return nil, errors.New("its folder has no proper name")
	}
	fd, err := openIn(s.diffs, string(name)+"/diff", unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "/"), nil
}

// setuidIn walks the files of a layer.
func (s *imageStore) setuidIn(folder *os.File) ([]facts.SetuidFile, error) {
	var found []facts.SetuidFile
	var walk func(folder *os.File, path string, depth int) error
	walk = func(folder *os.File, path string, depth int) error {
		fd := int(folder.Fd())
		for {
			entries, err := folder.ReadDir(1024)
			if s.entries -= len(entries); s.entries < 0 || depth == maxDepth {
				s.entries = min(s.entries, 0)
				return errors.New("the layers of the images hold more files than are looked at")
			}
			for _, e := range entries {
				name := e.Name()
				switch {
				case e.Type().IsRegular():
					var at unix.Stat_t
					if err := unix.Fstatat(fd, name, &at, unix.AT_SYMLINK_NOFOLLOW); err == nil && at.Mode&unix.S_IFMT == unix.S_IFREG && at.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
						found = append(found, facts.SetuidFile{Path: path + "/" + name, Mode: fmt.Sprintf("%04o", at.Mode&0o7777)})
					}
				case e.IsDir():
					below, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
					if err != nil {
						return fmt.Errorf("a folder of a layer cannot be looked at: %w", err)
					}
					f := os.NewFile(uintptr(below), name)
					err = walk(f, path+"/"+name, depth+1)
					f.Close()
					if err != nil {
						return err
					}
				}
			}
			switch {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return fmt.Errorf("a folder of a layer cannot be looked at: %w", err)
			}
		}
	}
	if err := walk(folder, "", 0); err != nil {
		return nil, err
	}
	return found, nil
}

// covers is true when what a layer has at a path, or above it, hides what is below
// the layer there (the kernel's Documentation/filesystems/overlayfs.rst): a file of
// any kind, which a whiteout is too, or a folder that is marked as opaque.
func covers(folder *os.File, path string) (bool, error) {
	at, err := unix.FcntlInt(folder.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer func() { unix.Close(at) }()
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		var st unix.Stat_t
		err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case errors.Is(err, unix.ENOENT):
			return false, nil
		case err != nil:
			return false, err
		case st.Mode&unix.S_IFMT != unix.S_IFDIR:
			return true, nil
		}
		below, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return false, err
		}
		unix.Close(at)
		at = below
		for _, mark := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
			value := make([]byte, 1)
			if n, err := unix.Fgetxattr(at, mark, value); err == nil && n == 1 && value[0] == 'y' {
				return true, nil
			}
		}
	}
	return true, nil // a folder is where a file was
}

// names of files may be no text; what is none is replaced.
func textOf(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }
