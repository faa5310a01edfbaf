package scantest

import (
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	_ "modernc.org/sqlite" // rpm keeps its database in SQLite since 4.16

	"github.com/plimsoll/plimsoll/internal/sbom"
)

// Tags and types of a header (rpm's manual, Tags; and its Header Format).
const (
	tagImmutable = 63
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagEpoch     = 1003
	tagLicence   = 1014
	tagArch      = 1022
	tagSourceRPM = 1044

	typeInt32  = 4
	typeString = 6
	typeBin    = 7

	regionBytes = 16
)

// rpmDatabase is what rpm keeps of packages, as the file rpmdb.sqlite.
func rpmDatabase(packages []sbom.Package) (data []byte, err error) {
	dir, err := os.MkdirTemp("", "plimsoll-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rpmdb.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	if _, err = db.Exec("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)"); err == nil {
		for i := range packages {
			if _, err = db.Exec("INSERT INTO Packages (blob) VALUES (?)", rpmHeader(&packages[i])); err != nil {
				break
			}
		}
	}
	if closed := db.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// rpmHeader is the header of a package as a database has it: an index of entries, big
// endian, behind that their data, and in both first or last the region that holds them all.
func rpmHeader(p *sbom.Package) []byte {
	epoch, rest, has := strings.Cut(p.Version, ":")
	if !has {
		epoch, rest = "", p.Version
	}
	version, release, _ := strings.Cut(rest, "-")
	source := p.SourceVersion()
	if _, after, has := strings.Cut(source, ":"); has {
		source = after
	}
	var index, data []byte
	entry := func(tag, typ, offset, count uint32) {
		for _, n := range []uint32{tag, typ, offset, count} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
	}
	entries := uint32(1)
	text := func(tag uint32, s string) {
		entry(tag, typeString, uint32(len(data)), 1)
		data = append(append(data, s...), 0)
		entries++
	}
	if n, err := strconv.ParseUint(epoch, 10, 32); err == nil {
		entry(tagEpoch, typeInt32, 0, 1)
		data = binary.BigEndian.AppendUint32(data, uint32(n))
		entries++
	}
	text(tagName, p.Name)
	text(tagVersion, version)
	text(tagRelease, release)
	text(tagLicence, "MIT")
	text(tagArch, "x86_64")
	text(tagSourceRPM, p.SourceName()+"-"+source+".src.rpm")
	own := index
	index = nil
	entry(tagImmutable, typeBin, uint32(len(data)), regionBytes)
	index = append(index, own...)
	for _, n := range []uint32{tagImmutable, typeBin, -(entries * 16), regionBytes} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	head := binary.BigEndian.AppendUint32(nil, entries)
	head = binary.BigEndian.AppendUint32(head, uint32(len(data)))
	return append(append(head, index...), data...)
}
