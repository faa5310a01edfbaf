package secret

import "sync"

// automaton finds all keywords in one pass (Aho and Corasick, 1975), whatever the case
// of ASCII's letters. A byte that is in no keyword is of class 0.
type automaton struct {
	classes [256]uint8
	width   int
	// next has width states for each state; those from final on end a keyword.
	next  []uint16
	final uint16
	// ends are the keywords that end at a state, counted from final.
	ends [][]uint16
}

// keywords are those of all rules; users are the rules of each.
type keywords struct {
	*automaton
	words []string
	users [][]uint16
}

// allKeywords is made once; it does not change.
var allKeywords = sync.OnceValue(func() *keywords {
	k := &keywords{}
	at := map[string]int{}
	for n := range packed {
		for _, w := range packed[n].keywords {
			i, known := at[w]
			if !known {
				i = len(k.words)
				at[w] = i
				k.words, k.users = append(k.words, w), append(k.users, nil)
			}
			k.users[i] = append(k.users[i], uint16(n))
		}
	}
	k.automaton = newAutomaton(k.words)
	return k
})

// newAutomaton makes an automaton of words in lower case. All its states together must
// be fewer than 65,536.
func newAutomaton(words []string) *automaton {
	a := &automaton{width: 1}
	for _, w := range words {
		for i := range len(w) {
			if a.classes[w[i]] == 0 {
				a.classes[w[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.classes[c] = a.classes[c|0x20]
	}
	// The trie of the words; 0 is its root, and no child.
	trie := [][]int{make([]int, a.width)}
	ends := [][]uint16{nil}
	for n, w := range words {
		s := 0
		for i := range len(w) {
			c := a.classes[w[i]]
			if trie[s][c] == 0 {
				trie, ends = append(trie, make([]int, a.width)), append(ends, nil)
				trie[s][c] = len(trie) - 1
			}
			s = trie[s][c]
		}
		ends[s] = append(ends[s], uint16(n))
	}
	// By depth, what is missing leads where the longest proper suffix leads.
	suffix := make([]int, len(trie))
	queue := []int{}
	for _, child := range trie[0] {
		if child != 0 {
			queue = append(queue, child)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		ends[s] = append(ends[s], ends[suffix[s]]...)
		for c, child := range trie[s] {
			if child == 0 {
				trie[s][c] = trie[suffix[s]][c]
				continue
			}
			suffix[child] = trie[suffix[s]][c]
			queue = append(queue, child)
		}
	}
	// States that end a keyword are numbered last: one comparison tells them.
	number := make([]int, len(trie))
	count := 0
	for _, ending := range []bool{false, true} {
		if ending {
			a.final = uint16(count)
		}
		for s := range trie {
			if (len(ends[s]) > 0) == ending {
				number[s] = count
				count++
			}
		}
	}
	a.next = make([]uint16, len(trie)*a.width)
	a.ends = make([][]uint16, len(trie)-int(a.final))
	for s := range trie {
		for c, to := range trie[s] {
			a.next[number[s]*a.width+c] = uint16(number[to])
		}
		if len(ends[s]) > 0 {
			a.ends[number[s]-int(a.final)] = ends[s]
		}
	}
	return a
}

// find gives each keyword's number and the place behind its end, in order of the ends.
func (a *automaton) find(text []byte, found func(word uint16, end int)) {
	s := 0
	for i, b := range text {
		s = int(a.next[s*a.width+int(a.classes[b])])
		if s >= int(a.final) {
			for _, w := range a.ends[s-int(a.final)] {
				found(w, i+1)
			}
		}
	}
}
