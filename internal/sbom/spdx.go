package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// spdx is a document of SPDX 2.3 as JSON (spdx-spec, schemas/spdx-schema.json), with what
// of it is written here, and read. tools-golang's model has much more, and reads neither what
// strict refuses nor a form that is a little off, as some writers' is.
type spdx struct {
	Version   string         `json:"spdxVersion"`
	Licence   string         `json:"dataLicense"`
	ID        string         `json:"SPDXID"`
	Name      string         `json:"name"`
	Namespace string         `json:"documentNamespace"`
	Creation  spdxCreation   `json:"creationInfo"`
	Packages  []spdxPackage  `json:"packages"`
	Relations []spdxRelation `json:"relationships"`
	Describes []string       `json:"documentDescribes,omitempty"`
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
	// Notes say what SPDX has no field for; Attribution is where others say it.
	Notes       []spdxNote `json:"annotations,omitempty"`
	Attribution []string   `json:"attributionTexts,omitempty"`
}

type spdxNote struct {
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Annotator string `json:"annotator"`
	Comment   string `json:"comment"`
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
	number, err := d.uuid(by, nil)
	if err != nil {
		return err
	}
	s := spdx{Version: "SPDX-2.3", Licence: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: cmp.Or(d.Name, "image"), Namespace: "https://github.com/plimsoll/plimsoll/spdx/" + number,
		Creation: spdxCreation{Created: by.At.UTC().Format(time.RFC3339), Creators: []string{"Tool: " + by.Name + "-" + by.Version}}}
	image := spdxPackage{ID: "SPDXRef-Image", Name: s.Name, Version: string(cmp.Or(d.Manifest, d.ID)), Download: unsaid, Purpose: "CONTAINER", Concluded: unsaid, Declared: unsaid, Copyright: unsaid}
	note := func(word, text string) {
		if text != "" {
			image.Notes = append(image.Notes, spdxNote{Date: s.Creation.Created, Type: "OTHER", Annotator: s.Creation.Creators[0], Comment: notePrefix + word + " " + text})
		}
	}
	note("id", string(d.ID))
	note("names", strings.Join(d.Names, " "))
	if !d.Created.IsZero() {
		note("created", d.Created.UTC().Format(time.RFC3339Nano))
	}
	note("codename", d.OS.Codename)
	note("like", strings.Join(d.OS.Like, " "))
	for _, text := range d.Unread {
		note("unread", text)
	}
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
			if l == "" {
				continue
			}
			if !isExpression(l) {
				id := extracted[l]
				if id == "" {
					id = licenceRef + strconv.Itoa(len(extracted)+1)
					extracted[l] = id
					s.Extracted = append(s.Extracted, spdxLicence{ID: id, Text: l, Name: l})
				}
				l = id
			}
			parts = append(parts, l)
		}
		if len(parts) > 0 {
			one.Declared = conjunction(parts)
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

// notePrefix begins the comments by which a document is read again as it was.
const notePrefix = "plimsoll:"

// What the parts of sourceInfo begin with.
const (
	toldBy, inLayer, madeBy, ofBase, builtFrom, installedBy = "told by ", "in layer ", "made by ", "of the base image", "built from ", "installed by "
)

// sourceInfo is where a package was found, in words that place reads again.
func (d *Document) sourceInfo(p *Package) string {
	var parts []string
	if p.Path != "" {
		parts = append(parts, toldBy+quoted(p.Path))
	}
	if p.Layer >= 0 && p.Layer < len(d.Layers) {
		l := d.Layers[p.Layer]
		parts = append(parts, inLayer+quoted(strings.TrimSpace(strconv.Itoa(p.Layer+1)+" "+string(l.DiffID))))
		if l.Step != "" {
			parts = append(parts, madeBy+quoted(l.Step))
		}
		if l.Base {
			parts = append(parts, ofBase)
		}
	}
	if p.Source != (Source{}) {
		parts = append(parts, builtFrom+quoted(p.SourceName()+" "+p.SourceVersion()))
	}
	if p.Owner != "" {
		parts = append(parts, installedBy+quoted(p.Owner))
	}
	return strings.Join(parts, "; ")
}

// quoted is the text, in quotes where it could not be told from what follows.
func quoted(text string) string {
	if q := strconv.Quote(text); strings.Contains(text, ";") || q != `"`+text+`"` {
		return q
	}
	return text
}

// unquoted takes a text that quoted wrote off the front.
func unquoted(info string) (text, rest string) {
	if q, err := strconv.QuotedPrefix(info); err == nil && q[0] == '"' {
		if text, err = strconv.Unquote(q); err == nil {
			return text, strings.TrimPrefix(info[len(q):], "; ")
		}
	}
	text, rest, _ = strings.Cut(info, "; ")
	return text, rest
}

// found reads sourceInfo, as sourceInfo writes it, as syft does ("acquired package info from
// DPKG DB: /var/lib/dpkg/status, …") and as trivy does ("built package from: audit 1:3.0.9-1").
func (d *Document) found(p *Package, info string) {
	if strings.HasPrefix(info, "acquired package info from ") {
		if _, paths, is := strings.Cut(info, ": /"); is {
			path, _, _ := strings.Cut(paths, ", ")
			p.Path = "/" + path
		}
		return
	}
	if source, is := strings.CutPrefix(info, "built package from: "); is {
		if p.Source == (Source{}) && (p.Type == Deb || p.Type == APK || p.Type == RPM) {
			name, version, _ := strings.Cut(source, " ")
			p.SetSource(name, version)
		}
		return
	}
	number, l := 0, Layer{}
	for info != "" {
		word := ""
		for _, w := range []string{toldBy, inLayer, madeBy, ofBase, builtFrom, installedBy} {
			if strings.HasPrefix(info, w) {
				word = w
			}
		}
		if word == "" {
			break
		}
		var text string
		text, info = unquoted(info[len(word):])
		switch word {
		case toldBy:
			p.Path = text
		case inLayer:
			n, id, _ := strings.Cut(text, " ")
			number, _ = strconv.Atoi(n) // 0, which no layer has, for what is no number
			l.DiffID = validDigest(id)
		case madeBy:
			l.Step = text
		case ofBase:
			l.Base = true
		case installedBy:
			p.Owner = text
		}
	}
	p.Layer = d.place(number, l)
}

func (d *Document) readSPDX(name string, data []byte) error {
	var s spdx
	if _, err := strict.Decode(name, data, &s); err != nil {
		return err
	}
	texts := map[string]string{}
	for _, l := range s.Extracted {
		texts[l.ID] = l.Text
	}
	described := map[string]bool{}
	for _, id := range s.Describes {
		described[id] = true
	}
	for _, r := range s.Relations {
		switch r.Type {
		case "DESCRIBES":
			described[r.Related] = true
		case "DESCRIBED_BY":
			described[r.Element] = true
		}
	}
	for i := range s.Packages {
		one := &s.Packages[i]
		url := ""
		for _, r := range one.References {
			if strings.HasSuffix(r.Type, "purl") { // as a URI, with some
				url = cmp.Or(url, r.Locator)
			}
		}
		image := strings.HasPrefix(url, "pkg:oci/") || strings.HasPrefix(url, "pkg:docker/")
		switch {
		case one.Purpose == "OPERATING_SYSTEM", one.Purpose == "OPERATING-SYSTEM": // the schema's word, and the specification's
			if d.OS.ID == "" {
				d.OS.ID, d.OS.VersionID, d.OS.Name = distributionID(one.Name), one.Version, one.Comment
			}
			continue
		case described[one.ID] && (image || url == "" && (one.Purpose == "CONTAINER" || len(described) == 1)):
			d.about(one)
			continue
		case url == "" && one.noSoftware():
			continue
		}
		p, err := FromPURL(url)
		if err != nil {
			d.tell(unreadPackage(one.Name, one.Version, url, err))
			continue
		}
		id := ""
		for _, n := range one.Notes {
			if rest, is := strings.CutPrefix(n.Comment, "PkgID: "); is {
				id = rest
			}
		}
		p.spelt(trivyName(id), one.Name)
		d.found(&p, one.SourceInfo)
		if one.Declared != "" && one.Declared != unsaid && one.Declared != "NONE" {
			for _, part := range conjuncts(one.Declared) {
				p.Licences = append(p.Licences, cmp.Or(texts[part], part))
			}
		}
		d.Packages = append(d.Packages, p)
	}
	return nil
}

// about reads what is said of the image.
func (d *Document) about(image *spdxPackage) {
	d.Manifest = validDigest(image.Version)
	for _, n := range image.Notes {
		rest, own := strings.CutPrefix(n.Comment, notePrefix)
		if !own {
			continue
		}
		switch word, text, _ := strings.Cut(rest, " "); word {
		case "id":
			d.ID = validDigest(text)
		case "names":
			d.Names = strings.Fields(text)
		case "created":
			d.Created, _ = time.Parse(time.RFC3339Nano, text) // what is no time is not known
		case "codename":
			d.OS.Codename = text
		case "like":
			d.OS.Like = strings.Fields(text)
		case "unread":
			d.tell(text)
		}
	}
	if d.Manifest == d.ID { // written where there is no manifest
		d.Manifest = ""
	}
}

// noSoftware is true for the lock file that trivy makes a package of, beside what it locks.
func (p *spdxPackage) noSoftware() bool {
	if p.Purpose == "FILE" {
		return true
	}
	said := slices.Clone(p.Attribution)
	for _, n := range p.Notes {
		said = append(said, n.Comment)
	}
	return p.Purpose == "APPLICATION" && slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "Class: ") || strings.HasPrefix(s, "Type: ") })
}
