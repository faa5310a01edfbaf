package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
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
	data   []byte // what the file holds; nil is no file
	reason string
	// changed is true when the file was changed after the process had started, which
	// goes by what it said then.
	changed bool
	// runsAs is who its process is, or noAccount is why that is not known.
	runsAs    facts.Account
	noAccount string
}

// startedAs is the configuration of the daemon of process pid, and who it runs as.
func (c *collector) startedAs(pid int) configured {
	if pid == 1 && c.Root != "" {
		pid = c.daemonOfSystemd()
	}
	out := c.configuration(pid)
	out.noAccount = "the engine's process is not on this machine, or hidden"
	if c.host == nil || pid <= 0 {
		return out
	}
	content, err := readBounded(unix.AT_FDCWD, filepath.Join(c.proc(pid), "status"), nil)
	if err != nil {
		return out
	}
	if st, err := parseStatus(content); err == nil {
		out.runsAs, out.noAccount = facts.Account{UID: st.uid, GID: st.gid}, ""
	}
	return out
}

// configuration reads how the daemon of the process pid, which listens on the
// engine's socket, was started: its command line, and the file that this names.
// Where nobody may see its command line, systemd's units say how it is started. It is
// not known of an engine whose host's files are not looked at: these units would be
// another's.
func (c *collector) configuration(pid int) configured {
	if c.host == nil {
		return configured{reason: c.noHost}
	}
	flags, rootlessFile, reason := c.commandLine(pid)
	root, done := c.filesOf(pid, reason == "")
	defer done()
	var err error
	if reason != "" {
		if flags, err = unitFlags(root); err != nil {
			return configured{reason: err.Error()}
		}
		if flags == nil {
			return configured{reason: reason}
		}
	}
	out := configured{file: rootlessFile}
	if started := dockerd.Merge(flags, nil); out.file == "" || started.IsSet("config-file") {
		out.file = started.Text("config-file")
	}
	data, err := root.read(out.file)
	if err != nil {
		return configured{file: out.file, reason: out.file + " cannot be read: " + err.Error()}
	}
	file, err := dockerd.ParseFile(out.file, data)
	if err != nil {
		return configured{file: out.file, reason: err.Error()}
	}
	out.config, out.data = dockerd.Merge(flags, file), data
	if reason == "" {
		out.changed = c.changedSince(pid, root, out.file)
	}
	return out
}

// changedSince reports whether a file was changed after a process had started: by
// field 22 of its stat, in hundredths of a second since the time that the kernel
// started (proc_pid_stat(5), proc_stat(5)).
func (c *collector) changedSince(pid int, root *tree, name string) bool {
	stat, err := readBounded(unix.AT_FDCWD, filepath.Join(c.proc(pid), "stat"), nil)
	const started = 22 - 3 // behind the name and the state
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if err != nil || len(fields) <= started {
		return false
	}
	ticks, err := strconv.ParseInt(fields[started], 10, 64)
	kernel, err2 := readBounded(unix.AT_FDCWD, filepath.Join(c.Root, "proc/stat"), nil)
	_, booted, found := strings.Cut(string(kernel), "\nbtime ")
	booted, _, _ = strings.Cut(booted, "\n")
	boot, err3 := strconv.ParseInt(booted, 10, 64)
	if err != nil || err2 != nil || err3 != nil || !found {
		return false
	}
	_, at, err := root.follow(name, nil)
	return err == nil && at != nil && at.Mtim.Sec > boot+ticks/100+1
}

// filesOf opens the files that the engine's process sees, where that is known and may
// be looked through; or else those of the host. Done ends their use.
func (c *collector) filesOf(pid int, known bool) (root *tree, done func()) {
	if known {
		if root, err := openTree(filepath.Join(c.proc(pid), "root")); err == nil {
			return root, root.close
		}
	}
	return c.host, func() {}
}

// commandLine reads the flags of the daemon pid, and where it looks for its file if
// it is rootless; or gives the reason why not.
func (c *collector) commandLine(pid int) (flags []dockerd.Setting, rootlessFile, reason string) {
	if pid <= 0 {
		return nil, "", "the engine's process is not on this machine, or hidden"
	}
	proc := c.proc(pid)
	line, err := readBounded(unix.AT_FDCWD, filepath.Join(proc, "cmdline"), nil)
	// After reading: a pid that was reused in between names another program.
	if name, nameErr := readName(proc); nameErr != nil || name != "dockerd" {
		return nil, "", "what listens on the engine's socket is not the engine"
	}
	if err != nil || len(line) == 0 {
		return nil, "", "the daemon's command line may not be looked at by this user"
	}
	words := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if flags, err = dockerd.ParseCommandLine(words, ""); err != nil {
		return nil, "", "the daemon's command line cannot be read: " + err.Error()
	}
	if dockerd.Merge(flags, nil).Bool("rootless") {
		if rootlessFile = fileOfUser(proc); rootlessFile == "" {
			return nil, "", "where the daemon's file is may not be looked at by this user"
		}
	}
	return flags, rootlessFile, ""
}

// unitFolders are where systemd looks for units, the first first (systemd.unit(5)).
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unitFiles reads a unit and then its drop-ins by name, as systemd does; none where
// there is no such unit. One of the unit's own takes the place of one for all units of
// its kind, and of one in a later folder.
func (t *tree) unitFiles(unit string) ([]dockerd.UnitFile, error) {
	var files []dockerd.UnitFile
	dropIns := map[string]dockerd.UnitFile{}
	for _, folder := range unitFolders {
		if name := path.Join(folder, unit); len(files) == 0 {
			if data, err := t.read(name); err == nil && data != nil {
				files = append(files, dockerd.UnitFile{Name: name, Data: data})
			}
		}
	}
	for _, below := range []string{unit + ".d", allOfKind(unit)} {
		for _, folder := range unitFolders {
			if err := t.dropIns(path.Join(folder, below), dropIns); err != nil {
				return nil, err
			}
		}
	}
	if len(files) == 0 {
		return nil, nil
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[name])
	}
	return files, nil
}

// dropIns adds to found, by name, what is in a folder and not found before.
func (t *tree) dropIns(folder string, found map[string]dockerd.UnitFile) error {
	names, err := t.list(folder)
	if err != nil {
		return fmt.Errorf("the units of the daemon cannot be read: %w", err)
	}
	for _, name := range names {
		if _, before := found[name]; before || path.Ext(name) != ".conf" {
			continue
		}
		own := path.Join(folder, name)
		data, err := t.read(own)
		if err != nil {
			return fmt.Errorf("%s cannot be read: %w", own, err)
		}
		found[name] = dockerd.UnitFile{Name: own, Data: data}
	}
	return nil
}

// unitFlags reads the flags that systemd starts the daemon with; nil without a unit
// that starts one.
func unitFlags(root *tree) ([]dockerd.Setting, error) {
	files, err := root.unitFiles("docker.service")
	if err != nil || files == nil {
		return nil, err
	}
	u, err := dockerd.ParseUnits(files)
	if err != nil {
		return nil, fmt.Errorf("the units of the daemon cannot be read: %w", err)
	}
	environment := map[string][]byte{}
	for _, name := range u.EnvironmentFiles {
		if environment[name], err = root.read(name); err != nil {
			return nil, fmt.Errorf("%s cannot be read: %w", name, err)
		}
	}
	words, err := u.Command(environment)
	if err != nil || len(words) == 0 || path.Base(words[0]) != "dockerd" {
		return nil, err
	}
	flags, err := dockerd.ParseCommandLine(words, u.Origin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.Origin, err)
	}
	return append([]dockerd.Setting{}, flags...), nil
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

// fileOfUser is where a rootless daemon looks for its file: in the folder for
// configuration of the user that it runs as.
func fileOfUser(proc string) string {
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

// read reads a regular file of the tree, links followed in it; nil is none.
func (t *tree) read(name string) ([]byte, error) {
	f, err := t.open(name, unix.S_IFREG, "it is no regular file")
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigurationBytes+1))
	if err == nil && len(data) > maxConfigurationBytes {
		err = fmt.Errorf("it has more than %d bytes", maxConfigurationBytes)
	}
	return data, err
}

// list gives the names in a folder of the tree; one that is not there has none.
func (t *tree) list(name string) ([]string, error) {
	f, err := t.open(name, unix.S_IFDIR, "it is no folder")
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxFiles)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	slices.Sort(names)
	return names, err
}

// otherKind is a file of another kind than was looked for, for those who go on without
// it.
type otherKind string

func (e otherKind) Error() string { return string(e) }

// open opens what is of the kind there; nil is nothing.
func (t *tree) open(name string, kind uint32, other string) (*os.File, error) {
	fd, refused := -1, error(nil)
	_, at, err := t.follow(name, func(there int, at *unix.Stat_t) error {
		if at.Mode&unix.S_IFMT != kind {
			refused = otherKind(other)
			return nil
		}
		// Of what is open by its path only; nothing can come in its place.
		fd, refused = unix.Open("/proc/self/fd/"+strconv.Itoa(there), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		return nil
	})
	switch {
	case err != nil:
		return nil, errors.Unwrap(err) // the caller names the file
	case at == nil || refused != nil:
		return nil, refused
	}
	return os.NewFile(uintptr(fd), name), nil
}

// configFacts makes facts of the configuration.
func (c *collector) configFacts(read configured) {
	if c.facts.Daemon.RunsAs = read.runsAs; read.noAccount != "" {
		c.unseen("daemon.runs_as", read.noAccount)
	}
	out := &c.facts.Daemon.Config
	*out = facts.DaemonConfig{File: read.file, Hosts: []string{}, BuilderEntitlements: []string{}, LogOptions: map[string]string{}, StorageOptions: []string{},
		DefaultUlimits: map[string]string{}, Conflicts: []string{}, Unknown: []string{}, Origins: map[string]string{}}
	if read.config == nil {
		c.unseen("daemon.config", read.reason)
		return
	}
	from := read.config
	if c.DaemonFile != nil {
		c.DaemonFile(read.file, read.data, from.Text("pidfile"))
	}
	out.Hosts, out.StorageOptions = from.List("hosts"), from.List("storage-opts")
	out.TLS, out.TLSVerify = from.Bool("tls") || from.Bool("tlsverify"), from.Bool("tlsverify")
	out.TLSCACert, out.TLSCert, out.TLSKey = from.Text("tlscacert"), from.Text("tlscert"), from.Text("tlskey")
	out.Group, out.LogLevel, out.CgroupParent = from.Text("group"), strings.ToLower(from.Text("log-level")), from.Text("cgroup-parent")
	out.ICC, out.IPTables, out.UserlandProxy = from.Bool("icc"), from.Bool("iptables"), from.Bool("userland-proxy")
	out.LogOptions, out.DefaultUlimits = withoutSecrets(from.Map("log-opts")), from.Map("default-ulimits")
	out.SeccompProfile, out.UsernsRemap = from.Text("seccomp-profile"), from.Text("userns-remap")
	out.MetricsAddress, out.Debug = from.Text("metrics-addr"), from.Bool("debug")
	if granted, err := dockerd.BuilderEntitlements(from.Text("builder")); err != nil {
		c.unseen("daemon.config.builder_entitlements", err.Error())
	} else {
		out.BuilderEntitlements = granted
	}
	out.Conflicts, out.Unknown = append(out.Conflicts, from.Conflicts...), append(out.Unknown, from.Unknown...)
	const unsaid = "daemon.no_new_privileges" // by engines before 24.0
	if i := slices.IndexFunc(c.facts.Unseen, func(u workload.Unseen) bool { return u.Path == unsaid }); i >= 0 && !(read.changed && notByFlag(from, "no-new-privileges")) {
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
	if read.changed {
		for _, f := range configFields {
			if slices.ContainsFunc(f.keys, func(key string) bool { return notByFlag(from, key) }) {
				c.unseen("daemon.config."+f.fact, read.file+" was changed after the engine had started, and may have said something else then")
			}
		}
	}
}

// configFields are the facts of the configuration by the options that they come from.
var configFields = []struct {
	fact string
	keys []string
}{
	{"hosts", []string{"hosts"}}, {"tls", []string{"tls", "tlsverify"}}, {"tlsverify", []string{"tlsverify"}}, {"tlscacert", []string{"tlscacert"}},
	{"tlscert", []string{"tlscert"}}, {"tlskey", []string{"tlskey"}}, {"group", []string{"group"}}, {"icc", []string{"icc"}}, {"iptables", []string{"iptables"}},
	{"userland_proxy", []string{"userland-proxy"}}, {"log_level", []string{"log-level"}}, {"debug", []string{"debug"}}, {"builder_entitlements", []string{"builder"}},
	{"log_opts", []string{"log-opts"}}, {"cgroup_parent", []string{"cgroup-parent"}}, {"storage_opts", []string{"storage-opts"}},
	{"default_ulimits", []string{"default-ulimits"}}, {"seccomp_profile", []string{"seccomp-profile"}}, {"userns_remap", []string{"userns-remap"}}, {"metrics_addr", []string{"metrics-addr"}},
}

// notByFlag is true for an option that no flag sets: the file says it, or could have.
func notByFlag(config *dockerd.Config, key string) bool { return config.Get(key).Origin.Flag == "" }
