package fix

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
)

func iccOff(f *facts.Facts, file string, data []byte) Result {
	return Script(Config{Facts: f, DaemonFile: &DaemonFile{Path: file, Data: data}, Findings: []finding.Finding{
		failing("icc", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}})}})
}

// A disk that is full, of the file or of the store, changes nothing; with room again
// the same script does it all, and undo brings the file back.
func TestFullDisk(t *testing.T) {
	needsRoot(t)
	for _, full := range []string{"etc", "store"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "etc/daemon.json")
		for _, at := range []string{"etc", "store"} {
			if err := os.Mkdir(filepath.Join(dir, at), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		r := iccOff(around(t, file), file, []byte(`{"debug": true}`))
		script := write(t, filepath.Join(dir, "fix.sh"), r.Text, 0o600)
		steps := `mount -t tmpfs -o size=64k,mode=755 none "$1/$2" && printf '%s' '{"debug": true}' > "$1/etc/daemon.json" && dd if=/dev/zero of="$1/$2/fill" bs=1k 2> /dev/null
fix() { sh "$3" --no-restart --store "$1/store" $4 > "$1/said" 2>&1; echo "$? $(cat "$1/etc/daemon.json") $(ls "$1/etc" | grep -v fill)"; grep -v '^1[.] ' "$1/said"; }
fix "$1" "$2" "$3"; fix "$1" "$2" "$3" undo; rm "$1/$2/fill"; fix "$1" "$2" "$3"; fix "$1" "$2" "$3" undo; true`
		cmd := exec.Command("unshare", "--mount", "sh", "-c", steps, "sh", dir, full, script)
		out, err := cmd.CombinedOutput()
		lines := []string{}
		for line := range strings.Lines(string(out)) {
			if line[0] == '0' || line[0] == '1' {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		const before, after = `{"debug": true} daemon.json`, `{"debug": true,"icc": false} daemon.json`
		if diff := cmp.Diff([]string{"1 " + before, "0 " + before, "0 " + after, "0 " + before}, lines); err != nil || diff != "" {
			t.Errorf("a full %s: %v (-want +got):\n%s\n%s", full, err, diff, out)
		}
	}
}

// A program that writes half of a file, and says that all is well, is not believed.
func TestHalfWritten(t *testing.T) {
	dir, path := t.TempDir(), strings.TrimPrefix(tools(t), "PATH=")
	file := write(t, filepath.Join(dir, "daemon.json"), `{"debug": true}`, 0o644)
	r := iccOff(around(t, file), file, []byte(`{"debug": true}`))
	write(t, filepath.Join(dir, "bin/cat"), "#!/bin/sh\nprintf '{'\n", 0o755)
	write(t, filepath.Join(dir, "later/cat"), "#!/bin/sh\n[ $# = 0 ] || { printf '{'; exit; }\nexec "+quote(filepath.Join(path, "cat"))+"\n", 0o755)
	for _, test := range []struct{ path, says, text string }{
		{filepath.Join(dir, "bin") + ":" + path, "could not be written", `{"debug": true}`},
		{filepath.Join(dir, "later") + ":" + path, "daemon.json could not be written", `{"debug": true}`},
		{path, "1. Done", `{"debug": true,"icc": false}`},
	} {
		cmd := exec.Command("sh", "-s", "--", "--no-restart", "--store", filepath.Join(dir, "store"))
		cmd.Env, cmd.Stdin = []string{"PATH=" + test.path}, strings.NewReader(r.Text)
		out, _ := cmd.CombinedOutput()
		if !strings.Contains(string(out), test.says) || lookAt(t, file).Text != test.text {
			t.Errorf("the file is %q:\n%s", lookAt(t, file).Text, out)
		}
	}
}

// What a script that was killed left behind is nobody's copy, and goes.
func TestKilled(t *testing.T) {
	needsRoot(t)
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "daemon.json"), `{"debug": true}`, 0o666)
	f := seeing(t, around(t, file), file)
	r := Script(Config{Facts: f, DaemonFile: &DaemonFile{Path: file, Data: []byte(`{"debug": true}`)}, Findings: []finding.Finding{
		failing("r", "file", file, &finding.Fix{Mode: "0644"}), failing("icc", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}})}})
	_, id, _ := strings.Cut(r.Text, "\nid=")
	store := filepath.Join(dir, "store")
	left := func() {
		for _, name := range []string{"1.part", "2.part", "2.new"} {
			write(t, filepath.Join(store, id[:12], name), "{", 0o600)
		}
		write(t, file+".plimsoll", "{", 0o600)
	}
	for _, args := range [][]string{nil, {"undo"}} {
		left()
		mustRun(t, r.Text, store, args...)
		for _, name := range []string{"store/*/*.part", "store/*/*.new", "*.plimsoll"} {
			if found, err := filepath.Glob(filepath.Join(dir, name)); err != nil || len(found) > 0 {
				t.Errorf("%v: there are still %v (%v)", args, found, err)
			}
		}
	}
	// Killed before anything was replaced.
	left()
	write(t, filepath.Join(store, id[:12], "2.kept"), `{"debug": true}`, 0o600)
	mustRun(t, r.Text, store, "undo")
	if _, err := os.Stat(file + ".plimsoll"); err == nil {
		t.Error("half a file is still beside it")
	}
	if at := lookAt(t, file); at.Mode != 0o666 || at.Text != `{"debug": true}` {
		t.Errorf("after undo it is %+v", at)
	}
	if _, err := os.Stat(filepath.Join(store, id[:12])); err == nil {
		t.Error("something is still kept")
	}
}

// A link whose folder is not there is said to be one; a link to a file that is yet to
// be made stays a link.
func TestDanglingLink(t *testing.T) {
	dir := t.TempDir()
	link, store := filepath.Join(dir, "daemon.json"), filepath.Join(dir, "store")
	if err := os.Symlink("nowhere/real.json", link); err != nil {
		t.Fatal(err)
	}
	r := iccOff(around(t, link), link, nil)
	if out, err := run(t, r.Text, store); err == nil || !strings.Contains(out, "daemon.json is a link to nowhere/real.json, and there is no such folder") {
		t.Errorf("%v:\n%s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "nowhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, r.Text, store)
	if at := lookAt(t, link); at.Link != "nowhere/real.json" || !strings.Contains(lookAt(t, filepath.Join(dir, "nowhere/real.json")).Text, "icc") {
		t.Errorf("the link is %+v", at)
	}
	mustRun(t, r.Text, store, "undo")
	if _, err := os.Stat(link); err == nil {
		t.Error("the file is still there")
	}
	// Where it was seen to lead, it must lead.
	real := write(t, filepath.Join(dir, "nowhere/real.json"), "{}", 0o644)
	r = iccOff(seeing(t, around(t, link), link), link, []byte("{}"))
	other := write(t, filepath.Join(dir, "nowhere/other.json"), "{}", 0o644)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, r.Text, store); err == nil || !strings.Contains(out, "does not lead to "+real+" now") || lookAt(t, other).Text != "{}" {
		t.Errorf("%v:\n%s", err, out)
	}
}

// Rules that are in audit.rules alone stay there and get company; augenrules, which
// would make that file anew, has its turn only where it made it.
func TestAuditRulesAlone(t *testing.T) {
	const ours = "-w /etc/docker -p rwxa -k docker"
	for _, test := range []struct {
		name, all, other string // audit.rules, rules.d/a.rules
		after, told      string
		says             string
	}{
		{"a file that deletes all first", "-D\n-b 8192\n-w /x -p w", "-D\n", "-D\n-b 8192\n-w /x -p w\n" + ours + "\n", "auditctl -R ALL\nauditctl -R ALL\n", "1. Done"},
		{"a file that does not", "-w /x -p w\n", "", "-w /x -p w\n" + ours + "\n", "auditctl " + ours + "\nauditctl -W" + ours[2:] + "\n", "1. Done"},
		{"a file that locks", "-w /x -p w\n-e 2\n", "", "-w /x -p w\n-e 2\n", "", "locks the rules"},
		{"rules in the folder", "-w /x -p w\n", "-w /x -p w\n", "-w /x -p w\n", "augenrules --load\naugenrules --load\n", "1. Done"},
		{"no rules at all", "-D\n", "", "-D\n", "augenrules --load\naugenrules --load\n", "1. Done"},
	} {
		dir, path := t.TempDir(), strings.TrimPrefix(tools(t), "PATH=")
		all, told := write(t, filepath.Join(dir, "audit/audit.rules"), test.all, 0o640), filepath.Join(dir, "told")
		if test.other != "" {
			write(t, filepath.Join(dir, "audit/rules.d/a.rules"), test.other, 0o640)
		}
		for _, name := range []string{"auditctl", "augenrules"} {
			write(t, filepath.Join(path, name), "#!/bin/sh\necho "+name+" \"$@\" >> "+quote(told)+"\n", 0o755)
		}
		r := Script(Config{Facts: around(t, ""), Findings: []finding.Finding{failing("audit", "host", "host", &finding.Fix{Audit: ours})}})
		text := strings.Replace(r.Text, "audit_file=/etc/audit/", "audit_file="+filepath.Join(dir, "audit")+"/", 1)
		sh := func(args ...string) string {
			cmd := exec.Command("sh", append([]string{"-s", "--", "--store", filepath.Join(dir, "store")}, args...)...)
			cmd.Env, cmd.Stdin = []string{"PATH=" + path}, strings.NewReader(text)
			out, _ := cmd.CombinedOutput()
			return string(out)
		}
		was := lookAt(t, all)
		if out := sh(); !strings.Contains(out, test.says) || lookAt(t, all).Text != test.after {
			t.Errorf("%s: it is %q:\n%s", test.name, lookAt(t, all).Text, out)
		}
		if out := sh(); !strings.Contains(out, "already") && test.told != "" {
			t.Errorf("%s: the second time it says:\n%s", test.name, out)
		}
		// What somebody else adds meanwhile is not thrown away.
		if test.after != test.all {
			write(t, all, test.after+"-w /y -p w\n", 0o640)
			if out := sh("undo"); !strings.Contains(out, "was changed since") || !strings.Contains(lookAt(t, all).Text, "/y") {
				t.Errorf("%s: undo over a change says:\n%s", test.name, out)
			}
			write(t, all, test.after, 0o640)
		}
		out := sh("undo")
		if diff := cmp.Diff(was, lookAt(t, all)); diff != "" {
			t.Errorf("%s: after undo (-want +got):\n%s\n%s", test.name, diff, out)
		}
		if got := strings.ReplaceAll(lookAt(t, told).Text, all, "ALL"); got != test.told {
			t.Errorf("%s: told %q", test.name, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "audit/rules.d")); (err == nil) != (test.other != "") {
			t.Errorf("%s: the folder is there, or is not (%v)", test.name, err)
		}
	}
}

// Every folder that was made goes again, and none that was there.
func TestFoldersThereAndBack(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a/b/c/daemon.json")
	r := iccOff(around(t, file), file, nil)
	store := filepath.Join(dir, "store")
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, r.Text, store)
	if lookAt(t, file).Text == "" {
		t.Error("there is no file")
	}
	mustRun(t, r.Text, store, "undo")
	if left, err := os.ReadDir(filepath.Join(dir, "a")); err != nil || len(left) > 0 {
		t.Errorf("%v is still there (%v)", left, err)
	}
}
