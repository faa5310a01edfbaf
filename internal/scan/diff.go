package scan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/redact"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// Diff is what a second image has that the first has not, and the other way. Contents of
// files are not compared. No list is nil.
type Diff struct {
	Schema string `json:"schema"` // plimsoll/imagediff/1
	Before Side   `json:"before"`
	After  Side   `json:"after"`
	// New and Mended are flaws and secrets that only the second or the first has, and Left
	// those that both have, as the second has them: a flaw of a package is the same one in
	// another version of that, and a secret the same in other layers. The gravest is first.
	New    []finding.Finding `json:"new"`
	Mended []finding.Finding `json:"mended"`
	Left   []finding.Finding `json:"left"`
	// Untold are failures of the second of which it can't be told whether the first had them.
	Untold     []finding.Finding `json:"untold"`
	Privileged Privileged        `json:"privileged"`
	Packages   PackageDiff       `json:"packages"`
	// Configuration is what containers get of the image, where it is another.
	Configuration []Setting `json:"configuration"`
	Layers        LayerDiff `json:"layers"`
	// NotCompared is what one of the images does not tell.
	NotCompared []NotCompared `json:"not_compared"`
}

// Side is one of the two images.
type Side struct {
	Name string `json:"name"` // as it was asked for
	ID   string `json:"id"`   // the digest of its configuration, "" for none
	OS   string `json:"os"`
	// Packages is how many it has; Bytes are those of the files of all its layers.
	Packages int   `json:"packages"`
	Bytes    int64 `json:"bytes"`
}

// Privileged are files whose rights of others only one of the images has.
type Privileged struct {
	New  []PrivilegedFile `json:"new"`
	Gone []PrivilegedFile `json:"gone"`
}

// PrivilegedFile is a file that gives rights of others to whoever runs it.
type PrivilegedFile struct {
	Path string `json:"path"`
	// Rights are setuid and setgid, and capabilities without CAP_ (capabilities(7)).
	Rights []string `json:"rights"`
}

// PackageDiff are the packages that came, went, or are there in another version.
type PackageDiff struct {
	Added   []PackageVersions `json:"added"`
	Removed []PackageVersions `json:"removed"`
	Changed []PackageChange   `json:"changed"`
}

// PackageVersions is a package with its versions, of which an image may have several; "" is
// one that nobody wrote down.
type PackageVersions struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Versions []string `json:"versions"`
}

// PackageChange is a package in other versions.
type PackageChange struct {
	Type   string   `json:"type"`
	Name   string   `json:"name"`
	Before []string `json:"before"`
	After  []string `json:"after"`
	// Way is up or down where each version that came is later, or earlier, than each that
	// went; "" where that can't be said.
	Way string `json:"way"`
}

// Setting is a part of the configuration. Of what is a set, Before and After are what only
// that image has; else the whole value, nothing for none. Of variables the names are
// compared alone. What looks like a secret is struck out.
type Setting struct {
	Name   string   `json:"name"`
	Before []string `json:"before"`
	After  []string `json:"after"`
	// Way is worse or better where a rule about images says so, else "".
	Way string `json:"way"`
	set bool
}

// LayerDiff are layers by their digests, and the bytes of the files in them.
type LayerDiff struct {
	Shared      int   `json:"shared"`
	SharedBytes int64 `json:"shared_bytes"`
	Added       int   `json:"added"`
	AddedBytes  int64 `json:"added_bytes"`
	Taken       int   `json:"taken"`
	TakenBytes  int64 `json:"taken_bytes"`
}

// NotCompared is something that was not compared.
type NotCompared struct {
	What   string `json:"what"` // secrets, files, configuration or layers
	Reason string `json:"reason"`
}

// DiffOf compares two images by what [Judge] reported about each with the same measure.
func DiffOf(before, after *Contents, was, is finding.Report) *Diff {
	d := &Diff{Schema: "plimsoll/imagediff/1", Before: sideOf(before), After: sideOf(after), Untold: []finding.Finding{}, Packages: packageDiff(before.Document.Packages, after.Document.Packages),
		Privileged: Privileged{New: []PrivilegedFile{}, Gone: []PrivilegedFile{}}, Configuration: []Setting{}, NotCompared: []NotCompared{}}
	d.New, d.Left = beyond(is, was)
	d.Mended, _ = beyond(was, is)
	if lacking := lacks(before, after, func(c *Contents) bool { return c.View == nil }); lacking == "" {
		d.Privileged = Privileged{New: privilegedBeyond(after, before), Gone: privilegedBeyond(before, after)}
	} else {
		d.NotCompared = append(d.NotCompared, NotCompared{"secrets", lacking}, NotCompared{"files", lacking})
		secret := func(f finding.Finding) bool { return f.Section == SectionSecrets }
		for _, f := range d.New {
			if secret(f) {
				d.Untold = append(d.Untold, f)
			}
		}
		d.New, d.Mended = slices.DeleteFunc(d.New, secret), slices.DeleteFunc(d.Mended, secret)
	}
	if lacking := lacks(before, after, func(c *Contents) bool { return c.Config == nil }); lacking == "" {
		d.Configuration = settings(before, after)
		d.layers(before, after)
	} else {
		d.NotCompared = append(d.NotCompared, NotCompared{"configuration", lacking}, NotCompared{"layers", lacking})
	}
	return d
}

func sideOf(c *Contents) Side {
	return Side{Name: c.Document.Name, ID: string(c.Document.ID), OS: shortOS(c.Document.OS), Packages: len(c.Document.Packages), Bytes: c.Files.Size}
}

// lacks says which of two images do not tell something; "" where both do.
func lacks(before, after *Contents, lacking func(*Contents) bool) string {
	switch a, b := before.Document.Name, after.Document.Name; {
	case lacking(before) && lacking(after) && a != b:
		return a + " and " + b + " tell none"
	case lacking(before):
		return a + " tells none"
	case lacking(after):
		return b + " tells none"
	}
	return ""
}

// beyond are the failures of a report that another has not, and those that both have.
func beyond(r, other finding.Report) (only, both []finding.Finding) {
	has := map[string]bool{}
	for i := range other.Findings {
		if f := &other.Findings[i]; f.Status == finding.Fail {
			has[sameness(f)] = true
		}
	}
	only, both = []finding.Finding{}, []finding.Finding{}
	for i := range r.Findings {
		f := &r.Findings[i]
		switch {
		case f.Status != finding.Fail:
		case has[sameness(f)]:
			both = append(both, *f)
		default:
			only = append(only, *f)
		}
	}
	for _, list := range [][]finding.Finding{only, both} {
		slices.SortStableFunc(list, func(a, b finding.Finding) int { return cmp.Compare(a.Severity.Rank(), b.Severity.Rank()) })
	}
	return only, both
}

// sameness is alike for findings of two images that are about the same.
func sameness(f *finding.Finding) string {
	if f.Section == SectionSecrets {
		return f.Rule + "\x00" + told(f, "fingerprint")
	}
	return strings.Join([]string{f.Rule, told(f, "type"), vuln.Family(told(f, "ecosystem")), told(f, "package")}, "\x00")
}

// packageDiff compares packages by type and name.
func packageDiff(before, after []sbom.Package) PackageDiff {
	type name struct{ typ, name string }
	gather := func(list []sbom.Package) map[name][]string {
		out := map[name][]string{}
		for i := range list {
			n := name{list[i].Type, list[i].Name}
			out[n] = append(out[n], list[i].Version)
		}
		for n, versions := range out {
			slices.Sort(versions)
			out[n] = slices.Compact(versions)
		}
		return out
	}
	d := PackageDiff{Added: []PackageVersions{}, Removed: []PackageVersions{}, Changed: []PackageChange{}}
	had, have := gather(before), gather(after)
	all := maps.Clone(had)
	maps.Copy(all, have)
	for _, n := range slices.SortedFunc(maps.Keys(all), func(a, b name) int { return cmp.Or(cmp.Compare(a.typ, b.typ), cmp.Compare(a.name, b.name)) }) {
		x, y := had[n], have[n]
		switch {
		case slices.Equal(x, y):
		case len(x) == 0:
			d.Added = append(d.Added, PackageVersions{n.typ, n.name, y})
		case len(y) == 0:
			d.Removed = append(d.Removed, PackageVersions{n.typ, n.name, x})
		default:
			d.Changed = append(d.Changed, PackageChange{n.typ, n.name, x, y, way(orderOf(n.typ), without(x, y), without(y, x))})
		}
	}
	return d
}

// orderOf is the ecosystem whose order the versions of a type have. Those of distributions'
// packages have that of the packages' format, whoever built them.
func orderOf(typ string) string {
	switch typ {
	case sbom.Deb:
		return "Debian"
	case sbom.APK:
		return "Alpine"
	case sbom.RPM:
		return "Red Hat"
	}
	p := sbom.Package{Type: typ}
	ecosystem, _ := p.Ecosystem()
	return ecosystem
}

// way says whether the versions that came are later than those that went.
func way(ecosystem string, went, came []string) string {
	if len(went) == 0 || len(came) == 0 {
		return ""
	}
	low, high, known := ends(ecosystem, went)
	lowest, highest, ordered := ends(ecosystem, came)
	if !known || !ordered {
		return ""
	}
	if order, known := vuln.Compare(ecosystem, high, lowest); known && order < 0 {
		return "up"
	}
	if order, known := vuln.Compare(ecosystem, low, highest); known && order > 0 {
		return "down"
	}
	return ""
}

// ends are the earliest and the latest of some versions; known is false where they have no
// order.
func ends(ecosystem string, versions []string) (low, high string, known bool) {
	low, high = versions[0], versions[0]
	for _, v := range versions[1:] {
		below, known := vuln.Compare(ecosystem, v, low)
		if !known {
			return "", "", false
		}
		if below < 0 {
			low = v
		}
		if above, known := vuln.Compare(ecosystem, v, high); known && above > 0 {
			high = v
		}
	}
	return low, high, true
}

// without are the words of a list that another lacks; never nil.
func without(list, other []string) []string {
	has := make(map[string]bool, len(other))
	for _, s := range other {
		has[s] = true
	}
	return slices.DeleteFunc(append([]string{}, list...), func(s string) bool { return has[s] })
}

// privilegedBeyond are the rights of an image's files that another's have not.
func privilegedBeyond(c, other *Contents) []PrivilegedFile {
	has, list := privileged(other), []PrivilegedFile{}
	for path, rights := range privileged(c) {
		if only := without(rights, has[path]); len(only) > 0 {
			list = append(list, PrivilegedFile{path, only})
		}
	}
	slices.SortFunc(list, func(a, b PrivilegedFile) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// privileged are the rights that an image's files have, by path.
func privileged(c *Contents) map[string][]string {
	files := map[string][]string{}
	for _, f := range c.Facts.Setuid {
		bits, _ := strconv.ParseUint(f.Mode, 8, 32) // as outsideOf wrote it
		if bits&0o4000 != 0 {
			files[f.Path] = append(files[f.Path], "setuid")
		}
		if bits&0o2000 != 0 {
			files[f.Path] = append(files[f.Path], "setgid")
		}
	}
	for _, f := range c.Files.Capable {
		files[f.Path] = append(files[f.Path], f.Capabilities...)
	}
	return files
}

// settings compares what containers get from the image.
func settings(before, after *Contents) []Setting {
	a, b := settingsOf(before), settingsOf(after)
	list := []Setting{}
	for i := range a {
		s := Setting{Name: a[i].name, Before: a[i].value, After: b[i].value, set: a[i].set}
		if s.set {
			s.Before, s.After = without(s.Before, s.After), without(s.After, s.Before)
		}
		if slices.Equal(s.Before, s.After) {
			continue
		}
		switch worse, better := a[i].bad, b[i].bad; {
		case better && !worse:
			s.Way = "worse"
		case worse && !better:
			s.Way = "better"
		}
		list = append(list, s)
	}
	return list
}

// setting is a part of one image's configuration. Bad is what a rule about images is
// against: root, and no check of its health.
type setting struct {
	name     string
	value    []string
	set, bad bool
}

// settingsOf are those of an image, always the same in the same order.
func settingsOf(c *Contents) []setting {
	config, known := &c.Config.Config, &c.Facts
	one := func(s string) []string {
		if s == "" {
			return []string{}
		}
		return []string{s}
	}
	user := known.User
	_, group, _ := strings.Cut(config.User, ":")
	if root := user == "0"; group != "" && !(root && (group == "0" || group == "root")) {
		user += ":" + group
	}
	labels := []string{}
	for _, name := range slices.Sorted(maps.Keys(known.Labels)) {
		labels = append(labels, name+"="+known.Labels[name])
	}
	return []setting{
		{name: "platform", value: one(strings.Trim(strings.Join([]string{c.Config.OS, c.Config.Architecture, c.Config.Variant}, "/"), "/"))},
		{name: "user", value: one(user), bad: known.User == "0"},
		{name: "entrypoint", value: one(command(config.Entrypoint))},
		{name: "cmd", value: one(command(config.Cmd))},
		{name: "environment", value: known.Environment, set: true},
		{name: "ports", value: known.ExposedPorts, set: true},
		{name: "volumes", value: known.Volumes, set: true},
		{name: "health check", value: one(health(c.Config)), bad: !known.Healthcheck},
		{name: "labels", value: labels, set: true},
		{name: "working directory", value: one(strings.TrimSuffix(config.WorkingDir, "/"))},
		{name: "stop signal", value: one(config.StopSignal)},
	}
}

// command is a list of words as a Dockerfile has it, without what looks like a secret; "" is
// none.
func command(words []string) string {
	if len(words) == 0 {
		return ""
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(words); err != nil {
		return redact.StruckOut // strings always can be encoded
	}
	text, _, _ := redact.Text(strings.TrimSpace(b.String()))
	return text
}

// health is a health check as a Dockerfile has it; "" is none.
func health(config *image.Config) string {
	check := config.Config.Healthcheck
	if check == nil || len(check.Test) == 0 || check.Test[0] == "NONE" {
		return ""
	}
	text := ""
	for _, o := range []struct {
		name  string
		value fmt.Stringer
		set   bool
	}{{"interval", check.Interval, check.Interval != 0}, {"timeout", check.Timeout, check.Timeout != 0}, {"start-period", check.StartPeriod, check.StartPeriod != 0}, {"start-interval", check.StartInterval, check.StartInterval != 0}} {
		if o.set {
			text += "--" + o.name + "=" + o.value.String() + " "
		}
	}
	if check.Retries != 0 {
		text += fmt.Sprintf("--retries=%d ", check.Retries)
	}
	return text + command(check.Test)
}

// layers compares them by digest, each as often as it is there.
func (d *Diff) layers(before, after *Contents) {
	had := map[digest.Digest]int{}
	for n, l := range before.Document.Layers {
		had[l.DiffID]++
		d.Layers.Taken++
		d.Layers.TakenBytes += before.View.Layers[n].Bytes
	}
	for n, l := range after.Document.Layers {
		bytes := after.View.Layers[n].Bytes
		if had[l.DiffID] == 0 {
			d.Layers.Added++
			d.Layers.AddedBytes += bytes
			continue
		}
		had[l.DiffID]--
		d.Layers.Shared++
		d.Layers.SharedBytes += bytes
		d.Layers.Taken--
		d.Layers.TakenBytes -= bytes
	}
}

// Worst says whether something new is at least that grave, and whether something may be
// new that is.
func (d *Diff) Worst(limit finding.Severity) (is, maybe bool) {
	grave := func(f finding.Finding) bool { return f.Severity.AtLeast(limit) }
	return slices.ContainsFunc(d.New, grave), slices.ContainsFunc(d.Untold, grave)
}
