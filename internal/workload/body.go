package workload

import "github.com/plimsoll/plimsoll/internal/strict"

// The raw bodies of the Engine API, with every field of versions 1.40 to 1.56
// that says something about a container. Names are the API's own. A field that
// not all versions have is tagged with those that do: api:"41-" came with 1.41,
// api:"-41" was last in it. Those that newer versions dropped stay, because
// older engines honour them. One tagged strict:"required" is in the inspect answer
// of every engine of these versions, as the API's types encode it always.

// Unread is a part of a body that is known and says nothing that is judged.
type Unread struct{}

// UnmarshalJSON keeps nothing.
func (Unread) UnmarshalJSON([]byte) error { return nil }

// CreateBody is the body of POST /containers/create.
type CreateBody struct {
	Config
	HostConfig       HostConfig
	NetworkingConfig NetworkingConfig
	// Name is the name asked for. It travels in the query, not in the body.
	Name string `json:"-"`
}

// InspectBody is the answer of GET /containers/{id}/json.
type InspectBody struct {
	// Missing are the required keys that the answer does not have.
	Missing strict.Missing `json:"-"`

	ID              string `json:"Id" strict:"required"`
	Created         string `strict:"required"`
	Path            string
	Args            []string
	State           State  `strict:"required"`
	Image           string `strict:"required"`
	ResolvConfPath  string
	HostnamePath    string
	HostsPath       string
	LogPath         string
	Name            string `strict:"required"`
	RestartCount    int64  `strict:"required"`
	Driver          string
	Platform        string
	MountLabel      string
	ProcessLabel    string
	AppArmorProfile string     `strict:"required"`
	ExecIDs         []string   `strict:"required"`
	HostConfig      HostConfig `strict:"required"`
	GraphDriver     Unread
	Storage         Unread `api:"52-"`
	SizeRw          *int64
	SizeRootFs      *int64
	Mounts          []MountPoint    `strict:"required"`
	Config          Config          `strict:"required"`
	NetworkSettings NetworkSettings `strict:"required"`

	ImageManifestDescriptor Unread
}

// State is an inspected container's state.
type State struct {
	Status     string `strict:"required"`
	Running    bool
	Paused     bool
	Restarting bool
	OOMKilled  bool `strict:"required"`
	Dead       bool
	Pid        int64 `strict:"required"`
	ExitCode   int64 `strict:"required"`
	Error      string
	StartedAt  string `strict:"required"`
	FinishedAt string
	Health     *struct {
		Status        string
		FailingStreak int64
		Log           Unread
	}
}

// Config is the part of a container that does not depend on the host.
type Config struct {
	Hostname        string `strict:"required"`
	Domainname      string `strict:"required"`
	User            string `strict:"required"`
	AttachStdin     bool
	AttachStdout    bool
	AttachStderr    bool
	ExposedPorts    map[string]struct{}
	Tty             bool `strict:"required"`
	OpenStdin       bool `strict:"required"`
	StdinOnce       bool
	Env             []string `strict:"required"`
	Cmd             Words    `strict:"required"`
	Healthcheck     *HealthConfig
	ArgsEscaped     bool
	Image           string              `strict:"required"`
	Volumes         map[string]struct{} `strict:"required"`
	WorkingDir      string
	Entrypoint      Words `strict:"required"`
	NetworkDisabled bool
	MacAddress      string `api:"-51"`
	OnBuild         []string
	Labels          map[string]string `strict:"required"`
	StopSignal      string
	StopTimeout     *int64
	Shell           Words
}

// HealthConfig is a health check; durations are nanoseconds.
type HealthConfig struct {
	Test          []string
	Interval      int64
	Timeout       int64
	StartPeriod   int64
	StartInterval int64 `api:"44-"`
	Retries       int64
}

// HostConfig is the part of a container that depends on the host.
type HostConfig struct {
	Binds           []string `strict:"required"`
	ContainerIDFile string
	LogConfig       LogConfig                `strict:"required"`
	NetworkMode     string                   `strict:"required"`
	PortBindings    map[string][]PortBinding `strict:"required"`
	RestartPolicy   RestartPolicy            `strict:"required"`
	AutoRemove      bool                     `strict:"required"`
	VolumeDriver    string                   `strict:"required"`
	VolumesFrom     []string                 `strict:"required"`
	ConsoleSize     []uint64
	Annotations     map[string]string `api:"43-"`

	CapAdd          []string `strict:"required"`
	CapDrop         []string `strict:"required"`
	Capabilities    []string `api:"-40"` // the exact set, instead of add and drop
	CgroupnsMode    string   `api:"41-"`
	DNS             []string `json:"Dns" strict:"required"`
	DNSOptions      []string `json:"DnsOptions" strict:"required"`
	DNSSearch       []string `json:"DnsSearch" strict:"required"`
	ExtraHosts      []string `strict:"required"`
	GroupAdd        []string `strict:"required"`
	IpcMode         string   `strict:"required"`
	Cgroup          string
	Links           []string `strict:"required"`
	OomScoreAdj     int64    `strict:"required"`
	PidMode         string   `strict:"required"`
	Privileged      bool     `strict:"required"`
	PublishAllPorts bool     `strict:"required"`
	ReadonlyRootfs  bool     `strict:"required"`
	SecurityOpt     []string `strict:"required"`
	StorageOpt      map[string]string
	Tmpfs           map[string]string
	UTSMode         string `strict:"required"`
	UsernsMode      string `strict:"required"`
	ShmSize         int64  `strict:"required"`
	Sysctls         map[string]string
	Runtime         string
	Umask           *uint32 `api:"56-"`
	Isolation       string

	CPUShares            int64               `json:"CpuShares" strict:"required"`
	Memory               int64               `strict:"required"`
	NanoCPUs             int64               `json:"NanoCpus" strict:"required"`
	CgroupParent         string              `strict:"required"`
	BlkioWeight          int64               `strict:"required"`
	BlkioWeightDevice    []WeightDevice      `strict:"required"`
	BlkioDeviceReadBps   []ThrottleDevice    `strict:"required"`
	BlkioDeviceWriteBps  []ThrottleDevice    `strict:"required"`
	BlkioDeviceReadIOps  []ThrottleDevice    `strict:"required"`
	BlkioDeviceWriteIOps []ThrottleDevice    `strict:"required"`
	CPUPeriod            int64               `json:"CpuPeriod" strict:"required"`
	CPUQuota             int64               `json:"CpuQuota" strict:"required"`
	CPURealtimePeriod    int64               `json:"CpuRealtimePeriod" also:"CPURealtimePeriod" strict:"required"`
	CPURealtimeRuntime   int64               `json:"CpuRealtimeRuntime" also:"CPURealtimeRuntime" strict:"required"`
	CpusetCpus           string              `strict:"required"`
	CpusetMems           string              `strict:"required"`
	Devices              []DeviceMapping     `strict:"required"`
	DeviceCgroupRules    []string            `strict:"required"`
	DeviceRequests       []DeviceRequestBody `strict:"required"`
	KernelMemory         int64               `api:"-41"`
	KernelMemoryTCP      int64               `api:"-51"` // honoured on cgroup v1
	MemoryReservation    int64               `strict:"required"`
	MemorySwap           int64               `strict:"required"`
	MemorySwappiness     *int64              `strict:"required"`
	OomKillDisable       *bool               `strict:"required"`
	PidsLimit            *int64              `strict:"required"`
	Ulimits              []UlimitBody        `strict:"required"`
	CPUCount             int64               `json:"CpuCount"`
	CPUPercent           int64               `json:"CpuPercent"`
	IOMaximumIOps        uint64              // Windows
	IOMaximumBandwidth   uint64              // Windows

	Mounts        []MountBody
	MaskedPaths   *[]string `strict:"required"` // null is the engine's list, [] is none
	ReadonlyPaths *[]string `strict:"required"`
	Init          *bool
}

// LogConfig is a log driver with its options.
type LogConfig struct {
	Type   string            `strict:"required"`
	Config map[string]string `strict:"required"`
}

// PortBinding is where a port of the container is published.
type PortBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string
}

// RestartPolicy is a restart policy as the API has it.
type RestartPolicy struct {
	Name              string `strict:"required"`
	MaximumRetryCount int64  `strict:"required"`
}

// WeightDevice is a block device with a weight.
type WeightDevice struct {
	Path   string
	Weight int64
}

// ThrottleDevice is a block device with a rate.
type ThrottleDevice struct {
	Path string
	Rate int64
}

// DeviceMapping is a device handed in.
type DeviceMapping struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string
}

// DeviceRequestBody is a request to a device driver.
type DeviceRequestBody struct {
	Driver       string
	Count        int64
	DeviceIDs    []string
	Capabilities [][]string
	Options      map[string]string
}

// UlimitBody is a resource limit as the API has it.
type UlimitBody struct {
	Name string
	Soft int64
	Hard int64
}

// MountBody is an entry of HostConfig.Mounts.
type MountBody struct {
	Type        string
	Source      string
	Target      string
	ReadOnly    bool
	Consistency string
	BindOptions *struct {
		Propagation            string
		NonRecursive           bool
		CreateMountpoint       bool `api:"42-"`
		ReadOnlyNonRecursive   bool `api:"44-"`
		ReadOnlyForceRecursive bool `api:"44-"`
	}
	VolumeOptions *struct {
		NoCopy       bool
		Labels       map[string]string
		Subpath      string `api:"45-"`
		DriverConfig *struct {
			Name    string
			Options map[string]string
		}
	}
	ImageOptions *struct {
		Subpath string
	} `api:"48-"`
	TmpfsOptions *struct {
		SizeBytes int64
		Mode      uint32
		Options   [][]string `api:"46-"`
	}
	ClusterOptions *struct{} `api:"42-"`
}

// MountPoint is an entry of an inspected container's Mounts.
type MountPoint struct {
	Type        string
	Name        string
	Source      string
	Destination string
	Driver      string
	Mode        string
	RW          bool
	Propagation string
}

// NetworkingConfig is the networks that a new container joins.
type NetworkingConfig struct {
	EndpointsConfig map[string]*EndpointSettings
}

// EndpointSettings is a container's end of a network.
type EndpointSettings struct {
	IPAMConfig *struct {
		IPv4Address  string
		IPv6Address  string
		LinkLocalIPs []string
	}
	Links               []string
	Aliases             []string
	DriverOpts          map[string]string
	GwPriority          int64 `api:"48-"`
	NetworkID           string
	EndpointID          string
	Gateway             string
	IPAddress           string
	MacAddress          string
	IPPrefixLen         int64
	IPv6Gateway         string
	GlobalIPv6Address   string
	GlobalIPv6PrefixLen int64
	DNSNames            []string `api:"44-"`
}

// NetworkSettings is an inspected container's network.
type NetworkSettings struct {
	Bridge                 string `api:"-51"`
	SandboxID              string
	SandboxKey             string
	HairpinMode            bool                         `api:"-51"`
	LinkLocalIPv6Address   string                       `api:"-51"`
	LinkLocalIPv6PrefixLen int64                        `api:"-51"`
	SecondaryIPAddresses   Unread                       `api:"-51"`
	SecondaryIPv6Addresses Unread                       `api:"-51"`
	EndpointID             string                       `api:"-51"`
	Gateway                string                       `api:"-51"`
	GlobalIPv6Address      string                       `api:"-51"`
	GlobalIPv6PrefixLen    int64                        `api:"-51"`
	IPAddress              string                       `api:"-51"`
	IPPrefixLen            int64                        `api:"-51"`
	IPv6Gateway            string                       `api:"-51"`
	MacAddress             string                       `api:"-51"`
	Ports                  map[string][]PortBinding     `strict:"required"`
	Networks               map[string]*EndpointSettings `strict:"required"`
}

// Words is a command: the API takes a string or a list of strings.
type Words []string
