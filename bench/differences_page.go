package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// sameVerdict is true when two words of the two programs say the same: neither
// says that something is wrong there, or that it is in order.
func sameVerdict(theirs, ours string) bool {
	switch theirs {
	case "PASS":
		return ours == "pass" || ours == "not_applicable"
	case "WARN":
		return ours == "fail"
	}
	return ours == "manual" || ours == "not_applicable" || ours == "unknown"
}

// differs reports whether the two say different things of a recommendation. Of
// containers each is compared, where both name those that fail.
func differs(id string, theirs, ours verdict) bool {
	if !sameVerdict(theirs.status, ours.status) {
		return true
	}
	return theirs.status == "WARN" && strings.HasPrefix(id, "5.") && len(theirs.on) > 0 && !slices.Equal(names(theirs.on), names(ours.on))
}

// names are the subjects, each once and sorted. docker-bench-security writes what
// it saw of one behind a colon.
func names(on []string) []string {
	list := make([]string, len(on))
	for i, name := range on {
		list[i], _, _ = strings.Cut(name, ":")
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// differencesPage is the page, and what is wrong with its reasons.
func differencesPage(h *differHost, theirs, ours map[string]verdict, reasons map[string]string) (string, []string) {
	var wrong []string
	var b strings.Builder
	used := map[string]bool{}
	same := 0
	fmt.Fprintf(&b, differencesHead, len(h.Containers))
	ids := slices.Collect(maps.Keys(theirs))
	for id := range ours {
		if _, known := theirs[id]; !known {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareIDs)
	b.WriteString("| id | docker-bench-security | plimsoll | why |\n|---|---|---|---|\n")
	for _, id := range ids {
		t, judged := theirs[id]
		o, known := ours[id]
		switch {
		case !judged:
			t.status = "nothing"
		case !known && !isBenchmarks(id):
			continue
		case !known:
			wrong = append(wrong, id+": plimsoll says nothing")
			continue
		case !differs(id, t, o):
			same++
			continue
		}
		why := reasons[id]
		used[id] = true
		if why == "" {
			wrong = append(wrong, fmt.Sprintf("%s: no reason is given: %s %v, %s %v", id, t.status, names(t.on), o.status, names(o.on)))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", id, said(id, t, o), said(id, o, t), strings.Join(strings.Fields(why), " "))
	}
	for id := range reasons {
		if !used[id] {
			wrong = append(wrong, id+": a reason for what does not differ")
		}
	}
	slices.Sort(wrong)
	fmt.Fprintf(&b, "\n%d recommendations get one verdict from both.\n", same)
	return b.String(), wrong
}

// isBenchmarks is false for what docker-bench-security judges beside the benchmark.
func isBenchmarks(id string) bool { return id[0] >= '1' && id[0] <= '7' && !strings.Contains(id, "_") }

// said is what one of them says, and of containers that fail those that only it names.
func said(id string, own, other verdict) string {
	if !strings.HasPrefix(id, "5.") || len(own.on) == 0 || own.status != "WARN" && own.status != "fail" {
		return own.status
	}
	only := slices.DeleteFunc(names(own.on), func(name string) bool { return slices.Contains(names(other.on), name) })
	switch {
	case len(only) == len(names(own.on)):
		return own.status + ": " + strings.Join(only, ", ")
	case len(only) == 0:
		return own.status
	}
	return own.status + ", also " + strings.Join(only, ", ")
}

// compareIDs orders 5.9 before 5.10.
func compareIDs(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		n, err1 := strconv.Atoi(x[i])
		m, err2 := strconv.Atoi(y[i])
		if err1 != nil || err2 != nil {
			return strings.Compare(a, b)
		}
		if n != m {
			return n - m
		}
	}
	return len(x) - len(y)
}

const differencesHead = `# Beside docker-bench-security

` + "`make differences DOCKER_BENCH=DIR`" + ` writes this page. It puts %d containers in
various states on an engine of its own (bench/differences/host.yaml), has
docker-bench-security and plimsoll judge that host by the CIS Docker Benchmark 1.6,
and lists every recommendation of which the two say different things, with the
reason. The reasons were written by hand (bench/differences/reasons.yaml); one that
is missing, or that fits nothing any more, makes the command fail.

PASS and WARN are docker-bench-security's words for what is in order and what is not,
INFO and NOTE for what it leaves to a person. Where both name containers that fail,
those are compared one by one, and only those are listed here that the other does
not name.

`
