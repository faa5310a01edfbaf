package inventory

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
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
		_ = c.Write([]string{term.Inert(d.Name), term.Inert(string(d.Worst)), number(d.Failing), number(d.Waived), term.Inert(d.Image), term.Inert(d.Digest), term.Inert(d.Who), stamp(d.Deployed),
			term.Inert(d.Why), term.Inert(d.Owner), term.Inert(d.Intent), term.Inert(d.RetireAfter), stamp(d.Scanned),
			term.Inert(string(d.ScanWorst)), number(d.ScanFindings), term.Inert(d.State), stamp(d.Since), exit, strconv.FormatBool(d.OOM), term.Inert(d.Health), healthy, number(d.Restarts),
			stamp(d.Removed), stamp(d.Judged), term.Inert(d.Project), term.Inert(d.Service),
			term.Inert(d.Source), term.Inert(d.Revision), term.Inert(d.Version), term.Inert(d.Commit), term.Inert(d.Repository), term.Inert(d.Run), term.Inert(d.Replaces), strconv.FormatBool(d.Privileged), strconv.FormatBool(d.FoundLater),
			term.Inert(d.Via), term.Inert(d.Declared), term.Inert(d.Container)})
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
