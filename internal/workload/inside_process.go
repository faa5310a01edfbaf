package workload

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// processLimit is how many entries of /proc are looked at: twice what
// kernel.pid_max allows by default.
const processLimit = 1 << 16

// procStatus is what is read from /proc/PID/status (proc_pid_status(5)).
// -1 stands for what this kernel does not say.
type procStatus struct {
	name               string
	ppid               int64
	uid, gid           int64 // effective, as the reader's user namespace counts
	groups             []int64
	bounding           uint64
	effective          uint64
	capabilitiesSeen   bool
	seccomp, noNewPriv int64
}

// insideProcess is a process as it is seen from inside.
type insideProcess struct {
	dir    string // its name in /proc
	pid    int64
	start  int64 // ticks since boot
	mount  int64 // the number of its first mount: the same number is the same mount namespace
	status procStatus
}

// parseStatus reads the lines it knows; of a line given twice the first
// counts. The kernel escapes newlines in Name.
func parseStatus(data []byte) (procStatus, error) {
	p := procStatus{ppid: -1, uid: -1, gid: -1, seccomp: -1, noNewPriv: -1}
	lines := map[string][]string{}
	for _, line := range strings.Split(string(data), "\n") {
		key, value, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		if _, again := lines[key]; again {
			continue
		}
		lines[key] = strings.Fields(value)
		if key == "Name" {
			p.name = printable(strings.TrimPrefix(value, "\t"))
		}
	}
	number := func(key string, field int, into *int64) error {
		f := lines[key]
		if len(f) <= field {
			return nil
		}
		n, ok := decimal(f[field])
		if !ok {
			return fmt.Errorf("%q is not a number in %s", f[field], key)
		}
		*into = n
		return nil
	}
	for _, err := range []error{number("PPid", 0, &p.ppid), number("Uid", 1, &p.uid), number("Gid", 1, &p.gid),
		number("Seccomp", 0, &p.seccomp), number("NoNewPrivs", 0, &p.noNewPriv)} {
		if err != nil {
			return procStatus{}, err
		}
	}
	for _, g := range lines["Groups"] {
		n, ok := decimal(g)
		if !ok {
			return procStatus{}, fmt.Errorf("%q is not a number in Groups", g)
		}
		p.groups = append(p.groups, n)
	}
	bounding, effective := lines["CapBnd"], lines["CapEff"]
	if p.capabilitiesSeen = len(bounding) == 1 && len(effective) == 1; p.capabilitiesSeen {
		var err, err2 error
		p.bounding, err = strconv.ParseUint(bounding[0], 16, 64)
		if p.effective, err2 = strconv.ParseUint(effective[0], 16, 64); err != nil || err2 != nil {
			return procStatus{}, fmt.Errorf("%q and %q are not sets in hexadecimal in CapBnd and CapEff", bounding[0], effective[0])
		}
	}
	if p.uid < 0 || p.gid < 0 {
		return procStatus{}, fmt.Errorf("no Uid or no Gid")
	}
	return p, nil
}

func (v *insider) readStatus(dir string) (procStatus, error) {
	raw, err := v.files.read("proc/"+dir+"/status", smallLimit)
	if err != nil {
		return procStatus{}, err
	}
	p, err := parseStatus(raw)
	if err != nil {
		return procStatus{}, fmt.Errorf("reading /proc/%s/status: %w", dir, err)
	}
	return p, nil
}

// process reads what tells a process's place; dir is a number or "self".
func (v *insider) process(dir string) (insideProcess, error) {
	p := insideProcess{dir: dir}
	table, err := v.firstMount(dir)
	if err != nil {
		return p, err
	}
	p.mount = table
	raw, err := v.files.read("proc/"+dir+"/stat", smallLimit)
	if err != nil {
		return p, err
	}
	if p.pid, p.start, err = parseStat(raw); err != nil {
		return p, fmt.Errorf("reading /proc/%s/stat: %w", dir, err)
	}
	p.status, err = v.readStatus(dir)
	return p, err
}

// firstMount is the number of the first line of a process's mount table. The
// kernel gives every mount its own number, in every namespace.
func (v *insider) firstMount(dir string) (int64, error) {
	name := "proc/" + dir + "/mountinfo"
	start, err := v.files.head(name, 64)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(start), " ")
	n, ok := decimal(first)
	if !ok {
		return 0, fmt.Errorf("reading /%s: it begins with %q, not with a mount's number", name, printable(first))
	}
	return n, nil
}

// head reads the beginning of a file of any length.
func (f insideFiles) head(name string, size int) ([]byte, error) {
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, cause(err))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(size)))
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, cause(err))
	}
	return data, nil
}

// parseStat reads the number and the start time from /proc/PID/stat; the name
// between them may hold anything, also parentheses.
func parseStat(data []byte) (pid, start int64, err error) {
	line := string(data)
	first, _, _ := strings.Cut(line, " ")
	end := strings.LastIndexByte(line, ')')
	pid, ok := decimal(first)
	fields := strings.Fields(line[end+1:])
	if !ok || end < 0 || len(fields) < 20 {
		return 0, 0, fmt.Errorf("a process's number, name and times were expected")
	}
	if start, ok = decimal(fields[19]); !ok {
		return 0, 0, fmt.Errorf("the start time is %q, not a number", fields[19])
	}
	return pid, start, nil
}

// findProcesses lists the container's processes, which are those in the
// caller's mount namespace, and of them the first: the oldest. It is so for
// sure where process 1 is shown, for then all are (hidepid hides it from
// others than root). Processes that end meanwhile are left out.
func (v *insider) findProcesses() error {
	dir, err := v.files.root.Open("proc")
	if err != nil {
		return fmt.Errorf("reading /proc: %w", cause(err))
	}
	defer dir.Close()
	names, err := dir.Readdirnames(processLimit)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading /proc: %w", cause(err))
	}
	v.first = v.self
	for _, name := range names {
		if _, ok := decimal(name); !ok {
			continue
		}
		if name == "1" {
			v.firstSeen = true
		}
		if at, err := v.firstMount(name); err != nil || at != v.self.mount {
			continue
		}
		p, err := v.process(name)
		if err != nil {
			continue
		}
		v.processes = append(v.processes, p)
		if p.start < v.first.start || p.start == v.first.start && p.pid <= v.first.pid {
			v.first = p
		}
	}
	v.firstSeen = v.firstSeen && len(names) < processLimit
	return nil
}

// account is what the container's own files say of a user.
type account struct {
	group  string   // primary
	groups []string // others, numbers
}

// account looks a user's number up as the runtime did at the start; a number
// without an entry has group 0.
func (v *insider) account(uid string) (account, error) {
	passwd, err := v.files.read("etc/passwd", accountsLimit)
	if err != nil {
		return account{}, err
	}
	group, err := v.files.read("etc/group", accountsLimit)
	if err != nil {
		return account{}, err
	}
	found, name := account{group: "0"}, ""
	for _, line := range strings.Split(string(passwd), "\n") {
		if f := strings.Split(line, ":"); len(f) >= 4 && canonicalNumber(f[2]) == uid {
			name, found.group = f[0], canonicalNumber(f[3])
			break
		}
	}
	for _, line := range strings.Split(string(group), "\n") {
		f := strings.Split(line, ":")
		if name != "" && len(f) >= 4 && slices.Contains(strings.Split(f[3], ","), name) {
			found.groups = append(found.groups, canonicalNumber(f[2]))
		}
	}
	return found, nil
}

// canonicalNumber is a number as the kernel writes it; anything else as it is.
func canonicalNumber(s string) string {
	if n, ok := decimal(s); ok {
		return itoa(n)
	}
	return s
}

// processFields: who the first process is and what it runs.
func (v *insider) processFields() {
	s, p := v.spec, v.first.status
	if !v.firstSeen {
		s.hide(reasonInside, "user", "group", "group_add", "executable")
		return
	}
	s.User = itoa(p.uid)
	// The user's own group may have been asked for all the same.
	own, err := v.account(s.User)
	if gid := itoa(p.gid); err == nil && gid != own.group {
		s.Group = gid
	} else {
		s.hide(reasonInside, "group")
	}
	taken := false
	for _, g := range p.groups {
		if g == p.gid || err != nil || slices.Contains(own.groups, itoa(g)) {
			taken = true
			continue
		}
		s.GroupAdd = append(s.GroupAdd, itoa(g))
	}
	s.GroupAdd = sortedUnique(s.GroupAdd)
	if taken {
		s.hide(reasonInside, "group_add"+Open)
	}
	// Of a script the kernel's name is the script's, but the first word that
	// of its interpreter.
	raw, err := v.files.head("proc/"+v.first.dir+"/cmdline", 4096)
	word, _, _ := strings.Cut(string(raw), "\x00")
	name := path.Base(word)
	if s.Executable = printable(word); err != nil || word == "" || v.first.status.name != printable(name[:min(len(name), 15)]) ||
		slices.ContainsFunc(v.mounts, func(m mountEntry) bool { return m.initMount() }) {
		s.Executable = ""
		s.hide(reasonInside, "executable")
	}
}

// engineVariables are those that engines set in every container, whoever else
// asked for them.
var engineVariables = []string{"HOME", "HOSTNAME", "PATH", "TERM"}

// environment reads the first process's variables, or, where only its owner
// may, those of the caller, which the same engine started.
func (v *insider) environment() {
	s := v.spec
	raw, err := v.files.read("proc/"+v.first.dir+"/environ", accountsLimit)
	if err != nil || !v.firstSeen {
		raw, err = v.files.read("proc/self/environ", accountsLimit)
	}
	var kept []string
	for _, e := range strings.Split(string(raw), "\x00") {
		if name, _, found := strings.Cut(e, "="); found && name != "" && !slices.Contains(engineVariables, name) {
			kept = append(kept, printable(e))
		}
	}
	b := builder{spec: s, cfg: &Config{Env: kept}, around: &Surroundings{EnvKey: v.envKey}, live: true}
	b.environment()
	if err != nil {
		s.Env, s.EnvEmpty, s.EnvValues, s.EnvHashes = []string{}, []string{}, map[string]string{}, map[string]string{}
		s.hide(reasonInside, "env", "env_empty", "env_values", "env_hashes")
		return
	}
	s.hide(reasonInside, "env"+Open)
	if v.envKey != nil {
		s.hide(reasonInside, "env_hashes"+Open)
	}
}

// securityFields: what the kernel enforces on the first process.
func (v *insider) securityFields() {
	s, p := v.spec, v.first.status
	if p.capabilitiesSeen {
		s.Capabilities = CapabilitySet(p.bounding)
	} else {
		s.hide(reasonInside, "capabilities")
	}
	// A filter may be the engine's, another, or the program's own; none is none.
	if p.seccomp == 0 {
		s.Seccomp = "unconfined"
	} else {
		s.hide(reasonInside, "seccomp")
	}
	// A program can give privileges up for itself; what is started beside it
	// (and plimsoll is) then still has them.
	if p.noNewPriv < 0 || v.self.status.noNewPriv < 0 {
		s.hide(reasonInside, "no_new_privileges")
	}
	s.NoNewPrivileges = p.noNewPriv > 0 && v.self.status.noNewPriv > 0
	if s.AppArmor = v.apparmorProfile(); s.AppArmor == "" {
		s.hide(reasonInside, "apparmor")
	}
}

// apparmorProfile reads "profile (mode)" or "unconfined" of AppArmor; other
// modules write labels of their own into the older of the two files.
func (v *insider) apparmorProfile() string {
	for _, name := range []string{"attr/apparmor/current", "attr/current"} {
		label := v.files.line("proc/" + v.first.dir + "/" + name)
		if label == "unconfined" {
			return label
		}
		if profile, mode, found := strings.Cut(label, " ("); found && profile != "" && strings.HasSuffix(mode, ")") {
			return profile
		}
	}
	return ""
}

// liveFields lists the container's processes, but for the caller's own where
// it is not what the container runs.
func (v *insider) liveFields() {
	s := v.spec
	s.Live.Status = "running"
	for _, p := range v.processes {
		if p.pid == v.self.pid && v.first.pid != v.self.pid {
			continue
		}
		out := Process{PID: p.pid, Name: p.status.name, UID: p.status.uid, GID: p.status.gid, Capabilities: []string{},
			NoNewPrivileges: p.status.noNewPriv == 1, Seccomp: map[int64]string{0: "none", 1: "strict", 2: "filter"}[p.status.seccomp]}
		if p.status.capabilitiesSeen {
			out.Capabilities = CapabilitySet(p.status.effective)
		}
		if link, err := v.files.root.Readlink("proc/" + p.dir + "/exe"); err == nil {
			out.Executable = printable(path.Base(strings.TrimSuffix(link, " (deleted)")))
		}
		s.Live.Processes = append(s.Live.Processes, out)
	}
	slices.SortFunc(s.Live.Processes, func(a, b Process) int { return int(a.PID - b.PID) })
	v.hideProcesses()
}

// hideProcesses lists what is unseen of the processes, at their final positions.
func (v *insider) hideProcesses() {
	s := v.spec
	if initial, seen := v.initial("pid"); !seen || !initial {
		s.hide("the container counts its own processes", "live.processes[*].pid")
	}
	if initial, seen := v.initial("user"); !seen || !initial {
		s.hide("the container counts its own users", "live.processes[*].uid", "live.processes[*].gid")
	}
	if !v.firstSeen {
		s.hide(reasonInside, "live.processes"+Open)
	}
	p := v.self.status
	if !p.capabilitiesSeen {
		s.hide(reasonInside, "live.processes[*].capabilities")
	}
	if p.seccomp < 0 {
		s.hide(reasonInside, "live.processes[*].seccomp")
	}
	if p.noNewPriv < 0 {
		s.hide(reasonInside, "live.processes[*].no_new_privileges")
	}
	for i, p := range s.Live.Processes {
		if p.Executable == "" {
			s.hide(reasonInside, fmt.Sprintf("live.processes[%d].executable", i))
		}
	}
}
