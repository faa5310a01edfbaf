package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// told is a use in a line.
func told(u facts.ContentTrustUse) string {
	text := fmt.Sprintf("%s %s:%d %s %s", u.Kind, u.Path, u.Line, u.Setting, u.Server)
	if u.Name != "" {
		text += " " + u.Name + " " + u.UID
	}
	if u.Keys+u.Repositories > 0 {
		text += fmt.Sprintf(" %d+%d", u.Keys, u.Repositories)
	}
	return text
}

// TestScan: one line as each kind of file has it, and lines that set nothing.
func TestScan(t *testing.T) {
	for text, want := range map[string]string{
		"export DOCKER_CONTENT_TRUST=1":                                                        "on ",
		"DOCKER_CONTENT_TRUST=0 docker pull x":                                                 "off ",
		"Environment=\"DOCKER_CONTENT_TRUST=1\" \"A=b\"":                                       "on ",
		"  DOCKER_CONTENT_TRUST: \"1\"":                                                        "on ",
		"    DOCKER_CONTENT_TRUST: '0'":                                                        "off ",
		"environment { DOCKER_CONTENT_TRUST = '1' }":                                           "on ",
		"export DOCKER_CONTENT_TRUST := true":                                                  "on ",
		"set -gx DOCKER_CONTENT_TRUST 1":                                                       "on ",
		"setenv DOCKER_CONTENT_TRUST 1":                                                        "on ",
		"- name: DOCKER_CONTENT_TRUST\n  value: \"1\"":                                         "on ",
		"withEnv(['DOCKER_CONTENT_TRUST=1']) {":                                                "on ",
		"{\"DOCKER_CONTENT_TRUST\": \"1\"}":                                                    "on ",
		"DOCKER_CONTENT_TRUST_SERVER=https://ana:hunter2@notary.example:4443/x":                " notary.example:4443",
		"DOCKER_CONTENT_TRUST_SERVER=notary.example":                                           " notary.example",
		"DOCKER_CONTENT_TRUST_SERVER=https://":                                                 " ?",
		"docker trust sign app:1":                                                              "on ",
		"docker push --disable-content-trust=false app:1":                                      "on ",
		"docker push --disable-content-trust app:1":                                            "",
		"DOCKER_CONTENT_TRUST_SERVER=https://n.example\nDOCKER_CONTENT_TRUST=1":                "on n.example",
		"DOCKER_CONTENT_TRUST_SERVER=https://n.example\nDOCKER_CONTENT_TRUST=0":                "off n.example",
		"DOCKER_CONTENT_TRUST_SERVER=a\nDOCKER_CONTENT_TRUST_SERVER=b\nDOCKER_CONTENT_TRUST=1": " a, b,on ",
		"DOCKER_CONTENT_TRUST=1 docker pull x # as DOCKER_CONTENT_TRUST=0":                     "on ",
		"docker pull x # DOCKER_CONTENT_TRUST=1":                                               "",
		"if [ \"$DOCKER_CONTENT_TRUST\" = 1 ]; then":                                           "",
		"test ${DOCKER_CONTENT_TRUST} = 1":                                                     "",
		"if DOCKER_CONTENT_TRUST == 1":                                                         "",
		"echo \"set DOCKER_CONTENT_TRUST=1\"; ls":                                              "",
		"echo DOCKER_CONTENT_TRUST=1 >&2":                                                      "",
		"echo DOCKER_CONTENT_TRUST=1 >> /etc/environment":                                      "on ",
		"echo x && DOCKER_CONTENT_TRUST=1 docker pull x":                                       "on ",
		"export DOCKER_CONTENT_TRUST=${DOCKER_CONTENT_TRUST:-1}":                               "on ",
		": ${DOCKER_CONTENT_TRUST:=0}":                                                         "off ",
		"# export DOCKER_CONTENT_TRUST=1":                                                      "",
		"; DOCKER_CONTENT_TRUST=1":                                                             "",
		"  // DOCKER_CONTENT_TRUST=1":                                                          "",
		"echo $DOCKER_CONTENT_TRUST":                                                           "",
		"DOCKER_CONTENT_TRUST=$X":                                                              "",
		"DOCKER_CONTENT_TRUST=":                                                                "",
		"unset DOCKER_CONTENT_TRUST":                                                           "",
		"MY_DOCKER_CONTENT_TRUST=1":                                                            "",
		"DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=hunter2":                                         "",
		"name: DOCKER_CONTENT_TRUST\nother: 1\nvalue: 1":                                       "",
	} {
		var found contentTrust
		found.scan("profile", "/f", []byte("trust\n"+text))
		var got []string
		for _, u := range found.uses {
			got = append(got, u.Setting+" "+u.Server)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTrustInAnEnvironment(t *testing.T) {
	for text, want := range map[string]string{
		"A=b\x00DOCKER_CONTENT_TRUST=1\x00": "on||true", "DOCKER_CONTENT_TRUST=0": "off||true", "DOCKER_CONTENT_TRUST=yes": "on||true",
		"DOCKER_CONTENT_TRUST_SERVER=https://n.example/\x00DOCKER_CONTENT_TRUST=1": "on|n.example|true", "DOCKER_CONTENT_TRUST=": "||false",
		"X=DOCKER_CONTENT_TRUST=1": "||false", "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=x": "||false", "": "||false",
	} {
		setting, server, found := trustIn([]byte(text))
		if got := fmt.Sprintf("%s|%s|%t", setting, server, found); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// trustTree is a machine with a use in every place that is looked at.
func trustTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	const on = "export DOCKER_CONTENT_TRUST=1\n"
	for name, text := range map[string]string{
		"etc/passwd":  "root:x:0:0::/root:/bin/sh\nana:x:1:1::/srv/ana:/bin/sh\nnobody:x:2:2::/nonexistent:/bin/false\nodd\nout:x:3:3::/../../out:/bin/sh\n",
		"etc/profile": "\n" + on, "etc/environment": on, "etc/profile.d/t.sh": on, "etc/profile.d/t.txt": on, "etc/bash.bashrc": "umask 022\n", "etc/default/docker": on,
		"root/.bashrc": on, "srv/ana/.zshrc": on, "srv/ana/.config/environment.d/a.conf": "DOCKER_CONTENT_TRUST=0\n", "home/ben/.profile": on, "root/other": on,
		"srv/ana/.config/systemd/user/u.service":                             "[Service]\nEnvironment=DOCKER_CONTENT_TRUST=1\n",
		"etc/systemd/system/app.service":                                     "[Service]\nEnvironmentFile=-/etc/app.env\nEnvironmentFile=/etc/%i.env\n",
		"etc/app.env":                                                        "DOCKER_CONTENT_TRUST_SERVER=https://notary.example\n",
		"etc/systemd/system/docker.service.d/t.conf":                         "[Service]\nEnvironment=\"DOCKER_CONTENT_TRUST=1\"\n",
		"usr/lib/systemd/system/docker.service":                              "[Service]\nEnvironment=DOCKER_CONTENT_TRUST=1\n",
		"usr/lib/systemd/system/cups.service":                                "[Service]\nEnvironment=DOCKER_CONTENT_TRUST=1\n",
		"root/.docker/trust/private/a.key":                                   "k",
		"root/.docker/trust/private/b.key":                                   "k",
		"root/.docker/trust/tuf/docker.io/ana/app/metadata/root.json":        "{}",
		"home/ben/.docker/trust/tuf/registry.example/app/metadata/root.json": "{}",
		"repo/.gitlab-ci.yml":                                                "variables:\n  DOCKER_CONTENT_TRUST: \"1\"\n", "repo/.github/workflows/a.yaml": "env:\n  DOCKER_CONTENT_TRUST: 1\n", "repo/src/a.yaml": "DOCKER_CONTENT_TRUST: 1\n",
		"repo/deep/Jenkinsfile": "// pipeline\nDOCKER_CONTENT_TRUST = '1'\n", "repo/node_modules/a.sh": on, "repo/x.sh": on, "one.txt": on,
		"proc/1/environ": "DOCKER_CONTENT_TRUST=1\x00", "proc/1/comm": "init\n",
		"proc/40/environ": "DOCKER_CONTENT_TRUST=1\x00PASSWORD=hunter2\x00", "proc/40/comm": "dockerd\n",
		"proc/41/environ": "DOCKER_CONTENT_TRUST=1\x00DOCKER_CONTENT_TRUST_SERVER=https://n.example\x00", "proc/41/comm": "bash\n",
		"proc/42/environ": "DOCKER_CONTENT_TRUST=1\x00DOCKER_CONTENT_TRUST_SERVER=https://n.example\x00", "proc/42/comm": "bash\n",
		"proc/43/environ": "HOME=/\x00", "proc/43/comm": "sh\n", "proc/44/environ": "DOCKER_CONTENT_TRUST=1\x00", "proc/44/comm": "plimsoll\n",
	} {
		put(t, filepath.Join(root, name), []byte(text))
	}
	if err := os.Symlink("44", filepath.Join(root, "proc/self")); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestFindContentTrust: each place, and no other, with the line.
func TestFindContentTrust(t *testing.T) {
	root := trustTree(t)
	host, err := openTree(root)
	if err != nil {
		t.Fatal(err)
	}
	defer host.close()
	c := collector{Config: Config{Root: root, CI: []string{"/repo", "/one.txt"}}, host: host, facts: &facts.Facts{}}
	found := c.findContentTrust(40)
	var got []string
	for _, u := range found.uses {
		got = append(got, told(u))
	}
	owner := strconv.Itoa(os.Geteuid())
	want := []string{
		"ci /one.txt:1 on ", "ci /repo/.github/workflows/a.yaml:2 on ", "ci /repo/.gitlab-ci.yml:2 on ", "ci /repo/deep/Jenkinsfile:2 on ", "ci /repo/x.sh:1 on ",
		"daemon :0 on  dockerd " + owner,
		"folder /home/ben/.docker/trust:0  registry.example 0+1", "folder /root/.docker/trust:0   2+1",
		"process :0 on n.example bash " + owner,
		"profile /etc/default/docker:1 on ", "profile /etc/environment:1 on ", "profile /etc/profile:2 on ", "profile /etc/profile.d/t.sh:1 on ", "profile /home/ben/.profile:1 on ",
		"profile /root/.bashrc:1 on ", "profile /srv/ana/.config/environment.d/a.conf:1 off ", "profile /srv/ana/.zshrc:1 on ",
		"unit /etc/app.env:1  notary.example", "unit /etc/systemd/system/docker.service.d/t.conf:2 on ", "unit /srv/ana/.config/systemd/user/u.service:2 on ",
		"unit /usr/lib/systemd/system/docker.service:2 on ",
	}
	if diff := cmp.Diff(want, got); diff != "" || found.rest != "" || found.whole != "" {
		t.Errorf("%q, %q (-want +got):\n%s", found.rest, found.whole, diff)
	}
	c.trustFacts(found)
	if len(c.facts.Host.ContentTrust) != len(want) || len(c.facts.Unseen) > 0 {
		t.Errorf("unseen %v", c.facts.Unseen)
	}
}

// TestContentTrustThatCannotBeSeen: what is no ordinary file, or is not there, leaves
// the list open, and a machine that is not looked at leaves it unseen.
func TestContentTrustThatCannotBeSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, root string) error
		ci    []string
		open  bool
	}{
		"all is well": {func(*testing.T, string) error { return nil }, nil, false},
		"a profile is a pipe": {func(_ *testing.T, root string) error {
			os.Remove(root + "/etc/profile")
			return unix.Mkfifo(root+"/etc/profile", 0o600)
		}, nil, true},
		"a profile is a link out": {func(_ *testing.T, root string) error {
			os.Remove(root + "/etc/profile")
			return os.Symlink("../../../../../../../../etc/hostname", root+"/etc/profile")
		}, nil, false},
		"a profile is a loop": {func(_ *testing.T, root string) error {
			os.Remove(root + "/etc/profile")
			return os.Symlink("profile", root+"/etc/profile")
		}, nil, true},
		"a profile is too large": {func(_ *testing.T, root string) error {
			return os.Truncate(root+"/etc/profile", maxConfigurationBytes+1)
		}, nil, true},
		"no such path of pipelines": {func(*testing.T, string) error { return nil }, []string{"/nowhere"}, true},
		"pipelines without end": {func(_ *testing.T, root string) error {
			return os.MkdirAll(root+"/repo/"+strings.Repeat("d/", maxCIDepth+1), 0o755)
		}, []string{"/repo"}, true},
		"pipelines with links": {func(_ *testing.T, root string) error { return os.Symlink("/", root+"/repo/loop") }, []string{"/repo"}, false},
	} {
		root := trustTree(t)
		if err := tc.spoil(t, root); err != nil {
			t.Fatal(err)
		}
		host, err := openTree(root)
		if err != nil {
			t.Fatal(err)
		}
		c := collector{Config: Config{Root: root, CI: tc.ci}, host: host, facts: &facts.Facts{}}
		c.trustFacts(c.findContentTrust(40))
		if got := reasonFor(c.facts.Unseen, "host.content_trust[...]"); (got != "") != tc.open || len(c.facts.Host.ContentTrust) < 5 {
			t.Errorf("%s: open for %q, %d uses", name, got, len(c.facts.Host.ContentTrust))
		}
		host.close()
	}
	root := trustTree(t)
	for _, ci := range [][]string{nil, {"/repo"}} {
		c := collector{Config: Config{Root: root, CI: ci}, noHost: "it is far", facts: &facts.Facts{}}
		c.trustFacts(c.findContentTrust(0))
		path := map[bool]string{true: "host.content_trust", false: "host.content_trust[...]"}[ci == nil]
		if reasonFor(c.facts.Unseen, path) != "it is far" || len(c.facts.Unseen) != 1 || len(c.facts.Host.ContentTrust) != 4*len(ci) {
			t.Errorf("%v: %v, %d uses", ci, c.facts.Unseen, len(c.facts.Host.ContentTrust))
		}
	}
}

// TestContentTrustOfAHost: the whole way, below a Root.
func TestContentTrustOfAHost(t *testing.T) {
	f := (&fake{containers: many(1)}).start(t)
	cfg := f.config()
	cfg.Root = trustTree(t)
	got := collect(t, cfg)
	if n := len(got.Host.ContentTrust); n < 15 {
		t.Errorf("%d uses", n)
	}
	for _, u := range got.Host.ContentTrust {
		if strings.Contains(told(u), "hunter2") {
			t.Errorf("%s has a value", told(u))
		}
	}
}

// FuzzScan: whatever a file holds, each use has a line of it, and no password that
// stands in an address.
func FuzzScan(f *testing.F) {
	for _, text := range []string{"export DOCKER_CONTENT_TRUST=1\n", "- name: DOCKER_CONTENT_TRUST\n  value: 1", "DOCKER_CONTENT_TRUST_SERVER=https://a:b@c/d", "docker trust sign"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var found contentTrust
		found.scan("ci", "/f", []byte(text+"\nDOCKER_CONTENT_TRUST_SERVER=https://u:q7Zv9kPx@h\n"))
		lines := int64(strings.Count(text, "\n") + 2)
		for _, u := range found.uses {
			if u.Line < 1 || u.Line > lines || strings.Contains(u.Server, "q7Zv9kPx") || u.Setting == "" && u.Server == "" {
				t.Errorf("%+v of %d lines", u, lines)
			}
		}
	})
}
