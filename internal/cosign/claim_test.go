package cosign

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// TestClaimed: when it was signed by the signer's word is read as it is written here and by
// cosign, in both forms; what says nothing of it is no claim, and one from the future refused.
func TestClaimed(t *testing.T) {
	s := newScene(t, newHub(t, true))
	at := func(d time.Duration) string { return strconv.FormatInt(noon.Add(d).Unix(), 10) }
	for what, tc := range map[string]struct {
		said string
		want time.Time
		step Step
	}{
		"a number":               {`{"timestamp":` + at(0) + `}`, noon, ""},
		"a string, as cosign's":  {`{"creator":"me","timestamp":"` + at(0) + `"}`, noon, ""},
		"nothing":                {`null`, time.Time{}, ""},
		"something else":         {`{"env":"prod"}`, time.Time{}, ""},
		"a date of somebody's":   {`{"timestamp":"2026-11-27"}`, time.Time{}, ""},
		"a fraction":             {`{"timestamp":1.5}`, time.Time{}, ""},
		"before all":             {`{"timestamp":-1}`, time.Time{}, ""},
		"behind all":             {`{"timestamp":99999999999999}`, time.Time{}, ""},
		"a list":                 {`{"timestamp":[1]}`, time.Time{}, ""},
		"another case":           {`{"Timestamp":` + at(0) + `}`, time.Time{}, ""},
		"a clock that goes fast": {`{"timestamp":` + at(5*time.Minute) + `}`, noon.Add(5 * time.Minute), ""},
		"the future":             {`{"timestamp":` + at(5*time.Minute+time.Second) + `}`, time.Time{}, NotYet},
	} {
		payload := strings.Replace(string(simpleOf(s.r.Repository(), s.subject.Digest)), `"optional":null`, `"optional":`+tc.said, 1)
		sigManifest(t, s.r, s.subject.Digest, layerOf(t, s.r, s.release, []byte(payload)))
		statement := strings.Replace(string(statementOf(t, SignType, "{}", s.subject.Digest)), `}],"predicateType"`, `,"annotations":`+tc.said+`}],"predicateType"`, 1)
		bundle := bundleOf(envelopeOf(t, payloadType, []byte(statement), s.release))
		by := trusting(s.release)
		bundled, wrong := (&judge{by: &by, subject: s.subject.Digest, now: noon}).bundled(bundle)
		found, rejected := find(t, s.r, s.subject.Digest, by, Options{Layouts: []Layout{Tags}})
		if tc.step != "" {
			refused(t, what, found, rejected, tc.step)
			if wrong == nil || wrong.step != tc.step {
				t.Errorf("%s, in a bundle: %+v", what, wrong)
			}
			continue
		}
		holds(t, what, found, rejected, "key release")
		if wrong != nil || len(found) != 1 || !found[0].Claimed.Equal(tc.want) || !bundled.Claimed.Equal(tc.want) || !found[0].At.IsZero() {
			t.Errorf("%s: %+v, and in a bundle %+v, %+v", what, found, bundled, wrong)
		}
	}
	// What is said of one image under several names counts by its earliest.
	two := statement{Type: statementTypes[0], PredicateType: SignType, Predicate: json.RawMessage("{}")}
	for _, d := range []time.Duration{-time.Hour, -2 * time.Hour, -time.Minute} {
		two.Subject = append(two.Subject, resource{map[string]string{"sha256": s.subject.Digest.Encoded()}, json.RawMessage(`{"timestamp":"` + at(d) + `"}`)})
	}
	by := trusting(s.release)
	got, wrong := (&judge{by: &by, subject: s.subject.Digest, now: noon}).bundled(bundleOf(envelopeOf(t, payloadType, jsonOf(t, two), s.release)))
	if wrong != nil || !got.Claimed.Equal(noon.Add(-2*time.Hour)) {
		t.Errorf("of several subjects: %+v, %+v", got, wrong)
	}
}

// TestSignedAnew: who signs again has the newer time count, in the place of the older; what
// others signed, and what says something else, stays.
func TestSignedAnew(t *testing.T) {
	s := newScene(t, newHub(t, true))
	special := strings.Replace(string(simpleOf(s.r.Repository(), s.subject.Digest)), "null", `{"env":"prod"}`, 1)
	sigManifest(t, s.r, s.subject.Digest, layerOf(t, s.r, s.thief, simpleOf(s.r.Repository(), s.subject.Digest)),
		layerOf(t, s.r, s.release, simpleOf(s.r.Repository(), s.subject.Digest)), layerOf(t, s.r, s.release, []byte(special)))
	for _, at := range []time.Time{noon.Add(-time.Hour), noon, noon} {
		if err := s.release.SignTag(t.Context(), s.r, s.subject.Digest, at); err != nil {
			t.Fatal(err)
		}
		found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release, s.thief), Options{Layouts: []Layout{Tags}})
		holds(t, "signed at "+at.String(), found, rejected, "key thief", "key release", "key release")
		if last := found[len(found)-1]; !last.Claimed.Equal(at) {
			t.Errorf("signed at %v: %+v", at, last)
		}
	}
	if err := s.release.SignReferrer(t.Context(), s.r, s.subject, noon); err != nil {
		t.Fatal(err)
	}
	found, rejected := find(t, s.r, s.subject.Digest, trusting(s.release), Options{Layouts: []Layout{Referrers}})
	holds(t, "a bundle", found, rejected, "key release")
	if !found[0].Claimed.Equal(noon) {
		t.Errorf("a bundle: %+v", found[0])
	}
	// The search ends where it is enough, but for what is in the same place where that is wanted.
	for whole, want := range map[bool]int{false: 1, true: 2} {
		found, _ := find(t, s.r, s.subject.Digest, trusting(s.release), Options{Layouts: []Layout{Tags, Referrers}, Whole: whole, Enough: func(f []Signature) bool { return len(f) > 0 }})
		if len(found) != want {
			t.Errorf("whole %v: %d found, want %d", whole, len(found), want)
		}
	}
}

// FuzzClaim: a time that is read is, written as the standard wants it, read as the same, and
// what encoding/json reads.
func FuzzClaim(f *testing.F) {
	for _, seed := range []string{`{"timestamp":1764000000}`, `{"timestamp":"1764000000","creator":"a"}`, `{"timestamp":null}`, `[]`, `{"timestamp":1,"timestamp":2}`, `{"Timestamp":3}`} {
		f.Add([]byte(seed))
	}
	j := &judge{by: &Signers{}, subject: digest.FromString("x"), now: noon}
	f.Fuzz(func(t *testing.T, data []byte) {
		at := claim(data)
		if at.IsZero() {
			return
		}
		var theirs map[string]any
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Fatalf("%q is read as %v, and there %v", data, at, err)
		}
		if n, is := theirs["timestamp"].(float64); is && int64(n) != at.Unix() {
			t.Errorf("%q is %v here and %v there", data, at, n)
		}
		again, err := json.Marshal(annotations{Timestamp: at.Unix()})
		if err != nil || !claim(again).Equal(at) {
			t.Errorf("%q: %s is read as %v, %v", data, again, claim(again), err)
		}
		found := &Signature{}
		if wrong := j.claims(found, data); (wrong != nil) != at.After(noon.Add(early)) || !found.Claimed.Equal(at) {
			t.Errorf("%q: %+v, %+v", data, found, wrong)
		}
	})
}
