package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// hiddenFact is an unseen fact as the evaluator needs it.
type hiddenFact struct {
	chain   []string          // names; a position is "[0]"
	head    uint64            // headOf chain
	open    bool              // the list may be longer than what was seen
	missing []finding.Missing // the fact as it is shown; of a let, all that it lacked
}

// hiding makes hidden facts, of which containers mostly have the same ones: each
// is made once.
type hiding struct {
	prefix string // such as "container."
	known  map[workload.Unseen]hiddenFact
}

// facts adds those of unseen to list.
func (h *hiding) facts(list []hiddenFact, unseen []workload.Unseen) []hiddenFact {
	for _, u := range unseen {
		fact, ok := h.known[u]
		if !ok {
			fact = hidden(h.prefix+u.Path, u.Reason)
			h.known[u] = fact
		}
		list = append(list, fact)
	}
	return list
}

func hidden(path, reason string) hiddenFact {
	path, open := strings.CutSuffix(path, workload.Open)
	chain := splitPath(path)
	if path == "collected" { // rules know it as now
		chain = []string{"now"}
	}
	return hiddenFact{chain: chain, head: headOf(chain), open: open, missing: []finding.Missing{{Path: path, Reason: reason}}}
}

// splitPath makes container.mounts[0].source into its names and positions.
func splitPath(path string) []string {
	if !strings.Contains(path, "[") {
		return strings.Split(path, ".")
	}
	steps := strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
	for i, step := range steps {
		if n, err := strconv.Atoi(strings.Trim(step, "[]")); err == nil && isPosition(step) {
			steps[i] = fmt.Sprintf("[%d]", n) // [00] is [0]
		}
	}
	return steps
}

// touches is true when reading chain meets the hidden fact: one is part of the
// other.
func (h hiddenFact) touches(chain []string) bool {
	for i := range min(len(h.chain), len(chain)) {
		switch {
		case h.chain[i] == chain[i] || h.chain[i] == "[*]":
		case isPosition(h.chain[i]) != isPosition(chain[i]):
			return true // one of them does not say which position it means
		default:
			return false
		}
	}
	return true
}

func isPosition(step string) bool { return strings.HasPrefix(step, "[") }

// headOf is a number of a chain's first two names, of which different ones mean that
// chains do not touch. It is 0 for a chain that may touch any.
func headOf(chain []string) uint64 {
	if len(chain) < 2 || isPosition(chain[0]) || isPosition(chain[1]) {
		return 0
	}
	h := uint64(14695981039346656037) // FNV-1a
	for _, name := range chain[:2] {
		for i := range len(name) {
			h = (h ^ uint64(name[i])) * 1099511628211
		}
		h = (h ^ '.') * 1099511628211
	}
	return max(h, 1)
}

// heads tells quickly which hidden facts chains do not touch.
type heads struct {
	of   []uint64
	tops []string // of chains without a head: those of one name
	any  bool     // there is a chain that may touch all
}

func headsOf(chains [][]string) heads {
	var h heads
	for _, c := range chains {
		switch head := headOf(c); {
		case head != 0:
			h.of = append(h.of, head)
		case len(c) == 1 && !isPosition(c[0]):
			h.tops = append(h.tops, c[0])
		default:
			h.any = true
		}
	}
	slices.Sort(h.of)
	slices.Sort(h.tops)
	h.of, h.tops = slices.Compact(h.of), slices.Compact(h.tops)
	return h
}

func (h *heads) apart(fact *hiddenFact) bool {
	return fact.head != 0 && !h.any && !slices.Contains(h.of, fact.head) && !slices.Contains(h.tops, fact.chain[0])
}

// met are those of the hidden facts that a rule meets: mostly none.
func (p *parts) met(hidden []hiddenFact) []hiddenFact {
	var list []hiddenFact
	for i := range hidden {
		if h := &hidden[i]; !p.heads.apart(h) && slices.ContainsFunc(p.paths, h.touches) {
			list = append(list, *h)
		}
	}
	return list
}

// below is the hidden fact as seen from the element at position i of a list,
// where it is named "it".
func (h hiddenFact) below(list []string, i int) (hiddenFact, bool) {
	n := len(list)
	if len(h.chain) <= n || !slices.Equal(h.chain[:n], list) {
		return h, false
	}
	below := h.chain[n:]
	if at := below[0]; isPosition(at) { // without one, all elements are meant
		if at != fmt.Sprintf("[%d]", i) && at != "[*]" {
			return h, false
		}
		below = below[1:]
	}
	h.chain = append([]string{"it"}, below...)
	return h, true
}

// missing is what an unknown value lacked, by path.
func (s *scope) missing(v cel.Value) []finding.Missing {
	var list []finding.Missing
	for _, i := range v.Unseen() {
		list = append(list, s.hidden[i].missing...)
	}
	if !s.budget.Spend(uint64(len(list))) {
		return nil
	}
	slices.SortFunc(list, func(a, b finding.Missing) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(list)
}

// unknown makes f the finding for facts that are missing.
func unknown(f *finding.Finding, missing []finding.Missing) {
	var words []string
	for _, m := range missing {
		words = append(words, m.Path+", "+m.Reason)
	}
	if len(words) > 3 {
		words = append(words[:3], fmt.Sprintf("and %d more", len(missing)-3))
	}
	f.Status = finding.Unknown
	f.Detail = &finding.Detail{Message: f.Message, Reason: "not observed: " + strings.Join(words, "; "), Missing: missing}
}
