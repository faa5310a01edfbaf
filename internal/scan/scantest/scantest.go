// Package scantest has what scans are compared by: lists of packages, images that have
// them, a database of the records about them, and what another scanner says of the images.
package scantest

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// Fixture is a list of packages of an image.
type Fixture struct {
	Name     string
	Document sbom.Document
}

// Fixtures reads the lists of a folder, *.txt: a line a package, with type, name, version,
// and for those of distributions what they were built from where that is called otherwise;
// "os ID VERSION CODENAME" is the distribution.
func Fixtures(dir string) ([]Fixture, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	var list []Fixture
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		f := Fixture{Name: strings.TrimSuffix(filepath.Base(file), ".txt")}
		f.Document.Name = f.Name
		for n, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
			w := append(strings.Fields(line), "", "", "")
			switch {
			case strings.HasPrefix(line, "#"):
			case w[0] == "os":
				f.Document.OS = sbom.OS{ID: w[1], VersionID: w[2], Codename: w[3]}
			case w[2] == "":
				return nil, fmt.Errorf("%s:%d: %q is no package", file, n+1, line)
			default:
				p := sbom.Package{Type: w[0], Name: w[1], Version: w[2], Layer: -1, Source: sbom.Source{Name: w[3], Version: w[4]}}
				if p.Type == sbom.Deb || p.Type == sbom.RPM {
					p.Distro = f.Document.OS
				}
				f.Document.Packages = append(f.Document.Packages, p)
			}
		}
		list = append(list, f)
	}
	return list, nil
}

// Layer is a layer with the files that tell of the packages; nil where these cannot be made,
// of programs of Go.
func (f *Fixture) Layer() (imagetest.Layer, error) {
	l := imagetest.Layer{}
	var rpms []sbom.Package
	var status strings.Builder
	var modules []string
	for _, p := range f.Document.Packages {
		switch p.Type {
		case sbom.Deb:
			fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: nobody\nVersion: %s\n", p.Name, p.Version)
			if p.Source.Name != "" {
				fmt.Fprintf(&status, "Source: %s", p.Source.Name)
				if p.Source.Version != "" {
					fmt.Fprintf(&status, " (%s)", p.Source.Version)
				}
				status.WriteByte('\n')
			}
			status.WriteString("Description: x\n\n")
		case sbom.NPM:
			l["/app/node_modules/"+p.Name+"/package.json"] = fmt.Sprintf(`{"name":%q,"version":%q}`, p.Name, p.Version)
			modules = append(modules, fmt.Sprintf(`"node_modules/%s":{"version":%q}`, p.Name, p.Version))
		case sbom.PyPI:
			l[fmt.Sprintf("/usr/local/lib/python3.9/site-packages/%s-%s.dist-info/METADATA", p.Name, p.Version)] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", p.Name, p.Version)
		case sbom.Maven:
			group, artifact, _ := strings.Cut(p.Name, ":")
			l["/app/"+artifact+"-"+p.Version+".jar"] = jar(group, artifact, p.Version)
		case sbom.RPM:
			rpms = append(rpms, p)
		default:
			return nil, nil
		}
	}
	if rpms != nil {
		db, err := rpmDatabase(rpms)
		if err != nil {
			return nil, err
		}
		l["/var/lib/rpm/rpmdb.sqlite"] = string(db)
	}
	if modules != nil { // what npm leaves, and others read
		l["/app/node_modules/.package-lock.json"] = `{"name":"app","lockfileVersion":3,"requires":true,"packages":{` + strings.Join(modules, ",") + "}}"
	}
	if status.Len() > 0 {
		l["/var/lib/dpkg/status"] = status.String()
	}
	if o := f.Document.OS; o.ID != "" {
		l["/etc/os-release"] = fmt.Sprintf("ID=%s\nVERSION_ID=\"%s\"\nVERSION_CODENAME=%s\nPRETTY_NAME=\"%s %s\"\n", o.ID, o.VersionID, o.Codename, o.ID, o.VersionID)
	}
	return l, nil
}

// jar is a Java archive that says what it is.
func jar(group, artifact, version string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, file := range [][2]string{
		{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"},
		{"META-INF/maven/" + group + "/" + artifact + "/pom.properties", "groupId=" + group + "\nartifactId=" + artifact + "\nversion=" + version + "\n"},
	} {
		f, err := w.Create(file[0])
		if err == nil {
			_, err = f.Write([]byte(file[1]))
		}
		if err != nil {
			panic(err) // a buffer takes all
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// Zips makes of the records of a folder, ECOSYSTEM.jsonl with a record a line, zips as OSV
// publishes them.
func Zips(dir, into string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := zipped(file, filepath.Join(into, strings.TrimSuffix(filepath.Base(file), ".jsonl"), "all.zip")); err != nil {
			return err
		}
	}
	return nil
}

// Import makes a database of the records of a folder.
func Import(ctx context.Context, into vuln.Folder, dir, temp string) error {
	if err := Zips(dir, temp); err != nil {
		return err
	}
	list, err := vuln.Sources(temp)
	if err != nil {
		return err
	}
	for _, s := range list {
		if _, err := into.Import(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// zipped makes of a file with a record a line a zip as OSV publishes it.
func zipped(file, path string) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		f, err := w.Create(record.ID + ".json")
		if err == nil {
			_, err = f.Write(lines.Bytes())
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// Record is a record as far as a peer is asked about it.
type Record struct {
	ID       string `json:"id"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []Event `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

// Event is where a flaw begins, or ends.
type Event struct {
	Introduced string `json:"introduced"`
	Fixed      string `json:"fixed"`
}

// Records reads those of an ecosystem's family.
func Records(dir, ecosystem string) ([]Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, vuln.Family(ecosystem)+".jsonl"))
	if err != nil {
		return nil, err
	}
	var list []Record
	for line := range bytes.Lines(data) {
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Peer is what another scanner says of the fixtures.
type Peer struct {
	// Program is what it calls itself.
	Program string `json:"program"`
	Rows    []Row  `json:"rows"`
}

// Row is one package that a record speaks of, by the names that distinguish it for whoever
// compares.
type Row struct {
	Fixture string `json:"fixture"`
	Package string `json:"package"`
	Version string `json:"version"`
	ID      string `json:"id"`
}

// Compare orders rows.
func (r Row) Compare(other Row) int {
	return strings.Compare(strings.Join([]string{r.Fixture, r.Package, r.Version, r.ID}, "\x00"), strings.Join([]string{other.Fixture, other.Package, other.Version, other.ID}, "\x00"))
}

// Sorted are rows in order, each once.
func Sorted(rows []Row) []Row {
	slices.SortFunc(rows, Row.Compare)
	return slices.Compact(rows)
}
