package workload

import (
	"fmt"
	"os"
	"path"
)

// Home is the container that a program runs in, as far as it can tell by itself.
type Home struct {
	// Inside is true where something speaks of a container.
	Inside bool
	// ID is the container's own id, where the cgroup tells it.
	ID string
	// Network is the id of the container whose network is used, by the files that an
	// engine puts over /etc/hostname and the like: that of another one, where the
	// network was joined, else the own.
	Network string
}

// FindHome looks for what FromInside looks for, below root, which holds /proc.
func FindHome(root string) (Home, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return Home{}, fmt.Errorf("looking for the container around: %w", err)
	}
	defer dir.Close()
	v := insider{spec: &Spec{}, files: insideFiles{dir}}
	raw, err := v.files.read("proc/self/cgroup", smallLimit)
	if err == nil {
		v.cgroups, err = parseCgroup(raw)
	}
	if err != nil {
		return Home{}, fmt.Errorf("looking for the container around: %w", err)
	}
	table, err := v.files.read("proc/self/mountinfo", mountinfoLimit)
	if err == nil {
		v.mounts, err = parseMountinfo(table)
	}
	if err != nil {
		return Home{}, fmt.Errorf("looking for the container around: %w", err)
	}
	v.ns = v.readNamespaces()
	home := Home{Inside: v.inContainer()}
	_, home.ID, _ = v.ownCgroup()
	for i := range v.mounts {
		if m := &v.mounts[i]; m.engineFile() {
			home.Network = containerID(path.Dir(m.root))
		}
	}
	return home, nil
}
