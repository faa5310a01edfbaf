package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// signers are who vouches for images, by a policy and a registry that may be off, and what was
// asked of them.
type signers struct {
	mu     sync.Mutex
	policy string
	// by is who signed an image, by the policy and its id; off are those of a registry that is.
	by    map[string]map[string]string
	off   map[string]bool
	gone  map[string]bool
	noted map[string]bool // it is written down that it is trusted
	asked []string
	said  []string
	// stands says that what is refused stays written down as trusted.
	stands bool
}

func (s *signers) do(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *signers) config(c *Config) {
	c.Policy = func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.policy
	}
	c.Verify = func(_ context.Context, id string, _ Vouched, idle bool) (Vouched, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		was := s.noted[id]
		if idle && !was {
			return Vouched{}, ErrNothing
		}
		s.asked = append(s.asked, id)
		switch {
		case s.gone[id]:
			return Vouched{}, ErrGone
		case s.off[id]:
			return Vouched{}, errors.New("the registry is off")
		}
		by, refused := []string{}, "signers"
		if who := s.by[s.policy][id]; who != "" {
			by, refused = []string{who}, ""
		}
		s.noted[id] = refused == ""
		e := trail.Event{Type: trail.Vouch, Subject: trail.Subject{Kind: "image", Digest: "sha256:" + idOf(77), Name: "shop/" + id}, Detail: map[string]any{"trusted": refused == "", "by": by, "refused": refused}}
		return Vouched{Event: e, Changed: was != s.noted[id] && !s.stands, Stands: s.noted[id] || s.stands}, nil
	}
	log := c.Log
	c.Log = func(format string, args ...any) {
		log(format, args...)
		s.do(func() { s.said = append(s.said, fmt.Sprintf(format, args...)) })
	}
}

func newSigners(policy string, by map[string]map[string]string) *signers {
	return &signers{policy: policy, by: by, off: map[string]bool{}, gone: map[string]bool{}, noted: map[string]bool{}}
}

// askedFor is how often that was an image.
func (s *signers) askedFor(id string) (n int) {
	s.do(func() {
		for _, one := range s.asked {
			if one == id {
				n++
			}
		}
	})
	return n
}

// vouches are those that were recorded, in few words.
func vouches(m *memory) []string {
	var out []*trail.Event
	for _, e := range m.all() {
		if e.Type == trail.Vouch {
			out = append(out, e)
		}
	}
	return lines(out, "trusted", "by", "withdrawn", "containers", "containers_count")
}

func (s *signers) await(t *testing.T, m *memory, what string, want ...string) {
	t.Helper()
	var got []string
	waitFor(t, what, func() bool { got = vouches(m); return len(got) >= len(want) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s:\n%s", what, diff)
	}
}

// TestVerifies: the image of a container, and what is pulled or tagged, is verified without
// anybody's asking; when the policy changes so is all again, what is not trusted any more is
// withdrawn with the containers that run from it, once; what is as before is no event.
func TestVerifies(t *testing.T) {
	f, m := startFake(t), &memory{}
	web := "sha256:" + idOf(9)
	s := newSigners("1", map[string]map[string]string{"1": {web: "release", "pulled": "release"}, "2": {"pulled": "release", "tagged": "release"}, "3": {"pulled": "release", "tagged": "release"}})
	f.images["idle"] = []string{"idle:1"}
	w := watch(t, f.client, m, s.config)
	w.follows(t)
	f.do(func() {
		f.start(f.create(1, nil))
		f.start(f.create(2, nil))
		f.create(3, nil)
	})
	all := []string{"verify shop/" + web + " trusted=true by=[release]"}
	s.await(t, m, "the image of containers", all...)
	f.do(func() {
		f.images["pulled"] = []string{"pulled:1"}
		f.emit("image", "pull", "pulled:1", map[string]string{"name": "pulled"})
	})
	all = append(all, "verify shop/pulled trusted=true by=[release]")
	s.await(t, m, "what was pulled", all...)
	f.do(func() {
		f.images["tagged"] = []string{"tagged:1"}
		f.emit("image", "tag", "tagged", map[string]string{"name": "tagged:1"})
	})
	all = append(all, "verify shop/tagged trusted=false by=[]")
	s.await(t, m, "what was tagged", all...)
	f.do(func() {
		f.images["loaded"] = []string{"loaded:1"}
		f.emit("image", "load", "loaded", map[string]string{"name": "loaded:1"})
	})
	m.wait(t, trail.Load, "loaded:1")
	// Somebody else has written down that it is trusted, which no policy bears out.
	s.do(func() { s.noted["loaded"] = true })

	asked := s.askedFor("pulled")
	s.do(func() { s.policy = "2" })
	all = append(all, "verify shop/"+web+" trusted=false by=[] withdrawn=true containers=[c1 c2] containers_count=2", "verify shop/tagged trusted=true by=[release]", "verify shop/loaded trusted=false by=[] withdrawn=true")
	s.await(t, m, "another policy", all...)
	waitFor(t, "the one that is as before", func() bool { return s.askedFor("pulled") > asked })
	s.do(func() {
		if said := strings.Join(s.said, "\n"); !strings.Contains(said, "is not trusted any more, and runs as c1, c2") {
			t.Errorf("the log was told %s", said)
		}
	})
	w.end()

	// After a restart the trail knows what was found.
	if diff := cmp.Diff([]string{"loaded", "pulled", web, "tagged"}, known(m.known(t))); diff != "" {
		t.Error(diff)
	}
	asked = s.askedFor(web)
	w = watch(t, f.client, m, s.config)
	w.follows(t)
	waitFor(t, "the image of containers again", func() bool { return s.askedFor(web) > asked })
	s.do(func() { s.policy = "3" })
	waitFor(t, "it once more", func() bool { return s.askedFor(web) > asked+1 })
	f.mark(m, "end")
	s.await(t, m, "nothing new", all...)
	if n := s.askedFor("idle"); n != 0 {
		t.Errorf("an image that nobody uses was verified %d times", n)
	}

	// Somebody else has written down that one is trusted: whatever the trail knows, that is
	// withdrawn.
	s.do(func() { s.noted["idle"], s.noted[web], s.policy = true, true, "4" })
	var got []string
	waitFor(t, "what another has verified", func() bool { got = vouches(m)[len(all):]; return len(got) >= 4 })
	for _, id := range []string{"idle", "pulled", "tagged", web} {
		if want := "verify shop/" + id + " trusted=false by=[] withdrawn=true"; !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is without %q", got, want)
		}
	}
	if len(got) != 4 {
		t.Errorf("%q", got)
	}
}

// known are the ids of the images of which it is known who vouches for them.
func known(k *Known) []string {
	ids := map[string]bool{}
	for _, v := range k.Vouches {
		ids[v.ID] = true
		if !strings.HasPrefix(v.Name, "shop/") || v.Manifest != "sha256:"+idOf(77) {
			ids[fmt.Sprintf("%+v", v)] = true
		}
	}
	return sortedKeys(ids)
}

// TestVerifyStands: what is refused by one look, and stays trusted by another, is no image that
// lost its verdict.
func TestVerifyStands(t *testing.T) {
	f, m := startFake(t), &memory{}
	web := "sha256:" + idOf(9)
	s := newSigners("1", map[string]map[string]string{"1": {web: "release"}, "2": {}})
	s.stands = true
	watch(t, f.client, m, s.config).follows(t)
	f.do(func() { f.start(f.create(1, nil)) })
	s.await(t, m, "trusted", "verify shop/"+web+" trusted=true by=[release]")
	s.do(func() { s.policy = "2" })
	s.await(t, m, "and refused", "verify shop/"+web+" trusted=true by=[release]", "verify shop/"+web+" trusted=false by=[] containers=[c1] containers_count=1")
	s.do(func() {
		if said := strings.Join(s.said, "\n"); strings.Contains(said, "not trusted any more") {
			t.Errorf("the log was told %s", said)
		}
	})
}

// TestVerifyOff: a registry that is off says nothing of its images, is told of once, holds up
// no other, and is asked again; of one that is gone nothing is said.
func TestVerifyOff(t *testing.T) {
	f, m := startFake(t), &memory{}
	s := newSigners("1", map[string]map[string]string{"1": {"a": "release", "b": "release", "c": "release"}, "2": {"b": "release"}})
	s.off["a"], s.gone["c"] = true, true
	watch(t, f.client, m, s.config).follows(t)
	pull := func(id string) {
		f.do(func() {
			f.images[id] = []string{id + ":1"}
			f.emit("image", "pull", id+":1", map[string]string{"name": id})
		})
	}
	pull("a")
	waitFor(t, "some attempts", func() bool { return s.askedFor("a") > 2 })
	pull("c")
	pull("b")
	s.await(t, m, "another registry's", "verify shop/b trusted=true by=[release]")
	s.do(func() { s.off["a"] = false })
	s.await(t, m, "when it is there again", "verify shop/b trusted=true by=[release]", "verify shop/a trusted=true by=[release]")
	// Off again, and the policy would not trust it any more: nothing is known.
	s.do(func() { s.off["a"], s.policy = true, "2" })
	asked := s.askedFor("a")
	waitFor(t, "some more attempts", func() bool { return s.askedFor("a") > asked+2 })
	f.mark(m, "end")
	if got := vouches(m); len(got) != 2 {
		t.Errorf("a registry that is off says %q", got)
	}
	s.do(func() { s.off["a"] = false })
	s.await(t, m, "when it can be told", "verify shop/b trusted=true by=[release]", "verify shop/a trusted=true by=[release]", "verify shop/a trusted=false by=[] withdrawn=true")
	if n := s.askedFor("c"); n != 1 {
		t.Errorf("an image that is gone was looked for %d times", n)
	}
	s.do(func() {
		n := 0
		for _, line := range s.said {
			if strings.Contains(line, "the registry is off") {
				n++
			}
		}
		if n != 2 {
			t.Errorf("of two times that a registry was off the log was told %d times: %q", n, s.said)
		}
	})
}

// TestNoPolicy: where there is no policy nothing is verified, and once there is one all is.
func TestNoPolicy(t *testing.T) {
	f, m := startFake(t), &memory{}
	s := newSigners("", map[string]map[string]string{"1": {"sha256:" + idOf(9): "release"}})
	watch(t, f.client, m, s.config).follows(t)
	f.do(func() { f.start(f.create(1, nil)) })
	f.mark(m, "before")
	if got := vouches(m); len(got) != 0 || len(s.asked) != 0 {
		t.Errorf("without a policy: %q, asked %q", got, s.asked)
	}
	s.do(func() { s.policy = "1" })
	s.await(t, m, "with one", "verify shop/sha256:"+idOf(9)+" trusted=true by=[release]")
}

// refuses has the gate refuse, or not, a container of an image for what is not known of it.
func (g *gateTrail) refuses(phase, image string, lacks ...string) {
	g.t.Helper()
	objections := []any{map[string]any{"what": "nobody is said to own it"}}
	for _, one := range lacks {
		objections = append(objections, map[string]any{"what": "not known", "lacks": one})
	}
	e := trail.Event{Type: "refuse", Subject: trail.Subject{Kind: "container", Image: image}, Detail: map[string]any{"gate": phase, "objections": objections}}
	if _, err := g.log.Append(g.t.Context(), e); err != nil {
		g.t.Fatal(err)
	}
}

// TestLacking: what the gate refused for want of a verdict is told, each image once, no more
// than so many, and nothing else.
func TestLacking(t *testing.T) {
	g, now := newGateTrail(t), time.Now()
	a := &Asked{Dir: g.dir, Now: func() time.Time { return now }}
	check := func(what string, want ...Lacking) {
		t.Helper()
		if diff := cmp.Diff(want, a.Lacking()); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
	check("nothing")
	g.refuses("refused", "web:1", "verified")
	g.refuses("refused", "web:2", "scanned")
	g.refuses("refused", "web:1", "scanned", "another")
	g.refuses("refused", "web:3")
	g.refuses("refused", "web:3", "another")
	g.refuses("refused", "", "verified")
	g.refuses("would refuse", "web:4", "verified")
	g.add(trail.Deploy, "refused", 0, 1, trail.Subject{Kind: "container", Image: "web:5"})
	check("two images", Lacking{"web:1", true, true}, Lacking{"web:2", false, true})
	check("they were told")
	g.refuses("refused", "web:1", "verified")
	check("and again", Lacking{"web:1", true, false})
	for n := range maxLacking + 10 {
		g.refuses("refused", fmt.Sprint("web:", n), "verified")
	}
	if n := len(a.Lacking()); n != maxLacking {
		t.Errorf("%d at a time", n)
	}
	// Of a container that is not to start again the image is named by its id.
	subject := trail.Subject{Kind: "container", Image: "web:1", Digest: "sha256:" + idOf(9)}
	detail := map[string]any{"gate": "refused", "objections": []any{map[string]any{"lacks": "verified"}}}
	if _, err := g.log.Append(t.Context(), trail.Event{Type: "refuse", Subject: subject, Detail: detail}); err != nil {
		t.Fatal(err)
	}
	check("by its id", Lacking{"sha256:" + idOf(9), true, false})
	g.refuses("refused", "web:1", "verified")
	now = now.Add(time.Hour)
	check("long ago")
}

// TestRefusedThenLookedAt: an image that the gate refuses for want of a verdict is verified and
// scanned, and again when it refuses it once more; what the engine has not got is not.
func TestRefusedThenLookedAt(t *testing.T) {
	f, m, g := startFake(t), &memory{}, newGateTrail(t)
	s := newSigners("1", map[string]map[string]string{"1": {}, "2": {"web": "release"}})
	flawed := &flaws{data: "1"}
	asked := &Asked{Dir: g.dir, Now: time.Now}
	w := watch(t, f.client, m, func(c *Config) {
		s.config(c)
		flawed.config(c)
		c.Who, c.Lacking = asked.Name, asked.Lacking
	})
	w.follows(t)
	f.do(func() { f.images["web"], f.images["other"] = []string{"web:1"}, []string{"other:1"} })
	g.refuses("refused", "web:1", "verified", "scanned")
	g.refuses("refused", "none:1", "verified", "scanned")
	s.await(t, m, "one that nobody signed", "verify shop/web trusted=false by=[]")
	waitFor(t, "a scan", func() bool { return len(scans(m)) == 1 })
	s.do(func() { maps.Copy(s.by["1"], s.by["2"]) }) // somebody has signed it
	g.refuses("refused", "web:1", "verified")
	s.await(t, m, "once it is signed", "verify shop/web trusted=false by=[]", "verify shop/web trusted=true by=[release]")
	if n := len(scans(m)); n != 1 {
		t.Errorf("it was scanned %d times", n)
	}
	g.refuses("refused", "web:1", "scanned")
	waitFor(t, "another scan", func() bool { return len(scans(m)) == 2 })
	if n := s.askedFor("other") + s.askedFor("none"); n != 0 {
		t.Error("others were verified")
	}
}
