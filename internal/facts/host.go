package facts

// Host is the machine that the engine runs on, as the engine describes it and,
// where the engine is local, as its kernel does.
type Host struct {
	Name   string `json:"name"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
	// Architecture is the engine's word for it, for example x86_64.
	Architecture string `json:"architecture"`
	CPUs         int64  `json:"cpus"`
	MemoryBytes  int64  `json:"memory_bytes"`
	// CgroupVersion is 1 or 2.
	CgroupVersion int64 `json:"cgroup_version"`
	// ContentTrust is every use of Docker Content Trust that was found.
	ContentTrust []ContentTrustUse `json:"content_trust"`
}
