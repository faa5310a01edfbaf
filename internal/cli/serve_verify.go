//go:build !front

package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/serve"
	"github.com/plimsoll/plimsoll/internal/sign"
)

const (
	// verifyAgain is how long what signatures say is taken for so: they age, and more are made.
	verifyAgain = 24 * time.Hour
	// verifyBuilt is that of what was built here, which ends with what it was built from.
	verifyBuilt = time.Hour
	// verifySoon is that where a registry could not be asked, and the least.
	verifySoon = 10 * time.Minute
	// lately is how long ago another program may have taken back what is told here.
	lately = 10 * time.Minute
	// longestVerifying bounds how long registries may take over one image, maxPlaces in how many
	// repositories it is looked at, and maxTags by how many names in each.
	longestVerifying = 5 * time.Minute
	maxPlaces        = 64
	maxTags          = 16
)

// trusting looks for plimsoll serve who signed images of an engine, by a policy of trust that
// may change meanwhile. It belongs to one goroutine.
type trusting struct {
	app     *app
	client  *engine.Client
	file    string // of the policy
	options image.Options
	log     func(format string, args ...any)

	policy *sign.Policy
	text   []byte // of the file, as it was read last
	sum    string // that policy is of
	said   string // what the log was told last
	// taken are what the policy took back when it was read, by the images' digests, until that
	// was told of each.
	taken map[string]sign.Withdrawn
}

// version names the policy, which is read where it has changed: "" is that there is none. One
// that can't be read, or is wrong, leaves the one before it standing.
func (t *trusting) version(ctx context.Context) string {
	data, err := readFile(ctx, t.file, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		t.policy, t.text, t.sum = nil, nil, ""
		t.tell("there is no policy of trust in " + t.file + ", so no image is verified")
		return ""
	}
	if err == nil && t.text != nil && bytes.Equal(data, t.text) {
		return t.sum
	}
	var policy *sign.Policy
	if err == nil {
		t.text = append([]byte{}, data...)
		policy, err = sign.ReadPolicy(t.file, data)
	}
	if err != nil {
		if ctx.Err() == nil {
			t.tell("the policy of trust can't be used, and the one before stands: " + err.Error())
		}
		return t.sum
	}
	sum, changed := sha256.Sum256(data), t.policy != nil
	t.policy, t.sum, t.said = policy, hex.EncodeToString(sum[:8]), ""
	t.takeBack(changed)
	return t.sum
}

// takeBack takes back what the policy would not trust any more, by what was found before: of
// that no registry needs to be asked, and the engine need not have the image.
func (t *trusting) takeBack(changed bool) {
	now := t.app.world.Now()
	list, err := t.policy.Withdraw(t.app.verdicts(), now, nil)
	if err != nil {
		t.log("taking back what the policy of trust does not trust: %v", err)
	}
	t.taken = map[string]sign.Withdrawn{}
	for _, w := range list {
		// Who changed the policy may have done it first, as trust keys revoke does.
		if age := now.Sub(w.Since); age == 0 || changed && age < lately {
			for _, id := range w.Digests {
				t.taken[id] = w
			}
		}
	}
}

func (t *trusting) tell(text string) {
	if text != t.said {
		t.said = text
		t.log("%s", text)
	}
}

// place is a repository that an image came from, and its names there; here are those that it
// was given on this host alone.
type place struct {
	repository  string
	names, here []reference.Named
}

// answers are what came of looking at an image by all of its names.
type answers struct {
	// trusted and refused are one each of those by which it is trusted and refused.
	trusted, refused *sign.Result
	// unknown is a repository that no entry of the policy is about.
	unknown *place
	// silent is that a repository by which it was trusted has no name of it any more, or a digest
	// alone where content trust is to sign, which signs tags.
	silent bool
	// unable is why it can't be told by one of the names.
	unable error
}

// verify is serve.Config's Verify. An image is trusted by any of the repositories that it came
// from, each of which counts for itself: one that can't be asked keeps what it vouched for, and
// what nobody else does.
func (t *trusting) verify(ctx context.Context, id string, last serve.Vouched, idle bool) (serve.Vouched, error) {
	ctx, cancel := context.WithTimeout(ctx, longestVerifying)
	defer cancel()
	has, err := inspectImage(ctx, t.client, id)
	if errors.Is(err, engine.ErrNotFound) {
		return serve.Vouched{}, serve.ErrGone
	}
	if err != nil {
		return serve.Vouched{}, err
	}
	// The gate knows it by these, and image verify by its manifest too.
	digests := []string{id}
	for _, one := range has.RepoDigests {
		if _, digest, found := strings.Cut(one, "@"); found && !slices.Contains(digests, digest) {
			digests = append(digests, digest)
		}
	}
	before := t.vouched(digests)
	taken := t.takenBack(digests)
	was := len(before) > 0 || taken != nil
	if taken != nil {
		before[taken.Name] = true
	}
	places := placesOf(has, before, last, func(repository string) bool {
		entry := t.policy.For(repository)
		return entry != nil && entry.Built != nil
	})
	if len(places) == 0 && taken == nil || idle && !was {
		return serve.Vouched{}, serve.ErrNothing
	}
	if len(places) == 0 {
		places = []place{{repository: taken.Name}}
	}
	all := digests
	if manifest := last.Event.Subject.Digest; manifest != "" && !slices.Contains(all, manifest) {
		all = append(slices.Clip(all), manifest)
	}
	var a answers
	for i := range places {
		if err := t.look(ctx, &places[i], id, has, all, &a); err != nil {
			return serve.Vouched{}, err
		}
	}
	stands := len(t.vouched(digests)) > 0
	switch {
	case a.trusted == nil && was == stands && a.unable != nil:
		return serve.Vouched{}, a.unable
	case a == answers{silent: true} && stands:
		return serve.Vouched{}, serve.ErrNothing
	}
	v := t.found(id, &places[0], &a, taken)
	for _, one := range digests {
		delete(t.taken, one)
	}
	v.Changed, v.Stands = was != stands, stands
	if a.unable != nil {
		v.Lasts = verifySoon
	}
	return v, nil
}

// placesOf are the repositories that an image came from, and those by which it was trusted
// though it has no name there any more: these come first, and first of all that by which it was
// looked at last.
func placesOf(has *engineImage, before map[string]bool, last serve.Vouched, built func(string) bool) []place {
	var all []place
	at := func(repository string) *place {
		i := slices.IndexFunc(all, func(p place) bool { return p.repository == repository })
		if i < 0 {
			i, all = len(all), append(all, place{repository: repository})
		}
		return &all[i]
	}
	for _, n := range has.names() {
		p := at(n.Name())
		p.names = append(p.names, n)
	}
	for _, tag := range has.RepoTags {
		if n, err := reference.ParseNormalizedNamed(tag); err == nil {
			p := at(n.Name())
			p.here = append(p.here, n)
		}
	}
	had, err := reference.ParseNormalizedNamed(last.Event.Subject.Name)
	if err != nil {
		had = nil
	}
	for _, repository := range slices.Sorted(maps.Keys(before)) {
		named, err := reference.WithName(repository)
		if err != nil { // of files that have no names
			continue
		}
		p := at(repository)
		if len(p.here) == 0 {
			p.here = append(p.here, named)
		}
		// By its digest: what tag it had means another by now.
		if d, is := had.(reference.Digested); is && had.Name() == repository && len(p.names) == 0 {
			if at, err := reference.WithDigest(named, d.Digest()); err == nil {
				p.names = append(p.names, at)
			}
		}
	}
	// A name that was given here to what no registry has says nothing of who vouches for it.
	all = slices.DeleteFunc(all, func(p place) bool { return len(p.names) == 0 && !before[p.repository] && !built(p.repository) })
	rank := func(p place) int {
		switch {
		case had != nil && p.repository == had.Name():
			return 0
		case before[p.repository]:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(all, func(a, b place) int { return rank(a) - rank(b) })
	return all[:min(len(all), maxPlaces)]
}

// look looks at an image in one repository, by all of its tags, since it is remembered what each
// of these is trusted for, and writes down what was found. The error is that it can't be written.
func (t *trusting) look(ctx context.Context, p *place, id string, has *engineImage, digests []string, a *answers) error {
	entry := t.policy.For(p.repository)
	if entry == nil { // and nobody is asked
		a.unknown = cmp.Or(a.unknown, p)
		return t.withdraw(p.repository, digests, nil)
	}
	var refused *sign.Result
	stays, names, look := false, p.names, t.at
	switch {
	case entry.Built != nil:
		names, look = p.here, t.here
		if len(names) == 0 {
			names = p.names
		}
	case len(names) == 0: // as of what was loaded from a bundle
		a.silent = true
	}
	by := t.app.verifier(t.policy, t.options)
	by.Tags = t.app.verdicts()
	for _, n := range names[:min(len(names), maxTags)] {
		r, err := look(ctx, &by, n, has)
		trusted, covers := false, false
		if err == nil {
			if trusted, covers = r.Trusts()[digest.Digest(id)]; !covers {
				err = fmt.Errorf("by the name %s the registry has another image than the engine", n)
			}
		}
		_, tagged := n.(reference.Tagged)
		switch {
		case err != nil:
			a.unable = cmp.Or(a.unable, err)
		case trusted:
			a.trusted, stays = cmp.Or(a.trusted, r), true
			if err := t.app.writeVouched(&by, r, true); err != nil {
				return err
			}
		case !tagged && byTags(entry):
			a.silent, stays = true, true
		default:
			refused = r
		}
	}
	if refused == nil || stays {
		return nil
	}
	if a.refused = refused; refused.Refused == sign.StepReplay {
		return nil // by its digest it is what it was
	}
	if err := t.app.writeVouched(&by, refused, true); err != nil {
		return err
	}
	return t.withdraw(p.repository, digests, refused.Trusts())
}

// byTags says whether tags are what some of those sign whom an entry wants.
func byTags(e *sign.Entry) bool {
	if e.Signed == nil {
		return false
	}
	_, list := e.Signed.Needs()
	return slices.ContainsFunc(list, func(s sign.Signer) bool { return s.ContentTrust != "" })
}

// withdraw writes down that an image is not trusted any more by a name, under all of its digests
// but those of which more is known.
func (t *trusting) withdraw(name string, digests []string, but map[digest.Digest]bool) error {
	for _, one := range digests {
		if _, known := but[digest.Digest(one)]; known {
			continue
		}
		if err := t.app.withdraw(name, one); err != nil {
			return err
		}
	}
	return nil
}

// found says what the answers come to: by the first name by which the image is trusted, else by
// one by which it is refused.
func (t *trusting) found(id string, first *place, a *answers, taken *sign.Withdrawn) serve.Vouched {
	now := t.app.world.Now()
	r := cmp.Or(a.trusted, a.refused)
	if r == nil {
		first = cmp.Or(a.unknown, first)
		name := first.repository
		if len(first.names) > 0 {
			name = first.names[0].String()
		}
		d := t.policy.Decide(first.repository, "", nil, now)
		if taken != nil {
			name = cmp.Or(taken.Name, name, id)
			d = t.policy.Decide(taken.Name, "", nil, now)
			d.By, d.Refused = nil, cmp.Or(d.Refused, sign.StepSigners)
			d.Steps = append(d.Steps, sign.Step{Name: d.Refused, Text: taken.Why})
		}
		return serve.Vouched{Event: vouchEvent(name, digest.Digest(id), "", d), Lasts: lasts(d, now)}
	}
	d := r.Decision
	if d.Trusted() && a.trusted == nil {
		// The image that an index has for this platform was signed, and not the index.
		whole := *d
		whole.By, whole.Until, whole.Refused = nil, time.Time{}, sign.StepSigners
		whole.Steps = append(slices.Clip(whole.Steps), sign.Step{Name: sign.StepSigners, Text: "the engine knows it by an index that is not signed"})
		d = &whole
	}
	if r.Unremembered != nil {
		t.log("what the tag of %s is trusted for is not remembered: %v", r.Name, r.Unremembered)
	}
	return serve.Vouched{Event: vouchEvent(r.Name, digest.Digest(id), r.Manifest, d), Lasts: lasts(d, now)}
}

// here looks at an image that may have been built here, by a name that it has here.
func (t *trusting) here(ctx context.Context, by *sign.Verifier, named reference.Named, has *engineImage) (*sign.Result, error) {
	r, err := t.app.builtHere(ctx, t.client, by, has, named.String(), named)
	if err != nil || r != nil {
		return r, err
	}
	if _, is := named.(reference.Digested); !is {
		if named, err = reference.ParseNormalizedNamed(named.String() + "@" + digestOf(has.RepoDigests, named.Name())); err != nil {
			return nil, err
		}
	}
	return t.at(ctx, by, named, has)
}

// at looks at an image by one of its names in a registry.
func (t *trusting) at(ctx context.Context, by *sign.Verifier, named reference.Named, has *engineImage) (*sign.Result, error) {
	var first error
	_, by.ByTag = named.(reference.Tagged)
	for _, by.Platform = range has.platforms() {
		r, err := by.Verify(ctx, image.Reference{Source: image.Registry, At: named.String()})
		if err == nil {
			return r, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// takenBack is what the policy took back of an image, nil for nothing that was not told yet.
func (t *trusting) takenBack(ids []string) *sign.Withdrawn {
	for _, id := range ids {
		if w, is := t.taken[id]; is {
			return &w
		}
	}
	return nil
}

// vouched are the names by which it is written down that an image is trusted, under any of its
// digests.
func (t *trusting) vouched(ids []string) map[string]bool {
	names := map[string]bool{}
	for _, id := range ids {
		v, err := t.app.verdicts().Read(id)
		if err != nil || v.Verified == nil {
			continue
		}
		for _, one := range append(v.Verified.Others, *v.Verified) {
			names[one.Name] = true
		}
	}
	return names
}

// lasts is how long a decision is taken for so: of what does not hang on signatures for as long
// as the policy stands.
func lasts(d *sign.Decision, now time.Time) time.Duration {
	if d.Entry == nil || d.Entry.Unsigned && d.Entry.Built == nil && len(d.Entry.Attested) == 0 {
		return 0
	}
	again := verifyAgain
	if d.Entry.Built != nil {
		again = verifyBuilt
	}
	if d.Trusted() && !d.Until.IsZero() {
		again = min(max(d.Until.Sub(now), verifySoon), again)
	}
	return again
}
