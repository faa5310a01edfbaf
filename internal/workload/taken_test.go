package workload

import (
	"strings"
	"testing"
)

// TestTakenOverInstead: what is mounted is what the engine says is, also where the request
// or the image asks for a volume or a tmpfs at the same place.
func TestTakenOverInstead(t *testing.T) {
	anonymous := strings.Repeat("ab", 32)
	volumes := map[string]Volume{anonymous: {Driver: "local"}, "cd" + anonymous[2:]: {Driver: "local", Options: map[string]string{"type": "none", "o": "bind", "device": "/"}}}
	for _, tc := range []struct {
		name, config, host, point string
		mounts, anonymous         int
		exposes                   string
	}{
		{"a volume without a name", `"Volumes":{"/h":{}}`, `{"VolumesFrom":["x"]}`, `{"Type":"volume","Name":"` + anonymous + `","Driver":"local","Destination":"/h","RW":true}`, 0, 1, ""},
		{"a bind", `"Volumes":{"/h":{}}`, `{"VolumesFrom":["x"]}`, `{"Type":"bind","Source":"/","Destination":"/h","RW":true}`, 1, 0, "host-root"},
		{"a volume with options", `"Volumes":{"/h/":{}}`, `{"VolumesFrom":["x"]}`, `{"Type":"volume","Name":"cd` + anonymous[2:] + `","Driver":"local","Destination":"/h","RW":true}`, 1, 0, "host-root"},
		{"a plugin's volume", `"Volumes":{"/h":{}}`, `{"VolumesFrom":["x"]}`, `{"Type":"volume","Name":"` + anonymous + `","Driver":"net","Destination":"/h","RW":true}`, 1, 0, ""},
		{"a named volume", `"Volumes":{"/h":{}}`, `{"VolumesFrom":["x"]}`, `{"Type":"volume","Name":"data","Driver":"local","Destination":"/h","RW":true}`, 1, 0, ""},
		{"a bind where a tmpfs was asked for", `"Volumes":{}`, `{"VolumesFrom":["x"],"Tmpfs":{"/h":""}}`, `{"Type":"bind","Source":"/etc","Destination":"/h","RW":true}`, 2, 0, "system-config"},
		{"what was asked", `"Volumes":{}`, `{"Binds":["/srv:/h"]}`, `{"Type":"bind","Source":"/srv","Destination":"/h","RW":true}`, 1, 0, ""},
	} {
		s, _, err := FromInspect([]byte(`{"Name":"/c","Config":{"Image":"a",`+tc.config+`},"HostConfig":`+tc.host+`,"Mounts":[`+tc.point+`]}`), Surroundings{Volumes: volumes})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		found := ""
		for _, m := range s.Mounts {
			found += strings.Join(m.Exposes, " ")
		}
		if len(s.Mounts) != tc.mounts || len(s.AnonymousVolumes) != tc.anonymous || !strings.Contains(found, tc.exposes) {
			t.Errorf("%s: mounts %+v, volumes %q", tc.name, s.Mounts, s.AnonymousVolumes)
		}
	}
}
