package rule

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHeads: what is told apart quickly does not touch, and most of what does not touch is
// told apart so.
func TestHeads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"container", "daemon", "now", "name", "mounts", "mount", "[0]", "[1]", "[*]", "it"}
	random := func() []string {
		chain := make([]string, 1+rnd.IntN(4))
		for i := range chain {
			chain[i] = names[rnd.IntN(len(names))]
		}
		return chain
	}
	apart, untouched := 0, 0
	for range 20_000 {
		chains := make([][]string, rnd.IntN(3))
		for i := range chains {
			chains[i] = random()
		}
		fact := hiddenFact{chain: random()}
		fact.head = headOf(fact.chain)
		all := headsOf(chains)
		touched := slices.ContainsFunc(chains, fact.touches)
		if all.apart(&fact) {
			apart++
			if touched {
				t.Fatalf("%v touches one of %v", fact.chain, chains)
			}
		}
		if !touched {
			untouched++
		}
	}
	if apart < untouched/3 {
		t.Errorf("%d of %d are told apart", apart, untouched)
	}
	for path, want := range map[string][]string{"a": {"a"}, "a.b": {"a", "b"}, "a.b[00].c": {"a", "b", "[0]", "c"}, "a[*]": {"a", "[*]"}} {
		if got := splitPath(path); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
