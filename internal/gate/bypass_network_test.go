package gate

// network asks for a network.
func network(body string) asking { return post("/networks/create", `{"Name":"asked",`+body+`}`) }

// ofNetwork looks for a text in the engine's description of the network.
func ofNetwork(text string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool {
		return said(text)(g, get("/networks/asked")(g, g.engine.Socket()))
	}
}

// goesTo is that what the host sends to an address goes to the network's containers.
func goesTo(address string) func(*ground, *answer) bool {
	return func(g *ground, _ *answer) bool {
		out, err := g.engine.Enter(g.Context(), "ip", "route", "get", address).CombinedOutput()
		return err == nil && contains(string(out), "br-")
	}
}

// subnet is a network's addresses.
func subnet(prefix string) string {
	return `"Driver":"bridge","IPAM":{"Config":[{"Subnet":"` + prefix + `"}]}`
}

// hostLink makes a link of the host, in the engine's network.
func hostLink(args ...string) func(*ground) {
	return func(g *ground) {
		g.Helper()
		ip := func(args ...string) {
			if out, err := g.engine.Enter(g.Context(), "ip", args...).CombinedOutput(); err != nil {
				g.Fatalf("ip %q: %v\n%s", args, err, out)
			}
		}
		ip(append([]string{"link", "add"}, args...)...)
		ip("addr", "add", "10.77.0.1/24", "dev", args[0])
		ip("link", "set", args[0], "up")
		// The engine takes a bridge away with its network.
		g.cleanups = append(g.cleanups, func() { _ = g.engine.Enter(g.Context(), "ip", "link", "del", args[0]).Run() })
	}
}

const bridge = `"Options":{"com.docker.network.bridge.name":`

var networkBypasses = []hostile{
	{class: 24, name: "the host's links, by macvlan", before: hostLink("lan0", "type", "bridge"), ask: network(`"Driver":"macvlan","Options":{"parent":"lan0"}`), power: ofNetwork("lan0"), want: `puts containers on this host's own links`,
		twin: network(`"Driver":"bridge"`)},
	{class: 24, name: "the host's links, by ipvlan", before: hostLink("lan0", "type", "bridge"), ask: network(`"Driver":"ipvlan","Options":{"parent":"lan0","ipvlan_mode":"l3"}`), power: ofNetwork("lan0"), want: `puts containers on this host's own links`,
		twin: network(`"Driver":""`)},
	{class: 24, name: "a bridge that is there", before: hostLink("lan0", "type", "bridge"), ask: network(`"Driver":"bridge",` + bridge + `"lan0"}`), power: ofNetwork("lan0"), want: "is there already", twin: network(`"Driver":"bridge",` + bridge + `"br-mine"}`)},
	{class: 24, name: "addresses of the internet", ask: network(subnet("8.8.8.0/24")), power: goesTo("8.8.8.8"), want: "on the internet", twin: network(subnet("10.78.0.0/24"))},
	{class: 24, name: "half of the internet", ask: network(subnet("8.0.0.0/5")), power: goesTo("9.9.9.9"), want: "on the internet", twin: network(subnet("172.30.0.0/16"))},
	{class: 24, name: "addresses of the host's own network", before: hostLink("lan0", "type", "bridge"), ask: network(subnet("10.77.0.128/25")), power: goesTo("10.77.0.200"), want: "10.77.0.0/24", twin: network(subnet("10.78.0.0/24"))},
	{class: 24, name: "an option that is not known", ask: network(`"Driver":"bridge","Options":{"com.docker.network.bridge.default_bridge":"true"}`), power: ofNetwork("default_bridge"), want: "is not known",
		twin: network(`"Driver":"bridge","Options":{"com.docker.network.bridge.enable_icc":"false","com.docker.network.driver.mtu":"1400"}`)},
	{class: 24, name: "every port open", ask: call("POST", "/networks/create", `{"Name":"asked","Options":{"com.docker.network.bridge.gateway_mode_ipv4":"nat-unprotected"}}`), beyond: "it came with Docker 28", want: "opens every port",
		twin: network(`"Options":{"com.docker.network.bridge.enable_ip_masquerade":"true"}`)},
	{class: 24, name: "a driver of another", ask: network(`"Driver":"weave"`), beyond: "there is no such plugin here", want: "puts containers on", twin: network(`"Internal":true`)},
	{class: 24, name: "addresses of another", ask: network(`"IPAM":{"Driver":"other"}`), beyond: "there is no such plugin here", want: "is a program with power", twin: network(`"IPAM":{"Driver":"default"}`)},
}
