package vuln

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// DB is one compiled file. Several goroutines may ask it at once, until it is closed.
//
// The file is mapped, since a look-up touches a dozen places of it: each would be a read of
// its own. Nobody writes to a file that is there (a new one is renamed over it), so that a
// mapping stays valid; nothing that DB gives points into it.
type DB struct {
	path   string
	head   header
	index  [sections][]byte
	detail []byte
	mapped []byte
}

// Details is what an advisory says, for people.
type Details struct {
	ID         string      `json:"id"`
	Summary    string      `json:"summary,omitempty"`
	Details    string      `json:"details,omitempty"`
	References []Reference `json:"references,omitempty"`
}

// Status is what a compiled file holds.
type Status struct {
	Family string
	// Source is the zip that it was made of, SHA256 that one's.
	Source string
	SHA256 [32]byte
	// Newest is when the newest of its records was modified: the state of the data.
	Newest time.Time
	// Size is the file's, in bytes.
	Size   int64
	Counts Counts
}

// Open opens a compiled file and checks its index. A damaged file is an error that names it.
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() < int64(headerSize) || info.Size() > math.MaxInt {
		return nil, fmt.Errorf("%s: it is no compiled database", path)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	d, err := read(path, mapped)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(mapped))
	}
	d.mapped = mapped
	return d, nil
}

// read checks the bytes of a file, and takes them for a DB.
func read(path string, b []byte) (*DB, error) {
	h, err := decodeHeader(b, uint64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d := &DB{path: path, head: *h}
	rest := b[headerSize:]
	var sum uint32
	for i, n := range h.Sizes {
		d.index[i], rest = rest[:n:n], rest[n:]
		sum = crc32.Update(sum, castagnoli, d.index[i])
	}
	d.detail = rest
	if sum != h.IndexCRC {
		return nil, fmt.Errorf("%s: its index is damaged", path)
	}
	return d, nil
}

// Close lets go of the file.
func (d *DB) Close() error {
	if d.mapped == nil {
		return nil
	}
	err := unix.Munmap(d.mapped)
	*d = DB{path: d.path}
	return err
}

// family is the ecosystem that the file is about.
func (d *DB) family() string { return string(bytes.TrimRight(d.head.Family[:], "\x00")) }

// Status tells what the file holds.
func (d *DB) Status() Status {
	size := int64(headerSize) + int64(d.head.Details)
	for _, n := range d.head.Sizes {
		size += int64(n)
	}
	return Status{Family: d.family(), Source: string(bytes.TrimRight(d.head.Source[:], "\x00")), SHA256: d.head.SHA256, Newest: d.head.newest(), Size: size, Counts: d.head.Counts}
}

// damaged is the error of a file whose sums are right and whose references are not.
func (d *DB) damaged(what string) error { return fmt.Errorf("%s: its %s is damaged", d.path, what) }

// entry gives the numbers of an entry of a section, width bytes wide.
func (d *DB) entry(section, width int, n uint32) ([]byte, error) {
	s := d.index[section]
	if uint64(n) >= uint64(len(s)/width) {
		return nil, d.damaged(fmt.Sprintf("index (section %d)", section))
	}
	return s[int(n)*width : (int(n)+1)*width], nil
}

// text gives the bytes of a string, which are the file's own.
func (d *DB) text(ref uint64) ([]byte, error) {
	if ref < uint64(len(d.index[secStrings])) {
		s := d.index[secStrings][ref:]
		if n, k := binary.Uvarint(s); k > 0 && n <= min(maxName, uint64(len(s)-k)) {
			return s[k:][:n], nil
		}
	}
	return nil, d.damaged("index (strings)")
}

// word gives a string.
func (d *DB) word(ref uint32) (string, error) {
	b, err := d.text(uint64(ref))
	return string(b), err
}

// reader reads an item of the section of data.
type reader struct {
	d    *DB
	rest []byte
	err  error
}

func (d *DB) data(ref uint32) *reader {
	if uint64(ref) >= uint64(len(d.index[secData])) {
		return &reader{d: d, err: d.damaged("index (data)")}
	}
	return &reader{d: d, rest: d.index[secData][ref:]}
}

// number reads one, 0 after an error.
func (r *reader) number() uint64 {
	if r.err != nil {
		return 0
	}
	n, k := binary.Uvarint(r.rest)
	if k <= 0 {
		r.err = r.d.damaged("index (data)")
		return 0
	}
	r.rest = r.rest[k:]
	return n
}

// count reads how many follow, each of a byte at least.
func (r *reader) count() int {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err = r.d.damaged("index (data)")
		return 0
	}
	return int(n)
}

// word reads a string.
func (r *reader) word() string {
	n := r.number()
	if r.err != nil {
		return ""
	}
	b, err := r.d.text(n)
	if err != nil {
		r.err = err
	}
	return string(b)
}

// words reads a list of strings.
func (r *reader) words() []string {
	n := r.count()
	var list []string
	for range n {
		if r.err != nil {
			return nil
		}
		list = append(list, r.word())
	}
	return list
}

// severity reads a severity.
func (r *reader) severity() Severity {
	level, tenths := r.number(), r.number()
	if level > uint64(Critical) || tenths > 101 {
		r.err = r.d.damaged("index (data)")
	}
	return Severity{Level: Level(level), Tenths: int(tenths) - 1, Vectors: r.words()}
}

// knows says whether some record names the ecosystem.
func (d *DB) knows(ecosystem string) (bool, error) {
	n := len(d.index[secReleases]) / 4
	lo, hi := 0, n
	for lo < hi {
		mid := (lo + hi) / 2
		have, err := d.word(binary.LittleEndian.Uint32(d.index[secReleases][4*mid:]))
		switch {
		case err != nil:
			return false, err
		case have == ecosystem:
			return true, nil
		case have < ecosystem:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false, nil
}

// rows gives the rows of a package.
func (d *DB) rows(ecosystem, name string) ([]row, error) {
	slots := d.index[secHash]
	mask := uint64(len(slots)/4 - 1)
	at := keyHash(ecosystem, name) & mask
	for range len(slots) / 4 {
		n := binary.LittleEndian.Uint32(slots[4*at:])
		if n == 0 {
			return nil, nil
		}
		k, err := d.entry(secKeys, keySize, n-1)
		if err != nil {
			return nil, err
		}
		e, err := d.text(uint64(binary.LittleEndian.Uint32(k)))
		if err != nil {
			return nil, err
		}
		p, err := d.text(uint64(binary.LittleEndian.Uint32(k[4:])))
		if err != nil {
			return nil, err
		}
		if string(e) == ecosystem && string(p) == name {
			return d.rowsOf(binary.LittleEndian.Uint32(k[8:]), binary.LittleEndian.Uint32(k[12:]))
		}
		at = (at + 1) & mask
	}
	return nil, nil
}

func (d *DB) rowsOf(first, count uint32) ([]row, error) {
	if uint64(first)+uint64(count) > uint64(len(d.index[secRows])/rowSize) {
		return nil, d.damaged("index (keys)")
	}
	list := make([]row, count)
	for i := range list {
		b := d.index[secRows][(int(first)+i)*rowSize:]
		get := binary.LittleEndian.Uint32
		list[i] = row{advisory: get(b), ranges: get(b[4:]), severity: get(b[8:]), urgency: get(b[12:])}
	}
	return list, nil
}

// each gives the names and the severity of every row.
func (d *DB) each(visit func(names, Severity)) error {
	list, err := d.rowsOf(0, uint32(len(d.index[secRows])/rowSize))
	if err != nil {
		return err
	}
	for _, r := range list {
		n, err := d.names(r.advisory)
		b := d.data(r.severity)
		s := b.severity()
		if err = errors.Join(err, b.err); err != nil {
			return err
		}
		visit(n, s)
	}
	return nil
}

// names are the ids of an advisory.
type names struct {
	id                string
	aliases, upstream []string
}

func (d *DB) names(advisory uint32) (names, error) {
	b, err := d.entry(secAdvisories, advisorySize, advisory)
	if err != nil {
		return names{}, err
	}
	get := binary.LittleEndian.Uint32
	n := names{}
	if n.id, err = d.word(get(b)); err != nil {
		return n, err
	}
	a, u := d.data(get(b[4:])), d.data(get(b[8:]))
	n.aliases, n.upstream = a.words(), u.words()
	return n, errors.Join(a.err, u.err)
}

// unpack is made when it is first needed: most runs show no texts. It takes no more than a block may hold: an advisory is no larger than its record,
// six times at most, where JSON escapes each of its bytes.
var unpack = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(6*maxEntry+blockWanted))
})

// details reads what an advisory says.
func (d *DB) details(advisory uint32) (*Details, error) {
	b, err := d.entry(secAdvisories, advisorySize, advisory)
	if err != nil {
		return nil, err
	}
	get := binary.LittleEndian.Uint32
	block, err := d.entry(secBlocks, blockSize, get(b[12:]))
	if err != nil {
		return nil, err
	}
	at, size := binary.LittleEndian.Uint64(block), uint64(get(block[8:]))
	if at > uint64(len(d.detail)) || size > uint64(len(d.detail))-at {
		return nil, d.damaged("index (blocks)")
	}
	packed := d.detail[at:][:size]
	if crc32.Checksum(packed, castagnoli) != get(block[16:]) {
		return nil, d.damaged("text of advisories")
	}
	z, err := unpack()
	if err != nil {
		return nil, err
	}
	text, err := z.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: unpacking: %w", d.path, err)
	}
	from, length := uint64(get(b[16:])), uint64(get(b[20:]))
	if from+length > uint64(len(text)) {
		return nil, d.damaged("index (advisories)")
	}
	out := &Details{}
	if err := json.Unmarshal(text[from:from+length], out); err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	return out, nil
}
