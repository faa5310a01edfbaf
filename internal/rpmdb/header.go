package rpmdb

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
)

// The tags that are read, and the types of their values (rpm's rpmtag.h).
const (
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagEpoch     = 1003
	tagLicence   = 1014
	tagArch      = 1022
	tagOldFiles  = 1027 // whole paths, before rpm 4
	tagSourceRPM = 1044
	tagDirIndex  = 1116
	tagBaseNames = 1117
	tagDirNames  = 1118
	tagModule    = 5096

	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
)

// Bounds of rpm's lib/header.c: of a header's entries, and of its bytes.
const (
	maxEntries = 0xffff
	maxBlob    = 256 << 20
)

// header is the values of the tags that are read.
type header map[uint32]value

type value struct {
	kind, count uint32
	data        []byte // from the value on to the end of all
}

// readHeader reads a header as a database has it: how many entries and how many bytes of
// data there are, entries of tag, type, offset and count, and the data, all in network order.
func readHeader(blob []byte) (header, error) {
	if len(blob) < 8 {
		return nil, damaged("a header has %d bytes", len(blob))
	}
	order := binary.BigEndian
	entries, size := uint64(order.Uint32(blob)), uint64(order.Uint32(blob[4:]))
	if entries == 0 || entries > maxEntries || 8+16*entries+size > uint64(len(blob)) {
		return nil, damaged("a header of %d bytes says that it has %d entries and %d bytes", len(blob), entries, size)
	}
	data := blob[8+16*entries:][:size]
	h := header{}
	for n := range entries {
		e := blob[8+16*n:]
		tag, v, offset := order.Uint32(e), value{kind: order.Uint32(e[4:]), count: order.Uint32(e[12:])}, uint64(order.Uint32(e[8:]))
		switch tag {
		case tagName, tagVersion, tagRelease, tagEpoch, tagLicence, tagArch, tagOldFiles, tagSourceRPM, tagDirIndex, tagBaseNames, tagDirNames, tagModule:
			if offset >= size {
				return nil, damaged("the value of tag %d lies at %d of %d bytes", tag, offset, size)
			}
			v.data = data[offset:]
			h[tag] = v // a later one was put in after the package was built
		}
	}
	return h, nil
}

// text is a string; "(none)", which some packers write for nothing, is "".
func (h header) text(tag uint32) string {
	v, is := h[tag]
	// Licence and the like may be of I18NSTRING (9), whose first string is the one.
	if !is || v.kind != typeString && v.kind != 9 {
		return ""
	}
	s, _, whole := bytes.Cut(v.data, []byte{0})
	if !whole || string(s) == "(none)" {
		return ""
	}
	return string(s)
}

// texts are the strings of an array, as long as there are any.
func (h header) texts(tag uint32) iter.Seq[string] {
	return func(yield func(string) bool) {
		v := h[tag]
		if v.kind != typeStringArray {
			return
		}
		for rest := v.data; v.count > 0; v.count-- {
			s, after, whole := bytes.Cut(rest, []byte{0})
			if !whole || !yield(string(s)) {
				return
			}
			rest = after
		}
	}
}

// number is number n of an array of 32 bits.
func (h header) number(tag uint32, n int) (uint32, bool) {
	v := h[tag]
	if v.kind != typeInt32 || n < 0 || uint64(n) >= uint64(v.count) || uint64(len(v.data)) < 4*(uint64(n)+1) {
		return 0, false
	}
	return binary.BigEndian.Uint32(v.data[4*n:]), true
}

// parse makes a package of a header.
func parse(blob []byte) (*Package, error) {
	h, err := readHeader(blob)
	if err != nil {
		return nil, err
	}
	p := &Package{Name: h.text(tagName), Arch: h.text(tagArch), Licence: h.text(tagLicence), SourceRPM: h.text(tagSourceRPM), Module: h.text(tagModule), header: h}
	version, release := h.text(tagVersion), h.text(tagRelease)
	if p.Name == "" || version == "" || release == "" {
		return nil, damaged("a package has the name %q, version %q and release %q", p.Name, version, release)
	}
	p.Version = version + "-" + release
	if epoch, is := h.number(tagEpoch, 0); is && epoch > 0 {
		p.Version = strconv.FormatUint(uint64(epoch), 10) + ":" + p.Version
	}
	return p, nil
}

// Files are the paths that the package installed, ghosts and what was left out included.
// They can be asked for until each returns.
func (p *Package) Files() iter.Seq[string] {
	return func(yield func(string) bool) {
		if _, old := p.header[tagOldFiles]; old {
			for path := range p.header.texts(tagOldFiles) {
				if !yield(path) {
					return
				}
			}
			return
		}
		var dirs []string
		for dir := range p.header.texts(tagDirNames) {
			dirs = append(dirs, dir)
		}
		n := 0
		for base := range p.header.texts(tagBaseNames) {
			at, is := p.header.number(tagDirIndex, n)
			if !is || uint64(at) >= uint64(len(dirs)) || !yield(dirs[at]+base) {
				return
			}
			n++
		}
	}
}
