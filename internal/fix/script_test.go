package fix

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// failing is a failure of a rule about a subject.
func failing(rule, kind, name string, fix *finding.Fix) finding.Finding {
	return finding.Finding{About: &finding.About{Rule: rule, Severity: finding.Low}, Detail: &finding.Detail{Fix: fix}, Subject: &finding.Subject{Kind: kind, Name: name}, Status: finding.Fail}
}

// around are the facts of this machine with a daemon.json of which nothing but its
// path is known.
func around(t *testing.T, file string) *facts.Facts {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	for _, key := range []string{"icc", "live-restore", "log-level", "userland-proxy"} {
		origins[key] = "default"
	}
	return &facts.Facts{Collected: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC), Host: facts.Host{Name: host, MemoryBytes: 8 << 30, CPUs: 4},
		Daemon: facts.Daemon{Config: facts.DaemonConfig{File: file, IPTables: true, Origins: origins}}}
}

// seeing adds files to facts, of which those that are not there are said to be regular.
func seeing(t *testing.T, f *facts.Facts, names ...string) *facts.Facts {
	t.Helper()
	for _, name := range names {
		seen := facts.File{Path: name, Exists: true, Resolved: name, Kind: "regular"}
		if resolved, err := filepath.EvalSymlinks(name); err == nil {
			seen.Resolved = resolved
		}
		if at, err := os.Stat(name); err == nil && at.IsDir() {
			seen.Kind = "directory"
		}
		f.Files = append(f.Files, seen)
	}
	return f
}

// run runs a script in a shell, with its copies in a folder of the test's own, and
// without having any engine read anything.
func run(t *testing.T, text, store string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fix.sh")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range [][]string{{"sh", "-n"}, {"busybox", "sh", "-n"}} {
		if out, err := exec.Command(shell[0], append(shell[1:], file)...).CombinedOutput(); err != nil && !errors.Is(err, exec.ErrNotFound) {
			t.Fatalf("%v: %v: %s\n%s", shell, err, out, text)
		}
	}
	cmd := exec.Command("sh", append([]string{file, "--no-restart", "--store", store}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t *testing.T, text, store string, args ...string) string {
	t.Helper()
	out, err := run(t, text, store, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// like is all about a file that undo must bring back.
type like struct {
	Mode     fs.FileMode
	UID, GID uint32
	ACL      string
	Text     string
	Link     string
}

func lookAt(t *testing.T, name string) like {
	t.Helper()
	at, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return like{}
	}
	if err != nil {
		t.Fatal(err)
	}
	l := like{Mode: at.Mode(), UID: at.Sys().(*syscall.Stat_t).Uid, GID: at.Sys().(*syscall.Stat_t).Gid}
	if at.Mode()&fs.ModeSymlink != 0 {
		if l.Link, err = os.Readlink(name); err != nil {
			t.Fatal(err)
		}
		return l
	}
	acl := make([]byte, 1024)
	if n, err := unix.Getxattr(name, "system.posix_acl_access", acl); err == nil {
		l.ACL = fmt.Sprintf("%x", acl[:n])
	}
	if !at.IsDir() {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		l.Text = string(data)
	}
	return l
}

// readersACL is an access ACL (acl(5)) that lets user 12345 read, as the kernel keeps
// it: version 2, then tag, permissions and id of each entry.
var readersACL = []byte{2, 0, 0, 0,
	1, 0, 6, 0, 255, 255, 255, 255, // user::rw-
	2, 0, 4, 0, 0x39, 0x30, 0, 0, // user:12345:r--
	4, 0, 4, 0, 255, 255, 255, 255, // group::r--
	16, 0, 6, 0, 255, 255, 255, 255, // mask::rw-
	32, 0, 4, 0, 255, 255, 255, 255} // other::r--

func write(t *testing.T, name, text string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFilesThereAndBack(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	wide := write(t, filepath.Join(dir, "wide $(touch pwned) 'x"), "a", 0o666)
	if err := unix.Setxattr(wide, "system.posix_acl_access", readersACL, 0); err != nil {
		t.Fatal(err)
	}
	strange := write(t, filepath.Join(dir, "strange"), "b", 0o4710)
	if err := os.Chown(strange, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(strange, 0o710|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	odd := write(t, filepath.Join(dir, "odd"), "c", 0o460)
	link := filepath.Join(dir, "link")
	if err := os.Symlink("odd", link); err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "etc/docker/real.json"), "{\n\t\"debug\": true\n}", 0o640)
	if err := unix.Setxattr(file, "system.posix_acl_access", readersACL, 0); err != nil {
		t.Fatal(err)
	}
	daemon := filepath.Join(dir, "etc/docker/daemon.json")
	if err := os.Symlink("real.json", daemon); err != nil {
		t.Fatal(err)
	}
	half := write(t, filepath.Join(dir, "half"), "d", 0o644)
	if err := os.Chown(half, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	all := []string{wide, strange, odd, link, file, daemon, half}
	states := func() []like {
		var l []like
		for _, name := range all {
			l = append(l, lookAt(t, name))
		}
		return l
	}
	before := states()
	r := Script(Config{Facts: seeing(t, around(t, daemon), wide, strange, half, link, daemon), Tool: "plimsoll", DaemonFile: &DaemonFile{Path: daemon, Data: []byte("{\n\t\"debug\": true\n}")}, Findings: []finding.Finding{
		failing("wide", "file", wide, &finding.Fix{Mode: "0644"}),
		failing("strange", "file", strange, &finding.Fix{Owner: "root:root"}),
		failing("half", "file", half, &finding.Fix{Owner: ":root"}),
		failing("half", "file", half, &finding.Fix{Owner: "root"}),
		failing("linked", "file", link, &finding.Fix{Mode: "0644"}),
		failing("icc", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}}),
	}})
	if r.Steps != 6 || r.Mended != 6 || r.Left != 0 {
		t.Errorf("%d steps, %d mended, %d left", r.Steps, r.Mended, r.Left)
	}
	store := filepath.Join(dir, "store")
	out := mustRun(t, r.Text, store, "--dry-run")
	if strings.Count(out, "Would do") != 6 || cmp.Diff(before, states()) != "" {
		t.Errorf("a dry run says and does:\n%s%s", out, cmp.Diff(before, states()))
	}
	if _, err := os.Stat(store); err == nil {
		t.Error("a dry run makes a folder")
	}
	if out = mustRun(t, r.Text, store); strings.Count(out, "Done") != 6 {
		t.Errorf("it says:\n%s", out)
	}
	want := states()
	after := append([]like{}, before...)
	after[0].Mode, after[1].UID, after[1].GID, after[2].Mode = 0o644, 0, 0, 0o440
	after[6].UID, after[6].GID = 0, 0
	after[1].Mode = 0o710                                                    // what ran as that user does not run as root
	after[0].ACL = strings.Replace(before[0].ACL, "10000600", "10000400", 1) // the mask is the group's mode
	after[4].Text = "{\n\t\"debug\": true,\n\t\"icc\": false\n}"
	if diff := cmp.Diff(after, want); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	if out = mustRun(t, r.Text, store); strings.Count(out, "Is so already") != 6 || cmp.Diff(want, states()) != "" {
		t.Errorf("the second time it says:\n%s%s", out, cmp.Diff(want, states()))
	}
	if out = mustRun(t, r.Text, store, "undo", "--dry-run"); strings.Count(out, "Would take back") != 6 || cmp.Diff(want, states()) != "" {
		t.Errorf("it would take back:\n%s%s", out, cmp.Diff(want, states()))
	}
	if out = mustRun(t, r.Text, store, "undo"); strings.Count(out, "Taken back") != 6 {
		t.Errorf("undo says:\n%s", out)
	}
	if diff := cmp.Diff(before, states()); diff != "" {
		t.Errorf("after undo (-want +got):\n%s", diff)
	}
	if out = mustRun(t, r.Text, store, "undo"); strings.Count(out, "Was not done") != 6 || cmp.Diff(before, states()) != "" {
		t.Errorf("undone twice it says:\n%s", out)
	}
	// And once more from the beginning.
	mustRun(t, r.Text, store)
	if diff := cmp.Diff(want, states()); diff != "" {
		t.Errorf("done again (-want +got):\n%s", diff)
	}
}

// A file that was not there is gone again, with its folder; and one that somebody else
// changed is left alone, by the script and by its undo.
func TestDaemonFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	daemon := filepath.Join(dir, "docker/daemon.json")
	icc := failing("icc", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}})
	r := Script(Config{Facts: around(t, daemon), Findings: []finding.Finding{icc}, DaemonFile: &DaemonFile{Path: daemon}})
	store := filepath.Join(dir, "store")
	mustRun(t, r.Text, store)
	if at := lookAt(t, daemon); at.Text != "{\n  \"icc\": false\n}\n" || at.Mode != 0o644 {
		t.Errorf("the new file is %+v", at)
	}
	mustRun(t, r.Text, store, "undo")
	if _, err := os.Stat(filepath.Dir(daemon)); err == nil {
		t.Error("the folder is still there")
	}
	write(t, daemon, `{"debug":true}`, 0o644)
	out, err := run(t, r.Text, store)
	if err == nil || !strings.Contains(out, "is not what it was when this script was made") || !strings.Contains(out, "step 1 did not work") || lookAt(t, daemon).Text != `{"debug":true}` {
		t.Errorf("over a file of others it says %v:\n%s", err, out)
	}
	if err := os.Remove(daemon); err != nil {
		t.Fatal(err)
	}
	mustRun(t, r.Text, store)
	write(t, daemon, `{"icc":false,"debug":true}`, 0o644)
	out, err = run(t, r.Text, store, "undo")
	if err == nil || !strings.Contains(out, "was changed since") || lookAt(t, daemon).Text != `{"icc":false,"debug":true}` {
		t.Errorf("undo over a change says %v:\n%s", err, out)
	}
}

// It stops at the first step that does not work, and says what it did.
func TestStopsAndTells(t *testing.T) {
	dir := t.TempDir()
	first := write(t, filepath.Join(dir, "a"), "", 0o666)
	daemon := write(t, filepath.Join(dir, "daemon.json"), "{}", 0o644)
	mode := &finding.Fix{Mode: "0644"}
	r := Script(Config{Facts: seeing(t, around(t, daemon), first, daemon), DaemonFile: &DaemonFile{Path: daemon, Data: []byte(" ")},
		Findings: []finding.Finding{failing("r", "file", first, mode), failing("r", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}})}})
	store := filepath.Join(dir, "store")
	out, err := run(t, r.Text, store)
	if err == nil || !strings.Contains(out, "is not what it was") || !strings.Contains(out, "step 2 did not work") || !strings.Contains(out, "done before that: 1;") ||
		lookAt(t, first).Mode != 0o644 || lookAt(t, daemon).Text != "{}" {
		t.Errorf("%v:\n%s", err, out)
	}
	mustRun(t, r.Text, store, "undo")
	if lookAt(t, first).Mode != 0o666 {
		t.Error("the first is not as it was")
	}
	elsewhere := seeing(t, around(t, ""), first)
	elsewhere.Host.Name = "another"
	r = Script(Config{Facts: elsewhere, Findings: []finding.Finding{failing("r", "file", first, mode)}})
	if out, err := run(t, r.Text, store); err == nil || !strings.Contains(out, "this was made for another") || lookAt(t, first).Mode != 0o666 {
		t.Errorf("on another host: %v:\n%s", err, out)
	}
	if out, err := run(t, r.Text, store, "redo"); err == nil || !strings.Contains(out, "usage:") {
		t.Errorf("with a wrong word: %v:\n%s", err, out)
	}
}

// hostile are names that try to become commands, or to end what they stand in.
var hostile = []string{"$(touch PWNED)", "`touch PWNED`", "'; touch PWNED; '", "\"; touch PWNED; \"", "a\ntouch PWNED\n", "a\r\ntouch PWNED", "x' \\\n touch PWNED #",
	"--help", "}; touch PWNED; {", "%s%n", "\\", "a\u2028touch PWNED", "\x1b]0;x\x07", "\xff\xfe", "PLIMSOLL\nEOF\ntouch PWNED", "!touch PWNED", "a\x00touch PWNED"}

// tools is a PATH with what a script needs, and stand-ins for what is not to be met: a
// docker that has every container, and neither a daemon nor an audit system.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cat", "chmod", "chown", "cp", "cut", "grep", "id", "mkdir", "mv", "readlink", "rm", "rmdir", "sh", "sha256sum", "stat", "touch", "tr", "uname"} {
		at, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(at, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "docker"), "#!/bin/sh\necho it is there\n", 0o755)
	return "PATH=" + dir
}

// Whatever things are called, and whatever daemon.json holds, is words and comments.
func TestHostileNames(t *testing.T) {
	dir, path := t.TempDir(), tools(t)
	var found []finding.Finding
	f := around(t, filepath.Join(dir, "daemon.json"))
	for i, name := range hostile {
		id := fmt.Sprintf("%064x", i+1)
		f.Containers = append(f.Containers, workload.Spec{ID: id, Name: name})
		file := "/" + name
		f.Files = append(f.Files, facts.File{Path: file, Resolved: file, Kind: "regular"})
		for _, x := range []finding.Finding{
			failing("update-"+name, "container", name, &finding.Fix{Update: []finding.Setting{{Name: "memory", Value: name}}}),
			failing("run-"+name, "container", name, nil),
			failing("left-"+name, "network", name, nil),
			failing("audit-"+name, "file", file, &finding.Fix{Audit: "-w " + file + " -p rwxa -k docker"}),
			failing("file-"+name, "file", file, &finding.Fix{Mode: "0644", Owner: name + ":" + name}),
			failing("daemon-"+name, "daemon", name, &finding.Fix{Daemon: []finding.Setting{{Name: "log-level", Value: `"` + strings.Trim(fmt.Sprintf("%q", name), `"`) + `"`}}}),
		} {
			x.Detail.Remedy = &finding.Remedy{Run: name, Shell: name}
			if x.Subject.Kind == "container" {
				x.Subject.ID = id
			}
			found = append(found, x)
		}
	}
	f.Host.Name = hostile[2]
	data := []byte("{\"labels\": [\"it's $(touch PWNED) `touch PWNED`\"]}")
	r := Script(Config{Facts: f, Findings: found, Tool: hostile[4], Engine: hostile[0], DaemonFile: &DaemonFile{Path: f.Daemon.Config.File, Data: data, PidFile: hostile[1]}})
	for _, args := range [][]string{{"--dry-run"}, {"undo", "--dry-run"}, {}, {"undo"}} {
		// It was made for a host of that name, so nothing is done; let it go on.
		text := strings.Replace(r.Text, "\nhost="+quote(hostile[2])+"\n", "\nhost=\n", 1)
		if text == r.Text {
			t.Fatal("the host's name is not there")
		}
		file := filepath.Join(dir, "fix.sh")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := exec.Command("sh", append([]string{file, "--no-restart", "--store", filepath.Join(dir, "store")}, args...)...)
		cmd.Dir = dir
		cmd.Env = []string{path}
		out, _ := cmd.CombinedOutput() // it stops at the first step that cannot be
		if bytes.ContainsAny(out, "\x1b\r\x07") {
			t.Errorf("%v: a terminal gets %q", args, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "PWNED")); err == nil {
			t.Fatalf("%v: a name became a command:\n%s", args, r.Text)
		}
	}
	// Each alone, so that no other stops it before its turn.
	for _, x := range found {
		r := Script(Config{Facts: f, Findings: []finding.Finding{x}, Engine: hostile[0], DaemonFile: &DaemonFile{Path: f.Daemon.Config.File, Data: data}})
		text := strings.Replace(r.Text, "\nhost="+quote(hostile[2])+"\n", "\nhost=\n", 1)
		for _, args := range []string{"--no-restart", "undo"} {
			cmd := exec.Command("sh", "-s", "--", args, "--no-restart", "--store", filepath.Join(dir, "store"))
			cmd.Dir = dir
			cmd.Env = []string{path}
			cmd.Stdin = strings.NewReader(text)
			_, _ = cmd.CombinedOutput()
			if _, err := os.Stat(filepath.Join(dir, "PWNED")); err == nil {
				t.Fatalf("%s: a name became a command:\n%s", x.Rule, r.Text)
			}
		}
	}
}

// The rules of the audit system are one file; whoever has no augenrules gets them at
// once by auditctl, whose stand-in here writes down what it is told.
func TestAuditThereAndBack(t *testing.T) {
	dir := t.TempDir()
	const docker, etc = "-w /usr/bin/dockerd -p rwxa -k docker", "-w /etc/docker -p rwxa -k docker"
	var found []finding.Finding
	for _, rule := range []string{docker, etc, docker, "-w /a b -p rwxa -k docker", "-w /a\nb -p rwxa -k docker"} {
		found = append(found, failing("audit", "host", "host", &finding.Fix{Audit: rule}))
	}
	other := write(t, filepath.Join(dir, "other"), "", 0o666)
	r := Script(Config{Facts: seeing(t, around(t, ""), other), Findings: append(found, failing("r", "file", other, &finding.Fix{Mode: "0644"}))})
	if r.Steps != 2 || r.Mended != 4 || !strings.Contains(r.Text, "# audit: no audit rule can have the path host") {
		t.Errorf("%d steps, %d mended:\n%s", r.Steps, r.Mended, r.Text)
	}
	file := filepath.Join(dir, "rules.d/90-plimsoll.rules")
	text := strings.Replace(r.Text, "audit_file=/etc/audit/rules.d/90-plimsoll.rules", "audit_file="+quote(file), 1)
	if text == r.Text {
		t.Fatal("the file is not named")
	}
	told := filepath.Join(dir, "told")
	write(t, filepath.Join(dir, "bin/auditctl"), "#!/bin/sh\nprintf '%s|' \"$@\" >> "+quote(told)+"\necho >> "+quote(told)+"\n", 0o755)
	script := write(t, filepath.Join(dir, "fix.sh"), text, 0o600)
	sh := func(want string, path string, args ...string) {
		t.Helper()
		cmd := exec.Command("sh", append([]string{script, "--store", filepath.Join(dir, "store")}, args...)...)
		cmd.Env = []string{"PATH=" + path}
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%v says:\n%s", args, out)
		}
	}
	without := strings.TrimPrefix(tools(t), "PATH=")
	sh("no auditctl is there", without)
	if lookAt(t, file).Text != "" || lookAt(t, other).Mode != 0o644 {
		t.Error("rules were written for nobody, or what else there is was not done")
	}
	with := filepath.Join(dir, "bin") + ":" + without
	write(t, file, etc+"\n-w /x -p w\n", 0o640)
	sh("2. Done", with)
	if at := lookAt(t, file); at.Text != etc+"\n-w /x -p w\n"+docker+"\n" || at.Mode != 0o640 {
		t.Errorf("the rules are %+v", at)
	}
	sh("Is so already", with)
	sh("Taken back", with, "undo")
	if at := lookAt(t, file); at.Text != etc+"\n-w /x -p w\n" || at.Mode != 0o640 {
		t.Errorf("after undo the rules are %+v", at)
	}
	want := "-w|/etc/docker|-p|rwxa|-k|docker|\n-w|/usr/bin/dockerd|-p|rwxa|-k|docker|\n-W|/etc/docker|-p|rwxa|-k|docker|\n-W|/usr/bin/dockerd|-p|rwxa|-k|docker|\n"
	if diff := cmp.Diff(want, lookAt(t, told).Text); diff != "" {
		t.Errorf("auditctl was told (-want +got):\n%s", diff)
	}
}

// FuzzScript: whatever a thing is called, it is one word to a shell, and lines of
// visible comments.
func FuzzScript(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for line := range strings.SplitSeq(comment(name), "\n") {
			if !strings.HasPrefix(line, "#") || term.Escape(line) != line {
				t.Errorf("%q is the comment %q", name, line)
			}
		}
		if strings.ContainsRune(name, 0) || len(name) > 10_000 {
			return
		}
		out, err := exec.Command("sh", "-c", "printf '%s' "+quote(name)).Output()
		if err != nil || string(out) != name {
			t.Errorf("%q is %q to a shell (%v)", name, out, err)
		}
	})
}
