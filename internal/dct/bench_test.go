package dct

import (
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRequests: a verification asks once for what it needs, and for a root only where it knows
// none or a newer one is there.
func TestRequests(t *testing.T) {
	m := newMade()
	m.delegate(roleTargets, roleReleases, newPair("ecdsa", ""), "")
	m.write()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what, _, _ := strings.Cut(path.Base(r.URL.Path), ".")
		asked = append(asked, what)
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	o := first(t, s.URL)
	count := func(want ...string) {
		t.Helper()
		asked = nil
		signs(t, o, "1", roleTargets, []byte("one"))
		if got := slices.DeleteFunc(asked, func(a string) bool { return a == "v2" }); !slices.Equal(got, want) {
			t.Errorf("asked for %q, want %q", got, want)
		}
	}
	count("root", "timestamp", "snapshot", "targets", "releases")
	count("timestamp", "snapshot", "targets", "releases")
	m.rotate()
	count("timestamp", "snapshot", "root", "timestamp", "snapshot", "targets", "releases")
	count("timestamp", "snapshot", "targets", "releases")
}

// BenchmarkResolve verifies a tag of a repository that was seen, from a server on loopback.
func BenchmarkResolve(b *testing.B) {
	m := newMade().write()
	s := httptest.NewServer(m)
	defer s.Close()
	o := Options{Trust: Trust{Server: s.URL, First: true}, State: b.TempDir()}
	for b.Loop() {
		if _, err := Resolve(b.Context(), o, name, "1", time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}
