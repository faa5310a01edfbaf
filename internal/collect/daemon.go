package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// infoBody is what is read of GET /info. A nil pointer is a field that the
// answer lacks; lists and maps are null when they are empty, so for them the
// tree is asked.
type infoBody struct {
	OSType             *string
	Name               *string
	OperatingSystem    *string
	KernelVersion      *string
	Architecture       *string
	NCPU               *int64
	MemTotal           *int64
	CgroupVersion      *string
	CgroupDriver       *string
	Driver             *string
	DriverStatus       [][]string
	DockerRootDir      *string
	LoggingDriver      *string
	DefaultRuntime     *string
	InitBinary         *string
	LiveRestoreEnabled *bool
	MemoryLimit        *bool
	SwapLimit          *bool
	PidsLimit          *bool
	CPUCfsQuota        *bool `json:"CpuCfsQuota"`
	Swarm              *swarmBody
	Runtimes           map[string]struct {
		Path        string `json:"path"`
		RuntimeType string `json:"runtimeType"`
	}
	SecurityOptions []string
	Warnings        []string
	Experimental    *bool `json:"ExperimentalBuild"`
	Plugins         *struct{ Authorization []string }
	RegistryConfig  *struct {
		InsecureRegistryCIDRs []string
		IndexConfigs          map[string]struct {
			Name   string
			Secure bool
		}
	}
}

// describe fills the host, the daemon and what they mean for containers, from
// /info and /version. Without an /info, reason says why.
func (c *collector) describe(api string, version, info json.RawMessage, reason string) error {
	var said struct {
		Version    string
		APIVersion string `json:"ApiVersion"`
	}
	err := decode("the engine's version", version, &said)
	if err != nil {
		return fmt.Errorf("reading what the engine says of its version: %w", err)
	}
	d := description{facts: c.facts, reason: reasonSilent, server: said.APIVersion}
	if reason == "" {
		if d.tree, err = strict.Tree("the engine's info", info); err == nil {
			err = d.tree.Decode(&d.info)
		}
		if err != nil {
			d.tree, d.info, reason = nil, infoBody{}, reasonUnreadable
		}
	}
	if reason != "" {
		d.reason = reason
	}
	if os := d.info.OSType; os != nil && *os != "" && *os != "linux" {
		return errors.New("this engine runs Windows containers, and plimsoll judges those of Linux only: switch it to Linux containers, or name another engine with --host")
	}
	d.host()
	d.daemon()
	d.swarm()
	c.around.DataRoot = c.facts.Daemon.DataRoot
	c.facts.Daemon.Version, c.facts.Daemon.APIVersion = said.Version, api
	if reason == "" {
		c.around.Daemon = d.forContainers()
	}
	c.sandboxes = map[string]bool{}
	for name, r := range d.info.Runtimes {
		c.sandboxes[name] = isSandbox(name, r.Path, r.RuntimeType)
	}
	if d.info.InitBinary != nil {
		c.initName = path.Base(*d.info.InitBinary)
	}
	return nil
}

// description is the reading of one /info into facts.
type description struct {
	facts  *facts.Facts
	info   infoBody
	tree   *strict.Value // nil without an /info
	reason string        // why a field is unseen that is not there
	server string        // the newest API version of the engine
	// noNewPrivilegesSeen is set by daemon.
	noNewPrivilegesSeen bool
}

// take is the value of a field, or nothing and an entry in what is unseen.
func take[T any](d *description, v *T, path string) T {
	if v == nil {
		d.hide(path, d.reason)
		return *new(T)
	}
	return *v
}

func (d *description) hide(path, reason string) {
	d.facts.Unseen = append(d.facts.Unseen, workload.Unseen{Path: path, Reason: reason})
}

func (d *description) host() {
	i := d.info
	d.facts.Host = facts.Host{
		Name:          take(d, i.Name, "host.name"),
		OS:            take(d, i.OperatingSystem, "host.os"),
		Kernel:        take(d, i.KernelVersion, "host.kernel"),
		Architecture:  take(d, i.Architecture, "host.architecture"),
		CPUs:          take(d, i.NCPU, "host.cpus"),
		MemoryBytes:   take(d, i.MemTotal, "host.memory_bytes"),
		CgroupVersion: d.cgroupVersion(),
	}
}

// cgroupVersion: engines before API 1.41 do not say it and know version 1 only
// (Docker 20.10's release notes).
func (d *description) cgroupVersion() int64 {
	switch v := d.info.CgroupVersion; {
	case v != nil && (*v == "1" || *v == "2"):
		return int64((*v)[0] - '0')
	case v == nil && d.tree != nil && before(d.server, 1, 41):
		return 1
	}
	d.hide("host.cgroup_version", d.reason)
	return 0
}

func (d *description) daemon() {
	i := d.info
	out := facts.Daemon{
		LiveRestore:    take(d, i.LiveRestoreEnabled, "daemon.live_restore"),
		DefaultRuntime: take(d, i.DefaultRuntime, "daemon.default_runtime"),
		LogDriver:      take(d, i.LoggingDriver, "daemon.log_driver"),
		CgroupDriver:   take(d, i.CgroupDriver, "daemon.cgroup_driver"),
		StorageDriver:  take(d, i.Driver, "daemon.storage_driver"),
		// moby's daemon/containerd/service.go.
		ContainerdImages: slices.ContainsFunc(i.DriverStatus, func(s []string) bool {
			return slices.Equal(s, []string{"driver-type", "io.containerd.snapshotter.v1"})
		}),
		DataRoot:    take(d, i.DockerRootDir, "daemon.data_root"),
		MemoryLimit: take(d, i.MemoryLimit, "daemon.memory_limit"),
		SwapLimit:   take(d, i.SwapLimit, "daemon.swap_limit"),
		PidsLimit:   take(d, i.PidsLimit, "daemon.pids_limit"),
		CPUQuota:    take(d, i.CPUCfsQuota, "daemon.cpu_quota"),
		Runtimes:    slices.Sorted(maps.Keys(i.Runtimes)),
		Warnings:    append([]string{}, i.Warnings...),
	}
	if d.tree.Get("DriverStatus") == nil {
		d.hide("daemon.containerd_images", d.reason)
	}
	if d.tree.Get("Runtimes") == nil {
		d.hide("daemon.runtimes", d.reason)
	}
	if out.Runtimes == nil {
		out.Runtimes = []string{}
	}
	if d.tree.Get("Warnings") == nil {
		d.hide("daemon.warnings", d.reason)
	}
	out.Experimental = take(d, i.Experimental, "daemon.experimental")
	out.AuthorizationPlugins, out.InsecureRegistries = []string{}, []string{}
	if i.Plugins == nil {
		d.hide("daemon.authorization_plugins", d.reason)
	} else {
		out.AuthorizationPlugins = append(out.AuthorizationPlugins, i.Plugins.Authorization...)
	}
	if i.RegistryConfig == nil {
		d.hide("daemon.insecure_registries", d.reason)
	} else {
		out.InsecureRegistries = d.insecureRegistries()
	}
	d.facts.Daemon = out
	d.security()
}

// insecureRegistries are networks and names. The loopback addresses are insecure
// always (moby's registry/config.go), and nobody sets them.
func (d *description) insecureRegistries() []string {
	out := []string{}
	for _, network := range d.info.RegistryConfig.InsecureRegistryCIDRs {
		if network != "127.0.0.0/8" && network != "::1/128" {
			out = append(out, network)
		}
	}
	for name, index := range d.info.RegistryConfig.IndexConfigs {
		if !index.Secure {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// security reads SecurityOptions: "name=seccomp,profile=default",
// "name=rootless", … (moby's daemon/info.go, fillSecurityOptions). The list
// names what is on; what it does not name is off.
func (d *description) security() {
	out := &d.facts.Daemon
	if d.tree.Get("SecurityOptions") == nil {
		for _, p := range []string{"seccomp", "apparmor", "selinux", "userns_remap", "rootless", "private_cgroupns", "no_new_privileges"} {
			d.hide("daemon."+p, d.reason)
		}
		return
	}
	on := map[string]map[string]string{}
	for _, option := range d.info.SecurityOptions {
		name, values := parseOption(option)
		on[name] = values
	}
	out.AppArmor, out.SELinux, out.Rootless = on["apparmor"] != nil, on["selinux"] != nil, on["rootless"] != nil
	out.PrivateCgroupns = on["cgroupns"] != nil
	out.UsernsRemap = on["userns"] != nil
	switch profile := on["seccomp"]["profile"]; {
	case on["seccomp"] == nil: // not in the kernel, or not in this engine
		out.Seccomp = "unconfined"
	case profile == "default" || profile == "builtin": // builtin since 23.0
		out.Seccomp = "default"
	case profile == "unconfined":
		out.Seccomp = "unconfined"
	case profile != "":
		out.Seccomp = "custom"
	default:
		d.hide("daemon.seccomp", reasonSilent)
	}
	// Engines list it since 24.0, whose API is 1.43, whatever version is spoken
	// (moby's api/docs/CHANGELOG.md, v1.43); older ones may have it on unsaid.
	out.NoNewPrivileges = on["no-new-privileges"] != nil
	d.noNewPrivilegesSeen = out.NoNewPrivileges || !before(d.server, 1, 43)
	if !d.noNewPrivilegesSeen {
		d.hide("daemon.no_new_privileges", "engines before 24.0 do not say it")
	}
}

// parseOption splits "name=seccomp,profile=default" into seccomp and the rest.
func parseOption(option string) (string, map[string]string) {
	name, values := "", map[string]string{}
	for _, part := range strings.Split(option, ",") {
		key, value, _ := strings.Cut(part, "=")
		if key == "name" {
			name = value
		} else {
			values[key] = value
		}
	}
	return name, values
}

// forContainers is what decides for containers that do not ask, or nil when
// the options were not seen.
func (d *description) forContainers() *workload.Daemon {
	if d.tree.Get("SecurityOptions") == nil {
		return nil
	}
	out := d.facts.Daemon.Defaults(d.facts.Host.CgroupVersion)
	out.NoNewPrivilegesSeen = d.noNewPrivilegesSeen
	return out
}

// before is true when an API version is older than major.minor. The engine
// package takes no engine whose version is not two numbers.
func before(version string, major, minor int) bool {
	first, second, _ := strings.Cut(version, ".")
	x, errX := strconv.Atoi(first)
	y, errY := strconv.Atoi(second)
	return errX == nil && errY == nil && (x < major || x == major && y < minor)
}

// isSandbox is true for runtimes that keep a container's processes in a kernel
// of their own (gVisor, Kata Containers): what the host shows are the sandbox's.
func isSandbox(words ...string) bool {
	for _, w := range words {
		w = strings.ToLower(path.Base(w))
		for _, known := range []string{"runsc", "gvisor", "kata", "firecracker"} {
			if strings.Contains(w, known) {
				return true
			}
		}
	}
	return false
}
