package gate

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	mobycontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
)

// goSDK calls the newest client of the Go SDK, which agrees with the engine on its version.
func goSDK(s *side) outcome {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.New(client.WithHost("unix://" + s.tee.socket))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	var said strings.Builder
	// told notes the error of a call, or that there was none.
	told := func(call string, err error) {
		fmt.Fprintf(&said, "%s: %v\n", call, err)
	}
	_, err = c.Info(ctx, client.InfoOptions{})
	told("info", err)
	_, err = c.NetworkCreate(ctx, "sdk", client.NetworkCreateOptions{Labels: map[string]string{"a": "b"}})
	told("network", err)
	_, err = c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: "sdk"})
	told("volume", err)
	limit := int64(50)
	_, err = c.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:   "sdk",
		Config: &mobycontainer.Config{Image: "web:1", Cmd: []string{"sh", "-c", "cat; sleep 100000"}, OpenStdin: true, Env: []string{"A=1"}, Labels: map[string]string{"a": "b"}},
		HostConfig: &mobycontainer.HostConfig{NetworkMode: "sdk", Mounts: []mount.Mount{{Type: mount.TypeVolume, Source: "sdk", Target: "/v"}},
			Resources: mobycontainer.Resources{Memory: 64 << 20, PidsLimit: &limit}},
	})
	told("create", err)
	attached, err := c.ContainerAttach(ctx, "sdk", client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	told("attach", err)
	_, err = c.ContainerStart(ctx, "sdk", client.ContainerStartOptions{})
	told("start", err)
	if attached.Conn != nil {
		line := "over the attached connection\n"
		_, err = io.WriteString(attached.Conn, line)
		told("write", err)
		var out bytes.Buffer
		if _, err := io.CopyN(&out, attached.Reader, int64(8+len(line))); err != nil {
			told("read", err)
		}
		said.WriteString(streams(out.Bytes()))
		attached.Close()
	}
	exec, err := c.ExecCreate(ctx, "sdk", client.ExecCreateOptions{Cmd: []string{"sh", "-c", "echo $A; echo err >&2; exit 3"}, AttachStdout: true, AttachStderr: true})
	told("exec", err)
	started, err := c.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
	told("exec start", err)
	if started.Conn != nil {
		var out, errs bytes.Buffer
		_, err = stdcopy.StdCopy(&out, &errs, started.Reader)
		told("exec said "+out.String()+errs.String(), err)
		started.Close()
	}
	var pack bytes.Buffer
	w := tar.NewWriter(&pack)
	_ = w.WriteHeader(&tar.Header{Name: "put.txt", Size: 3, Mode: 0o644})
	_, _ = io.WriteString(w, "put")
	_ = w.Close()
	_, err = c.CopyToContainer(ctx, "sdk", client.CopyToContainerOptions{DestinationPath: "/v", Content: &pack})
	told("copy to", err)
	from, err := c.CopyFromContainer(ctx, "sdk", client.CopyFromContainerOptions{SourcePath: "/v/put.txt"})
	told("copy from", err)
	if from.Content != nil {
		n, err := io.Copy(io.Discard, from.Content)
		told(fmt.Sprint(n), err)
		from.Content.Close()
	}
	_, err = c.ContainerUpdate(ctx, "sdk", client.ContainerUpdateOptions{Resources: &mobycontainer.Resources{Memory: 128 << 20, MemorySwap: 128 << 20}})
	told("update", err)
	_, err = c.ContainerCommit(ctx, "sdk", client.ContainerCommitOptions{Reference: "sdk:1", Changes: []string{"CMD true"}})
	told("commit", err)
	seconds := 0
	_, err = c.ContainerStop(ctx, "sdk", client.ContainerStopOptions{Timeout: &seconds})
	told("stop", err)
	_, err = c.ContainerRemove(ctx, "sdk", client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	told("remove", err)
	_, err = c.ImageRemove(ctx, "sdk:1", client.ImageRemoveOptions{})
	told("image", err)
	_, err = c.NetworkRemove(ctx, "sdk", client.NetworkRemoveOptions{})
	told("network", err)
	_, err = c.VolumeRemove(ctx, "sdk", client.VolumeRemoveOptions{})
	told("volume", err)
	_, err = c.ContainerInspect(ctx, "sdk", client.ContainerInspectOptions{})
	told("gone", err)
	return outcome{Out: said.String()}
}
