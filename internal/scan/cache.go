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

	"github.com/plimsoll/plimsoll/internal/extract"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/secret"
)

// Cache is a folder that holds what layers told, a file a layer, by the digest of its tar
// stream. What a layer holds does not change, but who reads it does: a file of another
// version of them is as if it were not there. Only its owner may write there, since what is
// in it is believed. "" is no cache.
type Cache string

// analysis is the version of what is made of a layer: whoever changes what image, extract
// or secret make of the same bytes raises it.
const analysis = 1

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

	fresh bool // it was read just now
}

// Bounds of a cache: of a file as it is unpacked, and of all on disk. The layer of a
// distribution takes some 100 kB there.
const (
	maxKept  = 1 << 30
	maxCache = 1 << 30
)

// suffix ends the names of a cache's files.
const suffix = ".layer.zst"

// path is that of a layer's file; "" where nothing is kept.
func (c Cache) path(id digest.Digest) string {
	if c == "" || id.Validate() != nil {
		return ""
	}
	return filepath.Join(string(c), string(id.Algorithm())+"-"+id.Encoded()+suffix)
}

// load is what was kept of a layer; nil is nothing that can be used.
func (c Cache) load(id digest.Digest) (*kept, error) {
	path := c.path(id)
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer z.Close()
	d := json.NewDecoder(io.LimitReader(z, maxKept))
	var head keptHead
	if err := d.Decode(&head); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if head != (keptHead{analysis, id}) {
		return nil, nil
	}
	k := &kept{}
	if err := d.Decode(k); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// The checksum of the stream is behind its end.
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something is behind its end: %w", path, cmp.Or(err, errors.New("more JSON")))
	}
	return k, nil
}

// store keeps what a layer told. A reader sees a file whole, or not at all.
func (c Cache) store(id digest.Digest, k *kept) (err error) {
	path := c.path(id)
	if path == "" {
		return nil
	}
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
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(z, 64<<10)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := errors.Join(e.Encode(keptHead{analysis, id}), e.Encode(k), b.Flush(), z.Close()); err != nil {
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
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), suffix) {
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
