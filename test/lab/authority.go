package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Authority issues certificates for tests, in memory and as PEM files.
type Authority struct {
	// Pool knows the authority; its file is ca.pem.
	Pool *x509.CertPool

	t    T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority with its files in a folder.
func NewAuthority(t T, dir string) *Authority {
	t.Helper()
	a := &Authority{Pool: x509.NewCertPool(), t: t, dir: dir}
	self := a.Issue("ca", &x509.Certificate{Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.Pool.AddCert(self.Leaf)
	return a
}

// File is the path of one of the authority's files.
func (a *Authority) File(name string) string { return filepath.Join(a.dir, name) }

// Issue signs a certificate, and makes NAME.pem and NAME-key.pem. It is good for an hour
// around now; the first is the authority's own.
func (a *Authority) Issue(name string, c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	check := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatalf("issuing the certificate %s: %v", name, err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	check(err)
	leaf, err := x509.ParseCertificate(der)
	check(err)
	if a.cert == c {
		a.cert = leaf
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		check(os.WriteFile(a.File(file), pem.EncodeToMemory(block), 0o600))
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
