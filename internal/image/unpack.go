package image

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// counted counts and, where there is a hash, hashes what is read through it.
type counted struct {
	r   io.Reader
	n   int64
	sum hash.Hash
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	return n, err
}

// The sizes of what is read at once. Archive/tar reads headers of 512 bytes and discards
// content in pieces of 8 KiB: hashing and decoding go better in larger ones.
const (
	packedBuffer   = 64 << 10
	unpackedBuffer = 128 << 10
)

// unpacker gives the bytes of something compressed, each once, and bounds them.
type unpacker struct {
	packed *counted
	// input is packed with what is read ahead.
	input *bufio.Reader
	inner io.Reader
	stop  func()
	// n is how many bytes came out; most bounds it, ratio what it may be of those that
	// went in, from a number of bytes on. unit says what the limit is of.
	n, most, ratio, ratioFrom int64
	// err is what ended reading for good.
	err error
}

// compression names how something begins; "" is not compressed. What is not read is
// named with an error. Engines go by these first bytes too, and not by media types.
func compression(r io.ReaderAt) (string, error) {
	var start [longestMagic]byte
	n, err := r.ReadAt(start[:], 0)
	if err != nil && err != io.EOF {
		return "", err
	}
	return compressedAs(start[:n])
}

// longestMagic is how many bytes tell a compression.
const longestMagic = 6

// compressedAs is compression by the first bytes.
func compressedAs(start []byte) (string, error) {
	for _, form := range []struct {
		magic, name string
		read        bool
	}{
		{"\x1f\x8b\x08", "gzip", true},
		{"\x28\xb5\x2f\xfd", "zstd", true},
		{"BZh", "bzip2", false},
		{"\xfd7zXZ\x00", "xz", false},
	} {
		if !bytes.HasPrefix(start, []byte(form.magic)) {
			continue
		}
		if !form.read {
			return "", fmt.Errorf("it is compressed by %s, which is not read: write it with gzip or zstd", form.name)
		}
		return form.name, nil
	}
	// A frame that zstd readers skip may come first (RFC 8878, 3.1.2).
	if len(start) >= 4 && start[0]&0xf0 == 0x50 && bytes.Equal(start[1:4], []byte("\x2a\x4d\x18")) {
		return "zstd", nil
	}
	return "", nil
}

// unpack reads something in the given form. sum, which may be nil, gets the bytes as they
// are packed.
func unpack(r io.Reader, form string, l Limits, most int64, sum hash.Hash) (*unpacker, error) {
	u := &unpacker{packed: &counted{r: r, sum: sum}, most: most, ratio: l.Ratio, ratioFrom: l.RatioFrom, stop: func() {}}
	u.input = bufio.NewReaderSize(u.packed, packedBuffer)
	switch form {
	case "gzip":
		z, err := gzip.NewReader(u.input)
		if err != nil {
			return nil, fmt.Errorf("unpacking gzip: %w", err)
		}
		u.inner = z
	case "zstd":
		// One decoder without goroutines of its own, so that its memory is one window.
		z, err := zstd.NewReader(u.input, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(l.Window)))
		if err != nil {
			return nil, fmt.Errorf("unpacking zstd: %w", err)
		}
		u.inner, u.stop = z, z.Close
	default:
		u.inner, u.ratio = u.input, 0
	}
	return u, nil
}

func (u *unpacker) Read(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.inner.Read(p)
	u.n += int64(n)
	switch {
	case u.n > u.most:
		err = beyond("unpacked it has", u.most, "bytes")
	case u.ratio > 0 && u.n > u.ratioFrom && u.n/u.ratio > u.packed.n:
		err = fmt.Errorf("it unpacks to more than %d times its length, as nothing but a bomb does", u.ratio)
	case err != nil && err != io.EOF:
		err = fmt.Errorf("unpacking: %w", err)
	}
	if err != nil {
		u.err = err
	}
	return n, err
}

// rest reads what is behind the end of the compressed data, so that the digest is that of
// all bytes.
func (u *unpacker) rest() error {
	_, err := io.Copy(io.Discard, u.input)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
