package deploy

import (
	"reflect"
	"slices"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// engineNow is what an update is compared with: the service as it is, nil where that is not
// known, and the ids of networks by their names, "" for what has none.
type engineNow struct {
	service *strict.Value
	network func(name string) (id string)
}

// sameTask says whether a template of tasks differs from the one that there is in nothing but
// what plimsoll declares, so that the engine would keep the containers that there are
// (swarmkit, orchestrator/task.go). In doubt they differ.
func (e engineNow) sameTask(task *strict.Value) bool {
	now := e.service.Get("Spec").Get("TaskTemplate")
	if now == nil {
		return false
	}
	is, asked := plain(now), plain(task)
	known := targets(is)
	for _, network := range targets(asked) {
		name, _ := network["Target"].(string)
		// The engine keeps the id of what a client may name.
		if !slices.ContainsFunc(known, func(k map[string]any) bool { return k["Target"] == name }) {
			network["Target"] = e.network(name)
		}
	}
	return reflect.DeepEqual(is, asked)
}

// targets are the networks in a plain template of tasks.
func targets(task any) (list []map[string]any) {
	fields, _ := task.(map[string]any)
	networks, _ := fields["Networks"].([]any)
	for _, n := range networks {
		if network, ok := n.(map[string]any); ok {
			list = append(list, network)
		}
	}
	return list
}

// implied are values that the engine's own description has where a client may say nothing
// (moby, daemon/cluster/convert).
var implied = map[string]string{"Isolation": "default", "Runtime": "container"}

// plain is a value without what says nothing. Numbers stay as they are written.
func plain(v *strict.Value) any {
	switch v.Kind {
	case strict.Object:
		fields := map[string]any{}
		for _, m := range v.Members {
			field := plain(m.Value)
			if text, ok := field.(string); ok && implied[m.Key] == text {
				continue
			}
			if m.Key == "Labels" && m.Value.Kind == strict.Object {
				field = othersLabels(m.Value)
			}
			if field != nil {
				fields[m.Key] = field
			}
		}
		if len(fields) == 0 {
			return nil
		}
		return fields
	case strict.Array:
		var items []any
		for _, item := range v.Items {
			items = append(items, plain(item))
		}
		if items == nil {
			return nil
		}
		return items
	case strict.String:
		if v.Text() == "" {
			return nil
		}
		return v.Text()
	case strict.Number:
		if v.Text() == "0" {
			return nil
		}
		return number(v.Text())
	case strict.Bool:
		if v.Text() == "false" {
			return nil
		}
		return true
	}
	return nil
}

// number is a number as it is written, which is not the text of the same letters.
type number string

// othersLabels are those that are not plimsoll's. There an empty text says something.
func othersLabels(v *strict.Value) any {
	labels := map[string]any{}
	for _, m := range v.Members {
		if !slices.Contains(declare.Names(), m.Key) {
			labels[m.Key] = m.Value.Text()
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return labels
}
