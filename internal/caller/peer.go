package caller

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peer is what the socket tells of who connected.
type peer struct {
	uid, gid  uint32
	groups    []uint32
	groupsErr error
	pid       int
	pin       pin
}

// pin holds one process: as long as it lives, so does its number.
type pin struct {
	fd       int // a pidfd, -1 for none
	err      error
	byNumber bool // it may be another one that was given the number since
}

// ask reads what the kernel keeps with a connected socket.
func (s *Source) ask(fd int) (peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return peer{}, err
	}
	if cred.Uid == NoID { // what a socket has that is not connected (net/core/sock.c)
		return peer{}, errors.New("the socket is not connected")
	}
	p := peer{uid: cred.Uid, gid: cred.Gid, pid: int(cred.Pid)}
	p.groups, p.groupsErr = peerGroups(fd)
	p.pin = s.pin(fd, p.pid)
	return p, nil
}

// maxGroups is NGROUPS_MAX (include/uapi/linux/limits.h).
const maxGroups = 1 << 16

// peerGroups asks by SO_PEERGROUPS (Linux 4.13), which fails with ERANGE and the right
// length if there is too little room.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch n := int(size / 4); {
		case errno == 0:
			return groups[:n], nil
		case errno == unix.ERANGE && n > len(groups) && n <= maxGroups:
			groups = make([]uint32, n)
		default:
			return nil, errno
		}
	}
}

// pin gets hold of the process with which the connection was made.
func (s *Source) pin(fd, pid int) pin {
	if pid <= 0 {
		return pin{fd: -1, err: errors.New("it is in a pid namespace outside of ours: run this in the host's (--pid=host)")}
	}
	if !s.byNumber {
		pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		switch {
		case err == nil:
			return pin{fd: pidfd}
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENODATA): // by version, of a process that is gone
			return pin{fd: -1, err: errEnded}
		case !errors.Is(err, unix.ENOPROTOOPT): // that is a kernel before 6.5
			return pin{fd: -1, err: fmt.Errorf("it could not be pinned: %w", err)}
		}
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	switch {
	case err == nil:
		return pin{fd: pidfd, byNumber: true}
	case errors.Is(err, unix.ESRCH):
		return pin{fd: -1, err: errEnded}
	}
	return pin{fd: -1, err: fmt.Errorf("it could not be pinned: %w", err)}
}

// alive says whether the process lives; a pidfd can be read when it has ended
// (pidfd_open(2)).
func (p pin) alive() bool {
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll, 0)
		if !errors.Is(err, unix.EINTR) { // the runtime sends us signals
			return err == nil && n == 0
		}
	}
}

func (p pin) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}
