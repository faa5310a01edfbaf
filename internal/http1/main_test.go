package http1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// input is a reader whose buffer is as small as can be, so that little fits.
func input(s string) *bufio.Reader { return bufio.NewReaderSize(strings.NewReader(s), 16) }

// rest is what a reader did not take.
func rest(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refused checks that err is an Error with this status and these words.
func refused(t *testing.T, err error, status int, words string) {
	t.Helper()
	var e *Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("not refused: %v", err)
	case e.Status != status || !strings.Contains(err.Error(), words):
		t.Errorf("%d %v\nwant %d, %q", e.Status, err, status, words)
	case len(e.Msg) > 300:
		t.Errorf("a long message: %s", e.Msg)
	case strings.ContainsFunc(e.Msg, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Errorf("%q has control characters", e.Msg)
	}
}

// again reads one text for ever.
type again struct {
	text string
	at   int
}

func (r *again) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// pipe is a pair of unix sockets.
func pipe(tb testing.TB) (a, b *net.UnixConn) {
	tb.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(tb.TempDir(), "s"), Net: "unix"})
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	if a, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr)); err != nil {
		tb.Fatal(err)
	}
	if b, err = l.AcceptUnix(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}
