package gate

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestNewerEngine: before an engine of a version that there is not yet, clients speak the
// newest that the gate knows; while it only observes they hear what the engine says.
func TestNewerEngine(t *testing.T) {
	e := lab.Shared(t)
	socket := filepath.Join(t.TempDir(), "newer.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	said := "1.57"
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", said)
		if strings.HasSuffix(r.URL.Path, "/version") {
			fmt.Fprintf(w, `{"Version":"30.0.0","ApiVersion":%q,"MinAPIVersion":"1.44"}`, said)
			return
		}
		fmt.Fprint(w, "OK")
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // until it is closed
	}()
	defer func() {
		server.Close()
		<-ended
	}()
	for _, c := range []struct {
		mode       Mode
		says, want string
	}{{Enforce, "1.57", "1.56"}, {Observe, "1.57", "1.57"}, {Enforce, "1.41", "1.41"}} {
		said = c.says
		s := standAt(t, e.Host(), socket, c.mode, "")
		client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", s.socket)
		}, DisableKeepAlives: true}}
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			req, err := http.NewRequest(method, "http://docker/_ping", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Api-Version"); got != c.want || resp.StatusCode != http.StatusOK {
				t.Errorf("%s, %s of an engine of %s: %s, %s", c.mode, method, c.says, resp.Status, got)
			}
		}
		out, err := dockerAt("unix://"+s.socket, "version", "--format", "{{.Server.APIVersion}}")
		if err != nil || strings.TrimSpace(out) != c.want {
			t.Errorf("%s: docker hears from an engine of %s: %v, %s", c.mode, c.says, err, out)
		}
	}
}
