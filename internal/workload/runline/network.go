package runline

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/go-connections/nat"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// ports joins --publish and --expose to the request. What is published is also
// exposed.
func (d *draft) ports() error {
	d.body.ExposedPorts = map[string]struct{}{}
	d.body.HostConfig.PortBindings = map[string][]workload.PortBinding{}
	for _, p := range d.publish {
		short, err := shortPublish(p)
		if err != nil {
			return fmt.Errorf("--publish %q: %w", p, err)
		}
		mappings, err := nat.ParsePortSpec(short)
		if err != nil {
			return fmt.Errorf("--publish %q: %w", p, err)
		}
		for _, m := range mappings {
			key := string(m.Port)
			d.body.ExposedPorts[key] = struct{}{}
			d.body.HostConfig.PortBindings[key] = append(d.body.HostConfig.PortBindings[key],
				workload.PortBinding{HostIP: m.Binding.HostIP, HostPort: m.Binding.HostPort})
		}
	}
	for _, e := range d.expose {
		first, last, protocol, err := portRange(e)
		if err != nil {
			return fmt.Errorf("--expose %q: %w", e, err)
		}
		for p := first; p <= last; p++ {
			d.body.ExposedPorts[strconv.Itoa(p)+"/"+protocol] = struct{}{}
		}
	}
	return nil
}

// shortPublish turns published=8080,target=80[,protocol=udp] into 8080:80/udp.
// Other names are passed over, as the client does.
func shortPublish(p string) (string, error) {
	if !strings.Contains(p, "=") {
		return p, nil
	}
	parts := map[string]string{"protocol": "tcp"}
	for field := range strings.SplitSeq(p, ",") {
		name, value, found := strings.Cut(field, "=")
		if !found || name == "" {
			return "", fmt.Errorf("%q is not NAME=VALUE", field)
		}
		parts[name] = value
	}
	return parts["published"] + ":" + parts["target"] + "/" + parts["protocol"], nil
}

// portRange reads FIRST[-LAST][/PROTOCOL].
func portRange(s string) (first, last int, protocol string, err error) {
	numbers, protocol, _ := strings.Cut(s, "/")
	if protocol = strings.ToLower(protocol); protocol == "" {
		protocol = "tcp"
	}
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return 0, 0, "", fmt.Errorf("the protocol %q is none of tcp, udp and sctp", protocol)
	}
	from, to, isRange := strings.Cut(numbers, "-")
	if !isRange {
		to = from
	}
	for _, part := range []struct {
		text   string
		number *int
	}{{from, &first}, {to, &last}} {
		n, err := strconv.ParseUint(part.text, 10, 16)
		if err != nil {
			return 0, 0, "", fmt.Errorf("%q is not a port from 0 to 65535", part.text)
		}
		*part.number = int(n)
	}
	if last < first {
		return 0, 0, "", errors.New("the range ends before it begins")
	}
	return first, last, protocol, nil
}

// endpoints joins the networks to the request. The flags --network-alias,
// --link, --ip and their like belong to the first network; the request names
// the network apart only if something is said of it or there are several.
func (d *draft) endpoints() error {
	networks := d.networks
	alone := len(networks) == 1
	if len(networks) == 0 {
		networks = []attachment{{target: "default"}}
	}
	d.body.HostConfig.NetworkMode = networks[0].target
	d.body.NetworkingConfig.EndpointsConfig = map[string]*workload.EndpointSettings{}
	kinds := map[bool]bool{}
	for i, n := range networks {
		if i == 0 {
			if err := d.addFlags(&n); err != nil {
				return err
			}
		}
		end, err := endpoint(n)
		if err != nil {
			return fmt.Errorf("network %q: %w", n.target, err)
		}
		ends := d.body.NetworkingConfig.EndpointsConfig
		if _, twice := ends[n.target]; twice {
			return fmt.Errorf("network %q is given twice", n.target)
		}
		if kinds[isUserDefined(n.target)] = true; len(kinds) > 1 {
			return errors.New("networks of your own and docker's own (bridge, host, none, container:…) exclude each other: leave one out")
		}
		if alone && reflect.ValueOf(*end).IsZero() {
			continue
		}
		ends[n.target] = end
	}
	return nil
}

// addFlags gives the first network what the flags of older days say.
func (d *draft) addFlags(n *attachment) error {
	for _, c := range []struct {
		flag, option string
		both         bool
	}{
		{"network-alias", "alias", len(n.aliases) > 0 && len(d.aliases) > 0},
		{"ip", "ip", n.ip.IsValid() && d.ip != nil},
		{"ip6", "ip6", n.ip6.IsValid() && d.ip6 != nil},
		{"mac-address", "mac-address", n.macAddress != "" && d.macAddress != ""},
		{"link-local-ip", "link-local-ip", len(n.linkLocalIPs) > 0 && len(d.linkLocalIPs) > 0},
	} {
		if c.both {
			return fmt.Errorf("--%s and the option %s of --network exclude each other: leave one out", c.flag, c.option)
		}
	}
	n.aliases = append(n.aliases, d.aliases...)
	if isUserDefined(n.target) {
		n.links = append(n.links, d.body.HostConfig.Links...)
	}
	if d.macAddress != "" {
		n.macAddress, d.body.MacAddress = d.macAddress, d.macAddress
	}
	if d.ip != nil {
		n.ip, _ = netip.AddrFromSlice(d.ip.To4())
	}
	if d.ip6 != nil {
		n.ip6, _ = netip.AddrFromSlice(d.ip6.To16())
	}
	for _, ip := range d.linkLocalIPs {
		a, err := parseAddr(ip)
		if err != nil {
			return fmt.Errorf("--link-local-ip: %w", err)
		}
		n.linkLocalIPs = append(n.linkLocalIPs, a)
	}
	return nil
}

// endpoint is the request's form of one network.
func endpoint(n attachment) (*workload.EndpointSettings, error) {
	if strings.TrimSpace(n.target) == "" {
		return nil, errors.New("it has no name")
	}
	if !isUserDefined(n.target) && len(n.aliases) > 0 {
		return nil, errors.New("only networks of your own have aliases: leave --network-alias out")
	}
	end := &workload.EndpointSettings{
		Links: n.links, DriverOpts: n.driverOptions, GwPriority: int64(n.priority),
	}
	if len(n.aliases) > 0 {
		end.Aliases = n.aliases
	}
	if n.macAddress != "" {
		mac, err := net.ParseMAC(strings.TrimSpace(n.macAddress))
		if err != nil {
			return nil, fmt.Errorf("%q is not a MAC address", n.macAddress)
		}
		end.MacAddress = mac.String()
	}
	if n.ip.IsValid() || n.ip6.IsValid() || len(n.linkLocalIPs) > 0 {
		ipam := ensure(&end.IPAMConfig)
		ipam.IPv4Address, ipam.IPv6Address = addressText(n.ip), addressText(n.ip6)
		for _, ip := range n.linkLocalIPs {
			ipam.LinkLocalIPs = append(ipam.LinkLocalIPs, ip.String())
		}
	}
	return end, nil
}

// addressText is "" for no address.
func addressText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}

// isUserDefined is true for a network that somebody made, false for the modes
// that docker knows by name.
func isUserDefined(target string) bool {
	return !slices.Contains([]string{"default", "bridge", "host", "none"}, target) &&
		!strings.HasPrefix(target, "container:")
}
