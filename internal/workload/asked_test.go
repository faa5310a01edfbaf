package workload

import (
	"strings"
	"testing"
)

// TestLabelsOffBySharing: the engine writes label=disable into what shares the
// host's processes, and the answer must read as the request did.
func TestLabelsOffBySharing(t *testing.T) {
	for _, tc := range []struct {
		name, host string
		want       bool
	}{
		{"asked", `{"SecurityOpt":["label=disable"]}`, true},
		{"asked as docker did first", `{"SecurityOpt":["label:disable"],"IpcMode":"private","PidMode":"container:x"}`, true},
		{"not asked", `{"IpcMode":"private"}`, false},
		{"host's processes", `{"PidMode":"host","SecurityOpt":["label=disable"]}`, false},
		{"host's IPC", `{"IpcMode":"host","SecurityOpt":["label=disable"]}`, false},
		{"privileged", `{"Privileged":true,"SecurityOpt":["label=disable"]}`, false},
	} {
		asked := specOfBody(t, `{"Image":"a","HostConfig":`+tc.host+`}`, Surroundings{})
		live, _, err := FromInspect([]byte(`{"Name":"/c","Config":{"Image":"a"},"HostConfig":`+tc.host+`}`), Surroundings{})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if asked.SELinuxDisabled != tc.want || live.SELinuxDisabled != tc.want {
			t.Errorf("%s: asked %t, live %t, want %t", tc.name, asked.SELinuxDisabled, live.SELinuxDisabled, tc.want)
		}
	}
}

// TestNamedByID: the beginning of an image's id is no name, unless the image
// has that name too.
func TestNamedByID(t *testing.T) {
	id := "sha256:beef" + strings.Repeat("0", 60)
	for _, tc := range []struct {
		ref  string
		tags []string
		want string
	}{
		{"beef0000", nil, ""},
		{"bee", []string{"web:1"}, ""},
		{id, nil, ""},
		{"beef", []string{"beef:latest"}, "docker.io/library/beef"},
		{"cafe", nil, "docker.io/library/cafe"},
		{"beef:1", nil, "docker.io/library/beef"},
		{"web:1", []string{"web:1"}, "docker.io/library/web"},
	} {
		around := Surroundings{Image: &ImageConfig{ID: id, Tags: tc.tags}}
		asked := specOfBody(t, `{"Image":"`+tc.ref+`"}`, around)
		if asked.Image.Name != tc.want || (asked.Image.Tag == "") != (tc.want == "") {
			t.Errorf("%s: name %q, tag %q, want %q", tc.ref, asked.Image.Name, asked.Image.Tag, tc.want)
		}
	}
	if s := specOfBody(t, `{"Image":"beef0000"}`, Surroundings{}); s.Image.Name != "docker.io/library/beef0000" {
		t.Errorf("without an image the name is %q", s.Image.Name)
	}
}
