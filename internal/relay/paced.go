package relay

import (
	"io"
	"time"
)

const (
	// small is what comes of a log line by line, and not of a file.
	small = 4 << 10
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
}

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if len(b) >= small || err != nil {
		return n, err
	}
	now := p.now()
	if now.Sub(p.last) < dense {
		time.Sleep(rest)
		now = p.now()
	}
	p.last = now
	return n, nil
}
