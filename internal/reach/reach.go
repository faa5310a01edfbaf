// Package reach says, in one sentence a container, what somebody who took that
// container over could get to beyond the container's own files: the host, or
// what belongs to other containers.
//
// [Of] is all there is. It reads [facts.Facts] alone, looks at nothing else,
// and judges nothing: rules do that. A container from which nobody gets further
// has no sentence.
//
// What is unseen adds nothing. A sentence never rests on a fact that was not
// observed, and where an unseen fact could weaken a claim (whether a mount is
// read-only, whether the users are remapped), the weaker claim is made, or none.
// The one exception is a socket: whoever can open the engine's is given all
// that the engine may do, and who can open it, its mode and the image's groups
// decide, which are no facts; so a socket that is mounted always counts.
//
// A container that is stopped counts like one that runs, because it can be
// started as it is. The user that it runs as weakens what it reaches only when
// set-user-ID programs give nothing (no_new_privileges).
//
// What each setting allows is documented in capabilities(7),
// pid_namespaces(7), open_by_handle_at(2), proc(5) and the engine's pages on
// security, user namespaces and rootless mode
// (https://docs.docker.com/engine/security/).
package reach

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Of gives a sentence for each container from which an intruder gets further:
// first those that lead to the host's root (or, of an engine without root, to
// its user), then the others that lead to the host, then those that lead to
// other containers only; each group by name. Subject is the container's name,
// which is as the engine gave it, and so are names and paths in Text.
func Of(f *facts.Facts) []finding.Reach {
	type ranked struct {
		finding.Reach
		rank int
	}
	var all []ranked
	m := newMap(f)
	for i := range f.Containers {
		root, host := m.host(i)
		parts, rank := m.others(i), 2
		if len(host) > 0 {
			parts, rank = append(host, parts...), 1
		}
		if root != "" {
			parts, rank = append([]string{root}, parts...), 0
		}
		if len(parts) > 0 {
			all = append(all, ranked{finding.Reach{Subject: f.Containers[i].DisplayName(), Text: strings.Join(parts, ", ")}, rank})
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Subject, b.Subject))
	})
	out := make([]finding.Reach, len(all))
	for i, r := range all {
		out[i] = r.Reach
	}
	return out
}

// listed is how many names or paths a sentence has before it counts the rest.
const listed = 3

// and writes "a", "a and b", "a, b and c", "a, b, c and 4 more"; words has the
// first ones of total.
func and(words []string, total int) string {
	if total > listed {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:listed], ", "), total-listed)
	}
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// seen is true when no entry of what is unseen covers path.
func seen(unseen []workload.Unseen, path string) bool {
	for _, u := range unseen {
		if covers(u.Path, path) {
			return false
		}
	}
	return true
}

// covers is true when unseen is path or above it; "[*]" stands for every
// element. A list that is only open covers none of its elements.
func covers(unseen, path string) bool {
	for {
		before, after, every := strings.Cut(unseen, "[*]")
		rest, found := strings.CutPrefix(path, before)
		if !found {
			return false
		}
		if !every {
			return rest == "" || rest[0] == '.' || rest[0] == '['
		}
		_, tail, closed := strings.Cut(rest, "]")
		if !closed || rest[0] != '[' {
			return false
		}
		unseen, path = after, tail
	}
}
