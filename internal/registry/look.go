package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Options say how a registry is looked at.
type Options struct {
	Image image.Options
	// Verifier says who signed; nil asks nobody.
	Verifier *sign.Verifier
	// Verdicts has when images were scanned, "" is nowhere.
	Verdicts verdict.Folder
	// Limit is how many tags are looked at in all, default 1000, and Parallel how many at a
	// time, default 8.
	Limit, Parallel int
	Now             time.Time
	// Progress is told of how many tags there are, and then of each that is done. Nil: nobody
	// is.
	Progress func(done, of int)
}

// Look looks at all tags of a repository, HOST/PATH, or of those whose names begin so,
// HOST/PREFIX*, which the registry's catalog must tell. What could not be told of one tag stands
// in its row. The error is that nothing at all could be, or the end of ctx.
func Look(ctx context.Context, name string, o Options) (*Report, error) {
	o.Limit, o.Parallel = cmp.Or(o.Limit, 1000), cmp.Or(o.Parallel, 8)
	r := &Report{Schema: Schema, Name: name, Time: o.Now.UTC(), Repositories: []Repository{}, Tags: []*Tag{}}
	if o.Verifier != nil {
		r.Policy = o.Verifier.Policy.File
	}
	listed, err := list(ctx, name, o.Image)
	if err != nil {
		return nil, err
	}
	for _, one := range listed {
		r.take(one, o.Limit)
	}
	looks := &looker{o: o, total: len(r.Tags), images: map[string]*once[*found]{}, signed: map[string]*once[signedOrNot]{}}
	if o.Progress != nil {
		o.Progress(0, len(r.Tags))
	}
	if err := looks.all(ctx, r.Tags); err != nil {
		return nil, err
	}
	looks.bases(r.Tags)
	same(r.Tags)
	return r, nil
}

// list is what the registry names, in order.
func list(ctx context.Context, name string, o image.Options) ([]image.Listed, error) {
	at, prefix := name+":*", ""
	if begin, several := strings.CutSuffix(name, "*"); several {
		folder := begin[:strings.LastIndexByte(begin, '/')+1]
		if at, prefix = folder+"*", begin; folder == "" {
			return nil, fmt.Errorf("%.200q names no registry: write HOST/PREFIX*", name)
		}
		if prefix == folder {
			prefix = ""
		}
	}
	all, err := image.List(ctx, image.Reference{Source: image.Registry, At: at}, o)
	if err != nil || prefix == "" {
		return all, err
	}
	var some []image.Listed
	for _, one := range all {
		if strings.HasPrefix(one.Reference.At, prefix) {
			some = append(some, one)
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("the registry names no repository with a tag that begins with %.200q", prefix)
	}
	return some, nil
}

// besides are the names of tags that are about an image: where cosign puts signatures,
// attestations and SBOMs, and where a registry without that question keeps the list of what
// refers to an image (OCI distribution specification, Referrers Tag Schema).
var besides = regexp.MustCompile(`^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})(\.sig|\.att|\.sbom)?$`)

// take adds what the registry names to the report, no more tags than most in all.
func (r *Report) take(one image.Listed, most int) {
	colon := strings.LastIndexByte(one.Reference.At, ':')
	name, tag := one.Reference.At[:colon], one.Reference.At[colon+1:]
	if n := len(r.Repositories); n == 0 || r.Repositories[n-1].Name != name {
		r.Repositories = append(r.Repositories, Repository{Name: name})
	}
	repo := &r.Repositories[len(r.Repositories)-1]
	if one.Err != nil {
		repo.Error = one.Err.Error()
		return
	}
	if about := besides.FindStringSubmatch(tag); about != nil {
		switch about[1] {
		case ".sig":
			repo.Beside.Signatures++
		case ".att":
			repo.Beside.Attestations++
		case ".sbom":
			repo.Beside.SBOMs++
		default:
			repo.Beside.Referrers++
		}
		return
	}
	repo.Tags++
	if len(r.Tags) == most {
		repo.LeftOut++
		repo.From = cmp.Or(repo.From, tag)
		return
	}
	r.Tags = append(r.Tags, &Tag{Repository: name, Tag: tag})
}

// looker looks at tags side by side. What many tags lead to is looked at once.
type looker struct {
	o      Options
	mutex  sync.Mutex
	images map[string]*once[*found]
	signed map[string]*once[signedOrNot]
	// done are how many tags of the total were looked at.
	done, total int
}

// once is what is found out by the first who needs it.
type once[T any] struct {
	sync.Once
	value T
	err   error
}

// by gives what is known by a key, and finds it out if need be.
func by[T any](l *looker, of map[string]*once[T], key string, find func() (T, error)) (T, error) {
	l.mutex.Lock()
	one := of[key]
	if one == nil {
		one = &once[T]{}
		of[key] = one
	}
	l.mutex.Unlock()
	one.Do(func() { one.value, one.err = find() })
	return one.value, one.err
}

// all looks at tags, a repository after the other.
func (l *looker) all(ctx context.Context, tags []*Tag) error {
	for len(tags) > 0 {
		n := 1
		for n < len(tags) && tags[n].Repository == tags[0].Repository {
			n++
		}
		if err := l.repository(ctx, tags[:n]); err != nil {
			return err
		}
		tags = tags[n:]
	}
	return nil
}

// repository looks at tags of one.
func (l *looker) repository(ctx context.Context, tags []*Tag) error {
	remote, err := image.OpenRemote(ctx, image.Reference{Source: image.Registry, At: tags[0].Repository + ":" + tags[0].Tag}, false, l.o.Image)
	if err == nil {
		defer remote.Close()
	}
	turns := make(chan struct{}, l.o.Parallel)
	var group sync.WaitGroup
	for _, t := range tags {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			wrong := err
			if wrong == nil && ctx.Err() == nil {
				wrong = l.tag(ctx, remote, t)
			}
			if wrong != nil {
				t.Error = strings.ReplaceAll(wrong.Error(), "\n", "; ") // of several, joined
			}
			l.mutex.Lock()
			defer l.mutex.Unlock()
			if l.done++; l.o.Progress != nil {
				l.o.Progress(l.done, l.total)
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// tag looks at one. The error is what could not be told of it.
func (l *looker) tag(ctx context.Context, remote *image.Remote, t *Tag) error {
	document, err := remote.Tagged(ctx, t.Tag)
	if err != nil {
		return err
	}
	t.Digest = string(document.Digest)
	key := t.Repository + "@" + t.Digest
	f, err := by(l, l.images, key, func() (*found, error) { return l.find(ctx, remote, document) })
	if err != nil {
		return err
	}
	t.Kind, t.Artifact, t.Platforms, t.Size, t.Created = f.kind, f.artifact, f.platforms, f.size, f.created
	if f.base != nil {
		base := *f.base
		t.Base = &base
	}
	var wrong error
	if l.o.Verifier != nil {
		if l.byTag(t.Repository) {
			key = t.Repository + ":" + t.Tag
		}
		s, err := by(l, l.signed, key, func() (signedOrNot, error) { return l.verify(ctx, tagged{f, remote, t.Tag, document}, t) })
		switch t.Signed = s.Signed; {
		case err != nil:
			wrong = fmt.Errorf("it can't be told who signed it: %w", err)
		case s.uncompared != nil:
			wrong = fmt.Errorf("it can't be told whether it is older than what the tag was trusted for: %w", s.uncompared)
		}
	}
	return errors.Join(wrong, l.scanned(f, t))
}

// byTag is true for a repository of which each tag is judged for itself: content trust signs
// tags, and what a tag was trusted for before may be remembered.
func (l *looker) byTag(name string) bool {
	if l.o.Verifier.Tags != "" {
		return true
	}
	e := l.o.Verifier.Policy.For(name)
	if e == nil || e.Signed == nil {
		return false
	}
	_, list := e.Signed.Needs()
	for _, s := range list {
		if s.ContentTrust != "" {
			return true
		}
	}
	return false
}

// signedOrNot is what the policy says; uncompared is why a trusted image was not compared with
// what its tag was trusted for before.
type signedOrNot struct {
	Signed
	uncompared error
}

// verify asks the policy of trust.
func (l *looker) verify(ctx context.Context, in tagged, t *Tag) (signedOrNot, error) {
	v := *l.o.Verifier
	v.Platform = cmp.Or(in.found.chosen, v.Platform)
	r, err := v.VerifyIn(ctx, in, t.Repository+":"+t.Tag)
	if err != nil {
		return signedOrNot{}, err
	}
	s := Signed{Known: true, Trusted: r.Trusted(), By: r.By, Refused: r.Refused}
	if !s.Trusted {
		s.Why = r.Steps[len(r.Steps)-1].Text
	}
	if s.Trusted && r.Uncompared {
		return signedOrNot{s, r.Unremembered}, nil
	}
	return signedOrNot{s, nil}, nil
}

// scanned looks when an image was scanned.
func (l *looker) scanned(f *found, t *Tag) error {
	if l.o.Verdicts == "" || t.Kind == KindArtifact {
		return nil
	}
	v, err := l.o.Verdicts.Of(f.digests...)
	if err != nil {
		if notThere(err) {
			return nil
		}
		return fmt.Errorf("it can't be told when it was scanned: %w", err)
	}
	if v.Scanned != nil {
		t.Scanned, t.Worst = v.Scanned.At.UTC(), v.Scanned.Worst
	}
	return nil
}

// same notes which tags of a repository lead to one thing.
func same(tags []*Tag) {
	of := map[[2]string][]*Tag{}
	for _, t := range tags {
		if t.Digest != "" {
			of[[2]string{t.Repository, t.Digest}] = append(of[[2]string{t.Repository, t.Digest}], t)
		}
	}
	for _, list := range of {
		for _, t := range list {
			for _, other := range list {
				if other != t {
					t.Same = append(t.Same, other.Tag)
				}
			}
		}
	}
}
