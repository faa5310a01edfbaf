package vuln

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Bounds on a zip. The largest in use has half a million records and two gigabytes.
const (
	maxEntries = 4 << 20
	maxTotal   = 16 << 30
	// mostBad is how many of a hundred records may be bad.
	mostBad = 1
)

// ErrOrder says that a family's versions have no known order: whoever imports a folder
// leaves that family out.
var ErrOrder = errors.New("the order of its versions is not known")

// Source is one zip of records, of one family.
type Source struct {
	Family string
	Path   string
	// Name is what the file says that it was made of; "" is Path.
	Name string
}

// Compile writes the file of a source. Records about other families, and withdrawn ones, are
// left out; one that cannot be read is skipped and counted, and over one in a hundred are
// an error, with the first reason. The order of the entries in the zip does not matter.
func Compile(ctx context.Context, w io.Writer, s Source) (Counts, error) {
	if !hasOrder(s.Family) {
		return Counts{}, fmt.Errorf("%s: %w", s.Family, ErrOrder)
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return Counts{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Counts{}, err
	}
	if !info.Mode().IsRegular() {
		return Counts{}, fmt.Errorf("%s is no file", s.Path)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(f, 0, info.Size())); err != nil {
		return Counts{}, err
	}
	z, err := zip.NewReader(f, info.Size())
	if err != nil {
		return Counts{}, fmt.Errorf("%s: %w", s.Path, err)
	}
	if s.Name == "" {
		s.Name = s.Path
	}
	c, err := newCompiler(s.Family, s.Name, [32]byte(hash.Sum(nil)))
	if err != nil {
		return Counts{}, err
	}
	if err := c.readAll(ctx, s.Path, z); err != nil {
		return Counts{}, err
	}
	if err := c.write(w); err != nil {
		return Counts{}, fmt.Errorf("%s: %w", s.Path, err)
	}
	return c.head.Counts, nil
}

// readAll takes the records of a zip in the order of their names.
func (c *compiler) readAll(ctx context.Context, path string, z *zip.Reader) error {
	if len(z.File) > maxEntries {
		return fmt.Errorf("%s has %d entries, and %d is the most", path, len(z.File), maxEntries)
	}
	entries := slices.Clone(z.File)
	slices.SortStableFunc(entries, func(x, y *zip.File) int { return strings.Compare(x.Name, y.Name) })
	var first error
	var total int64
	counts := &c.head.Counts
	for _, e := range entries {
		if !strings.HasSuffix(e.Name, ".json") {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		counts.Records++
		data, err := readEntry(e)
		if total += int64(len(data)); total > maxTotal {
			return fmt.Errorf("%s has more than %d bytes of records, which is the most", path, int64(maxTotal))
		}
		var r *Record
		if err == nil {
			r, err = ReadRecord(path+": "+e.Name, data)
		}
		if err == nil {
			err = c.add(r)
		}
		if err != nil {
			counts.Bad++
			if first == nil {
				first = err
			}
		}
	}
	if counts.Bad*100 > counts.Records*mostBad {
		return fmt.Errorf("%d of %d records of %s can't be read, the first: %w", counts.Bad, counts.Records, path, first)
	}
	return nil
}

// readEntry unpacks an entry, however large it says that it is.
func readEntry(e *zip.File) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%.200q: %w", e.Name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxEntry+1))
	if err != nil {
		return nil, fmt.Errorf("%.200q: %w", e.Name, err)
	}
	return data, nil
}
