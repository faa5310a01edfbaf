package dct

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// minRSA and maxRSA bound the bits of an RSA key: fewer can be broken, and with many more a
// signature takes long to check.
const (
	minRSA = 2048
	maxRSA = 16384
)

// tufKey is a public key as metadata has it: of ecdsa and rsa the SubjectPublicKeyInfo, of
// ed25519 the 32 bytes, of ecdsa-x509 and rsa-x509 certificates as PEM, the key's own first.
type tufKey struct {
	Type  string `json:"keytype"`
	Value struct {
		Private *string `json:"private"`
		Public  []byte  `json:"public"`
	} `json:"keyval"`
}

// keyID is the name of a key: the SHA-256 of its Canonical JSON.
func keyID(kind string, public []byte) string {
	var b bytes.Buffer
	b.WriteString(`{"keytype":`)
	quote(&b, kind)
	b.WriteString(`,"keyval":{"private":null,"public":"` + base64.StdEncoding.EncodeToString(public) + `"}}`)
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}

// KeyID is what a [Target] names a public key by: an *ecdsa.PublicKey, an *rsa.PublicKey or an
// ed25519.PublicKey. It is what notary key list has, whatever certificate metadata has the key
// in.
func KeyID(public crypto.PublicKey) (string, error) {
	kind := ""
	switch p := public.(type) {
	case ed25519.PublicKey:
		return keyID("ed25519", p), nil
	case *ecdsa.PublicKey:
		kind = "ecdsa"
	case *rsa.PublicKey:
		kind = "rsa"
	default:
		return "", fmt.Errorf("a %T signs no content trust", public)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	return keyID(kind, der), nil
}

// key is a public key that was read.
type key struct {
	// id is what metadata names it by, and bare the same for the key without certificates,
	// which is what the notary program lists and names the file of the private key by.
	id, bare string
	public   crypto.PublicKey
	// certificates are the key's own and those between it and an authority; of a key
	// without certificates there are none.
	certificates []*x509.Certificate
}

// maxCertificates bounds the certificates of one key.
const maxCertificates = 8

// read parses a key.
func (k tufKey) read() (*key, error) {
	if k.Value.Private != nil {
		return nil, errors.New("there is a private key beside it")
	}
	read := &key{id: keyID(k.Type, k.Value.Public)}
	read.bare = read.id
	var err error
	switch k.Type {
	case "ecdsa", "rsa":
		read.public, err = x509.ParsePKIXPublicKey(k.Value.Public)
	case "ed25519":
		if len(k.Value.Public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("it has %d bytes, not %d", len(k.Value.Public), ed25519.PublicKeySize)
		}
		read.public = ed25519.PublicKey(k.Value.Public)
	case "ecdsa-x509", "rsa-x509":
		if read.certificates, err = certificates(k.Value.Public); err != nil {
			return nil, err
		}
		read.public = read.certificates[0].PublicKey
		read.bare, err = KeyID(read.public)
	default:
		return nil, fmt.Errorf("%.40q is no kind of key that is known", k.Type)
	}
	if err != nil {
		return nil, err
	}
	kind := strings.TrimSuffix(k.Type, "-x509")
	switch p := read.public.(type) {
	case *ecdsa.PublicKey:
		if kind != "ecdsa" {
			return nil, errors.New("it is an ECDSA key, and says that it is another")
		}
	case *rsa.PublicKey:
		if kind != "rsa" {
			return nil, errors.New("it is an RSA key, and says that it is another")
		}
		if n := p.N.BitLen(); n < minRSA || n > maxRSA {
			return nil, fmt.Errorf("it is an RSA key of %d bits, and from %d to %d count", n, minRSA, maxRSA)
		}
	case ed25519.PublicKey:
		if kind != "ed25519" {
			return nil, errors.New("it is an Ed25519 key, and says that it is another")
		}
	default:
		return nil, fmt.Errorf("it is a %T", p)
	}
	return read, nil
}

// certificates reads PEM: first the key's own, then those of authorities. What they are for is
// looked at where that counts: a delegation's certificate only carries its key.
func certificates(data []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for len(bytes.TrimSpace(data)) > 0 {
		block, rest := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("it is no PEM of certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if list = append(list, c); len(list) > maxCertificates {
			return nil, fmt.Errorf("it has more than %d certificates", maxCertificates)
		}
		data = rest
	}
	if len(list) == 0 {
		return nil, errors.New("it has no certificate")
	}
	return list, nil
}

// holds is true where a signature by the key over the message holds. An ECDSA signature is r
// and s side by side, each as long as the curve's numbers; RSA's hash is SHA-256.
func (k *key) holds(message []byte, s signature) bool {
	sum := sha256.Sum256(message)
	switch method := strings.ToLower(s.Method); p := k.public.(type) {
	case *ecdsa.PublicKey:
		size := (p.Params().BitSize + 7) / 8
		return method == "ecdsa" && len(s.Sig) == 2*size &&
			ecdsa.Verify(p, sum[:], new(big.Int).SetBytes(s.Sig[:size]), new(big.Int).SetBytes(s.Sig[size:]))
	case ed25519.PublicKey:
		return method == "eddsa" && ed25519.Verify(p, message, s.Sig)
	case *rsa.PublicKey:
		switch method {
		case "rsapss":
			return rsa.VerifyPSS(p, crypto.SHA256, sum[:], s.Sig, &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256}) == nil
		case "rsapkcs1v15":
			return rsa.VerifyPKCS1v15(p, crypto.SHA256, sum[:], s.Sig) == nil
		}
	}
	return false
}

// signers are the keys of a role, and how many of them must have signed.
type signers struct {
	keys      []*key
	threshold int
}

// signed gives the keys that have signed, by bare ids, and an error where they are too few. A
// key counts once, however often it signed and by whatever certificates it is known.
func (s signers) signed(message []byte, list []signature) ([]string, error) {
	var by []string
	for _, one := range list {
		for _, k := range s.keys {
			if k.id == one.KeyID && !slices.Contains(by, k.bare) && k.holds(message, one) {
				by = append(by, k.bare)
			}
		}
	}
	if len(by) < s.threshold || s.threshold < 1 {
		return nil, fmt.Errorf("%d of the %d keys that must have signed it have", len(by), s.threshold)
	}
	slices.Sort(by)
	return by, nil
}

// of is true for a certificate that is for a repository: its common name is that of the
// repository, or begins it and ends in *. So the root of one repository is no other's, even
// where one key is behind both.
func of(c *x509.Certificate, gun string) bool {
	if prefix, wild := strings.CutSuffix(c.Subject.CommonName, "*"); wild {
		return strings.HasPrefix(gun, prefix)
	}
	return c.Subject.CommonName == gun
}

// isChain is true for one certificate that is no authority's, and then authorities' alone.
func isChain(list []*x509.Certificate) bool {
	for i, c := range list {
		if c.IsCA != (i > 0) {
			return false
		}
	}
	return true
}

// early is how long before its time a certificate counts, since clocks differ.
const early = 24 * time.Hour

// current says why a certificate does not count at a time, nil where it does.
func current(c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return fmt.Errorf("its certificate expired on %s", date(c.NotAfter))
	case now.Add(early).Before(c.NotBefore):
		return fmt.Errorf("its certificate counts from %s on", date(c.NotBefore))
	case slices.Contains([]x509.SignatureAlgorithm{x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1, x509.MD5WithRSA}, c.SignatureAlgorithm):
		return fmt.Errorf("its certificate is signed by %s", c.SignatureAlgorithm)
	}
	return nil
}
