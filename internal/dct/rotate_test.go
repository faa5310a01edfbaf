package dct

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// rotate makes a newer root by another key, which the old and the new sign.
func (m *made) rotate(by ...*pair) {
	next := newPair("ecdsa-x509", name)
	old := m.by[roleRoot][0]
	m.by[roleRoot] = []*pair{next}
	m.keys(1)
	m.parts[roleRoot]["version"] = m.parts[roleRoot]["version"].(int) + 1
	m.by[roleRoot] = []*pair{next, old}
	if by != nil {
		m.by[roleRoot] = by
	}
	m.newer("").write()
	m.by[roleRoot] = []*pair{next}
}

// TestRotate: a newer root is taken if the one before signed it and it signs itself, from
// version to version, and however old the ones between are.
func TestRotate(t *testing.T) {
	// begun is a repository that was seen with its first root.
	begun := func() (*made, Options) {
		m := newMade()
		o := first(t, m.write().serve(t))
		signs(t, o, "1", roleTargets, []byte("one"))
		return m, o
	}
	m, o := begun()
	for range 3 {
		m.parts[roleRoot]["expires"] = time.Now().Add(-time.Hour)
		m.rotate()
	}
	_, err := Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepExpired, "root: it expired on")
	m.parts[roleRoot]["expires"] = time.Now().Add(time.Hour)
	m.rotate()
	if got := signs(t, o, "1", roleTargets, []byte("one")); got.Documents[0].Version != 5 {
		t.Errorf("the root is %+v", got.Documents[0])
	}

	m, o = begun()
	old := m.by[roleRoot][0]
	m.rotate(old)
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRotation, "version 2 is not signed by its own keys")
	m, o = begun()
	m.rotate(newPair("ecdsa-x509", name))
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRotation, "version 2 is not signed by the keys of version 1")

	// One between is another's, or of another version.
	m, o = begun()
	m.rotate()
	good := m.files["2.root"]
	m.rotate()
	m.files["2.root"] = newMade().write().files[roleRoot]
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRotation, "for version 2 the server gives version 1")
	forged := newMade()
	forged.parts[roleRoot]["version"] = 2
	m.files["2.root"] = forged.write().files[roleRoot]
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRotation, "version 2 is not signed by the keys of version 1")
	m.files["2.root"] = good
	signs(t, o, "1", roleTargets, []byte("one"))

	m, o = begun()
	m.rotate(m.by[roleRoot][0], newPair("ecdsa-x509", name)) // its own key did not sign
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRotation, "is not signed by its own keys")
	// A root for another name, and one without a certificate.
	for kind, text := range map[string]string{"ecdsa": "its keys have no certificates", "ecdsa-x509": `its certificate is for "reg.example/team/other"`} {
		m := newMade()
		m.by[roleRoot] = []*pair{newPair(kind, "reg.example/team/other")}
		m.keys(1)
		_, err = Resolve(t.Context(), first(t, m.write().serve(t)), name, "1", time.Now())
		refused(t, err, StepRoot, text)
	}
	for _, wild := range []string{"reg.example/team/*", "*"} {
		m := newMade()
		m.by[roleRoot] = []*pair{newPair("ecdsa-x509", wild)}
		m.keys(1)
		signs(t, first(t, m.write().serve(t)), "1", roleTargets, []byte("one"))
	}
}

// TestAuthority: the root's certificate may have to be an authority's.
func TestAuthority(t *testing.T) {
	issue := func(cn string, ca bool, key *ecdsa.PrivateKey, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
		c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0), IsCA: ca, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}
		if parent == nil {
			parent, by = c, key
		}
		der := must(x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by))
		return must(x509.ParseCertificate(der)), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	key := func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }
	caKey, betweenKey := key(), key()
	ca, caPEM := issue("authority", true, caKey, nil, nil)
	between, betweenPEM := issue("between", true, betweenKey, ca, caKey)
	p := newPair("ecdsa-x509", name)
	// The pair's own key, certified by the one between.
	bare := must(certificates(p.public["keyval"].(object)["public"].([]byte)))[0]
	own := &x509.Certificate{SerialNumber: big.NewInt(9), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0), BasicConstraintsValid: true}
	der := must(x509.CreateCertificate(rand.Reader, own, between, bare.PublicKey, betweenKey))
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), betweenPEM...)
	p.public = object{"keytype": "ecdsa-x509", "keyval": object{"private": nil, "public": chain}}
	p.id = keyID("ecdsa-x509", chain)
	m := newMade()
	m.by[roleRoot] = []*pair{p}
	m.keys(1)
	server := m.write().serve(t)
	o := Options{Trust: Trust{Server: server, CA: caPEM}, State: t.TempDir()}
	if got := signs(t, o, "1", roleTargets, []byte("one")); got.First {
		t.Error("the authority counts for nothing")
	}
	_, otherPEM := issue("another", true, key(), nil, nil)
	o.Trust.CA = otherPEM
	for _, state := range []string{o.State, t.TempDir()} {
		o.State = state
		_, err := Resolve(t.Context(), o, name, "1", time.Now())
		refused(t, err, StepRoot, "unknown authority")
	}
	o.Trust.CA = caPEM
	_, err := Resolve(t.Context(), o, name, "1", time.Now().AddDate(0, 2, 0))
	refused(t, err, StepRoot, "its certificate expired on")
	_, err = Resolve(t.Context(), o, name, "1", time.Now().AddDate(0, 0, -3))
	refused(t, err, StepRoot, "its certificate counts from")
	// The authority's certificate first is not a chain that anybody means.
	swapped := append(append([]byte{}, betweenPEM...), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	p.public, p.id = object{"keytype": "ecdsa-x509", "keyval": object{"private": nil, "public": swapped}}, keyID("ecdsa-x509", swapped)
	m.keys(1)
	m.write()
	o.State = t.TempDir()
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRoot, "its certificates are not one of its own, and then authorities'")
	o.Trust.CA = []byte("no PEM")
	if _, err := Resolve(t.Context(), o, name, "1", time.Now()); err == nil || err.Error() != "the authorities of content trust are no PEM of certificates" {
		t.Error(err)
	}
}

// TestOptions: names, tags, roles and servers that cannot be are refused before anybody is
// asked.
func TestOptions(t *testing.T) {
	for _, test := range []struct {
		server, gun, tag, role, state, want string
	}{
		{"", "nginx", "1", "", "x", `"nginx" is no whole name`},
		{"", "docker.io/library/nginx:1", "1", "", "x", "is no whole name"},
		{"", "docker.io/library/../nginx", "1", "", "x", "is no whole name"},
		{"", name, "a/b", "", "x", `"a/b" is no tag`},
		{"", name, "1", "targets/../root", "x", "is no role that signs tags"},
		{"", name, "1", "root", "x", "is no role that signs tags"},
		{"", name, "1", "", "", "needs a folder to remember"},
		{"ftp://trust.example", name, "1", "", "x", "is no trust server"},
		{"trust.example", name, "1", "", "x", "is no trust server"},
		{"https://trust.example/path", name, "1", "", "x", "is no trust server"},
		{"https://a:b@trust.example", name, "1", "", "x", "is no trust server"},
		{"http://trust.example", name, "1", "", "x", "is asked in the clear"},
	} {
		_, err := Resolve(t.Context(), Options{Trust: Trust{Server: test.server, Role: test.role, First: true}, State: test.state}, test.gun, test.tag, time.Now())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	for gun, want := range map[string]string{"docker.io": "https://notary.docker.io", "reg.example:5000": "https://reg.example:5000"} {
		c := &client{}
		if host, err := c.server(gun); err != nil || c.base != want || "https://"+host != want {
			t.Errorf("%s: %s, %v", gun, c.base, err)
		}
	}
}
