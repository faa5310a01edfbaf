package trail

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8 // of C2SP tlog-tiles
	tileWidth  = 1 << tileHeight
)

// edge is the right edge of a growing tree (RFC 6962, section 2.1): all that is needed
// to add leaves and to know the root.
type edge struct {
	size int64
	// stack are the roots of the complete subtrees that the tree consists of, the largest
	// first: one for each bit of size.
	stack []tlog.Hash
	// open are, by level of tiles, the hashes of the tile that is not full.
	open [][]tlog.Hash
	// full are tiles that were filled since they were last taken from here.
	full []fullTile
}

type fullTile struct {
	level  int
	index  int64
	hashes []tlog.Hash
}

// copy is an edge that grows for itself; of the two, only one may grow from now on.
func (e *edge) copy() *edge {
	return &edge{size: e.size, stack: slices.Clone(e.stack), open: slices.Clone(e.open)}
}

// add adds a leaf's hash.
func (e *edge) add(leaf tlog.Hash) {
	e.size++
	e.node(0, leaf)
	h := leaf
	for level, n := 1, e.size; n&1 == 0; level, n = level+1, n>>1 {
		h = tlog.NodeHash(e.stack[len(e.stack)-1], h)
		e.stack = e.stack[:len(e.stack)-1]
		if level%tileHeight == 0 {
			e.node(level/tileHeight, h)
		}
	}
	e.stack = append(e.stack, h)
}

// node puts a hash into the open tile of its level.
func (e *edge) node(level int, h tlog.Hash) {
	if level == len(e.open) {
		e.open = append(e.open, nil)
	}
	e.open[level] = append(e.open[level], h)
	if len(e.open[level]) == tileWidth {
		index := e.size>>(tileHeight*(level+1)) - 1
		e.full = append(e.full, fullTile{level, index, e.open[level]})
		e.open[level] = nil
	}
}

// root is the tree's.
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		return emptyRoot
	}
	h := e.stack[len(e.stack)-1]
	for i := len(e.stack) - 2; i >= 0; i-- {
		h = tlog.NodeHash(e.stack[i], h)
	}
	return h
}

// emptyRoot is SHA-256 of nothing.
var emptyRoot, _ = tlog.TreeHash(0, nil)

// edgeAt makes the edge of a tree whose size is a multiple of 256 out of its full tiles.
func edgeAt(size int64, tile func(level int, index int64) ([]tlog.Hash, error)) (*edge, error) {
	e := &edge{size: size}
	var subtrees [][]tlog.Hash // by level of tiles, the smallest first
	for level := 0; size>>(tileHeight*level) > 0; level++ {
		count := size >> (tileHeight * level) // of nodes there
		open := count % tileWidth
		hashes := make([]tlog.Hash, 0, tileWidth)
		for i := count - open; i < count; i++ {
			below, err := tile(level-1, i)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, subtree(below))
		}
		e.open = append(e.open, hashes)
		var part edge
		for _, h := range hashes {
			part.add(h)
		}
		subtrees = append(subtrees, part.stack)
	}
	slices.Reverse(subtrees)
	e.stack = slices.Concat(subtrees...)
	return e, nil
}

// subtree is the root over the hashes of a full tile.
func subtree(hashes []tlog.Hash) tlog.Hash {
	h := slices.Clone(hashes)
	for n := len(h); n > 1; n /= 2 {
		for i := range n / 2 {
			h[i] = tlog.NodeHash(h[2*i], h[2*i+1])
		}
	}
	return h[0]
}
