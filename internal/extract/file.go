package extract

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/extractor/filesystem"
	"github.com/google/osv-scalibr/extractor/filesystem/language/dotnet/depsjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/golang/gobinary"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagejson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/packagelockjson"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/pnpmlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/javascript/yarnlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/php/composerlock"
	"github.com/google/osv-scalibr/extractor/filesystem/language/python/wheelegg"
	"github.com/google/osv-scalibr/extractor/filesystem/language/ruby/gemspec"
	"github.com/google/osv-scalibr/extractor/filesystem/language/rust/cargoauditable"
	"github.com/google/osv-scalibr/extractor/filesystem/os/apk"
	"github.com/google/osv-scalibr/extractor/filesystem/os/dpkg"
	"github.com/google/osv-scalibr/log"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/rpmdb"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// Options say how files are read. The zero value is the ordinary one.
type Options struct {
	// Temp is the folder for what has to be spooled, "" the system's.
	Temp string
}

// Finder finds packages in the files of one image. One goroutine uses it at a time.
type Finder struct {
	temp   string
	by     map[kind][]filesystem.Extractor
	buffer bytes.Buffer
	// inner is how many bytes of archives in others may still be unpacked, and work what
	// reading lock files may still take; exhausted that something was not read for that.
	inner, work int64
	exhausted   bool
}

// Exhausted is true where files were not read that in another image, with fewer like them,
// would have been: what their layer told is not all that it has to tell.
func (f *Finder) Exhausted() bool { return f.exhausted }

// Found is what a file told.
type Found struct {
	Path string
	// Layer is the number of the layer that the file is in.
	Layer    int            `json:"-"`
	Packages []sbom.Package `json:",omitempty"`
	OS       *sbom.OS       `json:",omitempty"`
	// Owns are what packages of the distribution installed.
	Owns []Owned `json:",omitempty"`
	// Lock is true for a lock file of npm, yarn or pnpm.
	Lock bool `json:",omitempty"`
	// Link is the file that a hard link is another name of; what that told is told there.
	Link string `json:",omitempty"`
	// Unread is why the file could not be read, "" if it could.
	Unread string `json:",omitempty"`
}

// New makes a Finder.
func New(o Options) (*Finder, error) {
	log.SetLogger(silent{}) // what is wrong with a file is told by Found
	f := &Finder{temp: o.Temp, by: map[kind][]filesystem.Extractor{}, inner: mostInnerOfAll, work: mostWorkOfAll}
	for k, list := range map[kind][]func(*cpb.PluginConfig) (filesystem.Extractor, error){
		dpkgStatus: {dpkg.New}, apkDB: {apk.New}, executable: {gobinary.New, cargoauditable.New}, javaArchive: {newJava},
		npmPackage: {packagejson.New}, npmLock: {packagelockjson.New}, yarnLock: {yarnlock.New}, pnpmLock: {pnpmlock.New}, wheel: {wheelegg.New},
		gemSpec: {gemspec.New}, installedPHP: {composerlock.New}, depsJSON: {depsjson.New},
	} {
		for _, make := range list {
			e, err := make(&cpb.PluginConfig{MaxFileSizeBytes: most[k]})
			if err != nil {
				return nil, fmt.Errorf("preparing to find packages: %w", err)
			}
			f.by[k] = append(f.by[k], e)
		}
	}
	return f, nil
}

// File reads an entry that is wanted; nil is a file that tells nothing. The error is ctx's,
// or that of the entry's body.
func (f *Finder) File(ctx context.Context, e *image.Entry) (*Found, error) {
	k := kindOf(e)
	if k == nothing {
		return nil, nil
	}
	if e.Kind == image.HardLink {
		return &Found{Path: e.Path, Layer: e.Layer, Link: e.Link}, nil
	}
	found := &Found{Path: e.Path, Layer: e.Layer, Lock: k == npmLock || k == yarnLock || k == pnpmLock}
	if e.Size > most[k] {
		found.Unread = fmt.Sprintf("it has %d bytes, and %d is the most", e.Size, most[k])
		return found, nil
	}
	body := &remembering{r: e.Body}
	err := f.file(ctx, k, e, body, found)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case body.err != nil:
		return nil, body.err
	case err != nil:
		found.Unread = told(err)
	}
	if found.Unread == "" && found.Packages == nil && found.OS == nil && found.Owns == nil {
		return nil, nil
	}
	return found, nil
}

// told is an error as a report has it.
func told(err error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(err.Error(), "\n", "; "), "\uFFFD")
	return text[:min(len(text), 300)]
}

// remembering keeps the error of a body apart from those of who reads it.
type remembering struct {
	r   io.Reader
	err error
}

func (r *remembering) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (f *Finder) file(ctx context.Context, k kind, e *image.Entry, body io.Reader, found *Found) error {
	switch k {
	case osRelease:
		o, err := readOS(body)
		found.OS = o
		return err
	case dpkgList:
		name := strings.TrimSuffix(filepath.Base(e.Path), ".list")
		name, _, _ = strings.Cut(name, ":")
		var lines strings.Builder
		_, err := io.Copy(&lines, body)
		if lines.Len() > 0 {
			found.Owns = []Owned{{name, lines.String()}}
		}
		return err
	case dpkgStatus, apkDB, npmLock, yarnLock, pnpmLock, installedPHP, depsJSON:
		content, err := f.seekable(body, e.Size, e.Size, &f.buffer)
		if err != nil {
			return err
		}
		defer content.Close()
		return f.text(ctx, k, e, f.buffer.Bytes(), found)
	case executable:
		return f.executable(ctx, e, body, found)
	case rpmDB:
		return f.rpm(ctx, body, found)
	case javaArchive:
		return f.java(ctx, e, body, found)
	}
	return f.extract(ctx, k, e, body, found)
}

// text reads a file of many records.
func (f *Finder) text(ctx context.Context, k kind, e *image.Entry, data []byte, found *Found) error {
	if err := f.tooMuch(k, data); err != nil {
		return err
	}
	switch k {
	case apkDB:
		found.ownedByAPK(data)
	case installedPHP, depsJSON:
		if !json.Valid(data) { // which depsjson passes over
			return errors.New("it is no JSON")
		}
		if trimmed := bytes.TrimSpace(data); k == installedPHP && trimmed[0] == '[' { // Composer 1
			data = slices.Concat([]byte(`{"packages":`), trimmed, []byte("}"))
		}
	}
	return f.extract(ctx, k, e, bytes.NewReader(data), found)
}

// marks are what executables with build information of Go, or of cargo auditable, hold:
// debug/buildinfo's magic, and the name of the section.
var marks = [][]byte{[]byte("\xff Go buildinf:"), []byte(".dep-v0")}

// inMemory is up to which size a file that is sought in is kept in memory.
const inMemory = 16 << 20

// executable reads a program if it is one that tells.
func (f *Finder) executable(ctx context.Context, e *image.Entry, body io.Reader, found *Found) error {
	r := bufio.NewReaderSize(body, 64<<10)
	if magic, err := r.Peek(4); err != nil || string(magic) != "\x7fELF" {
		return nil
	}
	content, err := f.seekable(r, e.Size, inMemory, &f.buffer)
	if err != nil {
		return err
	}
	defer content.Close()
	switch is, err := isMarked(content); {
	case err != nil:
		return err
	case !is:
		return nil
	}
	if err := auditable(content); err != nil {
		return err
	}
	return f.extract(ctx, executable, e, content, found)
}

// mostAuditable is how many bytes what cargo auditable puts in may have, packed or unpacked:
// a large program's has some 100 kB.
const mostAuditable = 4 << 20

// auditable is an error where unpacking what cargo auditable puts in would take more than a
// bound, which the extractor has none for.
func auditable(r io.ReaderAt) error {
	program, err := elf.NewFile(r)
	if err != nil {
		return nil // which no extractor reads either
	}
	for _, name := range []string{".dep-v0", ".rust-deps-v0"} {
		s := program.Section(name)
		if s == nil {
			continue
		}
		if s.Flags&elf.SHF_COMPRESSED != 0 || s.Size > mostAuditable {
			return fmt.Errorf("its section %s is compressed twice, or has more than %d bytes", name, mostAuditable)
		}
		z, err := zlib.NewReader(s.Open())
		if err != nil {
			return fmt.Errorf("its section %s: %w", name, err)
		}
		if n, _ := io.CopyN(io.Discard, z, mostAuditable+1); n > mostAuditable {
			return fmt.Errorf("its section %s has more than %d bytes when unpacked", name, mostAuditable)
		}
	}
	return nil
}

func marked(data []byte) bool {
	for _, m := range marks {
		if bytes.Contains(data, m) {
			return true
		}
	}
	return false
}

// isMarked looks at a file from its beginning on.
func isMarked(file io.ReadSeeker) (bool, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	const overlap = 32
	buf := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(file, buf[kept:])
		if marked(buf[:kept+n]) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		kept = copy(buf, buf[kept+n-overlap:kept+n])
	}
}

// spool writes a file to disk, without a name there.
func (f *Finder) spool(r io.Reader) (*os.File, error) {
	file, err := os.CreateTemp(f.temp, "plimsoll-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(file.Name())
	if err == nil {
		_, err = io.Copy(file, r)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// seekable is a file that was read, in memory or on disk.
type seekable interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// inBuffer is one in memory.
type inBuffer struct{ *bytes.Reader }

func (inBuffer) Close() error { return nil }

// seekable reads a file of some bytes to where it can be sought in: into the buffer up to a
// size, else to disk.
func (f *Finder) seekable(body io.Reader, size, inMemory int64, b *bytes.Buffer) (seekable, error) {
	body = io.LimitReader(body, size)
	if size > inMemory {
		return f.spool(body)
	}
	b.Reset()
	b.Grow(int(size) + bytes.MinRead) // which spares ReadFrom doubling it
	if _, err := b.ReadFrom(body); err != nil {
		return nil, err
	}
	return inBuffer{bytes.NewReader(b.Bytes())}, nil
}

// rpm reads a database of rpm, which SQLite opens by its path.
func (f *Finder) rpm(ctx context.Context, body io.Reader, found *Found) (err error) {
	dir, err := os.MkdirTemp(f.temp, "plimsoll-rpm-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := os.OpenFile(filepath.Join(dir, "db"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return rpmdb.Read(ctx, file.Name(), func(p *rpmdb.Package) error {
		if p.Name == "gpg-pubkey" {
			return nil // a key that rpm trusts, kept as a package without files
		}
		found.Packages = append(found.Packages, ofRPM(p, found.Path))
		found.owns(p.Name, p.Files())
		return nil
	})
}

func (f *Finder) extract(ctx context.Context, k kind, e *image.Entry, r io.Reader, found *Found) error {
	return f.run(ctx, k, &filesystem.ScanInput{FS: empty{}, Path: strings.TrimPrefix(e.Path, "/"), Info: info{e}, Reader: r}, found)
}

// run has each extractor of a kind read a file.
func (f *Finder) run(ctx context.Context, k kind, in *filesystem.ScanInput, found *Found) error {
	for _, x := range f.by[k] {
		if s, is := in.Reader.(io.Seeker); is {
			if _, err := s.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
		packages, err := guarded(ctx, x, in)
		for _, p := range packages {
			if p := packageOf(k, p, found.Path); p.Name != "" {
				found.Packages = append(found.Packages, p)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// guarded runs an extractor; its panic is its error.
func guarded(ctx context.Context, x filesystem.Extractor, in *filesystem.ScanInput) (list []*extractor.Package, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the extractor %s broke off: %v", x.Name(), p)
		}
	}()
	inv, err := x.Extract(ctx, in)
	return inv.Packages, err
}

// empty is a file system without files: an extractor sees the one that it is given.
type empty struct{}

func (empty) Open(name string) (fs.File, error)          { return nil, absent("open", name) }
func (empty) ReadDir(name string) ([]fs.DirEntry, error) { return nil, absent("readdir", name) }
func (empty) Stat(name string) (fs.FileInfo, error)      { return nil, absent("stat", name) }

func absent(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// info is an entry as a file's information.
type info struct{ e *image.Entry }

func (i info) Name() string       { return filepath.Base(i.e.Path) }
func (i info) Size() int64        { return i.e.Size }
func (i info) Mode() fs.FileMode  { return i.e.Mode }
func (i info) ModTime() time.Time { return i.e.Modified }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

// silent takes what extractors would print.
type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Infof(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
func (silent) Error(...any)          {}
func (silent) Warn(...any)           {}
func (silent) Info(...any)           {}
func (silent) Debug(...any)          {}
