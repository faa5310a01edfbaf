package extract

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image"
)

// kind is what a file tells of.
type kind uint8

const (
	nothing kind = iota
	osRelease
	dpkgStatus
	dpkgList
	apkDB
	rpmDB
	executable
	javaArchive
	npmPackage
	npmLock
	yarnLock
	pnpmLock
	wheel
	gemSpec
	installedPHP
	depsJSON
)

// most is how many bytes a file of each kind may have: several times as many as real ones.
// Programs, archives and databases of RPM have some hundred MiB.
var most = [...]int64{osRelease: 1 << 20, dpkgStatus: 32 << 20, dpkgList: 4 << 20, apkDB: 32 << 20, rpmDB: 1 << 30, executable: 1 << 30, javaArchive: 1 << 30,
	npmPackage: 4 << 20, npmLock: 32 << 20, yarnLock: 32 << 20, pnpmLock: 8 << 20, wheel: 4 << 20, gemSpec: 4 << 20, installedPHP: 32 << 20, depsJSON: 16 << 20}

// records is what each record of a kind of file begins or ends with. Extractors take up to
// some hundred times the bytes of small ones in memory.
var records = [...]string{dpkgStatus: "\n\n", apkDB: "\n\n", npmLock: "{", yarnLock: "\n\n", pnpmLock: ":\n", installedPHP: "{", depsJSON: "{"}

// mostRecords is how many there may be: distributions have some 10,000. mostWork is how many
// they may be, times the bytes of the file, where the extractor looks through the file for
// each; that takes up to half a minute, and real lock files make a tenth of it. All of an
// image may take four times as much.
const (
	mostRecords   = 200_000
	mostWork      = 1 << 36
	mostWorkOfAll = 4 * mostWork
)

// tooMuch is an error where a file would make an extractor work beyond bounds.
func (f *Finder) tooMuch(k kind, data []byte) error {
	n := int64(bytes.Count(data, []byte(records[k])))
	if n > mostRecords {
		return fmt.Errorf("it has %d records, and %d is the most", n, mostRecords)
	}
	switch k {
	case npmLock, pnpmLock, installedPHP:
		work := n * int64(len(data))
		if work > mostWork {
			return fmt.Errorf("it has %d records in %d bytes, which takes too long to read", n, len(data))
		}
		if work > f.work {
			f.exhausted = true
			return errors.New("the files like it in the image take too long to read")
		}
		f.work -= work
	}
	return nil
}

// leastProgram is how large an executable of Go or Rust is at least: neither links one of
// less than some hundred KiB.
const leastProgram = 100 << 10

// Wants says whether an entry is one that tells of packages.
func (f *Finder) Wants(e *image.Entry) bool { return kindOf(e) != nothing }

func kindOf(e *image.Entry) kind {
	link := e.Kind == image.HardLink // which has no size of its own
	if e.Kind != image.Plain && !link || !e.Mode.IsRegular() || e.Size == 0 && !link {
		return nothing
	}
	if k := kindOfPath(e.Path); k != nothing {
		return k
	}
	if e.Mode&0o111 != 0 && (link || e.Size >= leastProgram) {
		return executable
	}
	return nothing
}

// kindOfPath is the kind of what is told by its path.
func kindOfPath(p string) kind {
	slash := strings.LastIndexByte(p, '/')
	base := p[slash+1:]
	switch base {
	case "os-release":
		if p == "/etc/os-release" || p == "/usr/lib/os-release" {
			return osRelease
		}
	case "status":
		if p == "/var/lib/dpkg/status" {
			return dpkgStatus
		}
	case "installed":
		if p == "/lib/apk/db/installed" || p == "/usr/lib/apk/db/installed" {
			return apkDB
		}
	case "Packages", "Packages.db", "rpmdb.sqlite":
		switch p[:slash] {
		case "/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm":
			return rpmDB
		}
	case "package.json":
		if isInstalledByNPM(p[:slash]) {
			return npmPackage
		}
		return nothing
	case "package-lock.json":
		return outsideModules(p, npmLock)
	case "yarn.lock":
		return outsideModules(p, yarnLock)
	case "pnpm-lock.yaml":
		return outsideModules(p, pnpmLock)
	case "METADATA":
		if strings.HasSuffix(p[:slash], ".dist-info") {
			return wheel
		}
	case "PKG-INFO":
		if strings.HasSuffix(p[:slash], ".egg-info") || strings.HasSuffix(p[:slash], ".egg/EGG-INFO") {
			return wheel
		}
	case "installed.json":
		if strings.HasSuffix(p[:slash], "/vendor/composer") {
			return installedPHP
		}
	}
	switch path.Ext(base) {
	case ".list":
		if p[:slash] == "/var/lib/dpkg/info" {
			return dpkgList
		}
	case ".jar", ".war", ".ear", ".jpi", ".hpi", ".par", ".sar", ".nar", ".lpkg":
		return javaArchive
	case ".egg-info":
		return wheel
	case ".gemspec":
		if strings.Contains(p, "/specifications/") {
			return gemSpec
		}
	case ".json":
		if strings.HasSuffix(base, ".deps.json") {
			return depsJSON
		}
	}
	if p[:max(slash, 0)] == "/var/lib/dpkg/status.d" && !strings.HasSuffix(base, ".md5sums") {
		return dpkgStatus
	}
	return nothing
}

// isInstalledByNPM is true for the folder of a package: node_modules/NAME or
// node_modules/@SCOPE/NAME.
func isInstalledByNPM(dir string) bool {
	above := path.Dir(dir)
	if strings.HasPrefix(path.Base(above), "@") {
		above = path.Dir(above)
	}
	return path.Base(above) == "node_modules"
}

func outsideModules(p string, k kind) kind {
	if strings.Contains(p, "/node_modules/") {
		return nothing
	}
	return k
}
