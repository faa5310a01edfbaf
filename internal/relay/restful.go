package relay

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// restful is a connection to an engine on a unix socket that can be left alone. Go's
// poller would be woken by each chunk that comes meanwhile, which is the cost that a rest
// is to save: so it does not know of the socket then. Close and CloseWrite may be called
// while another goroutine reads or rests.
type restful struct {
	mu     sync.Mutex
	conn   *net.UnixConn // closed while it is left alone
	fd     int           // of the socket while it is left alone, else -1
	closed bool
}

func newRestful(c *net.UnixConn) *restful { return &restful{conn: c, fd: -1} }

// polled gives the connection as Go knows it.
func (r *restful) polled() *net.UnixConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn
}

// rest waits while what comes gathers. Nobody may be writing.
func (r *restful) rest(d time.Duration) {
	if r.alone() {
		t := unix.NsecToTimespec(d.Nanoseconds())
		_ = unix.Nanosleep(&t, nil) // which may end early
	}
}

// alone takes the socket away from Go's poller, where it is not yet.
func (r *restful) alone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.fd >= 0 {
		return !r.closed
	}
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if cerr := raw.Control(func(have uintptr) { fd, err = unix.FcntlInt(have, unix.F_DUPFD_CLOEXEC, 0) }); cerr != nil || err != nil {
		return false
	}
	r.fd = fd
	r.conn.Close() // closes a descriptor of two
	return true
}

// resume gives the socket back to Go's poller.
func (r *restful) resume() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(r.fd), "engine")
	r.fd = -1
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		r.closed = true
		return err
	}
	r.conn = c.(*net.UnixConn)
	if r.closed {
		r.conn.Close()
	}
	return nil
}

// Read reads what has come, and is polled again where that is nothing.
func (r *restful) Read(b []byte) (int, error) {
	r.mu.Lock()
	fd := r.fd
	r.mu.Unlock()
	for fd >= 0 {
		n, err := unix.Read(fd, b) // which does not wait
		switch {
		case err == unix.EINTR:
			continue
		case err != nil && err != unix.EAGAIN:
			return 0, os.NewSyscallError("read", err)
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		}
		if err := r.resume(); err != nil {
			return 0, err
		}
		fd = -1
	}
	return r.polled().Read(b)
}

// Close ends the connection, and what waits for it.
func (r *restful) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.fd >= 0 {
		// Who reads has the descriptor.
		return unix.Shutdown(r.fd, unix.SHUT_RDWR)
	}
	return r.conn.Close()
}

func (r *restful) CloseWrite() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fd >= 0 {
		return unix.Shutdown(r.fd, unix.SHUT_WR)
	}
	return r.conn.CloseWrite()
}

// NetConn is the connection as Go knows it.
func (r *restful) NetConn() net.Conn { return r.polled() }

func (r *restful) Write(b []byte) (int, error)        { return r.polled().Write(b) }
func (r *restful) LocalAddr() net.Addr                { return r.polled().LocalAddr() }
func (r *restful) RemoteAddr() net.Addr               { return r.polled().RemoteAddr() }
func (r *restful) SetDeadline(t time.Time) error      { return r.polled().SetDeadline(t) }
func (r *restful) SetReadDeadline(t time.Time) error  { return r.polled().SetReadDeadline(t) }
func (r *restful) SetWriteDeadline(t time.Time) error { return r.polled().SetWriteDeadline(t) }
