package sign

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Built says who may build images of a name on this host, which no registry has. That they did
// is in the trail of the gate.
type Built struct {
	// By are users of this host, by name or number, as the gate saw them.
	By []string `yaml:"by"`
	// Base is trusted, or "", where the image that it was built from must be verified, and any.
	Base string `yaml:"base"`
	// Within is how long ago it may have been, such as 30d, "" for any time.
	Within string `yaml:"within"`
	// Loaded takes what was made otherwise than by a build: a container that was committed, and
	// an archive that was loaded.
	Loaded bool `yaml:"loaded"`

	within time.Duration
}

// The bases that an entry can want.
const (
	baseTrusted = "trusted"
	baseAny     = "any"
)

// user is what a user may be called (useradd(8)), or a number.
var user = regexp.MustCompile(`^([a-z_][a-z0-9_.-]{0,31}\$?|[0-9]{1,10})$`)

// built checks what an entry says of images that are built here.
func (c checker) built(i int, b *Built) *strict.Error {
	fail := func(msg, hint string, steps ...any) *strict.Error {
		return c.file.FailAt(msg, hint, append([]any{"images", i, "built"}, steps...)...)
	}
	if len(b.By) == 0 {
		return fail("names nobody", "name the users who may build images of that name", "by")
	}
	for n, name := range b.By {
		if !user.MatchString(name) {
			return fail(fmt.Sprintf("is no user: %.100q", name), "a name or a number, such as  by: [alice, 1001]", "by", n)
		}
		if slices.Index(b.By, name) < n {
			return fail("is there twice", "", "by", n)
		}
	}
	if b.Base != "" && b.Base != baseTrusted && b.Base != baseAny {
		return fail(fmt.Sprintf("is neither trusted nor any: %.100q", b.Base), "write base: trusted", "base")
	}
	if b.Within != "" {
		var err error
		if b.within, err = strict.Age(b.Within); err != nil {
			return fail(fmt.Sprintf("is no age: %.100q", b.Within), "such as 12h, 30d or 4w", "within")
		}
	}
	return nil
}

// Local is an image that an engine has, as far as that says how it came there.
type Local struct {
	// Asked is the name that was asked for, Name the whole one without tag and digest, and Tag
	// that tag, "" where it was named by a digest.
	Asked, Name, Tag string
	// ID is the image's, and Platform what it is for, as linux/amd64.
	ID       digest.Digest
	Platform string
	// Layers are its steps as the engine tells them, the newest first.
	Layers []Layer
}

// Layer is a step by which an image was built.
type Layer struct {
	// ID is the image that the engine has of it and all before, "" where it has none. The first
	// is the image's own.
	ID string
	// At is when the step was done, by the image's own word.
	At time.Time
	// Verified is who vouches for the image of that id, nil for nobody, and Until is when that
	// ends, zero for never.
	Verified []string
	Until    time.Time
}

// VerifyLocal says whether an image that was made here is trusted: by the entry for its name,
// what the trail has of its making, and what its tag was trusted for. Nil is that no entry for
// the name says who may build it. The error is as in Verify.
func (v *Verifier) VerifyLocal(l *Local, made *Made) (*Result, error) {
	d := v.Policy.admit(l.Name, l.Platform)
	if d.Entry == nil || d.Entry.Built == nil {
		return nil, nil
	}
	r := &Result{Name: l.Asked, Repository: l.Name, Config: l.ID, Platform: l.Platform, Decision: d}
	if d.Trusted() {
		r.Decision = d.local(l, made, v.Now)
	}
	var err error
	if r.tag, err = v.remembered(l.Tag, l.Asked, r); err != nil {
		return nil, err
	}
	if r.tag != nil {
		r.tag.done = "built"
	}
	return r, v.order(r)
}

// local goes on with a decision by what the trail has.
func (d *Decision) local(l *Local, made *Made, now time.Time) *Decision {
	d.step(StepLocal, true, "the engine has it: %s", l.ID)
	if made.Broken != "" {
		return d.refuse(StepTrail, "the gate's trail is not as it was written: %s", made.Broken)
	}
	if len(made.Makings) == 0 {
		return d.refuse(StepBuilt, "the gate's trail has no event that %s was built here: build it through the gate, without BuildKit", short(l.ID))
	}
	// One of its makings suffices. Where none does, the newest says why.
	first := len(d.Steps)
	var refused *Decision
	for _, m := range made.Makings {
		try := *d
		try.Steps = slices.Clone(d.Steps[:first])
		if d.Entry.Built.decide(&try, l, &m, now); try.Trusted() {
			return &try
		}
		if refused == nil {
			refused = &try
		}
	}
	return refused
}

// decide looks at one making.
func (b *Built) decide(d *Decision, l *Local, m *Making, now time.Time) {
	did := map[string]string{madeByBuild: "built", madeByCommit: "committed", madeByLoad: "loaded"}[m.How]
	what := fmt.Sprintf("%s %s it on %s, event %d of the gate's trail", m.Who(), did, m.Done.UTC().Format("2006-01-02 15:04:05"), m.Seq)
	switch {
	case m.Wrong != "":
		d.refuse(StepTrail, "event %d of the gate's trail can't be believed: %s", m.Seq, m.Wrong)
	case did == "":
		d.refuse(StepBuilt, "event %d of the gate's trail has a word for how it was made that is not known: %.40q", m.Seq, m.How)
	case m.How != madeByBuild && !b.Loaded:
		d.refuse(StepBuilt, "%s, and only what is built counts: there is no loaded: true", what)
	case m.Actor.UID == nil || !m.OfHost:
		d.refuse(StepBuilt, "%s, and is no user of this host", what)
	case !b.may(*m.Actor.UID, m.Actor.User):
		d.refuse(StepBuilt, "%s, and only %s may", what, strings.Join(b.By, ", "))
	case m.How == madeByBuild && !m.NoCache:
		d.refuse(StepBuilt, "%s out of the engine's cache, into which others may have put what they like: build it with --no-cache", what)
	case b.within != 0 && now.Sub(m.Done) > b.within:
		d.refuse(StepBuilt, "%s, and %s is the most", what, b.Within)
	}
	if !d.Trusted() {
		return
	}
	d.step(StepBuilt, true, "%s", what)
	if b.within != 0 {
		d.Until = m.Done.Add(b.within)
	}
	if b.Base != baseAny {
		if m.based(d, l, now); !d.Trusted() {
			return
		}
	}
	d.By, d.last, d.making = []string{did + " here by " + m.Who()}, m.Done, m
}

// may is true for a user who may build.
func (b *Built) may(uid uint32, name string) bool {
	return slices.Contains(b.By, strconv.FormatUint(uint64(uid), 10)) || name != "" && slices.Contains(b.By, name)
}

// based looks for the image that another was made from: below the steps of its making, and
// verified. What lies in between was not there when it was asked for.
func (m *Making) based(d *Decision, l *Local, now time.Time) {
	if m.How == madeByLoad {
		d.refuse(StepBase, "what an archive was built from can't be told: base: any takes it all the same")
		return
	}
	for i, layer := range l.Layers {
		if i > 0 && layer.ID != "" && len(layer.Verified) > 0 && (layer.Until.IsZero() || !now.After(layer.Until)) {
			if later(d.Until, layer.Until) {
				d.Until = layer.Until
			}
			d.base = layer.ID
			d.step(StepBase, true, "it was made from %s, which is trusted: %s", short(digest.Digest(layer.ID)), strings.Join(layer.Verified, ", "))
			return
		}
		if layer.At.Before(m.Asked) || layer.At.After(m.Done) {
			which := "the image that it was made from"
			if layer.ID != "" {
				which += ", " + short(digest.Digest(layer.ID)) + ","
			}
			d.refuse(StepBase, "%s is not verified, or not any more: run  plimsoll image verify  for it first, or write base: any", which)
			return
		}
	}
	d.refuse(StepBase, "it was made from nothing, or from what the engine does not know any more: base: any takes it all the same")
}

// short is enough of an id to know it by.
func short(id digest.Digest) string {
	if s := string(id); len(s) > 19 {
		return s[:19]
	}
	return string(id)
}
