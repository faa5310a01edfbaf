package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/test/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ground is an engine of its own with the image web:1, and a way to deploy to it.
type ground struct {
	t      *testing.T
	engine *lab.Engine
	c      Config // without a command
	home   string
}

// ended is how a command went.
type ended struct {
	Result
	out, errs string
}

func newGround(t *testing.T) *ground {
	t.Helper()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	return groundAt(t, e, engine.Endpoint{Address: e.Host(), Source: "the lab"})
}

// groundAt deploys to the engine by an address of it, which ssh may carry to.
func groundAt(t *testing.T, e *lab.Engine, at engine.Endpoint, ssh ...string) *ground {
	t.Helper()
	d, err := engine.NewDialer(engine.Config{Endpoint: at, SSH: strings.Join(ssh, "")})
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{t: t, engine: e, home: t.TempDir()}
	g.c = Config{Dir: g.home, Saying: ops, Dialer: d, At: at.Address, Folders: []string{t.TempDir(), "/tmp"}, Now: time.Now,
		Log: func(format string, args ...any) { t.Logf("deploy: "+format, args...) },
		// What a user may have set, and must not count.
		Environ: []string{"PATH=" + lab.Path, "HOME=" + g.home, "DOCKER_CONFIG=" + g.home, "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONTEXT=none", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/nowhere", "DOCKER_BUILDKIT=0"}}
	return g
}

// in is the same in a part of a test.
func (g *ground) in(t *testing.T) *ground {
	part := *g
	part.t = t
	return &part
}

// run runs a command, and demands that it leaves nothing behind.
func (g *ground) run(stdin io.Reader, change func(*Config), command ...string) ended {
	g.t.Helper()
	c := g.c
	c.Command = command
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = stdin, &out, &errs
	if change != nil {
		change(&c)
	}
	r, err := Run(g.t.Context(), c)
	if err != nil {
		g.t.Fatalf("%q: %v", command, err)
	}
	if left, _ := os.ReadDir(c.Folders[0]); len(left) > 0 {
		g.t.Errorf("%q leaves %v", command, left)
	}
	return ended{r, out.String(), errs.String()}
}

// must is run for what must work.
func (g *ground) must(command ...string) ended {
	g.t.Helper()
	r := g.run(nil, nil, command...)
	if r.Code != 0 {
		g.t.Fatalf("%q ended with %d: %s%s", command, r.Code, r.out, r.errs)
	}
	return r
}

// docker asks the engine without any proxy.
func (g *ground) docker(args ...string) string {
	g.t.Helper()
	out, err := g.engine.Docker(args...)
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// labels are those of a container.
func (g *ground) labels(name string) map[string]string {
	g.t.Helper()
	var labels map[string]string
	if err := json.Unmarshal([]byte(g.docker("inspect", "-f", "{{json .Config.Labels}}", name)), &labels); err != nil {
		g.t.Fatal(err)
	}
	return labels
}

// has says that a container has the labels of a declaration, and these others.
func (g *ground) has(name string, s declare.Saying, others ...string) {
	g.t.Helper()
	want := map[string]string{}
	for _, other := range others {
		key, value, _ := strings.Cut(other, "=")
		want[key] = value
	}
	set, _ := s.Onto(want)
	maps.Copy(want, set)
	if diff := cmp.Diff(want, g.labels(name)); diff != "" {
		g.t.Errorf("%s: %s", name, diff)
	}
}

// shell is a line for sh, in which $SOCKET is the path of the socket that the program has.
func shell(format string, args ...any) []string {
	return []string{"sh", "-c", "SOCKET=${DOCKER_HOST#unix://}; " + fmt.Sprintf(format, args...)}
}
