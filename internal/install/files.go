package install

import (
	"fmt"
	"strings"
)

// file is one that an install writes, or a link where target is set.
type file struct {
	path, text, target string
}

// The files that are the gate's by their names. Whoever wants them otherwise adds drop-ins
// of their own: an install writes these anew.
const (
	units      = "/etc/systemd/system/"
	usersFile  = "/etc/sysusers.d/plimsoll-gate.conf"
	folderFile = "/etc/tmpfiles.d/plimsoll-gate.conf"
	dropIn     = units + dockerSocket + ".d/plimsoll-gate.conf"
)

// usersText makes the gate's user. It is none that systemd makes up for each start
// (DynamicUser=): the engine's folder must be of a user that is known before, and such a
// service sees a /tmp of its own, where the gate must see the host's.
const usersText = `# Of plimsoll gate install; plimsoll gate uninstall takes it away.
g ` + User + ` -
u ` + User + ` - "plimsoll's gate" / /usr/sbin/nologin
`

const folderText = `# Of plimsoll gate install: the engine's own socket is in here, for root and the gate alone.
d ` + EngineFolder + ` 0750 root ` + User + ` -
`

// dropInText moves the engine's socket. The folder's mode counts where tmpfiles.d(5) made
// none: then nobody but root gets in.
const dropInText = `# Of plimsoll gate install: the engine listens behind the gate.
# Root gets past the gate with  docker -H unix://` + EngineSocket + `
[Socket]
ListenStream=
ListenStream=` + EngineSocket + `
SocketUser=root
SocketGroup=` + User + `
SocketMode=0660
DirectoryMode=0750
`

// socketText is the socket that clients know. systemd makes it, so that the gate need not
// be able to, and so that clients wait while the gate begins anew.
func socketText(path, user, group string, mode uint32) string {
	return fmt.Sprintf(`# Of plimsoll gate install.
[Unit]
Description=Docker's socket, with plimsoll's gate before the engine
Documentation=https://github.com/plimsoll/plimsoll/blob/main/docs/gate.md

[Socket]
ListenStream=%s
SocketUser=%s
SocketGroup=%s
SocketMode=%04o
# Stopping the gate's socket leaves the path, as docker.socket does.
RemoveOnStop=no

[Install]
WantedBy=sockets.target
`, path, user, group, mode)
}

// systemCalls are those that the gate makes, as it was watched (strace) while clients did
// what they do; those of the same code that take other kernels, sizes or architectures; and
// those by which a Go runtime, and a C library where plimsoll was built with one, starts,
// keeps time and ends. All others are refused: among them those that trace, load, mount,
// make namespaces or signal others.
const systemCalls = `accept4 bind close connect fcntl flock getpeername getsockname getsockopt listen recvfrom
recvmsg sendmsg sendto setsockopt shutdown socket splice
access faccessat faccessat2 fallocate fchmod fchmodat fchown fdatasync fgetxattr fstat fstatfs fsync
ftruncate getdents64 getxattr lgetxattr lseek lstat mkdirat newfstatat open openat openat2 pread64
pwrite64 read readlink readlinkat readv renameat renameat2 stat statfs statx umask unlinkat write writev
epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd2 pidfd_open pipe2 poll ppoll
arch_prctl brk clock_getres clock_gettime clock_nanosleep clone clone3 dup3 execve exit exit_group futex
getcwd getegid geteuid getgid getgroups getpgrp getpid getppid getrandom getrlimit gettid
gettimeofday getuid madvise membarrier mincore mmap mprotect mremap munmap nanosleep prctl prlimit64
restart_syscall rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield
set_robust_list set_tid_address setrlimit sigaltstack sysinfo tgkill time uname
landlock_create_ruleset`

// serviceText is the gate's own unit. The program and policy are words that need no
// quoting.
func serviceText(program []string, state, policy string) string {
	var calls strings.Builder
	for line := range strings.Lines(systemCalls) {
		fmt.Fprintf(&calls, "SystemCallFilter=%s\n", strings.TrimSpace(line))
	}
	return fmt.Sprintf(`# Of plimsoll gate install. Change it by drop-ins: systemctl edit plimsoll-gate.service
[Unit]
Description=plimsoll's gate before the Docker engine
Documentation=https://github.com/plimsoll/plimsoll/blob/main/docs/gate.md
# The socket is all that it needs. It is not required by the engine, nor does it require
# that: containers go on when the gate is dead, and the gate waits while the engine is.
Requires=plimsoll-gate.socket
After=plimsoll-gate.socket docker.socket docker.service
# Without it nobody but root reaches the engine: it begins anew however often.
StartLimitIntervalSec=0

[Service]
Type=notify
# What root has written there, as by  plimsoll trail prune --gate.
ExecStartPre=+/bin/chown -R --no-dereference %s:%s %s/gate
ExecStart=%s --listen fd:// --upstream unix://%s --state %s --policy %s
ExecReload=+/bin/kill -s HUP $MAINPID
Restart=always
RestartSec=1s
TimeoutStopSec=20s
OOMScoreAdjust=-500

User=%s
Group=%s
StateDirectory=%s
StateDirectoryMode=0750
UMask=0077

# It sees the program of a client by /proc/PID/exe, and the files of the host as process 1
# does, which takes CAP_SYS_PTRACE; the calls that trace are not in its filter. It sees
# where links in folders lead that only root may enter, which takes CAP_DAC_READ_SEARCH.
AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
NoNewPrivileges=yes

# It may change nothing but its trail. But it must see all that a container may be given,
# to tell where that leads: not PrivateTmp, PrivateDevices, ProtectKernelModules, nor a
# ProtectHome that hides; and the processes of others: not ProtectProc.
ProtectSystem=strict
ProtectHome=read-only
ReadOnlyPaths=/run
DevicePolicy=closed
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectKernelLogs=yes
ProtectClock=yes
ProtectHostname=yes

# It connects to no network: it reads in /proc what the engine's looks like.
PrivateNetwork=yes
IPAddressDeny=any
RestrictAddressFamilies=AF_UNIX
PrivateIPC=yes
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes

# Calls of the kernel that are not here are refused with EPERM.
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
%s
[Install]
WantedBy=docker.service
`, User, User, state, strings.Join(program, " "), EngineSocket, state, policy, User, User, strings.TrimPrefix(state, "/var/lib/")+"/gate", calls.String())
}

// PolicyText is the policy that an install writes where there is none.
const PolicyText = `# What plimsoll's gate refuses, and to whom: docs/gate.md.
# Check it with    plimsoll gate --check --policy /etc/plimsoll/policy.yaml
# It counts after  systemctl reload plimsoll-gate
schema: plimsoll/policy/1

# observe: nothing is refused, and what would have been is recorded (plimsoll gate status).
# enforce: it is refused. Switch with  plimsoll gate enforce  and  plimsoll gate observe.
mode: observe

# Rules about containers from this severity on are enforced.
enforce:
  severity: high
`
