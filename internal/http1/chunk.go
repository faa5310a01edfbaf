package http1

// chunks follows a chunked body (RFC 9112, section 7.1) through its bytes, however
// they are cut into pieces. Its zero value is at the start of a client's.
type chunks struct {
	state chunkState
	// left is the size of the chunk, as far as it was read, and then what is left
	// of its data.
	left int64
	// line counts the bytes of the size line, or of all trailers.
	line int
	// engine allows extensions and trailers. They are not looked into: what they
	// mean is between the engine and its client.
	engine bool
	// ended counts chunks.
	ended int
}

type chunkState uint8

const (
	chunkStart chunkState = iota // before the first digit of a size
	chunkSize                    // behind it
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // at the start of a line behind the last chunk
	trailerName
	trailerValue
	trailerLF
	chunksLF // the last
	chunksEnd
)

// Bounds on what stands between the data. An engine's trailers are a head.
const (
	maxChunkDigits = 16
	maxChunkLine   = 4096
)

// framing reads what is not data from the start of b, to the next data, the end of
// the body or of b. It gives the number of bytes.
func (c *chunks) framing(b []byte) (int, *Error) {
	n, err := c.parse(b)
	if err != nil && c.engine {
		err = malformedAnswer(err)
	}
	return n, err
}

func (c *chunks) parse(b []byte) (int, *Error) {
	for i, ch := range b {
		switch c.state {
		case chunkStart, chunkSize:
			if c.state == chunkStart {
				c.left, c.line = 0, 0
			}
			c.line++
			if d, ok := hexDigit(ch); ok {
				// 2^59 and more would overflow what comes of it.
				if c.line > maxChunkDigits || c.left >= 1<<55 {
					return i, bad("the size of a chunk is too large")
				}
				c.left = c.left<<4 | d
				c.state = chunkSize
				continue
			}
			switch {
			case c.state == chunkStart:
				return i, badChunk(ch, "a chunk begins")
			case ch == '\r':
				c.state = chunkSizeLF
			case !c.engine && ch == ';':
				return i, bad("a chunk has an extension, which is not passed on: leave it out (RFC 9112, section 7.1.1)")
			case ch == ';':
				c.state = chunkExtension
			default:
				return i, badChunk(ch, "the size of a chunk goes on")
			}
		case trailerName:
			c.line++
			switch {
			case ch == ':':
				c.state = trailerValue
			case class[ch]&tokenByte == 0:
				return i, bad("the name of a field behind the body has the byte " + quote(string([]byte{ch})))
			case c.line > maxHead:
				return i, bad("the fields behind the body are too long")
			}
		case chunkExtension, trailerValue:
			c.line++
			switch {
			case ch == '\r' && c.state == chunkExtension:
				c.state = chunkSizeLF
			case ch == '\r':
				c.state = trailerLF
			case class[ch]&valueByte == 0:
				return i, badByte(ch, "an extension of a chunk, or a field behind the body,")
			case c.state == chunkExtension && c.line > maxChunkLine || c.line > maxHead:
				return i, bad("an extension of a chunk, or the fields behind the body, are too long")
			}
		case chunkSizeLF:
			if ch != '\n' {
				return i, badByte('\r', "the size of a chunk")
			}
			if c.state = chunkData; c.left > 0 {
				return i + 1, nil
			}
			c.state, c.line = trailerStart, 0
		case chunkData, chunksEnd:
			return i, nil
		case chunkDataCR:
			if ch != '\r' {
				return i, bad("a chunk does not end where its size says")
			}
			c.state = chunkDataLF
		case chunkDataLF:
			if ch != '\n' {
				return i, bad("a chunk does not end where its size says")
			}
			c.state = chunkStart
			c.ended++
		case trailerStart:
			c.line++
			switch {
			case ch == '\r':
				c.state = chunksLF
			case !c.engine:
				return i, bad("fields stand behind the body, which are not passed on: leave them out (RFC 9112, section 7.1.2)")
			case class[ch]&tokenByte == 0:
				return i, bad("a field behind the body begins with the byte " + quote(string([]byte{ch})))
			default:
				c.state = trailerName
			}
		case trailerLF:
			if ch != '\n' {
				return i, badByte('\r', "a field behind the body")
			}
			c.state = trailerStart
		case chunksLF:
			if ch != '\n' {
				return i, badByte('\r', "the end of the body")
			}
			c.state = chunksEnd
			return i + 1, nil
		}
	}
	return len(b), nil
}

func badChunk(c byte, where string) *Error {
	return bad(where + " with " + quote(string([]byte{c})) + ": a hexadecimal number and CR LF must stand there (RFC 9112, section 7.1)")
}

// data takes up to n bytes of data, and gives how many it took.
func (c *chunks) data(n int) int {
	if c.state != chunkData {
		return 0
	}
	took := min(int64(n), c.left)
	if c.left -= took; c.left == 0 {
		c.state = chunkDataCR
	}
	return int(took)
}

// follow reads framing and data from the start of b, to the end of the body or of
// b, and gives the number of bytes.
func (c *chunks) follow(b []byte) (int, *Error) {
	at := 0
	for at < len(b) && c.state != chunksEnd {
		n, err := c.framing(b[at:])
		at += n
		if err != nil {
			return at, err
		}
		at += c.data(len(b) - at)
	}
	return at, nil
}

// least is the number of bytes that the body has yet, at the least: so many can be
// read without reading into the next message.
func (c *chunks) least() int64 {
	const (
		last = int64(len("0\r\n\r\n"))
		crlf = int64(len("\r\n"))
	)
	switch c.state {
	case chunkStart:
		return last
	case chunkSize, chunkExtension, chunkSizeLF:
		n := crlf
		if c.state == chunkSizeLF {
			n--
		}
		if c.left == 0 {
			return n + crlf
		}
		return n + c.left + crlf + last
	case chunkData:
		return c.left + crlf + last
	case chunkDataCR:
		return crlf + last
	case chunkDataLF:
		return crlf + last - 1
	case trailerStart:
		return crlf
	case trailerName:
		return 2*crlf + 1
	case trailerValue:
		return 2 * crlf
	case trailerLF:
		return 2*crlf - 1
	case chunksLF:
		return 1
	}
	return 0
}
