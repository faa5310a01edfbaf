package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/netlink"
)

// Of linux/sock_diag.h and linux/inet_diag.h: the kind of question, and the sizes of
// struct inet_diag_req_v2 and struct inet_diag_msg.
const (
	diagByFamily = 20
	diagQuestion = 56
	diagAnswer   = 72
)

// waitingSockets asks the kernel for the sockets that wait in this process's network,
// which are found at once; the tables of /proc are walked with all others in them
// (sock_diag(7)).
func waitingSockets() ([]waiting, error) {
	kernel, err := netlink.Open(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer kernel.Close()
	var all []waiting
	for _, table := range []struct {
		family, number, state byte
		protocol              string
	}{
		{unix.AF_INET, unix.IPPROTO_TCP, unix.BPF_TCP_LISTEN, "tcp"}, {unix.AF_INET6, unix.IPPROTO_TCP, unix.BPF_TCP_LISTEN, "tcp"},
		{unix.AF_INET, unix.IPPROTO_UDP, unix.BPF_TCP_CLOSE, "udp"}, {unix.AF_INET6, unix.IPPROTO_UDP, unix.BPF_TCP_CLOSE, "udp"},
	} {
		question := make([]byte, diagQuestion)
		question[0], question[1] = table.family, table.number
		binary.NativeEndian.PutUint32(question[4:], 1<<table.state)
		err := kernel.Ask(diagByFamily, unix.NLM_F_DUMP, question, func(data []byte) (bool, error) {
			w, err := readDiag(data, table.protocol)
			if err == nil && w.address != "" && len(all) < maxListeners {
				all = append(all, w)
			}
			return false, err
		})
		if err != nil && !(errors.Is(err, unix.ENOENT) && table.family == unix.AF_INET6) { // no IPv6 here
			return nil, fmt.Errorf("asking the kernel for its sockets: %w", err)
		}
	}
	return all, nil
}

// readDiag reads a socket of an answer; one at an address that is the machine's own
// alone has none here.
func readDiag(data []byte, protocol string) (waiting, error) {
	if len(data) < diagAnswer {
		return waiting{}, errors.New("a socket is cut off")
	}
	address := data[8:24]
	if data[0] == unix.AF_INET {
		address = address[:4]
	}
	at, _ := netip.AddrFromSlice(address)
	port := binary.BigEndian.Uint16(data[4:])
	if at = at.Unmap(); at.IsLoopback() || port == 0 {
		return waiting{}, nil
	}
	return waiting{netip.AddrPortFrom(at, port).String() + "/" + protocol, fmt.Sprint(binary.NativeEndian.Uint32(data[diagAnswer-4:]))}, nil
}

// ownNetwork reports whether this process is in the network of the host's first. Each
// network has tables of its own in /proc, which everybody may look at.
func (t *tree) ownNetwork() bool {
	if !t.ownKernel() {
		return false
	}
	const table = "/net/tcp"
	_, first, err := t.follow("/proc/1"+table, nil)
	var own unix.Stat_t
	return err == nil && first != nil && unix.Stat("/proc/self"+table, &own) == nil && first.Dev == own.Dev && first.Ino == own.Ino
}
