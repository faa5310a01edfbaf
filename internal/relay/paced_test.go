package relay

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestPaced: all pieces come as they were; only those that come thick and fast, one after the
// other, make a stream in which it rests.
func TestPaced(t *testing.T) {
	var got bytes.Buffer
	now := time.Unix(0, 0)
	p := &paced{to: &got, now: func() time.Time { return now }}
	var want strings.Builder
	write := func(piece string, after time.Duration) {
		t.Helper()
		now = now.Add(after)
		want.WriteString(piece)
		if n, err := p.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("%d of %d bytes, %v", n, len(piece), err)
		}
	}
	streams := func() bool { return p.n > many }
	for range 3 * many {
		write("key", dense)
	}
	if streams() {
		t.Error("what is typed is taken for a stream")
	}
	for range many {
		write("line\n", dense/2)
	}
	if streams() {
		t.Error("a short answer is taken for a stream")
	}
	write("line\n", 0)
	if !streams() {
		t.Error("a log is not taken for a stream")
	}
	write(strings.Repeat("x", small), 0)
	if !streams() {
		t.Error("lines that came together end a stream")
	}
	write(strings.Repeat("x", small+1), 0)
	if streams() {
		t.Error("a file is taken for a stream")
	}
	if got.String() != want.String() {
		t.Error("what came is not what was sent")
	}
}
