package api

import "github.com/plimsoll/plimsoll/internal/workload"

// The raw bodies of requests that are not in package workload. Names and types are
// the API's. A field that not all versions have is tagged as there: api:"41-" came
// with 1.41, api:"-41" was last in it. One tagged api:"unread" is what clients send
// and no engine of these versions reads: it is left out of what is forwarded. The
// tag also:"…" has the one other spelling of a key that docker-py sends, and that
// passes alone.

// ContainerCreateBody is the body of POST /containers/create.
type ContainerCreateBody struct {
	workload.CreateBody
	// Runtime is docker-py's second copy of HostConfig's.
	Runtime workload.Unread `api:"unread"`
}

// ContainerUpdateBody is the body of POST /containers/{id}/update: the part of a
// HostConfig that the API calls Resources, and the restart policy.
type ContainerUpdateBody struct {
	CPUShares            int64 `json:"CpuShares"`
	Memory               int64
	NanoCPUs             int64 `json:"NanoCpus"`
	CgroupParent         string
	BlkioWeight          int64
	BlkioWeightDevice    []workload.WeightDevice
	BlkioDeviceReadBps   []workload.ThrottleDevice
	BlkioDeviceWriteBps  []workload.ThrottleDevice
	BlkioDeviceReadIOps  []workload.ThrottleDevice
	BlkioDeviceWriteIOps []workload.ThrottleDevice
	CPUPeriod            int64 `json:"CpuPeriod"`
	CPUQuota             int64 `json:"CpuQuota"`
	CPURealtimePeriod    int64 `json:"CpuRealtimePeriod"`
	CPURealtimeRuntime   int64 `json:"CpuRealtimeRuntime"`
	CpusetCpus           string
	CpusetMems           string
	Devices              []workload.DeviceMapping
	DeviceCgroupRules    []string
	DeviceRequests       []workload.DeviceRequestBody
	KernelMemory         int64 `api:"-41"`
	KernelMemoryTCP      int64 `api:"-51"`
	MemoryReservation    int64
	MemorySwap           int64
	MemorySwappiness     *int64
	OomKillDisable       *bool
	PidsLimit            *int64
	Ulimits              []workload.UlimitBody
	CPUCount             int64 `json:"CpuCount"`
	CPUPercent           int64 `json:"CpuPercent"`
	IOMaximumIOps        uint64
	IOMaximumBandwidth   uint64
	Init                 *bool // in the documents; no engine changes it

	RestartPolicy workload.RestartPolicy
}

// ExecCreateBody is the body of POST /containers/{id}/exec.
type ExecCreateBody struct {
	User         string
	Privileged   bool
	Tty          bool
	ConsoleSize  []uint64 `api:"42-"`
	AttachStdin  bool
	AttachStderr bool
	AttachStdout bool
	Detach       bool   `api:"-51"` // engines have it, and go by that of the start
	DetachKeys   string `also:"detachKeys"`
	Env          []string
	WorkingDir   string
	Cmd          workload.Words
	// Container is docker-py's second copy of the path's.
	Container workload.Unread `api:"unread"`
}

// ExecStartBody is the body of POST /exec/{id}/start.
type ExecStartBody struct {
	Detach      bool
	Tty         bool
	ConsoleSize []uint64 `api:"42-"`
	// Hijack and Stdin are dockerode's own options.
	Hijack workload.Unread `json:"hijack" api:"unread"`
	Stdin  workload.Unread `json:"stdin" api:"unread"`
}

// CheckpointBody is the body of POST /containers/{id}/checkpoints. The folder is the
// host's.
type CheckpointBody struct {
	CheckpointID  string
	CheckpointDir string
	Exit          bool
}

// AuthBody is the body of POST /auth.
type AuthBody struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	Email         string `json:"email" api:"-51"`
	ServerAddress string `json:"serveraddress"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}
