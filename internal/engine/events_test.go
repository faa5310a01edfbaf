package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// eventServer sends the parts one by one and then waits for the caller to go,
// or breaks off.
func eventServer(t *testing.T, breakOff bool, parts ...string) *fake {
	return startFake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for _, p := range parts {
			io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
		if !breakOff {
			<-r.Context().Done()
		}
	})
}

func TestEvents(t *testing.T) {
	f := eventServer(t, false, `{"Action":"create"}`+"\n"+`{"Act`, `ion":"start"}`+"\n\n", `{"Action":"die"}`+"\n")
	c := clientOf(t, Config{Endpoint: f.endpoint(), Timeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	var last error
	for ev, err := range c.Events(ctx, time.Unix(1700000000, 5)) {
		if err != nil {
			last = err
			continue
		}
		if ev == nil {
			got = append(got, "it listens")
			continue
		}
		got = append(got, string(ev))
		if len(got) == 4 {
			// Silence, longer than a call may take, is no fault.
			time.AfterFunc(2500*time.Millisecond, cancel)
		}
	}
	if diff := cmp.Diff([]string{"it listens", `{"Action":"create"}`, `{"Action":"start"}`, `{"Action":"die"}`}, got); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
	if want := "/v1.41/events?since=1700000000.000000005"; f.requests()[1] != want {
		t.Errorf("asked for %q, want %q", f.requests()[1], want)
	}
}

func TestEventsFromNow(t *testing.T) {
	f := eventServer(t, false, "{}\n")
	for _, err := range f.client().Events(t.Context(), time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		break // having enough ends the stream, which the leak check would see
	}
	if want := "/v1.41/events"; f.requests()[1] != want {
		t.Errorf("asked for %q, want %q", f.requests()[1], want)
	}
}

// TestRemembered: what is remembered comes to an end, and one that was cut is told from it.
func TestRemembered(t *testing.T) {
	for _, tc := range []struct {
		name string
		cut  bool
	}{{"whole", false}, {"cut off", true}} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "{}\n{}\n")
				w.(http.Flusher).Flush()
				if tc.cut {
					panic(http.ErrAbortHandler)
				}
			})
			n := 0
			var last error
			for _, err := range f.client().Remembered(t.Context(), time.Unix(1700000000, 5)) {
				if last = err; err == nil {
					n++
				}
			}
			if n != 2 {
				t.Errorf("%d events", n)
			}
			if tc.cut {
				wantError(t, last, "went away in the middle", "systemctl status docker")
			} else if last != nil {
				t.Error(last)
			}
			if want := "/v1.41/events?since=1.000000000&until=1700000000.000000005"; f.requests()[1] != want {
				t.Errorf("asked for %q, want %q", f.requests()[1], want)
			}
		})
	}
}

func TestEventsEnd(t *testing.T) {
	for _, tc := range []struct {
		name, sent    string
		events        int
		message, hint string
		tooBig        bool
	}{
		{"the engine stops", "{}\n{}\n", 2, "went away in the middle", "systemctl status docker", false},
		{"an event cut off", "{}\n{\"a\":", 1, "is not a Docker engine", "", false},
		{"not an event", "{}\nhello\n", 1, "is not a Docker engine", "", false},
		{"a large event", "{}\n{\"a\":\"" + strings.Repeat("a", maxEventBytes), 1, "an event of the engine", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			var last error
			for ev, err := range eventServer(t, true, tc.sent).client().Events(t.Context(), time.Time{}) {
				if last != nil {
					t.Errorf("something after the error: %s", ev)
				}
				if last = err; err == nil && ev != nil {
					n++
				}
			}
			wantError(t, last, tc.message, tc.hint)
			if n != tc.events || errors.Is(last, ErrTooBig) != tc.tooBig {
				t.Errorf("%d events, then %v", n, last)
			}
		})
	}
}

func TestEventsRefused(t *testing.T) {
	f := startFake(t, say(403, `{"message":"authorization denied by plugin p: no"}`))
	n := 0
	for _, err := range f.client().Events(t.Context(), time.Time{}) {
		n++
		if e := wantError(t, err, "authorization denied", "plugin"); e.Status != 403 {
			t.Errorf("the status is %d", e.Status)
		}
	}
	if n != 1 {
		t.Errorf("%d turns", n)
	}
}

// A stream of objects, a line each, gives the objects that encoding/json sees.
func FuzzEachEvent(f *testing.F) {
	f.Add([]byte("{}\n{\"a\":1}\n"))
	f.Add([]byte("\n {}\r\n[]"))
	f.Add([]byte(`{"a":"\n"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got []json.RawMessage
		err := eachEvent(bytes.NewReader(raw), func(ev json.RawMessage) bool {
			got = append(got, ev)
			return true
		})
		if err == nil {
			t.Fatalf("%q ended without an error", raw)
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		for i, ev := range got {
			var want json.RawMessage
			if err := dec.Decode(&want); err != nil {
				t.Fatalf("%q: event %d is %s, encoding/json has %v", raw, i, ev, err)
			}
			if !bytes.Equal(ev, want) {
				t.Fatalf("%q: event %d is %s, want %s", raw, i, ev, want)
			}
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && dec.More() {
			t.Fatalf("%q: %d events, and there are more", raw, len(got))
		}
	})
}
