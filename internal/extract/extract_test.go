package extract

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// look finds the packages of an image of layers.
func look(t *testing.T, layers ...imagetest.Layer) (sbom.OS, []sbom.Package, []string) {
	t.Helper()
	return Assemble(seen(t, layers...))
}

// seen is what the files of such an image tell.
func seen(t *testing.T, layers ...imagetest.Layer) (*image.View, []Found) {
	t.Helper()
	i, err := image.Open(t.Context(), image.Reference{Source: image.DockerArchive, At: imagetest.Saved(t, nil, layers...)}, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	f, err := New(Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var all []Found
	v, err := i.Walk(t.Context(), func(e *image.Entry) error {
		found, err := f.File(t.Context(), e)
		if found == nil {
			return err
		}
		// It is kept on disk meanwhile.
		data, err := json.Marshal(found)
		if err != nil {
			return err
		}
		kept := Found{Layer: e.Layer}
		all = append(all, kept)
		return json.Unmarshal(data, &all[len(all)-1])
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, all
}

// words are packages in a word each: type, name, version, and what else is not empty.
func words(list []sbom.Package) []string {
	out := []string{}
	for _, p := range list {
		s := p.Type + " " + p.Name + " " + p.Version
		if p.Source != (sbom.Source{}) {
			s += " of " + p.SourceName() + " " + p.SourceVersion()
		}
		if p.Owner != "" {
			s += " owned by " + p.Owner
		}
		out = append(out, strings.TrimSpace(s))
	}
	return out
}

const bookworm = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n"

const status = `Package: bsdutils
Status: install ok installed
Architecture: amd64
Source: util-linux (2.38.1-5+deb12u3)
Version: 1:2.38.1-5+deb12u3
Description: basic utilities
 with a line more

Package: bash
Status: install ok installed
Architecture: amd64
Source: bash (5.2.15-2)
Version: 5.2.15-2+b13

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: libc6
Status: hold ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9+deb12u10
`

// TestDpkg: packages that are installed, with the name and version of their source; those
// of which only the configuration is left are not there.
func TestDpkg(t *testing.T) {
	distro, list, unread := look(t, imagetest.Layer{"/usr/lib/os-release": bookworm, "/etc/os-release": "link:../usr/lib/os-release", "/var/lib/dpkg/status": status})
	if distro.ID != "debian" || distro.VersionID != "12" || distro.Codename != "bookworm" || distro.Name != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("%+v", distro)
	}
	want := []string{"deb bash 5.2.15-2+b13 of bash 5.2.15-2", "deb bsdutils 1:2.38.1-5+deb12u3 of util-linux 2.38.1-5+deb12u3", "deb libc6 2.36-9+deb12u10 of glibc 2.36-9+deb12u10"}
	if diff := cmp.Diff(want, words(list)); diff != "" {
		t.Error(diff)
	}
	if e, _ := list[0].Ecosystem(); e != "Debian:12" || len(unread) > 0 {
		t.Errorf("%q, unread %q", e, unread)
	}
	_, list, _ = look(t, imagetest.Layer{"/etc/os-release": bookworm, "/var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4\n", "/var/lib/dpkg/status.d/base.md5sums": "Package: not\nVersion: 1\n"})
	if diff := cmp.Diff([]string{"deb base-files 12.4"}, words(list)); diff != "" {
		t.Errorf("without dpkg:\n%s", diff)
	}
}

// TestLayers: what a layer above replaced or took away does not count.
func TestLayers(t *testing.T) {
	lodash := func(version string) string { return `{"name":"lodash","version":"` + version + `"}` }
	base := imagetest.Layer{"/app/node_modules/lodash/package.json": lodash("4.17.20"), "/app/node_modules/gone/package.json": `{"name":"gone","version":"1.0.0"}`}
	_, list, _ := look(t, base, imagetest.Layer{"/app/node_modules/lodash/package.json": lodash("4.17.21"), "/app/node_modules/.wh.gone": ""})
	if diff := cmp.Diff([]string{"npm lodash 4.17.21"}, words(list)); diff != "" {
		t.Error(diff)
	}
	if list[0].Layer != 1 || list[0].Path != "/app/node_modules/lodash/package.json" {
		t.Errorf("%+v", list[0])
	}
	if _, list, _ = look(t, base); len(list) != 2 {
		t.Errorf("the lower layer alone: %q", words(list))
	}
}

// TestLanguages: what is installed counts, what says what was to be installed, or lies in
// the folders of packages, does not.
func TestLanguages(t *testing.T) {
	for _, tc := range []struct {
		name string
		l    imagetest.Layer
		want []string
	}{
		{"npm", imagetest.Layer{
			"/app/node_modules/@angular/core/package.json":    `{"name":"@angular/core","version":"17.0.0"}`,
			"/usr/lib/node_modules/npm/package.json":          `{"name":"npm","version":"10.0.0"}`,
			"/app/node_modules/a/test/fixtures/package.json":  `{"name":"fixture","version":"1.0.0"}`,
			"/app/package.json":                               `{"name":"app","version":"1.0.0"}`,
			"/app/node_modules/nameless/package.json":         `{"type":"module"}`,
			"/app/package-lock.json":                          `{"lockfileVersion":3,"packages":{"node_modules/locked":{"version":"1.0.0"}}}`,
			"/bundled/package-lock.json":                      `{"lockfileVersion":3,"packages":{"node_modules/bundled":{"version":"1.0.0"}}}`,
			"/app/node_modules/lodash/package-lock.json":      `{"lockfileVersion":3,"packages":{"node_modules/inner":{"version":"1.0.0"}}}`,
			"/app/node_modules/a/node_modules/b/package.json": `{"name":"b","version":"2.0.0"}`,
		}, []string{"npm @angular/core 17.0.0", "npm b 2.0.0", "npm bundled 1.0.0", "npm npm 10.0.0"}},
		{"python", imagetest.Layer{
			"/usr/lib/python3/dist-packages/requests-2.28.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: requests\nVersion: 2.28.1\n",
			"/usr/lib/python3/dist-packages/six-1.16.0.egg-info":                "Metadata-Version: 1.1\nName: six\nVersion: 1.16.0\n",
			"/app/requirements.txt": "flask==0.1\n",
			"/app/METADATA":         "Name: no\nVersion: 1\n",
		}, []string{"pypi requests 2.28.1", "pypi six 1.16.0"}},
		{"ruby", imagetest.Layer{
			"/usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.3.gemspec": "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\nend\n",
			"/usr/lib/ruby/gems/3.1.0/gems/rack-2.2.3/rack.gemspec":      "Gem::Specification.new do |s|\n  s.name = \"inner\"\n  s.version = \"1.0\"\nend\n",
			"/app/Gemfile.lock": "GEM\n  specs:\n    rails (1.0)\n",
		}, []string{"gem rack 2.2.3"}},
		{"php", imagetest.Layer{
			"/app/vendor/composer/installed.json": `{"packages":[{"name":"symfony/yaml","version":"v6.0.0"}],"dev":false}`,
			"/old/vendor/composer/installed.json": `[{"name":"twig/twig","version":"v1.0.0"}]`,
			"/app/composer.lock":                  `{"packages":[{"name":"not/installed","version":"1.0"}]}`,
		}, []string{"composer symfony/yaml 6.0.0", "composer twig/twig 1.0.0"}},
		{"dotnet", imagetest.Layer{
			"/app/app.deps.json":  `{"libraries":{"Newtonsoft.Json/12.0.1":{"type":"package"}}}`,
			"/app/app.other.json": `{"libraries":{"No/1.0":{"type":"package"}}}`,
		}, []string{"nuget Newtonsoft.Json 12.0.1"}},
		{"java", imagetest.Layer{
			"/app/lib.jar":     jar(t, map[string]string{"META-INF/maven/org.slf4j/slf4j-api/pom.properties": "groupId=org.slf4j\nartifactId=slf4j-api\nversion=1.7.30\n"}),
			"/app/app.war":     jar(t, map[string]string{"WEB-INF/lib/in.jar": jar(t, map[string]string{"META-INF/maven/a/b/pom.properties": "groupId=a.a\nartifactId=b\nversion=2\n"})}),
			"/app/classes.jar": jar(t, map[string]string{"A.class": "no name in it, and enough bytes to be an archive of some length"}),
		}, []string{"maven a.a:b 2", "maven org.slf4j:slf4j-api 1.7.30"}},
		{"apk", imagetest.Layer{
			"/etc/os-release":       "ID=alpine\nVERSION_ID=3.19.1\n",
			"/lib/apk/db/installed": "P:libcrypto3\nV:3.1.4-r5\nA:x86_64\nL:Apache-2.0\no:openssl\n\nP:py3-six\nV:1.16.0-r8\nF:usr/lib/python3.11/site-packages/six-1.16.0.egg-info\nR:PKG-INFO\n\n",
			"/usr/lib/python3.11/site-packages/six-1.16.0.egg-info/PKG-INFO": "Name: six\nVersion: 1.16.0\n",
		}, []string{"apk libcrypto3 3.1.4-r5 of openssl 3.1.4-r5", "apk py3-six 1.16.0-r8", "pypi six 1.16.0 owned by py3-six"}},
		{"owned by dpkg, through a link", imagetest.Layer{
			"/etc/os-release":                      bookworm,
			"/lib":                                 "link:usr/lib",
			"/var/lib/dpkg/info/python3-idna.list": "/.\n/lib/python3/dist-packages/idna-3.3.dist-info/METADATA\n",
			"/usr/lib/python3/dist-packages/idna-3.3.dist-info/METADATA":     "Name: idna\nVersion: 3.3\n",
			"/usr/local/lib/python3.11/site-packages/x-1.dist-info/METADATA": "Name: x\nVersion: 1\n",
		}, []string{"pypi idna 3.3 owned by python3-idna", "pypi x 1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, list, unread := look(t, tc.l)
			if diff := cmp.Diff(tc.want, words(list)); diff != "" {
				t.Error(diff)
			}
			if len(unread) > 0 {
				t.Errorf("unread: %q", unread)
			}
		})
	}
}

func jar(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestGo: a Go program tells its modules and Go's own library; another one tells nothing.
func TestGo(t *testing.T) {
	built := filepath.Join(t.TempDir(), "gate")
	if out, err := exec.Command("go", "build", "-o", built, "../../cmd/plimsoll-gate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	_, list, unread := look(t, imagetest.Layer{"/usr/bin/app": "exec:" + string(program), "/usr/bin/script": "exec:#!/bin/sh\n" + strings.Repeat("#", leastProgram), "/srv/app": string(program)})
	has := map[string]string{}
	for _, p := range list {
		if p.Type != sbom.Go || p.Path != "/usr/bin/app" {
			t.Errorf("%+v", p)
		}
		has[p.Name] = p.Version
	}
	goVersion, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(strings.TrimSpace(string(goVersion)), "go"); !strings.HasPrefix(want, has["stdlib"]) || has["stdlib"] == "" {
		t.Errorf("stdlib is %q, and Go %s", has["stdlib"], want)
	}
	if has["golang.org/x/sys"] == "" || len(unread) > 0 {
		t.Errorf("%v, unread %q", has, unread)
	}
}

// TestUnread: what cannot be read is told, with the reason, and nothing else is lost.
func TestUnread(t *testing.T) {
	for name, l := range map[string]imagetest.Layer{
		"dpkg":   {"/var/lib/dpkg/status": "Package: a\nStatus: installed\nVersion: 1\n\n"},
		"rpm":    {"/var/lib/rpm/rpmdb.sqlite": "SQLite format 3\x00 and nothing more"},
		"jar":    {"/a.jar": strings.Repeat("no zip ", 100)},
		"npm":    {"/node_modules/a/package.json": `{"name":`},
		"dotnet": {"/a.deps.json": "{"},
	} {
		l["/node_modules/good/package.json"] = `{"name":"good","version":"1.0.0"}`
		_, list, unread := look(t, l)
		if len(unread) != 1 || !strings.Contains(unread[0], ": ") {
			t.Errorf("%s: unread %q", name, unread)
		}
		if diff := cmp.Diff([]string{"npm good 1.0.0"}, words(list)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestBounds: a file that is too long is not read, and a body that breaks off is the walk's
// own error.
func TestBounds(t *testing.T) {
	f, err := New(Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	e := &image.Entry{Path: "/node_modules/a/package.json", Size: most[npmPackage] + 1, Body: failing{}}
	found, err := f.File(t.Context(), e)
	if err != nil || found == nil || !strings.Contains(found.Unread, "is the most") {
		t.Errorf("%+v, %v", found, err)
	}
	e.Size = 10
	if _, err := f.File(t.Context(), e); !errors.Is(err, errBroken) {
		t.Errorf("a body that breaks off: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.File(ctx, &image.Entry{Path: "/node_modules/a/package.json", Size: 2, Body: strings.NewReader("{}")}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// FuzzFile: hostile bytes in a file of any kind cost no panic, and tell the same twice.
func FuzzFile(f *testing.F) {
	paths := []string{"/var/lib/dpkg/status", "/lib/apk/db/installed", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages", "/a.jar", "/node_modules/a/package.json", "/yarn.lock", "/pnpm-lock.yaml",
		"/package-lock.json", "/x.dist-info/METADATA", "/specifications/a.gemspec", "/vendor/composer/installed.json", "/a.deps.json", "/usr/bin/app", "/etc/os-release", "/var/lib/dpkg/info/a.list"}
	f.Add(uint8(0), []byte(status))
	f.Add(uint8(1), []byte("P:a\nV:1\nF:usr/bin\nR:x\n"))
	f.Add(uint8(5), []byte(`{"name":"a","version":"1.0.0"}`))
	f.Add(uint8(14), []byte(bookworm))
	f.Fuzz(func(t *testing.T, at uint8, data []byte) {
		finder, err := New(Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		var got [2]*Found
		for n := range got {
			e := &image.Entry{Path: paths[int(at)%len(paths)], Mode: fs.FileMode(0o755), Size: int64(len(data)), Body: bytes.NewReader(data)}
			if got[n], err = finder.File(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if got[0] != nil && got[0].Unread != "" {
			return // the words of an error may hold the name of a spooled file
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Error(diff)
		}
		if left, err := os.ReadDir(finder.temp); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}
