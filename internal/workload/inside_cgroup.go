package workload

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
)

// parseCgroup reads /proc/PID/cgroup (cgroups(7)): the path by controller, and
// by "" for version 2. Named hierarchies are left out.
func parseCgroup(data []byte) (map[string]string, error) {
	paths := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if line == "" {
			continue
		}
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			return nil, fmt.Errorf("line %d: hierarchy:controllers:/path was expected, not %q", i+1, printable(line))
		}
		for _, c := range strings.Split(f[1], ",") {
			if !strings.Contains(c, "=") || c == "name=systemd" {
				paths[c] = f[2]
			}
		}
	}
	return paths, nil
}

// controller is the key of parseCgroup's map that a cgroup mount belongs to.
func (m *mountEntry) controller() string {
	for o := range m.super.each() {
		if slices.Contains([]string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls",
			"net_prio", "perf_event", "hugetlb", "rdma", "misc", "name=systemd"}, o) {
			return o
		}
	}
	return ""
}

// containerCgroup cuts a process's path at the container's own cgroup: behind
// the last id in it, or the root of a namespace. Any other path is a cgroup
// within the container or has nothing to do with one; known is then false.
func containerCgroup(p string) (own, id string, known bool) {
	if p == "/" {
		return "/", "", true
	}
	elements := strings.Split(p, "/")
	for i := len(elements) - 1; i > 0; i-- {
		if id := containerID(elements[i]); id != "" {
			return strings.Join(elements[:i+1], "/"), id, true
		}
	}
	return "", "", false
}

// ownCgroup is the container's cgroup by the hierarchy that every engine uses:
// memory on version 1, else version 2.
func (v *insider) ownCgroup() (own, id string, known bool) {
	for _, c := range []string{"memory", ""} {
		if p, listed := v.cgroups[c]; listed {
			return containerCgroup(p)
		}
	}
	return "", "", false
}

// limits reads the files of one controller in the container's own cgroup.
type limits struct {
	files insideFiles
	dir   string // below the root, "" where the cgroup is not to be seen
	v2    bool
}

// controller finds the container's cgroup of one controller among the mounts.
// The kernel's very first cgroup has no limits and is no container's.
func (v *insider) controller(name string) limits {
	p, v1 := v.cgroups[name]
	if !v1 {
		p = v.cgroups[""]
	}
	own, _, known := containerCgroup(p)
	if initial, seen := v.initial("cgroup"); !known || own == "/" && (!seen || initial) {
		return limits{}
	}
	for i := range v.mounts {
		m := &v.mounts[i]
		fits := m.fstype == "cgroup2"
		if v1 {
			fits = m.fstype == "cgroup" && m.super.has(name)
		}
		if fits && within(own, m.root) && v.mountAt(m.target) == m {
			dir := path.Join(m.target, strings.TrimPrefix(own, strings.TrimSuffix(m.root, "/")))
			return limits{files: v.files, dir: strings.TrimPrefix(dir, "/"), v2: !v1}
		}
	}
	return limits{}
}

// value is a file's first line; seen is false where it cannot be read.
func (l limits) value(name string) (line string, seen bool) {
	if l.dir == "" {
		return "", false
	}
	data, err := l.files.read(l.dir+"/"+name, smallLimit)
	if err != nil {
		return "", false
	}
	line, _, _ = strings.Cut(string(data), "\n")
	return line, true
}

// number is a file's limit; no limit ("max", -1, and the largest number of
// pages that version 1 prints) is 0.
func (l limits) number(name string) (int64, bool) {
	line, seen := l.value(name)
	if !seen {
		return 0, false
	}
	return limitNumber(line)
}

func limitNumber(s string) (int64, bool) {
	if s == "max" || s == "-1" {
		return 0, true
	}
	n, ok := decimal(s)
	if n >= math.MaxInt64&^0xFFFF { // PAGE_COUNTER_MAX pages of at most 64 KiB
		return 0, ok
	}
	return n, ok
}

// resourceFields reads the limits of the container's cgroup. Names of files
// are those of Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
func (v *insider) resourceFields() {
	v.memoryFields()
	v.cpuFields()
	v.rateFields()
	r := &v.spec.Resources
	pids, seen := v.controller("pids").number("pids.max")
	v.resource(&r.Pids, "pids", pids, seen)

	adj, seen := signed(v.files.line("proc/" + v.first.dir + "/oom_score_adj"))
	v.resource(&r.OOMScoreAdj, "oom_score_adj", adj, seen && v.firstSeen)

	shm, seen := int64(0), false
	if m := v.mountAt("/dev/shm"); m != nil && m.fstype == "tmpfs" && m.source == "shm" {
		shm, seen = size(m.superValue("size"))
	}
	v.resource(&r.ShmBytes, "shm_bytes", shm, seen)
}

// resource sets one limit or hides it.
func (v *insider) resource(field *int64, path string, value int64, seen bool) {
	if !seen {
		v.spec.hide(reasonInside, "resources."+path)
		return
	}
	*field = value
}

func (v *insider) memoryFields() {
	s, r, l := v.spec, &v.spec.Resources, v.controller("memory")
	hard, soft := "memory.limit_in_bytes", "memory.soft_limit_in_bytes"
	if l.v2 {
		hard, soft = "memory.max", "memory.low"
	}
	limit, limitSeen := l.number(hard)
	v.resource(&r.MemoryBytes, "memory_bytes", limit, limitSeen)
	reservation, seen := l.number(soft)
	v.resource(&r.MemoryReservationBytes, "memory_reservation_bytes", reservation, seen)

	// Version 2 counts swap alone, the engine memory and swap together.
	name := "memory.memsw.limit_in_bytes"
	if l.v2 {
		name = "memory.swap.max"
	}
	swap, seen := l.number(name)
	line, _ := l.value(name)
	switch {
	case limit == 0:
		swap = 0
	case line == "max" || !l.v2 && swap == 0:
		swap = -1
	case l.v2:
		swap += limit
	}
	v.resource(&r.MemorySwapBytes, "memory_swap_bytes", swap, seen && limitSeen)

	kernel, seen := l.number("memory.kmem.limit_in_bytes")
	v.resource(&r.KernelMemoryBytes, "kernel_memory_bytes", kernel, seen)
	tcp, seen := l.number("memory.kmem.tcp.limit_in_bytes")
	v.resource(&r.KernelMemoryTCPBytes, "kernel_memory_tcp_bytes", tcp, seen)

	// "oom_kill_disable 0" is the first line of version 1's file.
	control, _ := l.value("memory.oom_control")
	word, seen := strings.CutPrefix(control, "oom_kill_disable ")
	if r.OOMKillDisable = word == "1"; !seen {
		s.hide(reasonInside, "resources.oom_kill_disable")
	}
}

func (v *insider) cpuFields() {
	s, r, l := v.spec, &v.spec.Resources, v.controller("cpu")
	quota, seen := l.number("cpu.cfs_quota_us")
	period, seen2 := l.number("cpu.cfs_period_us")
	shares, sharesSeen := l.number("cpu.shares")
	if shares == 1024 {
		shares = 0
	}
	if l.v2 {
		line, there := l.value("cpu.max")
		quota, period, seen = cpuMax(line)
		seen, seen2 = seen && there, true
		// Runtimes turn shares into weights by different formulas, of which
		// only "nothing was asked" can be turned back.
		weight, there := l.number("cpu.weight")
		shares, sharesSeen = 0, there && weight == 100
	}
	if !seen || !seen2 {
		s.hide(reasonInside, "resources.cpus", "resources.cpu_quota_microseconds", "resources.cpu_period_microseconds")
	} else {
		r.CPUQuotaMicroseconds, r.CPUPeriodMicroseconds = quota, period
		if quota > 0 && period > 0 {
			r.CPUs = math.Round(float64(quota)/float64(period)*1e5) / 1e5
		} else if period == 100_000 { // the kernel's own
			r.CPUPeriodMicroseconds = 0
		}
	}
	if r.CPUShares = shares; !sharesSeen {
		r.CPUShares = 0
		s.hide(reasonInside, "resources.cpu_shares")
	}
	// On version 1 a cgroup starts with a copy of its parent's set, so that the
	// whole machine's says nothing; version 2 leaves the file empty.
	set := v.controller("cpuset")
	known := func(field *string, path, file, all string) {
		line, seen := set.value(file)
		if *field = line; !seen || !set.v2 && (line == all || all == "") {
			*field = ""
			s.hide(reasonInside, "resources."+path)
		}
	}
	known(&r.CpusetCPUs, "cpuset_cpus", "cpuset.cpus", v.files.line("sys/devices/system/cpu/online"))
	known(&r.CpusetMems, "cpuset_mems", "cpuset.mems", v.files.line("sys/devices/system/node/online"))
}

// cpuMax reads "quota period" of version 2, where the quota may be "max".
func cpuMax(line string) (quota, period int64, ok bool) {
	f := strings.Fields(line)
	if len(f) != 2 {
		return 0, 0, false
	}
	quota, ok = limitNumber(f[0])
	period, fine := limitNumber(f[1])
	return quota, period, ok && fine
}

// rateFields reads what is allowed of each block device. The kernel knows
// devices by number; by which of its names one was asked for is unseen.
func (v *insider) rateFields() {
	s, r, l := v.spec, &v.spec.Resources, v.controller("blkio")
	if l.dir == "" {
		l = v.controller("io")
	}
	for _, k := range []struct {
		rates     *[]DeviceRate
		path      string
		file, key string
	}{
		{&r.ReadBps, "read_bps", "blkio.throttle.read_bps_device", "rbps"},
		{&r.WriteBps, "write_bps", "blkio.throttle.write_bps_device", "wbps"},
		{&r.ReadIops, "read_iops", "blkio.throttle.read_iops_device", "riops"},
		{&r.WriteIops, "write_iops", "blkio.throttle.write_iops_device", "wiops"},
	} {
		name := k.file
		if l.v2 {
			name = "io.max"
		}
		var rates []DeviceRate
		ok := false
		if l.dir != "" {
			if data, err := l.files.read(l.dir+"/"+name, smallLimit); err == nil {
				rates, ok = parseRates(data, k.key, l.v2)
			}
		}
		if !ok {
			s.hide(reasonInside, "resources."+k.path)
			continue
		}
		*k.rates = append(*k.rates, rates...)
		if len(rates) > 0 {
			s.hide(reasonInside, "resources."+k.path+"[*].path")
		}
	}
}

// parseRates reads "major:minor rate" of version 1, or of version 2 the key of
// "major:minor key=rate key=max …".
func parseRates(data []byte, key string, v2 bool) ([]DeviceRate, bool) {
	var rates []DeviceRate
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 2 {
			return nil, false
		}
		rate := f[1]
		if v2 {
			rate = "max"
			for _, pair := range f[1:] {
				if value, found := strings.CutPrefix(pair, key+"="); found {
					rate = value
				}
			}
		}
		n, ok := limitNumber(rate)
		if !ok {
			return nil, false
		}
		if n > 0 {
			rates = append(rates, DeviceRate{Value: n})
		}
	}
	return rates, true
}

// signed reads a number that may be negative.
func signed(s string) (int64, bool) {
	n, ok := decimal(strings.TrimPrefix(s, "-"))
	if strings.HasPrefix(s, "-") {
		n = -n
	}
	return n, ok
}

// size reads tmpfs's size option as the kernel prints it, in KiB.
func size(s string) (int64, bool) {
	n, ok := decimal(strings.TrimSuffix(s, "k"))
	if !ok || !strings.HasSuffix(s, "k") || n > math.MaxInt64>>10 {
		return 0, false
	}
	return n << 10, true
}
