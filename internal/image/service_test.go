package image

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestService: a server that asks for a token as registries do gets it for the scope, and its
// documents are bounded; where it sends on to another host, that gets no credentials.
func TestService(t *testing.T) {
	var elsewhere []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
		fmt.Fprint(w, "from there")
	}))
	defer other.Close()
	var scope string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			scope = r.URL.Query().Get("scope")
			fmt.Fprint(w, `{"token":"secret"}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="trust"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/v2/four":
			fmt.Fprint(w, "four")
		case "/v2/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	svc, err := OpenService(t.Context(), strings.TrimPrefix(s.URL, "http://"), "repository:a/b:pull", 100, quick())
	if err != nil {
		t.Fatal(err)
	}
	defer svc.Close()
	if data, err := svc.Get(t.Context(), "/v2/four", 4); string(data) != "four" || err != nil || scope != "repository:a/b:pull" {
		t.Errorf("got %q, %v for the scope %q", data, err, scope)
	}
	if _, err := svc.Get(t.Context(), "/v2/four", 3); !errors.Is(err, ErrTooLong) {
		t.Errorf("a byte more than it may: %v", err)
	}
	if _, err := svc.Get(t.Context(), "/v2/none", 4); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is not there: %v", err)
	}
	if data, err := svc.Get(t.Context(), "/v2/away", 100); string(data) != "from there" || err != nil || len(elsewhere) != 1 || elsewhere[0] != "" {
		t.Errorf("elsewhere: %q, %v, which was told %q", data, err, elsewhere)
	}
}
