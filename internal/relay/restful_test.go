package relay

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unixPair gives both ends of a connection on a unix socket.
func unixPair(t *testing.T) (near, far *net.UnixConn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); f.Close() })
	return c.(*net.UnixConn), f.(*net.UnixConn)
}

// descriptors is how many files this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// left says whether Go's poller does not know of the socket.
func (r *restful) left() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fd >= 0
}

// TestRestful: a connection that is left alone has what came meanwhile, is waited for again
// when nothing did, and can be closed at any time.
func TestRestful(t *testing.T) {
	near, far := unixPair(t)
	before := descriptors(t)
	r := newRestful(near)
	defer r.Close()
	b := make([]byte, 100)
	for _, text := range []string{"one", "two"} {
		r.rest(time.Microsecond)
		if _, err := io.WriteString(far, text); err != nil || !r.left() {
			t.Fatalf("left: %t, %v", r.left(), err)
		}
		if n, err := r.Read(b); err != nil || string(b[:n]) != text || !r.left() {
			t.Fatalf("read %q, %v, left: %t", b[:n], err, r.left())
		}
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, not %d", n, before)
	}
	time.AfterFunc(20*time.Millisecond, func() { _, _ = io.WriteString(far, "three") })
	if n, err := r.Read(b); err != nil || string(b[:n]) != "three" || r.left() {
		t.Fatalf("read %q, %v, left: %t", b[:n], err, r.left())
	}
	if _, err := r.Write([]byte("back")); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(b); err != nil || string(b[:n]) != "back" {
		t.Fatalf("the other side read %q, %v", b[:n], err)
	}

	r.rest(time.Microsecond)
	if err := r.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Read(b); err != io.EOF {
		t.Errorf("after half a close the other side reads %v", err)
	}
	if _, err := io.WriteString(far, "four"); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(b); err != nil || string(b[:n]) != "four" || !r.left() {
		t.Errorf("after half a close: %q, %v, left: %t", b[:n], err, r.left())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(b); err != io.EOF {
		t.Errorf("what was closed reads %v", err)
	}
	if _, err := io.WriteString(far, "x"); err == nil {
		t.Error("the other side does not see that it is closed")
	}
	if r.rest(time.Hour); !r.left() {
		t.Error("its reader gives the descriptor back")
	}
	if err := r.resume(); err != nil || r.left() {
		t.Error(err)
	}
	if _, err := r.Read(b); err == nil {
		t.Error("what was closed reads on")
	}
	if n := descriptors(t); n != before-1 {
		t.Errorf("%d descriptors are open, not %d", n, before-1)
	}
}

// TestRestfulWaiting: a close ends what waits, whoever polls.
func TestRestfulWaiting(t *testing.T) {
	for _, left := range []bool{false, true} {
		near, _ := unixPair(t)
		r := newRestful(near)
		if left {
			r.rest(time.Microsecond)
		}
		time.AfterFunc(20*time.Millisecond, func() { r.Close() })
		if n, err := r.Read(make([]byte, 1)); err == nil {
			t.Errorf("left %t: %d bytes", left, n)
		}
		_ = r.resume()
	}
}

// TestThickAndThin: a log comes as it was sent, in a rush and line by line, and the
// connection is used again after it. A client who leaves in the midst is one for the engine.
func TestThickAndThin(t *testing.T) {
	const rush, slow = 20_000, 5
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	chunk := func(i int) string {
		line := fmt.Sprintf("%09d %s\n", i, strings.Repeat("x", i%200))
		return fmt.Sprintf("%x\r\n%s\r\n", len(line), line)
	}
	go func() {
		c, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for i := 0; ; {
			// A request of one line and a header.
			for range 3 {
				if _, err := r.ReadString('\n'); err != nil {
					ended <- err
					return
				}
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
				ended <- err
				return
			}
			for n := 0; n < rush || i == 2*(rush+slow); n++ { // the third has no end
				if _, err := io.WriteString(c, chunk(i)); err != nil {
					ended <- nil
					return
				}
				if i < 2*(rush+slow) {
					i++
				}
			}
			for range slow {
				time.Sleep(10 * time.Millisecond)
				_, _ = io.WriteString(c, chunk(i))
				i++
			}
			_, _ = io.WriteString(c, "0\r\n\r\n")
		}
	}()
	socket := serve(t, func(context.Context) (Conn, error) {
		c, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			return nil, err
		}
		return c.(*net.UnixConn), nil
	})
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() {
		t.Helper()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	for range 2 {
		var want bytes.Buffer
		want.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range rush + slow {
			want.WriteString(chunk(i))
			i++
		}
		want.WriteString("0\r\n\r\n")
		ask()
		got := make([]byte, want.Len())
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("it came otherwise: %v", err)
		}
	}
	ask()
	if _, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Fatal(err)
	}
	c.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the engine is not told that the client has left")
	}
}
