// Package netlink asks the kernel for what it tells over netlink(7), and reads only.
//
// [Open] makes a socket of one protocol, and [Socket.Ask] sends one request and hands
// on what is answered. [Messages] parts what one datagram holds. What a message means
// is the caller's.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	waitSeconds = 2 // for an answer
	maxMessage  = 1 << 16
)

// Socket speaks with the kernel by one protocol.
type Socket struct{ fd int }

// Open makes a socket; the error of a kernel without the protocol is
// unix.EPROTONOSUPPORT.
func Open(protocol int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("opening a socket to the kernel: %w", err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: waitSeconds}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("opening a socket to the kernel: %w", err)
	}
	return &Socket{fd}, nil
}

// Close ends the use of the socket.
func (s *Socket) Close() { unix.Close(s.fd) }

// Ask sends a request of a kind, with flags beside NLM_F_REQUEST, and hands the body
// of each message of that kind to take, until one is done or the kernel says that
// there are no more. A refusal is a unix.Errno.
func (s *Socket) Ask(kind, flags uint16, body []byte, take func(data []byte) (done bool, err error)) error {
	request := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	request = binary.NativeEndian.AppendUint16(request, kind)
	request = binary.NativeEndian.AppendUint16(request, unix.NLM_F_REQUEST|flags)
	request = binary.NativeEndian.AppendUint64(request, 1) // number 1, from nobody in particular
	if err := unix.Sendto(s.fd, append(request, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	for {
		n, _, err := unix.Recvfrom(s.fd, buf, 0)
		if err != nil {
			return err
		}
		if done, err := Messages(buf[:n], kind, take); done || err != nil {
			return err
		}
	}
}

// Messages hands on what is in one datagram, and reports whether nothing comes after
// it.
func Messages(data []byte, kind uint16, take func(data []byte) (done bool, err error)) (done bool, err error) {
	for len(data) >= unix.NLMSG_HDRLEN {
		length := binary.NativeEndian.Uint32(data)
		if length < unix.NLMSG_HDRLEN || uint64(length) > uint64(len(data)) {
			return false, errors.New("a message of the kernel is cut off")
		}
		body := data[unix.NLMSG_HDRLEN:length]
		switch binary.NativeEndian.Uint16(data[4:]) {
		case kind:
			last, err := take(body)
			if err != nil {
				return false, err
			}
			done = done || last
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return false, errors.New("a message of the kernel is cut off")
			}
			if number := int32(binary.NativeEndian.Uint32(body)); number != 0 {
				return false, unix.Errno(-number)
			}
		}
		data = data[min(len(data), int(length+3)&^3):] // NLMSG_ALIGN
	}
	return done, nil
}
