package workload

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"go.yaml.in/yaml/v3"
)

// bodies are our raw bodies with the names that the API's own documents give them.
var bodies = map[string]reflect.Type{
	"ContainerConfig": reflect.TypeFor[Config](), "HostConfig": reflect.TypeFor[HostConfig](), "Resources": reflect.TypeFor[HostConfig](),
	"HealthConfig": reflect.TypeFor[HealthConfig](), "Mount": reflect.TypeFor[MountBody](), "MountPoint": reflect.TypeFor[MountPoint](),
	"EndpointSettings": reflect.TypeFor[EndpointSettings](), "NetworkSettings": reflect.TypeFor[NetworkSettings](),
	"ContainerState": reflect.TypeFor[State](), "PortBinding": reflect.TypeFor[PortBinding](), "RestartPolicy": reflect.TypeFor[RestartPolicy](),
	"DeviceMapping": reflect.TypeFor[DeviceMapping](), "DeviceRequest": reflect.TypeFor[DeviceRequestBody](),
	"ThrottleDevice": reflect.TypeFor[ThrottleDevice](), "NetworkingConfig": reflect.TypeFor[NetworkingConfig](),
	"ContainerInspectResponse": reflect.TypeFor[InspectBody](),
}

// TestFieldsPerVersion holds the api tags of the raw bodies against the API's
// own documents of every version: what a version documents is what the tags
// say it has. ClusterOptions is in no document, and in the official types.
func TestFieldsPerVersion(t *testing.T) {
	for minor := oldestAPI; minor <= newestAPI; minor++ {
		definitions := apiDocument(t, minor)
		for name, body := range bodies {
			def, ok := definitions[name]
			if !ok {
				continue // the older documents have the inspect answer in place
			}
			for _, field := range properties(def) {
				if err := knows(body, field, minor); err != "" {
					t.Errorf("API 1.%d %s.%s: %s", minor, name, field, err)
				}
			}
			documented := properties(def)
			if name == "HostConfig" {
				documented = append(documented, properties(definitions["Resources"])...)
			}
			for _, f := range reflect.VisibleFields(body) {
				first, last := apiRange(f)
				within := minor >= first && minor <= last
				if name != "Resources" && jsonName(f) != "-" && f.Name != "ClusterOptions" && slices.Contains(documented, jsonName(f)) != within {
					t.Errorf("API 1.%d %s.%s: documented is %t, and our tag says 1.%d to 1.%d", minor, name, f.Name, !within, first, last)
				}
			}
		}
	}
}

// The minor versions of the API that the bodies cover.
const (
	oldestAPI = 40
	newestAPI = 56
)

// apiRange is the first and last minor version that a field's tag gives.
func apiRange(f reflect.StructField) (first, last int) {
	first, last = oldestAPI, newestAPI
	from, to, _ := strings.Cut(f.Tag.Get("api"), "-")
	if n, err := strconv.Atoi(from); err == nil {
		first = n
	}
	if n, err := strconv.Atoi(to); err == nil {
		last = n
	}
	return first, last
}

func knows(body reflect.Type, field string, minor int) string {
	for _, f := range reflect.VisibleFields(body) {
		if jsonName(f) == field {
			if first, last := apiRange(f); minor < first || minor > last {
				return "our tag says 1." + strconv.Itoa(first) + " to 1." + strconv.Itoa(last)
			}
			return ""
		}
	}
	return "our body has no such field"
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// apiDocument reads the definitions of one version of the API from the official
// module.
func apiDocument(t *testing.T, minor int) map[string]map[string]any {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/moby/moby/api").Output()
	if err != nil {
		t.Fatalf("finding the API's documents: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "docs", "v1."+strconv.Itoa(minor)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Definitions map[string]map[string]any `yaml:"definitions"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Definitions
}

// properties are the fields of a definition, those of its allOf parts included.
func properties(def map[string]any) []string {
	var names []string
	if props, ok := def["properties"].(map[string]any); ok {
		for name := range props {
			names = append(names, name)
		}
	}
	if parts, ok := def["allOf"].([]any); ok {
		for _, p := range parts {
			names = append(names, properties(p.(map[string]any))...)
		}
	}
	slices.Sort(names)
	return names
}

// TestOfficialTypesAreCovered: every field that the official types encode has a
// field of the same JSON name and place here.
func TestOfficialTypesAreCovered(t *testing.T) {
	covered(t, "inspect", reflect.TypeFor[container.InspectResponse](), reflect.TypeFor[InspectBody](), 0)
	covered(t, "create", reflect.TypeFor[container.CreateRequest](), reflect.TypeFor[CreateBody](), 0)
}

func covered(t *testing.T, path string, theirs, ours reflect.Type, depth int) {
	theirs, ours = element(theirs), element(ours)
	if theirs.Kind() != reflect.Struct || ours.Kind() != reflect.Struct || ours == reflect.TypeFor[Unread]() || theirs.PkgPath() == "net/netip" || theirs.PkgPath() == "time" || depth > 8 {
		return
	}
	for _, f := range reflect.VisibleFields(theirs) {
		if f.Anonymous || !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		at := path + "." + jsonName(f)
		i := slices.IndexFunc(reflect.VisibleFields(ours), func(o reflect.StructField) bool { return !o.Anonymous && jsonName(o) == jsonName(f) })
		if i < 0 {
			t.Errorf("%s has no field here", at)
			continue
		}
		covered(t, at, f.Type, reflect.VisibleFields(ours)[i].Type, depth+1)
	}
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}
