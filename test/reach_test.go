package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
)

// ran is what a command wrote and how it ended.
type ran struct {
	stdout, stderr string
	code           int
}

// build builds plimsoll, and gives the folder that it is in.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "../cmd/plimsoll").CombinedOutput(); err != nil {
		t.Fatalf("building plimsoll: %v\n%s", err, out)
	}
	return dir
}

// run runs a shell's line with the built program in its PATH.
func (w *world) run(t *testing.T, line string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = w.program
	cmd.Env = []string{"PATH=" + w.program + ":/usr/bin:/bin", "HOME=" + w.program, "LANG=C.UTF-8", "ENGINE=" + w.engine.Host()}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", line, err)
	}
	return ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// times are what may differ between two reports of the same things.
var times = regexp.MustCompile(`("started": )"[^"]*"|("duration_ms": )[0-9]+`)

// testFactsThenAudit: facts that were written down and judged later are judged
// as they are at once, to the byte, but for the times of judging.
func testFactsThenAudit(t *testing.T, w *world) {
	const facts = "plimsoll facts --host $ENGINE"
	if r := w.run(t, facts+" -o facts.json"); r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	for i, tc := range []struct{ at, later string }{
		{"plimsoll audit --host $ENGINE --format json", facts + " | plimsoll audit --facts - --format json"},
		{"plimsoll audit --host $ENGINE --format json --benchmark cis-1.8 --fail-on never", "plimsoll audit --facts facts.json --format json --benchmark cis-1.8 --fail-on never"},
		{"plimsoll audit --host $ENGINE", facts + " | plimsoll audit --facts -"},
		{"plimsoll audit --host $ENGINE -v --fail-on low", "plimsoll audit --facts facts.json -v --fail-on low"},
	} {
		now, then := w.run(t, tc.at), w.run(t, tc.later)
		if i == 0 {
			enough(t, now)
		}
		for _, r := range []*ran{&now, &then} {
			r.stdout = times.ReplaceAllString(r.stdout, "$1$2 -")
		}
		if now.stdout == "" {
			t.Errorf("%s printed nothing: %s", tc.at, now.stderr)
		}
		if now != then {
			t.Errorf("%s and %s (-at once +later):\n%s", tc.at, tc.later, cmp.Diff(now, then, cmp.AllowUnexported(ran{})))
		}
	}
	testHiddenContainers(t, w)
}

// enough: the report is one over which being equal means something.
func enough(t *testing.T, r ran) {
	t.Helper()
	report := readReport(t, r)
	if report.Target.Containers < 20 || report.Summary.Fail < 30 || r.code != 1 {
		t.Errorf("%d containers, %d failures, exit code %d", report.Target.Containers, report.Summary.Fail, r.code)
	}
}

func readReport(t *testing.T, r ran) finding.Report {
	t.Helper()
	var report finding.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("the report: %v\n%s%s", err, r.stdout, r.stderr)
	}
	return report
}

// testHiddenContainers: a document that does not say what containers there are
// is judged to be unknown by every rule about containers, and ends in 3.
func testHiddenContainers(t *testing.T, w *world) {
	data, err := os.ReadFile(filepath.Join(w.program, "facts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	delete(tree, "containers")
	if data, err = json.Marshal(tree); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.program, "hidden.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	got := w.run(t, "plimsoll audit --facts hidden.json --format json")
	unknown := map[string]bool{}
	for _, x := range readReport(t, got).Findings {
		if x.Subject.Kind == "container" && x.Status == finding.Unknown && len(x.Missing) > 0 {
			unknown[x.Rule] = true
		}
	}
	for _, r := range ourRules(t).Rules() {
		if r.Subject == "container" && !unknown[r.Name] {
			t.Errorf("%s is not unknown where no container was seen", r.Name)
		}
	}
	if got.code != 3 || !strings.Contains(got.stderr, "containers") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
}

// testSixSentences: six containers of known reach are said to have it, word for
// word, and one that reaches nothing has no sentence.
func testSixSentences(t *testing.T, w *world) {
	want := map[string]string{
		"engine-socket":   "root on the host (engine socket)",
		"privileged-runs": "root on the host (every privilege)",
		"host-pid":        "every process of the host (host pid namespace)",
		"host-network":    "every port of the host (host network)",
		"backup":          "the data of database (shared volume)",
		"joined-network":  "the network of database (joined namespace)",
	}
	got := map[string]string{}
	for _, r := range readReport(t, w.run(t, "plimsoll audit --host $ENGINE --format json")).Reach {
		if want[r.Subject] != "" {
			got[r.Subject] = r.Text
		}
		if r.Subject == "no-capabilities" || r.Subject == "user" {
			t.Errorf("%s reaches %s", r.Subject, r.Text)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// In the table those that reach the same are on one line.
	table := w.run(t, "plimsoll audit -v --host $ENGINE").stdout
	for subject, text := range want {
		said := regexp.MustCompile(`(?m)^ +([a-z-]+) +` + regexp.QuoteMeta(text) + `(?:$|, so do(?:es)? (.*))`).FindStringSubmatch(table)
		if said == nil || !slices.Contains(strings.FieldsFunc(said[1]+" "+said[2], func(r rune) bool { return r == ' ' || r == ',' }), subject) {
			t.Errorf("the table does not say that %s reaches %s", subject, text)
		}
	}
}
