package api

import "github.com/plimsoll/plimsoll/internal/workload"

// ServiceSpec is the body of POST /services/create and /services/{id}/update.
type ServiceSpec struct {
	Annotations
	TaskTemplate   TaskSpec
	Mode           ServiceMode
	UpdateConfig   *UpdateConfig
	RollbackConfig *UpdateConfig
	Networks       []NetworkAttachment // the task's are read first
	EndpointSpec   *struct {
		Mode  string
		Ports []struct {
			Name          string
			Protocol      string
			TargetPort    uint32
			PublishedPort uint32
			PublishMode   string
		}
	}
}

// ServiceMode is how many tasks a service has, and whether they end.
type ServiceMode struct {
	Replicated *struct {
		Replicas *uint64
	} `also:"replicated"`
	Global        *struct{} `also:"global"`
	ReplicatedJob *struct {
		MaxConcurrent    *uint64
		TotalCompletions *uint64
	} `api:"41-"`
	GlobalJob *struct{} `api:"41-"`
}

// UpdateConfig is how a service is updated or rolled back; times are nanoseconds.
type UpdateConfig struct {
	Parallelism     uint64
	Delay           int64
	FailureAction   string
	Monitor         int64
	MaxFailureRatio float32
	Order           string
}

// NetworkAttachment is a network that tasks join.
type NetworkAttachment struct {
	Target     string
	Aliases    []string
	DriverOpts map[string]string
}

// TaskSpec is what the tasks of a service run.
type TaskSpec struct {
	ContainerSpec         *ContainerSpec
	PluginSpec            *PluginSpec
	NetworkAttachmentSpec *struct {
		ContainerID string
	}
	Resources     *TaskResources
	RestartPolicy *struct {
		Condition   string
		Delay       *int64
		MaxAttempts *uint64
		Window      *int64
	}
	Placement *struct {
		Constraints []string
		Preferences []struct {
			Spread *struct {
				SpreadDescriptor string
			}
		}
		MaxReplicas uint64
		Platforms   []struct {
			Architecture string
			OS           string
		}
	}
	Networks    []NetworkAttachment
	LogDriver   *Driver
	ForceUpdate uint64
	Runtime     string
}

// PluginSpec is a plugin that a service puts on its nodes.
type PluginSpec struct {
	Name       string `json:"name"`
	Remote     string `json:"remote"`
	Privileges []*struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Value       []string `json:"value"`
	} `json:"privileges"`
	Disabled bool     `json:"disabled"`
	Env      []string `json:"env" api:"41-"`
}

// TaskResources are the limits of a task, and what is kept free for it.
type TaskResources struct {
	Limits *struct {
		NanoCPUs         int64
		MemoryBytes      int64
		Pids             int64             `api:"41-"`
		GenericResources []GenericResource `api:"-40"`
	}
	Reservations *struct {
		NanoCPUs         int64
		MemoryBytes      int64
		GenericResources []GenericResource
	}
	SwapBytes        *int64 `api:"52-"`
	MemorySwappiness *int64 `api:"52-"`
}

// GenericResource is what a node says it has, such as a GPU.
type GenericResource struct {
	NamedResourceSpec *struct {
		Kind  string
		Value string
	}
	DiscreteResourceSpec *struct {
		Kind  string
		Value int64
	}
}

// ContainerSpec is the container of a task.
type ContainerSpec struct {
	Image           string
	Labels          map[string]string
	Command         []string
	Args            []string
	Hostname        string
	Env             []string
	Dir             string
	User            string
	Groups          []string
	Privileges      *Privileges
	Init            *bool
	StopSignal      string
	TTY             bool
	OpenStdin       bool
	ReadOnly        bool
	Mounts          []workload.MountBody
	StopGracePeriod *int64
	Healthcheck     *workload.HealthConfig
	Hosts           []string
	DNSConfig       *struct {
		Nameservers []string
		Search      []string
		Options     []string
	}
	Secrets []*struct {
		File       *FileTarget
		SecretID   string
		SecretName string
	}
	Configs []*struct {
		File       *FileTarget
		Runtime    *struct{}
		ConfigID   string
		ConfigName string
	}
	Isolation      string
	Sysctls        map[string]string
	CapabilityAdd  []string               `api:"41-"`
	CapabilityDrop []string               `api:"41-"`
	Ulimits        []*workload.UlimitBody `api:"41-"`
	OomScoreAdj    int64                  `api:"46-"`
}

// FileTarget is the file of a secret or config in a container.
type FileTarget struct {
	Name string
	UID  string
	GID  string
	Mode uint32
}

// Privileges are what confines the container of a task, beyond capabilities.
type Privileges struct {
	CredentialSpec *struct {
		Config   string
		File     string
		Registry string
	}
	SELinuxContext *struct {
		Disable bool
		User    string
		Role    string
		Type    string
		Level   string
	}
	Seccomp *struct {
		Mode    string
		Profile []byte
	} `api:"44-"`
	AppArmor *struct {
		Mode string
	} `api:"44-"`
	NoNewPrivileges bool `api:"44-"`
}
