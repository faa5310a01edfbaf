package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// readHead takes a head off r: all its lines, the empty one with them. An end of
// the input before the first byte is io.EOF.
func readHead(r *bufio.Reader) (string, error) {
	if r.Buffered() == 0 {
		if _, err := r.Peek(1); err == io.EOF {
			return "", io.EOF
		} else if err != nil {
			return "", readingHead(err)
		}
	}
	// Mostly it has come in one piece.
	b, _ := r.Peek(r.Buffered())
	if end := bytes.Index(b, []byte("\r\n\r\n")) + 4; end >= 4 && end <= maxHead {
		head := string(b[:end])
		drop(r, end)
		return head, nil
	}
	var head []byte
	for {
		line, err := r.ReadSlice('\n')
		head = append(head, line...)
		switch {
		case len(head) > maxHead && bytes.IndexByte(head[:maxHead], '\n') < 0:
			return "", &Error{Status: 414, Msg: "the first line is longer than 256 KiB: it needs a shorter path and query"}
		case len(head) > maxHead:
			return "", &Error{Status: 431, Msg: "the head is longer than 256 KiB: it needs fewer or shorter header fields"}
		case err == bufio.ErrBufferFull:
		case err != nil:
			return "", readingHead(err)
		case !bytes.HasSuffix(head, []byte("\r\n")):
			return "", badByte('\n', "a line of the head")
		case bytes.HasSuffix(head, []byte("\r\n\r\n")):
			return string(head), nil
		}
	}
}

func readingHead(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading the head: %w", err)
}

// splitHead parts a head into its first line, without its end, and the rest.
func splitHead(head string) (first, rest string, err *Error) {
	i := strings.IndexByte(head, '\n')
	if i < 1 || head[i-1] != '\r' {
		return "", "", badByte('\n', "the first line")
	}
	return head[:i-1], head[i+1:], nil
}

// parseLength parses a Content-Length: RFC 9110, section 8.6, and no zeros before
// the number, which some readers take for octal.
func parseLength(value string) (int64, *Error) {
	const most = 18 // digits; an int64 has 19
	for i := range len(value) {
		if !isDigit(value[i]) {
			return 0, bad("Content-Length is " + quote(value) + ": it must be a plain decimal number")
		}
	}
	if value == "" || len(value) > most || value[0] == '0' && len(value) > 1 {
		return 0, bad("Content-Length is " + quote(value) + ": it must be a plain decimal number of at most 18 digits")
	}
	var n int64
	for i := range len(value) {
		n = 10*n + int64(value[i]-'0')
	}
	return n, nil
}
