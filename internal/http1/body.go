package http1

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// block is the size of a large read. A body that keeps the connection's own buffer
// full is read through one of these, which it gives back when it does not.
const block = 64 << 10

var blocks = sync.Pool{New: func() any { return new([block]byte) }}

// CopyBody passes the rest of a message on from src to dst, with its framing as it
// is, and gives the number of bytes passed on. What has arrived is written before
// more is waited for; then passed, unless it is nil, is told how many bytes that
// were, and how many chunks ended in them. An error is an [*Error] where the body is
// malformed, a [*WriteError] where dst takes no more, else that of reading; after
// each of them the message cannot be completed.
func CopyBody(dst io.Writer, src *bufio.Reader, f Framing, passed func(bytes, chunks int)) (int64, error) {
	var (
		copied int64
		rest   = f.Length
		c      = chunks{engine: f.engine}
		s      = source{r: src}
	)
	defer s.free()
	for {
		// least is how much can be read without reading into the next message. Behind an
		// engine's answer there is none before the next request, so that much can be read at
		// once: a log comes in a chunk for each line.
		var least int64
		switch f.Kind {
		case Length:
			least = rest
		case Chunked:
			least = c.least()
		case UntilClose:
			least = block
		}
		if least == 0 {
			return copied, nil
		}
		alone := f.Kind == UntilClose || f.Kind == Chunked && f.engine
		if alone {
			least = block
		}
		b, err := s.next(least, alone)
		if err == io.EOF && f.Kind == UntilClose {
			return copied, nil
		}
		if err != nil {
			return copied, readingBody(err)
		}
		n := len(b)
		switch f.Kind {
		case Length:
			n = int(min(int64(n), rest))
			rest -= int64(n)
		case Chunked:
			var malformed *Error
			if n, malformed = c.follow(b); malformed == nil && n < len(b) && s.past {
				malformed = malformedAnswer(bad("bytes follow its end that nobody asked for"))
			}
			if malformed != nil {
				return copied, malformed
			}
		}
		wrote, err := dst.Write(b[:n])
		copied += int64(wrote)
		if err != nil {
			return copied, &WriteError{err}
		}
		s.used(n)
		if passed != nil {
			passed(n, c.ended)
			c.ended = 0
		}
	}
}

func readingBody(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the body: %w", err)
}

// source gives what has arrived of a body, in its reader's buffer or, where that
// is too small for how fast it comes, in a block.
type source struct {
	r     *bufio.Reader
	block *[block]byte // held while it is read into; nil while little comes
	past  bool         // what next gave is not in r any more
	full  bool         // the last read filled what it had
}

// next waits for bytes and gives those that there are. More than least of them,
// which may belong to the next message, are in r yet.
//
// Where no message can follow, it reads as much as comes.
func (s *source) next(least int64, alone bool) ([]byte, error) {
	if n := s.r.Buffered(); n > 0 {
		s.past, s.full = false, n == s.r.Size()
		return s.r.Peek(n)
	}
	// A reader with an empty buffer reads straight into one that is no smaller than
	// its own: bufio.Reader.Read.
	size := min(least, block)
	if size < int64(s.r.Size()) || alone && !s.full {
		s.free()
		if _, err := s.r.Peek(1); err != nil {
			return nil, err
		}
		return s.next(least, alone)
	}
	if s.block == nil {
		s.block = blocks.Get().(*[block]byte)
	}
	n, err := s.r.Read(s.block[:size])
	if n > 0 {
		err = nil // it comes again with the next read
	}
	s.past, s.full = true, n >= s.r.Size()
	return s.block[:n], err
}

// used takes n bytes of what next gave.
func (s *source) used(n int) {
	if !s.past {
		drop(s.r, n)
	}
}

// drop takes bytes that were looked at, which is why it cannot fail.
func drop(r *bufio.Reader, n int) { _, _ = r.Discard(n) }

func (s *source) free() {
	if s.block != nil {
		blocks.Put(s.block)
		s.block = nil
	}
}

// BodyReader decodes the rest of a message from src. Its reader ends with the
// message, and takes nothing behind it; an end of src before that is
// io.ErrUnexpectedEOF, a malformed body an [*Error]. Trailers are left out.
func BodyReader(src *bufio.Reader, f Framing) io.Reader {
	return &bodyReader{src: src, kind: f.Kind, rest: f.Length, chunks: chunks{engine: f.engine}}
}

type bodyReader struct {
	src    *bufio.Reader
	kind   Kind
	rest   int64 // of Kind Length
	chunks chunks
	err    error
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	n, err := r.read(p)
	if err == io.EOF && n == 0 && !r.ended() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && n == 0 {
		if _, malformed := err.(*Error); !malformed && err != io.EOF {
			err = fmt.Errorf("reading the body: %w", err)
		}
		r.err = err
		return 0, err
	}
	return n, nil
}

// ended says whether the end of src is, here, that of the body.
func (r *bodyReader) ended() bool {
	switch r.kind {
	case Length:
		return r.rest == 0
	case Chunked:
		return r.chunks.state == chunksEnd
	}
	return true
}

func (r *bodyReader) read(p []byte) (int, error) {
	switch r.kind {
	case Length:
		if r.rest == 0 {
			return 0, io.EOF
		}
		n, err := r.src.Read(p[:min(int64(len(p)), r.rest)])
		r.rest -= int64(n)
		return n, err
	case UntilClose:
		return r.src.Read(p)
	case Chunked:
		c := &r.chunks
		for c.state != chunkData {
			if c.state == chunksEnd {
				return 0, io.EOF
			}
			if _, err := r.src.Peek(1); err != nil {
				return 0, err
			}
			b, _ := r.src.Peek(r.src.Buffered())
			n, malformed := c.framing(b)
			drop(r.src, n)
			if malformed != nil {
				return 0, malformed
			}
		}
		n, err := r.src.Read(p[:min(int64(len(p)), c.left)])
		c.data(n)
		return n, err
	}
	return 0, io.EOF
}

// ReadBody decodes the rest of a message of at most so many bytes. A larger one is
// an [*Error] that is ErrTooLarge: at once, with nothing taken from src, where its
// length was announced. What was announced is not believed before it has come.
func ReadBody(src *bufio.Reader, f Framing, most int64) ([]byte, error) {
	if f.Empty() {
		return nil, nil
	}
	tooLarge := &Error{Status: 413, Msg: "the body is larger than " + strconv.FormatInt(most, 10) + " bytes", Err: ErrTooLarge}
	if f.engine {
		tooLarge.Status = 502
	}
	end := most // more room is never needed
	if f.Kind == Length {
		if f.Length > most {
			return nil, tooLarge
		}
		end = f.Length
	}
	if _, err := src.Peek(1); err != nil && (err != io.EOF || f.Kind != UntilClose) {
		return nil, readingBody(err)
	}
	const first = 4096
	body := make([]byte, 0, min(end, int64(max(first, src.Buffered()))))
	r := BodyReader(src, f)
	for {
		if len(body) == cap(body) {
			if int64(len(body)) == end {
				if err := atEnd(r, tooLarge); err != nil {
					return nil, err
				}
				return body, nil
			}
			grown := make([]byte, len(body), min(end, 2*int64(cap(body))))
			copy(grown, body)
			body = grown
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// atEnd reads the end of a body that must have no more data: else it gives more.
func atEnd(r io.Reader, more error) error {
	var one [1]byte
	switch n, err := r.Read(one[:]); {
	case n > 0:
		return more
	case err != io.EOF:
		return err
	}
	return nil
}
