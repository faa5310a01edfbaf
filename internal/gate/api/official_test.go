package api

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/checkpoint"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/plugin"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/volume"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// official are the types that the newest engine decodes bodies into. Two are not in
// the module: that of a commit is the config alone, and that of a volume's update.
var official = map[string]reflect.Type{
	"POST /containers/create":           reflect.TypeFor[container.CreateRequest](),
	"POST /containers/{id}/update":      reflect.TypeFor[container.UpdateConfig](),
	"POST /containers/{id}/exec":        reflect.TypeFor[container.ExecCreateRequest](),
	"POST /exec/{id}/start":             reflect.TypeFor[container.ExecStartRequest](),
	"POST /containers/{id}/checkpoints": reflect.TypeFor[checkpoint.CreateRequest](),
	"POST /commit":                      reflect.TypeFor[struct{ *container.Config }](),
	"POST /auth":                        reflect.TypeFor[registry.AuthConfig](),
	"POST /volumes/create":              reflect.TypeFor[volume.CreateRequest](),
	"PUT /volumes/{name...}":            reflect.TypeFor[struct{ Spec *volume.ClusterVolumeSpec }](),
	"POST /networks/create":             reflect.TypeFor[network.CreateRequest](),
	"POST /networks/{id...}/connect":    reflect.TypeFor[network.ConnectRequest](),
	"POST /networks/{id...}/disconnect": reflect.TypeFor[network.DisconnectRequest](),
	"POST /plugins/pull":                reflect.TypeFor[plugin.Privileges](),
	"POST /plugins/{name...}/upgrade":   reflect.TypeFor[plugin.Privileges](),
	"POST /plugins/{name...}/set":       reflect.TypeFor[[]string](),
	"POST /swarm/init":                  reflect.TypeFor[swarm.InitRequest](),
	"POST /swarm/join":                  reflect.TypeFor[swarm.JoinRequest](),
	"POST /swarm/unlock":                reflect.TypeFor[swarm.UnlockRequest](),
	"POST /swarm/update":                reflect.TypeFor[swarm.Spec](),
	"POST /nodes/{id}/update":           reflect.TypeFor[swarm.NodeSpec](),
	"POST /services/create":             reflect.TypeFor[swarm.ServiceSpec](),
	"POST /services/{id}/update":        reflect.TypeFor[swarm.ServiceSpec](),
	"POST /secrets/create":              reflect.TypeFor[swarm.SecretSpec](),
	"POST /secrets/{id}/update":         reflect.TypeFor[swarm.SecretSpec](),
	"POST /configs/create":              reflect.TypeFor[swarm.ConfigSpec](),
	"POST /configs/{id}/update":         reflect.TypeFor[swarm.ConfigSpec](),
}

// eachKey visits the keys of one type, at every depth, and says whether another has
// the same key at the same place.
func eachKey(at string, t, other reflect.Type, visit func(path string, k shapeKey, has bool), depth int) {
	t, other = parts(t), parts(other)
	if t == nil || other == nil || depth > 12 {
		return
	}
	if strings.Contains(other.PkgPath(), "plimsoll") && other.Name() != "" {
		at = other.Name() // the name that the lists of keys have
	}
	known := shapeOf(other)
	for name, k := range shapeOf(t).keys {
		path := at + "." + name
		same, has := known.keys[name]
		visit(path, k, has)
		if has {
			eachKey(path, k.typ, same.typ, visit, depth+1)
		}
	}
}

// parts gives the struct that a value, or its elements, are; nil where a type is read
// as a whole.
func parts(t reflect.Type) reflect.Type {
	for {
		if reflect.PointerTo(t).Implements(decodesItself) || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return nil
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
			t = t.Elem()
			continue
		case reflect.Struct:
			return t
		}
		return nil
	}
}

// TestOfficialTypesAreCovered: every body has its official type here, every key of
// which is one of ours; and a key of ours that no document has is official, or listed
// with another reason, or tagged as unread.
func TestOfficialTypesAreCovered(t *testing.T) {
	theirKeys, extra := map[string]bool{}, map[string]bool{}
	for i := range table {
		e := &table[i]
		theirs, ok := official[e.String()]
		if (e.Body.Kind == JSON) != ok {
			t.Errorf("%s: an official type is listed: %t", e, ok)
			continue
		}
		if !ok {
			continue
		}
		eachKey("", theirs, e.Body.Type, func(path string, _ shapeKey, has bool) {
			theirKeys[path], theirKeys[path[:strings.LastIndexByte(path, '.')]+".*"] = true, true
			if !has {
				t.Errorf("%s: %s is official, and not here", e, path)
			}
		}, 0)
		eachKey("", e.Body.Type, theirs, func(path string, k shapeKey, has bool) {
			if !has && !k.unread && k.last == Newest {
				extra[e.String()+path] = true
			}
		}, 0)
	}
	// The documents have these; engines move them into the task, or ignore them.
	want := map[string]bool{"POST /services/create.Networks": true, "POST /services/{id}/update.Networks": true, "POST /containers/{id}/update.Init": true}
	if !maps.Equal(extra, want) {
		t.Errorf("not official, and not tagged as gone: %v, want %v", extra, want)
	}
	for key, reason := range undocumentedKeys {
		if reason == "" && !theirKeys[key] {
			t.Errorf("%s is in no document, and not official", key)
		}
	}
	// A made-up field of an official type is noticed.
	type newer struct {
		container.HostConfig
		Teleport bool
	}
	var noticed []string
	eachKey("", reflect.TypeFor[newer](), reflect.TypeFor[workload.HostConfig](), func(path string, _ shapeKey, has bool) {
		if !has {
			noticed = append(noticed, path)
		}
	}, 0)
	if !slices.Equal(noticed, []string{"HostConfig.Teleport"}) {
		t.Errorf("noticed %q", noticed)
	}
}
