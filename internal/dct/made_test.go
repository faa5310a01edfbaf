package dct

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// name is the repository that tests are about.
const name = "reg.example/team/app"

// object is a part of metadata that a test makes.
type object = map[string]any

// pair is a key with its private part.
type pair struct {
	id     string
	public object
	method string
	sign   func(message []byte) []byte
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newPair makes a key of a kind; cn is the name on its certificate, if it has one.
func newPair(kind, cn string) *pair {
	p := &pair{}
	var public []byte
	var signer crypto.Signer
	switch strings.TrimSuffix(kind, "-x509") {
	case "ecdsa":
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		signer, p.method = key, "ecdsa"
		p.sign = func(m []byte) []byte {
			sum := sha256.Sum256(m)
			r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
			must(0, err)
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case "rsa":
		key := must(rsa.GenerateKey(rand.Reader, minRSA))
		signer, p.method = key, "rsapss"
		p.sign = func(m []byte) []byte {
			sum := sha256.Sum256(m)
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: sha256.Size}))
		}
	case "ed25519":
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		must(0, err)
		public, p.method = pub, "eddsa"
		p.sign = func(m []byte) []byte { return ed25519.Sign(key, m) }
	}
	if public == nil {
		public = must(x509.MarshalPKIXPublicKey(signer.Public()))
	}
	if strings.HasSuffix(kind, "-x509") {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0), BasicConstraintsValid: true}
		public = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: must(x509.CreateCertificate(rand.Reader, c, c, signer.Public(), signer))})
	}
	p.id = keyID(kind, public)
	p.public = object{"keytype": kind, "keyval": object{"private": nil, "public": public}}
	return p
}

// made is a repository of metadata that a test makes and may spoil. What names what by hash
// is filled in when it is written.
type made struct {
	parts map[string]object  // by role, what is signed
	by    map[string][]*pair // by role, who signs
	files map[string][]byte  // by name of the URL, what was written
	same  map[string][]byte  // by what is signed by whom, the signed, which is not signed anew
}

// newMade is a repository as Notary makes it, with one tag, "1".
func newMade() *made {
	expires := time.Now().AddDate(1, 0, 0)
	head := func(kind string) object { return object{"_type": kind, "expires": expires, "version": 1} }
	m := &made{parts: map[string]object{}, by: map[string][]*pair{}, files: map[string][]byte{}, same: map[string][]byte{}}
	for role, kind := range map[string]string{roleRoot: "Root", roleTimestamp: "Timestamp", roleSnapshot: "Snapshot", roleTargets: "Targets"} {
		m.parts[role] = head(kind)
		m.by[role] = []*pair{newPair("ecdsa", "")}
	}
	m.by[roleRoot] = []*pair{newPair("ecdsa-x509", name)}
	m.parts[roleTargets]["targets"] = object{"1": metaOf([]byte("one"))}
	m.parts[roleTargets]["delegations"] = object{"keys": object{}, "roles": []any{}}
	m.keys(1)
	return m
}

// keys has the root name the keys that sign, of which so many must.
func (m *made) keys(threshold int) {
	keys, roles := object{}, object{}
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		var ids []string
		for _, p := range m.by[role] {
			keys[p.id] = p.public
			ids = append(ids, p.id)
		}
		roles[role] = object{"keyids": ids, "threshold": min(threshold, len(ids))}
	}
	root := m.parts[roleRoot]
	root["keys"], root["roles"], root["consistent_snapshot"] = keys, roles, false
}

// delegate has a role delegate to another, by a key for tags that begin with a path, and
// gives the list that this makes.
func (m *made) delegate(from, to string, p *pair, paths ...string) object {
	d := m.parts[from]["delegations"].(object)
	d["keys"].(object)[p.id] = p.public
	d["roles"] = append(d["roles"].([]any), object{"name": to, "keyids": []string{p.id}, "threshold": 1, "paths": paths})
	m.parts[to] = object{"_type": "Targets", "expires": time.Now().AddDate(1, 0, 0), "version": 1, "targets": object{}, "delegations": object{"keys": object{}, "roles": []any{}}}
	m.by[to] = []*pair{p}
	return m.parts[to]
}

// metaOf names bytes.
func metaOf(data []byte) object {
	sum := sha256.Sum256(data)
	return object{"length": len(data), "hashes": object{"sha256": sum[:]}}
}

// signed writes a part with signatures. The order of encoding/json's maps, and what it writes
// of such values, are canonical.
func signed(part object, by ...*pair) []byte {
	message := must(json.Marshal(part))
	var list []any
	for _, p := range by {
		list = append(list, object{"keyid": p.id, "method": p.method, "sig": p.sign(message)})
	}
	return must(json.Marshal(object{"signed": json.RawMessage(message), "signatures": list}))
}

// put writes a document under its own name and the one with its hash.
func (m *made) put(role string) object {
	message := fmt.Sprint(role, m.by[role], string(must(json.Marshal(m.parts[role]))))
	if m.same[message] == nil {
		m.same[message] = signed(m.parts[role], m.by[role]...)
	}
	data := m.same[message]
	m.files[role] = data
	m.files[fmt.Sprintf("%s.%x", role, sha256.Sum256(data))] = data
	return metaOf(data)
}

// write writes all, but for the lists that are left out of the snapshot.
func (m *made) write(without ...string) *made {
	meta := object{}
	for role := range m.parts {
		if role != roleTimestamp && role != roleSnapshot {
			meta[role] = m.put(role)
		}
	}
	for _, role := range without {
		delete(meta, role)
	}
	m.files[fmt.Sprintf("%v.root", m.parts[roleRoot]["version"])] = m.files[roleRoot]
	m.parts[roleSnapshot]["meta"] = meta
	m.parts[roleTimestamp]["meta"] = object{roleSnapshot: m.put(roleSnapshot)}
	m.put(roleTimestamp)
	return m
}

// newer makes newer versions of the documents that others go with, but for one.
func (m *made) newer(but string) *made {
	for _, role := range []string{roleTimestamp, roleSnapshot} {
		if role != but {
			m.parts[role]["version"] = m.parts[role]["version"].(int) + 1
		}
	}
	return m
}

// serve answers as a trust server does, from what was written last.
func (m *made) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return s.URL
}

func (m *made) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		return
	}
	file, is := strings.CutPrefix(r.URL.Path, "/v2/"+name+"/_trust/tuf/")
	data, has := m.files[strings.TrimSuffix(file, ".json")]
	if !is || !has {
		http.NotFound(w, r)
		return
	}
	w.Write(data)
}

// first are options that trust a server's root on first use.
func first(t *testing.T, server string) Options {
	t.Helper()
	return Options{Trust: Trust{Server: server, First: true}, State: t.TempDir()}
}

// refused fails unless the error is of the step, and says so.
func refused(t *testing.T, err error, step, text string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Step != step || !strings.Contains(e.Error(), text) {
		t.Errorf("got %v, want the step %s and %q", err, step, text)
		if e != nil {
			t.Logf("its step is %s", e.Step)
		}
	}
}

// signs fails unless a tag is signed, by a role and for these bytes.
func signs(t *testing.T, o Options, tag, role string, content []byte) Target {
	t.Helper()
	got, err := Resolve(t.Context(), o, name, tag, time.Now())
	if err != nil {
		t.Errorf("%s: %v", tag, err)
		return got
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); got.Role != role || got.Digest != want || got.Covers(want, int64(len(content))) != nil {
		t.Errorf("%s is %s by %s, want %s by %s", tag, got.Digest, got.Role, want, role)
	}
	return got
}

// TestKeyID: a key has one name with certificates and without, and no other kind of key has
// one.
func TestKeyID(t *testing.T) {
	for _, kind := range []string{"ecdsa", "rsa", "ed25519", "ecdsa-x509", "rsa-x509"} {
		p := newPair(kind, name)
		k, err := tufKey{Type: kind, Value: struct {
			Private *string `json:"private"`
			Public  []byte  `json:"public"`
		}{nil, p.public["keyval"].(object)["public"].([]byte)}}.read()
		if err != nil {
			t.Fatal(err)
		}
		if id, err := KeyID(k.public); err != nil || id != k.bare || k.id != p.id || (k.id == k.bare) == strings.HasSuffix(kind, "-x509") {
			t.Errorf("%s: %s, %s and %s, %v", kind, id, k.bare, k.id, err)
		}
	}
	// Keys that do not count, each beside one that does.
	pkix := func(bits int) []byte {
		return must(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), bits-1, 1), E: 65537}))
	}
	p256 := must(x509.MarshalPKIXPublicKey(&must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).PublicKey))
	other := "secret"
	certificate := newPair("ecdsa-x509", name).public["keyval"].(object)["public"].([]byte)
	for _, test := range []struct {
		kind    string
		public  []byte
		private *string
		want    string
	}{
		{"rsa", pkix(minRSA), nil, ""},
		{"rsa", pkix(minRSA - 1), nil, "it is an RSA key of 2047 bits"},
		{"rsa", pkix(maxRSA), nil, ""},
		{"rsa", pkix(maxRSA + 1), nil, "it is an RSA key of 16385 bits"},
		{"ecdsa", p256, nil, ""},
		{"rsa", p256, nil, "it is an ECDSA key, and says that it is another"},
		{"ecdsa", pkix(minRSA), nil, "it is an RSA key, and says that it is another"},
		{"ecdsa", p256, &other, "there is a private key beside it"},
		{"ecdsa-x509", p256, nil, "it is no PEM of certificates"},
		{"ecdsa-x509", nil, nil, "it has no certificate"},
		{"ed25519", make([]byte, 32), nil, ""},
		{"ed25519", make([]byte, 31), nil, "it has 31 bytes, not 32"},
		{"dsa", p256, nil, `"dsa" is no kind of key`},
		{"ecdsa", must(x509.MarshalPKIXPublicKey(ed25519.PublicKey(make([]byte, 32)))), nil, "it is an Ed25519 key, and says that it is another"},
		{"ecdsa", must(x509.MarshalPKIXPublicKey(must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey())), nil, "it is a *ecdh.PublicKey"},
		{"ecdsa", []byte("none"), nil, "asn1"},
		{"ecdsa-x509", bytes.Repeat(certificate, maxCertificates), nil, ""},
		{"ecdsa-x509", bytes.Repeat(certificate, maxCertificates+1), nil, "it has more than 8 certificates"},
		{"ecdsa-x509", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")}), nil, "x509"},
	} {
		k := tufKey{Type: test.kind}
		k.Value.Public, k.Value.Private = test.public, test.private
		if _, err := k.read(); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %d bytes: %v, want %q", test.kind, len(test.public), err, test.want)
		}
	}
	if id, err := KeyID("text"); err == nil {
		t.Errorf("a text is %s", id)
	}
}

// TestHolds: a signature holds by the method of its key, and by no other, nor over another
// message or cut off.
func TestHolds(t *testing.T) {
	old := must(rsa.GenerateKey(rand.Reader, minRSA))
	sum := sha256.Sum256([]byte("message"))
	pkcs := signature{Method: "RSAPKCS1v15", Sig: must(rsa.SignPKCS1v15(rand.Reader, old, crypto.SHA256, sum[:]))}
	holdsAlone(t, &key{public: &old.PublicKey}, pkcs)
	for _, kind := range []string{"ecdsa", "rsa", "ed25519"} {
		p := newPair(kind, "")
		k := tufKey{Type: kind}
		k.Value.Public = p.public["keyval"].(object)["public"].([]byte)
		holdsAlone(t, must(k.read()), signature{Method: p.method, Sig: p.sign([]byte("message"))})
	}
}

func holdsAlone(t *testing.T, k *key, s signature) {
	t.Helper()
	if !k.holds([]byte("message"), s) {
		t.Errorf("a signature by %s does not hold", s.Method)
	}
	if k.holds([]byte("another"), s) || k.holds([]byte("message"), signature{Method: s.Method, Sig: s.Sig[1:]}) || k.holds([]byte("message"), signature{Method: s.Method}) {
		t.Errorf("a wrong signature by %s holds", s.Method)
	}
	for _, method := range []string{"ecdsa", "eddsa", "rsapss", "rsapkcs1v15", "", "none"} {
		if method != strings.ToLower(s.Method) && k.holds([]byte("message"), signature{Method: method, Sig: s.Sig}) {
			t.Errorf("a signature by %s holds as one by %q", s.Method, method)
		}
	}
}

// TestHashes: every hash that is known must be right, and one that is not known does not count.
func TestHashes(t *testing.T) {
	long, other := sha512.Sum512([]byte("one")), sha512.Sum512([]byte("two"))
	short, wrong := sha256.Sum256([]byte("one")), sha256.Sum256([]byte("two"))
	for _, test := range []struct {
		f    fileMeta
		want string
	}{
		{fileMeta{Length: 3, Hashes: map[string][]byte{"sha256": short[:]}}, ""},
		{fileMeta{Length: 3, Hashes: map[string][]byte{"sha256": short[:], "sha512": long[:], "md5": {1}}}, ""},
		{fileMeta{Length: 4, Hashes: map[string][]byte{"sha256": short[:]}}, "it has 3 bytes, not 4"},
		{fileMeta{Length: 3, Hashes: map[string][]byte{"sha256": wrong[:], "sha512": long[:]}}, "its SHA-256 is"},
		{fileMeta{Length: 3, Hashes: map[string][]byte{"sha256": short[:], "sha512": other[:]}}, "its SHA-512 is another"},
	} {
		if got := test.f.is([]byte("one")); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if wrong := (fileMeta{Length: 3, Hashes: map[string][]byte{"sha256": short[:], "sha512": {1}}}).check(roleTargets, "1"); wrong == nil || wrong.Step != StepMalformed {
		t.Errorf("a short SHA-512: %v", wrong)
	}
}

// TestThreshold: so many different keys must have signed, of whatever kind, and none counts
// twice.
func TestThreshold(t *testing.T) {
	two := func(kinds ...string) []*pair { return []*pair{newPair(kinds[0], name), newPair(kinds[1], name)} }
	for _, kinds := range [][]string{{"ecdsa", "ecdsa"}, {"rsa", "ed25519"}, {"ecdsa-x509", "rsa-x509"}} {
		for _, role := range []string{roleTimestamp, roleSnapshot, roleTargets} {
			m := newMade()
			m.by[role] = two(kinds...)
			m.keys(2)
			o := first(t, m.write().serve(t))
			if got := signs(t, o, "1", roleTargets, []byte("one")); role == roleTargets && len(got.Keys) != 2 {
				t.Errorf("%v signed", got.Keys)
			}
			both := m.by[role]
			m.by[role] = both[:1]
			o.State = t.TempDir()
			m.write()
			_, err := Resolve(t.Context(), o, name, "1", time.Now())
			refused(t, err, stepOf(role), "1 of the 2 keys")
			m.by[role] = []*pair{both[0], both[0]}
			m.write()
			_, err = Resolve(t.Context(), o, name, "1", time.Now())
			refused(t, err, stepOf(role), "1 of the 2 keys")
		}
	}
	// A root of two keys, and one key under two certificates, which is one.
	m := newMade()
	m.by[roleRoot] = two("ecdsa-x509", "rsa-x509")
	m.keys(2)
	signs(t, first(t, m.write().serve(t)), "1", roleTargets, []byte("one"))
	m.by[roleRoot] = m.by[roleRoot][:1]
	_, err := Resolve(t.Context(), first(t, m.write().serve(t)), name, "1", time.Now())
	refused(t, err, StepRoot, "1 of the 2 keys")
}

// TestExpired: each document counts until it expires, by the clock that is given, and no clock
// that is set back makes it count again.
func TestExpired(t *testing.T) {
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets, roleReleases} {
		m := newMade()
		m.delegate(roleTargets, roleReleases, newPair("ecdsa", ""), "")
		end := time.Now().Add(48 * time.Hour)
		m.parts[role]["expires"] = end
		o := first(t, m.write().serve(t))
		got := signs(t, o, "1", roleTargets, []byte("one"))
		if !got.Expires().Equal(end) {
			t.Errorf("%s: it holds until %v", role, got.Expires())
		}
		_, err := Resolve(t.Context(), o, name, "1", end)
		refused(t, err, StepExpired, role+": it expired on ")
		if _, err := Resolve(t.Context(), o, name, "1", end.Add(-time.Second)); err != nil {
			t.Errorf("%s: before it expires: %v", role, err)
		}
		if role == roleRoot {
			continue // a server cannot make another
		}
		m.parts[role]["expires"], m.parts[role]["version"] = end.Add(-time.Hour), 10
		m.newer(role).write()
		_, err = Resolve(t.Context(), o, name, "1", end.Add(-2*time.Hour)) // the clock is set back
		refused(t, err, StepExpired, role)
	}
}

// TestRollback: nothing older than what was seen counts, nothing else of the same version, and
// nothing goes missing.
func TestRollback(t *testing.T) {
	for _, role := range []string{roleTimestamp, roleSnapshot, roleTargets, roleReleases} {
		m := newMade()
		m.delegate(roleTargets, roleReleases, newPair("ecdsa", ""), "")
		m.parts[role]["version"] = 7
		o := first(t, m.write().serve(t))
		signs(t, o, "1", roleTargets, []byte("one"))
		m.parts[role]["version"] = 6
		m.newer(role).write()
		_, err := Resolve(t.Context(), o, name, "1", time.Now())
		refused(t, err, StepRollback, role+": its version is 6, and 7 was seen")
		m.parts[role]["version"] = 7
		m.parts[role]["expires"] = time.Now().AddDate(1, 0, 1)
		m.newer(role).write()
		_, err = Resolve(t.Context(), o, name, "1", time.Now())
		refused(t, err, StepRollback, "it is another of version 7")
		// What a new snapshot names has a new version, as in life.
		for _, each := range []string{roleTimestamp, roleSnapshot, roleTargets, roleReleases} {
			m.parts[each]["version"] = 18
		}
		m.write()
		signs(t, o, "1", roleTargets, []byte("one"))
		if role == roleReleases {
			m.newer("").write(roleReleases)
			_, err = Resolve(t.Context(), o, name, "1", time.Now())
			refused(t, err, StepRollback, "leaves it out, and version 18 was seen")
		}
	}
}

// TestDelegations: docker reads targets/releases before targets, and a policy may name
// another; each signs what begins with its paths, and what those above may give away.
func TestDelegations(t *testing.T) {
	m := newMade()
	ci, deep, releases := newPair("ecdsa-x509", "ci"), newPair("ecdsa", ""), newPair("rsa", "")
	m.parts[roleTargets]["targets"].(object)["2"] = metaOf([]byte("old"))
	m.delegate(roleTargets, roleReleases, releases, "")["targets"].(object)["2"] = metaOf([]byte("two"))
	m.delegate(roleTargets, "targets/ci", ci, "ci-")["targets"] = object{"ci-1": metaOf([]byte("ci one")), "2": metaOf([]byte("not its own"))}
	m.delegate("targets/ci", "targets/ci/deep", deep, "ci-deep-", "2")["targets"] = object{"ci-deep-1": metaOf([]byte("deep")), "2": metaOf([]byte("not its own")), "ci-1": metaOf([]byte("nor this"))}
	m.delegate(roleTargets, "targets/idle", newPair("ecdsa", ""), "")
	o := first(t, m.write("targets/idle").serve(t))
	signs(t, o, "1", roleTargets, []byte("one"))
	if got := signs(t, o, "2", roleReleases, []byte("two")); len(got.Keys) != 1 || got.Keys[0] != releases.id || len(got.Documents) != 5 {
		t.Errorf("signed by %v, %v", got.Keys, got.Documents)
	}
	with := func(role string) Options {
		o := o
		o.Trust.Role = role
		return o
	}
	signs(t, with(roleTargets), "2", roleTargets, []byte("old"))
	signs(t, with("targets/ci"), "ci-1", "targets/ci", []byte("ci one"))
	signs(t, with("targets/ci/deep"), "ci-deep-1", "targets/ci/deep", []byte("deep"))
	for _, test := range []struct{ role, tag, step, text string }{
		{"", "3", StepNoTag, `targets/releases and targets has not signed the tag "3"`},
		{"", "ci-1", StepNoTag, "ci-1"},
		{"targets/ci", "2", StepNoTag, "targets/ci"},
		{"targets/ci/deep", "2", StepNoTag, "targets/ci/deep"},
		{"targets/ci/deep", "ci-1", StepNoTag, "targets/ci/deep"},
		{"targets/idle", "1", StepDelegation, "it has signed nothing"},
		{"targets/other", "1", StepDelegation, "targets delegates nothing to it"},
		{"targets/other/deep", "1", StepDelegation, "targets delegates nothing to it"},
	} {
		_, err := Resolve(t.Context(), with(test.role), name, test.tag, time.Now())
		refused(t, err, test.step, test.text)
	}
	// What docker skips: another's signature over releases would bring back the old 2.
	m.by[roleReleases] = []*pair{newPair("rsa", "")}
	m.newer("").write()
	_, err := Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepDelegation, "0 of the 1 keys")
}

// TestMalformed: what is not as Notary writes it, or has too much of something, is refused
// with its place.
func TestMalformed(t *testing.T) {
	many := func(n int) object {
		o := object{}
		for range n {
			p := newPair("ed25519", "")
			o[p.id] = p.public
		}
		return o
	}
	for _, test := range []struct {
		what, step, text string
		spoil            func(m *made)
	}{
		{"nothing", "", "", func(*made) {}},
		{"something custom", "", "", func(m *made) {
			m.parts[roleTargets]["targets"].(object)["x"] = object{"length": 1, "hashes": metaOf(nil)["hashes"], "custom": object{"a": []any{1, "b", nil, true}}}
		}},
		{"another type", StepMalformed, `it says that it is a "Snapshot"`, func(m *made) { m.parts[roleTargets]["_type"] = "Snapshot" }},
		{"no version", StepMalformed, "its version is 0", func(m *made) { m.parts[roleTimestamp]["version"] = 0 }},
		{"a large version", StepMalformed, "its version is 2147483648", func(m *made) { m.parts[roleTimestamp]["version"] = maxVersion + 1 }},
		{"no end", StepMalformed, "when it expires", func(m *made) { delete(m.parts[roleSnapshot], "expires") }},
		{"an unknown key", StepMalformed, `"more" is not a key of signed`, func(m *made) { m.parts[roleTargets]["more"] = 1 }},
		{"a fraction", StepMalformed, "1.5 is no whole number", func(m *made) {
			m.parts[roleTargets]["targets"].(object)["1"] = object{"length": 1, "hashes": metaOf(nil)["hashes"], "custom": 1.5}
		}},
		{"no hash", StepMalformed, `no SHA-256 of "1"`, func(m *made) {
			m.parts[roleTargets]["targets"].(object)["1"] = object{"length": 1, "hashes": object{"sha512": []byte("x")}}
		}},
		{"a negative length", StepMalformed, `no length`, func(m *made) {
			m.parts[roleTargets]["targets"].(object)["1"] = object{"length": -1, "hashes": metaOf(nil)["hashes"]}
		}},
		{"a key by another's name", StepMalformed, "is not there, or is another", func(m *made) {
			m.parts[roleRoot]["keys"].(object)[m.by[roleTargets][0].id] = newPair("ecdsa", "").public
		}},
		{"no threshold", StepMalformed, "0 of 1 keys are to sign targets", func(m *made) { m.parts[roleRoot]["roles"].(object)[roleTargets].(object)["threshold"] = 0 }},
		{"many keys", StepTooLarge, "261 keys", func(m *made) {
			keys := m.parts[roleRoot]["keys"].(object)
			for id, k := range many(maxKeys + 1) {
				keys[id] = k
			}
		}},
		{"many signatures", StepTooLarge, "65 signatures", func(m *made) {
			m.by[roleTargets] = times(m.by[roleTargets][0], maxSignatures+1)
		}},
		{"many delegations", StepTooLarge, "65 delegations", func(m *made) {
			p := newPair("ecdsa", "")
			for i := range maxRoles + 1 {
				m.delegate(roleTargets, fmt.Sprintf("targets/a%d", i), p, "")
			}
		}},
		{"a delegation out of its place", StepMalformed, `cannot delegate to "targets/a/b"`, func(m *made) { m.delegate(roleTargets, "targets/a/b", newPair("ecdsa", ""), "") }},
		{"a delegation out of the tree", StepMalformed, `cannot delegate to "targets/.."`, func(m *made) {
			m.delegate(roleTargets, "targets/..", newPair("ecdsa", ""), "")
		}},
		{"a weak key", StepTargets, "0 of the 1 keys", func(m *made) {
			m.by[roleTargets][0].public["keyval"].(object)["public"] = []byte("no key")
			m.by[roleTargets][0].id = keyID("ecdsa", []byte("no key"))
			m.keys(1)
		}},
	} {
		m := newMade()
		test.spoil(m)
		_, err := Resolve(t.Context(), first(t, m.write().serve(t)), name, "1", time.Now())
		if test.step == "" {
			if err != nil {
				t.Errorf("%s: %v", test.what, err)
			}
			continue
		}
		t.Log(test.what)
		refused(t, err, test.step, test.text)
	}
	for text, want := range map[string]string{
		`{"signed":{"_type":"Root","_type":"Root"},"signatures":[]}`: "is given twice",
		`{"signed":null,"signatures":[]}`:                            "nothing in it that is signed",
		`{"signatures":[]}`:                                          "nothing in it that is signed",
		`{}{}`:                                                       "root.json",
		``:                                                           "there is no JSON in it",
	} {
		m := newMade().write()
		m.files[roleRoot] = []byte(text)
		_, err := Resolve(t.Context(), first(t, m.serve(t)), name, "1", time.Now())
		refused(t, err, StepMalformed, want)
	}
	// Longer than it may be, by a byte, in fact and by what is said of it.
	m := newMade().write()
	m.files[roleRoot] = append(m.files[roleRoot], bytes.Repeat([]byte(" "), maxRoot-len(m.files[roleRoot]))...)
	root := m.files[roleRoot]
	_, err := Resolve(t.Context(), first(t, m.serve(t)), name, "1", time.Now())
	refused(t, err, StepSnapshot, "it goes with another root") // it was read
	m.files[roleRoot] = append(root, ' ')
	_, err = Resolve(t.Context(), first(t, m.serve(t)), name, "1", time.Now())
	refused(t, err, StepTooLarge, "1048576 bytes is the most")
	m = newMade()
	m.write()
	m.parts[roleSnapshot]["meta"].(object)[roleTargets].(object)["length"] = maxDocument + 1
	m.parts[roleTimestamp]["meta"] = object{roleSnapshot: m.put(roleSnapshot)}
	m.put(roleTimestamp)
	_, err = Resolve(t.Context(), first(t, m.serve(t)), name, "1", time.Now())
	refused(t, err, StepTooLarge, "targets: it has 8388609 bytes")
}

// times repeats a signer.
func times(p *pair, n int) []*pair {
	list := make([]*pair, n)
	for i := range list {
		list[i] = p
	}
	return list
}
