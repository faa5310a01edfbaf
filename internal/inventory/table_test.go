package inventory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

// randomListing has names and images of all lengths and widths.
func randomListing(seed uint64) *Listing {
	r := rand.New(rand.NewPCG(seed, 3))
	text := func(most int) string {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteRune([]rune("abcdefgh-./你好")[r.IntN(13)])
		}
		return b.String()
	}
	l := &Listing{Time: evening}
	for range 1 + r.IntN(12) {
		d := Deployment{Name: text(14), Image: "registry.example/" + text(60) + ":1", Owner: text(10), Deployed: evening.Add(-time.Duration(r.IntN(1e6)) * time.Second),
			State: Running, Failing: int64(r.IntN(2000)), Worst: finding.Severities[r.IntN(5)], Judged: evening, Who: text(8)}
		if r.IntN(3) > 0 {
			d.Digest = fmt.Sprintf("sha256:%064x", r.Uint64())
			d.Digest = d.Digest[:7] + fmt.Sprintf("%08x", r.Uint32()) + d.Digest[15:]
		}
		l.Deployments = append(l.Deployments, d)
	}
	l.Summary = summarize(l.Deployments, evening, longUnscanned)
	return l
}

// TestTableProperties: columns stand under each other, a table that can fit fits, and no
// digest, name or owner is ever cut.
func TestTableProperties(t *testing.T) {
	for seed := range uint64(300) {
		l := randomListing(seed)
		for _, columns := range []int{60, 80, 120, 200} {
			lines := strings.Split(tableOf(t, l, terminal(columns, false), false), "\n")
			head := lines[0]
			owner := strings.Index(head, "OWNER")
			for i := range l.Deployments {
				d, line := &l.Deployments[i], lines[i+1]
				// The cells before the owner are as wide as those of the head.
				at := strings.LastIndex(line, " "+d.Owner)
				if !strings.Contains(line, d.Owner) || !strings.Contains(line, d.Name) {
					t.Fatalf("seed %d, %d columns: %q lacks %q or %q", seed, columns, line, d.Name, d.Owner)
				}
				if strings.Count(line, d.Owner) == 1 && term.Width(line[:at+1]) != owner {
					t.Fatalf("seed %d, %d columns: the owner is not at %d:\n%s\n%s", seed, columns, owner, head, line)
				}
				if d.Digest != "" && !strings.Contains(line, "@"+d.Digest[7:15]+" ") {
					t.Fatalf("seed %d: the digest is cut: %q", seed, line)
				}
				// NAME, WORST, WHEN, OWNER and the least of IMAGE need no more than this.
				if width := term.Width(line); columns >= 80 && columns < 90 && width > columns {
					t.Fatalf("seed %d: %d cells in %d: %q", seed, width, columns, line)
				}
				if strings.HasSuffix(line, " ") {
					t.Fatalf("seed %d: a space at the end of %q", seed, line)
				}
			}
		}
	}
}

func TestColumnsByWidth(t *testing.T) {
	l := list(t, synced(t, harbour().all()), Filter{Now: evening})
	some, more := "NAME WORST IMAGE WHEN OWNER", "NAME WORST IMAGE WHO WHEN OWNER RETIRE AFTER"
	all := "NAME WORST IMAGE WHO WHEN WHY OWNER INTENT RETIRE AFTER SCANNED STATE"
	for columns, want := range map[int]string{60: some, 89: some, 90: more, 169: more, 170: all, 300: all} {
		head, _, _ := strings.Cut(tableOf(t, l, terminal(columns, false), false), "\n")
		if got := strings.Join(strings.Fields(head), " "); got != want {
			t.Errorf("%d cells: %s, want %s", columns, got, want)
		}
	}
	if head, _, _ := strings.Cut(tableOf(t, l, term.Config{}, false), "\n"); strings.Join(strings.Fields(head), " ") != all {
		t.Errorf("a pipe: %s", head)
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		cells int
		utf8  bool
		want  string
	}{
		{"tools/hostmetrics:2.3", 21, true, "tools/hostmetrics:2.3"},
		{"tools/hostmetrics:2.3", 20, true, "tools/hos…etrics:2.3"},
		{"tools/hostmetrics:2.3", 9, true, "tool…:2.3"},
		{"tools/hostmetrics:2.3", 9, false, "too...2.3"},
		{"你好你好你好", 7, true, "你…你好"},
		{"你好你好你好", 6, true, "你…好"},
		{"你好", 4, true, "你好"},
	} {
		tab := &table{out: term.New(term.Config{UTF8: test.utf8})}
		got := tab.cut(test.text, test.cells)
		if got != test.want || term.Width(got) > test.cells {
			t.Errorf("%q in %d cells is %q, want %q", test.text, test.cells, got, test.want)
		}
	}
}

func TestEnding(t *testing.T) {
	due := Deployment{Name: "a", Owner: "o", RetireAfter: "2026-11-01", Scanned: evening}
	well := Deployment{Name: "b", Owner: "o", Scanned: evening}
	for _, test := range []struct {
		list   []Deployment
		filter Filter
		want   string
	}{
		{[]Deployment{well}, Filter{}, "1 deployment.\n"},
		{[]Deployment{due, well}, Filter{}, "2 deployments. 1 overdue.\n Show them: plimsoll inventory --overdue\n"},
		{[]Deployment{due}, Filter{Overdue: true}, "1 deployment. 1 overdue.\n"},
		{[]Deployment{{Name: "c"}}, Filter{}, "1 deployment. 1 without an owner, 1 not scanned for 30 days.\n Show them: plimsoll inventory --unowned\n"},
		{[]Deployment{{Name: "c"}}, Filter{Unowned: true}, "1 deployment. 1 without an owner, 1 not scanned for 30 days.\n Show them: plimsoll inventory --unscanned 30d\n"},
		{[]Deployment{{Name: "c"}}, Filter{Unowned: true, Unscanned: 36 * time.Hour}, "1 deployment. 1 without an owner, 1 not scanned for 36 h.\n"},
		{[]Deployment{well, {Name: "d", Removed: evening}}, Filter{All: true}, "1 deployment and 1 removed.\n"},
		{[]Deployment{due}, Filter{At: evening}, "1 deployment at 2026-11-24 20:12 UTC. 1 overdue.\n Show them: plimsoll inventory --overdue --at 2026-11-24T20:12:51Z\n"},
	} {
		limit := test.filter.Unscanned
		if limit == 0 {
			limit = longUnscanned
		}
		l := &Listing{Filter: test.filter, Time: evening, Deployments: test.list, Summary: summarize(test.list, evening, limit)}
		_, got, _ := strings.Cut(tableOf(t, l, terminal(80, false), false), "\n\n ")
		if got != test.want {
			t.Errorf("%+v: %q, want %q", test.filter, got, test.want)
		}
	}
}

// TestWritersSayWhy: each format passes on why it could not write.
func TestWritersSayWhy(t *testing.T) {
	l := list(t, synced(t, harbour().all()), Filter{Now: evening})
	full := errors.New("no space left")
	for name, write := range map[string]func(w *failing) error{
		"table": func(w *failing) error { return l.WriteTable(term.New(term.Config{Writer: w}), TableOptions{}) },
		"json":  func(w *failing) error { return l.WriteJSON(w) },
		"csv":   func(w *failing) error { return l.WriteCSV(w) },
		"html":  func(w *failing) error { return l.WriteHTML(w) },
	} {
		if err := write(&failing{full}); !errors.Is(err, full) || !strings.Contains(err.Error(), "writing the inventory") {
			t.Errorf("%s: %v", name, err)
		}
		if err := write(&failing{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failing struct{ err error }

func (f *failing) Write(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return len(b), nil
}

// TestPage: the numbers on the chips are those of the rows that they leave, and what was
// removed is under none.
func TestPage(t *testing.T) {
	l := list(t, synced(t, harbour().all()), Filter{Now: evening, All: true})
	var b strings.Builder
	if err := l.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	if n := strings.Count(page, `<th scope="row"`); n != len(l.Deployments) {
		t.Errorf("%d rows for %d deployments", n, len(l.Deployments))
	}
	chips := regexp.MustCompile(`id="f-([a-z]+)">[^<]*<span class="n">(\d+)<`).FindAllStringSubmatch(page, -1)
	if len(chips) != 4 {
		t.Errorf("the chips %q", chips)
	}
	for _, chip := range chips {
		rows := regexp.MustCompile(`<tr class="[^"]*\bis-`+chip[1]+`\b`).FindAllString(page, -1)
		if fmt.Sprint(len(rows)) != chip[2] {
			t.Errorf("%d rows are %s, and the chip says %s", len(rows), chip[1], chip[2])
		}
		if !strings.Contains(pageCSS, "#f-"+chip[1]+":checked") {
			t.Errorf("nothing happens for %s", chip[1])
		}
	}
	for _, m := range regexp.MustCompile(`<use href="#([a-z-]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `<symbol id="`+m[1]+`"`) {
			t.Errorf("no symbol %s", m[1])
		}
	}
	// The twin: where all is well there is nothing to press.
	well := &Listing{Time: evening, Deployments: []Deployment{{Name: "a", Owner: "o", Scanned: evening, Judged: evening, State: Running}}}
	well.Summary = summarize(well.Deployments, evening, longUnscanned)
	b.Reset()
	if err := well.WriteHTML(&b); err != nil || strings.Contains(b.String(), `type="checkbox"`) || strings.Contains(b.String(), "without an owner") {
		t.Errorf("%v: %s", err, b.String())
	}
}
