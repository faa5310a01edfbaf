package dct

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// The bounds of metadata. Notary's own are 100 MiB a document, and none of the others.
const (
	maxRoot       = 1 << 20
	maxTimestamp  = 1 << 20
	maxDocument   = 8 << 20
	maxSignatures = 64
	maxKeys       = 256 // of a document
	maxRoles      = 64  // delegations of a document, and roles of a root
	maxPaths      = 1024
	maxVersion    = 1<<31 - 1 // Notary's columns
)

// The roles that every repository has, and the one that docker's client reads before them.
const (
	roleRoot      = "root"
	roleTimestamp = "timestamp"
	roleSnapshot  = "snapshot"
	roleTargets   = "targets"
	roleReleases  = "targets/releases"
)

// head is what all metadata begins with.
type head struct {
	Type    string    `json:"_type"`
	Expires time.Time `json:"expires"`
	Version int64     `json:"version"`
}

func (h *head) common() *head { return h }

// signature is one of a document's.
type signature struct {
	KeyID  string `json:"keyid"`
	Method string `json:"method"`
	Sig    []byte `json:"sig"`
}

// rootBody says which keys sign what.
type rootBody struct {
	head
	Keys       map[string]tufKey   `json:"keys"`
	Roles      map[string]roleKeys `json:"roles"`
	Consistent bool                `json:"consistent_snapshot"`
}

type roleKeys struct {
	KeyIDs    []string `json:"keyids"`
	Threshold int      `json:"threshold"`
}

// listBody is a timestamp, which names the snapshot, or a snapshot, which names all others.
type listBody struct {
	head
	Meta map[string]fileMeta `json:"meta"`
}

// fileMeta is how long a document or an image's manifest is, and its hashes, by sha256 and
// sha512. Custom is whatever the signer adds.
type fileMeta struct {
	Length int64             `json:"length"`
	Hashes map[string][]byte `json:"hashes"`
	Custom any               `json:"custom"`
}

// targetsBody is a list of tags, and of who else may write such lists.
type targetsBody struct {
	head
	Targets     map[string]fileMeta `json:"targets"`
	Delegations struct {
		Keys  map[string]tufKey `json:"keys"`
		Roles []delegation      `json:"roles"`
	} `json:"delegations"`
}

// delegation is who may sign tags that begin with one of the paths.
type delegation struct {
	roleKeys
	Name  string   `json:"name"`
	Paths []string `json:"paths"`
}

// body is what a document holds.
type body interface {
	common() *head
	// check says what cannot be in a document of a role.
	check(role string) *Error
}

// document is metadata that was read, and whose signatures were not looked at yet.
type document[T any] struct {
	data []byte // as it came
	body T
	// message is what is signed.
	message    []byte
	signatures []signature
}

// types are what documents say that they are.
var types = map[string]string{roleRoot: "Root", roleTimestamp: "Timestamp", roleSnapshot: "Snapshot"}

// read reads a document of a role.
func read[T any, P interface {
	*T
	body
}](role string, data []byte) (*document[T], *Error) {
	var file struct {
		Signed     T           `json:"signed"`
		Signatures []signature `json:"signatures"`
	}
	malformed := func(err error) *Error {
		return &Error{Step: StepMalformed, Role: role, Msg: "it is not what Notary writes", Err: err}
	}
	if err := strict.JSON(role+".json", data, &file); err != nil {
		return nil, malformed(err)
	}
	root, err := strict.Tree(role+".json", data)
	if err != nil {
		return nil, malformed(err)
	}
	part := root.Get("signed")
	if part == nil || part.Kind != strict.Object {
		return nil, fail(StepMalformed, role, "there is nothing in it that is signed")
	}
	var message bytes.Buffer
	if err := canonical(&message, part); err != nil {
		return nil, malformed(err)
	}
	d := &document[T]{data: data, body: file.Signed, message: message.Bytes(), signatures: file.Signatures}
	h := P(&d.body).common()
	want := types[role]
	if want == "" {
		want = "Targets"
	}
	switch {
	case h.Type != want:
		return nil, fail(StepMalformed, role, "it says that it is a %.40q, not a %q", h.Type, want)
	case h.Version < 1 || h.Version > maxVersion:
		return nil, fail(StepMalformed, role, "its version is %d", h.Version)
	case h.Expires.IsZero():
		return nil, fail(StepMalformed, role, "it does not say when it expires")
	case len(d.signatures) > maxSignatures:
		return nil, fail(StepTooLarge, role, "it has %d signatures, and %d is the most", len(d.signatures), maxSignatures)
	}
	if wrong := P(&d.body).check(role); wrong != nil {
		return nil, wrong
	}
	return d, nil
}

func (r *rootBody) check(string) *Error {
	if len(r.Keys) > maxKeys || len(r.Roles) > maxRoles {
		return fail(StepTooLarge, roleRoot, "it has %d keys and %d roles, and %d and %d are the most", len(r.Keys), len(r.Roles), maxKeys, maxRoles)
	}
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		if wrong := r.Roles[role].check(roleRoot, role, r.Keys); wrong != nil {
			return wrong
		}
	}
	return nil
}

// check says what cannot be of a role's keys.
func (r roleKeys) check(in, role string, keys map[string]tufKey) *Error {
	if r.Threshold < 1 || len(r.KeyIDs) > maxKeys {
		return fail(StepMalformed, in, "%d of %d keys are to sign %s", r.Threshold, len(r.KeyIDs), role)
	}
	for _, id := range r.KeyIDs {
		if k, is := keys[id]; !is || keyID(k.Type, k.Value.Public) != id {
			return fail(StepMalformed, in, "the key %.80q of %s is not there, or is another", id, role)
		}
	}
	return nil
}

// signers reads a role's keys, each once. Those that cannot be read do not count.
func (r roleKeys) signers(keys map[string]tufKey) signers {
	s := signers{threshold: r.Threshold}
	ids := slices.Compact(slices.Sorted(slices.Values(r.KeyIDs)))
	for _, id := range ids {
		if k, err := keys[id].read(); err == nil {
			s.keys = append(s.keys, k)
		}
	}
	return s
}

func (l *listBody) check(role string) *Error {
	needs := []string{roleSnapshot}
	if role == roleSnapshot {
		needs = []string{roleRoot, roleTargets}
	}
	for _, name := range needs {
		if _, is := l.Meta[name]; !is {
			return fail(StepMalformed, role, "it does not name the %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Meta)) {
		if wrong := l.Meta[name].check(role, name); wrong != nil {
			return wrong
		}
	}
	return nil
}

// check says what cannot be of a length and hashes: sha256 must be there.
func (f fileMeta) check(in, name string) *Error {
	if f.Length < 0 || len(f.Hashes["sha256"]) != sha256.Size {
		return fail(StepMalformed, in, "it has no length or no SHA-256 of %.80q", name)
	}
	if long, is := f.Hashes["sha512"]; is && len(long) != sha512.Size {
		return fail(StepMalformed, in, "the SHA-512 of %.80q has %d bytes", name, len(long))
	}
	return nil
}

// is says why bytes are not those that are meant, "" where they are.
func (f fileMeta) is(data []byte) string {
	short, long := sha256.Sum256(data), sha512.Sum512(data)
	want, both := f.Hashes["sha512"]
	switch {
	case int64(len(data)) != f.Length:
		return fmt.Sprintf("it has %d bytes, not %d", len(data), f.Length)
	case !bytes.Equal(short[:], f.Hashes["sha256"]):
		return fmt.Sprintf("its SHA-256 is %x, not %x", short, f.Hashes["sha256"])
	case both && !bytes.Equal(long[:], want):
		return "its SHA-512 is another"
	}
	return ""
}

func (t *targetsBody) check(role string) *Error {
	d := &t.Delegations
	if len(d.Roles) > maxRoles || len(d.Keys) > maxKeys {
		return fail(StepTooLarge, role, "it has %d delegations with %d keys, and %d and %d are the most", len(d.Roles), len(d.Keys), maxRoles, maxKeys)
	}
	seen := map[string]bool{}
	for _, one := range d.Roles {
		if !isDelegation(one.Name) || path.Dir(one.Name) != role || seen[one.Name] {
			return fail(StepMalformed, role, "it cannot delegate to %.80q", one.Name)
		}
		seen[one.Name] = true
		if wrong := one.check(role, one.Name, d.Keys); wrong != nil {
			return wrong
		}
		if len(one.Paths) > maxPaths {
			return fail(StepTooLarge, role, "%s has %d paths, and %d is the most", one.Name, len(one.Paths), maxPaths)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Targets)) {
		if wrong := t.Targets[name].check(role, name); wrong != nil {
			return wrong
		}
	}
	return nil
}

// delegationName is what a delegation may be called, which becomes a part of a URL.
var delegationName = regexp.MustCompile(`^targets(/[-a-z0-9_]+)+$`)

// isDelegation is true for the name of a delegation, as Notary takes it.
func isDelegation(name string) bool { return len(name) < 256 && delegationName.MatchString(name) }

// within are those paths of a delegation that the one above may give away.
func (d delegation) within(above []string) []string {
	var paths []string
	for _, p := range d.Paths {
		if slices.ContainsFunc(above, func(a string) bool { return strings.HasPrefix(p, a) }) {
			paths = append(paths, p)
		}
	}
	return paths
}

// covers is true where a tag begins with one of the paths.
func covers(paths []string, tag string) bool {
	return slices.ContainsFunc(paths, func(p string) bool { return strings.HasPrefix(tag, p) })
}
