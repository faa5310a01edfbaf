package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/vuln"
)

// TestAgeOfData: what is over 7 days old is old, and so is what does not say, or cannot be.
func TestAgeOfData(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		newest time.Time
		days   int // -1 for not known
		old    bool
	}{
		"today":             {now.Add(-time.Hour), 0, false},
		"seven days":        {now.Add(-7 * 24 * time.Hour), 7, false},
		"over seven":        {now.Add(-7*24*time.Hour - time.Second), 7, true},
		"a clock ahead":     {now.Add(time.Hour), 0, false},
		"in two days' time": {now.Add(48 * time.Hour), -1, true},
		"it does not say":   {time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), -1, true},
	} {
		d := newDBStatus(vuln.Status{Newest: c.newest}, now)
		if d.Old != c.old || (d.AgeDays == nil) != (c.days < 0) || d.AgeDays != nil && *d.AgeDays != c.days {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// TestDBUpdate: what is fetched is told, once; what cannot be is the error, and hides nothing
// of the rest.
func TestDBUpdate(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("GHSA-1.json")
	if err == nil {
		_, err = w.Write([]byte(`{"id": "GHSA-1", "modified": "2026-11-20T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "m"}, "versions": ["1.0.0"]}]}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/npm/all.zip" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(b.Bytes())
	}))
	defer server.Close()
	state := t.TempDir()
	for _, c := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{nil, exitUsage, "", "to update"},
		{[]string{"npm"}, 0, "npm: 1 records, the newest of 2026-11-20\n", ""},
		{nil, 0, "npm: nothing newer, the newest of 2026-11-20\n", ""},
		{[]string{"Go", "npm"}, exitUnable, "npm: nothing newer, the newest of 2026-11-20\n", "the database of Go can't be updated"},
	} {
		var stdout, stderr bytes.Buffer
		code := Run(context.Background(), World{Args: append([]string{"db", "update", "--state", state, "--from", server.URL}, c.args...), Getenv: func(string) string { return "" },
			Stdout: &stdout, Stderr: &stderr, Now: time.Now})
		if code != c.code || stdout.String() != c.stdout || !strings.Contains(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
			t.Errorf("%q: %d\n%s\n%s", c.args, code, &stdout, &stderr)
		}
	}
}
