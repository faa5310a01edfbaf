package rule

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// variants calls use with the container changed in one value at a time, in
// every place that it has one.
func variants(c *workload.Spec, use func(path string, c workload.Spec)) {
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		change := func(to any) {
			v.Set(reflect.ValueOf(to).Convert(v.Type()))
			use(path, *c)
			v.Set(old)
		}
		switch v.Kind() {
		case reflect.String:
			change(v.String() + "x")
			change("")
		case reflect.Bool:
			change(!v.Bool())
		case reflect.Int64:
			change(v.Int() + 1)
			change(int64(0))
		case reflect.Float64:
			change(v.Float() + 1)
		case reflect.Slice:
			if v.Len() > 0 {
				change(reflect.Zero(v.Type()).Interface())
			}
			change(reflect.Append(v.Slice3(0, v.Len(), v.Len()), reflect.Zero(v.Type().Elem())).Interface())
			for i := range v.Len() {
				// A list of its own, so that the container before keeps its.
				own := reflect.AppendSlice(reflect.Zero(v.Type()), v)
				v.Set(own)
				walk(fmt.Sprintf("%s[%d]", path, i), own.Index(i))
				v.Set(old)
			}
		case reflect.Map:
			if v.Len() > 0 {
				change(reflect.Zero(v.Type()).Interface())
			}
			more := reflect.MakeMap(v.Type())
			for _, k := range v.MapKeys() {
				more.SetMapIndex(k, v.MapIndex(k))
			}
			more.SetMapIndex(reflect.ValueOf("new").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
			change(more.Interface())
		case reflect.Struct:
			if t, ok := v.Interface().(time.Time); ok {
				change(t.Add(1000 * time.Hour))
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).Name != "Unseen" {
					walk(path+"."+v.Type().Field(i).Tag.Get("json"), v.Field(i))
				}
			}
		}
	}
	walk("container", reflect.ValueOf(c).Elem())
}

// TestMemoTellsApart: containers that differ in any one value, or in any one
// fact that was not seen, get together what each gets alone.
func TestMemoTellsApart(t *testing.T) {
	set := containerRules(t)
	f := liveFacts(t)
	base := f.Containers[0]
	f.Containers = []workload.Spec{base}
	paths := []string{"as it is"}
	variants(&base, func(path string, c workload.Spec) {
		f.Containers, paths = append(f.Containers, c), append(paths, path)
	})
	for _, path := range []string{"mounts", "mounts[0].source", "mounts[1]", "mounts[...]", "resources", "resources.memory_bytes", "image.tags", "capabilities", "live.processes"} {
		c := base
		c.Unseen = []workload.Unseen{{Path: path, Reason: "it was dark"}}
		f.Containers, paths = append(f.Containers, c), append(paths, "without "+path)
		c.Unseen = []workload.Unseen{{Path: path, Reason: "it was too bright"}}
		f.Containers, paths = append(f.Containers, c), append(paths, "otherwise without "+path)
	}
	if len(paths) < 200 {
		t.Fatalf("%d variants", len(paths))
	}
	sameTogether(t, set, f, paths)
}

// sameTogether judges all containers at once, and each alone.
func sameTogether(t *testing.T, set *Set, f *facts.Facts, paths []string) {
	t.Helper()
	together, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	got := byRule(together)
	for i, path := range paths {
		alone := *f
		alone.Containers = f.Containers[i : i+1]
		found, err := set.Judge(&alone)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range byRule(found) {
			n := min(len(want), len(got[name]))
			if diff := cmp.Diff(want, got[name][:n]); diff != "" {
				t.Fatalf("%s: %s", path, diff)
			}
			got[name] = got[name][n:]
		}
	}
	for name, more := range got {
		if len(more) > 0 {
			t.Errorf("%d findings of %s more", len(more), name)
		}
	}
}

// byRule are the findings of each rule, in their order.
func byRule(findings []finding.Finding) map[string][]finding.Finding {
	found := map[string][]finding.Finding{}
	for _, f := range findings {
		found[f.Rule] = append(found[f.Rule], f)
	}
	return found
}

// TestMemoIsBounded: more values than a memo holds change no verdict.
func TestMemoIsBounded(t *testing.T) {
	set := containerRules(t)
	f := liveFacts(t)
	base := f.Containers[0]
	f.Containers = nil
	var names []string
	for i := range remembered + 50 {
		c := base
		c.Name, c.Resources.MemoryBytes = fmt.Sprint("c", i), int64(i)<<20
		f.Containers, names = append(f.Containers, c), append(names, c.Name)
	}
	small, err := set.Select(Selection{Only: []string{"memory-*", "privileged*"}})
	if err != nil {
		t.Fatal(err)
	}
	sameTogether(t, small, f, names)
	m := newMemo(small.rules, f.Containers)
	for i, fact := range m.facts {
		if highest := slices.Max(m.numbers[i]); highest > remembered {
			t.Errorf("%d values of %v remembered", highest, fact.chain)
		}
	}
	memory := slices.IndexFunc(m.facts, func(f memoFact) bool { return slices.Equal(f.chain, []string{"resources", "memory_bytes"}) })
	if got := m.numbers[memory]; got[remembered-1] != remembered || got[remembered] != 0 {
		t.Errorf("the numbers around the bound are %d and %d", got[remembered-1], got[remembered])
	}
}

// TestMemoKnowsEveryFact: a fact of any type that a Spec has can be written, and
// every rule of ours is remembered.
func TestMemoKnowsEveryFact(t *testing.T) {
	c := liveFacts(t).Containers[0]
	c.Unseen = nil
	seen := map[string]string{}
	write := func(path string, c workload.Spec) {
		text := string(appendFact(nil, reflect.ValueOf(c)))
		if other, ok := seen[text]; ok {
			t.Errorf("%s is written as %s is", path, other)
		}
		seen[text] = path
	}
	set := containerRules(t)
	for i, reads := range newMemo(set.rules, []workload.Spec{c, c}).reads {
		if len(reads) == 0 {
			t.Errorf("%s is judged anew each time", set.rules[i].Name)
		}
	}
	write("as it is", c)
	last := ""
	variants(&c, func(path string, changed workload.Spec) {
		if path != last { // a second change may be none
			write(path, changed)
		}
		last = path
	})
}

// TestTouches: the path of an unseen fact touches a fact as it does for the
// evaluator.
func TestTouches(t *testing.T) {
	name := rapid.SampledFrom([]string{"mounts", "resources", "memory_bytes", "live"})
	rapid.Check(t, func(t *rapid.T) {
		path := name.Draw(t, "first")
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			path += rapid.SampledFrom([]string{"." + name.Draw(t, "name"), "[3]", workload.Open}).Draw(t, "step")
		}
		chain := rapid.SliceOfN(name, 1, 3).Draw(t, "chain")
		hidden := hidden("container."+path, "")
		if got, want := touches(path, chain), hidden.touches(append([]string{"container"}, chain...)); got != want {
			t.Errorf("%s touches %v: %t, want %t", path, chain, got, want)
		}
	})
}
