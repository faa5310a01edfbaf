package runline

import (
	"net"
	"time"

	"github.com/docker/cli/opts"
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
	networks                                         opts.NetworkOpt
	mounts                                           mountValue
	gpus                                             opts.GpuOpts
	ulimits                                          *opts.UlimitOpt
	readBps, writeBps, readIOps, writeIOps           opts.ThrottledeviceOpt
	weights                                          opts.WeightdeviceOpt
	umask                                            opts.UmaskOpt

	entrypoint, restart, macAddress, pull string
	ip, ip6                               net.IP
	blkioWeight                           uint16
	swappiness, pids                      int64
	stopTimeout, oomScoreAdj, healthTries int
	maxBandwidth                          opts.MemBytes
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

// list lets a repeatable flag append to values.
func list(f *pflag.FlagSet, values *[]string, check opts.ValidatorFctType, name, short string) {
	f.VarP(opts.NewListOptsRef(values, check), name, short, "")
}

// mapping lets a repeatable key=value flag fill values.
func mapping(f *pflag.FlagSet, values *map[string]string, check opts.ValidatorFctType, name string) {
	*values = map[string]string{}
	f.Var(opts.NewMapOpts(*values, check), name, "")
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
	list(f, &d.attach, validateStream, "attach", "a")
	if d.command == "run" {
		f.BoolVarP(&d.detach, "detach", "d", false, "")
		f.String("detach-keys", "", "")
		f.Bool("sig-proxy", true, "")
	}
}

// registerProcess has the flags for what runs, and how it is looked after.
func (d *draft) registerProcess(f *pflag.FlagSet) {
	c, h := &d.body.Config, &d.body.HostConfig
	list(f, &d.env, d.lookupEnv, "env", "e")
	list(f, &d.envFiles, nil, "env-file", "")
	list(f, &d.labels, opts.ValidateLabel, "label", "l")
	list(f, &d.labelFiles, nil, "label-file", "")
	mapping(f, &h.Annotations, nil, "annotation")
	f.StringVar(&d.entrypoint, "entrypoint", "", "")
	f.StringVarP(&c.Hostname, "hostname", "h", "", "")
	f.StringVar(&c.Domainname, "domainname", "", "")
	f.StringVarP(&c.User, "user", "u", "", "")
	f.StringVarP(&c.WorkingDir, "workdir", "w", "", "")
	f.BoolVarP(&c.OpenStdin, "interactive", "i", false, "")
	f.BoolVarP(&c.Tty, "tty", "t", false, "")
	f.StringVar(&c.StopSignal, "stop-signal", "", "")
	f.IntVar(&d.stopTimeout, "stop-timeout", 0, "")
	list(f, &h.GroupAdd, nil, "group-add", "")
	f.BoolVar(&d.init, "init", false, "")
	f.BoolVar(&h.AutoRemove, "rm", false, "")
	f.StringVar(&d.restart, "restart", "no", "")
	f.StringVar(&h.Runtime, "runtime", "", "")
	f.StringVar(&h.LogConfig.Type, "log-driver", "", "")
	list(f, &d.logOptions, nil, "log-opt", "")
	f.Var(&d.umask, "umask", "")
}

// registerSecurity has the flags for privileges and namespaces.
func (d *draft) registerSecurity(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	f.BoolVar(&h.Privileged, "privileged", false, "")
	list(f, &h.CapAdd, nil, "cap-add", "")
	list(f, &h.CapDrop, nil, "cap-drop", "")
	list(f, &h.SecurityOpt, nil, "security-opt", "")
	mapping(f, &h.Sysctls, opts.ValidateSysctl, "sysctl")
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
	d.mounts.draft = d
	list(f, &d.volumes, nil, "volume", "v")
	f.Var(&d.mounts, "mount", "")
	list(f, &d.tmpfs, nil, "tmpfs", "")
	list(f, &h.VolumesFrom, nil, "volumes-from", "")
	f.StringVar(&h.VolumeDriver, "volume-driver", "", "")
	list(f, &d.storageOptions, nil, "storage-opt", "")
	f.BoolVar(&h.ReadonlyRootfs, "read-only", false, "")
	list(f, &d.devices, nil, "device", "")
	list(f, &h.DeviceCgroupRules, validateDeviceRule, "device-cgroup-rule", "")
	f.Var(&d.gpus, "gpus", "")
}

// registerNetwork has the flags for networks and ports; --net, --net-alias and
// --dns-opt are older spellings.
func (d *draft) registerNetwork(f *pflag.FlagSet) {
	h := &d.body.HostConfig
	f.Var(&d.networks, "network", "")
	f.Var(&d.networks, "net", "")
	list(f, &d.aliases, nil, "network-alias", "")
	list(f, &d.aliases, nil, "net-alias", "")
	f.IPVar(&d.ip, "ip", nil, "")
	f.IPVar(&d.ip6, "ip6", nil, "")
	list(f, &d.linkLocalIPs, nil, "link-local-ip", "")
	f.StringVar(&d.macAddress, "mac-address", "", "")
	list(f, &h.Links, opts.ValidateLink, "link", "")
	list(f, &d.publish, nil, "publish", "p")
	f.BoolVarP(&h.PublishAllPorts, "publish-all", "P", false, "")
	list(f, &d.expose, nil, "expose", "")
	list(f, &h.ExtraHosts, opts.ValidateExtraHost, "add-host", "")
	list(f, &h.DNS, opts.ValidateIPAddress, "dns", "")
	list(f, &h.DNSOptions, nil, "dns-option", "")
	list(f, &h.DNSOptions, nil, "dns-opt", "")
	list(f, &h.DNSSearch, opts.ValidateDNSSearch, "dns-search", "")
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
	d.ulimits = opts.NewUlimitOpt(nil)
	d.readBps = opts.NewThrottledeviceOpt(opts.ValidateThrottleBpsDevice)
	d.writeBps = opts.NewThrottledeviceOpt(opts.ValidateThrottleBpsDevice)
	d.readIOps = opts.NewThrottledeviceOpt(opts.ValidateThrottleIOpsDevice)
	d.writeIOps = opts.NewThrottledeviceOpt(opts.ValidateThrottleIOpsDevice)
	d.weights = opts.NewWeightdeviceOpt(opts.ValidateWeightDevice)

	f.VarP((*opts.MemBytes)(&h.Memory), "memory", "m", "")
	f.Var((*opts.MemBytes)(&h.MemoryReservation), "memory-reservation", "")
	f.Var((*opts.MemSwapBytes)(&h.MemorySwap), "memory-swap", "")
	f.Int64Var(&d.swappiness, "memory-swappiness", -1, "")
	f.Var((*opts.MemBytes)(&h.KernelMemory), "kernel-memory", "")
	f.Var((*opts.MemBytes)(&h.ShmSize), "shm-size", "")
	f.Var((*opts.NanoCPUs)(&h.NanoCPUs), "cpus", "")
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
	f.Var(d.ulimits, "ulimit", "")
	f.Uint16Var(&d.blkioWeight, "blkio-weight", 0, "")
	f.Var(&d.weights, "blkio-weight-device", "")
	f.Var(&d.readBps, "device-read-bps", "")
	f.Var(&d.writeBps, "device-write-bps", "")
	f.Var(&d.readIOps, "device-read-iops", "")
	f.Var(&d.writeIOps, "device-write-iops", "")
	f.BoolVar(&d.oomKillDisable, "oom-kill-disable", false, "")
	f.IntVar(&d.oomScoreAdj, "oom-score-adj", 0, "")
	f.Var(&d.maxBandwidth, "io-maxbandwidth", "")
	f.Uint64Var(&h.IOMaximumIOps, "io-maxiops", 0, "")
}
