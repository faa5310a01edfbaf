package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestCheckpointOfWhatWasVerified: a witness signs the checkpoint of the bundle that it
// verified, not of one that took its place meanwhile.
func TestCheckpointOfWhatWasVerified(t *testing.T) {
	dir := t.TempDir()
	l, err := trail.Open(trail.Config{Dir: filepath.Join(dir, "trail"), Name: "h", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	key, err := trail.ParseKey(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := &trailSource{bundle: filepath.Join(dir, "bundle")}
	export := func() {
		if _, err := l.Append(t.Context(), trail.Event{Type: trail.Start, Subject: trail.Subject{Kind: "container"}}); err != nil {
			t.Fatal(err)
		}
		v, err := trail.Read(filepath.Join(dir, "trail"))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := v.Export(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.bundle, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	export()
	a := &app{state: dir}
	verified, err := a.verifyTrail(t.Context(), s, trail.VerifyConfig{Key: key})
	if err != nil || len(verified.Problems) > 0 {
		t.Fatal(verified, err)
	}
	if note, err := a.checkpointOf(s, key, verified); err != nil || len(note) == 0 {
		t.Errorf("of the same bundle: %v", err)
	}
	export()
	if _, err := a.checkpointOf(s, key, verified); err == nil {
		t.Error("another bundle's checkpoint is taken")
	}
}
