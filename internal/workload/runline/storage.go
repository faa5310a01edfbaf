package runline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/plimsoll/plimsoll/internal/workload"
)

// volumesAndBinds joins --volume and --tmpfs to the request.
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
	return nil
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
