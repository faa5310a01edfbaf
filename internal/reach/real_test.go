package reach

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/test/lab"
)

// Six containers of known reach, and one of none, on a real engine: the
// sentences come from what the engine and the kernel say, before and after the
// facts have gone through JSON.
func TestRealContainersOfKnownReach(t *testing.T) {
	e := lab.Private(t, nil)
	ctx := context.Background()
	if err := e.Busybox(ctx, "reach:1"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"-d --name metrics --pid host -v /var/run/docker.sock:/docker.sock:ro reach:1",
		"--name ci-runner --privileged reach:1",
		"-d --name db -v data:/data reach:1",
		"-d --name backup -v data:/data:ro reach:1",
		"-d --name proxy --network host reach:1",
		"-d --name sidecar --network container:db --volumes-from db reach:1",
		"-d --name web --read-only --cap-drop ALL reach:1",
	} {
		verb := "run"
		if strings.Contains(line, "--privileged") {
			verb = "create" // what it would be given counts before it starts
		}
		if out, err := e.Docker(append([]string{verb}, strings.Fields(line)...)...); err != nil {
			t.Fatalf("docker %s %s: %v\n%s", verb, line, err, out)
		}
	}
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: e.Host(), Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	f, err := collect.Engine(ctx, collect.Config{Client: client, Now: time.Now, Root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ci-runner: root on the host (every privilege)",
		"metrics: root on the host (engine socket), every process of it",
		"proxy: every port of the host (host network)",
		"backup: the data of db (shared volume)",
		"db: the network of sidecar (joined namespace)",
		"sidecar: the data of db (volumes-from), the network of db (joined namespace)",
	}
	if diff := cmp.Diff(want, say(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	doc, err := facts.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := facts.Decode("facts.json", doc)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, say(back)); diff != "" {
		t.Errorf("after JSON (-want +got):\n%s", diff)
	}
}
