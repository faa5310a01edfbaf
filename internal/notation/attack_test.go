package notation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
)

// scene is an image, another, and an authority.
type scene struct {
	hub            *hub
	r              *image.Remote
	subject, other oci.Descriptor
	root, release  *notationtest.Holder
}

func newScene(t *testing.T, referrers bool) *scene {
	t.Helper()
	s := &scene{hub: newHub(t, referrers), root: notationtest.Authority(nil, "root")}
	s.r = s.hub.open(t, "team/app")
	s.release = s.root.Issue(notationtest.Named("release"))
	s.other = push(t, s.r, "another")
	s.subject = push(t, s.r, "the one")
	return s
}

// fresh is another image of the scene.
func (s *scene) fresh(t *testing.T, text string) oci.Descriptor {
	t.Helper()
	return push(t, s.r, text)
}

const wanted = "C=US, ST=WA, O=acme, CN=release"

func attribute(key string, critical bool) func(*signature.SignRequest) {
	return func(q *signature.SignRequest) {
		q.ExtendedSignedAttributes = append(q.ExtendedSignedAttributes, signature.Attribute{Key: key, Critical: critical, Value: "x"})
	}
}

// resealed changes what an envelope of JWS has, whose signature stays as it was.
func resealed(envelope []byte, change func(e map[string]any)) []byte {
	e := map[string]any{}
	if err := json.Unmarshal(envelope, &e); err != nil {
		panic(err)
	}
	change(e)
	return jsonOf(e)
}

// about has an envelope be about another image than was signed.
func about(kind string, envelope []byte, was, is oci.Descriptor) []byte {
	if kind != jws.MediaTypeEnvelope {
		return bytes.ReplaceAll(envelope, []byte(was.Digest.Encoded()), []byte(is.Digest.Encoded()))
	}
	return resealed(envelope, func(e map[string]any) { e["payload"] = base64.RawURLEncoding.EncodeToString(notationtest.Payload(is)) })
}

// TestAttacks: what a writer to the repository, and a signer, can make is refused by the step
// that is meant to, in both envelopes and registries; the ordinary one put beside each holds.
func TestAttacks(t *testing.T) {
	for name, kind := range kinds {
		for _, referrers := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, referrers %v", name, referrers), func(t *testing.T) { testAttacks(t, newScene(t, referrers), kind) })
		}
	}
}

func testAttacks(t *testing.T, s *scene, kind string) {
	by := trusting(t, s.root.Root(), nil, wanted)
	thief := notationtest.Authority(nil, "root")
	good := func(of oci.Descriptor) *signature.SignRequest { return request(s.release, notationtest.Payload(of)) }
	with := func(change func(q *signature.SignRequest)) func(oci.Descriptor) []byte {
		return func(of oci.Descriptor) []byte {
			q := good(of)
			change(q)
			return notationtest.Seal(t, kind, q)
		}
	}
	from := func(h *notationtest.Holder) func(oci.Descriptor) []byte {
		return func(of oci.Descriptor) []byte {
			return notationtest.Seal(t, kind, request(h, notationtest.Payload(of)))
		}
	}
	saying := func(payload string) func(oci.Descriptor) []byte {
		return func(of oci.Descriptor) []byte {
			text := strings.NewReplacer("DIGEST", string(of.Digest), "SIZE", fmt.Sprint(of.Size), "TYPE", of.MediaType).Replace(payload)
			return notationtest.Seal(t, kind, request(s.release, []byte(text)))
		}
	}
	limited := notationtest.Certify(nil, makers["EC 256"](), x509.Certificate{Subject: pkix.Name{CommonName: "limited"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{"acme.example"}})
	outside := notationtest.CodeSigning(notationtest.Named("release"))
	outside.DNSNames = []string{"evil.example"}
	both := trusting(t, append(s.root.Root(), limited.Root()...), nil, wanted)

	for what, tc := range map[string]struct {
		envelope func(of oci.Descriptor) []byte
		step     Step
	}{
		"forged": {func(of oci.Descriptor) []byte {
			return about(kind, notationtest.Seal(t, kind, good(s.other)), s.other, of)
		}, WrongSignature},
		"another's signature":                   {func(oci.Descriptor) []byte { return notationtest.Seal(t, kind, good(s.other)) }, WrongDigest},
		"of another authority":                  {from(thief.Issue(notationtest.Named("release"))), WrongAuthority},
		"by itself":                             {from(notationtest.Certify(nil, makers["EC 256"](), notationtest.CodeSigning(notationtest.Named("release")))), WrongAuthority},
		"outside what an authority may certify": {from(notationtest.Certify(limited, makers["EC 256"](), outside)), WrongAuthority},
		"of a look-alike":                       {from(s.root.Issue(notationtest.Named("reIease"))), WrongSubject},
		"of another organisation":               {from(s.root.Issue(pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme "}, CommonName: "release"})), WrongSubject},
		"of two names":                          {from(s.root.Issue(pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"acme", "evil"}, CommonName: "release"})), WrongSubject},
		"of a name in a name":                   {from(s.root.Issue(notationtest.Named("x,CN=release"))), WrongSubject},
		"ended":                                 {with(func(q *signature.SignRequest) { q.SigningTime, q.Expiry = noon.Add(-time.Hour), noon }), Expired},
		"critical":                              {with(attribute("com.acme.must", true)), NotUnderstood},
		"for a plugin":                          {with(attribute("io.cncf.notary.verificationPlugin", true)), NotUnderstood},
		"for a plugin, not critical":            {with(attribute("io.cncf.notary.verificationPlugin", false)), NotUnderstood},
		"timed by a signing authority":          {with(func(q *signature.SignRequest) { q.SigningScheme = signature.SigningSchemeX509SigningAuthority }), NotUnderstood},
		"a statement":                           {with(func(q *signature.SignRequest) { q.Payload.ContentType = "application/vnd.in-toto+json" }), WrongType},
		"a blob's payload":                      {with(func(q *signature.SignRequest) { q.Payload.ContentType += ";v=2" }), WrongType},
		"another size":                          {saying(`{"targetArtifact":{"mediaType":"TYPE","digest":"DIGEST","size":7}}`), WrongDigest},
		"another type":                          {saying(`{"targetArtifact":{"mediaType":"TYPE+x","digest":"DIGEST","size":SIZE}}`), WrongDigest},
		"nothing of it":                         {saying(`{"target":{"mediaType":"TYPE","digest":"DIGEST","size":SIZE}}`), Malformed},
		"more of it":                            {saying(`{"targetArtifact":{"mediaType":"TYPE","digest":"DIGEST","size":SIZE,"urls":["x"]}}`), Malformed},
		"no envelope":                           {func(oci.Descriptor) []byte { return []byte("{}") }, Malformed},
		"the other envelope": {func(of oci.Descriptor) []byte {
			for _, k := range envelopeTypes {
				if k != kind {
					return notationtest.Seal(t, k, good(of))
				}
			}
			return nil
		}, Malformed},
	} {
		t.Run(what, func(t *testing.T) {
			of := s.fresh(t, what)
			data := tc.envelope(of)
			notationtest.Attach(t, s.r, of, kind, data)
			found, rejected := find(t, s.r, of, noon, both)
			if len(found) != 0 || len(rejected) != 1 || rejected[0].Step != tc.step {
				t.Errorf("%d found, %v, want %s", len(found), rejected, tc.step)
			}
			right := notationtest.Attach(t, s.r, of, kind, notationtest.Seal(t, kind, good(of)))
			found, rejected = find(t, s.r, of, noon, by)
			if len(found) != 1 || found[0].Where != "referrer "+string(right.Digest) || len(rejected) != 1 {
				t.Errorf("beside the right one: %d found, %v", len(found), rejected)
			}
		})
	}
	// What is not critical is let be, and so is a chain within its limits.
	within := notationtest.CodeSigning(notationtest.Named("release"))
	within.DNSNames = []string{"ci.acme.example"}
	for what, q := range map[string]func(oci.Descriptor) []byte{"an attribute": with(attribute("com.acme.may", false)), "within": from(notationtest.Certify(limited, makers["EC 256"](), within)),
		"with an end": with(func(q *signature.SignRequest) { q.Expiry = noon.Add(time.Second) })} {
		of := s.fresh(t, what)
		notationtest.Attach(t, s.r, of, kind, q(of))
		if found, rejected := find(t, s.r, of, noon, both); len(found) != 1 {
			t.Errorf("%s: %v", what, rejected)
		}
	}
}

// TestTimes: the certificates must be valid when a timestamp that is trusted says that it was
// signed, and now where none does.
func TestTimes(t *testing.T) {
	s := newScene(t, true)
	year := 365 * 24 * time.Hour
	short := func(from, to time.Time) *notationtest.Holder {
		c := notationtest.CodeSigning(notationtest.Named("release"))
		c.NotBefore, c.NotAfter = from, to
		return notationtest.Certify(s.root, makers["EC 256"](), c)
	}
	ended := short(noon.Add(-3*year), noon.Add(-2*year))
	during := noon.Add(-2*year - 24*time.Hour)
	at := func(h *notationtest.Holder, when time.Time, by *notationtest.Stamper) func(of oci.Descriptor) *signature.SignRequest {
		return func(of oci.Descriptor) *signature.SignRequest {
			q := request(h, notationtest.Payload(of))
			q.SigningTime = when
			if by != nil {
				notationtest.Stamped(q, by)
			}
			return q
		}
	}
	clock, stranger := notationtest.NewStamper(during), notationtest.NewStamper(during)
	move := func(to time.Time, accuracy time.Duration) *notationtest.Stamper {
		return &notationtest.Stamper{Holder: clock.Holder, At: to, Accuracy: accuracy}
	}
	for what, tc := range map[string]struct {
		sign func(oci.Descriptor) *signature.SignRequest
		step Step
		// proven is when it was signed, ends when it will have.
		proven, ends time.Time
	}{
		"ended, with a timestamp":                   {at(ended, during, clock), "", during, time.Time{}},
		"ended, without one":                        {at(ended, during, nil), NotValid, time.Time{}, time.Time{}},
		"ended, by a stranger's":                    {at(ended, during, stranger), NotValid, time.Time{}, time.Time{}},
		"ended before its timestamp":                {at(ended, during, move(noon.Add(-year), 0)), NotValid, time.Time{}, time.Time{}},
		"ended, perhaps, before it":                 {at(ended, during, move(noon.Add(-2*year), time.Second)), NotValid, time.Time{}, time.Time{}},
		"ended as it was stamped":                   {at(ended, during, move(noon.Add(-2*year), 0)), "", during, time.Time{}},
		"stamped before its certificate":            {at(short(noon.Add(-year), noon.Add(year)), noon.Add(-year), clock), NotValid, time.Time{}, time.Time{}},
		"valid":                                     {at(short(noon.Add(-year), noon.Add(year)), noon, nil), "", time.Time{}, noon.Add(year)},
		"valid to the second":                       {at(short(noon.Add(-year), noon), noon, nil), "", time.Time{}, noon},
		"valid, with a stranger's timestamp":        {at(short(noon.Add(-3*year), noon.Add(year)), noon, stranger), "", time.Time{}, noon.Add(year)},
		"signed tomorrow":                           {at(s.release, noon.Add(24*time.Hour), nil), NotYet, time.Time{}, time.Time{}},
		"signed by a clock that is early":           {at(s.release, noon.Add(5*time.Minute), nil), "", time.Time{}, notationtest.Far},
		"valid from a minute on":                    {at(short(noon.Add(time.Minute), noon.Add(year)), noon.Add(2*time.Minute), nil), NotValid, time.Time{}, time.Time{}},
		"valid, stamped tomorrow":                   {at(s.release, noon, move(noon.Add(24*time.Hour), 0)), "", time.Time{}, notationtest.Far},
		"valid soon, and stamped tomorrow":          {at(short(noon.Add(time.Minute), notationtest.Far), noon.Add(2*time.Minute), move(noon.Add(24*time.Hour), 0)), NotValid, time.Time{}, time.Time{}},
		"old, and stamped anew":                     {at(s.release, noon.Add(-year), move(noon, 0)), "", noon.Add(-year), time.Time{}},
		"signed later than stamped, by a bad clock": {at(s.release, noon, move(noon.Add(-time.Hour), 0)), "", noon.Add(-time.Hour), time.Time{}},
	} {
		for name, kind := range kinds {
			of := s.fresh(t, what+name)
			notationtest.Attach(t, s.r, of, kind, notationtest.Seal(t, kind, tc.sign(of)))
			found, rejected := find(t, s.r, of, noon, trusting(t, s.root.Root(), clock.Root(), wanted))
			switch {
			case tc.step != "":
				if len(found) != 0 || len(rejected) != 1 || rejected[0].Step != tc.step {
					t.Errorf("%s, %s: %v, %v", what, name, found, rejected)
				}
			case len(found) != 1:
				t.Errorf("%s, %s: %v", what, name, rejected)
			case !found[0].At.Equal(tc.proven) || !found[0].Until.Equal(tc.ends) || found[0].Claimed.IsZero():
				t.Errorf("%s, %s: at %s, until %s", what, name, found[0].At, found[0].Until)
			}
			// Without trust in any timestamp, only now counts.
			if found, _ := find(t, s.r, of, noon, trusting(t, s.root.Root(), nil, wanted)); len(found) > 0 && !found[0].At.IsZero() {
				t.Errorf("%s, %s: proven by nobody", what, name)
			}
		}
	}
	// A timestamp of another signature proves nothing.
	of := s.fresh(t, "swapped")
	q := at(ended, during, clock)(of)
	one, two := notationtest.Seal(t, jws.MediaTypeEnvelope, q), notationtest.Seal(t, jws.MediaTypeEnvelope, q)
	var from map[string]any
	if err := json.Unmarshal(two, &from); err != nil {
		t.Fatal(err)
	}
	notationtest.Attach(t, s.r, of, jws.MediaTypeEnvelope, resealed(one, func(e map[string]any) { e["header"] = from["header"] }))
	if found, rejected := find(t, s.r, of, noon, trusting(t, s.root.Root(), clock.Root(), wanted)); len(found) != 0 || rejected[0].Step != NotValid || !strings.Contains(rejected[0].Reason, "mismatched") {
		t.Errorf("another's timestamp: %v %v", found, rejected)
	}
	notationtest.Attach(t, s.r, of, jws.MediaTypeEnvelope, one)
	if found, rejected := find(t, s.r, of, noon, trusting(t, s.root.Root(), clock.Root(), wanted)); len(found) != 1 {
		t.Errorf("its own: %v", rejected)
	}
}

// TestReferrers: what a list of referrers may name that is no signature of the manifest is told
// or passed over, and a key that is given twice is refused.
func TestReferrers(t *testing.T) {
	s := newScene(t, true)
	by := trusting(t, s.root.Root(), nil, wanted)
	kind := jws.MediaTypeEnvelope
	envelope := notationtest.Seal(t, kind, request(s.release, notationtest.Payload(s.subject)))
	blob := must(s.r.PutBlob(t.Context(), kind, envelope))
	as := func(d oci.Descriptor, change func(*oci.Descriptor)) oci.Descriptor {
		change(&d)
		return d
	}
	put := func(data []byte) oci.Descriptor { return must(s.r.PutBlob(t.Context(), kind, data)) }
	twice := bytes.Replace(envelope, []byte(`{"payload"`), []byte(`{"payload":"e30","payload"`), 1)
	cased := bytes.Replace(envelope, []byte(`{"payload"`), []byte(`{"Payload":"e30","payload"`), 1)
	chained := bytes.Replace(envelope, []byte(`{"x5c"`), []byte(`{"X5C":[],"x5c"`), 1)
	for what, tc := range map[string]struct {
		kind   string
		layers []oci.Descriptor
		step   Step
	}{
		"of another type of manifest": {"application/spdx+json", []oci.Descriptor{blob}, NoSignature},
		"an envelope of DSSE":         {ArtifactType, []oci.Descriptor{as(blob, func(d *oci.Descriptor) { d.MediaType = "application/vnd.dsse.envelope.v1+json" })}, WrongType},
		"two layers":                  {ArtifactType, []oci.Descriptor{blob, blob}, Malformed},
		"no layer":                    {ArtifactType, nil, Malformed},
		"too large":                   {ArtifactType, []oci.Descriptor{put(bytes.Repeat([]byte(" "), 128<<10+1))}, Malformed},
		"of a wrong size":             {ArtifactType, []oci.Descriptor{as(blob, func(d *oci.Descriptor) { d.Size++ })}, Malformed},
		"of no blob":                  {ArtifactType, []oci.Descriptor{as(blob, func(d *oci.Descriptor) { d.Digest = digest.FromString("none") })}, Malformed},
		"a key twice":                 {ArtifactType, []oci.Descriptor{put(twice)}, Malformed},
		"a key in another case":       {ArtifactType, []oci.Descriptor{put(cased)}, Malformed},
		"a header in another case":    {ArtifactType, []oci.Descriptor{put(chained)}, Malformed},
		"the right one":               {ArtifactType, []oci.Descriptor{blob}, ""},
	} {
		of := s.subject
		if what != "the right one" {
			of = s.fresh(t, what)
		}
		notationtest.Refer(t, s.r, of, tc.kind, tc.layers...)
		found, rejected := find(t, s.r, of, noon, by)
		if tc.step == "" {
			if len(found) != 1 || len(rejected) != 0 {
				t.Errorf("%s: %d found, %v", what, len(found), rejected)
			}
		} else if len(found) != 0 || len(rejected) != 1 || rejected[0].Step != tc.step {
			t.Errorf("%s: %d found, %v, want %s", what, len(found), rejected, tc.step)
		}
	}

	// In a registry that keeps the list in a tag, whoever may write says what refers to what.
	s = newScene(t, false)
	by = trusting(t, s.root.Root(), nil, wanted)
	ofOther := notationtest.Attach(t, s.r, s.other, kind, notationtest.Seal(t, kind, request(s.release, notationtest.Payload(s.subject))))
	right := notationtest.Attach(t, s.r, s.subject, kind, notationtest.Seal(t, kind, request(s.release, notationtest.Payload(s.subject))))
	self := as(s.subject, func(d *oci.Descriptor) { d.ArtifactType = ArtifactType })
	gone := as(right, func(d *oci.Descriptor) { d.Digest = digest.FromString("gone") })
	vague := as(right, func(d *oci.Descriptor) { d.ArtifactType = oci.MediaTypeEmptyJSON })
	serving := s.hub.handler
	list := func(all ...oci.Descriptor) {
		s.hub.handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if !strings.HasSuffix(q.URL.Path, "/manifests/sha256-"+s.subject.Digest.Encoded()) {
				serving.ServeHTTP(w, q)
				return
			}
			w.Header().Set("Content-Type", oci.MediaTypeImageIndex)
			w.Write(jsonOf(oci.Index{MediaType: oci.MediaTypeImageIndex, Manifests: all}))
		})
	}
	list(ofOther, self, gone, vague, right)
	found, rejected := find(t, s.r, s.subject, noon, by)
	var got []Step
	for _, r := range rejected {
		got = append(got, r.Step)
	}
	if fmt.Sprint(got) != fmt.Sprint([]Step{WrongDigest, WrongType, Malformed}) || len(found) != 1 {
		t.Errorf("%d found, %v", len(found), rejected)
	}

	// Ten thousand are bounded: by requests, and by the list itself.
	many := func(n int) (all []oci.Descriptor) {
		for i := range n {
			all = append(all, oci.Descriptor{MediaType: oci.MediaTypeImageManifest, ArtifactType: ArtifactType, Digest: digest.FromString(fmt.Sprint(i)), Size: 3})
		}
		return all
	}
	for what, tc := range map[string]struct {
		list []oci.Descriptor
		want string // "" is that it holds
	}{
		"the first of many":     {append([]oci.Descriptor{right}, many(4000)...), ""},
		"the 64th":              {append(many(63), append([]oci.Descriptor{right}, many(100)[63:]...)...), ""},
		"the 65th":              {append(many(64), right), "more are there than are looked at"},
		"ten thousand":          {append([]oci.Descriptor{right}, many(10_000)...), "4096"},
		"ten thousand, no more": {many(10_000), "4096"},
	} {
		list(tc.list...)
		before := s.hub.asked.Load()
		found, _, err := Find(t.Context(), s.r, s.subject, []*Signer{by}, noon, Options{})
		if tc.want == "" && (err != nil || len(found) != 1) || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %d found, %v", what, len(found), err)
		}
		if n := s.hub.asked.Load() - before; n > 70 {
			t.Errorf("%s: %d requests", what, n)
		}
	}
	list(append([]oci.Descriptor{right}, many(100)...)...)
	before := s.hub.asked.Load()
	found, _, err := Find(t.Context(), s.r, s.subject, []*Signer{by}, noon, Options{Enough: func(s []Signature) bool { return len(s) > 0 }})
	if n := s.hub.asked.Load() - before; err != nil || len(found) != 1 || n > 4 {
		t.Errorf("enough: %d found in %d requests, %v", len(found), n, err)
	}
	list(append([]oci.Descriptor{right}, many(10)...)...)
	found, rejected, err = Find(t.Context(), s.r, s.subject, []*Signer{by}, noon, Options{Whole: true, Enough: func(s []Signature) bool { return len(s) > 0 }})
	if err != nil || len(found) != 1 || len(rejected) != 10 {
		t.Errorf("all: %d found, %d not, %v", len(found), len(rejected), err)
	}
}

// TestCannotLook: where the registry does not answer, it is not said that nothing is there.
func TestCannotLook(t *testing.T) {
	s := newScene(t, true)
	by := trusting(t, s.root.Root(), nil, wanted)
	notationtest.Attach(t, s.r, s.subject, jws.MediaTypeEnvelope, notationtest.Seal(t, jws.MediaTypeEnvelope, request(s.release, notationtest.Payload(s.subject))))
	serving := s.hub.handler
	for _, part := range []string{"/manifests/", "/blobs/", "/referrers/"} {
		s.hub.handler = http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if strings.Contains(q.URL.Path, part) {
				http.Error(w, "no", http.StatusForbidden)
				return
			}
			serving.ServeHTTP(w, q)
		})
		if found, rejected, err := Find(t.Context(), s.r, s.subject, []*Signer{by}, noon, Options{}); err == nil {
			t.Errorf("without %s: %v, %v", part, found, rejected)
		}
	}
	s.hub.handler = serving
	if found, rejected := find(t, s.r, s.subject, noon, by); len(found) != 1 {
		t.Errorf("again: %v", rejected)
	}
	none := s.subject
	none.Digest = "sha256:x"
	untyped := s.subject
	untyped.MediaType = ""
	for what, tc := range map[string]struct {
		of  oci.Descriptor
		by  *Signer
		now time.Time
	}{
		"no digest": {none, by, noon}, "no type": {untyped, by, noon}, "no time": {s.subject, by, time.Time{}}, "no authority": {s.subject, &Signer{}, noon}, "an empty authority": {s.subject, &Signer{Authority: &Authority{}}, noon}, "nobody": {s.subject, nil, noon},
	} {
		if _, _, err := Find(t.Context(), s.r, tc.of, []*Signer{tc.by}, tc.now, Options{}); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

// TestAuthority: certificates of authorities and of who signs by itself are read, others
// refused, with the file and which of them it is.
func TestAuthority(t *testing.T) {
	root, alone, stamps := notationtest.Authority(nil, "root"), notationtest.Certify(nil, makers["EC 256"](), notationtest.CodeSigning(notationtest.Named("alone"))), notationtest.NewStamper(noon)
	leaf := root.Issue(notationtest.Named("release"))
	between := notationtest.Authority(root, "between")
	for what, tc := range map[string]struct {
		certificates, stamps []byte
		wrong                string
	}{
		"one":               {root.Root(), nil, ""},
		"several":           {append([]byte("# ours\n"), notationtest.PEM(root.Chain[0], between.Chain[0], alone.Chain[0])...), nil, ""},
		"with timestamps":   {root.Root(), stamps.Root(), ""},
		"nothing":           {nil, nil, "ca.pem: there is no certificate"},
		"text":              {[]byte("x"), nil, "ca.pem: there is no certificate"},
		"a key":             {append(root.Root(), "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"...), nil, "ca.pem: its PEM block 2"},
		"no certificate":    {[]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), nil, "ca.pem: certificate 1"},
		"cut":               {append(root.Root(), root.Root()[:100]...), nil, "something follows certificate 1"},
		"a leaf":            {notationtest.PEM(root.Chain[0], leaf.Chain[0]), nil, "ca.pem: certificate 2"},
		"a timestamp leaf":  {root.Root(), notationtest.PEM(stamps.Chain[0]), "tsa.pem: certificate 1"},
		"a timestamp chain": {root.Root(), notationtest.PEM(stamps.Chain[1], between.Chain[0]), "tsa.pem: certificate 2"},
		"too many":          {bytes.Repeat(root.Root(), 101), nil, "more than 100"},
	} {
		a, err := ParseAuthority("ca.pem", tc.certificates)
		if err == nil && tc.stamps != nil {
			err = a.TrustTimestamps("tsa.pem", tc.stamps)
		}
		if tc.wrong == "" && (err != nil || a == nil) || tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Whoever signs by itself is trusted as what it is.
	s := newScene(t, true)
	kind := jws.MediaTypeEnvelope
	notationtest.Attach(t, s.r, s.subject, kind, notationtest.Seal(t, kind, request(alone, notationtest.Payload(s.subject))))
	if found, rejected := find(t, s.r, s.subject, noon, trusting(t, alone.Root(), nil, "CN=alone")); len(found) != 1 {
		t.Errorf("alone: %v", rejected)
	}
}

// TestSubject: attributes are compared one by one, as they are in the certificate.
func TestSubject(t *testing.T) {
	name := must(x509.ParseCertificate(notationtest.Authority(nil, "x").Issue(pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Locality: []string{"Seattle"}, Organization: []string{`acme, "Inc"`}, OrganizationalUnit: []string{"a", "b"}, CommonName: "release", SerialNumber: "7"}).Chain[0].Raw)).Subject
	for text, want := range map[string]bool{
		`C=US, ST=WA, O=acme\, \"Inc\", CN=release`: true,
		`CN=release`:                true,
		`cn=release,s=WA`:           true,
		`2.5.4.3=release`:           true,
		`serialNumber=7, L=Seattle`: true,
		`CN=Release`:                false,
		`CN=release, OU=a`:          false,
		`CN=release, UID=x`:         false,
		`CN=releas`:                 false,
		`O=acme`:                    false,
		`ST=US`:                     false,
		`2.5.4.97=x`:                false,
		`CN=release\00`:             false,
	} {
		s, err := ParseSubject(text)
		if err != nil || s.fits(name) != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for text, wrong := range map[string]string{
		"": "no attribute", "*": "", "CN=*": "no value", "CN=": "no value", "CN=a, CN=b": "twice", "ST=a, S=b": "twice", "CN=a, 2.5.4.3=b": "twice", "CN=a+O=b": "joined", "CN=#0402": "hex", "XX=a": "no attribute", "release": "",
	} {
		if s, err := ParseSubject(text); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
}
