package fix

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// containers are the limits that docker update gives a container as it runs, one
// command each. Of two rules that set one option the graver has it, and what the
// other's failure comes to then the next audit says.
func (w *writer) containers() group {
	g := group{heading: "Containers as they run: nothing is restarted"}
	byID := map[string]*update{}
	var order []*update
	for _, f := range bySeverity(w.failures) {
		if f.Fix == nil || len(f.Fix.Update) == 0 {
			continue
		}
		spec := containerOf(w.Facts, f.Subject)
		if spec == nil {
			continue // it is known by its run line alone
		}
		u := byID[spec.ID]
		if u == nil {
			u = &update{spec: spec, values: map[string]string{}}
			byID[spec.ID] = u
			order = append(order, u)
		}
		if u.takes(f.Fix.Update) {
			u.rules = append(u.rules, f.Rule)
			w.mended[f] = true
		}
	}
	slices.SortStableFunc(order, func(a, b *update) int { return strings.Compare(a.spec.Name, b.spec.Name) })
	for _, u := range order {
		g.steps = append(g.steps, u.step(&w.Facts.Host))
	}
	kept := func(u *update) bool {
		return slices.ContainsFunc(u.options, func(o string) bool { return strings.HasPrefix(o, "memory") || o == "cpus" })
	}
	if slices.ContainsFunc(order, kept) {
		g.notes = append(g.notes, "",
			"docker update cannot take a limit of memory or processors away again: undo sets it to all",
			"that the host has.")
	}
	return g
}

func bySeverity(list []*finding.Finding) []*finding.Finding {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *finding.Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), strings.Compare(a.Rule, b.Rule))
	})
	return list
}

var containerID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// containerOf is the container that a finding is about, if an engine has it.
func containerOf(f *facts.Facts, s *finding.Subject) *workload.Spec {
	i := slices.IndexFunc(f.Containers, func(c workload.Spec) bool { return c.ID == s.ID })
	if i < 0 || !containerID.MatchString(s.ID) {
		return nil
	}
	return &f.Containers[i]
}

// update is what docker update is to do to a container.
type update struct {
	spec    *workload.Spec
	options []string // in order
	values  map[string]string
	rules   []string
}

// takes adds options, all or, where one is set otherwise already, none.
func (u *update) takes(options []finding.Setting) bool {
	for _, o := range options {
		if v, set := u.values[o.Name]; set && v != o.Value {
			return false
		}
	}
	for _, o := range options {
		if _, set := u.values[o.Name]; !set {
			u.options = append(u.options, o.Name)
			u.values[o.Name] = o.Value
		}
	}
	return true
}

// step is the command with the one that undoes it, in which each option is what it was.
func (u *update) step(host *facts.Host) step {
	var now, before []string
	for _, o := range u.options {
		now = append(now, "--"+o+"="+u.values[o])
		if was := previous(o, u.spec, host); was != "" {
			before = append(before, "--"+o+"="+was)
		}
	}
	about := fmt.Sprintf("%s: docker update %s (%s)", u.spec.DisplayName(), strings.Join(now, " "), strings.Join(u.rules, ", "))
	return step{about: about, done: "is_updated " + u.spec.ID, do: "update " + u.spec.ID + " " + quote(now...),
		undo: "update " + u.spec.ID + " " + quote(before...)}
}

// previous is the value of an option that a container had, as docker update takes it:
// an engine takes 0 for "as it is", so that no limit is all that the host has.
func previous(option string, spec *workload.Spec, host *facts.Host) string {
	r := &spec.Resources
	bytes := func(n int64) string {
		if n <= 0 {
			n = host.MemoryBytes
		}
		return strconv.FormatInt(n, 10) + "b"
	}
	switch option {
	case "memory":
		return bytes(r.MemoryBytes)
	case "memory-reservation":
		return bytes(cmp.Or(r.MemoryReservationBytes, r.MemoryBytes))
	case "memory-swap":
		if r.MemoryBytes > 0 && r.MemorySwapBytes == -1 {
			return "-1"
		}
		return bytes(cmp.Or(max(r.MemorySwapBytes, 0), 2*r.MemoryBytes))
	case "pids-limit":
		if r.Pids > 0 {
			return strconv.FormatInt(r.Pids, 10)
		}
		return "-1"
	case "cpus":
		if r.CPUQuotaMicroseconds > 0 {
			return strconv.FormatFloat(r.CPUs, 'f', -1, 64)
		}
		return strconv.FormatInt(host.CPUs, 10)
	case "cpu-shares":
		return strconv.FormatInt(cmp.Or(r.CPUShares, 1024), 10) // the kernel's own
	case "restart":
		if spec.Restart.Name == "on-failure" && spec.Restart.MaxRetries > 0 {
			return fmt.Sprintf("on-failure:%d", spec.Restart.MaxRetries)
		}
		return cmp.Or(spec.Restart.Name, "no")
	}
	return ""
}
