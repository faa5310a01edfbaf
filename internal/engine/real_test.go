package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"github.com/plimsoll/plimsoll/test/lab"
)

// target is a real engine with our client and the official one.
type target struct {
	lab      *lab.Engine
	ours     *Client
	official *client.Client
}

func realEngine(t *testing.T, e *lab.Engine) target {
	t.Helper()
	official, err := client.New(client.WithHost(e.Host()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { official.Close() })
	return target{e, clientOf(t, Config{Endpoint: Endpoint{Address: e.Host(), Source: "the lab"}}), official}
}

func (r target) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.lab.Docker(args...)
	if err != nil {
		t.Fatalf("docker %q: %v", args, err)
	}
	return strings.TrimSpace(out)
}

// start runs a container that stays, and returns its id.
func (r target) start(t *testing.T, name string, args ...string) string {
	t.Helper()
	// Making it anew would move the tag away from the one that runs.
	if _, err := r.ours.ImageInspect(t.Context(), "engine-test:1"); errors.Is(err, ErrNotFound) {
		err = r.lab.Busybox(t.Context(), "engine-test:1")
		if err != nil {
			t.Fatal(err)
		}
	}
	id := r.docker(t, append(append([]string{"run", "-d", "--name", name}, args...), "engine-test:1")...)
	t.Cleanup(func() { r.lab.Docker("rm", "-f", "-v", name) })
	return id
}

// same compares an answer of ours, decoded by the official type, with the
// official client's, but for what changes from call to call.
func same[T any](t *testing.T, what string, raw any, official T, volatile ...string) {
	t.Helper()
	body, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	var ours T
	if err := json.Unmarshal(body, &ours); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	plain := func(v any) any {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var tree any
		if err := json.Unmarshal(body, &tree); err != nil {
			t.Fatal(err)
		}
		drop(tree, volatile)
		return tree
	}
	got, want := plain(ours), plain(official)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
	if text := fmt.Sprint(want); len(text) < 10 {
		t.Errorf("%s: the official client has only %s", what, text)
	}
}

func drop(tree any, names []string) {
	switch v := tree.(type) {
	case []any:
		for _, e := range v {
			drop(e, names)
		}
	case map[string]any:
		for _, n := range names {
			delete(v, n)
		}
	}
}

// Every call against a real engine, with the official client as the oracle.
func TestLikeOfficialClient(t *testing.T) {
	r := realEngine(t, lab.Shared(t))
	ctx := t.Context()
	id := r.start(t, "engine-like", "-v", "engine-like-data:/data", "--memory", "64m", "--kernel-memory", "32m",
		"--mac-address", "02:42:ac:11:00:77", "--label", "text=é<&>\u2028", "-e", "A=b c")
	t.Cleanup(func() { r.lab.Docker("volume", "rm", "engine-like-data") })
	stopped := r.start(t, "engine-like-stopped")
	r.docker(t, "kill", stopped)
	r.docker(t, "exec", "-d", id, "sleep", "1000")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	ping, err := r.ours.Ping(ctx)
	must(err)
	oPing, err := r.official.Ping(ctx, client.PingOptions{})
	must(err)
	if ping.APIVersion != oPing.APIVersion || ping.OSType != oPing.OSType {
		t.Errorf("Ping: got %+v, want %+v", ping, oPing)
	}
	version, err := r.ours.Version(ctx)
	must(err)
	oVersion, err := r.official.ServerVersion(ctx, client.ServerVersionOptions{})
	must(err)
	var v struct{ Version, APIVersion, MinAPIVersion, KernelVersion string }
	must(json.Unmarshal(version, &v))
	if v.Version != oVersion.Version || v.APIVersion != oVersion.APIVersion || v.MinAPIVersion != oVersion.MinAPIVersion {
		t.Errorf("Version: got %+v, want %+v", v, oVersion)
	}

	info, err := r.ours.Info(ctx)
	must(err)
	oInfo, err := r.official.Info(ctx, client.InfoOptions{})
	must(err)
	same[system.Info](t, "Info", info, oInfo.Info, "SystemTime", "NGoroutines", "NFd", "NEventsListener",
		"Containers", "ContainersRunning", "ContainersStopped", "ContainersPaused", "Images")

	api, err := r.ours.API(ctx)
	must(err)
	if v := r.official.ClientVersion(); api != v {
		t.Errorf("agreed on %q, the official client on %q", api, v)
	}

	// Inspect answers are the same to the byte.
	inspect, err := r.ours.ContainerInspect(ctx, id)
	must(err)
	oInspect, err := r.official.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	must(err)
	if diff := cmp.Diff(string(oInspect.Raw), string(inspect)); diff != "" {
		t.Errorf("ContainerInspect: %s", diff)
	}
	// Fields that the official types have dropped are still in the raw answer.
	dropped := []string{`"MacAddress":"02:42:ac:11:00:77"`}
	if oInfo.Info.CgroupVersion != "2" { // where the engine drops it itself
		dropped = append(dropped, `"KernelMemory":33554432`)
	}
	for _, field := range dropped {
		if !strings.Contains(string(inspect), field) {
			t.Errorf("ContainerInspect lacks %s", field)
		}
	}
	if strings.Contains(string(inspect), "SizeRootFs") {
		t.Error("ContainerInspect asked for sizes")
	}

	list, err := r.ours.ContainerList(ctx)
	must(err)
	oList, err := r.official.ContainerList(ctx, client.ContainerListOptions{All: true})
	must(err)
	same[[]container.Summary](t, "ContainerList", mine(t, list, "engine-like"), mineOf(oList.Items, "engine-like"), "Status")
	if n := len(mine(t, list, "engine-like")); n != 2 {
		t.Errorf("%d of our containers are in the list, want the running and the stopped one", n)
	}

	imageID := oInspect.Container.Image
	img, err := r.ours.ImageInspect(ctx, imageID)
	must(err)
	oImg, err := r.official.ImageInspect(ctx, imageID)
	must(err)
	same[image.InspectResponse](t, "ImageInspect", img, oImg.InspectResponse)
	byName, err := r.ours.ImageInspect(ctx, "engine-test:1")
	must(err)
	if string(byName) != string(img) {
		t.Error("ImageInspect differs between id and name")
	}
	images, err := r.ours.ImageList(ctx)
	must(err)
	found := false
	for _, i := range images {
		var s image.Summary
		must(json.Unmarshal(i, &s))
		found = found || s.ID == imageID
	}
	if !found {
		t.Errorf("%s is not among %d images", imageID, len(images))
	}

	for _, e := range oInspect.Container.ExecIDs {
		raw, err := r.ours.ExecInspect(ctx, e)
		must(err)
		oExec, err := r.official.ExecInspect(ctx, e, client.ExecInspectOptions{})
		must(err)
		var got struct {
			ID, ContainerID string
			Running         bool
			Pid             int
		}
		must(json.Unmarshal(raw, &got))
		if got.ID != oExec.ID || got.ContainerID != id || !got.Running || got.Pid != oExec.PID {
			t.Errorf("ExecInspect: got %+v, want %+v", got, oExec)
		}
	}
	if len(oInspect.Container.ExecIDs) != 1 {
		t.Errorf("%d running execs", len(oInspect.Container.ExecIDs))
	}

	networks, err := r.ours.NetworkList(ctx)
	must(err)
	oNetworks, err := r.official.NetworkList(ctx, client.NetworkListOptions{})
	must(err)
	if len(networks) != len(oNetworks.Items) || len(networks) < 3 {
		t.Errorf("%d networks, want %d", len(networks), len(oNetworks.Items))
	}
	bridge, err := r.ours.NetworkInspect(ctx, "bridge")
	must(err)
	oBridge, err := r.official.NetworkInspect(ctx, "bridge", client.NetworkInspectOptions{})
	must(err)
	same[network.Inspect](t, "NetworkInspect", bridge, oBridge.Network, "Containers")
	if !strings.Contains(string(bridge), id) {
		t.Error("NetworkInspect lacks our container")
	}

	volumes, warnings, err := r.ours.VolumeList(ctx)
	must(err)
	found = false
	for _, raw := range volumes {
		var got volume.Volume
		must(json.Unmarshal(raw, &got))
		if got.Name == "engine-like-data" {
			oVolume, err := r.official.VolumeInspect(ctx, got.Name, client.VolumeInspectOptions{})
			must(err)
			same[volume.Volume](t, "VolumeList", raw, oVolume.Volume)
			found = true
		}
	}
	if !found || len(warnings) != 0 {
		t.Errorf("our volume is among %d: %v; warnings %q", len(volumes), found, warnings)
	}
}

// mine are the containers of a list whose name begins with prefix, for others
// use the same engine.
func mine(t *testing.T, list []json.RawMessage, prefix string) []json.RawMessage {
	t.Helper()
	var kept []json.RawMessage
	for _, raw := range list {
		var s container.Summary
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
		if len(mineOf([]container.Summary{s}, prefix)) == 1 {
			kept = append(kept, raw)
		}
	}
	return kept
}

func mineOf(list []container.Summary, prefix string) []container.Summary {
	var kept []container.Summary
	for _, s := range list {
		if len(s.Names) > 0 && strings.HasPrefix(s.Names[0], "/"+prefix) {
			kept = append(kept, s)
		}
	}
	return kept
}

// What was removed after the list is not found, and nothing worse.
func TestRemovedMeanwhile(t *testing.T) {
	r := realEngine(t, lab.Shared(t))
	id := r.start(t, "engine-removed")
	if _, err := r.ours.ContainerInspect(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.docker(t, "rm", "-f", id)
	for what, call := range map[string]func() (json.RawMessage, error){
		"container": func() (json.RawMessage, error) { return r.ours.ContainerInspect(t.Context(), id) },
		"image":     func() (json.RawMessage, error) { return r.ours.ImageInspect(t.Context(), "engine-none:1") },
		"network":   func() (json.RawMessage, error) { return r.ours.NetworkInspect(t.Context(), "engine-none") },
		"exec":      func() (json.RawMessage, error) { return r.ours.ExecInspect(t.Context(), strings.Repeat("0", 64)) },
	} {
		_, err := call()
		e := wantError(t, err, "the engine has nothing for GET /v1.", "")
		if !errors.Is(err, ErrNotFound) || e.Status != 404 {
			t.Errorf("%s: got %v with status %d", what, err, e.Status)
		}
	}
}

// Without a swarm the engine refuses, and is still there.
func TestSwarm(t *testing.T) {
	r := realEngine(t, lab.Private(t, nil))
	_, err := r.ours.SwarmInspect(t.Context())
	if e := wantError(t, err, "not a swarm manager", ""); e.Status != 503 || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v with status %d", err, e.Status)
	}
	for what, list := range map[string]func(context.Context) ([]json.RawMessage, error){"nodes": r.ours.NodeList, "services": r.ours.ServiceList} {
		if _, err := list(t.Context()); wantError(t, err, "not a swarm manager", "").Status != 503 {
			t.Errorf("%s: got %v", what, err)
		}
	}
	r.docker(t, "swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
	got, err := r.ours.SwarmInspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	official, err := r.official.SwarmInspect(t.Context(), client.SwarmInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ ID string }
	if err := json.Unmarshal(got, &s); err != nil || s.ID == "" || s.ID != official.Swarm.ID {
		t.Errorf("got %q (%v), want %q", s.ID, err, official.Swarm.ID)
	}
	if nodes, err := r.ours.NodeList(t.Context()); err != nil || len(nodes) != 1 {
		t.Errorf("got %d nodes (%v)", len(nodes), err)
	}
	if services, err := r.ours.ServiceList(t.Context()); err != nil || len(services) != 0 {
		t.Errorf("got %d services (%v)", len(services), err)
	}
}

// The events of a container's life arrive, also those from before the call;
// and when the engine is killed, the stream and the next call say so.
func TestEngineKilled(t *testing.T) {
	r := realEngine(t, lab.Private(t, nil))
	since := time.Now().Add(-time.Second)
	id := r.start(t, "engine-killed")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var seen []string
	var last error
	for raw, err := range r.ours.Events(ctx, since) {
		if err != nil {
			last = err
			break
		}
		if raw == nil {
			continue
		}
		var ev struct {
			Type, Action string
			Actor        struct{ ID string }
		}
		if err := json.Unmarshal(raw, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Type != "container" || ev.Actor.ID != id {
			continue
		}
		seen = append(seen, ev.Action)
		switch ev.Action {
		case "start":
			r.docker(t, "kill", id)
		case "die":
			if err := syscall.Kill(r.lab.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{"create", "start", "kill", "die"}, seen); diff != "" {
		t.Error(diff)
	}
	wantError(t, last, "went away in the middle", "run plimsoll again")
	_, err := r.ours.Info(t.Context())
	wantError(t, err, "went away in the middle", "run plimsoll again")
	// To one who comes now, it is an engine that has stopped.
	_, err = clientOf(t, Config{Endpoint: r.ours.Endpoint()}).Info(t.Context())
	wantError(t, err, "can't be reached", "the engine has stopped")
}

// A real engine through a real login and docker's own bridge.
func TestRealEngineBySSH(t *testing.T) {
	r := realEngine(t, lab.Shared(t))
	id := r.start(t, "engine-ssh")
	s := lab.StartSSHD(t, loginEnv(t, strings.TrimPrefix(r.lab.Host(), "unix://")))
	far := clientOf(t, Config{Endpoint: Endpoint{Address: s.Address("")}, SSH: s.Program("known", "hosts")})
	got, err := far.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.ours.ContainerInspect(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}
