package sign

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// PolicySchema names the form of a file of trust.
const PolicySchema = "plimsoll/trust/1"

// Policy says which images are trusted, and for whose word. It does not change once it is
// made.
type Policy struct {
	// File is where it was read from.
	File string
	// Keys are public keys by name, and Servers trust servers.
	Keys    map[string]Key
	Servers map[string]Server
	// Images say what images need, by their names.
	Images []*Entry
}

// Key is a public key.
type Key struct {
	// PEM is a block of SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
	PEM string `yaml:"pem"`
	// Revoked is the day on which it stopped to count, as 2006-01-02; "" is never. What it
	// signed does not count any more, whenever that was.
	Revoked string `yaml:"revoked"`
	// Why says what became of a revoked key.
	Why string `yaml:"why"`
}

// Server is a server of Docker Content Trust (Notary v1), and whose word it carries.
type Server struct {
	// URL is https://HOST[:PORT], http for loopback alone. "" is docker's own choice: the
	// registry's host, or notary.docker.io for Docker Hub.
	URL string `yaml:"url"`
	// Keys are the ids of the root keys that are trusted, as notary key list and docker trust
	// inspect have them, and CA a file with the authorities of its certificate. First trusts
	// the root that is seen first. One of the three.
	Keys  []string `yaml:"keys"`
	CA    string   `yaml:"ca"`
	First bool     `yaml:"first"`
	// Role is the delegation that must have signed, as targets/ci. "" is what docker does:
	// targets/releases, then targets.
	Role string `yaml:"role"`
}

// Entry is what images of some names need.
type Entry struct {
	// Name is a pattern of names, whole and without tag and digest, such as
	// registry.example/shop/*: a star stands for anything, slashes too. Of several that fit
	// the one with most other characters counts.
	Name string `yaml:"name"`
	// Unsigned takes images as they come from the registry: why says for what reason.
	Unsigned bool   `yaml:"unsigned"`
	Why      string `yaml:"why"`
	// Signed says who must have signed.
	Signed *Signed `yaml:"signed"`
	// Attested are the attestations that must be there, each of them. Without Signed they
	// alone vouch for the image: each is signed, and about exactly its manifest.
	Attested []Attested `yaml:"attested"`
	// Built says who may build them here, and it may stand beside the others.
	Built *Built `yaml:"built"`
	// MaxAge is how long ago it may have been signed and attested, such as 90d, "" for any
	// time. It needs a signature that proves its time.
	MaxAge string `yaml:"max_age"`
	// Platforms are those that may run, as linux/amd64; none is any.
	Platforms []string `yaml:"platforms"`

	maxAge time.Duration
	place  string // as images[2]
	line   int
}

// Place is the entry's place in the file, as messages and verdicts have it.
func (e *Entry) Place() string { return e.place }

// Line is its line in the file.
func (e *Entry) Line() int { return e.line }

// Signed says which signers suffice: any of a list, all of a list, or at least so many of
// one. A signer that is named twice counts once.
type Signed struct {
	Any       []Signer `yaml:"any"`
	All       []Signer `yaml:"all"`
	Threshold int      `yaml:"threshold"`
	Of        []Signer `yaml:"of"`
}

// Signer is who may vouch: a key, an identity that an issuer knows (sigstore keyless), or those
// who sign by a server of content trust.
type Signer struct {
	// ContentTrust is the name of one of the policy's servers.
	ContentTrust string `yaml:"content_trust"`

	// Key is the name of one of the policy's keys.
	Key string `yaml:"key"`
	// Identity is what the certificate is of, an address or the URL of a workflow; a star
	// stands for anything but a slash. Issuer is who knew it, exactly. Root is the file with
	// the authorities and logs that are trusted (trusted_root.json).
	Identity string `yaml:"identity"`
	Issuer   string `yaml:"issuer"`
	Root     string `yaml:"root"`
}

// String names a signer.
func (s Signer) String() string {
	switch {
	case s.Key != "":
		return "key " + s.Key
	case s.ContentTrust != "":
		return "content trust " + s.ContentTrust
	}
	return s.Identity + " by " + s.Issuer
}

// kinds is how many kinds of signers it is.
func (s Signer) kinds() (n int) {
	for _, is := range []bool{s.Key != "", s.Identity+s.Issuer+s.Root != "", s.ContentTrust != ""} {
		if is {
			n++
		}
	}
	return n
}

// Needs is the number of different signers that must have signed, and those that count.
func (s *Signed) Needs() (int, []Signer) {
	switch {
	case len(s.Any) > 0:
		return 1, s.Any
	case len(s.All) > 0:
		return len(s.All), s.All
	}
	return s.Threshold, s.Of
}

// document is a policy as YAML has it.
type document struct {
	Schema  string            `yaml:"schema"`
	Keys    map[string]Key    `yaml:"keys"`
	Servers map[string]Server `yaml:"content_trust"`
	Images  []*Entry          `yaml:"images"`
}

// keyName is what a key may be called.
var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// platform is OS/ARCHITECTURE[/VARIANT].
var platform = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$`)

// maxKeys and maxEntries bound a policy.
const (
	maxKeys    = 1000
	maxEntries = 1000
)

// ReadPolicy reads a policy. What is wrong in it is a *strict.Error with its line.
func ReadPolicy(name string, data []byte) (*Policy, error) {
	docs, err := strict.YAMLDocuments(name, data)
	if err != nil {
		return nil, err
	}
	if len(docs) != 1 {
		return nil, &strict.Error{File: name, Msg: fmt.Sprintf("it holds %d documents, not one", len(docs)), Hint: "begin with  schema: " + PolicySchema}
	}
	var d document
	if err := docs[0].Decode(&d); err != nil {
		return nil, err
	}
	c := checker{docs[0], &d, statements.Metered()}
	if wrong := c.check(); wrong != nil {
		return nil, wrong
	}
	return &Policy{File: name, Keys: d.Keys, Servers: d.Servers, Images: d.Images}, nil
}

// checker checks what a policy's fields say.
type checker struct {
	file *strict.Document
	*document
	// env is what expressions are compiled in.
	env *cel.Env
}

func (c checker) check() *strict.Error {
	if c.Schema != PolicySchema {
		return c.file.FailAt(fmt.Sprintf("is not %s: %.100q", PolicySchema, c.Schema), "write schema: "+PolicySchema, "schema")
	}
	if len(c.Keys) > maxKeys {
		return c.file.FailAt(fmt.Sprintf("has more than %d", maxKeys), "", "keys")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Keys)) {
		if wrong := c.key(name, c.Keys[name]); wrong != nil {
			return wrong
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Servers)) {
		if wrong := c.server(name, c.Servers[name]); wrong != nil {
			return wrong
		}
	}
	if len(c.Images) == 0 || len(c.Images) > maxEntries {
		return c.file.FailAt(fmt.Sprintf("has %d entries, and must have 1 to %d", len(c.Images), maxEntries), "write what images need, by name", "images")
	}
	seen := map[string]int{}
	for i, e := range c.Images {
		if e == nil {
			return c.file.FailAt("is empty", "", "images", i)
		}
		e.place, e.line = fmt.Sprintf("images[%d]", i), c.file.At("images", i).Line
		if wrong := c.entry(i, e); wrong != nil {
			return wrong
		}
		if before, twice := seen[e.Name]; twice {
			return c.file.FailAt(fmt.Sprintf("is that of images[%d] too", before), "write one entry for a pattern", "images", i, "name")
		}
		seen[e.Name] = i
	}
	return nil
}

func (c checker) key(name string, k Key) *strict.Error {
	if !keyName.MatchString(name) {
		return c.file.FailAt("is no name of a key", "such as release-2026", "keys", name)
	}
	if _, err := k.Public(); err != nil {
		return c.file.FailAt("is no public key: "+err.Error(), "as  openssl ec -in KEY -pubout  and  cosign public-key  write it", "keys", name, "pem")
	}
	if k.Revoked == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, k.Revoked); err != nil {
		return c.file.FailAt(fmt.Sprintf("is no day: %.100q", k.Revoked), "such as 2026-11-28", "keys", name, "revoked")
	}
	if k.Why == "" {
		return c.file.FailAt("is missing", "say why it was revoked", "keys", name, "why")
	}
	return nil
}

func (c checker) server(name string, s Server) *strict.Error {
	if !keyName.MatchString(name) {
		return c.file.FailAt("is no name of a server", "such as acme", "content_trust", name)
	}
	if s.URL != "" {
		if u, err := url.Parse(s.URL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return c.file.FailAt(fmt.Sprintf("is no server: %.100q", s.URL), "such as https://notary.example", "content_trust", name, "url")
		}
	}
	ways := 0
	for _, way := range []bool{len(s.Keys) > 0, s.CA != "", s.First} {
		if way {
			ways++
		}
	}
	if ways != 1 {
		return c.file.FailAt("must have one of keys, ca and first", "such as  keys: [ID OF THE ROOT KEY]", "content_trust", name)
	}
	return nil
}

func (c checker) entry(i int, e *Entry) *strict.Error {
	fail := func(msg, hint string, steps ...any) *strict.Error {
		return c.file.FailAt(msg, hint, append([]any{"images", i}, steps...)...)
	}
	if e.Name == "" || strings.ContainsAny(e.Name, "[]?\\@ ") || strings.Contains(e.Name[strings.LastIndexByte(e.Name, '/')+1:], ":") {
		return fail(fmt.Sprintf("is no pattern of names: %.100q", e.Name), `such as "registry.example/shop/*", without tag or digest`, "name")
	}
	if host, _, _ := strings.Cut(e.Name, "/"); e.Name != "*" && !strings.ContainsAny(host, ".:*") && host != "localhost" {
		return fail(fmt.Sprintf("does not begin with a registry: %.100q", e.Name), "names are whole here: docker.io/library/nginx", "name")
	}
	switch {
	case e.Unsigned && e.Signed != nil:
		return fail("says unsigned and signed", "leave one of them out")
	case e.Unsigned && len(e.Attested) > 0:
		return fail("says unsigned and attested", "leave one of them out: who attests signs what they say")
	case e.Unsigned && e.Why == "":
		return fail("is missing", "say why images of that name are taken without a signature", "why")
	case e.Signed == nil && len(e.Attested) == 0 && e.MaxAge != "":
		return fail("needs a signature", "leave it out, or say who must have signed", "max_age")
	case !e.Unsigned && e.Signed == nil && len(e.Attested) == 0 && e.Built == nil:
		return fail("says neither who must have signed, attested or built, nor that unsigned images are taken", "add  signed: {any: [{key: NAME}]}  or  built: {by: [USER]}  or  unsigned: true  with the reason")
	}
	if e.MaxAge != "" {
		var wrong error
		if e.maxAge, wrong = strict.Age(e.MaxAge); wrong != nil {
			return fail(fmt.Sprintf("is no age: %.100q", e.MaxAge), "such as 12h, 90d or 6w", "max_age")
		}
	}
	for n, p := range e.Platforms {
		if !platform.MatchString(p) {
			return fail(fmt.Sprintf("is no platform: %.100q", p), "such as linux/amd64", "platforms", n)
		}
	}
	if e.Built != nil {
		if wrong := c.built(i, e.Built); wrong != nil {
			return wrong
		}
	}
	if e.Signed != nil {
		if wrong := c.signed(i, e.Signed); wrong != nil {
			return wrong
		}
	}
	return c.attested(i, e)
}

func (c checker) signed(i int, s *Signed) *strict.Error {
	fail := func(msg, hint string, steps ...any) *strict.Error {
		return c.file.FailAt(msg, hint, append([]any{"images", i, "signed"}, steps...)...)
	}
	name, list, ways := "", []Signer(nil), 0
	for _, way := range []struct {
		name string
		list []Signer
	}{{"any", s.Any}, {"all", s.All}, {"of", s.Of}} {
		if len(way.list) > 0 {
			name, list = way.name, way.list
			ways++
		}
	}
	if ways != 1 || (s.Threshold != 0) != (len(s.Of) > 0) {
		return fail("must have one of any, all, and threshold with of", "such as  any: [{key: release}]")
	}
	if wrong := c.signers(fail, name, list); wrong != nil {
		return wrong
	}
	if need, _ := s.Needs(); need < 1 || need > c.distinct(list) {
		return fail(fmt.Sprintf("is %d, of %d different signers", need, c.distinct(list)), "such as 2", "threshold")
	}
	return nil
}

// signers checks a list of those who may vouch; fail is for steps below what has the list.
func (c checker) signers(fail func(msg, hint string, steps ...any) *strict.Error, name string, list []Signer) *strict.Error {
	for n, one := range list {
		switch {
		case one.kinds() > 1:
			return fail("is a key and an identity, or content trust", "write two signers", name, n)
		case one.Key+one.Identity+one.ContentTrust == "":
			return fail("is neither a key nor an identity nor content trust", "such as  {key: release}", name, n)
		case one.ContentTrust != "":
			if _, is := c.Servers[one.ContentTrust]; !is {
				return fail(fmt.Sprintf("names no server of this file: %.100q", one.ContentTrust), "add it to content_trust", name, n, "content_trust")
			}
		case one.Key != "":
			if _, is := c.Keys[one.Key]; !is {
				return fail(fmt.Sprintf("names no key of this file: %.100q", one.Key), "add it to keys", name, n, "key")
			}
		case one.Issuer == "" || one.Root == "":
			return fail("is an identity without issuer and root", "whoever knows the identity must be named, and the file with the authorities that are trusted", name, n)
		case strings.Trim(one.Identity, "*/") == "":
			return fail("fits everybody", "name who may sign", name, n, "identity")
		}
		if slices.Index(list, one) < n {
			return fail("is there twice", "a signer counts once", name, n)
		}
	}
	return nil
}

// distinct is how many different signers there are.
func (c checker) distinct(list []Signer) int {
	p := &Policy{Keys: c.Keys}
	seen := map[string]bool{}
	for _, s := range list {
		seen[p.identify(s)] = true
	}
	return len(seen)
}

// Public is the key itself: *ecdsa.PublicKey, ed25519.PublicKey or *rsa.PublicKey.
func (k Key) Public() (any, error) {
	block, rest := pem.Decode([]byte(k.PEM))
	switch {
	case block == nil:
		return nil, fmt.Errorf("there is no PEM block in it")
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("its PEM block is a %.50q", block.Type)
	case strings.TrimSpace(string(rest)) != "":
		return nil, fmt.Errorf("something follows its PEM block")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// For gives the entry that counts for a name, whole and without tag and digest: of those
// that fit the one with most characters that are no stars. Nil is that none fits.
func (p *Policy) For(name string) *Entry {
	var best *Entry
	for _, e := range p.Images {
		if workload.NameFits(e.Name, name) && (best == nil || literal(e.Name) > literal(best.Name)) {
			best = e
		}
	}
	return best
}

// literal is how many characters of a pattern stand for themselves.
func literal(pattern string) int { return len(pattern) - strings.Count(pattern, "*") }
