package image

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
)

// hub is go-containerregistry's registry with images in it.
type hub struct {
	http.Handler
	t testing.TB
	// lower and upper are the layers of team/app:1, as they are stored.
	lower, upper []byte
	manifest     digest.Digest
}

// newHub has team/app:1, and team/many:1 for two platforms.
func newHub(t testing.TB) *hub {
	t.Helper()
	h := &hub{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), t: t}
	one, two := tarOf(t, file("etc/a", "a"), file("etc/b", strings.Repeat("b", 5000))), tarOf(t, file("etc/.wh.a", ""))
	h.lower, h.upper = gzipped(t, one), zstded(t, two)
	l := layout{}
	m := l.image(t, [][]byte{h.lower, h.upper}, [][]byte{one, two})
	h.manifest = m["digest"].(digest.Digest)
	h.push("team/app", "1", l, m)
	var manifests []map[string]any
	for _, arch := range []string{"amd64", "arm64"} {
		of := tarOf(t, file(arch, ""))
		m := l.one(t, arch, typed(l.blob(of), ociLayer), of)
		h.push("team/many", arch, l, m)
		m["platform"] = map[string]any{"os": "linux", "architecture": arch}
		manifests = append(manifests, m)
	}
	h.document("team/many", "1", ociIndex, jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": manifests}))
	return h
}

// one adds an image of one layer for an architecture.
func (l layout) one(t testing.TB, arch string, layer map[string]any, unpacked []byte) map[string]any {
	t.Helper()
	config := typed(l.blob(jsonOf(t, map[string]any{"architecture": arch, "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": []digest.Digest{digest.FromBytes(unpacked)}}})), "application/vnd.oci.image.config.v1+json")
	return typed(l.blob(jsonOf(t, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": config, "layers": []any{layer}})), ociManifest)
}

// push uploads the blobs of a layout, and a manifest.
func (h *hub) push(repository, tag string, l layout, manifest map[string]any) {
	h.t.Helper()
	for name, data := range l {
		if hex, is := strings.CutPrefix(name, "blobs/sha256/"); is {
			h.ask(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest=sha256:"+hex, "application/octet-stream", data)
		}
	}
	if manifest != nil {
		d := manifest["digest"].(digest.Digest)
		h.document(repository, tag, ociManifest, l["blobs/sha256/"+d.Encoded()])
	}
}

// document uploads a manifest or an index.
func (h *hub) document(repository, tag, mediaType string, data []byte) {
	h.t.Helper()
	h.ask(http.MethodPut, "/v2/"+repository+"/manifests/"+tag, mediaType, data)
}

func (h *hub) ask(method, path, mediaType string, data []byte) {
	h.t.Helper()
	req := httptest.NewRequest(method, path, bytes.NewReader(data))
	req.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, req); w.Code != http.StatusCreated {
		h.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// middle is what stands between a client and the registry.
type middle func(w http.ResponseWriter, r *http.Request, next http.Handler)

// serve serves the hub on a socket of loopback, and gives its host.
func (h *hub) serve(m middle) string {
	return h.start(m, (*httptest.Server).Start).Listener.Addr().String()
}

func (h *hub) start(m middle, start func(*httptest.Server)) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m != nil {
			m(w, r, h.Handler)
		} else {
			h.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(s)
	h.t.Cleanup(s.Close)
	return s
}

// quick are settings with which a test does not wait long.
func quick() Registries { return Registries{pause: time.Millisecond} }

// pulled reads an image from a registry.
func pulled(t testing.TB, name string, r Registries) (*walked, error) {
	t.Helper()
	r.pause = time.Millisecond
	return open(t, "registry:"+name, Options{Registries: r, Limits: Limits{Document: 1 << 20}})
}

// TestRegistry: an image in a registry is read by tag, by digest and by both, from an index
// too, and a second walk gives it again.
func TestRegistry(t *testing.T) {
	h := newHub(t)
	host := h.serve(nil)
	for _, name := range []string{"/team/app:1", "/team/app@" + h.manifest.String(), "/team/app:gone@" + h.manifest.String()} {
		got, err := pulled(t, host+name, quick())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		i := got.image
		if got.paths() != "/etc/ /etc/b" || i.Manifest != h.manifest || i.Layers[0].Digest != digest.FromBytes(h.lower) || i.Layers[1].Size != int64(len(h.upper)) || len(i.Names) != 1 || i.Names[0] != host+name {
			t.Errorf("%s: %s, %+v", name, got.paths(), i)
		}
	}
	for platform, want := range map[string]string{"linux/amd64": "/amd64", "linux/arm64": "/arm64"} {
		got, err := open(t, "registry:"+host+"/team/many:1", Options{Platform: platform})
		if err != nil || got.paths() != want {
			t.Errorf("%s: %v", platform, err)
		}
	}
	_, err := open(t, "registry:"+host+"/team/many:1", Options{Platform: "linux/s390x"})
	refused(t, err, `it has no image for "linux/s390x", but for ["linux/amd64" "linux/arm64"]`)
	// Who names no platform gets this machine's, where there is one.
	got, err := pulled(t, host+"/team/many:1", quick())
	switch runtime.GOARCH {
	case "amd64", "arm64":
		if err != nil || got.paths() != "/"+runtime.GOARCH {
			t.Errorf("got %v", err)
		}
	default:
		refused(t, err, "a platform must be named")
	}
	r, _ := Parse("registry:" + host + "/team/app:1")
	i, err := Open(context.Background(), r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for range 2 {
		entries := 0
		if _, err := i.Walk(context.Background(), func(*Entry) error { entries++; return nil }); err != nil || entries != 3 {
			t.Errorf("%d entries, %v", entries, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := i.Walk(ctx, func(*Entry) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_, err = Open(context.Background(), Reference{Registry, host + "/team/*"}, Options{})
	refused(t, err, "it stands for several images")
}

// TestRegistryKnown: of layers that are known nothing is fetched.
func TestRegistryKnown(t *testing.T) {
	h := newHub(t)
	var blobs atomic.Int32
	host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			blobs.Add(1)
		}
		next.ServeHTTP(w, r)
	})
	first, err := pulled(t, host+"/team/app:1", quick())
	if err != nil || blobs.Load() != 3 {
		t.Fatalf("%d blobs, %v", blobs.Load(), err)
	}
	recorded := kept(t, first)
	i, err := Open(context.Background(), Reference{Registry, host + "/team/app:1"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	n := 0
	v, err := i.WalkUnknown(context.Background(), func(Layer) ([]Entry, bool) { n++; return recorded[n-1], true }, nil)
	if err != nil || blobs.Load() != 4 {
		t.Fatalf("%d blobs, %v", blobs.Load(), err)
	}
	if diff := sameView(first.view, v); diff != "" {
		t.Error(diff)
	}
}

// isLower is true for a request for the lower layer.
func (h *hub) isLower(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/blobs/"+digest.FromBytes(h.lower).String())
}

// cut sends the first bytes of an answer that promises more, and ends the connection.
func cut(w http.ResponseWriter, data []byte, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	w.Write(data[:n])
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// TestRegistryBreaks: a download that breaks off goes on where it was, or from the beginning
// where the registry knows no ranges, and not for ever.
func TestRegistryBreaks(t *testing.T) {
	h := newHub(t)
	for _, test := range []struct {
		name string
		do   func(n int, w http.ResponseWriter, r *http.Request)
		want string
	}{
		{"once, with ranges", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, h.lower, 40)
			}
			if r.Header.Get("Range") != "bytes=40-" {
				t.Errorf("the range is %q", r.Header.Get("Range"))
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(h.lower))
		}, ""},
		{"once, without ranges", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, h.lower, 40)
			}
			w.Write(h.lower)
		}, ""},
		{"several times", func(n int, w http.ResponseWriter, r *http.Request) {
			if n < maxBreaks {
				cut(w, h.lower, 10*n)
			}
			w.Write(h.lower)
		}, ""},
		{"over and over", func(n int, w http.ResponseWriter, r *http.Request) { cut(w, h.lower, 40) }, "the download broke off 5 times, the last after 40 of "},
		{"a server that is busy, then not", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				w.Header().Set("Retry-After", "0")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			w.Write(h.lower)
		}, ""},
		{"a server that is always busy", func(n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"come back"}]}`)
		}, "says 429 Too Many Requests: TOOMANYREQUESTS: come back"},
		{"a server that is busy for a day", func(n int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "86400")
			w.WriteHeader(http.StatusServiceUnavailable)
			if n > 1 {
				t.Error("it was asked again")
			}
		}, "says 503 Service Unavailable"},
		{"another range", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, h.lower, 40)
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(h.lower)-1, len(h.lower)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(h.lower)
		}, `the registry gives the range "bytes 0-`},
		{"other bytes behind the break", func(n int, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				cut(w, h.lower, 40)
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, len(h.lower))))
		}, "layer 0"},
		{"a shorter one", func(n int, w http.ResponseWriter, r *http.Request) { w.Write(h.lower[:40]) }, "the registry has 40 bytes of it, and the manifest says"},
		{"a longer one", func(n int, w http.ResponseWriter, r *http.Request) {
			w.Write(append(h.lower[:len(h.lower):len(h.lower)], 0))
		}, "and the manifest says"},
		{"a longer one that does not say so", func(n int, w http.ResponseWriter, r *http.Request) {
			w.Write(h.lower)
			http.NewResponseController(w).Flush()
			w.Write(h.lower)
		}, "the registry sends more than"},
		{"a shorter one that does not say so", func(n int, w http.ResponseWriter, r *http.Request) {
			w.Write(h.lower[:40])
			http.NewResponseController(w).Flush()
		}, "the download broke off 5 times"},
		{"other bytes", func(n int, w http.ResponseWriter, r *http.Request) {
			other := bytes.Clone(h.lower)
			other[4] ^= 1 // in the time that gzip's head has
			w.Write(other)
		}, "is not what its digest says"},
		{"none", func(n int, w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "says 404 Not Found"},
		{"none, said at length", func(n int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"errors":[{"code":"BLOB_UNKNOWN","message":%q}]}`, strings.Repeat("a", 20_000))
		}, "BLOB_UNKNOWN: aaa"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var n atomic.Int32
			host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if h.isLower(r) {
					test.do(int(n.Add(1)), w, r)
				} else {
					next.ServeHTTP(w, r)
				}
			})
			got, err := pulled(t, host+"/team/app:1", quick())
			if test.want != "" {
				refused(t, err, test.want)
				if err != nil && len(err.Error()) > 800 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
				return
			}
			if err != nil || got.paths() != "/etc/ /etc/b" || n.Load() < 2 {
				t.Errorf("asked %d times: %v", n.Load(), err)
			}
		})
	}
}

// TestRegistryDocuments: what a registry gives for a manifest is held to its digest, its
// type, its size and the limits.
func TestRegistryDocuments(t *testing.T) {
	h := newHub(t)
	plain, err := pulled(t, h.serve(nil)+"/team/app:1", quick())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, image, at string
		do              func(w http.ResponseWriter, r *http.Request)
		want            string
	}{
		{"another manifest", "@" + h.manifest.String(), "/manifests/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ociManifest)
			io.WriteString(w, `{"schemaVersion":2}`)
		}, `"the manifest" is not what its digest says`},
		{"another configuration", ":1", "/blobs/" + plain.image.ID.String(), func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&turned{ResponseWriter: w}, r)
		}, "is not what its digest says"},
		{"an old manifest", ":1", "/manifests/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")
			io.WriteString(w, `{"schemaVersion":1}`)
		}, `what has that name is no image: its media type is "application/vnd.docker.distribution.manifest.v1+prettyjws"`},
		{"a page", ":1", "/manifests/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `<html>sign in</html>`) }, "the manifest"},
		{"two types", ":1", "/manifests/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", ociManifest)
			io.WriteString(w, `{"schemaVersion":2,"mediaType":"`+ociIndex+`"}`)
		}, "the manifest says that it is"},
		{"a document without end", ":1", "/manifests/", func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, "the answer has more than 1048576 bytes"},
		{"a greeting without end", ":1", "/v2/", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, "limit"},
	} {
		host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if strings.Contains(r.URL.Path, test.at) {
				test.do(w, r)
			} else {
				next.ServeHTTP(w, r)
			}
		})
		t.Run(test.name, func(t *testing.T) {
			_, err := pulled(t, host+"/team/app"+test.image, quick())
			refused(t, err, test.want)
		})
	}
}

// turned is an answer with a bit turned.
type turned struct{ http.ResponseWriter }

func (t *turned) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	p[len(p)/2] ^= 1
	return t.ResponseWriter.Write(p)
}

// TestRegistryForeign: the URLs that a manifest has for a layer are not asked; the registry
// itself is.
func TestRegistryForeign(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer elsewhere.Close()
	h := newHub(t)
	of := tarOf(t, file("a", ""))
	l := layout{}
	layer := typed(l.blob(of), "application/vnd.docker.image.rootfs.foreign.diff.tar")
	layer["urls"] = []string{elsewhere.URL + "/layer"}
	m := l.one(t, "amd64", layer, of)
	h.push("team/foreign", "1", l, m)
	var gone atomic.Bool
	host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if gone.Load() && strings.HasSuffix(r.URL.Path, digest.FromBytes(of).String()) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
	if got, err := pulled(t, host+"/team/foreign:1", quick()); err != nil || got.paths() != "/a" {
		t.Errorf("got %v", err)
	}
	gone.Store(true)
	_, err := pulled(t, host+"/team/foreign:1", quick())
	refused(t, err, "says 404 Not Found")
	if asked.Load() != 0 {
		t.Error("the foreign URL was asked")
	}
}

// TestRegistrySilence: who says nothing is not waited for, wherever that is; who answers in
// time is.
func TestRegistrySilence(t *testing.T) {
	h := newHub(t)
	for _, at := range []string{"/v2/", "/token", "/manifests/", "/blobs/"} {
		for _, silent := range []bool{true, false} {
			end := make(chan struct{})
			var once sync.Once
			stop := func() { once.Do(func() { close(end) }) }
			tokens := &tokenServer{}
			host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				here := strings.Contains(r.URL.Path, at) && (at != "/v2/" || r.URL.Path == at)
				if here && silent {
					if at == "/blobs/" && h.isLower(r) {
						w.Header().Set("Content-Length", fmt.Sprint(len(h.lower)))
						w.Write(h.lower[:1])
						http.NewResponseController(w).Flush()
					} else if at == "/blobs/" {
						next.ServeHTTP(w, r)
						return
					}
					select {
					case <-end:
					case <-r.Context().Done():
					}
					return
				}
				if at == "/token" {
					tokens.guard(w, r, next)
					return
				}
				next.ServeHTTP(w, r)
			})
			s := quick()
			if silent {
				s.Silence = 300 * time.Millisecond
			}
			_, err := pulled(t, host+"/team/app:1", s)
			stop()
			if silent {
				refused(t, err, "sent nothing for 300ms")
			} else if err != nil {
				t.Errorf("%s: %v", at, err)
			}
		}
	}
}

// tokenServer is a registry's, by Docker's token authentication: who asks for a token as
// user with the password gets one for what he names.
type tokenServer struct {
	user, password string
	mutex          sync.Mutex
	scopes         []string
}

func (s *tokenServer) guard(w http.ResponseWriter, r *http.Request, next http.Handler) {
	const token = "the-token"
	switch {
	case r.URL.Path == "/token":
		user, password, _ := r.BasicAuth()
		if user != s.user || password != s.password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.mutex.Lock()
		s.scopes = append(s.scopes, r.URL.Query()["scope"]...)
		s.mutex.Unlock()
		fmt.Fprintf(w, `{"token":%q}`, token)
	case r.Header.Get("Authorization") != "Bearer "+token:
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/token",service="test"`, scheme, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	default:
		next.ServeHTTP(w, r)
	}
}

// basic guards a registry with a user and a password.
func basic(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if user, password, _ := r.BasicAuth(); user != "mei" || password != "pass:word" {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	next.ServeHTTP(w, r)
}

// loggedIn is a folder of docker's configuration with credentials for a host.
func loggedIn(t testing.TB, host, user, password string) string {
	t.Helper()
	at := t.TempDir()
	put(t, at+"/config.json", jsonOf(t, map[string]any{"auths": map[string]any{host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}}, "HttpHeaders": map[string]string{"a": "b"}}), 0o600)
	return at
}

// TestRegistryCredentials: docker's own find their way to the host that they are for.
func TestRegistryCredentials(t *testing.T) {
	h := newHub(t)
	guarded := h.serve(basic)
	tokens := &tokenServer{user: "mei", password: "pass:word"}
	byToken := h.serve(tokens.guard)
	bin := t.TempDir()
	put(t, bin+"/docker-credential-good", []byte("#!/bin/sh\nread host\necho \"$1 $host\" >> "+bin+"/asked\necho '{\"ServerURL\":\"x\",\"Username\":\"mei\",\"Secret\":\"pass:word\"}'\n"), 0o755)
	put(t, bin+"/docker-credential-none", []byte("#!/bin/sh\necho credentials not found in native keychain; exit 1\n"), 0o755)
	put(t, bin+"/docker-credential-sick", []byte("#!/bin/sh\necho the keychain is locked; exit 1\n"), 0o755)
	put(t, bin+"/docker-credential-mute", []byte("#!/bin/sh\nexec sleep 60\n"), 0o755)
	for _, host := range []string{guarded, byToken} {
		config := func(text string) string {
			at := t.TempDir()
			put(t, at+"/config.json", []byte(strings.ReplaceAll(text, "HOST", host)), 0o600)
			return at
		}
		for _, test := range []struct{ name, config, want string }{
			{"auths", loggedIn(t, host, "mei", "pass:word"), ""},
			{"a URL", loggedIn(t, "https://"+host+"/v1/", "mei", "pass:word"), ""},
			{"in the clear", config(`{"auths":{"HOST":{"username":"mei","password":"pass:word"}}}`), ""},
			{"a helper for the host", config(`{"credHelpers":{"HOST":"good"},"credsStore":"sick"}`), ""},
			{"a helper for all", config(`{"credsStore":"good"}`), ""},
			{"nobody", "", "401 Unauthorized"},
			{"no file", t.TempDir(), "401 Unauthorized"},
			{"wrong", loggedIn(t, host, "mei", "word"), "401 Unauthorized"},
			{"another host's", loggedIn(t, "other.example", "mei", "pass:word"), "401 Unauthorized"},
			{"a helper that has none", config(`{"credsStore":"none"}`), "401 Unauthorized"},
			{"a helper that fails", config(`{"credsStore":"sick"}`), `"the keychain is locked"`},
			{"a helper that is not there", config(`{"credsStore":"absent"}`), "docker-credential-absent, which is not in the PATH"},
			{"a helper that is elsewhere", config(`{"credsStore":"../../bin/sh"}`), `names the credential helper "../../bin/sh", which cannot be one`},
			{"a helper that says nothing", config(`{"credsStore":"mute"}`), "it said nothing for 2s"},
			{"a broken file", config(`{"auths":`), "config.json"},
			{"no base64", config(`{"auths":{"HOST":{"auth":"mei"}}}`), "is not user:password in base64"},
		} {
			r := quick()
			r.Config, r.Environ = test.config, []string{"PATH=.:bin:" + bin + ":/usr/bin:/bin"}
			if test.name == "a helper that says nothing" {
				r.Silence = 2 * time.Second
			}
			got, err := pulled(t, host+"/team/app:1", r)
			if test.want != "" {
				refused(t, err, test.want)
			} else if err != nil || got.paths() != "/etc/ /etc/b" {
				t.Errorf("%s: %v", test.name, err)
			}
			if err != nil && strings.Contains(err.Error(), "pass:word") {
				t.Errorf("%s: the password is in %q", test.name, err)
			}
		}
	}
	asked, _ := os.ReadFile(bin + "/asked")
	if want := strings.Repeat("get "+guarded+"\n", 2) + strings.Repeat("get "+byToken+"\n", 2); string(asked) != want {
		t.Errorf("the helper was asked %q, want %q", asked, want)
	}
	if len(tokens.scopes) == 0 || tokens.scopes[0] != "repository:team/app:pull" {
		t.Errorf("the scopes are %q", tokens.scopes)
	}
}

// TestRegistryHub: names without a host are of Docker Hub, whose credentials docker has by
// a name of their own, and which mirrors stand in for.
func TestRegistryHub(t *testing.T) {
	h := newHub(t)
	l := layout{}
	of := tarOf(t, file("alpine", ""))
	h.push("library/alpine", "latest", l, l.image(t, [][]byte{of}, [][]byte{of}))
	var asked []string
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+" "+r.Header.Get("Authorization"))
		if r.URL.Path != "/v2/" {
			http.NotFound(w, r)
		}
	}))
	defer empty.Close()
	guarded := h.serve(basic)
	r := quick()
	r.Config = loggedIn(t, guarded, "mei", "pass:word")
	r.Mirrors = map[string][]string{"docker.io": {empty.URL, "http://" + guarded + "/"}}
	got, err := pulled(t, "alpine", r)
	if err != nil || got.paths() != "/alpine" || got.image.Names[0] != "docker.io/library/alpine:latest" {
		t.Errorf("got %v", err)
	}
	if want := []string{"/v2/ ", "/v2/library/alpine/manifests/latest "}; fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("the first mirror was asked %q", asked)
	}
	// A mirror is no mirror of another registry's, and what each says is told.
	r.Mirrors = map[string][]string{guarded: {empty.URL}, "docker.io": {"https://127.0.0.1:1"}}
	_, err = pulled(t, guarded+"/none:1", r)
	refused(t, err, "NAME_UNKNOWN")
	refused(t, err, "the mirror "+strings.TrimPrefix(empty.URL, "http://")+": ")
	for _, bad := range []string{"mirror.example", "ftp://mirror.example", "https://mirror.example/path", "https://a:b@mirror.example", "https://mirror.example?a", ":", "https://"} {
		r.Mirrors = map[string][]string{guarded: {bad}}
		_, err := pulled(t, guarded+"/team/app:1", r)
		refused(t, err, "is no mirror: write https://HOST")
	}
	c := credentials{Registries{Config: loggedIn(t, dockerHubKey, "mei", "pass:word")}}
	auth, err := c.of(context.Background(), "docker.io")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := auth.Authorization(); err != nil || a.Username != "mei" || a.Password != "pass:word" {
		t.Errorf("got %+v, %v", a, err)
	}
}
