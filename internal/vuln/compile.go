package vuln

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// compiler makes the file of one family of its records. The same records in the same order
// give the same bytes.
type compiler struct {
	head       header
	family     string
	strings    table
	data       table
	keys       map[[2]string][]row
	releases   map[string]bool
	ids        map[string]bool
	advisory   []byte
	advisories uint32
	blocks     []byte
	blockN     uint32
	block      []byte // of the open block, unpacked
	details    []byte // packed
	pack       *zstd.Encoder
}

// row is one package of one record, by references.
type row struct{ advisory, ranges, severity, urgency uint32 }

// table holds byte strings once each, by offset.
type table struct {
	bytes []byte
	at    map[string]uint32
}

// add gives the offset of what is put in as it is.
func (t *table) add(b string) uint32 {
	if at, ok := t.at[b]; ok {
		return at
	}
	at := uint32(min(len(t.bytes), math.MaxUint32)) // that it has no room is found by write
	t.at[b] = at
	t.bytes = append(t.bytes, b...)
	return at
}

func newCompiler(family, source string, sum [32]byte) (*compiler, error) {
	c := &compiler{family: family, keys: map[[2]string][]row{}, releases: map[string]bool{}, ids: map[string]bool{}}
	copy(c.head.Magic[:], magic)
	c.head.Version = formatVersion
	if copy(c.head.Family[:], family) < len(family) {
		return nil, fmt.Errorf("the ecosystem %.80q has too long a name", family)
	}
	for len(source) > len(c.head.Source) { // the end of a path tells more
		source = source[1:]
	}
	copy(c.head.Source[:], source)
	c.head.SHA256 = sum
	c.head.Newest = math.MinInt64
	for _, t := range []*table{&c.strings, &c.data} {
		t.at = map[string]uint32{}
		t.add("\x00")
	}
	var err error
	c.pack, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	return c, err
}

// word gives the reference of a string.
func (c *compiler) word(s string) uint32 {
	return c.strings.add(string(binary.AppendUvarint(nil, uint64(len(s)))) + s)
}

// words appends a list of strings.
func (c *compiler) words(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = binary.AppendUvarint(b, uint64(c.word(s)))
	}
	return b
}

// add takes a record. The error says why it is a bad one.
func (c *compiler) add(r *Record) error {
	if c.ids[r.ID] {
		return fmt.Errorf("%s is there twice", r.ID)
	}
	c.ids[r.ID] = true
	c.head.Newest = max(c.head.Newest, r.changed().Unix())
	if r.Withdrawn != nil {
		c.head.Counts.Withdrawn++
		return nil
	}
	number, ours := c.advisories, false
	for i := range r.Affected {
		a := &r.Affected[i]
		if Family(a.Package.Ecosystem) != c.family || a.Package.Name == "" {
			continue
		}
		ranges := c.ranges(a)
		c.releases[a.Package.Ecosystem] = true
		urgency := a.urgency()
		k := [2]string{a.Package.Ecosystem, normalName(c.family, a.Package.Name)}
		n := row{advisory: number, ranges: c.data.add(string(ranges)), severity: c.data.add(string(c.severity(severityOf(r, a, urgency)))), urgency: c.word(urgency)}
		if urgency == "" {
			n.urgency = 0
		}
		c.keys[k] = append(c.keys[k], n)
		c.head.Counts.Rows++
		ours = true
	}
	if !ours {
		return nil
	}
	c.advisories++
	return c.describe(r)
}

// ranges encodes what is affected: how many ranges are unreadable, the ranges, and of the
// versions in the list those that no range has, since the rule is the union.
func (c *compiler) ranges(a *Affected) []byte {
	var readable [][]event
	unreadable := 0
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue // a version does not tell the commit
		}
		events, err := eventsOf(c.family, r)
		if err != nil {
			unreadable++
			continue
		}
		readable = append(readable, events)
	}
	c.head.Counts.Unreadable += uint64(unreadable)
	b := binary.AppendUvarint(nil, uint64(unreadable))
	b = binary.AppendUvarint(b, uint64(len(readable)))
	for _, events := range readable {
		b = binary.AppendUvarint(b, uint64(len(events)))
		for _, e := range events {
			b = append(b, byte(e.kind))
			b = binary.AppendUvarint(b, uint64(c.word(e.version)))
		}
	}
	var rest []string
	for _, v := range a.Versions {
		if v != "" && len(v) <= maxVersion && !slices.ContainsFunc(readable, func(events []event) bool {
			at, err := ordered(c.family, v)
			if err != nil {
				return false
			}
			in, _, err := within(at, events)
			return err == nil && in
		}) {
			rest = append(rest, normalVersion(c.family, v))
		}
	}
	slices.Sort(rest)
	return c.words(b, slices.Compact(rest))
}

// severity encodes a severity.
func (c *compiler) severity(s Severity) []byte {
	return c.words([]byte{byte(s.Level), byte(s.Tenths + 1)}, s.Vectors)
}

// describe adds the advisory itself, its words to a block.
func (c *compiler) describe(r *Record) error {
	d := Details{ID: r.ID, Summary: r.Summary, Details: r.Details, References: r.References}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if len(c.block) > 0 && len(c.block)+len(text) > blockWanted {
		c.closeBlock()
	}
	put := binary.LittleEndian.AppendUint32
	aliases, upstream := unique(r.Aliases), unique(r.Upstream)
	c.advisory = put(c.advisory, c.word(r.ID))
	c.advisory = put(c.advisory, c.data.add(string(c.words(nil, aliases))))
	c.advisory = put(c.advisory, c.data.add(string(c.words(nil, upstream))))
	c.advisory = put(c.advisory, c.blockN)
	c.advisory = put(c.advisory, uint32(len(c.block)))
	c.advisory = put(c.advisory, uint32(len(text)))
	c.advisory = binary.LittleEndian.AppendUint64(c.advisory, uint64(r.changed().Unix()))
	c.block = append(c.block, text...)
	return nil
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// closeBlock packs the open block.
func (c *compiler) closeBlock() {
	if len(c.block) == 0 {
		return
	}
	at := len(c.details)
	c.details = c.pack.EncodeAll(c.block, c.details)
	packed := c.details[at:]
	c.blocks = binary.LittleEndian.AppendUint64(c.blocks, uint64(at))
	for _, n := range []int{len(packed), len(c.block), int(crc32.Checksum(packed, castagnoli)), 0} {
		c.blocks = binary.LittleEndian.AppendUint32(c.blocks, uint32(n))
	}
	c.blockN++
	c.block = c.block[:0]
}

// write writes the file.
func (c *compiler) write(w io.Writer) error {
	if len(c.keys) == 0 {
		return fmt.Errorf("no record is about a package of %s", c.family)
	}
	c.closeBlock()
	put := binary.LittleEndian.AppendUint32
	var releases, keys, rows []byte
	for _, r := range slices.Sorted(maps.Keys(c.releases)) {
		releases = put(releases, c.word(r))
	}
	sorted := slices.SortedFunc(maps.Keys(c.keys), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]))
	})
	slots := make([]byte, 4<<bits.Len(uint(2*len(sorted)-1)))
	mask := uint64(len(slots)/4 - 1)
	for i, k := range sorted {
		list := c.keys[k]
		keys = put(put(keys, c.word(k[0])), c.word(k[1]))
		keys = put(put(keys, uint32(len(rows)/rowSize)), uint32(len(list)))
		for _, r := range list {
			rows = put(put(put(put(rows, r.advisory), r.ranges), r.severity), r.urgency)
		}
		at := keyHash(k[0], k[1]) & mask
		for binary.LittleEndian.Uint32(slots[4*at:]) != 0 {
			at = (at + 1) & mask
		}
		binary.LittleEndian.PutUint32(slots[4*at:], uint32(i+1))
	}
	c.head.Counts.Keys, c.head.Counts.Advisories = uint64(len(sorted)), uint64(c.advisories)
	index := [sections][]byte{secStrings: c.strings.bytes, secData: c.data.bytes, secReleases: releases, secKeys: keys, secHash: slots, secRows: rows, secAdvisories: c.advisory, secBlocks: c.blocks}
	for i, s := range index {
		if len(s) > math.MaxUint32 {
			return errors.New("there are more records than a file has room for")
		}
		c.head.Sizes[i] = uint64(len(s))
		c.head.IndexCRC = crc32.Update(c.head.IndexCRC, castagnoli, s)
	}
	c.head.Details = uint64(len(c.details))
	for _, s := range append(append([][]byte{c.head.encode()}, index[:]...), c.details) {
		if _, err := io.Copy(w, bytes.NewReader(s)); err != nil {
			return err
		}
	}
	return nil
}
