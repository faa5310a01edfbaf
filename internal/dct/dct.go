package dct

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/image"
)

// Trust says which server is asked, and whose root is trusted.
type Trust struct {
	// Server is the trust server, https://HOST[:PORT]; http is for loopback alone. "" is
	// docker's own choice: notary.docker.io for Docker Hub, else the registry's host.
	Server string
	// Keys are the ids of root keys that are trusted: with the certificate, as notary's
	// trust_pinning and docker trust inspect have them, or without, as notary key list has
	// them.
	Keys []string
	// CA are authorities, as PEM, one of which must have issued the root's certificate.
	CA []byte
	// First trusts the root that is seen first, where neither of the two is given.
	First bool
	// Role is the delegation, such as targets/ci, that must have signed. "" is what docker
	// does: targets/releases, and where that has no such tag, targets.
	Role string
}

// Options says how to verify.
type Options struct {
	Trust Trust
	// State is the folder in which what was seen is remembered, which is made if need be.
	State string
	// Docker is docker's folder of trust (~/.docker/trust), whose root is the first that is
	// trusted where it has one; "" for none.
	Docker string
	// Registries says how servers are spoken to. Its Insecure and Mirrors do not count here.
	Registries image.Registries
	// From gives what the server of a host gave at a path, of no more than so many bytes,
	// where it cannot be asked itself; nil asks it. What is not there is image.ErrNotFound.
	From func(ctx context.Context, host, path string, most int64) ([]byte, error)
	// Cache keeps documents by their hashes, so that one that has not changed is not asked for
	// again. Offline the server is not asked at all: the newest that was seen counts.
	Cache   image.Cache
	Offline bool
}

// Target is an image that was signed.
type Target struct {
	GUN, Tag string
	// Digest is the manifest's, as sha256:HEX, and Length its bytes.
	Digest string
	Length int64
	// Role is who signed the tag, and Keys the ids of the keys, without certificates, whose
	// signatures over its list hold.
	Role string
	Keys []string
	// Documents are those that led to it, from the root on.
	Documents []Document
	// First is true where the root was trusted because nothing was known before.
	First bool
}

// Document is one that was verified, with the keys whose signatures hold.
type Document struct {
	Role    string
	Version int64
	Expires time.Time
	Keys    []string
}

// Expires is when the first of the documents does: what was verified holds until then.
func (t *Target) Expires() time.Time {
	first := t.Documents[0].Expires
	for _, d := range t.Documents {
		if d.Expires.Before(first) {
			first = d.Expires
		}
	}
	return first
}

// Covers says whether a manifest is the one that was signed; the error's step is StepDigest.
func (t *Target) Covers(digest string, length int64) error {
	if digest != t.Digest || length != t.Length {
		return &Error{Step: StepDigest, GUN: t.GUN, Role: t.Role, Msg: fmt.Sprintf("%s is %.100s of %d bytes, and %s of %d bytes was signed", t.Tag, digest, length, t.Digest, t.Length)}
	}
	return nil
}

// client is one verification.
type client struct {
	o           Options
	gun         string
	base        string // of the server, as it is remembered
	host        string
	service     *image.Service
	authorities *x509.CertPool
	memory      *memory
	now         time.Time

	root    *document[rootBody]
	rootBy  []string
	trusted []string // the ids of the keys that led to the root
	seen    map[string]seen
	fetched bool // the root is the server's newest
	put     bool // something new is in the cache
}

// list is a list of tags that was verified, for those tags that begin with one of the paths.
type list struct {
	Document
	paths []string
	body  *targetsBody
}

// Resolve finds what was signed as the tag of a repository, whose name is whole, without tag
// and digest, as docker.io/library/nginx. Every error is an *Error, but for a name or options
// that cannot be.
func Resolve(ctx context.Context, o Options, gun, tag string, now time.Time) (Target, error) {
	c, err := newClient(o, gun, now)
	if err != nil {
		return Target{}, err
	}
	if !isTag(gun, tag) {
		return Target{}, fmt.Errorf("%.200q is no tag", tag)
	}
	var t *Target
	v, wrong := c.verify(ctx)
	if wrong == nil {
		t, wrong = v.find(tag)
	}
	if wrong != nil {
		wrong.GUN = gun
		return Target{}, wrong
	}
	return *t, nil
}

// isTag is true for what may be a tag of a repository.
func isTag(gun, tag string) bool {
	named, err := reference.ParseNormalizedNamed(gun)
	if err == nil {
		_, err = reference.WithTag(named, tag)
	}
	return err == nil
}

// newClient makes a client of a repository's server.
func newClient(o Options, gun string, now time.Time) (*client, error) {
	named, err := reference.ParseNormalizedNamed(gun)
	if err != nil || named.Name() != gun {
		return nil, fmt.Errorf("%.200q is no whole name of a repository, as docker.io/library/nginx", gun)
	}
	if r := o.Trust.Role; r != "" && r != roleTargets && !isDelegation(r) {
		return nil, fmt.Errorf("%.200q is no role that signs tags, such as targets/releases", r)
	}
	if o.State == "" {
		return nil, errors.New("verifying content trust needs a folder to remember what was seen in")
	}
	c := &client{o: o, gun: gun, now: now, seen: map[string]seen{}}
	if o.Trust.CA != nil {
		c.authorities = x509.NewCertPool()
		if !c.authorities.AppendCertsFromPEM(o.Trust.CA) {
			return nil, errors.New("the authorities of content trust are no PEM of certificates")
		}
	}
	c.host, err = c.server(reference.Domain(named))
	return c, err
}

// server sets the address of the server and gives its host.
func (c *client) server(registry string) (string, error) {
	c.base = strings.TrimSuffix(c.o.Trust.Server, "/")
	switch {
	case c.base != "":
	case registry == "docker.io":
		c.base = "https://notary.docker.io"
	default:
		c.base = "https://" + registry
	}
	u, err := url.Parse(c.base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != c.base {
		return "", fmt.Errorf("%.200q is no trust server: write https://HOST or https://HOST:PORT", c.base)
	}
	at, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && !at.IsLoopback() {
		return "", fmt.Errorf("%.200q is asked in the clear: only a trust server on loopback may be", c.base)
	}
	return u.Host, nil
}

// begin begins to speak to the server.
func (c *client) begin(ctx context.Context) *Error {
	r := c.o.Registries
	r.Insecure, r.Mirrors = nil, nil
	var err error
	if c.service, err = image.OpenService(ctx, c.host, "repository:"+c.gun+":pull", maxDocument, r); err != nil {
		return &Error{Step: StepServer, Msg: "the server cannot be asked", Err: err}
	}
	return nil
}

// verified are the lists of tags that count, the first first, and the documents that led to
// them.
type verified struct {
	gun       string
	lists     []list
	documents []Document
	first     bool
}

func (c *client) verify(ctx context.Context) (*verified, *Error) {
	var wrong *Error
	state := folder(c.o.State)
	if c.memory, wrong = state.recall(c.base, c.gun); wrong != nil {
		return nil, wrong
	}
	if c.memory.At.After(c.now) {
		c.now = c.memory.At
	}
	c.trusted = slices.Clone(c.memory.Trusted)
	if c.o.From == nil && !c.o.Offline {
		if wrong := c.begin(ctx); wrong != nil {
			return nil, wrong
		}
		defer c.service.Close()
	}
	first := len(c.memory.Root) == 0
	if wrong := c.trust(ctx); wrong != nil {
		return nil, wrong
	}
	lists, documents, wrong := c.follow(ctx)
	if wrong != nil && slices.Contains([]string{StepTimestamp, StepSnapshot, StepTargets, StepExpired}, wrong.Step) && !c.fetched {
		newer, worse := c.rotate(ctx)
		switch {
		case worse != nil && worse.Step != StepServer && worse.Step != StepNoData:
			wrong = worse
		case newer && worse == nil:
			lists, documents, wrong = c.follow(ctx)
		}
	}
	if c.put {
		c.o.Cache.Trim()
	}
	// What was verified on the way is kept even if it led nowhere; but not a first root, which
	// anybody's could be.
	if wrong == nil || !first {
		if bad := c.keep(wrong == nil); wrong == nil {
			wrong = bad
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	return &verified{c.gun, lists, documents, first && c.fetched && len(c.o.Trust.Keys) == 0 && c.authorities == nil}, nil
}

// rest is how long the time alone is not written down anew.
const rest = time.Hour

// keep remembers what was seen, and the time where all of it was valid then.
func (c *client) keep(valid bool) *Error {
	nothing := len(c.memory.Root) > 0
	for role, s := range c.seen {
		nothing = nothing && c.memory.Seen[role] == s
	}
	if nothing && (!valid || c.now.Sub(c.memory.At) < rest) {
		return nil
	}
	m := *c.memory
	m.Root, m.Trusted, m.Seen = c.root.data, c.trusted, map[string]seen{}
	if valid {
		m.At = c.now
	}
	for role, s := range c.memory.Seen {
		m.Seen[role] = s
	}
	for role, s := range c.seen {
		m.Seen[role] = s
	}
	return folder(c.o.State).keep(&m)
}

// path is that of a document of the server's.
func (c *client) path(name string) string { return "/v2/" + c.gun + "/_trust/tuf/" + name + ".json" }

// hashed is Notary's name of a version that does not change any more.
func hashed(role string, meta fileMeta) string {
	return fmt.Sprintf("%s.%x", role, meta.Hashes["sha256"])
}

// get reads a document of the server's.
func (c *client) get(ctx context.Context, name, role string, most int64) ([]byte, *Error) {
	var data []byte
	var err error
	if c.o.Offline {
		return c.kept(name, role)
	}
	if c.o.From != nil {
		data, err = c.o.From(ctx, c.host, c.path(name), most)
	} else {
		data, err = c.service.Get(ctx, c.path(name), most)
	}
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, image.ErrNotFound) && (name == roleRoot || name == roleTimestamp):
		wrong := &Error{Step: StepNoData, Role: role, Msg: c.base + " knows nothing of the name", Err: err}
		if len(c.memory.Root) > 0 {
			wrong.Msg += ", and did on " + date(c.memory.At)
		}
		return nil, wrong
	case errors.Is(err, image.ErrTooLong):
		return nil, &Error{Step: StepTooLarge, Role: role, Msg: "it is too long", Err: err}
	}
	return nil, &Error{Step: StepServer, Role: role, Msg: "the server does not give it", Err: err}
}

// kept is the newest document of a role that was seen, where the server is not asked.
func (c *client) kept(name, role string) ([]byte, *Error) {
	if name == roleRoot && len(c.memory.Root) > 0 {
		return c.memory.Root, nil
	}
	if name == roleTimestamp {
		if data, there := c.o.Cache.Get(digest.Digest("sha256:"+c.memory.Seen[role].SHA256), maxTimestamp); there {
			return data, nil
		}
	}
	return nil, &Error{Step: StepServer, Role: role, Msg: "the server is not asked", Err: image.ErrNotKept}
}

// stepOf is the step that refuses a document of a role, not the root, that is not signed as it
// should be.
func stepOf(role string) string {
	switch role {
	case roleTimestamp:
		return StepTimestamp
	case roleSnapshot:
		return StepSnapshot
	case roleTargets:
		return StepTargets
	}
	return StepDelegation
}

// load gets a document, the one that want names unless that is nil, and verifies it.
func load[T any, P interface {
	*T
	body
}](ctx context.Context, c *client, role string, by signers, want *fileMeta, most int64) (*T, Document, *Error) {
	name := role
	if want != nil {
		name = hashed(role, *want)
		if want.Length > most {
			return nil, Document{}, fail(StepTooLarge, role, "it has %d bytes, and %d is the most", want.Length, most)
		}
	}
	var data []byte
	there := false
	if want != nil {
		data, there = c.o.Cache.Get(digest.NewDigestFromBytes(digest.SHA256, want.Hashes["sha256"]), want.Length)
	}
	if !there {
		var wrong *Error
		if data, wrong = c.get(ctx, name, role, most); wrong != nil {
			return nil, Document{}, wrong
		}
	}
	if want != nil {
		if why := want.is(data); why != "" {
			return nil, Document{}, fail(stepOf(role), role, "it is not the one that is meant: %s", why)
		}
	}
	d, wrong := read[T, P](role, data)
	if wrong != nil {
		return nil, Document{}, wrong
	}
	h := P(&d.body).common()
	is := Document{Role: role, Version: h.Version, Expires: h.Expires}
	var err error
	if is.Keys, err = by.signed(d.message, d.signatures); err != nil {
		wrong := &Error{Step: stepOf(role), Role: role, Msg: "it is not signed as it should be", Err: err}
		if wrong.Step == StepDelegation {
			wrong.Hint = "where its keys were changed, who has the new ones signs it anew:  notary witness " + c.gun + " " + role + " --publish"
		}
		return nil, is, wrong
	}
	now := seen{h.Version, fmt.Sprintf("%x", sha256.Sum256(data))}
	switch before := c.memory.Seen[role]; {
	case now.Version < before.Version:
		return nil, is, fail(StepRollback, role, "its version is %d, and %d was seen", now.Version, before.Version)
	case now.Version == before.Version && now != before:
		return nil, is, fail(StepRollback, role, "it is another of version %d than was seen", now.Version)
	}
	if wrong := c.expired(role, h); wrong != nil {
		return nil, is, wrong
	}
	if c.seen[role] = now; !there && c.o.Cache.Put(digest.FromBytes(data), data) {
		c.put = true
	}
	return &d.body, is, nil
}

func (c *client) expired(role string, h *head) *Error {
	if !c.now.Before(h.Expires) {
		wrong := fail(StepExpired, role, "it expired on %s", date(h.Expires))
		if role == roleTimestamp {
			wrong.Hint = "a server that is well makes a new one before that: somebody may hold new signatures back"
		}
		return wrong
	}
	return nil
}

// follow goes from the root to the lists of tags that count, the first first, and gives the
// documents that led there.
func (c *client) follow(ctx context.Context) ([]list, []Document, *Error) {
	root := &c.root.body
	signersOf := func(role string) signers { return root.Roles[role].signers(root.Keys) }
	if wrong := c.expired(roleRoot, &root.head); wrong != nil {
		return nil, nil, wrong
	}
	documents := []Document{{roleRoot, root.Version, root.Expires, c.rootBy}}
	timestamp, is, wrong := load[listBody](ctx, c, roleTimestamp, signersOf(roleTimestamp), nil, maxTimestamp)
	if wrong != nil {
		return nil, nil, wrong
	}
	documents = append(documents, is)
	want := timestamp.Meta[roleSnapshot]
	snapshot, is, wrong := load[listBody](ctx, c, roleSnapshot, signersOf(roleSnapshot), &want, maxDocument)
	if wrong != nil {
		return nil, nil, wrong
	}
	documents = append(documents, is)
	if why := snapshot.Meta[roleRoot].is(c.root.data); why != "" {
		return nil, nil, fail(StepSnapshot, roleSnapshot, "it goes with another root: %s", why)
	}
	want = snapshot.Meta[roleTargets]
	targets, is, wrong := load[targetsBody](ctx, c, roleTargets, signersOf(roleTargets), &want, maxDocument)
	if wrong != nil {
		return nil, nil, wrong
	}
	top := list{is, []string{""}, targets}
	documents = append(documents, is)
	role := c.o.Trust.Role
	switch role {
	case roleTargets:
		return []list{top}, documents, nil
	case "":
		releases, wrong := c.below(ctx, top, roleReleases, snapshot)
		if wrong != nil {
			return nil, nil, wrong
		}
		if releases == nil {
			return []list{top}, documents, nil
		}
		return []list{*releases, top}, append(documents, releases.Document), nil
	}
	at := &top
	for i := range role {
		if i < len(roleTargets)+1 || role[i] != '/' {
			continue
		}
		if at, wrong = c.named(ctx, *at, role[:i], snapshot); wrong != nil {
			return nil, nil, wrong
		}
		documents = append(documents, at.Document)
	}
	if at, wrong = c.named(ctx, *at, role, snapshot); wrong != nil {
		return nil, nil, wrong
	}
	return []list{*at}, append(documents, at.Document), nil
}

// named is below for a delegation that must be there.
func (c *client) named(ctx context.Context, above list, role string, snapshot *listBody) (*list, *Error) {
	l, wrong := c.below(ctx, above, role, snapshot)
	if l == nil && wrong == nil {
		return nil, fail(StepDelegation, role, "%s delegates nothing to it, or it has signed nothing", above.Role)
	}
	return l, wrong
}

// below reads the list of a delegation; nil is that there is none, or that it has signed
// nothing yet.
func (c *client) below(ctx context.Context, above list, role string, snapshot *listBody) (*list, *Error) {
	i := slices.IndexFunc(above.body.Delegations.Roles, func(d delegation) bool { return d.Name == role })
	if i < 0 {
		return nil, nil
	}
	d := above.body.Delegations.Roles[i]
	want, is := snapshot.Meta[role]
	if !is {
		// The server signs the snapshot: it could leave out what it wants nobody to see.
		if before := c.memory.Seen[role]; before.Version > 0 {
			return nil, fail(StepRollback, role, "the snapshot leaves it out, and version %d was seen", before.Version)
		}
		return nil, nil
	}
	body, doc, wrong := load[targetsBody](ctx, c, role, d.signers(above.body.Delegations.Keys), &want, maxDocument)
	if wrong != nil {
		return nil, wrong
	}
	return &list{doc, d.within(above.paths), body}, nil
}

// find looks a tag up.
func (v *verified) find(tag string) (*Target, *Error) {
	var roles []string
	for _, l := range v.lists {
		roles = append(roles, l.Role)
		if f, is := l.body.Targets[tag]; is && covers(l.paths, tag) {
			return &Target{GUN: v.gun, Tag: tag, Digest: fmt.Sprintf("sha256:%x", f.Hashes["sha256"]), Length: f.Length,
				Role: l.Role, Keys: l.Keys, Documents: v.documents, First: v.first}, nil
		}
	}
	return nil, fail(StepNoTag, "", "%s has not signed the tag %.128q", strings.Join(roles, " and "), tag)
}
