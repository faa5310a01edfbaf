package cli

import (
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
