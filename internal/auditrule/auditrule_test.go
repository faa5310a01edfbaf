package auditrule

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(t *testing.T, text string) *Set {
	t.Helper()
	s, err := Parse([]Source{{"a.rules", []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRecorded(t *testing.T) {
	for _, tc := range []struct {
		name, rules string
		path        string
		folder      bool
		want        string
		by          int
	}{
		{"nothing", "", "/etc/docker", true, "", 0},
		{"the path itself", "-w /usr/bin/dockerd -p rwxa -k docker", "/usr/bin/dockerd", false, "rwxa", 1},
		{"no permissions are all", "-w /usr/bin/dockerd", "/usr/bin/dockerd", false, "rwxa", 1},
		{"some permissions", "-w /usr/bin/dockerd -p aw", "/usr/bin/dockerd", false, "wa", 1},
		{"two rules", "-w /usr/bin/dockerd -p w\n-w /usr/bin/dockerd -p xa", "/usr/bin/dockerd", false, "wxa", 2},
		{"a folder above", "-w /etc/", "/etc/docker/daemon.json", false, "rwxa", 1},
		{"a folder with such a beginning", "-w /etc/dock", "/etc/docker", true, "", 0},
		{"the root", "-a always,exit -F dir=/ -F perm=wa", "/etc/docker", true, "wa", 1},
		{"a file below a folder", "-w /etc/docker/daemon.json", "/etc/docker", true, "", 0},
		{"a folder", "-w /etc/docker", "/etc/docker", true, "rwxa", 1},
		{"a folder alone", "-a always,exit -F path=/etc/docker", "/etc/docker", true, "", 0},
		{"a path above", "-a always,exit -F path=/etc", "/etc/docker", true, "", 0},
		{"a folder by its field", "-a exit,always -F dir=/etc/docker -F perm=wa -F key=x", "/etc/docker", true, "wa", 1},
		{"a path by its field", "-a always,exit -F arch=b64 -F path=/usr/bin/runc -F perm=x", "/usr/bin/runc", false, "x", 1},
		{"programs of the other kind alone", "-a always,exit -F arch=b32 -F path=/usr/bin/runc -F perm=x", "/usr/bin/runc", false, "", 1},
		{"people only", "-a always,exit -F path=/usr/bin/runc -F auid>=1000", "/usr/bin/runc", false, "", 1},
		{"some calls only", "-a always,exit -S openat -F path=/usr/bin/runc", "/usr/bin/runc", false, "", 1},
		{"all calls", "-a always,exit -S all -F path=/usr/bin/runc", "/usr/bin/runc", false, "rwxa", 1},
		{"calls of the machine", "-a always,exit -F arch=b64 -S execve", "/usr/bin/runc", false, "", 0},
		{"never before", "-a never,exit -F dir=/usr/bin\n-w /usr/bin/runc", "/usr/bin/runc", false, "", 2},
		{"never behind", "-w /usr/bin/runc -p wa\n-a never,exit -F dir=/usr/bin", "/usr/bin/runc", false, "wa", 2},
		{"never put in front", "-w /usr/bin/runc\n-A never,exit -F dir=/usr/bin -F perm=r", "/usr/bin/runc", false, "wxa", 2},
		{"never somewhere else", "-a never,exit -F dir=/opt\n-w /usr/bin/runc", "/usr/bin/runc", false, "rwxa", 1},
		{"never for one user", "-a never,exit -F dir=/usr/bin -F uid=7\n-w /usr/bin/runc", "/usr/bin/runc", false, "rwxa", 1},
		{"never at all", "-w /usr/bin/runc\n-a never,task", "/usr/bin/runc", false, "", 1},
		{"forgotten", "-w /usr/bin/runc\n-D", "/usr/bin/runc", false, "", 0},
		{"forgotten before", "-D\n-w /usr/bin/runc", "/usr/bin/runc", false, "rwxa", 1},
		{"taken back", "-w /usr/bin/runc -p wa\n-W /usr/bin/runc -p wa", "/usr/bin/runc", false, "", 0},
		{"another taken back", "-w /usr/bin/runc -p wa\n-W /usr/bin/runc -p w", "/usr/bin/runc", false, "wa", 1},
		{"of what records are left out", "-a always,exclude -F msgtype=CWD\n-w /usr/bin/runc", "/usr/bin/runc", false, "rwxa", 1},
		{"quotes and comments", "# -D\n\t-w \"/usr/bin/my runc\" -k 'a b'\n", "/usr/bin/my runc", false, "rwxa", 1},
		{"a space behind a backslash", `-w /usr/bin/my\ runc`, "/usr/bin/my runc", false, "rwxa", 1},
	} {
		got, by := parsed(t, tc.rules).Recorded(tc.path, tc.folder)
		if got != tc.want || len(by) != tc.by {
			t.Errorf("%s: %q by %q, want %q by %d", tc.name, got, by, tc.want, tc.by)
		}
	}
}

func TestParseEnds(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"-w /a\n-w a", `a.rules line 2: the path "a"`},
		{"-w", "line 1: -w has no value"},
		{"-w /a -p z", "no permissions"},
		{"-a sometimes,exit -F path=/a", "no list and action"},
		{"-a always,exit -F path=a", "is no path"},
		{"-a always,exit -F path=/a -F dir=/b", "a second one"},
		{"-a always,exit -F perm=q", "no permissions"},
		{"-a always,exit -F path", "no field"},
		{"-w /a -a always,exit", "a watch has no list"},
		{"-e 3", "is not 0, 1 or 2"},
		{"w /a", "is no option"},
		{`-w "/a`, "not closed"},
	} {
		if _, err := Parse([]Source{{"a.rules", []byte(tc.text)}}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.text, err, tc.want)
		}
	}
	for text, enabled := range map[string]int{"": -1, "-e 1": 1, "-e 1\n-e 2": 2, "-b 8192\n-f 1\n--loginuid-immutable\n-i\n--backlog_wait_time 60000\n-r 0": -1} {
		if s := parsed(t, text); s.Enabled != enabled || len(s.Rules) > 0 {
			t.Errorf("%q: %+v", text, s)
		}
	}
	if _, err := Parse([]Source{{"a.rules", []byte(strings.Repeat("-w /a\n", maxRules+1))}}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("too many: %v", err)
	}
}

func TestMerge(t *testing.T) {
	merged := Merge([]Source{{"/r/30-x.rules", []byte("-D\n-w /c")}, {"/r/README", []byte("no")}, {"/r/9-x.rules", []byte("-w /a")}, {"/r/10.rules", []byte("-w /b\n -D ")}})
	var names []string
	for _, m := range merged {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"/r/9-x.rules", "/r/10.rules", "/r/30-x.rules"}, names); diff != "" {
		t.Error(diff)
	}
	s, err := Parse(merged)
	if err != nil || len(s.Rules) != 3 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Parse(Merge([]Source{{"/r/a.rules", []byte("-D\n-w x")}})); err == nil || !strings.Contains(err.Error(), "/r/a.rules line 2") {
		t.Errorf("the line is %v", err)
	}
}

func TestResolveAndLacks(t *testing.T) {
	s := parsed(t, "-w /var/run/docker.sock -p wa\n-a always,exit -F dir=/lib -F perm=wa\n-b 10\n-a always,exit -S mount")
	s.Resolve(func(p string) string { return strings.Replace(p, "/var/run", "/run", 1) }, func(p string) string { return "/usr" + p })
	if got, _ := s.Recorded("/run/docker.sock", false); got != "wa" {
		t.Errorf("the socket: %q", got)
	}
	if got, _ := s.Recorded("/usr/lib/systemd/x", false); got != "wa" {
		t.Errorf("below /lib: %q", got)
	}
	loaded := parsed(t, "-a always,exit -F path=/run/docker.sock -F perm=wa -F key=docker")
	if diff := cmp.Diff([]string{"-a always,exit -F dir=/lib -F perm=wa"}, loaded.Lacks(s)); diff != "" {
		t.Error(diff)
	}
	if lacks := s.Lacks(loaded); len(lacks) > 0 {
		t.Errorf("lacks %q", lacks)
	}
}

// FuzzParse: each rule stands in a line that alone makes the same rule, and what is
// recorded are permissions in their order, each by a rule of the set.
func FuzzParse(f *testing.F) {
	f.Add("-D\n-w /etc/docker -p wa -k x\n-a never,exit -F dir=/a -F uid=1", "/etc/docker/x", true)
	f.Add(`-A exit,always -F path="/a b" -S all`+"\n-e 2", "/a b", false)
	f.Fuzz(func(t *testing.T, text, p string, folder bool) {
		s, err := Parse([]Source{{"f", []byte(text)}})
		if err != nil {
			return
		}
		for _, r := range s.Rules {
			alone, err := Parse([]Source{{"f", []byte(r.Text)}})
			if err != nil || len(alone.Rules) != 1 {
				t.Fatalf("%q alone is %+v, %v", r.Text, alone, err)
			}
			if diff := cmp.Diff(r, alone.Rules[0]); diff != "" {
				t.Errorf("%q alone: %s", r.Text, diff)
			}
		}
		got, by := s.Recorded(p, folder)
		if inOrder(got) != got || got != "" && len(by) == 0 {
			t.Errorf("%q by %q", got, by)
		}
		for _, text := range by {
			if !slices.ContainsFunc(s.Rules, func(r Rule) bool { return r.Text == text }) {
				t.Errorf("%q is no rule", text)
			}
		}
	})
}
