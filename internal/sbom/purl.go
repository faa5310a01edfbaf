package sbom

import (
	"cmp"
	"fmt"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// PURL is the package URL. A distribution's has the namespace and the qualifiers that
// others read: arch, distro, and upstream where the source has another name. It has the case
// that its type allows: of Go, Composer and distributions but RPM's it has small letters
// alone, whatever Name has. "" is a name that no package URL can have.
func (p *Package) PURL() string {
	u := purl.PackageURL{Type: p.Type, Name: p.Name, Version: p.Version}
	q := map[string]string{}
	switch p.Type {
	case Deb, APK, RPM:
		u.Namespace = p.Distro.ID
		if p.Arch != "" {
			q["arch"] = p.Arch
		}
		switch {
		case p.Distro.VersionID != "":
			q["distro"] = p.Distro.ID + "-" + p.Distro.VersionID
		case p.Distro.Codename != "":
			q["distro"] = p.Distro.Codename // what is not released yet has no number
		}
		if p.Type == RPM {
			if epoch, rest, found := strings.Cut(p.Version, ":"); found {
				u.Version = rest
				if epoch != "0" { // which is none (rpm-version(7))
					q["epoch"] = epoch
				}
			}
			if p.Module != "" {
				q["rpmmod"] = p.Module
			}
		}
		if p.SourceName() != p.Name || p.SourceVersion() != p.Version {
			q["upstream"] = p.SourceName()
			if p.SourceVersion() != p.Version {
				q["upstream"] += "@" + p.SourceVersion()
			}
		}
	case Maven:
		if group, artifact, found := strings.Cut(p.Name, ":"); found {
			u.Namespace, u.Name = group, artifact
		}
	case Go, NPM, Composer:
		if i := strings.LastIndexByte(p.Name, '/'); i > 0 {
			u.Namespace, u.Name = p.Name[:i], p.Name[i+1:]
		}
		if p.Type == Go && p.Name != "stdlib" && p.Version != "" && !strings.HasPrefix(p.Version, "v") && !strings.HasPrefix(p.Version, "(") {
			u.Version = "v" + p.Version
		}
	}
	u.Qualifiers = purl.QualifiersFromMap(q)
	if err := u.Normalize(); err != nil {
		return ""
	}
	return u.ToString()
}

// FromPURL is the package that a package URL names, as this package writes them, and as
// others do: an epoch may stand in the version or in a qualifier, what a distribution's
// package was built from in upstream, and the distribution under a vendor's name.
func FromPURL(text string) (Package, error) {
	u, err := purl.FromString(text)
	if err != nil {
		return Package{}, fmt.Errorf("%.200q is no package URL: %w", text, err)
	}
	p := Package{Type: u.Type, Name: u.Name, Version: u.Version, Layer: -1}
	switch u.Type {
	case Deb, APK, RPM:
		p.fromDistribution(u.Namespace, u.Qualifiers.Map())
	case Maven:
		if u.Namespace != "" {
			p.Name = u.Namespace + ":" + u.Name
		}
	case Go, NPM, Composer:
		if u.Namespace != "" {
			p.Name = u.Namespace + "/" + u.Name
		}
		switch u.Type {
		case Go:
			p.Version = strings.TrimPrefix(p.Version, "v")
			if p.Version == "(devel)" { // Go's word for a version that nobody wrote down
				p.Version = ""
			}
			if u.Subpath != "" {
				p.Name += "/" + u.Subpath
			}
		case Composer:
			p.Version = strings.TrimPrefix(p.Version, "v") // as Packagist has it
		}
	case PyPI, Gem, Cargo, NuGet:
	default:
		return Package{}, fmt.Errorf("%.200q is of the type %.50q, which is none that is known here", text, u.Type)
	}
	return p, nil
}

// fromDistribution fills in what the namespace and the qualifiers say.
func (p *Package) fromDistribution(namespace string, q map[string]string) {
	p.Arch = q["arch"]
	p.Module = stream(cmp.Or(q["rpmmod"], q["modularitylabel"]))
	if epoch := q["epoch"]; epoch != "" && epoch != "0" && !strings.Contains(p.Version, ":") {
		p.Version = epoch + ":" + p.Version
	}
	if p.Type == RPM {
		p.Version = strings.TrimPrefix(p.Version, "0:")
	}
	p.Distro = distro(namespace, q["distro"])
	if name, version := p.SourceRPM(q["upstream"]); name != "" {
		p.SetSource(name, version)
	} else {
		name, version, _ = strings.Cut(q["upstream"], "@")
		p.SetSource(name, version)
	}
}

// stream is name and stream of a module, NAME:STREAM:VERSION:CONTEXT as RPM has it.
func stream(label string) string {
	parts := strings.SplitN(label, ":", 3)
	return strings.Join(parts[:min(len(parts), 2)], ":")
}

// SetSource says what the package was built from, without what is as its own.
func (p *Package) SetSource(name, version string) {
	p.Source = Source{Name: name, Version: version}
	if name == p.Name {
		p.Source.Name = ""
	}
	if version == p.Version {
		p.Source.Version = ""
	}
}

// SourceRPM splits the name of a source package's file, NAME-VERSION-RELEASE.src.rpm. It has
// no epoch; the package's own is what RPM takes for it. "" is a name of another form.
func (p *Package) SourceRPM(file string) (name, version string) {
	rest, is := strings.CutSuffix(file, ".src.rpm")
	if !is {
		rest, is = strings.CutSuffix(file, ".nosrc.rpm")
	}
	release := strings.LastIndexByte(rest, '-')
	if p.Type != RPM || !is || release < 1 {
		return "", ""
	}
	at := strings.LastIndexByte(rest[:release], '-')
	if at < 1 {
		return "", ""
	}
	name, version = rest[:at], rest[at+1:]
	if epoch, _, found := strings.Cut(p.Version, ":"); found {
		version = epoch + ":" + version
	}
	return name, version
}

// vendors are the ids of os-release(5) by what package URLs and documents of others have:
// syft's namespaces of vendors, and trivy's families.
var vendors = map[string]string{"redhat": "rhel", "alma": "almalinux", "oracle": "ol", "amazon": "amzn", "opensuse.leap": "opensuse-leap", "opensuse.tumbleweed": "opensuse-tumbleweed"}

func distributionID(name string) string {
	name = strings.ToLower(name)
	return cmp.Or(vendors[name], name)
}

// distro reads the namespace and the qualifier distro of a package URL: debian-12,
// opensuse-leap-15.5 of opensuse, rhel-9.2 of redhat; bookworm or 3.19.1 alone. A qualifier
// of another distribution than the namespace's says nothing of the release.
func distro(namespace, text string) OS {
	o := OS{ID: distributionID(namespace)}
	if rest, own := strings.CutPrefix(text, namespace+"-"); own && namespace != "" && startsWithDigit(rest) {
		o.VersionID = rest
		return o
	}
	if id, version := cutAtNumber(text); version != "" {
		switch id = distributionID(id); {
		case o.ID == "" || id == o.ID || strings.HasPrefix(id, o.ID+"-"):
			o.ID, o.VersionID = id, version
		case id == "":
			o.VersionID = version
		}
		return o
	}
	if rest, own := strings.CutPrefix(text, namespace+"-"); own && namespace != "" {
		o.VersionID = rest
		return o
	}
	o.Codename = text
	return o
}

// cutAtNumber splits ID-VERSION before the first part that is a number; a text that begins
// with one has no id.
func cutAtNumber(text string) (id, version string) {
	if startsWithDigit(text) {
		return "", text
	}
	for i := range len(text) {
		if text[i] == '-' && startsWithDigit(text[i+1:]) {
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
