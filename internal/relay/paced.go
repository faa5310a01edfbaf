package relay

import (
	"io"
	"time"
)

const (
	// small is the most that is read of a log that comes line by line, and not of a file.
	small = readerSize
	// many is how many of them make a stream, of which more is to be expected.
	many = 16
	// dense is how soon after the last piece another must come for more to be expected, and
	// rest how long is waited then: nobody sees it, and passing on many pieces at once costs
	// as much as one.
	dense = time.Millisecond
	rest  = 500 * time.Microsecond
)

// paced is a client to whom small pieces that come thick and fast go together. All that has
// come is written before it rests.
type paced struct {
	to   io.Writer
	now  func() time.Time
	last time.Time
	n    int // small pieces that came thick and fast
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	switch {
	case err != nil:
		return n, err
	case len(b) > small:
		p.n = 0
		return n, nil
	case len(b) == small: // many that had come
		return n, nil
	}
	now := p.now()
	if p.n++; now.Sub(p.last) >= dense {
		p.n = 0
	}
	if p.n > many {
		time.Sleep(rest)
		now = p.now()
	}
	p.last = now
	return n, nil
}
