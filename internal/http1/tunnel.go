package http1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// Conn is one side of a tunnel. [net.UnixConn], [net.TCPConn] and
// [crypto/tls.Conn] are such. Close may be called while the others wait, and ends
// them.
type Conn interface {
	io.ReadWriteCloser
	// CloseWrite says to the peer that no more comes, while it may yet send.
	CloseWrite() error
}

// Tunnel passes both directions of a connection on that is not HTTP any more: after
// a 101, or a 200 with a raw stream. What the readers have in their buffers comes
// first; they read client and engine. The end of one direction is passed on, and
// the other goes on. When one side is gone for good, or a copy breaks, both are
// closed. Tunnel returns when both directions have ended, with both closed, and
// gives the error that ended it, if there was one. It has no timeout, and the
// connections must have no deadline.
//
// A side is gone for good when its socket is closed, which a unix socket can tell
// from half a close, and TCP from a reset or, without one, when it is next
// written to.
func Tunnel(client, engine Conn, fromClient, fromEngine *bufio.Reader) error {
	t := tunnel{client: client, engine: engine}
	var up sync.WaitGroup
	up.Go(func() { t.pass(engine, client, fromClient, "client to engine") })
	t.pass(client, engine, fromEngine, "engine to client")
	up.Wait()
	return t.err
}

type tunnel struct {
	client, engine Conn

	mu     sync.Mutex
	ended  int   // directions
	closed bool  // both
	err    error // the first, from before both were closed
}

// pass is one direction.
func (t *tunnel) pass(dst, src Conn, buffered *bufio.Reader, direction string) {
	err := copyAll(dst, src, buffered)
	if err == nil {
		// A peer that is gone cannot be told; its own direction finds that out.
		_ = dst.CloseWrite()
	}
	t.mu.Lock()
	t.ended++
	last := t.ended == 2
	if err != nil && !t.closed && t.err == nil {
		t.err = fmt.Errorf("passing on from %s: %w", direction, err)
	}
	t.mu.Unlock()
	if err == nil && !last && !Gone(src) {
		return
	}
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	// Errors of closing say nothing that the copies did not.
	_ = t.client.Close()
	_ = t.engine.Close()
}

// copyAll passes on what is buffered and then all that src sends. While nothing
// comes it keeps no buffer: a tunnel may be silent for days.
func copyAll(dst, src Conn, buffered *bufio.Reader) error {
	raw := rawConn(src)
	if raw == nil {
		_, err := CopyBody(dst, buffered, Framing{Kind: UntilClose}, nil)
		return err
	}
	for buffered.Buffered() > 0 {
		b, _ := buffered.Peek(buffered.Buffered())
		if _, err := dst.Write(b); err != nil {
			return &WriteError{err}
		}
		drop(buffered, len(b))
	}
	for {
		b, n, err := readBlock(raw)
		if err == nil && n > 0 {
			_, err = dst.Write(b[:n])
		}
		if b != nil {
			blocks.Put(b)
		}
		if n == 0 || err != nil {
			return err
		}
	}
}

// readBlock waits for bytes and then gets a block for them.
func readBlock(raw syscall.RawConn) (b *[block]byte, n int, err error) {
	waited := raw.Read(func(fd uintptr) bool {
		b = blocks.Get().(*[block]byte)
		for {
			if n, err = syscall.Read(int(fd), b[:]); err != syscall.EINTR {
				break
			}
		}
		if err != syscall.EAGAIN {
			return true
		}
		blocks.Put(b)
		b = nil
		return false
	})
	if waited != nil {
		return b, 0, waited
	}
	return b, n, err
}

// Gone waits until the peer of c, which sends no more, does not receive any more either.
// Nothing else would tell, while nothing is sent to it. It says false where it cannot
// know, and when c is closed or its read deadline is over.
func Gone(c Conn) bool {
	if inner, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c, _ = inner.NetConn().(Conn)
	}
	raw := rawConn(c)
	if raw == nil {
		return false
	}
	// Of a stream, zero bytes can be sent while the peer receives (EPIPE in
	// sendmsg(2)); the poller wakes for each change of the socket.
	err := raw.Read(func(fd uintptr) bool {
		_, err := syscall.SendmsgN(int(fd), nil, nil, nil, syscall.MSG_NOSIGNAL)
		return err != nil && err != syscall.EINTR && err != syscall.EAGAIN
	})
	return err == nil
}

// rawConn gives the socket of a connection that is nothing else.
func rawConn(c Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch c := c.(type) {
	case *net.UnixConn:
		raw, _ = c.SyscallConn()
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	}
	return raw
}
