package image

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
)

// block is a header that archive/tar would not write; change spoils it before the
// checksum is made (POSIX.1-2001, ustar Interchange Format).
func block(name string, flag byte, size string, change func(b []byte)) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], size)
	copy(b[136:], "00000000000\x00")
	b[156] = flag
	copy(b[257:], "ustar\x0000")
	if change != nil {
		change(b)
	}
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// padded fills up to whole blocks.
func padded(text string) []byte {
	return append([]byte(text), make([]byte, (512-len(text)%512)%512)...)
}

// raw joins blocks to a tar file with its end.
func raw(blocks ...[]byte) []byte {
	return append(bytes.Join(blocks, nil), make([]byte, 1024)...)
}

// pax is an extended header with records as they are given.
func pax(records string) []byte {
	return append(block("pax", 'x', fmt.Sprintf("%011o", len(records)), nil), padded(records)...)
}

// record is one record of an extended header.
func record(key, value string) string {
	for n := len(key) + len(value) + 3; ; n++ {
		if r := fmt.Sprintf("%d %s=%s\n", n, key, value); len(r) == n {
			return r
		}
	}
}

// TestHostileLayers: what came of layers that were made to do harm, and, beside each, of
// the ordinary one like it. paths is what is in the view where there is no error.
func TestHostileLayers(t *testing.T) {
	small := Limits{Entries: 1000, Layer: 1 << 20, Total: 2 << 20, File: 1 << 19, RatioFrom: 1 << 16}
	long := strings.Repeat("n", 255)
	deep := strings.Repeat("d/", 2000)
	one := func(heads ...head) [][]byte { return [][]byte{tarOf(t, heads...)} }
	device := func(major, minor int64) head {
		return head{Header: tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: major, Devminor: minor}}
	}
	for _, test := range []struct {
		name   string
		layers [][]byte
		paths  string
		want   string
	}{
		// Names.
		{"a name with .. inside", one(file("a/../b", "")), "/b", ""},
		{"a name that leaves the root", one(file("../etc/passwd", "")), "", `entry "../etc/passwd" leaves the root`},
		{"one that leaves it on a detour", one(file("a/../../b", "")), "", "leaves the root"},
		{"an absolute one that leaves it", one(file("/../b", "")), "", "leaves the root"},
		{"a whiteout that leaves it", one(file("../.wh.b", "")), "", "leaves the root"},
		{"an absolute name", one(file("/etc/passwd", "")), "/etc/ /etc/passwd", ""},
		{"slashes without end", one(file("///etc//./passwd", "")), "/etc/ /etc/passwd", ""},
		{"a backslash", one(file(`..\b`, "")), `/..\b`, ""},
		{"names with escapes", one(file("a\x1b[31m", ""), file("b\nc", "")), "/a\x1b[31m /b\nc", ""},
		{"a message shows an escape harmless", one(file("../\x1b[31m", "")), "", `"../\x1b[31m" leaves the root`},
		{"a name that is no text", one(head{Header: tar.Header{Name: "\xff\xfe", Typeflag: tar.TypeReg, Format: tar.FormatGNU}}), "/\xff\xfe", ""},
		{"a NUL in an extended name", [][]byte{raw(pax(record("path", "a\x00b")), block("a", '0', "00000000000", nil))}, "", "at its beginning"},
		{"an extended name", [][]byte{raw(pax(record("path", "ab")), block("a", '0', "00000000000", nil))}, "/ab", ""},
		{"a name as long as may be", one(file(long, "")), "/" + long, ""},
		{"a longer one", one(file(long+"n", "")), "", "has a name of 256 bytes"},
		{"a deep path", one(file(deep[:100]+"f", "")), deepPath(50) + " /" + deep[:100] + "f", ""},
		{"one deeper than the kernel's", one(file(strings.Repeat("d/", 2100)+"f", "")), "", "has 4201 bytes, and 4096 is the most"},
		{"more implied folders than entries may be", [][]byte{tarOf(t, file(deep+"f", ""))}, "", "the layers have more than 1000 entries"},
		{"an empty name", [][]byte{raw(block("", '0', "00000000000", nil))}, "", "would be the root, and is no folder"},
		{"a file for the root", one(file(".", "")), "", "would be the root"},
		{"the root", one(folder("./"), file("./a", "")), "/a", ""},

		// Links.
		{"a link out of the root", one(symlink("a", "../../etc/passwd")), "/a", ""},
		{"an entry below a link out", one(symlink("a", "../../x"), file("a/b", "")), "/a /x/ /x/b", ""},
		{"an entry below an absolute link", one(symlink("a", "/etc"), file("a/passwd", "")), "/a /etc/ /etc/passwd", ""},
		{"an entry below a link of a layer below", [][]byte{tarOf(t, symlink("a", "/etc")), tarOf(t, file("a/b", ""))}, "/a/ /a/b", ""},
		{"an entry below links that go round", one(symlink("a", "b"), symlink("b", "a"), file("a/c", "")), "", "lies below links that go round"},
		{"an entry below a link to itself", one(symlink("a", "a"), file("a/c", "")), "", "links that go round"},
		{"links that go round", one(symlink("a", "b"), symlink("b", "a")), "/a /b", ""},
		{"an entry below a file", one(file("a", ""), file("a/b", "")), "", `lies below "/a", which is no folder`},
		{"an empty link", [][]byte{raw(block("a", '2', "00000000000", nil))}, "", "which is no path"},
		{"a hard link out of the root", one(hardlink("a", "../../etc/passwd")), "", `is a link to "../../etc/passwd", which leaves the root`},
		{"a hard link to nothing", one(hardlink("a", "b")), "", `is a link to "/b", where no file is`},
		{"a hard link to a folder", one(folder("b"), hardlink("a", "b")), "", "where no file is"},
		{"a hard link to itself", one(hardlink("a", "a")), "", "where no file is"},
		{"a hard link to what it replaces", one(file("a/b", "x"), hardlink("a", "a/b")), "/a", ""},
		{"a hard link through a link out", one(file("etc/f", ""), symlink("l", "/../etc"), hardlink("a", "l/f")), "/a /etc/ /etc/f /l", ""},
		{"a hard link by an absolute name", one(file("b", ""), hardlink("a", "/b")), "/a /b", ""},
		{"a long way through short entries", [][]byte{manyHops(t)}, "", "lies below one link too many"},
		{"links that make a path longer than may be", one(symlink("a", strings.Repeat("d/", 450)), symlink("b", "a/"+strings.Repeat(strings.Repeat("e", 200)+"/", 18)), file("b/f", "")), "", "ends up at a path of more than 4096 bytes"},

		// Types.
		{"a device", one(special("dev/null", tar.TypeChar)), "/dev/ /dev/null", ""},
		{"a disk", one(special("sda", tar.TypeBlock)), "/sda", ""},
		{"a fifo", one(special("f", tar.TypeFifo)), "/f", ""},
		{"the device that overlayfs takes for a whiteout", [][]byte{tarOf(t, file("x", "")), tarOf(t, device(0, 0))}, "/x", ""},
		{"a type that is none", [][]byte{raw(block("a", 'Z', "00000000000", nil))}, "", "is of type 'Z'"},
		{"a mode that names another type", [][]byte{raw(block("a", '0', "00000000000", func(b []byte) { copy(b[100:], "0040755") }))}, "/a", ""},
		{"a global header", [][]byte{raw(block("g", 'g', "00000000000", nil), block("a", '0', "00000000000", nil))}, "/a", ""},

		// Sizes.
		{"a size beyond the layer's end", [][]byte{raw(block("a", '0', "00000100000", nil), padded("x"))}, "", "unexpected EOF"},
		{"a negative size", [][]byte{raw(block("a", '0', "-0000000001", nil))}, "", "invalid tar header"},
		{"a negative size in base 256", [][]byte{raw(block("a", '0', "", func(b []byte) {
			binary.BigEndian.PutUint64(b[128:], ^uint64(0))
			b[124], b[125] = 0xff, 0xff
			b[126], b[127] = 0xff, 0xff
		}))}, "", "invalid tar header"},
		{"a negative size in an extended header", [][]byte{raw(pax(record("size", "-5")), block("a", '0', "00000000000", nil))}, "", "invalid tar header"},
		{"a size that no number holds", [][]byte{raw(pax(record("size", strings.Repeat("9", 30))), block("a", '0', "00000000000", nil))}, "", "invalid tar header"},
		{"a file longer than may be", [][]byte{raw(block("a", '0', fmt.Sprintf("%011o", 1<<20), nil))}, "", "has 1048576 bytes, and 524288 is the most"},
		{"a sparse file that lies", [][]byte{raw(block("a", 'S', "00000000000", func(b []byte) {
			copy(b[257:], "ustar  \x00")
			copy(b[386:], "000000000000000000000000") // one fragment, empty
			copy(b[483:], "77777777777\x00")          // its real size
		}))}, "", "has 8589934591 bytes, and 524288 is the most"},
		{"a sparse file", [][]byte{raw(block("a", 'S', "00000000000", func(b []byte) {
			copy(b[257:], "ustar  \x00")
			copy(b[386:], "00000000000\x0000000000000\x00")
			copy(b[483:], "00000001000\x00")
		}))}, "/a", ""},
		{"an extended header that is huge", [][]byte{raw(pax(record("comment", strings.Repeat("a", 2<<20))))}, "", "header field too long"},
		{"an extended header with one record", [][]byte{raw(pax(record("comment", strings.Repeat("a", 1000))), block("a", '0', "00000000000", nil))}, "/a", ""},
		{"an extended header that lies about its records", [][]byte{raw(pax("99 path=a\n"), block("a", '0', "00000000000", nil))}, "", "invalid tar header"},
		{"a wrong checksum", [][]byte{append(make([]byte, 511), "x"...)}, "", "invalid tar header"},
		{"no end", [][]byte{block("a", '0', "00000000000", nil)}, "/a", ""},
		{"nothing at all", [][]byte{{}}, "", ""},
		{"half a header", [][]byte{block("a", '0', "00000000000", nil)[:300]}, "", "unexpected EOF"},

		// Twice, and whiteouts.
		{"an entry twice", one(file("a", "1"), file("a", "22")), "/a", ""},
		{"a folder where a file was", one(file("a", "1"), folder("a"), file("a/b", "")), "/a/ /a/b", ""},
		{"a file where a folder was", one(file("a/b", "1"), file("a", "")), "/a", ""},
		{"a whiteout", [][]byte{tarOf(t, file("a", "1"), file("b", "")), tarOf(t, file(".wh.a", ""))}, "/b", ""},
		{"a whiteout of a folder", [][]byte{tarOf(t, file("a/b/c", "1")), tarOf(t, file(".wh.a", ""))}, "", ""},
		{"a whiteout of nothing", one(file(".wh.a", "")), "", ""},
		{"a whiteout before a folder of the layer", [][]byte{tarOf(t, file("a/b", "")), tarOf(t, file(".wh.a", ""), file("a/c", ""))}, "/a/ /a/b /a/c", ""},
		{"a whiteout behind it", [][]byte{tarOf(t, file("a/b", "")), tarOf(t, file("a/c", ""), file(".wh.a", ""))}, "/a/ /a/b /a/c", ""},
		{"a whiteout before a file of the layer", [][]byte{tarOf(t, file("a/b", "")), tarOf(t, file(".wh.a", ""), file("a", ""))}, "/a", ""},
		{"a whiteout behind its own file", one(file("a", ""), file(".wh.a", "")), "/a", ""},
		{"an opaque mark before", [][]byte{tarOf(t, file("a/b", ""), file("a/d/e", "")), tarOf(t, file("a/.wh..wh..opq", ""), file("a/d/f", ""))}, "/a/ /a/d/ /a/d/f", ""},
		{"an opaque mark behind", [][]byte{tarOf(t, file("a/b", ""), file("a/d/e", "")), tarOf(t, file("a/d/f", ""), file("a/.wh..wh..opq", ""))}, "/a/ /a/d/ /a/d/f", ""},
		{"an opaque root", [][]byte{tarOf(t, file("a", "")), tarOf(t, file("b", ""), file(".wh..wh..opq", ""))}, "/b", ""},
		{"a whiteout of no name", one(file(".wh.", "")), "", "is a whiteout of no name"},
		{"a whiteout of the folder itself", one(file("a/.wh..", "")), "", "is a whiteout of no name"},
		{"a whiteout of the folder above", one(file("a/.wh...", "")), "", "is a whiteout of no name"},
		{"a whiteout of a whiteout", [][]byte{tarOf(t, file("a", "")), tarOf(t, file(".wh.a", "")), tarOf(t, file(".wh..wh.a", ""))}, "", ""},
		{"what aufs has for itself", one(file(".wh..wh.plnk/1.2", ""), file(".wh..wh.aufs", ""), file("a", "")), "/a", ""},
		{"an entry below a whiteout", one(file(".wh.a/b", "")), "", "lies below a whiteout"},
		{"an attribute of overlayfs hides nothing", [][]byte{tarOf(t, file("a/b", "")), tarOf(t, head{Header: tar.Header{Name: "a", Typeflag: tar.TypeDir, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}}})}, "/a/ /a/b", ""},
	} {
		got, err := layers(t, small, test.layers...)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "reading app:1: layer 0 (sha256:") {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if got.paths() != test.paths {
			t.Errorf("%s: got %q, want %q", test.name, got.paths(), test.paths)
		}
	}
}

// deepPath are the paths of nested folders d.
func deepPath(n int) string {
	var all []string
	for i := 1; i <= n; i++ {
		all = append(all, "/"+strings.Repeat("d/", i))
	}
	return strings.Join(all, " ")
}

// manyHops has entries that each lead through many links, each long.
func manyHops(t *testing.T) []byte {
	heads := []head{folder("l00")}
	for n := 1; n < 35; n++ {
		heads = append(heads, symlink(fmt.Sprintf("l%02d", n), strings.Repeat("./", 1500)+fmt.Sprintf("l%02d", n-1)))
	}
	return tarOf(t, append(heads, file("l34/f", ""))...)
}

// TestBombs: what unpacks to more than may be is stopped, and what is merely large passes.
func TestBombs(t *testing.T) {
	l := Limits{RatioFrom: 1 << 20, Ratio: 200, Layer: 8 << 20, Total: 12 << 20}
	zeros := func(n int) []byte { return tarOf(t, file("zeros", strings.Repeat("\x00", n))) }
	for _, test := range []struct {
		name     string
		pack     func(testing.TB, []byte) []byte
		unpacked [][]byte
		want     string
	}{
		{"a gzip bomb", gzipped, [][]byte{zeros(4 << 20)}, "it unpacks to more than 200 times its length"},
		{"a zstd bomb", zstded, [][]byte{zeros(4 << 20)}, "it unpacks to more than 200 times its length"},
		{"few zeros by gzip", gzipped, [][]byte{zeros(1 << 19)}, ""},
		{"few zeros by zstd", zstded, [][]byte{zeros(1 << 19)}, ""},
		{"a layer that is too long", nil, [][]byte{zeros(9 << 20)}, "unpacked it has more than 8388608 bytes"},
		{"layers that are too long together", nil, [][]byte{zeros(5 << 20), zeros(5 << 20), zeros(5 << 20)}, "more than"},
		{"layers that are not", nil, [][]byte{zeros(5 << 20), zeros(5 << 20)}, ""},
		{"a bomb behind the archive's end", gzipped, [][]byte{append(tarOf(t, file("a", "")), make([]byte, 4<<20)...)}, "it unpacks to more than 200 times"},
		{"padding behind it", gzipped, [][]byte{append(tarOf(t, file("a", "")), make([]byte, 10240)...)}, ""},
	} {
		stored := test.unpacked
		if test.pack != nil {
			stored = nil
			for _, u := range test.unpacked {
				stored = append(stored, test.pack(t, u))
			}
		}
		f := layout{}
		_, err := open(t, "oci:"+f.index(t, f.image(t, stored, test.unpacked)).dir(t), Options{Limits: l})
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %q", test.name, err, test.want)
			}
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	// A zstd frame says how much a reader has to keep (RFC 8878, 3.1.1.1.2): here 1 GiB.
	frame := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 20 << 3, 1, 0, 0}
	f := layout{}
	_, err := open(t, "oci:"+f.index(t, f.image(t, [][]byte{frame}, [][]byte{nil})).dir(t), Options{})
	refused(t, err, "window size exceeded")
}

// manyEntries is a layer of so many entries, as a stream.
type manyEntries struct {
	left int
	rest []byte
}

func (m *manyEntries) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		switch {
		case m.left < 0:
			return 0, io.EOF
		case m.left == 0:
			m.rest = make([]byte, 1024)
		default:
			m.rest = block(fmt.Sprintf("d%d/f%d", m.left%1000, m.left), '0', "00000000000", nil)
		}
		m.left--
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// TestManyEntries: of 5,000,000 entries as many are read as may be kept, and no more.
func TestManyEntries(t *testing.T) {
	l := Limits{Entries: 100_000}.withDefaults()
	for left, want := range map[int]string{5_000_000: "is one too many: the layers have more than 100000 entries", 99_000: ""} {
		given := 0
		w := &walker{ctx: t.Context(), image: &Image{limits: l}, view: newView(1, l), visit: func(*Entry) error { given++; return nil }}
		stream := &manyEntries{left: left}
		if err := w.entries(0, stream); want != "" {
			refused(t, err, want)
			if read := left - stream.left; given < 99_000 || read > 100_001 {
				t.Errorf("%d entries were read, and %d given", read, given)
			}
		} else if err != nil || given != left {
			t.Errorf("%d entries, %v", given, err)
		}
	}
}
