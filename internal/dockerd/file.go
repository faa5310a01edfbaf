package dockerd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
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
			text, err := mapped(o, m)
			if err != nil {
				return nil, err
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

// mapped is the value of a member of an option's object as the flag has it. A daemon
// takes a number for no text, and true for no number.
func mapped(o *Option, m *strict.Member) (string, error) {
	kind := strict.String
	switch o.Key {
	case "default-ulimits":
		kind = strict.Object
	case "features":
		kind = strict.Bool
	}
	switch m.Value.Kind {
	case kind, strict.Null:
	default:
		return "", m.Value.Fail(o.Key+" has "+kind.String()+" for each key, and this is "+m.Value.Kind.String(), "")
	}
	switch {
	case kind == strict.Object:
		return ulimit(m.Value)
	case m.Value.Kind == strict.Null && kind == strict.Bool:
		return "false", nil
	case m.Value.Kind == strict.Null:
		return "", nil
	}
	return m.Value.Text(), nil
}

// ulimit writes an object of daemon.json (Name, Hard, Soft) as the flag has it:
// soft:hard.
func ulimit(v *strict.Value) (string, error) {
	limits := map[string]string{"soft": "0", "hard": "0"}
	for i := range v.Members {
		m := &v.Members[i]
		for key := range limits {
			if !strings.EqualFold(m.Key, key) || m.Value.Kind == strict.Null {
				continue
			}
			if _, err := strconv.ParseInt(m.Value.Text(), 10, 64); err != nil || m.Value.Kind != strict.Number {
				return "", m.Value.Fail("a limit of default-ulimits is a whole number, and this is none", "")
			}
			limits[key] = m.Value.Text()
		}
	}
	return limits["soft"] + ":" + limits["hard"], nil
}

// Runtimes are the programs that the option runtimes names: those of the file by their
// path, or by the type that is one, and those of flags as name=path. Case does not
// matter to a daemon in the keys of a runtime. What is no path is looked for where
// programs are.
func Runtimes(values []string) ([]string, error) {
	var programs []string
	for _, value := range values {
		if !strings.HasPrefix(strings.TrimSpace(value), "{") {
			if _, program, found := strings.Cut(value, "="); found && program != "" {
				programs = append(programs, program)
			}
			continue
		}
		root, err := strict.Tree("runtimes", []byte(value))
		if err != nil {
			return nil, err
		}
		for i := range root.Members {
			for j := range root.Members[i].Value.Members {
				m := &root.Members[i].Value.Members[j]
				text := m.Value.Text()
				if m.Value.Kind == strict.String && text != "" && (strings.EqualFold(m.Key, "path") || strings.EqualFold(m.Key, "runtimeType") && strings.HasPrefix(text, "/")) {
					programs = append(programs, text)
				}
			}
		}
	}
	return programs, nil
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
