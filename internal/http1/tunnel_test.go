package http1

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tcp is a pair of connections over loopback.
func tcp(tb testing.TB) (a, b *net.TCPConn) {
	tb.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if a, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)); err != nil {
		tb.Fatal(err)
	}
	if b, err = l.AcceptTCP(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// overTLS is a pair of connections with TLS.
func overTLS(tb testing.TB) (a, b *tls.Conn) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"docker"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	from, to := tcp(tb)
	a = tls.Client(from, &tls.Config{ServerName: "docker", RootCAs: roots})
	b = tls.Server(to, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	var shaken sync.WaitGroup
	shaken.Go(func() {
		if err := b.Handshake(); err != nil {
			tb.Error(err)
		}
	})
	if err := a.Handshake(); err != nil {
		tb.Fatal(err)
	}
	shaken.Wait()
	return a, b
}

// networks are the kinds of connections that a client comes by, as pairs of its end
// and that of the tunnel.
var networks = map[string]func(testing.TB) (client, tunnel Conn){
	"unix": func(tb testing.TB) (Conn, Conn) { a, b := pipe(tb); return a, b },
	"tcp":  func(tb testing.TB) (Conn, Conn) { a, b := tcp(tb); return a, b },
	"tls":  func(tb testing.TB) (Conn, Conn) { a, b := overTLS(tb); return a, b },
	// One whose socket is not known, such as one that counts.
	"wrapped": func(tb testing.TB) (Conn, Conn) { a, b := pipe(tb); return a, struct{ Conn }{b} },
}

// How a tunnel ends.
type end int

const (
	quietly end = iota
	broken
	either // which side is told first is a matter of time
)

// onEach runs a test with a tunnel from each kind of client to an engine's unix
// socket, which must have ended when the test has.
func onEach(t *testing.T, test func(t *testing.T, network string, client Conn, engine *net.UnixConn) end) {
	for name, pair := range networks {
		t.Run(name, func(t *testing.T) {
			client, inner := pair(t)
			toEngine, engine := pipe(t)
			ended := make(chan error, 1)
			go func() {
				ended <- Tunnel(inner, toEngine, bufio.NewReader(inner), bufio.NewReader(toEngine))
			}()
			want := test(t, name, client, engine)
			if err := <-ended; want != either && (err != nil) != (want == broken) {
				t.Errorf("it ended with %v", err)
			}
			// Both are closed.
			for _, c := range []Conn{inner, toEngine} {
				if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("%T is open yet: %v", c, err)
				}
			}
		})
	}
}

func say(t *testing.T, c io.Writer, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Error(err)
	}
}

func hear(t *testing.T, c io.Reader, what string) {
	t.Helper()
	got := make([]byte, len(what))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != what {
		t.Errorf("heard %q, %v; not %q", got, err, what)
	}
}

func hearEnd(t *testing.T, c io.Reader) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("heard %d bytes, %v; not the end", n, err)
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// TestTunnelClientEndsFirst as docker run without -i does: the engine goes on.
func TestTunnelClientEndsFirst(t *testing.T) {
	onEach(t, func(t *testing.T, _ string, client Conn, engine *net.UnixConn) end {
		say(t, client, "in")
		hear(t, engine, "in")
		do(t, client.CloseWrite())
		hearEnd(t, engine)
		for range 3 {
			say(t, engine, "out")
			hear(t, client, "out")
		}
		do(t, engine.Close())
		hearEnd(t, client)
		return quietly
	})
}

// TestTunnelEngineEndsFirst: the client may yet send.
func TestTunnelEngineEndsFirst(t *testing.T) {
	onEach(t, func(t *testing.T, _ string, client Conn, engine *net.UnixConn) end {
		say(t, engine, "out")
		do(t, engine.CloseWrite())
		hear(t, client, "out")
		hearEnd(t, client)
		for range 3 {
			say(t, client, "in")
			hear(t, engine, "in")
		}
		do(t, client.CloseWrite())
		hearEnd(t, engine)
		return quietly
	})
}

// TestTunnelClientGone: with the client closed, the engine's connection is, though
// neither says anything; so it is when the client had ended its direction before.
// Over TCP only a reset tells that.
func TestTunnelClientGone(t *testing.T) {
	for _, before := range []bool{false, true} {
		onEach(t, func(t *testing.T, network string, client Conn, engine *net.UnixConn) end {
			say(t, client, "in")
			hear(t, engine, "in")
			if before {
				do(t, client.CloseWrite())
				hearEnd(t, engine)
			}
			switch c := client.(type) {
			case *net.TCPConn:
				do(t, c.SetLinger(0))
			case *tls.Conn:
				do(t, c.NetConn().(*net.TCPConn).SetLinger(0))
			}
			do(t, client.Close())
			if !before {
				hearEnd(t, engine)
			}
			if network == "wrapped" {
				// That it is gone is known when it gets something.
				say(t, engine, "out")
			}
			// It takes nothing any more: the other end is closed whole.
			untilBroken(t, engine)
			// A reset before the end is an error, but TLS has said its end before it.
			if network == "wrapped" || network == "tcp" && !before {
				return broken
			}
			return quietly
		})
	}
}

// untilBroken waits until what is sent is not taken any more.
func untilBroken(t *testing.T, c *net.UnixConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	do(t, err)
	// The poller wakes when the peer is closed.
	do(t, raw.Write(func(fd uintptr) bool {
		_, err := syscall.SendmsgN(int(fd), nil, nil, nil, syscall.MSG_NOSIGNAL)
		return err == syscall.EPIPE
	}))
}

// TestTunnelEngineGone: with the engine gone the client's connection is closed, as
// it would be without a tunnel, after it has got what the engine sent.
func TestTunnelEngineGone(t *testing.T) {
	onEach(t, func(t *testing.T, network string, client Conn, engine *net.UnixConn) end {
		say(t, client, "in")
		hear(t, engine, "in")
		say(t, engine, "out")
		do(t, engine.Close())
		hear(t, client, "out")
		hearEnd(t, client)
		return quietly
	})
}

// TestTunnelWriteBreaks: what the client does not take ends the engine's side.
func TestTunnelWriteBreaks(t *testing.T) {
	onEach(t, func(t *testing.T, network string, client Conn, engine *net.UnixConn) end {
		do(t, client.Close())
		for {
			if _, err := engine.Write(make([]byte, 1<<10)); err != nil {
				break
			}
		}
		engine.Close()
		return either
	})
}

// TestTunnelClientKilled with a real process, in the midst of its stream.
func TestTunnelClientKilled(t *testing.T) {
	client, inner := pipe(t)
	toEngine, engine := pipe(t)
	ended := make(chan error, 1)
	go func() { ended <- Tunnel(inner, toEngine, bufio.NewReader(inner), bufio.NewReader(toEngine)) }()
	f, err := client.File()
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	cmd := exec.Command("sh", "-c", "echo begun; exec sleep 1000")
	cmd.Stdin, cmd.Stdout = f, f
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	hear(t, engine, "begun\n")
	do(t, cmd.Process.Signal(os.Kill))
	hearEnd(t, engine)
	untilBroken(t, engine)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it was not killed")
	}
}

// TestTunnelReset: a unix socket that is closed with something unread in it is
// reset, and so is a TCP connection without lingering.
func TestTunnelReset(t *testing.T) {
	onEach(t, func(t *testing.T, network string, client Conn, engine *net.UnixConn) end {
		say(t, client, "in")
		hear(t, engine, "in")
		say(t, client, "unread")
		say(t, engine, "out")
		hear(t, client, "out")
		// All of it is there when the one byte that is read was.
		hear(t, engine, "u")
		do(t, engine.Close())
		if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("heard %d bytes, %v", n, err)
		}
		return broken
	})
}

// TestTunnelBuffered: what was read with the head comes first, before its sender
// says more.
func TestTunnelBuffered(t *testing.T) {
	for name, pair := range networks {
		t.Run(name, func(t *testing.T) {
			client, inner := pair(t)
			toEngine, engine := pipe(t)
			fromClient, fromEngine := bufio.NewReader(inner), bufio.NewReader(toEngine)
			say(t, client, "head in")
			say(t, engine, "head out")
			hear(t, fromClient, "head ")
			hear(t, fromEngine, "head ")
			ended := make(chan error, 1)
			go func() { ended <- Tunnel(inner, toEngine, fromClient, fromEngine) }()
			hear(t, engine, "in")
			hear(t, client, "out")
			say(t, client, "more")
			hear(t, engine, "more")
			do(t, client.CloseWrite())
			do(t, engine.CloseWrite())
			hearEnd(t, client)
			hearEnd(t, engine)
			do(t, <-ended)
		})
	}
}

// TestTunnelBufferedForNobody: what is buffered for a peer that is gone ends it.
func TestTunnelBufferedForNobody(t *testing.T) {
	client, inner := pipe(t)
	toEngine, engine := pipe(t)
	fromClient := bufio.NewReader(inner)
	say(t, client, "head in")
	hear(t, fromClient, "head ")
	do(t, engine.Close())
	err := Tunnel(inner, toEngine, fromClient, bufio.NewReader(toEngine))
	hearEnd(t, client)
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

// TestTunnelBothWays passes 64 MiB each way at once, over TCP less.
func TestTunnelBothWays(t *testing.T) {
	onEach(t, func(t *testing.T, network string, client Conn, engine *net.UnixConn) end {
		size := int64(64 << 20)
		if network != "unix" {
			size = 8 << 20
		}
		var all sync.WaitGroup
		sums := map[string]*[2][]byte{"up": {}, "down": {}}
		send := func(way string, c Conn, seed byte) {
			h := sha256.New()
			r := io.LimitReader(mathrand.NewChaCha8([32]byte{seed}), size)
			n, err := io.Copy(io.MultiWriter(c, h), r)
			if n != size || err != nil {
				t.Errorf("sending %s: %d bytes, %v", way, n, err)
			}
			do(t, c.CloseWrite())
			sums[way][0] = h.Sum(nil)
		}
		receive := func(way string, c Conn) {
			h := sha256.New()
			n, err := io.Copy(h, c)
			if n != size || err != nil {
				t.Errorf("receiving %s: %d bytes, %v", way, n, err)
			}
			sums[way][1] = h.Sum(nil)
		}
		all.Go(func() { send("up", client, 1) })
		all.Go(func() { send("down", engine, 2) })
		all.Go(func() { receive("up", engine) })
		all.Go(func() { receive("down", client) })
		all.Wait()
		for way, sum := range sums {
			if !bytes.Equal(sum[0], sum[1]) {
				t.Errorf("%s is not what was sent", way)
			}
		}
		return quietly
	})
}

// TestTunnelSlowReceiver: a receiver that does not read holds its sender up and
// nothing else.
func TestTunnelSlowReceiver(t *testing.T) {
	onEach(t, func(t *testing.T, _ string, client Conn, engine *net.UnixConn) end {
		const size = 8 << 20
		sent := make(chan error, 1)
		go func() {
			_, err := client.Write(make([]byte, size))
			sent <- err
		}()
		for i := range 100 {
			word := fmt.Sprint("word ", i)
			say(t, engine, word)
			hear(t, client, word)
		}
		n, err := io.CopyN(io.Discard, engine, size)
		if n != size || err != nil || <-sent != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		do(t, client.CloseWrite())
		do(t, engine.CloseWrite())
		return quietly
	})
}
