package workload

import (
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
