package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

var idA, idB = "sha256:" + strings.Repeat("a", 64), "sha256:" + strings.Repeat("b", 64)

// TestReadMade: the engine's own word for what it made counts, and no text of a step's.
func TestReadMade(t *testing.T) {
	aux := func(id string) string { return `{"aux":{"ID":"` + id + `"}}` + "\r\n" }
	const done = `{"stream":"Successfully built aaaaaaaaaaaa\n"}` + "\r\n"
	long := `{"stream":"` + strings.Repeat("x", 2*maxTold) + `"}` + "\r\n"
	for _, c := range []struct {
		name, answer string
		load, quiet  bool
		want         []string
	}{
		{name: "built", answer: `{"stream":"Step 1/1 : FROM web"}` + "\r\n" + aux(idA) + done, want: []string{idA}},
		{name: "two stages", answer: aux(idB) + aux(idA) + done, want: []string{idA}},
		{name: "by BuildKit", answer: `{"id":"moby.image.id","aux":{"ID":"` + idA + `"}}` + "\r\n" + `{"id":"moby.buildkit.trace","aux":"CnkK"}` + "\r\n", want: []string{idA}},
		{name: "a stage, and then an error", answer: aux(idA) + `{"errorDetail":{"message":"no"},"error":"no"}` + "\r\n"},
		{name: "printed by a step", answer: `{"stream":"{\"aux\":{\"ID\":\"` + idB + `\"}}\n"}` + "\r\n"},
		{name: "printed by a step after it", answer: aux(idA) + `{"stream":"{\"aux\":{\"ID\":\"` + idB + `\"}}\n"}` + "\r\n", want: []string{idA}},
		{name: "no id", answer: aux("sha256:abc")},
		{name: "an id given twice", answer: `{"aux":{"ID":"` + idA + `","ID":"` + idB + `"}}` + "\r\n"},
		{name: "much before it", answer: long + aux(idA) + done, want: []string{idA}},
		{name: "much after it", answer: aux(idA) + long},
		{name: "quiet", answer: `{"stream":"` + idA + `\n"}` + "\r\n", quiet: true, want: []string{idA}},
		{name: "quiet, and more", answer: `{"stream":"` + idA + `\n"}` + "\r\n" + done, quiet: true},
		{name: "not quiet", answer: `{"stream":"` + idA + `\n"}` + "\r\n"},
		{name: "loaded", answer: `{"stream":"Loaded image ID: ` + idA + `\n"}` + "\r\n" + long + `{"stream":"Loaded image ID: ` + idB + `\n"}` + "\r\n", load: true, want: []string{idA, idB}},
		{name: "loaded by name", answer: `{"stream":"Loaded image: shop/api:1\n"}` + "\r\n", load: true},
		{name: "nothing"},
	} {
		got, err := readMade(strings.NewReader(c.answer), c.load, c.quiet)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
	broken := errors.New("cut")
	if got, err := readMade(io.MultiReader(strings.NewReader(aux(idA)), iotest.ErrReader(broken)), false, false); !errors.Is(err, broken) || got != nil {
		t.Errorf("an answer that is cut: %v %v", got, err)
	}
}

// FuzzReadMade: what is believed of an answer is what encoding/json reads in it.
func FuzzReadMade(f *testing.F) {
	f.Add([]byte(`{"aux":{"ID":"`+idA+`"}}`+"\r\n"), false, false)
	f.Add([]byte(`{"stream":"`+idA+`\n"}`), false, true)
	f.Add([]byte(`{"stream":"Loaded image ID: `+idA+`\n"}`+"\n"), true, false)
	f.Add([]byte(`{"aux":"x"}`+"\n"+`{"error":"x"}`), false, false)
	f.Fuzz(func(t *testing.T, answer []byte, load, quiet bool) {
		got, err := readMade(bytes.NewReader(answer), load, quiet)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for line := range bytes.Lines(answer) {
			var m struct {
				Stream string
				Aux    json.RawMessage
			}
			if json.Unmarshal(line, &m) != nil {
				continue
			}
			var aux struct{ ID string }
			switch {
			case load:
				all = append(all, strings.TrimSuffix(strings.TrimPrefix(m.Stream, "Loaded image ID: "), "\n"))
			case quiet:
				all = append(all, strings.TrimSuffix(m.Stream, "\n"))
			case json.Unmarshal(m.Aux, &aux) == nil:
				all = append(all, aux.ID)
			}
		}
		for _, id := range got {
			if !isImageID(id) || !slices.Contains(all, id) {
				t.Errorf("%q is not in the answer", id)
			}
		}
	})
}

// TestMade: what the engine makes of builds, commits and archives is in the trail by the id
// that the image really has, whatever its answer's form, and clients get their answers whole;
// what came to nothing, or has a name alone, is not.
func TestMade(t *testing.T) {
	t.Parallel()
	madeBehind(t, lab.Private(t, nil))
}

// madeBehind is TestMade behind an engine.
func madeBehind(t *testing.T, e *lab.Engine) {
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nenforce: {severity: critical}\n")
	dir := t.TempDir()
	folder := func(dockerfile string) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	id := func(name string) string {
		t.Helper()
		out, err := e.Docker("image", "inspect", "-f", "{{.Id}}", name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	// The outcome is recorded once the answer is over, which the client need not wait for.
	outcomes := 0
	last := func() (made any) {
		t.Helper()
		outcomes++
		have := 0
		eventually(t, func() bool {
			have = 0
			for _, ev := range s.recorded(t) {
				if ev.Type == trail.Load && ev.Detail["gate"] != phaseAsked {
					have, made = have+1, ev.Detail["made"]
				}
			}
			return have == outcomes
		}, func() string { return fmt.Sprintf("%d outcomes, and not %d", have, outcomes) })
		return made
	}
	is := func(what string, want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(any(want), last()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	made := func(how, id string, more ...any) map[string]any {
		m := map[string]any{"how": how, "images": []any{id}, "of_host": true}
		if len(more) > 0 {
			m["nocache"] = more[0]
		}
		return m
	}
	stages := "FROM web:1 AS a\nRUN echo '{\"aux\":{\"ID\":\"" + idB + "\"}}' && echo x > /x\nFROM web:1\nCOPY --from=a /x /x\n"
	out := s.must(t, "DOCKER_BUILDKIT=0", "build", "--no-cache", "-t", "shop/api:1", folder(stages))
	if !strings.Contains(out, "Successfully tagged shop/api:1") {
		t.Errorf("the client is told %s", out)
	}
	is("a build", made("build", id("shop/api:1"), true))
	out = s.must(t, "DOCKER_BUILDKIT=0", "build", "-q", "-t", "shop/api:2", folder(stages))
	if strings.TrimSpace(out) != id("shop/api:2") {
		t.Errorf("the client is told %s", out)
	}
	is("a quiet build out of the cache", made("build", id("shop/api:2"), false))
	if out, err := s.docker("DOCKER_BUILDKIT=0", "build", "--no-cache", folder("FROM web:1 AS a\nRUN true\nFROM web:1\nRUN false\n")); err == nil || !strings.Contains(out, "non-zero code") {
		t.Errorf("a build that comes to nothing: %v %s", err, out)
	}
	if got := last(); got != nil {
		t.Errorf("a build that comes to nothing made %v", got)
	}
	s.must(t, "run", "--name", "box", "web:1", "true")
	if out = s.must(t, "commit", "box", "shop/box:1"); strings.TrimSpace(out) != id("shop/box:1") {
		t.Errorf("the client is told %s", out)
	}
	is("a commit", made("commit", id("shop/box:1")))
	for _, what := range []string{"shop/api:1", id("shop/api:1")} {
		archive := filepath.Join(dir, "image.tar")
		if _, err := e.Docker("save", "-o", archive, what); err != nil {
			t.Fatal(err)
		}
		s.must(t, "load", "-i", archive)
		if what == "shop/api:1" {
			if got := last(); got != nil {
				t.Errorf("an archive of a name made %v", got)
			}
			continue
		}
		is("an archive of an id", made("load", what))
	}
	// Another answer comes by the same connection.
	if out := s.must(t, "version", "--format", "{{.Server.Version}}"); len(strings.TrimSpace(out)) == 0 {
		t.Errorf("no version: %q", out)
	}
}
