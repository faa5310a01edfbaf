// Package linkingtest makes ELF files for tests, which have what a loader reads and no code.
package linkingtest

import (
	"debug/elf"
	"encoding/binary"
	"strings"
)

// File is what an ELF file says of itself. The zero value is a static program of amd64.
type File struct {
	Interp, Soname, Rpath, Runpath string
	Needed                         []string
	// Class32 and BigEndian make one of another form, for another machine.
	Class32, BigEndian bool
	// Gap are bytes between the segments with the program's headers and that with what the
	// loader reads.
	Gap int
	// Tail is what lies behind all that, so that files differ.
	Tail string
}

// base is the address at which the second segment is loaded, plus its offset in the file.
const base = 0x400000

// Bytes is the file.
func (f File) Bytes() string {
	var order binary.AppendByteOrder = binary.LittleEndian
	data, class, machine := byte(elf.ELFDATA2LSB), byte(elf.ELFCLASS64), elf.EM_X86_64
	if f.BigEndian {
		order, data, machine = binary.BigEndian, byte(elf.ELFDATA2MSB), elf.EM_PPC64
	}
	word, head, each := 8, 64, 56
	if f.Class32 {
		class, word, head, each, machine = byte(elf.ELFCLASS32), 4, 52, 32, elf.EM_386
	}
	put := func(b []byte, v uint64, size int) []byte {
		switch size {
		case 2:
			return order.AppendUint16(b, uint16(v))
		case 4:
			return order.AppendUint32(b, uint32(v))
		}
		return order.AppendUint64(b, v)
	}
	names := "\x00"
	name := func(s string) uint64 {
		at := uint64(len(names))
		names += s + "\x00"
		return at
	}
	type pair struct {
		tag   elf.DynTag
		value uint64
	}
	var pairs []pair
	for _, n := range f.Needed {
		pairs = append(pairs, pair{elf.DT_NEEDED, name(n)})
	}
	for _, one := range []struct {
		tag  elf.DynTag
		text string
	}{{elf.DT_SONAME, f.Soname}, {elf.DT_RPATH, f.Rpath}, {elf.DT_RUNPATH, f.Runpath}} {
		if one.text != "" {
			pairs = append(pairs, pair{one.tag, name(one.text)})
		}
	}
	dynamic := len(pairs) > 0
	segments := 2
	if dynamic {
		segments++
	}
	if f.Interp != "" {
		segments++
	}
	start := head + each*segments + f.Gap
	interp := f.Interp + "\x00"
	textAt := start + len(interp)
	if dynamic {
		pairs = append(pairs, pair{elf.DT_STRTAB, uint64(base + textAt)}, pair{elf.DT_STRSZ, uint64(len(names))}, pair{})
	}
	var table []byte
	for _, p := range pairs {
		table = put(put(table, uint64(p.tag), word), p.value, word)
	}
	body := interp + names + string(table)

	b := append([]byte(elf.ELFMAG), class, data, byte(elf.EV_CURRENT))
	b = append(b, make([]byte, elf.EI_NIDENT-len(b))...)
	b = put(put(put(b, uint64(elf.ET_DYN), 2), uint64(machine), 2), uint64(elf.EV_CURRENT), 4)
	b = put(put(put(b, 0, word), uint64(head), word), 0, word) // entry, phoff, shoff
	b = put(put(put(put(b, 0, 4), uint64(head), 2), uint64(each), 2), uint64(segments), 2)
	b = append(b, make([]byte, head-len(b))...)
	segment := func(kind elf.ProgType, from, size int) {
		b = put(b, uint64(kind), 4)
		if !f.Class32 {
			b = put(b, uint64(elf.PF_R), 4)
		}
		address := uint64(base + from)
		b = put(put(put(b, uint64(from), word), address, word), address, word)
		b = put(put(b, uint64(size), word), uint64(size), word)
		if f.Class32 {
			b = put(b, uint64(elf.PF_R), 4)
		}
		b = put(b, 1, word)
	}
	segment(elf.PT_LOAD, 0, head+each*segments)
	segment(elf.PT_LOAD, start, len(body))
	if dynamic {
		segment(elf.PT_DYNAMIC, textAt+len(names), len(table))
	}
	if f.Interp != "" {
		segment(elf.PT_INTERP, start, len(interp))
	}
	return string(b) + strings.Repeat("\x00", f.Gap) + body + f.Tail
}
