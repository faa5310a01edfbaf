package linking

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/linking/linkingtest"
)

// read gives a reader a file in pieces of some size.
func read(r *Reader, data string, piece int) *Needs {
	r.Reset()
	for len(data) > 0 {
		n := min(piece, len(data))
		r.Write([]byte(data[:n]))
		data = data[n:]
	}
	return r.Needs()
}

// TestReader: what a file says of itself is read, in each form of ELF and however it comes;
// of a file that is neither ELF nor a script nothing is.
func TestReader(t *testing.T) {
	full := linkingtest.File{Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libc.so.6", "libz.so.1"}, Soname: "libx.so.1", Runpath: "$ORIGIN/../lib:/opt/lib"}
	want := Needs{Machine: elf.EM_X86_64, Class: elf.ELFCLASS64, Interp: full.Interp, Needed: full.Needed, Soname: full.Soname, Runpath: []string{"$ORIGIN/../lib", "/opt/lib"}}
	big, narrow, old, far := full, full, full, full
	big.BigEndian = true
	narrow.Class32 = true
	old.Rpath, old.Runpath = "/old", ""
	far.Gap = 12 << 20
	with := func(change func(*Needs)) *Needs {
		n := want
		change(&n)
		return &n
	}
	var r Reader
	for name, tc := range map[string]struct {
		data string
		want *Needs
	}{
		"dynamic":         {full.Bytes(), &want},
		"far behind":      {far.Bytes(), &want},
		"big endian":      {big.Bytes(), with(func(n *Needs) { n.Machine = elf.EM_PPC64 })},
		"32 bits":         {narrow.Bytes(), with(func(n *Needs) { n.Machine, n.Class = elf.EM_386, elf.ELFCLASS32 })},
		"rpath":           {old.Bytes(), with(func(n *Needs) { n.Rpath, n.Runpath = []string{"/old"}, nil })},
		"static":          {linkingtest.File{}.Bytes(), &Needs{Machine: elf.EM_X86_64, Class: elf.ELFCLASS64}},
		"script":          {"#! /usr/bin/env python3 -u\nimport os\n", &Needs{Script: "/usr/bin/env python3 -u"}},
		"long script":     {"#!/bin/sh " + strings.Repeat("x", 1000), &Needs{Script: "/bin/sh " + strings.Repeat("x", mostLine-10)}},
		"text":            {"hello, world", nil},
		"three bytes":     {"\x7fEL", nil},
		"empty":           {"", nil},
		"a head cut off":  {full.Bytes()[:40], &Needs{Unread: errShort.Error()}},
		"a table cut off": {full.Bytes()[:100], &Needs{Unread: errShort.Error()}},
	} {
		for _, piece := range []int{1 << 30, 32 << 10, 7} {
			if piece == 7 && len(tc.data) > 1<<20 {
				continue
			}
			if diff := cmp.Diff(tc.want, read(&r, tc.data, piece)); diff != "" {
				t.Errorf("%s, %d bytes at a time:\n%s", name, piece, diff)
			}
		}
	}
}

// TestHostile: a file whose numbers lead anywhere is told as not read, or as having nothing;
// each with the file as it was beside it.
func TestHostile(t *testing.T) {
	data := linkingtest.File{Interp: "/lib/ld.so", Needed: []string{"libc.so.6"}}.Bytes()
	var r Reader
	if n := read(&r, data, 1<<20); n.Unread != "" || !slices.Equal(n.Needed, []string{"libc.so.6"}) {
		t.Fatalf("%+v", n)
	}
	dynamic := len(data) - 4*16
	for name, change := range map[string]func(b []byte){
		"no class":               func(b []byte) { b[elf.EI_CLASS] = 9 },
		"no byte order":          func(b []byte) { b[elf.EI_DATA] = 0 },
		"segments far away":      func(b []byte) { binary.LittleEndian.PutUint64(b[32:], 1<<63) },
		"too many segments":      func(b []byte) { binary.LittleEndian.PutUint16(b[56:], 60000) },
		"segments of no size":    func(b []byte) { binary.LittleEndian.PutUint16(b[54:], 0) },
		"a name that is nowhere": func(b []byte) { binary.LittleEndian.PutUint64(b[dynamic+8:], 1<<40) },
		"names nowhere":          func(b []byte) { binary.LittleEndian.PutUint64(b[dynamic+24:], 1) },
		"a table that is huge":   func(b []byte) { binary.LittleEndian.PutUint64(b[64+2*56+32:], 1<<62) },
		"a loader's name that is huge": func(b []byte) {
			binary.LittleEndian.PutUint64(b[64+3*56+32:], ^uint64(0))
		},
	} {
		b := []byte(data)
		change(b)
		if n := read(&r, string(b), 1<<20); n == nil || n.Unread == "" || len(n.Needed) > 0 {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

// TestRealPrograms: what the Go library reads by other parts of the file, its sections, is the
// same of programs and libraries of this machine, and of a static one that is built here.
func TestRealPrograms(t *testing.T) {
	static := filepath.Join(t.TempDir(), "static")
	build := exec.Command("go", "build", "-o", static, "../../bench/floor")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	paths := []string{static, "/bin/ls", "/usr/bin/perl"}
	if libraries, err := filepath.Glob("/lib/*-linux-gnu*/lib[a-m]*.so.?"); err == nil {
		paths = append(paths, libraries...)
	}
	var r Reader
	dynamic := 0
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) && p != static { // a link to what was taken away
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := read(&r, string(data), 32<<10)
		f, err := elf.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		needed, _ := f.ImportedLibraries()
		soname, _ := f.DynString(elf.DT_SONAME)
		if got == nil || got.Unread != "" || got.Machine != f.Machine || got.Class != f.Class || !slices.Equal(got.Needed, needed) || got.Soname != strings.Join(soname, "") {
			t.Errorf("%s: %+v, want %q %q", p, got, needed, soname)
		}
		if len(needed) > 0 {
			dynamic++
		}
		if p == static && (got.Interp != "" || len(got.Needed) > 0) {
			t.Errorf("%s: %+v", p, got)
		}
	}
	if dynamic < 10 {
		t.Errorf("%d of %d are dynamic", dynamic, len(paths))
	}
}

// peer reads what debug/elf makes of a file's segments.
func peer(data []byte) (interp string, needed []string, ok bool) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return "", nil, false
	}
	size, word := 16, func(b []byte) uint64 { return f.ByteOrder.Uint64(b) }
	if f.Class == elf.ELFCLASS32 {
		size, word = 8, func(b []byte) uint64 { return uint64(f.ByteOrder.Uint32(b)) }
	}
	var table []byte
	has := false
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP, elf.PT_DYNAMIC:
			b, err := io.ReadAll(p.Open())
			if err != nil || uint64(len(b)) != p.Filesz {
				return "", nil, false
			}
			if p.Type == elf.PT_DYNAMIC {
				table, has = b, true
			} else {
				interp = string(bytes.SplitN(b, []byte{0}, 2)[0])
			}
		}
	}
	if !has {
		return interp, nil, true
	}
	var text, length uint64
	var at []uint64
	for ; len(table) >= size; table = table[size:] {
		tag, value := elf.DynTag(word(table)), word(table[size/2:])
		if tag == elf.DT_NULL {
			break
		}
		switch tag {
		case elf.DT_STRTAB:
			text = value
		case elf.DT_STRSZ:
			length = value
		case elf.DT_NEEDED:
			at = append(at, value)
		}
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || text < p.Vaddr || text-p.Vaddr >= p.Filesz {
			continue
		}
		for _, n := range at {
			from := p.Off + (text - p.Vaddr) + n
			if n >= length || from >= uint64(len(data)) {
				return "", nil, false
			}
			name, _, ended := bytes.Cut(data[from:], []byte{0})
			if !ended {
				return "", nil, false
			}
			needed = append(needed, strings.ToValidUTF8(string(name), "\uFFFD"))
		}
		return interp, needed, true
	}
	return interp, nil, len(at) == 0
}

// FuzzReader: whatever the bytes are, and in whatever pieces they come, reading ends without a
// panic and gives one answer; what it gives as read, debug/elf's segments have too.
func FuzzReader(f *testing.F) {
	f.Add([]byte(linkingtest.File{Interp: "/lib/ld.so", Needed: []string{"libc.so.6", "libm.so.6"}, Soname: "a", Runpath: "/x"}.Bytes()), uint16(5))
	f.Add([]byte(linkingtest.File{Class32: true, Needed: []string{"libc.so.6"}, Rpath: "/x"}.Bytes()), uint16(100))
	f.Add([]byte(linkingtest.File{BigEndian: true, Needed: []string{"libc.so.6"}}.Bytes()), uint16(1))
	f.Add([]byte("#!/bin/sh\n"), uint16(3))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16) {
		var r Reader
		n := read(&r, string(data), int(piece)+1)
		if diff := cmp.Diff(n, read(&r, string(data), 1<<30)); diff != "" {
			t.Fatal(diff)
		}
		if n == nil || n.Script != "" || n.Unread != "" {
			return
		}
		interp, needed, is := peer(data)
		if is && (n.Interp != strings.ToValidUTF8(interp, "\uFFFD") || !slices.Equal(n.Needed, needed)) {
			t.Errorf("%+v, and debug/elf has %q %q", n, interp, needed)
		}
	})
}

// tree reads an image of layers.
func tree(t *testing.T, layers ...imagetest.Layer) (*Tree, *image.View) {
	t.Helper()
	i, err := image.Open(t.Context(), image.Reference{Source: image.DockerArchive, At: imagetest.Saved(t, nil, layers...)}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	var r Reader
	needs, number := map[int]*Needs{}, 0
	var folders []string
	v, err := i.Walk(t.Context(), func(e *image.Entry) error {
		if e.Kind != image.Plain || !e.Mode.IsRegular() {
			return nil
		}
		number++
		if ListsFolders(e.Path) {
			more, err := Folders(e.Body)
			folders = append(folders, more...)
			return err
		}
		r.Reset()
		if _, err := io.Copy(&r, e.Body); err != nil {
			return err
		}
		if n := r.Needs(); n != nil {
			needs[number] = n
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return NewTree(v, needs, folders), v
}

func paths(files []image.File) []string {
	list := []string{}
	for _, f := range files {
		list = append(list, f.Path)
	}
	slices.Sort(list)
	return list
}

// TestTree: a program's libraries are found where a loader looks, in the order that it has, and
// one that is missing is told; a library that nothing needs is told, and one that is needed by
// a plugin, or by another name, is not.
func TestTree(t *testing.T) {
	lib := func(soname string, needed ...string) string {
		return "exec:" + linkingtest.File{Soname: soname, Needed: needed, Tail: soname}.Bytes()
	}
	program := func(f linkingtest.File) string {
		f.Interp = "/lib64/ld-linux-x86-64.so.2"
		return "exec:" + f.Bytes()
	}
	tr, v := tree(t, imagetest.Layer{
		"/etc/ld.so.conf":                          "include /etc/ld.so.conf.d/*.conf\n",
		"/etc/ld.so.conf.d/x.conf":                 "# ours\n/opt/conf\n",
		"/lib64/ld-linux-x86-64.so.2":              "exec:" + linkingtest.File{Soname: "ld-linux-x86-64.so.2"}.Bytes(),
		"/usr/lib/x86_64-linux-gnu/libc.so.6":      lib("libc.so.6", "ld-linux-x86-64.so.2"),
		"/usr/lib/x86_64-linux-gnu/libz.so.1.2":    lib("libz.so.1", "libc.so.6"),
		"/usr/lib/x86_64-linux-gnu/libz.so.1":      "link:libz.so.1.2",
		"/usr/lib/x86_64-linux-gnu/libold.so.1":    lib("libold.so.1", "libolder.so.1"),
		"/usr/lib/x86_64-linux-gnu/libolder.so.1":  lib("libolder.so.1"),
		"/usr/lib/x86_64-linux-gnu/libplug.so.1":   lib("libplug.so.1"),
		"/usr/lib/x86_64-linux-gnu/libnss_x.so.2":  lib("libnss_x.so.2", "libfornss.so.1"),
		"/usr/lib/x86_64-linux-gnu/libfornss.so.1": lib("libfornss.so.1"),
		"/usr/lib/plugins/p.so":                    lib("p.so", "libplug.so.1"),
		"/opt/conf/libconf.so.1":                   lib("libconf.so.1"),
		"/opt/app/lib/libown.so.1":                 lib("libown.so.1", "libdeep.so.1"),
		"/opt/app/lib/libdeep.so.1":                lib("libdeep.so.1"),
		"/opt/rp/lib/libc.so.6":                    "exec:" + linkingtest.File{Class32: true, Soname: "libc.so.6"}.Bytes(),
		"/bin/run":                                 program(linkingtest.File{Needed: []string{"libz.so.1", "libc.so.6", "libconf.so.1"}}),
		"/opt/app/bin/app":                         program(linkingtest.File{Needed: []string{"libown.so.1"}, Rpath: "$ORIGIN/../lib"}),
		"/opt/app/bin/newer":                       program(linkingtest.File{Needed: []string{"libown.so.1"}, Runpath: "${ORIGIN}/../lib"}),
		"/opt/rp/bin/mixed":                        program(linkingtest.File{Needed: []string{"libc.so.6"}, Rpath: "/opt/rp/lib"}),
		"/bin/lacking":                             program(linkingtest.File{Needed: []string{"libnowhere.so.1"}}),
		"/bin/script":                              "exec:#!/bin/run\n",
		"/bin/static":                              "exec:" + linkingtest.File{}.Bytes(),
	})
	const usual = "/usr/lib/x86_64-linux-gnu/"
	loader := "/lib64/ld-linux-x86-64.so.2"
	for p, want := range map[string]struct{ files, missing []string }{
		"/bin/run":           {[]string{"/bin/run", loader, "/opt/conf/libconf.so.1", usual + "libc.so.6", usual + "libz.so.1.2"}, nil},
		"/opt/app/bin/app":   {[]string{loader, "/opt/app/bin/app", "/opt/app/lib/libdeep.so.1", "/opt/app/lib/libown.so.1"}, nil},
		"/opt/app/bin/newer": {[]string{loader, "/opt/app/bin/newer", "/opt/app/lib/libown.so.1"}, []string{"libdeep.so.1, which /opt/app/lib/libown.so.1 needs"}},
		"/opt/rp/bin/mixed":  {[]string{loader, "/opt/rp/bin/mixed", usual + "libc.so.6"}, nil},
		"/bin/lacking":       {[]string{"/bin/lacking", loader}, []string{"libnowhere.so.1, which /bin/lacking needs"}},
		"/bin/static":        {[]string{"/bin/static"}, nil},
		"/bin/script":        {[]string{}, []string{"/bin/script is no program of ELF"}},
	} {
		at, is := v.Resolve(p)
		if !is {
			t.Fatal(p)
		}
		files, missing := tr.Closure(at)
		if diff := cmp.Diff(want.files, paths(files)); diff != "" || !slices.Equal(want.missing, missing) {
			t.Errorf("%s: missing %q, %s", p, missing, diff)
		}
	}
	app, _ := v.Resolve("/opt/app/bin/app")
	other, _ := v.Resolve("/bin/lacking")
	both, missing := tr.Closure(app, other)
	if diff := cmp.Diff([]string{"/bin/lacking", loader, "/opt/app/bin/app", "/opt/app/lib/libdeep.so.1", "/opt/app/lib/libown.so.1"}, paths(both)); diff != "" || len(missing) > 0 {
		t.Errorf("with another: missing %q, %s", missing, diff)
	}
	if diff := cmp.Diff([]string{usual + "libold.so.1", usual + "libolder.so.1"}, paths(tr.Unlinked())); diff != "" {
		t.Error(diff)
	}
}

// TestLikeLdd: the libraries of real programs are those that the loader of this machine finds
// (ldd(1)), in an image that has them, and one of them is missing where it is taken away.
func TestLikeLdd(t *testing.T) {
	for _, program := range []string{"/bin/ls", "/usr/bin/perl", "/usr/bin/apt-get"} {
		out, err := exec.Command("ldd", program).Output()
		if err != nil {
			t.Fatalf("%s: %v", program, err)
		}
		l, want := imagetest.Layer{}, []string{}
		take := func(p string) {
			real, err := filepath.EvalSymlinks(p)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(real)
			if err != nil {
				t.Fatal(err)
			}
			l[real] = "exec:" + string(data)
			if p != real {
				l[p] = "link:" + real
			}
			if !slices.Contains(want, real) {
				want = append(want, real)
			}
		}
		take(program)
		var last string
		for word := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(word, "/") {
				take(word)
				if strings.Contains(word, "libc.so") {
					last = word
				}
			}
		}
		slices.Sort(want)
		// /lib may be a link to /usr/lib, under which a layer has its files.
		for p, text := range maps.Clone(l) {
			if dir, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil && dir != filepath.Dir(p) {
				delete(l, p)
				if at := filepath.Join(dir, filepath.Base(p)); l[at] == "" {
					l[at] = text
				}
				top := "/" + strings.Split(p, "/")[1]
				l[top] = "link:usr" + top
			}
		}
		tr, v := tree(t, l)
		at, is := v.Resolve(program)
		if !is {
			t.Fatal(program)
		}
		files, missing := tr.Closure(at)
		if diff := cmp.Diff(want, paths(files)); diff != "" || len(missing) > 0 || len(want) < 3 {
			t.Errorf("%s: missing %q, %s", program, missing, diff)
		}
		real, err := filepath.EvalSymlinks(last)
		if err != nil {
			t.Fatal(err)
		}
		delete(l, real)
		tr, v = tree(t, l)
		at, _ = v.Resolve(program)
		if _, missing = tr.Closure(at); len(missing) == 0 {
			t.Errorf("%s without %s: nothing is missing", program, real)
		}
	}
}

// TestTooMuch: a program that is made to have a loader look for libraries in many folders, over
// and over, is told as that; one with a few missing ones is not.
func TestTooMuch(t *testing.T) {
	rpath := strings.TrimSuffix(strings.Repeat("/a:", 1300), ":")
	var needed []string
	for n := range 900 {
		needed = append(needed, "lib"+string(rune('a'+n%26))+string(rune('a'+n/26))+".so")
	}
	l := imagetest.Layer{"/ld": "exec:" + linkingtest.File{Tail: "ld"}.Bytes(),
		"/many": "exec:" + linkingtest.File{Interp: "/ld", Needed: needed, Rpath: rpath}.Bytes(), "/few": "exec:" + linkingtest.File{Interp: "/ld", Needed: needed[:3], Rpath: rpath}.Bytes()}
	tr, v := tree(t, l)
	for p, want := range map[string]int{"/many": 901, "/few": 3} {
		at, _ := v.Resolve(p)
		_, missing := tr.Closure(at)
		if len(missing) != want || (p == "/many") != strings.Contains(missing[len(missing)-1], "more to look for") {
			t.Errorf("%s: %d missing, the last is %q", p, len(missing), missing[len(missing)-1])
		}
	}
}

// TestFolders: lists of the loader, of glibc and of musl, and no other file.
func TestFolders(t *testing.T) {
	for text, want := range map[string][]string{"/a\n # /no\ninclude /x/*.conf\n/b/ # yes\n": {"/a", "/b"}, "/lib:/usr/local/lib\nrelative\n": {"/lib", "/usr/local/lib"}, "": nil} {
		if got, err := Folders(strings.NewReader(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for p, want := range map[string]bool{"/etc/ld.so.conf": true, "/etc/ld.so.conf.d/a.conf": true, "/etc/ld-musl-x86_64.path": true, "/etc/ld.so.cache": false, "/x/etc/ld.so.conf": false} {
		if ListsFolders(p) != want {
			t.Errorf("%s: %v", p, !want)
		}
	}
}
