package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// TestImageVerifyHere: an image that was built here is trusted by the gate's trail, though it was
// pushed meanwhile; one of which the trail has nothing is asked for at its registry where the
// policy has something to say of that, and else is not trusted. What can't be told is not said.
func TestImageVerifyHere(t *testing.T) {
	dir := t.TempDir()
	id, base := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	now := time.Now().UTC()
	history := fmt.Sprintf(`[{"Id":%q,"Created":%d},{"Id":%q,"Created":1700000000},{"Id":"<missing>","Created":1600000000}]`, id, now.Unix(), base)
	engine := http.NewServeMux()
	engine.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		w.Header().Set("Content-Type", "application/json")
		_, what, _ := strings.Cut(r.URL.Path, "/images/")
		name, what := what[:max(strings.LastIndexByte(what, '/'), 0)], what[strings.LastIndexByte(what, '/')+1:]
		switch {
		case r.URL.Path == "/_ping":
			fmt.Fprint(w, "OK")
		case what == "history":
			fmt.Fprint(w, history)
		case name == base:
			fmt.Fprintf(w, `{"Id":%q,"Created":"2023-11-14T00:00:00Z"}`, base)
		case what == "json" && !strings.Contains(name, "none"):
			fmt.Fprintf(w, `{"Id":%q,"Os":"linux","Architecture":"amd64","Created":%q,"RepoDigests":["127.0.0.1:1/shop/api@sha256:%s","127.0.0.1:1/both/api@sha256:%[3]s"]}`, id, now.Format(time.RFC3339Nano), strings.Repeat("c", 64))
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"no such image"}`)
		}
	})
	socket := filepath.Join(dir, "engine.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: engine}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	policy := filepath.Join(dir, "trust.yaml")
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(policy, "schema: plimsoll/trust/1\nimages:\n  - {name: \"127.0.0.1:1/shop/*\", built: {by: [alice]}}\n  - {name: \"127.0.0.1:1/both/*\", built: {by: [alice]}, unsigned: true, why: for a start}\n  - {name: docker.io/library/none, built: {by: [alice]}}\n")
	states := 0
	fresh := func() string {
		states++
		return filepath.Join(dir, fmt.Sprint("state", states))
	}
	is := func(state string, want int, told, ref string, more ...string) string {
		t.Helper()
		code, out, errs := run(t, t.Context(), World{}, append([]string{"image", "verify", "--host", "unix://" + socket, "--state", state, "--trust", policy, ref}, more...)...)
		if code != want || !strings.Contains(out+errs, told) {
			t.Errorf("%s: exit %d, want %d, without %q: %s%s", ref, code, want, told, out, errs)
		}
		return out
	}
	verdicts := func(state string) verdict.Folder { return verdict.Folder(filepath.Join(state, gate.VerdictFolder)) }
	trusted := func(state string) bool {
		t.Helper()
		v, err := verdicts(state).Read(id)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return v != nil && v.Verified != nil
	}
	uid := uint32(1001)
	event := func(phase string, more map[string]any) trail.Event {
		more["gate"] = phase
		return trail.Event{Type: trail.Load, Actor: &trail.Actor{UID: &uid, User: "alice"}, Subject: trail.Subject{Kind: "image"}, Detail: more}
	}
	// The image is as old as the test: the asking is older, and the end younger.
	asked := func(state string) *trail.Log {
		t.Helper()
		at := now.Add(-time.Minute)
		log, err := trail.Open(trail.Config{Dir: filepath.Join(state, gate.TrailFolder), Name: "harbour-1", Now: func() time.Time { at = at.Add(2 * time.Minute); return at.Add(-2 * time.Minute) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := log.Append(t.Context(), event("asked", map[string]any{})); err != nil {
			t.Fatal(err)
		}
		return log
	}
	done := event("done", map[string]any{"asked": 0, "made": map[string]any{"how": "build", "images": []string{id}, "of_host": true, "nocache": true}})
	finish := func(log *trail.Log) {
		t.Helper()
		if _, err := log.Append(t.Context(), done); err != nil {
			t.Error(err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}

	state := fresh()
	is(state, exitFindings, "has no event", "127.0.0.1:1/shop/api:1")
	is(state, exitUnable, "it can't be told who signed", "127.0.0.1:1/both/api:1")
	is(state, exitUnable, "it can't be told who signed", "none:1")
	finish(asked(state))
	is(state, exitFindings, base[:19]+", is not verified", "127.0.0.1:1/shop/api:1")
	if trusted(state) {
		t.Error("a verdict, of a base that is not trusted")
	}
	trustBase := func(state string) {
		t.Helper()
		if err := verdicts(state).Verify(base, &verdict.Verified{At: now, Policy: "images[0]", By: []string{"a key"}}); err != nil {
			t.Fatal(err)
		}
	}
	trustBase(state)
	other := fresh()
	finish(asked(other))
	trustBase(other)
	is(other, 0, "is trusted: built here by alice", "127.0.0.1:1/both/api:1")
	var body struct {
		Manifest *string
		ID       string
		Trusted  bool
		Steps    []struct{ Step string }
	}
	if err := json.Unmarshal([]byte(is(state, 0, "", "127.0.0.1:1/shop/api:1", "--format", "json")), &body); err != nil || body.Manifest != nil || body.ID != id || !body.Trusted || len(body.Steps) != 5 || body.Steps[2].Step != "built" || body.Steps[3].Step != "base" || body.Steps[4].Step != "replay" {
		t.Errorf("%+v %v", body, err)
	}
	if !trusted(state) {
		t.Error("no verdict")
	}
	was := history
	history = `[{"Created":"soon"}]`
	is(state, exitUnable, "Created must be a whole number", "127.0.0.1:1/shop/api:1")
	history = was

	// A byte that was changed takes the trust, and the verdict.
	events, err := filepath.Glob(filepath.Join(state, gate.TrailFolder, "events", "*"))
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	data, err := os.ReadFile(events[0])
	if err != nil {
		t.Fatal(err)
	}
	write(events[0], strings.Replace(string(data), `"uid":1001`, `"uid":1002`, 1))
	is(state, exitFindings, "is not as it was written", "127.0.0.1:1/shop/api:1")
	if trusted(state) {
		t.Error("a verdict, by a trail that was changed")
	}
	state = fresh()
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(state, gate.TrailFolder), "")
	is(state, exitUnable, "the gate's trail can't be read", "127.0.0.1:1/shop/api:1")

	// The gate says what came of a build when the client has its answer.
	state = fresh()
	log := asked(state)
	trustBase(state)
	later := time.AfterFunc(3*restMade, func() { finish(log) })
	defer later.Stop()
	is(state, 0, "is trusted: built here by alice", "127.0.0.1:1/shop/api:1")
}
