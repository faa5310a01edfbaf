package dct

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/image"
)

// from gives documents that were collected, and fails the test where another host is asked.
func from(t *testing.T, host string, documents map[string][]byte) func(context.Context, string, string, int64) ([]byte, error) {
	return func(_ context.Context, at, path string, most int64) ([]byte, error) {
		data, is := documents[path]
		switch {
		case at != host:
			t.Errorf("%s is asked", at)
		case !is:
			return nil, fmt.Errorf("%w: %s", image.ErrNotFound, path)
		case int64(len(data)) > most:
			return nil, image.ErrTooLong
		}
		return data, nil
	}
}

// TestCollect: what was collected tells without the server what the server tells, to whom
// nothing is known and to whom an older root is; and what was collected before something newer
// was seen is refused.
func TestCollect(t *testing.T) {
	m := newMade()
	ci := newPair("ecdsa", "")
	m.delegate(roleTargets, "targets/ci", ci, "")["targets"] = object{"2": metaOf([]byte("two"))}
	server := m.write().serve(t)
	host := must(url.Parse(server)).Host
	known := first(t, server)
	signs(t, known, "1", roleTargets, []byte("one"))
	m.rotate()
	m.rotate()
	collect := func() map[string][]byte {
		t.Helper()
		at, documents, err := Collect(t.Context(), Options{Trust: Trust{Server: server}}, name)
		if err != nil || at != host {
			t.Fatalf("%s, %v", at, err)
		}
		return documents
	}
	older := collect()
	if len(older) != 7 { // three roots, timestamp, snapshot, two lists
		t.Errorf("%d documents", len(older))
	}
	newest := m.files[roleRoot]
	delete(m.files, roleRoot) // who asks the server fails
	for what, o := range map[string]Options{"nothing is known": first(t, server), "an older root is known": known} {
		o.From = from(t, host, older)
		if got := signs(t, o, "1", roleTargets, []byte("one")); got.Documents[0].Version != 3 {
			t.Errorf("%s: %+v", what, got.Documents)
		}
		o.Trust.Role = "targets/ci"
		signs(t, o, "2", "targets/ci", []byte("two"))
	}
	m.files[roleRoot] = newest
	m.rotate()
	known.From = from(t, host, collect())
	signs(t, known, "1", roleTargets, []byte("one"))
	known.From = from(t, host, older)
	_, err := Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepRollback, "its version is 3, and 4 was seen")

	known.From = from(t, host, nil)
	_, err = Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepNoData, "knows nothing of the name")
	if _, documents, err := Collect(t.Context(), Options{Trust: Trust{Server: server}}, "reg.example/team/other"); err != nil || len(documents) != 0 {
		t.Errorf("of a name that nobody signed: %v, %v", documents, err)
	}
	m.files[roleTimestamp] = []byte("{}")
	_, _, err = Collect(t.Context(), Options{Trust: Trust{Server: server}}, name)
	refused(t, err, StepMalformed, "timestamp")
	if _, _, err := Collect(t.Context(), Options{}, "team/app"); err == nil {
		t.Error("a name that is not whole is taken")
	}
}
