package workload

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// FromCreate makes a Spec of the body of POST /containers/create; name is the
// one in the query, "" when the engine shall choose. An error tells the line
// and the field of what could not be read.
func FromCreate(name string, body []byte, around Surroundings) (Spec, error) {
	var raw CreateBody
	unknown, err := strict.Decode("create request", body, &raw)
	if err != nil {
		return Spec{}, err
	}
	raw.Name = name
	return fromCreate(raw, unknown, around)
}

// FromCreateBody is FromCreate for a body that was made here.
func FromCreateBody(raw CreateBody, around Surroundings) (Spec, error) {
	return fromCreate(raw, nil, around)
}

func fromCreate(raw CreateBody, unknown []string, around Surroundings) (Spec, error) {
	s := Spec{Origin: OriginCreate, Name: raw.Name, UnknownFields: unknown}
	b := builder{spec: &s, cfg: &raw.Config, host: &raw.HostConfig, around: &around}
	if err := b.fill(); err != nil {
		return Spec{}, err
	}
	b.endpoints(raw.NetworkingConfig.EndpointsConfig)
	if s.Name == "" {
		s.hide("the engine chooses it", "name")
	}
	s.Live = Live{Processes: []Process{}, Execs: []Exec{}}
	s.hide(reasonNotLive, "id", "live")
	s.finish()
	return s, nil
}

// finish makes the lists that no source filled empty instead of missing, and
// orders what has an order.
func (s *Spec) finish() {
	if s.AnonymousVolumes == nil {
		s.AnonymousVolumes = []string{}
	}
	s.UnknownFields = sortedUnique(s.UnknownFields)
	slices.SortFunc(s.Live.Processes, func(a, b Process) int { return int(a.PID - b.PID) })
	s.sortUnseen()
}

// UnmarshalJSON takes a string for a list of one, as the engine does.
func (w *Words) UnmarshalJSON(data []byte) error {
	var one string
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &one); err != nil {
			return fmt.Errorf("reading a command: %w", err)
		}
		*w = Words{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return fmt.Errorf("reading a command: %w", err)
	}
	*w = list
	return nil
}
