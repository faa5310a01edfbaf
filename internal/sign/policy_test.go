package sign

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// newKey makes a public key as YAML has it in a block.
func newKey(t testing.TB) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return inYAML(t, &k.PublicKey)
}

func inYAML(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "\n      ")
}

// TestPolicy: what is right is read, and each thing that is wrong is told with its place.
func TestPolicy(t *testing.T) {
	one, two := newKey(t), newKey(t)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	head := "schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      " + one + "\n  two:\n    pem: |\n      " + two + "\n  again:\n    pem: |\n      " + one +
		"\n  ed:\n    pem: |\n      " + inYAML(t, public) + "\n"
	entry := func(rest string) string {
		return head + "images:\n  - name: registry.example/shop/*\n    " + rest + "\n"
	}
	for name, c := range map[string]struct{ file, wrong string }{
		"any":                  {entry("signed: {any: [{key: one}, {key: ed}]}"), ""},
		"all":                  {entry("signed: {all: [{key: one}, {key: two}]}"), ""},
		"threshold":            {entry("signed: {threshold: 2, of: [{key: one}, {key: two}, {key: ed}]}"), ""},
		"an identity":          {entry("signed: {any: [{identity: \"https://github.com/acme/*\", issuer: \"https://token.example\", root: /etc/root.json}]}"), ""},
		"age and platforms":    {entry("signed: {any: [{key: one}]}\n    max_age: 90d\n    platforms: [linux/amd64, linux/arm64/v8]"), ""},
		"unsigned with reason": {entry("unsigned: true\n    why: built here"), ""},
		"of every name":        {head + "images: [{name: \"*\", unsigned: true, why: for a start}]", ""},
		"a revoked key":        {strings.Replace(entry("signed: {any: [{key: two}]}"), "keys:\n  one:\n", "keys:\n  one:\n    revoked: 2026-11-01\n    why: the laptop was stolen\n", 1), ""},

		"another schema":           {strings.Replace(entry("signed: {any: [{key: one}]}"), "trust/1", "trust/2", 1), "schema is not plimsoll/trust/1"},
		"no images":                {head, "images has 0 entries"},
		"an empty entry":           {head + "images: [~]", "images[0]"},
		"neither":                  {entry("platforms: [linux/amd64]"), "says neither who must have signed"},
		"both":                     {entry("unsigned: true\n    why: x\n    signed: {any: [{key: one}]}"), "says unsigned and signed"},
		"unsigned, no reason":      {entry("unsigned: true"), "images[0].why is missing"},
		"unsigned, of an age":      {entry("unsigned: true\n    why: x\n    max_age: 3d"), "images[0].max_age needs a signature"},
		"no such key":              {entry("signed: {any: [{key: three}]}"), "images[0].signed.any[0].key names no key"},
		"two ways":                 {entry("signed: {any: [{key: one}], all: [{key: two}]}"), "one of any, all, and threshold"},
		"no way":                   {entry("signed: {}"), "one of any, all, and threshold"},
		"a threshold of nothing":   {entry("signed: {threshold: 1}"), "one of any, all, and threshold"},
		"signers, no threshold":    {entry("signed: {of: [{key: one}]}"), "one of any, all, and threshold"},
		"a threshold too high":     {entry("signed: {threshold: 3, of: [{key: one}, {key: two}]}"), "threshold is 3, of 2 different"},
		"below none":               {entry("signed: {threshold: -1, of: [{key: one}]}"), "threshold is -1"},
		"one key by two names":     {entry("signed: {all: [{key: one}, {key: again}]}"), "is 2, of 1 different"},
		"a signer twice":           {entry("signed: {all: [{key: one}, {key: one}]}"), "all[1] is there twice"},
		"key and identity":         {entry("signed: {any: [{key: one, identity: a}]}"), "is a key and an identity"},
		"content trust":            {strings.Replace(entry("signed: {any: [{content_trust: acme}]}"), "keys:\n", "content_trust:\n  acme: {url: https://notary.example, first: true}\nkeys:\n", 1), ""},
		"of no server":             {entry("signed: {any: [{content_trust: acme}]}"), "names no server"},
		"a server without a root":  {strings.Replace(entry("signed: {any: [{content_trust: acme}]}"), "keys:\n", "content_trust:\n  acme: {url: https://notary.example}\nkeys:\n", 1), "one of keys, ca and first"},
		"two roots":                {strings.Replace(entry("signed: {any: [{content_trust: acme}]}"), "keys:\n", "content_trust:\n  acme: {first: true, ca: x}\nkeys:\n", 1), "one of keys, ca and first"},
		"no URL":                   {strings.Replace(entry("signed: {any: [{content_trust: acme}]}"), "keys:\n", "content_trust:\n  acme: {url: notary.example, first: true}\nkeys:\n", 1), "is no server"},
		"key and content trust":    {entry("signed: {any: [{key: one, content_trust: acme}]}"), "is a key and an identity, or content trust"},
		"nobody":                   {entry("signed: {any: [{issuer: a}]}"), "is neither a key nor an identity nor content trust"},
		"identity without issuer":  {entry("signed: {any: [{identity: a, root: b}]}"), "without issuer and root"},
		"everybody":                {entry("signed: {any: [{identity: \"*\", issuer: a, root: b}]}"), "fits everybody"},
		"a tag in the name":        {head + "images: [{name: \"registry.example/shop:1\", unsigned: true, why: x}]", "is no pattern of names"},
		"a digest in the name":     {head + "images: [{name: \"registry.example/shop@sha256*\", unsigned: true, why: x}]", "is no pattern of names"},
		"a short name":             {head + "images: [{name: nginx, unsigned: true, why: x}]", "does not begin with a registry"},
		"a short name with a path": {head + "images: [{name: library/nginx, unsigned: true, why: x}]", "does not begin with a registry"},
		"a pattern twice":          {head + "images: [{name: \"*\", unsigned: true, why: x}, {name: \"*\", unsigned: true, why: y}]", "images[1].name is that of images[0] too"},
		"no age":                   {entry("signed: {any: [{key: one}]}\n    max_age: soon"), "is no age"},
		"an age below none":        {entry("signed: {any: [{key: one}]}\n    max_age: -3d"), "is no age"},
		"no platform":              {entry("signed: {any: [{key: one}]}\n    platforms: [amd64]"), "is no platform"},
		"an unknown field":         {entry("signed: {any: [{key: one, name: x}]}"), "name"},
		"no key in it":             {strings.Replace(entry("signed: {any: [{key: two}]}"), "BEGIN PUBLIC KEY", "BEGIN EC PRIVATE KEY", 1), "is no public key"},
		"revoked on no day":        {strings.Replace(entry("signed: {any: [{key: two}]}"), "keys:\n  one:\n", "keys:\n  one:\n    revoked: yes\n", 1), "is no day"},
		"revoked for nothing":      {strings.Replace(entry("signed: {any: [{key: two}]}"), "keys:\n  one:\n", "keys:\n  one:\n    revoked: 2026-11-01\n", 1), "keys.one.why is missing"},
		"two documents":            {entry("unsigned: true\n    why: x") + "---\na: b\n", "it holds 2 documents"},
	} {
		p, err := ReadPolicy("trust.yaml", []byte(c.file))
		if c.wrong == "" {
			if err != nil || len(p.Images) != 1 || p.Images[0].Place() != "images[0]" || p.Images[0].Line() == 0 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		wrong := new(strict.Error)
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.wrong) || wrong.File != "trust.yaml" || wrong.Line == 0 && name != "two documents" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFor: the entry with most characters that are no stars counts, wherever it stands.
func TestFor(t *testing.T) {
	p := &Policy{}
	for _, name := range []string{"*", "registry.example/*", "registry.example/shop/*", "registry.example/shop/api", "docker.io/library/*", "*/api"} {
		p.Images = append(p.Images, &Entry{Name: name})
	}
	for name, want := range map[string]string{
		"registry.example/shop/api":       "registry.example/shop/api",
		"registry.example/shop/web":       "registry.example/shop/*",
		"registry.example/shop/deep/web":  "registry.example/shop/*",
		"registry.example/other":          "registry.example/*",
		"registry.example.evil/shop/api":  "*/api",
		"docker.io/library/nginx":         "docker.io/library/*",
		"docker.io/other/nginx":           "*",
		"evil.example/registry.example/x": "*",
	} {
		if got := p.For(name); got == nil || got.Name != want {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
	if got := (&Policy{Images: p.Images[1:2]}).For("docker.io/library/nginx"); got != nil {
		t.Errorf("of no entry: %+v", got)
	}
}

// FuzzReadPolicy: whatever is read keeps the promises that the rest relies on.
func FuzzReadPolicy(f *testing.F) {
	key := newKey(f)
	f.Add("schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      " + key + "\nimages:\n  - name: \"*\"\n    signed: {any: [{key: one}]}\n")
	f.Add("schema: plimsoll/trust/1\nkeys:\n  one:\n    pem: |\n      " + key + "\nimages:\n  - name: \"*\"\n    attested: [{type: vuln, by: [{key: one}], where: \"predicate.a == 'x'\"}]\n")
	f.Add("schema: plimsoll/trust/1\nauthorities: {a: {certificates: {file: a.pem}, timestamps: {file: b.pem}}}\nimages: [{name: a.b/*, signed: {any: [{notation: a, subject: \"O=a, CN=b\"}, {notation: a, anyone: true}]}}]\n")
	f.Add("schema: plimsoll/trust/1\nimages: [{name: a.b/*, unsigned: true, why: x, platforms: [linux/amd64]}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadPolicy("t", []byte(text))
		if err != nil {
			if p != nil || err.Error() == "" {
				t.Error("a policy beside an error")
			}
			return
		}
		found, err := Lint("t", []byte(text), noon)
		if err != nil {
			t.Errorf("it can be read, and not looked through: %v", err)
		}
		for _, f := range found {
			if f.Line < 1 || f.Line > 1+strings.Count(text, "\n") || f.Field == "" || f.Text == "" || f.Do == "" {
				t.Errorf("%+v", f)
			}
		}
		for i, e := range p.Images {
			if e.Place() != fmt.Sprintf("images[%d]", i) || e.Unsigned && (e.Signed != nil || len(e.Attested) > 0) || !e.Unsigned && e.Signed == nil && len(e.Attested) == 0 && e.Built == nil {
				t.Errorf("%+v", e)
			}
			for _, a := range e.Attested {
				if (a.program == nil) != (a.Where == "") || len(a.By) == 0 {
					t.Errorf("%+v", a)
				}
			}
			if e.Signed == nil {
				continue
			}
			need, list := e.Signed.Needs()
			if need < 1 || need > len(list) {
				t.Errorf("%d of %d", need, len(list))
			}
			for _, s := range list {
				if _, is := p.Keys[s.Key]; s.Key != "" && !is {
					t.Errorf("%+v has no key", s)
				}
				if _, is := p.Authorities[s.Notation]; s.Notation != "" && (!is || (s.Subject == "") != s.Anyone) {
					t.Errorf("%+v has no authority, or is nobody", s)
				}
			}
		}
	})
}
