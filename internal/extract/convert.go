package extract

import (
	"strings"

	"github.com/google/osv-scalibr/extractor"
	apkmeta "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmeta "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"

	"github.com/plimsoll/plimsoll/internal/rpmdb"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// types are the types of packages by kind.
var types = map[kind]string{dpkgStatus: sbom.Deb, apkDB: sbom.APK, javaArchive: sbom.Maven, npmPackage: sbom.NPM, npmLock: sbom.NPM, yarnLock: sbom.NPM, pnpmLock: sbom.NPM,
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
	}
	return p
}

// ofRPM is a package as RPM's database has it. Of its module, NAME:STREAM:VERSION:CONTEXT,
// the first two say what it is.
func ofRPM(x *rpmdb.Package, path string) sbom.Package {
	p := sbom.Package{Type: sbom.RPM, Name: x.Name, Version: x.Version, Arch: x.Arch, Path: path, Layer: -1}
	if x.Licence != "" {
		p.Licences = []string{x.Licence}
	}
	if name, version := p.SourceRPM(x.SourceRPM); name != "" {
		p.SetSource(name, version)
	}
	if parts := strings.SplitN(x.Module, ":", 3); len(parts) > 1 {
		p.Module = parts[0] + ":" + parts[1]
	}
	return p
}
