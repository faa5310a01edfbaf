package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// TestAdvice: five lines of advice with what each saves, or all of it with why, how, what could
// not be told and the layers; none where there is none. Other people's text is harmless in it.
func TestAdvice(t *testing.T) {
	i := &finding.Image{Surface: &finding.Surface{Executables: 400, Privileged: 9, Shells: 1}, Untold: []finding.Untold{{Kind: "scratch", Reason: "it runs a shell"}},
		Layers: []finding.LayerBytes{{Bytes: 1 << 20}, {Bytes: 1 << 20, Overwritten: 1 << 10}, {Bytes: 1 << 20, Deleted: 1 << 10}, {Bytes: 1 << 20, Overwritten: 1 << 10, Deleted: 2 << 10}}}
	write := func(verbose bool) string {
		var b bytes.Buffer
		s := Sheet{Head: []string{"x"}, Parts: []Part{Advice(i, verbose)}, Ending: []string{"End."}}
		if err := s.Write(term.New(term.Config{Writer: &b, UTF8: true})); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for _, verbose := range []bool{false, true} {
		if text := write(verbose); strings.Contains(text, "do without") {
			t.Errorf("without advice:\n%s", text)
		}
	}
	for n := range 6 {
		i.Advice = append(i.Advice, finding.Advice{Title: "Thing " + string(rune('a'+n)) + "\x1b[2J", Why: "Because.", Step: "do it", Bytes: 1 << 20, Packages: n, Flaws: &finding.Gone{Total: n}})
	}
	short, long := write(false), write(true)
	if strings.Count(short, "Thing ") != 5 || !strings.Contains(short, "6 things") || strings.Contains(short, "Because") || strings.Contains(short, "Layer") || strings.Contains(short, "shell") {
		t.Errorf("in short:\n%s", short)
	}
	for _, want := range []string{"1 MiB\n", "1 MiB, 1 package, 1 flaw\n", "1 MiB, 2 packages, 2 flaws\n", "Because.", "    do it\n", "Not told: it runs a shell", "There are 400 executables (9 privileged), 1 shell and no unlinked libraries", "Layer 1: 1 MiB, none of it replaced or removed later", "Layer 2: 1 MiB, 1 KiB of it replaced later",
		"Layer 3: 1 MiB, 1 KiB of it removed later", "Layer 4: 1 MiB, 1 KiB of it replaced and 2 KiB removed later"} {
		if !strings.Contains(long, want) {
			t.Errorf("no %q in\n%s", want, long)
		}
	}
	if strings.Count(long, "Thing ") != 6 || strings.Contains(short+long, "\x1b[2J") {
		t.Errorf("%s%s", short, long)
	}
}
