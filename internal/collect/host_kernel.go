package collect

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// missing are facts that were not seen, with paths below the host.
type missing []workload.Unseen

func (m *missing) add(path, reason string) {
	*m = append(*m, workload.Unseen{Path: path, Reason: reason})
}

const (
	reasonNoProc = "the host's /proc/sys is not there to be looked at"
	reasonNoSys  = "the host's /sys does not say it"
)

// ownKernel reports whether the tree's /proc is one of the kernel that this program
// runs on: only then may the kernel itself be asked about that host.
func (t *tree) ownKernel() bool {
	const procMagic = 0x9fa0 // PROC_SUPER_MAGIC of linux/magic.h
	own := false
	_, _, err := t.follow("/proc", func(fd int, _ *unix.Stat_t) error {
		var fs unix.Statfs_t
		if err := unix.Fstatfs(fd, &fs); err != nil {
			return err
		}
		own = fs.Type == procMagic
		return nil
	})
	return err == nil && own
}

// word is the text of a small file, without the space around it; false where it is
// not there.
func (t *tree) word(name string) (string, bool, error) {
	data, err := t.read(name)
	return strings.TrimSpace(string(data)), data != nil, err
}

// settings reads below /proc/sys (proc_sys_kernel(5), proc_sys_fs(5)).
func (t *tree) settings() (facts.Settings, missing) {
	var out facts.Settings
	var gone missing
	there := t.exists("/proc/sys/kernel")
	for _, one := range []struct {
		file, path string
		into       *int64
	}{
		{"kernel/randomize_va_space", "randomize_va_space", &out.RandomizeVASpace},
		{"kernel/kptr_restrict", "kptr_restrict", &out.KptrRestrict},
		{"kernel/dmesg_restrict", "dmesg_restrict", &out.DmesgRestrict},
		{"kernel/unprivileged_bpf_disabled", "unprivileged_bpf_disabled", &out.UnprivilegedBPFDisabled},
		{"kernel/yama/ptrace_scope", "ptrace_scope", &out.PtraceScope},
		{"fs/protected_hardlinks", "protected_hardlinks", &out.ProtectedHardlinks},
		{"fs/protected_symlinks", "protected_symlinks", &out.ProtectedSymlinks},
	} {
		text, found, err := t.word("/proc/sys/" + one.file)
		*one.into = -1
		switch {
		case err != nil:
			gone.add("settings."+one.path, "/proc/sys/"+one.file+" cannot be read: "+err.Error())
		case found:
			if *one.into, err = strconv.ParseInt(text, 10, 32); err != nil {
				gone.add("settings."+one.path, "/proc/sys/"+one.file+" is no number")
			}
		case !there:
			gone.add("settings."+one.path, reasonNoProc)
		}
	}
	return out, gone
}

// security reads which security modules are in force: of the kernel's own list where
// securityfs is mounted, else each by what it shows only then.
func (t *tree) security() (facts.Security, missing) {
	out := facts.Security{Modules: []string{}, SELinux: "disabled"}
	var gone missing
	list, listed, err := t.word("/sys/kernel/security/lsm")
	if listed = listed && err == nil; listed {
		out.Modules = strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	} else {
		gone.add("security.modules", reasonNoSys)
	}
	sys := t.exists("/sys/module")
	has := func(name string) bool { return slices.Contains(out.Modules, name) }

	enabled, found, err := t.word("/sys/module/apparmor/parameters/enabled")
	switch {
	case listed:
		out.AppArmor = has("apparmor") && !strings.HasPrefix(enabled, "N")
	case err == nil && (found || sys):
		out.AppArmor = enabled == "Y"
	default:
		gone.add("security.apparmor", reasonNoSys)
	}
	mode, found, err := t.word("/sys/fs/selinux/enforce")
	systems, _, systemsErr := t.word("/proc/filesystems")
	switch {
	case found && err == nil:
		out.SELinux = map[bool]string{true: "enforcing", false: "permissive"}[mode == "1"]
	case listed && !has("selinux"):
	case !listed && systemsErr == nil && systems != "" && !strings.Contains(systems, "selinuxfs"): // only a kernel that runs SELinux has it
	default:
		out.SELinux = ""
		gone.add("security.selinux", reasonNoSys)
	}
	switch {
	case listed:
		out.Landlock = has("landlock")
	case t.ownKernel():
		// landlock_create_ruleset(2) tells its version to whoever asks, or that it is off.
		const tellVersion = 1
		version, _, number := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, tellVersion)
		out.Landlock = number == 0 && version > 0
		if errors.Is(number, unix.EPERM) { // a filter of system calls answers
			gone.add("security.landlock", "this program may not ask for it")
		}
	default:
		gone.add("security.landlock", reasonNoSys)
	}
	kernel := t.exists("/proc/sys/kernel")
	switch {
	case listed:
		out.Yama = has("yama")
	case kernel:
		out.Yama = t.exists("/proc/sys/kernel/yama")
	default:
		gone.add("security.yama", reasonNoProc)
	}
	if out.Grsecurity = t.exists("/proc/sys/kernel/grsecurity"); !kernel {
		gone.add("security.grsecurity", reasonNoProc)
	}
	lockdown, found, err := t.word("/sys/kernel/security/lockdown")
	_, chosen, marked := strings.Cut(lockdown, "[")
	switch {
	case err == nil && marked:
		out.Lockdown, _, _ = strings.Cut(chosen, "]")
	case listed && !found:
		out.Lockdown = "none"
	default:
		gone.add("security.lockdown", reasonNoSys)
	}
	return out, gone
}

// kernels are the installed ones that are of the running one's kind, oldest first:
// distributions name the kind in letters, as in 6.1.0-25-cloud-amd64.
func (t *tree) kernels(running string) ([]string, error) {
	names, err := t.list("/lib/modules")
	if err != nil {
		return nil, err
	}
	kind := func(name string) string {
		return strings.Join(strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) }), "-")
	}
	out := []string{}
	for _, name := range names {
		// A kernel that was taken away can leave a folder behind, but no list of modules.
		if kind(name) == kind(running) && t.exists("/lib/modules/"+name+"/modules.dep") {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, compareKernels)
	return out, nil
}

// compareKernels orders names by the numbers in them, one after the other.
func compareKernels(a, b string) int {
	numbers := func(name string) []int64 {
		var out []int64
		for _, digits := range strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' }) {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil {
				break
			}
			out = append(out, n)
		}
		return out
	}
	return slices.Compare(numbers(a), numbers(b))
}
