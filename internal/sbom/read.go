package sbom

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// MaxBytes is the longest document that is read.
const MaxBytes = 256 << 20

// Read reads a document of CycloneDX (JSON, 1.2 to 1.6) or SPDX (JSON, 2.2 and 2.3), by
// whoever wrote it, as far as it says what there is. What it names without a package URL
// that can be read is in Unread. Name stands in messages.
func Read(name string, data []byte) (*Document, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%s has %d bytes, and %d is the most", name, len(data), MaxBytes)
	}
	var form struct {
		Format string `json:"bomFormat"`
		SPDX   string `json:"spdxVersion"`
	}
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, fmt.Errorf("%s is no JSON; documents of CycloneDX and SPDX are read as JSON alone", name)
	}
	if _, err := strict.Decode(name, data, &form); err != nil {
		return nil, err
	}
	d := &Document{Name: name, Packages: []Package{}}
	var err error
	switch {
	case form.Format == "CycloneDX":
		err = d.readCycloneDX(data)
	case slices.Contains([]string{"SPDX-2.2", "SPDX-2.3"}, form.SPDX):
		err = d.readSPDX(data)
	case form.SPDX != "":
		err = fmt.Errorf("it is of %.50q, and SPDX-2.2 and SPDX-2.3 are read", form.SPDX)
	default:
		err = errors.New(`it has neither "bomFormat": "CycloneDX" nor an "spdxVersion"`)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range d.Packages {
		p := &d.Packages[i]
		switch p.Type {
		case Deb, APK, RPM:
			if d.OS.ID == "" {
				d.OS = p.Distro
			}
			if d.OS.ID == p.Distro.ID && p.Distro.VersionID == "" {
				p.Distro = d.OS
			}
		}
	}
	slices.SortFunc(d.Packages, func(a, b Package) int { return a.Compare(&b) })
	d.Packages = slices.CompactFunc(d.Packages, func(a, b Package) bool { return a.Compare(&b) == 0 })
	slices.Sort(d.Unread)
	return d, nil
}

// component is one of CycloneDX, with what is read of it.
type component struct {
	Type       string      `json:"type"`
	Name       string      `json:"name"`
	Version    string      `json:"version"`
	PURL       string      `json:"purl"`
	Components []component `json:"components"`
	Evidence   struct {
		Occurrences []struct {
			Location string `json:"location"`
		} `json:"occurrences"`
	} `json:"evidence"`
	Licenses []struct {
		License struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"license"`
		Expression string `json:"expression"`
	} `json:"licenses"`
	Properties []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"properties"`
}

func (c *component) property(names ...string) string {
	for _, name := range names {
		for _, p := range c.Properties {
			if p.Name == name {
				return p.Value
			}
		}
	}
	return ""
}

// maxDepth is how deep components may be in each other.
const maxDepth = 64

func (d *Document) readCycloneDX(data []byte) error {
	var b struct {
		Metadata struct {
			Component component `json:"component"`
		} `json:"metadata"`
		Components []component `json:"components"`
	}
	if _, err := strict.Decode(d.Name, data, &b); err != nil {
		return err
	}
	of := &b.Metadata.Component
	for _, one := range []struct {
		into *digest.Digest
		text string
	}{{&d.ID, of.property("plimsoll:id", "aquasecurity:trivy:ImageID")}, {&d.Manifest, of.property("plimsoll:manifest")}} {
		if id := digest.Digest(one.text); id.Validate() == nil {
			*one.into = id
		}
	}
	return d.components(b.Components, 0)
}

func (d *Document) components(list []component, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("its components are more than %d deep in each other", maxDepth)
	}
	for i := range list {
		c := &list[i]
		if err := d.components(c.Components, depth+1); err != nil {
			return err
		}
		switch c.Type {
		case "operating-system":
			d.OS = OS{ID: strings.ToLower(c.Name), VersionID: c.Version, Codename: c.property("plimsoll:codename"), Like: strings.Fields(c.property("plimsoll:like"))}
			continue
		case "file", "data", "container", "device", "firmware", "cryptographic-asset", "machine-learning-model", "platform", "device-driver":
			continue
		}
		if c.PURL == "" && c.Type != "library" { // the application itself, a lock file
			continue
		}
		p, err := FromPURL(c.PURL)
		if err != nil {
			d.Unread = append(d.Unread, unreadPackage(c.Name, c.Version, c.PURL, err))
			continue
		}
		if n := c.property("aquasecurity:trivy:SrcName"); n != "" && p.Source == (Source{}) {
			p.SetSource(n, trivyVersion(c.property))
		}
		p.Owner = c.property("plimsoll:owner")
		for _, o := range c.Evidence.Occurrences {
			p.Path = cmp.Or(p.Path, o.Location)
		}
		p.Path = cmp.Or(p.Path, c.property("aquasecurity:trivy:FilePath", "syft:location:0:path"))
		for _, l := range c.Licenses {
			if text := cmp.Or(l.Expression, l.License.ID, l.License.Name); text != "" {
				p.Licences = append(p.Licences, text)
			}
		}
		d.Packages = append(d.Packages, p)
	}
	return nil
}

// trivyVersion is the version of a source, of which trivy makes three properties.
func trivyVersion(property func(...string) string) string {
	version := property("aquasecurity:trivy:SrcVersion")
	if r := property("aquasecurity:trivy:SrcRelease"); r != "" {
		version += "-" + r
	}
	if e := property("aquasecurity:trivy:SrcEpoch"); e != "" && e != "0" {
		version = e + ":" + version
	}
	return version
}

func unreadPackage(name, version, url string, err error) string {
	what := strings.TrimSpace(name + " " + version)
	if url == "" {
		return fmt.Sprintf("%.200s: it has no package URL", what)
	}
	return fmt.Sprintf("%.200s: %v", what, err)
}

// conjuncts splits a licence expression as WriteSPDX joins several.
func conjuncts(expression string) []string {
	if !strings.HasPrefix(expression, "(") && !strings.Contains(expression, "LicenseRef-") {
		return []string{expression}
	}
	var parts []string
	depth, from := 0, 0
	take := func(to int) {
		part := strings.TrimSpace(expression[from:to])
		if strings.HasPrefix(part, "(") && strings.HasSuffix(part, ")") {
			part = part[1 : len(part)-1]
		}
		parts = append(parts, part)
	}
	for i := 0; i < len(expression); i++ {
		switch {
		case expression[i] == '(':
			depth++
		case expression[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(expression[i:], " AND "):
			take(i)
			from = i + len(" AND ")
			i = from - 1
		}
	}
	take(len(expression))
	return parts
}

func (d *Document) readSPDX(data []byte) error {
	var s spdx
	if _, err := strict.Decode(d.Name, data, &s); err != nil {
		return err
	}
	texts := map[string]string{}
	for _, l := range s.Extracted {
		texts[l.ID] = l.Text
	}
	described := map[string]bool{}
	for _, r := range s.Relations {
		if r.Type == "DESCRIBES" {
			described[r.Related] = true
		}
	}
	for i := range s.Packages {
		one := &s.Packages[i]
		switch {
		case one.Purpose == "OPERATING_SYSTEM", one.Purpose == "OPERATING-SYSTEM": // the schema's word, and the specification's
			d.OS = OS{ID: strings.ToLower(one.Name), VersionID: one.Version}
			continue
		case one.Purpose == "CONTAINER" || described[one.ID]:
			continue
		}
		url := ""
		for _, r := range one.References {
			if r.Type == "purl" {
				url = cmp.Or(url, r.Locator)
			}
		}
		p, err := FromPURL(url)
		if err != nil {
			d.Unread = append(d.Unread, unreadPackage(one.Name, one.Version, url, err))
			continue
		}
		if path, is := strings.CutPrefix(one.SourceInfo, "told by "); is {
			p.Path, _, _ = strings.Cut(path, "; ")
		}
		if one.Declared != "" && one.Declared != unsaid && one.Declared != "NONE" {
			for _, part := range conjuncts(one.Declared) {
				p.Licences = append(p.Licences, cmp.Or(texts[part], part))
			}
		}
		d.Packages = append(d.Packages, p)
	}
	return nil
}
