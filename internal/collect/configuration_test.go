package collect

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/facts"
)

// rootOf makes a root with the files, of which those that begin with "-> " are
// links and those that are "|" pipes.
func rootOf(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(to, name)
		} else if text == "|" {
			err = unix.Mkfifo(name, 0o600)
		} else {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// line is a command line as /proc has it.
func line(words ...string) string { return strings.Join(words, "\x00") + "\x00" }

const unit = "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n"

func TestConfiguration(t *testing.T) {
	const file = "proc/7/root/etc/docker/daemon.json"
	plain := map[string]string{"proc/7/comm": "dockerd\n", "proc/7/cmdline": line("/usr/bin/dockerd", "-H", "fd://", "--icc=false"), file: `{"live-restore": true, "log-opts": {"token": "x", "tag": "y"}}`}
	for name, test := range map[string]struct {
		change map[string]string // "" takes a file away
		pid    int
		reason string // of what is unseen
		want   func(c *facts.DaemonConfig) bool
	}{
		"both": {want: func(c *facts.DaemonConfig) bool {
			return !c.ICC && c.File == "/etc/docker/daemon.json" && slices.Equal(c.Hosts, []string{"fd://"}) && c.UserlandProxy && c.LogOptions["token"] == "***" && c.LogOptions["tag"] == "y" &&
				c.Origins["icc"] == "--icc on the command line" && c.Origins["live-restore"] == c.File && c.Origins["mtu"] == "default"
		}},
		"no file":                   {change: map[string]string{file: ""}, want: func(c *facts.DaemonConfig) bool { return c.Origins["live-restore"] == "default" && !c.ICC }},
		"a link in its root":        {change: map[string]string{file: "-> /opt/d.json", "proc/7/root/opt/d.json": `{"userland-proxy": false}`}, want: func(c *facts.DaemonConfig) bool { return !c.UserlandProxy }},
		"a link that leads nowhere": {change: map[string]string{file: "-> ../../../../../../etc/passwd"}, want: func(c *facts.DaemonConfig) bool { return !c.ICC }},
		"another file": {change: map[string]string{"proc/7/cmdline": line("dockerd", "--config-file=/x.json"), "proc/7/root/x.json": `{"icc": false, "iccc": 1}`}, want: func(c *facts.DaemonConfig) bool {
			return !c.ICC && c.File == "/x.json" && slices.Equal(c.Unknown, []string{"iccc"})
		}},
		"said twice":      {change: map[string]string{file: `{"icc": true}`}, want: func(c *facts.DaemonConfig) bool { return !c.ICC && slices.Equal(c.Conflicts, []string{"icc"}) }},
		"rootless":        {change: map[string]string{"proc/7/cmdline": line("dockerd", "--rootless"), "proc/7/environ": line("HOME=/home/ana"), "proc/7/root/home/ana/.config/docker/daemon.json": `{"icc": false}`}, want: func(c *facts.DaemonConfig) bool { return !c.ICC && c.File == "/home/ana/.config/docker/daemon.json" }},
		"rootless, moved": {change: map[string]string{"proc/7/cmdline": line("dockerd", "--rootless"), "proc/7/environ": line("HOME=/home/ana", "XDG_CONFIG_HOME=/c"), "proc/7/root/c/docker/daemon.json": `{"icc": false}`}, want: func(c *facts.DaemonConfig) bool { return !c.ICC && c.File == "/c/docker/daemon.json" }},
		"behind systemd":  {pid: 1, change: map[string]string{"proc/1/root/run/docker.pid": "7", "proc/7/stat": "7 (do (c) kerd) S 1 7 7 0"}, want: func(c *facts.DaemonConfig) bool { return !c.ICC }},

		"units where the process is hidden": {change: map[string]string{"proc/7/cmdline": "", "lib/systemd/system/docker.service": unit, "etc/systemd/system/docker.service.d/b.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --userland-proxy=false $DOCKER_OPTS\n",
			"usr/lib/systemd/system/docker.service.d/b.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --icc=false\n", "etc/default/docker": "DOCKER_OPTS='--log-level warn'\n", "etc/docker/daemon.json": `{"live-restore": true}`},
			want: func(c *facts.DaemonConfig) bool {
				return c.ICC && !c.UserlandProxy && c.LogLevel == "warn" && c.Origins["userland-proxy"] == "--userland-proxy in /etc/systemd/system/docker.service.d/b.conf" && c.Origins["live-restore"] == "/etc/docker/daemon.json"
			}},
		"units where the daemon was not found": {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": "-> /opt/docker.service", "opt/docker.service": unit}, want: func(c *facts.DaemonConfig) bool { return c.ICC && slices.Equal(c.Hosts, []string{"fd://"}) }},
		"a unit of something else":             {pid: 1, change: map[string]string{"lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/podman system service\n"}, reason: "the engine's process is not on this machine, or hidden"},
		"a unit that is masked":                {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": "[Service]\n", "lib/systemd/system/docker.service": unit}, reason: "the engine's process is not on this machine, or hidden"},
		"a unit with open quotes":              {pid: 1, change: map[string]string{"lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd \"x\n"}, reason: "the units of the daemon cannot be read: /lib/systemd/system/docker.service line 2: the quote"},
		"a unit with wrong flags":              {pid: 1, change: map[string]string{"lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd --icc=x\n"}, reason: "/lib/systemd/system/docker.service: the daemon's flag --icc is"},
		"a drop-in that is a pipe":             {pid: 1, change: map[string]string{"lib/systemd/system/docker.service": unit, "etc/systemd/system/docker.service.d/a.conf": "|"}, reason: "/etc/systemd/system/docker.service.d/a.conf cannot be read: it is no regular file"},

		"units with what is for all": {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": unit, "etc/systemd/system/service.d/a.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --icc=false\n", "etc/systemd/system/socket.d/a.conf": "[Service]\nExecStart=/x\n"},
			want: func(c *facts.DaemonConfig) bool { return !c.ICC }},
		"units with what comes before it": {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": unit, "etc/systemd/system/service.d/a.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --icc=false\n", "usr/lib/systemd/system/docker.service.d/a.conf": "[Service]\n"},
			want: func(c *facts.DaemonConfig) bool { return c.ICC }},
		"units with what is known": {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd -H unix://%t/alt.sock\n"}, want: func(c *facts.DaemonConfig) bool { return slices.Equal(c.Hosts, []string{"unix:///run/alt.sock"}) }},
		"units with what is not":   {pid: 1, change: map[string]string{"etc/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd -H unix:///%i\n"}, reason: "the units of the daemon cannot be read: /etc/systemd/system/docker.service: what %i stands for"},
		"a pipe":                   {change: map[string]string{file: "|"}, reason: "/etc/docker/daemon.json cannot be read: it is no regular file"},
		"malformed":                {change: map[string]string{file: "{\n\"icc\": false,,\n}"}, reason: "/etc/docker/daemon.json line 2: "},
		"of the wrong kind":        {change: map[string]string{file: `{"hosts": "fd://"}`}, reason: "/etc/docker/daemon.json line 1, column 11: hosts is no list"},
		"none at all":              {change: map[string]string{"proc/7/cmdline": ""}, reason: "the daemon's command line may not be looked at by this user"},
		"a wrong flag":             {change: map[string]string{"proc/7/cmdline": line("dockerd", "--icc=perhaps")}, reason: "the daemon's command line cannot be read: the daemon's flag --icc is "},
		"another program":          {change: map[string]string{"proc/7/comm": "socat\n"}, reason: "what listens on the engine's socket is not the engine"},
		"on another machine":       {pid: -1, reason: "the engine's process is not on this machine, or hidden"},
		"systemd alone":            {pid: 1, reason: "the engine's process is not on this machine, or hidden"},
		"systemd and a stranger":   {pid: 1, change: map[string]string{"proc/1/root/run/docker.pid": "7", "proc/7/stat": "7 (dockerd) S 5 7 7 0"}, reason: "the engine's process is not on this machine, or hidden"},
		"rootless, hidden":         {change: map[string]string{"proc/7/cmdline": line("dockerd", "--rootless")}, reason: "where the daemon's file is may not be looked at by this user"},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(plain)
			maps.Copy(files, test.change)
			maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
			if _, there := files["proc/7/root/etc/docker/daemon.json"]; !there {
				files["proc/7/root/etc/passwd"] = ""
			}
			pid := test.pid
			if pid == 0 {
				pid = 7
			}
			told := 0
			c := &collector{Config: Config{Root: rootOf(t, files)}, facts: &facts.Facts{}, noHost: "the engine's process is not on this machine, or hidden"}
			if pid >= 0 {
				var err error
				if c.host, err = openTree(c.Root); err != nil {
					t.Fatal(err)
				}
				defer c.host.close()
			}
			c.DaemonFile = func(file string, data []byte, pidFile string) {
				told++
				// The process sees the one, and the units lead to the other.
				texts := []string{files["proc/7/root"+file], files[strings.TrimPrefix(file, "/")]}
				if !slices.Contains(texts, string(data)) && !strings.HasPrefix(texts[0], "-> ") || file == "" || pidFile != "/var/run/docker.pid" {
					t.Errorf("told of %s, which holds %q, and %s", file, data, pidFile)
				}
			}
			c.configFacts(c.startedAs(pid))
			reason := reasonFor(c.facts.Unseen, "daemon.config")
			if (told == 1) != (test.want != nil) {
				t.Errorf("told %d times of the file", told)
			}
			if (test.want == nil) != (reason != "") || !strings.HasPrefix(reason, test.reason) {
				t.Fatalf("unseen: %q, want %q", reason, test.reason)
			}
			if got := &c.facts.Daemon.Config; test.want != nil && !test.want(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestFileChangedSince: what a daemon.json says that was changed after the daemon had
// started may not hold; what a flag says does.
func TestFileChangedSince(t *testing.T) {
	for name, test := range map[string]struct {
		age     time.Duration // of the file, by when the daemon started
		btime   string
		changed bool
	}{
		"before":            {-time.Hour, "\nbtime 1000000\n", false},
		"in the same start": {time.Second, "\nbtime 1000000\n", false},
		"after":             {time.Minute, "\nbtime 1000000\n", true},
		"nobody knows":      {time.Minute, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			root := rootOf(t, map[string]string{"proc/stat": "cpu 1" + test.btime, "proc/7/comm": "dockerd\n", "proc/7/cmdline": line("dockerd", "--icc=false"),
				"proc/7/stat": "7 (do (c) kerd) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 50000 0 0", "proc/7/root/etc/docker/daemon.json": `{"userland-proxy": false}`})
			at := time.Unix(1_000_000+500, 0).Add(test.age)
			if err := os.Chtimes(filepath.Join(root, "proc/7/root/etc/docker/daemon.json"), at, at); err != nil {
				t.Fatal(err)
			}
			host, err := openTree(root)
			if err != nil {
				t.Fatal(err)
			}
			defer host.close()
			c := &collector{Config: Config{Root: root}, facts: &facts.Facts{}, host: host}
			c.configFacts(c.startedAs(7))
			if got := reasonFor(c.facts.Unseen, "daemon.config.userland_proxy") != ""; got != test.changed || reasonFor(c.facts.Unseen, "daemon.config.icc") != "" {
				t.Errorf("unseen %+v", c.facts.Unseen)
			}
			if c.facts.Daemon.Config.ICC || c.facts.Daemon.Config.UserlandProxy {
				t.Errorf("got %+v", c.facts.Daemon.Config)
			}
		})
	}
}

// TestConfigFields: every fact of the configuration says which options it comes from.
func TestConfigFields(t *testing.T) {
	aboutTheFile := []string{"file", "conflicts", "unknown", "origins"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[facts.DaemonConfig]()) {
		name := f.Tag.Get("json")
		if slices.Contains(aboutTheFile, name) {
			continue
		}
		i := slices.IndexFunc(configFields, func(known struct {
			fact string
			keys []string
		}) bool {
			return known.fact == name
		})
		if i < 0 {
			t.Errorf("%s is in no line of configFields", name)
			continue
		}
		for _, key := range configFields[i].keys {
			if !slices.ContainsFunc(dockerd.Options, func(o dockerd.Option) bool { return o.Key == key }) {
				t.Errorf("%s: %s is no option", name, key)
			}
		}
	}
}
