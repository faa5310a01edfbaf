package extract

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/java/archive"

	"github.com/plimsoll/plimsoll/internal/image"
)

// Bounds of a Java archive with all that are in it.
const (
	// deepest is how many archives may lie in each other: applications have an ear, a war in
	// it, and jars in that.
	deepest = 8
	// mostInner is how many bytes the inner ones may have, and mostArchives how many there may
	// be; mostInnerOfAll is how many bytes those in all archives of an image may have.
	mostInner      = 1 << 30
	mostArchives   = 10_000
	mostInnerOfAll = 8 * mostInner
	// mostDirectory is how many bytes the list of members may have: of a large application
	// it has some MiB.
	mostDirectory = 32 << 20
	// mostManifest is how many bytes a manifest or a pom.properties may have, and mostTold all
	// of an archive.
	mostManifest = 1 << 20
	mostTold     = 64 << 20
	// innerInMemory is up to which size an inner archive is kept in memory, while those that
	// it is in are open too.
	innerInMemory = 4 << 20
	// leastArchive is how many bytes one has that holds anything: an empty one has 22.
	leastArchive = 30
	// mostUnread is of how many inner ones it is told why they could not be read.
	mostUnread = 8
)

// newJava makes the extractor, which reads a single archive here: it would unpack those in
// it into memory, whatever their size.
func newJava(c *cpb.PluginConfig) (filesystem.Extractor, error) {
	no := false
	c.PluginSpecific = append(c.PluginSpecific, &cpb.PluginSpecificConfig{Config: &cpb.PluginSpecificConfig_JavaArchive{JavaArchive: &cpb.JavaArchiveConfig{MaxZipDepth: 1, HashJars: &no}}})
	return archive.New(c)
}

// tooDeep is what the extractor says of each archive in the one that it reads.
const tooDeep = archive.Name + " reached max zip depth 2"

// javaReader reads an archive with those in it.
type javaReader struct {
	f        *Finder
	found    *Found
	left     int64 // bytes of inner archives
	archives int   // how many inner ones there still may be
	unread   []error
	ended    error // why no more of them are read
}

// java reads a Java archive. One in it that cannot be read leaves the others.
func (f *Finder) java(ctx context.Context, e *image.Entry, body io.Reader, found *Found) error {
	content, err := f.seekable(body, e.Size, inMemory, &f.buffer)
	if err != nil {
		return err
	}
	defer content.Close()
	r := &javaReader{f: f, found: found, left: mostInner, archives: mostArchives}
	r.tell(r.archive(ctx, strings.TrimPrefix(e.Path, "/"), content, e.Size, 1))
	return errors.Join(append([]error{r.ended}, r.unread...)...)
}

// tell notes why an archive could not be read.
func (r *javaReader) tell(err error) {
	if err != nil && r.ended == nil && len(r.unread) < mostUnread {
		r.unread = append(r.unread, err)
	}
}

// archive reads one at a path, which goes on inside of the file, then those in it.
func (r *javaReader) archive(ctx context.Context, at string, content seekable, size int64, depth int) error {
	if depth > deepest {
		return fmt.Errorf("%s lies in %d others", at, depth-1)
	}
	if size < leastArchive {
		return nil
	}
	bounded := &bounded{r: content, left: mostDirectory}
	z, err := zip.NewReader(bounded, size)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	bounded.left = math.MaxInt64
	told := uint64(0)
	for _, m := range z.File {
		if base := path.Base(m.Name); base != "pom.properties" && !strings.EqualFold(base, "MANIFEST.MF") {
			continue
		}
		// No more than that many can be read: archive/zip sees to it.
		if told += min(m.UncompressedSize64, mostTold); m.UncompressedSize64 > mostManifest || told > mostTold {
			return fmt.Errorf("%s: %s has %d bytes, and %d is the most", at, m.Name, m.UncompressedSize64, mostManifest)
		}
	}
	in := &filesystem.ScanInput{FS: empty{}, Path: at, Info: info{&image.Entry{Path: at, Size: size}}, Reader: content}
	r.tell(withoutInner(r.f.run(ctx, javaArchive, in, r.found)))
	for _, m := range z.File {
		if !archive.IsArchive(m.Name) || m.FileInfo().IsDir() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.tell(r.member(ctx, at+path.Clean("/"+m.Name), m, depth+1)); r.ended != nil {
			return nil
		}
	}
	return nil
}

// member reads an archive that is in another.
func (r *javaReader) member(ctx context.Context, at string, m *zip.File, depth int) error {
	r.archives--
	if m.UncompressedSize64 > uint64(r.left) || r.archives < 0 {
		r.ended = fmt.Errorf("the archives in it are more than %d, or have more than %d bytes: the others are not read", mostArchives, mostInner)
		return nil
	}
	size := int64(m.UncompressedSize64)
	if size > r.f.inner {
		r.f.exhausted = true
		r.ended = fmt.Errorf("the archives in others have more than %d bytes in the whole image: those left are not read", int64(mostInnerOfAll))
		return nil
	}
	r.left -= size
	r.f.inner -= size
	body, err := m.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	defer body.Close()
	content, err := r.f.seekable(body, size, innerInMemory, &bytes.Buffer{})
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	defer content.Close()
	return r.archive(ctx, at, content, size, depth)
}

// withoutInner takes from an extractor's error what it says of the archives that it was told
// to leave.
func withoutInner(err error) error {
	if err == nil {
		return nil
	}
	list := []error{errors.Unwrap(err)}
	if several, is := list[0].(interface{ Unwrap() []error }); is {
		list = several.Unwrap()
	}
	var others []error
	for _, e := range list {
		if e == nil {
			return err // of another form: all of it counts
		}
		if e.Error() != tooDeep {
			others = append(others, e)
		}
	}
	return errors.Join(others...)
}

// bounded reads so many bytes, and then no more.
type bounded struct {
	r    io.ReaderAt
	left int64
}

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("its list of members has more than %d bytes", mostDirectory)
	}
	return b.r.ReadAt(p, off)
}
