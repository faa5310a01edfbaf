package workload

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func specOfBody(t *testing.T, body string, around Surroundings) Spec {
	t.Helper()
	s, err := FromCreate("c", []byte(body), around)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return s
}

// TestAddressSpellings: one address, however it is written, is one value.
func TestAddressSpellings(t *testing.T) {
	for _, ip := range []string{"::", "0::0", "0:0:0:0:0:0:0:0", "[::]"} {
		s := specOfBody(t, `{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"`+ip+`","HostPort":"80"}]}}}`, Surroundings{})
		if len(s.Ports) != 1 || s.Ports[0].HostIP != "::" {
			t.Errorf("%s: %+v", ip, s.Ports)
		}
	}
	for _, ip := range []string{"0.0.0.0", "::ffff:0.0.0.0", "[::ffff:0:0]"} {
		s := specOfBody(t, `{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"`+ip+`","HostPort":"80"}]}}}`, Surroundings{})
		if len(s.Ports) != 1 || s.Ports[0].HostIP != "0.0.0.0" {
			t.Errorf("%s: %+v", ip, s.Ports)
		}
	}
	s := specOfBody(t, `{"Image":"a","HostConfig":{"Dns":["2001:DB8:0::53","192.0.2.1"]},
		"NetworkingConfig":{"EndpointsConfig":{"n":{"IPAMConfig":{"IPv6Address":"2001:DB8::0:5"}}}}}`, Surroundings{})
	if diff := cmp.Diff([]string{"192.0.2.1", "2001:db8::53"}, s.DNS); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"2001:db8::5"}, s.IPAddresses); diff != "" {
		t.Error(diff)
	}
	if got := canonicalIP("host-gateway"); got != "host-gateway" {
		t.Errorf("what is no address became %q", got)
	}
}

// TestDeviceRuleSpellings: of a rule about all devices the kernel takes nothing else,
// and numbers may begin with zeros.
func TestDeviceRuleSpellings(t *testing.T) {
	for rule, want := range map[string]string{"a *:* m": "a *:* rwm", "a 5:5 r": "a *:* rwm", "c 010:0200  rwm": "c 10:200 rwm", "b 00:0 m": "b 0:0 m", "b *:* r": "b *:* r", "c 1:3 rw": "c 1:3 rw", "": ""} {
		s := specOfBody(t, `{"Image":"a","HostConfig":{"DeviceCgroupRules":["`+rule+`"]}}`, Surroundings{})
		if diff := cmp.Diff([]string{want}, s.DeviceRules); diff != "" {
			t.Errorf("%s: %s", rule, diff)
		}
	}
}

// TestPortRanges: which port of a range the engine takes is not known where that
// decides whether it is a privileged one.
func TestPortRanges(t *testing.T) {
	for ports, unseen := range map[string]bool{"80": false, "1000-1023": false, "1020-1030": true, "1024-1030": false, "": false} {
		s := specOfBody(t, `{"Image":"a","HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"`+ports+`"}]}}}`, Surroundings{})
		if got := slices.ContainsFunc(s.Unseen, func(u Unseen) bool { return u.Path == "ports[0].host_port" }); got != unseen {
			t.Errorf("%s: unseen is %v", ports, got)
		}
	}
}

// TestHealthcheckSpellings: a test that is none of the engine's words is never run.
func TestHealthcheckSpellings(t *testing.T) {
	for test, want := range map[string]bool{`"CMD","true"`: true, `"CMD-SHELL","true"`: true, `"curl","-f"`: false, `"none"`: false, `"NONE"`: false} {
		s := specOfBody(t, `{"Image":"a","Healthcheck":{"Test":[`+test+`]}}`, Surroundings{Image: &ImageConfig{HasHealth: true}})
		if s.Healthcheck.Defined != want {
			t.Errorf("%s: defined is %v", test, s.Healthcheck.Defined)
		}
	}
	if s := specOfBody(t, `{"Image":"a","HostConfig":{"SecurityOpt":["disable"]}}`, Surroundings{}); !s.SELinuxDisabled || len(s.UnknownFields) > 0 {
		t.Errorf("the old word for label=disable: %v, %v", s.SELinuxDisabled, s.UnknownFields)
	}
}

// TestBareVariable: NAME without = has no value that could be judged or hashed.
func TestBareVariable(t *testing.T) {
	key := Surroundings{EnvKey: []byte("k")}
	bare := specOfBody(t, `{"Image":"a","Env":["GOMEMLIMIT=1GiB","GOMEMLIMIT"]}`, key)
	if len(bare.EnvValues) != 0 || len(bare.EnvHashes) != 0 || len(bare.Env) != 1 {
		t.Errorf("bare: %v %v %v", bare.Env, bare.EnvValues, bare.EnvHashes)
	}
	empty := specOfBody(t, `{"Image":"a","Env":["GOMEMLIMIT="]}`, key)
	if v, found := empty.EnvValues["GOMEMLIMIT"]; !found || v != "" || empty.EnvHashes["GOMEMLIMIT"] == "" {
		t.Errorf("empty: %v %v", empty.EnvValues, empty.EnvHashes)
	}
}

// TestClearedEntrypoint: an entrypoint of one empty word leaves the command
// alone to say what runs; the image's entrypoint is not used.
func TestClearedEntrypoint(t *testing.T) {
	image := Surroundings{Image: &ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"serve"}}}
	for _, around := range []Surroundings{{}, image} {
		s := specOfBody(t, `{"Image":"a","Entrypoint":[""],"Cmd":["true"]}`, around)
		if s.Executable != "true" {
			t.Errorf("executable is %q", s.Executable)
		}
	}
	if s := specOfBody(t, `{"Image":"a","Cmd":["true"]}`, image); s.Executable != "/entry" {
		t.Errorf("with the image's entrypoint: %q", s.Executable)
	}
}

// TestEmptyVariables: which names have an empty value in the end, and no other.
func TestEmptyVariables(t *testing.T) {
	s := specOfBody(t, `{"Image":"a","Env":["A=","B=x","C=","C=x","D=x","D=","E"]}`, Surroundings{Image: &ImageConfig{Env: []string{"A=x", "B=", "F="}}})
	if got := strings.Join(s.EnvEmpty, " "); got != "A D F" || len(s.Env) != 6 {
		t.Errorf("%q of %q", got, s.Env)
	}
}

// TestLabelsLoseSecrets: of a container's labels and its image's.
func TestLabelsLoseSecrets(t *testing.T) {
	s := specOfBody(t, `{"Image":"a","Labels":{"db.password":"hunter2 x","title":"web"}}`, Surroundings{Image: &ImageConfig{Labels: map[string]string{"source": "https://ana:hunter2@git.example/a"}}})
	if s.Labels["db.password"] != "***" || s.Labels["title"] != "web" || s.Labels["source"] != "https://ana:***@git.example/a" {
		t.Errorf("%q", s.Labels)
	}
}
