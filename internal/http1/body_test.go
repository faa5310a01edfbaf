package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// TestChunks has for each malformed chunked body its ordinary twin.
func TestChunks(t *testing.T) {
	const (
		client = 1 << iota // refused from a client
		engine             // and from an engine
		both   = client | engine
	)
	for _, tc := range []struct {
		name     string
		refused  string
		from     int
		words    string
		ordinary string
		want     string
	}{
		{"size too large", "FFFFFFFFFFFFFFFF\r\n", both, "too large", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"size that overflows to 5", "10000000000000005\r\nhello\r\n0\r\n\r\n", both, "too large", "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
		{"size of many zeros", "00000000000000005\r\nhello\r\n0\r\n\r\n", both, "too large", "05\r\nhello\r\n0\r\n\r\n", "hello"},
		{"size that no int64 has with the rest", "7FFFFFFFFFFFFFFF\r\nhello", both, "too large", "a\r\nhellohello\r\n0\r\n\r\n", "hellohello"},
		{"space before the size", " 5\r\nhello\r\n0\r\n\r\n", both, "begins", "5\r\n ello\r\n0\r\n\r\n", " ello"},
		{"space behind the size", "5 \r\nhello\r\n0\r\n\r\n", both, "goes on", "5\r\nhell \r\n0\r\n\r\n", "hell "},
		{"tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n", both, "goes on", "5\r\nhell\t\r\n0\r\n\r\n", "hell\t"},
		{"0x", "0x5\r\nhello\r\n0\r\n\r\n", both, `"x"`, "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"underscore", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n", both, `"_"`, "10\r\n0123456789abcdef\r\n0\r\n\r\n", "0123456789abcdef"},
		{"plus", "+5\r\nhello\r\n0\r\n\r\n", both, `"+"`, "5\r\n+ello\r\n0\r\n\r\n", "+ello"},
		{"minus", "-1\r\n0\r\n\r\n", both, `"-"`, "1\r\n-\r\n0\r\n\r\n", "-"},
		{"no size", "\r\nhello\r\n0\r\n\r\n", both, "begins", "0\r\n\r\n", ""},
		{"other digits", "\u0665\r\nhello\r\n0\r\n\r\n", both, "begins", "6\r\n\u0665\u0665\u0665\r\n0\r\n\r\n", "\u0665\u0665\u0665"},
		{"LF behind the size", "5\nhello\r\n0\r\n\r\n", both, "goes on", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"CR behind the size", "5\rhello\r\n0\r\n\r\n", both, "carriage return", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"CR twice behind the size", "5\r\r\nhello\r\n0\r\n\r\n", both, "carriage return", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"LF behind the data", "5\r\nhello\n0\r\n\r\n", both, "does not end", "5\r\nhell\n\r\n0\r\n\r\n", "hell\n"},
		{"more data than the size", "4\r\nhello\r\n0\r\n\r\n", both, "does not end", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"CR alone behind the data", "5\r\nhello\r0\r\n\r\n", both, "does not end", "5\r\nhell\r\r\n0\r\n\r\n", "hell\r"},
		{"LF at the end", "0\r\n\n", both, "", "0\r\n\r\n", ""},
		{"CR at the end", "0\r\n\r0", both, "carriage return", "000\r\n\r\n", ""},
		{"an extension", "5;x=y\r\nhello\r\n0\r\n\r\n", client, "extension", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"an extension of nothing", "5;\r\nhello\r\n0\r\n\r\n", client, "extension", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"an extension of the last", "0;x\r\n\r\n", client, "extension", "0\r\n\r\n", ""},
		{"an extension with LF", "5;x\nhello\r\n0\r\n\r\n", both, "", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"an endless extension", "5;" + strings.Repeat("x", maxChunkLine) + "\r\nhello\r\n0\r\n\r\n", both, "", "5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"a trailer", "0\r\nX: y\r\n\r\n", client, "behind the body", "0\r\n\r\n", ""},
		{"a trailer without colon", "0\r\nX\r\n\r\n", both, "behind the body", "0\r\n\r\n", ""},
		{"a trailer with LF", "0\r\nX: y\n\r\n", both, "behind the body", "0\r\n\r\n", ""},
		{"a trailer with CR", "0\r\nX: y\rZ\r\n\r\n", both, "behind the body", "0\r\n\r\n", ""},
		{"a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", both, "behind the body", "0\r\n\r\n", ""},
		{"a trailer with an endless name", "0\r\n" + strings.Repeat("X", maxHead+1), both, "behind the body", "0\r\n\r\n", ""},
		{"endless trailers", "0\r\n" + strings.Repeat("X: y\r\n", maxHead/4) + "\r\n", both, "behind the body", "0\r\n\r\n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for from, framing := range map[int]Framing{client: {Kind: Chunked}, engine: {Kind: Chunked, engine: true}} {
				status := map[int]int{client: 400, engine: 502}[from]
				for _, size := range []int{16, 4096} {
					reader := func(s string) *bufio.Reader { return bufio.NewReaderSize(strings.NewReader(s), size) }
					_, decoding := ReadBody(reader(tc.refused), framing, 1000)
					_, copying := CopyBody(io.Discard, reader(tc.refused), framing, nil)
					if tc.from&from == 0 {
						if decoding != nil || copying != nil {
							t.Errorf("refused from an engine: %v, %v", decoding, copying)
						}
					} else {
						refused(t, decoding, status, tc.words)
						refused(t, copying, status, tc.words)
					}
					body, err := ReadBody(reader(tc.ordinary), framing, 1000)
					if err != nil || string(body) != tc.want {
						t.Errorf("%q is %q, %v", tc.ordinary, body, err)
					}
					var out strings.Builder
					if _, err := CopyBody(&out, reader(tc.ordinary), framing, nil); err != nil || out.String() != tc.ordinary {
						t.Errorf("%q is passed on as %q, %v", tc.ordinary, out.String(), err)
					}
				}
			}
		})
	}
}

// TestChunksLeast: so much as may be read at once is there, and no more than that
// where nothing but the end can follow.
func TestChunksLeast(t *testing.T) {
	const body = "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
	const trailers = "3;x=y\r\nabc\r\n0;z\r\nA: b\r\nC:\r\n\r\n"
	for _, in := range []string{body, trailers} {
		for i := range len(in) + 1 {
			c := chunks{engine: true}
			if n, err := c.follow([]byte(in[:i])); n != i || err != nil {
				t.Fatalf("%q: %d, %v", in[:i], n, err)
			}
			least, left := c.least(), int64(len(in)-i)
			if last := i > strings.Index(in, "10\r")+1; least > left || in == body && last && least != left {
				t.Errorf("behind %q at least %d bytes are to come, and %d do", in[:i], least, left)
			}
			if c.state == trailerStart || c.state == chunksLF {
				if _, err := c.follow([]byte("\r\n")[2-least:]); err != nil || c.state != chunksEnd {
					t.Errorf("behind %q the end is not the last %d bytes: %v", in[:i], least, err)
				}
			}
		}
	}
}

// TestBodyCutOff: a body without its end is none, but for one that ends with the
// connection.
func TestBodyCutOff(t *testing.T) {
	for _, tc := range []struct {
		in      string
		framing Framing
	}{
		{"hello", Framing{Kind: Length, Length: 5}},
		{"5\r\nhello\r\n1f\r\n" + strings.Repeat("x", 0x1f) + "\r\n0\r\n\r\n", Framing{Kind: Chunked}},
		{"5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n", Framing{Kind: Chunked, engine: true}},
		{"hello", Framing{Kind: UntilClose}},
	} {
		for i := range len(tc.in) + 1 {
			whole := i == len(tc.in) || tc.framing.Kind == UntilClose
			_, copying := CopyBody(io.Discard, input(tc.in[:i]), tc.framing, nil)
			_, decoding := io.ReadAll(BodyReader(input(tc.in[:i]), tc.framing))
			_, taking := ReadBody(input(tc.in[:i]), tc.framing, 1000)
			for _, err := range []error{copying, decoding, taking} {
				if whole && err != nil || !whole && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%d bytes of %q: %v", i, tc.in, err)
				}
			}
			broken := fmt.Errorf("broken")
			r := bufio.NewReader(io.MultiReader(strings.NewReader(tc.in[:i]), iotest.ErrReader(broken)))
			if _, err := CopyBody(io.Discard, r, tc.framing, nil); (i < len(tc.in) || tc.framing.Kind == UntilClose) && !errors.Is(err, broken) {
				t.Errorf("%d bytes of %q, then broken: %v", i, tc.in, err)
			}
		}
	}
}

// TestReadBodyBounds: no more is taken than allowed, nothing is taken where that is
// known before, and what was announced is not believed.
func TestReadBodyBounds(t *testing.T) {
	const large = 3 * block
	data := strings.Repeat("0123456789abcdef", large/16)
	for _, tc := range []struct {
		wire    string
		framing Framing
	}{
		{data + "next", Framing{Kind: Length, Length: large}},
		{fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\nnext", large, data), Framing{Kind: Chunked}},
		{data, Framing{Kind: UntilClose}},
	} {
		for _, most := range []int64{large, large + 1, 1 << 50} {
			r := input(tc.wire)
			got, err := ReadBody(r, tc.framing, most)
			if left := rest(t, r); err != nil || string(got) != data || left != map[bool]string{true: "", false: "next"}[tc.framing.Kind == UntilClose] {
				t.Errorf("%+v, at most %d: %d bytes, %v, %.20q is left", tc.framing, most, len(got), err, left)
			}
		}
		for _, most := range []int64{0, 1, large - 1} {
			r := input(tc.wire)
			_, err := ReadBody(r, tc.framing, most)
			refused(t, err, 413, fmt.Sprint(most))
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("at most %d: %v", most, err)
			}
			if tc.framing.Kind == Length && rest(t, r) != tc.wire {
				t.Error("something was taken")
			}
		}
	}
	engine := Framing{Kind: Length, Length: 2, engine: true}
	_, err := ReadBody(input("12"), engine, 1)
	refused(t, err, 502, "larger")
	if got, err := ReadBody(input("12"), engine, 2); err != nil || string(got) != "12" {
		t.Errorf("%q, %v", got, err)
	}

	// A petabyte is announced.
	if _, err := ReadBody(input("few"), Framing{Kind: Length, Length: 1 << 50}, 1<<51); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	for _, none := range []Framing{{}, {Kind: Length}} {
		r := input("next")
		if got, err := ReadBody(r, none, 0); err != nil || got != nil || !none.Empty() {
			t.Errorf("%q, %v", got, err)
		}
		if n, err := CopyBody(io.Discard, r, none, nil); n != 0 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if got, err := io.ReadAll(BodyReader(r, none)); len(got) != 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if left := rest(t, r); left != "next" {
			t.Errorf("%q is left", left)
		}
	}
}

// TestBodiesInARow: of many bodies in one stream, of all sizes and cut anyhow, each
// is passed on and decoded to its end and not a byte further.
func TestBodiesInARow(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(1, seed))
		type message struct {
			data, wire []byte
			framing    Framing
		}
		var messages []message
		var stream []byte
		for range 12 {
			m := message{data: make([]byte, rnd.IntN(1<<rnd.IntN(19)+1))}
			for i := range m.data {
				m.data[i] = byte(rnd.IntN(256))
			}
			if rnd.IntN(3) == 0 {
				m.framing, m.wire = Framing{Kind: Length, Length: int64(len(m.data))}, m.data
			} else {
				m.framing = Framing{Kind: Chunked, engine: rnd.IntN(2) == 0}
				for left := m.data; len(left) > 0; {
					n := min(len(left), 1+rnd.IntN(1<<rnd.IntN(18)))
					m.wire = fmt.Appendf(m.wire, "%x", n)
					if m.framing.engine && rnd.IntN(3) == 0 {
						m.wire = append(m.wire, ";x"...)
					}
					m.wire = append(append(append(m.wire, "\r\n"...), left[:n]...), "\r\n"...)
					left = left[n:]
				}
				m.wire = append(m.wire, "0\r\n"...)
				if m.framing.engine && rnd.IntN(3) == 0 {
					m.wire = append(m.wire, "X: y\r\n"...)
				}
				m.wire = append(m.wire, "\r\n"...)
			}
			messages = append(messages, m)
			if !m.framing.engine { // behind an answer nothing comes before it is asked for
				stream = append(stream, m.wire...)
			}
		}
		size := 16 << rnd.IntN(14)
		for _, way := range []string{"copy", "read", "take"} {
			r := bufio.NewReaderSize(&cutReader{bytes.NewReader(stream), rand.New(rand.NewPCG(2, seed)), seed%4 == 0}, size)
			for i, m := range messages {
				var got, want []byte
				var err error
				r := r
				if m.framing.engine {
					r = bufio.NewReaderSize(&cutReader{bytes.NewReader(m.wire), rand.New(rand.NewPCG(3, seed)), seed%4 == 0}, size)
				}
				switch want = m.data; way {
				case "copy":
					var out bytes.Buffer
					var n int64
					n, err = CopyBody(&out, r, m.framing, nil)
					got, want = out.Bytes(), m.wire
					if int(n) != len(want) {
						t.Errorf("%d of %d bytes are counted", n, len(want))
					}
				case "read":
					body := BodyReader(r, m.framing)
					got, err = io.ReadAll(body)
					if n, again := body.Read(make([]byte, 1)); n != 0 || again != io.EOF {
						t.Errorf("after the end: %d bytes, %v", n, again)
					}
				case "take":
					got, err = ReadBody(r, m.framing, int64(len(m.data)))
				}
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("seed %d, %s, message %d: %d bytes of %d, %v", seed, way, i, len(got), len(want), err)
				}
			}
			if left := rest(t, r); left != "" {
				t.Errorf("seed %d, %s: %d bytes are left", seed, way, len(left))
			}
		}
	}
}

// cutReader gives as much as it likes.
type cutReader struct {
	r     io.Reader
	rnd   *rand.Rand
	small bool
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.small {
		p = p[:min(len(p), 1+c.rnd.IntN(100))]
	}
	return c.r.Read(p[:1+c.rnd.IntN(len(p))])
}

// TestCopyBodyWaitsForNothing: what has come is passed on while the sender is silent.
func TestCopyBodyWaitsForNothing(t *testing.T) {
	large := strings.Repeat("x", 5*block)
	for _, tc := range []struct {
		pieces  []string
		framing Framing
		chunks  int
	}{
		{[]string{"a", "bc", large, "d"}, Framing{Kind: Length, Length: int64(4 + len(large))}, 0},
		{[]string{"a", "bc", large, "d"}, Framing{Kind: UntilClose}, 0},
		{[]string{"1\r\na\r\n", "2\r", "\nb", "c\r\n", fmt.Sprintf("%x\r\n%s\r\n", len(large), large), "5\r\nhe", "llo\r\n", "0\r\n", "\r\n"}, Framing{Kind: Chunked}, 4},
	} {
		sender, src := pipe(t)
		dst, receiver := pipe(t)
		var bytes, chunks int
		copied := make(chan error, 1)
		go func() {
			_, err := CopyBody(dst, bufio.NewReader(src), tc.framing, func(b, c int) { bytes, chunks = bytes+b, chunks+c })
			copied <- err
		}()
		for _, piece := range tc.pieces {
			go io.WriteString(sender, piece)
			got := make([]byte, len(piece))
			if _, err := io.ReadFull(receiver, got); err != nil || string(got) != piece {
				t.Fatalf("%.20q came as %.20q, %v", piece, got, err)
			}
		}
		if tc.framing.Kind == UntilClose {
			sender.Close()
		}
		if err := <-copied; err != nil {
			t.Error(err)
		}
		if bytes != len(strings.Join(tc.pieces, "")) || chunks != tc.chunks {
			t.Errorf("%d bytes and %d chunks passed, not %d", bytes, chunks, tc.chunks)
		}
	}
}

// TestCopyBodyBreaks: which side broke is known, so that an early answer is found.
func TestCopyBodyBreaks(t *testing.T) {
	for _, framing := range []Framing{{Kind: Length, Length: 1 << 40}, {Kind: UntilClose}, {Kind: Chunked}} {
		for _, side := range []string{"sender", "receiver"} {
			sender, src := pipe(t)
			dst, receiver := pipe(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, err := io.WriteString(sender, "fff\r\nhello"); err != nil {
					t.Error(err)
				}
				switch side {
				case "sender":
					// What it did not read makes it a reset.
					io.WriteString(src, "unread")
					sender.Close()
				case "receiver":
					receiver.Close()
					for {
						if _, err := io.WriteString(sender, "x"); err != nil {
							return
						}
					}
				}
			}()
			_, err := CopyBody(dst, bufio.NewReader(src), framing, nil)
			src.Close()
			<-done
			var write *WriteError
			var malformed *Error
			if err == nil || errors.As(err, &write) == (side == "sender") || errors.As(err, &malformed) || strings.HasPrefix(err.Error(), "passing the body on: ") == (side == "sender") {
				t.Errorf("the %s broke: %v", side, err)
			}
		}
	}
}

// TestConstantMemory passes a body of each framing on that is a hundred times larger
// than the memory that may be taken.
func TestConstantMemory(t *testing.T) {
	const size, chunk = 400 << 20, 32 << 10
	data := strings.Repeat("x", chunk)
	chunked := fmt.Sprintf("%x\r\n%s\r\n", chunk, data)
	for _, tc := range []struct {
		framing Framing
		wire    io.Reader
		bytes   int64
	}{
		{Framing{Kind: Length, Length: size}, &again{text: data}, size},
		{Framing{Kind: UntilClose}, io.LimitReader(&again{text: data}, size), size},
		{Framing{Kind: Chunked}, io.MultiReader(io.LimitReader(&again{text: chunked}, size/chunk*int64(len(chunked))), strings.NewReader("0\r\n\r\n")), size/chunk*int64(len(chunked)) + 5},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := CopyBody(io.Discard, bufio.NewReader(tc.wire), tc.framing, nil)
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapSys - before.HeapSys); n != tc.bytes || err != nil || grown > 4<<20 {
			t.Errorf("%+v: %d bytes, %v, with %d more of memory", tc.framing, n, err, grown)
		}
	}
}
