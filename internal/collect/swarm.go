package collect

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// notManaged is why all that only a manager tells is unseen elsewhere.
const notManaged = "only a manager of the swarm says it"

// swarmBody is what is read of a swarm in GET /info. A manager gives there all of
// GET /swarm but the tokens to join, which nobody needs to see.
type swarmBody struct {
	LocalNodeState   string
	ControlAvailable bool
	Managers         *int64
	Cluster          *clusterBody
}

type clusterBody struct {
	ID        *string
	CreatedAt *time.Time
	UpdatedAt *time.Time
	Spec      struct {
		CAConfig         struct{ NodeCertExpiry *int64 } // nanoseconds
		EncryptionConfig struct{ AutoLockManagers *bool }
	}
	TLSInfo         struct{ TrustRoot *string }
	DefaultAddrPool *[]string
	DataPathPort    *int64
}

// roster is the nodes and services of a swarm that the engine manages, and why
// they are missing.
type roster struct {
	nodes, services     []json.RawMessage
	noNodes, noServices string
}

// ask asks for both, where an engine's /info says that it manages a swarm.
func (r *roster) ask(ctx context.Context, client Client, info json.RawMessage) error {
	var said struct {
		Swarm struct{ ControlAvailable bool }
	}
	if err := decode("the engine's info", info, &said); err != nil || !said.Swarm.ControlAvailable {
		return nil // describe says what is wrong with it
	}
	var err error
	r.nodes, err = client.NodeList(ctx)
	if r.noNodes, err = refusal(err); err != nil {
		return err
	}
	r.services, err = client.ServiceList(ctx)
	r.noServices, err = refusal(err)
	return err
}

// swarm reads what /info says of a swarm.
func (d *description) swarm() {
	out := &d.facts.Swarm
	*out = facts.Swarm{AddressPools: []string{}, Nodes: []facts.SwarmNode{}, Services: []facts.SwarmService{}}
	said := d.info.Swarm
	if said == nil {
		d.hide("swarm", d.reason)
		return
	}
	// A node that is locked, pending or in error has a swarm's state too.
	out.Active = said.LocalNodeState != "" && said.LocalNodeState != "inactive"
	out.Manager = said.ControlAvailable
	if !out.Active {
		return
	}
	m := *d // the manager's words, or why there are none
	switch {
	case out.Manager && said.Cluster == nil:
		m.reason = "the swarm has no leader now, as far as the engine says"
	case !out.Manager && said.LocalNodeState != "active":
		// A manager that is locked does not know itself.
		said, m.reason = &swarmBody{}, "this node is "+textOf(said.LocalNodeState)+", and tells no more before that is mended"
	case !out.Manager:
		said, m.reason = &swarmBody{}, notManaged
	}
	cluster := said.Cluster
	if cluster == nil {
		cluster = &clusterBody{}
	}
	out.Managers = take(&m, said.Managers, "swarm.managers")
	out.ID = take(&m, cluster.ID, "swarm.id")
	out.Created = take(&m, cluster.CreatedAt, "swarm.created")
	out.Updated = take(&m, cluster.UpdatedAt, "swarm.updated")
	out.AutoLock = take(&m, cluster.Spec.EncryptionConfig.AutoLockManagers, "swarm.autolock")
	out.NodeCertificateSeconds = take(&m, cluster.Spec.CAConfig.NodeCertExpiry, "swarm.node_certificate_seconds") / int64(time.Second)
	out.AddressPools = append(out.AddressPools, take(&m, cluster.DefaultAddrPool, "swarm.address_pools")...)
	out.DataPathPort = take(&m, cluster.DataPathPort, "swarm.data_path_port")
	text := take(&m, cluster.TLSInfo.TrustRoot, "swarm.ca_created")
	if cluster.TLSInfo.TrustRoot == nil {
		m.hide("swarm.ca_expires", m.reason)
		return
	}
	var ok bool
	if out.CACreated, out.CAExpires, ok = datesOf(text); !ok {
		m.hide("swarm.ca_created", "the certificate that nodes trust cannot be read")
		m.hide("swarm.ca_expires", "the certificate that nodes trust cannot be read")
	}
}

// datesOf are the first dates of certificates in PEM: what a user brought may be
// several.
func datesOf(text string) (created, expires time.Time, ok bool) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return created, expires, !created.IsZero() && !expires.IsZero()
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return time.Time{}, time.Time{}, false
		}
		if created.IsZero() || c.NotBefore.Before(created) {
			created = c.NotBefore.UTC()
		}
		if expires.IsZero() || c.NotAfter.Before(expires) {
			expires = c.NotAfter.UTC()
		}
	}
}

// members makes facts of the nodes and services of a swarm.
func (c *collector) members(r *roster) {
	out := &c.facts.Swarm
	if !out.Active {
		return
	}
	if !out.Manager {
		r.noNodes, r.noServices = notManaged, notManaged
	}
	if r.noNodes != "" {
		c.unseen("swarm.nodes", r.noNodes)
		c.unseen("swarm.reachable_managers", r.noNodes)
	}
	for _, raw := range r.nodes {
		c.node(raw)
	}
	if r.noServices != "" {
		c.unseen("swarm.services", r.noServices)
	}
	for _, raw := range r.services {
		c.service(raw)
	}
	slices.SortStableFunc(out.Nodes, func(a, b facts.SwarmNode) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	slices.SortStableFunc(out.Services, func(a, b facts.SwarmService) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
}

func (c *collector) node(raw json.RawMessage) {
	var n struct {
		ID          string `strict:"required"`
		Spec        struct{ Role, Availability string }
		Description struct {
			Hostname string
			Engine   struct{ EngineVersion string }
		}
		Status        struct{ State string }
		ManagerStatus *struct{ Reachability, Addr string }
		Missing       strict.Missing `json:"-"`
	}
	out := &c.facts.Swarm
	if err := decode("a node", raw, &n); err != nil || len(n.Missing) > 0 {
		c.unseenOnce("swarm.nodes"+workload.Open, reasonUnreadable)
		c.unseenOnce("swarm.reachable_managers", reasonUnreadable)
		return
	}
	node := facts.SwarmNode{ID: n.ID, Name: n.Description.Hostname, Role: n.Spec.Role, Availability: n.Spec.Availability, State: n.Status.State,
		EngineVersion: n.Description.Engine.EngineVersion}
	if n.ManagerStatus != nil {
		node.ManagerAddress = n.ManagerStatus.Addr
		if n.ManagerStatus.Reachability == "reachable" {
			out.ReachableManagers++
		}
	}
	out.Nodes = append(out.Nodes, node)
}

func (c *collector) service(raw json.RawMessage) {
	type port struct {
		Protocol, PublishMode     string
		TargetPort, PublishedPort int64
	}
	var s struct {
		ID   string `strict:"required"`
		Spec struct {
			Name         string `strict:"required"`
			TaskTemplate struct {
				ContainerSpec struct {
					Image   string
					Env     []string
					Secrets []struct{ SecretName string }
					Configs []struct{ ConfigName string }
				}
			} `strict:"required"`
		} `strict:"required"`
		Endpoint struct{ Ports []port }
		Missing  strict.Missing `json:"-"`
	}
	if err := decode("a service", raw, &s); err != nil || len(s.Missing) > 0 {
		c.unseenOnce("swarm.services"+workload.Open, reasonUnreadable)
		return
	}
	in := s.Spec.TaskTemplate.ContainerSpec
	out := facts.SwarmService{ID: s.ID, Name: s.Spec.Name, Image: in.Image, Env: []string{}, EnvEmpty: []string{}, Secrets: []string{}, Configs: []string{}, Ports: []facts.SwarmServicePort{}}
	for _, e := range in.Env {
		name, value, set := strings.Cut(e, "=")
		out.Env = append(out.Env, name)
		if set && value == "" {
			out.EnvEmpty = append(out.EnvEmpty, name)
		}
	}
	for _, x := range in.Secrets {
		out.Secrets = append(out.Secrets, x.SecretName)
	}
	for _, x := range in.Configs {
		out.Configs = append(out.Configs, x.ConfigName)
	}
	for _, p := range s.Endpoint.Ports {
		out.Ports = append(out.Ports, facts.SwarmServicePort{Mode: cmp.Or(p.PublishMode, "ingress"), Protocol: cmp.Or(p.Protocol, "tcp"), ContainerPort: p.TargetPort, HostPort: p.PublishedPort})
	}
	c.facts.Swarm.Services = append(c.facts.Swarm.Services, out)
}

// nodeAddresses are the facts that only the node's own file tells, which the engine
// keeps to be a member again when it starts (moby's daemon/cluster/cluster.go).
var nodeAddresses = []string{"swarm.listen_address", "swarm.advertise_address", "swarm.data_path_address"}

// swarmNode reads how this node takes part in the swarm.
func (c *collector) swarmNode() {
	out := &c.facts.Swarm
	if !out.Active {
		return
	}
	var said struct {
		ListenAddr               string `strict:"required"`
		LocalAddr, AdvertiseAddr string
		DataPathAddr             string         `strict:"required"`
		Missing                  strict.Missing `json:"-"`
	}
	reason := c.noHost
	if c.host != nil {
		file := path.Join(c.facts.Daemon.DataRoot, "swarm/docker-state.json")
		data, err := c.host.read(file)
		switch {
		case err != nil:
			reason = file + " cannot be read: " + err.Error()
		case data == nil:
			reason = file + " is not there"
		default:
			if err := decode(file, data, &said); err != nil || len(said.Missing) > 0 {
				reason = file + " is not as the engine writes it"
			}
		}
	}
	if reason != "" {
		for _, path := range nodeAddresses {
			c.unseen(path, reason)
		}
		return
	}
	out.ListenAddress, out.DataPathAddress = withoutPort(said.ListenAddr), withoutPort(said.DataPathAddr)
	// A worker that was given no address to advertise is found under its own.
	out.AdvertiseAddress = withoutPort(cmp.Or(said.AdvertiseAddr, said.LocalAddr))
}

// withoutPort is the address in host:port, or in an address alone.
func withoutPort(text string) string {
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return text
}
