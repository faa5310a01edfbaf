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

// blob is a file of an archive or a layout, open.
type blob struct {
	*io.SectionReader
	close func() error
}

// store is what holds an image's files. open gives one by its clean relative path, which
// is a regular file and inside the store; its error names the path.
type store interface {
	open(name string) (*blob, error)
	Close() error
}

// layoutFolder is a folder with an OCI layout.
type layoutFolder struct{ root *os.Root }

func (f layoutFolder) Close() error { return f.root.Close() }

func (f layoutFolder) open(name string) (*blob, error) {
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
	return &blob{io.NewSectionReader(file, 0, info.Size()), file.Close}, nil
}

// document reads a whole file of a store, bounded.
func document(s store, name string, most int64) ([]byte, error) {
	b, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer b.close()
	if b.Size() > most {
		return nil, fmt.Errorf("%q has %d bytes, and %d is the most", name, b.Size(), most)
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
