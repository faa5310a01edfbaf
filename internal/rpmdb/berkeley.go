package rpmdb

import (
	"encoding/binary"
	"io"
)

// Numbers of Berkeley DB (dbinc/db_page.h).
const (
	berkeleyMagic    = 0x061561
	berkeleyMeta     = 8
	pageHash         = 13
	pageHashUnsorted = 2 // before Berkeley DB 4.6
	pageOverflow     = 7
	pageHead         = 26
	itemHere         = 1 // H_KEYDATA: the value is in the item
	itemElsewhere    = 3 // H_OFFPAGE: it is on a chain of overflow pages
)

// berkeleyOrder is the byte order of a hash of Berkeley DB, which is that of the machine
// that wrote it, by the file's start; nil for another file.
func berkeleyOrder(start []byte) binary.ByteOrder {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if len(start) >= 26 && order.Uint32(start[12:]) == berkeleyMagic && start[25] == berkeleyMeta {
			return order
		}
	}
	return nil
}

// berkeley is a hash that is read page by page, not by its hashes.
type berkeley struct {
	r     io.ReaderAt
	order binary.ByteOrder
	page  int64 // bytes of a page
	last  int64 // the number of the last one
	left  int64 // how many pages of values may still be read: each belongs to one
}

// readBerkeley reads the values of all pairs but that of key 0, which is rpm's own.
func readBerkeley(r io.ReaderAt, size int64, blob func([]byte) error) error {
	head := make([]byte, 512)
	if _, err := r.ReadAt(head, 0); err != nil {
		return damaged("its first page: %v", err)
	}
	order := berkeleyOrder(head)
	b := &berkeley{r: r, order: order, page: int64(order.Uint32(head[20:])), last: int64(order.Uint32(head[32:]))}
	if b.page < 512 || b.page > 64<<10 || b.page&(b.page-1) != 0 || head[24] != 0 {
		return damaged("pages of %d bytes, or an encrypted one", b.page)
	}
	if (b.last+1)*b.page > size {
		return damaged("it has %d bytes, and its last page of %d is number %d", size, b.page, b.last)
	}
	b.left = b.last + 1
	page := make([]byte, b.page)
	for n := int64(1); n <= b.last; n++ {
		if _, err := r.ReadAt(page, n*b.page); err != nil {
			return damaged("page %d: %v", n, err)
		}
		if page[25] != pageHash && page[25] != pageHashUnsorted {
			continue
		}
		if err := b.values(n, page, blob); err != nil {
			return err
		}
	}
	return nil
}

// values gives the values of a page. Its items are keys and values in turn, whose offsets
// follow the head, and which lie from the page's end on downwards.
func (b *berkeley) values(n int64, page []byte, blob func([]byte) error) error {
	items := int(b.order.Uint16(page[20:]))
	if items%2 != 0 || pageHead+2*items > len(page) {
		return damaged("page %d has %d items", n, items)
	}
	end := len(page)
	var key []byte
	for i := range items {
		at := int(b.order.Uint16(page[pageHead+2*i:]))
		if at < pageHead+2*items || at >= end {
			return damaged("item %d of page %d lies at %d", i, n, at)
		}
		item := page[at:end]
		end = at
		if i%2 == 0 {
			key = item
			continue
		}
		var data []byte
		switch item[0] {
		case itemHere:
			data = item[1:]
		case itemElsewhere:
			if len(item) < 12 {
				return damaged("item %d of page %d has %d bytes", i, n, len(item))
			}
			var err error
			if data, err = b.chain(int64(b.order.Uint32(item[4:])), int64(b.order.Uint32(item[8:]))); err != nil {
				return err
			}
		default:
			return damaged("item %d of page %d is of kind %d", i, n, item[0])
		}
		if len(key) == 5 && key[0] == itemHere && b.order.Uint32(key[1:]) == 0 {
			continue
		}
		if err := blob(data); err != nil {
			return err
		}
	}
	return nil
}

// chain reads a value of some bytes from overflow pages.
func (b *berkeley) chain(n, length int64) ([]byte, error) {
	if length > maxBlob || length > b.left*b.page {
		return nil, damaged("a value has %d bytes", length)
	}
	data := make([]byte, 0, length)
	page := make([]byte, b.page)
	for n != 0 {
		if b.left--; b.left < 0 || n > b.last {
			return nil, damaged("its pages name each other in a circle, or page %d, which it has not", n)
		}
		if _, err := b.r.ReadAt(page, n*b.page); err != nil {
			return nil, damaged("page %d: %v", n, err)
		}
		here := int64(b.order.Uint16(page[22:]))
		if page[25] != pageOverflow || pageHead+here > b.page {
			return nil, damaged("page %d holds no part of a value", n)
		}
		data = append(data, page[pageHead:pageHead+here]...)
		n = int64(b.order.Uint32(page[16:]))
	}
	if int64(len(data)) != length {
		return nil, damaged("a value has %d bytes, and not %d", len(data), length)
	}
	return data, nil
}
