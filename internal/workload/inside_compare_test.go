package workload

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seen is what a program inside a container, or the engine, told of it.
type seen struct {
	spec   map[string]any
	unseen []string
}

func (s seen) hidden(path string) bool {
	for _, u := range s.unseen {
		if pathWithin(path, u) {
			return true
		}
	}
	return false
}

func (s seen) open(path string) bool { return slices.Contains(s.unseen, path+Open) }

// pathWithin is true when path is u or below it; [*] in u is any position.
func pathWithin(path, u string) bool {
	p, q := strings.Split(strings.ReplaceAll(path, "[", ".["), "."), strings.Split(strings.ReplaceAll(u, "[", ".["), ".")
	if len(p) < len(q) || strings.HasSuffix(u, Open) {
		return false
	}
	for i := range q {
		if q[i] != p[i] && !(q[i] == "[*]" && strings.HasPrefix(p[i], "[")) {
			return false
		}
	}
	return true
}

// differences lists the paths where both sides saw something, and not the same.
func differences(at, bt string, a, b any, inside, outside seen) []string {
	if inside.hidden(at) || outside.hidden(bt) {
		return nil
	}
	var out []string
	switch x := a.(type) {
	case map[string]any:
		y, _ := b.(map[string]any)
		keys := map[string]bool{}
		for k := range x {
			keys[k] = true
		}
		for k := range y {
			keys[k] = true
		}
		for k := range keys {
			if _, there := x[k]; !there && inside.open(at) {
				continue
			}
			out = append(out, differences(strings.TrimPrefix(at+"."+k, "."), strings.TrimPrefix(bt+"."+k, "."), x[k], y[k], inside, outside)...)
		}
	case []any:
		y, ok := b.([]any)
		if !ok {
			return []string{at}
		}
		if !inside.open(at) && !outside.open(bt) {
			if len(x) != len(y) {
				return []string{fmt.Sprintf("%s: %v, engine %v", at, a, b)}
			}
			for i := range x {
				out = append(out, differences(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%s[%d]", bt, i), x[i], y[i], inside, outside)...)
			}
			return out
		}
		for i := range x {
			found := slices.ContainsFunc(positions(len(y)), func(j int) bool {
				return len(differences(fmt.Sprintf("%s[%d]", at, i), fmt.Sprintf("%s[%d]", bt, j), x[i], y[j], inside, outside)) == 0
			})
			if !found && !outside.open(bt) {
				out = append(out, fmt.Sprintf("%s[%d]: %v is not in the engine's %v", at, i, x[i], y))
			}
		}
	default:
		if !cmp.Equal(a, b) {
			return []string{fmt.Sprintf("%s: %v, engine %v", at, a, b)}
		}
	}
	slices.Sort(out)
	return out
}

func positions(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	return p
}

// TestDifferences holds the comparison itself to account: what differs is
// found, what is unseen on either side is not compared.
func TestDifferences(t *testing.T) {
	tree := func(s string) map[string]any {
		var m map[string]any
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		name, inside, outside string
		unseen, unseenOutside []string
		want                  []string
	}{
		{"equal", `{"a":1,"l":[{"x":1}]}`, `{"a":1,"l":[{"x":1}]}`, nil, nil, nil},
		{"other value", `{"a":1}`, `{"a":2}`, nil, nil, []string{"a: 1, engine 2"}},
		{"unseen inside", `{"a":1}`, `{"a":2}`, []string{"a"}, nil, nil},
		{"unseen outside", `{"a":1}`, `{"a":2}`, nil, []string{"a"}, nil},
		{"unseen above", `{"a":{"b":1}}`, `{"a":{"b":2}}`, []string{"a"}, nil, nil},
		{"longer list", `{"l":[1,2]}`, `{"l":[1]}`, nil, nil, []string{"l: [1 2], engine [1]"}},
		{"open list", `{"l":[1]}`, `{"l":[2,1]}`, []string{"l[...]"}, nil, nil},
		{"open list, stranger", `{"l":[3]}`, `{"l":[2,1]}`, []string{"l[...]"}, nil, []string{"l[0]: 3 is not in the engine's [2 1]"}},
		{"any element", `{"l":[{"x":1,"y":1}]}`, `{"l":[{"x":2,"y":1}]}`, []string{"l[*].x"}, nil, nil},
		{"one element", `{"l":[{"x":1},{"x":1}]}`, `{"l":[{"x":2},{"x":2}]}`, []string{"l[1].x"}, nil, []string{"l[0].x: 1, engine 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := seen{tree(c.inside), c.unseen}, seen{tree(c.outside), c.unseenOutside}
			got := differences("", "", a.spec, b.spec, a, b)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

// lookup finds a dotted path in a Spec's JSON.
func (s seen) lookup(path string) any {
	var at any = s.spec
	for _, name := range strings.Split(path, ".") {
		m, _ := at.(map[string]any)
		at = m[name]
	}
	return at
}

func toSeen(t *testing.T, spec Spec) seen {
	t.Helper()
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	s := seen{}
	if err := json.Unmarshal(raw, &s.spec); err != nil {
		t.Fatal(err)
	}
	for _, u := range spec.Unseen {
		s.unseen = append(s.unseen, u.Path)
	}
	return s
}
