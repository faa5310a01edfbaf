package inventory

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/term"
)

// csvHead has the names that the JSON has.
var csvHead = []string{"name", "worst", "failing", "waived", "image", "digest", "who", "deployed", "why", "owner", "intent", "retire_after", "last_scanned",
	"scan_worst", "scan_findings", "state", "since", "exit_code", "oom", "health", "healthy_after_s", "restarts", "removed", "judged", "project", "service",
	"source", "revision", "version", "commit", "repository", "run", "replaces", "privileged", "found_later", "via", "declared_in", "container"}

// WriteCSV writes a listing for spreadsheets (RFC 4180, with a head). A text that a
// spreadsheet would take for a formula has a quote before it, and invisible characters
// are written out. Cells of what is not known are empty.
func (l *Listing) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	// A csv.Writer keeps its first error for Error.
	_ = c.Write(csvHead)
	for i := range l.Deployments {
		d := &l.Deployments[i]
		exit, healthy := "", ""
		if d.ExitCode != nil {
			exit = strconv.FormatInt(*d.ExitCode, 10)
		}
		if d.HealthyAfterSeconds != nil {
			healthy = strconv.FormatFloat(*d.HealthyAfterSeconds, 'f', -1, 64)
		}
		number := func(n int64) string { return strconv.FormatInt(n, 10) }
		_ = c.Write([]string{inert(d.Name), inert(string(d.Worst)), number(d.Failing), number(d.Waived), inert(d.Image), inert(d.Digest), inert(d.Who), stamp(d.Deployed),
			inert(d.Why), inert(d.Owner), inert(d.Intent), inert(d.RetireAfter), stamp(d.Scanned),
			inert(string(d.ScanWorst)), number(d.ScanFindings), inert(d.State), stamp(d.Since), exit, strconv.FormatBool(d.OOM), inert(d.Health), healthy, number(d.Restarts),
			stamp(d.Removed), stamp(d.Judged), inert(d.Project), inert(d.Service),
			inert(d.Source), inert(d.Revision), inert(d.Version), inert(d.Commit), inert(d.Repository), inert(d.Run), inert(d.Replaces), strconv.FormatBool(d.Privileged), strconv.FormatBool(d.FoundLater),
			inert(d.Via), inert(d.Declared), inert(d.Container)})
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

// inert keeps a spreadsheet from acting on a text. Those for East Asian languages take
// the wide signs for the plain ones.
func inert(s string) string {
	first := strings.TrimLeft(s, " \u3000\u00a0")
	s = term.Escape(s)
	for _, sign := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(first, sign) {
			return "'" + s
		}
	}
	return s
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
