package sign

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
)

// TestAttestedByCosign: what cosign 3.1.3 attested, in either of its layouts, is what an entry wants,
// and not where the expression is about something else (internal/cosign/testdata/README.md).
func TestAttestedByCosign(t *testing.T) {
	type document struct{ Tag, MediaType, Data string }
	var kept struct{ Manifests, Blobs []document }
	data, err := os.ReadFile("../cosign/testdata/cosign-3.1.3.json")
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile("../cosign/testdata/cosign.pub")
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	where := map[string]string{"yes": `predicate.reviewed.by == "a person"`, "no": `predicate.reviewed.by == "a machine"`}
	for _, layout := range []string{"attestations", "referrers"} {
		for name, where := range where {
			r := s.open(layout + "/" + name)
			for _, b := range kept.Blobs {
				s.must(r.PutBlob(t.Context(), b.MediaType, []byte(b.Data)))
			}
			for _, m := range kept.Manifests {
				// The list of referrers is the registry's, which is told of each.
				if isAtt := strings.HasSuffix(m.Tag, ".att"); isAtt == (layout == "attestations") || m.Tag == "1" {
					s.must(r.PutManifest(t.Context(), m.Tag, m.MediaType, []byte(m.Data)))
				}
			}
			p := s.policy("keys:\n  release:\n    pem: |\n      " + strings.ReplaceAll(string(key), "\n", "\n      ") + "\nimages:\n  - {name: HOST/*, attested: [{type: \"https://example.org/review/v1\", by: [{key: release}], where: '" + where + "'}]}\n")
			want := map[string]string{"yes": "", "no": StepAttested}[name]
			if refused, res := s.verify(p, layout+"/"+name+":1", ""); refused != want || want != "" && !strings.Contains(res.Steps[len(res.Steps)-1].Text, "is false") {
				t.Errorf("%s, %s: refused by %q: %+v %v", layout, name, refused, res.Decision, res.Rejected)
			}
		}
	}
}

// TestAttestedReplay: by a tag that is led back, an image that is only attested is as old as the
// first attestation that it needs, the newest of each; what is named by its digest passes.
func TestAttestedReplay(t *testing.T) {
	s, _, _ := newReplays(t)
	builder := s.attester("builder")
	s.policy = s.shop.policy("keys:\n" + builder.key + "images:\n  - {name: HOST/*, attested: [{type: spdx, by: [{key: builder}]}, {type: vuln, by: [{key: builder}]}]}\n")
	r := s.open("any/api")
	says := func(kind string, d oci.Descriptor, ago time.Duration) []byte {
		text := strings.Replace(string(statement(predicateTypes[kind], "{}", d)), `"digest"`, fmt.Sprintf(`"annotations":{"timestamp":"%d"},"digest"`, noon.Add(-ago).Unix()), 1)
		return builder.envelope(inToto, inToto, []byte(text))
	}
	old, new := s.image(r, "", "amd64", "old"), s.image(r, "", "amd64", "new")
	s.attach(r, old, says("spdx", old, 5*time.Hour), says("vuln", old, 4*time.Hour))
	s.attach(r, new, says("spdx", new, 3*time.Hour), says("vuln", new, 2*time.Hour))
	s.lead(r, "1", old)
	s.is("the first", "any/api:1", "", "nothing is known")
	s.lead(r, "1", new)
	s.is("a newer one", "any/api:1", "", "is not older")
	s.lead(r, "1", old)
	s.is("led back", "any/api:1", StepReplay, "it was signed at "+moment(noon.Add(-5*time.Hour)))
	s.is("by its digest", "any/api@"+string(old.Digest), "", "")
	s.attach(r, old, says("spdx", old, 5*time.Hour), says("vuln", old, 4*time.Hour), says("vuln", old, time.Minute))
	s.is("scanned anew", "any/api:1", StepReplay, "it was signed at "+moment(noon.Add(-5*time.Hour)))
	s.attach(r, old, says("spdx", old, 5*time.Hour), says("vuln", old, -time.Minute), says("spdx", old, -2*time.Minute))
	s.is("all attested anew", "any/api:1", "", "is not older")
}

// TestWithdrawAttested: a verdict that rests on attestations is kept while the policy wants the same
// said by those who said it, whatever they are called, and taken back where it does not.
func TestWithdrawAttested(t *testing.T) {
	one, two := newKey(t), newKey(t)
	who := "{identity: \"https://ci.example/*\", issuer: \"https://i.example\", root: r.json}"
	read := func(first, more, attested string) *Policy {
		t.Helper()
		p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\nkeys:\n  "+first+":\n"+more+"    pem: |\n      "+one+"\n  two:\n    pem: |\n      "+two+"\nimages:\n  - {name: r.example/*, "+attested+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const scan, build = `{type: vuln, by: [{key: one}, {key: two}], where: "predicate.a == 1"}`, `{type: slsaprovenance1, by: [WHO]}`
	both := strings.ReplaceAll("attested: ["+scan+", "+build+"]", "WHO", who)
	before := read("one", "", both)
	found := []Vouch{
		{Signer: Signer{Key: "one"}, Kind: "cosign", Of: "sha256:of", Says: &Statement{Type: predicateTypes["vuln"], wrong: map[int]error{0: nil}}},
		{Kind: "cosign", Of: "sha256:of", Says: &Statement{Type: provenance, Subject: "https://ci.example/release", Issuer: "https://i.example", Root: "r.json", wrong: map[int]error{1: nil}}},
	}
	v := Verifier{Policy: before, Now: noon}
	how := v.Verdict(&Result{Config: "sha256:of", Repository: "r.example/api", Decision: before.Decide("r.example/api", "", found, noon)}, "sha256:of")
	if how == nil || len(how.Signers) != 2 || how.Signers[0].Attests == "" || how.Signers[0].Attests == how.Signers[1].Attests || how.Signers[1].Name != "https://ci.example/release by https://i.example" {
		t.Fatalf("%+v", how)
	}
	if !before.RestsOn(how, "one") || before.RestsOn(how, "two") || len(before.UsesOf("one")) != 1 || len(before.UsesOf("two")) != 1 {
		t.Error("it rests on another key")
	}
	const gone = "    revoked: 2026-11-27\n    why: stolen\n"
	for what, c := range map[string]struct {
		policy *Policy
		want   string // the step that refuses
	}{
		"as it was":                {before, ""},
		"called otherwise":         {read("uno", "", strings.ReplaceAll(both, "key: one", "key: uno")), ""},
		"in another order":         {read("one", "", strings.ReplaceAll("attested: ["+build+", "+scan+"]", "WHO", who)), ""},
		"less is wanted":           {read("one", "", "attested: ["+scan+"]"), ""},
		"written otherwise":        {read("one", "", strings.Replace(both, "predicate.a == 1", "predicate.a   == 1", 1)), ""},
		"revoked":                  {read("one", gone, both), StepAttested},
		"somebody else":            {read("one", "", strings.Replace(both, "{key: one}, ", "", 1)), StepAttested},
		"another expression":       {read("one", "", strings.Replace(both, "a == 1", "a == 2", 1)), StepAttested},
		"another type":             {read("one", "", strings.Replace(both, "vuln", "spdx", 1)), StepAttested},
		"another identity":         {read("one", "", strings.Replace(both, "ci.example/*", "ci.example/x*", 1)), StepAttested},
		"another root":             {read("one", "", strings.Replace(both, "r.json", "s.json", 1)), StepAttested},
		"more is wanted":           {read("one", "", strings.Replace(both, "attested: [", "attested: [{type: spdx, by: [{key: one}]}, ", 1)), StepAttested},
		"a signature":              {read("one", "", "signed: {any: [{key: one}]}, "+both), StepSigners},
		"a signature alone":        {read("one", "", "signed: {any: [{key: one}]}"), StepSigners},
		"anything that it may say": {read("one", "", strings.Replace(both, `, where: "predicate.a == 1"`, "", 1)), StepAttested}, // which was not written down
	} {
		if d := c.policy.Reconsider(how, noon); d.Refused != c.want {
			t.Errorf("%s: refused by %q, want %q: %+v", what, d.Refused, c.want, d)
		}
	}
}

// TestAttestedBundle: what is attested in a registry is in a bundle of the image, with the file of
// those who may say it, and counts there as far as it does in the registry.
func TestAttestedBundle(t *testing.T) {
	s := newShop(t)
	builder, thief := s.attester("builder"), s.attester("thief")
	file := filepath.Join(t.TempDir(), "root.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.policy("keys:\n" + builder.key + "images:\n  - {name: HOST/*, attested: [{type: spdx, by: [{key: builder}], where: predicate.a == 1}]}\n")
	named := s.policy("images:\n  - {name: HOST/*, attested: [{type: spdx, by: [{identity: a@b.example, issuer: \"https://i.example\", root: " + file + "}]}]}\n")
	layer, referrer, none := s.image(s.remote, "layer", "amd64", "one"), s.image(s.remote, "referrer", "amd64", "two"), s.image(s.remote, "none", "amd64", "three")
	s.attach(s.remote, layer, builder.says(spdx, `{"a":1,"large":"`+strings.Repeat("x", 5<<20)+`"}`, layer))
	s.refer(s.remote, referrer, bundled(builder.says(spdx, `{"a":1}`, referrer)))
	s.attach(s.remote, none, thief.says(spdx, `{"a":1}`, none), builder.says(spdx, `{"a":2}`, none))
	for tag, want := range map[string]string{"layer": "", "referrer": "", "none": StepAttested} {
		packed, _ := s.pack(Verifier{Policy: p}, "shop/api:"+tag, image.Packing{})
		v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Image: image.Options{Registries: nowhere(t)}}
		r, err := v.VerifyBundle(t.Context(), packed, image.Reference{Source: image.Registry, At: s.host + "/shop/api:" + tag}, func(int, int) {})
		if err != nil || r.Refused != want {
			t.Errorf("%s: %v, %+v", tag, err, r)
		}
	}
	_, info := s.pack(Verifier{Policy: named}, "shop/api:none", image.Packing{})
	if !slices.ContainsFunc(info.Files, func(f image.BundledFile) bool { return strings.HasSuffix(f.Path, "-root.json") }) {
		t.Errorf("%+v", info.Files)
	}
}
