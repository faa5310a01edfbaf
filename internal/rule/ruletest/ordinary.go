package ruletest

import (
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// What a test's {} means: a Debian machine with an engine as it comes, which is in
// no swarm, and what is on it in order.

func ordinaryHost() facts.Host {
	return facts.Host{Name: "host", OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0", Architecture: "x86_64", CPUs: 4,
		MemoryBytes: 8 << 30, CgroupVersion: 2, Kernels: []string{"6.1.0"}, ContentTrust: []facts.ContentTrustUse{},
		Security:      facts.Security{Modules: []string{"lockdown", "capability", "landlock", "yama", "apparmor"}, AppArmor: true, SELinux: "disabled", Landlock: true, Yama: true, Lockdown: "none"},
		Settings:      facts.Settings{RandomizeVASpace: 2, KptrRestrict: 1, DmesgRestrict: 1, UnprivilegedBPFDisabled: 2, PtraceScope: 1, ProtectedHardlinks: 1, ProtectedSymlinks: 1},
		DataPartition: facts.Partition{MountPoint: "/", Device: "/dev/sda1", FileSystem: "ext4"},
		Sockets:       []facts.EngineSocket{{Path: "/run/docker.sock", Exists: true, Owner: "root", Group: "docker", Mode: "0660", ACL: []string{}}},
		Controllers:   []facts.Controller{}, Audit: facts.Audit{Source: "the kernel", Enabled: true, Daemon: true, NotLoaded: []string{}}, Audited: ordinaryAudited(),
		Components: []facts.Component{
			{Name: "engine", Version: "29.1.0", Escapes: []string{}, Flaws: []string{}, OutOfReach: []string{}, EscapesKnown: true, FlawsKnown: true},
		},
		Release: facts.Release{Branch: "29", Newest: "29.1.0", Maintained: true, Table: "2025-12-01"}, Listeners: []facts.Listener{}}
}

// ordinaryAudited is a host whose audit records nothing of the engine.
func ordinaryAudited() facts.Audited {
	at := func(path string) facts.Watched {
		return facts.Watched{Path: path, Exists: true, Rules: []string{}}
	}
	return facts.Audited{Dockerd: at("/usr/bin/dockerd"), RunContainerd: at("/run/containerd"), DataRoot: at("/var/lib/docker"), EtcDocker: at("/etc/docker"),
		DockerService: at("/usr/lib/systemd/system/docker.service"), DockerSocketUnit: at("/usr/lib/systemd/system/docker.socket"), ContainerdSocket: at("/run/containerd/containerd.sock"),
		DockerSockets: []facts.Watched{at("/run/docker.sock")}, DefaultDocker: at("/etc/default/docker"), DaemonJSON: at("/etc/docker/daemon.json"), ContainerdConfig: at("/etc/containerd/config.toml"),
		SysconfigDocker: at("/etc/sysconfig/docker"), Containerd: at("/usr/bin/containerd"), Shim: at("/usr/bin/containerd-shim"), ShimRuncV1: at("/usr/bin/containerd-shim-runc-v1"),
		ShimRuncV2: at("/usr/bin/containerd-shim-runc-v2"), Runc: at("/usr/bin/runc")}
}

func ordinaryDaemon() facts.Daemon {
	return facts.Daemon{Version: "29.1.0", APIVersion: "1.52", Seccomp: "default", AppArmor: true, PrivateCgroupns: true,
		DefaultRuntime: "runc", Runtimes: []string{"runc"}, LogDriver: "json-file", CgroupDriver: "systemd", StorageDriver: "overlay2",
		DataRoot: "/var/lib/docker", MemoryLimit: true, SwapLimit: true, PidsLimit: true, CPUQuota: true, Warnings: []string{},
		InsecureRegistries: []string{}, AuthorizationPlugins: []string{}, Config: ordinaryConfig(),
		Inventory: facts.Inventory{ContainersUnchecked: []string{}, VolumesNamed: []string{}}}
}

// ordinaryConfig is that of a daemon of which nothing is set.
func ordinaryConfig() facts.DaemonConfig {
	c := facts.DaemonConfig{File: "/etc/docker/daemon.json", Hosts: []string{}, Group: "docker", ICC: true, IPTables: true, UserlandProxy: true, LogLevel: "info",
		BuilderEntitlements: []string{"network.host"}, LogOptions: map[string]string{}, StorageOptions: []string{}, DefaultUlimits: map[string]string{}, Conflicts: []string{}, Unknown: []string{}, Origins: map[string]string{}}
	for _, key := range []string{"cgroup-parent", "default-ulimits", "hosts", "builder", "debug", "icc", "iptables", "log-driver", "log-level", "metrics-addr", "seccomp-profile", "storage-driver", "storage-opts", "tls", "tlsverify", "userland-proxy", "userns-remap"} {
		c.Origins[key] = "default"
	}
	return c
}

func ordinaryDaemonDefaults() *workload.Daemon {
	d := ordinaryDaemon()
	return d.Defaults(ordinaryHost().CgroupVersion)
}

func ordinaryImage() *workload.ImageConfig {
	return &workload.ImageConfig{ID: "sha256:" + strings.Repeat("1", 64), Created: "2026-01-01T00:00:00Z"}
}

func ordinarySwarm() facts.Swarm {
	return facts.Swarm{AddressPools: []string{}, Nodes: []facts.SwarmNode{}, Services: []facts.SwarmService{}}
}

func ordinaryFile() facts.File {
	const path = "/etc/docker/daemon.json"
	return facts.File{Role: "daemon.json", Path: path, Exists: true, Resolved: path, Kind: "regular", User: "root", Group: "root", Mode: "0644",
		ACL: []string{}, Readers: []string{}, Writers: []string{}, Links: []facts.FileLink{}, Folders: []facts.FileFolder{}}
}

func ordinaryImageFacts() facts.Image {
	return facts.Image{ID: "sha256:" + strings.Repeat("1", 64), Tags: []string{"app:1"}, Digests: []string{}, Created: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC),
		SizeBytes: 80 << 20, UsedBy: []string{"app"}, User: "app", Healthcheck: true, Environment: []string{"PATH"}, EnvironmentEmpty: []string{}, Labels: map[string]string{}, ExposedPorts: []string{},
		Volumes: []string{}, Layers: 1, LayerSteps: []int64{1}, LayerBytes: []int64{80 << 20}, History: []facts.ImageStep{}, Packages: []string{}, Setuid: []facts.SetuidFile{}}
}

func ordinaryNetwork() facts.Network {
	return facts.Network{ID: strings.Repeat("2", 64), Name: "bridge", Driver: "bridge", Scope: "local", ICC: true, Options: map[string]string{}}
}

func ordinaryContents() facts.Contents {
	return facts.Contents{ID: "sha256:" + strings.Repeat("3", 64), Name: "app:1", Distribution: "Debian 12", SupportEnds: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), Capable: []facts.CapableFile{},
		WorldWritable: []string{}, Devices: []string{}, EmptyPasswords: []string{}, Roots: []string{}, Shells: []string{}, Compilers: []string{}, PackageManagers: []string{}, NetworkTools: []string{},
		HostKeys: []string{}, AuthorizedKeys: []string{}, Repositories: []string{}, Caches: []facts.Bytes{}, Duplicates: []facts.Duplicate{}, Unlinked: []facts.Bytes{}, Layers: []facts.LayerBytes{}, Size: 100 << 20, Efficiency: 1}
}
