// Package cosign finds and checks what vouches for a manifest in a registry, as sigstore's
// tools leave it there, and signs in the same forms.
//
// [Find] looks beside one manifest, which its digest names, for signatures and attestations
// by the [Signers] that are trusted: keys ([ParseKey]), and identities in certificates of a
// sigstore ([Identity], [ParseRoot]). It gives each [Signature] that holds, and a
// [Rejection] with the [Step] that refused it for each other. [Signer] makes signatures.
//
// There are three places ([Layout]) and two forms of what is signed:
//
//   - Tags: the layers of the manifest sha256-HEX.sig are payloads of simple signing, with
//     the signature in an annotation. The payload names the manifest.
//   - Attestations: the layers of sha256-HEX.att are envelopes of DSSE around a statement of
//     in-toto, whose subject is the manifest.
//   - Referrers: manifests about the manifest, each with a sigstore bundle: an envelope with
//     what shows when it was signed. A statement of the predicate type [SignType] says
//     nothing but that the subject is signed.
//
// Whoever may write to the repository can put anything there, and a registry may give
// anything. So nothing of it is believed before its signature holds, all of it is bounded
// ([Options]), and a signature counts for what was signed, not for where it was found.
//
// The package asks the registry, and nothing else: the roots of a sigstore come from a
// file, and what shows that a certificate was used in time comes with the signature. It does
// not decide how many signatures are needed, or how old they may be; and it remembers nothing
// of what a tag led to before: for that a signature says when it was made.
//
// Standards: cosign's SIGNATURE_SPEC and ATTESTATION_SPEC, sigstore's bundle format 0.1 to
// 0.3, DSSE 1.0, in-toto Statement v0.1 and v1, containers-signature(5), OCI image and
// distribution specifications 1.1.
package cosign

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// The media types of what is signed, and where signatures are.
const (
	simpleType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType = "application/vnd.dsse.envelope.v1+json"
	bundleType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	payloadType  = "application/vnd.in-toto+json"
)

// SignType is the predicate type of a statement that says only that its subject is signed.
const SignType = "https://sigstore.dev/cosign/sign/v1"

// The annotations of a layer in the tag layouts.
const (
	signatureKey   = "dev.cosignproject.cosign/signature"
	certificateKey = "dev.sigstore.cosign/certificate"
	loggedKey      = "dev.sigstore.cosign/bundle"
	timestampKey   = "dev.sigstore.cosign/rfc3161timestamp"
)

// Signature is a signature or an attestation that holds for the manifest that was asked
// about. It is by a key or by an identity.
type Signature struct {
	// Key is the key that it holds under, nil for an identity.
	Key *Key
	// Subject and Issuer are the identity in the certificate, and who said so; Identity is
	// which of those that are trusted it is. All empty for a key.
	Subject, Issuer string
	Identity        *Identity
	// PredicateType is what kind of statement was signed, "" for a payload of simple
	// signing; for that and for SignType it is a signature, and else an attestation.
	PredicateType string
	// Predicate is what an attestation says, as JSON in which no key is given twice.
	Predicate json.RawMessage
	// Reference is the name of the image by the signer's word (docker-reference), as it is
	// written; "" where the form has none.
	Reference string
	// At is when it was signed at the latest, by a log or a timestamp authority that the
	// root trusts. Zero where none says: only signatures by keys may be so.
	At time.Time
	// Claimed is when it was signed by the signer's own word, which is signed too; zero where
	// that says nothing of it. It is good against who holds the registry, and not against who
	// has the key.
	Claimed time.Time
	// Where is the place that it was found at.
	Where string

	// payload is the digest of the statement.
	payload [sha256.Size]byte
}

// Attests is true for what says something about the image, beyond that it is signed.
func (s *Signature) Attests() bool { return s.PredicateType != "" && s.PredicateType != SignType }

// By names who signed: the key's name, or the identity with its issuer.
func (s *Signature) By() string {
	if s.Key != nil {
		return "key " + s.Key.Name
	}
	return s.Subject + " (by " + s.Issuer + ")"
}

// Step is the part of checking that refused a signature.
type Step string

// The steps, in the order in which a signature meets them.
const (
	NoSignature    Step = "no-signature"    // nothing is there
	TooMany        Step = "too-many"        // more are there than are looked at
	Malformed      Step = "malformed"       // it cannot be read, is too large, or is not what it says it is
	WrongType      Step = "wrong-type"      // it is of a type that is no signature of an image
	WrongKey       Step = "wrong-key"       // it holds under no key that is trusted
	NoLogEntry     Step = "no-log-entry"    // no transparency log that is trusted has it
	NoTime         Step = "no-time"         // nobody who is trusted says when it was made
	Expired        Step = "expired"         // the certificate was not valid then
	NotYet         Step = "not-yet"         // it is from the future
	WrongAuthority Step = "wrong-authority" // no authority that is trusted issued the certificate
	Unlogged       Step = "unlogged"        // no log of certificates that is trusted has the certificate (RFC 6962)
	WrongSignature Step = "wrong-signature" // it does not hold under its own certificate
	WrongIssuer    Step = "wrong-issuer"    // another issuer vouches for the identity
	WrongIdentity  Step = "wrong-identity"  // the identity is not one that is trusted
	WrongDigest    Step = "wrong-digest"    // it is about another manifest, or about others too
	WrongName      Step = "wrong-name"      // it is for an image of another name, or of none
)

// Rejection is a signature that does not count, and why.
type Rejection struct {
	Step   Step
	Where  string
	Reason string
}

func (r Rejection) String() string { return fmt.Sprintf("%s: %s (%s)", r.Where, r.Reason, r.Step) }

// Layout is a place where signatures are kept.
type Layout string

// The layouts.
const (
	Referrers    Layout = "referrers"
	Tags         Layout = "tags"
	Attestations Layout = "attestations"
)

// Options bounds a search, and says where to look. The zero value looks everywhere.
type Options struct {
	// Layouts are looked at in this order. Default Referrers, Tags, Attestations: with a
	// manifest that is signed in the first, the others cost no request where Enough says
	// so.
	Layouts []Layout
	// Enough ends the search when it is true for what was found so far. nil finds all.
	Enough func([]Signature) bool
	// Whole looks at a layout that was begun to its end, whatever Enough says: of several
	// signatures by one signer the newest may be the last.
	Whole bool
	// Heard is given each attestation that holds, before Enough is asked, and may keep what it
	// needs of the predicate, of which nothing stays afterwards: it may have as many bytes as
	// Attestation says, and many may be there. nil keeps all of them.
	Heard func(*Signature)
	// SameName wants the name in a signature to be that of the repository: else a signature
	// also counts for a copy elsewhere. What names no image, as a bundle, is refused then.
	SameName bool
	// Signatures is how many are looked at, of all layouts together. Default 64.
	Signatures int
	// Payload and Attestation are how many bytes a payload of simple signing, and the
	// document of a statement, may have. Defaults 64 KiB and 8 MiB.
	Payload, Attestation int64
}

func (o Options) withDefaults() Options {
	if len(o.Layouts) == 0 {
		o.Layouts = []Layout{Referrers, Tags, Attestations}
	}
	o.Signatures = cmp.Or(o.Signatures, 64)
	o.Payload = cmp.Or(o.Payload, 64<<10)
	o.Attestation = cmp.Or(o.Attestation, 8<<20)
	return o
}

// maxReferrers bounds the list of a manifest's referrers, most of which may be no
// signatures.
const maxReferrers = 4096

// early is how far the clock of a log may be before ours.
const early = 5 * time.Minute

// refusal is why something does not hold, without its place.
type refusal struct {
	step Step
	why  string
}

func refuse(step Step, format string, of ...any) *refusal {
	return &refusal{step, fmt.Sprintf(format, of...)}
}

// tagOf is the tag for what is about a manifest.
func tagOf(subject digest.Digest, suffix string) string {
	return subject.Algorithm().String() + "-" + subject.Encoded() + suffix
}
