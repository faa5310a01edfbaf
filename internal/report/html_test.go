package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
)

func asHTML(t testing.TB, r finding.Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHTMLGolden holds the looks of the page; open the files in a browser.
func TestHTMLGolden(t *testing.T) {
	for name, test := range map[string]struct {
		report finding.Report
		o      Options
	}{"small": {small(), Options{}}, "since": {since(), Options{}}, "blind": {blind(), Options{Form: "run"}}} {
		got := asHTML(t, test.report, test.o)
		file := filepath.Join("testdata", name+".html")
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
	}
}
