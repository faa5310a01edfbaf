package caller

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPasswd bounds the file of names; ten thousand users take less than one MiB.
const maxPasswd = 16 << 20

// names are the users of a passwd file, as it was at one time.
type names struct {
	version version
	of      map[uint32]string
}

// version tells one content of a file from another: what replaces it has another inode,
// and what is written into it moves ctime.
type version struct {
	dev, ino     uint64
	size         int64
	mtime, ctime unix.Timespec
}

func versionOf(st *unix.Stat_t) version {
	return version{uint64(st.Dev), st.Ino, st.Size, st.Mtim, st.Ctim}
}

// user is the name of a user, "" if there is none.
func (s *Source) user(uid uint32) (string, error) {
	path := s.Passwd
	if path == "" {
		path = "/etc/passwd"
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", fmt.Errorf("looking at %s: %w", path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.names.of == nil || s.names.version != versionOf(&st) {
		read, err := readNames(path)
		if err != nil {
			return "", err
		}
		s.names = read
	}
	return s.names.of[uid], nil
}

func readNames(path string) (names, error) {
	f, err := os.Open(path)
	if err != nil {
		return names{}, fmt.Errorf("reading names: %w", err)
	}
	defer f.Close()
	// Before the content, so that what changes in between is found to have changed.
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return names{}, fmt.Errorf("reading %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPasswd+1))
	if err != nil {
		return names{}, fmt.Errorf("reading names: %w", err)
	}
	if len(data) > maxPasswd {
		return names{}, fmt.Errorf("%s has over %d bytes", path, maxPasswd)
	}
	return names{versionOf(&st), parsePasswd(data)}, nil
}

// parsePasswd gives the first name of each user (passwd(5)). It passes over the lines
// that the C library passes over; those of NIS begin with a sign.
func parsePasswd(data []byte) map[uint32]string {
	of := map[uint32]string{}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		line = bytes.TrimLeft(line, " \t\v\f\r")
		fields := bytes.Split(line, []byte(":"))
		if len(fields) != 7 || len(fields[0]) == 0 || bytes.IndexByte([]byte("#+-"), line[0]) >= 0 || bytes.IndexByte(line, 0) >= 0 {
			continue
		}
		uid, err := strconv.ParseUint(string(fields[2]), 10, 32)
		_, noGroup := strconv.ParseUint(string(fields[3]), 10, 32)
		if err != nil || noGroup != nil {
			continue
		}
		if _, there := of[uint32(uid)]; !there {
			of[uint32(uid)] = string(fields[0])
		}
	}
	return of
}
