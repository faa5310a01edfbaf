package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseSimulation(t *testing.T) {
	const out = `NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  docker.io tini
Inst tini (0.19.0-1+b3 Debian:12.15/oldstable [amd64])
Inst libc6 [2.36-9] (2.36-10 Debian:12.15/oldstable [amd64]) []
Inst libfoo:i386 (1 Debian:12.15/oldstable [i386])
Remv golang-docker [1.2]
Purg old-docker [1.3]
Conf tini (0.19.0-1+b3 Debian:12.15/oldstable [amd64])
`
	want := simulation{added: []string{"tini", "libfoo:i386"}, upgraded: []string{"libc6"}, removed: []string{"golang-docker", "old-docker"}}
	if diff := cmp.Diff(want, parseSimulation(out), cmp.AllowUnexported(simulation{})); diff != "" {
		t.Error(diff)
	}
	if got := parseSimulation("Inst\nRemv\n\nInstall x\n"); len(got.added)+len(got.upgraded)+len(got.removed) != 0 {
		t.Errorf("got %+v out of nothing", got)
	}
}

// The packages of a simulation are found again in what is written of them.
func FuzzParseSimulation(f *testing.F) {
	f.Add("docker.io", true, "note")
	f.Add("libc6:i386", false, "Inst")
	f.Fuzz(func(t *testing.T, name string, isNew bool, noise string) {
		if len(strings.Fields(name)) != 1 || strings.Fields(name)[0] != name || strings.ContainsAny(noise, "\n") ||
			strings.HasPrefix(strings.TrimSpace(noise), "Inst") || strings.HasPrefix(strings.TrimSpace(noise), "Remv") || strings.HasPrefix(strings.TrimSpace(noise), "Purg") {
			t.Skip("not as apt writes")
		}
		line, want := fmt.Sprintf("Inst %s [1] (2 x [amd64])", name), simulation{upgraded: []string{name}}
		if isNew {
			line, want = fmt.Sprintf("Inst %s (2 x [amd64])", name), simulation{added: []string{name}}
		}
		got := parseSimulation(noise + "\n" + line + "\n" + noise)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(simulation{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAptErrors(t *testing.T) {
	const failed = "Reading package lists...\nErr:1 http://deb.debian.org/debian bookworm InRelease\nsome text\nE: Unable to locate package dockerd\n"
	if got, want := aptErrors(failed), "Err:1 http://deb.debian.org/debian bookworm InRelease | E: Unable to locate package dockerd"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := aptErrors("1\n2\n3\n4\n5\n6\n"), "2 | 3 | 4 | 5 | 6"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAccounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group")
	writeFile(t, path, "root:x:0:\ndocker:x:105:alice,bob\n# a remark\nbroken:x\nodd:x:many:\n\npeople:x:1000:\n")
	if diff := cmp.Diff(map[string]int{"root": 0, "docker": 105, "people": 1000}, accounts(path)); diff != "" {
		t.Error(diff)
	}
	if got := accounts(path + "-absent"); len(got) != 0 {
		t.Errorf("got %v out of no file", got)
	}
	if got := accounts("/etc/passwd"); got["root"] != 0 || len(got) < 5 {
		t.Errorf("the machine's users are %v", got)
	}
}

// Only accounts that came since, with numbers for packages, are a package's.
func TestFindAccounts(t *testing.T) {
	all := func(path string) (names []string) {
		for name := range accounts(path) {
			names = append(names, name)
		}
		return names
	}
	numbered := func(path string, is func(int) bool) string {
		for name, id := range accounts(path) {
			if is(id) {
				return name
			}
		}
		lacking(t, "no account in "+path+" has a number of the kind looked for")
		return ""
	}
	const users, groups = "/etc/passwd", "/etc/group"
	ofPackage := func(id int) bool { return 100 <= id && id < 1000 }
	user, group := numbered(users, ofPackage), numbered(groups, ofPackage)
	system := []string{"root", "daemon", "nobody", "nogroup"}
	tests := []struct {
		name          string
		lack          map[string][]string // accounts that were not there before
		users, groups []string
	}{
		{name: "nothing new"},
		{"a package's", map[string][]string{users: {user}, groups: {group}}, []string{user}, []string{group}},
		{name: "the system's and people's", lack: map[string][]string{users: system, groups: system}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record{Accounts: map[string][]string{}}
			for _, path := range []string{users, groups} {
				for _, name := range all(path) {
					if !slices.Contains(tt.lack[path], name) {
						r.Accounts[path] = append(r.Accounts[path], name)
					}
				}
			}
			r.findAccounts()
			if diff := cmp.Diff(tt.users, r.Users, cmpopts.EquateEmpty()); diff != "" {
				t.Error("users:", diff)
			}
			if diff := cmp.Diff(tt.groups, r.Groups, cmpopts.EquateEmpty()); diff != "" {
				t.Error("groups:", diff)
			}
		})
	}
	// Without knowledge of the time before, nobody is new.
	for _, r := range []record{{}, {Accounts: map[string][]string{users: {}, groups: nil}}} {
		if r.findAccounts(); len(r.Users)+len(r.Groups) != 0 {
			t.Errorf("users %v and groups %v are taken for new ones", r.Users, r.Groups)
		}
	}
}

func TestPackageState(t *testing.T) {
	if _, err := lookPath("dpkg-query"); err != nil {
		lacking(t, "this is not Debian: there is no dpkg-query")
	}
	for name, want := range map[string]string{"dpkg": "installed", "no-such-package-at-all": "not-installed"} {
		if got, err := packageState(name); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	// That dpkg cannot say is not that the package is not there.
	if got, err := packageState("--no-such-option"); err == nil {
		t.Errorf("a question that dpkg refuses is answered with %q", got)
	}
	got, err := Missing([]string{"dpkg", "no-such-package-at-all"})
	if diff := cmp.Diff([]string{"no-such-package-at-all"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestWithout(t *testing.T) {
	environ := []string{"PATH=/bin", "PATHS=x", "DOCKER_HOST=a=b", "odd"}
	if diff := cmp.Diff([]string{"PATHS=x", "odd"}, without(environ, "PATH", "DOCKER_HOST")); diff != "" {
		t.Error(diff)
	}
	if environ[0] != "PATH=/bin" {
		t.Error("the caller's environment was changed")
	}
	if diff := cmp.Diff(map[string]string{"PATH": "/bin", "PATHS": "x", "DOCKER_HOST": "a=b"}, environment(environ)); diff != "" {
		t.Error(diff)
	}
}

func TestInstallNothing(t *testing.T) {
	if _, err := lookPath("dpkg-query"); err != nil {
		lacking(t, "this is not Debian: there is no dpkg-query")
	}
	if err := Install(t.Context(), World{Stderr: os.Stderr}, []string{"dpkg"}); err != nil {
		t.Errorf("installing what is there: %v", err)
	}
	if os.Geteuid() == 0 {
		return
	}
	if err := Install(t.Context(), World{Stderr: os.Stderr}, []string{"no-such-package"}); err == nil || !strings.Contains(err.Error(), "run this as root") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}
