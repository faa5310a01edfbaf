package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/github/go-spdx/v2/spdxexp"
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

// uuid is a name-based UUID (RFC 9562, version 8) of what a document says: the same image
// makes the same.
func (d *Document) uuid() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q", d.Name, d.ID, d.Manifest)
	for i := range d.Packages {
		fmt.Fprintf(h, " %q %q", d.Packages[i].PURL(), d.Packages[i].Path)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	s := hex.EncodeToString(b)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// refs are names for the packages, each once.
func (d *Document) refs() []string {
	seen := map[string]int{}
	refs := make([]string, len(d.Packages))
	for i := range d.Packages {
		url := cmp.Or(d.Packages[i].PURL(), "package")
		seen[url]++
		if n := seen[url]; n > 1 {
			url += "#" + strconv.Itoa(n)
		}
		refs[i] = url
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
	name, _, _ = strings.Cut(name, ":")
	return "pkg:oci/" + strings.ToLower(name) + "@" + strings.ReplaceAll(string(d.Manifest), ":", "%3A")
}

// property makes a list of properties of those that are not empty.
func property(pairs ...string) *[]cdx.Property {
	var list []cdx.Property
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, cdx.Property{Name: "plimsoll:" + pairs[i], Value: pairs[i+1]})
		}
	}
	if list == nil {
		return nil
	}
	return &list
}

// WriteCycloneDX writes the document as JSON of CycloneDX 1.6 (ECMA-424), with known flaws
// where there are any. Two of one image differ in their time alone.
func (d *Document) WriteCycloneDX(w io.Writer, by Maker, flaws []Flaw) error {
	b := cdx.NewBOM()
	b.SerialNumber = "urn:uuid:" + d.uuid()
	b.Metadata = &cdx.Metadata{
		Timestamp: by.At.UTC().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: by.Name, Version: by.Version}}},
		Component: &cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: cmp.Or(d.Name, "image"), Version: string(cmp.Or(d.Manifest, d.ID)), PackageURL: d.imagePURL(),
			Properties: property("id", string(d.ID), "manifest", string(d.Manifest), "names", strings.Join(d.Names, " "), "unread", strings.Join(d.Unread, "\n"))},
	}
	var list []cdx.Component
	if d.OS.ID != "" {
		list = append(list, cdx.Component{BOMRef: "os", Type: cdx.ComponentTypeOS, Name: d.OS.ID, Version: d.OS.VersionID, Description: d.OS.Name, Properties: property("codename", d.OS.Codename, "like", strings.Join(d.OS.Like, " "))})
	}
	refs := d.refs()
	for i := range d.Packages {
		p := &d.Packages[i]
		c := cdx.Component{BOMRef: refs[i], Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: p.PURL()}
		if p.Path != "" {
			c.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: p.Path}}}
		}
		layer, step, base := "", "", ""
		if p.Layer >= 0 && p.Layer < len(d.Layers) {
			l := d.Layers[p.Layer]
			layer, step, base = string(l.DiffID), l.Step, strconv.FormatBool(l.Base)
		}
		c.Properties = property("layer", layer, "step", step, "from_base", base, "source", p.Source.Name, "source_version", p.Source.Version, "owner", p.Owner)
		c.Licenses = licences(p.Licences)
		list = append(list, c)
	}
	b.Components = &list
	if flaws != nil {
		var out []cdx.Vulnerability
		for i := range flaws {
			out = append(out, flaws[i].cycloneDX(refs))
		}
		b.Vulnerabilities = &out
	}
	e := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON)
	e.SetPretty(true).SetEscapeHTML(true)
	if err := e.EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return fmt.Errorf("writing CycloneDX: %w", err)
	}
	return nil
}

// licences are one expression, or names and ids.
func licences(list []string) *cdx.Licenses {
	var out cdx.Licenses
	for _, l := range list {
		if isExpression(l) {
			if len(list) == 1 {
				return &cdx.Licenses{{Expression: l}}
			}
		}
		out = append(out, cdx.LicenseChoice{License: &cdx.License{Name: l}})
	}
	if out == nil {
		return nil
	}
	return &out
}

// isExpression is true for a licence expression of SPDX (its specification, annex D).
func isExpression(l string) bool {
	ok, _ := spdxexp.ValidateLicenses([]string{l})
	return ok && len(l) < 4096
}

func (f *Flaw) cycloneDX(refs []string) cdx.Vulnerability {
	v := cdx.Vulnerability{BOMRef: f.ID, ID: f.ID, Description: f.Summary}
	rating := cdx.VulnerabilityRating{Severity: cdx.Severity(f.Severity), Vector: f.Vector}
	if f.Score >= 0 {
		rating.Score = &f.Score
	}
	switch {
	case strings.HasPrefix(f.Vector, "CVSS:4.0/"):
		rating.Method = cdx.ScoringMethodCVSSv4
	case strings.HasPrefix(f.Vector, "CVSS:3.1/"):
		rating.Method = cdx.ScoringMethodCVSSv31
	case strings.HasPrefix(f.Vector, "CVSS:3.0/"):
		rating.Method = cdx.ScoringMethodCVSSv3
	case f.Vector != "":
		rating.Method = cdx.ScoringMethodCVSSv2
	}
	v.Ratings = &[]cdx.VulnerabilityRating{rating}
	if f.Fixed != "" {
		v.Recommendation = "upgrade to " + f.Fixed
	}
	var references []cdx.VulnerabilityReference
	for _, id := range f.IDs {
		if id != f.ID {
			references = append(references, cdx.VulnerabilityReference{ID: id, Source: &cdx.Source{Name: source(id)}})
		}
	}
	if references != nil {
		v.References = &references
	}
	var affects []cdx.Affects
	for _, n := range f.Packages {
		affects = append(affects, cdx.Affects{Ref: refs[n]})
	}
	v.Affects = &affects
	if f.State != "" {
		v.Analysis = &cdx.VulnerabilityAnalysis{State: cdx.ImpactAnalysisState(f.State), Detail: f.Why}
	}
	return v
}

// source is who gives ids of a kind.
func source(id string) string {
	name, _, _ := strings.Cut(id, "-")
	return name
}

// spdx is a document of SPDX 2.3 as JSON (spdx-spec, schemas/spdx-schema.json), with what
// of it is written here.
type spdx struct {
	Version   string         `json:"spdxVersion"`
	Licence   string         `json:"dataLicense"`
	ID        string         `json:"SPDXID"`
	Name      string         `json:"name"`
	Namespace string         `json:"documentNamespace"`
	Creation  spdxCreation   `json:"creationInfo"`
	Packages  []spdxPackage  `json:"packages"`
	Relations []spdxRelation `json:"relationships"`
	Extracted []spdxLicence  `json:"hasExtractedLicensingInfos,omitempty"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID         string    `json:"SPDXID"`
	Name       string    `json:"name"`
	Version    string    `json:"versionInfo,omitempty"`
	Download   string    `json:"downloadLocation"`
	Analyzed   bool      `json:"filesAnalyzed"`
	Purpose    string    `json:"primaryPackagePurpose,omitempty"`
	Concluded  string    `json:"licenseConcluded"`
	Declared   string    `json:"licenseDeclared"`
	Copyright  string    `json:"copyrightText"`
	SourceInfo string    `json:"sourceInfo,omitempty"`
	Comment    string    `json:"comment,omitempty"`
	References []spdxRef `json:"externalRefs,omitempty"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	Element string `json:"spdxElementId"`
	Related string `json:"relatedSpdxElement"`
	Type    string `json:"relationshipType"`
}

type spdxLicence struct {
	ID   string `json:"licenseId"`
	Text string `json:"extractedText"`
	Name string `json:"name"`
}

// unsaid is SPDX's word for what nobody said.
const unsaid = "NOASSERTION"

// WriteSPDX writes the document as JSON of SPDX 2.3 (ISO/IEC 5962). Two of one image differ
// in their time alone.
func (d *Document) WriteSPDX(w io.Writer, by Maker) error {
	s := spdx{Version: "SPDX-2.3", Licence: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: cmp.Or(d.Name, "image"), Namespace: "https://github.com/plimsoll/plimsoll/spdx/" + d.uuid(),
		Creation: spdxCreation{Created: by.At.UTC().Format(time.RFC3339), Creators: []string{"Tool: " + by.Name + "-" + by.Version}}}
	image := spdxPackage{ID: "SPDXRef-Image", Name: s.Name, Version: string(cmp.Or(d.Manifest, d.ID)), Download: unsaid, Purpose: "CONTAINER", Concluded: unsaid, Declared: unsaid, Copyright: unsaid,
		Comment: strings.Join(d.Unread, "\n")}
	if url := d.imagePURL(); url != "" {
		image.References = []spdxRef{{"PACKAGE-MANAGER", "purl", url}}
	}
	s.Packages = append(s.Packages, image)
	s.Relations = append(s.Relations, spdxRelation{s.ID, image.ID, "DESCRIBES"})
	if d.OS.ID != "" {
		s.Packages = append(s.Packages, spdxPackage{ID: "SPDXRef-OperatingSystem", Name: d.OS.ID, Version: d.OS.VersionID, Download: unsaid, Purpose: "OPERATING_SYSTEM", Concluded: unsaid, Declared: unsaid,
			Copyright: unsaid, Comment: d.OS.Name})
		s.Relations = append(s.Relations, spdxRelation{image.ID, "SPDXRef-OperatingSystem", "CONTAINS"})
	}
	extracted := map[string]string{} // ids by text
	for i := range d.Packages {
		p := &d.Packages[i]
		one := spdxPackage{ID: "SPDXRef-Package-" + strconv.Itoa(i+1), Name: p.Name, Version: p.Version, Download: unsaid, Concluded: unsaid, Declared: unsaid, Copyright: unsaid, SourceInfo: d.sourceInfo(p)}
		if url := p.PURL(); url != "" {
			one.References = []spdxRef{{"PACKAGE-MANAGER", "purl", url}}
		}
		var parts []string
		for _, l := range p.Licences {
			if !isExpression(l) {
				id := extracted[l]
				if id == "" {
					id = "LicenseRef-" + strconv.Itoa(len(extracted)+1)
					extracted[l] = id
					s.Extracted = append(s.Extracted, spdxLicence{ID: id, Text: l, Name: l})
				}
				l = id
			} else if len(p.Licences) > 1 {
				l = "(" + l + ")"
			}
			parts = append(parts, l)
		}
		if len(parts) > 0 {
			one.Declared = strings.Join(parts, " AND ")
		}
		s.Packages = append(s.Packages, one)
		s.Relations = append(s.Relations, spdxRelation{image.ID, one.ID, "CONTAINS"})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("writing SPDX: %w", err)
	}
	return nil
}

// sourceInfo is where a package was found, in words.
func (d *Document) sourceInfo(p *Package) string {
	var parts []string
	if p.Path != "" {
		parts = append(parts, "told by "+p.Path)
	}
	if p.Layer >= 0 && p.Layer < len(d.Layers) {
		l := d.Layers[p.Layer]
		parts = append(parts, "in layer "+string(l.DiffID))
		if l.Step != "" {
			parts = append(parts, "made by "+l.Step)
		}
		if l.Base {
			parts = append(parts, "of the base image")
		}
	}
	if p.Source != (Source{}) {
		parts = append(parts, "built from "+p.SourceName()+" "+p.SourceVersion())
	}
	if p.Owner != "" {
		parts = append(parts, "installed by "+p.Owner)
	}
	return strings.Join(slices.Clip(parts), "; ")
}
