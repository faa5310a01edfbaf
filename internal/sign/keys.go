package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
)

// Fingerprint tells keys apart, whatever they are called: sha256: and the hex digits of the
// key's SubjectPublicKeyInfo.
func (k Key) Fingerprint() (string, error) {
	key, err := k.Public()
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	return fmt.Sprintf("sha256:%x", sha256.Sum256(der)), err
}

// Algorithm names the kind of key, and its curve or its bits.
func (k Key) Algorithm() (string, error) {
	key, err := k.Public()
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name, nil
	case ed25519.PublicKey:
		return "Ed25519", nil
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen()), nil
	}
	return fmt.Sprintf("%T", key), err
}

// UsesOf are the entries that count a key's signature, or what it attests.
func (p *Policy) UsesOf(key string) []*Entry {
	var list []*Entry
	for _, e := range p.Images {
		if slices.Contains(e.signers(), Signer{Key: key}) {
			list = append(list, e)
		}
	}
	return list
}

// NamesOf are the names of a key, by its fingerprint, in their order.
func (p *Policy) NamesOf(fingerprint string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Keys)) {
		if at, err := p.Keys[name].Fingerprint(); err == nil && at == fingerprint {
			names = append(names, name)
		}
	}
	return names
}
