package engine

import (
	"context"
	"os"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

func TestPeerPIDIsTheListener(t *testing.T) {
	f := startFake(t, nil)
	pid, err := f.client().PeerPID(context.Background())
	if err != nil || pid != os.Getpid() {
		t.Errorf("got %d, %v; want this process, %d", pid, err, os.Getpid())
	}
	if got := f.requests(); len(got) != 0 {
		t.Errorf("asking for the peer made requests: %v", got)
	}
}

func TestPeerPIDNeedsASocket(t *testing.T) {
	tcp := clientOf(t, Config{Endpoint: Endpoint{Address: "tcp://127.0.0.1:2375", Source: "--host"}})
	if pid, err := tcp.PeerPID(context.Background()); err == nil {
		t.Errorf("got %d for a tcp endpoint, want an error", pid)
	}
	none := clientOf(t, Config{Endpoint: Endpoint{Address: "unix:///nowhere/docker.sock", Source: "--host"}})
	_, err := none.PeerPID(context.Background())
	wantError(t, err, "can't be reached", "no such socket")
}

func TestPeerPIDOfARealEngine(t *testing.T) {
	e := lab.Shared(t)
	c := clientOf(t, Config{Endpoint: Endpoint{Address: e.Host(), Source: "--host"}})
	if pid, err := c.PeerPID(context.Background()); err != nil || pid != e.Pid {
		t.Errorf("got %d, %v; want dockerd, %d", pid, err, e.Pid)
	}
}
