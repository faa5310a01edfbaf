package gate

import (
	"slices"
	"strconv"

	"github.com/plimsoll/plimsoll/internal/caller"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// identity is who a connection belongs to, as the policy and the trail speak of them.
type identity struct {
	*caller.Caller
	// unknown is of who has no number here, or no name at all: nothing is allowed to them
	// that is not allowed to everybody, and what changes something is refused.
	unknown bool
	groups  func(name string) (gid uint32, found bool)
}

// isRoot says that the caller is root of this host.
func (w *identity) isRoot() bool {
	return !w.unknown && w.CertSubject == "" && w.UID == 0 && w.isOfHost()
}

// isOfHost says that the caller was seen, and is in no container: there everybody may be
// root, or any other number, and is not the user of this host who has it. One that had
// ended before it was seen may have been anywhere.
func (w *identity) isOfHost() bool {
	return w.CertSubject != "" || w.Seen && w.Container == "" && !slices.ContainsFunc(w.Unseen, func(u caller.Unseen) bool { return u.Field == "container" })
}

// inGroup reports whether the caller is in a group, by its number or name.
func (w *identity) inGroup(name string) bool {
	gid, found := w.groups(name)
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		gid, found = uint32(n), true
	}
	if !found || w.CertSubject != "" {
		return false
	}
	if w.GID == gid {
		return true
	}
	for _, g := range w.Groups {
		if g == gid {
			return true
		}
	}
	return false
}

// String is how a message names the caller.
func (w *identity) String() string {
	switch {
	case w.CertSubject != "":
		return term.Escape(w.CertSubject)
	case w.unknown:
		return "a caller that is unknown here"
	case !w.Seen:
		return "a caller that was gone at once"
	case w.Container != "":
		return "a process of the container " + w.Container[:min(12, len(w.Container))]
	case w.User != "":
		return term.Escape(w.User)
	}
	return "user " + strconv.Itoa(int(w.UID))
}

// actor is the caller in the trail.
func (w *identity) actor() *trail.Actor {
	const most = 256
	a := &trail.Actor{CertSubject: trail.Clip(w.CertSubject, most)}
	if w.CertSubject == "" {
		uid := w.UID
		a.UID, a.User, a.PID, a.LoginUID = &uid, w.User, w.PID, w.LoginUID
		a.Exe, a.Container, a.TTY = trail.Clip(w.Exe, most), w.Container, trail.Clip(w.TTY, most)
	}
	return a
}
