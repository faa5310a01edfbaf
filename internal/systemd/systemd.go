// Package systemd is what a service gets from systemd, and tells it: the socket that it
// was started for ([Env.Listener]), and that it is ready ([Env.Ready]).
//
// The variables that systemd sets are read through [Env], so that only a program's main
// part touches its environment. The package starts nothing and knows no units.
//
// It follows sd_listen_fds(3) and sd_notify(3).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstDescriptor is SD_LISTEN_FDS_START.
const firstDescriptor = 3

// ErrNoSocket says that systemd handed no socket over; who takes one tells the user how
// it comes to be.
var ErrNoSocket = errors.New("systemd has handed over no socket")

// Env is what systemd sets for a service.
type Env struct {
	// Getenv looks variables up: LISTEN_PID, LISTEN_FDS and NOTIFY_SOCKET.
	Getenv func(string) string
	// PID is the process's own. What is meant for another one, which began this one, is
	// not taken.
	PID int
}

// Listener is the one stream socket that was handed over. It may be called once: it
// closes the descriptor that it came by. Closing the listener leaves the socket's path
// alone, for systemd goes on listening there.
func (e Env) Listener() (net.Listener, error) {
	if pid, err := strconv.Atoi(e.Getenv("LISTEN_PID")); err != nil || pid != e.PID {
		return nil, ErrNoSocket
	}
	n, err := strconv.Atoi(e.Getenv("LISTEN_FDS"))
	if err != nil || n < 1 {
		return nil, ErrNoSocket
	}
	if n > 1 {
		return nil, fmt.Errorf("systemd has handed over %d sockets, not one", n)
	}
	f := os.NewFile(firstDescriptor, "LISTEN_FD_3")
	defer f.Close()
	l, err := net.FileListener(f) // a copy that is closed at exec
	if err != nil {
		return nil, fmt.Errorf("taking the socket from systemd: %w", err)
	}
	return l, nil
}

// Ready tells systemd that the service does its work now. Where it is not asked for, as
// beside systemd, nothing is done.
func (e Env) Ready() error {
	name := e.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if abstract, is := strings.CutPrefix(name, "@"); is {
		name = "\x00" + abstract // unix(7)
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd that it is ready: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("READY=1")); err != nil {
		return fmt.Errorf("telling systemd that it is ready: %w", err)
	}
	return nil
}
