// Package term is the only way from the program to a terminal. It knows how
// wide the terminal is, whether it takes colour and characters beyond ASCII,
// and how each thing that is shown looks; and it makes text that others wrote
// harmless.
//
// In the order of use:
//
//   - [Detect] finds out what a stream leads to; [New] makes a [Printer] of it.
//   - [Style] names what a text means; [Printer.Paint] colours a text by it,
//     [Printer.Glyph] draws its sign, [Printer.LoadLine] the line of the score.
//   - [Printer.Escape] and [Escape] write out what a terminal would act on.
//     Every name, path and message that comes from a host, an image or a file
//     passes through one of them before it is printed.
//   - [Width] counts cells, [Wrap] breaks lines; [Bytes] writes a number of bytes.
//   - [Progress] is the one line that tells how far a long task is.
//
// The styles are a dozen fixed combinations of the 16 colours that every
// terminal has (ECMA-48, Select Graphic Rendition). They are written by hand: a
// library would ask the terminal for its colours and cost start-up time.
//
// The package does not move the cursor but to the start of the line, does not
// read from the terminal and does not follow a change of its size.
package term

import (
	"io"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of the width of a report, in cells. A longer line is hard to read, and
// a shorter one has no room for a finding and its id.
const (
	minWidth     = 60
	maxWidth     = 100
	defaultWidth = 80 // for what is no terminal
)

// Config says what a Printer writes to. The zero value, with a Writer, is a
// pipe without colour in ASCII.
type Config struct {
	Writer   io.Writer
	Terminal bool // the writer leads to a terminal
	Columns  int  // of the terminal; 0 when it does not say
	Color    bool // styles are wanted, if it is a terminal
	UTF8     bool // characters beyond ASCII are shown
}

// Detect finds out what a writer leads to. Getenv looks up a variable of the
// environment and gives "" for an unset one; these decide:
//
//   - NO_COLOR, set to anything, and the argument noColor turn styles off
//     (https://no-color.org);
//   - TERM=dumb turns off styles and characters beyond ASCII;
//   - the first of LC_ALL, LC_CTYPE and LANG that is set must name UTF-8, else
//     only ASCII is written (POSIX, section 8.2).
func Detect(w io.Writer, getenv func(string) string, noColor bool) Config {
	dumb := getenv("TERM") == "dumb"
	c := Config{Writer: w, Color: !noColor && getenv("NO_COLOR") == "" && !dumb}
	c.Columns, c.Terminal = columns(w)
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			c.UTF8 = !dumb && (strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"))
			break
		}
	}
	return c
}

// columns asks the kernel for the width of the terminal behind w, and so
// whether there is one.
func columns(w io.Writer) (n int, terminal bool) {
	file, ok := w.(syscall.Conn)
	if !ok {
		return 0, false
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return 0, false
	}
	// Control, unlike the method Fd, leaves the file in its mode.
	controlErr := conn.Control(func(fd uintptr) {
		size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
		if err == nil {
			n, terminal = int(size.Col), true
		}
	})
	return n, terminal && controlErr == nil
}

// Printer draws for one stream. Its methods give text back; what shall appear
// is written to the Printer itself. It has no state that changes, and is as safe
// for concurrent use as its writer.
type Printer struct {
	config Config
	width  int
}

// New makes a Printer. Styles are used on terminals only.
func New(c Config) *Printer {
	c.Color = c.Color && c.Terminal
	p := &Printer{config: c, width: defaultWidth}
	if c.Terminal && c.Columns > 0 {
		p.width = min(max(c.Columns, minWidth), maxWidth)
	}
	return p
}

// Write passes bytes on as they are. What others wrote must be escaped before.
func (p *Printer) Write(b []byte) (int, error) { return p.config.Writer.Write(b) }

// Width is the width to fill, in cells: the terminal's, at least 60 and at most
// 100; 80 without a terminal.
func (p *Printer) Width() int { return p.width }

// Columns is the terminal's own width, for what may be wider than a report; 0 is not
// known.
func (p *Printer) Columns() int { return p.config.Columns }

// Terminal reports whether a person sees this. Elsewhere nothing is shortened
// or wrapped.
func (p *Printer) Terminal() bool { return p.config.Terminal }

// Escape is [Escape]; where only ASCII can be shown, it also writes out all
// other characters.
func (p *Printer) Escape(s string) string {
	if p.config.UTF8 {
		return Escape(s)
	}
	return escape(s, func(r rune) bool { return r >= ' ' && r <= '~' })
}
