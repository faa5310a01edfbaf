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

	"github.com/docker/cli/opts"
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
	networks := d.networks.Value()
	alone := len(networks) == 1
	if len(networks) == 0 {
		networks = []opts.NetworkAttachmentOpts{{Target: "default"}}
	}
	d.body.HostConfig.NetworkMode = d.networks.NetworkMode()
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
			return fmt.Errorf("network %q: %w", n.Target, err)
		}
		ends := d.body.NetworkingConfig.EndpointsConfig
		if _, twice := ends[n.Target]; twice {
			return fmt.Errorf("network %q is given twice", n.Target)
		}
		if kinds[isUserDefined(n.Target)] = true; len(kinds) > 1 {
			return errors.New("networks of your own and docker's own (bridge, host, none, container:…) exclude each other: leave one out")
		}
		if alone && reflect.ValueOf(*end).IsZero() {
			continue
		}
		ends[n.Target] = end
	}
	return nil
}

// addFlags gives the first network what the flags of older days say.
func (d *draft) addFlags(n *opts.NetworkAttachmentOpts) error {
	for _, c := range []struct {
		flag, option string
		both         bool
	}{
		{"network-alias", "alias", len(n.Aliases) > 0 && len(d.aliases) > 0},
		{"ip", "ip", n.IPv4Address.IsValid() && d.ip != nil},
		{"ip6", "ip6", n.IPv6Address.IsValid() && d.ip6 != nil},
		{"mac-address", "mac-address", n.MacAddress != "" && d.macAddress != ""},
		{"link-local-ip", "link-local-ip", len(n.LinkLocalIPs) > 0 && len(d.linkLocalIPs) > 0},
	} {
		if c.both {
			return fmt.Errorf("--%s and the option %s of --network exclude each other: leave one out", c.flag, c.option)
		}
	}
	n.Aliases = append(n.Aliases, d.aliases...)
	if isUserDefined(n.Target) {
		n.Links = append(n.Links, d.body.HostConfig.Links...)
	}
	if d.macAddress != "" {
		n.MacAddress, d.body.MacAddress = d.macAddress, d.macAddress
	}
	if d.ip != nil {
		n.IPv4Address, _ = netip.AddrFromSlice(d.ip.To4())
	}
	if d.ip6 != nil {
		n.IPv6Address, _ = netip.AddrFromSlice(d.ip6.To16())
	}
	for _, ip := range d.linkLocalIPs {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return fmt.Errorf("--link-local-ip %q is not an address", ip)
		}
		n.LinkLocalIPs = append(n.LinkLocalIPs, a)
	}
	return nil
}

// endpoint is the request's form of one network.
func endpoint(n opts.NetworkAttachmentOpts) (*workload.EndpointSettings, error) {
	if strings.TrimSpace(n.Target) == "" {
		return nil, errors.New("it has no name")
	}
	if !isUserDefined(n.Target) && len(n.Aliases) > 0 {
		return nil, errors.New("only networks of your own have aliases: leave --network-alias out")
	}
	end := &workload.EndpointSettings{
		Links: n.Links, DriverOpts: n.DriverOpts, GwPriority: int64(n.GwPriority),
	}
	if len(n.Aliases) > 0 {
		end.Aliases = n.Aliases
	}
	if n.MacAddress != "" {
		mac, err := net.ParseMAC(strings.TrimSpace(n.MacAddress))
		if err != nil {
			return nil, fmt.Errorf("%q is not a MAC address", n.MacAddress)
		}
		end.MacAddress = mac.String()
	}
	if n.IPv4Address.IsValid() || n.IPv6Address.IsValid() || len(n.LinkLocalIPs) > 0 {
		ipam := map[string]any{"LinkLocalIPs": n.LinkLocalIPs, "IPv4Address": n.IPv4Address, "IPv6Address": n.IPv6Address}
		if err := transcode(map[string]any{"IPAMConfig": ipam}, end); err != nil {
			return nil, err
		}
	}
	return end, nil
}

// isUserDefined is true for a network that somebody made, false for the modes
// that docker knows by name.
func isUserDefined(target string) bool {
	return !slices.Contains([]string{"default", "bridge", "host", "none"}, target) &&
		!strings.HasPrefix(target, "container:")
}
