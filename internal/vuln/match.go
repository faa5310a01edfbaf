package vuln

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/google/osv-scalibr/semantic"
)

// Query asks about one package.
type Query struct {
	// Ecosystem is OSV's, with the release where the family has releases: Debian:12,
	// Alpine:v3.19, Ubuntu:22.04:LTS, Go, npm.
	Ecosystem string
	// Name is what the records call it: for Debian, Ubuntu and Alpine the source package.
	Name string
	// Version is that package's: for Debian and Ubuntu of the source, with its epoch.
	Version string
}

// Answer is what is known of a package. Matches are flaws, whatever else stands there; that
// there are no others is only said where NotEvaluated is "" and Undecided empty.
type Answer struct {
	// Matches are the flaws, gravest first, one for each CVE.
	Matches []Match
	// Undecided are ids of advisories about the package some of whose ranges cannot be read
	// or compared with its version.
	Undecided []string
	// NotEvaluated is why the data could not tell, a phrase; "" where it could.
	NotEvaluated string
}

// Match is a flaw of the version that was asked about.
type Match struct {
	// ID is the CVE; where there is none the GHSA, then that of Go, PyPI or Rust.
	ID string
	// IDs are all ids of it, sorted, with those of advisories that speak of other flaws too;
	// of CVEs only its own.
	IDs []string
	// Fixed is the version that ends the interval that the version is in, "" for none.
	Fixed string
	// Urgency is Debian's word, "" for none.
	Urgency  string
	Severity Severity

	advisory uint32
	family   string
}

// Set is the compiled files of a folder, each opened when it is first needed. Several
// goroutines may ask it at once.
type Set struct {
	folder Folder
	mu     sync.Mutex
	open   map[string]*DB
	others *weights // nil until it is asked for
}

// Match answers a question. The error is about a file that cannot be read; that there is
// none is an answer.
func (s *Set) Match(q Query) (Answer, error) {
	family := Family(q.Ecosystem)
	d, err := s.db(family)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Answer{NotEvaluated: fmt.Sprintf("there is no database of %s", family)}, nil
	case err != nil:
		return Answer{}, err
	}
	return d.Match(q)
}

// Details reads what the advisory of a match says; of several the one whose id is shown.
func (s *Set) Details(m Match) (*Details, error) {
	d, err := s.db(m.family)
	if err != nil {
		return nil, err
	}
	return d.details(m.advisory)
}

// Close closes the files.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, d := range s.open {
		err = errors.Join(err, d.Close())
	}
	clear(s.open)
	return err
}

func (s *Set) db(family string) (*DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.open[family]; d != nil {
		return d, nil
	}
	path, err := s.folder.path(family)
	if err != nil {
		return nil, fs.ErrNotExist // it cannot have been imported either
	}
	d, err := Open(path)
	if err != nil {
		return nil, err
	}
	if have := d.family(); have != family {
		return nil, errors.Join(fmt.Errorf("%s: it is of %.80q", path, have), d.Close())
	}
	s.open[family] = d
	return d, nil
}

// hit is an advisory that the version is affected by.
type hit struct {
	names
	advisory uint32
	fixed    string
	urgency  string
	severity Severity
}

// Match answers a question about a package of the file's family.
func (d *DB) Match(q Query) (Answer, error) {
	family := Family(q.Ecosystem)
	var a Answer
	at, unordered := ordered(family, normalVersion(family, q.Version))
	if q.Name == "" {
		a.NotEvaluated = "it has no name"
		return a, nil
	}
	asked := []string{q.Ecosystem}
	if slices.Contains(released, family) {
		if q.Ecosystem == family {
			a.NotEvaluated = fmt.Sprintf("it is not known of which release of %s it is", family)
			return a, nil
		}
		asked = append(asked, family) // a record without a release is about all
	}
	known, err := d.knows(q.Ecosystem)
	if err != nil {
		return a, err
	}
	if !known {
		a.NotEvaluated = fmt.Sprintf("the database has nothing about %s", q.Ecosystem)
	}
	hits := map[uint32]*hit{}
	undecided := map[uint32]bool{}
	for _, e := range asked {
		rows, err := d.rows(e, normalName(family, q.Name))
		if err != nil {
			return a, err
		}
		if unordered != nil {
			if len(rows) > 0 { // there are flaws in some version
				a.NotEvaluated = unordered.Error()
			}
			continue
		}
		for _, r := range rows {
			is, fix, unread, err := d.affects(r, at, normalVersion(family, q.Version))
			if err != nil {
				return a, err
			}
			if !is {
				undecided[r.advisory] = undecided[r.advisory] || unread
				continue
			}
			if err := d.hit(hits, r, fix); err != nil {
				return a, err
			}
		}
	}
	for n, is := range undecided {
		if is && hits[n] == nil {
			names, err := d.names(n)
			if err != nil {
				return a, err
			}
			a.Undecided = append(a.Undecided, names.id)
		}
	}
	slices.Sort(a.Undecided)
	list := make([]*hit, 0, len(hits))
	for _, h := range hits {
		list = append(list, h)
	}
	slices.SortFunc(list, func(x, y *hit) int { return cmp.Compare(x.advisory, y.advisory) })
	a.Matches = fold(family, list)
	return a, nil
}

// hit takes a row that affects the version.
func (d *DB) hit(hits map[uint32]*hit, r row, fix string) error {
	severity := d.data(r.severity)
	s := severity.severity()
	urgency, err := d.word(r.urgency)
	if err = errors.Join(severity.err, err); err != nil {
		return err
	}
	h := hits[r.advisory]
	if h == nil {
		h = &hit{advisory: r.advisory, severity: Severity{Tenths: -1}}
		if h.names, err = d.names(r.advisory); err != nil {
			return err
		}
		hits[r.advisory] = h
	}
	h.fixed = later(h.fixed, fix, d.family())
	h.urgency = cmp.Or(h.urgency, urgency)
	h.severity = graver(h.severity, s)
	return nil
}

// affects says whether a row affects a version, and what of it could not be read.
func (d *DB) affects(r row, at semantic.Version, version string) (is bool, fix string, unread bool, err error) {
	b := d.data(r.ranges)
	unread = b.number() > 0
	family := d.family()
	var ends, next string
	for range b.count() {
		events := make([]event, 0, 4)
		for range b.count() {
			k := b.number()
			if k > uint64(lastAffected) {
				return false, "", false, d.damaged("index (data)")
			}
			events = append(events, event{kind: eventKind(k), version: b.word()})
			if b.err != nil {
				return false, "", false, b.err
			}
		}
		if b.err != nil {
			return false, "", false, b.err
		}
		in, end, err := within(at, events)
		if err != nil {
			unread = true
			continue
		}
		if in {
			is, ends = true, later(ends, end, family)
		}
		if end != "" && (next == "" || later(next, end, family) == next) {
			next = end
		}
	}
	for _, v := range b.words() {
		if !is {
			c, err := at.CompareStr(v)
			is = v == version || err == nil && c == 0
		}
	}
	return is, cmp.Or(ends, next), unread, b.err
}

// Later gives the later of two versions of an ecosystem; "" is before all, and so
// is one that cannot be read.
func Later(ecosystem, x, y string) string { return later(x, y, Family(ecosystem)) }

// Compare orders two versions of an ecosystem, as both are written down where they are
// installed: below 0 where x is earlier than y, above 0 where it is later. Known is false
// where they have no order: the ecosystem's is not known, or one of them is no version of it.
func Compare(ecosystem, x, y string) (order int, known bool) {
	family := Family(ecosystem)
	v, err := ordered(family, normalVersion(family, x))
	if err != nil {
		return 0, false
	}
	w, err := ordered(family, normalVersion(family, y))
	if err != nil {
		return 0, false
	}
	order, err = v.Compare(w)
	return order, err == nil
}

// later gives the later of two versions; "" is before all. Both were compared before.
func later(x, y, family string) string {
	if x == "" || y == "" {
		return x + y
	}
	v, err := ordered(family, x)
	if err != nil {
		return y
	}
	if c, err := v.CompareStr(y); err == nil && c < 0 {
		return y
	}
	return x
}

// graver gives the graver of two severities: what Debian calls no issue is known, and less
// than any other. At one level that with a vector tells more.
func graver(x, y Severity) Severity {
	if y.Level > x.Level || y.Level == x.Level && y.Tenths > x.Tenths {
		return y
	}
	return x
}

func isCVE(id string) bool { return strings.HasPrefix(id, "CVE-") }

// own are the names of an advisory itself.
func (h *hit) own() []string { return append([]string{h.id}, h.aliases...) }

// cves are the CVEs that an advisory speaks of: its own, else those it was made of.
func (h *hit) cves() []string {
	for _, list := range [][]string{h.own(), h.upstream} {
		var cves []string
		for _, id := range list {
			if isCVE(id) && !slices.Contains(cves, id) {
				cves = append(cves, id)
			}
		}
		if len(cves) > 0 {
			return cves
		}
	}
	return nil
}

// fold makes one match of all hits about one CVE, and of those about none that have a name
// in common. An advisory about several CVEs is in the match of each: two CVEs are never
// one, whatever names link them.
func fold(family string, hits []*hit) []Match {
	groups := map[string][]*hit{} // by CVE, or by the first name
	linked := map[string][]string{}
	var rest []*hit
	for _, h := range hits {
		cves := h.cves()
		if cves == nil {
			rest = append(rest, h)
		}
		for _, c := range cves {
			groups[c] = append(groups[c], h)
			for _, name := range h.own() {
				linked[name] = append(linked[name], c)
			}
		}
	}
	for _, part := range parts(rest) {
		var cves []string
		for _, h := range part {
			for _, name := range h.own() {
				cves = append(cves, linked[name]...)
			}
		}
		if cves == nil {
			cves = []string{part[0].id}
		}
		for _, c := range unique(cves) {
			groups[c] = append(groups[c], part...)
		}
	}
	matches := make([]Match, 0, len(groups))
	for id, group := range groups {
		matches = append(matches, matchOf(family, id, group))
	}
	slices.SortFunc(matches, func(x, y Match) int {
		return cmp.Or(cmp.Compare(y.Severity.Level, x.Severity.Level), cmp.Compare(y.Severity.Tenths, x.Severity.Tenths), cmp.Compare(x.ID, y.ID))
	})
	return matches
}

// parts splits hits into those that are linked by a name.
func parts(hits []*hit) [][]*hit {
	up := make([]int, len(hits))
	root := func(i int) int {
		for up[i] != i {
			up[i] = up[up[i]]
			i = up[i]
		}
		return i
	}
	first := map[string]int{}
	for i, h := range hits {
		up[i] = i
		for _, name := range h.own() {
			if j, seen := first[name]; seen {
				x, y := root(i), root(j)
				up[max(x, y)] = min(x, y)
			} else {
				first[name] = i
			}
		}
	}
	at := map[int]int{}
	var list [][]*hit
	for i, h := range hits {
		r := root(i)
		n, seen := at[r]
		if !seen {
			n = len(list)
			at[r] = n
			list = append(list, nil)
		}
		list[n] = append(list[n], h)
	}
	return list
}

// matchOf makes the match of a group.
func matchOf(family, id string, group []*hit) Match {
	m := Match{family: family, advisory: group[0].advisory, Severity: Severity{Tenths: -1}}
	ids := []string{id}
	for _, h := range group {
		for _, name := range h.own() {
			if !isCVE(name) || name == id {
				ids = append(ids, name)
			}
		}
		m.Fixed = later(m.Fixed, h.fixed, family)
		m.Urgency = cmp.Or(m.Urgency, h.urgency)
		m.Severity = graver(m.Severity, h.severity)
	}
	m.IDs = unique(ids)
	m.ID = slices.MinFunc(m.IDs, func(x, y string) int { return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x, y)) })
	for _, h := range group {
		if h.id == m.ID {
			m.advisory = h.advisory
		}
	}
	return m
}

// rank is the order in which of several ids one is shown.
func rank(id string) int {
	for i, prefix := range []string{"CVE-", "GHSA-", "GO-", "PYSEC-", "RUSTSEC-"} {
		if strings.HasPrefix(id, prefix) {
			return min(i, 2)
		}
	}
	return 3
}
