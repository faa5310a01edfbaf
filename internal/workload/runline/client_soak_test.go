//go:build soak

package runline

import (
	"strings"
	"testing"
)

// TestClientsRefuse: what docker's client refuses, Parse refuses.
func TestClientsRefuse(t *testing.T) {
	eachLine(t, "refused.txt", func(t *testing.T, c client, l testLine, engine *listener) {
		world := worldIn(t)
		out, err := c.run(t, l, engine, world.Dir)
		if _, body, _ := engine.take(); err == nil || body != nil {
			t.Fatalf("%s\nthe client takes it: %s", l.text, body)
		}
		line, err := ParseString(l.text, world)
		if err == nil {
			t.Fatalf("%s\ntaken as %+v\nbut the client says %s", l.text, line.Body, out)
		}
		t.Logf("%s\n  docker: %s\n  ours: %v", l.text, firstLine(out), err)
	})
}

func firstLine(s string) string { s, _, _ = strings.Cut(s, "\n"); return s }
