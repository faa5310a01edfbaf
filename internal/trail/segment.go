package trail

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"
)

// A segment is batches, one behind the other, and then nothing but zeros; the first batch
// has no entries, and says with its signature what the tree was before the segment. A
// batch is, in big endian:
//
//	4   "plb1"
//	4   bytes of its entries
//	4   number of its entries
//	8   number of its first entry
//	32  root of the tree with its entries
//	64  signature of that checkpoint
//	4   CRC-32C of its entries
//	4   CRC-32C of all before this
//	    entries, each 2 bytes of length and its bytes, as in C2SP tlog-tiles
const (
	batchMagic  = "plb1"
	batchHeader = 4 + 4 + 4 + 8 + tlog.HashSize + signatureBytes + 4 + 4
	// maxBatch bounds the bytes of the entries of a batch, and so what a crash may tear.
	maxBatch = 1 << 20
)

// checksum is the CRC-32C of data. Its table is made when it is first asked for.
func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// batch is some events that were made durable together, and the checkpoint behind them.
type batch struct {
	first     int64
	entries   [][]byte
	root      tlog.Hash
	signature signature
}

// end is the tree's size with the batch.
func (b *batch) end() int64 { return b.first + int64(len(b.entries)) }

func (b *batch) append(out []byte) []byte {
	start := len(out)
	out = append(out, make([]byte, batchHeader)...)
	for _, e := range b.entries {
		out = binary.BigEndian.AppendUint16(out, uint16(len(e)))
		out = append(out, e...)
	}
	h, entries := out[start:start+batchHeader], out[start+batchHeader:]
	w := h[copy(h, batchMagic):]
	put := func(n uint32) { binary.BigEndian.PutUint32(w, n); w = w[4:] }
	put(uint32(len(entries)))
	put(uint32(len(b.entries)))
	binary.BigEndian.PutUint64(w, uint64(b.first))
	w = w[8:]
	w = w[copy(w, b.root[:]):]
	w = w[copy(w, b.signature[:]):]
	put(checksum(entries))
	put(checksum(h[:batchHeader-4]))
	return out
}

// header is what a batch says of itself before its entries.
type header struct {
	batch
	count, bytes int
	sum          uint32
}

// readHeader reads the header of a batch at the start of data. It says false where there
// is none whose sum is right.
func readHeader(data []byte) (header, bool) {
	var h header
	if len(data) < batchHeader || string(data[:4]) != batchMagic {
		return h, false
	}
	r := data[4:batchHeader]
	get := func() uint32 { n := binary.BigEndian.Uint32(r); r = r[4:]; return n }
	length, count := get(), get()
	first := binary.BigEndian.Uint64(r)
	r = r[8:]
	r = r[copy(h.root[:], r):]
	r = r[copy(h.signature[:], r):]
	h.sum = get()
	if checksum(data[:batchHeader-4]) != get() || length > maxBatch+maxEvent+2 || 2*uint64(count) > uint64(length) || first > 1<<62 {
		return h, false
	}
	h.first, h.count, h.bytes = int64(first), int(count), int(length)
	return h, true
}

// split parts entries into so many.
func split(data []byte, count int) ([][]byte, bool) {
	entries := make([][]byte, 0, count)
	for len(data) >= 2 && len(entries) < count {
		n := int(binary.BigEndian.Uint16(data))
		if data = data[2:]; len(data) < n {
			return entries, false
		}
		entries = append(entries, data[:n:n])
		data = data[n:]
	}
	return entries, len(entries) == count && len(data) == 0
}

// brokenError says where a segment cannot be read.
type brokenError struct {
	offset int
	what   string
	// torn says that a crash while the last batch was written explains it.
	torn bool
	// header is of the batch whose entries are not what they were, if its own is.
	header *header
	rest   []byte
}

func (e *brokenError) Error() string { return fmt.Sprintf("byte %d: %s", e.offset, e.what) }

// parseSegment calls f with each batch of a segment. It gives the number of bytes of
// whole batches, behind which are zeros, and an error of f or a *brokenError. Entries are
// parts of data.
func parseSegment(data []byte, f func(b *batch) error) (int, error) {
	at := 0
	for at < len(data) {
		rest := data[at:]
		h, ok := readHeader(rest)
		if !ok && zeros(rest) {
			return at, nil
		}
		if !ok {
			return at, &brokenError{offset: at, what: "here no batch of events begins", torn: !headerIn(rest[1:])}
		}
		if len(rest) < batchHeader+h.bytes {
			return at, &brokenError{offset: at, what: "the batch is not all there", torn: true, header: &h, rest: rest[batchHeader:]}
		}
		entries := rest[batchHeader : batchHeader+h.bytes]
		rest = rest[batchHeader+h.bytes:]
		b := h.batch
		whole := checksum(entries) == h.sum
		if whole {
			b.entries, whole = split(entries, h.count)
		}
		if !whole {
			return at, &brokenError{offset: at, what: "the events of the batch are not those that were written", torn: zeros(rest), header: &h, rest: entries}
		}
		if err := f(&b); err != nil {
			return at, err
		}
		at += batchHeader + h.bytes
	}
	return at, nil
}

// zeros says whether data is nothing else.
func zeros(data []byte) bool { return bytes.Count(data, []byte{0}) == len(data) }

// headerIn says whether there is the header of a batch anywhere in data, or more bytes
// than a batch has: then what is before was not torn by a crash.
func headerIn(data []byte) bool {
	data = bytes.TrimRight(data, "\x00")
	if len(data) > batchHeader+maxBatch+maxEvent+2 {
		return true
	}
	for {
		i := bytes.Index(data, []byte(batchMagic))
		if i < 0 {
			return false
		}
		if _, ok := readHeader(data[i:]); ok {
			return true
		}
		data = data[i+1:]
	}
}

const segmentDir = "events"

// segmentName is the file of the segment whose first event is seq.
func segmentName(seq int64) string { return fmt.Sprintf("%s/%020d", segmentDir, seq) }

// segments lists the first events of all segments of a folder, in their order.
func segments(d disk) ([]int64, error) {
	names, err := d.Names(segmentDir)
	if err != nil {
		return nil, err
	}
	var firsts []int64
	for _, name := range names {
		n, err := strconv.ParseInt(name, 10, 64)
		if err != nil || segmentName(n) != segmentDir+"/"+name {
			return nil, corrupt(segmentDir+"/"+name, -1, "no file of a trail is called so")
		}
		firsts = append(firsts, n)
	}
	return firsts, nil
}
