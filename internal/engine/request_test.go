package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Every call, the request that it makes, and the answer handed on untouched.
func TestCalls(t *testing.T) {
	object := json.RawMessage(`{"Id":"é<&>", "KernelMemory": 12345678901234567890}`)
	list := `[ {"Id":"a"}, {"Id":"b","X":1.0} ]`
	items := []json.RawMessage{json.RawMessage(`{"Id":"a"}`), json.RawMessage(`{"Id":"b","X":1.0}`)}
	volumes := `{"Volumes":` + list + `,"Warnings":["plugin x is silent"]}`
	type result struct {
		Object   json.RawMessage
		List     []json.RawMessage
		Warnings []string
	}
	for _, tc := range []struct {
		request, answer string
		call            func(context.Context, *Client) (any, error)
		want            any
	}{
		{"/v1.41/info", string(object), func(ctx context.Context, c *Client) (any, error) { return c.Info(ctx) }, object},
		{"/v1.41/swarm", string(object), func(ctx context.Context, c *Client) (any, error) { return c.SwarmInspect(ctx) }, object},
		{"/v1.41/containers/json?all=1", list, func(ctx context.Context, c *Client) (any, error) { return c.ContainerList(ctx) }, items},
		{"/v1.41/images/json", list, func(ctx context.Context, c *Client) (any, error) { return c.ImageList(ctx) }, items},
		{"/v1.41/nodes", list, func(ctx context.Context, c *Client) (any, error) { return c.NodeList(ctx) }, items},
		{"/v1.41/services", list, func(ctx context.Context, c *Client) (any, error) { return c.ServiceList(ctx) }, items},
		{"/v1.41/images/sha256:0a/history", list, func(ctx context.Context, c *Client) (any, error) { return c.ImageHistory(ctx, "sha256:0a") }, items},
		{"/v1.41/networks", list, func(ctx context.Context, c *Client) (any, error) { return c.NetworkList(ctx) }, items},
		{"/v1.41/containers/json?all=1", " null\n", func(ctx context.Context, c *Client) (any, error) { return c.ContainerList(ctx) }, []json.RawMessage{}},
		{"/v1.41/containers/a%3Fsize=1%25/json", string(object),
			func(ctx context.Context, c *Client) (any, error) { return c.ContainerInspect(ctx, "a?size=1%") }, object},
		{"/v1.41/images/sha256:0a/json", string(object),
			func(ctx context.Context, c *Client) (any, error) { return c.ImageInspect(ctx, "sha256:0a") }, object},
		{"/v1.41/images/registry.example:5000/a/b:1/json", string(object),
			func(ctx context.Context, c *Client) (any, error) {
				return c.ImageInspect(ctx, "registry.example:5000/a/b:1")
			}, object},
		{"/v1.41/exec/e1/json", string(object), func(ctx context.Context, c *Client) (any, error) { return c.ExecInspect(ctx, "e1") }, object},
		{"/v1.41/networks/n1", string(object), func(ctx context.Context, c *Client) (any, error) { return c.NetworkInspect(ctx, "n1") }, object},
		{"/v1.41/volumes", volumes, func(ctx context.Context, c *Client) (any, error) {
			v, w, err := c.VolumeList(ctx)
			return result{List: v, Warnings: w}, err
		}, result{List: items, Warnings: []string{"plugin x is silent"}}},
		{"/v1.41/volumes", `{"Volumes":null,"Warnings":null}`, func(ctx context.Context, c *Client) (any, error) {
			v, w, err := c.VolumeList(ctx)
			return result{List: v, Warnings: w}, err
		}, result{List: []json.RawMessage{}}},
	} {
		t.Run(tc.request, func(t *testing.T) {
			f := startFake(t, say(200, tc.answer))
			got, err := tc.call(t.Context(), f.client())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if last := f.requests()[1]; last != tc.request {
				t.Errorf("asked for %q, want %q", last, tc.request)
			}
		})
	}
}

// What cannot be a name is not sent: an empty one, for example, would list.
func TestNamesRefused(t *testing.T) {
	f := startFake(t, say(200, `{}`))
	c := f.client()
	for _, id := range []string{"", ".", "..", "a/b", "../info", "a/", "/"} {
		if _, err := c.ContainerInspect(t.Context(), id); err == nil {
			t.Errorf("container %q was taken", id)
		}
	}
	for _, id := range []string{"", "..", "a/../../info", "/a", "a//b"} {
		if _, err := c.ImageInspect(t.Context(), id); err == nil {
			t.Errorf("image %q was taken", id)
		}
		if _, err := c.ImageSave(t.Context(), id); err == nil {
			t.Errorf("the image %q was taken", id)
		}
		if _, err := c.ImageHistory(t.Context(), id); err == nil {
			t.Errorf("the history of %q was taken", id)
		}
	}
	if got := f.requests(); len(got) != 0 {
		t.Errorf("sent %q", got)
	}
	if _, err := c.ContainerInspect(t.Context(), "a"); err != nil {
		t.Errorf("container a: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	inspect := func(ctx context.Context, c *Client) error { _, err := c.ContainerInspect(ctx, "web"); return err }
	list := func(ctx context.Context, c *Client) error { _, err := c.ContainerList(ctx); return err }
	for _, tc := range []struct {
		name          string
		status        int
		body          string
		call          func(context.Context, *Client) error
		message, hint string
		notFound      bool
	}{
		{"gone", 404, `{"message":"No such container: web"}`, inspect, "No such container: web", "", true},
		{"a path it does not know", 404, `{"message":"page not found"}`, inspect, "the engine refused GET", "", false},
		{"a list is never gone", 404, `{"message":"No such thing"}`, list, "No such thing", "", false},
		{"a proxy's own page", 404, `<h1>nothing here</h1>`, inspect, "not in the engine's own words", "A proxy stands before", false},
		{"a filtering proxy", 403, "<html><body><h1>403 Forbidden</h1>", list, "403 Forbidden, an answer that starts with <html>", "Let it pass this request", false},
		{"an authorization plugin", 403, `{"message":"authorization denied by plugin p: no"}`, list, "authorization denied by plugin p", "An authorization plugin", false},
		{"a fault", 500, `{"message":"open /var/lib/docker: input/output error"}`, inspect, "input/output error (500)", "journalctl", false},
		{"no manager", 503, `{"message":"This node is not a swarm manager."}`, list, "not a swarm manager", "journalctl", false},
		{"escapes", 500, `{"message":"\u001b]0;x\u0007\u202e\nnext"}`, list, `\x1b]0;x\x07\u202e next`, "", false},
		{"a message without end", 500, `{"message":"` + strings.Repeat("a", 2000) + `"}`, list, strings.Repeat("a", 400) + "… (500)", "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, say(tc.status, tc.body))
			e := wantError(t, tc.call(t.Context(), f.client()), tc.message, tc.hint)
			if e.Status != tc.status {
				t.Errorf("got status %d, want %d", e.Status, tc.status)
			}
			if got := errors.Is(e, ErrNotFound); got != tc.notFound {
				t.Errorf("is ErrNotFound: %v, want %v", got, tc.notFound)
			}
		})
	}
}

// What is not an engine, from the first word or later.
func TestNotAnEngine(t *testing.T) {
	f := &fake{t: t, socket: socketPath(t)}
	var answer http.HandlerFunc
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	for name, h := range map[string]http.HandlerFunc{
		"a page":                  func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>welcome</html>") },
		"OK, no more":             func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "OK") },
		"404":                     http.NotFound,
		"a redirect":              func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"JSON of another service": say(404, `{"error":"not found"}`),
		"an empty answer":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		t.Run(name, func(t *testing.T) {
			answer = h
			before := len(f.requests())
			_, err := f.client().Info(t.Context())
			e := wantError(t, err, "what answers at unix://"+f.socket+" is not a Docker engine", "That address comes from --host.")
			if e.Status != 0 {
				t.Errorf("the status is %d", e.Status)
			}
			if got := f.requests()[before:]; len(got) != 1 || got[0] != "/_ping" {
				t.Errorf("asked on: %q", got)
			}
		})
	}
}

func TestWrongAnswers(t *testing.T) {
	inspect := func(ctx context.Context, c *Client) error { _, err := c.ContainerInspect(ctx, "web"); return err }
	list := func(ctx context.Context, c *Client) error { _, err := c.ContainerList(ctx); return err }
	volumes := func(ctx context.Context, c *Client) error { _, _, err := c.VolumeList(ctx); return err }
	for _, tc := range []struct {
		name    string
		body    string
		call    func(context.Context, *Client) error
		message string
		tooBig  bool
	}{
		{"a page for an object", "<html>", inspect, "starts with <html>", false},
		{"a list for an object", "[]", inspect, "starts with []", false},
		{"nothing for an object", "", inspect, "an empty answer", false},
		{"an object cut off", `{"a":[`, inspect, "not JSON of the right kind", false},
		{"a page for a list", "<html>", list, "starts with <html>", false},
		{"an object for a list", "{}", list, "starts with {}", false},
		{"a list of numbers", "[1]", list, "element 0 of the list", false},
		{"something behind a list", "[{}] {}", list, "not JSON of the right kind", false},
		{"a volume list without volumes", "{}", volumes, "no list of volumes", false},
		{"volumes that are none", `{"Volumes":{}}`, volumes, "not JSON of the right kind", false},
		{"warnings that are none", `{"Volumes":[],"Warnings":{}}`, volumes, "the warnings", false},
		{"a deep element", `[{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}]", list, "100 levels at most", true},
		{"a large object", `{"a":"` + strings.Repeat("a", maxObjectBytes) + `"}`, inspect, "16 MiB", true},
		{"a list of very many", "[" + strings.Repeat("{},", maxElements) + "{}]", list, "100000 elements", true},
		{"very many volumes", `{"Volumes":[` + strings.Repeat("{},", maxElements) + "{}]}", volumes, "100000 elements", true},
		{"very many warnings", `{"Volumes":[],"Warnings":[` + strings.Repeat(`"",`, maxElements+1) + `""]}`, volumes, "100000 elements", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, say(200, tc.body))
			e := wantError(t, tc.call(t.Context(), f.client()), tc.message, "")
			if got := errors.Is(e, ErrTooBig); got != tc.tooBig {
				t.Errorf("is ErrTooBig: %v, want %v", got, tc.tooBig)
			}
			if e.Status != 0 {
				t.Errorf("the status is %d", e.Status)
			}
		})
	}
}

// The largest answers that are allowed are taken.
func TestLargeAnswers(t *testing.T) {
	large := `{"a":"` + strings.Repeat("a", maxObjectBytes-8) + `"}`
	f := startFake(t, say(200, large))
	if got, err := f.client().ContainerInspect(t.Context(), "web"); err != nil || string(got) != large {
		t.Errorf("%d bytes (%v), want %d", len(got), err, len(large))
	}
	f = startFake(t, say(200, "["+strings.Repeat("{},", maxElements-1)+"{}]"))
	got, err := f.client().ContainerList(t.Context())
	if err != nil || len(got) != maxElements {
		t.Errorf("a long list: %d (%v)", len(got), err)
	}
}

// An answer without end is left off at the bound, and its connection with it.
func TestEndlessAnswers(t *testing.T) {
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"a":"`)
		if strings.HasSuffix(r.URL.Path, "/containers/json") {
			io.WriteString(w, `"}`)
		}
		junk := bytes.Repeat([]byte("a"), 1<<20)
		for {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	_, err := f.client().ContainerInspect(t.Context(), "web")
	if wantError(t, err, "is too big", "docker inspect"); !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v", err)
	}
	list := startFake(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"a":"`)
		junk := bytes.Repeat([]byte("a"), 1<<20)
		for {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	if _, err := list.client().ContainerList(t.Context()); !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v", err)
	}
	refusal := startFake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		junk := bytes.Repeat([]byte("a"), 1<<20)
		for {
			if _, err := w.Write(junk); err != nil {
				return
			}
		}
	})
	_, err = refusal.client().ContainerList(t.Context())
	wantError(t, err, "starts with aaa", "proxy")
}

// An engine that has taken the call and says nothing.
func TestSlow(t *testing.T) {
	release := make(chan struct{})
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info") {
			io.WriteString(w, `{"ID":`)
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		io.WriteString(w, `{}`)
	})
	c := f.client()
	if _, err := c.API(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.timeout = 200 * time.Millisecond
	_, err := c.ContainerInspect(t.Context(), "web")
	wantError(t, err, "gave no whole answer to GET /v1.41/containers/web/json within 200ms", "overloaded")
	_, err = c.Info(t.Context())
	wantError(t, err, "gave no whole answer to GET /v1.41/info within 200ms", "overloaded")
	close(release)
	c.timeout = DefaultTimeout
	if _, err := c.ContainerInspect(t.Context(), "web"); err != nil {
		t.Errorf("an engine that answers again: %v", err)
	}
}

// The caller who calls off hears its own reason, not one of the engine's.
func TestCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := f.client().Info(ctx)
	var e *Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

// The engine dies at each step of an answer. A call after a good one finds the
// connection broken, or nobody to connect to.
func TestDiesHalfWay(t *testing.T) {
	half := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			buf.WriteString(text)
			buf.Flush()
			conn.Close()
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, text := range map[string]string{
		"before the answer":  "",
		"in the head":        "HTTP/1.1 200 OK\r\nContent-",
		"after the head":     head + "Content-Length: 100\r\n\r\n",
		"in the body":        head + "Content-Length: 100\r\n\r\n[{\"Id\":",
		"in a chunked body":  head + "Transfer-Encoding: chunked\r\n\r\n8\r\n[{\"Id\":1\r\n",
		"between two chunks": head + "Transfer-Encoding: chunked\r\n\r\n8\r\n[{\"a\":1}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t, half(text))
			c := f.client()
			_, err := c.ContainerList(t.Context())
			e := wantError(t, err, "went away in the middle", "run plimsoll again")
			if e.Status != 0 || errors.Is(e, ErrNotFound) {
				t.Errorf("it looks like an answer: %#v", e)
			}
			_, err = c.ContainerInspect(t.Context(), "web")
			if err == nil {
				t.Error("a half object was taken")
			}
			f.server.Close()
			_, err = c.ContainerInspect(t.Context(), "web")
			wantError(t, err, "went away in the middle", "run plimsoll again")
		})
	}
}

// Calls side by side, then one after another, share a few connections.
func TestKeepAlive(t *testing.T) {
	f := startFake(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/gone/json") {
			say(404, `{"message":"No such container: gone"}`)(w, r)
			return
		}
		io.WriteString(w, "[{}]\n")
	})
	c := f.client()
	for i := range 30 {
		if _, err := c.ContainerList(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ContainerInspect(t.Context(), "gone"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if n := f.connections(); n != 1 {
			t.Fatalf("%d connections after %d rounds", n, i+1)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain text", "plain text"},
		{"  two\n\tlines ", "two lines"},
		{"\x1b[31mred\x7f", `\x1b[31mred\x7f`},
		{"a\u202eb", `a\u202eb`},
		{"a\xffb", `a\ufffdb`},
		{"载重线", "载重线"},
		{strings.Repeat("x", 21), strings.Repeat("x", 20) + "…"},
	} {
		if got := printable(tc.in, 20); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

// decodeList takes what encoding/json takes for a list of objects, with the same
// elements. What it takes beside that has an element which is no JSON.
func FuzzDecodeList(f *testing.F) {
	for _, s := range []string{`[]`, `[{"a":1},{}]`, ` null `, `[{}`, `[{}]x`, `[1]`, `{}`, `[{}] []`, `[{"a":"\"["}]`, `[[]]`,
		`[{"a":"` + strings.Repeat(`\"}`, readBytes) + `"},{}]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := decodeList(bytes.NewReader(raw))
		// However it comes in pieces.
		again, errAgain := decodeList(iotest.OneByteReader(bytes.NewReader(raw)))
		if diff := cmp.Diff(got, again); diff != "" || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q: in pieces %v (%v): %s", raw, errAgain, err, diff)
		}
		var want []json.RawMessage
		wantErr := json.Unmarshal(raw, &want)
		for i, w := range want {
			if w = bytes.TrimSpace(w); len(w) == 0 || w[0] != '{' {
				wantErr = fmt.Errorf("element %d is no object", i)
			}
		}
		if errors.Is(err, ErrTooBig) {
			return
		}
		if err == nil && wantErr != nil {
			if !slices.ContainsFunc(got, func(item json.RawMessage) bool { return !json.Valid(item) }) {
				t.Fatalf("%q: was taken, encoding/json has %v", raw, wantErr)
			}
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got error %v, encoding/json takes it", raw, err)
		}
		if err != nil {
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: got %d, want %d", raw, len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("%q: element %d is %q, want %q", raw, i, got[i], want[i])
			}
		}
	})
}
