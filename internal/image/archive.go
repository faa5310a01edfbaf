package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// archive is a tar file whose members are read where they lie.
type archive struct {
	file    *os.File
	members map[string]member
}

// member is a regular file of an archive, or a link to one.
type member struct {
	at, size int64
	// link is the clean path of another member, "" for a file.
	link string
}

func (a *archive) Close() error { return a.file.Close() }

// openFile opens a regular file.
func openFile(name string) (*os.File, error) {
	// O_NONBLOCK: opening a fifo must not wait for a writer.
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// openArchive opens an archive of an image. One that is compressed is spooled unpacked.
func openArchive(ctx context.Context, name string, o Options) (*archive, error) {
	file, err := openFile(name)
	if err != nil {
		return nil, err
	}
	form, err := compression(file)
	if err == nil && form != "" {
		packed := file
		file, err = spool(ctx, packed, form, o)
		packed.Close()
	}
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	return indexed(ctx, file, o.Limits)
}

// spool copies a stream to a file that has no name any more when it returns: whatever ends
// the program, the kernel takes it away.
func spool(ctx context.Context, r io.Reader, form string, o Options) (*os.File, error) {
	u, err := unpack(withContext{ctx, r}, form, o.Limits, o.Limits.Spool, nil)
	if err != nil {
		return nil, err
	}
	defer u.stop()
	file, err := os.CreateTemp(o.Temp, "plimsoll-image-")
	if err != nil {
		return nil, fmt.Errorf("spooling the image: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("spooling the image: %w", err)
	}
	if _, err := io.CopyBuffer(onlyWriter{file}, u, make([]byte, unpackedBuffer)); err != nil {
		file.Close()
		return nil, fmt.Errorf("spooling the image: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		file.Close()
		return nil, fmt.Errorf("spooling the image: %w", err)
	}
	return file, nil
}

// onlyWriter hides that a file could read for itself, in pieces of its own choice.
type onlyWriter struct{ io.Writer }

// indexed finds the members of an archive. It owns the file.
func indexed(ctx context.Context, file *os.File, l Limits) (*archive, error) {
	a := &archive{file: file, members: map[string]member{}}
	if err := a.index(ctx, l); err != nil {
		file.Close()
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	return a, nil
}

func (a *archive) index(ctx context.Context, l Limits) error {
	// Archive/tar seeks over content, so this reads headers only.
	r := tar.NewReader(a.file)
	for count := 0; ; count++ {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("behind member %d: %w", count, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if count == l.Members {
			return beyond("it has", l.Members, "members")
		}
		if h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == tar.TypeDir {
			continue
		}
		name, err := inside(h.Name, l.Path)
		if err != nil {
			return fmt.Errorf("member %q %w", shown(h.Name), err)
		}
		// Two readers could take different ones of two.
		if _, twice := a.members[name]; twice {
			return fmt.Errorf("member %q is there twice", shown(name))
		}
		switch h.Typeflag {
		case tar.TypeReg:
			// What lies there would not be what archive/tar reads.
			for key := range h.PAXRecords {
				if strings.HasPrefix(key, "GNU.sparse.") {
					return fmt.Errorf("member %q is a sparse file", shown(name))
				}
			}
			at, err := a.file.Seek(0, io.SeekCurrent)
			if err != nil {
				return err
			}
			a.members[name] = member{at: at, size: h.Size}
		case tar.TypeSymlink, tar.TypeLink:
			// Engines before 25 write a layer that two images share once, and links to it.
			target := h.Linkname
			if h.Typeflag == tar.TypeSymlink {
				if path.IsAbs(target) {
					return fmt.Errorf("member %q is a link to %q, out of the archive", shown(name), shown(target))
				}
				target = path.Dir(name) + "/" + target
			}
			if target, err = inside(target, l.Path); err != nil {
				return fmt.Errorf("member %q is a link to %q, which %w", shown(name), shown(h.Linkname), err)
			}
			a.members[name] = member{link: target}
		default:
			return fmt.Errorf("member %q is neither file, folder nor link", shown(name))
		}
	}
}

// maxHops bounds how many links are followed, as the kernel does (path_resolution(7)).
const maxHops = 40

func (a *archive) open(ctx context.Context, p part) (*blob, error) {
	name := p.name
	at, there := a.members[path.Clean(name)]
	for hops := 0; there && at.link != ""; hops++ {
		if hops == maxHops {
			return nil, fmt.Errorf("opening %q: its links go round", shown(name))
		}
		at, there = a.members[at.link]
	}
	if !there {
		return nil, fmt.Errorf("opening %q: it is not in the archive", shown(name))
	}
	return &blob{withContext{ctx, io.NewSectionReader(a.file, at.at, at.size)}, at.size, func() error { return nil }}, nil
}

// inside cleans a name of an archive: the path below its root, "." for the root. A
// leading slash means nothing. The error completes a sentence that begins with the name.
func inside(name string, most int) (string, error) {
	switch {
	case len(name) > most:
		return "", fmt.Errorf("has %d bytes, and %d is the most", len(name), most)
	case strings.IndexByte(name, 0) >= 0:
		return "", errors.New("has a NUL")
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("leaves the root")
	}
	return clean, nil
}

// shown is a name as messages have it: not longer than a person reads.
func shown(name string) string {
	if len(name) > 200 {
		return name[:200] + "…"
	}
	return name
}
