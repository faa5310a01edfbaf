package sign

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation"
	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// indented is PEM as YAML has it under a key.
func indented(text []byte) string {
	return "|\n        " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n        ") + "\n"
}

// TestAuthorities: the table of authorities, and signers of them, are read, and what is
// wrong in them is said with its place.
func TestAuthorities(t *testing.T) {
	root, stamps := notationtest.Authority(nil, "root"), notationtest.NewStamper(noon)
	leaf := root.Issue(notationtest.Named("release"))
	acme := "  acme:\n    certificates:\n      pem: " + indented(root.Root())
	images := func(signers string) string {
		return "images:\n  - name: \"r.example/*\"\n    signed: {" + signers + "}\n"
	}
	const release = `{notation: acme, subject: "C=US, O=acme, CN=release"}`
	table := func(text string) string { return "authorities:\n" + text + images("any: ["+release+"]") }
	for name, c := range map[string]struct{ file, wrong string }{
		"in the file":                {table(acme), ""},
		"in files":                   {table("  acme: {certificates: {file: acme.pem}, timestamps: {file: tsa.pem}}\n"), ""},
		"with timestamps":            {table(acme + "    timestamps:\n      pem: " + indented(stamps.Root())), ""},
		"several certificates":       {table("  acme:\n    certificates:\n      pem: " + indented(append(root.Root(), stamps.Root()...))), ""},
		"revoked":                    {table(acme + "    revoked: 2026-11-01\n    why: stolen\n"), ""},
		"anyone":                     {"authorities:\n" + acme + images("any: [{notation: acme, anyone: true}]"), ""},
		"two of one authority":       {"authorities:\n" + acme + images("all: ["+release+`, {notation: acme, subject: "CN=other"}]`), ""},
		"without certificates":       {table("  acme: {}\n"), "authorities.acme must have certificates"},
		"in both":                    {table("  acme:\n    certificates:\n      file: x\n      pem: " + indented(root.Root())), "authorities.acme must have certificates"},
		"timestamps in both":         {table(acme + "    timestamps:\n      file: x\n      pem: " + indented(stamps.Root())), "authorities.acme.timestamps has pem and file"},
		"a leaf":                     {table("  acme:\n    certificates:\n      pem: " + indented(notationtest.PEM(leaf.Chain[0]))), "authorities.acme.certificates.pem is no authority: it: certificate 1"},
		"timestamps of a leaf":       {table(acme + "    timestamps:\n      pem: " + indented(notationtest.PEM(stamps.Chain[0]))), "authorities.acme.timestamps.pem is no authority"},
		"a key":                      {table("  acme: {certificates: {pem: x}}\n"), "there is no certificate in PEM in it"},
		"a name that is none":        {table(strings.Replace(acme, "acme", "A C", 1)), "is no name of an authority"},
		"revoked on no day":          {table(acme + "    revoked: soon\n"), "authorities.acme.revoked is no day"},
		"revoked for nothing":        {table(acme + "    revoked: 2026-11-01\n"), "authorities.acme.why is missing"},
		"an unknown field":           {table(acme + "    root: x\n"), "root"},
		"no such authority":          {images("any: [" + release + "]"), "images[0].signed.any[0].notation names no authority"},
		"nobody":                     {"authorities:\n" + acme + images("any: [{notation: acme}]"), "images[0].signed.any[0].subject is missing"},
		"a wildcard":                 {"authorities:\n" + acme + images(`any: [{notation: acme, subject: "*"}]`), "subject names nobody"},
		"a wildcard in an attribute": {"authorities:\n" + acme + images(`any: [{notation: acme, subject: "CN=*"}]`), "subject names nobody"},
		"somebody and anyone":        {"authorities:\n" + acme + images(`any: [{notation: acme, subject: "CN=a", anyone: true}]`), "says who, and that anyone may"},
		"a subject of nothing":       {"authorities:\n" + acme + images(`any: [{subject: "CN=a"}]`), "is neither a key nor an identity nor content trust nor of an authority"},
		"two kinds":                  {"authorities:\n" + acme + images(`any: [{notation: acme, subject: "CN=a", key: x}]`), "or of an authority"},
		"anyone, twice over":         {"authorities:\n" + acme + images("threshold: 2, of: [{notation: acme, anyone: true}]"), "is 2, of 1 different"},
	} {
		p, err := ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\n"+c.file))
		if c.wrong == "" && (err != nil || len(p.Authorities) != 1) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDistinct: whoever fits two entries is one signer, two who fit one are one too, and the
// number is the largest that there can be, of those who last longest.
func TestDistinct(t *testing.T) {
	at := func(days int) time.Time { return noon.AddDate(0, 0, days) }
	for what, c := range map[string]struct {
		holds []hold
		need  int
		have  int
		until time.Time
	}{
		"nobody":                        {nil, 1, 0, time.Time{}},
		"one for two entries":           {[]hold{{"a", "x", at(1), time.Time{}}, {"b", "x", at(1), time.Time{}}}, 2, 1, time.Time{}},
		"two for one entry":             {[]hold{{"a", "x", at(1), time.Time{}}, {"a", "y", at(1), time.Time{}}}, 2, 1, time.Time{}},
		"two for two":                   {[]hold{{"a", "x", at(1), time.Time{}}, {"b", "x", at(3), time.Time{}}, {"a", "y", at(2), time.Time{}}}, 2, 2, at(2)},
		"whoever fits both gives way":   {[]hold{{"a", "x", at(9), time.Time{}}, {"b", "x", at(9), time.Time{}}, {"a", "y", at(5), time.Time{}}}, 2, 2, at(5)},
		"one of three, the longest":     {[]hold{{"a", "x", at(1), time.Time{}}, {"b", "y", time.Time{}, time.Time{}}, {"c", "z", at(4), time.Time{}}}, 1, 1, time.Time{}},
		"a chain of three":              {[]hold{{"a", "x", at(1), time.Time{}}, {"a", "y", at(1), time.Time{}}, {"b", "y", at(1), time.Time{}}, {"b", "z", at(1), time.Time{}}, {"c", "x", at(1), time.Time{}}}, 3, 3, at(1)},
		"the same again, for longer":    {[]hold{{"a", "x", at(1), time.Time{}}, {"a", "x", at(7), time.Time{}}}, 1, 1, at(7)},
		"what never ends lasts longest": {[]hold{{"a", "x", time.Time{}, time.Time{}}, {"b", "y", at(1), time.Time{}}}, 2, 2, at(1)},
	} {
		if have, until := lasting(c.holds, c.need); have != c.have || !until.Equal(c.until) {
			t.Errorf("%s: %d until %s", what, have, until)
		}
	}
	// Against trying everything.
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var holds []hold
		for range r.IntN(8) {
			holds = append(holds, hold{fmt.Sprint(r.IntN(4)), fmt.Sprint("w", r.IntN(4)), at(r.IntN(5)), time.Time{}})
		}
		need := 1 + r.IntN(3)
		var best func(left []hold, least time.Time, count int) (int, time.Time)
		best = func(left []hold, least time.Time, count int) (most int, until time.Time) {
			if most, until = count, least; count == need {
				return
			}
			for i, h := range left {
				then := least
				if count == 0 || h.until.Before(then) {
					then = h.until
				}
				rest := slices.DeleteFunc(slices.Clone(left[i+1:]), func(o hold) bool { return o.entry == h.entry || o.who == h.who })
				if n, end := best(rest, then, count+1); n > most || n == most && end.After(until) {
					most, until = n, end
				}
			}
			return
		}
		most, end := best(holds, time.Time{}, 0)
		have, until := lasting(holds, need)
		for i := range holds { // what was signed last is chosen alike
			holds[i].signed = holds[i].until
		}
		if last := lately(holds, need); last.IsZero() != (most < need) || !last.IsZero() && !last.Equal(end) {
			t.Fatalf("%v, %d: signed last %s, and it is %s", holds, need, last, end)
		}
		if have != most || have == need && !until.Equal(end) {
			t.Fatalf("%v, %d: %d until %s, and there can be %d until %s", holds, need, have, until, most, end)
		}
	}
}

// TestNotation: signatures of Notation count as the policy says: by whom, of which authority,
// when, of the index or the image, and whoever fits two entries once.
func TestNotation(t *testing.T) {
	s := newShop(t)
	root, other, stamps := notationtest.Authority(nil, "root"), notationtest.Authority(nil, "other"), notationtest.NewStamper(noon.AddDate(0, 0, -3))
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	release, second := root.Issue(notationtest.Named("release")), root.Issue(notationtest.Named("second"))
	der, err := x509.MarshalPKIXPublicKey(release.Chain[0].PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	policy := func(signed, more string) *Policy {
		t.Helper()
		return s.policy("keys:\n  its:\n    pem: |\n      " + strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))), "\n", "\n      ") + "\n" +
			"authorities:\n  acme:\n    certificates:\n      pem: " + indented(root.Root()) + "    timestamps: {file: " + file("tsa.pem", stamps.Root()) + "}\n" +
			"  untimed: {certificates: {file: " + file("ca.pem", root.Root()) + "}}\n" +
			"  lost: {certificates: {file: " + file("ca.pem", root.Root()) + "}, revoked: 2026-11-01, why: stolen}\n" +
			"  else: {certificates: {file: " + file("else.pem", other.Root()) + "}}\n" +
			"  gone: {certificates: {file: " + filepath.Join(dir, "gone.pem") + "}}\n" +
			"images:\n  - {name: \"HOST/*\", signed: {" + signed + "}" + more + "}\n")
	}
	var (
		acme    = `{notation: acme, subject: "C=US, O=acme, CN=release"}`
		untimed = `{notation: untimed, subject: "CN=release"}`
		org     = `{notation: untimed, subject: "O=acme"}`
		anyone  = `{notation: acme, anyone: true}`
	)
	count := 0
	fresh := func() (string, oci.Descriptor) {
		count++
		tag := fmt.Sprint("n", count)
		return "shop/api:" + tag, s.image(s.remote, tag, "amd64", tag)
	}
	sign := func(of oci.Descriptor, by *notationtest.Holder, timed bool) {
		t.Helper()
		kind := []string{notationtest.JWS, notationtest.COSE}[count%2]
		q := notationtest.Request(by, notationtest.Payload(of), noon.AddDate(0, 0, -3))
		if timed {
			notationtest.Stamped(q, stamps)
		}
		notationtest.Attach(t, s.remote, of, kind, notationtest.Seal(t, kind, q))
	}
	for _, c := range []struct {
		what, signed, more string
		by                 []*notationtest.Holder
		timed              bool
		refused, text      string // the step, and what the steps or the rejections say
	}{
		{"signed", "any: [" + acme + "]", "", []*notationtest.Holder{release}, false, "", "C=US, O=acme, CN=release of acme signed it: referrer sha256:"},
		{"unsigned", "any: [" + acme + "]", "", nil, false, StepSigners, string(notation.NoSignature)},
		{"by somebody else", "any: [" + acme + "]", "", []*notationtest.Holder{second}, false, StepSigners, string(notation.WrongSubject)},
		{"of another authority", "any: [" + acme + "]", "", []*notationtest.Holder{other.Issue(notationtest.Named("release"))}, false, StepSigners, string(notation.WrongAuthority)},
		{"of one of two authorities", `any: [` + acme + `, {notation: else, subject: "CN=release"}]`, "", []*notationtest.Holder{other.Issue(notationtest.Named("release"))}, false, "", "of else signed it"},
		{"anyone", "any: [" + anyone + "]", "", []*notationtest.Holder{second}, false, "", "anyone of acme signed it"},
		{"of a revoked authority", `any: [{notation: lost, subject: "CN=release"}]`, "", []*notationtest.Holder{release}, false, StepSigners, "lost was revoked on 2026-11-01"},
		{"of a revoked one and another", `any: [{notation: lost, subject: "CN=release"}, ` + acme + "]", "", []*notationtest.Holder{release}, false, "", "lost was revoked"},
		{"one certificate for two entries", "threshold: 2, of: [" + acme + ", " + org + "]", "", []*notationtest.Holder{release, release}, false, StepSigners, "1 of the 2 signers"},
		{"two certificates for two entries", "threshold: 2, of: [" + acme + ", " + org + "]", "", []*notationtest.Holder{release, second}, false, "", "O=acme of untimed signed it"},
		{"two certificates for one entry and none for the other", "threshold: 2, of: [" + anyone + ", {key: its}]", "", []*notationtest.Holder{release, second}, false, StepSigners, "1 of the 2 signers"},
		{"all", "all: [" + acme + `, {notation: acme, subject: "CN=second"}]`, "", []*notationtest.Holder{second, release}, false, "", "CN=second of acme signed it"},
		{"not all", "all: [" + acme + `, {notation: acme, subject: "CN=second"}]`, "", []*notationtest.Holder{second}, false, StepSigners, "1 of the 2 signers"},
		{"of an age that nothing proves", "any: [" + acme + "]", ", max_age: 7d", []*notationtest.Holder{release}, false, StepSigners, "nothing proves when"},
		{"of an age that a timestamp proves", "any: [" + acme + "]", ", max_age: 7d", []*notationtest.Holder{release}, true, "", "signed it"},
		{"of an age that nobody who is trusted proves", "any: [" + untimed + "]", ", max_age: 7d", []*notationtest.Holder{release}, true, StepSigners, "nothing proves when"},
		{"too old", "any: [" + acme + "]", ", max_age: 2d", []*notationtest.Holder{release}, true, StepSigners, "signed on 2026-11-25"},
	} {
		name, d := fresh()
		for _, by := range c.by {
			sign(d, by, c.timed)
		}
		refused, r := s.verify(policy(c.signed, c.more), name, "")
		if refused != c.refused || !strings.Contains(fmt.Sprint(r.Steps, r.Rejected), c.text) {
			t.Errorf("%s: refused by %q: %+v %v", c.what, refused, r.Decision, r.Rejected)
		}
		for _, x := range r.Rejected {
			if c.text == string(notation.NoSignature) && !strings.Contains(c.signed, "key") && x.Kind != "notation" {
				t.Errorf("%s: cosign's signatures are looked for: %v", c.what, x)
			}
		}
	}

	// Whoever signs by a key, and with a certificate for that key, is one signer.
	both := policy("all: [{key: its}, "+acme+"]", "")
	_, list := both.Images[0].Signed.Needs()
	for _, by := range []*notationtest.Holder{release, second} {
		vouches := []Vouch{{Signer: list[0], Kind: "cosign"}, {Signer: list[1], Kind: "notation", Who: whose(by.Chain[0])}}
		if d := both.Decide(s.host+"/shop/api", "", vouches, noon); d.Trusted() != (by == second) {
			t.Errorf("a key, and a certificate of %s: %+v", by.Chain[0].Subject, d)
		}
	}

	// A verdict lasts as long as certificate and signature do, and with a time that is proven
	// as long as the signature alone.
	for _, timed := range []bool{false, true} {
		name, d := fresh()
		sign(d, release, timed)
		want := map[bool]time.Time{false: notationtest.Far, true: {}}[timed]
		if _, r := s.verify(policy("any: ["+acme+"]", ""), name, ""); !r.Until.Equal(want) || !cmp.Equal(r.By, []string{"notation C=US, O=acme, CN=release of acme"}) {
			t.Errorf("timed %v: %+v", timed, r.Decision)
		}
	}

	// An index: its signature is one for each image of it.
	amd, arm := s.image(s.remote, "", "amd64", "of two"), s.image(s.remote, "", "arm64", "of two")
	index := s.index(s.remote, "index", amd, arm)
	sign(amd, release, false)
	p := policy("any: ["+acme+"]", "")
	if refused, r := s.verify(p, "shop/api:index", "linux/amd64"); refused != "" || r.Trusts()[index.Digest] {
		t.Errorf("an image of an index: %+v", r.Decision)
	}
	if refused, r := s.verify(p, "shop/api:index", "linux/arm64"); refused != StepSigners {
		t.Errorf("the other: %+v", r.Decision)
	}
	sign(index, release, false)
	if refused, r := s.verify(p, "shop/api:index", "linux/arm64"); refused != "" || !r.Trusts()[index.Digest] {
		t.Errorf("by the index: %+v", r.Decision)
	}

	// Where a file can't be read, nothing is said of the image.
	v := Verifier{Policy: policy(`any: [{notation: gone, subject: "CN=release"}]`, ""), Platform: "linux/amd64", Now: noon}
	if r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:index"}); err == nil || !strings.Contains(err.Error(), "reading the authority gone") {
		t.Errorf("without its file: %+v, %v", r, err)
	}
}

// TestNotationRemembered: a tag is not led back to what was signed earlier, by the signer's own
// word; and a verdict whose other signer is revoked does not count one certificate twice.
func TestNotationRemembered(t *testing.T) {
	s := newShop(t)
	root := notationtest.Authority(nil, "root")
	release, second := root.Issue(notationtest.Named("release")), root.Issue(notationtest.Named("second"))
	authorities := "authorities:\n  acme:\n    certificates:\n      pem: " + indented(root.Root())
	sign := func(of oci.Descriptor, by *notationtest.Holder, at time.Time) {
		t.Helper()
		notationtest.Attach(t, s.remote, of, notationtest.COSE, notationtest.Seal(t, notationtest.COSE, notationtest.Request(by, notationtest.Payload(of), at)))
	}

	v := Verifier{Policy: s.policy(authorities + "images:\n  - {name: \"HOST/*\", signed: {any: [{notation: acme, subject: \"CN=release\"}]}}\n"), Now: noon, Tags: verdict.Folder(t.TempDir())}
	verify := func(what, want string) {
		t.Helper()
		r, err := v.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:1"})
		if err != nil || r.Refused != want {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	one := s.image(s.remote, "1", "amd64", "one")
	sign(one, release, noon.Add(-3*time.Hour))
	verify("the first", "")
	two := s.image(s.remote, "1", "amd64", "two")
	sign(two, release, noon.Add(-2*time.Hour))
	verify("a newer", "")
	s.image(s.remote, "1", "amd64", "one")
	verify("the first again", StepReplay)
	sign(one, second, noon.Add(-time.Hour))
	verify("signed anew by somebody else", StepReplay)
	sign(one, release, noon.Add(-time.Hour))
	verify("signed anew", "")
	// Of several signatures the newest is remembered, wherever it is among them.
	three := s.image(s.remote, "1", "amd64", "three")
	for minutes := range 9 {
		sign(three, release, noon.Add(time.Duration(minutes-50)*time.Minute))
	}
	sign(three, release, noon.Add(-10*time.Minute))
	verify("signed often", "")
	four := s.image(s.remote, "1", "amd64", "four")
	sign(four, release, noon.Add(-30*time.Minute))
	verify("newer than some of them", StepReplay)

	signer, key := s.signer("other")
	text := authorities + "images:\n  - {name: \"HOST/*\", signed: {threshold: 2, of: [{notation: acme, subject: \"CN=release\"}, {notation: acme, subject: \"O=acme\"}, {key: other}]}}\n"
	kept := Verifier{Policy: s.policy("keys:\n" + key + text), Now: noon}
	revoked := s.policy("keys:\n" + strings.Replace(key, "  other:\n", "  other:\n    revoked: 2026-11-01\n    why: stolen\n", 1) + text)
	others := s.policy("keys:\n" + key + strings.ReplaceAll(strings.ReplaceAll(text, "CN=release", "CN=elsewhere"), "O=acme", "O=else"))
	another := s.policy("keys:\n" + key + strings.Replace(text, indented(root.Root()), indented(notationtest.Authority(nil, "root").Root()), 1))
	gone := s.policy("keys:\n" + key + strings.Replace(text, "    certificates:\n", "    revoked: 2026-11-01\n    why: stolen\n    certificates:\n", 1))
	for name, by := range map[string][]*notationtest.Holder{"one": {release}, "two": {release, second}} {
		d := s.image(s.remote, name, "amd64", "by a key and "+name)
		if err := signer.SignTag(t.Context(), s.remote, d.Digest, noon); err != nil {
			t.Fatal(err)
		}
		for _, h := range by {
			sign(d, h, noon)
		}
		r, err := kept.Verify(t.Context(), image.Reference{Source: image.Registry, At: s.host + "/shop/api:" + name})
		if err != nil || !r.Trusted() {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		how := kept.Verdict(r, d.Digest)
		if again := kept.Policy.Reconsider(how, noon); !again.Trusted() {
			t.Errorf("%s, as it was: %+v", name, again)
		}
		// Two certificates suffice without the key, and one that fits both entries does not.
		if again := revoked.Reconsider(how, noon); again.Trusted() != (name == "two") {
			t.Errorf("%s, without the key: %+v", name, again)
		}
		for what, p := range map[string]*Policy{"for others": others, "of another authority of that name": another} {
			if again := p.Reconsider(how, noon); again.Trusted() {
				t.Errorf("%s, %s: %+v", name, what, again)
			}
		}
		if again := gone.Reconsider(how, noon); again.Trusted() || !strings.Contains(fmt.Sprint(again.Steps), "acme was revoked") {
			t.Errorf("%s, without the authority: %+v", name, again)
		}
	}
}

// TestLintAuthorities: what is probably wrong with authorities is found, at its place, and its
// twin that is right is not.
func TestLintAuthorities(t *testing.T) {
	dir := t.TempDir()
	root, stamps := notationtest.Authority(nil, "root"), notationtest.NewStamper(noon)
	ended := notationtest.Certify(nil, notationtest.Key(), x509.Certificate{NotBefore: notationtest.Old, NotAfter: noon.Add(-time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	for name, data := range map[string][]byte{"ca.pem": root.Root(), "ended.pem": ended.Root(), "both.pem": append(ended.Root(), root.Root()...), "tsa.pem": stamps.Root(), "none.pem": []byte("x")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	policy := func(acme, entry string) string {
		return strings.ReplaceAll("schema: plimsoll/trust/1\nauthorities:\n  acme: {"+acme+"}\nimages:\n  - {name: r.example/*, "+entry+"}\n", "DIR", dir)
	}
	const (
		certificates = "certificates: {file: DIR/ca.pem}"
		release      = `signed: {any: [{notation: acme, subject: "CN=release"}]}`
	)
	right := policy(certificates, release)
	for name, c := range map[string]struct {
		wrong, right string
		level        Level
		check, field string
	}{
		"anyone":                     {policy(certificates, "signed: {any: [{notation: acme, anyone: true}]}"), right, LintWarning, "anyone", "images[0].signed.any[0].anyone"},
		"unused":                     {policy(certificates, "unsigned: true, why: x"), policy(certificates+", revoked: 2026-11-01, why: x", "unsigned: true, why: x"), LintNote, "unused-authority", "authorities.acme"},
		"all revoked":                {policy(certificates+", revoked: 2026-11-01, why: x", release), right, LintError, "all-revoked", "images[0].signed"},
		"a file that is not there":   {policy("certificates: {file: DIR/gone.pem}", release), right, LintError, "file-missing", "authorities.acme.certificates.file"},
		"a file that is none":        {policy("certificates: {file: DIR/none.pem}", release), right, LintError, "file-unreadable", "authorities.acme"},
		"timestamps that are none":   {policy(certificates+", timestamps: {file: DIR/none.pem}", release), policy(certificates+", timestamps: {file: DIR/tsa.pem}", release), LintError, "file-unreadable", "authorities.acme"},
		"ended":                      {policy("certificates: {file: DIR/ended.pem}", release), policy("certificates: {file: DIR/both.pem}", release), LintWarning, "authority-expired", "authorities.acme"},
		"max_age without timestamps": {policy(certificates, release+", max_age: 7d"), policy(certificates+", timestamps: {file: DIR/tsa.pem}", release+", max_age: 7d"), LintError, "no-time", "images[0].signed"},
	} {
		if found := linted(t, dir, c.wrong, noon); len(found) != 1 || found[0].Level != c.level || found[0].Check != c.check || found[0].Field != c.field || found[0].Do == "" || found[0].Line == 0 {
			t.Errorf("%s: %+v", name, found)
		}
		if found := linted(t, dir, c.right, noon); len(found) != 0 {
			t.Errorf("%s, its twin: %+v", name, found)
		}
	}
}

// TestNotationBundle: a signature of Notation is packed with its image, and the files that the
// policy names for it, and holds there without a network; one by somebody else does not.
func TestNotationBundle(t *testing.T) {
	s := newShop(t)
	dir := t.TempDir()
	root, stamps := notationtest.Authority(nil, "root"), notationtest.NewStamper(noon)
	for name, data := range map[string][]byte{"ca.pem": root.Root(), "tsa.pem": stamps.Root()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := s.policy("authorities:\n  acme: {certificates: {file: " + dir + "/ca.pem}, timestamps: {file: " + dir + "/tsa.pem}}\nimages:\n  - {name: \"HOST/*\", signed: {any: [{notation: acme, subject: \"CN=release\"}]}}\n")
	for cn, refused := range map[string]string{"release": "", "reIease": StepSigners} {
		d := s.image(s.remote, "1", "amd64", cn)
		notationtest.Attach(t, s.remote, d, notationtest.JWS, notationtest.Seal(t, notationtest.JWS, notationtest.Request(root.Issue(notationtest.Named(cn)), notationtest.Payload(d), noon)))
		file, info := s.pack(Verifier{Policy: p}, "shop/api:1", image.Packing{})
		v := Verifier{Policy: p, Platform: "linux/amd64", Now: noon, Image: image.Options{Registries: nowhere(t)}}
		r, err := v.VerifyBundle(t.Context(), file, image.Reference{Source: image.Registry, At: s.host + "/shop/api:1"}, func(int, int) {})
		if err != nil || r.Refused != refused {
			t.Errorf("%s: %+v, %v", cn, r, err)
		}
		for _, name := range []string{"-ca.pem", "-tsa.pem"} {
			if !slices.ContainsFunc(info.Files, func(f image.BundledFile) bool {
				return strings.HasPrefix(f.Path, "trust/roots/") && strings.HasSuffix(f.Path, name)
			}) {
				t.Errorf("without %s: %+v", name, info.Files)
			}
		}
	}
}
