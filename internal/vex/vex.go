// Package vex reads what the makers of software say of flaws in it, in documents of VEX: that
// a flaw which its version is known to have does it no harm, is mended, does harm, or is
// looked into.
//
// [Read] gives [Documents] of files and folders; [Documents.Say] finds the newest [Statement]
// about a flaw of a package in an [Image]. Read are OpenVEX 0.2.0
// (https://github.com/openvex/spec) and the vulnerabilities of CycloneDX 1.4 to 1.6 that have
// an analysis (https://cyclonedx.org/docs/1.6/json/). A document is taken whole or refused:
// half of it could be the half that is no longer true.
//
// The package does not know who wrote a document: whoever names the files trusts them. It has
// no clock, and hides nothing: what a statement means for a finding is for its caller.
package vex

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	purl "github.com/package-url/packageurl-go"
)

// Status is what a statement says of a flaw, in OpenVEX's words.
type Status string

// The statuses, in the order in which of two statements of the same time one counts: what is
// worse is believed.
const (
	Affected    Status = "affected"
	Looking     Status = "under_investigation"
	Fixed       Status = "fixed"
	NotAffected Status = "not_affected"
)

var statuses = []Status{Affected, Looking, Fixed, NotAffected}

// Statement is what a document says of one flaw, of some products.
type Statement struct {
	// IDs are the flaw's name and its aliases.
	IDs    []string
	Status Status
	// Justification is the reason in a word of OpenVEX or CycloneDX, Impact the reason in
	// words, Action what is to be done; each "" where the document does not say it.
	// NotAffected has one of the first two, but for what CycloneDX calls false_positive,
	// which is its Justification then.
	Justification, Impact, Action string
	// Time is when this was last said; zero where the document does not tell.
	Time time.Time
	// Author is who says so, by the document's own word, and Document its id.
	Author, Document string
	// File is where it was read, and Index its place there, from 0.
	File  string
	Index int

	products []product
}

// product is what a statement is about: a package; an image; or packages in an image, which
// are then in parts.
type product struct {
	whole target
	parts []target
}

// Bounds on what is read; documents in use have a thousandth of it.
const (
	maxBytes = 64 << 20 // of a document
	maxFiles = 100_000
	maxTotal = 1 << 30 // of all documents
)

// Documents are statements, by flaw.
type Documents struct {
	statements []Statement
	byID       map[string][]int
	// Skipped are files of named folders that are JSON and of neither form.
	Skipped []string
}

// Len is how many statements there are.
func (d *Documents) Len() int { return len(d.statements) }

// errForm is for what is no document of VEX: a folder may hold other files, a name may not.
var errForm = errors.New(`it is neither OpenVEX ("@context": "https://openvex.dev/ns/v0.2.0") nor CycloneDX ("bomFormat": "CycloneDX")`)

// Read reads files, and of folders and those below them the files that end in .json. What
// cannot be read as a whole is an error with the file and, where it is about a statement, its
// index.
func Read(paths ...string) (*Documents, error) {
	d := &Documents{byID: map[string][]int{}}
	files, left := 0, int64(maxTotal)
	take := func(path string, named bool) error {
		if files++; files > maxFiles {
			return fmt.Errorf("%s: there are more than %d files", path, maxFiles)
		}
		data, err := readFile(path)
		if err != nil {
			return err
		}
		if left -= int64(len(data)); left < 0 {
			return fmt.Errorf("%s: the files have more than %d bytes, which is the most", path, int64(maxTotal))
		}
		list, err := parse(path, data)
		if errors.Is(err, errForm) && !named {
			d.Skipped = append(d.Skipped, path)
			return nil
		}
		if err != nil {
			return err
		}
		d.add(list)
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if err := take(path, true); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(path, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), ".json") {
				return err
			}
			return take(path, false)
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would be waited for
		return nil, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%s has more than %d bytes, which is the most", path, maxBytes)
	}
	return data, nil
}

// add takes the statements of a document.
func (d *Documents) add(list []Statement) {
	for _, s := range list {
		for _, id := range s.IDs {
			key := fold(id)
			if at := d.byID[key]; len(at) == 0 || at[len(at)-1] != len(d.statements) {
				d.byID[key] = append(at, len(d.statements))
			}
		}
		d.statements = append(d.statements, s)
	}
}

// fold is an id as it is compared: some write GHSA's in capitals.
func fold(id string) string { return strings.ToUpper(id) }

// Say gives the newest statement about a flaw, by any of its ids, of a package, by its package
// URL, in an image. A statement is about it if it names
//
//   - the package, as a product of its own: of the same type, namespace and name, the same
//     version and subpath where it gives one, and no qualifier that the package has not;
//   - the image, without parts: then it is about every package there;
//   - the image, and the package as a part of it.
//
// Of statements of the same time the worse counts. A package URL that cannot be read is no
// package; what is said of the whole image counts nevertheless.
//
// Records of a distribution are about source packages, and statements may name either: whoever
// has both asks for both.
func (d *Documents) Say(ids []string, packageURL string, image Image) (Statement, bool) {
	about := d.of(ids)
	if len(about) == 0 { // so it is with most
		return Statement{}, false
	}
	var in *purl.PackageURL
	if u, err := purl.FromString(packageURL); err == nil {
		in = canonical(u)
	}
	return d.newest(about, in, image.known())
}

// of are the statements about a flaw.
func (d *Documents) of(ids []string) []int {
	var list []int
	for _, id := range ids {
		list = append(list, d.byID[fold(id)]...)
	}
	return list
}

// newest is that of some statements which counts for a package in an image.
func (d *Documents) newest(list []int, in *purl.PackageURL, at *known) (Statement, bool) {
	best := -1
	for _, n := range list {
		s := &d.statements[n]
		if s.about(in, at) && (best < 0 || s.compare(&d.statements[best]) > 0) {
			best = n
		}
	}
	if best < 0 {
		return Statement{}, false
	}
	return d.statements[best], true
}

// compare orders statements by which counts, the one that does last.
func (s *Statement) compare(other *Statement) int {
	return cmp.Or(s.Time.Compare(other.Time), cmp.Compare(slices.Index(statuses, other.Status), slices.Index(statuses, s.Status)),
		cmp.Compare(s.File, other.File), cmp.Compare(s.Index, other.Index))
}

func (s *Statement) about(in *purl.PackageURL, at *known) bool {
	return slices.ContainsFunc(s.products, func(p product) bool {
		if p.parts == nil {
			return p.whole.isPackage(in) || p.whole.isImage(at)
		}
		return p.whole.isImage(at) && slices.ContainsFunc(p.parts, func(t target) bool { return t.isPackage(in) })
	})
}
