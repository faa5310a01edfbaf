package extract

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
)

// letters is text without end.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// jarOf is an archive with a member of so many bytes.
func jarOf(t *testing.T, name string, n int64) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, letters{}, n); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHostileJava: an archive that unpacks to much, or lies in many, is told, and what else
// is there is found.
func TestHostileJava(t *testing.T) {
	good := jar(t, map[string]string{"META-INF/maven/a/b/pom.properties": "groupId=a.a\nartifactId=b\nversion=2\n"})
	within := func(n int) string {
		j := good
		for range n {
			j = jar(t, map[string]string{"in.jar": j})
		}
		return j
	}
	many := map[string]string{"good.jar": good}
	for n := range mostArchives + 1 {
		many[fmt.Sprintf("%d.jar", n)] = strings.Repeat("no zip ", 10)
	}
	for _, tc := range []struct{ name, jar, unread string }{
		{"as deep as may be", within(deepest - 1), ""},
		{"deeper", jar(t, map[string]string{"good.jar": good, "deep.jar": within(deepest - 1)}), "lies in 8 others"},
		{"a hundred deep", jar(t, map[string]string{"good.jar": good, "deep.jar": within(100)}), "lies in 8 others"},
		{"a long manifest", jar(t, map[string]string{"good.jar": good, "x.jar": jarOf(t, "META-INF/MANIFEST.MF", mostManifest+1)}), "x.jar: META-INF/MANIFEST.MF has 1048577 bytes"},
		{"a manifest", jar(t, map[string]string{"good.jar": good, "x.jar": jar(t, map[string]string{"META-INF/MANIFEST.MF": "Main-Class: x\n" + strings.Repeat("A: b\n", 1000)})}), ""},
		{"a bomb", jar(t, map[string]string{"good.jar": good, "x.jar": jarOf(t, "y.jar", mostInner)}), "have more than"},
		{"no archive in it", jar(t, map[string]string{"good.jar": good, "x.jar": strings.Repeat("no zip ", 100)}), "not a valid zip file"},
		{"many", jar(t, many), "are more than 10000"},
	} {
		_, list, unread := look(t, imagetest.Layer{"/app.war": tc.jar})
		// Of an archive whose members have no order, the good one may come behind what ends it.
		if ended := tc.name == "a bomb" || tc.name == "many"; len(list) == 0 && ended {
			list = nil
		} else if diff := cmp.Diff([]string{"maven a.a:b 2"}, words(list)); diff != "" {
			t.Errorf("%s:\n%s", tc.name, diff)
		}
		if told := strings.Join(unread, " "); tc.unread == "" && told != "" || !strings.Contains(told, tc.unread) {
			t.Errorf("%s: unread %q, without %q", tc.name, unread, tc.unread)
		}
	}
}

// TestDirectoryOfJar: the list of members is bounded before it is read.
func TestDirectoryOfJar(t *testing.T) {
	b := &bounded{r: strings.NewReader(strings.Repeat("x", 100)), left: 10}
	if n, err := b.ReadAt(make([]byte, 10), 0); n != 10 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := b.ReadAt(make([]byte, 1), 0); n != 0 || err == nil {
		t.Errorf("beyond: %d, %v", n, err)
	}
}

// rust is a program with a section of cargo auditable that holds what unpacks to a JSON text.
func rust(t *testing.T, text io.Reader, flags elf.SectionFlag) string {
	t.Helper()
	var packed bytes.Buffer
	if flags&elf.SHF_COMPRESSED != 0 {
		if err := binary.Write(&packed, binary.LittleEndian, elf.Chdr64{Type: uint32(elf.COMPRESS_ZLIB), Size: 100}); err != nil {
			t.Fatal(err)
		}
	}
	z := zlib.NewWriter(&packed)
	if _, err := io.Copy(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	data := packed.Len()
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: uint64(64 + data + len(names)), Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	var b bytes.Buffer
	for _, part := range []any{h, packed.Bytes(), []byte(names), elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Flags: uint64(flags), Off: 64, Size: uint64(data)},
		elf.Section64{Name: 9, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + data), Size: uint64(len(names))}} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	b.Write(make([]byte, leastProgram))
	return "exec:" + b.String()
}

// TestRust: a program of Rust tells its crates; one whose list unpacks to much is told.
func TestRust(t *testing.T) {
	_, list, unread := look(t, imagetest.Layer{"/usr/bin/app": rust(t, strings.NewReader(`{"packages":[{"name":"app","version":"0.1.0","source":"local","root":true},{"name":"time","version":"0.1.43","source":"crates.io"}]}`), 0)})
	if diff := cmp.Diff([]string{"cargo app 0.1.0", "cargo time 0.1.43"}, words(list)); diff != "" || len(unread) > 0 {
		t.Errorf("unread %q\n%s", unread, diff)
	}
	for name, program := range map[string]string{"when unpacked": rust(t, io.LimitReader(letters{}, mostAuditable+1), 0), "compressed twice": rust(t, strings.NewReader("{}"), elf.SHF_COMPRESSED)} {
		if _, list, unread = look(t, imagetest.Layer{"/usr/bin/app": program}); len(list) > 0 || len(unread) != 1 || !strings.Contains(unread[0], name) {
			t.Errorf("%s: %q, unread %q", name, words(list), unread)
		}
	}
}

// TestTooMuch: a file that would take its reader too long, or too much memory, is told; one
// as large as real ones is read.
func TestTooMuch(t *testing.T) {
	lock := func(n int) string {
		var b strings.Builder
		b.WriteString(`{"lockfileVersion":3,"packages":{`)
		for i := range n {
			fmt.Fprintf(&b, `"node_modules/p%d":{"version":"1.0.0"},`, i)
		}
		return b.String() + `"node_modules/last":{"version":"1.0.0"}}}`
	}
	for _, tc := range []struct {
		name, path, content, unread string
		packages                    int
	}{
		{"apk", "/lib/apk/db/installed", strings.Repeat("P:a\nV:1\n\n", mostRecords+1), "records", 0},
		{"dpkg", "/var/lib/dpkg/status", strings.Repeat("Package: a\nVersion: 1\nStatus: install ok installed\n\n", mostRecords+1), "records", 0},
		{"npm", "/package-lock.json", lock(60_000), "takes too long", 0},
		{"npm, an ordinary one", "/package-lock.json", lock(1000), "", 1001},
		{"apk, an ordinary one", "/lib/apk/db/installed", "P:a\nV:1\n\nP:b\nV:1\n\n", "", 2},
	} {
		f, err := New(Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		found, err := f.File(t.Context(), &image.Entry{Path: tc.path, Size: int64(len(tc.content)), Body: strings.NewReader(tc.content)})
		if err != nil || found == nil || len(found.Packages) != tc.packages || !strings.Contains(found.Unread, tc.unread) || tc.unread == "" && found.Unread != "" {
			t.Errorf("%s: %+v, %v", tc.name, found, err)
		}
	}
}

// TestExhausted: files that an image may have one of are read until those before have taken
// what all of an image may take; then it is told, and that another image may have them read.
func TestExhausted(t *testing.T) {
	lock := `{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0"}}}`
	war := jar(t, map[string]string{"in.jar": jar(t, map[string]string{"META-INF/maven/a/b/pom.properties": "groupId=a.a\nartifactId=b\nversion=2\n"})})
	for name, content := range map[string]string{"/package-lock.json": lock, "/app.war": war} {
		f, err := New(Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		f.work, f.inner = int64(3*len(lock)*strings.Count(lock, "{")), 600
		var read, unread int
		for range 5 {
			found, err := f.File(t.Context(), &image.Entry{Path: name, Size: int64(len(content)), Body: strings.NewReader(content)})
			switch {
			case err != nil || found == nil:
				t.Fatalf("%s: %+v, %v", name, found, err)
			case found.Unread == "" && !f.Exhausted() && len(found.Packages) == 1:
				read++
			case strings.Contains(found.Unread, "in the") && f.Exhausted() && len(found.Packages) == 0:
				unread++
			default:
				t.Errorf("%s: %+v, %v", name, found, f.Exhausted())
			}
		}
		if read == 0 || unread == 0 || f.work < 0 || f.inner < 0 {
			t.Errorf("%s: %d read, %d not", name, read, unread)
		}
	}
}
