package workload

// Surroundings is what is known of the world around a container: it decides
// what the container's own configuration leaves open. The zero value knows
// nothing, and whatever then stays open is listed as unseen.
type Surroundings struct {
	// Daemon is the engine's configuration.
	Daemon *Daemon
	// Image is the configuration of the image that the container runs.
	Image *ImageConfig
	// Volumes are the engine's volumes by name; nil when they were not listed.
	Volumes map[string]Volume
	// Resolve follows the links in a path of the engine's host, and gives first
	// where it leads and then the other paths of what a mount of it shows, such as
	// [MountTable.Also] has. Nil when the host's files cannot be looked at from here.
	Resolve func(path string) ([]string, error)
	// Nodes gives the device files at or below a path of the engine's host as their
	// kind and numbers, "b 8:0". Nil when Resolve is.
	Nodes func(path string) ([]string, error)
	// DataRoot is where the engine keeps images and volumes, and Sockets are
	// those that it is known to listen on: paths of its host, which need not be
	// the usual ones.
	DataRoot string
	Sockets  []string
	// EnvKey is the key that environment values are hashed with; nil for none.
	EnvKey []byte
}

// Daemon is the part of an engine's configuration that decides what a
// container gets that does not ask.
type Daemon struct {
	// Seccomp is the profile for containers that name none: default, custom or
	// unconfined.
	Seccomp string
	// AppArmor and SELinux are true when the engine applies them.
	AppArmor bool
	SELinux  bool
	// UsernsRemap is true when root inside is another user on the host by
	// userns-remap, which --userns host turns off for one container. Rootless is
	// true when the engine itself runs without root, which nothing turns off.
	UsernsRemap bool
	Rootless    bool
	// NoNewPrivileges is the daemon's default, where NoNewPrivilegesSeen.
	NoNewPrivileges     bool
	NoNewPrivilegesSeen bool
	// CgroupVersion is 1 or 2.
	CgroupVersion int64
	// PrivateCgroupns is true when containers get a cgroup namespace of their
	// own by default.
	PrivateCgroupns bool
	// DefaultRuntime and LogDriver are used where a container names none.
	DefaultRuntime string
	LogDriver      string
}

// ImageConfig is the part of an image that a container takes over.
type ImageConfig struct {
	ID           string            `json:"id"`
	Tags         []string          `json:"tags"`    // RepoTags
	Digests      []string          `json:"digests"` // RepoDigests
	Created      string            `json:"created"` // RFC 3339
	User         string            `json:"user"`
	Env          []string          `json:"env"`
	Labels       map[string]string `json:"labels"`
	Entrypoint   []string          `json:"entrypoint"`
	Cmd          []string          `json:"cmd"`
	ExposedPorts []string          `json:"exposed_ports"`
	Volumes      []string          `json:"volumes"`
	HasHealth    bool              `json:"has_health"`
	StopSignal   string            `json:"stop_signal"`
}

// Volume is a volume as the engine lists it.
type Volume struct {
	Driver     string
	Options    map[string]string
	Mountpoint string
}
