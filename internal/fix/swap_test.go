package fix

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this needs root")
		}
		t.Skip("this needs root")
	}
}

func own(t *testing.T, name string, uid, gid int, mode fs.FileMode) {
	t.Helper()
	if err := os.Chown(name, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

// swap puts something else in a file's place.
func swap(t *testing.T, name string, put func() error) {
	t.Helper()
	if err := os.Rename(name, name+".old"); err != nil {
		t.Fatal(err)
	}
	if err := put(); err != nil {
		t.Fatal(err)
	}
}

// What ran as one user does not run as root, and undo gives that back with the user.
func TestSetuidStaysBehind(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	user, group, folder := write(t, filepath.Join(dir, "user"), "", 0o755), write(t, filepath.Join(dir, "group"), "", 0o755), filepath.Join(dir, "folder")
	own(t, user, 12345, 12346, 0o755|fs.ModeSetuid|fs.ModeSetgid)
	own(t, group, 12345, 12346, 0o645|fs.ModeSetgid) // which the kernel leaves, for the group executes nothing
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	own(t, folder, 12345, 12346, 0o755|fs.ModeSetgid)
	all := []string{user, group, folder}
	var before, after []like
	for _, name := range all {
		before = append(before, lookAt(t, name))
	}
	owner := func(to string) *finding.Fix { return &finding.Fix{Owner: to} }
	r := Script(Config{Facts: seeing(t, around(t, ""), all...), Findings: []finding.Finding{
		failing("r", "file", user, owner("root")), failing("r", "file", group, owner(":root")), failing("r", "file", folder, owner("root:root"))}})
	store := filepath.Join(dir, "store")
	mustRun(t, r.Text, store)
	for i, want := range []fs.FileMode{0o755, 0o645, 0o755 | fs.ModeSetgid | fs.ModeDir} {
		if got := lookAt(t, all[i]).Mode; got != want {
			t.Errorf("%s is %v", all[i], got)
		}
	}
	mustRun(t, r.Text, store, "undo")
	for _, name := range all {
		after = append(after, lookAt(t, name))
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("after undo (-want +got):\n%s", diff)
	}
}

// Another file in the place of the one that was looked at is left alone, and what else
// there is is done.
func TestSwapped(t *testing.T) {
	needsRoot(t)
	for name, put := range map[string]func(file, precious string) error{
		"a link":   func(file, precious string) error { return os.Symlink(precious, file) },
		"a folder": func(file, _ string) error { return os.Mkdir(file, 0o777) },
		"nothing":  func(string, string) error { return nil },
	} {
		for _, when := range []string{"before", "between"} {
			dir := t.TempDir()
			file, other, precious := write(t, filepath.Join(dir, "sub/file"), "", 0o666), write(t, filepath.Join(dir, "other"), "", 0o666), write(t, filepath.Join(dir, "precious"), "", 0o666)
			own(t, file, 12345, 12346, 0o666)
			was := lookAt(t, precious)
			r := Script(Config{Facts: seeing(t, around(t, ""), file, other), Findings: []finding.Finding{
				failing("r", "file", file, &finding.Fix{Owner: "root:root", Mode: "0600"}), failing("r", "file", other, &finding.Fix{Mode: "0600"})}})
			store := filepath.Join(dir, "store")
			args := []string{}
			if when == "between" {
				if out := mustRun(t, r.Text, store); strings.Count(out, "Done:") != 3 {
					t.Errorf("it says:\n%s", out)
				}
				args = append(args, "undo")
			}
			swap(t, file, func() error { return put(file, precious) })
			is := lookAt(t, file+".old")
			out, err := run(t, r.Text, store, args...)
			if strings.Count(out, "Left out:") != 2 || (err == nil) != (name == "nothing") || strings.Count(out, "Done:")+strings.Count(out, "Taken back:") != 1 {
				t.Errorf("%s %s: %v:\n%s", name, when, err, out)
			}
			if diff := cmp.Diff(was, lookAt(t, precious)); diff != "" {
				t.Errorf("%s %s changes a file that nobody asked for:\n%s", name, when, diff)
			}
			if name == "nothing" || when == "before" {
				continue
			}
			// What was refused is taken back when the file is there again.
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file+".old", file); err != nil {
				t.Fatal(err)
			}
			mustRun(t, r.Text, store, "undo")
			if at := lookAt(t, file); at.UID != 12345 || at.Mode != 0o666 || is.UID != 0 {
				t.Errorf("%s: the file is %+v, and was %+v", name, at, is)
			}
		}
	}
}

// A file of the same kind that is not the one that was changed gets nobody's owner, and
// a folder that became another's since keeps root out.
func TestAnotherFile(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "sub/file"), "", 0o644)
	own(t, file, 12345, 12346, 0o644)
	r := Script(Config{Facts: seeing(t, around(t, ""), file), Findings: []finding.Finding{failing("r", "file", file, &finding.Fix{Owner: "root"})}})
	store := filepath.Join(dir, "store")
	mustRun(t, r.Text, store)
	swap(t, file, func() error { return os.WriteFile(file, []byte("new"), 0o600) })
	if out, err := run(t, r.Text, store, "undo"); err == nil || !strings.Contains(out, "is another file than the one that was changed") || lookAt(t, file).UID != 0 {
		t.Errorf("%v:\n%s", err, out)
	}
	own(t, filepath.Dir(file), 12345, 0, 0o755)
	if out, err := run(t, r.Text, filepath.Join(dir, "second")); err == nil || !strings.Contains(out, "others than root can change the folder "+filepath.Dir(file)) {
		t.Errorf("%v:\n%s", err, out)
	}
	own(t, filepath.Dir(file), 0, 0, 0o777)
	if out, err := run(t, r.Text, filepath.Join(dir, "second")); err == nil || !strings.Contains(out, "others than root can change") {
		t.Errorf("%v:\n%s", err, out)
	}
	own(t, filepath.Dir(file), 0, 0, 0o755)
	own(t, file, 12345, 0, 0o644)
	mustRun(t, r.Text, filepath.Join(dir, "second"))
}

// A later script of the same failure keeps what it finds, and gives that back.
func TestLaterScript(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "file"), "", 0o644)
	store := filepath.Join(dir, "store")
	for i, uid := range []int{1000, 1001} {
		own(t, file, uid, 0, 0o644)
		f := seeing(t, around(t, ""), file)
		f.Collected = f.Collected.Add(time.Duration(i) * time.Minute)
		r := Script(Config{Facts: f, Findings: []finding.Finding{failing("r", "file", file, &finding.Fix{Owner: "root"})}})
		mustRun(t, r.Text, store)
		if i == 0 {
			continue
		}
		mustRun(t, r.Text, store, "undo")
		if at := lookAt(t, file); int(at.UID) != uid {
			t.Errorf("it is given to %d", at.UID)
		}
	}
}

// A container that got another limit since is not as the script left it. The docker of
// this test keeps a limit in a file.
func TestLimitChangedSince(t *testing.T) {
	dir, path := t.TempDir(), tools(t)
	limit := write(t, filepath.Join(dir, "limit"), "0", 0o644)
	docker := filepath.Join(strings.TrimPrefix(path, "PATH="), "docker")
	write(t, docker, "#!/bin/sh\ncase $1 in\nps) echo it is there ;;\ninspect) cat "+quote(limit)+" ;;\nupdate) printf '%s' \"${2#--pids-limit=}\" > "+quote(limit)+" ;;\nesac\n", 0o755)
	id := strings.Repeat("a", 64)
	f := around(t, "")
	f.Containers = []workload.Spec{{ID: id, Name: "web"}}
	x := failing("pids-unlimited", "container", "web", &finding.Fix{Update: []finding.Setting{{Name: "pids-limit", Value: "200"}}})
	x.Subject.ID = id
	text := Script(Config{Facts: f, Findings: []finding.Finding{x}}).Text
	for _, step := range []struct{ by, arg, says, want string }{
		{"", "--no-restart", "Done:", "200"},
		{"", "--no-restart", "Is so already:", "200"},
		{"-1", "--no-restart", "Done:", "200"},
		{"", "undo", "Taken back:", "-1"},
	} {
		if step.by != "" {
			write(t, limit, step.by, 0o644)
		}
		cmd := exec.Command("sh", "-s", "--", step.arg, "--store", filepath.Join(dir, "store"))
		cmd.Env, cmd.Stdin = []string{path}, strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		if got := lookAt(t, limit).Text; err != nil || !strings.Contains(string(out), step.says) || got != step.want {
			t.Errorf("%+v: the limit is %s, %v:\n%s", step, got, err, out)
		}
	}
}
