package cli

import (
	"runtime/debug"
	"unsafe"

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

// expectedHeap is as large as what an audit of some 600 containers allocates.
// Its stack, with what Go adds, is 32 MiB.
type expectedHeap [31 << 20]byte

// largePages has the kernel lay the heap that is about to be filled out in large
// pages (madvise(2), MADV_HUGEPAGE), which are used when the first byte of them
// is. A host of 500 containers takes 7,000 small ones otherwise, each by a fault:
// a tenth of the time (measured). Go has no call for it, but memory keeps what
// the kernel was told of it when Go uses it again. What comes back at once, and
// not with the next collection, is the stack of a goroutine that has ended.
func largePages() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		adviseStack(false)
	}()
	<-done
}

// adviseStack needs a stack that has room for an expectedHeap, and touches none
// of it. A kernel that has no large pages to give refuses, and that is as well.
//
//go:noinline
func adviseStack(fill bool) {
	const large = 2 << 20
	var here byte // above what is passed
	top := uintptr(unsafe.Pointer(&here))
	from := (top - unsafe.Sizeof(expectedHeap{})) &^ (large - 1)
	to := top &^ (large - 1)
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_HUGEPAGE)
	if fill {
		fillStack(expectedHeap{})
	}
}

// fillStack is what adviseStack would pass an expectedHeap to: a variable of that
// size would not be put on the stack.
//
//go:noinline
func fillStack(expectedHeap) {}
