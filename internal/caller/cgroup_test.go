package caller

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/test/lab"
)

// Ids of containers.
var (
	idA = strings.Repeat("a1", 32)
	idB = strings.Repeat("0b", 32)
)

// TestContainerOf: the forms that engines make, with A for idA and B for idB.
func TestContainerOf(t *testing.T) {
	const (
		none  = ""
		claim = "who may have named it"
		inner = "below that of"
	)
	for _, tc := range []struct {
		text string
		want string
	}{
		// Version 2.
		{"0::/", none},
		{"0::/docker/A", "A"},
		{"0::/system.slice/docker-A.scope", "A"},
		{"0::/A", "A"}, // --cgroup-parent /
		{"0::/team/x/A", "A"},
		{"0::/team.slice/team-x.slice/docker-A.scope", "A"},
		{"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1234_5.slice/docker-A.scope", "A"},
		{"0::/kubepods/burstable/pod12-34/A", "A"},
		{"0::/user.slice/user-1000.slice/session-3.scope", none},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", none},
		{"0::/system.slice/docker.service", none},
		{"0::/system.slice/docker.service/docker/buildkit/nu8z3lfgpqyk0cqqk7wxz3r4u", none},
		{"0::/init.scope", none},
		// What is in a container.
		{"0::/docker/A/init", "A"},
		{"0::/docker/A/docker/B", inner},
		{"0::/docker/A/B", inner}, // --cgroup-parent /docker/A
		{"0::/docker/A/B/docker-A.scope", inner},
		{"0::/system.slice/docker-A.scope/B", inner},
		{"4:cpu:/docker/A\n0::/docker/A/x/B/y", inner},
		{"0::/docker/A/A", inner},
		{"0::/docker/A/system.slice/docker-B.scope", "A"},
		{"0::/system.slice/docker-A.scope/init.scope", "A"},
		{"0::/system.slice/docker-A.scope/system.slice/docker-B.scope", "A"},
		{"0::/system.slice/docker-A.scope/system.slice/x.service/docker/x", "A"},
		{"0::/docker/A/user.slice/docker-B.scope", "A"},
		// Version 1, and both.
		{"3:cpuset:/docker/A\n2:cpu,cpuacct:/docker/A\n1:name=systemd:/docker/A", "A"},
		{"9:name=systemd:/\n8:pids:/lab/docker/A\n4:memory:/lab/docker/A\n0::/lab/docker/A", "A"},
		{"13:misc:/\n12:pids:/docker/A\n1:name=systemd:/docker/A\n0::/system.slice/containerd.service", "A"},
		{"5:devices:/user.slice\n4:pids:/user.slice/user-0.slice/session-1.scope\n0::/user.slice/user-0.slice/session-1.scope", none},
		{"4:memory:/process_api/8f4295d9f7f1cdcd0c057c35d52a9fae\n0::/", none},
		{"2:cpu:/docker/A\n1:pids:/docker/B", "name two containers"},
		{"2:cpu:/docker/A\n0::/user.slice/user-1.slice/user@1.service/docker/B", "A"}, // the one that only root can say
		{"1:name=systemd:/docker/A\n2:cpu:/", none},
		// What somebody else may have named.
		{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-A.scope", claim},
		{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/docker/A", claim},
		{"0::/user.slice/user-1000.slice/session-3.scope/docker/A", claim},
		{"0::/user.slice/A", claim},
		{"5:devices:/user/anna/0/docker/A", claim},
		{"0::/system.slice/cron.service/docker/A", claim},
		{"0::/system.slice/libpod-B.scope/docker/A", claim},
		{"0::/system.slice/cron.service/docker-B.scope/docker/A", claim},
		// What only looks like it.
		{"0::/docker/" + strings.Repeat("a", 63), none},
		{"0::/docker/" + strings.Repeat("a", 65), none},
		{"0::/docker/" + strings.Repeat("A", 64), none},
		{"0::/docker/" + strings.Repeat("g", 64), none},
		{"0::/docker/A (deleted)", none},
		{"0::/docker-A", none},
		{"0::/system.slice/A.scope", none},
		{"0::/system.slice/docker-A.service", none},
		{"0::/system.slice/docker-A.scope.d", none},
		{"0::/machine.slice/libpod-A.scope/container", none},
		{"0::/system.slice/cri-containerd-A.scope", none},
		{"0::/system.slice/docker-docker-A.scope", none},
		{"0::/buildkit:A", none},
		// What the kernel does not write.
		{"", "names none"},
		{"0::", "is not of the form"},
		{"0:docker/A", "is not of the form"},
		{"0::/docker/A\nx", "is not of the form"},
		{"0::docker/A", "is not of the form"},
		// What it cuts off.
		{"0::/" + strings.Repeat("x", 4093), none},
		{"0::/" + strings.Repeat("x", 4094), "longer name than the kernel tells"},
		{"0::/docker/A/" + strings.Repeat("x", 4094), "A"},
	} {
		text, want := named(tc.text), named(tc.want)
		id, err := containerOf([]byte(text), true)
		if err != nil && strings.Contains(err.Error(), want) && want != "" {
			continue
		}
		if err != nil || id != want {
			t.Errorf("%q: %q, %v, want %q", tc.text, id, err, tc.want)
		}
	}
}

var placeholder = regexp.MustCompile(`\b[AB]\b`)

func named(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(s string) string { return map[string]string{"A": idA, "B": idB}[s] })
}

// TestContainerOfInNamespace: where our own cgroup is the root, what is outside begins
// with two dots, and what is inside hides what it is in.
func TestContainerOfInNamespace(t *testing.T) {
	const hidden = "hides what that is in"
	for text, want := range map[string]string{
		"0::/":                                hidden,
		"0::/init":                            hidden,
		"4:cpu:/\n0::/x":                      hidden,
		"0::/docker/A":                        "A", // an engine of our own
		"0::/../A":                            "A",
		"0::/../docker-A.scope":               "A",
		"0::/../../docker/A/init":             "A",
		"0::/..":                              "",
		"0::/../../user.slice/x":              "",
		"0::/../../user.slice/docker-A.scope": "who may have named it",
		"4:cpu:/\n0::/../x":                   "",
	} {
		id, err := containerOf([]byte(named(text)), false)
		if err != nil && want != "" && strings.Contains(err.Error(), named(want)) {
			continue
		}
		if err != nil || id != named(want) {
			t.Errorf("%q: %q, %v, want %q", text, id, err, want)
		}
	}
}

// TestCgroupNamespace: seen from a cgroup namespace of its own, a process in the same
// group may be in a container, or not.
func TestCgroupNamespace(t *testing.T) {
	needRoot(t)
	for name, flags := range map[string]uintptr{"its own": unix.CLONE_NEWCGROUP, "ours": 0} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			j := l.judge(t, task{Steps: []string{"judge 1"}}, func(cmd *exec.Cmd) { cmd.SysProcAttr.Cloneflags = flags })
			l.dial(t)
			c := j.says(t)
			if flags == 0 {
				seen(t, c)
				return
			}
			if !c.Seen || c.Container != "" || len(c.Unseen) != 1 || c.Unseen[0].Field != "container" || !strings.Contains(c.Unseen[0].Reason, "--cgroupns=host") {
				t.Errorf("%+v", c)
			}
		})
	}
}

// hierarchies are folders of the kernel's control groups, of either version, that one
// can make groups in.
func hierarchies(t *testing.T) []string {
	t.Helper()
	needRoot(t)
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		// A new group of cpuset takes no process before it is given processors.
		if len(fields) < 4 || fields[2] != "cgroup" && fields[2] != "cgroup2" || strings.Contains(fields[3], "cpuset") || strings.Contains(fields[3], "name=") {
			continue
		}
		probe, err := os.MkdirTemp(fields[1], "plimsoll-caller")
		if err != nil {
			continue
		}
		if err := os.Remove(probe); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, fields[1])
	}
	if len(dirs) == 0 {
		need(t, errors.New("no folder of /sys/fs/cgroup can be written"), "control groups")
	}
	return dirs
}

// group makes a group, and removes it with what it is in.
func group(t *testing.T, parent string, names ...string) string {
	t.Helper()
	dir := parent
	for _, name := range names {
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		made := dir
		t.Cleanup(func() {
			await(t, "the group to be empty", func() bool { return unix.Rmdir(made) == nil })
		})
	}
	return dir
}

// TestRealCgroups: in groups of the kernel, named as an engine would name them, and as
// somebody else would.
func TestRealCgroups(t *testing.T) {
	for _, top := range hierarchies(t) {
		t.Run(top, func(t *testing.T) {
			parent := fmt.Sprintf("plimsoll-caller-%d", os.Getpid())
			for _, tc := range []struct {
				names []string
				want  string
				why   string
			}{
				{[]string{parent, idA}, idA, ""},
				{[]string{parent, idA, "docker-" + idB + ".scope"}, idA, ""},
				{[]string{parent, idA, "docker", idB}, "", "below that of"},
				{[]string{parent + ".slice", "docker-" + idB + ".scope"}, idB, ""},
				{[]string{parent, "docker"}, "", ""},
				{[]string{parent + ".service", "docker", idA}, "", "belongs to a service"},
			} {
				t.Run("", func(t *testing.T) {
					dir := group(t, top, tc.names...)
					c, _, cmd := listen(t).caller(t, &Source{}, nil, "join "+dir, "connect", "hold")
					if tc.why == "" {
						seen(t, c)
					} else if len(c.Unseen) != 1 || c.Unseen[0].Field != "container" || !strings.Contains(c.Unseen[0].Reason, tc.why) {
						t.Errorf("unseen is %v", c.Unseen)
					}
					if c.Container != tc.want || !c.Seen {
						text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
						t.Errorf("%+v, of %s", c, text)
					}
				})
			}
		})
	}
}

// TestLongCgroup: who goes so deep that the kernel does not tell where has not shown to
// be in no container.
func TestLongCgroup(t *testing.T) {
	top := hierarchies(t)[0]
	var names []string
	for range 20 {
		names = append(names, strings.Repeat("x", 250))
	}
	// A path of this length can be given in parts only.
	fds := []int{}
	open := func(at int, name string) int {
		fd, err := unix.Openat(at, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		return fd
	}
	at := open(unix.AT_FDCWD, group(t, top, fmt.Sprintf("plimsoll-caller-%d", os.Getpid())))
	defer func() {
		for i := len(fds) - 1; i >= 0; i-- {
			if i < len(names) {
				await(t, "the group to be empty", func() bool {
					err := unix.Unlinkat(fds[i], names[i], unix.AT_REMOVEDIR)
					return err == nil || errors.Is(err, unix.ENOENT)
				})
			}
			unix.Close(fds[i])
		}
	}()
	for i, name := range names {
		if err := unix.Mkdirat(at, name, 0o755); err != nil {
			need(t, fmt.Errorf("at %d: %w", i, err), "deep control groups")
		}
		at = open(at, name)
	}
	l := listen(t)
	cmd := start(t, task{Socket: l.path, Steps: []string{"connect", "hold"}}, nil)
	conn := l.accept(t)
	before := of(t, &Source{}, conn.UnixConn)
	seen(t, before)
	procs, err := unix.Openat(at, "cgroup.procs", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = unix.Write(procs, []byte(fmt.Sprint(cmd.Process.Pid)))
	unix.Close(procs)
	if err != nil {
		t.Fatal(err)
	}
	c := of(t, &Source{}, conn.UnixConn)
	if len(c.Unseen) != 1 || c.Unseen[0].Field != "container" || c.Container != "" || !c.Seen {
		t.Errorf("%+v", c)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
}

// TestRealContainer: a real engine's container, who comes in by exec, one with another
// parent, and one that wants to pass for the first.
func TestRealContainer(t *testing.T) {
	e := lab.Shared(t)
	image := "plimsoll-caller:1"
	if err := e.Busybox(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Docker("rmi", "-f", image) })
	l := listen(t)
	work := task{Socket: l.path, Steps: []string{"connect", "hold"}}
	n := 0
	run := func(options ...string) (name, id string) {
		t.Helper()
		n++
		name = fmt.Sprintf("plimsoll-caller-TestRealContainer-%d", n)
		t.Cleanup(func() { e.Docker("rm", "-f", name) })
		options = append([]string{"run", "-d", "--name", name, "--user", "4242:4343", "-e", work.environ()[0]}, options...)
		for _, dir := range []string{"/lib", "/lib64", "/usr", filepath.Dir(l.path), filepath.Dir(testProgram(t))} {
			if _, err := os.Stat(dir); err == nil {
				options = append(options, "-v", dir+":"+dir)
			}
		}
		out, err := e.Docker(append(options, image, testProgram(t))...)
		if err != nil {
			t.Fatal(err)
		}
		return name, strings.TrimSpace(out)
	}
	check := func(how, id string) {
		t.Helper()
		conn := l.accept(t)
		c := of(t, &Source{}, conn.UnixConn)
		if id != "" {
			seen(t, c)
		} else if len(c.Unseen) != 1 || !strings.Contains(c.Unseen[0].Reason, "--cgroup-parent") {
			t.Errorf("%s, unseen is %v", how, c.Unseen)
		}
		if !c.Seen || c.Container != id || c.UID != 4242 || c.GID != 4343 || c.Exe != testProgram(t) || c.LoginUID != nil || c.PID <= 1 {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.PID))
			t.Errorf("%s, the container %q has %+v, in %s", how, id, c, text)
		}
	}
	name, first := run()
	check("as its first process", first)
	if _, err := e.Docker("exec", "-d", name, testProgram(t)); err != nil {
		t.Fatal(err)
	}
	check("by exec", first)
	_, id := run("--cgroup-parent", "/team/x")
	check("with a parent", id)
	run("--cgroup-parent", "/docker/"+first)
	check("with the first as its parent", "")
}

var (
	containerLine = regexp.MustCompile(`^[^:]*:([^:]*):/((?:[^/]*/)*?)([0-9a-f]{64}|docker-[0-9a-f]{64}\.scope)(/.*)?$`)
	bareBelow     = regexp.MustCompile(`/[0-9a-f]{64}(/|$)`)
	givenAway     = regexp.MustCompile(`(^|/)[^/]*\.(service|scope)/|^(\.\./)*(user|user\.slice)/`)
)

// oracle finds a container by regular expressions, or that it is not known which.
func oracle(cgroup []byte) (id string, known bool) {
	found := map[string]bool{}
	claim := false
	for text := range strings.SplitSeq(strings.TrimSuffix(string(cgroup), "\n"), "\n") {
		m := containerLine.FindStringSubmatch(text)
		switch {
		case m == nil || strings.HasPrefix(m[1], "name="):
		case givenAway.MatchString(m[2]):
			claim = true
		case bareBelow.MatchString(m[4]):
			return "", false
		default:
			found[strings.TrimSuffix(strings.TrimPrefix(m[3], "docker-"), ".scope")] = true
		}
	}
	for id := range found {
		return id, len(found) == 1
	}
	return "", !claim
}

// FuzzContainerOf: a second reading agrees; what is added below a container changes
// nothing, or makes it unknown; and below a service there is none.
func FuzzContainerOf(f *testing.F) {
	for _, seed := range []string{"0::/docker/A", "2:cpu:/system.slice/docker-A.scope\n1:name=systemd:/docker/B", "0::/user.slice/x/A", "0::/../A/docker-B.scope", "0::/docker/A/B", "0::/x.service/A", "0::/", "1:a:/A\n2:b:/B"} {
		f.Add([]byte(named(seed)), "docker/"+idB)
	}
	f.Fuzz(func(t *testing.T, data []byte, below string) {
		id, err := containerOf(data, true)
		if id != "" && (len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" || !bytes.Contains(data, []byte(id))) {
			t.Fatalf("%q is no id", id)
		}
		if err != nil && (strings.HasPrefix(err.Error(), "reading cgroup") || strings.Contains(err.Error(), "longer name")) {
			return
		}
		if want, known := oracle(data); id != want && known || (err == nil) != known {
			t.Errorf("%q: %q, %v, and by the expressions %q, %t", data, id, err, want, known)
		}
		if strings.ContainsAny(below, "\n") {
			return
		}
		if id != "" && !bareBelow.MatchString("/"+below) {
			longer := regexp.MustCompile(`(?m)`+id+`(\.scope)?$`).ReplaceAllStringFunc(string(data), func(s string) string { return s + "/" + below })
			if again, err := containerOf([]byte(longer), true); again != id || err != nil {
				t.Errorf("%q: %q, and with more below %q, %v", data, id, again, err)
			}
		}
		if in, err := containerOf([]byte("0::/system.slice/x.service/"+below), true); in != "" {
			t.Errorf("below a service there is %q, %v", in, err)
		}
	})
}
