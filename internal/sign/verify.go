package sign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/dct"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Verifier asks registries for signatures, and a policy what they are worth.
type Verifier struct {
	Policy *Policy
	// Image says how registries are asked.
	Image image.Options
	// Platform is that of the image of an index that counts, as linux/amd64: "" is this
	// machine's.
	Platform string
	// State is the folder in which is remembered what content trust showed, and Docker that in
	// which docker does, "" for none.
	State, Docker string
	// Tags has what tags stand for, "" for nothing: then an older image by a tag is not told.
	// ByTag is that a name with a digest was asked for by its tag, and the digest is what an
	// engine has of it: else who names a digest has what it is of.
	Tags  verdict.Folder
	ByTag bool
	// Rollback says why an older image may be trusted this once, "" where it may not; LookOnly
	// is that what tags stand for stays as it is.
	Rollback string
	LookOnly bool
	// Cache keeps what registries and servers gave; the zero value keeps nothing. Offline has it
	// answer in their place.
	Cache   image.Cache
	Offline bool
	// Now is the time that ages and certificates are judged by.
	Now time.Time

	// from gives what servers of content trust gave, nil where they are asked.
	from func(ctx context.Context, host, path string, most int64) ([]byte, error)
}

// Rejection is something that vouches for nothing: a signature that does not hold, or content
// trust that does not.
type Rejection struct {
	Kind, Step, Where, Reason string
}

func (r Rejection) String() string { return fmt.Sprintf("%s: %s (%s)", r.Where, r.Reason, r.Step) }

// Result is what became of one image.
type Result struct {
	// Name is the repository, whole, with the tag or digest that was asked for.
	Name string
	// Index is the digest of the index that the name leads to, "" where it leads to a
	// manifest; Manifest is that of the image which would run, "" for one that was made here, and
	// Config its id.
	Index, Manifest, Config digest.Digest
	Platform                string
	*Decision
	// signed are index and manifest, of which a signature may be, and whole is true where the
	// index is trusted, and with it all that it lists.
	signed []oci.Descriptor
	whole  bool
	// Rejected is what vouches for nothing.
	Rejected []Rejection
	// Repository is the name without tag and digest.
	Repository string
	// Place says where it was looked at, "" for its registry.
	Place string
	// Rollback says why it is trusted though it is older than what was, "" where it is not.
	Rollback string
	// Unremembered is why it is not remembered that the tag stands for it: that may not be
	// written, or not even be read, by who asks.
	Unremembered error
	// Uncompared is true where it may not be read: it is not known whether the image, which is
	// trusted otherwise, is an older one.
	Uncompared bool

	tag *remembered
}

// Trusts tells by digest whether that is trusted: of the image's id, of its manifest, and of
// the index that it is of, by which the engine may know the others of that index too.
func (r *Result) Trusts() map[digest.Digest]bool {
	all := map[digest.Digest]bool{r.Config: r.Trusted()}
	if r.Manifest != "" { // which an image that was made here has not
		all[r.Manifest] = r.Trusted()
	}
	if r.Index != "" {
		all[r.Index] = r.whole
	}
	return all
}

// layouts are looked at in this order: each takes a request to find that there is nothing, and the
// first two more to read a signature, so that this order has the longest way the shortest.
// That of attestations is asked for where an entry needs some.
var layouts = []cosign.Layout{cosign.Referrers, cosign.Tags}

// layouts are where what the entry needs may be.
func (e *Entry) layouts() []cosign.Layout {
	switch {
	case len(e.Attested) == 0:
		return layouts
	case e.Signed == nil:
		return []cosign.Layout{cosign.Referrers, cosign.Attestations}
	}
	return []cosign.Layout{cosign.Referrers, cosign.Tags, cosign.Attestations}
}

// maxRoot bounds a file with authorities and logs.
const maxRoot = 8 << 20

// Verify looks at an image of a registry. The error is that something could not be asked or
// read: then nothing is said of the image.
func (v *Verifier) Verify(ctx context.Context, ref image.Reference) (*Result, error) {
	in, err := image.OpenCached(ctx, ref, v.Cache, v.Offline, v.Image)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r, err := v.VerifyIn(ctx, in, ref.At)
	if err == nil && v.Offline {
		r.placed("by what was kept alone: its registry was asked last on %s", in.Seen().UTC().Format(time.RFC3339))
	}
	return r, err
}

// VerifyIn looks at the image that was asked for in a repository, which is called as it was
// asked for. The error is as in Verify.
func (v *Verifier) VerifyIn(ctx context.Context, in image.Repository, asked string) (*Result, error) {
	named, err := in.Named(ctx)
	if err != nil {
		return nil, err
	}
	r := &Result{Name: asked, Manifest: named.Digest, Platform: v.Platform, signed: []oci.Descriptor{named.Descriptor}}
	if r.Platform == "" {
		r.Platform = "linux/" + runtime.GOARCH
	}
	if named.IsIndex() {
		r.Index = named.Digest
		if named, err = v.child(ctx, in, named, r.Platform); err != nil {
			return nil, err
		}
		r.Manifest = named.Digest
		r.signed = append(r.signed, named.Descriptor)
	}
	var manifest struct {
		Config oci.Descriptor `json:"config"`
	}
	if _, err := strict.Decode("the manifest", named.Data, &manifest); err != nil {
		return nil, err
	}
	if r.Config = manifest.Config.Digest; r.Config.Validate() != nil {
		return nil, fmt.Errorf("the manifest %s names no configuration: %.100q is no digest", r.Manifest, r.Config)
	}
	name := in.Repository()
	r.Repository = name
	if r.tag, err = v.remembered(in.Tag(), asked, r); err != nil {
		return nil, err
	}
	entry := v.Policy.For(name)
	if entry != nil && len(entry.Platforms) > 0 {
		// By the image's own word: what an index says of it may not be signed.
		if r.Platform, err = platformOf(ctx, in, manifest.Config); err != nil {
			return nil, err
		}
	}
	var found []Vouch
	if entry != nil && (entry.Signed != nil || len(entry.Attested) > 0) {
		if found, r.Rejected, err = v.find(ctx, in, entry, name, r); err != nil {
			return nil, err
		}
	}
	r.Decision = v.Policy.Decide(name, r.Platform, found, v.Now)
	if r.Trusted() && r.Index != "" && len(entry.Platforms) == 0 {
		overIndex := slices.DeleteFunc(slices.Clone(found), func(s Vouch) bool { return s.Of != r.Index })
		r.whole = v.Policy.Decide(name, r.Platform, overIndex, v.Now).Trusted()
	}
	v.shown(r)
	return r, v.order(r)
}

// child is the manifest of an index that is for a platform.
func (v *Verifier) child(ctx context.Context, in image.Repository, index *image.Document, platform string) (*image.Document, error) {
	var list struct {
		Manifests []oci.Descriptor `json:"manifests"`
	}
	if _, err := strict.Decode("the index", index.Data, &list); err != nil {
		return nil, err
	}
	var fit []oci.Descriptor
	for _, d := range list.Manifests {
		if p := d.Platform; p != nil && fitsPlatform(p, platform) {
			fit = append(fit, d)
		}
	}
	switch {
	case len(fit) == 0:
		return nil, fmt.Errorf("it has no image for %s", platform)
	case slices.ContainsFunc(fit[1:], func(d oci.Descriptor) bool { return d.Digest != fit[0].Digest }):
		return nil, fmt.Errorf("it has several images for %s: name one with its variant", platform)
	}
	child, err := in.Manifest(ctx, fit[0].Digest)
	if err != nil {
		return nil, err
	}
	if child.IsIndex() {
		return nil, errors.New("its index leads to another index")
	}
	return child, nil
}

func fitsPlatform(p *oci.Platform, want string) bool {
	have := p.OS + "/" + p.Architecture
	return have == want || p.Variant != "" && have+"/"+p.Variant == want
}

// platformOf is the platform that an image says it is for.
func platformOf(ctx context.Context, in image.Repository, config oci.Descriptor) (string, error) {
	data, err := in.Blob(ctx, config, 8<<20)
	if err != nil {
		return "", err
	}
	var p struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	}
	if _, err := strict.Decode("the configuration", data, &p); err != nil {
		return "", err
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/"), nil
}

// find gives the signatures that hold over what the name leads to, and over the image of it
// that would run: a signature over an index is one over all that it lists. Where more is in one
// place than is looked at, and what was found anywhere does not suffice, it can't be told.
func (v *Verifier) find(ctx context.Context, in image.Repository, entry *Entry, name string, r *Result) (found []Vouch, rejected []Rejection, err error) {
	list := entry.signers()
	for _, s := range list {
		if s.ContentTrust == "" {
			continue
		}
		one, wrong, err := v.contentTrust(ctx, in, s, name, r)
		switch {
		case err != nil:
			return nil, nil, err
		case wrong != nil:
			rejected = append(rejected, *wrong)
		default:
			found = append(found, *one)
		}
	}
	if v.suffice(name, r, found) {
		return found, rejected, nil
	}
	found, wrong, more := v.notation(ctx, in, list, name, r, found)
	if more != nil && !errors.Is(more, notation.ErrMore) {
		return nil, nil, more
	}
	rejected = append(rejected, wrong...)
	if v.suffice(name, r, found) {
		return found, rejected, nil
	}
	groups, err := v.groups(list)
	if err != nil {
		return nil, nil, err
	}
	for _, subject := range r.signed {
		for _, g := range groups {
			ear := &listener{policy: v.Policy, entry: entry, name: name, digest: string(subject.Digest), root: g.root, now: v.Now}
			enough := func(sofar []cosign.Signature) bool {
				return v.suffice(name, r, append(slices.Clip(found), g.vouches(sofar, ear.heard, subject.Digest)...))
			}
			signatures, wrong, err := cosign.Find(ctx, in, subject.Digest, g.signers, v.Now, cosign.Options{Enough: enough, Whole: r.tag != nil, Layouts: entry.layouts(), Heard: ear.hear})
			for _, x := range wrong {
				rejected = append(rejected, Rejection{"cosign", string(x.Step), x.Where, x.Reason})
			}
			if errors.Is(err, cosign.ErrMore) {
				more = err
			} else if err != nil {
				return nil, nil, err
			}
			found = append(found, g.vouches(signatures, ear.heard, subject.Digest)...)
			if v.suffice(name, r, found) {
				return found, rejected, nil
			}
		}
	}
	return found, rejected, more
}

// contentTrust asks a server of trust what was signed as the tag, which must be the index or the
// image. The error is that it can't be told.
func (v *Verifier) contentTrust(ctx context.Context, in image.Repository, s Signer, name string, r *Result) (*Vouch, *Rejection, error) {
	reject := func(step, reason string) (*Vouch, *Rejection, error) {
		return nil, &Rejection{"dct", step, s.String(), reason}, nil
	}
	tag := in.Tag()
	if tag == "" {
		return reject(dct.StepNoTag, "the image is named by its digest alone, and content trust signs tags")
	}
	o, err := v.asking(v.Policy.Servers[s.ContentTrust])
	if err != nil {
		return nil, nil, err
	}
	target, err := dct.Resolve(ctx, o, name, tag, v.Now)
	if err == nil {
		for _, one := range r.signed {
			if err = target.Covers(string(one.Digest), one.Size); err == nil {
				return &Vouch{Signer: s, Kind: "dct", Of: one.Digest, Until: target.Expires(), Where: fmt.Sprintf("%s signed the tag %s, until %s", target.Role, tag, target.Expires().UTC().Format(time.DateOnly))}, nil, nil
			}
		}
	}
	wrong := new(dct.Error)
	if !errors.As(err, &wrong) || wrong.Step == dct.StepServer || wrong.Step == dct.StepState {
		return nil, nil, err
	}
	return reject(wrong.Step, err.Error())
}

// asking says how a server of content trust is asked. A bundle is nobody to trust at first sight:
// whoever made it could have made the root too.
func (v *Verifier) asking(s Server) (dct.Options, error) {
	o := dct.Options{Trust: dct.Trust{Server: s.URL, Keys: s.Keys, First: s.First && v.from == nil, Role: s.Role}, State: v.State, Docker: v.Docker, Registries: v.Image.Registries, From: v.from, Cache: v.Cache, Offline: v.Offline}
	var err error
	if s.CA != "" {
		o.Trust.CA, err = readBounded(s.CA)
	}
	return o, err
}

// group are signers that one set of authorities stands for.
type group struct {
	// root is the file of these authorities, "" for keys.
	root    string
	signers cosign.Signers
	// by are the policy's signers, by the identity.
	by map[cosign.Identity]Signer
}

// groups parts signers by their roots; keys need none.
func (v *Verifier) groups(list []Signer) ([]*group, error) {
	var all []*group
	at := map[string]*group{}
	of := func(root string) *group {
		g := at[root]
		if g == nil {
			g = &group{root: root, by: map[cosign.Identity]Signer{}}
			at[root] = g
			all = append(all, g)
		}
		return g
	}
	for _, s := range list {
		if s.ContentTrust != "" || s.Notation != "" {
			continue
		}
		if s.Key != "" {
			key, err := cosign.ParseKey(s.Key, []byte(v.Policy.Keys[s.Key].PEM))
			if err != nil {
				return nil, err
			}
			g := of("")
			g.signers.Keys = append(g.signers.Keys, key)
			continue
		}
		g := of(s.Root)
		if g.signers.Root == nil {
			root, err := readRoot(s.Root)
			if err != nil {
				return nil, err
			}
			g.signers.Root = root
		}
		id := cosign.Identity{Subject: s.Identity, Issuer: s.Issuer}
		g.signers.Identities = append(g.signers.Identities, id)
		g.by[id] = s
	}
	return all, nil
}

func readRoot(file string) (*cosign.Root, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	return cosign.ParseRoot(file, data)
}

func readBounded(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRoot {
		return nil, fmt.Errorf("%s has %d bytes, and %d is the most", file, info.Size(), maxRoot)
	}
	return os.ReadFile(file)
}

// vouches are signatures over a digest, and attestations about it, as a policy takes them; heard
// is what these say, in their order.
func (g *group) vouches(signatures []cosign.Signature, heard []*Statement, of digest.Digest) []Vouch {
	var list []Vouch
	for i := range signatures {
		s := &signatures[i]
		one := Vouch{Kind: "cosign", Where: s.Where, Of: of, At: s.At, Claimed: s.Claimed}
		if s.Key != nil {
			one.Signer = Signer{Key: s.Key.Name}
		} else {
			one.Signer = g.by[*s.Identity]
		}
		if s.Attests() {
			one.Says, heard = heard[0], heard[1:]
		}
		list = append(list, one)
	}
	return list
}
