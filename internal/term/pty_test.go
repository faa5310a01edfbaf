package term

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of the kernel (pts(4)): what the program
// writes to, and the side where the person sits.
func terminal(t *testing.T, columns int) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("opening a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	var number int
	conn, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	controlErr := conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err != nil {
			return
		}
		if number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); err != nil {
			return
		}
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)})
	})
	if err != nil || controlErr != nil {
		t.Fatalf("setting up the pseudo-terminal: %v, %v", err, controlErr)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("opening the program's side: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return program, person
}

// screen shows what stands on the line of a terminal that got these bytes. It
// knows carriage returns and styles, and refuses everything else.
func screen(t *testing.T, written string) string {
	t.Helper()
	var line []rune
	at := 0
	for written != "" {
		if strings.HasPrefix(written, "\x1b[") {
			_, rest, ok := strings.Cut(written, "m")
			if !ok {
				t.Fatalf("not a style: %q", written)
			}
			written = rest
			continue
		}
		r := []rune(written)[0]
		written = written[len(string(r)):]
		switch {
		case r == '\r':
			at = 0
			continue
		case r < ' ':
			t.Fatalf("control character %q on the line", r)
		}
		if at == len(line) {
			line = append(line, ' ')
		}
		line[at] = r
		at++
	}
	return strings.TrimRight(string(line), " ")
}

func TestDetectOnARealTerminal(t *testing.T) {
	env := func(name string) string { return map[string]string{"TERM": "xterm", "LANG": "de_DE.UTF-8"}[name] }
	for columns, width := range map[int]int{0: 80, 20: 60, 60: 60, 72: 72, 100: 100, 213: 100} {
		program, _ := terminal(t, columns)
		c := Detect(program, env, false)
		if !c.Terminal || c.Columns != columns || !c.Color || !c.UTF8 {
			t.Errorf("%d columns: %+v", columns, c)
		}
		if got := New(c).Width(); got != width {
			t.Errorf("%d columns: width %d, want %d", columns, got, width)
		}
	}
}

func TestDetectLeavesTheFileInItsMode(t *testing.T) {
	program, _ := terminal(t, 80)
	// A file in blocking mode takes no deadline; one that polls does.
	for _, when := range []string{"before", "after"} {
		if err := program.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatalf("%s: the file does not poll: %v", when, err)
		}
		Detect(program, func(string) string { return "" }, false)
	}
}

func TestDetectWhatIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	closed, _ := terminal(t, 80)
	closed.Close()
	for name, out := range map[string]interface{ Write([]byte) (int, error) }{
		"pipe": w, "null": null, "buffer": &strings.Builder{}, "closed": closed,
	} {
		c := Detect(out, func(string) string { return "en_US.UTF-8" }, false)
		p := New(c)
		if c.Terminal || c.Columns != 0 || p.Width() != 80 || p.Terminal() {
			t.Errorf("%s: %+v", name, c)
		}
		if got := p.Paint(Critical, "x"); got != "x" {
			t.Errorf("%s: painted %q", name, got)
		}
		if got := p.Glyph(Pass); got != " ✓ " {
			t.Errorf("%s: glyph %q; UTF-8 stays in a pipe", name, got)
		}
	}
}

// TestProgressOnARealTerminal lets the kernel carry the line, as a person would
// see it; only the clock is ours.
func TestProgressOnARealTerminal(t *testing.T) {
	program, person := terminal(t, 100)
	c := Detect(program, func(name string) string { return map[string]string{"TERM": "xterm", "LC_ALL": "C.UTF-8"}[name] }, false)
	start := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	var calls atomic.Int32
	p := NewProgress(ProgressConfig{Out: New(c), Now: func() time.Time {
		// The first two calls come from NewProgress and Count.
		if calls.Add(1) <= 2 {
			return start
		}
		return start.Add(2 * time.Second)
	}})
	p.Count("Reading the host", 50, "containers")
	p.Done(25)
	written := ""
	buffer := make([]byte, 4096)
	for !strings.Contains(written, "left") {
		n, err := person.Read(buffer)
		if err != nil {
			t.Fatalf("reading the terminal: %v", err)
		}
		written += string(buffer[:n])
	}
	if got, want := screen(t, written), " Reading the host  ━━━━━━━━━━━━⊖───────────  25 of 50 containers, 2 s left"; got != want {
		t.Errorf("screen\n got %s\nwant %s", got, want)
	}
	if !strings.Contains(written, "\x1b[36m━━━━━━━━━━━━\x1b[0m\x1b[1m⊖\x1b[0m\x1b[2m─") {
		t.Errorf("styles of the bar: %q", written)
	}
	p.Stop()
	for !strings.HasSuffix(written, " \r") {
		n, err := person.Read(buffer)
		if err != nil {
			t.Fatalf("reading the terminal: %v", err)
		}
		written += string(buffer[:n])
	}
	if got := screen(t, written); got != "" {
		t.Errorf("left on the screen: %q", got)
	}
}
