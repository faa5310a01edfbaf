package netlink

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

const kind = 1013

// message is one as the kernel writes it, padded.
func message(kind uint16, body ...byte) []byte {
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(append(m, make([]byte, 10)...), body...)
	return append(m, make([]byte, -len(m)&3)...)
}

func TestMessages(t *testing.T) {
	several := append(append(message(kind, 'a'), message(kind+1, 'x')...), message(kind, 'b', 'c')...)
	for name, test := range map[string]struct {
		data []byte
		last string // the body that is the last, for its reader
		want string
		done bool
	}{
		"several":            {several, "", "a|bc|", false},
		"one that is enough": {several, "bc", "a|bc|", true},
		"the end":            {append(several, message(unix.NLMSG_DONE)...), "", "a|bc|", true},
		"an acknowledgement": {message(unix.NLMSG_ERROR, 0, 0, 0, 0), "", "", false},
		"nothing":            {nil, "", "", false},
	} {
		got := ""
		done, err := Messages(test.data, kind, func(data []byte) (bool, error) {
			got += string(data) + "|"
			return string(data) == test.last, nil
		})
		if err != nil || done != test.done || got != test.want {
			t.Errorf("%s: %q, %v, %v", name, got, done, err)
		}
	}
}

func TestMessagesRefuse(t *testing.T) {
	none := func([]byte) (bool, error) { return false, nil }
	refusal := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.EPERM)+1)
	if _, err := Messages(message(unix.NLMSG_ERROR, refusal...), kind, none); !errors.Is(err, unix.EPERM) {
		t.Errorf("a refusal is %v", err)
	}
	for name, data := range map[string][]byte{"an error": message(unix.NLMSG_ERROR, 1), "a body": message(kind, 1, 2, 3, 4)[:18], "a length": make([]byte, 16)} {
		if _, err := Messages(data, kind, none); err == nil {
			t.Errorf("%s that is cut off is taken", name)
		}
	}
	sentinel := errors.New("enough")
	if _, err := Messages(message(kind), kind, func([]byte) (bool, error) { return false, sentinel }); !errors.Is(err, sentinel) {
		t.Errorf("the reader's own error is %v", err)
	}
}

// TestAsk: the kernel answers to the end, and refuses what it does not know.
func TestAsk(t *testing.T) {
	s, err := Open(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Ask(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg), func([]byte) (bool, error) { return false, nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ask(unix.RTM_GETLINK, 0, []byte{255}, func([]byte) (bool, error) { return false, nil }); err == nil {
		t.Error("half a request is answered")
	}
}

// FuzzMessages: what is handed on is a part of the datagram, in its order.
func FuzzMessages(f *testing.F) {
	f.Add(append(message(kind, 'a'), message(unix.NLMSG_DONE)...))
	f.Add(message(unix.NLMSG_ERROR, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		sum := 0
		_, err := Messages(data, kind, func(body []byte) (bool, error) {
			sum += unix.NLMSG_HDRLEN + len(body)
			return false, nil
		})
		if sum > len(data) {
			t.Errorf("%d bytes of %d are handed on (%v)", sum, len(data), err)
		}
	})
}
