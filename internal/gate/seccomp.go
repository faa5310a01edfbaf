package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// filter is a filter of system calls as the engine reads it (moby's profiles/seccomp).
// No engine reads more of it that makes it wider, but for what is refused here as unknown:
// a listener, which would get to decide on calls.
type filter struct {
	DefaultAction    string    `json:"defaultAction"`
	DefaultErrno     string    `json:"defaultErrno"`
	DefaultErrnoRet  *uint     `json:"defaultErrnoRet"`
	Architectures    []string  `json:"architectures"`
	ArchMap          []archMap `json:"archMap"`
	Flags            []string  `json:"flags"`
	ListenerPath     string    `json:"listenerPath"`
	ListenerMetadata string    `json:"listenerMetadata"`
	Syscalls         []calls   `json:"syscalls"`
}

type archMap struct {
	Architecture     string   `json:"architecture"`
	SubArchitectures []string `json:"subArchitectures"`
}

type calls struct {
	Name     string     `json:"name"`
	Names    []string   `json:"names"`
	Action   string     `json:"action"`
	ErrnoRet *uint      `json:"errnoRet"`
	Errno    string     `json:"errno"`
	Args     []argument `json:"args"`
	Comment  string     `json:"comment"`
	Includes applies    `json:"includes"`
	Excludes applies    `json:"excludes"`
}

type argument struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo"`
	Op       string `json:"op"`
}

type applies struct {
	Caps      []string `json:"caps"`
	Arches    []string `json:"arches"`
	MinKernel string   `json:"minKernel"`
}

// filterTo objects to a filter that lets more through than the engine's own does.
func filterTo(profile string) (objection string) {
	var f filter
	if err := strict.JSON("the filter of system calls", []byte(profile), &f); err != nil {
		return err.Error()
	}
	if !denies(f.DefaultAction) {
		return fmt.Sprintf("its own filter of system calls lets through what it does not name (%.40q)", f.DefaultAction)
	}
	if f.ListenerPath != "" || f.ListenerMetadata != "" {
		return "its own filter of system calls has another program decide"
	}
	for _, flag := range f.Flags {
		if flag != "SECCOMP_FILTER_FLAG_LOG" && flag != "SECCOMP_FILTER_FLAG_TSYNC" {
			return fmt.Sprintf("its own filter of system calls has the flag %.60q", flag)
		}
	}
	for i := range f.Syscalls {
		c := &f.Syscalls[i]
		if denies(c.Action) {
			continue
		}
		for _, name := range append([]string{c.Name}, c.Names...) {
			if name != "" && !c.isOrdinary(name) {
				return fmt.Sprintf("its own filter of system calls lets %.40q through, which the engine's own does not", name)
			}
		}
	}
	return ""
}

// denies says whether an action of seccomp(2) keeps a call from being made.
func denies(action string) bool {
	switch action {
	case "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP":
		return true
	}
	return false
}

// newNamespaces are the flags of clone(2) that make one.
const newNamespaces = 0x7e020000

// isOrdinary says whether the engine's own filter lets a call through as well. What
// narrows it, such as further arguments, may be there.
func (c *calls) isOrdinary(name string) bool {
	switch {
	case ordinaryCalls[name]:
		return true
	case name == "clone":
		return slices.ContainsFunc(c.Args, func(a argument) bool {
			return a.Index == 0 && a.Op == "SCMP_CMP_MASKED_EQ" && a.Value&newNamespaces == newNamespaces && a.ValueTwo&newNamespaces == 0
		})
	case name == "personality":
		return slices.ContainsFunc(c.Args, func(a argument) bool {
			return a.Index == 0 && a.Op == "SCMP_CMP_EQ" && slices.Contains([]uint64{0, 8, 0x20000, 0x20008, 0xffffffff}, a.Value)
		})
	}
	// The engine leaves out what is for capabilities that the container has not.
	return slices.ContainsFunc(c.Includes.Caps, func(capability string) bool { return slices.Contains(callsOf[capability], name) })
}

// callsOf are the calls that the engine's own filter lets through to who has a capability,
// which is a rule's to judge.
var callsOf = map[string][]string{
	"CAP_DAC_READ_SEARCH": {"open_by_handle_at"},
	"CAP_SYS_ADMIN": {"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "lsm_get_self_attr", "lsm_list_modules",
		"lsm_set_self_attr", "mount", "mount_setattr", "move_mount", "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns",
		"syslog", "umount", "umount2", "unshare"},
	"CAP_SYS_BOOT":       {"reboot"},
	"CAP_SYS_MODULE":     {"delete_module", "init_module", "finit_module"},
	"CAP_SYS_PACCT":      {"acct"},
	"CAP_SYS_PTRACE":     {"kcmp", "pidfd_getfd", "process_madvise"},
	"CAP_SYS_RAWIO":      {"iopl", "ioperm"},
	"CAP_SYS_TIME":       {"settimeofday", "stime", "clock_settime", "clock_settime64"},
	"CAP_SYS_TTY_CONFIG": {"vhangup"},
	"CAP_SYS_NICE":       {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"},
	"CAP_SYSLOG":         {"syslog"},
	"CAP_BPF":            {"bpf"},
	"CAP_PERFMON":        {"perf_event_open"},
}

// ordinaryCalls are those that the filters of engines 20.10 to 29 let through to every
// container, but for io_uring's, which newer ones have taken out.
var ordinaryCalls = func() map[string]bool {
	known := map[string]bool{}
	for name := range strings.FieldsSeq(ordinaryNames) {
		known[name] = true
	}
	return known
}()

const ordinaryNames = `
_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind breakpoint brk cacheflush cachestat
capget capset chdir chmod chown chown32 chroot clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64
fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv
futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage
getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr
lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall
mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open
pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom
recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe
rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_tgsigqueueinfo s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer
setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socket socketcall socketpair splice stat
stat64 statfs statfs64 statmount statx swapcontext symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create
timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64
utimes vfork vmsplice wait4 waitid waitpid write writev
`
