package strict

import (
	"testing"
	"time"
)

// TestAge: what is an age is read to the hour, and nothing else is taken for one.
func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"1h": time.Hour, "30d": 720 * time.Hour, "4w": 672 * time.Hour, "99999h": 99999 * time.Hour,
		"": 0, "0d": 0, "01d": 0, "-3d": 0, "3": 0, "d": 0, "3m": 0, "1.5d": 0, "100000h": 0, " 3d": 0, "3d ": 0, "3d\n": 0, "3dd": 0} {
		if got, err := Age(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}
