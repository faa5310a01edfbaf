package runline

import (
	"net"
	"time"

	"github.com/spf13/pflag"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// draft is a request in the making. Flags whose value is the request's write
// into body directly; the others are kept here until build joins them.
type draft struct {
	world   World
	command string // run or create
	body    workload.CreateBody
	unseen  []workload.Unseen

	attach, volumes, tmpfs, publish, expose, devices []string
	env, envFiles, labels, labelFiles                []string
	aliases, linkLocalIPs                            []string
	logOptions, storageOptions                       []string
	networks                                         []attachment
	ulimits                                          map[string]workload.UlimitBody

	entrypoint, restart, macAddress, pull string
	ip, ip6                               net.IP
	blkioWeight                           uint16
	swappiness, pids                      int64
	stopTimeout, oomScoreAdj, healthTries int
	maxBandwidth                          int64
	oomKillDisable, init                  bool
	detach, apiSocket, noHealthcheck      bool
	health                                struct {
		command                                       string
		interval, timeout, startPeriod, startInterval time.Duration
	}
}

// registerGlobals names docker's own options, whose values say nothing of the
// container.
func registerGlobals(f *pflag.FlagSet) {
	f.String("config", "", "")
	f.StringP("context", "c", "", "")
	f.BoolP("debug", "D", false, "")
	f.StringArrayP("host", "H", nil, "")
	f.StringP("log-level", "l", "", "")
	f.Bool("tls", false, "")
	f.String("tlscacert", "", "")
	f.String("tlscert", "", "")
	f.String("tlskey", "", "")
	f.Bool("tlsverify", false, "")
}

// register is the table of flags of docker run and docker create.
func (d *draft) register(f *pflag.FlagSet) {
	d.registerClient(f)
	d.registerProcess(f)
	d.registerSecurity(f)
	d.registerStorage(f)
	d.registerNetwork(f)
	d.registerHealth(f)
	d.registerResources(f)
}

// registerClient has the flags for what the client itself does.
func (d *draft) registerClient(f *pflag.FlagSet) {
	f.StringVar(&d.body.Name, "name", "", "")
	f.StringVar(&d.body.HostConfig.ContainerIDFile, "cidfile", "", "")
	f.StringVar(&d.pull, "pull", "missing", "")
	f.String("platform", "", "")
	f.BoolP("quiet", "q", false, "")
	f.Bool("disable-content-trust", true, "")
	f.BoolVar(&d.apiSocket, "use-api-socket", false, "")
	several(f, &d.attach, checkStream, "attach", "a")
	if d.command == "run" {
		f.BoolVarP(&d.detach, "detach", "d", false, "")
		f.String("detach-keys", "", "")
		f.Bool("sig-proxy", true, "")
	}
}

// registerProcess has the flags for what runs, and how it is looked after.
func (d *draft) registerProcess(f *pflag.FlagSet) {
	c, h := &d.body.Config, &d.body.HostConfig
	several(f, &d.env, d.lookupEnv, "env", "e")
	several(f, &d.envFiles, plain, "env-file", "")
	several(f, &d.labels, checkLabel, "label", "l")
	several(f, &d.labelFiles, plain, "label-file", "")
	mapping(f, &h.Annotations, plain, "annotation")
	f.StringVar(&d.entrypoint, "entrypoint", "", "")
	f.StringVarP(&c.Hostname, "hostname", "h", "", "")
	f.StringVar(&c.Domainname, "domainname", "", "")
	f.StringVarP(&c.User, "user", "u", "", "")
	f.StringVarP(&c.WorkingDir, "workdir", "w", "", "")
	f.BoolVarP(&c.OpenStdin, "interactive", "i", false, "")
	f.BoolVarP(&c.Tty, "tty", "t", false, "")
	f.StringVar(&c.StopSignal, "stop-signal", "", "")
	f.IntVar(&d.stopTimeout, "stop-timeout", 0, "")
	several(f, &h.GroupAdd, plain, "group-add", "")
	f.BoolVar(&d.init, "init", false, "")
	f.BoolVar(&h.AutoRemove, "rm", false, "")
	f.StringVar(&d.restart, "restart", "no", "")
	f.StringVar(&h.Runtime, "runtime", "", "")
	f.StringVar(&h.LogConfig.Type, "log-driver", "", "")
	several(f, &d.logOptions, plain, "log-opt", "")
	single(f, &h.Umask, parseUmask, "umask", "")
}

// registerSecurity has the flags for privileges and namespaces.
func (d *draft) registerSecurity(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	f.BoolVar(&h.Privileged, "privileged", false, "")
	several(f, &h.CapAdd, plain, "cap-add", "")
	several(f, &h.CapDrop, plain, "cap-drop", "")
	several(f, &h.SecurityOpt, plain, "security-opt", "")
	mapping(f, &h.Sysctls, checkSysctl, "sysctl")
	f.StringVar(&h.PidMode, "pid", "", "")
	f.StringVar(&h.IpcMode, "ipc", "", "")
	f.StringVar(&h.UTSMode, "uts", "", "")
	f.StringVar(&h.UsernsMode, "userns", "", "")
	f.StringVar(&h.CgroupnsMode, "cgroupns", "", "")
	f.StringVar(&h.CgroupParent, "cgroup-parent", "", "")
	f.StringVar(&h.Isolation, "isolation", "", "")
}

// registerStorage has the flags for files and devices.
func (d *draft) registerStorage(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	several(f, &d.volumes, plain, "volume", "v")
	several(f, &h.Mounts, d.parseMount, "mount", "")
	several(f, &d.tmpfs, plain, "tmpfs", "")
	several(f, &h.VolumesFrom, plain, "volumes-from", "")
	f.StringVar(&h.VolumeDriver, "volume-driver", "", "")
	several(f, &d.storageOptions, plain, "storage-opt", "")
	f.BoolVar(&h.ReadonlyRootfs, "read-only", false, "")
	several(f, &d.devices, plain, "device", "")
	several(f, &h.DeviceCgroupRules, checkDeviceRule, "device-cgroup-rule", "")
	several(f, &h.DeviceRequests, parseGPUs, "gpus", "")
}

// registerNetwork has the flags for networks and ports; --net, --net-alias and
// --dns-opt are older spellings.
func (d *draft) registerNetwork(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	several(f, &d.networks, parseAttachment, "network", "")
	several(f, &d.networks, parseAttachment, "net", "")
	several(f, &d.aliases, plain, "network-alias", "")
	several(f, &d.aliases, plain, "net-alias", "")
	f.IPVar(&d.ip, "ip", nil, "")
	f.IPVar(&d.ip6, "ip6", nil, "")
	several(f, &d.linkLocalIPs, plain, "link-local-ip", "")
	f.StringVar(&d.macAddress, "mac-address", "", "")
	several(f, &h.Links, checkLink, "link", "")
	several(f, &d.publish, plain, "publish", "p")
	f.BoolVarP(&h.PublishAllPorts, "publish-all", "P", false, "")
	several(f, &d.expose, plain, "expose", "")
	several(f, &h.ExtraHosts, checkExtraHost, "add-host", "")
	several(f, &h.DNS, checkAddress, "dns", "")
	several(f, &h.DNSOptions, plain, "dns-option", "")
	several(f, &h.DNSOptions, plain, "dns-opt", "")
	several(f, &h.DNSSearch, checkSearchDomain, "dns-search", "")
}

// registerHealth has the flags for the health check.
func (d *draft) registerHealth(f *pflag.FlagSet) {
	f.StringVar(&d.health.command, "health-cmd", "", "")
	f.DurationVar(&d.health.interval, "health-interval", 0, "")
	f.DurationVar(&d.health.timeout, "health-timeout", 0, "")
	f.DurationVar(&d.health.startPeriod, "health-start-period", 0, "")
	f.DurationVar(&d.health.startInterval, "health-start-interval", 0, "")
	f.IntVar(&d.healthTries, "health-retries", 0, "")
	f.BoolVar(&d.noHealthcheck, "no-healthcheck", false, "")
}

// registerResources has the flags for limits. Those of Windows are read and
// mean nothing on Linux.
func (d *draft) registerResources(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	// The client sends these lists empty rather than not at all.
	h.BlkioWeightDevice = []workload.WeightDevice{}
	h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps = []workload.ThrottleDevice{}, []workload.ThrottleDevice{}
	h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps = []workload.ThrottleDevice{}, []workload.ThrottleDevice{}

	single(f, &h.Memory, parseBytes, "memory", "m")
	single(f, &h.MemoryReservation, parseBytes, "memory-reservation", "")
	single(f, &h.MemorySwap, parseSwapBytes, "memory-swap", "")
	f.Int64Var(&d.swappiness, "memory-swappiness", -1, "")
	single(f, &h.KernelMemory, parseBytes, "kernel-memory", "")
	single(f, &h.ShmSize, parseBytes, "shm-size", "")
	single(f, &h.NanoCPUs, parseCPUs, "cpus", "")
	f.Int64VarP(&h.CPUShares, "cpu-shares", "c", 0, "")
	f.Int64Var(&h.CPUPeriod, "cpu-period", 0, "")
	f.Int64Var(&h.CPUQuota, "cpu-quota", 0, "")
	f.Int64Var(&h.CPURealtimePeriod, "cpu-rt-period", 0, "")
	f.Int64Var(&h.CPURealtimeRuntime, "cpu-rt-runtime", 0, "")
	f.Int64Var(&h.CPUCount, "cpu-count", 0, "")
	f.Int64Var(&h.CPUPercent, "cpu-percent", 0, "")
	f.StringVar(&h.CpusetCpus, "cpuset-cpus", "", "")
	f.StringVar(&h.CpusetMems, "cpuset-mems", "", "")
	f.Int64Var(&d.pids, "pids-limit", 0, "")
	f.Func("ulimit", "", d.setUlimit)
	f.Uint16Var(&d.blkioWeight, "blkio-weight", 0, "")
	several(f, &h.BlkioWeightDevice, parseWeight, "blkio-weight-device", "")
	several(f, &h.BlkioDeviceReadBps, parseByteRate, "device-read-bps", "")
	several(f, &h.BlkioDeviceWriteBps, parseByteRate, "device-write-bps", "")
	several(f, &h.BlkioDeviceReadIOps, parseOperationRate, "device-read-iops", "")
	several(f, &h.BlkioDeviceWriteIOps, parseOperationRate, "device-write-iops", "")
	f.BoolVar(&d.oomKillDisable, "oom-kill-disable", false, "")
	f.IntVar(&d.oomScoreAdj, "oom-score-adj", 0, "")
	single(f, &d.maxBandwidth, parseBytes, "io-maxbandwidth", "")
	f.Uint64Var(&h.IOMaximumIOps, "io-maxiops", 0, "")
}
