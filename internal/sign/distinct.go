package sign

import (
	"slices"
	"time"
)

// hold is a signature that counts: for an entry of a list of signers, by somebody, until then.
type hold struct {
	entry, who string
	until      time.Time
}

// distinct is how many different signers have signed, of those that are needed, and until when
// so many have. Each entry counts once, and so does each who signed: whoever fits two entries
// is one signer, and two who fit one entry are one of the list.
//
// That is a largest matching of entries with those who signed, to which the signatures are
// added from the longest to the shortest, until it is large enough.
func distinct(holds []hold, need int) (int, time.Time) {
	holds = slices.Clone(holds)
	slices.SortStableFunc(holds, func(a, b hold) int {
		switch {
		case later(a.until, b.until):
			return -1
		case later(b.until, a.until):
			return 1
		}
		return 0
	})
	signed := map[string][]string{} // who, by entry
	counts := map[string]string{}   // for which entry somebody counts
	var free func(entry string, tried map[string]bool) bool
	free = func(entry string, tried map[string]bool) bool {
		for _, who := range signed[entry] {
			if tried[who] {
				continue
			}
			tried[who] = true
			if taken, is := counts[who]; !is || free(taken, tried) {
				counts[who] = entry
				return true
			}
		}
		return false
	}
	matched := map[string]bool{}
	for _, h := range holds {
		if slices.Contains(signed[h.entry], h.who) {
			continue
		}
		signed[h.entry] = append(signed[h.entry], h.who)
		for entry := range signed {
			if !matched[entry] && free(entry, map[string]bool{}) {
				matched[entry] = true
				break
			}
		}
		if len(matched) >= need {
			return len(matched), h.until
		}
	}
	return len(matched), time.Time{}
}
