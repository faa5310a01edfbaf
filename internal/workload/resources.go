package workload

// Resources are a container's limits. Zero means unlimited or "the kernel's
// own" unless a comment says otherwise.
type Resources struct {
	// MemoryBytes is the hard limit.
	MemoryBytes int64 `json:"memory_bytes"`
	// MemoryReservationBytes is the soft limit.
	MemoryReservationBytes int64 `json:"memory_reservation_bytes"`
	// MemorySwapBytes is memory and swap together; -1 is unlimited swap. With a
	// memory limit and nothing said, the engine allows twice the memory.
	MemorySwapBytes int64 `json:"memory_swap_bytes"`
	// KernelMemoryBytes and KernelMemoryTCPBytes were removed from the API in
	// 1.42 and from the kernel in 5.4, and are honoured by older engines.
	KernelMemoryBytes    int64 `json:"kernel_memory_bytes"`
	KernelMemoryTCPBytes int64 `json:"kernel_memory_tcp_bytes"`
	// Swappiness is 0 to 100; -1 is the kernel's own.
	Swappiness int64 `json:"swappiness"`
	// CPUs is how many processors' time may be used, from --cpus or from quota
	// and period.
	CPUs float64 `json:"cpus"`
	// CPUQuotaMicroseconds of each CPUPeriodMicroseconds; the kernel refuses a
	// quota under 1,000 (Documentation/scheduler/sched-bwc.rst).
	CPUQuotaMicroseconds           int64 `json:"cpu_quota_microseconds"`
	CPUPeriodMicroseconds          int64 `json:"cpu_period_microseconds"`
	CPURealtimeRuntimeMicroseconds int64 `json:"cpu_realtime_runtime_microseconds"`
	CPURealtimePeriodMicroseconds  int64 `json:"cpu_realtime_period_microseconds"`
	// CPUShares is the relative weight; 0 is the kernel's 1024.
	CPUShares  int64  `json:"cpu_shares"`
	CpusetCPUs string `json:"cpuset_cpus"`
	CpusetMems string `json:"cpuset_mems"`
	// Pids is the most processes and threads.
	Pids int64 `json:"pids"`
	// Ulimits by name, the daemon's defaults included where they are seen.
	Ulimits []Ulimit `json:"ulimits"`
	// BlkioWeight is 10 to 1000.
	BlkioWeight        int64        `json:"blkio_weight"`
	BlkioWeightDevices []DeviceRate `json:"blkio_weight_devices"`
	ReadBps            []DeviceRate `json:"read_bps"`
	WriteBps           []DeviceRate `json:"write_bps"`
	ReadIops           []DeviceRate `json:"read_iops"`
	WriteIops          []DeviceRate `json:"write_iops"`
	// OOMKillDisable stops the kernel from ending the container for want of memory.
	OOMKillDisable bool `json:"oom_kill_disable"`
	// OOMScoreAdj is -1000 to 1000; negative spares the container.
	OOMScoreAdj int64 `json:"oom_score_adj"`
	// ShmBytes is the size of /dev/shm.
	ShmBytes int64 `json:"shm_bytes"`
}

// Ulimit is one resource limit of setrlimit(2); -1 is unlimited.
type Ulimit struct {
	Name string `json:"name"`
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}

// DeviceRate is a rate (bytes or operations a second) or a weight for one
// block device.
type DeviceRate struct {
	Path  string `json:"path"`
	Value int64  `json:"value"`
}
