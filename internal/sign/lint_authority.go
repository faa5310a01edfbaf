package sign

import (
	"maps"
	"slices"
	"time"
)

// timed is true for an authority with which a signature may prove its time.
func (a Authority) timed() bool { return a.Timestamps != (Certificates{}) }

// authorities looks at them, at the files that they name, and at who uses them.
func (l *linter) authorities() {
	used := map[string]bool{}
	l.each(func(s Signer, at ...any) {
		used[s.Notation] = true
		if s.Anyone {
			l.add(LintWarning, "anyone", "whoever the authority gives a certificate to may sign", "name who, in subject, unless the authority is for that alone", append(at, "anyone")...)
		}
	})
	for _, name := range slices.Sorted(maps.Keys(l.Authorities)) {
		a := l.Authorities[name]
		if !used[name] && a.Revoked == "" {
			l.add(LintNote, "unused-authority", "no entry names the authority", "take it out, or name it where it may vouch", "authorities", name)
		}
		there := true
		for field, c := range map[string]Certificates{"certificates": a.Certificates, "timestamps": a.Timestamps} {
			if c.File != "" {
				there = l.named(c.File, "authorities", name, field, "file") && there
			}
		}
		if !there {
			continue
		}
		trusted, err := a.read()
		if err != nil {
			l.add(LintError, "file-unreadable", err.Error(), "write certificates of authorities there, in PEM", "authorities", name)
			continue
		}
		if until := trusted.Until(); until.Before(l.now) {
			l.add(LintWarning, "authority-expired", "the last certificate of the authority ended on "+until.UTC().Format(time.DateOnly)+": nothing counts but what a timestamp proves to be older", "get a newer one", "authorities", name)
		}
	}
}
