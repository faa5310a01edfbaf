package facts

// Host is the machine that the engine runs on, as the engine describes it and,
// where the engine is local, as its kernel and its files do.
type Host struct {
	Name   string `json:"name"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	// Architecture is the engine's word for it, for example x86_64.
	Architecture string `json:"architecture"`
	CPUs         int64  `json:"cpus"`
	MemoryBytes  int64  `json:"memory_bytes"`
	// CgroupVersion is 1 or 2.
	CgroupVersion int64 `json:"cgroup_version"`
	// Kernels are the installed kernels of the running one's kind, oldest first.
	Kernels []string `json:"kernels"`
	// Security is what the kernel enforces, and Settings how it is set.
	Security Security `json:"security"`
	Settings Settings `json:"settings"`
	// DataPartition is where the engine's data root lies.
	DataPartition Partition `json:"data_partition"`
	// Sockets are the unix sockets that the engine listens on, and Controllers the
	// users beside root who may write to one of them.
	Sockets     []EngineSocket `json:"sockets"`
	Controllers []Controller   `json:"controllers"`
	// Audit is how the kernel's audit is, and Audited what it records.
	Audit   Audit   `json:"audit"`
	Audited Audited `json:"audited"`
	// Components are the programs that run containers.
	Components []Component `json:"components"`
	// Release is the engine's place among its releases.
	Release Release `json:"release"`
	// Listeners are the sockets of the host that other machines reach, but for those
	// that the engine opens for containers.
	Listeners []Listener `json:"listeners"`
	// ContentTrust is every use of Docker Content Trust that was found.
	ContentTrust []ContentTrustUse `json:"content_trust"`
}

// Security is what security modules of the kernel are in force.
type Security struct {
	// Modules are in the kernel's order (/sys/kernel/security/lsm).
	Modules  []string `json:"modules"`
	AppArmor bool     `json:"apparmor"`
	// SELinux is enforcing, permissive or disabled.
	SELinux    string `json:"selinux"`
	Landlock   bool   `json:"landlock"`
	Yama       bool   `json:"yama"`
	Grsecurity bool   `json:"grsecurity"`
	// Lockdown is none, integrity or confidentiality.
	Lockdown string `json:"lockdown"`
}

// Settings are values below /proc/sys, named as there; -1 is one that this kernel
// does not have.
type Settings struct {
	RandomizeVASpace        int64 `json:"randomize_va_space"`
	KptrRestrict            int64 `json:"kptr_restrict"`
	DmesgRestrict           int64 `json:"dmesg_restrict"`
	UnprivilegedBPFDisabled int64 `json:"unprivileged_bpf_disabled"`
	PtraceScope             int64 `json:"ptrace_scope"`
	ProtectedHardlinks      int64 `json:"protected_hardlinks"`
	ProtectedSymlinks       int64 `json:"protected_symlinks"`
}

// Partition is the mount that a folder lies in.
type Partition struct {
	MountPoint string `json:"mount_point"`
	// Device is what is mounted, such as /dev/sda1, and FileSystem its kind.
	Device     string `json:"device"`
	FileSystem string `json:"file_system"`
	// Separate is true where it is on another device than the root of the host.
	Separate bool `json:"separate"`
}

// EngineSocket is a unix socket of the engine.
type EngineSocket struct {
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
	Owner  string `json:"owner"`
	Group  string `json:"group"`
	// Mode has four octal digits.
	Mode string `json:"mode"`
	// ACL are the entries beyond the mode, such as "user anna rw".
	ACL []string `json:"acl"`
}

// Controller is a user who may control the engine, and so become root.
type Controller struct {
	Name string `json:"name"`
	// UID is -1 for a name that the host's own files do not know.
	UID int64 `json:"uid"`
	// Ways are how, such as "is in the group docker, which may write to /run/docker.sock".
	Ways []string `json:"ways"`
	// Groups are those of the groups that list the user, and Sockets what is written to.
	Groups  []string `json:"groups"`
	Sockets []string `json:"sockets"`
	// Login is false where the user's shell lets nobody log in.
	Login bool `json:"login"`
	// LastLogin is a day, or "never", by /var/log/lastlog.
	LastLogin string `json:"last_login"`
}

// Audit is the kernel's audit.
type Audit struct {
	// Source is what tells the rules: "the kernel", or the path of the files.
	Source string `json:"source"`
	// Enabled is true where it records, and Daemon where a program takes the records.
	Enabled bool `json:"enabled"`
	Daemon  bool `json:"daemon"`
	// NotLoaded are rules of the files that the kernel does not have.
	NotLoaded []string `json:"not_loaded"`
}

// Audited are parts of the engine and what is recorded of each.
type Audited struct {
	Dockerd          Watched `json:"dockerd"`
	RunContainerd    Watched `json:"run_containerd"`
	DataRoot         Watched `json:"data_root"`
	EtcDocker        Watched `json:"etc_docker"`
	DockerService    Watched `json:"docker_service"`
	DockerSocketUnit Watched `json:"docker_socket_unit"`
	ContainerdSocket Watched `json:"containerd_socket"`
	// DockerSockets are the unix sockets that the engine listens on.
	DockerSockets    []Watched `json:"docker_sockets"`
	DefaultDocker    Watched   `json:"default_docker"`
	DaemonJSON       Watched   `json:"daemon_json"`
	ContainerdConfig Watched   `json:"containerd_config"`
	SysconfigDocker  Watched   `json:"sysconfig_docker"`
	Containerd       Watched   `json:"containerd"`
	Shim             Watched   `json:"shim"`
	ShimRuncV1       Watched   `json:"shim_runc_v1"`
	ShimRuncV2       Watched   `json:"shim_runc_v2"`
	Runc             Watched   `json:"runc"`
}

// Parts are all of them.
func (a *Audited) Parts() []*Watched {
	all := []*Watched{&a.Dockerd, &a.RunContainerd, &a.DataRoot, &a.EtcDocker, &a.DockerService, &a.DockerSocketUnit, &a.ContainerdSocket, &a.DefaultDocker,
		&a.DaemonJSON, &a.ContainerdConfig, &a.SysconfigDocker, &a.Containerd, &a.Shim, &a.ShimRuncV1, &a.ShimRuncV2, &a.Runc}
	for i := range a.DockerSockets {
		all = append(all, &a.DockerSockets[i])
	}
	return all
}

// Watched is a file or folder of the engine.
type Watched struct {
	// Path is where it is on this host, or would be.
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
	// Recorded has r, w, x and a, in this order, for what is recorded: reading, writing,
	// executing, and changing attributes.
	Recorded string `json:"recorded"`
	// Rules are those that are about it, in the form of auditctl.
	Rules []string `json:"rules"`
}

// Component is a program that runs containers.
type Component struct {
	// Name is engine, containerd, runc or docker-init.
	Name string `json:"name"`
	// Version is what it says, and Package what it was installed from, with its
	// version; "" where that is not known.
	Version string `json:"version"`
	Package string `json:"package"`
	// Escapes are known flaws that give away the host and are within reach here, and
	// Flaws those that give away less. OutOfReach are those to which nothing here leads.
	Escapes    []string `json:"escapes"`
	Flaws      []string `json:"flaws"`
	OutOfReach []string `json:"out_of_reach"`
	// Update is the first version without any of Escapes and Flaws.
	Update string `json:"update"`
	// EscapesKnown and FlawsKnown are true; where it cannot be told whether the version
	// has one, they are unseen.
	EscapesKnown bool `json:"escapes_known"`
	FlawsKnown   bool `json:"flaws_known"`
}

// Release is where an engine's version stands.
type Release struct {
	// Branch is the line that it belongs to, and Newest the newest of it.
	Branch string `json:"branch"`
	Newest string `json:"newest"`
	// Ended is the day from which nobody maintains the branch, or "".
	Ended string `json:"ended"`
	// Maintained is true where somebody maintains the branch, and Behind where it has
	// something newer.
	Maintained bool `json:"maintained"`
	Behind     bool `json:"behind"`
	// Table is the day of the table that says all this.
	Table string `json:"table"`
}

// Listener is a socket that waits for other machines.
type Listener struct {
	// Address is such as 0.0.0.0:22/tcp, and Program who listens, "" where that may
	// not be looked at.
	Address string `json:"address"`
	Program string `json:"program"`
}
