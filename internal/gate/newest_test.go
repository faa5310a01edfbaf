//go:build soak

package gate

import (
	"slices"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestNewestFaithful: everyday commands give the same with and without the gate before the
// newest engine, too.
func TestNewestFaithful(t *testing.T) {
	engine := func() *lab.Engine { return lab.Newest(t, nil) }
	steps := slices.Concat(interactive, everyday)
	for i := range steps {
		// It takes addresses by chance, names itself by a UUID, says how long things
		// ran, and its local registries in any order.
		steps[i].blur = strings.TrimPrefix(steps[i].blur+`|(?:[0-9a-f]{1,2}:){5}[0-9a-f]{1,2}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9A-Za-z]+|(?:"execDuration":|execDuration=)"?\d+|127\.0\.0\.0/8|::1/128`, "|")
	}
	same(t, sidesOf(t, engine, debian, everydayFiles, Observe, Enforce), steps)
}

// TestNewestBypass: what gives power there gets past the gate no more than before others.
func TestNewestBypass(t *testing.T) {
	g := newGround(t, lab.Newest(t, groundSettings))
	g.mended = map[string]bool{
		// It has no versions of the API below 1.40, and reads a body to its end.
		"version before all rules": true, "start with a body": true, "copy": true, "second document": true,
		"privileged beside": true, "binds beside": true, "namespaces beside": true, "capabilities beside": true,
		// It knows no fluentd-async-connect, and tells a container nothing of those that it links to.
		"log to where its driver thinks": true, "environment by a link": true,
		// It takes this, which the rule cgroups-writable does not call grave: a container can
		// give itself more of what it was given.
		"writable control groups": true,
	}
	bypass(g)
}

// TestNewestStore: where containerd has the images, each name has a digest, and a policy does
// not take it for where the image came from.
func TestNewestStore(t *testing.T) {
	e := lab.Newest(t, map[string]any{"features": map[string]any{"containerd-snapshotter": true}})
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Docker("tag", "web:1", "registry.example.org/good:1"); err != nil {
		t.Fatal(err)
	}
	if out, err := e.Docker("image", "inspect", "-f", "{{.RepoDigests}}", "registry.example.org/good:1"); err != nil || !strings.Contains(out, "registry.example.org/good@sha256:") {
		t.Fatalf("this engine keeps apart what came from where: %v %s", err, out)
	}
	s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {images: [registry.example.org/*]}\n")
	s.refused(t, "came from", "run", "--rm", "registry.example.org/good:1", "true")
	stand(t, e, Enforce, "").must(t, "run", "--rm", "registry.example.org/good:1", "true")
}

// TestNewestMade: the newest engine tells which images it made as others do, wherever it keeps
// them.
func TestNewestMade(t *testing.T) {
	for _, containerd := range []bool{false, true} {
		madeBehind(t, lab.Newest(t, map[string]any{"features": map[string]any{"containerd-snapshotter": containerd}}))
	}
}
