package workload

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLinksReadAlike: a request and the engine's answer spell one link
// differently.
func TestLinksReadAlike(t *testing.T) {
	want := []string{"cache:cache", "db:database"}
	asked := specOfBody(t, `{"Image":"a","HostConfig":{"Links":["db:database","cache"]}}`, Surroundings{})
	ends := specOfBody(t, `{"Image":"a","NetworkingConfig":{"EndpointsConfig":{"front":{"Links":["db:database","cache:cache"]}}}}`, Surroundings{})
	live, _, err := FromInspect([]byte(`{"Name":"/web","Config":{"Image":"a"},"HostConfig":{"Links":["/db:/web/database","/cache:/web/cache"]}}`), Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	for form, s := range map[string]Spec{"asked": asked, "asked of a network": ends, "live": live} {
		if diff := cmp.Diff(want, s.Links); diff != "" {
			t.Errorf("%s (-want +got):\n%s", form, diff)
		}
	}
}

// TestPublishAll: the ports that the engine will choose a host's port for are
// known as far as what is exposed is; a port that is bound by hand stays one.
func TestPublishAll(t *testing.T) {
	image := &ImageConfig{ExposedPorts: []string{"80/tcp", "53/udp"}}
	body := `{"Image":"a","ExposedPorts":{"80/tcp":{}},"HostConfig":{"PublishAllPorts":true,"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}}}`
	bound := Port{HostIP: "127.0.0.1", HostPort: 8080, HostPortEnd: 8080, ContainerPort: 80, Protocol: "tcp"}
	chosen := Port{ContainerPort: 53, Protocol: "udp"}
	for _, tc := range []struct {
		name, body string
		image      *ImageConfig
		want       []Port
		unseen     []string
	}{
		{"of a known image", body, image, []Port{chosen, bound}, []string{"ports[0].host_ip"}},
		{"of an image that nobody saw", body, nil, []Port{bound}, []string{"ports[...]"}},
		{"exposed by the request alone", `{"Image":"a","ExposedPorts":{"53/udp":{}},"HostConfig":{"PublishAllPorts":true}}`, nil, []Port{chosen}, []string{"ports[...]", "ports[0].host_ip"}},
		{"not asked for", `{"Image":"a","ExposedPorts":{"53/udp":{}}}`, image, []Port{}, nil},
	} {
		s := specOfBody(t, tc.body, Surroundings{Image: tc.image})
		var unseen []string
		for _, u := range s.Unseen {
			if len(u.Path) >= 5 && u.Path[:5] == "ports" {
				unseen = append(unseen, u.Path)
			}
		}
		slices.Sort(unseen)
		if diff := cmp.Diff(tc.want, s.Ports); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.unseen, unseen); diff != "" {
			t.Errorf("%s: unseen (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestPerhapsAnID: a word of hexadecimal digits may be a name or the beginning
// of an id, so without the engine neither name nor tag is known.
func TestPerhapsAnID(t *testing.T) {
	for ref, unsure := range map[string]bool{"beef0000": true, "cafe": true, "web": false, "cafe:1": false, "shop/cafe": false, "BEEF": false} {
		s := specOfBody(t, `{"Image":"`+ref+`"}`, Surroundings{})
		for _, path := range []string{"image.name", "image.tag"} {
			got := slices.ContainsFunc(s.Unseen, func(u Unseen) bool { return u.Path == path })
			if got != unsure {
				t.Errorf("%s: %s unseen: %t, want %t", ref, path, got, unsure)
			}
		}
	}
}
