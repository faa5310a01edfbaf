// Package facts has what was observed of a host: the engine's daemon, its
// files, images, containers, networks, volumes and swarm, and what could not be observed and why.
//
// Facts are plain data. Encode writes them as one JSON document and Decode
// reads it back to the same value, so that a host can be judged elsewhere and
// later. In that document a key that is absent, or null, means "not observed",
// at every depth: Decode lists it in Unseen.
//
// Values of environment variables and passwords never enter facts.
package facts

import (
	"time"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// Schema names the shape of the document.
const Schema = "plimsoll/facts/1"

// Facts is all that was observed at one time.
type Facts struct {
	Schema string `json:"schema"`
	// Collected is the time of observation; rules know it as now.
	Collected  time.Time       `json:"collected"`
	Host       Host            `json:"host"`
	Daemon     Daemon          `json:"daemon"`
	Files      []File          `json:"files"`
	Images     []Image         `json:"images"`
	Containers []workload.Spec `json:"containers"`
	Networks   []Network       `json:"networks"`
	Volumes    []Volume        `json:"volumes"`
	Swarm      Swarm           `json:"swarm"`
	// Contents are of images that were looked into. No host has any: a document without the
	// key has none.
	Contents []Contents `json:"contents"`
	// Unseen lists what could not be observed, with paths below the document:
	// "daemon.sockets", "containers[3].mounts[0].resolved".
	Unseen []workload.Unseen `json:"unseen"`
}

// Daemon is the engine.
type Daemon struct {
	Version string `json:"version"`
	// APIVersion is the one that was spoken.
	APIVersion string `json:"api_version"`
	// Seccomp is the profile of containers that name none: default, custom or
	// unconfined.
	Seccomp string `json:"seccomp"`
	// AppArmor and SELinux are true when the engine applies them to containers.
	AppArmor bool `json:"apparmor"`
	SELinux  bool `json:"selinux"`
	// UsernsRemap is true when root in containers is another user on the host by
	// the daemon's userns-remap.
	UsernsRemap bool `json:"userns_remap"`
	// Rootless is true when the engine itself does not run as root.
	Rootless bool `json:"rootless"`
	// RunsAs is who the engine's process is on the host.
	RunsAs          Account `json:"runs_as"`
	NoNewPrivileges bool    `json:"no_new_privileges"`
	// PrivateCgroupns is true when containers get a cgroup namespace by default.
	PrivateCgroupns bool   `json:"private_cgroupns"`
	LiveRestore     bool   `json:"live_restore"`
	DefaultRuntime  string `json:"default_runtime"`
	// Runtimes are the names of the OCI runtimes, sorted.
	Runtimes     []string `json:"runtimes"`
	LogDriver    string   `json:"log_driver"`
	CgroupDriver string   `json:"cgroup_driver"`
	// StorageDriver is, for example, overlay2.
	StorageDriver string `json:"storage_driver"`
	// ContainerdImages says that images are in containerd's store. There each name of an
	// image has a digest, wherever it came from.
	ContainerdImages bool `json:"containerd_images"`
	// DataRoot is where the engine keeps images and volumes.
	DataRoot string `json:"data_root"`
	// Limits that the host's kernel can enforce.
	MemoryLimit bool `json:"memory_limit"`
	SwapLimit   bool `json:"swap_limit"`
	PidsLimit   bool `json:"pids_limit"`
	CPUQuota    bool `json:"cpu_quota"`
	// Warnings are the engine's own words about its host.
	Warnings []string `json:"warnings"`
	// InsecureRegistries are those that are asked without TLS, or with a certificate
	// that is not verified, but for the loopback addresses, which always are.
	InsecureRegistries []string `json:"insecure_registries"`
	// AuthorizationPlugins are asked before each request.
	AuthorizationPlugins []string `json:"authorization_plugins"`
	Experimental         bool     `json:"experimental"`
	// Config is how the daemon was started. It is seen where its process is.
	Config DaemonConfig `json:"config"`
	// Inventory is how much the engine holds.
	Inventory Inventory `json:"inventory"`
}

// Account is a user and a group, by their numbers.
type Account struct {
	UID int64 `json:"uid"`
	GID int64 `json:"gid"`
}

// DaemonConfig is the configuration as the daemon made it of its command line and
// its file, with the defaults of what neither sets.
type DaemonConfig struct {
	// File is the path of daemon.json, whether it exists or not.
	File string `json:"file"`
	// Hosts are the sockets that it listens on, as they were written; none is its
	// default, unix:///var/run/docker.sock.
	Hosts     []string `json:"hosts"`
	TLS       bool     `json:"tls"`
	TLSVerify bool     `json:"tlsverify"`
	TLSCACert string   `json:"tlscacert"`
	TLSCert   string   `json:"tlscert"`
	TLSKey    string   `json:"tlskey"`
	// Group may use the unix socket.
	Group string `json:"group"`
	// ICC is true when containers of the default bridge reach one another.
	ICC           bool   `json:"icc"`
	IPTables      bool   `json:"iptables"`
	UserlandProxy bool   `json:"userland_proxy"`
	LogLevel      string `json:"log_level"`
	// Debug logs at the level debug, whatever LogLevel says.
	Debug bool `json:"debug"`
	// BuilderEntitlements are what builds get that ask for it: network.host,
	// security.insecure.
	BuilderEntitlements []string          `json:"builder_entitlements"`
	LogOptions          map[string]string `json:"log_opts"`
	CgroupParent        string            `json:"cgroup_parent"`
	StorageOptions      []string          `json:"storage_opts"`
	// DefaultUlimits are soft:hard by name.
	DefaultUlimits map[string]string `json:"default_ulimits"`
	SeccompProfile string            `json:"seccomp_profile"`
	UsernsRemap    string            `json:"userns_remap"`
	MetricsAddress string            `json:"metrics_addr"`
	// Conflicts are the options that the file and flags both set, and Unknown the
	// file's keys that are no options: with either a daemon does not start again.
	Conflicts []string `json:"conflicts"`
	Unknown   []string `json:"unknown"`
	// Origins say for each option, by its name in daemon.json, who set it: "default",
	// "--icc on the command line", or the path of the file.
	Origins map[string]string `json:"origins"`
}

// Network is a network of the engine.
type Network struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Driver string `json:"driver"`
	Scope  string `json:"scope"`
	// Internal networks have no way out.
	Internal bool `json:"internal"`
	// ICC is true when containers of the network reach one another.
	ICC     bool              `json:"icc"`
	Options map[string]string `json:"options"`
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// Volume is a volume of the engine.
type Volume struct {
	Name       string            `json:"name"`
	Driver     string            `json:"driver"`
	Mountpoint string            `json:"mountpoint"`
	Options    map[string]string `json:"options"`
	Scope      string            `json:"scope"`
}
