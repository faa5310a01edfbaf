package sbom

import (
	"slices"
	"strings"
	"testing"

	purl "github.com/package-url/packageurl-go"
)

var bookworm = OS{ID: "debian", VersionID: "12", Codename: "bookworm"}

func TestPURL(t *testing.T) {
	for _, tc := range []struct {
		p    Package
		want string
	}{
		{Package{Type: Deb, Name: "bsdutils", Version: "1:2.38.1-5+deb12u3", Arch: "amd64", Source: Source{"util-linux", "2.38.1-5+deb12u3"}, Distro: bookworm},
			"pkg:deb/debian/bsdutils@1:2.38.1-5%2Bdeb12u3?arch=amd64&distro=debian-12&upstream=util-linux%402.38.1-5%2Bdeb12u3"},
		{Package{Type: Deb, Name: "dpkg", Version: "1.21.22", Distro: bookworm}, "pkg:deb/debian/dpkg@1.21.22?distro=debian-12"},
		{Package{Type: RPM, Name: "bind-libs", Version: "32:9.16.23-1.el9", Arch: "x86_64", Source: Source{Name: "bind"}, Distro: OS{ID: "almalinux", VersionID: "9.3"}},
			"pkg:rpm/almalinux/bind-libs@9.16.23-1.el9?arch=x86_64&distro=almalinux-9.3&epoch=32&upstream=bind"},
		{Package{Type: NPM, Name: "@angular/core", Version: "17.0.0"}, "pkg:npm/%40angular/core@17.0.0"},
		{Package{Type: NPM, Name: "lodash", Version: "4.17.20"}, "pkg:npm/lodash@4.17.20"},
		{Package{Type: Go, Name: "golang.org/x/net", Version: "0.17.0"}, "pkg:golang/golang.org/x/net@v0.17.0"},
		{Package{Type: Go, Name: "stdlib", Version: "1.21.3"}, "pkg:golang/stdlib@1.21.3"},
		{Package{Type: Maven, Name: "org.slf4j:slf4j-api", Version: "1.7.30"}, "pkg:maven/org.slf4j/slf4j-api@1.7.30"},
		{Package{Type: PyPI, Name: "Flask_Login", Version: "0.6"}, "pkg:pypi/flask-login@0.6"},
		{Package{Type: Composer, Name: "symfony/yaml", Version: "6.0.0"}, "pkg:composer/symfony/yaml@6.0.0"},
	} {
		got := tc.p.PURL()
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.p.Name, got, tc.want)
		}
		if _, err := purl.FromString(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestEcosystem(t *testing.T) {
	for _, tc := range []struct {
		typ  string
		os   OS
		want string
	}{
		{Deb, bookworm, "Debian:12"},
		{Deb, OS{ID: "debian", VersionID: "12.15"}, "Debian:12"},
		{Deb, OS{ID: "debian", Codename: "trixie"}, "Debian:trixie"},
		{Deb, OS{ID: "ubuntu", VersionID: "22.04"}, "Ubuntu:22.04:LTS"},
		{Deb, OS{ID: "ubuntu", VersionID: "23.10"}, "Ubuntu:23.10"},
		{Deb, OS{ID: "raspbian", VersionID: "12", Like: []string{"debian"}}, ""},
		{Deb, OS{}, ""},
		{APK, OS{ID: "alpine", VersionID: "3.19.1"}, "Alpine:v3.19"},
		{APK, OS{ID: "alpine", VersionID: "3.20_alpha20240329"}, "Alpine:edge"},
		{RPM, OS{ID: "almalinux", VersionID: "9.3"}, "AlmaLinux:9"},
		{RPM, OS{ID: "fedora", VersionID: "40"}, ""},
		{NPM, bookworm, "npm"},
		{Gem, OS{}, "RubyGems"},
		{"swift", OS{}, ""},
	} {
		p := Package{Type: tc.typ, Distro: tc.os}
		got, why := p.Ecosystem()
		if got != tc.want || (why == "") != (tc.want != "") {
			t.Errorf("%s of %+v: %q (%s), want %q", tc.typ, tc.os, got, why, tc.want)
		}
	}
}

func TestCompare(t *testing.T) {
	in := []Package{{Type: NPM, Name: "b"}, {Type: Deb, Name: "z"}, {Type: NPM, Name: "a", Version: "2"}, {Type: NPM, Name: "a", Version: "1", Path: "/y"}, {Type: NPM, Name: "a", Version: "1", Path: "/x"}}
	slices.SortFunc(in, func(a, b Package) int { return a.Compare(&b) })
	var got []string
	for _, p := range in {
		got = append(got, p.Name+p.Version+p.Path)
	}
	if s := strings.Join(got, " "); s != "z a1/x a1/y a2 b" {
		t.Error(s)
	}
}
