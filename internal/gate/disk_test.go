package gate

import (
	"context"
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

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// dockerAs runs docker's client against the gate as a user, who may connect.
func (p *program) dockerAs(uid uint32, args ...string) (string, error) {
	p.t.Helper()
	err := os.Chmod(p.socket, 0o666)
	for path := p.dir; path != "/" && path != os.TempDir(); path = filepath.Dir(path) {
		err = errors.Join(err, os.Chmod(path, 0o755))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/usr/bin/docker", append([]string{"-H", "unix://" + p.socket}, args...)...)
	cmd.Env = []string{"HOME=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// refusesSoon asks for what changes something until that is refused, for a reason that
// holds a text: what was written already has room yet.
func (p *program) refusesSoon(reason string) {
	p.t.Helper()
	for range 200 {
		status, text, err := p.ask("POST", "/volumes/create", `{"Name":"more"}`)
		if status == 503 && strings.Contains(text, reason) {
			return
		}
		if err != nil {
			p.t.Fatalf("want a refusal with %q, got %d %s %v", reason, status, text, err)
		}
	}
	p.t.Fatalf("it is never refused with %q", reason)
}

// worksAgain asks until that is done: it is tried again each second.
func (p *program) worksAgain(args ...string) {
	p.t.Helper()
	var out string
	eventually(p.t, func() bool {
		said, err := p.docker(args...)
		out = said
		return err == nil
	}, func() string { return fmt.Sprintf("docker %s: %s", strings.Join(args, " "), out) })
}

// TestFullDisk: a trail whose disk is full, in both modes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	e := yard(t)
	for mode, f := range map[string]func(*testing.T, *lab.Engine){"enforce": fullDisk, "observe": fullDiskObserved} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f(t, e)
		})
	}
}

// fullDisk: on a full disk nothing new is done, but root can end and remove, and that is
// recorded; when there is room all goes on by itself.
func fullDisk(t *testing.T, e *lab.Engine) {
	p := prepare(t, e.Socket(), "--mode", "enforce")
	disk := smallDisk(t, "2m") // no room for a whole segment
	p.state = filepath.Join(disk, "state")
	p.start()
	for _, name := range []string{"one", "two", "three"} {
		p.must("run", "-d", "--name", name, "web:1", "sleep", "100000")
	}
	if _, err := e.Docker("tag", "web:1", "spare:1"); err != nil {
		t.Fatal(err)
	}
	free := fill(t, disk)
	p.refusesSoon("the disk of " + p.trail() + " is full")
	p.refuses("the disk of "+p.trail()+" is full", "create", "--name", "none", "web:1")
	p.refuses("is full", "exec", "one", "true")
	p.refuses("(privileged, critical)", "create", "--privileged", "web:1")
	p.must("ps")
	p.must("stop", "-t", "0", "one")
	p.must("kill", "two")
	p.must("rm", "two")
	p.must("container", "prune", "-f")
	p.must("rmi", "spare:1") // which is not what room is kept for, and passes all the same
	if out, err := p.dockerAs(4001, "kill", "three"); err != nil {
		t.Errorf("what is recorded passes for others than root too: %v: %s", err, out)
	}
	// A gate that begins anew on a full disk is there for those who end and remove.
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("it ends with %d: %s", code, p.said)
	}
	p.start()
	p.refuses("is full", "volume", "create", "none")
	p.must("rm", "three")
	free()
	p.worksAgain("run", "-d", "--name", "four", "web:1", "sleep", "100000")
	p.end(syscall.SIGTERM)
	events := p.verified()
	for _, want := range [][3]string{{trail.Stop, phaseAsked, "one"}, {trail.Stop, phaseDone, "one"}, {trail.Kill, phaseDone, "two"}, {trail.Remove, phaseDone, "two"},
		{trail.Kill, phaseDone, "three"}, {trail.Remove, phaseDone, "three"}, {trail.Deploy, phaseDone, "four"}, {trail.Start, phaseDone, "four"}} {
		if !recordedIn(events, want[0], want[1], want[2]) {
			t.Errorf("not on record: %v", want)
		}
	}
	if recordedIn(events, trail.Deploy, phaseAsked, "none") {
		t.Error("what was refused is on record as asked")
	}
}

// fullDiskObserved: a gate that observes lets everything pass on a full disk, and says
// that it is not recorded.
func fullDiskObserved(t *testing.T, e *lab.Engine) {
	p := prepare(t, e.Socket(), "--mode", "observe")
	disk := smallDisk(t, "2m")
	p.state = filepath.Join(disk, "state")
	p.start()
	free := fill(t, disk)
	for i := range 40 {
		p.must("volume", "create", fmt.Sprintf("v%d", i))
		if strings.Contains(p.said.String(), "is full") {
			break
		}
	}
	p.must("run", "--rm", "--privileged", "web:1", "true")
	for _, want := range []string{"recording POST /v1.41/containers/create: the disk of " + p.trail() + " is full"} {
		if !strings.Contains(p.said.String(), want) {
			t.Errorf("it does not say %q: %s", want, p.said)
		}
	}
	free()
	eventually(t, func() bool {
		p.must("volume", "create", "recorded")
		for _, ev := range eventsIn(t, p.trail()) {
			if ev.Subject.Name == "recorded" {
				return true
			}
		}
		return false
	}, func() string { return "it is recorded again" })
	p.end(syscall.SIGTERM)
	p.verified()
}

// brokenTrail: where the trail can't be written nothing new is done, but root can end
// and remove; when it can be written again, all goes on by itself.
func brokenTrail(t *testing.T, e *lab.Engine) {
	type fault struct {
		name string
		uid  uint32
		// harm makes the trail such that it can't be written, and gives what mends it.
		harm func(t *testing.T, p *program) (mend func())
		says string
	}
	faults := []fault{
		{"read-only", 4242, func(t *testing.T, p *program) func() {
			writable(t, p.trail(), false)
			return func() { writable(t, p.trail(), true) }
		}, "permission denied"},
		{"a folder in the way", 0, func(t *testing.T, p *program) func() {
			// It is replaced each second where something was recorded.
			file := filepath.Join(p.trail(), "checkpoint")
			if err := errors.Join(os.Rename(file, file+".old"), os.MkdirAll(filepath.Join(file, "in the way"), 0o755)); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := errors.Join(os.RemoveAll(file), os.Rename(file+".old", file)); err != nil {
					t.Fatal(err)
				}
			}
		}, "checkpoint"},
	}
	if thorough {
		faults = append(faults, fault{"a disk that fails", 0, abort, "read-only file system"})
	}
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, e.Socket(), "--mode", "enforce")
			if c.uid != 0 {
				p.as(c.uid)
			}
			if c.says == "read-only file system" {
				ownDisk(t, p)
			}
			p.start()
			name := strings.ReplaceAll(c.name, " ", "-")
			p.must("run", "-d", "--name", name+"-1", "web:1", "sleep", "100000")
			p.must("run", "-d", "--name", name+"-2", "web:1", "sleep", "100000")
			eventually(t, func() bool { _, err := os.Stat(filepath.Join(p.trail(), "checkpoint")); return err == nil }, func() string { return "there is a checkpoint" })
			mend := c.harm(t, p)
			eventually(t, func() bool { _, err := p.docker("volume", "create", name); return err != nil }, func() string { return "it notices" })
			p.refuses("the trail in "+p.trail()+" can't be written", "create", "--name", name+"-none", "web:1")
			p.refuses(c.says, "exec", name+"-1", "true")
			p.must("ps")
			p.must("stop", "-t", "0", name+"-1")
			p.must("rm", name+"-1")
			if out, err := p.dockerAs(4001, "kill", name+"-2"); err == nil || !strings.Contains(out, "can't be recorded") {
				t.Errorf("what is not recorded passes for others than root: %v: %s", err, out)
			}
			p.must("kill", name+"-2")
			mend()
			p.worksAgain("create", "--name", name+"-3", "web:1")
			p.end(syscall.SIGTERM)
			if events := p.verified(); !recordedIn(events, trail.Deploy, phaseDone, name+"-3") || recordedIn(events, trail.Deploy, phaseAsked, name+"-none") {
				t.Error("the trail does not go on where it was")
			}
			for _, want := range []string{"recording stops", "which passes all the same", "can be written again"} {
				if !strings.Contains(p.said.String(), want) {
					t.Errorf("it does not say %q: %s", want, p.said)
				}
			}
		})
	}
}

// writable has a folder and all in it be so for who owns it, or not.
func writable(t *testing.T, dir string, is bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() &^ 0o200
		if is {
			mode |= 0o200
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ownDisk has the state of a gate on an ext4 file system of its own.
func ownDisk(t *testing.T, p *program) {
	t.Helper()
	image := p.dir + "/disk"
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 64<<20), os.MkdirAll(p.state, 0o700)); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", image)
	command(t, "mount", "-o", "loop,errors=remount-ro", image, p.state)
	t.Cleanup(func() { command(t, "umount", p.state) })
}

// abort has the kernel end all writing to it, as it does when the disk fails (ext4(5)), and
// gives what mends it.
func abort(t *testing.T, p *program) (mend func()) {
	t.Helper()
	command(t, "mount", "-o", "remount,abort", p.state)
	return func() {
		command(t, "umount", "-l", p.state)
		command(t, "e2fsck", "-p", "-f", p.dir+"/disk")
		command(t, "mount", "-o", "loop,errors=remount-ro", p.dir+"/disk", p.state)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	// Programs of root's are not in every PATH.
	cmd.Env = []string{"PATH=" + lab.Path}
	if !filepath.IsAbs(cmd.Path) {
		cmd.Path, cmd.Err = "/sbin/"+name, nil
	}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err != nil && !(name == "e2fsck" && code == 1) { // 1: errors were mended
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// smallDisk mounts a file system of so many bytes, in memory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all room of a file system that is left, and gives what takes it back.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}
