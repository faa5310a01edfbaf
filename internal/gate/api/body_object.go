package api

import "github.com/plimsoll/plimsoll/internal/workload"

// VolumeCreateBody is the body of POST /volumes/create.
type VolumeCreateBody struct {
	Name              string
	Driver            string
	DriverOpts        map[string]string
	Labels            map[string]string
	ClusterVolumeSpec *ClusterVolumeSpec `api:"42-"`
}

// VolumeUpdateBody is the body of PUT /volumes/{name}, which changes volumes of a
// cluster.
type VolumeUpdateBody struct {
	Spec *ClusterVolumeSpec
	// Version is docker's own client's second copy of the query's.
	Version workload.Unread `api:"unread"`
}

// ClusterVolumeSpec is a volume of a cluster, made by a CSI plugin.
type ClusterVolumeSpec struct {
	Group      string
	AccessMode *struct {
		Scope       string
		Sharing     string
		MountVolume *struct {
			FsType     string
			MountFlags []string
		}
		BlockVolume *struct{}
	}
	AccessibilityRequirements *struct {
		Requisite []Topology
		Preferred []Topology
	}
	CapacityRange *struct {
		RequiredBytes int64
		LimitBytes    int64
	}
	Secrets []struct {
		Key    string
		Secret string
	}
	Availability string
}

// Topology is where a volume of a cluster can be reached.
type Topology struct {
	Segments map[string]string
}

// NetworkCreateBody is the body of POST /networks/create.
type NetworkCreateBody struct {
	Name           string
	CheckDuplicate bool `api:"-45"`
	Driver         string
	Scope          string
	EnableIPv4     *bool `api:"47-"`
	EnableIPv6     *bool
	IPAM           *struct {
		Driver  string
		Options map[string]string
		Config  []struct {
			Subnet     string
			IPRange    string
			Gateway    string
			AuxAddress map[string]string `json:"AuxiliaryAddresses"`
		}
	}
	Internal   bool
	Attachable bool
	Ingress    bool
	ConfigOnly bool
	ConfigFrom *struct {
		Network string
	}
	Options map[string]string
	Labels  map[string]string
}

// NetworkConnectBody is the body of POST /networks/{id}/connect.
type NetworkConnectBody struct {
	Container      string
	EndpointConfig *workload.EndpointSettings
}

// NetworkDisconnectBody is the body of POST /networks/{id}/disconnect.
type NetworkDisconnectBody struct {
	Container string
	Force     bool
}

// PluginPrivileges is the body of POST /plugins/pull and /plugins/{name}/upgrade:
// what the plugin may.
type PluginPrivileges []PluginPrivilege

// PluginPrivilege is one thing that a plugin may.
type PluginPrivilege struct {
	Name        string
	Description string
	Value       []string
}

// PluginSettings is the body of POST /plugins/{name}/set: NAME=VALUE.
type PluginSettings []string
