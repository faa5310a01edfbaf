package collect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/escape"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// maxTableAge is for how long the tables of flaws and releases are believed.
const maxTableAge = 365 * 24 * time.Hour

// maxPackagesBytes bounds the list of what is installed.
const maxPackagesBytes = 32 << 20

// versionBody is what is read of GET /version.
type versionBody struct {
	Platform   *struct{ Name string }
	Components []struct {
		Name, Version string
		Details       map[string]string
	}
}

var (
	// debianRelease finds the release in the engine's word for the system.
	debianRelease = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^Debian GNU/Linux (\d+)\b`) })
	// commit is a revision that a build of the project itself names.
	commit = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(v[0-9][^ ]*-g)?[0-9a-f]{7,40}$`) })
	// packaged is a version of a package that Debian's builds name in its place.
	packaged = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9][0-9A-Za-z.+~]*-[0-9A-Za-z.+~]+$`) })
)

// installed is the version of an installed Debian package, "" for none. It reads
// dpkg's own list.
func (t *tree) installed(name string) (string, error) {
	f, err := t.open("/var/lib/dpkg/status", unix.S_IFREG, "it is no regular file")
	if f == nil || err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPackagesBytes+1))
	if err == nil && len(data) > maxPackagesBytes {
		err = fmt.Errorf("it has more than %d bytes", maxPackagesBytes)
	}
	if err != nil {
		return "", err
	}
	_, paragraph, found := strings.Cut("\n"+string(data), "\nPackage: "+name+"\n")
	if !found {
		return "", nil
	}
	paragraph, _, _ = strings.Cut(paragraph, "\n\n")
	version, there := "", false
	for line := range strings.SplitSeq(paragraph, "\n") {
		if value, found := strings.CutPrefix(line, "Version: "); found {
			version = value
		}
		if value, found := strings.CutPrefix(line, "Status: "); found {
			there = strings.HasSuffix(value, " installed")
		}
	}
	if !there {
		return "", nil
	}
	return version, nil
}

// components reads the programs that the engine names in its version, and what they
// were installed from.
func (c *collector) components(version json.RawMessage, engine string, noEngine string) []escape.Component {
	var said versionBody
	if err := decode("the engine's version", version, &said); err != nil || len(said.Components) == 0 {
		return nil
	}
	release := ""
	if m := debianRelease().FindStringSubmatch(c.facts.Host.OS); m != nil {
		release = m[1]
	}
	var out []escape.Component
	for _, one := range said.Components {
		e := escape.Component{Name: one.Name, Version: one.Version, Release: release}
		revision := one.Details["GitCommit"]
		switch {
		case one.Name == "Engine":
			e.Name = "engine"
			e.Upstream = said.Platform != nil && strings.HasPrefix(said.Platform.Name, "Docker Engine")
			if !e.Upstream && noEngine == "" && engine != "" {
				e.Package, e.PackageVersion = "docker.io", engine
			}
		case commit().MatchString(revision):
			e.Upstream = true
		case packaged().MatchString(revision):
			e.Package, e.PackageVersion = one.Name, revision
		}
		out = append(out, e)
	}
	return out
}

// versions fills in the components with the flaws that they are known to have, and
// the engine's release.
func (c *collector) versions(list []escape.Component) {
	h := &c.facts.Host
	h.Components = []facts.Component{}
	old := c.facts.Collected.Sub(escape.Date) > maxTableAge
	table := escape.Date.Format(time.DateOnly)
	if list == nil {
		c.unseen("host.components", reasonSilent)
		c.unseen("host.release", reasonSilent)
		return
	}
	for _, e := range list {
		one := facts.Component{Name: e.Name, Version: e.Version, Escapes: []string{}, Flaws: []string{}, OutOfReach: []string{}, EscapesKnown: true, FlawsKnown: true}
		if e.Package != "" {
			one.Package = e.Package + " " + e.PackageVersion
		}
		c.flaws(e, &one, fmt.Sprintf("host.components[%d].", len(h.Components)), old)
		h.Components = append(h.Components, one)
		if e.Name != "engine" {
			continue
		}
		r, ok := escape.Support(e)
		switch {
		case old:
			c.unseen("host.release", "what is known of releases is of "+table+", more than a year ago")
		case !ok:
			c.unseen("host.release", "whose release the engine "+e.Version+" is was not known on "+table)
		default:
			h.Release = facts.Release{Branch: r.Branch, Newest: r.Newest, Behind: r.Behind, Maintained: r.Ended.IsZero() || c.facts.Collected.Before(r.Ended), Table: table}
			if !r.Ended.IsZero() {
				h.Release.Ended = r.Ended.Format(time.DateOnly)
			}
		}
	}
}

// flaws adds what is known of a component, at the path in the facts.
func (c *collector) flaws(e escape.Component, out *facts.Component, at string, old bool) {
	found, ok := escape.Known(e)
	if !ok && slices.Contains([]string{"engine", "containerd", "runc"}, e.Name) {
		reason := fmt.Sprintf("%s has no version that is known", e.Name)
		c.unseen(at+"escapes_known", reason)
		c.unseen(at+"flaws_known", reason)
		return
	}
	var sure []escape.Flaw
	var unsure []string
	doubtful, paths := map[bool]bool{}, map[bool]string{}
	for _, f := range found {
		within, known := c.reaches(f.Path)
		switch {
		case known && !within:
			if f.Sure {
				out.OutOfReach = append(out.OutOfReach, f.ID)
			}
		case !known:
			paths[f.Escape] = cmp.Or(paths[f.Escape], fmt.Sprintf("whether there is %s here, which %s needs, could not be told", f.Path, f.ID))
		case !f.Sure:
			unsure, doubtful[f.Escape] = append(unsure, f.ID), true
		default:
			sure = append(sure, f)
			if f.Escape {
				out.Escapes = append(out.Escapes, f.ID)
			} else {
				out.Flaws = append(out.Flaws, f.ID)
			}
		}
	}
	out.Update = escape.Update(e, sure)
	table := escape.Date.Format(time.DateOnly)
	for isEscape, field := range map[bool]string{true: "escapes_known", false: "flaws_known"} {
		switch {
		case doubtful[isEscape]:
			of := "whoever built this " + e.Name
			if e.Package != "" {
				of = "Debian's " + out.Package
			}
			c.unseen(at+field, fmt.Sprintf("whether %s has a fix of its own for %s is not in the table of %s", of, strings.Join(unsure, ", "), table))
		case paths[isEscape] != "":
			c.unseen(at+field, paths[isEscape])
		case old:
			c.unseen(at+field, "what is known of flaws is of "+table+", more than a year ago")
		}
	}
}

// reaches reports whether the path to a flaw is there, and whether that is known.
func (c *collector) reaches(p escape.Path) (within, known bool) {
	seen := func(of string) bool {
		return !slices.ContainsFunc(c.facts.Unseen, func(u workload.Unseen) bool {
			return u.Path == of || u.Path == of+workload.Open || strings.HasPrefix(of, u.Path+".") || strings.HasPrefix(u.Path, of+"[")
		})
	}
	d := &c.facts.Daemon
	on := func(value bool, of string) (bool, bool) { return value, value || seen(of) }
	there := func(name string) (bool, bool) {
		if c.host == nil {
			return false, false
		}
		_, at, err := c.host.follow(name, nil)
		return at != nil, err == nil
	}
	switch p {
	case escape.HostNetwork:
		known = seen("containers")
		for i := range c.facts.Containers {
			s := &c.facts.Containers[i]
			within = within || s.Namespaces.Network == "host"
			known = known && !slices.ContainsFunc(s.Unseen, func(u workload.Unseen) bool { return strings.HasPrefix("namespaces.network", u.Path) })
		}
		return within, within || known
	case escape.InternalNetwork:
		within = slices.ContainsFunc(c.facts.Networks, func(n facts.Network) bool { return n.Internal })
		return on(within, "networks")
	case escape.Authorization:
		return on(len(d.AuthorizationPlugins) > 0, "daemon.authorization_plugins")
	case escape.MandatoryAccess:
		return on(d.AppArmor || d.SELinux, "daemon.apparmor")
	case escape.UserNamespace:
		return on(d.UsernsRemap, "daemon.userns_remap")
	case escape.KubernetesRuntime:
		return there("/var/lib/kubelet")
	case escape.Firewalld:
		return there("/usr/sbin/firewalld")
	}
	return true, true
}
