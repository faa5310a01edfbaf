// Package posixacl reads the access control list of a file, which the kernel
// keeps beside its mode: [Of] reads it of an open file, [Parse] its bytes, and
// both give a list of [Entry].
//
// It changes no list and judges none. The format is that of acl(5) as
// include/uapi/linux/posix_acl_xattr.h has it.
package posixacl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"
)

// Kind says whom an entry is about. The values are the kernel's.
type Kind uint16

// The kinds of entries, in the order in which the kernel keeps them.
const (
	Owner Kind = 0x01 // the file's owner
	User  Kind = 0x02 // the user ID
	Group Kind = 0x04 // the file's group
	Named Kind = 0x08 // the group ID
	Mask  Kind = 0x10 // bounds User, Group and Named
	Other Kind = 0x20 // all others
)

// The permissions of an entry, as in a file's mode.
const (
	Execute = 1
	Write   = 2
	Read    = 4
)

// Entry is one line of a list.
type Entry struct {
	Kind Kind
	// Permissions are what it gives, the mask already applied.
	Permissions uint16
	// ID is a user's or a group's for the kinds User and Named, and else 0.
	ID uint32
}

const (
	attribute  = "system.posix_acl_access"
	version    = 2
	headBytes  = 4
	entryBytes = 8
	noID       = 0xffffffff
	// maxBytes bounds a list; XATTR_SIZE_MAX of linux/limits.h.
	maxBytes = 1 << 16
)

// Of is the list of an open file, which may be open by O_PATH only. It is nil where
// the file has none beside its mode, or its file system knows none.
func Of(fd int) ([]Entry, error) {
	// fgetxattr(2) refuses a descriptor that is a path only.
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	buf := make([]byte, 512) // of most lists
	n, err := unix.Getxattr(name, attribute, buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, maxBytes)
		n, err = unix.Getxattr(name, attribute, buf)
	}
	switch {
	case errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading an access control list: %w", err)
	}
	return Parse(buf[:n])
}

// Parse reads the bytes of the attribute system.posix_acl_access. What the kernel
// would not take is an error. The mask comes out as an entry and is also applied.
func Parse(data []byte) ([]Entry, error) {
	if len(data) < headBytes || binary.LittleEndian.Uint32(data) != version {
		return nil, errors.New("reading an access control list: it is not of version 2")
	}
	data = data[headBytes:]
	if len(data)%entryBytes != 0 {
		return nil, errors.New("reading an access control list: it ends within an entry")
	}
	list := make([]Entry, 0, len(data)/entryBytes)
	mask, count := uint16(Read|Write|Execute), map[Kind]int{}
	for ; len(data) > 0; data = data[entryBytes:] {
		e := Entry{Kind: Kind(binary.LittleEndian.Uint16(data)), Permissions: binary.LittleEndian.Uint16(data[2:]), ID: binary.LittleEndian.Uint32(data[4:])}
		switch e.Kind {
		case User, Named:
			if e.ID == noID {
				return nil, errors.New("reading an access control list: an entry names nobody")
			}
		case Owner, Group, Mask, Other:
			e.ID = 0 // the kernel writes what means none, and ignores what is there
		default:
			return nil, fmt.Errorf("reading an access control list: %#x is no kind of entry", uint16(e.Kind))
		}
		if e.Permissions > Read|Write|Execute {
			return nil, fmt.Errorf("reading an access control list: %#x are no permissions", e.Permissions)
		}
		if len(list) > 0 && list[len(list)-1].Kind > e.Kind {
			return nil, errors.New("reading an access control list: it is not in order")
		}
		if e.Kind == Mask {
			mask = e.Permissions
		}
		count[e.Kind]++
		list = append(list, e)
	}
	if count[Owner] != 1 || count[Group] != 1 || count[Other] != 1 || count[Mask] > 1 || count[User]+count[Named] > 0 && count[Mask] == 0 {
		return nil, errors.New("reading an access control list: an entry is missing, or is there twice")
	}
	for i := range list {
		if k := list[i].Kind; k == User || k == Group || k == Named {
			list[i].Permissions &= mask
		}
	}
	return list, nil
}
