package sign

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/cosign"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// Attested is an attestation that an image needs: a statement about exactly its manifest, or the
// index that it is of, signed by one of those who may say so.
type Attested struct {
	// Type is the predicate's: a URI, or one of cosign's short names for it.
	Type string `yaml:"type"`
	// By are the signers of whom one must say it: keys and identities.
	By []Signer `yaml:"by"`
	// Where is an expression in CEL that is true of what is said, "" for any. It names
	// predicate, which is what JSON has, statement.type, image.name, which is the repository,
	// image.digest, which is that of the manifest or index it is about, and now.
	Where string `yaml:"where"`
	// Says is what it is needed for, in words, "" for none.
	Says string `yaml:"says"`

	program *cel.Program // nil without Where
}

// predicateTypes are cosign's short names of predicate types (its option --type).
var predicateTypes = map[string]string{
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  "https://slsa.dev/provenance/v1",
	"spdx":             "https://spdx.dev/Document",
	"spdxjson":         "https://spdx.dev/Document",
	"cyclonedx":        "https://cyclonedx.org/bom",
	"link":             "https://in-toto.io/Link/v1",
	"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
	"openvex":          "https://openvex.dev/ns",
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
}

// PredicateType is the type as statements have it.
func (a *Attested) PredicateType() string {
	if long := predicateTypes[a.Type]; long != "" {
		return long
	}
	return a.Type
}

// what names it in a sentence.
func (a *Attested) what() string {
	if a.Says != "" {
		return fmt.Sprintf("%q (%s)", a.Says, a.PredicateType())
	}
	return a.PredicateType()
}

// where is the expression in one line.
func (a *Attested) where() string { return strings.Join(strings.Fields(a.Where), " ") }

// Bounds on what is evaluated.
const (
	// maxAttested is how many attestations an entry may need.
	maxAttested = 16
	// maxValues is how many values a predicate may have: as Go values they take 200 MiB at the
	// worst, and a bill of materials of 8 MiB has fewer.
	maxValues = 500_000
	// baseCost is what an expression may cost, as that of a rule of a user's, and byteCost what
	// it may for each byte of the predicate: every step down from its root looks at all below.
	baseCost = 1_000_000
	byteCost = 2
)

// statements is what all expressions may name.
var statements = cel.NewEnv().
	With("predicate", cel.DynType).
	With("statement.type", cel.StringType).
	With("image.name", cel.StringType).
	With("image.digest", cel.StringType).
	With("now", cel.TimestampType)

// attested checks the attestations that an entry needs, and compiles their expressions.
func (c checker) attested(i int, e *Entry) *strict.Error {
	fail := func(msg, hint string, steps ...any) *strict.Error {
		return c.file.FailAt(msg, hint, append([]any{"images", i, "attested"}, steps...)...)
	}
	if len(e.Attested) > maxAttested {
		return fail(fmt.Sprintf("has %d attestations, and %d are the most", len(e.Attested), maxAttested), "")
	}
	for n := range e.Attested {
		a := &e.Attested[n]
		if u, err := url.Parse(a.PredicateType()); err != nil || u.Scheme == "" || u.Host+u.Opaque == "" {
			hint := "such as https://slsa.dev/provenance/v1, or one of " + strings.Join(slices.Sorted(maps.Keys(predicateTypes)), ", ")
			if near := strict.Nearest(a.Type, slices.Collect(maps.Keys(predicateTypes))); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return fail(fmt.Sprintf("is no type of a predicate: %.100q", a.Type), hint, n, "type")
		}
		if a.PredicateType() == cosign.SignType {
			return fail("says only that the image is signed", "say who must have signed in signed", n, "type")
		}
		if len(a.By) == 0 {
			return fail("names nobody", "such as  by: [{key: builder}]", n, "by")
		}
		at := func(msg, hint string, steps ...any) *strict.Error {
			return fail(msg, hint, append([]any{n}, steps...)...)
		}
		if wrong := c.signers(at, "by", a.By); wrong != nil {
			return wrong
		}
		for m, s := range a.By {
			if s.Key+s.Identity == "" {
				return fail("attests nothing: only keys and identities do", "such as  {key: builder}", n, "by", m)
			}
		}
		if a.Where == "" {
			continue
		}
		program, err := c.env.Compile(a.Where)
		if err != nil {
			return c.inWhere(err, fail("", "", n, "where"), i, n)
		}
		if program.Type().Kind() != cel.Bool {
			return fail(fmt.Sprintf("is %s, not bool", program.Type()), "compare what it is about, such as  predicate.approved == true", n, "where")
		}
		a.program = program
	}
	return nil
}

// inWhere puts what is wrong with an expression at its place in the file.
func (c checker) inWhere(err error, at *strict.Error, i, n int) *strict.Error {
	at.Msg = at.Field + ": " + err.Error()
	wrong := new(cel.SyntaxError)
	if !errors.As(err, &wrong) {
		return at
	}
	if near := strict.Nearest(wrong.Word, wrong.Known); near != "" {
		at.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	node := c.file.At("images", i, "attested", n, "where")
	at.Line, at.Column = strict.PlaceIn(at.Source, node, node.Value[:min(wrong.Offset, len(node.Value))])
	return at
}

// Statement is what an attestation says that holds.
type Statement struct {
	// Type is the predicate's.
	Type string
	// Subject and Issuer are of whom the certificate is, and Root the file that stands for it;
	// all "" for a key.
	Subject, Issuer, Root string
	// wrong is why it is not what the entry's attestation with that number needs: nil where
	// it is. Those that it was not asked for are not in it.
	wrong map[int]error
}

// by is true for a signer who made an attestation.
func (p *Policy) by(s Signer, v *Vouch) bool {
	if s.Key != "" {
		return v.Signer.Key == s.Key || v.Signer.Key != "" && p.identify(s) == p.identify(v.Signer)
	}
	id := cosign.Identity{Subject: s.Identity, Issuer: s.Issuer}
	return v.Signer.Key == "" && s.Identity != "" && s.Root == v.Says.Root && id.Is(v.Says.Subject, v.Says.Issuer)
}

// id tells what is wanted to be attested from anything else, whoever may say it.
func (a *Attested) id() string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(a.PredicateType()+"\x00"+a.where())))
}

// written are the signers of an attestation that counted, as a verdict has them: each time with
// what of all that an entry wants it was.
func (p *Policy) written(e *Entry, v *Vouch) (list []verdict.Signer) {
	for n := range e.Attested {
		a := &e.Attested[n]
		wrong, asked := v.Says.wrong[n]
		i := slices.IndexFunc(a.By, func(s Signer) bool { return p.by(s, v) })
		if asked && wrong == nil && i >= 0 {
			list = append(list, verdict.Signer{Kind: v.Kind, Name: v.attester(), ID: p.ID(a.By[i]), At: v.At, Attests: a.id()})
		}
	}
	return list
}

// attestations are what was attested when a verdict was written, as far as the entry wants that
// still, and by those who may say it.
func (p *Policy) attestations(v *verdict.Verified, e *Entry, where string) (found []Vouch) {
	for n := range e.Attested {
		a := &e.Attested[n]
		for _, s := range a.By {
			for _, one := range v.Signers {
				if one.Attests != a.id() || one.Kind != s.kind() || one.ID != p.ID(s) {
					continue
				}
				says := &Statement{Type: a.PredicateType(), Subject: s.Identity, Issuer: s.Issuer, Root: s.Root, wrong: map[int]error{n: nil}}
				found = append(found, Vouch{Signer: s, Kind: one.Kind, Where: where, At: one.At, Says: says})
			}
		}
	}
	return found
}

// maySay is true for a vouch that is an attestation by one of those who may make it.
func (p *Policy) maySay(a *Attested, v *Vouch) bool {
	return v.Says != nil && v.Says.Type == a.PredicateType() && slices.ContainsFunc(a.By, func(s Signer) bool { return p.by(s, v) })
}

// signers are all whose word the entry asks for, each once, those who sign first: a signature is
// by the first that it fits.
func (e *Entry) signers() []Signer {
	var list []Signer
	if e.Signed != nil {
		_, list = e.Signed.Needs()
		list = slices.Clone(list)
	}
	for _, a := range e.Attested {
		for _, s := range a.By {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// listener evaluates what attestations say, while they are looked for.
type listener struct {
	policy       *Policy
	entry        *Entry
	name, digest string
	root         string
	now          time.Time
	// heard are the attestations so far, in their order.
	heard []*Statement
}

// hear keeps of an attestation whether it is what the entry needs.
func (l *listener) hear(s *cosign.Signature) {
	one := &Statement{Type: s.PredicateType, wrong: map[int]error{}}
	v := Vouch{Says: one}
	if s.Key != nil {
		v.Signer = Signer{Key: s.Key.Name}
	} else {
		one.Subject, one.Issuer, one.Root = s.Subject, s.Issuer, l.root
	}
	l.heard = append(l.heard, one)
	in := &said{listener: l, kind: s.PredicateType, data: s.Predicate}
	for n := range l.entry.Attested {
		if a := &l.entry.Attested[n]; l.policy.maySay(a, &v) {
			one.wrong[n] = in.judge(a)
		}
	}
}

// said is what expressions about one attestation are evaluated in.
type said struct {
	*listener
	kind string
	data json.RawMessage

	read  bool
	value cel.Value
	err   error
}

// Var is for package cel.
func (s *said) Var(name string) (cel.Value, bool) {
	switch name {
	case "predicate":
		return s.value, true
	case "statement.type":
		return cel.StringValue(s.kind), true
	case "image.name":
		return cel.StringValue(s.name), true
	case "image.digest":
		return cel.StringValue(s.digest), true
	case "now":
		return cel.TimeValue(s.now), true
	}
	return cel.Value{}, false
}

// Unseen is for package cel: all of a statement is seen.
func (s *said) Unseen([]string) []int { return nil }

// judge is nil where the expression is true of what is said.
func (s *said) judge(a *Attested) error {
	if a.program == nil {
		return nil
	}
	if !s.read {
		s.read = true
		s.value, s.err = readPredicate(s.data)
	}
	if s.err != nil {
		return s.err
	}
	budget := cel.NewBudget(baseCost + byteCost*uint64(len(s.data)))
	v := a.program.Eval(s, false, budget)
	switch {
	case v.Err() != nil:
		return fmt.Errorf("%s can't be told: %w", a.where(), v.Err())
	case !v.True():
		return fmt.Errorf("%s is false", a.where())
	}
	return nil
}

// readPredicate gives what a predicate is in CEL: numbers are doubles.
func readPredicate(data json.RawMessage) (cel.Value, error) {
	if len(data) == 0 {
		return cel.ValueOf(nil), nil
	}
	if n := values(data); n > maxValues {
		return cel.Value{}, fmt.Errorf("its predicate has %d values, and %d are the most", n, maxValues)
	}
	var any any
	if _, err := strict.Decode("the predicate", data, &any); err != nil {
		return cel.Value{}, err
	}
	return cel.ValueOf(any), nil
}

// values is how many values there are in JSON, or a few more.
func values(data []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// attested goes on with a decision: each attestation that the entry needs must be among what
// was found.
func (p *Policy) attested(d *Decision, found []Vouch, now time.Time) *Decision {
	for n := range d.Entry.Attested {
		a := &d.Entry.Attested[n]
		var there []string
		var until, last time.Time
		met := false
		for i := range found {
			v := &found[i]
			if v.Says == nil {
				continue
			}
			why := p.unfit(d.Entry, n, v, now)
			if why == "" {
				if end := d.Entry.lasts(a, v, now); !met || later(end, until) {
					until = end
				}
				if at := v.signed(); at.After(last) {
					last = at
				}
				if met {
					continue
				}
				met = true
				d.step(StepAttested, true, "%s says %s%s: %s", v.attester(), a.what(), a.because(), v.Where)
				if by := v.Kind + " " + v.attester() + " attests " + a.PredicateType(); !slices.Contains(d.By, by) {
					d.By = append(d.By, by)
				}
				if !slices.ContainsFunc(d.Counted, func(c Vouch) bool { return c.Says == v.Says }) {
					d.Counted = append(d.Counted, *v)
				}
				continue
			}
			there = append(there, fmt.Sprintf("%s by %s: %s", v.Says.Type, v.attester(), why))
			if v.Says.Type == a.PredicateType() && !met {
				d.step(StepAttested, false, "for %s, that by %s does not count: %s (%s)", a.what(), v.attester(), why, v.Where)
			}
		}
		if met {
			if later(d.Until, until) {
				d.Until = until
			}
			// Where nobody signs, the image is as new as what was attested first of all that is needed.
			if d.Entry.Signed == nil && (n == 0 || last.Before(d.last)) {
				d.last = last
			}
			continue
		}
		d.Until = time.Time{}
		d.By, d.Counted = nil, nil
		var names []string
		for _, s := range a.By {
			names = append(names, s.String())
		}
		text := fmt.Sprintf("nothing attests %s%s, by %s", a.what(), a.because(), strings.Join(names, " or "))
		switch {
		case len(there) == 0:
			text += "; no attestation by anybody whose word counts is there"
		case len(there) > maxTold:
			text += fmt.Sprintf("; there are %s; and %d more", strings.Join(there[:maxTold], "; "), len(there)-maxTold)
		default:
			text += "; there are " + strings.Join(there, "; ")
		}
		return d.refuse(StepAttested, "%s", text)
	}
	return d
}

// rejudged is for how long an expression that reads the time is taken to stay as it is.
const rejudged = 24 * time.Hour

// lasts is when an attestation that fits does so no more.
func (e *Entry) lasts(a *Attested, v *Vouch, now time.Time) time.Time {
	end := e.ends(v)
	if a.reads("now") && later(end, now.Add(rejudged)) {
		return now.Add(rejudged)
	}
	return end
}

// reads is true where the expression reads a variable.
func (a *Attested) reads(variable string) bool {
	return a.program != nil && slices.ContainsFunc(a.program.Paths(), func(path []string) bool { return path[0] == variable })
}

// maxTold is how many attestations a refusal names.
const maxTold = 5

// because is the expression that is to be true, in a sentence.
func (a *Attested) because() string {
	if a.Where == "" {
		return ""
	}
	return ", where " + a.where()
}

// attester names who made an attestation: whom a pattern stands for.
func (v *Vouch) attester() string {
	if v.Signer.Key != "" {
		return v.Signer.String()
	}
	return v.Says.Subject + " by " + v.Says.Issuer
}

// unfit is why an attestation is not the one that an entry needs, "" where it is.
func (p *Policy) unfit(e *Entry, n int, v *Vouch, now time.Time) string {
	a := &e.Attested[n]
	if v.Says.Type != a.PredicateType() {
		return "it is of another type"
	}
	if !p.maySay(a, v) {
		return "it is by another signer"
	}
	if k := p.Keys[v.Signer.Key]; v.Signer.Key != "" && k.Revoked != "" {
		return fmt.Sprintf("the key was revoked on %s: %s", k.Revoked, k.Why)
	}
	if why := e.tooOld(v, now); why != "" {
		return why
	}
	wrong, asked := v.Says.wrong[n]
	switch {
	case !asked:
		return "it was not asked"
	case wrong != nil:
		return wrong.Error()
	}
	return ""
}

// tooOld is why something counts no more by the entry's max_age, "" where it does.
func (e *Entry) tooOld(v *Vouch, now time.Time) string {
	switch {
	case e.maxAge == 0:
	case v.At.IsZero():
		return fmt.Sprintf("nothing proves when it was made, and %s is the most", e.MaxAge)
	case now.Sub(v.At) > e.maxAge:
		return fmt.Sprintf("it was made on %s, and %s is the most", v.At.UTC().Format(time.DateOnly), e.MaxAge)
	}
	return ""
}
