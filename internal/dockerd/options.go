package dockerd

import "sync"

// Options are all that a daemon of version 19.03 to 29 takes (moby's
// cmd/dockerd/config.go and config_unix.go, daemon/config/config.go; docker's
// reference of dockerd and daemon.json). Options that a version does not have stop
// it from starting, so none is mistaken for another's.
var Options = []Option{
	{Key: "allow-direct-routing", Flag: "allow-direct-routing", Kind: Bool, Default: off},
	{Key: "allow-nondistributable-artifacts", Flag: "allow-nondistributable-artifacts", Kind: List},
	{Key: "api-cors-header", Flag: "api-cors-header"},
	{Key: "authorization-plugins", Flag: "authorization-plugin", Kind: List},
	{Key: "bip", Flag: "bip"},
	{Key: "bip6", Flag: "bip6"},
	{Key: "bridge", Flag: "bridge", Short: "b"},
	{Key: "bridge-accept-fwmark", Flag: "bridge-accept-fwmark"},
	{Key: "builder", Kind: Object},
	{Key: "cdi-spec-dirs", Flag: "cdi-spec-dir", Kind: List},
	{Key: "cgroup-parent", Flag: "cgroup-parent"},
	{Key: "cluster-advertise", Flag: "cluster-advertise"},
	{Key: "cluster-store", Flag: "cluster-store"},
	{Key: "cluster-store-opts", Flag: "cluster-store-opt", Kind: Map},
	{Key: "containerd", Flag: "containerd"},
	{Key: "containerd-namespace", Flag: "containerd-namespace", Default: []string{"moby"}},
	{Key: "containerd-plugin-namespace", Flag: "containerd-plugins-namespace", Default: []string{"plugins.moby"}},
	{Key: "cpu-rt-period", Flag: "cpu-rt-period"},
	{Key: "cpu-rt-runtime", Flag: "cpu-rt-runtime"},
	{Key: "cri-containerd", Flag: "cri-containerd", Kind: Bool, Default: off},
	{Key: "data-root", Flag: "data-root", Default: []string{"/var/lib/docker"}},
	{Key: "debug", Flag: "debug", Short: "D", Kind: Bool, Default: off},
	{Key: "default-address-pools", Flag: "default-address-pool", Kind: Object},
	{Key: "default-cgroupns-mode", Flag: "default-cgroupns-mode"},
	{Key: "default-gateway", Flag: "default-gateway"},
	{Key: "default-gateway-v6", Flag: "default-gateway-v6"},
	{Key: "default-ipc-mode", Flag: "default-ipc-mode", Default: []string{"private"}},
	{Key: "default-network-opts", Flag: "default-network-opt", Kind: Object},
	{Key: "default-runtime", Flag: "default-runtime", Default: []string{"runc"}},
	{Key: "default-shm-size", Flag: "default-shm-size", Default: []string{"64MiB"}},
	{Key: "default-ulimits", Flag: "default-ulimit", Kind: Map},
	{Key: "deprecated-key-path", Flag: "deprecated-key-path"},
	{Key: "dns", Flag: "dns", Kind: List},
	{Key: "dns-opts", Flag: "dns-opt", Kind: List},
	{Key: "dns-search", Flag: "dns-search", Kind: List},
	{Key: "exec-opts", Flag: "exec-opt", Kind: List},
	{Key: "exec-root", Flag: "exec-root", Default: []string{"/var/run/docker"}},
	{Key: "experimental", Flag: "experimental", Kind: Bool, Default: off},
	{Key: "features", Flag: "feature", Kind: Map},
	{Key: "firewall-backend", Flag: "firewall-backend"},
	{Key: "fixed-cidr", Flag: "fixed-cidr"},
	{Key: "fixed-cidr-v6", Flag: "fixed-cidr-v6"},
	{Key: "graph", Flag: "graph", Short: "g"},
	{Key: "group", Flag: "group", Short: "G", Default: []string{"docker"}},
	{Key: "host-gateway-ip", Flag: "host-gateway-ip"},
	{Key: "host-gateway-ips", Kind: List},
	{Key: "hosts", Flag: "host", Short: "H", Kind: List},
	{Key: "http-proxy", Flag: "http-proxy"},
	{Key: "https-proxy", Flag: "https-proxy"},
	{Key: "icc", Flag: "icc", Kind: Bool, Default: on},
	{Key: "init", Flag: "init", Kind: Bool, Default: off},
	{Key: "init-path", Flag: "init-path"},
	{Key: "insecure-registries", Flag: "insecure-registry", Kind: List},
	{Key: "ip", Flag: "ip", Default: []string{"0.0.0.0"}},
	{Key: "ip-forward", Flag: "ip-forward", Kind: Bool, Default: on},
	{Key: "ip-forward-no-drop", Flag: "ip-forward-no-drop", Kind: Bool, Default: off},
	{Key: "ip-masq", Flag: "ip-masq", Kind: Bool, Default: on},
	{Key: "ip6tables", Flag: "ip6tables", Kind: Bool},
	{Key: "iptables", Flag: "iptables", Kind: Bool, Default: on},
	{Key: "ipv6", Flag: "ipv6", Kind: Bool, Default: off},
	{Key: "labels", Flag: "label", Kind: List},
	{Key: "live-restore", Flag: "live-restore", Kind: Bool, Default: off},
	{Key: "log-driver", Flag: "log-driver", Default: []string{"json-file"}},
	{Key: "log-format", Flag: "log-format", Default: []string{"text"}},
	{Key: "log-level", Flag: "log-level", Short: "l", Default: []string{"info"}},
	{Key: "log-opts", Flag: "log-opt", Kind: Map},
	{Key: "max-concurrent-downloads", Flag: "max-concurrent-downloads"},
	{Key: "max-concurrent-uploads", Flag: "max-concurrent-uploads"},
	{Key: "max-download-attempts", Flag: "max-download-attempts"},
	{Key: "metrics-addr", Flag: "metrics-addr"},
	{Key: "min-api-version", Flag: "min-api-version"},
	{Key: "mtu", Flag: "mtu"},
	{Key: "network-control-plane-mtu", Flag: "network-control-plane-mtu"},
	{Key: "network-diagnostic-port", Flag: "network-diagnostic-port"},
	{Key: "no-new-privileges", Flag: "no-new-privileges", Kind: Bool, Default: off},
	{Key: "no-proxy", Flag: "no-proxy"},
	{Key: "node-generic-resources", Flag: "node-generic-resource", Kind: List},
	{Key: "oom-score-adjust", Flag: "oom-score-adjust"},
	{Key: "pidfile", Flag: "pidfile", Short: "p", Default: []string{"/var/run/docker.pid"}},
	{Key: "proxies", Kind: Object},
	{Key: "raw-logs", Flag: "raw-logs", Kind: Bool, Default: off},
	{Key: "registry-mirrors", Flag: "registry-mirror", Kind: List},
	{Key: "rootless", Flag: "rootless", Kind: Bool, Default: off},
	{Key: "runtimes", Flag: "add-runtime", Kind: Object},
	{Key: "seccomp-profile", Flag: "seccomp-profile"},
	{Key: "selinux-enabled", Flag: "selinux-enabled", Kind: Bool, Default: off},
	{Key: "shutdown-timeout", Flag: "shutdown-timeout"},
	{Key: "storage-driver", Flag: "storage-driver", Short: "s"},
	{Key: "storage-opts", Flag: "storage-opt", Kind: List},
	{Key: "swarm-default-advertise-addr", Flag: "swarm-default-advertise-addr"},
	{Key: "tls", Flag: "tls", Kind: Bool, Default: off},
	{Key: "tlscacert", Flag: "tlscacert"},
	{Key: "tlscert", Flag: "tlscert"},
	{Key: "tlskey", Flag: "tlskey"},
	{Key: "tlsverify", Flag: "tlsverify", Kind: Bool, Default: off},
	{Key: "userland-proxy", Flag: "userland-proxy", Kind: Bool, Default: on},
	{Key: "userland-proxy-path", Flag: "userland-proxy-path"},
	{Key: "userns-remap", Flag: "userns-remap"},
	{Flag: "config-file", Default: []string{"/etc/docker/daemon.json"}},
	{Flag: "disable-legacy-registry", Kind: Bool, Default: on},
	{Flag: "validate", Kind: Bool, Default: off},
}

var on, off = []string{"true"}, []string{"false"}

// index finds options by their names and flags.
var index = sync.OnceValue(func() (by struct{ names, flags map[string]*Option }) {
	by.names, by.flags = map[string]*Option{}, map[string]*Option{}
	for i := range Options {
		o := &Options[i]
		by.names[o.name()] = o
		if o.Flag != "" {
			by.flags["--"+o.Flag] = o
		}
		if o.Short != "" {
			by.flags["-"+o.Short] = o
		}
	}
	return by
})

// Keys are the options that daemon.json may have.
func Keys() []string {
	var keys []string
	for i := range Options {
		if Options[i].Key != "" {
			keys = append(keys, Options[i].Key)
		}
	}
	return keys
}

// byName is the option with a name, or nil.
func byName(name string) *Option { return index().names[name] }
