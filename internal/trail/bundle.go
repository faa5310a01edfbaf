package trail

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	checkpointsFile = "checkpoints"
	entriesTile     = "entries"
	// maxNote bounds a note; each signature on it is some hundred bytes.
	maxNote = 64 << 10
)

// Export writes a bundle: a tar archive with the trail as C2SP tlog-tiles has it.
//
//	checkpoint          the signed note of the whole
//	checkpoints         a line for each batch that was signed: SIZE ROOT SIGNATURE
//	tile/entries/N      the events of tile N, each with 2 bytes of length; none that was pruned
//	tile/0/N            behind them: their hashes
//	tile/1/…            last: the hashes above; a tile that is not full has .p/WIDTH
//
// With the trail's key nothing else is needed to verify it.
func (v *View) Export(ctx context.Context, w io.Writer) error {
	signed, err := v.Signed()
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	put := func(name string, data []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	}
	if err := put(checkpointFile, signed); err != nil {
		return err
	}
	var lines bytes.Buffer
	for i := range v.firsts {
		err := v.segment(i, func(b *batch) error {
			fmt.Fprintf(&lines, "%d %s %s\n", b.end(), b.root, base64.StdEncoding.EncodeToString(b.signature[:]))
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			return err
		}
	}
	if err := put(checkpointsFile, lines.Bytes()); err != nil {
		return err
	}
	for i := range v.First() / tileWidth {
		if err := v.putTile(put, tileID{0, i}); err != nil {
			return err
		}
	}
	var entries []byte
	seq := v.First()
	close := func() error {
		width := int(seq % tileWidth)
		index := (seq - 1) / tileWidth
		if err := put(tilePath(entriesTile, index, width), entries); err != nil {
			return err
		}
		entries = entries[:0]
		return v.putTile(put, tileID{0, index})
	}
	for r, err := range v.Events(0) {
		if err != nil {
			return err
		}
		entries = append(binary.BigEndian.AppendUint16(entries, uint16(len(r.Data))), r.Data...)
		if seq = r.Seq + 1; seq%tileWidth == 0 {
			if err := close(); err != nil {
				return err
			}
		}
	}
	if seq%tileWidth != 0 {
		if err := close(); err != nil {
			return err
		}
	}
	for level := 1; v.Size()>>(tileHeight*level) > 0; level++ {
		for i := range (v.Size()>>(tileHeight*level) + tileWidth - 1) / tileWidth {
			if err := v.putTile(put, tileID{level, i}); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// putTile puts a tile of hashes, as full as it is.
func (v *View) putTile(put func(string, []byte) error, t tileID) error {
	width := int(min(v.Size()>>(tileHeight*t.level)-t.index*tileWidth, tileWidth))
	hashes, err := v.tile(t, width)
	if err != nil {
		return err
	}
	return put(tilePath(fmt.Sprint(t.level), t.index, width%tileWidth), joinHashes(hashes))
}

// VerifyBundle verifies what Export wrote. The error is that of reading; what is wrong
// with the trail is in the result.
func VerifyBundle(ctx context.Context, r io.Reader, c VerifyConfig) (*Verified, error) {
	if c.Key == nil {
		return nil, errNoKey
	}
	v := newVerifier(c)
	err := v.bundle(ctx, tar.NewReader(bufio.NewReaderSize(r, 1<<20)))
	found := v.end()
	return found, err
}

// bundle reads the files in the only order that Export writes them in, each once, so
// that all of it goes by and nothing is kept but the hashes above the leaves.
func (v *verifier) bundle(ctx context.Context, in *tar.Reader) error {
	next := func(max int64) (string, error) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		h, err := in.Next()
		if err != nil {
			return "", err
		}
		if h.Typeflag != tar.TypeReg || h.Size > max {
			return "", fmt.Errorf("%q is not a file of a bundle", h.Name)
		}
		return h.Name, nil
	}
	name, err := next(maxNote)
	if err != nil || name != checkpointFile {
		return errors.Join(errors.New("this is not a bundle of a trail: it does not begin with a checkpoint"), err)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	head, err := v.Key.own(data)
	if err != nil {
		v.problem(checkpointFile, -1, "%v", err)
		return nil
	}
	v.want(head, checkpointFile)
	if name, err = next(1 << 40); err != nil || name != checkpointsFile {
		v.problem(checkpointsFile, -1, "it does not come second in the bundle")
		return nil
	}
	if err := v.lines(in, head.Size); err != nil {
		return err
	}
	b := bundleReader{v: v, size: head.Size, pruned: true}
	for {
		name, err := next(tileWidth * (maxEvent + 2))
		if errors.Is(err, io.EOF) {
			if b.entries != nil || v.edge.size != head.Size {
				v.problem("tile", v.edge.size, "the bundle ends here, and its checkpoint is of %d events", head.Size)
			} else if b.next(); b.level >= 0 {
				v.problem(b.name(), -1, "it is not in the bundle")
			}
			return nil
		}
		if err == nil {
			data, err = io.ReadAll(in)
		}
		if err != nil {
			return fmt.Errorf("reading the bundle: %w", err)
		}
		if strings.HasPrefix(name, "tile/"+entriesTile+"/") {
			b.addEntries(name, data)
		} else {
			b.tile(name, data)
		}
	}
}

// bundleReader checks the tiles of a bundle.
type bundleReader struct {
	v       *verifier
	size    int64
	pruned  bool     // no events have come yet
	entries [][]byte // of the bundle of entries that came, until its tile comes
	file    string
	// tileID is the tile above the leaves that comes next; above are all that were not
	// there yet.
	tileID
	above map[tileID][]tlog.Hash
}

// width is how full the tile of a level is in the tree.
func (b *bundleReader) width(t tileID) int {
	return int(min(b.size>>(tileHeight*t.level)-t.index*tileWidth, tileWidth))
}

func (b *bundleReader) addEntries(name string, data []byte) {
	first := b.v.edge.size
	t := tileID{0, first / tileWidth}
	width := b.width(t)
	if b.entries != nil || width <= 0 || name != tilePath(entriesTile, t.index, width%tileWidth) {
		b.v.problem(name, first, "it does not belong here: event %d comes next", first)
		return
	}
	if b.pruned {
		b.pruned, b.v.found.First = false, first
	}
	entries, whole := split(data, width)
	if !whole {
		b.v.problem(name, first+int64(len(entries)), "it is not %d events", width)
	}
	b.entries, b.file = entries, name
}

// tile compares a tile with the tree. At the leaves it comes behind its events, or in
// place of those that were pruned.
func (b *bundleReader) tile(name string, data []byte) {
	if b.v.edge.size < b.size {
		b.leaves(name, data)
		return
	}
	b.next()
	if b.level < 0 || name != b.name() {
		b.v.problem(name, -1, "it does not belong here")
		return
	}
	if !bytes.Equal(data, joinHashes(b.above[b.tileID])) {
		b.v.problem(name, b.firstEvent(), "it is not that of the events")
	}
	b.index++
}

// name is that of the tile that comes next.
func (b *bundleReader) name() string {
	return tilePath(fmt.Sprint(b.level), b.index, b.width(b.tileID)%tileWidth)
}

// next goes to the tile above the leaves that comes next; its level is -1 when all came.
func (b *bundleReader) next() {
	if b.above == nil {
		b.above = map[tileID][]tlog.Hash{}
		for _, t := range b.v.edge.full {
			b.above[tileID{t.level, t.index}] = t.hashes
		}
		for level, hashes := range b.v.edge.open {
			b.above[tileID{level, b.size >> (tileHeight * (level + 1))}] = hashes
		}
		b.level = 1
	}
	if b.level > 0 && len(b.above[b.tileID]) == 0 {
		if b.tileID = (tileID{b.level + 1, 0}); len(b.above[b.tileID]) == 0 {
			b.level = -1
		}
	}
}

// leaves takes the hashes of a tile of leaves, and the events before it.
func (b *bundleReader) leaves(name string, data []byte) {
	v, first := b.v, b.v.edge.size
	t := tileID{0, first / tileWidth}
	width := b.width(t)
	if name != tilePath("0", t.index, width%tileWidth) || len(data) != width*tlog.HashSize || !b.pruned && b.entries == nil {
		v.problem(name, first, "it does not belong here: event %d comes next", first)
		return
	}
	for i := range width {
		h := tlog.Hash(data[i*tlog.HashSize:])
		if i < len(b.entries) {
			v.entry(first+int64(i), b.entries[i], b.file)
			if tlog.RecordHash(b.entries[i]) != h {
				v.problem(b.file, first+int64(i), "it is not the event whose hash is in %s", name)
			}
		}
		v.leaf(h)
	}
	b.entries = nil
}

// lines reads the checkpoints of all batches.
func (v *verifier) lines(r io.Reader, size int64) error {
	last := Checkpoint{Size: -1}
	in := bufio.NewScanner(r)
	for in.Scan() {
		sizeRoot, signed, _ := cutLast(in.Text(), " ")
		c, err := ParseSizeRoot(sizeRoot)
		data, err2 := base64.StdEncoding.Strict().DecodeString(signed)
		if err != nil || err2 != nil || len(data) != signatureBytes || c.Size < last.Size || c.Size > size || c.Size == last.Size && c != last {
			v.problem(checkpointsFile, -1, "%q is not a line of it", in.Text())
			return nil
		}
		if c != last { // a segment repeats the one before it
			v.want(c, checkpointsFile)
		}
		last = c
		v.checkpoint(c, signature(data), checkpointsFile)
	}
	if last.Size != size {
		v.problem(checkpointsFile, -1, "its last line is of %d events, not of %d", last.Size, size)
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("reading the bundle: %s: %w", checkpointsFile, err)
	}
	return nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// BundleCheckpoint reads the signed note that a bundle begins with, and checks nothing.
func BundleCheckpoint(r io.Reader) ([]byte, error) {
	in := tar.NewReader(r)
	h, err := in.Next()
	if err != nil || h.Name != checkpointFile || h.Size > maxNote {
		return nil, errors.Join(errors.New("this is not a bundle of a trail: it does not begin with a checkpoint"), err)
	}
	return io.ReadAll(in)
}
