package facts

import "github.com/plimsoll/plimsoll/internal/workload"

// Defaults is the part of the engine's configuration that decides what a
// container gets that does not ask, for the adapters. NoNewPrivileges counts as
// seen: a caller that could not see it says so in what it gets.
func (d Daemon) Defaults(cgroupVersion int64) *workload.Daemon {
	return &workload.Daemon{
		Seccomp: d.Seccomp, AppArmor: d.AppArmor, SELinux: d.SELinux, UsernsRemap: d.UsernsRemap, Rootless: d.Rootless,
		NoNewPrivileges: d.NoNewPrivileges, NoNewPrivilegesSeen: true, CgroupVersion: cgroupVersion, PrivateCgroupns: d.PrivateCgroupns,
		DefaultRuntime: d.DefaultRuntime, LogDriver: d.LogDriver,
	}
}
