package dockerd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// ParseFile reads a daemon.json: an object of options. A key that no option has is
// given like the others, for [Merge] to name. What is malformed, given twice, or of
// another kind than the option takes is a [*strict.Error], for a daemon refuses it
// or takes it for something that its writer cannot have meant.
func ParseFile(name string, data []byte) ([]Setting, error) {
	// The daemon allows a byte order mark, and a file of spaces.
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	root, err := strict.Tree(name, data)
	if err != nil {
		return nil, err
	}
	if root.Kind != strict.Object {
		return nil, root.Fail("it is no object", "begin with { and end with }")
	}
	var all []Setting
	for i := range root.Members {
		m := &root.Members[i]
		s := Setting{Name: m.Key, Origin: Origin{File: name}}
		if o := byName(m.Key); o != nil && o.Key != "" {
			if s.Values, err = valuesOf(o, m.Value); err != nil {
				return nil, err
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// valuesOf are the values of an option as a flag would give them.
func valuesOf(o *Option, v *strict.Value) ([]string, error) {
	if v.Kind == strict.Null {
		return o.Default, nil
	}
	switch o.Kind {
	case Bool:
		if v.Kind != strict.Bool {
			return nil, v.Fail(o.Key+" is neither true nor false", "write it without quotes")
		}
	case List:
		if v.Kind != strict.Array {
			return nil, v.Fail(o.Key+" is no list", "write it in brackets")
		}
		values := []string{}
		for _, item := range v.Items {
			if item.Kind != strict.String {
				return nil, item.Fail(o.Key+" is a list of texts, and this is none", "")
			}
			values = append(values, item.Text())
		}
		return values, nil
	case Map:
		if v.Kind != strict.Object {
			return nil, v.Fail(o.Key+" is no object", "write it in braces")
		}
		values := []string{}
		for i := range v.Members {
			m := &v.Members[i]
			text := m.Value.Text()
			if o.Key == "default-ulimits" {
				text = ulimit(m.Value)
			}
			values = append(values, m.Key+"="+text)
		}
		return values, nil
	case Object:
		return []string{string(v.Raw())}, nil
	default:
		if v.Kind == strict.Object || v.Kind == strict.Array {
			return nil, v.Fail(o.Key+" is one value", "")
		}
	}
	return []string{v.Text()}, nil
}

// ulimit writes an object of daemon.json (Name, Hard, Soft) as the flag has it:
// soft:hard.
func ulimit(v *strict.Value) string {
	part := func(key string) string {
		for i := range v.Members {
			if strings.EqualFold(v.Members[i].Key, key) {
				return v.Members[i].Value.Text()
			}
		}
		return "0"
	}
	return part("Soft") + ":" + part("Hard")
}

// BuilderEntitlements reads the option builder, an object in JSON or nothing: what
// builds are granted that ask for it, by BuildKit's names, sorted. The host's
// network is, unless that is switched off (moby's daemon/config/builder.go).
func BuilderEntitlements(object string) ([]string, error) {
	var builder struct {
		Entitlements struct {
			NetworkHost      *bool `json:"network-host"`
			SecurityInsecure bool  `json:"security-insecure"`
		} `json:"entitlements"`
	}
	if object != "" {
		// As the daemon reads it, which knows its keys in any case.
		if err := json.Unmarshal([]byte(object), &builder); err != nil {
			return nil, fmt.Errorf("reading the builder's entitlements: %w", err)
		}
	}
	granted := []string{}
	if on := builder.Entitlements.NetworkHost; on == nil || *on {
		granted = append(granted, "network.host")
	}
	if builder.Entitlements.SecurityInsecure {
		granted = append(granted, "security.insecure")
	}
	return granted, nil
}
