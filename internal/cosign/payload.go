package cosign

import (
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// simpleSigning is the critical type of a payload that cosign signs.
const simpleSigning = "cosign container image signature"

// simple is a payload of simple signing (containers-signature(5)). A reader must refuse what
// it does not know in the critical part.
type simple struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest digest.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional json.RawMessage `json:"optional"`
}

// parseSimple reads a payload whose signature holds.
func parseSimple(data []byte) (*simple, *refusal) {
	p := &simple{}
	unknown, err := strict.Decode("the payload", data, p)
	switch {
	case err != nil:
		return nil, refuse(Malformed, "%v", err)
	case len(unknown) > 0:
		return nil, refuse(Malformed, "the payload has the key %.100q, which may change what it means", unknown[0])
	case p.Critical.Type != simpleSigning:
		return nil, refuse(WrongType, "its critical.type is %.100q, and not %q", p.Critical.Type, simpleSigning)
	}
	return p, nil
}

// about is the refusal of a payload that is not about exactly this manifest.
func (p *simple) about(subject digest.Digest) *refusal {
	if p.Critical.Image.Digest != subject {
		return refuse(WrongDigest, "it is about %.100q", p.Critical.Image.Digest)
	}
	return nil
}

// sameName is the refusal of a name that is not of a repository, as docker has both names.
func sameName(said, repository string) *refusal {
	if said == "" {
		return refuse(WrongName, "it does not say for which image it is, and the name is wanted")
	}
	named, err := reference.ParseNormalizedNamed(said)
	if err != nil || named.Name() != repository {
		return refuse(WrongName, "it is for %.200q, and this is %s", said, repository)
	}
	return nil
}

// envelope is a signed statement (DSSE 1.0).
type envelope struct {
	kind       string
	payload    []byte
	signatures [][]byte

	said  *statement
	wrong *refusal
}

// statement is the payload, read once for all whose signatures hold.
func (e *envelope) statement() (*statement, *refusal) {
	if e.said == nil && e.wrong == nil {
		e.said, e.wrong = parseStatement(e.payload)
	}
	return e.said, e.wrong
}

// maxSigners is how many signatures one envelope may have.
const maxSigners = 16

// parseEnvelope reads an envelope of DSSE: base64 in its common alphabet, with padding.
func parseEnvelope(data []byte) (*envelope, *refusal) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			Sig string `json:"sig"`
		} `json:"signatures"`
	}
	if _, err := strict.Decode("the envelope", data, &e); err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, refuse(Malformed, "the payload of the envelope: %v", err)
	}
	if n := len(e.Signatures); n == 0 || n > maxSigners {
		return nil, refuse(Malformed, "the envelope has %d signatures, and must have 1 to %d", n, maxSigners)
	}
	all := &envelope{kind: e.PayloadType, payload: payload}
	for i, s := range e.Signatures {
		sig, err := base64.StdEncoding.Strict().DecodeString(s.Sig)
		if err != nil {
			return nil, refuse(Malformed, "signature %d of the envelope: %v", i+1, err)
		}
		all.signatures = append(all.signatures, sig)
	}
	return all, nil
}

// typed is the refusal of a payload that is no statement. The type is signed with it, so
// that no signature for something else counts for one.
func (e *envelope) typed() *refusal {
	if e.kind != payloadType {
		return refuse(WrongType, "the payload of the envelope is %.100q, and not %q", e.kind, payloadType)
	}
	return nil
}

// statementTypes are the releases of in-toto's statement.
var statementTypes = []string{"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"}

// statement is what is said of subjects (in-toto Attestation Framework, Statement).
type statement struct {
	Type          string          `json:"_type"`
	Subject       []resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// resource is a subject. Its name is whatever the signer calls it.
type resource struct {
	Digest      map[string]string `json:"digest"`
	Annotations json.RawMessage   `json:"annotations,omitempty"`
}

// parseStatement reads a statement whose signature holds.
func parseStatement(data []byte) (*statement, *refusal) {
	s := &statement{}
	if _, err := strict.Decode("the statement", data, s); err != nil {
		return nil, refuse(Malformed, "%v", err)
	}
	switch {
	case !slices.Contains(statementTypes, s.Type):
		return nil, refuse(WrongType, "the statement is %.100q, and not in-toto's", s.Type)
	case s.PredicateType == "":
		return nil, refuse(Malformed, "the statement does not say of what type its predicate is")
	}
	return s, nil
}

// about is the refusal of a statement that is not about exactly this manifest. in-toto lets
// one statement be about many things; of an image it is about one, which may have several
// names, and one about others too was not made for it.
func (s *statement) about(subject digest.Digest) *refusal {
	if len(s.Subject) == 0 {
		return refuse(WrongDigest, "the statement has no subject")
	}
	for i, is := range s.Subject {
		if got := is.Digest[subject.Algorithm().String()]; got != subject.Encoded() {
			return refuse(WrongDigest, "subject %d of %d in the statement is %.100q", i+1, len(s.Subject), subject.Algorithm().String()+":"+got)
		}
	}
	return nil
}
