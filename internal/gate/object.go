package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/gate/api"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// What has no start is judged on the request alone. A volume or a build is judged as the
// container that would have it, by the same rules.

// judgeVolume judges a volume as a container that mounts it.
func judgeVolume(ctx context.Context, x *exchange) error {
	body, err := bodyOf[api.VolumeCreateBody](x)
	if err != nil {
		return err
	}
	x.subject.Name = trail.Clip(body.Name, maxName)
	if x.p.allows(string(api.Volumes), x.who) {
		return nil
	}
	if body.Driver != "" && body.Driver != "local" {
		x.decision.object("the volume driver "+body.Driver+" is a program with power over this host", guarded[api.Volumes])
		return nil
	}
	// The mount is written as the API has it, so that nothing in between can differ.
	mount, err := json.Marshal(map[string]any{"HostConfig": map[string]any{"Mounts": []any{map[string]any{
		"Type": "volume", "Source": "asked", "Target": "/asked",
		"VolumeOptions": map[string]any{"DriverConfig": map[string]any{"Name": "local", "Options": body.DriverOpts}},
	}}}})
	if err != nil {
		return err
	}
	return judgeLike(ctx, x, mount)
}

// judgeLike judges by the rules a container that asks for what the request does.
func judgeLike(ctx context.Context, x *exchange, create []byte) error {
	var body workload.CreateBody
	if err := json.Unmarshal(create, &body); err != nil {
		return fmt.Errorf("making a container of the request: %w", err)
	}
	f, _, err := x.g.around.asked(ctx, &body)
	if err != nil {
		return badSpec(x, err)
	}
	d, err := x.p.judge(f, asked, x.who, x.g.now())
	if err != nil {
		return err
	}
	x.decision.add(d)
	return nil
}

// plainNetworks are the drivers that give a container no place on the host's own links.
var plainNetworks = []string{"", "bridge", "overlay", "null", "none"}

// judgeNetwork objects to networks that reach the host's links.
func judgeNetwork(_ context.Context, x *exchange) error {
	body, err := bodyOf[api.NetworkCreateBody](x)
	if err != nil {
		return err
	}
	x.subject.Name = trail.Clip(body.Name, maxName)
	if !slices.Contains(plainNetworks, body.Driver) && !x.p.allows(string(api.Networks), x.who) {
		x.decision.object("the network driver "+body.Driver+" puts containers on this host's own links", guarded[api.Networks])
	}
	return nil
}

// judgePull objects to an import from an address: it is the engine that would ask there.
func judgePull(_ context.Context, x *exchange) error {
	q := &x.match.Query
	x.subject.Name = trail.Clip(cmp.Or(q.Get("fromImage"), q.Get("repo")), maxName)
	if from := q.Get("fromSrc"); from != "" && from != "-" {
		x.decision.object("the engine would fetch the image from an address that the client chooses", "fetch it, and send it: docker import FILE")
	}
	return nil
}

// judgeBuild judges a classic build as a container that has what its steps have.
func judgeBuild(ctx context.Context, x *exchange) error {
	q := &x.match.Query
	x.subject.Name = trail.Clip(q.Get("t"), maxName)
	if remote := q.Get("remote"); remote != "" && remote != "client-session" {
		x.decision.object("the engine would fetch the build's context from an address that the client chooses", "send the context: docker build -f FILE FOLDER")
	}
	if q.Get("version") == "2" || q.Get("session") != "" {
		x.decision.object("builds by BuildKit are not looked into", guarded[api.BuildKit])
		if x.p.allows(string(api.BuildKit), x.who) {
			x.decision.Objections = x.decision.Objections[:len(x.decision.Objections)-1]
		}
	}
	host := map[string]any{}
	for parameter, field := range map[string]string{"networkmode": "NetworkMode", "cgroupparent": "CgroupParent", "cpusetcpus": "CpusetCpus", "cpusetmems": "CpusetMems"} {
		if v := q.Get(parameter); v != "" {
			host[field] = v
		}
	}
	for parameter, field := range map[string]string{"memory": "Memory", "memswap": "MemorySwap", "cpushares": "CpuShares", "cpuperiod": "CpuPeriod", "cpuquota": "CpuQuota", "shmsize": "ShmSize"} {
		if n, err := strconv.ParseInt(q.Get(parameter), 10, 64); err == nil && n != 0 {
			host[field] = n
		}
	}
	if list := q.All("extrahosts"); len(list) > 0 {
		host["ExtraHosts"] = list
	}
	if list := q.All("securityopt"); len(list) > 0 {
		host["SecurityOpt"] = list
	}
	if text := q.Get("ulimits"); text != "" {
		host["Ulimits"] = json.RawMessage(text)
	}
	create, err := json.Marshal(map[string]any{"HostConfig": host})
	if err != nil {
		x.malformed = &api.Refusal{Status: http.StatusBadRequest, Message: "ulimits in the query is no JSON: " + strings.TrimPrefix(err.Error(), "json: ")}
		return nil
	}
	return judgeLike(ctx, x, create)
}
