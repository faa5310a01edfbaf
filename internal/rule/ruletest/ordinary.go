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
		MemoryBytes: 8 << 30, CgroupVersion: 2, ContentTrust: []facts.ContentTrustUse{}}
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
		LogOptions: map[string]string{}, StorageOptions: []string{}, DefaultUlimits: map[string]string{}, Conflicts: []string{}, Unknown: []string{}, Origins: map[string]string{}}
	for _, key := range []string{"cgroup-parent", "default-ulimits", "hosts", "icc", "iptables", "log-driver", "log-level", "metrics-addr", "seccomp-profile", "storage-driver", "storage-opts", "tls", "tlsverify", "userland-proxy", "userns-remap"} {
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

func ordinarySwarm() facts.Swarm { return facts.Swarm{} }

func ordinaryFile() facts.File {
	return facts.File{Role: "daemon.json", Path: "/etc/docker/daemon.json", Exists: true}
}

func ordinaryImageFacts() facts.Image {
	return facts.Image{ID: "sha256:" + strings.Repeat("1", 64), Tags: []string{"app:1"}, Digests: []string{}, Created: time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC),
		SizeBytes: 80 << 20, UsedBy: []string{"app"}, User: "app", Healthcheck: true, Environment: []string{"PATH"}, Labels: map[string]string{}, ExposedPorts: []string{},
		Volumes: []string{}, Layers: 1, LayerSteps: []int64{1}, LayerBytes: []int64{80 << 20}, History: []facts.ImageStep{}, Packages: []string{}, Setuid: []facts.SetuidFile{}}
}

func ordinaryNetwork() facts.Network {
	return facts.Network{ID: strings.Repeat("2", 64), Name: "bridge", Driver: "bridge", Scope: "local", ICC: true, Options: map[string]string{}}
}
