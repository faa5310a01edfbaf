package facts

import "time"

// Swarm is the swarm that the engine is part of. Only a manager knows more of it
// than that; what the node itself is set to is in the engine's own files.
type Swarm struct {
	// Active is true when the engine is part of one, Manager when it manages it.
	Active  bool   `json:"active"`
	Manager bool   `json:"manager"`
	ID      string `json:"id"`
	// Created and Updated are when the swarm was made, and when its settings were
	// changed last.
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Managers is how many nodes manage it, and ReachableManagers how many of them
	// answer.
	Managers          int64 `json:"managers"`
	ReachableManagers int64 `json:"reachable_managers"`
	// AutoLock is true when a manager that starts waits for a key.
	AutoLock bool `json:"autolock"`
	// NodeCertificateSeconds is how long the certificate of a node is good for.
	NodeCertificateSeconds int64 `json:"node_certificate_seconds"`
	// CACreated and CAExpires are the dates of the certificate that all nodes trust.
	// Swarm dates its own back by up to an hour, which is when it was last rotated.
	CACreated time.Time `json:"ca_created"`
	CAExpires time.Time `json:"ca_expires"`
	// AddressPools are what networks get their addresses of, and DataPathPort is the
	// UDP port that their packets go to.
	AddressPools []string `json:"address_pools"`
	DataPathPort int64    `json:"data_path_port"`
	// ListenAddress is where this node takes what managers and nodes say to it, "0.0.0.0"
	// for every interface, AdvertiseAddress where it tells others to find it, and
	// DataPathAddress the address for the packets of containers; "" is the one
	// advertised.
	ListenAddress    string         `json:"listen_address"`
	AdvertiseAddress string         `json:"advertise_address"`
	DataPathAddress  string         `json:"data_path_address"`
	Nodes            []SwarmNode    `json:"nodes"`
	Services         []SwarmService `json:"services"`
}

// SwarmNode is an engine of the swarm.
type SwarmNode struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Role is manager or worker.
	Role string `json:"role"`
	// Availability is active, pause or drain; State ready, down, unknown or
	// disconnected.
	Availability  string `json:"availability"`
	State         string `json:"state"`
	EngineVersion string `json:"engine_version"`
	// ManagerAddress is where a manager is reached, "" for a worker.
	ManagerAddress string `json:"manager_address"`
}

// SwarmService is what the swarm is to run.
type SwarmService struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Image string `json:"image"`
	// Env are the names of the variables that it sets.
	Env []string `json:"env"`
	// EnvEmpty are those of them that have an empty value.
	EnvEmpty []string `json:"env_empty"`
	// Secrets and Configs are the names of those that it gets.
	Secrets []string           `json:"secrets"`
	Configs []string           `json:"configs"`
	Ports   []SwarmServicePort `json:"ports"`
}

// SwarmServicePort is a port that a service publishes.
type SwarmServicePort struct {
	// Mode is ingress, every node, or host, each node that runs a task of it.
	Mode          string `json:"mode"`
	Protocol      string `json:"protocol"`
	ContainerPort int64  `json:"container_port"`
	HostPort      int64  `json:"host_port"`
}
