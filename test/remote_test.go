package test

import (
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRemoteEngine: over a network nobody can tell whose files are here, even where the
// engine is in fact on this machine, and so nothing is said of any; nor behind a socket
// that is forwarded.
func TestRemoteEngine(t *testing.T) {
	e := lab.Shared(t)
	program, err := static(t)()
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	for _, tc := range []struct {
		name, network, address string
		options                []string
		reason                 string
	}{
		{"tcp", "tcp", "127.0.0.1:0", nil, "the engine is on another machine, as far as can be told"},
		{"tcp with a root", "tcp", "127.0.0.1:0", []string{"--root", t.TempDir()}, "the engine is on another machine, as far as can be told"},
		{"a forwarded socket", "unix", socket, nil, "what listens on the engine's socket is not the engine"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := tc.network + "://" + forward(t, tc.network, tc.address, e.Socket())
			args := append([]string{"audit", "--fail-on", "never", "--format", "json", "--host", host}, tc.options...)
			cmd := exec.Command(filepath.Join(program, "plimsoll"), args...)
			cmd.Env = []string{"HOME=/nonexistent"}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var report finding.Report
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatal(err)
			}
			files, asked := 0, 0
			for _, f := range report.Findings {
				// This machine has a docker.service, and perhaps a daemon.json.
				if slices.Contains([]string{"log-level-not-info", "packet-filter-off", "engine-open-on-network", "userland-proxy-on"}, f.Rule) {
					asked++
					if f.Status != finding.Unknown || !strings.Contains(f.Reason, tc.reason) {
						t.Errorf("%s is %s: %q", f.Rule, f.Status, f.Reason)
					}
				}
				if f.Subject.Kind != "file" {
					continue
				}
				files++
				if f.Status != finding.Unknown || !strings.Contains(f.Reason, tc.reason) || f.Subject.Name != finding.NotListed {
					t.Errorf("%s is %s for %s: %q", f.Rule, f.Status, f.Subject.Name, f.Reason)
				}
			}
			if files < 40 || asked != 4 {
				t.Errorf("%d findings about files, and %d about the configuration", files, asked)
			}
		})
	}
}

// forward passes connections on to a socket, and gives the address that it hears.
func forward(t *testing.T, network, address, socket string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer from.Close()
				to, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer to.Close()
				var wg sync.WaitGroup
				wg.Go(func() { _, _ = io.Copy(to, from); _ = to.(*net.UnixConn).CloseWrite() })
				wg.Go(func() { _, _ = io.Copy(from, to); from.Close() })
				wg.Wait()
			}()
		}
	}()
	return l.Addr().String()
}
