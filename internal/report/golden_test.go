package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

var update = flag.Bool("update", false, "rewrite testdata")

const fix = "plimsoll audit -v --only"

// TestGolden holds the looks of the table.
func TestGolden(t *testing.T) {
	for _, test := range []struct {
		name   string
		config term.Config
		report finding.Report
		o      Options
	}{
		{"small", terminal(80, false), small(), Options{}},
		{"small-pipe", pipe(), small(), Options{}},
		{"small-ascii", term.Config{Terminal: true, Columns: 80}, small(), Options{}},
		{"small-narrow", terminal(60, false), small(), Options{}},
		{"small-color", terminal(80, true), small(), Options{}},
		{"small-run", terminal(80, false), small(), Options{Form: "run"}},
		{"fleet", terminal(80, false), fleet(), Options{FixHint: fix}},
		{"fleet-narrow", terminal(60, false), fleet(), Options{FixHint: fix}},
		{"fleet-wide", terminal(200, false), fleet(), Options{FixHint: fix}},
		{"fleet-color", terminal(80, true), fleet(), Options{FixHint: fix}},
		{"fleet-pipe", pipe(), fleet(), Options{FixHint: fix}},
		{"fleet-verbose", terminal(80, false), fleet(), Options{FixHint: fix, Verbose: true}},
		{"since", terminal(80, false), since(), Options{FixHint: fix}},
		{"since-narrow", terminal(60, false), since(), Options{FixHint: fix}},
		{"since-color", terminal(80, true), since(), Options{FixHint: fix}},
		{"since-verbose", terminal(80, false), since(), Options{FixHint: fix, Verbose: true}},
		{"blind", terminal(80, false), blind(), Options{Form: "run"}},
		{"blind-narrow", terminal(60, false), blind(), Options{Form: "run"}},
		{"blind-verbose", terminal(80, false), blind(), Options{Form: "run", Verbose: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := table(t, test.config, test.report, test.o)
			file := filepath.Join("testdata", test.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: run go test -update, and read the file before you keep it", err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s differs (-want +got):\n%s", file, d)
			}
		})
	}
}
