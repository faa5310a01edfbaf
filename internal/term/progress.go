package term

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Times of the progress line.
const (
	quiet  = time.Second            // nothing is shown before
	redraw = 100 * time.Millisecond // at most ten times a second
)

// barCells is the length of the bar of a counted task.
const barCells = 24

// ProgressConfig is what a Progress needs; all fields must be set.
type ProgressConfig struct {
	Out *Printer         // standard error; nothing is written when it is no terminal
	Now func() time.Time // the clock
}

// Progress is one line that tells how far a long task is. It appears after a
// second, is drawn again when it changes, at most ten times a second, and is
// wiped at the end. While it runs, nothing else may write to the terminal.
//
// All methods may be called at any time from any goroutine.
type Progress struct {
	out *Printer
	now func() time.Time

	begun time.Time
	halt  chan struct{} // closed by the first Stop
	gone  chan struct{} // closed when the line is wiped
	stop  sync.Once

	mu   sync.Mutex // guards task
	task task

	shown int    // cells on the line now; of the drawing goroutine alone
	last  string // what they show
}

// task is what is going on: counted when total is set, else waited for.
type task struct {
	label string
	since time.Time

	unit        string
	done, total int

	part  string
	limit time.Duration
}

// NewProgress begins to watch. Stop must be called.
func NewProgress(c ProgressConfig) *Progress {
	p := &Progress{out: c.Out, now: c.Now, begun: c.Now(), halt: make(chan struct{}), gone: make(chan struct{})}
	if !c.Out.Terminal() {
		close(p.gone)
		return p
	}
	go p.run()
	return p
}

// Count begins a task of known size: a label such as "Reading the host", and
// how many of what, such as 50 "containers".
func (p *Progress) Count(label string, total int, unit string) {
	p.set(task{label: label, total: total, unit: unit})
}

// Done adds to what is done of the counted task.
func (p *Progress) Done(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.task.done = min(p.task.done+n, p.task.total)
}

// Wait begins a wait whose end nobody knows: a label such as "Waiting for the
// engine", the part that is slow, such as "images", and when it is given up; 0
// is never.
func (p *Progress) Wait(label, part string, limit time.Duration) {
	p.set(task{label: label, part: part, limit: limit})
}

func (p *Progress) set(t task) {
	t.since = p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.task = t
}

// Stop wipes the line and ends. When it returns, nothing more is written. It
// may be called again, and by whoever answers a signal while another Stop is
// under way.
func (p *Progress) Stop() {
	p.stop.Do(func() { close(p.halt) })
	<-p.gone
}

// run draws until Stop. Nobody else writes.
func (p *Progress) run() {
	defer close(p.gone)
	ticker := time.NewTicker(redraw)
	defer ticker.Stop()
	for {
		select {
		case <-p.halt:
			p.put("", 0)
			return
		case <-ticker.C:
			now := p.now()
			if now.Sub(p.begun) < quiet {
				continue
			}
			p.mu.Lock()
			t := p.task
			p.mu.Unlock()
			if t.label != "" {
				p.put(p.line(t, now))
			}
		}
	}
}

// put replaces the line by a text of so many cells. It uses spaces and carriage
// returns alone, which every terminal understands.
func (p *Progress) put(text string, cells int) {
	if text == p.last {
		return
	}
	rest := strings.Repeat(" ", max(p.shown-cells, 0))
	if text == "" {
		rest += "\r"
	}
	// A terminal that has gone away takes no progress; the task goes on.
	_, _ = p.out.Write([]byte("\r" + text + rest))
	p.shown, p.last = cells, text
}

// line words the state of a task, and counts its cells.
func (p *Progress) line(t task, now time.Time) (string, int) {
	spent := now.Sub(t.since)
	label := " " + p.out.Escape(t.label)
	if t.total == 0 {
		if t.part != "" {
			label += ": " + p.out.Escape(t.part)
		}
		label += ", " + seconds(spent.Truncate(time.Second)) + " so far"
		if t.limit > 0 {
			label += " (gives up at " + seconds(t.limit) + ")"
		}
		return p.fit(label)
	}
	tail := fmt.Sprintf("  %s of %s %s", thousands(t.done), thousands(t.total), p.out.Escape(t.unit))
	if t.done > 0 && t.done < t.total {
		left := time.Duration(float64(spent) * float64(t.total-t.done) / float64(t.done))
		tail += ", " + seconds(left+time.Second-1) + " left"
	}
	n := Width(label) + 2 + barCells + Width(tail)
	if n >= p.out.columns() {
		return p.fit(label + tail)
	}
	filled := min(barCells*t.done/t.total, barCells-1)
	bar := p.out.draw(reached, filled) + p.out.draw(mark, 1) + p.out.draw(beyond, barCells-1-filled)
	return label + "  " + bar + tail, n
}

// fit cuts a text so that it stays on one line, for only that can be wiped.
func (p *Progress) fit(text string) (string, int) {
	n := 0
	for i, r := range text {
		if n+cells(r) >= p.out.columns() {
			return text[:i], n
		}
		n += cells(r)
	}
	return text, n
}

// columns is the whole width of the terminal, unlike Width.
func (p *Printer) columns() int {
	if p.config.Columns > 0 {
		return p.config.Columns
	}
	return defaultWidth
}

// seconds writes a time as a person says it, cut to whole seconds, and from two
// minutes on to minutes.
func seconds(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%d s", d/time.Second)
	}
	return fmt.Sprintf("%d min", d/time.Minute)
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
