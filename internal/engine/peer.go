package engine

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Peer is what the kernel knows of the listening end of a unix socket.
type Peer struct {
	// PID is the process that called listen (SO_PEERCRED of unix(7)). It is the
	// engine itself, or systemd where the socket is activated by it, or a program
	// that forwards the socket to another machine: the caller must look at which.
	// It is 0 for a process that is not visible from this pid namespace.
	PID int
	// Path is where that process bound the socket, by its own view of the files.
	Path string
}

// Peer asks who listens on the engine's unix socket. It makes a connection and
// no request, and is an error for tcp and ssh.
func (c *Client) Peer(ctx context.Context) (Peer, error) {
	if c.addr.scheme != "unix" {
		return Peer{}, fmt.Errorf("asking who listens at %s: only a unix socket can tell", c.endpoint.Address)
	}
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "unix", c.addr.path)
	if err != nil {
		return Peer{}, c.unreachable(bare(err))
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("asking who listens at %s: %w", c.endpoint.Address, err)
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return Peer{}, fmt.Errorf("asking who listens at %s: %w", c.endpoint.Address, err)
	}
	return Peer{PID: int(cred.Pid), Path: conn.RemoteAddr().String()}, nil
}
