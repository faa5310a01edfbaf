package scan

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/contents"
	"github.com/plimsoll/plimsoll/internal/extract"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/secret"
)

// Cache is a folder that holds what layers told, a file a layer, by the digest of its tar
// stream. What a layer holds does not change, but who reads it does: a file of another
// version of them is as if it were not there. Only its owner may write there, since what is
// in it is believed. "" is no cache.
type Cache string

// analysis is the version of what is made of a layer: whoever changes what image, extract,
// secret or contents make of the same bytes raises it.
const analysis = 4

// keptHead says what a file of the cache is.
type keptHead struct {
	Analysis int
	DiffID   digest.Digest
}

// kept is what a layer told.
type kept struct {
	Entries []image.Entry
	Found   []extract.Found `json:",omitempty"`
	Secrets []secret.Secret `json:",omitempty"`
	Cut     []string        `json:",omitempty"`
	Told    []contents.Told `json:",omitempty"`
	Passed  []passed        `json:",omitempty"`
	Folders []listed        `json:",omitempty"`

	fresh bool  // it was read just now
	owned int64 // bytes of lists of files that packages installed
}

// Bounds of a cache: of a file as it is unpacked, and of all on disk. The layer of a
// distribution takes some 100 kB there.
const (
	maxKept  = 1 << 30
	maxCache = 1 << 30
)

// What the names of a cache's files end with: those of what layers told, and of
// configurations of images.
const (
	suffix       = ".layer.zst"
	configSuffix = ".config.json"
)

// path is that of a file; "" where nothing is kept.
func (c Cache) path(id digest.Digest, suffix string) string {
	if c == "" || id.Validate() != nil {
		return ""
	}
	return filepath.Join(string(c), string(id.Algorithm())+"-"+id.Encoded()+suffix)
}

// Image is an image that needs nothing but what was kept: its configuration, and what its
// layers told; nil where something is missing. Where stands in messages.
func (c Cache) Image(where string, id digest.Digest) *image.Image {
	path := c.path(id, configSuffix)
	if path == "" {
		return nil
	}
	config, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	i, err := image.Recorded(where, id, config, image.Options{})
	if err != nil {
		return nil // it is not what its name says
	}
	for _, l := range i.Layers {
		if !c.has(l.DiffID) {
			return nil
		}
	}
	return i
}

// keepConfig keeps the configuration of an image all of whose layers are kept.
func (c Cache) keepConfig(i *image.Image) error {
	path := c.path(i.ID, configSuffix)
	if path == "" || i.Document == nil {
		return nil
	}
	return c.write(path, func(w io.Writer) error {
		_, err := w.Write(i.Document)
		return err
	})
}

// has is true for a layer of which something was kept that can be used, unless it is damaged.
func (c Cache) has(id digest.Digest) bool {
	_, close, err := c.open(id)
	if close != nil {
		close()
	}
	return err == nil && close != nil
}

// open is what was kept of a layer, behind its head; without a close function there is
// nothing that can be used.
func (c Cache) open(id digest.Digest) (d *json.Decoder, close func(), err error) {
	path := c.path(id, suffix)
	if path == "" {
		return nil, nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	close = func() {
		z.Close()
		f.Close()
	}
	d = json.NewDecoder(io.LimitReader(z, maxKept))
	var head keptHead
	switch err := d.Decode(&head); {
	case err != nil:
		close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	case head != (keptHead{analysis, id}):
		close()
		return nil, nil, nil
	}
	return d, close, nil
}

// load is what was kept of a layer; nil is nothing that can be used.
func (c Cache) load(id digest.Digest) (*kept, error) {
	d, close, err := c.open(id)
	if close == nil {
		return nil, err
	}
	defer close()
	k := &kept{}
	if err := d.Decode(k); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path(id, suffix), err)
	}
	// The checksum of the stream is behind its end.
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something is behind its end: %w", c.path(id, suffix), cmp.Or(err, errors.New("more JSON")))
	}
	return k, nil
}

// store keeps what a layer told.
func (c Cache) store(id digest.Digest, k *kept) error {
	path := c.path(id, suffix)
	if path == "" {
		return nil
	}
	return c.write(path, func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			return err
		}
		b := bufio.NewWriterSize(z, 64<<10)
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		return errors.Join(e.Encode(keptHead{analysis, id}), e.Encode(k), b.Flush(), z.Close())
	})
}

// write writes a file that a reader sees whole, or not at all.
func (c Cache) write(path string, content func(io.Writer) error) (err error) {
	if err := os.MkdirAll(string(c), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(c), "new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := content(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return c.prune(maxCache)
}

// prune takes away the oldest files, until the rest has at most that many bytes.
func (c Cache) prune(most int64) error {
	entries, err := os.ReadDir(string(c))
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && (strings.HasSuffix(e.Name(), suffix) || strings.HasSuffix(e.Name(), configSuffix)) {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= most {
			return nil
		}
		total -= f.Size()
		err = errors.Join(err, os.Remove(filepath.Join(string(c), f.Name())))
	}
	return err
}
