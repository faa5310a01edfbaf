package sign

import (
	"cmp"
	"crypto/rsa"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// Level is how grave a finding in a policy is.
type Level string

// The levels, gravest first.
const (
	LintError   Level = "error"   // it does not do what it says, or trusts whom nobody means
	LintWarning Level = "warning" // it probably does
	LintNote    Level = "note"    // it could be better
)

// Levels are all of them, gravest first.
var Levels = []Level{LintError, LintWarning, LintNote}

// Finding is something in a policy that can be read and is probably wrong.
type Finding struct {
	Level Level
	// Check is what was looked for, in a word.
	Check string
	// Line and Column are the place in the file, from 1; 0 where the file itself is meant.
	Line, Column int
	// Field is the place as messages have it, such as images[2].name.
	Field string
	// Text says what is wrong, and Do what to do.
	Text, Do string
}

// linter looks through one policy.
type linter struct {
	*Policy
	file  *strict.Document
	now   time.Time
	found []Finding
}

// Lint reads a policy as ReadPolicy does, and looks for what is probably wrong in it, and in the
// files that it names. The findings are in the order of the file. The error is that it can't be
// read.
func Lint(name string, data []byte, now time.Time) ([]Finding, error) {
	p, err := ReadPolicy(name, data)
	if err != nil {
		return nil, err
	}
	docs, err := strict.YAMLDocuments(name, data)
	if err != nil {
		return nil, err
	}
	l := &linter{Policy: p, file: docs[0], now: now}
	l.modes(name, "the policy")
	l.keys()
	l.servers()
	l.authorities()
	for i, e := range p.Images {
		l.name(i, e)
		l.reached(i, e)
		if e.Signed != nil {
			need, list := e.Signed.Needs()
			l.suffices(e, need, list, "images", i, "signed")
		}
		for n := range e.Attested {
			l.attestation(i, n, e)
		}
	}
	l.signers()
	slices.SortStableFunc(l.found, func(a, b Finding) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	return l.found, nil
}

// add notes a finding at a place in the file.
func (l *linter) add(level Level, check, text, do string, steps ...any) {
	f := Finding{Level: level, Check: check, Text: text, Do: do}
	if len(steps) > 0 {
		at := l.file.FailAt("", "", steps...)
		f.Line, f.Column, f.Field = at.Line, at.Column, at.Field
	}
	l.found = append(l.found, f)
}

// everything is true for a pattern that fits all names.
func everything(pattern string) bool { return strings.Trim(pattern, "*/") == "" }

// name looks at what names a pattern fits.
func (l *linter) name(i int, e *Entry) {
	at := []any{"images", i, "name"}
	if e.Unsigned && everything(e.Name) {
		l.add(LintError, "everything-unsigned", "every image of every registry that has no entry of its own is taken without a signature",
			"name the registries whose images you take: what no entry is about is not trusted", at...)
		return
	}
	if why, do := neverFits(e.Name); why != "" {
		l.add(LintError, "name-fits-nothing", "no image has such a name: "+why, do, at...)
		return
	}
	if other := elsewhere(e.Name); other != "" && (e.Unsigned || !strings.HasPrefix(e.Name, "*/")) {
		level, says := LintWarning, ""
		if e.Unsigned {
			level, says = LintError, ", and takes it without a signature"
		}
		do := "write an entry for each registry, such as registry.example/*"
		if host, _, _ := strings.Cut(e.Name, "*"); host != "" {
			do = "end the name of the registry with a slash, such as " + strings.TrimRight(host, ".-") + "/*"
		}
		l.add(level, "other-hosts", fmt.Sprintf("a star stands for anything, so that it fits %s as well%s", other, says), do, at...)
	}
}

// neverFits is why a pattern fits no name that docker makes of what is asked for, and what to
// write; "" where it may fit some.
func neverFits(pattern string) (why, do string) {
	host, path, _ := strings.Cut(pattern, "/")
	switch {
	case host == "index.docker.io":
		return "docker calls that registry docker.io", "write docker.io/" + path
	case strings.Contains(pattern, "://"):
		return "it has a scheme", "leave it out: registry.example/shop/*"
	case strings.ContainsFunc(path, func(r rune) bool { return r >= 'A' && r <= 'Z' }):
		return "repositories have small letters alone", "write " + host + "/" + strings.ToLower(path)
	case strings.Contains(pattern, "//") || strings.HasSuffix(pattern, "/"):
		return "a part of it is empty", "take out the slash, or put a star behind it"
	case strings.Contains(pattern, "*"):
		return "", ""
	case !strings.Contains(pattern, "/"):
		return "it is that of a registry alone", "write " + pattern + "/*"
	}
	named, err := reference.ParseNormalizedNamed(pattern)
	if err != nil {
		return err.Error(), "write a repository with its registry, such as registry.example/shop/api"
	}
	if named.Name() != pattern {
		return "docker calls it " + named.Name(), "write " + named.Name()
	}
	return "", ""
}

// elsewhere is the name of an image that a pattern fits whose registry is anybody's, "" where
// none is known: whatever comes before the first slash is the registry.
func elsewhere(pattern string) string {
	before, after, _ := strings.Cut(pattern, "*")
	if before == pattern || strings.ContainsAny(before, "/:") || everything(pattern) {
		return ""
	}
	const evil = "evil.example/x"
	switch {
	case before == "" || strings.HasSuffix(before, "."):
		before += evil
	case strings.HasSuffix(before, "-"):
		before += "x." + evil
	default:
		before += "." + evil
	}
	name := before + strings.ReplaceAll(after, "*", "x")
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || named.Name() != name || !strings.HasSuffix(reference.Domain(named), "evil.example") || !workload.NameFits(pattern, name) {
		return ""
	}
	return name
}

// reached looks for another entry that counts whenever this one fits.
func (l *linter) reached(i int, e *Entry) {
	for j, other := range l.Images {
		before := literal(other.Name) - literal(e.Name)
		if i == j || before < 0 || before == 0 && j > i || !within(e.Name, other.Name) {
			continue
		}
		l.add(LintError, "never-counts", fmt.Sprintf("%s, %s in line %d, fits every name that this one does, and counts before it", other.Name, other.place, other.line),
			"take one of them out", "images", i, "name")
		return
	}
}

// within is true only where every name of an image that a pattern fits is one that another fits:
// it may be false all the same.
func within(inner, outer string) bool {
	// Each name has a slash. Where a pattern has none, its star stands for that too.
	if strings.Count(inner, "*") == 1 && !strings.Contains(inner, "/") {
		inner = strings.Replace(inner, "*", "*/*", 1)
	}
	// What a star stands for, another star alone is sure to fit.
	return workload.NameFits(outer, strings.ReplaceAll(inner, "*", "\x01"))
}

// suffices looks at whether enough of a list can ever vouch.
func (l *linter) suffices(e *Entry, need int, list []Signer, at ...any) {
	usable, timed := map[string]bool{}, map[string]bool{}
	for _, s := range list {
		if s.Key != "" && l.Keys[s.Key].Revoked != "" || s.Notation != "" && l.Authorities[s.Notation].Revoked != "" {
			continue
		}
		usable[l.identify(s)] = true
		if s.Identity != "" || s.Notation != "" && l.Authorities[s.Notation].timed() {
			timed[l.identify(s)] = true
		}
	}
	switch {
	case len(usable) == 0:
		l.add(LintError, "all-revoked", "all who may vouch are revoked, so that nothing is ever trusted", "name a key that counts", at...)
	case len(usable) < need:
		l.add(LintError, "too-few-left", fmt.Sprintf("%d must vouch, and without those that are revoked %d are left, so that nothing is ever trusted", need, len(usable)), "name new keys, or ask for fewer", at...)
	case e.maxAge != 0 && len(timed) < need:
		l.add(LintError, "no-time", fmt.Sprintf("max_age is %s, and nothing proves when a key, content trust or an authority without timestamps signed: %d must vouch, and %d could, so that nothing is ever trusted", e.MaxAge, need, len(timed)),
			"leave max_age out, or name identities, whose signatures prove their time", at...)
	case e.maxAge != 0 && len(timed) < len(usable):
		l.add(LintWarning, "no-time-of-some", fmt.Sprintf("max_age is %s, and nothing proves when a key, content trust or an authority without timestamps signed: those named here never count", e.MaxAge),
			"leave max_age out, or name identities alone", at...)
	}
}

// attestation looks at what an entry wants attested.
func (l *linter) attestation(i, n int, e *Entry) {
	a := &e.Attested[n]
	at := []any{"images", i, "attested", n}
	l.suffices(e, 1, a.By, append(at, "by")...)
	switch {
	case a.program == nil && e.Signed == nil && !slices.ContainsFunc(e.Attested, func(a Attested) bool { return a.program != nil }):
		l.add(LintWarning, "anything-attested", "the image is trusted whatever is attested of it, so long as it is of that type", "say in where what must be true of it, or in signed who must have signed", at...)
	case a.program == nil:
		l.add(LintNote, "anything-attested", "anything may be said, so long as it is of that type", "say in where what must be true of it", at...)
	case !a.reads("predicate"):
		l.add(LintWarning, "where-says-nothing", "the expression looks at nothing of what is attested", "compare a part of predicate", append(at, "where")...)
	}
}

// signers looks at all who may vouch, each where it is named first, and at the files that they
// name.
func (l *linter) signers() {
	roots := map[string]bool{}
	seen := map[Signer]bool{}
	l.each(func(s Signer, at ...any) {
		if s.Identity == "" || seen[s] {
			return
		}
		seen[s] = true
		l.identity(s, at)
		if !roots[s.Root] {
			roots[s.Root] = true
			l.root(s.Root, append(at, "root")...)
		}
	})
}

// each gives all who may vouch with their places.
func (l *linter) each(visit func(s Signer, at ...any)) {
	for i, e := range l.Images {
		if e.Signed != nil {
			for name, list := range map[string][]Signer{"any": e.Signed.Any, "all": e.Signed.All, "of": e.Signed.Of} {
				for n, s := range list {
					visit(s, "images", i, "signed", name, n)
				}
			}
		}
		for n, a := range e.Attested {
			for m, s := range a.By {
				visit(s, "images", i, "attested", n, "by", m)
			}
		}
	}
}

// shared are services where everybody may have an organisation of any name.
var shared = []string{"github.com", "gitlab.com", "bitbucket.org", "codeberg.org"}

// githubIssuer vouches for workflows of GitHub, and githubWorkflow is how they are called below
// https://github.com/ (the claim job_workflow_ref): a commit as the ref has no slash.
const (
	githubIssuer   = "https://token.actions.githubusercontent.com"
	githubWorkflow = "OWNER/REPOSITORY/.github/workflows/FILE@REF"
)

// identity looks at whom an identity is.
func (l *linter) identity(s Signer, at []any) {
	switch {
	case strings.Contains(s.Issuer, "*"):
		l.add(LintError, "issuer-star", "a star is no more than a star in an issuer, which is compared exactly", "write the issuer out", append(at, "issuer")...)
	case !strings.HasPrefix(s.Issuer, "https://"):
		l.add(LintWarning, "issuer-not-https", fmt.Sprintf("the issuer is not https: %.200q", s.Issuer), "issuers of OpenID Connect begin with https://, such as https://token.actions.githubusercontent.com", append(at, "issuer")...)
	}
	at = append(at, "identity")
	scheme, rest, isURL := strings.Cut(s.Identity, "://")
	if !isURL {
		if _, domain, is := strings.Cut(s.Identity, "@"); is && strings.Contains(domain, "*") {
			l.add(LintError, "identity-of-anybody", "a star stands for any domain, of which anybody has one", "write the domain out", at...)
		}
		return
	}
	host, path, _ := strings.Cut(rest, "/")
	owner, _, _ := strings.Cut(path, "/")
	if host == "github.com" && s.Issuer == githubIssuer && strings.Count(path, "/") < strings.Count(githubWorkflow, "/") {
		l.add(LintError, "identity-fits-nothing", "a workflow is called https://github.com/"+githubWorkflow+", and a star stands for no slash", "write as many parts, such as https://github.com/acme/*/.github/workflows/*@refs/tags/*", at...)
	}
	switch {
	case strings.Contains(scheme+host, "*"):
		l.add(LintError, "identity-of-anybody", "a star stands for any host, of which anybody has one", "write the host out", at...)
	case !strings.Contains(owner, "*") || scheme != "https" && scheme != "http":
	case slices.Contains(shared, host):
		l.add(LintError, "identity-of-anybody", fmt.Sprintf("a star stands for any organisation of %s, of which anybody has one", host), "write the organisation out, such as https://"+host+"/acme/…", at...)
	default:
		l.add(LintWarning, "identity-of-anybody", fmt.Sprintf("a star stands for any organisation or group of %s", host), "write it out, unless all of them are yours", at...)
	}
}

// keys looks at the keys, and at who uses them.
func (l *linter) keys() {
	used, others := map[string]bool{}, 0
	l.each(func(s Signer, _ ...any) {
		if s.Key == "" {
			others++
		}
		used[s.Key] = true
	})
	delete(used, "")
	by := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(l.Keys)) {
		k := l.Keys[name]
		by[l.identify(Signer{Key: name})] = append(by[l.identify(Signer{Key: name})], name)
		if public, err := k.Public(); err == nil {
			if weak, is := public.(*rsa.PublicKey); is && weak.N.BitLen() < 3072 {
				l.add(LintNote, "weak-key", fmt.Sprintf("the key is RSA of %d bits, and 3072 are what is advised beyond 2030", weak.N.BitLen()), "make a new one, of Ed25519 or ECDSA", "keys", name)
			}
		}
		if !used[name] && k.Revoked == "" { // one that is revoked tells so
			l.add(LintNote, "unused-key", "no entry names the key", "take it out, or name it where it may sign", "keys", name)
		}
	}
	for _, names := range by {
		for _, one := range names {
			for _, twin := range names {
				if l.Keys[one].Revoked != "" && l.Keys[twin].Revoked == "" {
					l.add(LintError, "revoked-and-not", fmt.Sprintf("the key is that of %s as well, which is revoked, and goes on to count by this name", one), "revoke it by each of its names", "keys", twin)
				}
			}
		}
	}
	entries := 0
	for _, e := range l.Images {
		if e.Signed != nil || len(e.Attested) > 0 {
			entries++
		}
	}
	if entries > 1 && others == 0 && len(used) == 1 {
		for name := range used {
			l.add(LintNote, "one-key", fmt.Sprintf("the key vouches for all %d entries: whoever has it has all of them, and it can't be revoked for one alone", entries), "make one for each", "keys", name)
		}
	}
}

// servers looks at the servers of content trust.
func (l *linter) servers() {
	used := map[string]bool{}
	l.each(func(s Signer, _ ...any) { used[s.ContentTrust] = true })
	for _, name := range slices.Sorted(maps.Keys(l.Servers)) {
		s := l.Servers[name]
		switch {
		case !used[name]:
			l.add(LintNote, "unused-server", "no entry names the server", "take it out, or name it where it may vouch", "content_trust", name)
		case s.First:
			l.add(LintWarning, "first-use", "whatever root is seen first is trusted, also that of somebody who stands before the server then", "pin it: keys: [ID OF THE ROOT KEY], as  notary key list  shows", "content_trust", name, "first")
		}
		if s.CA != "" {
			l.named(s.CA, "content_trust", name, "ca")
		}
	}
}

// root looks at a file with authorities and logs.
func (l *linter) root(file string, at ...any) {
	if !l.named(file, at...) {
		return
	}
	r, err := readRoot(file)
	if err != nil {
		l.add(LintError, "file-unreadable", err.Error(), "write it with  cosign trusted-root create", at...)
		return
	}
	switch until := r.Until(); {
	case until.IsZero():
		l.add(LintError, "root-without-authority", file+" has no certificate authority, so that no identity ever counts", "write it with  cosign trusted-root create", at...)
	case until.Before(l.now):
		l.add(LintWarning, "root-expired", fmt.Sprintf("the last certificate authority of %s ended on %s: nothing that was signed since counts", file, until.UTC().Format(time.DateOnly)), "get a newer one", at...)
	}
}

// named looks at a file that the policy names, and reports whether it is one to read.
func (l *linter) named(file string, at ...any) bool {
	if !filepath.IsAbs(file) {
		l.add(LintWarning, "file-relative", file+" is another file wherever the program is started", "write it from the root on", at...)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(LintError, "file-missing", file+" is not there", "put it there, or name another", at...)
		return false
	case err != nil:
		l.add(LintWarning, "file-unreadable", "it can't be told what is there: "+err.Error(), "look as somebody who may read it", at...)
		return false
	case !info.Mode().IsRegular():
		l.add(LintError, "file-unreadable", file+" is no file", "name a file", at...)
		return false
	}
	l.modes(file, file, at...)
	return true
}

// modes looks at who else may change a file: whoever may decides who is trusted. Of the folders
// that it is in, those count where others may put another in its place.
func (l *linter) modes(file, called string, at ...any) {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return // of the policy: it was read, and is no file
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o002 != 0:
		l.add(LintError, "writable", fmt.Sprintf("%s may be written by everybody (%04o)", called, mode), "chmod go-w "+file, at...)
	case mode&0o020 != 0:
		l.add(LintWarning, "writable", fmt.Sprintf("%s may be written by its group (%04o)", called, mode), "chmod g-w "+file, at...)
	}
	// Where a link leads, and where it is.
	seen := map[string]bool{}
	for _, way := range []func(string) (string, error){filepath.EvalSymlinks, filepath.Abs} {
		path, err := way(file)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		for dir := filepath.Dir(path); err == nil && !seen[dir]; dir = filepath.Dir(dir) {
			seen[dir] = true
			if info, err := os.Stat(dir); err == nil && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
				l.add(LintError, "writable", fmt.Sprintf("%s may be replaced by everybody, who may write to %s (%04o)", called, dir, info.Mode().Perm()), "chmod o-w "+dir, at...)
			}
		}
	}
}
