package cosign

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	"github.com/plimsoll/plimsoll/internal/strict"
)

// maxSigned is how many signatures a manifest of the tag layout may have for another to be
// added: who looks at them looks at as many.
const maxSigned = 63

// SignTag signs a manifest in the tag layout: a payload of simple signing, with the name of
// the repository and the time, is added to the manifest that the tag sha256-HEX.sig leads to. It
// takes the place of an earlier one that was made here with the key. Of two who sign at a time
// one may lose: registries cannot change a tag only if it is as it was.
//
// The repository must have been opened to write to.
func (s *Signer) SignTag(ctx context.Context, r *image.Remote, subject digest.Digest, now time.Time) error {
	if err := s.signTag(ctx, r, subject, now); err != nil {
		return fmt.Errorf("signing %s@%s: %w", r.Repository(), subject, err)
	}
	return nil
}

func (s *Signer) signTag(ctx context.Context, r *image.Remote, subject digest.Digest, now time.Time) error {
	if err := subject.Validate(); err != nil {
		return err
	}
	optional, err := json.Marshal(annotations{Creator: creator, Timestamp: now.Unix()})
	if err != nil {
		return err
	}
	said := simple{Optional: optional}
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
	kept := m.Layers[:0]
	for i, layer := range m.Layers {
		own := false
		if i <= maxSigned { // behind that nobody looks
			if own, err = s.own(ctx, r, layer, &said); err != nil {
				return err
			}
		}
		switch {
		case !own:
			kept = append(kept, layer)
		case layer.Digest == digest.FromBytes(payload):
			return nil // in one second
		}
	}
	m.Layers = kept
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

// own is true for a signature that was made here with the key, and says the same but for the
// time. One that a log has seen, or that has annotations of somebody's, says more.
func (s *Signer) own(ctx context.Context, r *image.Remote, layer oci.Descriptor, as *simple) (bool, error) {
	sig, err := base64.StdEncoding.DecodeString(layer.Annotations[signatureKey])
	if err != nil || len(layer.Annotations) != 1 || layer.MediaType != simpleType {
		return false, nil
	}
	payload, err := r.Blob(ctx, layer, Options{}.withDefaults().Payload)
	if errors.Is(err, image.ErrNotFound) || errors.Is(err, image.ErrOther) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	said, wrong := parseSimple(payload)
	if wrong != nil || s.Key.holds(payload, sig) == nil {
		return false, nil
	}
	var by annotations
	if _, err := strict.Decode("the annotations", said.Optional, &by); err != nil {
		return false, nil
	}
	return said.Critical == as.Critical && (by.Creator == creator || string(said.Optional) == "null"), nil
}

// SignReferrer signs a manifest by a bundle that refers to it: what cosign does since its
// third release.
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
	data, err := s.bundle(subject.Digest, now)
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

// bundle is a statement that a manifest is signed, signed. The time is where cosign has what its
// -a gives, and as it has that.
func (s *Signer) bundle(subject digest.Digest, now time.Time) ([]byte, error) {
	said := statement{Type: statementTypes[0], PredicateType: SignType, Predicate: json.RawMessage("{}")}
	noted, err := json.Marshal(annotations{Creator: creator, Timestamp: strconv.FormatInt(now.Unix(), 10)})
	if err != nil {
		return nil, err
	}
	said.Subject = append(said.Subject, resource{map[string]string{subject.Algorithm().String(): subject.Encoded()}, noted})
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
