package deploy

import (
	"reflect"
	"slices"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// sameTask says whether two templates of tasks differ in nothing but what plimsoll declares,
// so that the engine would keep the containers there are (swarmkit, orchestrator/task.go). In
// doubt they differ.
func sameTask(a, b *strict.Value) bool { return reflect.DeepEqual(plain(a), plain(b)) }

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
