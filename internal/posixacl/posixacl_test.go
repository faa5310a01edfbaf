package posixacl

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// encode writes a list as the kernel has it.
func encode(list []Entry) []byte {
	data := binary.LittleEndian.AppendUint32(nil, version)
	for _, e := range list {
		id := e.ID
		if e.Kind != User && e.Kind != Named {
			id = noID
		}
		data = binary.LittleEndian.AppendUint16(data, uint16(e.Kind))
		data = binary.LittleEndian.AppendUint16(data, e.Permissions)
		data = binary.LittleEndian.AppendUint32(data, id)
	}
	return data
}

var full = []Entry{{Owner, 7, 0}, {User, 6, 1000}, {User, 4, 1001}, {Group, 6, 0}, {Named, 7, 50}, {Mask, 4, 0}, {Other, 0, 0}}

func TestParse(t *testing.T) {
	short := []Entry{{Owner, 6, 0}, {Group, 4, 0}, {Other, 4, 0}}
	for _, tc := range []struct {
		name string
		data []byte
		want []Entry
	}{
		{"a mode only", encode(short), short},
		{"the mask bounds", encode(full), []Entry{{Owner, 7, 0}, {User, 4, 1000}, {User, 4, 1001}, {Group, 4, 0}, {Named, 4, 50}, {Mask, 4, 0}, {Other, 0, 0}}},
		{"nothing", nil, nil},
		{"another version", append([]byte{1, 0, 0, 0}, encode(short)[4:]...), nil},
		{"cut off", encode(full)[:13], nil},
		{"no owner", encode(short[1:]), nil},
		{"owner twice", encode(append(short[:1:1], short...)), nil},
		{"no mask", encode([]Entry{{Owner, 7, 0}, {User, 6, 1}, {Group, 6, 0}, {Other, 0, 0}}), nil},
		{"out of order", encode([]Entry{{Group, 6, 0}, {Owner, 7, 0}, {Other, 0, 0}}), nil},
		{"an unknown kind", encode([]Entry{{Owner, 7, 0}, {3, 7, 0}, {Group, 6, 0}, {Other, 0, 0}}), nil},
		{"more permissions than there are", encode([]Entry{{Owner, 8, 0}, {Group, 6, 0}, {Other, 0, 0}}), nil},
		{"nobody's entry", encode([]Entry{{Owner, 7, 0}, {User, 6, noID}, {Group, 6, 0}, {Mask, 7, 0}, {Other, 0, 0}}), nil},
	} {
		got, err := Parse(tc.data)
		if (err == nil) != (tc.want != nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestOf: what the kernel was told comes back, of a file that is open as a path
// only; a file without a list has none.
func TestOf(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, err := Of(fd); got != nil || err != nil {
		t.Errorf("without a list: %v, %v", got, err)
	}
	if err := unix.Setxattr(name, attribute, encode(full), 0); err != nil {
		t.Fatalf("giving a file a list: %v", err)
	}
	want, err := Parse(encode(full))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Of(fd)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Of(-1); err == nil {
		t.Error("a file that is not open has a list")
	}
}

// FuzzParse: what is read is a list that reads the same again, and the mask bounds
// what it is about.
func FuzzParse(f *testing.F) {
	f.Add(encode(full))
	f.Add(encode([]Entry{{Owner, 6, 0}, {Group, 4, 0}, {Other, 4, 0}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := Parse(data)
		if err != nil {
			return
		}
		if len(encode(list)) != len(data) {
			t.Fatalf("%d bytes became %d entries", len(data), len(list))
		}
		again, err := Parse(encode(list))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, again); diff != "" {
			t.Error(diff)
		}
		for _, m := range list {
			for _, e := range list {
				if m.Kind == Mask && (e.Kind == User || e.Kind == Group || e.Kind == Named) && e.Permissions&^m.Permissions != 0 {
					t.Errorf("%v is more than %v", e, m)
				}
			}
		}
	})
}
