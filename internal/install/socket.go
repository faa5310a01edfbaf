package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// listener asks which process has made the socket at a path listen (SO_PEERCRED, unix(7)).
func listener(path string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return 0, err
	}
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}

// places says what is at the two paths.
type places struct {
	public, engine bool // there is a socket
	same           bool // one
}

func (h *Host) places(r *Record) (places, error) {
	var p places
	var public, engine unix.Stat_t
	for _, one := range []struct {
		path  string
		st    *unix.Stat_t
		there *bool
	}{{r.Socket, &public, &p.public}, {EngineSocket, &engine, &p.engine}} {
		switch err := unix.Lstat(h.at(one.path), one.st); {
		case err == unix.ENOENT:
		case err != nil:
			return p, &fs.PathError{Op: "lstat", Path: one.path, Err: err}
		case one.st.Mode&unix.S_IFMT != unix.S_IFSOCK:
			return p, &Failure{Message: one.path + " is there, and is no socket", Hint: "Look what it is, and remove it"}
		default:
			*one.there = true
		}
	}
	p.same = p.public && p.engine && public.Dev == engine.Dev && public.Ino == engine.Ino
	return p, nil
}

// moved says whether docker.socket stands and listens at the engine's path.
func (h *Host) moved(ctx context.Context) (bool, error) {
	unit, err := h.properties(ctx, dockerSocket, "ActiveState", "Listen")
	if err != nil {
		return false, err
	}
	return first(unit["ActiveState"]) == "active" && first(unit["Listen"]) == EngineSocket+" (Stream)", nil
}

// listens says whether a running engine listens at its own path. One that does not run is
// not asked: that would start it.
func (h *Host) listens(ctx context.Context) (bool, error) {
	unit, err := h.properties(ctx, dockerService, "ActiveState")
	if err != nil || first(unit["ActiveState"]) != "active" {
		return false, err
	}
	_, err = listener(h.at(EngineSocket))
	return err == nil, nil
}

// linkEngine gives the engine's socket its second name.
func (h *Host) linkEngine(ctx context.Context, r *Record) error {
	p, err := h.places(r)
	if err != nil || p.same {
		return err
	}
	moved, err := h.moved(ctx)
	switch {
	case err != nil:
		return err
	case moved && p.engine: // what clients know is the gate's by now
		return nil
	case moved:
		return &Failure{Message: "the engine's socket " + EngineSocket + " is gone", Hint: "systemctl restart docker.socket docker  makes it anew, when containers may stop"}
	case p.engine: // of an engine before this one
		if err := os.Remove(h.at(EngineSocket)); err != nil {
			return err
		}
	}
	return os.Link(h.at(r.Socket), h.at(EngineSocket))
}

// takePlace starts the gate's socket. systemd unlinks what is at the path and binds it, so
// that clients find no socket there for an instant only.
func (h *Host) takePlace(ctx context.Context, r *Record) error {
	p, err := h.places(r)
	if err != nil {
		return err
	}
	unit, err := h.properties(ctx, Socket, "ActiveState")
	if err != nil {
		return err
	}
	verb := "start"
	if (p.same || !p.public) && first(unit["ActiveState"]) == "active" {
		verb = "restart" // what it listens on has lost its name
	}
	if _, err := h.run(ctx, "systemctl", verb, Socket); err != nil {
		return err
	}
	if p, err = h.places(r); err != nil {
		return err
	}
	if !p.public || p.same {
		return fmt.Errorf("%s runs, and %s is not its own", Socket, r.Socket)
	}
	return nil
}

// giveEngine gives the engine's socket, which was made for clients, to the gate. At its
// next start the drop-in does it.
func (h *Host) giveEngine(r *Record) error {
	p, err := h.places(r)
	if err != nil {
		return err
	}
	if p.same || !p.engine {
		return errors.New("the gate is not before the engine's socket")
	}
	group, found := h.book().GroupNamed(User)
	if !found {
		return fmt.Errorf("there is no group %s: systemd-sysusers has not made it", User)
	}
	if err := os.Lchown(h.at(EngineSocket), 0, int(group.GID)); err != nil {
		return err
	}
	return os.Chmod(h.at(EngineSocket), 0o660)
}

// engineBack gives the engine's socket back what it had, and the path that clients know:
// at no time is there none, or is it another's. Where what is there is the engine's no
// more, it is left: the engine makes its socket anew.
func (h *Host) engineBack(ctx context.Context, r *Record) error {
	p, err := h.places(r)
	if err != nil || !p.engine {
		return err
	}
	live, err := h.moved(ctx)
	if err == nil && !live { // somebody else may have moved docker.socket back
		live, err = h.listens(ctx)
	}
	if err != nil || !live {
		return err
	}
	// First closed, then another's: a mode may be wider than the gate's.
	if err := os.Chmod(h.at(EngineSocket), 0o600); err != nil {
		return err
	}
	if err := os.Lchown(h.at(EngineSocket), int(r.UID), int(r.GID)); err != nil {
		return err
	}
	if err := os.Chmod(h.at(EngineSocket), fs.FileMode(r.Mode)); err != nil {
		return err
	}
	if p.same {
		return nil
	}
	// rename(2) takes the place of another file at once, where that is no name of the same.
	beside := h.at(r.Socket) + ".plimsoll"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(h.at(EngineSocket), beside); err != nil {
		return err
	}
	return os.Rename(beside, h.at(r.Socket))
}
