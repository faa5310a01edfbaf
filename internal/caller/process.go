package caller

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of one file of /proc. The longest is cgroup, with a path
// of at most PATH_MAX for each of the dozen hierarchies that there are.
const maxFile = 1 << 16

// process fills in what /proc tells of a process. All of it is of the one that is
// pinned, or it gives an error: that one lives at the end, so the number was its own all
// the time.
func (s *Source) process(c *Caller, p peer, self *self) error {
	switch {
	case p.pin.err != nil:
		return p.pin.err
	case self.proc != nil:
		return self.proc
	}
	dir, err := unix.Open(s.proc()+"/"+strconv.Itoa(p.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s.absent(fmt.Errorf("looking it up: %w", err), p.pin)
	}
	defer unix.Close(dir)
	if p.pin.byNumber {
		// The folder's owner is the effective user and group (fs/proc/base.c,
		// task_dump_owner). Another's are of a process that has the number now, or that
		// has become another user since, which cannot be told apart.
		var st unix.Stat_t
		if err := unix.Fstat(dir, &st); err != nil {
			return s.absent(fmt.Errorf("looking it up: %w", err), p.pin)
		}
		if st.Uid != p.uid || st.Gid != p.gid {
			return errors.New("its number is now of a process with another user or group")
		}
	}

	buf := make([]byte, 4096)
	if buf, err = read(dir, "loginuid", buf); err != nil {
		c.unseen("login_uid", err)
	} else if c.LoginUID, err = parseLoginUID(buf); err != nil {
		c.unseen("login_uid", err)
	}
	if c.Exe, err = readlink(dir, "exe", buf); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w: give this program CAP_SYS_PTRACE", err)
		}
		c.unseen("exe", err)
	}
	if buf, err = read(dir, "cgroup", buf); err != nil {
		c.unseen("container", err)
	} else if c.Container, err = containerOf(buf, self.allCgroups); err != nil {
		c.unseen("container", err)
	}
	// At the end: the cgroups of a process that is ending are no more its own.
	if buf, err = read(dir, "stat", buf); err != nil {
		return s.absent(err, p.pin)
	}
	st, err := parseStat(buf)
	if err != nil {
		return fmt.Errorf("reading stat: %w", err)
	}
	if st.ending() || !p.pin.alive() {
		return errEnded
	}
	c.Started, c.Command, c.TTY = st.started, st.command, ttyName(st.tty)
	return nil
}

// absent is why /proc does not show a process, which it said by err.
func (s *Source) absent(err error, p pin) error {
	switch {
	case !p.alive():
		return errEnded
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission): // by the value of hidepid=
		return fmt.Errorf("%s hides it: mount that without hidepid=, or with this program's group as gid=", s.proc())
	}
	return err
}

// read gives the content of a file below dir, in buf if that is large enough.
func read(dir int, name string, buf []byte) ([]byte, error) {
	buf = buf[:cap(buf)]
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return buf, fmt.Errorf("opening %s: %w", name, err)
	}
	defer unix.Close(fd)
	n := 0
	for {
		if n == len(buf) {
			if n >= maxFile {
				return buf, fmt.Errorf("%s has over %d bytes", name, maxFile)
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
		m, err := unix.Read(fd, buf[n:])
		if err != nil {
			return buf, fmt.Errorf("reading %s: %w", name, err)
		}
		if m == 0 {
			return buf[:n], nil
		}
		n += m
	}
}

// readlink gives where a link leads. The kernel itself tells none of PATH_MAX bytes or
// more (fs/proc/base.c, do_proc_readlink).
func readlink(dir int, name string, buf []byte) (string, error) {
	buf = buf[:cap(buf)]
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", fmt.Errorf("reading the link %s: %w", name, err)
	}
	if n == len(buf) {
		return "", fmt.Errorf("the link %s has over %d bytes", name, n-1)
	}
	return string(buf[:n]), nil
}

// parseLoginUID gives nil for the number that means nobody (proc_pid_loginuid(5)).
func parseLoginUID(data []byte) (*uint32, error) {
	n, err := strconv.ParseUint(string(bytes.TrimSuffix(data, []byte("\n"))), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("reading loginuid: %w", err)
	}
	if uid := uint32(n); uid != NoID {
		return &uid, nil
	}
	return nil, nil
}

// stat is of /proc/PID/stat what is needed here.
type stat struct {
	command string
	state   byte
	tty     uint32
	flags   uint64
	started uint64
}

// ending says that the process is a zombie or about to be one, or that its first thread
// is, while others go on. Then /proc tells that it has no program, and under cgroup v1
// that it is in no cgroup (kernel/cgroup/cgroup.c, proc_cgroup_show). PF_EXITING is in
// include/linux/sched.h.
func (s stat) ending() bool {
	const exiting = 0x4
	return s.state == 'Z' || s.state == 'X' || s.flags&exiting != 0
}

// parseStat reads the fields by their numbers in proc_pid_stat(5). The command, in
// parentheses, may hold any byte, parentheses and line ends too; no other field holds a
// parenthesis.
func parseStat(data []byte) (stat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("there is no command in it")
	}
	s := stat{command: string(data[open+1 : end])}
	field := 2
	for word := range bytes.FieldsSeq(data[end+1:]) {
		var err error
		switch field++; field {
		case 3:
			s.state = word[0]
		case 7:
			var n int64 // the kernel prints it with a sign
			n, err = strconv.ParseInt(string(word), 10, 33)
			s.tty = uint32(n)
		case 9:
			s.flags, err = strconv.ParseUint(string(word), 10, 64)
		case 22:
			if s.started, err = strconv.ParseUint(string(word), 10, 64); err == nil {
				return s, nil
			}
		}
		if err != nil {
			return stat{}, fmt.Errorf("field %d: %w", field, err)
		}
	}
	return stat{}, fmt.Errorf("it ends with field %d", field)
}

// ttyName is the path of a terminal by its device number, as new_encode_dev
// (include/linux/kdev_t.h) packs it; the majors are of
// Documentation/admin-guide/devices.txt. For the rarer ones it is the link that udev(7)
// makes for every device.
func ttyName(dev uint32) string {
	major, minor := dev>>8&0xfff, dev&0xff|dev>>12&0xfff00
	switch {
	case dev == 0:
		return ""
	case major == 136: // all of them, since Linux 2.6
		return fmt.Sprintf("/dev/pts/%d", minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("/dev/tty%d", minor)
	case major == 4:
		return fmt.Sprintf("/dev/ttyS%d", minor-64)
	}
	return fmt.Sprintf("/dev/char/%d:%d", major, minor)
}
