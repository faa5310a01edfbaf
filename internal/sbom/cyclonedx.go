package sbom

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

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
	number, err := d.uuid(by, flaws)
	if err != nil {
		return err
	}
	b := cdx.NewBOM()
	b.SerialNumber = "urn:uuid:" + number
	about := []string{"id", string(d.ID), "manifest", string(d.Manifest), "names", strings.Join(d.Names, " ")}
	if !d.Created.IsZero() {
		about = append(about, "created", d.Created.UTC().Format(time.RFC3339Nano))
	}
	for _, text := range d.Unread {
		about = append(about, "unread", text)
	}
	b.Metadata = &cdx.Metadata{
		Timestamp: by.At.UTC().Format(time.RFC3339),
		Tools:     &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: by.Name, Version: by.Version}}},
		Component: &cdx.Component{BOMRef: "image", Type: cdx.ComponentTypeContainer, Name: cmp.Or(d.Name, "image"), Version: string(cmp.Or(d.Manifest, d.ID)), PackageURL: d.imagePURL(),
			Properties: property(about...)},
	}
	var list []cdx.Component
	if d.OS.ID != "" {
		list = append(list, cdx.Component{BOMRef: "os", Type: cdx.ComponentTypeOS, Name: d.OS.ID, Version: cutVersion(d.OS.VersionID), Description: d.OS.Name, Properties: property("codename", d.OS.Codename, "like", strings.Join(d.OS.Like, " "))})
	}
	taken := usedRefs{"image": 1, "os": 1}
	refs := d.refs(taken)
	for i := range d.Packages {
		p := &d.Packages[i]
		c := cdx.Component{BOMRef: refs[i], Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: cutVersion(p.Version), PackageURL: p.PURL()}
		if p.Path != "" {
			c.Evidence = &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: p.Path}}}
		}
		layer, number, step, base := "", "", "", ""
		if p.Layer >= 0 && p.Layer < len(d.Layers) {
			l := d.Layers[p.Layer]
			layer, number, step, base = string(l.DiffID), strconv.Itoa(p.Layer+1), l.Step, strconv.FormatBool(l.Base)
		}
		c.Properties = property("layer", layer, "layer_number", number, "step", step, "from_base", base, "source", p.Source.Name, "source_version", p.Source.Version, "owner", p.Owner)
		c.Licenses = licences(p.Licences)
		list = append(list, c)
	}
	b.Components = &list
	if flaws != nil {
		var out []cdx.Vulnerability
		for i := range flaws {
			out = append(out, flaws[i].cycloneDX(d, refs, taken))
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

// cycloneDX is the flaw. One of two packages that are mended by different versions is there
// twice, under references of their own.
func (f *Flaw) cycloneDX(d *Document, refs []string, taken usedRefs) cdx.Vulnerability {
	v := cdx.Vulnerability{BOMRef: taken.unique(f.ID), ID: f.ID, Source: &cdx.Source{Name: source(f.ID)}, Description: f.Summary}
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
	status := cdx.VulnerabilityStatusAffected
	if f.State == string(cdx.IASNotAffected) || f.State == string(cdx.IASFalsePositive) {
		status = cdx.VulnerabilityStatusNotAffected
	}
	var affects []cdx.Affects
	for _, n := range f.Packages {
		one := cdx.Affects{Ref: refs[n]}
		if version := d.Packages[n].Version; version != "" {
			one.Range = &[]cdx.AffectedVersions{{Version: cutVersion(version), Status: status}}
		}
		affects = append(affects, one)
	}
	v.Affects = &affects
	if f.State != "" {
		v.Analysis = &cdx.VulnerabilityAnalysis{State: cdx.ImpactAnalysisState(f.State), Detail: f.Why}
	}
	return v
}

// longestVersion is what the schema of CycloneDX 1.6 allows, in characters.
const longestVersion = 1024

// cutVersion shortens what nobody would call a version: the package URL has it whole.
func cutVersion(version string) string {
	if len(version) <= longestVersion {
		return version
	}
	r := []rune(version)
	return string(r[:min(len(r), longestVersion)])
}

// source is who gives ids of a kind.
func source(id string) string {
	name, _, _ := strings.Cut(id, "-")
	return name
}

// component is one of CycloneDX, with what is read of it.
type component struct {
	Type        string      `json:"type"`
	Group       string      `json:"group"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Description string      `json:"description"`
	PURL        string      `json:"purl"`
	Components  []component `json:"components"`
	Evidence    struct {
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
		if all := c.properties(name); len(all) > 0 {
			return all[0]
		}
	}
	return ""
}

func (c *component) properties(name string) []string {
	var all []string
	for _, p := range c.Properties {
		if p.Name == name {
			all = append(all, p.Value)
		}
	}
	return all
}

// maxDepth is how deep components may be in each other.
const maxDepth = 64

func (d *Document) readCycloneDX(name string, data []byte) error {
	var b struct {
		Version  string `json:"specVersion"`
		Metadata struct {
			Component component `json:"component"`
		} `json:"metadata"`
		Components []component `json:"components"`
	}
	if _, err := strict.Decode(name, data, &b); err != nil {
		return err
	}
	switch b.Version {
	case "1.2", "1.3", "1.4", "1.5", "1.6", "1.7":
	default:
		return fmt.Errorf("its specVersion is %.50q, and 1.2 to 1.7 are read", b.Version)
	}
	of := &b.Metadata.Component
	d.ID = validDigest(of.property("plimsoll:id", "aquasecurity:trivy:ImageID"))
	d.Manifest = validDigest(of.property("plimsoll:manifest"))
	d.Names = strings.Fields(of.property("plimsoll:names"))
	d.Created, _ = time.Parse(time.RFC3339Nano, of.property("plimsoll:created")) // what is no time is not known
	for _, text := range of.properties("plimsoll:unread") {
		d.tell(text)
	}
	for i, text := range of.properties("aquasecurity:trivy:DiffID") {
		d.place(i+1, Layer{DiffID: validDigest(text)})
	}
	if of.Type == "operating-system" {
		d.distribution(of)
	}
	if err := d.components(of.Components, 0); err != nil {
		return err
	}
	return d.components(b.Components, 0)
}

// validDigest is the digest, or "" for what is none.
func validDigest(text string) digest.Digest {
	if id := digest.Digest(text); id.Validate() == nil {
		return id
	}
	return ""
}

// distribution takes the operating system, of which the first counts.
func (d *Document) distribution(c *component) {
	if d.OS.ID != "" {
		return
	}
	d.OS = OS{ID: distributionID(cmp.Or(c.property("syft:distro:id"), c.Name)), VersionID: c.Version, Codename: c.property("plimsoll:codename", "syft:distro:versionCodename"),
		Like: strings.Fields(c.property("plimsoll:like")), Name: cmp.Or(c.Description, c.property("syft:distro:prettyName"))}
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
		if c.Type == "operating-system" {
			d.distribution(c)
			continue
		}
		if c.PURL == "" && c.noSoftware() {
			continue
		}
		p, err := FromPURL(c.PURL)
		if err != nil {
			d.tell(unreadPackage(c.Name, c.Version, c.PURL, err))
			continue
		}
		p.spelt(trivyName(c.property("aquasecurity:trivy:PkgID")), c.Name, c.Group+"/"+c.Name, c.Group+":"+c.Name)
		if n := c.property("aquasecurity:trivy:SrcName"); n != "" && p.Source == (Source{}) {
			p.SetSource(n, trivyVersion(c.property))
		}
		p.Module = cmp.Or(p.Module, stream(c.property("aquasecurity:trivy:Modularitylabel")))
		p.Owner = c.property("plimsoll:owner")
		for _, o := range c.Evidence.Occurrences {
			p.Path = cmp.Or(p.Path, o.Location)
		}
		p.Path = cmp.Or(p.Path, c.property("aquasecurity:trivy:FilePath", "syft:location:0:path"))
		p.Layer = d.layer(c)
		for _, l := range c.Licenses {
			if text := cmp.Or(l.Expression, l.License.ID, l.License.Name); text != "" {
				p.Licences = append(p.Licences, text)
			}
		}
		d.Packages = append(d.Packages, p)
	}
	return nil
}

// noSoftware is true for what holds no package that the document does not name by itself: a
// file, data, and the lock file that trivy makes an application of.
func (c *component) noSoftware() bool {
	switch c.Type {
	case "file", "data", "device", "cryptographic-asset", "machine-learning-model":
		return true
	case "application":
		return c.property("aquasecurity:trivy:Class", "aquasecurity:trivy:Type") != ""
	}
	return false
}

// layer is the position of the layer that the component came with, -1 for what is not said.
func (d *Document) layer(c *component) int {
	if n, err := strconv.Atoi(c.property("plimsoll:layer_number")); err == nil {
		return d.place(n, Layer{DiffID: validDigest(c.property("plimsoll:layer")), Step: c.property("plimsoll:step"), Base: c.property("plimsoll:from_base") == "true"})
	}
	if id := c.property("aquasecurity:trivy:LayerDiffID"); id != "" {
		for i := range d.Layers {
			if string(d.Layers[i].DiffID) == id {
				return i
			}
		}
	}
	return -1
}

// trivyName is the name in trivy's NAME@VERSION, which has the capital letters that its names
// and package URLs of npm lack.
func trivyName(id string) string { return id[:max(strings.LastIndexByte(id, '@'), 0)] }

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
