package collect

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// decode reads one element of a list.
func decode(what string, raw json.RawMessage, into any) error {
	_, err := strict.Decode(what, raw, into)
	return err
}

// iccOption is the bridge driver's; a bridge that lacks it lets its containers
// reach one another.
const iccOption = "com.docker.network.bridge.enable_icc"

func (c *collector) networks(list []json.RawMessage, reason string) {
	c.facts.Networks = []facts.Network{}
	if reason != "" {
		c.unseen("networks", reason)
		return
	}
	for _, raw := range list {
		var n struct {
			ID                  string `json:"Id"`
			Name, Driver, Scope string
			Internal            bool
			Options             map[string]string
		}
		if err := decode("a network", raw, &n); err != nil {
			c.unseenOnce("networks"+workload.Open, reasonUnreadable)
			continue
		}
		c.facts.Networks = append(c.facts.Networks, facts.Network{ID: n.ID, Name: n.Name, Driver: n.Driver, Scope: n.Scope,
			Internal: n.Internal, ICC: reachOneAnother(n.Driver, n.Options), Options: withoutSecrets(n.Options)})
	}
	slices.SortStableFunc(c.facts.Networks, func(a, b facts.Network) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

// reachOneAnother: only a bridge can keep its containers apart, and the null
// driver has no network at all.
func reachOneAnother(driver string, options map[string]string) bool {
	if driver == "null" {
		return false
	}
	value, said := options[iccOption]
	if driver != "bridge" || !said {
		return true
	}
	on, err := strconv.ParseBool(value)
	return err != nil || on
}

func (c *collector) volumes(list []json.RawMessage, warnings []string, reason string) {
	c.facts.Volumes = []facts.Volume{}
	if reason != "" {
		c.unseen("volumes", reason)
		return
	}
	for _, w := range warnings {
		c.warn("the engine could not list all volumes: %s", w)
		c.unseenOnce("volumes"+workload.Open, "a volume plugin did not answer")
	}
	c.around.Volumes = make(map[string]workload.Volume, len(list))
	for _, raw := range list {
		var v struct {
			Driver, Mountpoint, Scope string
			Name                      string            `strict:"required"`
			Options                   map[string]string `strict:"required"`
			Missing                   strict.Missing    `json:"-"`
		}
		if err := decode("a volume", raw, &v); err != nil || len(v.Missing) > 0 {
			c.unseenOnce("volumes"+workload.Open, reasonUnreadable)
			continue
		}
		options := withoutSecrets(v.Options)
		c.facts.Volumes = append(c.facts.Volumes, facts.Volume{Name: v.Name, Driver: v.Driver, Mountpoint: v.Mountpoint, Options: options, Scope: v.Scope})
		c.around.Volumes[v.Name] = workload.Volume{Driver: v.Driver, Options: options, Mountpoint: v.Mountpoint}
	}
	slices.SortStableFunc(c.facts.Volumes, func(a, b facts.Volume) int { return cmp.Compare(a.Name, b.Name) })
}

func (c *collector) unseenOnce(path, reason string) {
	if !slices.ContainsFunc(c.facts.Unseen, func(u workload.Unseen) bool { return u.Path == path }) {
		c.unseen(path, reason)
	}
}

// secretWords are parts of the names of driver options whose values are not to
// be kept: mount.cifs(8) has password and credentials, plugins have the others.
var secretWords = []string{"pass", "secret", "token", "credential", "key"}

// userInfo is the name and password in a URL, or in a share as mount.cifs takes
// it (//user:password@server/share).
var userInfo = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`//[^/@]*:[^/@]*@`) })

// withoutSecrets copies driver options with the values of secrets struck out,
// also of those inside a list of mount options ("o": "username=x,password=y").
func withoutSecrets(options map[string]string) map[string]string {
	out := make(map[string]string, len(options))
	for name, value := range options {
		if isSecret(name) {
			out[name] = "***"
			continue
		}
		if strings.Contains(value, "//") {
			value = userInfo().ReplaceAllString(value, "//***@")
		}
		parts := strings.Split(value, ",")
		for i, p := range parts {
			if key, _, found := strings.Cut(p, "="); found && isSecret(key) {
				parts[i] = key + "=***"
			}
		}
		out[name] = strings.Join(parts, ",")
	}
	return out
}

func isSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(name, w) })
}
