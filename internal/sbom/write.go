package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	purl "github.com/package-url/packageurl-go"
)

// Maker says who wrote a document, and when.
type Maker struct {
	Name, Version string
	At            time.Time
}

// Flaw is a known flaw of packages, as a CycloneDX document has it.
type Flaw struct {
	ID string
	// IDs are its other ids.
	IDs []string
	// Severity is critical, high, medium, low, info or unknown, Score the CVSS base score,
	// -1 for none, and Vector its vector.
	Severity string
	Score    float64
	Vector   string
	// Summary is a line, and Fixed the version from which on it is mended.
	Summary, Fixed string
	// Packages are the positions of those that have it.
	Packages []int
	// State is CycloneDX's impact analysis state, such as not_affected, "" for none, and
	// Why what was said about it.
	State, Why string
}

// uuid is a name-based UUID (RFC 9562, version 8) of all that a document says but for its
// time: the same image makes the same, and another list of flaws another.
func (d *Document) uuid(by Maker, flaws []Flaw) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode([]any{by.Name, by.Version, d, flaws}); err != nil {
		return "", fmt.Errorf("making the document's number: %w", err)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:], nil
}

// usedRefs gives names that are there once: a second of the same gets a number.
type usedRefs map[string]int

func (r usedRefs) unique(name string) string {
	r[name]++
	if n := r[name]; n > 1 {
		return r.unique(name + "#" + strconv.Itoa(n))
	}
	return name
}

// refs are names for the packages.
func (d *Document) refs(r usedRefs) []string {
	refs := make([]string, len(d.Packages))
	for i := range d.Packages {
		refs[i] = r.unique(cmp.Or(d.Packages[i].PURL(), "package"))
	}
	return refs
}

// imagePURL is the package URL of the image, by the digest of its manifest (purl-spec, oci);
// "" where that is not known.
func (d *Document) imagePURL() string {
	if d.Manifest == "" {
		return ""
	}
	name := "image"
	if len(d.Names) > 0 {
		name = d.Names[0]
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	if end := strings.IndexAny(name, ":@"); end >= 0 {
		name = name[:end]
	}
	u := purl.PackageURL{Type: purl.TypeOCI, Name: strings.ToLower(cmp.Or(name, "image")), Version: string(d.Manifest)}
	return u.ToString()
}
