package serve

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// byHand is a chore whose turns a test takes, by a clock of its own.
type byHand struct {
	*chore[string]
	at   time.Time
	said []string
}

func newByHand(t *testing.T, lasts time.Duration, known map[string]choreState[string]) *byHand {
	h := &byHand{at: fakeStart}
	h.chore = &chore[string]{doing: "counting", do: func(context.Context, string, string, bool) (string, error) { return "", nil }, lasts: func(string) time.Duration { return lasts }}
	h.begin(t.Context(), Config{Now: func() time.Time { return h.at }, Log: func(format string, args ...any) { h.said = append(h.said, fmt.Sprintf(format, args...)) }, pace: ordinary}, known)
	t.Cleanup(h.close)
	return h
}

// turns are the images whose turn it is under some data, each of which ends with an error.
func (h *byHand) turns(data string, err error) []string {
	out := []string{}
	for {
		next, _ := h.next(data)
		if next == nil {
			return out
		}
		name := next.id
		if next.idle {
			name += " idle"
		}
		out = append(out, name)
		h.done(next, data, "found", err)
	}
}

func (h *byHand) are(t *testing.T, what, data string, err error, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), h.turns(data, err)); diff != "" {
		t.Errorf("%s:\n%s", what, diff)
	}
}

// TestChore: it is done once for each image, and again when the data changes, when what was
// found does not hold any longer, or when an image that was only known to be there is wanted.
func TestChore(t *testing.T) {
	h := newByHand(t, time.Hour, map[string]choreState[string]{"known": {data: "1"}})
	h.want("a")
	h.know("b")
	h.want("known")
	h.are(t, "at first, what is wanted first", "1", nil, "a", "b idle")
	h.are(t, "the second time", "1", nil)
	h.know("b")
	h.want("a")
	h.are(t, "asked for once more", "1", nil)
	h.want("b")
	h.are(t, "wanted by now", "1", nil, "b")
	h.at = h.at.Add(59 * time.Minute)
	h.are(t, "while it holds", "1", nil)
	h.at = h.at.Add(time.Minute)
	h.are(t, "an hour later", "1", ErrNothing, "a", "b")
	h.at = h.at.Add(2 * time.Hour)
	h.are(t, "nothing holds for ever", "1", nil)
	h.are(t, "other data", "2", nil, "known", "a", "b")
	h.forget("a")
	h.forget("none")
	h.are(t, "of one that is forgotten nothing is left", "3", ErrGone, "known", "b")
	h.are(t, "nor of those that are gone", "4", nil)

	// One that somebody begins to want while it is looked at for nobody is looked at again.
	h.know("c")
	next, _ := h.next("4")
	h.want("c")
	h.done(next, "4", "", ErrNothing)
	h.are(t, "wanted meanwhile", "4", nil, "c")
	if h.said != nil {
		t.Errorf("the log was told %q", h.said)
	}
}

// TestChoreFails: what failed is tried again after waits that grow, at once when the data
// changes, and holds up nothing else; the log is told once.
func TestChoreFails(t *testing.T) {
	h := newByHand(t, 0, nil)
	off := errors.New("the registry is off")
	h.want("a")
	h.are(t, "the first attempt", "1", off, "a")
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
		h.at = h.at.Add(wait - time.Second)
		h.are(t, "too early", "1", off)
		if _, soon := h.next("1"); soon != time.Second {
			t.Errorf("the next wait is %v", soon)
		}
		h.at = h.at.Add(time.Second)
		h.are(t, "in time", "1", off, "a")
	}
	h.are(t, "other data", "2", off, "a")
	h.at = h.at.Add(longestFailing)
	h.want("b")
	h.are(t, "another comes first", "2", nil, "b", "a")
	if diff := cmp.Diff([]string{"counting the image a: the registry is off"}, h.said); diff != "" {
		t.Error(diff)
	}
	h.again("a")
	h.are(t, "off again", "2", off, "a")
	if len(h.said) != 2 {
		t.Errorf("after it was well the log was told %q", h.said)
	}
	h.at = h.at.Add(time.Minute)
	h.are(t, "what failed for somebody is tried again too", "2", nil, "a")
}

// TestChoreAgain: somebody may have an image looked at anew at once, and whoever does it over
// and over waits longer each time, but never keeps new data from being looked at.
func TestChoreAgain(t *testing.T) {
	h := newByHand(t, 0, nil)
	count := func(every, during time.Duration) (n int) {
		for end := h.at.Add(during); h.at.Before(end); h.at = h.at.Add(every) {
			h.again("a")
			n += len(h.turns("1", nil))
		}
		return n
	}
	if n := count(time.Second, time.Hour); n < 10 || n > 15 {
		t.Errorf("in an hour of asking each second it was done %d times", n)
	}
	h.again("a")
	h.are(t, "other data", "2", nil, "a")
	h.at = h.at.Add(longestRest + time.Second)
	h.are(t, "what was asked for meanwhile", "2", nil) // it was done for the data
	h.again("a")
	h.are(t, "after a rest at once", "2", nil, "a")
	h.again("a")
	h.are(t, "not at once", "2", nil)
	h.at = h.at.Add(2 * time.Second)
	h.are(t, "in two seconds", "2", nil, "a")
}

// TestChoreBounded: of more images than it knows it says so once, those that it knows stay, and
// one that is forgotten leaves room.
func TestChoreBounded(t *testing.T) {
	h := newByHand(t, 0, nil)
	for n := range maxImages + 10 {
		h.want(fmt.Sprint(n))
	}
	if n := len(h.turns("1", nil)); n != maxImages {
		t.Errorf("it was done for %d images", n)
	}
	if len(h.said) != 1 {
		t.Errorf("the log was told %q", h.said)
	}
	h.forget("0")
	h.want("new")
	h.are(t, "in the place of one that is gone", "1", nil, "new")
	if h.want(""); len(h.turns("1", nil)) != 0 {
		t.Error("it was done for no image")
	}
}
