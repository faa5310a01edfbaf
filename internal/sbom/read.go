package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// MaxBytes is the longest document that is read.
const MaxBytes = 256 << 20

// Read reads a document of CycloneDX (JSON, 1.2 to 1.7) or SPDX (JSON, 2.2 and 2.3), by
// whoever wrote it, as far as it says what there is; and one that is in a statement of
// in-toto, or under "SPDX", as docker buildx has it. What it names without a package URL that
// can be read is in Unread, and so is what its writer could not read, where that was this
// package. Name stands in messages.
func Read(name string, data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes, and %d is the most", name, len(data), MaxBytes)
	}
	d := &Document{Name: name, Packages: []Package{}}
	if err := d.read(name, data, true); err != nil {
		return nil, err
	}
	for i := range d.Packages {
		if p := &d.Packages[i]; p.Type == Deb || p.Type == APK || p.Type == RPM {
			if d.OS.ID == "" {
				d.OS = p.Distro
			}
			p.of(d.OS)
		}
	}
	slices.SortStableFunc(d.Packages, func(a, b Package) int { return a.Compare(&b) })
	d.Packages = slices.CompactFunc(d.Packages, func(a, b Package) bool { return reflect.DeepEqual(a, b) })
	slices.Sort(d.Unread)
	return d, nil
}

// read reads one document, or the one in it: wrapped says that there may be one.
func (d *Document) read(name string, data []byte, wrapped bool) error {
	var form struct {
		Format    string          `json:"bomFormat"`
		Version   string          `json:"spdxVersion"`
		Predicate json.RawMessage `json:"predicate"`
		SPDX      json.RawMessage `json:"SPDX"`
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return fmt.Errorf("%s is no JSON; documents of CycloneDX and SPDX are read as JSON alone", name)
	}
	if _, err := strict.Decode(name, data, &form); err != nil {
		return err
	}
	inner := form.Predicate
	if len(inner) == 0 {
		inner = form.SPDX
	}
	var err error
	switch {
	case form.Format == "CycloneDX":
		err = d.readCycloneDX(name, data)
	case form.Version == "SPDX-2.2", form.Version == "SPDX-2.3":
		err = d.readSPDX(name, data)
	case form.Version != "":
		err = fmt.Errorf("it is of %.50q, and SPDX-2.2 and SPDX-2.3 are read", form.Version)
	case wrapped && len(inner) > 0:
		return d.read(name, inner, false)
	default:
		err = errors.New(`it has neither "bomFormat": "CycloneDX" nor an "spdxVersion"`)
	}
	var placed *strict.Error
	if err != nil && !errors.As(err, &placed) { // which names the document itself
		err = fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// of says which distribution a package is of whose own word for that is nothing, or no more
// than the document's.
func (p *Package) of(o OS) {
	own := &p.Distro
	if own.ID == "" || own.ID == o.ID && (own.VersionID == "" || own.VersionID == o.VersionID) {
		if own.Codename != "" && o.VersionID == "" {
			o.Codename = own.Codename
		}
		*own = o
	}
}

// spelt takes the name as the document has it beside the package URL, which for some types
// has small letters alone; the records of their ecosystems tell capital letters apart. A name
// that is another one does not count.
func (p *Package) spelt(names ...string) {
	fold := func(s string) string {
		if p.Type == PyPI {
			s = strings.ReplaceAll(s, "_", "-")
		}
		return strings.ToLower(s)
	}
	for _, name := range names {
		if fold(name) == fold(p.Name) {
			p.Name = name
			return
		}
	}
}

// maxLayers is more than any engine stacks.
const maxLayers = 1000

// place says what is known of a layer, by its number from 1, and gives its position; -1 for a
// number that none has. What was known before stays.
func (d *Document) place(number int, l Layer) int {
	if number < 1 || number > maxLayers {
		return -1
	}
	for len(d.Layers) < number {
		d.Layers = append(d.Layers, Layer{})
	}
	if at := &d.Layers[number-1]; *at == (Layer{}) {
		*at = l
	}
	return number - 1
}

// tell says what could not be read.
func (d *Document) tell(text string) {
	if text != "" {
		d.Unread = append(d.Unread, text)
	}
}

func unreadPackage(name, version, url string, err error) string {
	what := strings.TrimSpace(name + " " + version)
	if url == "" {
		return fmt.Sprintf("%.200s: it has no package URL", what)
	}
	return fmt.Sprintf("%.200s: %v", what, err)
}
