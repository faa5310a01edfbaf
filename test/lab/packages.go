package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Packages are Debian's packages that an engine and its images are made of.
var Packages = []string{"docker.io", "containerd", "runc", "iptables", "busybox-static"}

// recordDir holds what Install added, until Remove has taken it away. Only
// root may read it: it keeps copies of files with password hashes.
const recordDir = "/var/lib/plimsoll-lab-packages"

// record is what Install found and added. Parts that were there before are
// never removed.
type record struct {
	Packages []addedPackage
	Unpacked []string // packages that are not installed but unpacked
	Users    []string // system users that came with the packages
	Groups   []string // likewise
	Leftover []string // of leftovers, those that were not there
	// Backups are the copies that the user database's tools keep of its former
	// state, as they were: path → content.
	Backups map[string][]byte
	// Accounts is the user database before, to find Users and Groups even if
	// the installation was killed: path → names.
	Accounts map[string][]string
	Complete bool // the installation ended, so Users and Groups are known
	// Throwaway packages came for one run. Should that be killed, the next one
	// removes them.
	Throwaway bool
}

// addedPackage is a package that Install added, and dpkg's status of it before:
// "not-installed", or "config-files" for one that was removed but not purged.
type addedPackage struct{ Name, Was string }

// leftovers stay when the packages are purged: the lock of adduser, which makes
// the group docker, and folders that appear when somebody runs the machine's
// own engine.
var leftovers = []string{
	"/run/adduser", "/etc/docker", "/etc/containerd", "/var/lib/docker", "/var/lib/containerd", "/run/docker", "/run/containerd", "/opt/containerd",
}

// accountFiles hold users and groups, and for each the tools keep a copy of
// its former state with a "-" after the name.
var accountFiles = []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}

// Missing returns those of names that are not installed, nor unpacked where
// that is enough.
func Missing(names []string) ([]string, error) {
	var missing []string
	for _, n := range names {
		there, err := isThere(n)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, n)
		}
	}
	return missing, nil
}

// Install installs Debian packages, with what they depend on, so that Remove
// can take exactly those away again: nothing is upgraded or removed, no service
// is started, and the machine's own package lists stay as they are. A name such
// as "unpack:openssh-server" is of a package that is unpacked only, for Program
// to find. It changes nothing when all are there. When ctx ends, it lets dpkg finish what it has
// begun, takes that away again, and returns ctx's error.
func Install(ctx context.Context, w World, names []string) error {
	names, err := Missing(names)
	if err != nil || len(names) == 0 {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("installing %s needs root: run this as root", strings.Join(names, ", "))
	}
	unlock, err := lockRecord()
	if err != nil {
		return err
	}
	defer unlock()
	return install(ctx, w, names, false)
}

// install is Install for packages that are missing, under the record's lock.
func install(ctx context.Context, w World, names []string, throwaway bool) error {
	a, err := newApt(w)
	if err != nil {
		return err
	}
	defer a.close()
	names, bare := toUnpack(names)
	if len(names) > 0 {
		fmt.Fprintf(w.Stderr, "lab: installing %s\n", strings.Join(names, ", "))
	}
	if len(bare) > 0 {
		fmt.Fprintf(w.Stderr, "lab: unpacking %s\n", strings.Join(bare, ", "))
	}
	plan, err := a.plan(ctx, names)
	if err != nil {
		return err
	}
	if err := a.download(ctx, names); err != nil {
		return err
	}
	archives := map[string][]string{}
	for _, name := range bare {
		if archives[name], err = a.archives(ctx, name); err != nil {
			return err
		}
	}
	before, err := readRecord()
	if err != nil {
		return err
	}
	r, err := before.begin(plan, bare, throwaway)
	if err != nil {
		return err
	}
	// From here on the machine changes, so nothing interrupts it, and whatever
	// goes wrong is undone.
	for _, name := range bare {
		if err == nil {
			err = unpack(filepath.Join(unpackDir, name), archives[name])
		}
	}
	if err == nil && len(names) > 0 {
		err = withPolicy(func() error { return a.install(names) })
	}
	if err == nil {
		err = r.complete()
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return errors.Join(err, undo(w, a, before))
	}
	return nil
}

// Remove takes away what Install added, and does nothing if that is nothing.
// It never removes the data of an engine that somebody has run meanwhile, but
// says where it is. After an error it may be called again.
func Remove(w World) error {
	if _, err := os.Stat(recordDir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("removing packages needs root: run this as root")
	}
	unlock, err := lockRecord()
	if err != nil {
		return err
	}
	defer unlock()
	return remove(w, record{})
}

// remove takes away what was installed since the record was as in to, under
// the record's lock.
func remove(w World, to record) error {
	a, err := newApt(w)
	if err != nil {
		return err
	}
	defer a.close()
	return undo(w, a, to)
}

// RunInstall is Install as a command, which the signals of w interrupt.
func RunInstall(w World, names []string) (int, error) {
	return w.interruptible(func(ctx context.Context) (int, error) {
		if err := Install(ctx, w, names); err != nil {
			return failed, err
		}
		return 0, nil
	})
}

// RunRemove is Remove as a command. Signals do not cut it short: what it has
// begun is better ended.
func RunRemove(w World) (int, error) {
	return w.interruptible(func(context.Context) (int, error) {
		if err := Remove(w); err != nil {
			return failed, err
		}
		return 0, nil
	})
}

// undo takes away what the record has more than to, and makes to the record.
func undo(w World, a *apt, to record) error {
	r, err := readRecord()
	if err != nil {
		return err
	}
	if !r.Complete {
		var names []string
		for _, p := range r.Packages {
			names = append(names, p.Name)
		}
		if err := withPolicy(func() error { return settle(names) }); err != nil {
			return err
		}
		r.findAccounts()
	}
	var there, purge []string
	for _, p := range r.Packages {
		if slices.Contains(to.Packages, p) {
			continue
		}
		state, err := packageState(p.Name)
		if err != nil {
			return err
		}
		if state == "not-installed" || state == p.Was {
			continue
		}
		there = append(there, p.Name)
		if p.Was == "not-installed" {
			purge = append(purge, p.Name)
		}
	}
	if len(there) > 0 {
		fmt.Fprintf(w.Stderr, "lab: removing %s\n", strings.Join(there, ", "))
		if err := withPolicy(func() error { return a.remove(there, purge) }); err != nil {
			return err
		}
	}
	if err := restorePolicy(); err != nil {
		return err
	}
	if err := r.removeAccounts(to); err != nil {
		return err
	}
	for _, name := range r.Unpacked {
		if slices.Contains(to.Unpacked, name) {
			continue
		}
		tree := filepath.Join(unpackDir, name)
		if err := errors.Join(os.RemoveAll(tree), os.RemoveAll(tree+partSuffix)); err != nil {
			return fmt.Errorf("removing what was unpacked: %w", err)
		}
	}
	if len(to.Packages)+len(to.Unpacked) > 0 {
		return to.write()
	}
	for _, path := range r.Leftover {
		if err := os.Remove(path); errors.Is(err, unix.ENOTEMPTY) {
			fmt.Fprintf(w.Stderr, "lab: %s is left: an engine of this machine has used it\n", path)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing what the packages left: %w", err)
		}
	}
	if err := os.RemoveAll(recordDir); err != nil {
		return fmt.Errorf("removing the list of installed packages: %w", err)
	}
	return nil
}

// lockRecord makes the record's folder and keeps other labs from it. An
// unlocked folder without a record is removed.
func lockRecord() (unlock func(), err error) {
	if err := os.MkdirAll(recordDir, 0o700); err != nil {
		return nil, fmt.Errorf("making a place for the list of installed packages: %w", err)
	}
	lock, err := lockDir(recordDir)
	if err != nil {
		return nil, fmt.Errorf("another lab is installing or removing packages; wait until it has ended: %w", err)
	}
	return func() {
		defer lock.Close()
		mine, err1 := lock.Stat()
		there, err2 := os.Stat(recordDir)
		if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
			return
		}
		if _, err := os.Stat(filepath.Join(recordDir, "record.json")); errors.Is(err, fs.ErrNotExist) {
			_ = os.RemoveAll(recordDir)
		}
	}, nil
}

func readRecord() (record, error) {
	var r record
	b, err := os.ReadFile(filepath.Join(recordDir, "record.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("reading the list of installed packages: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("reading the list of installed packages, %s/record.json: %w", recordDir, err)
	}
	return r, nil
}

// write replaces the record at once, so that a kill leaves the old or the new.
func (r record) write() error {
	if err := writeState(recordDir, "record.new", r); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(recordDir, "record.new"), filepath.Join(recordDir, "record.json")); err != nil {
		return fmt.Errorf("writing the list of installed packages: %w", err)
	}
	return nil
}

// begin returns and writes the record with what is about to come, and with
// what is there before. r may already list an earlier installation.
func (r record) begin(packages, unpacked []string, throwaway bool) (record, error) {
	r.Throwaway = throwaway && (r.Throwaway || len(r.Packages)+len(r.Unpacked) == 0)
	r.Unpacked = slices.Concat(r.Unpacked, unpacked)
	r.Packages = slices.Clone(r.Packages)
	for _, name := range packages {
		known := func(p addedPackage) bool { return p.Name == name }
		if slices.ContainsFunc(r.Packages, known) {
			continue
		}
		state, err := packageState(name)
		if err != nil {
			return r, err
		}
		r.Packages = append(r.Packages, addedPackage{name, state})
	}
	if r.Backups == nil {
		r.Backups = map[string][]byte{}
		for _, path := range accountFiles {
			if b, err := os.ReadFile(path + "-"); err == nil {
				r.Backups[path+"-"] = b
			}
		}
		for _, path := range leftovers {
			if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
				r.Leftover = append(r.Leftover, path)
			}
		}
	}
	r.Accounts = map[string][]string{}
	for _, path := range accountFiles[:2] {
		r.Accounts[path] = slices.Collect(maps.Keys(accounts(path)))
	}
	r.Complete = false
	return r, r.write()
}

func (r record) complete() error {
	r.findAccounts()
	r.Complete = true
	return r.write()
}

// findAccounts lists the users and groups that came since begin. Only numbers
// that Debian gives to packages as they are installed are looked at: lower ones
// belong to the system itself, higher ones to people (Debian Policy 9.2.2).
func (r *record) findAccounts() {
	since := func(path string, have []string) []string {
		before := r.Accounts[path]
		if len(before) == 0 {
			return have // nothing is known of the time before, so nothing is new
		}
		have = slices.Clone(have)
		for name, id := range accounts(path) {
			if 100 <= id && id < 1000 && !slices.Contains(before, name) && !slices.Contains(have, name) {
				have = append(have, name)
			}
		}
		slices.Sort(have)
		return have
	}
	r.Users = since(accountFiles[0], r.Users)
	r.Groups = since(accountFiles[1], r.Groups)
}

// removeAccounts removes the users and groups that r has more than to. If none
// are left it puts the tools' copies of the former state back.
func (r record) removeAccounts(to record) error {
	for _, name := range r.Users {
		if _, ok := accounts(accountFiles[0])[name]; ok && !slices.Contains(to.Users, name) {
			if err := quiet("userdel", name); err != nil {
				return err
			}
		}
	}
	for _, name := range r.Groups {
		if _, ok := accounts(accountFiles[1])[name]; ok && !slices.Contains(to.Groups, name) {
			if err := quiet("groupdel", name); err != nil {
				return err
			}
		}
	}
	if len(r.Users)+len(r.Groups) == 0 || len(to.Users)+len(to.Groups) > 0 {
		return nil
	}
	for path, content := range r.Backups {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := os.WriteFile(path, content, 0); err != nil {
			return fmt.Errorf("putting back %s: %w", path, err)
		}
	}
	return nil
}

// accounts reads the names and numbers of passwd(5) or group(5).
func accounts(path string) map[string]int {
	found := map[string]int{}
	b, err := os.ReadFile(path)
	if err != nil {
		return found
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		var id int
		if len(fields) < 3 {
			continue
		}
		if _, err := fmt.Sscan(fields[2], &id); err == nil {
			found[fields[0]] = id
		}
	}
	return found
}
