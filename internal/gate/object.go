package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
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
	if what := volumeFrom(body.Driver, body.DriverOpts); what != "" {
		x.decision.object(what, guarded[api.Volumes])
		return nil
	}
	if body.ClusterVolumeSpec != nil {
		x.decision.object("volumes of a cluster are made by programs with power over this host", guarded[api.Volumes])
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

// judgeVolumeUpdate objects to changes of volumes: those that can be changed are a cluster's.
func judgeVolumeUpdate(_ context.Context, x *exchange) error {
	x.subject.Name = trail.Clip(x.match.Var("name"), maxName)
	if !x.p.allows(string(api.Volumes), x.who) {
		x.decision.object("volumes of a cluster are made by programs with power over this host", guarded[api.Volumes])
	}
	return nil
}

// judgeLike judges by the rules a container that asks for what the request does.
func judgeLike(ctx context.Context, x *exchange, create []byte) error {
	var body workload.CreateBody
	if err := json.Unmarshal(create, &body); err != nil {
		return fmt.Errorf("making a container of the request: %w", err)
	}
	f, _, _, err := x.g.around.asked(ctx, &body)
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

// judgeBuild judges a classic build as a container that has what its steps have.
func judgeBuild(ctx context.Context, x *exchange) error {
	q := &x.match.Query
	x.subject.Name = trail.Clip(q.Get("t"), maxName)
	if remote := q.Get("remote"); remote != "" && remote != "client-session" {
		x.decision.object("the engine would fetch the build's context from an address that the client chooses", "send the context: docker build -f FILE FOLDER")
	}
	if v := q.Get("version"); (v != "" && v != "1" || q.Get("session") != "" || q.Get("outputs") != "") && !x.p.allows(string(api.BuildKit), x.who) {
		x.decision.object("builds by BuildKit are not looked into", guarded[api.BuildKit])
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
