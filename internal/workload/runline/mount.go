package runline

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// splitCommas splits one record at commas; a field in double quotes may hold
// some (RFC 4180).
func splitCommas(text string) ([]string, error) {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("splitting at commas: %w", err)
	}
	return fields, nil
}

// ensure makes what p points at, if nothing has yet.
func ensure[T any](p **T) *T {
	if *p == nil {
		*p = new(T)
	}
	return *p
}

// parseMount reads one --mount: NAME=VALUE and bare NAME between commas.
func (d *draft) parseMount(text string) (workload.MountBody, error) {
	m := workload.MountBody{Type: "volume"}
	fields, err := splitCommas(strings.TrimSpace(text))
	if err != nil {
		return workload.MountBody{}, err
	}
	for _, field := range fields {
		key, value, hasValue := strings.Cut(field, "=")
		switch {
		case key != strings.TrimSpace(key) || value != strings.TrimSpace(value):
			return workload.MountBody{}, fmt.Errorf("%q has a blank beside its name or its value: leave it out", field)
		case hasValue && value == "":
			return workload.MountBody{}, fmt.Errorf("%q has no value", field)
		}
		err := error(nil)
		key = strings.ToLower(key)
		if flag := switchOf(&m, key); flag != nil {
			*flag, err = parseSwitch(value, hasValue)
		} else if !hasValue {
			err = errors.New("it is not NAME=VALUE")
		} else {
			err = d.setMountOption(&m, key, value)
		}
		if err != nil {
			return workload.MountBody{}, fmt.Errorf("%q: %w", field, err)
		}
	}
	if err := checkMount(m); err != nil {
		return workload.MountBody{}, err
	}
	return m, nil
}

// switchOf is where an option belongs that may stand without a value, nil for
// every other.
func switchOf(m *workload.MountBody, key string) *bool {
	switch key {
	case "readonly", "ro":
		return &m.ReadOnly
	case "bind-nonrecursive":
		return &ensure(&m.BindOptions).NonRecursive
	case "bind-create-src":
		return &ensure(&m.BindOptions).CreateMountpoint
	case "volume-nocopy":
		return &ensure(&m.VolumeOptions).NoCopy
	}
	return nil
}

func parseSwitch(value string, hasValue bool) (bool, error) {
	switch {
	case !hasValue, value == "true", value == "1":
		return true, nil
	case value == "false", value == "0":
		return false, nil
	}
	return false, errors.New("its value is none of true, 1, false and 0")
}

// setMountOption sets an option that has a value.
func (d *draft) setMountOption(m *workload.MountBody, key, value string) error {
	switch key {
	case "type":
		m.Type = strings.ToLower(value)
	case "source", "src":
		m.Source = value
		if strings.HasPrefix(value, ".") {
			var err error
			if m.Source, err = d.absolute(value); err != nil {
				return err
			}
		}
	case "target", "dst", "destination":
		m.Target = value
	case "consistency":
		m.Consistency = strings.ToLower(value)
	case "bind-propagation":
		ensure(&m.BindOptions).Propagation = strings.ToLower(value)
	case "bind-recursive":
		return setRecursive(m, value)
	case "volume-subpath":
		ensure(&m.VolumeOptions).Subpath = value
	case "volume-label":
		setPair(&ensure(&m.VolumeOptions).Labels, value)
	case "volume-driver":
		ensure(&ensure(&m.VolumeOptions).DriverConfig).Name = value
	case "volume-opt":
		setPair(&ensure(&ensure(&m.VolumeOptions).DriverConfig).Options, value)
	case "image-subpath":
		ensure(&m.ImageOptions).Subpath = value
	case "tmpfs-size":
		size, err := parseBytes(value)
		ensure(&m.TmpfsOptions).SizeBytes = size
		return err
	case "tmpfs-mode":
		mode, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			return errors.New("a mode is an octal number, as in 1777")
		}
		ensure(&m.TmpfsOptions).Mode = uint32(mode)
	default:
		return errors.New("there is no such option of --mount")
	}
	return nil
}

// setRecursive says what becomes of the mounts below a bind's source.
func setRecursive(m *workload.MountBody, value string) error {
	switch value {
	case "enabled": // the engine's own choice
	case "disabled":
		ensure(&m.BindOptions).NonRecursive = true
	case "writable":
		ensure(&m.BindOptions).ReadOnlyNonRecursive = true
	case "readonly":
		ensure(&m.BindOptions).ReadOnlyForceRecursive = true
	default:
		return errors.New("its value is none of enabled, disabled, writable and readonly")
	}
	return nil
}

// setPair adds NAME=VALUE; one without a name is passed over, as by the client.
func setPair(into *map[string]string, text string) {
	key, value, _ := strings.Cut(text, "=")
	if key == "" {
		return
	}
	if *into == nil {
		*into = map[string]string{}
	}
	(*into)[key] = value
}

// checkMount refuses options of another type of mount, and those that need
// others beside them.
func checkMount(m workload.MountBody) error {
	for _, o := range []struct {
		kind  string
		given bool
	}{
		{"bind", m.BindOptions != nil}, {"volume", m.VolumeOptions != nil},
		{"image", m.ImageOptions != nil}, {"tmpfs", m.TmpfsOptions != nil},
	} {
		if o.given && m.Type != o.kind {
			return fmt.Errorf("a mount of type %q takes no %s-* options: leave them out", m.Type, o.kind)
		}
	}
	b := m.BindOptions
	if b == nil {
		return nil
	}
	if (b.ReadOnlyNonRecursive || b.ReadOnlyForceRecursive) && !m.ReadOnly {
		return errors.New("bind-recursive=writable and bind-recursive=readonly need readonly beside them")
	}
	if b.ReadOnlyForceRecursive && b.Propagation != "rprivate" {
		return errors.New("bind-recursive=readonly needs bind-propagation=rprivate beside it")
	}
	return nil
}
