package image

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// rows are the references of a list, and the errors beside them.
func rows(list []Listed) (all []string) {
	for _, l := range list {
		text := l.Reference.At
		if l.Err != nil {
			text += " !"
		}
		all = append(all, text)
	}
	return all
}

// TestList: each image of each repository that the reference stands for, in order.
func TestList(t *testing.T) {
	h := newHub(t)
	l := layout{}
	of := tarOf(t, file("a", ""))
	for _, name := range []string{"team/app 2", "team/sub/app 1", "team 0", "teams/app 1", "other 1"} {
		repository, tag, _ := strings.Cut(name, " ")
		h.push(repository, tag, l, l.image(t, [][]byte{of}, [][]byte{of}))
	}
	host := h.serve(nil)
	for at, want := range map[string]string{
		"/team/*":     "team/app:1 team/app:2 team/many:1 team/many:amd64 team/many:arm64 team/sub/app:1",
		"/team/sub/*": "team/sub/app:1",
		"/*":          "other:1 team:0 team/app:1 team/app:2 team/many:1 team/many:amd64 team/many:arm64 team/sub/app:1 teams/app:1",
		"/team/app:*": "team/app:1 team/app:2",
		"/none/*":     "",
		"/team/app:1": "team/app:1",
	} {
		r, err := Parse("registry:" + host + at)
		if err != nil {
			t.Fatal(err)
		}
		list, err := List(context.Background(), r, Options{Registries: quick()})
		if got := strings.ReplaceAll(strings.Join(rows(list), " "), host+"/", ""); err != nil || got != want {
			t.Errorf("%s: got %q, %v", at, got, err)
		}
		for _, one := range list {
			if again, err := Parse(one.Reference.String()); err != nil || again != one.Reference {
				t.Errorf("%s reads back as %v, %v", one.Reference, again, err)
			}
		}
	}
	for at, want := range map[string]string{"/none:*": "404 Not Found", "/*": "more than 3 repositories", "/team/many:*": "more than 2 tags"} {
		_, err := List(context.Background(), Reference{Registry, host + at}, Options{Registries: quick(), Limits: Limits{Repositories: 3, Tags: 2}})
		refused(t, err, want)
	}
}

// TestListPages: pages are read to the last; catalogs that do not end, or name what is no
// name, are refused, and one repository that cannot be read does not hide the others.
func TestListPages(t *testing.T) {
	for _, test := range []struct {
		name, at string
		answers  map[string]string // by path and the query's last; behind a bar the last of the next page
		want     string
		err      string
	}{
		{"pages", "/*", map[string]string{"/v2/_catalog": `{"repositories":["b"]}|b`, "/v2/_catalog b": `{"repositories":["a"]}`, "/v2/a/tags/list": `{"tags":["2","1","1"]}`, "/v2/b/tags/list": `{"name":"b","tags":null}`}, "a:1 a:2", ""},
		{"pages of tags", "/a:*", map[string]string{"/v2/a/tags/list": `{"tags":["1"]}|1`, "/v2/a/tags/list 1": `{"tags":["2"]}`}, "a:1 a:2", ""},
		{"round and round", "/*", map[string]string{"/v2/_catalog": `{"repositories":["b"]}|b`, "/v2/_catalog b": `{"repositories":["b"]}|b`}, "", "over and over"},
		{"no catalog", "/a/*", map[string]string{"/v2/a/tags/list": `{"tags":["1"]}`}, "a:1", ""},
		{"no catalog, of all", "/*", nil, "", "404 Not Found"},
		{"neither", "/a/*", nil, "", "nor such a repository"},
		{"one of two", "/*", map[string]string{"/v2/_catalog": `{"repositories":["a","b"]}`, "/v2/b/tags/list": `{"tags":["1"]}`}, "a:* ! b:1", ""},
		{"none of two", "/*", map[string]string{"/v2/_catalog": `{"repositories":["a","b"]}`}, "", "404 Not Found"},
		{"no name", "/*", map[string]string{"/v2/_catalog": `{"repositories":["../a"]}`}, "", `the catalog has "../a", which is no repository`},
		{"no tag", "/a:*", map[string]string{"/v2/a/tags/list": `{"tags":["1@b"]}`}, "", `the list of tags has "1@b", which is no tag`},
		{"a tag with a path", "/a:*", map[string]string{"/v2/a/tags/list": `{"tags":["1/b:2"]}`}, "", "which is no tag"},
		{"no JSON", "/a:*", map[string]string{"/v2/a/tags/list": `<html>`}, "", "the list of tags"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := strings.TrimSpace(r.URL.Path + " " + r.URL.Query().Get("last"))
			text, next, more := strings.Cut(test.answers[key], "|")
			switch {
			case key == "/v2/":
			case text == "":
				http.NotFound(w, r)
			case more:
				// Another host than the registry's: only the query of it counts.
				w.Header().Set("Link", fmt.Sprintf(`<https://evil.example%s?last=%s&n=1>; rel="next"`, r.URL.Path, next))
				fallthrough
			default:
				fmt.Fprint(w, text)
			}
		}))
		host := strings.TrimPrefix(server.URL, "http://")
		list, err := List(context.Background(), Reference{Registry, host + test.at}, Options{Registries: quick()})
		server.Close()
		if test.err != "" {
			t.Run(test.name, func(t *testing.T) { refused(t, err, test.err) })
		} else if got := strings.ReplaceAll(strings.Join(rows(list), " "), host+"/", ""); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v", test.name, got, err)
		}
	}
}

// TestRegistryTLS: a registry's private authority is trusted where its folder has it, and a
// registry with TLS leads nobody out of it.
func TestRegistryTLS(t *testing.T) {
	h := newHub(t)
	var mutex sync.Mutex
	to := ""
	s := h.start(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mutex.Lock()
		to := to
		mutex.Unlock()
		(&tokenServer{user: "mei", password: "pass:word"}).guard(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h.isLower(r) && to != "" {
				http.Redirect(w, r, to+r.URL.Path, http.StatusFound)
				return
			}
			next.ServeHTTP(w, r)
		}))
	}, (*httptest.Server).StartTLS)
	host := s.Listener.Addr().String()
	certs := t.TempDir()
	put(t, certs+"/"+host+"/ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644)
	r := quick()
	r.Config = loggedIn(t, host, "mei", "pass:word")
	_, err := pulled(t, host+"/team/app:1", r)
	refused(t, err, "certificate signed by unknown authority")
	r.Certs = certs
	if got, err := pulled(t, host+"/team/app:1", r); err != nil || got.paths() != "/etc/ /etc/b" {
		t.Errorf("got %v", err)
	}
	store := h.serve(nil)
	set := func(text string) {
		mutex.Lock()
		to = text
		mutex.Unlock()
	}
	set("http://" + store)
	_, err = pulled(t, host+"/team/app:1", r)
	refused(t, err, "from https to http")
	// A store with TLS by the same authority, whose folder is its own.
	far := h.start(nil, (*httptest.Server).StartTLS)
	set(far.URL)
	_, err = pulled(t, host+"/team/app:1", r)
	refused(t, err, "certificate signed by unknown authority")
	at := certs + "/" + far.Listener.Addr().String()
	put(t, at+"/own.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: far.Certificate().Raw}), 0o644)
	if _, err := pulled(t, host+"/team/app:1", r); err != nil {
		t.Errorf("got %v", err)
	}
	for name, text := range map[string]string{"client.cert": "", "bad.crt": "none"} {
		put(t, at+"/"+name, []byte(text), 0o644)
		_, err = pulled(t, host+"/team/app:1", r)
		refused(t, err, map[string]string{"client.cert": "client.key", "bad.crt": "bad.crt has no certificate"}[name])
		if err := os.Remove(at + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestParseRegistry: names that the engine has every day stay its own.
func TestParseRegistry(t *testing.T) {
	for text, want := range map[string]Reference{
		"registry:2":                                   {Engine, "registry:2"},
		"registry:2.8.3":                               {Engine, "registry:2.8.3"},
		"registry:v3":                                  {Engine, "registry:v3"},
		"registry:latest":                              {Engine, "registry:latest"},
		"registry:5000/team/app:1":                     {Engine, "registry:5000/team/app:1"},
		"registry":                                     {Engine, "registry"},
		"engine:registry:dev":                          {Engine, "registry:dev"},
		"registry:registry:2":                          {Registry, "registry:2"},
		"registry:registry:5000/app":                   {Registry, "registry:5000/app"},
		"registry:alpine":                              {Registry, "alpine"},
		"registry:alpine:3":                            {Registry, "alpine:3"},
		"registry:localhost:5000/a/b:1":                {Registry, "localhost:5000/a/b:1"},
		"registry:reg.example/team/*":                  {Registry, "reg.example/team/*"},
		"registry:reg.example/*":                       {Registry, "reg.example/*"},
		"registry:reg.example:5000/team/app:*":         {Registry, "reg.example:5000/team/app:*"},
		"registry:team/*":                              {Registry, "team/*"},
		"registry:2048/game":                           {Engine, "registry:2048/game"},
		"registry:docker.io/2048/game":                 {Registry, "docker.io/2048/game"},
		"registry:3scale/app":                          {Registry, "3scale/app"},
		"registry:2@sha256:" + fmt.Sprintf("%064d", 1): {Engine, "registry:2@sha256:" + fmt.Sprintf("%064d", 1)},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if again, err := Parse(got.String()); err != nil || again != want {
			t.Errorf("%s: read back it is %v, %v", text, again, err)
		}
	}
	for text, want := range map[string]string{
		"registry:":                  "the image has no name",
		"registry:Alpine":            "is no name of an image",
		"registry:*":                 "is no name of an image",
		"registry:/*":                "is no name of an image",
		"registry:a/*:*":             "is no name of an image",
		"registry:a:1:*":             "is no name of an image",
		"registry:reg.example/a:1/*": "is no name of an image",
		"registry:https://a.example": "is no name of an image",
		"registry:../a":              "is no name of an image",
	} {
		_, err := Parse(text)
		refused(t, err, want)
	}
	for at, want := range map[string]pattern{
		"reg.example/*":      {"reg.example", "", true},
		"reg.example/team/*": {"reg.example", "team", true},
		"team/*":             {"docker.io", "team", true},
		"alpine:*":           {"docker.io", "library/alpine", false},
		"localhost:1/a/b:*":  {"localhost:1", "a/b", false},
	} {
		if got, err := (Reference{Registry, at}).pattern(); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", at, got, err)
		}
	}
	if all := []bool{Reference{Registry, "a/*"}.Several(), Reference{Registry, "a:*"}.Several(), Reference{Registry, "a:1"}.Several(), Reference{Folder, "a/*"}.Several()}; !slices.Equal(all, []bool{true, true, false, false}) {
		t.Errorf("got %v", all)
	}
}

// TestSlowTLS: a registry that is long in showing a certificate that does not hold is not
// asked in plain HTTP meanwhile, as the library would; one that takes no TLS is.
func TestSlowTLS(t *testing.T) {
	h := newHub(t)
	s := h.start(nil, func(s *httptest.Server) {
		s.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			time.Sleep(time.Second) // the library waits for 300 ms
			return nil, nil
		}}
		s.StartTLS()
	})
	_, err := pulled(t, s.Listener.Addr().String()+"/team/app:1", quick())
	refused(t, err, "certificate signed by unknown authority")
	if got, err := pulled(t, h.serve(nil)+"/team/app:1", quick()); err != nil || got.paths() != "/etc/ /etc/b" {
		t.Errorf("in plain HTTP: %v", err)
	}
}
