package sign

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

var (
	ours, theirs, base = digest.FromString("ours"), digest.FromString("theirs"), digest.FromString("base")
	alice              = &trail.Actor{UID: number(1001), User: "alice", PID: 7, Exe: "/usr/bin/docker"}
)

func number(n uint32) *uint32 { return &n }

// yard is a trail as a gate writes it.
type yard struct {
	t   *testing.T
	dir string
	log *trail.Log
	now time.Time
}

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{t: t, dir: filepath.Join(t.TempDir(), "gate"), now: noon.Add(-time.Hour)}
	y.open()
	t.Cleanup(y.close)
	return y
}

func (y *yard) open() {
	y.t.Helper()
	var err error
	if y.log, err = trail.Open(trail.Config{Dir: y.dir, Name: "harbour-1", Now: func() time.Time { return y.now }}); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) close() {
	y.t.Helper()
	if err := y.log.Close(); err != nil {
		y.t.Error(err)
	}
}

func (y *yard) add(e trail.Event) int64 {
	y.t.Helper()
	seq, err := y.log.Append(y.t.Context(), e)
	if err != nil {
		y.t.Fatal(err)
	}
	return seq
}

// ask is the event that an image is asked for, and made that it was made, ten seconds later.
func (y *yard) ask(who *trail.Actor) int64 {
	y.t.Helper()
	return y.add(trail.Event{Type: trail.Load, Actor: who, Subject: trail.Subject{Kind: "image", Name: "shop/api:1"}, Detail: map[string]any{"gate": "asked", "method": "POST", "path": "/v1.41/build"}})
}

func (y *yard) made(who *trail.Actor, how string, id digest.Digest, change ...func(detail, made map[string]any)) {
	y.t.Helper()
	asked := y.ask(who)
	y.now = y.now.Add(10 * time.Second)
	made := map[string]any{"how": how, "images": []string{string(id)}, "of_host": true, "nocache": true}
	detail := map[string]any{"gate": "done", "asked": asked, "status": 200, "made": made}
	for _, f := range change {
		f(detail, made)
	}
	y.add(trail.Event{Type: trail.Load, Actor: who, Subject: trail.Subject{Kind: "image", Name: "shop/api:1"}, Detail: detail})
}

func (y *yard) find() *Made {
	y.t.Helper()
	m, err := FindMade(y.dir, string(ours))
	if err != nil {
		y.t.Fatal(err)
	}
	return m
}

// local is the image that was made in the yard: two steps on a base that is trusted.
func (y *yard) local() *Local {
	at := y.now.Add(-5 * time.Second)
	return &Local{Asked: "shop/api:1", Name: "docker.io/shop/api", ID: ours, Platform: "linux/amd64", Layers: []Layer{
		{ID: string(ours), At: at}, {ID: string(digest.FromString("a step")), At: at},
		{ID: string(base), At: noon.AddDate(-1, 0, 0), Verified: []string{"cosign key debian"}}, {At: noon.AddDate(-1, 0, 0)}}}
}

func builtBy(t *testing.T, built string) *Policy {
	t.Helper()
	p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nimages:\n  - name: docker.io/shop/*\n    built: "+built+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func decided(t *testing.T, p *Policy, l *Local, made *Made) *Result {
	t.Helper()
	v := Verifier{Policy: p, Now: noon}
	r, err := v.VerifyLocal(l, made)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBuilt: what those who may have built, or made otherwise where that is let, of a base that
// is trusted, is trusted, and for each of these conditions there is an image that is not.
func TestBuilt(t *testing.T) {
	bob := &trail.Actor{UID: number(1002), User: "bob"}
	for name, c := range map[string]struct {
		policy string
		make   func(y *yard)
		local  func(l *Local)
		by     string // who vouches, "" where
		step   string // it is refused
		says   string
		until  time.Time // when that ends
	}{
		"a user":         {by: "built here by alice", says: "alice built it on 2026-11-28 11:00:10, event 1 of the gate's trail"},
		"by number":      {policy: "{by: [1001]}", by: "built here by alice"},
		"another user":   {policy: "{by: [bob]}", step: StepBuilt, says: "and only bob may"},
		"another number": {policy: "{by: [1002]}", step: StepBuilt, says: "and only 1002 may"},
		"one of two": {make: func(y *yard) {
			y.made(alice, "build", ours)
			y.made(bob, "load", ours)
			y.now = y.now.Add(-10 * time.Second)
		}, by: "built here by alice"},
		"neither of two":                     {make: func(y *yard) { y.made(bob, "build", ours); y.made(bob, "build", ours) }, step: StepBuilt, says: "event 3"},
		"without a name":                     {policy: "{by: [1003]}", make: func(y *yard) { y.made(&trail.Actor{UID: number(1003)}, "build", ours) }, by: "built here by uid 1003"},
		"of another image":                   {make: func(y *yard) { y.made(alice, "build", theirs) }, step: StepBuilt, says: "has no event"},
		"no event":                           {make: func(*yard) {}, step: StepBuilt, says: "has no event"},
		"a failed build":                     {make: func(y *yard) { y.made(alice, "build", ours, func(d, _ map[string]any) { d["gate"] = "failed" }) }, step: StepBuilt, says: "has no event"},
		"asked by none":                      {make: func(y *yard) { y.made(alice, "build", ours, func(d, _ map[string]any) { d["asked"] = 1 }) }, step: StepTrail, says: "is none that something was asked by"},
		"in a container":                     {make: func(y *yard) { y.made(alice, "build", ours, func(_, m map[string]any) { m["of_host"] = false }) }, step: StepBuilt, says: "no user of this host"},
		"by a certificate":                   {policy: "{by: [alice, 0]}", make: func(y *yard) { y.made(&trail.Actor{CertSubject: "CN=alice"}, "build", ours) }, step: StepBuilt, says: "CN=alice built it"},
		"out of the cache":                   {make: func(y *yard) { y.made(alice, "build", ours, func(_, m map[string]any) { m["nocache"] = false }) }, step: StepBuilt, says: "--no-cache"},
		"young enough":                       {policy: "{by: [alice], within: 1h}", until: noon.Add(10 * time.Second), by: "built here by alice"},
		"older, and the base ends before it": {policy: "{by: [alice], within: 2h}", local: func(l *Local) { l.Layers[2].Until = noon.Add(time.Minute) }, until: noon.Add(time.Minute), by: "built here by alice"},
		"older, and the base ends after it":  {policy: "{by: [alice], within: 2h}", local: func(l *Local) { l.Layers[2].Until = noon.Add(2 * time.Hour) }, until: noon.Add(time.Hour + 10*time.Second), by: "built here by alice"},
		"too old":                            {policy: "{by: [alice], within: 1h}", make: func(y *yard) { y.now = y.now.Add(-time.Hour); y.made(alice, "build", ours) }, step: StepBuilt, says: "1h is the most"},
		"committed":                          {make: func(y *yard) { y.made(alice, "commit", ours) }, step: StepBuilt, says: "no loaded: true"},
		"committed, let":                     {policy: "{by: [alice], loaded: true}", make: func(y *yard) { y.made(alice, "commit", ours) }, by: "committed here by alice"},
		"loaded":                             {policy: "{by: [alice], base: any}", make: func(y *yard) { y.made(alice, "load", ours) }, step: StepBuilt, says: "no loaded: true"},
		"loaded, let":                        {policy: "{by: [alice], base: any, loaded: true}", make: func(y *yard) { y.made(alice, "load", ours) }, by: "loaded here by alice"},
		"loaded, by others":                  {policy: "{by: [alice], base: any, loaded: true}", make: func(y *yard) { y.made(bob, "load", ours) }, step: StepBuilt, says: "and only alice may"},
		"loaded, of a base":                  {policy: "{by: [alice], loaded: true}", make: func(y *yard) { y.made(alice, "load", ours) }, step: StepBase, says: "archive"},
		"made otherwise":                     {make: func(y *yard) { y.made(alice, "conjure", ours) }, step: StepBuilt, says: "conjure"},

		"a base that is trusted": {says: "which is trusted: cosign key debian", by: "built here by alice"},
		"a base that is not":     {local: func(l *Local) { l.Layers[2].Verified = nil }, step: StepBase, says: "is not verified"},
		"a base that was":        {local: func(l *Local) { l.Layers[2].Until = noon.Add(-time.Second) }, step: StepBase, says: "not any more"},
		"a base that still is":   {local: func(l *Local) { l.Layers[2].Until = noon.Add(time.Minute) }, until: noon.Add(time.Minute), by: "built here by alice"},
		"any base":               {policy: "{by: [alice], base: any}", local: func(l *Local) { l.Layers[2].Verified = nil }, by: "built here by alice"},
		// As of an image from a registry that was built from the base that is trusted.
		"something in between": {local: func(l *Local) { l.Layers[1].At = noon.AddDate(0, -1, 0) }, step: StepBase, says: "is not verified"},
		"in between, unknown":  {local: func(l *Local) { l.Layers[1] = Layer{At: noon.AddDate(0, -1, 0)} }, step: StepBase, says: "is not verified"},
		"a step of the future": {local: func(l *Local) { l.Layers[1].At = noon }, step: StepBase, says: "is not verified"},
		"no steps of its own":  {local: func(l *Local) { l.Layers = l.Layers[2:]; l.Layers[0].ID = string(ours) }, step: StepBase, says: "is not verified"},
		"itself verified":      {local: func(l *Local) { l.Layers[0].Verified, l.Layers[2].Verified = []string{"x"}, nil }, step: StepBase, says: "is not verified"},
		"from scratch":         {local: func(l *Local) { l.Layers = l.Layers[:2] }, step: StepBase, says: "base: any"},
		"from scratch, let":    {policy: "{by: [alice], base: any}", local: func(l *Local) { l.Layers = nil }, by: "built here by alice"},

		"the platform":     {policy: "{by: [alice]}\n    platforms: [linux/amd64]", by: "built here by alice"},
		"another platform": {policy: "{by: [alice]}\n    platforms: [linux/arm64]", step: StepPlatform, says: "linux/arm64 may run"},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			if c.make == nil {
				c.make = func(y *yard) { y.made(alice, "build", ours) }
			}
			if c.policy == "" {
				c.policy = "{by: [alice]}"
			}
			c.make(y)
			l := y.local()
			if c.local != nil {
				c.local(l)
			}
			r := decided(t, builtBy(t, c.policy), l, y.find())
			var steps strings.Builder
			for _, s := range r.Steps {
				steps.WriteString(s.Name + ": " + s.Text + "\n")
			}
			if got := strings.Join(r.By, ","); got != c.by || r.Refused != c.step || c.step == "" && !r.Until.Equal(c.until) || !strings.Contains(steps.String(), c.says) {
				t.Errorf("%q vouches until %s, %q refuses: %s", got, r.Until, r.Refused, steps.String())
			}
			if trusts := r.Trusts(); len(trusts) != 1 || trusts[ours] != (c.by != "") {
				t.Errorf("trusted are %v", trusts)
			}
		})
	}
}

// TestBuiltElsewhere: who may build here says nothing of what a registry has, and an entry
// without builders nothing of what is here.
func TestBuiltElsewhere(t *testing.T) {
	d := builtBy(t, "{by: [alice]}").Decide("docker.io/shop/api", "linux/amd64", nil, noon)
	if d.Refused != StepSigners || !strings.Contains(d.Steps[len(d.Steps)-1].Text, "must be built here") {
		t.Errorf("%+v", d)
	}
	if d = builtBy(t, "{by: [alice]}\n    unsigned: true\n    why: for a start").Decide("docker.io/shop/api", "linux/amd64", nil, noon); !d.Trusted() {
		t.Errorf("%+v", d)
	}
	y := newYard(t)
	y.made(alice, "build", ours)
	l := y.local()
	l.Name = "docker.io/other/api"
	if r := decided(t, builtBy(t, "{by: [alice]}"), l, y.find()); r != nil {
		t.Errorf("%+v", r)
	}
}

// TestBuiltPolicy: what an entry can't say is told with its place.
func TestBuiltPolicy(t *testing.T) {
	for built, wrong := range map[string]string{
		"{by: [alice, 1001, www-data, svc$], base: trusted, within: 30d, loaded: true}": "",
		"{by: [alice], base: any}":          "",
		"{base: any}":                       "images[0].built.by names nobody",
		"{by: []}":                          "images[0].built.by names nobody",
		"{by: [\"*\"]}":                     "images[0].built.by[0] is no user",
		"{by: [alice, Bob Jones]}":          "images[0].built.by[1] is no user",
		"{by: [alice, alice]}":              "images[0].built.by[1] is there twice",
		"{by: [alice], base: debian}":       "images[0].built.base is neither",
		"{by: [alice], within: long}":       "images[0].built.within is no age",
		"{by: [alice], cached: true}":       "cached",
		"{by: [alice]}\n    max_age: 3d":    "images[0].max_age needs a signature",
		"{by: [alice], loaded: sometimes}":  "loaded",
		"{by: [alice]}\n    unsigned: true": "images[0].why is missing",
	} {
		_, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nimages:\n  - name: docker.io/shop/*\n    built: "+built+"\n"))
		if wrong == "" && err != nil {
			t.Errorf("%s: %v", built, err)
		}
		if bad := new(strict.Error); wrong != "" && (!errors.As(err, &bad) || bad.Line == 0 || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v", built, err)
		}
	}
}

// TestForgedTrail: in a trail of which a byte was changed no event is believed, wherever it is
// and though its checksums fit; nor one that another key has signed. As it was written it is.
func TestForgedTrail(t *testing.T) {
	y := newYard(t)
	for range 300 { // more than one tile
		y.ask(&trail.Actor{UID: number(1002), User: "bob"})
	}
	y.made(alice, "build", ours)
	y.close()
	policy := builtBy(t, "{by: [alice]}")
	refused := func() (string, string) {
		t.Helper()
		r := decided(t, policy, y.local(), y.find())
		return r.Refused, r.Steps[len(r.Steps)-1].Text
	}
	if at, why := refused(); at != "" {
		t.Errorf("as it was written: %s %s", at, why)
	}
	files, err := filepath.Glob(filepath.Join(y.dir, "events", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	was, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	write := func(file string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at, i := range map[string]int{"the making": bytes.LastIndex(was, []byte("alice")), "the asking": bytes.Index(was, []byte("alice")), "an older event": bytes.Index(was, []byte("bob"))} {
		changed := bytes.Clone(was)
		changed[i] ^= 1
		write(files[0], changed)
		if step, why := refused(); step != StepTrail || !strings.Contains(why, "trail") {
			t.Errorf("%s is changed: %q %s", at, step, why)
		}
	}
	write(files[0], was)
	// Another trail, with another key, that says what one would like.
	forged := newYard(t)
	forged.made(alice, "build", ours)
	forged.close()
	entries, err := os.ReadFile(filepath.Join(forged.dir, "events", filepath.Base(files[0])))
	if err != nil {
		t.Fatal(err)
	}
	write(files[0], entries)
	if step, why := refused(); step != StepTrail {
		t.Errorf("signed by another key: %q %s", step, why)
	}
	write(files[0], was)
	if at, why := refused(); at != "" {
		t.Errorf("as it was written, again: %s %s", at, why)
	}
	y.open()
	forged.open()
}

// TestBuiltBefore: what was built before the image that a tag was trusted for is refused by the
// tag, and not by its digest, where it is gone back to, or by another tag.
func TestBuiltBefore(t *testing.T) {
	y := newYard(t)
	y.made(alice, "build", ours)
	older := y.local()
	older.Tag = "1"
	y.now = y.now.Add(time.Minute)
	y.made(alice, "build", theirs)
	newer := y.local()
	newer.ID, newer.Tag, newer.Layers[0].ID = theirs, "1", string(theirs)
	tags := verdict.Folder(t.TempDir())
	is := func(what string, l Local, rollback, refused string) {
		t.Helper()
		made, err := FindMade(y.dir, string(l.ID))
		if err != nil {
			t.Fatal(err)
		}
		v := Verifier{Policy: builtBy(t, "{by: [alice]}"), Tags: tags, Rollback: rollback, Now: noon}
		r, err := v.VerifyLocal(&l, made)
		if err != nil || r.Refused != refused || r.Trusted() != (r.By != nil) || refused != "" && !strings.Contains(r.Steps[len(r.Steps)-1].Text, "it was built at 2026-11-28T11:00:10Z") {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	is("the first", *older, "", "")
	is("a newer one", *newer, "", "")
	is("the first again", *older, "", StepReplay)
	named, other := *older, *older
	named.Tag, other.Tag = "", "2"
	is("by its digest", named, "", "")
	is("by another tag", other, "", "")
	is("gone back to", *older, "the new one loses orders", "")
	is("gone back to, once more", *older, "", "")
}

// TestFindMade: where there is no trail there is no event, what is under way is told, and a folder
// that can't be read is an error.
func TestFindMade(t *testing.T) {
	dir := t.TempDir()
	if m, err := FindMade(filepath.Join(dir, "none"), string(ours)); err != nil || len(m.Makings) != 0 || m.Waits {
		t.Errorf("%+v %v", m, err)
	}
	y := newYard(t)
	y.ask(alice)
	if m := y.find(); !m.Waits {
		t.Errorf("under way: %+v", m)
	}
	y.add(trail.Event{Type: trail.Load, Actor: alice, Subject: trail.Subject{Kind: "image"}, Detail: map[string]any{"gate": "failed", "asked": 0}})
	if m := y.find(); m.Waits {
		t.Errorf("over: %+v", m)
	}
	for range maxMakings + 2 {
		y.made(alice, "build", ours)
	}
	if m := y.find(); len(m.Makings) != maxMakings || m.Makings[0].Seq != 1+2*(maxMakings+2) || !m.Makings[0].Asked.Equal(m.Makings[0].Done.Add(-10*time.Second)) {
		t.Errorf("%d, the first of them %+v", len(m.Makings), m.Makings[0])
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := FindMade(file, string(ours)); err == nil {
		t.Error("a file is a trail")
	}
}
