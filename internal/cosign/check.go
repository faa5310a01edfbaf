package cosign

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Signers are who is trusted to sign.
type Signers struct {
	// Keys count each under its own name; of two names for one key, the first counts.
	Keys []*Key
	// Identities sign with certificates that Root stands for.
	Identities []Identity
	// Root may be nil where there are no identities. With it, what logs and authorities say
	// of when a key signed is believed too.
	Root *Root
}

// check is the error of signers that cannot be.
func (s *Signers) check() error {
	for _, k := range s.Keys {
		if k == nil || len(k.verifiers) == 0 {
			return errors.New("a key that was not read is trusted")
		}
	}
	for i := range s.Identities {
		if err := s.Identities[i].check(); err != nil {
			return err
		}
	}
	if len(s.Identities) > 0 && s.Root == nil {
		return errors.New("identities are trusted, and no root that would say whose certificates are theirs")
	}
	return nil
}

// judge checks what is looked at: everything but where it is.
type judge struct {
	by      *Signers
	subject digest.Digest
	// repository is whose name a signature must have, "" for any.
	repository string
	now        time.Time
}

// signed checks a signature of a message, made by a key or with a certificate. The entity is
// the message with what shows when it was signed; its bundle may be nil.
func (j *judge) signed(message, sig []byte, e entity, what verify.ArtifactPolicyOption) (*Signature, *refusal) {
	for _, k := range j.by.Keys {
		if v := k.holds(message, sig); v != nil {
			return &Signature{Key: k, At: j.by.seen(e, root.NewExpiringKey(v, time.Time{}, time.Time{}), what, j.now)}, nil
		}
	}
	if e.Bundle != nil && e.certified() {
		return j.by.keyless(e, what, j.now)
	}
	if len(j.by.Keys) == 0 {
		return nil, refuse(WrongKey, "it is made by a key, and none is trusted")
	}
	return nil, refuse(WrongKey, "it holds under none of the %d keys that are trusted", len(j.by.Keys))
}

// simple checks a payload of simple signing with the annotations of its layer.
func (j *judge) simple(payload []byte, annotations map[string]string) (*Signature, *refusal) {
	sig, err := base64.StdEncoding.Strict().DecodeString(annotations[signatureKey])
	if err != nil || len(sig) == 0 {
		return nil, refuse(Malformed, "the annotation %s is no signature in base64", signatureKey)
	}
	sum := sha256.Sum256(payload)
	e, wrong := annotated(annotations, &protobundle.Bundle{Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]}, Signature: sig}}})
	if wrong != nil && annotations[certificateKey] != "" {
		return nil, wrong
	}
	found, wrong := j.signed(payload, sig, e, verify.WithArtifact(bytes.NewReader(payload)))
	if wrong != nil {
		return nil, wrong
	}
	said, wrong := parseSimple(payload)
	if wrong != nil {
		return nil, wrong
	}
	if wrong := said.about(j.subject); wrong != nil {
		return nil, wrong
	}
	if wrong := j.claims(found, said.Optional); wrong != nil {
		return nil, wrong
	}
	found.Reference = said.Critical.Identity.Reference
	if j.repository != "" {
		if wrong := sameName(found.Reference, j.repository); wrong != nil {
			return nil, wrong
		}
	}
	return found, nil
}

// attested checks an envelope of DSSE with the annotations of its layer. Each of its
// signatures may be the one that is looked for.
func (j *judge) attested(data []byte, annotations map[string]string) ([]Signature, *refusal) {
	all, wrong := parseEnvelope(data)
	if wrong != nil {
		return nil, wrong
	}
	if wrong := all.typed(); wrong != nil {
		return nil, wrong
	}
	var found []Signature
	var first *refusal
	signed := dsse.PAE(all.kind, all.payload)
	for _, sig := range all.signatures {
		e, wrong := annotated(annotations, &protobundle.Bundle{Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: all.payload, PayloadType: all.kind, Signatures: []*protodsse.Signature{{Sig: sig}}}}})
		if wrong != nil && annotations[certificateKey] != "" {
			return nil, wrong
		}
		one, wrong := j.signed(signed, sig, e, verify.WithoutArtifactUnsafe())
		if wrong == nil {
			wrong = j.says(one, all)
		}
		if wrong == nil {
			found = append(found, *one)
		} else if first == nil {
			first = wrong
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return nil, first
}

// says checks the statement whose signature holds, and puts into it what it says.
func (j *judge) says(found *Signature, all *envelope) *refusal {
	said, wrong := all.statement()
	if wrong != nil {
		return wrong
	}
	if wrong := said.about(j.subject); wrong != nil {
		return wrong
	}
	if j.repository != "" {
		return sameName("", j.repository)
	}
	for _, is := range said.Subject {
		if wrong := j.claims(found, is.Annotations); wrong != nil {
			return wrong
		}
	}
	found.PredicateType = said.PredicateType
	if found.Attests() {
		found.Predicate, found.payload = said.Predicate, sha256.Sum256(all.payload)
	}
	return nil
}

// bundled checks a sigstore bundle.
func (j *judge) bundled(data []byte) (*Signature, *refusal) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	signed := b.GetDsseEnvelope()
	if signed == nil {
		return nil, refuse(WrongType, "the bundle has no envelope, and signs no image")
	}
	all := &envelope{kind: signed.PayloadType, payload: signed.Payload}
	if wrong := all.typed(); wrong != nil {
		return nil, wrong
	}
	if len(signed.Signatures) != 1 {
		return nil, refuse(Malformed, "the envelope of a bundle has %d signatures, and must have 1", len(signed.Signatures))
	}
	found, wrong := j.signed(dsse.PAE(all.kind, all.payload), signed.Signatures[0].GetSig(), entity{b}, verify.WithoutArtifactUnsafe())
	if wrong != nil {
		return nil, wrong
	}
	if wrong := j.says(found, all); wrong != nil {
		return nil, wrong
	}
	return found, nil
}

// place says where something is, for people.
func place(name string, layer, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s, layer %d of %d", name, layer+1, of)
}
