package cli

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// room says how much garbage may lie about before it is collected, for so many
// containers. A run over a few makes little that lasts and ends soon: collecting
// at 4 MiB, as Go begins, would cost a tenth of its time (measured). What is
// known of a crowd lives to the end, and there memory counts before time.
func (a *app) room(containers int) {
	if a.world.Getenv("GOGC") != "" {
		return
	}
	const most, least, few = 800, 100, 500 // percent of what lasts
	debug.SetGCPercent(max(least, most*few/max(few, containers)))
}

// expectedHeap is what an audit of some 600 containers allocates.
const expectedHeap = 32 << 20

// largePages has the kernel lay the heap that is about to be filled out in large
// pages (madvise(2), MADV_HUGEPAGE), which are used when the first byte of them
// is. A host of 500 containers takes 7,000 small ones otherwise, each by a fault:
// a tenth of the time (measured). Go has no call for it, but memory keeps what
// the kernel was told of it when it is freed, and used again: the block is larger
// than the heap so far, so that making it has Go collect it too. A kernel that
// has no large pages to give refuses, and that is as well.
func largePages() {
	block := make([]byte, expectedHeap) // untouched, so not there yet
	_ = unix.Madvise(block, unix.MADV_HUGEPAGE)
}
