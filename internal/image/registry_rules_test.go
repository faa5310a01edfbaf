package image

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestRegistryRedirects: an answer may send on to another host, which gets no credentials,
// and not to where it must not.
func TestRegistryRedirects(t *testing.T) {
	h := newHub(t)
	var asked []string
	var mutex sync.Mutex
	store := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mutex.Lock()
		asked = append(asked, r.Header.Get("Authorization")+r.Header.Get("Cookie"))
		mutex.Unlock()
		next.ServeHTTP(w, r)
	})
	for _, test := range []struct{ name, to, want string }{
		{"to a store", "http://" + store + "/v2/team/app/blobs/" + digest.FromBytes(h.lower).String() + "?signature=secret", ""},
		{"to itself, for ever", "SELF?again", "more than 5 redirects"},
		{"to a host in plain HTTP", "http://store.example/layer", "store.example would be asked in plain HTTP"},
		{"to a file", "file:///etc/passwd", `a redirect to "file", which is not followed`},
		{"to a store that has nothing", "http://" + store + "/v2/none?signature=secret", "says 404"},
	} {
		for name, guard := range map[string]middle{"basic": basic, "token": (&tokenServer{user: "mei", password: "pass:word"}).guard} {
			asked = nil
			host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				guard(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if h.isLower(r) {
						http.Redirect(w, r, strings.Replace(test.to, "SELF", r.URL.Path, 1), http.StatusTemporaryRedirect)
					} else {
						next.ServeHTTP(w, r)
					}
				}))
			})
			s := quick()
			s.Config = loggedIn(t, host, "mei", "pass:word")
			got, err := pulled(t, host+"/team/app:1", s)
			if test.want != "" {
				refused(t, err, test.want)
				if err != nil && strings.Contains(err.Error(), "secret") {
					t.Errorf("%s: the signature is in %q", test.name, err)
				}
				continue
			}
			if err != nil || got.paths() != "/etc/ /etc/b" || len(asked) != 1 || asked[0] != "" {
				t.Errorf("%s, %s: the store was asked with %q: %v", test.name, name, asked, err)
			}
		}
	}
}

// TestRegistryRules: which requests are made at all.
func TestRegistryRules(t *testing.T) {
	from := func(text string) *http.Response {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Response{Request: &http.Request{URL: u}}
	}
	w := newWeb(Options{Registries: Registries{Insecure: []string{"plain.example", "other.example:5000", "10.0.0.9"}}}, server{host: "mirror.example", plain: true})
	for _, test := range []struct{ from, to, want string }{
		{"", "https://reg.example/v2/", ""},
		{"", "https://10.0.0.1/v2/", ""},
		{"", "http://127.0.0.1:5000/v2/", ""},
		{"", "http://[::1]:5000/v2/", ""},
		{"", "http://localhost/v2/", ""},
		{"", "http://plain.example:80/v2/", ""},
		{"", "http://other.example:5000/v2/", ""},
		{"", "http://mirror.example/v2/", ""},
		{"", "http://other.example/v2/", "plain HTTP"},
		{"", "http://reg.example/v2/", "plain HTTP"},
		{"", "http://10.0.0.1:5000/v2/", "plain HTTP"},
		{"", "http://a.localhost/v2/", "plain HTTP"},
		{"", "http://127.0.0.1.example/v2/", "plain HTTP"},
		{"https://reg.example/", "https://store.example/", ""},
		{"https://plain.example/", "http://plain.example/", "from https to http"},
		{"https://reg.example/", "http://127.0.0.1/", "from https to http"},
		{"https://reg.example/", "https://169.254.169.254/latest", "private address"},
		{"https://reg.example/", "https://[fd00:ec2::254]/latest", "private address"},
		{"https://reg.example/", "https://[::ffff:10.0.0.1]/", "private address"},
		{"https://reg.example/", "https://localhost/", "private address"},
		{"https://10.0.0.9/", "https://10.0.0.1/", ""},
		{"http://plain.example/", "https://store.example/", ""},
	} {
		u, err := url.Parse(test.to)
		if err != nil {
			t.Fatal(err)
		}
		req := &http.Request{URL: u}
		w.home = u.Host
		if test.from != "" {
			req.Response = from(test.from)
		}
		if err := w.may(req); test.want != "" {
			refused(t, err, test.want)
		} else if err != nil {
			t.Errorf("%s, from %q: %v", test.to, test.from, err)
		}
	}
}

// TestRegistryRealm: a registry names the server that gives tokens, and with them whoever gets
// its credentials.
func TestRegistryRealm(t *testing.T) {
	for _, test := range []struct {
		home, to string
		secret   bool
		want     string
	}{
		{"reg.example", "https://reg.example/token", true, ""},
		{"reg.example:5000", "https://reg.example:5001/token", true, ""},
		{"docker.io", "https://auth.docker.io/token", true, ""},
		{"docker.io", "https://index.docker.io/v2/", true, ""},
		{"registry.gitlab.com", "https://gitlab.com/jwt/auth", true, ""},
		{"reg.shop.co.uk", "https://auth.shop.co.uk/token", true, ""},
		{"reg.shop.co.uk", "https://auth.other.co.uk/token", true, "of another domain"},
		{"mei.github.io", "https://eve.github.io/token", true, "of another domain"},
		{"reg.example", "https://reg.example.evil.net/token", true, "of another domain"},
		{"docker.io", "https://auth.docker.io.evil.net/token", true, "of another domain"},
		{"docker.io", "https://auth.docker.io.evil.net/token", false, ""},
		{"reg.example", "https://named.net/token", true, ""},
		{"reg.example", "https://named.net:8443/token", true, ""},
		{"reg.example", "https://10.9.9.9/token", true, ""},
		{"reg", "https://auth/token", true, "of another domain"},
		{"203.0.113.7", "https://203.0.113.8/token", true, "of another domain"},
		{"127.0.0.1:5000", "http://localhost:5001/token", true, ""},
		{"reg.example", "http://169.254.169.254/token", false, "private address"},
		{"reg.example", "https://192.168.1.1/token", true, "private address"},
		{"10.0.0.1", "https://10.0.0.2/token", false, ""},
		{"10.0.0.1", "https://10.0.0.2/token", true, "of another domain"},
	} {
		w := newWeb(Options{Registries: Registries{Realms: []string{"named.net", "10.9.9.9"}}}, server{host: test.home})
		w.secret = test.secret
		u, err := url.Parse(test.to)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.mayBegin(u); test.want != "" {
			refused(t, err, test.want)
		} else if err != nil {
			t.Errorf("%s for %s: %v", test.to, test.home, err)
		}
	}
	// The same with servers: the other domain is behind a proxy.
	h := newHub(t)
	var heard []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard = append(heard, r.URL.Host+" "+r.Header.Get("Authorization")+string(body))
		if r.URL.Host == "auth.example" && r.Method == http.MethodPost {
			http.Redirect(w, r, "http://thief.example/token", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprint(w, `{"token":"the-token","access_token":"the-token"}`)
	}))
	defer other.Close()
	proxy, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := h.serve(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("Authorization") != "Bearer the-token" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://auth.example/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	s := quick()
	s.Insecure = []string{"auth.example", "thief.example"}
	s.Proxy = func(r *http.Request) (*url.URL, error) {
		if strings.HasSuffix(r.URL.Host, ".example") {
			return proxy, nil
		}
		return nil, nil
	}
	ask := func(want, told string) {
		t.Helper()
		heard = nil
		if _, err := pulled(t, host+"/team/app:1", s); want != "" {
			refused(t, err, want)
		} else if err != nil {
			t.Error(err)
		}
		if got := strings.Join(heard, ", "); got != told {
			t.Errorf("the other domain heard %q, want %q", got, told)
		}
	}
	ask("", "auth.example ")
	s.Config = loggedIn(t, host, "mei", "pass:word")
	ask("wants its credentials sent to the token server auth.example", "")
	s.Realms = []string{"auth.example"}
	ask("", "auth.example Basic bWVpOnBhc3M6d29yZA==")
	// A token is not passed on by who may have it.
	at := t.TempDir()
	put(t, at+"/config.json", jsonOf(t, map[string]any{"auths": map[string]any{host: map[string]string{"identitytoken": "secret"}}}), 0o600)
	s.Config = at
	ask("a redirect from auth.example to thief.example of what is sent there", "auth.example client_id=go-containerregistry&grant_type=refresh_token&refresh_token=secret&scope=repository%3Ateam%2Fapp%3Apull&service=test")
}
