package notation

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/jws"
	nx509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/tspclient-go"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// judge checks what is looked at: everything but where it is.
type judge struct {
	by      []*Signer
	subject oci.Descriptor
	now     time.Time
}

// plugin is what the names of attributes begin with that ask for a plugin.
const plugin = "io.cncf.notary.verificationPlugin"

// enveloped checks an envelope of a media type, and gives the signature once for each signer
// that it is of.
func (j *judge) enveloped(ctx context.Context, mediaType string, data []byte) ([]Signature, *refusal) {
	content, wrong := open(mediaType, data)
	if wrong != nil {
		return nil, wrong
	}
	if content.Payload.ContentType != payloadType {
		return nil, refuse(WrongType, "its payload is of the type %.100q, and not %s", content.Payload.ContentType, payloadType)
	}
	info := &content.SignerInfo
	if wrong := understood(&info.SignedAttributes); wrong != nil {
		return nil, wrong
	}
	// One from the future would be the newest for as long as it is one.
	claimed := info.SignedAttributes.SigningTime
	if claimed.After(j.now.Add(early)) {
		return nil, refuse(NotYet, "its signer says that it was made at %s, and here it is %s", claimed.UTC().Format(time.RFC3339), j.now.UTC().Format(time.RFC3339))
	}
	var found []Signature
	refused := refuse(WrongAuthority, "nobody is trusted")
	asked := map[*Authority]*standing{}
	for _, s := range j.by {
		st := asked[s.Authority]
		if st == nil {
			st = j.stands(ctx, s.Authority, info)
			asked[s.Authority] = st
		}
		leaf := info.CertificateChain[0]
		wrong := st.issued
		if wrong == nil && s.Subject != nil && !s.Subject.fits(leaf.Subject) {
			wrong = refuse(WrongSubject, "its certificate is for %.300q, which is not who is meant by %s", leaf.Subject, s.Name)
		}
		if wrong == nil {
			wrong = st.valid
		}
		if wrong != nil {
			// The one that got furthest says most.
			if slices.Index(perSigner, wrong.step) >= slices.Index(perSigner, refused.step) {
				refused = wrong
			}
			continue
		}
		found = append(found, Signature{By: s, Certificate: leaf, At: st.at, Claimed: claimed, Until: st.until})
	}
	if len(found) == 0 {
		return nil, refused
	}
	if end := info.SignedAttributes.Expiry; !end.IsZero() && !j.now.Before(end) {
		return nil, refuse(Expired, "it was signed until %s", end.UTC().Format(time.RFC3339))
	}
	if wrong := j.about(content.Payload.Content); wrong != nil {
		return nil, wrong
	}
	return found, nil
}

// perSigner are the steps that are of a signer, in their order.
var perSigner = []Step{WrongAuthority, WrongSubject, NotValid}

// open reads an envelope and checks that it holds under its own certificate, whose chain is
// one: from the signer's to one that is signed by itself, each by the next.
func open(mediaType string, data []byte) (*signature.EnvelopeContent, *refusal) {
	if mediaType == jws.MediaTypeEnvelope {
		if err := once(data); err != nil {
			return nil, refuse(Malformed, "%v", err)
		}
	}
	e, err := signature.ParseEnvelope(mediaType, data)
	if err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	content, err := e.Verify()
	forged := new(signature.SignatureIntegrityError)
	switch {
	case errors.As(err, &forged):
		return nil, refuse(WrongSignature, "%v", err)
	case err != nil:
		return nil, refuse(Malformed, "%v", err)
	}
	return content, nil
}

// once refuses an envelope of JWS in which a key is given twice, or in another case, outside or
// in what is signed: the library, and others, would take one of the two. COSE refuses that
// itself.
func once(data []byte) error {
	var e struct {
		Payload   string         `json:"payload"`
		Protected string         `json:"protected"`
		Signature string         `json:"signature"`
		Header    map[string]any `json:"header"`
	}
	unknown, err := strict.Decode("the envelope", data, &e)
	if err == nil {
		err = spelt(unknown, "payload", "protected", "signature", "header")
	}
	if err != nil {
		return err
	}
	protected, err := base64.RawURLEncoding.DecodeString(e.Protected)
	if err != nil {
		return fmt.Errorf("the protected header: %w", err)
	}
	var header map[string]any
	if _, err = strict.Decode("the protected header", protected, &header); err != nil {
		return err
	}
	for _, all := range []map[string]any{e.Header, header} {
		keys := slices.Collect(maps.Keys(all))
		if err := spelt(keys, "alg", "cty", "crit", "x5c", stampKey, expiryKey, schemeKey, timeKey, authenticKey); err != nil {
			return err
		}
	}
	return nil
}

// The keys of headers whose names are long.
const (
	stampKey     = "io.cncf.notary.timestampSignature"
	expiryKey    = "io.cncf.notary.expiry"
	schemeKey    = "io.cncf.notary.signingScheme"
	timeKey      = "io.cncf.notary.signingTime"
	authenticKey = "io.cncf.notary.authenticSigningTime"
)

// spelt is the error of a key that is one which counts, but for its case.
func spelt(keys []string, count ...string) error {
	for _, key := range keys {
		for _, one := range count {
			if key != one && strict.Fold(key) == strict.Fold(one) {
				return fmt.Errorf("the key %.100q is not spelt %s", key, one)
			}
		}
	}
	return nil
}

// understood is the refusal of what must be understood and is not: critical attributes, which
// nobody here knows, those that want a plugin, and times by the word of a signing authority,
// for whom there would have to be trust of its own.
func understood(signed *signature.SignedAttributes) *refusal {
	for _, one := range signed.ExtendedAttributes {
		if name, is := one.Key.(string); is && strings.HasPrefix(name, plugin) {
			return refuse(NotUnderstood, "it wants to be checked by the plugin %.100q, and plugins are not run", fmt.Sprint(one.Value))
		}
	}
	for _, one := range signed.ExtendedAttributes {
		if one.Critical {
			return refuse(NotUnderstood, "it has the critical attribute %.100q", fmt.Sprint(one.Key))
		}
	}
	if signed.SigningScheme != signature.SigningSchemeX509 {
		return refuse(NotUnderstood, "its scheme is %.100q, and only %s is read", signed.SigningScheme, signature.SigningSchemeX509)
	}
	return nil
}

// standing is what an authority makes of a signature.
type standing struct {
	issued, valid *refusal
	at, until     time.Time
}

// stands tells whether a chain leads to an authority, and was valid when it should be.
func (j *judge) stands(ctx context.Context, a *Authority, info *signature.SignerInfo) *standing {
	st := &standing{}
	chain := info.CertificateChain
	if _, err := signature.VerifyAuthenticity(info, a.certificates); err != nil {
		st.issued = refuse(WrongAuthority, "no authority that is trusted issued the certificate of %.300q", chain[0].Subject)
		return st
	}
	stamp, untimed := j.stamped(ctx, a, info)
	from, to, when := j.now, j.now, "now"
	if stamp != nil {
		from, to, when = stamp.Value.Add(-stamp.Accuracy), stamp.Value.Add(stamp.Accuracy), "when it was signed, by its timestamp"
		st.at = stamp.Value
		// Anybody can have an old signature stamped anew, so the signer's word counts where it
		// is earlier.
		if said := info.SignedAttributes.SigningTime; said.Before(st.at) {
			st.at = said
		}
	} else {
		for _, c := range chain {
			if st.until.IsZero() || c.NotAfter.Before(st.until) {
				st.until = c.NotAfter
			}
		}
	}
	for _, c := range chain {
		if from.Before(c.NotBefore) || to.After(c.NotAfter) {
			st.valid = refuse(NotValid, "the certificate of %.300q, for %s to %s, was not valid %s, %s%s", c.Subject, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), when, to.UTC().Format(time.RFC3339), untimed)
			return st
		}
	}
	if end := info.SignedAttributes.Expiry; !end.IsZero() && (st.until.IsZero() || end.Before(st.until)) {
		st.until = end
	}
	// What the library does not look at: constraints of names, and critical extensions.
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: a.roots, Intermediates: between, CurrentTime: to, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		st.issued = refuse(WrongAuthority, "%v", err)
	}
	return st
}

// stamped is when a signature was made at the latest, by a timestamp that is trusted, or why
// that is not known.
func (j *judge) stamped(ctx context.Context, a *Authority, info *signature.SignerInfo) (*tspclient.Timestamp, string) {
	data := info.UnsignedAttributes.TimestampSignature
	switch {
	case len(data) == 0:
		return nil, "; it has no timestamp"
	case a.stamps == nil:
		return nil, "; its timestamp is not looked at, for no authority of timestamps is trusted"
	}
	untrusted := func(err error) (*tspclient.Timestamp, string) {
		return nil, fmt.Sprintf("; its timestamp does not hold: %v", err)
	}
	token, err := tspclient.ParseSignedToken(data)
	if err != nil {
		return untrusted(err)
	}
	said, err := token.Info()
	if err != nil {
		return untrusted(err)
	}
	stamp, err := said.Validate(info.Signature)
	if err != nil {
		return untrusted(err)
	}
	if stamp.Accuracy < 0 {
		return untrusted(errors.New("its accuracy is negative"))
	}
	if stamp.Value.After(j.now.Add(early)) {
		return untrusted(fmt.Errorf("it is of %s, which is yet to come", stamp.Value.UTC().Format(time.RFC3339)))
	}
	chain, err := token.Verify(ctx, x509.VerifyOptions{Roots: a.stamps, CurrentTime: stamp.Value})
	if err == nil {
		err = nx509.ValidateTimestampingCertChain(chain)
	}
	if err != nil {
		return untrusted(err)
	}
	return stamp, ""
}

// about is the refusal of a payload that is not about exactly the subject.
func (j *judge) about(payload []byte) *refusal {
	var said struct {
		Target *struct {
			MediaType   string            `json:"mediaType"`
			Digest      string            `json:"digest"`
			Size        int64             `json:"size"`
			Annotations map[string]string `json:"annotations"`
		} `json:"targetArtifact"`
	}
	unknown, err := strict.Decode("the payload", payload, &said)
	switch {
	case err != nil:
		return refuse(Malformed, "%v", err)
	case len(unknown) > 0:
		return refuse(Malformed, "the payload has the key %.100q, which may change what it means", unknown[0])
	case said.Target == nil:
		return refuse(Malformed, "the payload has no targetArtifact")
	case said.Target.Digest != string(j.subject.Digest):
		return refuse(WrongDigest, "it is about %.100q", said.Target.Digest)
	case said.Target.Size != j.subject.Size:
		return refuse(WrongDigest, "it is about %d bytes, and this has %d", said.Target.Size, j.subject.Size)
	case said.Target.MediaType != j.subject.MediaType:
		return refuse(WrongDigest, "it is about something of the type %.100q, and this is of %s", said.Target.MediaType, j.subject.MediaType)
	}
	return nil
}
