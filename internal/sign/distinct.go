package sign

import (
	"slices"
	"time"
)

// hold is a signature that counts: for an entry of a list of signers, by somebody, until then,
// and signed then, which is zero where that can't be told.
type hold struct {
	entry, who    string
	until, signed time.Time
}

// lasting is how many different signers have signed, of those that are needed, and until when
// so many have.
func lasting(holds []hold, need int) (int, time.Time) {
	have, last := distinct(holds, need, func(a, b hold) int {
		switch {
		case later(a.until, b.until):
			return -1
		case later(b.until, a.until):
			return 1
		}
		return 0
	})
	return have, last.until
}

// lately is when so many different signers as are needed had signed anew, zero where that
// can't be told.
func lately(holds []hold, need int) time.Time {
	_, last := distinct(holds, need, func(a, b hold) int { return b.signed.Compare(a.signed) })
	return last.signed
}

// distinct is how many different signers have signed, of those that are needed, and the one by
// whom there are enough, in an order. Each entry counts once, and so does each who signed:
// whoever fits two entries is one signer, and two who fit one entry are one of the list.
//
// That is a largest matching of entries with those who signed, to which the signatures are
// added in that order, until it is large enough.
func distinct(holds []hold, need int, order func(a, b hold) int) (int, hold) {
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
	for _, h := range slices.SortedStableFunc(slices.Values(holds), order) {
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
			return len(matched), h
		}
	}
	return len(matched), hold{}
}
