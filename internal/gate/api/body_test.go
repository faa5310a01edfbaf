package api

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// undocumentedKeys are keys that no document has, or not in all versions that have
// them, by the type that they are in. The official types have them, but for those
// that say otherwise.
var undocumentedKeys = map[string]string{
	"AuthBody.auth":                               "",
	"AuthBody.identitytoken":                      "",
	"AuthBody.registrytoken":                      "",
	"MountBody.ClusterOptions":                    "",
	"SwarmInitBody.AutoLockManagers":              "",
	"SwarmInitBody.Availability":                  "",
	"SwarmJoinBody.Availability":                  "",
	"NetworkCreateBody.Scope":                     "documented from 1.41 on; engine 19.03 reads it too, as the next two",
	"NetworkCreateBody.ConfigOnly":                "documented from 1.41 on",
	"NetworkCreateBody.ConfigFrom":                "documented from 1.41 on",
	"NetworkCreateBody.IPAM.Config[].*":           "1.40 documents a map of texts",
	"ExecCreateBody.Detach":                       "not official any more; engines up to 28 decode it",
	"PluginSpec.name":                             "documented as Name, which is no key of the official type; so are the next three",
	"PluginSpec.remote":                           "documented as Remote",
	"PluginSpec.privileges":                       "documented as PluginPrivilege",
	"PluginSpec.disabled":                         "documented as Disabled",
	"PluginSpec.env":                              "",
	"ClusterVolumeSpec.Availability":              "documented as a part of AccessMode, which it is not; so are the next three",
	"ClusterVolumeSpec.CapacityRange":             "documented as a part of AccessMode",
	"ClusterVolumeSpec.Secrets":                   "documented as a part of AccessMode",
	"ClusterVolumeSpec.AccessibilityRequirements": "documented as a part of AccessMode",
	"ClusterVolumeSpec.AccessMode.BlockVolume":    "",
	"ClusterVolumeSpec.AccessMode.MountVolume.*":  "documented as an object without keys",
}

// otherKeys are keys that the documents have and no engine of these versions reads.
var otherKeys = map[string]string{
	"PluginSpec.Name":                                        "the key is name",
	"PluginSpec.Remote":                                      "the key is remote",
	"PluginSpec.PluginPrivilege":                             "the key is privileges",
	"PluginSpec.Disabled":                                    "the key is disabled",
	"ClusterVolumeSpec.AccessMode.Availability":              "the key is beside AccessMode",
	"ClusterVolumeSpec.AccessMode.CapacityRange":             "the key is beside AccessMode",
	"ClusterVolumeSpec.AccessMode.Secrets":                   "the key is beside AccessMode",
	"ClusterVolumeSpec.AccessMode.AccessibilityRequirements": "the key is beside AccessMode",
}

// listed reports whether a key is in a list, by itself or with all of its object,
// and notes that it is used.
func listed(list map[string]string, path string, used map[string]bool) bool {
	for _, key := range []string{path, path[:strings.LastIndexByte(path, '.')] + ".*"} {
		if _, ok := list[key]; ok {
			used[key] = true
			return true
		}
	}
	return false
}

// compareBodies lists where the bodies and the documents differ, in every version
// and at every depth. It notes which entries of the lists are used.
func compareBodies(docs map[Version]*document, table []Endpoint, used map[string]bool) (complaints []string) {
	for v := Oldest; v <= Newest; v++ {
		for i := range table {
			e := &table[i]
			op := docs[v].Paths[strings.ReplaceAll(e.Pattern, "...}", "}")][strings.ToLower(e.Method)]
			if e.Body.Kind != JSON || op == nil {
				continue
			}
			c := bodyComparison{doc: docs[v], version: v, used: used}
			c.compare("", op.body(), e.Body.Type, 0)
			for _, complaint := range c.complaints {
				complaints = append(complaints, fmt.Sprintf("API %s %s: %s", v, e, complaint))
			}
		}
	}
	slices.Sort(complaints)
	return complaints
}

type bodyComparison struct {
	doc        *document
	version    Version
	used       map[string]bool
	complaints []string
}

func (c *bodyComparison) complain(format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf(format, args...))
}

// kinds are the JSON types that a Go type may be documented as.
func kinds(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case k == reflect.Struct, k == reflect.Map:
		return []string{"object"}
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8, k == reflect.String:
		return []string{"string"}
	case k == reflect.Slice:
		return []string{"array"}
	case k == reflect.Bool:
		return []string{"boolean"}
	case k == reflect.Float32:
		return []string{"number"}
	}
	return []string{"integer"}
}

func (c *bodyComparison) compare(at string, s *schema, t reflect.Type, depth int) {
	if kind := c.doc.kind(s); !slices.Contains(kinds(t), kind) {
		c.complain("%s is documented as %q, and is %s here", at, kind, t)
		return
	}
	t, open := inside(t)
	if t.Name() != "" {
		at = t.Name() // so that a type has one name wherever it is
	}
	switch {
	case !open || depth > 12:
	case t.Kind() != reflect.Struct:
		if elements := c.doc.elements(s); elements != nil {
			c.compare(at+"[]", elements, t.Elem(), depth+1)
		}
	default:
		c.compareKeys(at, c.doc.properties(s), shapeOf(t), depth)
	}
}

func (c *bodyComparison) compareKeys(at string, documented map[string]*schema, ours *shape, depth int) {
	for name, below := range documented {
		path := at + "." + name
		if listed(otherKeys, path, c.used) {
			continue
		}
		k, known := ours.keys[name]
		if !known || k.unread {
			c.complain("%s is documented, and not here", path)
			continue
		}
		if !c.version.within(k.since, k.last) {
			c.complain("%s is documented, and our tag says %s to %s", path, k.since, k.last)
		}
		c.compare(path, below, k.typ, depth+1)
	}
	for name, k := range ours.keys {
		path := at + "." + name
		if documented[name] == nil && !k.unread && c.version.within(k.since, k.last) && !listed(undocumentedKeys, path, c.used) {
			c.complain("%s is not documented, and our tag says %s to %s", path, k.since, k.last)
		}
	}
}

// TestBodiesAreTheAPIs: each key of each version's document, at every depth, is one
// of ours, in just these versions and of the same type, and nothing else but what is
// listed with a reason.
func TestBodiesAreTheAPIs(t *testing.T) {
	used := map[string]bool{}
	for _, complaint := range compareBodies(specs(t), table, used) {
		t.Error(complaint)
	}
	for _, list := range []map[string]string{undocumentedKeys, otherKeys} {
		for key := range list {
			if !used[key] {
				t.Errorf("%s is listed, and in no need of it", key)
			}
		}
	}
}

// TestNewKeysAreNoticed: the comparison complains of what a newer API might bring.
func TestNewKeysAreNoticed(t *testing.T) {
	docs := specs(t)
	newest := docs[Newest]
	defer func() { docs[Newest] = newest }()
	for name, tc := range map[string]struct {
		definition, key, schema, want string
	}{
		"of a host's part":   {"HostConfig", "HostKernel", "{type: boolean}", "API 1.56 POST /containers/create: HostConfig.HostKernel is documented, and not here"},
		"of the limits":      {"Resources", "GpuShares", "{type: integer}", "API 1.56 POST /containers/{id}/update: ContainerUpdateBody.GpuShares is documented, and not here"},
		"of the rest":        {"ContainerConfig", "Secrets", "{type: array}", "API 1.56 POST /containers/create: ContainerCreateBody.Secrets is documented, and not here"},
		"of a mount":         {"Mount", "HostOptions", "{type: object}", "API 1.56 POST /services/create: MountBody.HostOptions is documented, and not here"},
		"of networking":      {"NetworkingConfig", "Bypass", "{type: boolean}", "API 1.56 POST /containers/create: NetworkingConfig.Bypass is documented, and not here"},
		"of an endpoint":     {"EndpointSettings", "Bypass", "{type: boolean}", "API 1.56 POST /networks/{id...}/connect: EndpointSettings.Bypass is documented, and not here"},
		"of a task":          {"TaskSpec", "Teleport", "{type: boolean}", "API 1.56 POST /services/{id}/update: TaskSpec.Teleport is documented, and not here"},
		"of another type":    {"HostConfig", "Privileged", "{type: string}", "API 1.56 POST /containers/create: HostConfig.Privileged is documented as \"string\", and is bool here"},
		"in another version": {"HostConfig", "KernelMemory", "{type: integer}", "API 1.56 POST /containers/create: HostConfig.KernelMemory is documented, and our tag says 1.40 to 1.41"},
	} {
		changed := &document{Paths: newest.Paths, Definitions: maps.Clone(newest.Definitions)}
		def := *newest.Definitions[tc.definition]
		def.Properties = maps.Clone(def.Properties)
		if def.Properties == nil {
			// Those of HostConfig are in a part of it.
			def.AllOf = slices.Clone(def.AllOf)
			part := *def.AllOf[len(def.AllOf)-1]
			part.Properties = maps.Clone(part.Properties)
			part.Properties[tc.key] = parse[schema](t, tc.schema)
			def.AllOf[len(def.AllOf)-1] = &part
		} else {
			def.Properties[tc.key] = parse[schema](t, tc.schema)
		}
		changed.Definitions[tc.definition] = &def
		docs[Newest] = changed
		if got := compareBodies(docs, table, map[string]bool{}); !slices.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	// A key that is no longer documented.
	changed := &document{Paths: newest.Paths, Definitions: maps.Clone(newest.Definitions)}
	def := *newest.Definitions["RestartPolicy"]
	def.Properties = maps.Clone(def.Properties)
	delete(def.Properties, "MaximumRetryCount")
	changed.Definitions["RestartPolicy"] = &def
	docs[Newest] = changed
	want := "API 1.56 POST /containers/{id}/update: RestartPolicy.MaximumRetryCount is not documented, and our tag says 1.40 to 1.56"
	if got := compareBodies(docs, table, map[string]bool{}); !slices.Contains(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
