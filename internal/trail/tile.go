package trail

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileID names a full tile.
type tileID struct {
	level int
	index int64
}

// tilePath is where C2SP tlog-tiles has a tile; what is a level's number, or "entries".
// A tile that is not full has its width; 0 is full.
func tilePath(what string, index int64, width int) string {
	parts := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		parts = fmt.Sprintf("x%03d/%s", index%1000, parts)
	}
	path := "tile/" + what + "/" + parts
	if width > 0 {
		path += fmt.Sprintf(".p/%d", width)
	}
	return path
}

func (t tileID) path() string { return tilePath(fmt.Sprint(t.level), t.index, 0) }

func joinHashes(hashes []tlog.Hash) []byte {
	out := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

// readTile reads the hashes of a full tile.
func readTile(d disk, t tileID) ([]tlog.Hash, error) {
	data, err := d.Read(t.path())
	if err != nil {
		return nil, err
	}
	if len(data) != tileWidth*tlog.HashSize {
		return nil, corrupt(t.path(), -1, "it has %d bytes, and a full tile has %d", len(data), tileWidth*tlog.HashSize)
	}
	hashes := make([]tlog.Hash, tileWidth)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes, nil
}
