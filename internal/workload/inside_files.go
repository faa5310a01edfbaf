package workload

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How much of a file is read, in bytes. A container can make its own files of
// any size, and the table of mounts has a line for every mount of the host
// where the host's root is mounted.
const (
	smallLimit     = 64 << 10
	accountsLimit  = 1 << 20
	mountinfoLimit = 16 << 20
)

// errLong is the error for a file that is longer than its limit; what was read
// comes with it.
var errLong = errors.New("the file is longer than expected")

// insideFiles reads below one root that no link leads out of. Names have no
// leading slash.
type insideFiles struct{ root *os.Root }

// read reads at most limit bytes of a regular file. A pipe or a device in a
// file's place is refused without waiting for it.
func (f insideFiles) read(name string, limit int64) ([]byte, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, cause(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading /%s: it is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading /%s: %w", name, cause(err))
	}
	if int64(len(data)) > limit {
		return data[:limit], fmt.Errorf("reading /%s: %w", name, errLong)
	}
	return data, nil
}

// cause is err without the name of the call and the path, which read gives.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// line is the first line of a small file, "" where it cannot be read.
func (f insideFiles) line(name string) string {
	data, err := f.read(name, smallLimit)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return printable(strings.TrimRight(line, "\x00"))
}

// mode is the kind and the permissions of what lies at name itself.
func (f insideFiles) mode(name string) (fs.FileMode, bool) {
	info, err := f.root.Lstat(name)
	if err != nil {
		return 0, false
	}
	return info.Mode(), true
}

func (f insideFiles) exists(name string) bool {
	_, there := f.mode(name)
	return there
}

// born is when the directory was made, where its file system keeps that.
func (f insideFiles) born(name string) (time.Time, bool) {
	dir, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY, 0)
	if err != nil {
		return time.Time{}, false
	}
	defer dir.Close()
	var st unix.Statx_t
	if err := unix.Statx(int(dir.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, false
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)), true
}

// wholeLines is data without an incomplete last line.
func wholeLines(data []byte) []byte { return data[:bytes.LastIndexByte(data, '\n')+1] }

// printable replaces bytes that are not UTF-8, which JSON could not carry.
func printable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// decimal reads a number that is not negative, in the form the kernel prints.
func decimal(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}
