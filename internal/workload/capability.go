package workload

import (
	"slices"
	"strings"
)

// capabilityNames are Linux's capabilities by number (include/uapi/linux/capability.h,
// 0 to 40; the last came with 5.9).
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
	"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
	"IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
	"SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
	"LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
	"WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// defaultCapabilities are the fourteen that the engine grants
// (https://docs.docker.com/engine/security/#linux-kernel-capabilities).
var defaultCapabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
	"CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID",
	"CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// AllCapabilities are the names of every capability known, sorted.
func AllCapabilities() []string {
	all := make([]string, len(capabilityNames))
	for i, n := range capabilityNames {
		all[i] = "CAP_" + n
	}
	slices.Sort(all)
	return all
}

// CapabilitySet names the bits of a mask as the kernel prints it in
// /proc/PID/status, sorted; bits that have no name yet are CAP_<number>.
func CapabilitySet(mask uint64) []string {
	set := []string{}
	for bit := range 64 {
		if mask&(1<<bit) == 0 {
			continue
		}
		if bit < len(capabilityNames) {
			set = append(set, "CAP_"+capabilityNames[bit])
		} else {
			set = append(set, "CAP_"+itoa(int64(bit)))
		}
	}
	slices.Sort(set)
	return set
}

// canonicalCapabilities makes upper case CAP_ names of what was asked, sorted,
// each once; ALL stays ALL.
func canonicalCapabilities(asked []string) []string {
	names := make([]string, 0, len(asked))
	for _, a := range asked {
		n := strings.ToUpper(strings.TrimSpace(a))
		if n == "" {
			continue
		}
		if n == "CAP_ALL" {
			n = "ALL"
		}
		if n != "ALL" && !strings.HasPrefix(n, "CAP_") {
			n = "CAP_" + n
		}
		names = append(names, n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// boundingSet is what the engine makes of the default set and what was asked:
// privileged gets everything whatever was dropped; add ALL starts from
// everything, drop ALL from nothing; else what is dropped goes and what is
// added comes (moby's daemon/pkg/oci/caps).
func boundingSet(privileged bool, add, drop []string) []string {
	switch {
	case privileged:
		return AllCapabilities()
	case slices.Contains(add, "ALL"):
		return without(AllCapabilities(), drop)
	case slices.Contains(drop, "ALL"):
		return sortedUnique(without(add, []string{"ALL"}))
	}
	return sortedUnique(append(without(defaultCapabilities, drop), add...))
}

func without(list, gone []string) []string {
	kept := make([]string, 0, len(list))
	for _, n := range list {
		if !slices.Contains(gone, n) {
			kept = append(kept, n)
		}
	}
	return kept
}

// sortedUnique returns a sorted copy without repetitions, never nil.
func sortedUnique(list []string) []string {
	out := append(make([]string, 0, len(list)), list...)
	slices.Sort(out)
	return slices.Compact(out)
}
