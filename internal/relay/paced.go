package relay

import "time"

// A log comes in a chunk for each line, and for each of them an engine, a proxy and a
// client would wake one another. Where they come thick and fast, as no reader can follow,
// they are left to gather for a moment: passing on many at once costs little more than one.
const (
	// thick is how many chunks within a window are more than anybody reads as they come.
	thick  = 32
	window = 4 * time.Millisecond
	// line is the most that a chunk of a log has on average. Of files they have more, and
	// whoever sends one is kept waiting when nobody reads.
	line = 1 << 10
	// rest is how long they gather: fewer than an engine may have unread on a unix socket,
	// some 270 of 100 bytes (net.core.wmem_default), so that it need not wait.
	rest = 500 * time.Microsecond
)

// pace tells when to rest.
type pace struct {
	now           func() time.Time
	since         time.Time // the window began
	bytes, chunks int       // in it
}

// passed counts what was just passed on, and says whether there was so much.
func (p *pace) passed(bytes, chunks int) bool {
	p.bytes += bytes
	p.chunks += chunks
	now := p.now()
	full, late := p.chunks >= thick, now.Sub(p.since) > window
	if !full && !late {
		return false
	}
	dense := full && !late && p.bytes <= p.chunks*line
	p.since, p.bytes, p.chunks = now, 0, 0
	return dense
}
