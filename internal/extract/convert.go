package extract

import (
	"strconv"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	apkmeta "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmeta "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	rpmmeta "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"

	"github.com/plimsoll/plimsoll/internal/sbom"
)

// types are the types of packages by kind.
var types = map[kind]string{dpkgStatus: sbom.Deb, apkDB: sbom.APK, rpmDB: sbom.RPM, javaArchive: sbom.Maven, npmPackage: sbom.NPM, npmLock: sbom.NPM, yarnLock: sbom.NPM, pnpmLock: sbom.NPM,
	wheel: sbom.PyPI, gemSpec: sbom.Gem, installedPHP: sbom.Composer, depsJSON: sbom.NuGet}

// packageOf is a package as an extractor gives it. One without a name is none.
func packageOf(k kind, x *extractor.Package, path string) sbom.Package {
	p := sbom.Package{Type: types[k], Name: x.Name, Version: x.Version, Path: path, Layer: -1}
	for _, l := range x.Licenses {
		if l = strings.TrimSpace(l); l != "" {
			p.Licences = append(p.Licences, l)
		}
	}
	switch k {
	case executable:
		p.Type = sbom.Go
		if x.PURLType == sbom.Cargo {
			p.Type = sbom.Cargo
		} else if p.Name == "go" {
			p.Name = "stdlib"
		}
		if p.Version == "(devel)" {
			p.Version = ""
		}
	case installedPHP:
		p.Version = strings.TrimPrefix(p.Version, "v") // as Packagist has it
	case javaArchive:
		if group, artifact, _ := strings.Cut(p.Name, ":"); group == "unknown" || artifact == "" {
			p.Name = "" // an archive of classes that does not say what it is
		}
	}
	switch m := x.Metadata.(type) {
	case *dpkgmeta.Metadata:
		p.Arch = m.Architecture
		p.SetSource(m.SourceName, m.SourceVersion)
	case *apkmeta.Metadata:
		p.Arch = m.Architecture
		p.SetSource(m.OriginName, "")
	case *rpmmeta.Metadata:
		p.Arch = m.Architecture
		epoch := ""
		if m.Epoch > 0 {
			epoch = strconv.Itoa(m.Epoch) + ":"
		}
		p.Version = epoch + p.Version
		if name, version := p.SourceRPM(m.SourceRPM); name != "" {
			p.SetSource(name, version)
		}
	}
	return p
}
