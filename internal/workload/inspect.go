package workload

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Inspected is an engine's answer to GET /containers/{id}/json that was read,
// but not yet understood: what it means depends on its Surroundings.
type Inspected struct {
	body    InspectBody
	unknown []string
}

// PrepareToReadInspect makes what ReadInspect needs at first, for who waits for
// the answer anyway.
func PrepareToReadInspect() { strict.Prepare[InspectBody]() }

// ReadInspect reads an answer. It keeps nothing of body.
func ReadInspect(body []byte) (*Inspected, error) {
	in := &Inspected{}
	var err error
	in.unknown, err = strict.Decode("the engine's inspect answer", body, &in.body)
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Body is the answer as it was read, which nobody changes.
func (in *Inspected) Body() *InspectBody { return &in.body }

// PID is the first process of the container as the engine counts it, or 0 for
// one that does not run.
func (in *Inspected) PID() int { return int(in.body.State.Pid) }

// Spec makes a Spec of the answer, and gives the exec sessions that it names.
//
// A key that every engine says and this answer does not leaves unseen what is
// made of it.
//
// Processes and exec sessions are not in the answer: both are left unseen for
// the collector, which Reveals what it finds.
func (in *Inspected) Spec(around Surroundings) (Spec, []string, error) {
	raw := &in.body
	s := Spec{Origin: OriginInspect, Name: strings.TrimPrefix(raw.Name, "/"), ID: raw.ID, UnknownFields: in.unknown}
	b := builder{spec: &s, cfg: &raw.Config, host: &raw.HostConfig, around: &around, live: true}
	if err := b.fill(); err != nil {
		return Spec{}, nil, fmt.Errorf("container %s: %w", s.Name, err)
	}
	b.endpoints(raw.NetworkSettings.Networks)
	b.liveImage(raw.Image)
	b.livePorts(raw.NetworkSettings.Ports)
	b.liveMounts(raw.Mounts)
	b.liveAppArmor(raw.AppArmorProfile)
	if err := b.liveState(raw); err != nil {
		return Spec{}, nil, fmt.Errorf("container %s: %w", s.Name, err)
	}
	s.hideMissing(raw.Missing)
	s.finish()
	return s, raw.ExecIDs, nil
}

// FromInspect is ReadInspect and Spec.
func FromInspect(body []byte, around Surroundings) (Spec, []string, error) {
	in, err := ReadInspect(body)
	if err != nil {
		return Spec{}, nil, err
	}
	return in.Spec(around)
}

// liveImage: the answer names the image that runs; the tag that it was asked by
// may have moved since.
func (b *builder) liveImage(id string) {
	s := b.spec
	s.Image.ID = id
	s.Reveal("image.id")
	if b.around.Image == nil {
		return
	}
	if b.around.Image.ID != id {
		s.Image.Present = false
	}
}

// livePorts takes the bindings that the engine made: they name the address
// where the request did not. A container that does not run has none.
func (b *builder) livePorts(bound map[string][]PortBinding) {
	s := b.spec
	made := builder{spec: &Spec{}, cfg: &Config{}, host: &HostConfig{PortBindings: bound}, around: b.around}
	if err := made.ports(); err == nil && len(made.spec.Ports) > 0 {
		s.Ports = made.spec.Ports
	} else if s.PublishAll { // it does not run, or has the host's network
		b.publishExposed()
	}
	b.sortPorts()
	for i, p := range s.Ports {
		if p.HostIP == "" {
			s.hide(reasonStopped, fmt.Sprintf("ports[%d].host_ip", i))
		}
	}
}

// liveMounts adds what was taken over from other containers, and the names and
// drivers that the engine chose. What the engine mounts counts, not what was asked: a
// mount that is taken over goes before a volume without a name at the same place, be it
// the image's, and before a tmpfs (moby's daemon/create_unix.go and volumes.go).
func (b *builder) liveMounts(points []MountPoint) {
	s := b.spec
	added := false
	for _, p := range points {
		target := cleanPath(p.Destination)
		if at := slices.IndexFunc(s.Mounts, func(m Mount) bool { return m.Target == target }); at >= 0 {
			if s.Mounts[at].Type == p.Type || p.Type == "" {
				continue
			}
		} else if at := slices.Index(s.AnonymousVolumes, target); at >= 0 {
			if b.isAnonymous(p) {
				continue
			}
			s.AnonymousVolumes = slices.Delete(s.AnonymousVolumes, at, at+1)
		}
		m := Mount{Type: p.Type, Source: p.Name, Target: target, ReadOnly: !p.RW, Propagation: sharedWith(p.Propagation, "rprivate"),
			Driver: p.Driver, DriverOptions: map[string]string{}, Options: []string{}}
		if m.Type == "bind" {
			m.Source = cleanPath(p.Source)
		}
		if len(s.VolumesFrom) == 1 {
			m.From = s.VolumesFrom[0].Container
		} else if len(s.VolumesFrom) > 1 {
			m.From = "another container"
		}
		s.Mounts = append(s.Mounts, m)
		added = true
	}
	if added {
		s.Reveal("mounts")
		b.sortMounts()
	}
}

// isAnonymous says whether a mount is of a volume whose name the engine chose, and which
// is the engine's own folder: 64 hexadecimal digits, and no options.
func (b *builder) isAnonymous(p MountPoint) bool {
	const digits = 64
	return (p.Type == "volume" || p.Type == "") && (p.Driver == "local" || p.Driver == "") &&
		(p.Name == "" || len(p.Name) == digits && isHex(p.Name)) && len(b.around.Volumes[p.Name].Options) == 0
}

// liveAppArmor: the answer names the profile in force, "" where AppArmor is
// not, and then the profile that would apply stands.
func (b *builder) liveAppArmor(profile string) {
	if profile != "" {
		b.spec.AppArmor = profile
	}
}

func (b *builder) liveState(raw *InspectBody) error {
	s, st := b.spec, raw.State
	s.Live = Live{Status: st.Status, PID: st.Pid, ExitCode: st.ExitCode, RestartCount: raw.RestartCount, OOMKilled: st.OOMKilled,
		Health: "none", Processes: []Process{}, Execs: []Exec{}}
	var err error
	if s.Live.Created, err = parseTime(raw.Created); err != nil {
		return fmt.Errorf("reading Created: %w", err)
	}
	if s.Live.Started, err = parseTime(st.StartedAt); err != nil {
		return fmt.Errorf("reading State.StartedAt: %w", err)
	}
	if st.Health != nil && st.Health.Status != "" {
		s.Live.Health = st.Health.Status
	}
	if len(raw.ExecIDs) > 0 {
		s.hide("the exec sessions were not looked at", "live.execs")
	}
	if st.Pid > 0 {
		s.hide(reasonProcesses, "live.processes")
	}
	return nil
}

// parseTime reads the engine's RFC 3339 times; "" is the zero time.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
