package fix

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// The command that limits a container is one for all rules, and undo gives each option
// what it was, or all that the host has.
func TestUpdateAndBack(t *testing.T) {
	id := strings.Repeat("a", 64)
	options := func(pairs ...string) *finding.Fix {
		f := &finding.Fix{}
		for i := 0; i < len(pairs); i += 2 {
			f.Update = append(f.Update, finding.Setting{Name: pairs[i], Value: pairs[i+1]})
		}
		return f
	}
	for _, test := range []struct {
		name     string
		spec     workload.Spec
		fixes    []*finding.Fix
		do, undo string
		mended   int
	}{
		{"no limits", workload.Spec{Restart: workload.Restart{Name: "always"}},
			[]*finding.Fix{options("memory", "512m", "memory-swap", "512m"), options("cpus", "1", "pids-limit", "200"), options("restart", "on-failure:5", "cpu-shares", "512", "memory-reservation", "256m")},
			"--memory=512m --memory-swap=512m --cpus=1 --pids-limit=200 --restart=on-failure:5 --cpu-shares=512 --memory-reservation=256m",
			"--memory=8589934592b --memory-swap=8589934592b --cpus=4 --pids-limit=-1 --restart=always --cpu-shares=1024 --memory-reservation=8589934592b", 3},
		{"other limits", workload.Spec{Restart: workload.Restart{Name: "on-failure", MaxRetries: 9},
			Resources: workload.Resources{MemoryBytes: 100, MemorySwapBytes: 300, MemoryReservationBytes: 50, Pids: 7, CPUs: 2.5, CPUQuotaMicroseconds: 250000, CPUShares: 3}},
			[]*finding.Fix{options("memory", "512m", "memory-swap", "512m", "cpus", "1", "pids-limit", "200", "restart", "no", "cpu-shares", "512", "memory-reservation", "256m")},
			"--memory=512m --memory-swap=512m --cpus=1 --pids-limit=200 --restart=no --cpu-shares=512 --memory-reservation=256m",
			"--memory=100b --memory-swap=300b --cpus=2.5 --pids-limit=7 --restart=on-failure:9 --cpu-shares=3 --memory-reservation=50b", 1},
		{"swap without end", workload.Spec{Resources: workload.Resources{MemoryBytes: 100, MemorySwapBytes: -1}}, []*finding.Fix{options("memory", "100", "memory-swap", "100")},
			"--memory=100 --memory-swap=100", "--memory=100b --memory-swap=-1", 1},
		{"swap by default", workload.Spec{Resources: workload.Resources{MemoryBytes: 100}}, []*finding.Fix{options("memory", "100", "memory-swap", "100", "memory-reservation", "9")},
			"--memory=100 --memory-swap=100 --memory-reservation=9", "--memory=100b --memory-swap=200b --memory-reservation=100b", 1},
		{"two that do not agree", workload.Spec{}, []*finding.Fix{options("cpus", "1"), options("cpus", "2", "pids-limit", "5"), options("cpus", "1")}, "--cpus=1", "--cpus=4", 2},
		{"restarts on failure without end", workload.Spec{Restart: workload.Restart{Name: "on-failure"}}, []*finding.Fix{options("restart", "no")}, "--restart=no", "--restart=on-failure", 1},
	} {
		test.spec.ID, test.spec.Name = id, "web"
		f := around(t, "")
		f.Containers = []workload.Spec{test.spec}
		var found []finding.Finding
		for _, fix := range test.fixes {
			x := failing("r", "container", "web", fix)
			x.Subject.ID = id
			found = append(found, x)
		}
		r := Script(Config{Facts: f, Findings: found})
		for _, line := range []string{"do_1() { update " + id + " " + test.do + "; }\n", "undo_1() { update " + id + " " + test.undo + "; }\n"} {
			if !strings.Contains(r.Text, line) {
				t.Errorf("%s: no %sin\n%s", test.name, line, r.Text[:strings.Index(r.Text, "# == What the steps")])
			}
		}
		if limited := strings.Contains(test.do, "memory") || strings.Contains(test.do, "cpus"); strings.Contains(r.Text, "# docker update cannot take a limit") != limited {
			t.Errorf("%s: it says that a limit stays, or does not", test.name)
		}
		if r.Mended != test.mended || r.Steps != 1 || r.Left != len(found)-test.mended {
			t.Errorf("%s: %d mended by %d steps, %d left", test.name, r.Mended, r.Steps, r.Left)
		}
	}
}

// comments are the lines of a script that its own text did not need.
func comments(text string) []string {
	_, text, _ = strings.Cut(text, "\nroot=")
	text, _, _ = strings.Cut(text, "# == What the steps")
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if rest, is := strings.CutPrefix(line, "# "); is {
			lines = append(lines, rest)
		}
	}
	return lines
}

// What is known already, waived or passes is left alone; a container that was not
// asked of an engine is not updated; and what a script cannot mend is said.
func TestWhatIsLeft(t *testing.T) {
	memory := &finding.Fix{Update: []finding.Setting{{Name: "memory", Value: "512m"}}}
	icc := &finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}}}
	known := failing("known", "daemon", "host", icc)
	known.Known = true
	waived := failing("waived", "daemon", "host", icc)
	waived.Status = finding.Waived
	passing := failing("passing", "daemon", "host", icc)
	passing.Status = finding.Pass
	asked := failing("memory-unlimited", "container", "web", memory)
	privileged := failing("privileged", "container", "web", nil)
	for _, x := range []*finding.Finding{&asked, &privileged} {
		x.Detail.Remedy = &finding.Remedy{Run: "leave out --privileged\nreally"}
	}
	network, again := failing("overlay", "network", "a", nil), failing("overlay", "network", "b", nil)
	network.Detail.Remedy = &finding.Remedy{Shell: "docker network create"}
	nameless := failing("file", "file", "daemon.json", &finding.Fix{Mode: "0644"})
	r := Script(Config{Facts: around(t, ""), Findings: []finding.Finding{known, waived, passing, asked, privileged, network, again, nameless}})
	want := []string{
		"== Containers to run anew: this script does not touch them ==",
		"web: remove it, and run it again with its docker run line changed:",
		"  memory-unlimited                 leave out --privileged; really",
		"  privileged                       leave out --privileged; really",
		"== Left to a person ==",
		"overlay (a and 1 more): docker network create",
		"file (daemon.json):",
	}
	if diff := cmp.Diff(want, comments(r.Text)); diff != "" {
		t.Errorf("comments (-want +got):\n%s", diff)
	}
	if r.Steps != 0 || r.Mended != 0 || r.Left != 5 {
		t.Errorf("%d steps, %d mended, %d left", r.Steps, r.Mended, r.Left)
	}
	if out := mustRun(t, r.Text, t.TempDir()); out != "" {
		t.Errorf("nothing to do, and it says:\n%s", out)
	}
}

// daemon.json is changed where that is what decides, and left where it is not.
func TestDaemonFileOrNot(t *testing.T) {
	const path = "/etc/docker/daemon.json"
	set := func(rule, key, value string) finding.Finding {
		return failing(rule, "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: key, Value: value}}})
	}
	all := []finding.Finding{set("bridge", "icc", "false"), set("restore", "live-restore", "true"), set("level", "log-level", "")}
	file := &DaemonFile{Path: path, Data: []byte(`{"log-level":"debug"}`)}
	fromFile := func(f *facts.Facts) { f.Daemon.Config.Origins["log-level"] = path }
	for _, test := range []struct {
		name   string
		found  []finding.Finding
		file   *DaemonFile
		change func(f *facts.Facts)
		want   string // the file after it; "" is no step
		how    string
		notes  []string
	}{
		{"all of it", all, file, fromFile, `{"icc": false,"live-restore": true}`, "restart", nil},
		{"what a reload takes", all[1:2], file, fromFile, `{"log-level":"debug","live-restore": true}`, "reload", nil},
		{"a new file", all[:1], &DaemonFile{Path: path}, fromFile, "{\n  \"icc\": false\n}\n", "restart", nil},
		{"one of two", []finding.Finding{failing("level", "daemon", "host", &finding.Fix{Daemon: []finding.Setting{{Name: "icc"}, {Name: "log-level"}}})}, file, fromFile, `{}`, "restart", nil},
		{"what is not set", all, file, func(*facts.Facts) {}, `{"log-level":"debug","icc": false,"live-restore": true}`, "restart", []string{"level: it is not set in daemon.json"}},
		{"a flag", all[:2], file, func(f *facts.Facts) { f.Daemon.Config.Origins["icc"] = "--icc on the command line" }, `{"log-level":"debug","live-restore": true}`, "reload",
			[]string{"bridge: icc is set by --icc on the command line; change it there"}},
		{"iptables off by a flag", all[:2], file, func(f *facts.Facts) {
			f.Daemon.Config.IPTables, f.Daemon.Config.Origins["iptables"] = false, "--iptables on the command line"
		}, `{"log-level":"debug","live-restore": true}`, "reload",
			[]string{"bridge: with iptables off (set by --iptables on the command line) an engine does not start with icc: false; turn iptables on first"}},
		{"iptables off by a flag that the script cannot turn on", append(all[:2:2], set("filter", "iptables", "")), file, func(f *facts.Facts) {
			f.Daemon.Config.IPTables, f.Daemon.Config.Origins["iptables"] = false, "--iptables on the command line"
		}, `{"log-level":"debug","live-restore": true}`, "reload", []string{"bridge: with iptables off", "filter: iptables is set by"}},
		{"iptables off until now", append(all[:1:1], set("filter", "iptables", "")), &DaemonFile{Path: path, Data: []byte(`{"iptables":false}`)}, func(f *facts.Facts) {
			f.Daemon.Config.IPTables, f.Daemon.Config.Origins["iptables"] = false, path
		}, `{"icc": false}`, "restart", nil},
		{"a folder of others", all, file, func(f *facts.Facts) {
			f.Files = []facts.File{{Path: path, Resolved: path, Kind: "regular", Folders: []facts.FileFolder{{Path: "/etc/docker", By: []string{"the user mei"}}}}}
		}, "", "", []string{"It is left as it is: the user mei can put another in its place, by the folder /etc/docker"}},
		{"a file of others", all[:1], &DaemonFile{Path: path, Data: []byte("[")}, fromFile, "", "", []string{"bridge: daemon.json cannot be changed"}},
		{"no file", all, nil, fromFile, "", "", []string{"It is left as it is: its text was not seen"}},
		{"no text", all, &DaemonFile{Path: path, Data: []byte("\x00")}, fromFile, "", "", []string{"It is left as it is: it is no text"}},
		{"a conflict", all, file, func(f *facts.Facts) { f.Daemon.Config.Conflicts = []string{"hosts"} }, "", "", []string{"It is left as it is: hosts in it keeps the engine from starting again"}},
		{"a configuration unseen", all, file, func(f *facts.Facts) {
			f.Unseen = []workload.Unseen{{Path: "daemon.config", Reason: "it is hidden"}}
		}, "", "", []string{"It is left as it is: it is hidden"}},
	} {
		f := around(t, path)
		test.change(f)
		r := Script(Config{Facts: f, Findings: test.found, DaemonFile: test.file})
		line := "do_1() { printf '%s' " + quote(test.want) + " | set_daemon_file " + path + " "
		if has := strings.Contains(r.Text, line); has != (test.want != "") || has && !strings.Contains(r.Text, " "+test.how+" ''; }\nundo_1()") || (r.Steps == 1) != has {
			t.Errorf("%s: %d steps, and the script is\n%s", test.name, r.Steps, r.Text[:strings.Index(r.Text, "# == What the steps")])
		}
		for _, note := range test.notes {
			if !strings.Contains(r.Text, "\n# "+note) {
				t.Errorf("%s: no %q in %q", test.name, note, comments(r.Text))
			}
		}
	}
}

// A file that others can swap, or whose name is lost, is a note, and one that they
// cannot a step, on the path without links.
func TestFilesOrNot(t *testing.T) {
	good := facts.File{Path: "/etc/a", Resolved: "/srv/a", Kind: "regular"}
	for _, test := range []struct {
		name   string
		change func(f *facts.File)
		note   string
	}{
		{"an ordinary one", func(*facts.File) {}, ""},
		{"its access list was not seen", func(f *facts.File) { f.Unseen = []workload.Unseen{{Path: "acl", Reason: "x"}} }, ""},
		{"in a folder of others", func(f *facts.File) { f.Folders = []facts.FileFolder{{Path: "/srv", By: []string{"everybody"}}} }, "everybody can put another in its place, by the folder /srv; see to that first"},
		{"folders unseen", func(f *facts.File) {
			f.Unseen = []workload.Unseen{{Path: "folders" + workload.Open, Reason: "it may not be looked at by this user"}}
		}, "it may not be looked at by this user"},
		{"a name that is lost", func(f *facts.File) { f.Resolved = "/srv/\uFFFD" }, "its name is not UTF-8"},
		{"gone", func(f *facts.File) { f.Resolved, f.Kind = "", "" }, "where it is was not seen"},
		{"another", func(f *facts.File) { f.Path = "/etc/b" }, "where it is was not seen"},
	} {
		f, file := around(t, ""), good
		test.change(&file)
		f.Files = []facts.File{file}
		r := Script(Config{Facts: f, Findings: []finding.Finding{failing("r", "file", "/etc/a", &finding.Fix{Owner: "root", Mode: "0644"})}})
		if test.note == "" {
			if r.Steps != 2 || r.Mended != 1 || !strings.Contains(r.Text, "do_1() { set_owner /srv/a regular root; }") || !strings.Contains(r.Text, "undo_2() { put_permissions /srv/a regular; }") {
				t.Errorf("%s: %d steps:\n%s", test.name, r.Steps, r.Text)
			}
			continue
		}
		if r.Steps != 0 || r.Left != 1 || !strings.Contains(r.Text, "\n# /etc/a (r): it is left as it is: "+test.note+"\n") {
			t.Errorf("%s: %d steps, and notes %q", test.name, r.Steps, comments(r.Text))
		}
	}
}

// A rule that says never decides before one that is added after it.
func TestNeverAudited(t *testing.T) {
	x := failing("r", "host", "host", &finding.Fix{Audit: "-w /usr/bin/runc -p rwxa -k docker"})
	x.Element = "/usr/bin/runc"
	for rule, steps := range map[string]int{"-a never,exit -F path=/usr/bin/runc": 0, "-a exit,never -F dir=/usr": 0, "-w /usr/bin/runc -p r -k never": 1} {
		f := around(t, "")
		f.Host.Audited.Runc = facts.Watched{Path: "/usr/bin/runc", Exists: true, Rules: []string{rule}}
		r := Script(Config{Facts: f, Findings: []finding.Finding{x}})
		if r.Steps != steps || r.Mended != steps || strings.Contains(r.Text, "\n# r: the kernel does not get to a new rule, for "+rule+" stands") != (steps == 0) {
			t.Errorf("%s: %d steps, and notes %q", rule, r.Steps, comments(r.Text))
		}
	}
}

// One report gives one script, which finds its copies again.
func TestSameAgain(t *testing.T) {
	found := []finding.Finding{failing("a", "file", "/a", &finding.Fix{Mode: "0644"}), failing("b", "network", "b", nil)}
	one, two := Script(Config{Facts: seeing(t, around(t, ""), "/a"), Findings: found}), Script(Config{Facts: seeing(t, around(t, ""), "/a"), Findings: found})
	if one.Text != two.Text {
		t.Error("two scripts of one report differ")
	}
	other := Script(Config{Facts: around(t, ""), Findings: found[1:]})
	id := func(text string) string { _, rest, _ := strings.Cut(text, "\nid="); return rest[:12] }
	later := seeing(t, around(t, ""), "/a")
	later.Collected = later.Collected.Add(time.Second)
	if again := Script(Config{Facts: later, Findings: found}); id(one.Text) == id(again.Text) {
		t.Error("a later script takes an earlier one's copies for its own")
	}
	if id(one.Text) == id(other.Text) {
		t.Errorf("two scripts keep their copies in one place, %s", id(one.Text))
	}
}
