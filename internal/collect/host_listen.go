package collect

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/facts"
)

const (
	// maxListeners bounds the sockets that are told, and maxDescriptors the files of
	// programs that are looked at for who has them.
	maxListeners   = 256
	maxDescriptors = 1 << 12
)

// waiting is a socket that waits, and its number in the kernel.
type waiting struct{ address, inode string }

// listeners are the sockets that other machines reach, by /proc/1/net (proc_pid_net(5))
// and, where that may be looked at, who has them.
func (t *tree) listeners() ([]facts.Listener, error) {
	all, err := []waiting(nil), errors.New("another network")
	if t.ownNetwork() {
		all, err = waitingSockets()
	}
	if err != nil {
		all, err = t.waitingTables()
	}
	if err != nil {
		return nil, err
	}
	programs := t.programsOf(all)
	out := []facts.Listener{}
	for _, w := range all {
		one := facts.Listener{Address: w.address, Program: programs[w.inode]}
		// What the engine opens for containers is theirs.
		if one.Program != "docker-proxy" && !slices.Contains(out, one) && len(out) < maxListeners {
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b facts.Listener) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Program, b.Program))
	})
	return out, nil
}

// waitingTables reads the tables of /proc.
func (t *tree) waitingTables() ([]waiting, error) {
	var all []waiting
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		protocol := strings.TrimSuffix(table, "6")
		data, err := t.waitingTable("/proc/1/net/"+table, protocol)
		if err != nil || data == nil && table == "tcp" {
			return nil, fmt.Errorf("/proc/1/net/%s cannot be read", table)
		}
		all = append(all, readSockets(data, protocol)...)
	}
	return all, nil
}

// waitingTable reads a table of sockets as far as those that wait go: of TCP's they
// are the first, and there may be very many others.
func (t *tree) waitingTable(name, protocol string) ([]byte, error) {
	f, err := t.open(name, unix.S_IFREG, "it is no regular file")
	if f == nil || err != nil {
		return nil, err
	}
	defer f.Close()
	data, buf, begin := []byte{}, make([]byte, 4<<10), 0
	for {
		n, err := f.Read(buf)
		data = append(data, buf[:n]...)
		end := bytes.LastIndexByte(data, '\n') + 1 // the last line may go on
		others := protocol == "tcp" && end > begin && hasOthers(data[begin:end])
		begin = max(begin, end)
		switch {
		case errors.Is(err, io.EOF) || others:
			return data, nil
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", name, err)
		case len(data) > maxConfigurationBytes:
			return nil, fmt.Errorf("reading %s: it has more than %d bytes", name, maxConfigurationBytes)
		}
	}
}

// hasOthers reports whether a socket of TCP is among the lines that does not wait. The
// names of the columns are no socket.
func hasOthers(lines []byte) bool {
	for line := range bytes.Lines(lines) {
		f := bytes.Fields(line)
		if len(f) > stateColumn && string(f[stateColumn]) != listening && string(f[stateColumn]) != "st" {
			return true
		}
	}
	return false
}

// stateColumn has the state of a socket: listening is TCP_LISTEN, and unconnected one
// of UDP that is bound and not connected (linux/tcp_states.h).
const (
	stateColumn = 3
	listening   = "0A"
	unconnected = "07"
)

// readSockets reads a table of sockets for those that wait at an address that is not
// the machine's own alone.
func readSockets(data []byte, protocol string) []waiting {
	var out []waiting
	for line := range strings.SplitSeq(string(data), "\n") {
		const local, inode = 1, 9
		f := strings.Fields(line)
		if len(f) <= inode || f[stateColumn] != map[string]string{"tcp": listening, "udp": unconnected}[protocol] {
			continue
		}
		at, ok := readAddress(f[local])
		if ok && !at.Addr().IsLoopback() && at.Port() != 0 && len(out) < maxListeners {
			out = append(out, waiting{at.String() + "/" + protocol, f[inode]})
		}
	}
	return out
}

// readAddress reads an address as the tables have it: words of the machine's order in
// hexadecimal digits, a colon, and the port.
func readAddress(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 { // amd64 and arm64 put the lowest byte first
		slices.Reverse(raw[i : i+4])
	}
	at, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(at.Unmap(), uint16(number)), ok
}

// programsOf names who has each socket, by the files that programs have open.
func (t *tree) programsOf(all []waiting) map[string]string {
	wanted := map[string]string{}
	for _, w := range all {
		wanted["socket:["+w.inode+"]"] = w.inode
	}
	found := map[string]string{}
	if len(wanted) == 0 {
		return found
	}
	proc, err := t.open("/proc", unix.S_IFDIR, "it is no folder")
	if err != nil || proc == nil {
		return found
	}
	defer proc.Close()
	pids, _ := proc.Readdirnames(maxFiles) // those that it gave before an error are good
	// Nothing in a tree that somebody made leads out of it.
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	threads := kernelThreads(int(proc.Fd())) // they have no files
	left, buf := maxDescriptors, make([]byte, 64)
	for _, pid := range pids {
		if len(found) == len(wanted) || left <= 0 {
			break
		}
		if _, err := strconv.Atoi(pid); err != nil || threads[pid] {
			continue
		}
		fd, err := unix.Openat2(int(proc.Fd()), pid+"/fd", &how)
		if err != nil {
			continue
		}
		folder := os.NewFile(uintptr(fd), pid)
		names, _ := folder.Readdirnames(left)
		left -= len(names)
		for _, name := range names {
			n, err := unix.Readlinkat(fd, name, buf)
			if err != nil || n == len(buf) {
				continue
			}
			if inode, ok := wanted[string(buf[:n])]; ok && found[inode] == "" {
				text, _, _ := t.word("/proc/" + pid + "/comm")
				found[inode] = strings.ToValidUTF8(text, "\uFFFD")
			}
		}
		folder.Close()
	}
	return found
}
