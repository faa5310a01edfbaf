package cosign

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

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/cryptoutils/goodkey"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Key is a public key that may sign images.
type Key struct {
	// Name is what its owner calls it.
	Name string
	// ID is sha256: and the hex digits of the key's digest, as it is in its PEM
	// (SubjectPublicKeyInfo): two names of one key have one.
	ID string

	hint      string
	verifiers []signature.Verifier
}

// ParseKey reads a public key: one PEM block, PUBLIC KEY or RSA PUBLIC KEY, with an ECDSA
// key on P-256, P-384 or P-521, an Ed25519 key, or an RSA key of 2048, 3072 or 4096 bits.
func ParseKey(name string, data []byte) (*Key, error) {
	if err := onePEM(data); err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, fmt.Errorf("key %s: reading the public key: %w", name, err)
	}
	return newKey(name, public)
}

// onePEM refuses a file with several blocks: which of them is meant is anybody's guess.
func onePEM(data []byte) error {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return errors.New("it is no PEM file")
	case len(bytes.TrimSpace(rest)) > 0:
		return errors.New("it has more than one key")
	}
	return nil
}

func newKey(name string, public crypto.PublicKey) (*Key, error) {
	verifiers, err := verifiersOf(public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	sum := sha256.Sum256(der)
	return &Key{name, "sha256:" + hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), verifiers}, nil
}

// verifiersOf are the ways in which cosign's releases sign with a key: with SHA-256 whatever
// the curve, and later with the hash of the curve's size; with Ed25519, and Ed25519ph.
func verifiersOf(public crypto.PublicKey) ([]signature.Verifier, error) {
	if err := goodkey.ValidatePubKey(public); err != nil {
		return nil, err
	}
	var all []signature.Verifier
	var wrong error
	add := func(v signature.Verifier, err error) {
		all, wrong = append(all, v), errors.Join(wrong, err)
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		for _, hash := range hashesOf(key) {
			v, err := signature.LoadECDSAVerifier(key, hash)
			add(v, err)
		}
	case *rsa.PublicKey:
		v, err := signature.LoadRSAPKCS1v15Verifier(key, crypto.SHA256)
		add(v, err)
	case ed25519.PublicKey:
		v, err := signature.LoadED25519Verifier(key)
		add(v, err)
		ph, err := signature.LoadED25519phVerifier(key)
		add(ph, err)
	default:
		return nil, fmt.Errorf("a key of the type %T signs no images", public)
	}
	return all, wrong
}

func hashesOf(key *ecdsa.PublicKey) []crypto.Hash {
	switch key.Curve.Params().BitSize {
	case 384:
		return []crypto.Hash{crypto.SHA256, crypto.SHA384}
	case 521:
		return []crypto.Hash{crypto.SHA256, crypto.SHA512}
	}
	return []crypto.Hash{crypto.SHA256}
}

// holds is the verifier under which a signature of a message holds, or nil.
func (k *Key) holds(message, sig []byte) signature.Verifier {
	for _, v := range k.verifiers {
		if v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) == nil {
			return v
		}
	}
	return nil
}

// Signer signs with a private key.
type Signer struct {
	// Key is its public half.
	Key *Key

	signer signature.Signer
}

// ErrPassword is an encrypted key that the password does not open. The program asks again.
var ErrPassword = errors.New("the password does not open the key")

// The PEM types of private keys: as cosign writes them, encrypted, in its releases, and
// PKCS#8 in the clear (RFC 5958).
var encryptedTypes = map[string]bool{"ENCRYPTED SIGSTORE PRIVATE KEY": true, "ENCRYPTED COSIGN PRIVATE KEY": true}

// ParseSigner reads a private key: one PEM block, ENCRYPTED SIGSTORE PRIVATE KEY as cosign
// writes it (scrypt and NaCl's secretbox around PKCS#8), which the password opens, or
// PRIVATE KEY. The keys are those that ParseKey takes.
func ParseSigner(name string, data, password []byte) (*Signer, error) {
	if err := onePEM(data); err != nil {
		return nil, fmt.Errorf("private key %s: %w", name, err)
	}
	block, _ := pem.Decode(data)
	der := block.Bytes
	switch {
	case encryptedTypes[block.Type]:
		var err error
		// It takes no other parameters of scrypt than its own, so it costs what it says.
		if der, err = encrypted.Decrypt(der, password); err != nil {
			return nil, fmt.Errorf("private key %s: %w: %w", name, ErrPassword, err)
		}
	case block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("private key %s: its PEM type is %.60q, and only keys as cosign writes them and PRIVATE KEY (PKCS#8) are read", name, block.Type)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", name, err)
	}
	holder, is := private.(crypto.Signer)
	if !is {
		return nil, fmt.Errorf("private key %s: a key of the type %T signs nothing", name, private)
	}
	key, err := newKey(name, holder.Public())
	if err != nil {
		return nil, err
	}
	// What cosign verifies with nothing said: SHA-256 for every curve, plain Ed25519.
	signer, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", name, err)
	}
	return &Signer{key, signer}, nil
}

func (s *Signer) sign(message []byte) ([]byte, error) {
	sig, err := s.signer.SignMessage(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", s.Key.Name, err)
	}
	return sig, nil
}
