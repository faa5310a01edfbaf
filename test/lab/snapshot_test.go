package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A snapshot is what the machine looks like to somebody who asks whether an
// engine has been there: one line a thing, under headings.
type snapshot map[string][]string

// ofLab matches folders and cgroups of engines, this test run's and others'.
var ofLab = regexp.MustCompile(`plimsoll-lab(-test-\d+)?[-/][0-9a-f]{8}\b|plimsoll-lab-test-\d+`)

// isOther reports whether a name is of an engine that others run beside these
// tests.
func isOther(name string) bool { return ofLab.MatchString(name) && !strings.Contains(name, token) }

// telling matches files that an engine or its installation would leave.
var telling = regexp.MustCompile(`docker|containerd|\brunc|xtables|netns|moby|plimsoll-(lab|apt)`)

// takeSnapshot looks at everything that an engine could leave or change.
func takeSnapshot(t *testing.T) snapshot {
	t.Helper()
	s := snapshot{
		"process":       engineProcesses(t),
		"cgroup":        cgroupDirs(t),
		"mount":         mounts(t),
		"interface":     interfaces(t),
		"packet filter": packetFilter(t),
		"file":          tellingFiles(t),
		"content":       contents(t, "/etc/subuid", "/etc/subgid", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf"),
	}
	for _, lines := range s {
		slices.Sort(lines)
	}
	return s
}

// engineProcesses lists processes that an engine could have started: those that
// name the lab's folder of this test, are in a cgroup of it, or are in another
// network namespace than this process. Those of other labs are left out, and what
// runs in the network of another lab's engine.
func engineProcesses(t *testing.T) []string {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	type process struct{ dir, ns, cmdline, about string }
	var all []process
	others := map[string]bool{}
	for _, dir := range dirs {
		ns, err := os.Readlink(filepath.Join(dir, "ns/net"))
		if err != nil {
			continue // ended, or not ours to see
		}
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		cgroup, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		p := process{dir, ns, string(cmdline), string(cmdline) + string(cgroup)}
		others[ns] = others[ns] || ns != own && isOther(p.about)
		all = append(all, p)
	}
	var found []string
	for _, p := range all {
		if strings.Contains(p.about, token) || p.ns != own && !isOther(p.about) && !others[p.ns] {
			found = append(found, fmt.Sprintf("%s %q", p.dir, p.cmdline))
		}
	}
	return found
}

// cgroupDirs lists the cgroups at the top of each hierarchy, and deeper ones
// with telling names; other programs make and remove theirs all the time.
func cgroupDirs(t *testing.T) []string {
	t.Helper()
	hs, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, h := range hs {
		_ = filepath.WalkDir(h.Mount, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return fs.SkipDir // removed since it was listed
			}
			if !d.IsDir() {
				return nil
			}
			if isOther(d.Name()) {
				return fs.SkipDir
			}
			if filepath.Dir(path) == h.Mount || telling.MatchString(path) {
				found = append(found, path)
			}
			return nil
		})
	}
	return found
}

func mounts(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(string(b)), "\n"), isOther)
}

func interfaces(t *testing.T) []string {
	t.Helper()
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, i := range ifs {
		addrs, err := i.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, fmt.Sprint(i.Name, i.Flags, addrs))
	}
	return found
}

// packetFilter needs nft, which shows the rules of iptables too.
func packetFilter(t *testing.T) []string {
	t.Helper()
	path, err := lookPath("nft")
	if err != nil {
		lacking(t, "nft is not installed: run `lab install nftables`")
	}
	out, err := exec.Command(path, "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Fatalf("nft list ruleset: %v: %s", err, out)
	}
	return strings.Split(string(out), "\n")
}

// tellingFiles lists files with telling names where engines put some.
func tellingFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, root := range []string{"/etc", "/run", "/var/lib", "/var/run/", "/opt", "/tmp", "/root", "/dev/shm"} {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // removed since it was listed
			}
			// There other tests keep theirs.
			others := slices.Contains([]string{"/tmp", "/dev/shm"}, filepath.Dir(path)) && !strings.Contains(path, token)
			if d.IsDir() && (path == "/var/lib/dpkg" || others || path == "/root/go" ||
				path == "/root/.cache" || filepath.Dir(path) == Base || isOther(path) || strings.Count(path, "/") > 5) {
				return fs.SkipDir
			}
			if telling.MatchString(d.Name()) && path != Base && !isOther(path) {
				found = append(found, path+" "+d.Type().String())
			}
			return nil
		})
	}
	return found
}

func contents(t *testing.T, paths ...string) []string {
	t.Helper()
	var found []string
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		found = append(found, p+" "+hex.EncodeToString(sum[:]))
	}
	return found
}

// sysctls are the kernel's settings by path.
type sysctls map[string]string

func takeSysctls(t *testing.T) sysctls {
	t.Helper()
	s := sysctls{}
	err := filepath.WalkDir("/proc/sys", func(path string, d fs.DirEntry, err error) error {
		if path == "/proc/sys/fs/binfmt_misc" {
			return fs.SkipDir // systemd mounts it when somebody looks, and it holds no settings
		}
		if err != nil || d.IsDir() {
			return nil
		}
		if b, err := os.ReadFile(path); err == nil {
			s[path] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(s) < 100 {
		t.Fatalf("only %d settings in /proc/sys", len(s))
	}
	return s
}

// restless are settings that are counters in truth, or change by themselves.
var restless = regexp.MustCompile(`/(random/|dentry-state|file-nr|inode-nr|inode-state|ns_last_pid|pty/nr|aio-nr|nf_conntrack_count|sched_domain|` +
	`dqstats|quota/|last_idx|drop_caches|max_newidle_lb_cost|sem_next_id|msg_next_id|shm_next_id|mm_counter|usage|memfd)`)

// changed lists settings of before that have another value in after.
func (before sysctls) changed(after sysctls) []string {
	var lines []string
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if !restless.MatchString(path) && before[path] != after[path] {
			lines = append(lines, fmt.Sprintf("%s: %q became %q", path, before[path], after[path]))
		}
	}
	return lines
}

// noTrace returns a function that fails the test unless the machine looks as
// it does now. The kernel takes namespaces apart after their last process has
// ended, so that function looks again until all is equal, or for a minute.
func noTrace(t *testing.T) (check func(what string)) {
	t.Helper()
	before, set := takeSnapshot(t), takeSysctls(t)
	return func(what string) {
		t.Helper()
		var diff string
		for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			diff = cmp.Diff(before, takeSnapshot(t))
			if diff == "" || time.Now().After(end) {
				break
			}
		}
		if diff != "" {
			t.Errorf("%s leaves a trace:\n%s", what, diff)
		}
		if lines := set.changed(takeSysctls(t)); len(lines) > 0 {
			t.Errorf("%s changes the kernel's settings:\n%s", what, strings.Join(lines, "\n"))
		}
	}
}

// The comparison must see each thing that it is there for. What is left for
// that bears the token, or is in a network namespace of its own, lest these
// tests disturb others like them.
func TestSnapshotSees(t *testing.T) {
	needRoot(t)
	hs, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	seen(t, "a process", engineProcesses, func(t *testing.T) func() {
		cmd := exec.Command("unshare", "--net", "grep", token)
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() { stdin.Close(); _ = cmd.Wait() }
	})
	seen(t, "a cgroup", cgroupDirs, func(t *testing.T) func() {
		dir := filepath.Join(hs[0].Mount, "docker-"+token)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return func() { _ = os.Remove(dir) }
	})
	seen(t, "a mount", mounts, func(t *testing.T) func() {
		dir := filepath.Join(os.TempDir(), token)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		system(t, "mount", "-t", "tmpfs", "tmpfs", dir)
		return func() { system(t, "umount", dir); _ = os.Remove(dir) }
	})
	seen(t, "a file", tellingFiles, func(t *testing.T) func() {
		path := "/run/docker-" + token + ".sock"
		writeFile(t, path, "")
		return func() { _ = os.Remove(path) }
	})
	// These would be seen by everybody, so they are made in a network namespace.
	t.Run("network", func(t *testing.T) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "--net", self, "-test.run", "^TestSnapshotSeesNetwork$", "-test.v")
		cmd.Env = append(os.Environ(), ownNetwork+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestSnapshotSeesNetwork") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// ownNetwork says that this process is in a network namespace of its own.
const ownNetwork = "PLIMSOLL_LAB_TEST_NETWORK"

func TestSnapshotSeesNetwork(t *testing.T) {
	if os.Getenv(ownNetwork) == "" {
		t.Skip("runs in a network namespace of its own, within TestSnapshotSees")
	}
	seen(t, "an interface", interfaces, func(t *testing.T) func() {
		system(t, "ip", "link", "add", "lab0", "type", "bridge")
		return func() { system(t, "ip", "link", "del", "lab0") }
	})
	seen(t, "a packet filter", packetFilter, func(t *testing.T) func() {
		system(t, "nft", "add", "table", "inet", "lab")
		return func() { system(t, "nft", "delete", "table", "inet", "lab") }
	})
	t.Run("a setting", func(t *testing.T) {
		const path = "/proc/sys/net/ipv4/conf/all/forwarding"
		before := takeSysctls(t)
		if lines := before.changed(takeSysctls(t)); len(lines) > 0 {
			t.Errorf("settings change by themselves: %s", lines)
		}
		other := map[string]string{"0\n": "1\n", "1\n": "0\n"}[before[path]]
		if err := os.WriteFile(path, []byte(other), 0); err != nil {
			t.Fatal(err)
		}
		lines := before.changed(takeSysctls(t))
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, path+":") }) {
			t.Errorf("changing %s is seen as %q", path, lines)
		}
	})
}

// seen checks that look tells what leave left, and nothing once that is undone.
func seen(t *testing.T, what string, look func(*testing.T) []string, leave func(*testing.T) (undo func())) {
	t.Helper()
	t.Run(what, func(t *testing.T) {
		sorted := func() []string { l := look(t); slices.Sort(l); return l }
		before := sorted()
		undo := leave(t)
		waitFor(t, what+" that was left to be seen", func() bool { return !cmp.Equal(before, sorted()) })
		undo()
		if diff := cmp.Diff(before, sorted()); diff != "" {
			t.Errorf("a difference is seen where there is none: %s", diff)
		}
	})
}

func system(t *testing.T, name string, args ...string) {
	t.Helper()
	if err := quiet(name, args...); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waiting for %s took over five minutes", what)
		}
	}
}
