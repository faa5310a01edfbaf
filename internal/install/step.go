package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// begin writes the record, before anything else is changed.
func (h *Host) begin(r *Record) error {
	if err := h.makeFolder(r, h.State); err != nil {
		return fmt.Errorf("making %s: %w", h.State, err)
	}
	return h.keep(r)
}

// writeFile writes a file of the gate's, or makes a link.
func (h *Host) writeFile(r *Record, f file) error {
	if err := h.makeFolder(r, filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("making the folder of %s: %w", f.path, err)
	}
	if f.target == "" {
		if data, err := os.ReadFile(h.at(f.path)); err == nil && string(data) == f.text {
			return nil
		}
		h.changed = true
		return h.write(f.path, []byte(f.text), 0o644)
	}
	if to, err := os.Readlink(h.at(f.path)); err == nil && to == f.target {
		return nil
	}
	if err := os.Remove(h.at(f.path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(f.target, h.at(f.path))
}

// makeUser makes the gate's user and, now that there is one, the engine's folder.
func (h *Host) makeUser(ctx context.Context, r *Record) error {
	if _, found := h.book().UserNamed(User); !found && !r.UserMade {
		r.UserMade = true
		if err := h.keep(r); err != nil {
			return err
		}
	}
	if _, err := h.run(ctx, "systemd-sysusers", usersFile); err != nil {
		return err
	}
	_, err := h.run(ctx, "systemd-tmpfiles", "--create", folderFile)
	return err
}

// writePolicy writes the policy of an install.
func (h *Host) writePolicy(r *Record) error {
	if err := h.makeFolder(r, filepath.Dir(h.Policy)); err != nil {
		return fmt.Errorf("making the folder of %s: %w", h.Policy, err)
	}
	r.PolicyMade = digest([]byte(PolicyText))
	if err := h.keep(r); err != nil {
		return err
	}
	return h.write(h.Policy, []byte(PolicyText), 0o644)
}

// start starts the gate, which says when it stands. One that stands already is left alone,
// with its clients, unless its files are others now.
func (h *Host) start(ctx context.Context) error {
	verb := "start"
	if h.changed {
		verb = "restart"
	}
	_, err := h.run(ctx, "systemctl", verb, Service)
	if err == nil {
		return nil
	}
	return h.withLog(ctx, err)
}

// withLog adds to an error what the gate said last.
func (h *Host) withLog(ctx context.Context, err error) error {
	said, failed := h.run(context.WithoutCancel(ctx), "journalctl", "--unit="+Service, "--lines=4", "--output=cat", "--no-pager", "_COMM="+h.comm())
	if text := strings.TrimSpace(said); failed == nil && text != "" {
		return fmt.Errorf("%w; the gate said: %s", err, strings.ReplaceAll(text, "\n", "; "))
	}
	return err
}

// comm is what the kernel calls the gate's process (proc_pid_comm(5)).
func (h *Host) comm() string {
	name := filepath.Base(h.Program[0])
	return name[:min(len(name), 15)]
}

// putBack undoes whatever of an install there is, the last first. It goes on behind what
// it can't do, and may be called again.
func (h *Host) putBack(ctx context.Context, r *Record) error {
	var errs []error
	try := func(what string, err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	h.say("put the engine's socket back to %s", r.Socket)
	if err := h.engineBack(ctx, r); err != nil {
		// With the drop-in gone the engine would come back beside the gate.
		return fmt.Errorf("putting the engine's socket back: %w", err)
	}
	h.say("remove %s", dropIn)
	try("removing the drop-in", os.Remove(h.at(dropIn)))
	try("having systemd read it", h.reload(ctx, r))
	h.say("stop the gate")
	if err := h.stop(ctx); err != nil {
		return errors.Join(append(errs, fmt.Errorf("stopping the gate: %w", err))...)
	}
	for _, path := range []string{units + dockerService + ".wants/" + Service, units + "sockets.target.wants/" + Socket, units + Service, units + Socket, folderFile, usersFile} {
		h.say("remove %s", path)
		try("removing "+path, os.Remove(h.at(path)))
	}
	try("having systemd read it", h.reload(ctx, r))
	if p, err := h.places(r); err == nil && p.same {
		if held, err := h.held(r); err == nil && len(held) == 0 {
			h.say("note: systemd does not hold the engine's socket any more. When containers may stop:  systemctl restart docker.socket docker")
		}
	}
	h.say("remove %s", EngineFolder)
	try("removing the engine's other name", os.Remove(h.at(EngineSocket)))
	try("removing the engine's folder", os.Remove(h.at(EngineFolder)))
	if r.UserMade {
		h.say("remove the user %s; the trail of the gate stays, and is root's", User)
		try("removing the user", h.removeUser(ctx))
	}
	if data, err := os.ReadFile(h.at(r.Policy)); err == nil && r.PolicyMade == digest(data) {
		h.say("remove %s", r.Policy)
		try("removing the policy", os.Remove(h.at(r.Policy)))
	} else if err == nil && r.PolicyMade != "" {
		h.say("%s was changed by somebody, and stays", r.Policy)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	h.say("remove %s", h.recordPath())
	try("removing the record", os.Remove(h.at(h.recordPath())))
	for _, path := range slices.Backward(r.Folders) {
		// Others may have put something there since.
		if err := unix.Rmdir(h.at(path)); err != nil && err != unix.ENOTEMPTY && err != unix.EEXIST {
			try("removing "+path, err)
		}
	}
	return errors.Join(errs...)
}

// asInstalled puts the files of an earlier install back, as they are now, and has its gate
// stand again.
func (h *Host) asInstalled(p *Plan, before Record) (func(context.Context) error, error) {
	type had struct {
		path string
		data []byte
	}
	var files []had
	for _, f := range p.files {
		if f.target != "" {
			continue
		}
		data, err := os.ReadFile(h.at(f.path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &Failure{Message: "what is installed can't be read", Err: err}
		}
		files = append(files, had{f.path, data})
	}
	// The policy that counts then is the one in the unit; the record is to name it.
	if kept, err := h.ReadRecord(); err == nil {
		before.Policy, before.PolicyMade = kept.Policy, kept.PolicyMade
	}
	return func(ctx context.Context) error {
		var errs []error
		for _, f := range files {
			var err error
			if f.data == nil {
				if err = os.Remove(h.at(f.path)); errors.Is(err, fs.ErrNotExist) {
					err = nil
				}
			} else if now, unread := os.ReadFile(h.at(f.path)); unread != nil || !bytes.Equal(now, f.data) {
				err = h.write(f.path, f.data, 0o644)
			}
			errs = append(errs, err)
		}
		before.Folders = p.record.Folders
		errs = append(errs, h.keep(&before), h.reload(ctx, &before))
		if h.changed {
			errs = append(errs, h.start(ctx))
		}
		return errors.Join(errs...)
	}, nil
}

// stop ends the gate and its socket; units that are not loaded are stopped.
func (h *Host) stop(ctx context.Context) error {
	for _, unit := range []string{Socket, Service} {
		p, err := h.properties(ctx, unit, "LoadState", "ActiveState")
		if err != nil {
			return err
		}
		if first(p["LoadState"]) == "not-found" && first(p["ActiveState"]) == "inactive" {
			continue
		}
		if _, err := h.run(ctx, "systemctl", "stop", unit); err != nil {
			return err
		}
		if first(p["ActiveState"]) == "failed" {
			if _, err := h.run(ctx, "systemctl", "reset-failed", unit); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeUser removes the gate's user, after what is of it was given to root.
func (h *Host) removeUser(ctx context.Context) error {
	user, found := h.book().UserNamed(User)
	if found {
		if err := h.toRoot(filepath.Join(h.State, "gate"), user.UID); err != nil {
			return err
		}
		if _, err := h.run(ctx, "userdel", User); err != nil {
			return err
		}
	}
	if _, found := h.book().GroupNamed(User); found {
		if _, err := h.run(ctx, "groupdel", User); err != nil {
			return err
		}
	}
	return nil
}

// toRoot gives files to root that are of a user whose number is going to be another's. It
// follows no links: the folders were the user's own.
func (h *Host) toRoot(dir string, uid uint32) error {
	root, err := os.OpenRoot(h.at(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil {
			return err
		}
		if of, _, ok := owner(info); !ok || of != int(uid) {
			return nil
		}
		return root.Lchown(path, 0, 0)
	})
}

// reload has systemd read its units, and sees to it that it holds on to every socket that
// it listens on at the paths in question: it forgets one whose path has become another's
// file (systemd.socket(5) does not say; src/core/socket.c, socket_coldplug).
func (h *Host) reload(ctx context.Context, r *Record) error {
	before, err := h.held(r)
	if err != nil {
		return err
	}
	if _, err := h.run(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	after, err := h.held(r)
	if err != nil {
		return err
	}
	for _, inode := range before {
		if !slices.Contains(after, inode) {
			return &Failure{Message: "systemd has let go of a socket when it read its units", Hint: "The engine that runs is reached as before. Before its next start, when containers may stop:\nsystemctl restart docker.socket docker"}
		}
	}
	return nil
}

// held are the listening sockets of the engine's and the clients' paths that process 1
// holds, by their numbers (proc_net(5), unix; __SO_ACCEPTCON is 1<<16).
func (h *Host) held(r *Record) ([]string, error) {
	data, err := os.ReadFile(h.at("/proc/1/net/unix"))
	if err != nil {
		return nil, fmt.Errorf("looking which sockets systemd holds: %w", err)
	}
	listening := map[string]bool{}
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) == 8 && f[3] == "00010000" && (f[7] == r.Socket || f[7] == EngineSocket) {
			listening["socket:["+f[6]+"]"] = true
		}
	}
	entries, err := os.ReadDir(h.at("/proc/1/fd"))
	if err != nil {
		return nil, fmt.Errorf("looking which sockets systemd holds: %w", err)
	}
	var held []string
	for _, e := range entries {
		if to, err := os.Readlink(h.at("/proc/1/fd/" + e.Name())); err == nil && listening[to] {
			held = append(held, to)
		}
	}
	return held, nil
}
