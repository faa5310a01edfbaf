package workload

import (
	"cmp"
	"time"
)

// Spec is one container: what was asked for it, with the engine's documented
// defaults filled in, and, where it is live, what was observed of it.
//
// Every value is canonical, so that two spellings of one thing are one value;
// a rule never normalises. Numbers say "unlimited" or "unset" by a value that
// their comment names, because a missing number would read as zero in a rule.
// What a source could not tell is in Unseen and holds a zero value that means
// nothing.
type Spec struct {
	// Name is the container's name without the engine's leading slash.
	Name string `json:"name"`
	// ID is the engine's id, 64 hex digits; unseen before the container exists.
	ID string `json:"id"`
	// Origin is the form that the container was met in: inspect, create, run or inside.
	Origin string `json:"origin"`

	// Image is what the container runs.
	Image Image `json:"image"`

	// User is the user of the first process: "0" for root however it was
	// spelled, else the number without leading zeros, else the name.
	User string `json:"user"`
	// Group is the primary group in the same form; "" is the user's own.
	Group string `json:"group"`
	// GroupAdd are the additional groups in the same form, sorted.
	GroupAdd []string `json:"group_add"`
	// Executable is the first word of what runs, or "" when unseen. Arguments
	// are not kept: they may hold passwords.
	Executable string `json:"executable"`
	// Env are the names of the environment variables, sorted.
	Env []string `json:"env"`
	// EnvEmpty are those of Env that have an empty value, sorted.
	EnvEmpty []string `json:"env_empty"`
	// EnvValues holds the values of the few variables in EnvValueNames.
	EnvValues map[string]string `json:"env_values"`
	// EnvHashes holds, by name, a keyed hash of each value (HMAC-SHA256, hex),
	// so that equal secrets can be seen to be equal. Unseen without a key.
	EnvHashes map[string]string `json:"env_hashes"`
	// Labels are the container's labels.
	Labels map[string]string `json:"labels"`

	// Privileged is --privileged.
	Privileged bool `json:"privileged"`
	// CapAdd and CapDrop are what was asked: CAP_… names or ALL, sorted.
	CapAdd  []string `json:"cap_add"`
	CapDrop []string `json:"cap_drop"`
	// Capabilities is the bounding set that follows: CAP_… names, sorted.
	Capabilities []string `json:"capabilities"`

	// Seccomp is the filter that applies: "default" (the engine's own),
	// "unconfined" or "custom".
	Seccomp string `json:"seccomp"`
	// AppArmor is the profile that applies where AppArmor does: a name,
	// "docker-default" or "unconfined".
	AppArmor string `json:"apparmor"`
	// AppArmorAsked is true when the profile was named for this container.
	AppArmorAsked bool `json:"apparmor_asked"`
	// SELinuxLabels are the label options asked for (user:, role:, type:,
	// level:), sorted; SELinuxDisabled is label=disable, but for containers that
	// go without labels anyway: privileged ones, and those that share the host's
	// processes or IPC.
	SELinuxLabels   []string `json:"selinux_labels"`
	SELinuxDisabled bool     `json:"selinux_disabled"`
	// NoNewPrivileges is true when set-user-ID programs give nothing.
	NoNewPrivileges bool `json:"no_new_privileges"`
	// SystemPaths says whether the engine's masks over /proc and /sys are in
	// place: "default", "custom" (some are gone) or "unconfined" (none).
	SystemPaths string `json:"system_paths"`
	// MaskedPaths and ReadonlyPaths are the lists themselves, sorted.
	MaskedPaths   []string `json:"masked_paths"`
	ReadonlyPaths []string `json:"readonly_paths"`

	// WritableCgroups is true when root inside can write to the control groups
	// that the container is in.
	WritableCgroups bool `json:"writable_cgroups"`

	// Namespaces says with whom the container shares the kernel's names.
	Namespaces Namespaces `json:"namespaces"`
	// UsernsRemapped is true when root inside is not root on the host.
	UsernsRemapped bool `json:"userns_remapped"`

	// ReadOnlyRoot is --read-only.
	ReadOnlyRoot bool `json:"read_only_root"`
	// Mounts are binds, volumes and tmpfs, sorted by target. The anonymous
	// volumes that an image declares are in AnonymousVolumes instead.
	Mounts []Mount `json:"mounts"`
	// AnonymousVolumes are the paths inside that have a volume without a name.
	AnonymousVolumes []string `json:"anonymous_volumes"`
	// VolumesFrom are the containers whose mounts are taken over.
	VolumesFrom []Join `json:"volumes_from"`
	// VolumeDriver is --volume-driver, "" when not given.
	VolumeDriver string `json:"volume_driver"`
	// StorageOptions are --storage-opt.
	StorageOptions map[string]string `json:"storage_options"`

	// Devices, DeviceRules and DeviceRequests are --device,
	// --device-cgroup-rule and --gpus (or CDI).
	Devices        []Device        `json:"devices"`
	DeviceRules    []string        `json:"device_rules"`
	DeviceRequests []DeviceRequest `json:"device_requests"`

	// Ports are the published ports; ExposedPorts are those that were only
	// declared ("80/tcp"), sorted. PublishAll is -P.
	Ports        []Port   `json:"ports"`
	ExposedPorts []string `json:"exposed_ports"`
	PublishAll   bool     `json:"publish_all"`
	// Networks are the names of the networks joined, sorted.
	Networks []string `json:"networks"`
	// Links are legacy links, "container:alias", sorted.
	Links []string `json:"links"`
	// Hostname, Domainname, MacAddress and IPAddresses are what was asked.
	Hostname    string   `json:"hostname"`
	Domainname  string   `json:"domainname"`
	MacAddress  string   `json:"mac_address"`
	IPAddresses []string `json:"ip_addresses"`
	DNS         []string `json:"dns"`
	DNSOptions  []string `json:"dns_options"`
	DNSSearch   []string `json:"dns_search"`
	ExtraHosts  []string `json:"extra_hosts"`

	// Resources are the limits.
	Resources Resources `json:"resources"`

	// Restart is the restart policy.
	Restart Restart `json:"restart"`
	// Healthcheck is how health is checked.
	Healthcheck Healthcheck `json:"healthcheck"`
	// Runtime is the OCI runtime's name, for example runc, runsc or kata.
	Runtime string `json:"runtime"`
	// LogDriver and the names of its options (values may be secrets).
	LogDriver  string   `json:"log_driver"`
	LogOptions []string `json:"log_options"`
	// Sysctls are --sysctl.
	Sysctls map[string]string `json:"sysctls"`
	// CgroupParent is --cgroup-parent, "" for the engine's own.
	CgroupParent string `json:"cgroup_parent"`
	// Init is --init: a small first process that reaps the others.
	Init bool `json:"init"`
	// AutoRemove, Tty, OpenStdin, StopSignal and StopTimeoutSeconds (-1: the
	// engine's own) are as asked.
	AutoRemove         bool              `json:"auto_remove"`
	Tty                bool              `json:"tty"`
	OpenStdin          bool              `json:"open_stdin"`
	StopSignal         string            `json:"stop_signal"`
	StopTimeoutSeconds int64             `json:"stop_timeout_seconds"`
	Annotations        map[string]string `json:"annotations"`

	// Live is what was observed of the container as it is.
	Live Live `json:"live"`

	// UnknownFields are fields of the engine's answer or of the request that
	// this version of plimsoll has no meaning for, as paths, sorted.
	UnknownFields []string `json:"unknown_fields"`

	// Unseen lists what the source could not tell, with paths below the Spec.
	// In JSON it is part of the facts' own list.
	Unseen []Unseen `json:"-"`
}

// DisplayName is what a container is called in a report: its name, or else its
// short id, or, where it has neither yet, the image as it was asked for.
func (s *Spec) DisplayName() string {
	return cmp.Or(s.Name, s.ID[:min(12, len(s.ID))], s.Image.Ref)
}

// Image is what a container runs, as it was named and, on a live engine, as
// it was found.
type Image struct {
	// Ref is the name as it was asked for.
	Ref string `json:"ref"`
	// Name is the canonical repository, for example docker.io/library/nginx;
	// "" when the image was named by id.
	Name string `json:"name"`
	// Tag is the tag asked for, "latest" when neither tag nor digest was given,
	// "" when only a digest was.
	Tag string `json:"tag"`
	// Digest is the manifest digest asked for (sha256:…), or "".
	Digest string `json:"digest"`
	// ID is the id of the image that runs (sha256:…).
	ID string `json:"id"`
	// Tags are the canonical name:tag that point at ID now, sorted.
	Tags []string `json:"tags"`
	// Digests are the canonical name@sha256:… known for ID, sorted.
	Digests []string `json:"digests"`
	// Created is when the image was built, as it says itself.
	Created time.Time `json:"created"`
	// Present is true when the engine still has the image.
	Present bool `json:"present"`
}

// Namespaces holds, for each kind, "private", "host", or
// "container:<name or id>"; some kinds know further words.
type Namespaces struct {
	// PID, UTS: private, host, container:… (PID only).
	PID string `json:"pid"`
	UTS string `json:"uts"`
	// IPC: also shareable and none.
	IPC string `json:"ipc"`
	// Network: also none, or the name of a network; bridge is the default one.
	Network string `json:"network"`
	// Cgroup: private or host.
	Cgroup string `json:"cgroup"`
	// User is "host" when --userns host was asked, else "default".
	User string `json:"user"`
}

// Join is another container whose things are used.
type Join struct {
	Container string `json:"container"`
	ReadOnly  bool   `json:"read_only"`
}

// Device is a device of the host that is given to a container, or a folder of
// them.
type Device struct {
	HostPath      string `json:"host_path"`
	ContainerPath string `json:"container_path"`
	// Permissions are of "rwm", in that order.
	Permissions string `json:"permissions"`
	// Exposes names what of the host HostPath gives by its spelling: disk, memory,
	// kernel-log or cpu, sorted.
	Exposes []string `json:"exposes"`
	// Resolved is HostPath with links followed on the host, and ResolvedExposes
	// what the device files there give. Unseen off the host.
	Resolved        string   `json:"resolved"`
	ResolvedExposes []string `json:"resolved_exposes"`
}

// DeviceRequest is a request to a device driver, such as --gpus.
type DeviceRequest struct {
	Driver       string   `json:"driver"`
	Count        int64    `json:"count"` // -1: all
	DeviceIDs    []string `json:"device_ids"`
	Capabilities []string `json:"capabilities"`
}

// Port is a port of the container that the host listens for.
type Port struct {
	// HostIP is the address, 0.0.0.0 and :: for every interface.
	HostIP string `json:"host_ip"`
	// HostPort is the first and HostPortEnd the last port of the host;
	// 0 means that the engine chooses.
	HostPort    int64 `json:"host_port"`
	HostPortEnd int64 `json:"host_port_end"`
	// ContainerPort is the port inside.
	ContainerPort int64 `json:"container_port"`
	// Protocol is tcp, udp or sctp.
	Protocol string `json:"protocol"`
}

// Restart is a restart policy: no, always, unless-stopped or on-failure.
type Restart struct {
	Name string `json:"name"`
	// MaxRetries counts for on-failure; 0 is without end.
	MaxRetries int64 `json:"max_retries"`
}

// Healthcheck says how health is checked.
type Healthcheck struct {
	// Defined is true when a check runs, whether from the image or asked for.
	Defined bool `json:"defined"`
	// Disabled is true when the image's check was turned off.
	Disabled bool `json:"disabled"`
	// IntervalSeconds, TimeoutSeconds and Retries are 0 for the engine's own.
	IntervalSeconds float64 `json:"interval_seconds"`
	TimeoutSeconds  float64 `json:"timeout_seconds"`
	Retries         int64   `json:"retries"`
}

// Live is what was observed of a container that exists.
type Live struct {
	// Status is created, running, paused, restarting, removing, exited or dead.
	Status  string    `json:"status"`
	Created time.Time `json:"created"`
	// Started is the zero time (year 1) when it never was.
	Started time.Time `json:"started"`
	// PID is the first process on the host, 0 when none runs.
	PID          int64 `json:"pid"`
	ExitCode     int64 `json:"exit_code"`
	RestartCount int64 `json:"restart_count"`
	// OOMKilled is true when the kernel ended it for want of memory.
	OOMKilled bool `json:"oom_killed"`
	// Health is healthy, unhealthy, starting or none.
	Health string `json:"health"`
	// Processes are those in the container's cgroup, by pid.
	Processes []Process `json:"processes"`
	// Execs are the exec sessions that run now, by id.
	Execs []Exec `json:"execs"`
}

// Process is one process of a container, as the kernel shows it.
type Process struct {
	PID int64 `json:"pid"`
	// Name is the kernel's name for it (comm), Executable the base name of its file.
	Name       string `json:"name"`
	Executable string `json:"executable"`
	// UID and GID are the effective ids, as the host counts them.
	UID int64 `json:"uid"`
	GID int64 `json:"gid"`
	// Capabilities is the effective set, CAP_… names, sorted.
	Capabilities []string `json:"capabilities"`
	// Seccomp is none, strict or filter.
	Seccomp         string `json:"seccomp"`
	NoNewPrivileges bool   `json:"no_new_privileges"`
}

// Exec is a running exec session.
type Exec struct {
	ID         string `json:"id"`
	User       string `json:"user"`
	Privileged bool   `json:"privileged"`
	PID        int64  `json:"pid"`
}

// The forms that a container is met in.
const (
	OriginInspect = "inspect"
	OriginCreate  = "create"
	OriginRun     = "run"
	OriginInside  = "inside"
)
