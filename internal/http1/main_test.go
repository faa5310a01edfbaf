package http1

import (
	"bufio"
	"errors"
	"io"
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
	case e.Status != status || !strings.Contains(e.Msg, words):
		t.Errorf("%d %s\nwant %d, %q", e.Status, e.Msg, status, words)
	case strings.ContainsFunc(e.Msg, func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.Errorf("%q has control characters", e.Msg)
	}
}
