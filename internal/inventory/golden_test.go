package inventory

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/term"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestGolden holds what is written, in all forms.
func TestGolden(t *testing.T) {
	db := synced(t, harbour().all())
	now := Filter{Now: evening}
	for file, write := range map[string]func(l *Listing, b *strings.Builder) error{
		"inventory.json": func(l *Listing, b *strings.Builder) error { return l.WriteJSON(b) },
		"inventory.csv":  func(l *Listing, b *strings.Builder) error { return l.WriteCSV(b) },
		"inventory.html": func(l *Listing, b *strings.Builder) error { return l.WriteHTML(b) },
	} {
		t.Run(file, func(t *testing.T) {
			var b strings.Builder
			if err := write(list(t, db, now), &b); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.String())
		})
	}
	for _, test := range []struct {
		name    string
		config  term.Config
		filter  Filter
		verbose bool
	}{
		{"table-80", terminal(80, false), now, false},
		{"table-120", terminal(120, false), now, false},
		{"table-200", terminal(200, false), now, false},
		{"table-60", terminal(60, false), now, false},
		{"table-120-color", terminal(120, true), now, false},
		{"table-pipe", term.Config{UTF8: true}, now, false},
		{"table-ascii", term.Config{Terminal: true, Columns: 80}, now, false},
		{"verbose", terminal(80, false), now, true},
		{"verbose-color", terminal(80, true), now, true},
		{"all", terminal(120, false), Filter{Now: evening, All: true}, false},
		{"at", terminal(120, false), Filter{At: at("2026-11-24T06:30:00Z"), Now: evening}, false},
		{"overdue", terminal(120, false), Filter{Now: evening, Overdue: true}, false},
		{"zone", terminal(120, false), Filter{Now: evening.In(time.FixedZone("NZDT", 13*3600))}, false},
		{"nothing", terminal(80, false), Filter{Now: evening, Owner: "team-moon", Unowned: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			golden(t, test.name+".txt", tableOf(t, list(t, db, test.filter), test.config, test.verbose))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run go test -update, and read the file before you keep it", err)
	}
	if d := diff.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, d)
	}
}
