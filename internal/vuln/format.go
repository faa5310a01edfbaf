package vuln

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// The compiled file, little-endian, each part right behind the one before:
//
//	header       fixed; its CRC-32C last
//	index        eight sections; the header has their sizes and one CRC-32C of all
//	  strings    uvarint length, bytes; a reference is the offset
//	  data       lists and ranges; a reference is the offset
//	  releases   u32 string: each ecosystem that a record names, sorted
//	  keys       keySize: ecosystem, name (strings), first row, rows
//	  hash       u32 key + 1, 0 for none: open addressing by FNV-1a of the key
//	  rows       rowSize: advisory, ranges (data), severity (data), urgency (string)
//	  advisories advisorySize: id (string), aliases, upstream (data), block, offset, length, modified
//	  blocks     blockSize: offset, size, unpacked, CRC-32C
//	details      the blocks: zstd of about 64 KiB of JSON, one object an advisory
//
// Offset 0 of strings and data is the empty string and the empty list. A look-up never
// touches the details. Every byte is under some checksum: [Open] checks all but the
// details, which are checked when they are read.
const (
	magic         = "plimvuln"
	formatVersion = 1

	keySize      = 16
	rowSize      = 16
	advisorySize = 32
	blockSize    = 24
	blockWanted  = 64 << 10
)

// The sections of the index, in their order.
const (
	secStrings = iota
	secData
	secReleases
	secKeys
	secHash
	secRows
	secAdvisories
	secBlocks
	sections
)

// Counts are what was read and what came of it.
type Counts struct {
	// Records were read; Withdrawn of them and Bad, which could not be read, were left out.
	Records, Withdrawn, Bad uint64
	// Unreadable are ranges that no version can be compared with.
	Unreadable uint64
	// Advisories speak of packages of the family, by Rows: one for each package and record.
	Advisories, Keys, Rows uint64
}

// header is the beginning of a file.
type header struct {
	Magic   [8]byte
	Version uint32
	Family  [64]byte // zeros behind
	Source  [256]byte
	SHA256  [32]byte
	// Newest is the newest modified of a record, in seconds of Unix.
	Newest   int64
	Counts   Counts
	Sizes    [sections]uint64
	Details  uint64
	IndexCRC uint32
	CRC      uint32 // of what is before it
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// headerSize is the size of a header in bytes.
var headerSize = binary.Size(header{})

// encode writes a header, with its checksum.
func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b, err := binary.Append(b, binary.LittleEndian, h)
	if err != nil {
		panic(err) // it has a fixed size
	}
	binary.LittleEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
	return b
}

// decodeHeader reads and checks the header of a file of so many bytes.
func decodeHeader(b []byte, size uint64) (*header, error) {
	if len(b) < headerSize || !bytes.HasPrefix(b, []byte(magic)) {
		return nil, errors.New("it is no compiled database")
	}
	h := &header{}
	if _, err := binary.Decode(b, binary.LittleEndian, h); err != nil {
		return nil, err
	}
	if h.Version != formatVersion {
		return nil, fmt.Errorf("its format is %d, and this program reads %d", h.Version, formatVersion)
	}
	if crc32.Checksum(b[:headerSize-4], castagnoli) != h.CRC {
		return nil, errors.New("its header is damaged")
	}
	rest := size - uint64(headerSize)
	for i, n := range append(h.Sizes[:], h.Details) {
		if n > rest || i < sections && n > math.MaxUint32 {
			return nil, errors.New("it is cut off")
		}
		rest -= n
	}
	if rest != 0 {
		return nil, errors.New("there is something behind its end")
	}
	for sec, width := range map[int]uint64{secReleases: 4, secKeys: keySize, secHash: 4, secRows: rowSize, secAdvisories: advisorySize, secBlocks: blockSize} {
		if h.Sizes[sec]%width != 0 {
			return nil, fmt.Errorf("section %d of its index has no whole number of entries", sec)
		}
	}
	slots := h.Sizes[secHash] / 4
	if slots == 0 || slots&(slots-1) != 0 || slots <= h.Sizes[secKeys]/keySize {
		return nil, errors.New("its hash table has a wrong size")
	}
	return h, nil
}

// newest is when the newest record was modified.
func (h *header) newest() time.Time { return time.Unix(h.Newest, 0).UTC() }

// keyHash is FNV-1a of a key.
func keyHash(ecosystem, name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(ecosystem) {
		h = (h ^ uint64(ecosystem[i])) * prime
	}
	h *= prime // a zero byte
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return h ^ h>>32
}
