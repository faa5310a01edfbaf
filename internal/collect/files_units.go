package collect

import (
	"errors"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/dockerd"
	"github.com/plimsoll/plimsoll/internal/facts"
)

// dropInFolders are in systemd's folders those of what it adds to the engine's units:
// to one of them, or to all of their kind.
var dropInFolders = []string{"docker.service.d", "docker.socket.d", "containerd.service.d", "service.d", "socket.d"}

// allOfKind is the folder of what systemd adds to every unit of the kind of one.
func allOfKind(unit string) string { return strings.TrimPrefix(path.Ext(unit), ".") + ".d" }

// notHere are mounts that are missing, for folders that are not in this container.
type notHere []string

// note is true for an error that is about a mount.
func (n *notHere) note(err error) bool {
	var not *notMounted
	if !errors.As(err, &not) {
		return false
	}
	if !slices.Contains(*n, not.option) {
		*n = append(*n, not.option)
	}
	return true
}

func (n notHere) reason() string {
	return "not all of systemd's folders are mounted into this container: add " + strings.Join(n, " ")
}

// unitFolders adds the folders that systemd reads units from, and what it adds to
// them: whoever can put a file there says what root runs.
func (f *finder) unitFolders(folders []string) {
	const role = "unit-folder"
	var list []facts.File
	var missing notHere
	look := func(p string) bool {
		one, err := f.folder(role, p)
		if !missing.note(err) {
			list = append(list, one)
		}
		return one.Exists
	}
	for _, folder := range folders {
		if look(folder) {
			for _, name := range dropInFolders {
				look(path.Join(folder, name))
			}
		}
	}
	if len(missing) > 0 {
		list = append(list, unseenFile(role, folders[0], missing.reason()))
	}
	f.add(role, list...)
}

// folder looks at a folder, of which it also matters who can put another file into it.
func (f *finder) folder(role, p string) (facts.File, error) {
	t, err := f.trace(p)
	if err != nil {
		return unseenFile(role, p, reasonOf(err)), err
	}
	if t.at == nil || t.at.Mode&unix.S_IFMT != unix.S_IFDIR {
		return absentFile(role, p), nil
	}
	out := f.look(role, p)
	own := tracedFolder{t.resolved, 0, &lookedAt{*t.at, t.list, t.listErr}}
	own.at.Mode &^= unix.S_ISVTX // which keeps nobody from adding one
	f.lookAtFolders(&out, &trace{folders: []tracedFolder{own}})
	return out, nil
}

// services are the programs that systemd starts for the engine, and the files that it
// takes their variables from.
func (f *finder) services() (programs, variables []string, err error) {
	units := []string{"docker.service", "containerd.service"}
	if f.rootless {
		units = units[1:] // the engine's own is the user's
	}
	for _, unit := range units {
		files, err := f.tree.unitFiles(unit)
		if err != nil {
			return nil, nil, err
		}
		u, err := dockerd.ParseUnits(files)
		if err != nil {
			return nil, nil, err
		}
		if len(u.Words) > 0 {
			programs = append(programs, u.Words[0])
		}
		variables = append(variables, u.EnvironmentFiles...)
	}
	return programs, variables, nil
}

// programFolders are where systemd looks for programs.
var programFolders = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/usr/libexec/docker"}

// programs adds what the engine is made of: by the folders that systemd looks in for
// programs, by its units, by its process, and by the runtimes that it is configured
// with. With them are the files that those read.
func (f *finder) programs(exe string) {
	const role = "program"
	var list []facts.File
	find := func(name string) {
		if path.IsAbs(name) {
			list = append(list, f.look(role, name))
			return
		}
		for _, folder := range programFolders {
			if one := f.look(role, path.Join(folder, name)); one.Exists {
				list = append(list, one)
				break
			}
		}
	}
	for _, name := range []string{"dockerd", "containerd", "containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim", "runc", "docker-proxy", "docker-init"} {
		find(name)
	}
	if len(list) == 0 {
		list = append(list, f.look(role, "/usr/bin/dockerd"))
	}
	if exe != "" {
		find(exe)
	}
	started, variables, err := f.services()
	if err != nil {
		list = append(list, unseenFile(role, "", "what systemd starts cannot be told: "+err.Error()))
	}
	if f.started.config == nil {
		list = append(list, unseenFile(role, "", "how the engine is configured is not known: "+f.started.reason))
	} else if runtimes, err := dockerd.Runtimes(f.started.config.List("runtimes")); err != nil {
		list = append(list, unseenFile(role, "", "which runtimes there are cannot be told: "+err.Error()))
	} else {
		started = append(started, runtimes...)
	}
	for _, name := range started {
		find(name)
	}
	f.add(role, list...)
	f.any("environment-file", slices.DeleteFunc(variables, func(p string) bool {
		return p == "/etc/default/docker" || p == "/etc/sysconfig/docker" // which have roles of their own
	})...)
	f.seccomp()
}

// seccomp adds the file of the calls that containers may make.
func (f *finder) seccomp() {
	profile := ""
	if f.started.config != nil {
		profile = f.started.config.Text("seccomp-profile")
	}
	switch profile {
	case "", "builtin", "unconfined":
		profile = ""
	default:
		profile = path.Join("/", profile)
	}
	f.configured("seccomp-profile", profile)
}
