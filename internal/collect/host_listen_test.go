package collect

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestListenersOfThisHost: a socket that other machines reach is found, with who has
// it, and one of the loopback address is not.
func TestListenersOfThisHost(t *testing.T) {
	var ports []int
	for _, at := range []string{"0.0.0.0:0", "127.0.0.1:0"} {
		l, err := net.Listen("tcp4", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	own, err := readName("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := openTree("/")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	// This test may be in another network than process 1.
	data, err := tree.read("/proc/self/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	waiting := readSockets(data, "tcp")
	asked, err := waitingSockets()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range waiting {
		if !slices.Contains(asked, w) {
			t.Errorf("asked, the kernel does not tell of %+v but of %+v", w, asked)
		}
	}
	programs := tree.programsOf(waiting)
	found := map[string]string{}
	for _, w := range waiting {
		found[w.address] = programs[w.inode]
	}
	if got := found[fmt.Sprintf("0.0.0.0:%d/tcp", ports[0])]; got != own {
		t.Errorf("who listens is %q, want %q", got, own)
	}
	for address := range found {
		if strings.Contains(address, fmt.Sprintf(":%d/", ports[1])) {
			t.Errorf("%s is reached from elsewhere", address)
		}
	}
	if _, err := tree.listeners(); err != nil {
		t.Error(err)
	}
}

// FuzzReadSockets: what is read is an address that reads back, and of no loopback.
func FuzzReadSockets(f *testing.F) {
	f.Add([]byte(" 0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 77 1"), false)
	f.Add([]byte(" 1: 00000000000000000000000000000000:0202 0:0 07 0:0 0:0 0 0 0 78 1"), true)
	f.Fuzz(func(t *testing.T, data []byte, udp bool) {
		protocol := map[bool]string{true: "udp", false: "tcp"}[udp]
		for _, w := range readSockets(data, protocol) {
			text, found := strings.CutSuffix(w.address, "/"+protocol)
			at, err := netip.ParseAddrPort(text)
			if !found || err != nil || at.Addr().IsLoopback() || at.Port() == 0 {
				t.Errorf("%q: %v", w.address, err)
			}
			if !strings.Contains(string(data), w.inode) {
				t.Errorf("%q is no number of a socket", w.inode)
			}
		}
	})
}

// FuzzPackageVersion: a version that is found stands in a line of the list, below the
// name of its package, and the list has it as installed.
func FuzzPackageVersion(f *testing.F) {
	f.Add(plainHost["var/lib/dpkg/status"], "docker.io")
	f.Add("Package: a\nVersion: 1\nStatus: deinstall ok config-files\n", "a")
	f.Fuzz(func(t *testing.T, list, name string) {
		version := packageVersion(list, name)
		if version == "" {
			return
		}
		lines := strings.Split(list, "\n")
		if !slices.Contains(lines, "Version: "+version) || !strings.Contains("\n"+list, "\nPackage: "+name+"\n") || !strings.Contains(list, " installed") {
			t.Errorf("%q is %q in %q", name, version, list)
		}
	})
}

func TestPackageVersion(t *testing.T) {
	for list, want := range map[string]string{
		"Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n": "2",
		"Package: b\nVersion: 2\nStatus: deinstall ok config-files\n":                                                    "",
		"Package: bb\nStatus: install ok installed\nVersion: 2\n":                                                        "",
		"": "",
	} {
		if got := packageVersion(list, "b"); got != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}
