package rpmdb

import (
	"encoding/binary"
	"io"
)

// The parts of a file of ndb, all little-endian: a header, whose place is that of the first
// two slots, pages of slots, and blobs, each behind a header of 16 bytes.
const (
	ndbMagic     = "RpmP"
	ndbSlot      = "Slot"
	ndbBlob      = "BlbS"
	ndbSlotBytes = 16
	ndbSlotPage  = 4096
	ndbBlock     = 16 // the unit of a slot's offset
)

// readNDB reads the blobs that the slots name.
func readNDB(r io.ReaderAt, size int64, blob func([]byte) error) error {
	order := binary.LittleEndian
	var head [32]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return damaged("its header: %v", err)
	}
	if v := order.Uint32(head[4:]); v != 0 {
		return damaged("version %d of ndb is not known", v)
	}
	pages := int64(order.Uint32(head[12:]))
	if pages == 0 || pages*ndbSlotPage > size {
		return damaged("it says that it has %d pages of slots in %d bytes", pages, size)
	}
	slots := io.NewSectionReader(r, int64(len(head)), pages*ndbSlotPage-int64(len(head)))
	page := make([]byte, ndbSlotPage)
	left := size
	for {
		n, err := io.ReadFull(slots, page)
		if err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return damaged("its slots: %v", err)
		}
		for at := 0; at+ndbSlotBytes <= n; at += ndbSlotBytes {
			slot := page[at:]
			number := order.Uint32(slot[4:])
			if string(slot[:4]) != ndbSlot {
				return damaged("a slot is none")
			}
			if number == 0 { // a free one
				continue
			}
			start := int64(order.Uint32(slot[8:])) * ndbBlock
			var h [16]byte
			if _, err := r.ReadAt(h[:], start); err != nil {
				return damaged("package %d: %v", number, err)
			}
			length := int64(order.Uint32(h[12:]))
			if string(h[:4]) != ndbBlob || order.Uint32(h[4:]) != number || length > maxBlob {
				return damaged("package %d is not where its slot says", number)
			}
			if left -= length; left < 0 {
				return damaged("its slots name more than it holds")
			}
			data := make([]byte, length)
			if _, err := r.ReadAt(data, start+int64(len(h))); err != nil {
				return damaged("package %d: %v", number, err)
			}
			if err := blob(data); err != nil {
				return err
			}
		}
	}
}
