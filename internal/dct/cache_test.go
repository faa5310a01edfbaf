package dct

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image"
)

// TestCache: of what has not changed only the timestamp is asked for again; what has is; and
// offline nothing is asked, and what was seen counts until it expires.
func TestCache(t *testing.T) {
	m := newMade()
	ci := newPair("ecdsa", "")
	m.delegate(roleTargets, roleReleases, ci, "")
	m.write()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		role, _, _ := strings.Cut(file, ".")
		asked = append(asked, role)
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	o := first(t, server.URL)
	o.Cache = image.Cache{Dir: t.TempDir(), Now: time.Now()}
	is := func(o Options, want ...string) {
		t.Helper()
		asked = nil
		signs(t, o, "1", roleTargets, []byte("one"))
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("asked for: %s", diff)
		}
	}
	offline := o
	offline.Offline = true
	_, err := Resolve(t.Context(), offline, name, "1", time.Now())
	refused(t, err, StepServer, "the server is not asked")
	is(o, "", "root", "timestamp", "snapshot", "targets", "releases")
	is(o, "", "timestamp")
	is(offline)
	m.newer("").write()
	is(o, "", "timestamp", "snapshot")
	is(offline)
	without := o
	without.Cache = image.Cache{}
	is(without, "", "timestamp", "snapshot", "targets", "releases")
	_, err = Resolve(t.Context(), offline, name, "1", time.Now().AddDate(2, 0, 0))
	refused(t, err, StepExpired, "it expired on")
	lost := offline
	lost.Cache.Dir = t.TempDir()
	_, err = Resolve(t.Context(), lost, name, "1", time.Now())
	refused(t, err, StepServer, "the cache has not got it")
}
