package sign

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"

	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// linted looks through a policy in a file of a folder that is nobody else's.
func linted(t *testing.T, dir, text string, now time.Time) []Finding {
	t.Helper()
	file := filepath.Join(dir, "trust.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := Lint(file, []byte(text), now)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return found
}

// TestLint: each thing that is probably wrong is found, at its place and by its level, and its twin
// that is right is not; neither has another finding.
func TestLint(t *testing.T) {
	dir := t.TempDir()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	file := rootFile(t, dir, virtual)
	now := time.Now()
	one, two, three := newKey(t), newKey(t), newKey(t)
	rsaKey := func(bits int) string {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return inYAML(t, &k.PublicKey)
	}
	key := func(name, pem string, more ...string) string {
		return "  " + name + ":\n" + strings.Join(more, "") + "    pem: |\n      " + strings.TrimSpace(pem) + "\n"
	}
	const gone = "    revoked: 2026-11-01\n    why: stolen\n"
	// keys are those that an entry names, so that no other is unused.
	policy := func(keys, images string) string {
		return "schema: plimsoll/trust/1\nkeys:\n" + keys + "images:\n" + images
	}
	signed := func(name string) string {
		return policy(key("one", one), "  - {name: \""+name+"\", signed: {any: [{key: one}]}}\n")
	}
	unsigned := func(name string) string {
		return "schema: plimsoll/trust/1\nimages:\n  - {name: \"" + name + "\", unsigned: true, why: x}\n"
	}
	identity := func(who, issuer string) string {
		return fmt.Sprintf("schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, signed: {any: [{identity: %q, issuer: %q, root: %q}]}}\n", who, issuer, file)
	}
	two1 := func(a, b string) string {
		return policy(key("one", one)+key("two", two), "  - {name: \""+a+"\", signed: {any: [{key: one}]}}\n  - {name: \""+b+"\", signed: {any: [{key: two}]}}\n")
	}
	entry := func(keys, rest string) string { return policy(keys, "  - {name: r.example/*, "+rest+"}\n") }
	who := fmt.Sprintf("{identity: %q, issuer: %q, root: %q}", workflow, issuer, file)
	trust := func(server, rest string) string {
		return "schema: plimsoll/trust/1\ncontent_trust:\n  acme: " + server + "\nimages:\n  - {name: r.example/*, " + rest + "}\n"
	}
	both := func(more string) string {
		return entry(key("one", one)+key("two", two, gone)+key("three", three), more)
	}
	id := strings.Repeat("a", 64)
	caFile := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(caFile, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		wrong, right string
		level        Level
		check, field string
		told         string
	}{
		"everything, unsigned":        {unsigned("*"), signed("*"), LintError, "everything-unsigned", "images[0].name", "every image"},
		"everything by its parts":     {unsigned("*/*"), signed("*/*"), LintError, "everything-unsigned", "images[0].name", "every image"},
		"a registry without its end":  {signed("registry.example*"), signed("registry.example/*"), LintWarning, "other-hosts", "images[0].name", "fits registry.example.evil.example/x as well"},
		"the same, unsigned":          {unsigned("registry.example*"), unsigned("registry.example/*"), LintError, "other-hosts", "images[0].name", "without a signature"},
		"a part of a registry":        {signed("*.example.com*"), signed("a.example.com/*"), LintWarning, "other-hosts", "images[0].name", "fits evil.example/x.example.com"},
		"all below a registry":        {signed("*.example.com/*"), signed("*/shop/*"), LintWarning, "other-hosts", "images[0].name", "fits evil.example/x.example.com/x as well"},
		"any registry, unsigned":      {unsigned("*/library/nginx"), unsigned("docker.io/library/nginx"), LintError, "other-hosts", "images[0].name", "evil.example/x/library/nginx"},
		"any end of a registry":       {signed("registry.*"), signed("registry.example:*/x"), LintWarning, "other-hosts", "images[0].name", "registry.evil.example/x"},
		"a number of a registry":      {signed("registry-*.example/shop"), signed("registry-1.example/shop*"), LintWarning, "other-hosts", "images[0].name", "registry-x.evil.example/x.example/shop"},
		"a registry by another name":  {signed("index.docker.io/library/*"), signed("docker.io/library/*"), LintError, "name-fits-nothing", "images[0].name", "docker calls that registry docker.io"},
		"a name that is not whole":    {signed("docker.io/nginx"), signed("docker.io/library/nginx"), LintError, "name-fits-nothing", "images[0].name", "docker calls it docker.io/library/nginx"},
		"capitals":                    {signed("r.example/Shop/*"), signed("r.example/shop/*"), LintError, "name-fits-nothing", "images[0].name", "small letters alone"},
		"a scheme":                    {signed("https://r.example/shop/*"), signed("localhost:5000/shop/*"), LintError, "name-fits-nothing", "images[0].name", "a scheme"},
		"a slash at the end":          {signed("r.example/shop/"), signed("r.example/shop/*"), LintError, "name-fits-nothing", "images[0].name", "is empty"},
		"no name at all":              {signed("r.example/-shop"), signed("r.example/shop"), LintError, "name-fits-nothing", "images[0].name", "invalid reference"},
		"never, behind one before":    {two1("r.example/shop/*", "r.example/shop/**"), two1("r.example/shop/*", "r.example/shop/x*"), LintError, "never-counts", "images[1].name", "r.example/shop/*, images[0] in line"},
		"never, before a larger one":  {two1("*", "*/*"), two1("*", "r.example/*"), LintError, "never-counts", "images[0].name", "*/*, images[1] in line"},
		"never, with two stars":       {two1("r.example/*a*", "r.example/**a*"), two1("r.example/*a*", "r.example/*b*"), LintError, "never-counts", "images[1].name", "images[0]"},
		"never, behind its stem":      {two1("r.example/api*", "r.example/api"), two1("r.example/api", "r.example/api*"), LintError, "never-counts", "images[1].name", "images[0]"},
		"an unused key":               {strings.Replace(signed("r.example/*"), "images:", key("two", two)+"images:", 1), strings.Replace(signed("r.example/*"), "images:", key("two", two, gone)+"images:", 1), LintNote, "unused-key", "keys.two", "no entry names"},
		"a short RSA key":             {entry(key("one", rsaKey(2048)), "signed: {any: [{key: one}]}"), entry(key("one", rsaKey(3072)), "signed: {any: [{key: one}]}"), LintNote, "weak-key", "keys.one", "2048 bits"},
		"one key for all":             {policy(key("one", one), "  - {name: a.b/*, signed: {any: [{key: one}]}}\n  - {name: a.c/*, attested: [{type: vuln, by: [{key: one}], where: predicate.a == 1}]}\n"), two1("a.b/*", "a.c/*"), LintNote, "one-key", "keys.one", "all 2 entries"},
		"all revoked":                 {entry(key("one", one, gone)+key("two", two, gone), "signed: {any: [{key: one}, {key: two}]}"), entry(key("one", one, gone)+key("two", two), "signed: {any: [{key: one}, {key: two}]}"), LintError, "all-revoked", "images[0].signed", "nothing is ever trusted"},
		"one of all revoked":          {both("signed: {all: [{key: one}, {key: two}, {key: three}]}"), both("signed: {all: [{key: one}, {key: three}]}"), LintError, "too-few-left", "images[0].signed", "3 must vouch, and without those that are revoked 2"},
		"a threshold of revoked":      {both("signed: {threshold: 3, of: [{key: one}, {key: two}, {key: three}]}"), both("signed: {threshold: 2, of: [{key: one}, {key: two}, {key: three}]}"), LintError, "too-few-left", "images[0].signed", "without those that are revoked 2"},
		"attested by revoked":         {entry(key("one", one, gone), "attested: [{type: vuln, by: [{key: one}], where: predicate.a == 1}]"), entry(key("one", one), "attested: [{type: vuln, by: [{key: one}], where: predicate.a == 1}]"), LintError, "all-revoked", "images[0].attested[0].by", "nothing is ever trusted"},
		"revoked and not":             {entry(key("one", one)+key("two", one, gone), "signed: {any: [{key: one}]}"), entry(key("one", one)+key("two", two, gone), "signed: {any: [{key: one}]}"), LintError, "revoked-and-not", "keys.one", "that of two as well"},
		"an age of keys":              {entry(key("one", one), "signed: {any: [{key: one}]}, max_age: 3d"), entry(key("one", one), "signed: {any: [{key: one}]}"), LintError, "no-time", "images[0].signed", "max_age is 3d"},
		"an age of keys and others":   {entry(key("one", one), "signed: {any: [{key: one}, "+who+"]}, max_age: 3d"), "schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, max_age: 3d, signed: {any: [" + who + "]}}\n", LintWarning, "no-time-of-some", "images[0].signed", "never count"},
		"an age of attestations":      {entry(key("one", one), "max_age: 3d, attested: [{type: vuln, by: [{key: one}], where: predicate.a == 1}]"), "schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, max_age: 3d, attested: [{type: vuln, by: [" + who + "], where: predicate.a == 1}]}\n", LintError, "no-time", "images[0].attested[0].by", "max_age is 3d"},
		"an age of content trust":     {trust("{keys: ["+id+"]}", "signed: {any: [{content_trust: acme}]}, max_age: 3d"), trust("{keys: ["+id+"]}", "signed: {any: [{content_trust: acme}]}"), LintError, "no-time", "images[0].signed", "content trust"},
		"an issuer of http":           {identity(workflow, "http://issuer.example"), identity(workflow, issuer), LintWarning, "issuer-not-https", "images[0].signed.any[0].issuer", "http://issuer.example"},
		"an issuer with a star":       {identity(workflow, "https://*.example"), identity(workflow, issuer), LintError, "issuer-star", "images[0].signed.any[0].issuer", "compared exactly"},
		"a registry alone":            {signed("r.example"), signed("r.example/*"), LintError, "name-fits-nothing", "images[0].name", "a registry alone"},
		"a workflow of few parts":     {identity("https://github.com/acme/*", issuer), identity("https://github.com/acme/*/.github/workflows/*@*", issuer), LintError, "identity-fits-nothing", "images[0].signed.any[0].identity", "stands for no slash"},
		"any organisation":            {identity("https://github.com/*/shop/.github/workflows/release.yml@refs/tags/v1", issuer), identity("https://github.com/acme/*/.github/workflows/release.yml@refs/tags/v1", issuer), LintError, "identity-of-anybody", "images[0].signed.any[0].identity", "any organisation of github.com"},
		"organisations that begin so": {identity("https://gitlab.com/acme*/shop//.gitlab-ci.yml@refs/tags/v1", issuer), identity("https://gitlab.com/acme/shop//.gitlab-ci.yml@refs/tags/*", issuer), LintError, "identity-of-anybody", "images[0].signed.any[0].identity", "gitlab.com"},
		"any group of one's own":      {identity("https://git.example/*/shop//.gitlab-ci.yml@refs/tags/v1", issuer), identity("spiffe://acme.example/*/ci", issuer), LintWarning, "identity-of-anybody", "images[0].signed.any[0].identity", "git.example"},
		"any host":                    {identity("https://*/acme/shop", issuer), identity("https://ci.example/acme/shop", issuer), LintError, "identity-of-anybody", "images[0].signed.any[0].identity", "any host"},
		"any domain":                  {identity("ana@*", issuer), identity("*@acme.example", issuer), LintError, "identity-of-anybody", "images[0].signed.any[0].identity", "any domain"},
		"who attests is of anybody":   {"schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, attested: [{type: vuln, where: predicate.a == 1, by: [" + strings.Replace(who, "acme", "*", 1) + "]}]}\n", "schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, attested: [{type: vuln, where: predicate.a == 1, by: [" + who + "]}]}\n", LintError, "identity-of-anybody", "images[0].attested[0].by[0].identity", "github.com"},
		"a root that is not there":    {strings.Replace(identity(workflow, issuer), file, file+".old", 1), identity(workflow, issuer), LintError, "file-missing", "images[0].signed.any[0].root", "is not there"},
		"a root that is none":         {strings.Replace(identity(workflow, issuer), file, caFile, 1), identity(workflow, issuer), LintError, "file-unreadable", "images[0].signed.any[0].root", "ca.pem"},
		"a root that is a folder":     {strings.Replace(identity(workflow, issuer), file, dir, 1), identity(workflow, issuer), LintError, "file-unreadable", "images[0].signed.any[0].root", "is no file"},
		"an authority not there":      {trust("{ca: "+caFile+".old}", "signed: {any: [{content_trust: acme}]}"), trust("{ca: "+caFile+"}", "signed: {any: [{content_trust: acme}]}"), LintError, "file-missing", "content_trust.acme.ca", "is not there"},
		"the first root that comes":   {trust("{first: true}", "signed: {any: [{content_trust: acme}]}"), trust("{keys: ["+id+"]}", "signed: {any: [{content_trust: acme}]}"), LintWarning, "first-use", "content_trust.acme.first", "whatever root"},
		"an unused server":            {trust("{first: true}", "unsigned: true, why: x"), trust("{keys: ["+id+"]}", "signed: {any: [{content_trust: acme}]}"), LintNote, "unused-server", "content_trust.acme", "no entry names"},
		"anything attested":           {entry(key("one", one), "attested: [{type: vuln, by: [{key: one}]}]"), entry(key("one", one), "attested: [{type: vuln, by: [{key: one}], where: predicate.a == 1}]"), LintWarning, "anything-attested", "images[0].attested[0]", "whatever is attested"},
		"anything attested, signed":   {entry(key("one", one), "signed: {any: [{key: one}]}, attested: [{type: vuln, by: [{key: one}]}]"), entry(key("one", one), "signed: {any: [{key: one}]}, attested: [{type: vuln, by: [{key: one}], where: has(predicate.a)}]"), LintNote, "anything-attested", "images[0].attested[0]", "anything may be said"},
		"an expression of nothing":    {entry(key("one", one), "attested: [{type: vuln, by: [{key: one}], where: \"image.name != ''\"}]"), entry(key("one", one), "attested: [{type: vuln, by: [{key: one}], where: \"predicate.name == image.name\"}]"), LintWarning, "where-says-nothing", "images[0].attested[0].where", "looks at nothing"},
	} {
		found := linted(t, dir, c.wrong, now)
		if len(found) != 1 || found[0].Level != c.level || found[0].Check != c.check || found[0].Field != c.field || !strings.Contains(found[0].Text, c.told) || found[0].Do == "" || found[0].Line == 0 || found[0].Column == 0 {
			t.Errorf("%s: %+v", name, found)
		}
		if found := linted(t, dir, c.right, now); len(found) != 0 {
			t.Errorf("%s, its twin: %+v", name, found)
		}
	}
	for file, wrong := range map[string]string{"schema: plimsoll/trust/2\n": "schema is not", signed("nginx"): "does not begin with a registry"} {
		if found, err := Lint("trust.yaml", []byte(file), now); found != nil || !errors.As(err, new(*strict.Error)) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%v, %v, want %s", found, err, wrong)
		}
	}
	// Several findings are in the order of the file.
	var lines []int
	for _, f := range linted(t, dir, strings.Replace(two1("docker.io/Nginx", "*.example/*"), "images:", key("three", three)+"images:", 1), now) {
		lines = append(lines, f.Line)
	}
	if len(lines) != 3 || !slices.IsSorted(lines) {
		t.Errorf("in the lines %v", lines)
	}
}

// TestLintFiles: who else may change the policy, or a file that it names, is found, and so is a
// root that has ended; a file that nobody else may change is not.
func TestLintFiles(t *testing.T) {
	dir := t.TempDir()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(dir, "below")
	if err := os.Mkdir(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	file := rootFile(t, deep, virtual)
	policy := filepath.Join(dir, "trust.yaml")
	now := time.Now()
	text := fmt.Sprintf("schema: plimsoll/trust/1\nimages:\n  - {name: r.example/*, signed: {any: [{identity: %q, issuer: %q, root: %q}]}}\n", workflow, issuer, file)
	chmod := func(path string, mode os.FileMode) {
		t.Helper()
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	is := func(what string, at time.Time, want ...string) {
		t.Helper()
		var got []string
		found, err := Lint(policy, []byte(text), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			got = append(got, fmt.Sprintf("%s %s %d: %s", f.Level, f.Check, f.Line, f.Text))
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", what, got, want)
			return
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("%s: %q, want %q", what, got[i], want[i])
			}
		}
	}
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	is("all is well", now)
	chmod(policy, 0o664)
	is("the policy, by its group", now, "warning writable 0: the policy may be written by its group (0664)")
	chmod(policy, 0o666)
	is("the policy, by everybody", now, "error writable 0: the policy may be written by everybody (0666)")
	chmod(policy, 0o600)
	chmod(file, 0o622)
	is("the root, by everybody", now, "error writable 3: "+file+" may be written by everybody (0622)")
	chmod(file, 0o620)
	is("the root, by its group", now, "warning writable 3: ")
	chmod(file, 0o600)
	chmod(deep, 0o777)
	is("its folder", now, "error writable 3: "+file+" may be replaced by everybody, who may write to "+deep)
	chmod(deep, 0o777|os.ModeSticky)
	is("its folder, where each has their own", now)
	chmod(deep, 0o755)
	chmod(dir, 0o777)
	is("a folder above", now, "error writable 0: the policy may be replaced", "error writable 3: ")
	chmod(dir, 0o755)
	is("all is well again", now)
	// A link to the policy, in a folder of everybody's.
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	was := policy
	policy = filepath.Join(open, "trust.yaml")
	if err := os.Symlink(was, policy); err != nil {
		t.Fatal(err)
	}
	is("a link", now)
	chmod(open, 0o777)
	is("a link that may be replaced", now, "error writable 0: the policy may be replaced by everybody, who may write to "+open)
	policy = was
	until := virtual.FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority).ValidityPeriodEnd
	is("on its last day", until.Add(-time.Second))
	is("ended", until.Add(time.Second), "warning root-expired 3: the last certificate authority of "+file+" ended on "+until.UTC().Format(time.DateOnly))
	// The same root in two places is looked at once.
	text = strings.Replace(text, "images:\n", fmt.Sprintf("images:\n  - {name: s.example/*, signed: {any: [{identity: %q, issuer: %q, root: %q}]}}\n", workflow+"2", issuer, file), 1)
	is("named twice", until.Add(time.Second), "warning root-expired 3: ")
	text = strings.ReplaceAll(text, file, "root.json")
	t.Chdir(deep)
	if err := os.Rename(file, filepath.Join(deep, "root.json")); err != nil {
		t.Fatal(err)
	}
	is("a relative name", now, "warning file-relative 3: root.json is another file")
	// A root without authorities.
	logs := virtual.RekorLogs()
	for id, l := range logs {
		l.ID, _ = hex.DecodeString(id)
	}
	written, err := root.NewTrustedRoot(root.TrustedRootMediaType01, nil, nil, nil, logs)
	if err != nil {
		t.Fatal(err)
	}
	data, err := written.MarshalJSON()
	if err == nil {
		err = os.WriteFile(filepath.Join(deep, "root.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	is("no authority", now, "warning file-relative", "error root-without-authority 3: ")
}

// FuzzWithin: what is within another pattern fits no name that the other does not, and an entry
// that is said never to count does not, for no name that docker may have.
func FuzzWithin(f *testing.F) {
	f.Add("*", "*/*", "r.example/shop")
	f.Add("r.example/*", "r.example/**", "r.example/a/b")
	f.Add("r.example/*a*b", "r.example/*b", "r.example/xaxb")
	f.Add("a*", "a*/*", "a/b")
	f.Fuzz(func(t *testing.T, inner, outer, name string) {
		if strings.ContainsAny(inner+outer+name, "[]?\\@ \x00\x01") || strings.Trim(name, "/") != name || !strings.Contains(name, "/") {
			return
		}
		if within(inner, outer) && workload.NameFits(inner, name) && !workload.NameFits(outer, name) {
			t.Errorf("%q is within %q, which does not fit %q", inner, outer, name)
		}
		p := &Policy{Images: []*Entry{{Name: inner}, {Name: outer}}}
		for i, e := range p.Images {
			for j, other := range p.Images {
				if before := literal(other.Name) - literal(e.Name); i != j && before >= 0 && (before > 0 || j < i) && within(e.Name, other.Name) && p.For(name) == e {
					t.Errorf("%q counts for %q, and never does beside %q", e.Name, name, other.Name)
				}
			}
		}
	})
}
