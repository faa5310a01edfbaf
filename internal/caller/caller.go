// Package caller says who is at the other end of a connection.
//
// A [Source], made once, looks at connections to a unix socket: [Source.Of] gives the
// [Caller] that made one. [OfTLS] does so for TCP with mutual TLS.
//
// What counts how much:
//
//   - UID, GID and Groups are the kernel's own record of the moment of connect(2)
//     (unix(7): SO_PEERCRED, SO_PEERGROUPS). Nobody without privilege can forge them,
//     and they are there when all else is not. Authority rests on these.
//   - What comes from /proc is of the process that connected, provably: it is pinned by
//     a pidfd, and nothing counts unless it still lived when all was read. But it is
//     what that process is now, and the process had a say in it: it may have executed
//     another program since, and named it as it liked. It is evidence.
//   - LoginUID is kept by the kernel from log-in on, also through su and sudo, and only
//     CAP_AUDIT_CONTROL can change it. But a process that nobody logged in for (of a
//     service, or in a container) has none, and may write any into itself.
//   - Container cannot be forged from within a container, nor by users of a host that
//     runs systemd. Where somebody may have had a say in it, it is not known; see
//     containerOf.
//
// A connection belongs to who made it. Whoever it is handed to, by fork(2), execve(2) or
// SCM_RIGHTS, speaks under the maker's name, as with any credential.
//
// SO_PEERPIDFD (Linux 6.5) names the process itself. Before that it can be found by its
// number only, with pidfd_open(2): if it had ended by then, and its number was given
// anew, to a process of the same user and group, that one is taken for it. So Of belongs
// right behind accept(2), which leaves an attacker microseconds for a whole round of
// process numbers. Before Linux 5.3 nothing can be pinned.
//
// The package judges nobody. It asks no directory service for names, and lists no
// folder: its cost does not grow with the host. It escapes nothing: Exe, Command and
// CertSubject may hold any byte. It needs the system calls getsockopt, pidfd_open,
// openat, readlinkat, newfstatat, fstat, read, ppoll and close; CAP_SYS_PTRACE to see
// other users' Exe; and a /proc without hidepid=, or to be in its gid= (proc(5)).
package caller

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// NoID is the UID and the GID of a caller over TCP: the number that the kernel gives to
// nobody (setresuid(2)).
const NoID = ^uint32(0)

// Caller is who made a connection.
type Caller struct {
	// UID and GID are those that the process acted with (the effective ones) when it
	// connected, as our user namespace numbers them, and Groups its supplementary ones.
	UID, GID uint32
	Groups   []uint32
	// Unmapped says that our user namespace has no number for the user or the group, and
	// that UID or GID only stands for somebody outside (user_namespaces(7)). Groups
	// without a number are left out of Groups.
	Unmapped bool
	// User is the name of UID in the passwd file, or "".
	User string

	// PID is the number in our pid namespace of the process that connected, 0 where it
	// has none. Only if Seen does it still name that process.
	PID int
	// Seen says that the process was pinned and looked at. If not, all that follows is
	// absent, and Unseen has the reason under "process".
	Seen bool
	// Started is when the process started, in clock ticks since boot
	// (proc_pid_stat(5)); with PID it names one process.
	Started uint64
	// LoginUID is who logged in, before su and sudo (proc_pid_loginuid(5)); nil if
	// nobody did.
	LoginUID *uint32
	// Exe is the path of the program as the process sees it, in a container thus one of
	// the container's; with " (deleted)" where the kernel adds that.
	Exe string
	// Command is what the process calls itself, at most 15 bytes.
	Command string
	// Container is the id of the container that the process runs in, the outer one where
	// that has others in it; "" for none.
	Container string
	// TTY is the controlling terminal, "" for none. A number of /dev/pts is one of the
	// devpts that the process sees.
	TTY string

	// Unseen is what could not be known, though it may be there. A field that is empty
	// and has no entry is known to be empty.
	Unseen []Unseen

	// Remote and CertSubject are the address and the subject of the verified client
	// certificate (RFC 2253) of a caller over TCP.
	Remote, CertSubject string
}

// Unseen is a part of a Caller that could not be known.
type Unseen struct {
	Field  string // groups, user, process, login_uid, exe, container
	Reason string
}

func (c *Caller) unseen(field string, reason error) {
	c.Unseen = append(c.Unseen, Unseen{field, reason.Error()})
}

// Source is where to look. It may be used from several goroutines.
type Source struct {
	Proc   string // a mounted proc(5) of our pid namespace; "" is /proc
	Passwd string // "" is /etc/passwd

	byNumber bool // pin as on a kernel before 6.5, for tests

	mu    sync.Mutex
	self  *self
	names names
}

func (s *Source) proc() string {
	if s.Proc == "" {
		return "/proc"
	}
	return s.Proc
}

// Of says who made a connection that was accepted from a listening socket; at the
// other end it would be who called listen(2). It gives an error only where the kernel
// tells no credentials: no connection, or one that is closed.
func (s *Source) Of(conn *net.UnixConn) (*Caller, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("asking who connected: %w", err)
	}
	var p peer
	var asked error
	if err := raw.Control(func(fd uintptr) { p, asked = s.ask(int(fd)) }); err != nil {
		return nil, fmt.Errorf("asking who connected: %w", err)
	}
	if asked != nil {
		return nil, fmt.Errorf("asking who connected: %w", asked)
	}
	defer p.pin.close()

	c := &Caller{UID: p.uid, GID: p.gid, PID: p.pid}
	self := s.look()
	c.Unmapped = self.uids.stranger(c.UID) || self.gids.stranger(c.GID)
	if c.Groups, err = self.gids.known(p.groups), p.groupsErr; err != nil {
		c.unseen("groups", fmt.Errorf("the kernel does not tell them: %w", err))
	}
	if !c.Unmapped {
		if c.User, err = s.user(c.UID); err != nil {
			c.unseen("user", err)
		}
	}

	seen := *c
	if err := s.process(&seen, p, self); err != nil {
		c.unseen("process", err)
		return c, nil
	}
	seen.Seen = true
	return &seen, nil
}

var errEnded = errors.New("it had ended, or was about to")
