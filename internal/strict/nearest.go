package strict

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWord bounds the words that Nearest compares, in characters; the work grows
// with the square.
const maxWord = 64

// Nearest gives the known word that is closest to the one that was written, or
// "" when none is close: at most one slip for three letters, where a slip is a
// letter added, left out or replaced, or two neighbours exchanged. Case and the
// difference between - and _ are free. Of equally close words the first wins.
func Nearest(word string, known []string) string {
	if utf8.RuneCountInString(word) > maxWord {
		return ""
	}
	w := []rune(loose(word))
	limit := max(1, (len(w)+1)/3)
	best, found := limit+1, ""
	for _, k := range known {
		r := []rune(loose(k))
		// A word that would have to change in every letter is not close.
		if len(r) > maxWord || max(len(r)-len(w), len(w)-len(r)) >= best {
			continue
		}
		if d := slips(w, r); d < best && d < len(r) {
			best, found = d, k
		}
	}
	return found
}

// loose brings a word into the form in which Nearest compares.
func loose(word string) string {
	return strings.ReplaceAll(strings.ToLower(word), "_", "-")
}

// slips is the optimal string alignment distance (Damerau and Levenshtein, with
// no part of a word edited twice).
func slips(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is the hint for an unknown key: the known one that is close, or
// the known ones when they are few.
func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	if n := len(known); n > 0 && n <= 12 {
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}
