package sign

import (
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/image"
)

// TestReconsiderAttested: what was attested when an image was verified counts later as well, by
// who said it, of which type, and for the expression that was true; by anything else of these the
// verdict stands no more.
func TestReconsiderAttested(t *testing.T) {
	s := newShop(t)
	release, releaseKey := s.signer("release")
	builder, other := s.attester("builder"), s.attester("other")
	read := func(keys, attested string) *Policy {
		t.Helper()
		return s.policy("keys:\n" + releaseKey + keys + "images:\n  - name: HOST/shop/*\n    signed: {any: [{key: release}]}\n    attested:\n" + attested)
	}
	const needs = "      - {type: slsaprovenance1, by: [{key: builder}], where: 'predicate.runDetails.builder.id == \"https://ci.example/builder\"'}\n"
	before := read(builder.key, needs)
	d := s.image(s.remote, "1", "amd64", "one")
	if err := release.SignTag(t.Context(), s.remote, d.Digest, noon); err != nil {
		t.Fatal(err)
	}
	s.attach(s.remote, d, builder.says(provenance, builtHere, d))
	v := Verifier{Policy: before, Platform: "linux/amd64", Now: noon}
	r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:1"})
	if err != nil || !r.Trusted() {
		t.Fatal(r, err)
	}
	how := v.Verdict(r, r.Config)
	if len(how.Signers) != 2 || how.Signers[1].Attests != provenance || how.Signers[1].Where == "" {
		t.Fatalf("%+v", how.Signers)
	}
	if !before.RestsOn(how, "builder") || !before.RestsOn(how, "release") || read(builder.key+other.key, needs).RestsOn(how, "other") {
		t.Error("it rests on other keys than it does")
	}
	for what, c := range map[string]struct {
		policy  *Policy
		refused string
	}{
		"as it was":                {before, ""},
		"the key by another name":  {read(strings.Replace(builder.key, "builder:", "ci:", 1), strings.Replace(needs, "key: builder", "key: ci", 1)), ""},
		"nothing is needed":        {s.policy("keys:\n" + releaseKey + "images:\n  - {name: \"HOST/shop/*\", signed: {any: [{key: release}]}}\n"), ""},
		"the key is revoked":       {read(strings.Replace(builder.key, "    pem", "    revoked: 2026-11-01\n    why: stolen\n    pem", 1), needs), StepAttested},
		"by another":               {read(other.key, strings.Replace(needs, "key: builder", "key: other", 1)), StepAttested},
		"of another type":          {read(builder.key, strings.Replace(needs, "slsaprovenance1", "slsaprovenance", 1)), StepAttested},
		"another expression":       {read(builder.key, strings.Replace(needs, "ci.example/builder", "ci.example/other", 1)), StepAttested},
		"another one too":          {read(builder.key, needs+"      - {type: spdx, by: [{key: builder}]}\n"), StepAttested},
		"attested, and not signed": {s.policy("keys:\n" + builder.key + "images:\n  - name: HOST/shop/*\n    attested:\n" + needs), ""},
	} {
		if got := c.policy.Reconsider(how, noon); got.Refused != c.refused {
			t.Errorf("%s: refused by %q, want %q: %+v", what, got.Refused, c.refused, got.Steps)
		}
	}
}
