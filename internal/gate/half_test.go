package gate

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// halfRequests: what clients begin and do not end has no effect at the engine, leaves
// nothing in the gate, and is no nuisance to others.
func halfRequests(t *testing.T, e *lab.Engine) {
	p := run(t, e.Socket(), "--mode", "enforce")
	had := p.lookedAround()
	many, cuts, step := 500, 12, 4
	if thorough {
		many, cuts, step = 10_000, 200, 1
	}
	p.must("create", "--name", "half", "web:1")
	body := `{"Image":"web:1","Labels":{"x":"` + strings.Repeat("a", 20_000) + `"}}`
	head := func(more string) string {
		return "POST /containers/create?name=halved HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + more + "\r\n"
	}
	long := head(fmt.Sprintf("Content-Length: %d\r\n", len(body))) + body
	chunked := head("Transfer-Encoding: chunked\r\n") + inChunks([]byte(body), 700)
	for name, whole := range map[string]string{"with a length": long, "in chunks": chunked} {
		for i := range cuts {
			// Half of them in the head, and half in the body, but not at its end.
			cut := 1 + i*300/cuts
			if i > cuts/2 {
				cut = len(whole) * i / (cuts + 1)
			}
			c := connect(t, p.socket)
			if _, err := io.WriteString(c, whole[:cut]); err != nil {
				t.Errorf("%s, %d bytes: %v", name, cut, err)
			}
			if i%2 == 0 {
				_ = c.CloseWrite() // it still listens
				_ = c.SetReadDeadline(time.Now().Add(patient))
				if answer, _ := io.ReadAll(c); bytes.Contains(answer, []byte("201 Created")) {
					t.Errorf("%s, %d bytes: half a request is done: %s", name, cut, answer)
				}
			}
			c.Close()
		}
	}
	// Archives are passed on as they come.
	files := archiveOfFiles(t, 40)
	put := "PUT /containers/half/archive?path=/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
	load := "POST /images/load?quiet=1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\n"
	for name, whole := range map[string]string{
		"an archive with a length": put + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(files)) + string(files), "an archive in chunks": put + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(files, 1000),
		"an image": load + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(files)) + string(files), "an image in chunks": load + "Transfer-Encoding: chunked\r\n\r\n" + inChunks(files, 1000),
	} {
		for i := 1; i < 10; i += step {
			half := whole[:len(whole)*i/10]
			bare, through := halfClosed(t, e.Socket(), half), halfClosed(t, p.socket, half)
			if strings.Contains(through, " 200 OK") && !strings.Contains(bare, " 200 OK") {
				t.Errorf("%s, %d tenths: the engine takes it for whole: %s\nwithout the gate: %s", name, i, through, bare)
			} else if !strings.Contains(through, "the request was not sent whole") && !strings.Contains(through, " 200 OK") {
				t.Errorf("%s, %d tenths: the client is told %s", name, i, through)
			}
		}
		if all := halfClosed(t, p.socket, whole); !strings.HasPrefix(all, "HTTP/1.1 ") {
			t.Errorf("%s, whole: %q", name, all)
		}
	}
	if got := halfClosed(t, p.socket, put+"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n"); !strings.Contains(got, " 400 ") || !strings.Contains(got, "extension") {
		t.Errorf("of a chunk that is not passed on the client is told %s", got)
	}
	// Who half-closes behind a whole request is answered.
	for _, r := range []string{"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n", "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\nGET /containers/half/json HTTP/1.1\r\nHost: x\r\n\r\nGET /_ping HTTP/1.1\r\nHo"} {
		want, got := plainOf(halfClosed(t, e.Socket(), r)), plainOf(halfClosed(t, p.socket, r))
		if strings.Count(want, "HTTP/1.1 200 OK") != strings.Count(got, "HTTP/1.1 200 OK") || !strings.Contains(got, " 200 OK") {
			t.Errorf("%q: without the gate\n%.2000s\nwith it\n%.2000s", r, want, got)
		}
	}
	for i := range many {
		c, err := net.Dial("unix", p.socket)
		for ; errors.Is(err, syscall.EAGAIN); c, err = net.Dial("unix", p.socket) { // so many wait already (unix(7))
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			_, _ = io.WriteString(c, "GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		c.Close()
	}
	if out, err := e.Docker("ps", "-aq", "--filter", "name=halved"); err != nil || out != "" {
		t.Errorf("the engine has %q, %v", out, err)
	}
	status, text, err := p.ask("POST", "/containers/create?name=halved", body)
	if status != 201 {
		t.Errorf("the whole request is answered by %d %s, %v", status, text, err)
	}
	p.must("rm", "halved", "half")
	p.goroutines(had, "requests that did not end")
}

// halfClosed is all that comes of a text behind which the client sends no more.
func halfClosed(t *testing.T, socket, text string) string {
	t.Helper()
	c := connect(t, socket)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patient))
	go func() {
		_, _ = io.WriteString(c, text)
		_ = c.CloseWrite()
	}()
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		return err.Error()
	}
	return string(answer)
}

// archiveOfFiles is an archive of so many files.
func archiveOfFiles(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range n {
		err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("file%d", i), Mode: 0o644, Size: 3000})
		if err == nil {
			_, err = w.Write(make([]byte, 3000))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
