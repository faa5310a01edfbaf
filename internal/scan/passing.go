package scan

import (
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/linking"
)

// passed is what the bytes of a file told as they passed.
type passed struct {
	// Nth is the number of the file in its layer, from 1: only those count that have content
	// of their own, as in image.File.
	Nth int
	// Sum is a sum of the content of a file of at least [leastTwice] bytes: one that is cheap,
	// and that who wants to can make two files have. It is for advice, and decides nothing.
	Sum   uint64         `json:",omitempty"`
	Needs *linking.Needs `json:",omitempty"`
}

// listed is a list of the loader's folders.
type listed struct {
	Path    string
	Folders []string
}

// leastTwice is how large a file is at least to be looked for twice.
const leastTwice = 4 << 10

// passing reads the body of a file for who looks into it, and sees all bytes itself.
type passing struct {
	body   io.Reader
	reader linking.Reader
	sum    xxhash.Digest
	summed bool
	buffer []byte
}

// begin puts itself before the body of an entry.
func (p *passing) begin(e *image.Entry, summed bool) {
	p.body, p.summed = e.Body, summed && e.Size >= leastTwice
	p.reader.Reset()
	p.sum.Reset()
	e.Body = p
}

func (p *passing) Read(b []byte) (int, error) {
	n, err := p.body.Read(b)
	p.reader.Write(b[:n])
	if p.summed {
		p.sum.Write(b[:n])
	}
	return n, err
}

// end reads what nobody has read, as far as it is needed, and gives what all of it told; nil
// is nothing. The error is the body's.
func (p *passing) end(nth int) (*passed, error) {
	if p.buffer == nil {
		p.buffer = make([]byte, 64<<10)
	}
	for first := true; first || p.summed || p.reader.Tells(); first = false {
		if _, err := io.ReadFull(p, p.buffer); err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	one := &passed{Nth: nth, Needs: p.reader.Needs()}
	if p.summed {
		one.Sum = p.sum.Sum64()
	}
	if one.Needs == nil && one.Sum == 0 {
		return nil, nil
	}
	return one, nil
}
