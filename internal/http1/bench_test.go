package http1

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Heads as docker's client and engine send them.
const (
	pingHead   = "GET /_ping HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/20.10.24+dfsg1 (linux)\r\n\r\n"
	createHead = "POST /v1.41/containers/create?name=web HTTP/1.1\r\nHost: docker\r\nUser-Agent: Docker-Client/20.10.24+dfsg1 (linux)\r\nContent-Length: 1508\r\nContent-Type: application/json\r\n\r\n"
	answerHead = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: Docker/20.10.24+dfsg1 (linux)\r\nDate: Wed, 25 Nov 2026 10:00:00 GMT\r\nContent-Length: 9000\r\n\r\n"
)

func BenchmarkReadRequest(b *testing.B) {
	for _, head := range []struct{ name, text string }{{"ping", pingHead}, {"create", createHead}} {
		r := bufio.NewReader(&again{text: head.text})
		b.Run(head.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadRequest(r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(head.name+"/net-http", func(b *testing.B) {
			// It would take what follows for the body.
			r := bufio.NewReader(&again{text: strings.Replace(head.text, "Content-Length", "Content-Lengthy", 1)})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := http.ReadRequest(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendHead(b *testing.B) {
	q, err := ReadRequest(bufio.NewReader(strings.NewReader(createHead)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		out = q.AppendHead(out[:0])
	}
}

func BenchmarkReadResponse(b *testing.B) {
	r := bufio.NewReader(&again{text: answerHead})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadResponse(r, "GET"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := http.ReadResponse(r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkThrough passes 256 MiB from one unix socket to another, written and
// read in 32 KiB as an engine and its client do.
func BenchmarkThrough(b *testing.B) {
	const size = 256 << 20
	for _, way := range []struct {
		name  string
		write func(w io.Writer) io.WriteCloser
		pass  func(client, engine *net.UnixConn) error
	}{
		{"nothing", plain, nil},
		{"io.Copy", plain, func(c, e *net.UnixConn) error { _, err := io.Copy(c, e); return err }},
		{"length", plain, func(c, e *net.UnixConn) error {
			_, err := CopyBody(c, bufio.NewReader(e), Framing{Kind: Length, Length: size}, nil)
			return err
		}},
		{"close", plain, func(c, e *net.UnixConn) error {
			_, err := CopyBody(c, bufio.NewReader(e), Framing{Kind: UntilClose}, nil)
			return err
		}},
		{"tunnel", plain, func(c, e *net.UnixConn) error {
			return Tunnel(c, e, bufio.NewReader(c), bufio.NewReader(e))
		}},
		{"chunked/nothing", chunker, nil},
		{"chunked/io.Copy", chunker, func(c, e *net.UnixConn) error { _, err := io.Copy(c, e); return err }},
		{"chunked", chunker, func(c, e *net.UnixConn) error {
			_, err := CopyBody(c, bufio.NewReader(e), Framing{Kind: Chunked}, nil)
			return err
		}},
		{"chunked/64KiB", chunker, func(c, e *net.UnixConn) error {
			_, err := CopyBody(c, bufio.NewReaderSize(e, 64<<10), Framing{Kind: Chunked}, nil)
			return err
		}},
		{"chunked/net-http", chunker, func(c, e *net.UnixConn) error {
			w := httputil.NewChunkedWriter(c)
			_, err := io.Copy(w, httputil.NewChunkedReader(bufio.NewReader(e)))
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				sink, source := pipe(b)
				passed := make(chan error, 1)
				if way.pass == nil {
					passed <- nil
				} else {
					c, e := pipe(b)
					client, engine := source, c
					source = e
					go func() {
						err := way.pass(client, engine)
						client.Close()
						passed <- err
					}()
				}
				go func() {
					w := way.write(source)
					block := make([]byte, 32<<10)
					for n := 0; n < size; n += len(block) {
						if _, err := w.Write(block); err != nil {
							break
						}
					}
					w.Close()
					source.Close()
				}()
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, sink, make([]byte, 32<<10))
				sink.Close()
				if err != nil || n < size {
					b.Fatalf("%d bytes, %v", n, err)
				}
				if err := <-passed; err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdle tells what a stream keeps of memory when a burst of 1 MiB each way
// is over: heap and stacks, with its two readers, and without what the test itself
// has.
func BenchmarkIdle(b *testing.B) {
	for _, way := range []struct {
		name  string
		burst string
		pass  func(client, engine *net.UnixConn) error
	}{
		{"tunnel", strings.Repeat("x", 1<<20), func(c, e *net.UnixConn) error {
			return Tunnel(c, e, bufio.NewReader(c), bufio.NewReader(e))
		}},
		{"chunked", "100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n", func(c, e *net.UnixConn) error {
			_, err := CopyBody(c, bufio.NewReader(e), Framing{Kind: Chunked}, nil)
			return err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			const streams = 200
			var before, after runtime.MemStats
			for b.Loop() {
				var ends []*net.UnixConn
				var passing sync.WaitGroup
				for range streams {
					client, c := pipe(b)
					e, engine := pipe(b)
					ends = append(ends, client, engine, c, e)
				}
				runtime.GC()
				runtime.ReadMemStats(&before)
				for i := 0; i < len(ends); i += 4 {
					client, engine, c, e := ends[i], ends[i+1], ends[i+2], ends[i+3]
					passing.Go(func() { _ = way.pass(c, e) }) // it ends when the connection does
					go io.WriteString(engine, way.burst)
					if _, err := io.CopyN(io.Discard, client, int64(len(way.burst))); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				runtime.GC() // a pool keeps what it has over one
				runtime.ReadMemStats(&after)
				for _, c := range ends {
					c.Close()
				}
				passing.Wait()
			}
			used := func(m runtime.MemStats) int64 { return int64(m.HeapAlloc + m.StackInuse) }
			b.ReportMetric(float64(used(after)-used(before))/streams, "B/stream")
		})
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func plain(w io.Writer) io.WriteCloser { return nopCloser{w} }

// chunker writes as an engine's net/http does: a buffer of 4 KiB before the
// connection.
func chunker(w io.Writer) io.WriteCloser {
	return &chunkWriter{bufio.NewWriter(w)}
}

type chunkWriter struct{ w *bufio.Writer }

func (c *chunkWriter) Write(p []byte) (int, error) {
	c.w.WriteString(strconv.FormatInt(int64(len(p)), 16) + "\r\n")
	c.w.Write(p)
	_, err := c.w.WriteString("\r\n")
	return len(p), err
}

func (c *chunkWriter) Close() error {
	c.w.WriteString("0\r\n\r\n")
	return c.w.Flush()
}
