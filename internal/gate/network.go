package gate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// plainNetworks are the drivers that give a container no place on the host's own links.
var plainNetworks = []string{"", "bridge", "overlay", "null", "none"}

const bridgeName = "com.docker.network.bridge.name"

// plainNetworkOptions are options of those that give none either.
var plainNetworkOptions = []string{bridgeName, "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade", "com.docker.network.bridge.host_binding_ipv4",
	"com.docker.network.bridge.inhibit_ipv4", "com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.gateway_mode_ipv6", "com.docker.network.driver.mtu",
	"com.docker.network.container_iface_prefix", "com.docker.network.host_ipv4", "com.docker.network.host_ipv6", "com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6",
	"com.docker.network.driver.overlay.vxlanid_list", "encrypted"}

// judgeNetwork objects to networks that reach the host's links, or take addresses from it.
func judgeNetwork(ctx context.Context, x *exchange) error {
	body, err := bodyOf[api.NetworkCreateBody](x)
	if err != nil {
		return err
	}
	x.subject.Name = trail.Clip(body.Name, maxName)
	if x.p.allows(string(api.Networks), x.who) {
		return nil
	}
	object := func(what string) { x.decision.object(what, guarded[api.Networks]) }
	if !slices.Contains(plainNetworks, body.Driver) {
		object("the network driver " + quoted(body.Driver) + " puts containers on this host's own links")
		return nil
	}
	for _, option := range slices.Sorted(maps.Keys(body.Options)) {
		switch value := body.Options[option]; {
		case !slices.Contains(plainNetworkOptions, option):
			object("what the network option " + quoted(option) + " does to this host is not known")
		case strings.Contains(option, "gateway_mode") && value == "nat-unprotected":
			object("the gateway mode " + value + " opens every port of the containers")
		case option == bridgeName && value != "":
			// A bridge that is there is used, with all that is on it.
			links, err := x.g.links(ctx)
			if err != nil {
				object("it can't be told whether there is a link " + quoted(value) + " on this host already: " + err.Error())
			} else if slices.Contains(links, value) {
				object("the link " + quoted(value) + " of this host is there already")
			}
		}
	}
	if body.IPAM == nil {
		return nil
	}
	if d := body.IPAM.Driver; d != "" && d != "default" && d != "null" {
		object("the address driver " + quoted(d) + " is a program with power over this host")
	}
	for _, c := range body.IPAM.Config {
		if c.Subnet == "" {
			continue
		}
		what, err := x.g.takes(ctx, c.Subnet)
		if err != nil {
			object("it can't be told what this host reaches at " + quoted(c.Subnet) + ": " + err.Error())
		} else if what != "" {
			object(what)
		}
	}
	return nil
}

// ownAddresses are blocks of addresses that no other host on the internet has: RFC 1918,
// 4193, 6598, and for examples 3849.
var ownAddresses = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("2001:db8::/32")}

// takes says what a network with a subnet takes away from the host: what the host sends
// there goes to the network's containers.
func (g *Gate) takes(ctx context.Context, subnet string) (string, error) {
	new, err := netip.ParsePrefix(subnet)
	if err != nil {
		return "", nil // the engine says so
	}
	new = netip.PrefixFrom(new.Addr().Unmap(), new.Bits()).Masked()
	if !slices.ContainsFunc(ownAddresses, func(block netip.Prefix) bool { return block.Bits() <= new.Bits() && block.Contains(new.Addr()) }) {
		return "what this host sends to " + quoted(subnet) + " on the internet would go to containers", nil
	}
	routes, err := g.routes(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range routes {
		if r.Overlaps(new) {
			return "what this host sends to " + r.String() + " would go to containers", nil
		}
	}
	return "", nil
}

// ofEngine reads a file of /proc/net as the engine's process sees it.
func (g *Gate) ofEngine(ctx context.Context, name string) ([]byte, error) {
	peer, err := g.c.Around.Client.Peer(ctx)
	if err != nil {
		return nil, err
	}
	if g.c.Around.Root == "" || peer.PID <= 0 {
		return nil, fmt.Errorf("the engine's process is not to be seen from here")
	}
	return os.ReadFile(filepath.Join(g.c.Around.Root, "proc", strconv.Itoa(peer.PID), "net", name))
}

// links are the names of the network devices that the engine sees (proc_pid_net(5)).
func (g *Gate) links(ctx context.Context) ([]string, error) {
	data, err := g.ofEngine(ctx, "dev")
	if err != nil {
		return nil, err
	}
	var names []string
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		if name, _, found := strings.Cut(s.Text(), ":"); found {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names, nil
}

// routes are the networks to which the host has a way of its own, not the default one.
func (g *Gate) routes(ctx context.Context) ([]netip.Prefix, error) {
	data, err := g.ofEngine(ctx, "route")
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for line := range strings.Lines(string(data)) {
		// Numbers of 32 bits in the host's own order: destination is the second, mask the
		// eighth word.
		words := strings.Fields(line)
		if len(words) < 8 || words[0] == "Iface" {
			continue
		}
		to, err := strconv.ParseUint(words[1], 16, 32)
		mask, errMask := strconv.ParseUint(words[7], 16, 32)
		if err != nil || errMask != nil {
			return nil, fmt.Errorf("reading the routes: %.100q", line)
		}
		var b, m [4]byte
		binary.NativeEndian.PutUint32(b[:], uint32(to))
		binary.NativeEndian.PutUint32(m[:], uint32(mask))
		bits := 0
		for _, byte := range m {
			for ; byte != 0; byte <<= 1 {
				bits++
			}
		}
		out = appendRoute(out, netip.PrefixFrom(netip.AddrFrom4(b), bits))
	}
	data, err = g.ofEngine(ctx, "ipv6_route")
	if os.IsNotExist(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 10 || words[9] == "lo" {
			continue
		}
		to, err := hex.DecodeString(words[0])
		bits, errBits := strconv.ParseUint(words[1], 16, 8)
		if addr, ok := netip.AddrFromSlice(to); err == nil && errBits == nil && ok {
			out = appendRoute(out, netip.PrefixFrom(addr, int(bits)))
			continue
		}
		return nil, fmt.Errorf("reading the routes: %.100q", line)
	}
	return out, nil
}

// appendRoute leaves out the default route, and those that every link has.
func appendRoute(routes []netip.Prefix, r netip.Prefix) []netip.Prefix {
	if r.Bits() == 0 || r.Addr().IsLinkLocalUnicast() || r.Addr().IsMulticast() {
		return routes
	}
	return append(routes, r.Masked())
}
