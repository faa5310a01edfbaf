package facts

import (
	"time"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// Contents are what the files of an image are that was looked into. Paths begin with a
// slash; those that are no UTF-8 have U+FFFD in them. Lists are sorted, and have at most
// MaxPaths entries: what goes beyond is unseen.
type Contents struct {
	// ID is the image's digest, Name what it was asked for as.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Distribution is the name of its distribution, "" for none, and SupportEnds the last
	// day on which anybody mends that for free, where it is known.
	Distribution string    `json:"distribution"`
	SupportEnds  time.Time `json:"support_ends"`
	// Capable are programs with capabilities of their own (capabilities(7)).
	Capable []CapableFile `json:"capable"`
	// WorldWritable are files, and folders without the sticky bit, that everybody may
	// write to.
	WorldWritable []string `json:"world_writable"`
	// Devices are device files beyond those that engines make.
	Devices []string `json:"devices"`
	// EmptyPasswords are accounts that need none, and Roots those beside root with uid 0.
	EmptyPasswords []string `json:"empty_passwords"`
	Roots          []string `json:"roots"`
	// Shells, Compilers, PackageManagers and NetworkTools are programs by their paths.
	Shells          []string `json:"shells"`
	Compilers       []string `json:"compilers"`
	PackageManagers []string `json:"package_managers"`
	NetworkTools    []string `json:"network_tools"`
	// HostKeys are keys of an SSH server, AuthorizedKeys files with keys that may log in.
	HostKeys       []string `json:"host_keys"`
	AuthorizedKeys []string `json:"authorized_keys"`
	// Repositories are folders of version control.
	Repositories []string `json:"repositories"`
	// Caches are of package managers.
	Caches []Bytes `json:"caches"`
	// Documentation is how many bytes of documentation, manuals and translations there are.
	Documentation int64 `json:"documentation"`
	// Executables is how many files can be run: those with a right to it, each name once.
	Executables int64 `json:"executables"`
	// Duplicates are files that are equal, those that waste most first; files of less than
	// 4 KiB are not compared. That they are equal is by a sum that whoever makes an image can
	// forge: it is advice, and nothing is decided by it.
	Duplicates []Duplicate `json:"duplicates"`
	// Unlinked are libraries in the folders of the loader that no program or library of the
	// image needs. A program may still load one by its name (dlopen(3)).
	Unlinked []Bytes `json:"unlinked"`
	// Layers are what became of the bytes of each layer, the lowest first.
	Layers []LayerBytes `json:"layers"`
	// Size is the bytes of all layers' files, and Wasted those that later layers replaced or
	// took away: they are still in the image. Efficiency is the share that is not wasted.
	Size       int64   `json:"size"`
	Wasted     int64   `json:"wasted"`
	Efficiency float64 `json:"efficiency"`
	// Unseen is what of it was not observed.
	Unseen []workload.Unseen `json:"-"`
}

// CapableFile is a program with capabilities.
type CapableFile struct {
	Path string `json:"path"`
	// Capabilities are their names without CAP_, sorted.
	Capabilities []string `json:"capabilities"`
}

// Duplicate is several equal files.
type Duplicate struct {
	Paths []string `json:"paths"`
	// Bytes is the size of one, and Saved that of all but one.
	Bytes int64 `json:"bytes"`
	Saved int64 `json:"saved"`
}

// LayerBytes is what a layer's files take, and what of it is vain since later entries
// overwrote or deleted them.
type LayerBytes struct {
	Bytes       int64 `json:"bytes"`
	Overwritten int64 `json:"overwritten"`
	Deleted     int64 `json:"deleted"`
}

// Bytes is a file with its size, or a folder with that of what is in it.
type Bytes struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// MaxPaths is how many paths a list of Contents has at most.
const MaxPaths = 1000
