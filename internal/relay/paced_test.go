package relay

import (
	"testing"
	"time"
)

// TestPace: only chunks that are small and come thick and fast are left to gather.
func TestPace(t *testing.T) {
	for _, tc := range []struct {
		name          string
		every         time.Duration
		bytes, chunks int
		rests         int // of 1,000
	}{
		{"lines as fast as can be", 6 * time.Microsecond, 107, 1, 1000 / thick},
		{"many lines at once", time.Millisecond, 150 * 107, 150, 1000},
		{"lines that are read as they come", time.Millisecond, 107, 1, 0},
		{"a file", 10 * time.Microsecond, 32 << 10, 1, 0},
		{"a file in small writes", 10 * time.Microsecond, 4 << 10, 1, 0},
		{"a file without chunks", 10 * time.Microsecond, 64 << 10, 0, 0},
		{"what has no chunks and is small", 10 * time.Microsecond, 100, 0, 0},
	} {
		now := time.Unix(0, 0)
		p := pace{now: func() time.Time { return now }, since: now}
		rests := 0
		for range 1000 {
			now = now.Add(tc.every)
			if p.passed(tc.bytes, tc.chunks) {
				rests++
			}
		}
		if rests != tc.rests {
			t.Errorf("%s: %d rests, want %d", tc.name, rests, tc.rests)
		}
	}
}
