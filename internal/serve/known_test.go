package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

func seq(err error, events ...*trail.Event) iter.Seq2[*trail.Event, error] {
	return func(yield func(*trail.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func at(s int) string { return stamp(fakeStart.Add(time.Duration(s) * time.Second)) }

func of(id, name string) trail.Subject {
	return trail.Subject{Kind: "container", ID: id, Name: name, Image: "web:1"}
}

func TestReplay(t *testing.T) {
	image := func(typ, id, name string) *trail.Event {
		return &trail.Event{Type: typ, Subject: imageSubject(id, name)}
	}
	k, err := Replay(seq(nil,
		&trail.Event{Type: trail.Engine, Subject: trail.Subject{Kind: "engine", ID: "ENGINE"}},
		&trail.Event{Type: trail.Start, Subject: of("0", "never deployed"), Detail: detail{"at": at(1)}},
		&trail.Event{Type: trail.Deploy, Subject: of("1", "a"), Detail: detail{"at": at(2)}},
		&trail.Event{Type: trail.Start, Subject: of("1", "a"), Detail: detail{"at": at(3)}},
		&trail.Event{Type: trail.Healthy, Subject: of("1", "a"), Detail: detail{"at": at(4)}},
		&trail.Event{Type: trail.Judge, Subject: of("1", "a"), Detail: detail{"failing_rules": []any{"x", "y"}}},
		&trail.Event{Type: "a word of a newer version", Subject: of("1", "a")},
		&trail.Event{Type: trail.Rename, Subject: of("1", "b"), Detail: detail{"at": at(5)}},
		&trail.Event{Type: trail.Deploy, Subject: of("2", "c"), Detail: detail{"at": at(6)}},
		&trail.Event{Type: trail.Remove, Subject: of("2", "c"), Detail: detail{"at": at(7)}},
		&trail.Event{Type: trail.Deploy, Subject: of("3", "d")},
		&trail.Event{Type: trail.Start, Subject: of("3", "d"), Detail: detail{"at": at(8)}},
		&trail.Event{Type: trail.Pause, Subject: of("3", "d"), Detail: detail{"at": at(9)}},
		&trail.Event{Type: trail.Deploy, Subject: of("4", "e")},
		&trail.Event{Type: trail.Start, Subject: of("4", "e"), Detail: detail{"at": at(8)}},
		&trail.Event{Type: trail.Die, Subject: of("4", "e"), Detail: detail{"at": at(10)}},
		image(trail.Load, "i1", "web:1"), image(trail.Tag, "i1", "web:2"), image(trail.Pull, "i2", "web:1"), image(trail.Pull, "i3", "web@sha256:aa"), image(trail.Load, "i4", ""), image(trail.Delete, "i4", ""),
		image(trail.Delete, "i1", "nothing"),
		&trail.Event{Type: trail.Volume, Subject: trail.Subject{Kind: "volume", Name: "v"}, Detail: detail{"action": "create"}},
		&trail.Event{Type: trail.Volume, Subject: trail.Subject{Kind: "volume", Name: "w"}, Detail: detail{"action": "create"}},
		&trail.Event{Type: trail.Volume, Subject: trail.Subject{Kind: "volume", Name: "w"}, Detail: detail{"action": "destroy"}},
		&trail.Event{Type: trail.Network, Subject: trail.Subject{Kind: "network", ID: "n", Name: "quay"}, Detail: detail{"action": "create"}},
		&trail.Event{Type: trail.Network, Subject: trail.Subject{Kind: "network", ID: "n", Name: "quay"}, Detail: detail{"action": "connect"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	second := func(s int) time.Time { return fakeStart.Add(time.Duration(s) * time.Second) }
	want := &Known{EngineID: "ENGINE", Last: second(10),
		Containers: []Container{
			{ID: "1", Name: "b", Image: "web:1", State: Running, Health: "healthy", StartedAt: second(3), Judged: true, Failing: []string{"x", "y"}},
			{ID: "3", Name: "d", Image: "web:1", State: Paused, StartedAt: second(8)},
			{ID: "4", Name: "e", Image: "web:1", State: Exited, StartedAt: second(8)},
		},
		Images:   []Image{{ID: "i1", Tags: []string{"web:2"}}, {ID: "i2", Tags: []string{"web:1"}}, {ID: "i3"}},
		Volumes:  []string{"v"},
		Networks: []Network{{ID: "n", Name: "quay"}},
		Freed:    []Freed{{Name: "a", ID: "1", At: second(5)}, {Name: "c", ID: "2", At: second(7)}},
		Gone:     []string{"2"},
	}
	if diff := cmp.Diff(want, k); diff != "" {
		t.Error(diff)
	}
	// What was made of it makes the same again.
	again := &Known{EngineID: k.EngineID, Last: k.Last}
	pictureOf(k).known(again)
	if diff := cmp.Diff(k, again); diff != "" {
		t.Error(diff)
	}
}

func TestReplayOfATrailThatCannotBeRead(t *testing.T) {
	if _, err := Replay(seq(errTest)); !errors.Is(err, errTest) {
		t.Errorf("got %v", err)
	}
	if k, err := Replay(seq(nil)); err != nil || len(k.Containers) != 0 {
		t.Errorf("an empty one: %+v, %v", k, err)
	}
}

// TestPredecessor: a name that was given up lately, or that another still has in the
// picture, tells which container was replaced.
func TestPredecessor(t *testing.T) {
	p := newPicture()
	p.containers["1"] = &container{id: "1", name: "a"}
	p.free("b", "2", fakeStart)
	for _, tc := range []struct {
		name  string
		after time.Duration
		want  string
	}{{"a", time.Hour, "1"}, {"b", time.Minute, "2"}, {"b", 11 * time.Minute, ""}, {"c", 0, ""}, {"", 0, ""}} {
		if got := p.predecessor(tc.name, "9", fakeStart.Add(tc.after)); got != tc.want {
			t.Errorf("%q after %v: %q, want %q", tc.name, tc.after, got, tc.want)
		}
	}
	for i := range 2 * maxFreed {
		p.free(fmt.Sprint("n", i), "3", fakeStart.Add(time.Duration(i)*time.Millisecond))
	}
	if len(p.freed) > maxFreed || p.predecessor(fmt.Sprint("n", 2*maxFreed-1), "9", fakeStart) != "3" {
		t.Errorf("%d names are kept", len(p.freed))
	}
}

// FuzzReadEvent: an event that is read is the one that encoding/json reads, and its mark
// is that of its bytes.
func FuzzReadEvent(f *testing.F) {
	f.Add([]byte(`{"Type":"container","Action":"exec_start: sh -c a: b","Actor":{"ID":"x","Attributes":{"name":"a"}},"timeNano":5}`))
	f.Add([]byte(`{"Type":"container","type":"image"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := readEvent(raw)
		if err != nil {
			return
		}
		var keys map[string]any // encoding/json takes keys of another case for fields
		if err := json.Unmarshal(raw, &keys); err != nil {
			t.Fatalf("%q is read, encoding/json has %v", raw, err)
		}
		kind, _ := keys["Type"].(string)
		action, _ := keys["Action"].(string)
		whole := e.action
		if strings.Contains(action, ": ") {
			whole += ": " + e.about
		}
		again, _ := readEvent(raw)
		if whole != action || e.mark != again.mark || e.kind != kind {
			t.Errorf("%q is %+v", raw, e)
		}
	})
}

func TestSeen(t *testing.T) {
	var s seen
	for i := range uint64(3 * seenMarks) {
		s.add(i)
		s.add(i)
	}
	if s.has(0) || !s.has(3*seenMarks-1) || !s.has(2*seenMarks) || len(s.marks) != seenMarks {
		t.Errorf("%d are known", len(s.marks))
	}
}

func TestProbe(t *testing.T) {
	for _, tc := range []struct {
		test, shell []string
		want        string
	}{
		{[]string{"CMD-SHELL", "test -e /x"}, nil, "/bin/sh -c test -e /x"},
		{[]string{"CMD-SHELL", "x"}, []string{"/bin/ash", "-ec"}, "/bin/ash -ec x"},
		{[]string{"CMD", "true"}, nil, "true "},
		{[]string{"CMD", "a", "b", "c"}, nil, "a b c"},
		{[]string{"NONE"}, nil, ""}, {[]string{"CMD"}, nil, ""}, {nil, nil, ""}, {[]string{"WHAT", "x"}, nil, ""},
	} {
		l := &look{}
		l.Config.Healthcheck = &struct{ Test []string }{tc.test}
		l.Config.Shell = tc.shell
		if got := l.probe(); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.test, got, tc.want)
		}
	}
	if (&look{}).probe() != "" {
		t.Error("a container without a health check has a probe")
	}
}
