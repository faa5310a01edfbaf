// Package notation finds and checks signatures of the Notary Project ("Notation") over a
// manifest in a registry.
//
// [Find] looks among what refers to one manifest for signatures by the [Signer]s that are
// trusted: certificates of an [Authority] ([ParseAuthority]), of those the ones whose subject
// has what a [Subject] ([ParseSubject]) wants. It gives each [Signature] that holds, and a
// [Rejection] with the [Step] that refused it for each other.
//
// A signature is an envelope of JWS or COSE around a payload that names the manifest, with the
// chain of certificates. It holds where the chain leads to the authority and was valid when the
// signature was made, if a timestamp (RFC 3161) by who is trusted proves that, and else is valid
// now; and where the signature has not ended by its own word.
//
// Whoever may write to the repository can put anything there, and a registry may give anything.
// So nothing of it is believed before its signature holds, and all of it is bounded ([Options]).
//
// The package asks the registry, and nothing else: whether a certificate was revoked (OCSP,
// CRL) is not asked, and plugins are not run; a signature that needs one does not count. It
// does not decide how many signatures are needed, or how old they may be.
//
// Standards: the Notary Project's signature specification 1.1 with its JWS and COSE envelopes,
// and its trust store and trust policy specification; OCI image and distribution
// specifications 1.1; RFC 3161, RFC 5280.
package notation

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
)

// ArtifactType is the type of the manifest that has a signature.
const ArtifactType = "application/vnd.cncf.notary.signature"

// payloadType is the media type of what is signed.
const payloadType = "application/vnd.cncf.notary.payload.v1+json"

// envelopeTypes are the media types of envelopes.
var envelopeTypes = []string{jws.MediaTypeEnvelope, cose.MediaTypeEnvelope}

// Signature is a signature that holds for the manifest that was asked about.
type Signature struct {
	// By is the signer that it is one of. Of several that it is of there is a signature each.
	By *Signer
	// Certificate is the one that it was made with.
	Certificate *x509.Certificate
	// At is when it was made, zero where no timestamp that is trusted proves it: what the
	// signer says, but no later than the timestamp. So a new timestamp makes no old signature
	// younger. Claimed is what the signer says, which is signed too.
	At, Claimed time.Time
	// Until is when it stops to hold: by its own word, and without a proven time with its
	// certificates. Zero is never.
	Until time.Time
	// Where is the place that it was found at.
	Where string
}

// Step is the part of checking that refused a signature.
type Step string

// The steps, in the order in which a signature meets them.
const (
	NoSignature    Step = "no-signature"    // nothing is there
	TooMany        Step = "too-many"        // more are there than are looked at
	Malformed      Step = "malformed"       // it cannot be read, is too large, or is not what it says it is
	WrongType      Step = "wrong-type"      // it is of a type that is no signature of an image
	WrongSignature Step = "wrong-signature" // it does not hold under its own certificate
	NotUnderstood  Step = "not-understood"  // it has something that must be understood, and is not
	NotYet         Step = "not-yet"         // it is from the future, by its own word
	WrongAuthority Step = "wrong-authority" // no authority that is trusted issued the certificate
	WrongSubject   Step = "wrong-subject"   // the certificate is for somebody else
	NotValid       Step = "not-valid"       // the certificates were not valid when it was made, or are not now
	Expired        Step = "expired"         // it has ended by its own word
	WrongDigest    Step = "wrong-digest"    // it is about another manifest
)

// Rejection is a signature that does not count, and why.
type Rejection struct {
	Step   Step
	Where  string
	Reason string
}

func (r Rejection) String() string { return fmt.Sprintf("%s: %s (%s)", r.Where, r.Reason, r.Step) }

// Options bounds a search. The zero value is what most want.
type Options struct {
	// Enough ends the search when it is true for what was found so far. nil finds all.
	Enough func([]Signature) bool
	// Whole looks at all, whatever Enough says: of several signatures by one signer the newest
	// may be the last.
	Whole bool
	// Signatures is how many are looked at. Default 64.
	Signatures int
	// Envelope is how many bytes one may have. Default 128 KiB: four certificates of
	// RSA 4096 with a timestamp are a quarter of it, and each certificate costs a check.
	Envelope int64
}

func (o Options) withDefaults() Options {
	o.Signatures = cmp.Or(o.Signatures, 64)
	o.Envelope = cmp.Or(o.Envelope, 128<<10)
	return o
}

// maxReferrers bounds the list of a manifest's referrers, most of which may be no signatures.
const maxReferrers = 4096

// early is how far the clock of a signer or of a timestamp authority may be before ours.
const early = 5 * time.Minute

// refusal is why something does not hold, without its place.
type refusal struct {
	step Step
	why  string
}

func refuse(step Step, format string, of ...any) *refusal {
	return &refusal{step, fmt.Sprintf(format, of...)}
}
