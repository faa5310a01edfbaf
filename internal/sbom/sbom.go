// Package sbom has the words for what software an image consists of: Package, OS and
// Document, and what is made of them: [Package.PURL], the package URL
// (https://github.com/package-url/purl-spec), and [Package.Ecosystem], whose records speak
// of it. [Document.WriteCycloneDX] and [Document.WriteSPDX] write a document, [Read] reads
// those of others, and [FromPURL] a package URL.
//
// The package looks at no image and at no record of a flaw.
package sbom

import (
	"cmp"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Document says what an image, or a folder, consists of.
type Document struct {
	// Name is what the image was asked for as, and Names are its tags.
	Name  string
	Names []string
	// ID is the digest of the configuration, Manifest that of the manifest; "" where there
	// is none.
	ID, Manifest digest.Digest
	// Created is when the image was made, by its configuration; zero where it does not say.
	Created time.Time
	OS      OS
	Layers  []Layer
	// Packages are sorted by type, name, version and path.
	Packages []Package
	// Unread are files that tell of packages and could not be read, each with the reason:
	// what they tell is not in Packages.
	Unread []string
}

// Layer is one layer, the lowest first.
type Layer struct {
	DiffID, Digest digest.Digest
	// Step is the instruction that made it, as the history has it; "" where it has none.
	Step string
	// Base says that it is known to come of the base image.
	Base bool
}

// OS is the distribution, by its os-release(5). Its zero value is none.
type OS struct {
	ID, VersionID, Codename string
	// Like are the distributions that it is derived of.
	Like []string
	// Name is for people: Debian GNU/Linux 12 (bookworm).
	Name string
}

// The types of packages: those of package URLs.
const (
	Deb      = "deb"
	APK      = "apk"
	RPM      = "rpm"
	Go       = "golang"
	NPM      = "npm"
	Maven    = "maven"
	PyPI     = "pypi"
	Gem      = "gem"
	Cargo    = "cargo"
	NuGet    = "nuget"
	Composer = "composer"
)

// Package is a piece of software that is there, as whoever packed it wrote down.
type Package struct {
	// Type is one of the constants.
	Type string
	// Name is what its own ecosystem calls it, whole: @angular/core of npm,
	// org.slf4j:slf4j-api of Maven, golang.org/x/net of Go (stdlib for Go's own library),
	// symfony/yaml of Composer.
	Name string
	// Version is what is installed, with its epoch where its type has epochs. "" is a version
	// that nobody wrote down.
	Version string
	// Arch is the architecture that a distribution built it for.
	Arch string
	// Source is the source package that a distribution built it from. Either is "" where it
	// is as the package's own.
	Source Source
	// Module is the stream that a modular RPM is of: nodejs:18.
	Module string
	// Licences are as they are written down: SPDX expressions, or names.
	Licences []string
	// Path is the file that tells of it, with a leading slash, and Layer the layer of that
	// file, -1 for what is not known.
	Path  string
	Layer int
	// Owner is the distribution's package that installed Path: that one's maintainers mend
	// it, under its version.
	Owner string
	// Distro is the distribution of a Deb, APK or RPM.
	Distro OS
}

// Source names a source package.
type Source struct{ Name, Version string }

// SourceName is the name of the source package, and SourceVersion its version.
func (p *Package) SourceName() string { return cmp.Or(p.Source.Name, p.Name) }

// SourceVersion is the version of the source package.
func (p *Package) SourceVersion() string { return cmp.Or(p.Source.Version, p.Version) }

// Ecosystem is OSV's word for whose records speak of the package, with the release where
// there are releases (the OSV schema, section affected[].package): Debian:12,
// Alpine:v3.19, npm. "" is one that is not known, and why says so.
func (p *Package) Ecosystem() (ecosystem, why string) {
	switch p.Type {
	case Deb, APK, RPM:
		return p.Distro.ecosystem()
	case Go:
		return "Go", ""
	case NPM:
		return "npm", ""
	case Maven:
		return "Maven", ""
	case PyPI:
		return "PyPI", ""
	case Gem:
		return "RubyGems", ""
	case Cargo:
		return "crates.io", ""
	case NuGet:
		return "NuGet", ""
	case Composer:
		return "Packagist", ""
	}
	return "", "no records are known for packages of the type " + p.Type
}

// ecosystem is that of a distribution's packages. Those derived of another have versions
// and mends of their own.
func (o OS) ecosystem() (ecosystem, why string) {
	major, _, _ := strings.Cut(o.VersionID, ".")
	switch o.ID {
	case "":
		return "", "the image does not say which distribution it is"
	case "debian":
		return "Debian:" + cmp.Or(major, o.Codename), ""
	case "ubuntu":
		if o.lts() {
			return "Ubuntu:" + o.VersionID + ":LTS", ""
		}
		return "Ubuntu:" + o.VersionID, ""
	case "alpine":
		return "Alpine:" + o.alpineBranch(), ""
	case "almalinux":
		return "AlmaLinux:" + major, ""
	case "rocky":
		return "Rocky Linux:" + major, ""
	case "rhel":
		return "Red Hat:" + major, ""
	case "wolfi":
		return "Wolfi", ""
	case "chainguard":
		return "Chainguard", ""
	case "opensuse-leap":
		return "openSUSE:Leap " + o.VersionID, ""
	case "opensuse-tumbleweed":
		return "openSUSE:Tumbleweed", ""
	}
	return "", "no records are known for the distribution " + o.ID
}

// lts: Ubuntu's releases of April in even years.
func (o OS) lts() bool {
	year, month, _ := strings.Cut(o.VersionID, ".")
	return month == "04" && year != "" && (year[len(year)-1]-'0')%2 == 0
}

// alpineBranch is v and the first two parts of the version; a branch without a number is
// edge.
func (o OS) alpineBranch() string {
	parts := strings.Split(o.VersionID, ".")
	if len(parts) < 2 || strings.Contains(o.VersionID, "_") {
		return "edge"
	}
	return "v" + parts[0] + "." + parts[1]
}

// Compare orders packages by type, name, version and path.
func (p *Package) Compare(other *Package) int {
	return cmp.Or(cmp.Compare(p.Type, other.Type), cmp.Compare(p.Name, other.Name), cmp.Compare(p.Version, other.Version), cmp.Compare(p.Path, other.Path))
}
