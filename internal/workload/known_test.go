package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestVolumeThatExists: the engine ignores a request's options for a volume
// that exists, so these do not hide what the volume really is.
func TestVolumeThatExists(t *testing.T) {
	body := `{"Image":"a","HostConfig":{"Mounts":[{"Type":"volume","Source":"v","Target":"/v",
		"VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"tmpfs","device":"tmpfs"}}}}]}}`
	etc := Volume{Driver: "local", Options: map[string]string{"type": "none", "o": "bind", "device": "/etc"}}
	for name, tc := range map[string]struct {
		volumes map[string]Volume
		want    []string
	}{
		"it exists":     {map[string]Volume{"v": etc}, []string{"/etc"}},
		"it is made":    {map[string]Volume{"other": etc}, []string{}},
		"nobody looked": {nil, []string{}},
	} {
		s := specOfBody(t, body, Surroundings{Volumes: tc.volumes})
		if diff := cmp.Diff(tc.want, s.Mounts[0].HostPaths); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestNetworksOfModes: host and none are modes and no networks, though the
// engine lists them among a container's networks.
func TestNetworksOfModes(t *testing.T) {
	for mode, want := range map[string][]string{"host": {}, "none": {}, "bridge": {"bridge"}, "front": {"front"}} {
		s, _, err := FromInspect([]byte(`{"Name":"/c","Config":{"Image":"a"},"HostConfig":{"NetworkMode":"`+mode+`"},
			"NetworkSettings":{"Networks":{"`+mode+`":{}}}}`), Surroundings{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.Networks); diff != "" {
			t.Errorf("%s: %s", mode, diff)
		}
	}
}
