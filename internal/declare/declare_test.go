package declare

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func TestRetireAfter(t *testing.T) {
	for asked, want := range map[string]string{
		"2027-01-31": "2027-01-31", "2027-01-31T12:00:00+02:00": "2027-01-31T10:00:00Z", "90d": "2027-02-25T12:00:00Z", "12h": "2026-11-28T00:00:00Z", "6w": "2027-01-08T12:00:00Z", "6 w": "2027-01-08T12:00:00Z",
		"": "", "soon": "", "2027-02-30": "", "-1d": "", "1.5d": "", "90": "", "90m": "", "9999999d": "", "999999w": "", "31.01.2027": "",
	} {
		if got := RetireAfter(asked, noon); got != want {
			t.Errorf("%q is %q, want %q", asked, got, want)
		}
	}
	if got := RetireAfter("90d", time.Time{}); got != "" {
		t.Errorf("from no time on: %q", got)
	}
}

func TestDeclared(t *testing.T) {
	got, d := Of(map[string]string{"plimsoll.owner": " ops ", "plimsoll.retire-after": "whenever", "org.opencontainers.image.revision": "abc", "com.docker.swarm.service.name": "svc", "Plimsoll.why": "no"}, noon)
	if diff := cmp.Diff(&trail.Declared{Owner: "ops", Source: "labels"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"retire_after_unreadable": "whenever", "revision": "abc", "swarm_service": "svc"}, d); diff != "" {
		t.Error(diff)
	}
	if got, d := Of(map[string]string{"other": "x"}, noon); got != nil || len(d) > 0 {
		t.Errorf("nothing was said, and got %+v", got)
	}
}

// FuzzRetireAfter: what is read is a date or a time of RFC 3339.
func FuzzRetireAfter(f *testing.F) {
	for _, s := range []string{"2027-01-31", "90d", "6 w", "2027-01-31T12:00:00+02:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		got := RetireAfter(asked, noon)
		_, day := time.Parse(time.DateOnly, got)
		if _, moment := time.Parse(time.RFC3339, got); got != "" && day != nil && moment != nil {
			t.Errorf("%q is %q", asked, got)
		}
	})
}
