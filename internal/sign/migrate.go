package sign

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/dct"
	"github.com/plimsoll/plimsoll/internal/image"
)

// Migration signs with a key of cosign's what Docker Content Trust has signed: exactly the
// digest of each tag, so that nothing is vouched for that nobody has signed. Doing it again
// changes nothing.
type Migration struct {
	// Verifier has the policy, whose server for a name is asked, and says how. Its Platform
	// does not count.
	Verifier
	// Server is the name of the server that is asked, "" for the only one that the entry for
	// a name has.
	Server string
	// By signs, in each of the layouts, Tags and Referrers.
	By      *cosign.Signer
	Layouts []cosign.Layout
	// Dry looks, and signs nothing.
	Dry bool
	// Progress is told how many tags of a repository are done, of how many. Nil: nobody is.
	Progress func(done, of int)
}

// What became of a tag.
const (
	MigratedNow    = "signed"       // the key has signed it now
	MigratedBefore = "already"      // it had before
	MigratedDry    = "would-sign"   // it would, without Dry
	MigratedMoved  = "moved"        // the tag leads to another manifest than was signed
	MigratedGone   = "gone"         // the registry has no such tag any more
	MigratedNot    = "not-signed"   // content trust does not say that it is signed
	MigratedUnable = "not-possible" // a server or the registry could not be asked, or does not take it
)

// Migrated is what became of one tag, or, where Tag is "", why nothing is known of a
// repository.
type Migrated struct {
	Name, Tag string
	// Digest is what content trust has signed, and Role who of it did.
	Digest, Role string
	// Did is one of the words above; Why says more where the key has not signed, and Hint
	// what mends that, or "".
	Did, Why, Hint string
}

// Done is true where the key has signed the tag, or would.
func (m *Migrated) Done() bool {
	return slices.Contains([]string{MigratedNow, MigratedBefore, MigratedDry}, m.Did)
}

// Repository migrates tags of a repository, whose name is whole; none are all that content
// trust has signed. The error is the end of ctx: what was done until then stands beside it.
func (m *Migration) Repository(ctx context.Context, name string, tags []string) ([]Migrated, error) {
	none := func(did string, err error) ([]Migrated, error) {
		row := Migrated{Name: name, Did: did, Why: err.Error()}
		if wrong := new(dct.Error); errors.As(err, &wrong) {
			row.Hint = wrong.Hint
		}
		return []Migrated{row}, ctx.Err()
	}
	server, err := m.server(name)
	if err != nil {
		return none(MigratedNot, err)
	}
	o, err := m.asking(server)
	if err != nil {
		return none(MigratedUnable, err)
	}
	targets, err := dct.List(ctx, o, name, m.Now)
	if wrong := new(dct.Error); errors.As(err, &wrong) && wrong.Step != dct.StepServer && wrong.Step != dct.StepState {
		return none(MigratedNot, err)
	}
	if err != nil {
		return none(MigratedUnable, err)
	}
	var rows []Migrated
	for _, tag := range tags {
		if !slices.ContainsFunc(targets, func(t dct.Target) bool { return t.Tag == tag }) {
			rows = append(rows, Migrated{Name: name, Tag: tag, Did: MigratedNot, Why: "content trust has not signed this tag"})
		}
	}
	if len(tags) > 0 {
		targets = slices.DeleteFunc(targets, func(t dct.Target) bool { return !slices.Contains(tags, t.Tag) })
	}
	if len(targets) == 0 {
		if len(rows) == 0 {
			return none(MigratedNot, errors.New("content trust has signed no tag of it"))
		}
		return rows, ctx.Err()
	}
	remote, err := image.OpenRemote(ctx, image.Reference{Source: image.Registry, At: name + ":" + targets[0].Tag}, !m.Dry, m.Image)
	if err != nil {
		return none(MigratedUnable, err)
	}
	defer remote.Close()
	for i := range targets {
		if m.Progress != nil {
			m.Progress(i, len(targets))
		}
		row, err := m.tag(ctx, remote, &targets[i])
		if ctx.Err() != nil {
			return rows, ctx.Err()
		}
		if err != nil {
			row.Did, row.Why = MigratedUnable, err.Error()
		}
		rows = append(rows, *row)
	}
	return rows, nil
}

// server is the policy's server for a name.
func (m *Migration) server(name string) (Server, error) {
	e := m.Policy.For(name)
	if e == nil || e.Signed == nil {
		return Server{}, fmt.Errorf("no entry of %s has content trust for it: give it  signed: {any: [{content_trust: NAME}]}", m.Policy.File)
	}
	var named []string
	_, list := e.Signed.Needs()
	for _, s := range list {
		if s.ContentTrust != "" {
			named = append(named, s.ContentTrust)
		}
	}
	switch {
	case m.Server != "" && slices.Contains(named, m.Server):
		return m.Policy.Servers[m.Server], nil
	case len(named) == 0 || m.Server != "":
		return Server{}, fmt.Errorf("%s, line %d: the entry %s does not name that server of content trust", m.Policy.File, e.line, e.place)
	case len(named) > 1:
		return Server{}, fmt.Errorf("%s, line %d: the entry %s has several servers of content trust: name one", m.Policy.File, e.line, e.place)
	}
	return m.Policy.Servers[named[0]], nil
}

// tag migrates one. The error is of the registry.
func (m *Migration) tag(ctx context.Context, remote *image.Remote, t *dct.Target) (*Migrated, error) {
	row := &Migrated{Name: t.GUN, Tag: t.Tag, Digest: t.Digest, Role: t.Role}
	now, err := remote.Tagged(ctx, t.Tag)
	if errors.Is(err, image.ErrNotFound) {
		row.Did, row.Why = MigratedGone, "the registry has no such tag"
		return row, nil
	}
	if err != nil {
		return row, err
	}
	if err := t.Covers(string(now.Digest), now.Size); err != nil {
		row.Did, row.Why = MigratedMoved, fmt.Sprintf("the tag leads to %s, which content trust has not signed", now.Digest)
		return row, nil
	}
	row.Did = MigratedBefore
	for _, layout := range m.Layouts {
		has, err := m.signed(ctx, remote, now.Digest, layout)
		switch {
		case err != nil:
			return row, err
		case has:
			continue
		case m.Dry:
			row.Did = MigratedDry
			continue
		}
		if err := m.sign(ctx, remote, now.Descriptor, layout); err != nil {
			return row, err
		}
		// Of two who sign at a time one may have lost.
		if has, err = m.signed(ctx, remote, now.Digest, layout); err == nil && !has {
			err = errors.New("the registry took the signature, and does not have it")
		}
		if err != nil {
			return row, err
		}
		row.Did = MigratedNow
	}
	return row, nil
}

// signed is true where the key's signature is in a layout.
func (m *Migration) signed(ctx context.Context, remote *image.Remote, id digest.Digest, layout cosign.Layout) (bool, error) {
	is := func(found []cosign.Signature) bool {
		return slices.ContainsFunc(found, func(s cosign.Signature) bool { return !s.Attests() })
	}
	found, _, err := cosign.Find(ctx, remote, id, cosign.Signers{Keys: []*cosign.Key{m.By.Key}}, m.Now, cosign.Options{Layouts: []cosign.Layout{layout}, Enough: is})
	return is(found), err
}

func (m *Migration) sign(ctx context.Context, remote *image.Remote, subject oci.Descriptor, layout cosign.Layout) error {
	if layout == cosign.Referrers {
		return m.By.SignReferrer(ctx, remote, subject, m.Now)
	}
	return m.By.SignTag(ctx, remote, subject.Digest, m.Now)
}
