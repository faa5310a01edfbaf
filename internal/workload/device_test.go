package workload

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeviceExposes(t *testing.T) {
	for name, want := range map[string][]string{
		"/dev/sda1": {"disk"}, "/dev/sg0": {"disk"}, "/dev/cpu/0/msr": {"cpu"}, "/dev/cpu": {"cpu"}, "/dev/kmsg": {"kernel-log"}, "/dev/mem": {"memory"},
		"/dev": {"cpu", "disk", "kernel-log", "memory"}, "/": {"cpu", "disk", "kernel-log", "memory"}, "/dev/disk": {"disk"},
		"/dev/sgx_enclave": {}, "/dev/mapper/control": {}, "/dev/random": {}, "/dev/snd": {}, "/dev/sr0": {}, "/srv/sda": {}, "": {},
	} {
		if diff := cmp.Diff(want, deviceExposes(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for node, want := range map[string]string{
		"b 8:0": "disk", "b 254:17": "disk", "b 11:0": "", "c 21:3": "disk", "c 1:1": "memory", "c 1:11": "kernel-log", "c 1:3": "", "c 202:0": "cpu",
		"c 10:200": "", "": "", "b": "",
	} {
		if got := nodeExposes(node); got != want {
			t.Errorf("%q: got %q, want %q", node, got, want)
		}
	}
}

// A device that cannot be looked at is not said to give nothing.
func TestDeviceIsUnseen(t *testing.T) {
	seen := func(p string) ([]string, error) { return []string{p}, nil }
	fails := func(string) ([]string, error) { return nil, errors.New("no") }
	for _, around := range []Surroundings{{}, {Resolve: fails, Nodes: seen}, {Resolve: seen, Nodes: fails}} {
		if d := (Device{HostPath: "/srv/d"}); d.expose(&around) {
			t.Errorf("with %+v it is seen: %+v", around, d)
		}
	}
	d := Device{HostPath: "/srv/d"}
	if !d.expose(&Surroundings{Resolve: seen, Nodes: func(string) ([]string, error) { return []string{"c 1:3", "b 8:0"}, nil }}) || !cmp.Equal(d.ResolvedExposes, []string{"disk"}) {
		t.Errorf("got %+v", d)
	}
}
