package runline

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// cdiName is VENDOR/CLASS=NAME of the Container Device Interface
// (https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md).
var cdiName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?=[A-Za-z0-9]([A-Za-z0-9_.:-]*[A-Za-z0-9])?$`)
})

// deviceRequests joins --device, --gpus and names of the Container Device
// Interface to the request.
func (d *draft) deviceRequests() error {
	h := &d.body.HostConfig
	var named []string
	for _, dev := range d.devices {
		if cdiName().MatchString(dev) {
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

var deviceRule = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}$`)
})

func checkDeviceRule(v string) (string, error) {
	if !deviceRule().MatchString(v) {
		return "", errors.New("a device rule is TYPE MAJOR:MINOR PERMISSIONS, as in 'c 188:* rwm'")
	}
	return v, nil
}

// parseGPUs reads one --gpus: NAME=VALUE between commas, each name once, where
// a number or "all" alone is their count.
func parseGPUs(text string) (workload.DeviceRequestBody, error) {
	fields, err := splitCommas(text)
	if err != nil {
		return workload.DeviceRequestBody{}, err
	}
	r := workload.DeviceRequestBody{Capabilities: [][]string{{"gpu"}}, Options: map[string]string{}}
	var seen []string
	for _, field := range fields {
		key, value, hasValue := strings.Cut(field, "=")
		if slices.Contains(seen, key) {
			return workload.DeviceRequestBody{}, fmt.Errorf("%q is given twice", key)
		}
		seen = append(seen, key)
		if !hasValue {
			key, value, seen = "count", key, append(seen, "count")
		}
		switch key {
		case "driver":
			r.Driver = value
		case "count":
			r.Count, err = parseCount(value)
		case "device":
			r.DeviceIDs = strings.Split(value, ",")
		case "capabilities":
			r.Capabilities = [][]string{append(strings.Split(value, ","), "gpu")}
		case "options":
			var options []string
			options, err = splitCommas(value)
			r.Options = pairs(options)
		default:
			err = errors.New("there is no such option of --gpus")
		}
		if err != nil {
			return workload.DeviceRequestBody{}, fmt.Errorf("%q: %w", field, err)
		}
	}
	if !slices.Contains(seen, "count") && r.DeviceIDs == nil {
		r.Count = 1
	}
	return r, nil
}

// parseCount reads a number of devices, -1 for all.
func parseCount(text string) (int64, error) {
	if text == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errors.New("a count is a whole number or all")
	}
	return int64(n), nil
}
