package reach

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// sharing is what the containers of one engine have in common. Containers go
// by their position in facts.
type sharing struct {
	facts *facts.Facts
	power power
	// names has each name and id.
	names map[string]int
	ids   []string // sorted, for ids that are given in part

	pid, network, ipc groups
	volumes           map[string][]int // who keeps data in a volume
	folders           folders

	// marks[i] is the round in which container i was last met.
	marks []int
	round int
}

func newMap(f *facts.Facts) *sharing {
	m := &sharing{facts: f, power: ofRoot, names: map[string]int{}, volumes: map[string][]int{}, marks: make([]int, len(f.Containers)),
		folders: folders{owners: map[string][]int{}, below: map[string][]int{}}}
	switch {
	case !seen(f.Unseen, "daemon.rootless"):
		m.power = ofUnknown
	case f.Daemon.Rootless:
		m.power = ofUser
	}
	for i := range f.Containers {
		m.names[f.Containers[i].Name] = i
	}
	for i := range f.Containers { // an id counts before a name, as the engine has it
		m.names[f.Containers[i].ID] = i
		m.ids = append(m.ids, f.Containers[i].ID)
	}
	delete(m.names, "")
	slices.Sort(m.ids)
	m.pid = m.group(func(n workload.Namespaces) string { return n.PID })
	m.network = m.group(func(n workload.Namespaces) string { return n.Network })
	m.ipc = m.group(func(n workload.Namespaces) string { return n.IPC })
	m.data()
	return m
}

// find is the container that a name, an id or the beginning of one stands for.
func (m *sharing) find(ref string) (int, bool) {
	if i, found := m.names[ref]; found {
		return i, true
	}
	at, _ := slices.BinarySearch(m.ids, ref)
	if ref == "" || at == len(m.ids) || !strings.HasPrefix(m.ids[at], ref) || at+1 < len(m.ids) && strings.HasPrefix(m.ids[at+1], ref) {
		return 0, false
	}
	return m.names[m.ids[at]], true
}

// groups are the containers that share one kind of namespace.
type groups struct {
	modes   []string // by container: the mode in effect, joins followed
	first   []int    // by container: the one whose namespace it is
	members map[int][]int
}

func (g groups) mode(i int) string { return g.modes[i] }

// maxJoins bounds how many joins are followed one after the other, for facts
// from elsewhere may join in a circle.
const maxJoins = 16

// group follows joins ("container:NAME"). A join to a container that is not
// there, or in a circle, leads nowhere.
func (m *sharing) group(mode func(workload.Namespaces) string) groups {
	n := len(m.facts.Containers)
	g := groups{modes: make([]string, n), first: make([]int, n), members: map[int][]int{}}
	for i := range n {
		at, word := i, mode(m.facts.Containers[i].Namespaces)
		for joins := 0; ; joins++ {
			ref, joined := strings.CutPrefix(word, "container:")
			next, found := m.find(ref)
			if joins == maxJoins {
				at = i
			}
			if !joined || !found || joins == maxJoins {
				break
			}
			at, word = next, mode(m.facts.Containers[next].Namespaces)
		}
		g.modes[i], g.first[i] = word, at
		g.members[at] = append(g.members[at], i)
	}
	return g
}

// folders are the host's plain folders that containers mount.
type folders struct {
	owners map[string][]int // who writes to exactly this folder
	below  map[string][]int // who writes to a mounted folder or to one below it
}

// data fills volumes and folders with the containers that keep data there:
// those that mount it themselves and can write.
func (m *sharing) data() {
	bound := map[string]bool{}
	m.eachMount(func(i int, c container, n int) {
		for _, p := range folderPaths(&c.Mounts[n]) {
			bound[p] = true
		}
	})
	m.eachMount(func(i int, c container, n int) {
		mount := &c.Mounts[n]
		if mount.From != "" || !c.writable(n) {
			return
		}
		if mount.Type == "volume" && mount.Source != "" {
			m.volumes[mount.Source] = appendOnce(m.volumes[mount.Source], i)
		}
		for _, p := range folderPaths(mount) {
			m.folders.owners[p] = appendOnce(m.folders.owners[p], i)
			for _, at := range append(above(p), p) {
				if bound[at] {
					m.folders.below[at] = appendOnce(m.folders.below[at], i)
				}
			}
		}
	})
}

func (m *sharing) eachMount(do func(i int, c container, n int)) {
	for i := range m.facts.Containers {
		c := container{Spec: &m.facts.Containers[i]}
		for n := range c.Mounts {
			do(i, c, n)
		}
	}
}

// appendOnce appends i, which is never smaller than what is there.
func appendOnce(list []int, i int) []int {
	if len(list) > 0 && list[len(list)-1] == i {
		return list
	}
	return append(list, i)
}

// folderPaths are the host's folders that a mount shows and that are no place
// of the system's: somebody's data, where two containers can meet. What lies in
// /etc and /usr and shows no place is the time zone and the like.
func folderPaths(m *workload.Mount) []string {
	if len(m.Exposes)+len(m.ResolvedExposes) > 0 {
		return nil
	}
	paths := m.HostPaths
	if len(m.Resolved) == len(m.HostPaths) {
		paths = m.Resolved
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return !path.IsAbs(p) || slices.ContainsFunc([]string{"/etc", "/usr", "/run", "/var/run", "/dev"}, func(dir string) bool {
			return strings.HasPrefix(p, dir+"/")
		})
	})
}

// above are the folders that an absolute path lies in, / last.
func above(p string) []string {
	var found []string
	for p != "/" {
		p = path.Dir(p)
		found = append(found, p)
	}
	return found
}

// others are the parts about what a container reaches of other containers.
func (m *sharing) others(i int) []string {
	s := &m.facts.Containers[i]
	var parts []string
	// Every list below leaves out whom an earlier one has named.
	m.round++
	m.marks[i] = m.round
	add := func(what, why string, lists ...[]int) {
		if names, total := m.meet(lists); total > 0 {
			parts = append(parts, fmt.Sprintf("the %s of %s (%s)", what, and(names, total), why))
		}
	}
	var from []int
	for _, j := range s.VolumesFrom {
		if k, found := m.find(j.Container); found {
			from = append(from, k)
		}
	}
	add("data", "volumes-from", from)
	var volumes, folders [][]int
	for n := range s.Mounts {
		mount := &s.Mounts[n]
		if mount.Type == "volume" {
			volumes = append(volumes, m.volumes[mount.Source])
		}
		for _, p := range folderPaths(mount) {
			folders = append(folders, m.folders.below[p])
			for _, at := range above(p) {
				folders = append(folders, m.folders.owners[at])
			}
		}
	}
	add("data", "shared volume", volumes...)
	add("data", "shared directory", folders...)
	for _, kind := range []struct {
		what   string
		groups groups
	}{{"network", m.network}, {"processes", m.pid}, {"shared memory", m.ipc}} {
		// What is the host's is said of the host.
		if kind.groups.mode(i) == "host" {
			continue
		}
		m.round++
		m.marks[i] = m.round
		add(kind.what, "joined namespace", kind.groups.members[kind.groups.first[i]])
	}
	return parts
}

// meet counts the containers in the lists that this round has not met, and
// gives the first names of them. It marks them; so ten thousand containers that
// share one folder cost ten thousand marks each and no memory.
func (m *sharing) meet(lists [][]int) (names []string, total int) {
	var first []int
	for _, list := range lists {
		for _, i := range list {
			if m.marks[i] == m.round {
				continue
			}
			m.marks[i] = m.round
			total++
			if len(first) == listed && m.name(i) >= m.name(first[listed-1]) {
				continue
			}
			at, _ := slices.BinarySearchFunc(first, i, func(a, b int) int { return strings.Compare(m.name(a), m.name(b)) })
			first = slices.Insert(first, at, i)
			first = first[:min(len(first), listed)]
		}
	}
	for _, i := range first {
		names = append(names, m.name(i))
	}
	return names, total
}

func (m *sharing) name(i int) string { return m.facts.Containers[i].DisplayName() }
