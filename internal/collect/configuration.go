package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// maxConfigurationBytes bounds a daemon.json and a daemon's environment.
const maxConfigurationBytes = 1 << 20

// configured is how the engine's daemon was started, or why that is not known.
type configured struct {
	config *dockerd.Config
	file   string
	reason string
}

// configuration reads how the daemon of the process pid, which listens on the
// engine's socket, was started: its command line, and the file that this names.
func (c *collector) configuration(pid int) configured {
	if c.Root == "" || pid <= 0 {
		return configured{reason: "the engine's process is not on this machine, or hidden"}
	}
	if pid == 1 {
		if pid = c.daemonOfSystemd(); pid == 0 {
			return configured{reason: "systemd listens for the engine, and its daemon was not found"}
		}
	}
	proc := c.proc(pid)
	line, err := readBounded(unix.AT_FDCWD, filepath.Join(proc, "cmdline"), nil)
	// After reading: a pid that was reused in between names another program.
	if name, nameErr := readName(proc); nameErr != nil || name != "dockerd" {
		return configured{reason: "what listens on the engine's socket is not the engine"}
	}
	if err != nil || len(line) == 0 {
		return configured{reason: "the daemon's command line may not be looked at by this user"}
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	flags, err := dockerd.ParseCommandLine(words, "")
	if err != nil {
		return configured{reason: "the daemon's command line cannot be read: " + err.Error()}
	}
	started := dockerd.Merge(flags, nil)
	out := configured{file: started.Text("config-file")}
	if started.Bool("rootless") && !started.IsSet("config-file") {
		if out.file = rootlessFile(proc); out.file == "" {
			return configured{reason: "where the daemon's file is may not be looked at by this user"}
		}
	}
	data, err := c.fileOf(proc, out.file)
	if err != nil {
		return configured{file: out.file, reason: out.file + " cannot be read: " + err.Error()}
	}
	file, err := dockerd.ParseFile(out.file, data)
	if err != nil {
		return configured{file: out.file, reason: err.Error()}
	}
	out.config = dockerd.Merge(flags, file)
	return out
}

// daemonOfSystemd is the daemon's process where systemd made its socket, by the
// file that the daemon writes, or 0. It must be systemd's child.
func (c *collector) daemonOfSystemd() int {
	data, err := readBounded(unix.AT_FDCWD, filepath.Join(c.proc(1), "root/run/docker.pid"), nil)
	if err != nil {
		return 0
	}
	var pid, parent int
	if _, err := fmt.Sscan(string(data), &pid); err != nil || pid <= 1 {
		return 0
	}
	stat, err := readBounded(unix.AT_FDCWD, filepath.Join(c.proc(pid), "stat"), nil)
	if err != nil {
		return 0
	}
	var state string
	if _, err := fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent); err != nil || parent != 1 {
		return 0
	}
	return pid
}

// rootlessFile is where a rootless daemon looks for its file: in the folder for
// configuration of the user that it runs as.
func rootlessFile(proc string) string {
	data, err := readBounded(unix.AT_FDCWD, filepath.Join(proc, "environ"), nil)
	if err != nil {
		return ""
	}
	home := ""
	for variable := range strings.SplitSeq(string(data), "\x00") {
		if dir, found := strings.CutPrefix(variable, "XDG_CONFIG_HOME="); found && dir != "" {
			return path.Join(dir, "docker/daemon.json")
		}
		if dir, found := strings.CutPrefix(variable, "HOME="); found && dir != "" {
			home = path.Join(dir, ".config/docker/daemon.json")
		}
	}
	return home
}

// fileOf reads a regular file as a process sees it, links followed in its own tree;
// nil is none.
func (c *collector) fileOf(proc, name string) ([]byte, error) {
	root, err := openTree(filepath.Join(proc, "root"))
	if err != nil {
		return nil, errors.New("the engine's process may not be looked at by this user")
	}
	defer root.close()
	resolved, at, err := root.follow(name, nil)
	switch {
	case err != nil || at == nil:
		return nil, err
	case at.Mode&unix.S_IFMT != unix.S_IFREG:
		return nil, errors.New("it is no regular file")
	}
	// What was a link is none now; one that came since leads nowhere.
	fd, err := unix.Openat2(root.root, "."+resolved, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigurationBytes+1))
	if err == nil && len(data) > maxConfigurationBytes {
		err = fmt.Errorf("it has more than %d bytes", maxConfigurationBytes)
	}
	return data, err
}

// configFacts makes facts of the configuration.
func (c *collector) configFacts(read configured) {
	out := &c.facts.Daemon.Config
	*out = facts.DaemonConfig{File: read.file, Hosts: []string{}, LogOptions: map[string]string{}, StorageOptions: []string{},
		DefaultUlimits: map[string]string{}, Conflicts: []string{}, Unknown: []string{}, Origins: map[string]string{}}
	if read.config == nil {
		c.unseen("daemon.config", read.reason)
		return
	}
	from := read.config
	out.Hosts, out.StorageOptions = from.List("hosts"), from.List("storage-opts")
	out.TLS, out.TLSVerify = from.Bool("tls") || from.Bool("tlsverify"), from.Bool("tlsverify")
	out.TLSCACert, out.TLSCert, out.TLSKey = from.Text("tlscacert"), from.Text("tlscert"), from.Text("tlskey")
	out.Group, out.LogLevel, out.CgroupParent = from.Text("group"), from.Text("log-level"), from.Text("cgroup-parent")
	out.ICC, out.IPTables, out.UserlandProxy = from.Bool("icc"), from.Bool("iptables"), from.Bool("userland-proxy")
	out.LogOptions, out.DefaultUlimits = withoutSecrets(from.Map("log-opts")), from.Map("default-ulimits")
	out.SeccompProfile, out.UsernsRemap = from.Text("seccomp-profile"), from.Text("userns-remap")
	out.MetricsAddress = from.Text("metrics-addr")
	out.Conflicts, out.Unknown = append(out.Conflicts, from.Conflicts...), append(out.Unknown, from.Unknown...)
	const unsaid = "daemon.no_new_privileges" // by engines before 24.0
	if i := slices.IndexFunc(c.facts.Unseen, func(u workload.Unseen) bool { return u.Path == unsaid }); i >= 0 {
		c.facts.Unseen = slices.Delete(c.facts.Unseen, i, i+1)
		c.facts.Daemon.NoNewPrivileges = from.Bool("no-new-privileges")
		if c.around.Daemon != nil {
			c.around.Daemon.NoNewPrivileges, c.around.Daemon.NoNewPrivilegesSeen = c.facts.Daemon.NoNewPrivileges, true
		}
	}
	for i := range dockerd.Options {
		if key := dockerd.Options[i].Key; key != "" {
			out.Origins[key] = from.Get(key).Origin.String()
		}
	}
}
