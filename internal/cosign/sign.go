package cosign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plimsoll/plimsoll/internal/image"
)

// maxSigned is how many signatures a manifest of the tag layout may have for another to be
// added: who looks at them looks at as many.
const maxSigned = 63

// SignTag signs a manifest in the tag layout: a payload of simple signing, with the name of
// the repository, is added to the manifest that the tag sha256-HEX.sig leads to. Where the key
// has signed that payload already, nothing changes. Of two who sign at a time one may lose:
// registries cannot change a tag only if it is as it was.
//
// The repository must have been opened to write to.
func (s *Signer) SignTag(ctx context.Context, r *image.Remote, subject digest.Digest) error {
	if err := s.signTag(ctx, r, subject); err != nil {
		return fmt.Errorf("signing %s@%s: %w", r.Repository(), subject, err)
	}
	return nil
}

func (s *Signer) signTag(ctx context.Context, r *image.Remote, subject digest.Digest) error {
	if err := subject.Validate(); err != nil {
		return err
	}
	said := simple{Optional: json.RawMessage("null")}
	said.Critical.Identity.Reference = r.Repository()
	said.Critical.Image.Digest = subject
	said.Critical.Type = simpleSigning
	payload, err := json.Marshal(said)
	if err != nil {
		return err
	}
	m := &oci.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest}
	tag := tagOf(subject, ".sig")
	old, err := r.Tagged(ctx, tag)
	if err == nil {
		if m, err = manifest(old); err == nil && old.MediaType != oci.MediaTypeImageManifest {
			err = fmt.Errorf("its type is %.100q", old.MediaType)
		}
	} else if errors.Is(err, image.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading what the tag %s leads to: %w", tag, err)
	}
	for _, layer := range m.Layers {
		sig, err := base64.StdEncoding.DecodeString(layer.Annotations[signatureKey])
		if err == nil && layer.Digest == digest.FromBytes(payload) && s.Key.holds(payload, sig) != nil {
			return nil
		}
	}
	if len(m.Layers) > maxSigned {
		return fmt.Errorf("the tag %s leads to %d signatures, and no more than %d would be looked at", tag, len(m.Layers), maxSigned+1)
	}
	sig, err := s.sign(payload)
	if err != nil {
		return err
	}
	layer, err := r.PutBlob(ctx, simpleType, payload)
	if err != nil {
		return err
	}
	layer.Annotations = map[string]string{signatureKey: base64.StdEncoding.EncodeToString(sig)}
	m.Layers = append(m.Layers, layer)
	// cosign's are images to registries, which so take them: each with its configuration.
	config := oci.Image{RootFS: oci.RootFS{Type: "layers"}}
	for _, layer := range m.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	}
	data, err := json.Marshal(config)
	if err != nil {
		return err
	}
	if m.Config, err = r.PutBlob(ctx, oci.MediaTypeImageConfig, data); err != nil {
		return err
	}
	if data, err = json.Marshal(m); err != nil {
		return err
	}
	_, err = r.PutManifest(ctx, tag, oci.MediaTypeImageManifest, data)
	return err
}

// SignReferrer signs a manifest by a bundle that refers to it: what cosign does since its
// third release. The time is put beside it, and is not signed.
//
// The repository must have been opened to write to.
func (s *Signer) SignReferrer(ctx context.Context, r *image.Remote, subject oci.Descriptor, now time.Time) error {
	if err := s.signReferrer(ctx, r, subject, now); err != nil {
		return fmt.Errorf("signing %s@%s: %w", r.Repository(), subject.Digest, err)
	}
	return nil
}

func (s *Signer) signReferrer(ctx context.Context, r *image.Remote, subject oci.Descriptor, now time.Time) error {
	if err := subject.Digest.Validate(); err != nil {
		return err
	}
	data, err := s.bundle(subject.Digest)
	if err != nil {
		return err
	}
	layer, err := r.PutBlob(ctx, bundleType, data)
	if err != nil {
		return err
	}
	config, err := r.PutBlob(ctx, oci.MediaTypeEmptyJSON, []byte("{}"))
	if err != nil {
		return err
	}
	_, err = r.PutReferrer(ctx, oci.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: oci.MediaTypeImageManifest, ArtifactType: bundleType,
		Config: config, Layers: []oci.Descriptor{layer},
		Subject: &oci.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{
			oci.AnnotationCreated:               now.UTC().Format(time.RFC3339),
			"dev.sigstore.bundle.content":       "dsse-envelope",
			"dev.sigstore.bundle.predicateType": SignType,
		},
	})
	return err
}

// bundle is a statement that a manifest is signed, signed.
func (s *Signer) bundle(subject digest.Digest) ([]byte, error) {
	said := statement{Type: statementTypes[0], PredicateType: SignType, Predicate: json.RawMessage("{}")}
	said.Subject = append(said.Subject, resource{map[string]string{subject.Algorithm().String(): subject.Encoded()}})
	payload, err := json.Marshal(said)
	if err != nil {
		return nil, err
	}
	sig, err := s.sign(dsse.PAE(payloadType, payload))
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(&protobundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: s.Key.hint}},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: payloadType, Signatures: []*protodsse.Signature{{Sig: sig}},
		}},
	})
}
