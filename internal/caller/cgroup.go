package caller

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// containerOf is the id of the container that a process runs in, by its
// /proc/PID/cgroup (cgroups(7)); "" if it is in none. An engine puts a container into
// PARENT/<id>, PARENT being /docker or what --cgroup-parent says, or with systemd's
// driver into SLICE/docker-<id>.scope; so do kubelets that use an engine.
//
// It is read as what an engine made, and nobody else, where only root can make cgroups:
//
//   - The outermost counts. What is below a container, the container may have named.
//     But below it there must be no <id>: that is an engine in the container, or else
//     another container, whose maker said --cgroup-parent /docker/<id> to pass for it.
//     (systemd's driver takes slices only, which have no such name.) Then it is not known
//     which container it is: an error.
//   - Nothing counts below a service, another scope, or user.slice: systemd gives those
//     to the user or the service (systemd.resource-control(5), Delegate=), who may make a
//     docker-<id>.scope of their own. (/user is what pam_cgfs(8) gives away.) Then it is
//     not known whether that is a container: an error. So it is with the containers of a
//     rootless engine, which are below its user's service, and of who gives such a parent.
//   - Named hierarchies of version 1 do not count: they hold no controller, systemd
//     gives its own away, and an engine uses others too.
//
// Podman's and containerd's own scopes (libpod-, cri-containerd-, nerdctl-) are no
// container here; with cgroupfs their form is the engine's, and cannot be told apart.
//
// In a cgroup namespace of our own (all is false) paths start at our own cgroup. Then it
// is not known in what a process is that is below that.
func containerOf(cgroup []byte, all bool) (string, error) {
	found, hidden := "", !all
	var claim []byte
	lines := 0
	for line := range bytes.Lines(cgroup) {
		_, rest, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(":"))
		controllers, path, ok := bytes.Cut(rest, []byte(":"))
		if !ok || !bytes.HasPrefix(path, []byte("/")) {
			return "", fmt.Errorf("reading cgroup: the line %.100q is not of the form of cgroups(7)", line)
		}
		lines++
		if bytes.HasPrefix(path, []byte("/..")) {
			hidden = false
		}
		if bytes.HasPrefix(controllers, []byte("name=")) {
			continue
		}
		id, inner, claimed := idInPath(string(path[1:]))
		switch {
		case id == "" && len(path) >= longest:
			return "", fmt.Errorf("its cgroup %.100q… has a longer name than the kernel tells", path)
		case claimed:
			claim = path
		case inner != "":
			return "", fmt.Errorf("its cgroup is one of container %s below that of %s: an engine runs in that, or somebody gave it as --cgroup-parent", inner, id)
		case id != "" && found != "" && id != found:
			return "", fmt.Errorf("its cgroups name two containers, %s and %s", found, id)
		case id != "":
			found = id
		}
	}
	switch {
	case lines == 0:
		return "", errors.New("reading cgroup: it names none")
	case found != "":
		return found, nil
	case claim != nil:
		return "", fmt.Errorf("its cgroup %.300q is in what belongs to a service or a user, who may have named it", claim)
	case hidden:
		return "", errors.New("it is in our own cgroup, or below, and our cgroup namespace hides what that is in: run this in the host's (--cgroupns=host)")
	}
	return "", nil
}

// longest is PATH_MAX without the zero at the end: newer kernels cut the rest off, and
// others fail.
const longest = 4095

// idInPath is the id of the outermost container in a path, that of another below it, if
// an engine could have put that there, and whether the outermost is only a claim.
func idInPath(path string) (id, inner string, claimed bool) {
	first := true
	for name := range strings.SplitSeq(path, "/") {
		switch {
		case id != "":
			if len(name) == idLength && idOf(name) != "" {
				return id, name, claimed
			}
		case idOf(name) != "":
			id = idOf(name)
		case strings.HasSuffix(name, ".service"), strings.HasSuffix(name, ".scope"), first && (name == "user.slice" || name == "user"):
			claimed = true
		}
		first = first && name == ".." // out of our own cgroup namespace
	}
	return id, "", claimed && id != ""
}

const idLength = 64

// idOf is the id in the name of a container's cgroup: 64 hexadecimal digits.
func idOf(name string) string {
	if scope, ok := strings.CutSuffix(name, ".scope"); ok {
		if name, ok = strings.CutPrefix(scope, "docker-"); !ok {
			return ""
		}
	}
	if len(name) != idLength || strings.Trim(name, "0123456789abcdef") != "" {
		return ""
	}
	return name
}
