package engine

import (
	"context"
	"os"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

func TestPeerIsTheListener(t *testing.T) {
	f := startFake(t, nil)
	c := f.client()
	peer, err := c.Peer(context.Background())
	if want := (Peer{os.Getpid(), c.addr.path}); err != nil || peer != want {
		t.Errorf("got %+v, %v; want this process and its socket, %+v", peer, err, want)
	}
	if got := f.requests(); len(got) != 0 {
		t.Errorf("asking for the peer made requests: %v", got)
	}
}

func TestPeerNeedsASocket(t *testing.T) {
	tcp := clientOf(t, Config{Endpoint: Endpoint{Address: "tcp://127.0.0.1:2375", Source: "--host"}})
	if peer, err := tcp.Peer(context.Background()); err == nil {
		t.Errorf("got %+v for a tcp endpoint, want an error", peer)
	}
	none := clientOf(t, Config{Endpoint: Endpoint{Address: "unix:///nowhere/docker.sock", Source: "--host"}})
	_, err := none.Peer(context.Background())
	wantError(t, err, "can't be reached", "no such socket")
}

func TestPeerOfARealEngine(t *testing.T) {
	e := lab.Shared(t)
	c := clientOf(t, Config{Endpoint: Endpoint{Address: e.Host(), Source: "--host"}})
	peer, err := c.Peer(context.Background())
	if want := (Peer{e.Pid, e.Socket()}); err != nil || peer != want {
		t.Errorf("got %+v, %v; want dockerd and its socket, %+v", peer, err, want)
	}
}
