package rule

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/rules"
)

// Set is rules, ordered by name, each name once. It may be used by several
// goroutines.
type Set struct {
	rules    []*Rule
	replaced []finding.Replaced

	compiled sync.Once
	broken   error // the first of compiling

	sort    sync.Once
	ordered []*Rule // as in a report, once sort is done
}

// Load reads our rules, a tree of <subject>/<rule>.yaml, and the user's: every
// *.yaml file below theirs. Either may be nil. A rule of theirs with the name
// of one of ours replaces it; name is what their folder is called in messages.
func Load(ours fs.FS, theirs fs.FS, name string) (*Set, error) {
	s := &Set{}
	if ours != nil {
		if err := s.read(ours, "", true); err != nil {
			return nil, err
		}
	}
	return s.with(theirs, name)
}

// LoadToJudge is Load for who only judges: ours are packed, and have no tests.
func LoadToJudge(ours []rules.Rule, theirs fs.FS, name string) (*Set, error) {
	s := &Set{rules: make([]*Rule, len(ours))}
	for i := range ours {
		s.rules[i] = unpack(&ours[i])
	}
	return s.with(theirs, name)
}

// with adds the user's rules, and puts all in order.
func (s *Set) with(theirs fs.FS, name string) (*Set, error) {
	if theirs != nil {
		own := &Set{}
		if err := own.read(theirs, name, false); err != nil {
			return nil, err
		}
		if len(own.rules) == 0 {
			return nil, fmt.Errorf("%s: no rule is in it: a rule is a file that ends in .yaml", name)
		}
		s.replace(own)
	}
	slices.SortFunc(s.rules, func(a, b *Rule) int { return strings.Compare(a.Name, b.Name) })
	return s, nil
}

// read makes rules of every rule file.
func (s *Set) read(files fs.FS, dir string, ours bool) error {
	var names []string
	err := fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading rules in %s: %w", path.Join(dir, p), err)
		}
		if !d.IsDir() && path.Ext(p) == ".yaml" {
			names = append(names, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	lists := make([][]*Rule, len(names))
	err = forAll(len(names), len(names), func(i int) error {
		data, err := readFile(files, names[i])
		if err != nil {
			return fmt.Errorf("reading rules: %w", err)
		}
		if len(data) > maxFile && !ours {
			return &strict.Error{File: path.Join(dir, names[i]), Msg: "the file is too large", Hint: fmt.Sprintf("a file of rules has at most %d bytes", maxFile)}
		}
		lists[i], err = parse(path.Join(dir, names[i]), data, ours)
		return err
	})
	if err != nil {
		return err
	}
	seen := map[string]string{}
	for _, r := range slices.Concat(lists...) {
		if other, twice := seen[r.Name]; twice {
			return r.fail("rule", fmt.Sprintf("the rule %q is in %s too", r.Name, other), "give one of them another name")
		}
		seen[r.Name] = r.File
		s.rules = append(s.rules, r)
	}
	return nil
}

// maxFile is how long a file of a user's rules may be.
const maxFile = 1 << 20

// readFile reads a file, but of one that is too long only so much that this can
// be told.
func readFile(files fs.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// worthSharing is how many pieces of work are worth another processor: of fewer, waking it
// takes longer. A finding is less than a piece.
const (
	worthSharing  = 32
	findingsShare = 8
)

// forAll does it for 0 to n-1, pieces of work in all, with as many processors as that is
// worth, and gives the error of the lowest that has one.
func forAll(n, pieces int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			errs[i] = do(i)
		}
	}
	var wg sync.WaitGroup
	for range min(n-1, pieces/worthSharing, runtime.GOMAXPROCS(0)-1) {
		wg.Go(work)
	}
	work()
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) replace(own *Set) {
	for _, r := range own.rules {
		if i := slices.IndexFunc(s.rules, func(o *Rule) bool { return o.Name == r.Name }); i >= 0 {
			s.rules[i] = r
			s.replaced = append(s.replaced, finding.Replaced{Rule: r.Name, File: r.File})
			continue
		}
		s.rules = append(s.rules, r)
	}
	slices.SortFunc(s.replaced, func(a, b finding.Replaced) int { return strings.Compare(a.Rule, b.Rule) })
}

// Rules are the rules by name.
func (s *Set) Rules() []*Rule { return s.rules }

// Replaced are our rules that the user's replaced.
func (s *Set) Replaced() []finding.Replaced { return s.replaced }

// Compile compiles all rules now, and gives the first error.
func (s *Set) Compile() error {
	s.compiled.Do(func() {
		n := len(s.rules)
		s.broken = forAll(n, n, func(i int) error { return s.rules[i].compile() })
	})
	return s.broken
}

// inOrder are the rules, which are compiled, in the order of a report.
func (s *Set) inOrder() []*Rule {
	s.sort.Do(func() {
		place := make(map[*Rule]finding.Place, len(s.rules))
		for _, r := range s.rules {
			place[r] = finding.PlaceOf(r.code.about, "")
		}
		s.ordered = slices.SortedStableFunc(slices.Values(s.rules), func(a, b *Rule) int { return place[a].Compare(place[b]) })
	})
	return s.ordered
}

// Prepare compiles all rules and puts them in order, for who has to wait for
// the facts anyway.
func (s *Set) Prepare() error {
	if err := s.Compile(); err != nil {
		return err
	}
	s.inOrder()
	return nil
}

// Selection says which rules of a Set are wanted.
type Selection struct {
	// Only and Skip are rule names, benchmark ids ("5.11", or "cis-1.8:5.11"),
	// and globs of either. An empty Only is everything. An id alone is one of
	// Benchmark, or of the newest that has such an id, as reports show it: the
	// same number is something else in another benchmark.
	Only, Skip []string
	// Benchmark limits to the rules that answer it ("cis-1.8"); "" does not.
	Benchmark string
	// Severity limits to one; "" does not. Subjects limit to several; none do not.
	Severity finding.Severity
	Subjects []string
}

// Select gives the rules wanted. A pattern that matches no rule is an error:
// it is a misspelt name more often than not.
func (s *Set) Select(want Selection) (*Set, error) {
	only, err := s.named(want.Only, want.Benchmark)
	if err != nil {
		return nil, err
	}
	skip, err := s.named(want.Skip, want.Benchmark)
	if err != nil {
		return nil, err
	}
	return s.Where(func(r *Rule) bool {
		switch {
		case len(want.Only) > 0 && !only[r]:
		case skip[r]:
		case want.Benchmark != "" && len(r.Refs[want.Benchmark]) == 0:
		case want.Severity != "" && r.Severity != want.Severity:
		case len(want.Subjects) > 0 && !slices.Contains(want.Subjects, r.Subject):
		default:
			return true
		}
		return false
	}), nil
}

// Where gives the rules that keep says yes to.
func (s *Set) Where(keep func(r *Rule) bool) *Set {
	out := &Set{replaced: s.replaced}
	for _, r := range s.rules {
		if keep(r) {
			out.rules = append(out.rules, r)
		}
	}
	return out
}

// named are the rules that any of the patterns names; one that names none is an
// error.
func (s *Set) named(patterns []string, benchmark string) (map[*Rule]bool, error) {
	named := map[*Rule]bool{}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("%q is not a pattern: %w", p, err)
		}
		found := s.matching(p, benchmark)
		if len(found) == 0 {
			return nil, fmt.Errorf("%q names no rule%s", p, s.nearest(p))
		}
		for _, r := range found {
			named[r] = true
		}
	}
	return named, nil
}

// matching are the rules whose name the pattern is, and those of whom it is an id.
func (s *Set) matching(pattern, benchmark string) []*Rule {
	var found []*Rule
	add := func(fits func(r *Rule) bool) bool {
		before := len(found)
		for _, r := range s.rules {
			if fits(r) {
				found = append(found, r)
			}
		}
		return len(found) > before
	}
	globs := func(pattern, name string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	}
	add(func(r *Rule) bool { return globs(pattern, r.Name) })
	id, benchmarks := pattern, s.Benchmarks()
	if benchmark != "" {
		benchmarks = []string{benchmark}
	}
	if b, rest, both := strings.Cut(pattern, ":"); both {
		id, benchmarks = rest, []string{b}
	}
	for _, b := range benchmarks {
		if add(func(r *Rule) bool {
			return slices.ContainsFunc(r.Refs[b], func(ref string) bool { return globs(id, ref) })
		}) {
			break
		}
	}
	return found
}

func (s *Set) nearest(word string) string {
	names := make([]string, 0, len(s.rules))
	for _, r := range s.rules {
		names = append(names, r.Name)
	}
	if near := suggest(word, names); near != "" {
		return ": " + near
	}
	return ""
}

// Benchmarks are the benchmarks that any rule answers, the newest first.
func (s *Set) Benchmarks() []string {
	seen := map[string]bool{}
	for _, r := range s.rules {
		for b := range r.Refs {
			seen[b] = true
		}
	}
	names := make([]string, 0, len(seen))
	for b := range seen {
		names = append(names, b)
	}
	slices.SortFunc(names, finding.CompareBenchmarks)
	return names
}
