package rpmdb

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pkg is a package as the tests write it.
type pkg struct {
	name, version, release, arch, licence, source, module string
	epoch                                                 uint32
	files                                                 []string // each with a folder
}

// blob is its header.
func (p pkg) blob() []byte {
	order := binary.BigEndian
	var index, data []byte
	entries := uint32(0)
	put := func(tag, kind, count uint32, value []byte) {
		for kind == typeInt32 && len(data)%4 > 0 {
			data = append(data, 0)
		}
		for _, n := range []uint32{tag, kind, uint32(len(data)), count} {
			index = order.AppendUint32(index, n)
		}
		data = append(data, value...)
		entries++
	}
	for tag, s := range map[uint32]string{tagName: p.name, tagVersion: p.version, tagRelease: p.release, tagArch: p.arch, tagLicence: p.licence, tagSourceRPM: p.source, tagModule: p.module} {
		if s != "" {
			put(tag, typeString, 1, []byte(s+"\x00"))
		}
	}
	if p.epoch > 0 {
		put(tagEpoch, typeInt32, 1, order.AppendUint32(nil, p.epoch))
	}
	if len(p.files) > 0 {
		var bases, folders, at []byte
		for n, f := range p.files {
			dir, base := filepath.Split(f)
			bases, folders, at = append(append(bases, base...), 0), append(append(folders, dir...), 0), order.AppendUint32(at, uint32(n))
		}
		n := uint32(len(p.files))
		put(tagBaseNames, typeStringArray, n, bases)
		put(tagDirNames, typeStringArray, n, folders)
		put(tagDirIndex, typeInt32, n, at)
	}
	return slices.Concat(order.AppendUint32(order.AppendUint32(nil, entries), uint32(len(data))), index, data)
}

var some = []pkg{
	{name: "bash", version: "5.1.8", release: "9.el9", arch: "x86_64", licence: "GPLv3+", source: "bash-5.1.8-9.el9.src.rpm"},
	{name: "nodejs", version: "18.19.0", release: "1.module", arch: "x86_64", source: "nodejs-18.19.0-1.module.src.rpm", module: "nodejs:18:9020240104:rhel9", epoch: 1, files: []string{"/usr/bin/node", "/usr/lib/node_modules/npm/package.json"}},
	{name: "gpg-pubkey", version: "8483c65d", release: "5ccc5b19", source: "(none)", licence: strings.Repeat("pubkey ", 900)},
}

// words are what the tests look at, a line a package.
var words = []string{
	"bash 5.1.8-9.el9 x86_64 GPLv3+ bash-5.1.8-9.el9.src.rpm  []",
	"nodejs 1:18.19.0-1.module x86_64  nodejs-18.19.0-1.module.src.rpm nodejs:18:9020240104:rhel9 [/usr/bin/node /usr/lib/node_modules/npm/package.json]",
	"gpg-pubkey 8483c65d-5ccc5b19  " + strings.Repeat("pubkey ", 900) + "   []",
}

func blobs(list []pkg) [][]byte {
	var out [][]byte
	for _, p := range list {
		out = append(out, p.blob())
	}
	return out
}

// sqlite is a database whose schema is what the statements make.
func sqlite(t testing.TB, blobs [][]byte, statements ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if len(statements) == 0 {
		statements = []string{"CREATE TABLE IF NOT EXISTS 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT,blob BLOB NOT NULL)"}
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range blobs {
		if _, err := db.Exec("INSERT INTO Packages (blob) VALUES (?)", b); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ndb is a database of one page of slots.
func ndb(blobs [][]byte) []byte {
	order := binary.LittleEndian
	file := make([]byte, ndbSlotPage)
	copy(file, ndbMagic)
	order.PutUint32(file[12:], 1)
	for at := 32; at < ndbSlotPage; at += ndbSlotBytes {
		copy(file[at:], ndbSlot)
	}
	for n, b := range blobs {
		slot := file[32+ndbSlotBytes*n:]
		order.PutUint32(slot[4:], uint32(n+1))
		order.PutUint32(slot[8:], uint32(len(file)/ndbBlock))
		file = append(file, ndbBlob...)
		for _, v := range []int{n + 1, 0, len(b)} {
			file = order.AppendUint32(file, uint32(v))
		}
		file = append(file, b...)
		for len(file)%ndbBlock > 0 {
			file = append(file, 0)
		}
	}
	return file
}

// hash is a Berkeley DB of one page of items, with rpm's own pair before the packages. Each
// second value is in its item, the others on overflow pages.
func hash(order binary.ByteOrder, blobs [][]byte) []byte {
	const size = 4096
	file := make([]byte, 2*size)
	order.PutUint32(file[12:], berkeleyMagic)
	order.PutUint32(file[20:], size)
	file[25] = berkeleyMeta
	items, end := 0, size
	add := func(item []byte) {
		end -= len(item)
		copy(file[size+end:], item)
		order.PutUint16(file[size+pageHead+2*items:], uint16(end))
		items++
	}
	number := func(n int) []byte { b := make([]byte, 4); order.PutUint32(b, uint32(n)); return b }
	add(append([]byte{itemHere}, number(0)...))
	add(append([]byte{itemHere}, number(len(blobs))...))
	for n, b := range blobs {
		add(append([]byte{itemHere}, number(n+1)...))
		if n%2 == 1 {
			add(append([]byte{itemHere}, b...))
			continue
		}
		add(slices.Concat([]byte{itemElsewhere, 0, 0, 0}, number(len(file)/size), number(len(b))))
		for len(b) > 0 {
			part := b[:min(len(b), size-pageHead)]
			b = b[len(part):]
			page := make([]byte, size)
			if len(b) > 0 {
				order.PutUint32(page[16:], uint32(len(file)/size+1))
			}
			order.PutUint16(page[22:], uint16(len(part)))
			page[25] = pageOverflow
			copy(page[pageHead:], part)
			file = append(file, page...)
		}
	}
	order.PutUint16(file[size+20:], uint16(items))
	file[size+25] = pageHash
	order.PutUint32(file[32:], uint32(len(file)/size-1))
	return file
}

// read gives what is in a database, a line a package.
func read(t testing.TB, ctx context.Context, data []byte) ([]string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a db?#%")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out []string
	err := Read(ctx, path, func(p *Package) error {
		out = append(out, fmt.Sprint(p.Name, " ", p.Version, " ", p.Arch, " ", p.Licence, " ", p.SourceRPM, " ", p.Module, " ", slices.Collect(p.Files())))
		return nil
	})
	left, e := os.ReadDir(filepath.Dir(path))
	if e != nil || len(left) != 1 {
		t.Errorf("beside the database: %v, %v", left, e)
	}
	return out, err
}

// TestRead: the packages are those that were put in, in each form.
func TestRead(t *testing.T) {
	for name, data := range map[string][]byte{"SQLite": sqlite(t, blobs(some)), "ndb": ndb(blobs(some)), "hash": hash(binary.LittleEndian, blobs(some)), "hash of another machine": hash(binary.BigEndian, blobs(some))} {
		got, err := read(t, t.Context(), data)
		if diff := cmp.Diff(words, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := read(t, ctx, data); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, ended: %v", name, err)
		}
	}
	for name, data := range map[string][]byte{"SQLite": sqlite(t, nil), "ndb": ndb(nil), "hash": hash(binary.LittleEndian, nil)} {
		if got, err := read(t, t.Context(), data); len(got) > 0 || err != nil {
			t.Errorf("%s without packages: %q, %v", name, got, err)
		}
	}
}

// TestOldFiles: rpm before 4 wrote whole paths.
func TestOldFiles(t *testing.T) {
	data := []byte("a\x00/x/y\x00/z\x00\x001\x002\x00")
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 4), uint32(len(data)))
	for _, e := range [][4]uint32{{tagName, typeString, 0, 1}, {tagOldFiles, typeStringArray, 2, 2}, {tagVersion, typeString, 11, 1}, {tagRelease, typeString, 13, 1}} {
		for _, n := range e {
			b = binary.BigEndian.AppendUint32(b, n)
		}
	}
	p, err := parse(append(b, data...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/x/y", "/z"}, slices.Collect(p.Files())); diff != "" {
		t.Error(diff)
	}
}

// TestDamaged: a database that is not as rpm writes it is told, and costs no more than its
// size; what stood before the damage is there. TestRead has the twins.
func TestDamaged(t *testing.T) {
	little := binary.LittleEndian
	with := func(data []byte, change func([]byte)) []byte { change(data); return data }
	three := func() []byte { return hash(little, blobs(some)) }
	const page = 4096
	for _, tc := range []struct {
		name, words string
		data        []byte
		before      int
	}{
		{"nothing", "no SQLite", nil, 0},
		{"text", "no SQLite", []byte(strings.Repeat("no database ", 100)), 0},
		{"SQLite without a table", "no table", sqlite(t, nil, "CREATE TABLE other (a)"), 0},
		{"SQLite with a view without end", "no ordinary table", sqlite(t, nil, "CREATE VIEW Packages AS WITH RECURSIVE n(blob) AS (SELECT x'00' UNION ALL SELECT blob FROM n) SELECT blob FROM n"), 0},
		{"SQLite with a computed column", "no ordinary table", sqlite(t, nil, "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, n, blob AS (zeroblob(100000000)))", "INSERT INTO Packages (n) VALUES (1)"), 0},
		{"SQLite with a virtual table", "no ordinary table", sqlite(t, nil, "CREATE VIRTUAL TABLE Packages USING fts5(blob)"), 0},
		{"SQLite cut short", "damaged", sqlite(t, blobs(some))[:page*2], 0},
		{"SQLite's head alone", "damaged", []byte(sqliteMagic + " and nothing more"), 0},
		{"SQLite with a row that is no header", "a header of", sqlite(t, [][]byte{some[0].blob(), []byte(strings.Repeat("x", 100))}), 1},
		{"hash with an item outside", "lies at", with(three(), func(b []byte) { little.PutUint16(b[page+pageHead+2*3:], 0xffff) }), 0},
		{"hash with an odd number of items", "items", with(three(), func(b []byte) { little.PutUint16(b[page+20:], 3) }), 0},
		{"hash with more items than fit", "items", with(three(), func(b []byte) { little.PutUint16(b[page+20:], 4000) }), 0},
		{"hash whose value names itself", "circle", with(three(), func(b []byte) { little.PutUint32(b[2*page+16:], 2) }), 0},
		{"hash whose value is on a page of items", "no part", with(three(), func(b []byte) { b[2*page+25] = pageHash }), 0},
		{"hash with pages of no bytes", "pages of", with(three(), func(b []byte) { little.PutUint32(b[20:], 0) }), 0},
		{"hash with pages of 4 GiB", "pages of", with(three(), func(b []byte) { little.PutUint32(b[20:], 1<<31) }), 0},
		{"hash cut short", "its last page", three()[:page*3], 0},
		{"hash whose value is too short", "and not", with(three(), func(b []byte) { little.PutUint16(b[2*page+22:], 3) }), 0},
		{"hash of a page", "its first page", three()[:100], 0},
		{"ndb with a slot that is none", "is none", with(ndb(blobs(some)), func(b []byte) { b[32+16] = 'x' }), 1},
		{"ndb with a blob of 4 GiB", "is not where", with(ndb(blobs(some)), func(b []byte) { little.PutUint32(b[ndbSlotPage+12:], 1<<32-1) }), 0},
		{"ndb with a blob beyond the end", "EOF", with(ndb(blobs(some)), func(b []byte) { little.PutUint32(b[32+8:], 1<<31) }), 0},
		{"ndb that names a blob often", "more than it holds", ndbOften(some[2].blob()), 1},
		{"ndb with more slots than bytes", "pages of slots", with(ndb(blobs(some)), func(b []byte) { little.PutUint32(b[12:], 1<<31) }), 0},
		{"ndb of another version", "version 1", with(ndb(blobs(some)), func(b []byte) { b[4] = 1 }), 0},
		{"a header with entries beyond its end", "a header of", ndb([][]byte{some[0].blob()[:40]}), 0},
		{"a value beyond the data", "the value of tag", ndb([][]byte{with(pkg{name: "a"}.blob(), func(b []byte) { b[8+8] = 0x7f })}), 0},
		{"a package without a version", "has the name", ndb([][]byte{pkg{name: "a", release: "1"}.blob()}), 0},
	} {
		got, err := read(t, t.Context(), tc.data)
		if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s: %v, without %q", tc.name, err, tc.words)
		}
		if len(got) != tc.before {
			t.Errorf("%s: %d packages before the damage", tc.name, len(got))
		}
	}
}

// ndbOften is a database all of whose slots name one package.
func ndbOften(blob []byte) []byte {
	file := ndb([][]byte{blob})
	for at := 48; at < ndbSlotPage; at += ndbSlotBytes {
		copy(file[at:at+ndbSlotBytes], file[32:])
	}
	return file
}

// FuzzRead: whatever the bytes, what is read holds no more than they do, twice the same, and
// a database that is made of what was read is read again as the same.
func FuzzRead(f *testing.F) {
	f.Add(ndb(blobs(some)))
	f.Add(hash(binary.LittleEndian, blobs(some)))
	f.Add(hash(binary.BigEndian, blobs(some[:1])))
	f.Add(sqlite(f, blobs(some)))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var all [2][]pkg
		for n := range all {
			bytes := 0
			_ = Read(t.Context(), path, func(p *Package) error {
				version, release, _ := strings.Cut(p.Version, "-")
				all[n] = append(all[n], pkg{name: p.Name, version: version, release: release, arch: p.Arch, licence: p.Licence, source: p.SourceRPM, module: p.Module})
				bytes += len(p.Name) + len(p.Version)
				return nil
			})
			if bytes > 16*len(data)+100 {
				t.Errorf("%d bytes of names of %d bytes", bytes, len(data))
			}
		}
		if diff := cmp.Diff(all[0], all[1], cmp.AllowUnexported(pkg{})); diff != "" {
			t.Error(diff)
		}
		list := all[0][:min(len(all[0]), 100)]
		at := 0
		if err := os.WriteFile(path, ndb(blobs(list)), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Read(t.Context(), path, func(p *Package) error {
			if want := list[at]; p.Name != want.name || p.Version != want.version+"-"+want.release || p.Arch != want.arch || p.Licence != want.licence {
				t.Errorf("%+v, and not %+v", p, want)
			}
			at++
			return nil
		})
		if err != nil || at != len(list) {
			t.Errorf("%d of %d read again: %v", at, len(list), err)
		}
	})
}
