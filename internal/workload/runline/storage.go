package runline

import (
	"encoding/csv"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/docker/cli/opts"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// mountValue reads --mount by docker's own option type, after the source has
// been made absolute below the World's directory rather than the process's.
type mountValue struct {
	opts.MountOpt
	draft *draft
}

// Set reads one --mount.
func (m *mountValue) Set(value string) error {
	fields, err := csv.NewReader(strings.NewReader(strings.TrimSpace(value))).Read()
	if err != nil {
		return fmt.Errorf("splitting at commas: %w", err)
	}
	changed := false
	for i, field := range fields {
		key, val, hasValue := strings.Cut(field, "=")
		switch key = strings.ToLower(key); {
		case (key == "source" || key == "src") && strings.HasPrefix(val, "."):
			abs, err := m.draft.absolute(val)
			if err != nil {
				return err
			}
			fields[i], changed = key+"="+abs, true
		case key == "bind-nonrecursive" && (!hasValue || val == "true" || val == "1"):
			fields[i], changed = "bind-recursive=disabled", true
		case key == "bind-nonrecursive" && (val == "false" || val == "0"):
			fields[i], changed = "bind-recursive=enabled", true
		}
	}
	if changed {
		var joined strings.Builder
		w := csv.NewWriter(&joined)
		if err := w.Write(fields); err != nil {
			return fmt.Errorf("joining with commas: %w", err)
		}
		w.Flush()
		value = strings.TrimSuffix(joined.String(), "\n")
	}
	return m.MountOpt.Set(value)
}

// volumesAndBinds joins --volume, --mount and --tmpfs to the request.
func (d *draft) volumesAndBinds() error {
	h := &d.body.HostConfig
	d.body.Volumes = map[string]struct{}{}
	for i, v := range d.volumes {
		if slices.Contains(d.volumes[:i], v) {
			continue
		}
		sections, err := splitVolume(v)
		if err != nil {
			return fmt.Errorf("--volume %q: %w", v, err)
		}
		if len(sections) == 1 {
			d.body.Volumes[v] = struct{}{}
			continue
		}
		if strings.HasPrefix(v, ".") {
			host, rest, _ := strings.Cut(v, ":")
			abs, err := d.absolute(host)
			if err != nil {
				return fmt.Errorf("--volume %q: %w", v, err)
			}
			v = abs + ":" + rest
		}
		h.Binds = append(h.Binds, v)
	}
	h.Tmpfs = map[string]string{}
	for _, t := range d.tmpfs {
		target, options, _ := strings.Cut(t, ":")
		h.Tmpfs[target] = options
	}
	return transcode(d.mounts.Value(), &h.Mounts)
}

// splitVolume splits [SOURCE:]TARGET[:OPTIONS]. A colon behind a single letter
// belongs to a drive of Windows, and so does not end the section, on Linux
// neither: "a:/data" is one path without a source.
func splitVolume(v string) ([]string, error) {
	if v == "" {
		return nil, errors.New("it is empty")
	}
	if len(v) <= 2 {
		return []string{v}, nil
	}
	sections, section := []string{}, []rune{}
	for _, c := range v {
		if c == ':' && !(len(section) == 1 && unicode.IsLetter(section[0])) {
			sections, section = append(sections, string(section)), nil
			continue
		}
		section = append(section, c)
	}
	sections = append(sections, string(section))
	if slices.Contains(sections, "") {
		return nil, errors.New("nothing stands between two colons: write [SOURCE:]TARGET[:OPTIONS]")
	}
	if len(sections) > 3 {
		return nil, errors.New("it has too many colons: write [SOURCE:]TARGET[:OPTIONS]")
	}
	return sections, nil
}

// engineSocket is where --use-api-socket finds the socket, and puts it.
const engineSocket = "/var/run/docker.sock"

// socket is --use-api-socket. The client also hands its credentials over, with
// DOCKER_CONFIG pointing at them, if it has any.
func (d *draft) socket() error {
	if !d.apiSocket {
		return nil
	}
	h := &d.body.HostConfig
	h.Mounts = append(h.Mounts, workload.MountBody{Type: "bind", Source: engineSocket, Target: engineSocket})
	named := slices.ContainsFunc(d.body.Env, func(e string) bool { return strings.HasPrefix(e, "DOCKER_CONFIG=") })
	if !named {
		d.hide("whether docker's client has credentials decides it", "env"+workload.Open, "env_hashes"+workload.Open)
	}
	return nil
}

// cdiName is VENDOR/CLASS=NAME of the Container Device Interface
// (https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md).
var cdiName = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$`)

// deviceRequests joins --device, --gpus and names of the Container Device
// Interface to the request.
func (d *draft) deviceRequests() error {
	h := &d.body.HostConfig
	if err := transcode(d.gpus.Value(), &h.DeviceRequests); err != nil {
		return err
	}
	var named []string
	for _, dev := range d.devices {
		if cdiName.MatchString(dev) {
			named = append(named, dev)
			continue
		}
		m, err := parseDevice(dev)
		if err != nil {
			return fmt.Errorf("--device %q: %w", dev, err)
		}
		h.Devices = append(h.Devices, m)
	}
	if len(named) > 0 {
		h.DeviceRequests = append(h.DeviceRequests, workload.DeviceRequestBody{Driver: "cdi", DeviceIDs: named})
	}
	return nil
}

// parseDevice reads HOST[:CONTAINER][:PERMISSIONS]; of two parts the second is
// permissions if it can be.
func parseDevice(v string) (workload.DeviceMapping, error) {
	parts := strings.Split(v, ":")
	if len(parts) > 3 || parts[0] == "" {
		return workload.DeviceMapping{}, errors.New("it is not HOST[:CONTAINER][:PERMISSIONS]")
	}
	m := workload.DeviceMapping{PathOnHost: parts[0], PathInContainer: parts[0], CgroupPermissions: "rwm"}
	switch {
	case len(parts) == 2 && isPermissions(parts[1]):
		m.CgroupPermissions = parts[1]
	case len(parts) == 2:
		m.PathInContainer = parts[1]
	case len(parts) == 3 && isPermissions(parts[2]):
		m.PathInContainer, m.CgroupPermissions = parts[1], parts[2]
	case len(parts) == 3:
		return workload.DeviceMapping{}, fmt.Errorf("the permissions %q are not of r, w and m, each once", parts[2])
	}
	if !path.IsAbs(m.PathInContainer) {
		return workload.DeviceMapping{}, fmt.Errorf("%q is not an absolute path", m.PathInContainer)
	}
	return m, nil
}

func isPermissions(s string) bool {
	for i, c := range s {
		if !strings.ContainsRune("rwm", c) || strings.ContainsRune(s[:i], c) {
			return false
		}
	}
	return s != ""
}

var deviceRule = regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)

func validateDeviceRule(v string) (string, error) {
	if !deviceRule.MatchString(v) {
		return "", errors.New("a device rule is TYPE MAJOR:MINOR PERMISSIONS, as in 'c 188:* rwm'")
	}
	return v, nil
}
