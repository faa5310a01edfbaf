package cosign

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// Identity is somebody who may sign with certificates of a sigstore.
type Identity struct {
	// Subject is the name in the certificate: an address, or the URI of a workflow. A * is
	// for any characters but /. Everything else is compared byte for byte.
	Subject string
	// Issuer is the URL of who vouched for it, exactly.
	Issuer string
}

func (i *Identity) check() error {
	switch {
	case i.Subject == "" || i.Issuer == "":
		return fmt.Errorf("the identity %q, %q must have a subject and an issuer", i.Subject, i.Issuer)
	case strings.Trim(i.Subject, "*/") == "":
		return fmt.Errorf("the identity %q is anybody", i.Subject)
	}
	return nil
}

// Is is true for a subject that the identity names, by the issuer that it names.
func (i *Identity) Is(subject, issuer string) bool { return i.Issuer == issuer && i.names(subject) }

// names is true for a subject that the pattern is for.
func (i *Identity) names(subject string) bool {
	parts := strings.Split(i.Subject, "*")
	rest, found := strings.CutPrefix(subject, parts[0])
	if !found {
		return false
	}
	for n, part := range parts[1:] {
		// The last part is the end; any other the first place where it fits, since what a *
		// is for has no / and each later * takes up what is left.
		at := strings.Index(rest, part)
		if n == len(parts)-2 {
			at = len(rest) - len(part)
		}
		if at < 0 || !strings.HasSuffix(rest[:at+len(part)], part) || strings.Contains(rest[:at], "/") {
			return false
		}
		rest = rest[at+len(part):]
	}
	return rest == ""
}

// Root is what a sigstore is trusted by: its certificate authorities, transparency logs and
// timestamp authorities, with when each is to be trusted.
type Root struct {
	material root.TrustedMaterial
	verifier *verify.Verifier
}

// ParseRoot reads a trusted root file (application/vnd.dev.sigstore.trustedroot+json;
// version=0.1), which `cosign trusted-root create` writes.
func ParseRoot(file string, data []byte) (*Root, error) {
	if _, err := strict.Tree(file, data); err != nil {
		return nil, err
	}
	material, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("reading the trusted root %s: %w", file, err)
	}
	return newRoot(material)
}

func newRoot(material root.TrustedMaterial) (*Root, error) {
	// A certificate lives for minutes: without a log entry nobody would notice one that was
	// issued wrongly, and without a time from another it could be used for ever.
	how := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(material.CTLogs()) > 0 { // a sigstore of one's own may have none
		how = append(how, verify.WithSignedCertificateTimestamps(1))
	}
	v, err := verify.NewVerifier(material, how...)
	if err != nil {
		return nil, err
	}
	return &Root{material, v}, nil
}

// Until is when the last of the root's certificate authorities ends, by its own certificate or by
// the file: nothing that is signed later counts. Zero where there is no authority.
func (r *Root) Until() time.Time {
	var last time.Time
	for _, one := range r.material.FulcioCertificateAuthorities() {
		ca, is := one.(*root.FulcioCertificateAuthority)
		if !is || ca.Root == nil {
			continue
		}
		end := ca.Root.NotAfter
		if !ca.ValidityPeriodEnd.IsZero() && ca.ValidityPeriodEnd.Before(end) {
			end = ca.ValidityPeriodEnd
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// entity is a bundle as the library is to see it.
type entity struct{ *bundle.Bundle }

// Version is none of those for which the library tries SHA-256 with keys of P-384 and P-521,
// and says so on the standard error. Certificates of a sigstore have the curve's own hash.
func (entity) Version() (string, error) { return "v0.4", nil }

// certified is true where there is a certificate.
func (e entity) certified() bool {
	content, err := e.VerificationContent()
	return err == nil && content.Certificate() != nil
}

// keyless checks a signature that has a certificate, and gives who made it and when.
func (s *Signers) keyless(e entity, what verify.ArtifactPolicyOption, now time.Time) (*Signature, *refusal) {
	if len(s.Identities) == 0 {
		return nil, refuse(WrongIdentity, "it is made with a certificate, and no identity is trusted")
	}
	got, err := s.Root.verifier.Verify(e, verify.NewPolicy(what, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, s.Root.explain(e, err)
	}
	if got.Signature == nil || got.Signature.Certificate == nil || len(got.VerifiedTimestamps) == 0 {
		return nil, refuse(Malformed, "it holds without a certificate or a time")
	}
	is := got.Signature.Certificate
	found := &Signature{Subject: is.SubjectAlternativeName, Issuer: is.Issuer, At: earliest(got.VerifiedTimestamps)}
	if found.At.After(now.Add(early)) {
		return nil, refuse(NotYet, "it was made at %s, and here it is %s", found.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	step := WrongIdentity
	for i := range s.Identities {
		want := &s.Identities[i]
		switch {
		case !want.names(found.Subject):
		case want.Issuer != found.Issuer:
			step = WrongIssuer
		default:
			found.Identity = want
			return found, nil
		}
	}
	return nil, refuse(step, "it is by %.200q, for whom %.200q vouches", found.Subject, found.Issuer)
}

// earliest is when something was signed at the latest, by who says the earliest time.
func earliest(all []verify.TimestampVerificationResult) time.Time {
	first := all[0].Timestamp
	for _, t := range all[1:] {
		if t.Timestamp.Before(first) {
			first = t.Timestamp
		}
	}
	return first
}

// explain tells which step it was that refused: the library has no types for its errors. What
// it goes by is not believed otherwise.
func (r *Root) explain(e entity, err error) *refusal {
	content, wrong := e.VerificationContent()
	if wrong != nil {
		return refuse(Malformed, "%v", wrong)
	}
	cert := content.Certificate()
	valid := func(at time.Time) bool { return !at.Before(cert.NotBefore) && !at.After(cert.NotAfter) }
	expired := func(at time.Time) *refusal {
		return refuse(Expired, "it was made at %s, and its certificate is for %s to %s", at.UTC().Format(time.RFC3339), cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	}
	logged, wrong := r.verifier.VerifyTransparencyLogInclusion(e)
	if wrong != nil {
		entries, _ := e.TlogEntries()
		for _, entry := range entries {
			if at := entry.IntegratedTime(); !at.IsZero() && !valid(at) {
				return expired(at)
			}
		}
		return refuse(NoLogEntry, "%v", wrong)
	}
	times, wrong := r.verifier.VerifyObserverTimestamps(e, logged)
	if wrong != nil {
		return refuse(NoTime, "%v", wrong)
	}
	for _, t := range times {
		if !valid(t.Timestamp) {
			return expired(t.Timestamp)
		}
		chains, wrong := verify.VerifyLeafCertificate(t.Timestamp, cert, r.material)
		if wrong != nil {
			return refuse(WrongAuthority, "%v", wrong)
		}
		if len(r.material.CTLogs()) == 0 {
			continue
		}
		if wrong := verify.VerifySignedCertificateTimestamp(chains, 1, r.material); wrong != nil {
			return refuse(Unlogged, "%v", wrong)
		}
	}
	return refuse(WrongSignature, "%v", err)
}

// anyKey takes a key for whatever a bundle calls its own.
type anyKey struct {
	root.BaseTrustedMaterial
	key *root.ExpiringKey
}

func (a *anyKey) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) { return a.key, nil }

// seen is when a signature by a key was made at the latest, zero where no log or authority
// that is trusted says.
func (s *Signers) seen(e entity, by *root.ExpiringKey, what verify.ArtifactPolicyOption, now time.Time) time.Time {
	if s.Root == nil || e.Bundle == nil || e.certified() {
		return time.Time{}
	}
	v, err := verify.NewVerifier(root.TrustedMaterialCollection{&anyKey{key: by}, s.Root.material}, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate())
	if err != nil {
		return time.Time{}
	}
	got, err := v.Verify(e, verify.NewPolicy(what, verify.WithKey()))
	if err != nil || len(got.VerifiedTimestamps) == 0 {
		return time.Time{}
	}
	if at := earliest(got.VerifiedTimestamps); !at.After(now.Add(early)) {
		return at
	}
	return time.Time{}
}

// logged is the annotation with what a log promised (cosign's SIGNATURE_SPEC, "bundle").
type logged struct {
	Promise []byte `json:"SignedEntryTimestamp"`
	Payload struct {
		Body  []byte `json:"body"`
		Time  int64  `json:"integratedTime"`
		Index int64  `json:"logIndex"`
		Log   string `json:"logID"`
	} `json:"Payload"`
}

// annotated makes a bundle of what the annotations of a layer say, in the tag layouts: of
// the oldest version, whose log entries have a promise and no proof.
func annotated(annotations map[string]string, content *protobundle.Bundle) (entity, *refusal) {
	content.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.1"
	content.VerificationMaterial = &protobundle.VerificationMaterial{}
	if text := annotations[certificateKey]; text != "" {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return entity{}, refuse(Malformed, "the annotation %s is no certificate in PEM", certificateKey)
		}
		// The authorities between are those of the root: what the annotation has of them
		// would only be a second way to say so.
		content.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}}}}
	} else {
		content.VerificationMaterial.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	}
	if text := annotations[loggedKey]; text != "" {
		entry, err := promised(text)
		if err != nil {
			return entity{}, refuse(Malformed, "the annotation %s: %v", loggedKey, err)
		}
		content.VerificationMaterial.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[timestampKey]; text != "" {
		var stamp struct {
			Signed []byte `json:"SignedRFC3161Timestamp"`
		}
		if _, err := strict.Decode("the annotation "+timestampKey, []byte(text), &stamp); err != nil {
			return entity{}, refuse(Malformed, "%v", err)
		}
		content.VerificationMaterial.TimestampVerificationData = &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: stamp.Signed}}}
	}
	b, err := bundle.NewBundle(content)
	if err != nil {
		return entity{}, refuse(Malformed, "%v", err)
	}
	return entity{b}, nil
}

func promised(text string) (*protorekor.TransparencyLogEntry, error) {
	var l logged
	if _, err := strict.Decode("it", []byte(text), &l); err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(l.Payload.Log)
	if err != nil || len(id) == 0 {
		return nil, errors.New("its logID is no hex digits")
	}
	var kind struct {
		Kind    string `json:"kind"`
		Version string `json:"apiVersion"`
	}
	if err := json.Unmarshal(l.Payload.Body, &kind); err != nil {
		return nil, fmt.Errorf("its body: %w", err)
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          l.Payload.Index,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.Version},
		IntegratedTime:    l.Payload.Time,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: l.Promise},
		CanonicalizedBody: l.Payload.Body,
	}, nil
}
