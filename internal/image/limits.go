package image

import (
	"cmp"
	"fmt"
)

// Limits bounds what an image may take. Zero is the default; each is beyond what images
// are that people run.
type Limits struct {
	// Document is how many bytes a manifest, an index or a configuration may have; all
	// together may have eight times that. Default 8 MiB (registries take manifests of 4
	// MiB).
	Document int64
	// Documents is how many indexes and manifests the indexes of a layout may name.
	// Default 4096.
	Documents int
	// Members is how many entries an archive of an image may have. Default 16,384.
	Members int
	// Layers is how many layers an image may have. Default 1024 (the engine's own limit
	// is 127).
	Layers int
	// Entries is how many entries all layers may have, with the folders that their paths
	// imply. Each that is kept takes some 200 bytes of memory. Default 1,000,000.
	Entries int
	// Path is how many bytes a path, or the target of a link, may have. Default 4096,
	// the kernel's PATH_MAX.
	Path int
	// File is how many bytes one file may have, holes of a sparse one too. Default 32
	// GiB.
	File int64
	// Layer is how many bytes one layer may have when unpacked, and Total all layers;
	// the bytes of files, with their holes, are bounded by Total once more. Defaults 64
	// and 128 GiB.
	Layer, Total int64
	// Ratio is how many times as long a layer may be unpacked as packed, from RatioFrom
	// bytes on. Defaults 200 and 1 GiB: gzip reaches 1030, real layers 3.
	Ratio, RatioFrom int64
	// Spool is how many bytes of disk an archive that is a stream, or compressed, may
	// take. Default 32 GiB.
	Spool int64
	// Window is how many bytes of what it has unpacked a zstd decoder may have to keep.
	// Default 128 MiB, as in the zstd program; common levels need 8 MiB.
	Window int64
	// Repositories is how many repositories a registry's catalog may name, and Tags how many
	// tags those that are listed may have in all. Defaults 10,000 and 100,000.
	Repositories, Tags int
}

// withDefaults fills in what is zero.
func (l Limits) withDefaults() Limits {
	const gib = 1 << 30
	l.Document = cmp.Or(l.Document, 8<<20)
	l.Documents = cmp.Or(l.Documents, 4096)
	l.Members = cmp.Or(l.Members, 16_384)
	l.Layers = cmp.Or(l.Layers, 1024)
	l.Entries = cmp.Or(l.Entries, 1_000_000)
	l.Path = cmp.Or(l.Path, 4096)
	l.File = cmp.Or(l.File, 32*gib)
	l.Layer = cmp.Or(l.Layer, 64*gib)
	l.Total = cmp.Or(l.Total, 128*gib)
	l.Ratio = cmp.Or(l.Ratio, 200)
	l.RatioFrom = cmp.Or(l.RatioFrom, gib)
	l.Spool = cmp.Or(l.Spool, 32*gib)
	l.Window = cmp.Or(l.Window, 128<<20)
	l.Repositories = cmp.Or(l.Repositories, 10_000)
	l.Tags = cmp.Or(l.Tags, 100_000)
	return l
}

// beyond is the error of what passes a limit.
func beyond[N int | int64](what string, most N, unit string) error {
	return fmt.Errorf("%s more than %d %s, the most that is read", what, most, unit)
}
