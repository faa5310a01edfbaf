package workload

import (
	"cmp"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mounts reads Binds, Mounts, Tmpfs, Config.Volumes and VolumesFrom.
func (b *builder) mounts() error {
	s := b.spec
	s.ReadOnlyRoot, s.VolumeDriver = b.host.ReadonlyRootfs, b.host.VolumeDriver
	s.StorageOptions = clone(b.host.StorageOpt)
	var all []Mount
	for _, bind := range b.host.Binds {
		m, err := parseBind(bind)
		if err != nil {
			return err
		}
		if m.Type == "volume" {
			m.Driver = b.host.VolumeDriver
		}
		all = append(all, m)
	}
	for _, body := range b.host.Mounts {
		all = append(all, fromMountBody(body))
		if body.Type == "" && b.live {
			s.hide(reasonSilent, "mounts")
		}
	}
	for target, options := range b.host.Tmpfs {
		all = append(all, tmpfs(target, strings.Split(options, ",")))
	}
	s.VolumesFrom = make([]Join, 0, len(b.host.VolumesFrom))
	for _, v := range b.host.VolumesFrom {
		s.VolumesFrom = append(s.VolumesFrom, parseVolumesFrom(v))
	}
	s.Mounts = []Mount{}
	for _, m := range all {
		if m.Type == "volume" && m.Source == "" && len(m.DriverOptions) == 0 && m.Driver == "" {
			s.AnonymousVolumes = append(s.AnonymousVolumes, m.Target)
			continue
		}
		s.Mounts = append(s.Mounts, m)
	}
	b.anonymousVolumes()
	b.sortMounts()
	if len(s.VolumesFrom) > 0 && !b.live {
		s.hide(reasonJoined, "mounts"+Open)
	}
	return nil
}

func (b *builder) anonymousVolumes() {
	s := b.spec
	for target := range b.cfg.Volumes {
		s.AnonymousVolumes = append(s.AnonymousVolumes, cleanPath(target))
	}
	if img := b.around.Image; img != nil && !b.live {
		s.AnonymousVolumes = append(s.AnonymousVolumes, cleanPaths(img.Volumes)...)
	}
	taken := make([]string, 0, len(s.Mounts))
	for _, m := range s.Mounts {
		taken = append(taken, m.Target)
	}
	s.AnonymousVolumes = without(sortedUnique(s.AnonymousVolumes), taken)
	if b.fromImage() {
		s.hide(reasonImage, "anonymous_volumes"+Open)
	}
}

// sortMounts orders by target and works out what each mount shows of the host;
// it comes last, because unseen paths carry positions.
func (b *builder) sortMounts() {
	s := b.spec
	slices.SortStableFunc(s.Mounts, func(x, y Mount) int { return strings.Compare(x.Target, y.Target) })
	for i := range s.Mounts {
		b.exposeMount(&s.Mounts[i], fmt.Sprintf("mounts[%d].", i))
	}
}

func (b *builder) exposeMount(m *Mount, at string) {
	s, paths, places := b.spec, []string{}, []string{}
	switch m.Type {
	case "bind":
		paths = append(paths, m.Source)
	case "volume":
		if m.Source != "" {
			vol, known := b.around.Volumes[m.Source]
			switch {
			case known: // options in the request are for a new volume only
				m.Driver, m.DriverOptions = vol.Driver, maskPasswords(vol.Options)
			case b.around.Volumes == nil || b.live: // one of that name may exist, with options of its own
				s.hide(reasonVolume, at+"driver", at+"driver_options", at+"host_paths", at+"exposes", at+"resolved", at+"resolved_exposes")
			}
		}
		if m.Driver == "" {
			m.Driver = "local"
		}
		if m.Driver == "local" {
			paths, places = localVolumePaths(m.DriverOptions)
			m.ReadOnly = m.ReadOnly || readOnlyVolume(m.DriverOptions)
		}
	}
	if !m.expose(paths, places, b.around) {
		s.hide(reasonHost, at+"resolved", at+"resolved_exposes")
	}
}

// parseBind reads "source:target[:options]" of HostConfig.Binds: a source that
// starts with a slash is the host's path, any other a volume's name.
func parseBind(bind string) (Mount, error) {
	parts := strings.SplitN(bind, ":", 3)
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		if len(parts) == 1 && strings.HasPrefix(bind, "/") {
			return Mount{Type: "volume", Target: cleanPath(bind), Propagation: "rprivate", DriverOptions: map[string]string{}, Options: []string{}}, nil
		}
		return Mount{}, fmt.Errorf("bind %q is not source:target[:options]", bind)
	}
	m := Mount{Type: "volume", Source: parts[0], Target: cleanPath(parts[1]), Propagation: "rprivate",
		DriverOptions: map[string]string{}, Options: []string{}}
	if strings.HasPrefix(m.Source, "/") {
		m.Type, m.Source = "bind", path.Clean(m.Source)
	}
	if len(parts) == 3 {
		for _, o := range strings.Split(parts[2], ",") {
			switch o {
			case "ro":
				m.ReadOnly = true
			case "z":
				m.Relabel = "shared"
			case "Z":
				m.Relabel = "private"
			case "private", "rprivate", "shared", "rshared", "slave", "rslave":
				m.Propagation = o
			}
		}
	}
	return m, nil
}

func fromMountBody(body MountBody) Mount {
	m := Mount{Type: body.Type, Source: body.Source, Target: cleanPath(body.Target), ReadOnly: body.ReadOnly,
		Propagation: "rprivate", DriverOptions: map[string]string{}, Options: []string{}}
	if m.Type == "bind" {
		m.Source = cleanPath(body.Source)
	}
	if o := body.BindOptions; o != nil && o.Propagation != "" {
		m.Propagation = o.Propagation
	}
	if o := body.VolumeOptions; o != nil {
		m.Subpath = o.Subpath
		if o.DriverConfig != nil {
			m.Driver, m.DriverOptions = o.DriverConfig.Name, maskPasswords(o.DriverConfig.Options)
		}
	}
	if o := body.ImageOptions; o != nil {
		m.Subpath = o.Subpath
	}
	if m.Type == "tmpfs" {
		var options []string
		if o := body.TmpfsOptions; o != nil {
			if o.SizeBytes > 0 {
				options = append(options, "size="+itoa(o.SizeBytes))
			}
			if o.Mode != 0 {
				options = append(options, "mode="+strconv.FormatUint(uint64(o.Mode), 8))
			}
			for _, pair := range o.Options {
				options = append(options, strings.Join(pair, "="))
			}
		}
		readOnly := m.ReadOnly
		m = tmpfs(body.Target, options)
		m.ReadOnly = m.ReadOnly || readOnly
	}
	return m
}

// tmpfs is a mount in memory. The engine adds noexec, nosuid and nodev where
// the options do not say otherwise.
func tmpfs(target string, options []string) Mount {
	m := Mount{Type: "tmpfs", Target: cleanPath(target), Propagation: "rprivate", DriverOptions: map[string]string{}}
	for _, flag := range []string{"exec", "suid", "dev"} {
		if !slices.Contains(options, flag) {
			options = append(options, "no"+flag)
		}
	}
	for _, o := range options {
		if o == "ro" {
			m.ReadOnly = true
		}
		if o != "" {
			m.Options = append(m.Options, o)
		}
	}
	m.Options = sortedUnique(m.Options)
	return m
}

// maskPasswords copies driver options with passwords in mount options (as cifs
// has them) and in options of that name struck out.
func maskPasswords(options map[string]string) map[string]string {
	out := clone(options)
	for name, value := range out {
		if strings.Contains(strings.ToLower(name), "pass") {
			out[name] = "***"
			continue
		}
		parts := strings.Split(value, ",")
		for i, p := range parts {
			if key, _, found := strings.Cut(p, "="); found && strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), "pass") {
				parts[i] = key + "=***"
			}
		}
		out[name] = strings.Join(parts, ",")
	}
	return out
}

func clone(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (b *builder) devices() {
	s, h := b.spec, b.host
	s.Devices = make([]Device, 0, len(h.Devices))
	for _, d := range h.Devices {
		dev := Device{HostPath: cleanPath(d.PathOnHost), ContainerPath: cleanPath(d.PathInContainer)}
		if dev.ContainerPath == "" {
			dev.ContainerPath = dev.HostPath
		}
		for _, p := range "rwm" {
			if strings.ContainsRune(d.CgroupPermissions, p) || d.CgroupPermissions == "" {
				dev.Permissions += string(p)
			}
		}
		s.Devices = append(s.Devices, dev)
	}
	slices.SortFunc(s.Devices, func(x, y Device) int {
		return strings.Compare(x.ContainerPath+"\x00"+x.HostPath, y.ContainerPath+"\x00"+y.HostPath)
	})
	for i := range s.Devices {
		if !s.Devices[i].expose(b.around) {
			s.hide(reasonHost, fmt.Sprintf("devices[%d].resolved", i), fmt.Sprintf("devices[%d].resolved_exposes", i))
		}
	}
	s.DeviceRules = make([]string, 0, len(h.DeviceCgroupRules))
	for _, r := range h.DeviceCgroupRules {
		s.DeviceRules = append(s.DeviceRules, canonicalDeviceRule(r))
	}
	s.DeviceRules = sortedUnique(s.DeviceRules)
	s.DeviceRequests = make([]DeviceRequest, 0, len(h.DeviceRequests))
	for _, r := range h.DeviceRequests {
		req := DeviceRequest{Driver: r.Driver, Count: r.Count, DeviceIDs: sortedUnique(r.DeviceIDs), Capabilities: []string{}}
		for _, and := range r.Capabilities {
			req.Capabilities = append(req.Capabilities, strings.Join(and, "+"))
		}
		req.Capabilities = sortedUnique(req.Capabilities)
		s.DeviceRequests = append(s.DeviceRequests, req)
	}
}

// lastPrivilegedPort is the last that only root may listen on (ip(7)).
const lastPrivilegedPort = 1023

// canonicalDeviceRule writes "TYPE MAJOR:MINOR USES". Of a rule about all devices the
// kernel takes nothing else, and numbers may begin with zeros (the kernel's
// security/device_cgroup.c, devcgroup_update_access).
func canonicalDeviceRule(rule string) string {
	fields := strings.Fields(rule)
	if len(fields) > 0 && fields[0] == "a" {
		return "a *:* rwm"
	}
	if len(fields) == 3 {
		numbers := strings.Split(fields[1], ":")
		for i, n := range numbers {
			if short := strings.TrimLeft(n, "0"); short != n {
				numbers[i] = cmp.Or(short, "0")
			}
		}
		fields[1] = strings.Join(numbers, ":")
	}
	return strings.Join(fields, " ")
}

// ports reads PortBindings: "80/tcp" → [{HostIp, HostPort}]. Which address an
// empty HostIp stands for is the daemon's and the network's to say.
func (b *builder) ports() error {
	s := b.spec
	s.Ports, s.PublishAll = []Port{}, b.host.PublishAllPorts
	for key, bindings := range b.host.PortBindings {
		number, protocol, err := parsePort(key)
		if err != nil {
			return err
		}
		for _, at := range bindings {
			p := Port{HostIP: canonicalIP(at.HostIP), ContainerPort: number, Protocol: protocol}
			first, last, isRange := strings.Cut(at.HostPort, "-")
			if p.HostPort, err = portNumber(first); err != nil {
				return fmt.Errorf("port binding %s: %w", key, err)
			}
			p.HostPortEnd = p.HostPort
			if isRange {
				if p.HostPortEnd, err = portNumber(last); err != nil {
					return fmt.Errorf("port binding %s: %w", key, err)
				}
			}
			s.Ports = append(s.Ports, p)
		}
	}
	s.ExposedPorts = []string{}
	exposed := make([]string, 0, len(b.cfg.ExposedPorts))
	for key := range b.cfg.ExposedPorts {
		exposed = append(exposed, key)
	}
	if img := b.around.Image; img != nil && !b.live {
		exposed = append(exposed, img.ExposedPorts...)
	}
	for _, key := range exposed {
		number, protocol, err := parsePort(key)
		if err != nil {
			return err
		}
		s.ExposedPorts = append(s.ExposedPorts, itoa(number)+"/"+protocol)
	}
	s.ExposedPorts = sortedUnique(s.ExposedPorts)
	if b.fromImage() {
		s.hide(reasonImage, "exposed_ports"+Open)
		if s.PublishAll {
			s.hide(reasonImage, "ports"+Open)
		}
	}
	if !b.live {
		if s.PublishAll {
			b.publishExposed()
		}
		b.sortPorts()
		for i, p := range s.Ports {
			if p.HostIP == "" {
				s.hide(reasonDaemon, fmt.Sprintf("ports[%d].host_ip", i))
			}
			// The engine takes the first of a range that is free: of one that crosses
			// the end of the privileged ports, either kind.
			if p.HostPort <= lastPrivilegedPort && p.HostPortEnd > lastPrivilegedPort {
				s.hide(reasonChosen, fmt.Sprintf("ports[%d].host_port", i))
			}
		}
	}
	return nil
}

// publishExposed adds the ports that --publish-all will bind: those that are
// declared and not bound already, each to a port that the engine chooses.
func (b *builder) publishExposed() {
	s := b.spec
	for _, key := range s.ExposedPorts {
		number, protocol, err := parsePort(key)
		if err != nil || slices.ContainsFunc(s.Ports, func(p Port) bool { return p.ContainerPort == number && p.Protocol == protocol }) {
			continue // parsed before, or bound already
		}
		s.Ports = append(s.Ports, Port{ContainerPort: number, Protocol: protocol})
	}
}

func (b *builder) sortPorts() {
	slices.SortFunc(b.spec.Ports, func(x, y Port) int {
		for _, d := range []int64{x.ContainerPort - y.ContainerPort, int64(strings.Compare(x.Protocol, y.Protocol)), int64(strings.Compare(x.HostIP, y.HostIP)), x.HostPort - y.HostPort} {
			if d != 0 {
				return int(d)
			}
		}
		return 0
	})
}

func parsePort(key string) (int64, string, error) {
	number, protocol, found := strings.Cut(key, "/")
	if !found || protocol == "" {
		protocol = "tcp"
	}
	n, err := portNumber(number)
	if err != nil {
		return 0, "", fmt.Errorf("port %q: %w", key, err)
	}
	return n, strings.ToLower(protocol), nil
}

func portNumber(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port from 0 to 65535", s)
	}
	return int64(n), nil
}

func (b *builder) network() {
	s, h := b.spec, b.host
	s.Links = canonicalLinks(h.Links)
	s.DNS, s.DNSOptions, s.DNSSearch = sortedUnique(canonicalIPs(h.DNS)), sortedUnique(h.DNSOptions), sortedUnique(h.DNSSearch)
	s.ExtraHosts = sortedUnique(h.ExtraHosts)
	s.MacAddress = strings.ToLower(b.cfg.MacAddress)
}

// endpoints adds the networks joined by name and the addresses asked there.
func (b *builder) endpoints(ends map[string]*EndpointSettings) {
	s := b.spec
	s.Networks, s.IPAddresses = []string{}, []string{}
	// An inspect answer has the networks that it is in now, by their names.
	asked := !b.live || len(ends) == 0
	if n := s.Namespaces.Network; n != "host" && n != "none" && !strings.HasPrefix(n, "container:") && asked {
		s.Networks = append(s.Networks, n)
	}
	for name, end := range ends {
		if name == "default" {
			name = "bridge"
		}
		if name != "host" && name != "none" { // an inspect answer lists these two as networks
			s.Networks = append(s.Networks, name)
		}
		if end == nil {
			continue
		}
		s.Links = append(s.Links, canonicalLinks(end.Links)...)
		if end.IPAMConfig != nil {
			for _, ip := range []string{end.IPAMConfig.IPv4Address, end.IPAMConfig.IPv6Address} {
				if ip != "" {
					s.IPAddresses = append(s.IPAddresses, canonicalIP(ip))
				}
			}
		}
		if s.MacAddress == "" && !b.live {
			s.MacAddress = strings.ToLower(end.MacAddress)
		}
	}
	if asked && slices.ContainsFunc(s.Networks, mayBeID) {
		s.hide("it may be the beginning of a network's id", "networks")
	}
	s.Networks, s.IPAddresses, s.Links = sortedUnique(s.Networks), sortedUnique(s.IPAddresses), sortedUnique(s.Links)
}

func (b *builder) resources() {
	s, h := b.spec, b.host
	r := Resources{
		MemoryBytes: h.Memory, MemoryReservationBytes: h.MemoryReservation, MemorySwapBytes: h.MemorySwap,
		KernelMemoryBytes: h.KernelMemory, KernelMemoryTCPBytes: h.KernelMemoryTCP, Swappiness: -1,
		CPUQuotaMicroseconds: h.CPUQuota, CPUPeriodMicroseconds: h.CPUPeriod,
		CPURealtimeRuntimeMicroseconds: h.CPURealtimeRuntime, CPURealtimePeriodMicroseconds: h.CPURealtimePeriod,
		CPUShares: h.CPUShares, CpusetCPUs: h.CpusetCpus, CpusetMems: h.CpusetMems,
		BlkioWeight: h.BlkioWeight, OOMScoreAdj: h.OomScoreAdj, ShmBytes: h.ShmSize,
		ReadBps: rates(h.BlkioDeviceReadBps), WriteBps: rates(h.BlkioDeviceWriteBps),
		ReadIops: rates(h.BlkioDeviceReadIOps), WriteIops: rates(h.BlkioDeviceWriteIOps),
		BlkioWeightDevices: []DeviceRate{}, Ulimits: []Ulimit{},
	}
	if r.MemoryBytes > 0 && r.MemorySwapBytes == 0 {
		r.MemorySwapBytes = 2 * r.MemoryBytes
	}
	if h.MemorySwappiness != nil {
		r.Swappiness = *h.MemorySwappiness
	}
	if h.NanoCPUs > 0 {
		r.CPUPeriodMicroseconds = 100_000
		r.CPUQuotaMicroseconds = h.NanoCPUs / 10_000
	}
	if r.CPUQuotaMicroseconds > 0 {
		if r.CPUPeriodMicroseconds == 0 {
			r.CPUPeriodMicroseconds = 100_000
		}
		r.CPUs = math.Round(float64(r.CPUQuotaMicroseconds)/float64(r.CPUPeriodMicroseconds)*1e5) / 1e5
	}
	if r.CPUQuotaMicroseconds < 0 {
		r.CPUQuotaMicroseconds = 0
	}
	if h.PidsLimit != nil && *h.PidsLimit > 0 {
		r.Pids = *h.PidsLimit
	}
	if h.OomKillDisable != nil {
		r.OOMKillDisable = *h.OomKillDisable
	}
	for _, u := range h.Ulimits {
		r.Ulimits = append(r.Ulimits, Ulimit(u))
	}
	slices.SortFunc(r.Ulimits, func(x, y Ulimit) int { return strings.Compare(x.Name, y.Name) })
	for _, d := range h.BlkioWeightDevice {
		r.BlkioWeightDevices = append(r.BlkioWeightDevices, DeviceRate{Path: cleanPath(d.Path), Value: d.Weight})
	}
	s.Resources = r
	if !b.live {
		s.hide(reasonDaemon, "resources.ulimits"+Open)
		if r.ShmBytes == 0 {
			s.hide(reasonDaemon, "resources.shm_bytes")
		}
	}
}

func rates(devices []ThrottleDevice) []DeviceRate {
	out := make([]DeviceRate, 0, len(devices))
	for _, d := range devices {
		out = append(out, DeviceRate{Path: cleanPath(d.Path), Value: d.Rate})
	}
	slices.SortFunc(out, func(x, y DeviceRate) int { return strings.Compare(x.Path, y.Path) })
	return out
}

func (b *builder) lifecycle() {
	s, h, d := b.spec, b.host, b.around.Daemon
	s.Restart = Restart{Name: sharedWith(h.RestartPolicy.Name, "no"), MaxRetries: h.RestartPolicy.MaximumRetryCount}
	s.AutoRemove, s.CgroupParent, s.Sysctls, s.Annotations = h.AutoRemove, h.CgroupParent, clone(h.Sysctls), clone(h.Annotations)
	b.health()
	s.Runtime, s.LogDriver, s.LogOptions = h.Runtime, h.LogConfig.Type, []string{}
	if s.Runtime == "" && d != nil {
		s.Runtime = d.DefaultRuntime
	}
	if s.Runtime == "" {
		s.hide(reasonDaemon, "runtime")
	}
	for name := range h.LogConfig.Config {
		s.LogOptions = append(s.LogOptions, name)
	}
	s.LogOptions = sortedUnique(s.LogOptions)
	switch {
	case s.LogDriver != "" && (b.live || len(s.LogOptions) > 0):
	case s.LogDriver == "" && d != nil && d.LogDriver != "":
		s.LogDriver = d.LogDriver
		s.hide(reasonDaemon, "log_options"+Open)
	case s.LogDriver == "":
		s.hide(reasonDaemon, "log_driver", "log_options"+Open)
	}
	switch {
	case h.Init != nil:
		s.Init = *h.Init
	default:
		s.hide(reasonDaemon, "init")
	}
}

func (b *builder) health() {
	s, hc := b.spec, b.cfg.Healthcheck
	s.Healthcheck = Healthcheck{}
	switch {
	case hc != nil && len(hc.Test) > 0 && hc.Test[0] == "NONE":
		s.Healthcheck.Disabled = true
	case hc != nil && len(hc.Test) > 0 && hc.Test[0] != "CMD" && hc.Test[0] != "CMD-SHELL": // which the engine takes, and never runs
	case hc != nil && len(hc.Test) > 0:
		s.Healthcheck = Healthcheck{Defined: true, IntervalSeconds: seconds(hc.Interval), TimeoutSeconds: seconds(hc.Timeout), Retries: hc.Retries}
	case b.live:
	case b.around.Image != nil:
		s.Healthcheck.Defined = b.around.Image.HasHealth
	default:
		s.hide(reasonImage, "healthcheck")
	}
}

func seconds(nanoseconds int64) float64 { return float64(nanoseconds) / 1e9 }
