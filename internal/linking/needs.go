// Package linking says what the programs and libraries of an image need to be started.
//
// [Reader] takes the bytes of a file as they pass and gives its [Needs]: those of an ELF file
// by its dynamic section, or the interpreter of a script. [NewTree] puts together what is
// there in the end, and follows the needs as a loader does ([Tree.Closure]), or tells which
// libraries nothing needs ([Tree.Unlinked]).
//
// What a program loads by name while it runs, by dlopen(3), stands in no dynamic section and
// is not seen. Nothing is run, and nothing of a file is believed: offsets, numbers and lengths
// are checked and bounded.
//
// The standards are the System V ABI (gABI 4.1, chapters 4 and 5), and ld.so(8) for where a
// library is looked for.
package linking

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"strings"
)

// Needs are what a file needs to be started. Texts that are no UTF-8 have U+FFFD in them.
type Needs struct {
	// Script is what stands behind the #! of a script, "" for an ELF file.
	Script string `json:",omitempty"`
	// Machine and Class are those of the ELF header: a library is of the same.
	Machine elf.Machine `json:",omitempty"`
	Class   elf.Class   `json:",omitempty"`
	// Interp is the loader that the program asks for, "" for one that is static, and for most
	// libraries.
	Interp string `json:",omitempty"`
	// Needed are the names of libraries, in their order, and Soname the file's own.
	Needed []string `json:",omitempty"`
	Soname string   `json:",omitempty"`
	// Rpath and Runpath are folders that libraries are looked for in.
	Rpath   []string `json:",omitempty"`
	Runpath []string `json:",omitempty"`
	// Unread is why the rest is not known, "" where it is.
	Unread string `json:",omitempty"`
}

// Bounds. Linkers put what is read into the first pages of a file, and patchelf(1) into a
// segment at the end of it. Large programs have some ten segments, and some hundred libraries.
const (
	mostHead     = 8 << 20 // of a file, from its beginning
	mostWindow   = 1 << 20 // of a segment behind that
	mostWindows  = 8
	mostSegments = 256
	mostNeeded   = 1024
	mostName     = 4096
	mostLine     = 256 // of a script: Linux reads as many bytes (binfmt_script)
)

// Reader keeps of the bytes that are written to it what tells of needs. The zero value is ready
// for [Reader.Reset], and is used for one file after the other.
type Reader struct {
	most    int // how many bytes of the beginning are kept
	passed  int64
	head    []byte
	windows []window
	planned bool
}

// window is a part of a file behind its head.
type window struct {
	from int64
	size int
	data []byte
}

// Reset begins a file.
func (r *Reader) Reset() {
	r.most, r.passed, r.head, r.windows, r.planned = mostHead, 0, r.head[:0], r.windows[:0], false
}

// Write takes the next bytes of the file. It never gives an error.
func (r *Reader) Write(p []byte) (int, error) {
	at := r.passed
	r.passed += int64(len(p))
	if room := r.most - len(r.head); room > 0 {
		before := len(r.head)
		r.head = append(r.head, p[:min(room, len(p))]...)
		if before < 4 && len(r.head) >= 4 {
			r.decide()
		}
		if len(r.head) == mostHead && !r.planned {
			r.plan()
		}
	}
	for i := range r.windows {
		w := &r.windows[i]
		next := w.from + int64(len(w.data))
		if missing := w.size - len(w.data); missing > 0 && next >= at && next < r.passed {
			from := p[next-at:]
			w.data = append(w.data, from[:min(missing, len(from))]...)
		}
	}
	return len(p), nil
}

// decide says how much is kept, by how the file begins.
func (r *Reader) decide() {
	switch {
	case string(r.head[:4]) == elf.ELFMAG:
	case string(r.head[:2]) == "#!":
		r.most = mostLine
		r.head = r.head[:min(len(r.head), mostLine)]
	default:
		r.most, r.head = 0, r.head[:0]
	}
}

// Tells is true where the file that was written is one that has needs.
func (r *Reader) Tells() bool { return r.most > 0 && len(r.head) >= 4 }

// plan chooses what is kept behind the head: small segments, for one of them may be the
// dynamic section, or have its names.
func (r *Reader) plan() {
	r.planned = true
	h, err := r.header()
	if err != nil {
		return // which Needs tells
	}
	for _, s := range h.segments {
		if len(r.windows) < mostWindows && s.size > 0 && s.size <= mostWindow && s.from < 1<<62 && s.from+s.size > mostHead && (s.kind == elf.PT_LOAD || s.kind == elf.PT_DYNAMIC) {
			from := max(int64(s.from), mostHead)
			r.windows = append(r.windows, window{from: from, size: int(int64(s.from+s.size) - from)})
		}
	}
}

// at are bytes of the file; false where not all of them were kept.
func (r *Reader) at(from, size uint64) ([]byte, bool) {
	if from <= uint64(len(r.head)) && size <= uint64(len(r.head))-from {
		return r.head[from : from+size], true
	}
	for _, w := range r.windows {
		if start := uint64(w.from); from >= start && from-start <= uint64(len(w.data)) && size <= uint64(len(w.data))-(from-start) {
			return w.data[from-start : from-start+size], true
		}
	}
	return nil, false
}

// header is what is read of an ELF header.
type header struct {
	order    binary.ByteOrder
	class    elf.Class
	machine  elf.Machine
	segments []segment
}

type segment struct {
	kind                elf.ProgType
	from, address, size uint64
}

var errShort = errors.New("it ends too early, or what tells of its libraries is in a part that is not kept")

// word reads an address or offset.
func (h *header) word(b []byte) uint64 {
	if h.class == elf.ELFCLASS64 {
		return h.order.Uint64(b)
	}
	return uint64(h.order.Uint32(b))
}

// header reads the ELF header and the segments (gABI 4.1, 4-4 and 5-1).
func (r *Reader) header() (*header, error) {
	ident, is := r.at(0, elf.EI_NIDENT)
	if !is {
		return nil, errShort
	}
	h := &header{class: elf.Class(ident[elf.EI_CLASS])}
	switch elf.Data(ident[elf.EI_DATA]) {
	case elf.ELFDATA2LSB:
		h.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		h.order = binary.BigEndian
	default:
		return nil, errors.New("its byte order is none")
	}
	// The offsets of e_phoff, e_phentsize and e_phnum, and the size of a program header with
	// the offsets of p_offset, p_vaddr and p_filesz in it.
	size, phoff, entsize, least, offset, address, filesz := uint64(64), 32, 54, 56, 8, 16, 32
	switch h.class {
	case elf.ELFCLASS64:
	case elf.ELFCLASS32:
		size, phoff, entsize, least, offset, address, filesz = 52, 28, 42, 32, 4, 8, 16
	default:
		return nil, errors.New("its class is none")
	}
	b, is := r.at(0, size)
	if !is {
		return nil, errShort
	}
	h.machine = elf.Machine(h.order.Uint16(b[18:]))
	start, each, n := h.word(b[phoff:]), int(h.order.Uint16(b[entsize:])), int(h.order.Uint16(b[entsize+2:]))
	switch {
	case n == 0:
		return h, nil
	case n > mostSegments:
		return nil, errors.New("it has more segments than are read")
	case each < least:
		return nil, errors.New("its segments have an odd size")
	}
	table, is := r.at(start, uint64(each)*uint64(n))
	if !is {
		return nil, errShort
	}
	for ; n > 0; n-- {
		h.segments = append(h.segments, segment{kind: elf.ProgType(h.order.Uint32(table)), from: h.word(table[offset:]), address: h.word(table[address:]), size: h.word(table[filesz:])})
		table = table[each:]
	}
	return h, nil
}

// Needs are those of the file that was written; nil for one that is neither ELF nor a script.
func (r *Reader) Needs() *Needs {
	if !r.Tells() {
		return nil
	}
	if r.most == mostLine {
		line, _, _ := bytes.Cut(r.head[2:], []byte("\n"))
		return &Needs{Script: clean(bytes.TrimSpace(line))}
	}
	n := &Needs{}
	if err := r.elf(n); err != nil {
		n.Unread = err.Error()
	}
	return n
}

func clean(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

func (r *Reader) elf(n *Needs) error {
	h, err := r.header()
	if err != nil {
		return err
	}
	n.Machine, n.Class = h.machine, h.class
	var dynamic *segment
	for i := range h.segments {
		switch s := &h.segments[i]; s.kind {
		case elf.PT_INTERP:
			text, is := r.at(s.from, s.size)
			if !is {
				return errShort
			}
			text, _, _ = bytes.Cut(text, []byte{0})
			if len(text) > mostName {
				return errors.New("the name of its loader is too long")
			}
			n.Interp = clean(text)
		case elf.PT_DYNAMIC:
			dynamic = s
		}
	}
	if dynamic == nil {
		return nil
	}
	if dynamic.size > mostWindow {
		return errors.New("its dynamic section is too long")
	}
	table, is := r.at(dynamic.from, dynamic.size)
	if !is {
		return errShort
	}
	return r.dynamic(h, table, n)
}

// dynamic reads the dynamic section (gABI 4.1, 5-13): pairs of a tag and a value, until one of
// the tag DT_NULL.
func (r *Reader) dynamic(h *header, table []byte, n *Needs) error {
	half := 4
	if h.class == elf.ELFCLASS64 {
		half = 8
	}
	type pair struct {
		tag   elf.DynTag
		value uint64
	}
	var names []pair
	var text, length uint64
	for ; len(table) >= 2*half; table = table[2*half:] {
		p := pair{elf.DynTag(h.word(table)), h.word(table[half:])}
		if p.tag == elf.DT_NULL {
			break
		}
		switch p.tag {
		case elf.DT_STRTAB:
			text = p.value
		case elf.DT_STRSZ:
			length = p.value
		case elf.DT_NEEDED, elf.DT_SONAME, elf.DT_RPATH, elf.DT_RUNPATH:
			if names = append(names, p); len(names) > mostNeeded {
				return errors.New("it needs more libraries than are read")
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	from, is := h.offset(text)
	if !is {
		return errors.New("the names of its libraries are in no segment")
	}
	for _, p := range names {
		name, err := r.text(from, length, p.value)
		if err != nil {
			return err
		}
		switch p.tag {
		case elf.DT_NEEDED:
			n.Needed = append(n.Needed, name)
		case elf.DT_SONAME:
			n.Soname = name
		case elf.DT_RPATH:
			n.Rpath = strings.Split(name, ":")
		case elf.DT_RUNPATH:
			n.Runpath = strings.Split(name, ":")
		}
	}
	return nil
}

// offset is where in the file an address is.
func (h *header) offset(address uint64) (uint64, bool) {
	for _, s := range h.segments {
		if s.kind == elf.PT_LOAD && address >= s.address && address-s.address < s.size {
			return s.from + (address - s.address), true
		}
	}
	return 0, false
}

// text is a name of the string table at from, which has some bytes.
func (r *Reader) text(from, length, at uint64) (string, error) {
	if at >= length || from > 1<<62 || length > 1<<62 {
		return "", errors.New("a name of a library is not among its names")
	}
	size := min(length-at, mostName)
	for ; size > 0; size /= 2 { // what was kept may end behind the name, and before the table
		b, is := r.at(from+at, size)
		if !is {
			continue
		}
		if end := bytes.IndexByte(b, 0); end >= 0 {
			return clean(b[:end]), nil
		}
		break
	}
	if size > 0 {
		return "", errors.New("a name of a library is too long, or has no end")
	}
	return "", errShort
}
