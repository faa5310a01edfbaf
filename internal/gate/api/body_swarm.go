package api

// Annotations name an object of a swarm.
type Annotations struct {
	Name   string
	Labels map[string]string
}

// Driver is a driver with its options.
type Driver struct {
	Name    string
	Options map[string]string
}

// SwarmInitBody is the body of POST /swarm/init.
type SwarmInitBody struct {
	ListenAddr       string
	AdvertiseAddr    string
	DataPathAddr     string
	DataPathPort     uint32
	ForceNewCluster  bool
	Spec             SwarmSpec
	AutoLockManagers bool
	Availability     string
	DefaultAddrPool  []string
	SubnetSize       uint32
}

// SwarmJoinBody is the body of POST /swarm/join.
type SwarmJoinBody struct {
	ListenAddr    string
	AdvertiseAddr string
	DataPathAddr  string
	RemoteAddrs   []string
	JoinToken     string
	Availability  string
}

// SwarmUnlockBody is the body of POST /swarm/unlock.
type SwarmUnlockBody struct {
	UnlockKey string
}

// SwarmSpec is the body of POST /swarm/update.
type SwarmSpec struct {
	Annotations
	Orchestration struct {
		TaskHistoryRetentionLimit *int64
	}
	Raft struct {
		SnapshotInterval           uint64
		KeepOldSnapshots           *uint64
		LogEntriesForSlowFollowers uint64
		ElectionTick               int64
		HeartbeatTick              int64
	}
	Dispatcher struct {
		HeartbeatPeriod int64 // nanoseconds
	}
	CAConfig struct {
		NodeCertExpiry int64 // nanoseconds
		ExternalCAs    []*struct {
			Protocol string
			URL      string
			Options  map[string]string
			CACert   string
		}
		SigningCACert string
		SigningCAKey  string
		ForceRotate   uint64
	}
	TaskDefaults struct {
		LogDriver *Driver
	}
	EncryptionConfig struct {
		AutoLockManagers bool
	}
}

// NodeSpec is the body of POST /nodes/{id}/update.
type NodeSpec struct {
	Annotations
	Role         string
	Availability string
}

// SecretSpec is the body of POST /secrets/create and /secrets/{id}/update.
type SecretSpec struct {
	Annotations
	Data       []byte
	Driver     *Driver
	Templating *Driver
}

// ConfigSpec is the body of POST /configs/create and /configs/{id}/update.
type ConfigSpec struct {
	Annotations
	Data       []byte
	Templating *Driver
}
