package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
)

// slowly is a fake that answers the paths given only after it was asked for
// asked containers. Where that never happens, the client's timeout ends it.
func slowly(t *testing.T, f *fake, asked int, paths ...string) (inspected *atomic.Int32) {
	t.Helper()
	inspected = &atomic.Int32{}
	reached, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(over) })
	other := f.before
	f.before = func(w http.ResponseWriter, path string) bool {
		if slices.Contains(paths, path) {
			select {
			case <-reached:
			case <-over:
			}
		}
		if strings.HasPrefix(path, "/containers/0") && inspected.Add(1) == int32(asked) {
			close(reached)
		}
		return other != nil && other(w, path)
	}
	return inspected
}

// All that needs no other answer is asked at once, after the ping and before
// any container: the fake answers none of it until it was asked for all of it.
func TestWhatNeedsNoOtherAnswerIsAskedAtOnce(t *testing.T) {
	var asked sync.WaitGroup
	asked.Add(6)
	f := &fake{containers: many(3)}
	f.before = func(_ http.ResponseWriter, path string) bool {
		switch path {
		case "/containers/json", "/version", "/info", "/networks", "/volumes", "/images/json":
			asked.Done()
			asked.Wait()
		}
		return false
	}
	if got := f.start(t).collect(t); len(got.Containers) != 3 {
		t.Errorf("got %d containers", len(got.Containers))
	}
	seen := f.requests()
	first := slices.Sorted(slices.Values(seen[1:7]))
	want := []string{"/containers/json", "/images/json", "/info", "/networks", "/version", "/volumes"}
	if seen[0] != "/_ping" || !slices.Equal(first, want) {
		t.Errorf("asked first for %q, want a ping and then %q", seen[:7], want)
	}
}

// An engine that is too old is asked for nothing else, and one whose ping does
// not show it is refused for the same reason, whatever is under way.
func TestAnOldEngineIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		ping, version string
		old           bool
		most          int // requests
	}{
		"too old":                  {"1.39", "1.39", true, 2},
		"too old, and pings newer": {"1.41", "1.39", true, 100},
		"old enough":               {"1.40", "1.40", false, 100},
	} {
		f := &fake{containers: many(20), answers: map[string][]byte{
			"/version": altered(t, "version.json", func(a answer) { a["ApiVersion"] = test.version })}}
		f.before = func(w http.ResponseWriter, path string) bool {
			if path == "/_ping" {
				w.Header().Set("Api-Version", test.ping)
				io.WriteString(w, "OK")
				return true
			}
			return false
		}
		got, err := Engine(context.Background(), f.start(t).config())
		if !test.old {
			if err != nil || got.Daemon.APIVersion != test.version {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if got != nil || err == nil || !strings.Contains(err.Error(), "is too old: it speaks API 1.39, and plimsoll needs 1.40") {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if seen := f.requests(); len(seen) > test.most {
			t.Errorf("%s: was asked for %q", name, seen)
		}
	}
}

// However slow an engine is with one answer, it is asked for what does not
// depend on it, and for an exec session only when all is known. The facts are
// the same.
func TestContainersAreAskedBeforeAllElseIsKnown(t *testing.T) {
	const n = 60
	crowd := func() *fake {
		all := many(n)
		for i := range all {
			all[i].image = "sha256:" + idOf(i%3)
		}
		all[4].pid, all[4].change = 4000, func(a answer) { a["ExecIDs"] = []string{"e1"} }
		return &fake{containers: all, before: refusing(http.StatusForbidden, "/containers/"+idOf(7)+"/json"),
			answers: map[string][]byte{"/exec/e1/json": []byte(`{"ID":"e1","Running":true,"Pid":4001,"ProcessConfig":{"user":"ana"}}`)}}
	}
	want, err := facts.Encode(crowd().start(t).collect(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(want, []byte(`"ana"`)) {
		t.Error("the exec session is not in the facts")
	}
	image := "/images/sha256:" + idOf(2) + "/json"
	for name, slow := range map[string][]string{
		"info": {"/info"}, "version": {"/version"}, "networks": {"/networks"}, "volumes": {"/volumes"}, "images": {"/images/json"}, "an image": {image},
		"all of them": {"/info", "/version", "/networks", "/volumes", "/images/json", image},
	} {
		f := crowd()
		slowly(t, f, n, slow...)
		got, err := facts.Encode(f.start(t).collect(t))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: facts (-want +got):\n%s", name, diff)
		}
		seen := f.requests()
		if len(seen) != 7+3+n+1 {
			t.Errorf("%s: %d requests, want %d", name, len(seen), 7+3+n+1)
		}
		if last := seen[len(seen)-1]; last != "/exec/e1/json" {
			t.Errorf("%s: asked last for %s, want the exec session", name, last)
		}
		if f.most > DefaultConcurrency {
			t.Errorf("%s: %d requests at once, want at most %d", name, f.most, DefaultConcurrency)
		}
	}
}

// While one answer does not come, only so many others wait for it: those of
// the backlog, and one with each worker that does not wait for the engine.
func TestWaitingAnswersAreBounded(t *testing.T) {
	const n, most = maxBacklog + 100, maxBacklog + DefaultConcurrency - 1
	f := &fake{containers: many(n)}
	var early atomic.Int32
	inspected := slowly(t, f, most, "/info")
	hold := f.before
	f.before = func(w http.ResponseWriter, path string) bool {
		answered := hold(w, path)
		if path == "/info" {
			time.Sleep(100 * time.Millisecond) // for one too many to come
			early.Store(inspected.Load())
		}
		return answered
	}
	got := f.start(t).collect(t)
	if n := early.Load(); n != most {
		t.Errorf("%d containers were asked for before the engine said what they depend on, want %d", n, most)
	}
	if len(got.Containers) != n || int(inspected.Load()) != n {
		t.Errorf("%d containers of %d, after %d requests", len(got.Containers), n, inspected.Load())
	}
	for i, c := range got.Containers {
		if want := fmt.Sprintf("c%05d", i); c.Name != want || c.Image.Ref != "bb:1" {
			t.Fatalf("container %d is %s of %q, want %s", i, c.Name, c.Image.Ref, want)
		}
	}
}

// One caller makes every call in turn, and so nothing waits for ever.
func TestOneCallAtATime(t *testing.T) {
	f := (&fake{containers: many(5)}).start(t)
	cfg := f.config()
	cfg.Concurrency = 1
	if got := collect(t, cfg); len(got.Containers) != 5 {
		t.Errorf("got %d containers", len(got.Containers))
	}
	if f.most != 1 {
		t.Errorf("%d requests at once", f.most)
	}
	var want = []string{"/_ping", "/containers/json", "/version", "/info", "/networks", "/volumes", "/images/json", "/images/" + recordedImage + "/json"}
	for i := range 5 {
		want = append(want, "/containers/"+idOf(i+1)+"/json")
	}
	if diff := cmp.Diff(want, f.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Images are counted before containers, also where a container's answer, or
// the word that it is gone, comes before the image's.
func TestProgressOfASlowImage(t *testing.T) {
	f := &fake{containers: many(3), before: refusing(http.StatusNotFound, "/containers/"+idOf(2)+"/json")}
	slowly(t, f, 3, "/images/"+recordedImage+"/json")
	f.start(t)
	cfg := f.config()
	var steps []string
	cfg.Progress = func(done, total int, what string) { steps = append(steps, fmt.Sprintf("%d/%d %s", done, total, what)) }
	if got := collect(t, cfg); len(got.Containers) != 2 {
		t.Errorf("got %d containers, want all but the one that is gone", len(got.Containers))
	}
	want := []string{"0/1 images", "1/1 images", "0/3 containers", "1/3 containers", "2/3 containers", "3/3 containers"}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

// What ends a collection ends it while answers wait for one that never comes.
func TestErrorsWhileAnswersWait(t *testing.T) {
	for name, test := range map[string]struct {
		before func(cancel func()) func(http.ResponseWriter, string) bool
		want   string
	}{
		"called off": {func(cancel func()) func(http.ResponseWriter, string) bool {
			return func(_ http.ResponseWriter, path string) bool {
				if path == "/containers/"+idOf(9)+"/json" {
					cancel()
				}
				return false
			}
		}, "context canceled"},
		"no version": {func(func()) func(http.ResponseWriter, string) bool {
			return refusing(http.StatusInternalServerError, "/version")
		}, "refused GET /version"},
		"no list": {func(func()) func(http.ResponseWriter, string) bool {
			return refusing(http.StatusInternalServerError, "/containers/json")
		}, "/containers/json"},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		f := &fake{containers: many(20), before: test.before(cancel)}
		slowly(t, f, 21, "/info") // there is none, so it never comes
		f.start(t)
		got, err := Engine(ctx, f.config())
		cancel()
		if got != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, %v; want %q", name, got, err, test.want)
		}
	}
}

func TestBacklog(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	b := newBacklog()
	large := inspected{size: maxBacklogBytes + 1}
	if kept, err := b.put(ended, large); kept || !errors.Is(err, context.Canceled) {
		t.Errorf("one that is too large: %v, %v", kept, err)
	}
	for i := range maxBacklog {
		if kept, err := b.put(ended, inspected{at: i, size: maxBacklogBytes}); !kept || err != nil {
			t.Fatalf("answer %d: %v, %v", i, kept, err)
		}
	}
	if kept, err := b.put(ended, inspected{}); kept || !errors.Is(err, context.Canceled) {
		t.Errorf("one too many: %v, %v", kept, err)
	}
	waited := make(chan bool)
	go func() {
		kept, err := b.put(context.Background(), inspected{})
		waited <- !kept && err == nil
	}()
	answers := b.release()
	if !<-waited {
		t.Error("who waited with an answer may not use it now")
	}
	if len(answers) != maxBacklog || answers[7].at != 7 {
		t.Errorf("%d answers were kept, the eighth is of %d", len(answers), answers[7].at)
	}
	for _, a := range []inspected{{}, large} {
		if kept, err := b.put(context.Background(), a); kept || err != nil {
			t.Errorf("after all is known: %v, %v", kept, err)
		}
	}
}
