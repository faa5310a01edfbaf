package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// TestImageTrust: with a policy of trust, an image is trusted that was verified, by its id or
// the digest that a registry gave it, as long as that lasts; without one nobody asks.
func TestImageTrust(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	a := &app{world: World{Now: func() time.Time { return now }}, state: t.TempDir()}
	policy := filepath.Join(t.TempDir(), "trust.yaml")
	if a.imageTrust(policy) != nil {
		t.Error("it is asked without a policy")
	}
	if err := os.WriteFile(policy, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	folder := verdict.Folder(filepath.Join(a.state, gate.VerdictFolder))
	good := verdict.Verified{At: now, Policy: "images[0]", By: []string{"cosign key release"}}
	ended, lasting := good, good
	ended.Until, lasting.Until = now.Add(-time.Hour), now.Add(time.Hour)
	for d, how := range map[string]*verdict.Verified{digest("1"): &good, digest("2"): &ended, digest("3"): &lasting, digest("4"): nil} {
		if err := folder.Verify(d, how); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(string(folder), "44", strings.Repeat("4", 64)+".json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	trust := a.imageTrust(policy)
	for _, c := range []struct {
		id, name, want string
		unseen         bool
	}{
		{digest("1"), "", "trusted", false},
		{digest("9"), "app@" + digest("1"), "trusted", false},
		{digest("2"), "", "untrusted", false},
		{digest("3"), "", "trusted", false},
		{digest("9"), "", "untrusted", false},
		{digest("9"), "app@" + digest("8"), "untrusted", false},
		{digest("4"), "", "", true},
	} {
		if got, why := trust(c.id, []string{c.name}); got != c.want || (why != "") != c.unseen {
			t.Errorf("%s, %s: %q, %q", c.id[7:9], c.name, got, why)
		}
	}
}
