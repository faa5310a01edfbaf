package gate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// wire is one connection on which requests are written to the letter.
type wire struct {
	t    *testing.T
	name string // for messages
	c    *net.UnixConn
	r    *bufio.Reader
	// fields are those of the client's that every request has, each with its end of line.
	fields string
	dead   bool // something went wrong, and was told
}

func (s *side) wire(fields ...string) *wire {
	s.t.Helper()
	return wireTo(s.t, s.name, s.tee.socket, fields...)
}

// wireTo connects to a socket. It waits for no answer longer than a test may take.
func wireTo(t *testing.T, name, socket string, fields ...string) *wire {
	t.Helper()
	w := &wire{t: t, name: name}
	c, err := net.Dial("unix", socket)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patient))
	}
	if err != nil {
		w.fail(err, "connecting")
		return w
	}
	w.c, w.r = c.(*net.UnixConn), bufio.NewReader(c)
	for _, f := range fields {
		w.fields += f + "\r\n"
	}
	return w
}

func (w *wire) close() {
	if w.c != nil {
		w.c.Close()
	}
}

// call asks, and reads the answer. A body in JSON is sent with its length, and "" is none.
func (w *wire) call(method, target, body string) []byte {
	fields := w.fields
	if body != "" {
		fields += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	} else if method == "POST" {
		fields += "Content-Length: 0\r\n"
	}
	return w.text(method, method+" "+target+" HTTP/1.1\r\n"+fields+"\r\n"+body)
}

// chunked is call with the body in chunks.
func (w *wire) chunked(method, target, body string) []byte {
	half := len(body) / 2
	return w.text(method, fmt.Sprintf("%s %s HTTP/1.1\r\n%sContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n",
		method, target, w.fields, half, body[:half], len(body)-half, body[half:]))
}

func (w *wire) text(method, text string) []byte {
	w.t.Helper()
	if w.dead {
		return nil
	}
	if _, err := io.WriteString(w.c, text); err != nil {
		return w.fail(err, text)
	}
	answer, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		return w.fail(err, text)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Errorf("%s: %v: %.100q", w.name, err, text)
	}
	return b
}

func (w *wire) fail(err error, text string) []byte {
	w.t.Helper()
	w.dead = true
	w.t.Errorf("%s: %v: %.100q", w.name, err, text)
	return nil
}

// taken asks for a connection to be taken over, sends what is to be sent then, and gives
// what comes. It is the last of a wire.
func (w *wire) taken(target, body, input string) string {
	w.t.Helper()
	if w.dead {
		return ""
	}
	text := "POST " + target + " HTTP/1.1\r\n" + w.fields + "Connection: Upgrade\r\nUpgrade: tcp\r\n"
	if body != "" {
		text += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(w.c, text+"\r\n"+body); err != nil {
		w.t.Errorf("%s: %v: %.100q", w.name, err, text)
		return ""
	}
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		b, err := w.r.ReadByte()
		if err != nil {
			w.t.Errorf("%s: %v: %.100q", w.name, err, text)
			return ""
		}
		head.WriteByte(b)
	}
	var err error
	if input != "" { // what speaks first may be gone already
		_, err = io.WriteString(w.c, input)
		_ = w.c.CloseWrite()
	}
	out, readErr := io.ReadAll(w.r)
	w.c.Close()
	if err != nil || readErr != nil {
		w.t.Errorf("%s: %v, %v: %.100q", w.name, err, readErr, text)
	}
	return string(out)
}
