package image

import (
	"context"
	"crypto/sha256"
	_ "crypto/sha512" // digests of the OCI specification may be of it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// blob is a file of an archive, a layout or a registry, open. size is how many bytes it has;
// reading gives an error where that turns out not to be so.
type blob struct {
	io.Reader
	size  int64
	close func() error
}

// part names a file of an image.
type part struct {
	// name is its clean relative path.
	name string
	// size is the bytes that it has by the document that names it: stores that know it
	// themselves pay no heed.
	size int64
	// manifest is true for manifests and indexes, which registries keep apart.
	manifest bool
}

// store is what holds an image's files. open gives one, which is a regular file and inside
// the store; its error names the path. Reading ends with the context, or soon after.
type store interface {
	open(ctx context.Context, p part) (*blob, error)
	Close() error
}

// layoutFolder is a folder with an OCI layout.
type layoutFolder struct{ root *os.Root }

func (f layoutFolder) Close() error { return f.root.Close() }

func (f layoutFolder) open(ctx context.Context, p part) (*blob, error) {
	name := p.name
	// O_NONBLOCK: opening a fifo must not wait for a writer. The root lets no link lead
	// out of it.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	return &blob{withContext{ctx, io.NewSectionReader(file, 0, info.Size())}, info.Size(), file.Close}, nil
}

// document reads a whole file of a store, bounded.
func document(ctx context.Context, s store, p part, most int64) ([]byte, error) {
	name := p.name
	b, err := s.open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if b.size > most {
		return nil, fmt.Errorf("%q has %d bytes, and %d is the most", name, b.size, most)
	}
	data, err := io.ReadAll(b)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	return data, nil
}

// blobPath is where a layout has a digest (image-layout.md, Blobs).
func blobPath(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil {
		return "", fmt.Errorf("%.100q is no digest: %w", d, err)
	}
	return path.Join("blobs", d.Algorithm().String(), d.Encoded()), nil
}

// named is the digest that a file of a docker-archive is named by, or "". Engines from 25
// on write blobs/sha256/HEX, older ones HEX.json for the configuration, and others
// sha256:HEX; these are of the bytes as they stand.
func named(name string) digest.Digest {
	number, blob := strings.CutPrefix(name, "blobs/sha256/")
	if !blob {
		number, blob = strings.CutPrefix(name, "sha256:")
	}
	if !blob {
		number, blob = strings.CutSuffix(name, ".json")
	}
	if raw, err := hex.DecodeString(number); !blob || err != nil || len(raw) != sha256.Size {
		return ""
	}
	return digest.NewDigestFromEncoded(digest.SHA256, strings.ToLower(number))
}

// check is the error of bytes that do not have their digest.
func check(name string, want, got digest.Digest) error {
	if want != got {
		return fmt.Errorf("%q is not what its digest says: it is %s, and should be %s", name, got, want)
	}
	return nil
}

// withContext ends reading when a context ends.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

func (w withContext) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}
