package engine

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// PeerPID is the process that listens on the engine's unix socket, as the
// kernel knows it (SO_PEERCRED of unix(7): whoever called listen). It is the
// engine itself, or systemd where the socket is activated by it, or a program
// that forwards the socket to another machine: the caller must look at which.
// It is 0 for a process that is not visible from this pid namespace. It makes
// a connection and no request, and is an error for tcp and ssh.
func (c *Client) PeerPID(ctx context.Context) (int, error) {
	if c.addr.scheme != "unix" {
		return 0, fmt.Errorf("asking who listens at %s: only a unix socket can tell", c.endpoint.Address)
	}
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "unix", c.addr.path)
	if err != nil {
		return 0, c.unreachable(bare(err))
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("asking who listens at %s: %w", c.endpoint.Address, err)
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return 0, fmt.Errorf("asking who listens at %s: %w", c.endpoint.Address, err)
	}
	return int(cred.Pid), nil
}
