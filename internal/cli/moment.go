package cli

import (
	"fmt"
	"strconv"
	"time"
)

// day is the word of a date.
const day = "2006-01-02"

// parseMoment reads when something was: a date, a time (RFC 3339), or an age such as
// 90m, 12h, 30d or 6w before now. A date is its beginning here.
func parseMoment(flag, text string, now time.Time) (time.Time, error) {
	if t, err := time.ParseInLocation(day, text, now.Location()); err == nil {
		return t, nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if age, err := parseAge(text); err == nil {
		return now.Add(-age), nil
	}
	return time.Time{}, &failure{code: exitUsage, message: fmt.Sprintf("%s %s is not a time", flag, text),
		hint: "Give a date (2026-11-01), a time (2026-11-01T12:00:00Z), or how long ago: 90m, 12h, 30d, 6w."}
}

// parseAge reads a duration that may be in days (d) and weeks (w).
func parseAge(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n := len(text) - 1; n > 0 && text[n:] == unit {
			if count, err := strconv.ParseUint(text[:n], 10, 16); err == nil {
				return time.Duration(count) * length, nil
			}
		}
	}
	age, err := time.ParseDuration(text)
	if err == nil && age < 0 {
		err = fmt.Errorf("%s is less than nothing", text)
	}
	return age, err
}
