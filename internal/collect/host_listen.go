package collect

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
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
	maxDescriptors = 1 << 14
)

// waiting is a socket that waits, and its number in the kernel.
type waiting struct{ address, inode string }

// listeners are the sockets that other machines reach, by /proc/1/net (proc_pid_net(5))
// and, where that may be looked at, who has them.
func (t *tree) listeners() ([]facts.Listener, error) {
	var all []waiting
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		data, err := t.read("/proc/1/net/" + table)
		if err != nil || data == nil && table == "tcp" {
			return nil, fmt.Errorf("/proc/1/net/%s cannot be read", table)
		}
		all = append(all, readSockets(data, strings.TrimSuffix(table, "6"))...)
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

// readSockets reads a table of sockets for those that wait at an address that is not
// the machine's own alone.
func readSockets(data []byte, protocol string) []waiting {
	var out []waiting
	for line := range strings.SplitSeq(string(data), "\n") {
		const local, remote, state, inode = 1, 2, 3, 9
		f := strings.Fields(line)
		// 0A is TCP_LISTEN; 07 is a UDP socket that is bound and not connected.
		if len(f) <= inode || f[state] != map[string]string{"tcp": "0A", "udp": "07"}[protocol] {
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
	pids, err := t.list("/proc")
	if err != nil {
		return found
	}
	left := maxDescriptors
	for _, pid := range pids {
		if _, err := strconv.Atoi(pid); err != nil || len(found) == len(wanted) || left <= 0 {
			continue
		}
		folder, err := t.open("/proc/"+pid+"/fd", unix.S_IFDIR, "it is no folder")
		if err != nil || folder == nil {
			continue
		}
		names, _ := folder.Readdirnames(left) // those that it gave before an error are good
		left -= len(names)
		for _, name := range names {
			buf := make([]byte, 64)
			n, err := unix.Readlinkat(int(folder.Fd()), name, buf)
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
