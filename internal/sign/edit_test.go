package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"
)

var november = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// without takes the lines away that another text has more, and says whether nothing else
// differs.
func without(longer, shorter string) (added string, ok bool) {
	i := 0
	for i < len(shorter) && longer[i] == shorter[i] {
		i++
	}
	for j := i; j >= 0; j-- { // what was added may begin as what follows it does
		if rest := len(longer) - len(shorter); longer[:j]+longer[j+rest:] == shorter {
			return longer[j : j+rest], true
		}
	}
	return "", false
}

// forms are policies that say the same, of two keys and one entry.
func forms(t testing.TB) map[string]string {
	one, two := newKey(t), newKey(t)
	flow := func(pem string) string { return fmt.Sprintf("%q", strings.ReplaceAll(pem, "\n      ", "\n")) }
	const head, images = "schema: plimsoll/trust/1\n", "images:\n  # shop's\n  - name: r.example/*\n    signed: {any: [{key: one}, {key: two}]}\n"
	plain := "# ours\n" + head + "# who signs\nkeys: # all of them\n  # of the release\n  one: # first\n    # as it was made\n    pem: |\n      " + one + "\n  two:\n    pem: |\n      " + two + "\n\n# what\n" + images
	return map[string]string{
		"blocks":           plain,
		"carriage returns": strings.ReplaceAll(plain, "\n", "\r\n"),
		"keys last":        head + images + "keys:\n    one:\n        pem: |\n          " + strings.ReplaceAll(one, "\n", "\n    ") + "\n    two:\n        pem: |\n          " + strings.TrimSpace(strings.ReplaceAll(two, "\n", "\n    ")),
		"braces":           head + "keys:\n  one: {pem: " + flow(one) + "} # first\n  \"two\": { pem: " + flow(two) + " }\n" + images,
		"images before":    "images:\n- name: r.example/*\n  signed: {any: [{key: one}, {key: two}]}\n" + head + "keys:\n one:\n  pem: |\n      " + one + "\n two:\n  pem: |\n      " + two + "\n",
	}
}

// weak is a key that signs no images.
func weak(t testing.TB) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return inYAML(t, &k.PublicKey)
}

// TestAddKey: a key is added in every form of a file that has lines for it, and nothing else in
// the file changes.
func TestAddKey(t *testing.T) {
	public := []byte(strings.ReplaceAll(newKey(t), "\n      ", "\n"))
	all := forms(t)
	all["no keys"] = "# ours\nschema: plimsoll/trust/1\n# what\nimages:\n  - {name: \"*\", unsigned: true, why: to begin}\n"
	all["nothing behind keys"] = "schema: plimsoll/trust/1\nkeys: # none yet\nimages:\n  - {name: \"*\", unsigned: true, why: to begin}\n"
	all["images first"] = "images:\n- {name: \"*\", unsigned: true, why: to begin}\nschema: plimsoll/trust/1"
	for name, file := range all {
		out, err := AddKey("trust.yaml", []byte(file), "next.2026", public)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := ReadPolicy("trust.yaml", out)
		if err != nil || strings.TrimSpace(p.Keys["next.2026"].PEM) != strings.TrimSpace(string(public)) {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		want := file
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if added, ok := without(string(out), want); !ok || strings.Contains(file, "\r") != strings.Contains(added, "\r") {
			t.Errorf("%s: more was changed:\n%s", name, out)
		}
	}
	key := all["blocks"][strings.Index(all["blocks"], "-----BEGIN"):strings.Index(all["blocks"], "  two:")]
	for name, c := range map[string]struct{ file, called, pem, wrong string }{
		"the name is there":        {all["blocks"], "one", string(public), "keys.one is there already"},
		"the key is there":         {all["blocks"], "next", strings.ReplaceAll(key, "      ", ""), "keys.one is that key already"},
		"no name":                  {all["blocks"], "Next key", string(public), "no name of a key"},
		"no PEM":                   {all["blocks"], "next", "ssh-ed25519 AAAA", "it is no PEM file"},
		"a private key":            {all["blocks"], "next", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "PRIVATE KEY"},
		"a weak key":               {all["blocks"], "next", strings.ReplaceAll(weak(t), "\n      ", "\n"), "key next"},
		"keys in braces":           {"schema: plimsoll/trust/1\nkeys: {}\nimages: [{name: \"*\", unsigned: true, why: x}]\n", "next", string(public), "the keys are written in braces"},
		"all in braces":            {"{schema: plimsoll/trust/1, images: [{name: \"*\", unsigned: true, why: x}]}\n", "next", string(public), "the file is written in braces"},
		"a file that is no policy": {"schema: plimsoll/trust/1\n", "next", string(public), "images has 0 entries"},
		"an end that is marked":    {"images:\n- {name: \"*\", unsigned: true, why: x}\nschema: plimsoll/trust/1\n...\n", "next", string(public), "can't be done without changing more"},
	} {
		if out, err := AddKey("trust.yaml", []byte(c.file), c.called, []byte(c.pem)); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q: %s", name, err, c.wrong, out)
		}
	}
}

// TestRevoke: a key is revoked in every form of a file, under each of its names, and nothing
// else changes.
func TestRevoke(t *testing.T) {
	const why = `the "laptop": stolen — in München #1`
	all := forms(t)
	flow := strings.ReplaceAll(fmt.Sprintf("%q", strings.ReplaceAll(newKey(t), "\n      ", "\n")), "\n", "")
	// Columns count characters.
	all["one line"] = `{schema: plimsoll/trust/1, images: [{name: "*", unsigned: true, why: "für später — 鍵"}], keys: {one: {pem: ` + flow + "}}}\n"
	for name, file := range all {
		out, err := Revoke("trust.yaml", []byte(file), "one", november, why)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p, err := ReadPolicy("trust.yaml", out)
		if err != nil || p.Keys["one"].Revoked != "2026-11-28" || p.Keys["one"].Why != why || p.Keys["two"].Revoked != "" {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if added, ok := without(string(out), file); !ok || strings.Contains(added, "pem") {
			t.Errorf("%s: more was changed:\n%s", name, out)
		}
		if _, err := Revoke("trust.yaml", out, "one", november, why); err == nil || !strings.Contains(err.Error(), "is revoked already") {
			t.Errorf("%s, again: %v", name, err)
		}
	}
	twice := strings.Replace(all["blocks"], "images:", "  three:\n    pem: |\n      "+all["blocks"][strings.Index(all["blocks"], "-----BEGIN"):strings.Index(all["blocks"], "  two:")]+"images:", 1)
	out, err := Revoke("trust.yaml", []byte(twice), "three", november, why)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := ReadPolicy("trust.yaml", out); err != nil || p.Keys["one"].Revoked == "" || p.Keys["three"].Revoked == "" || p.Keys["two"].Revoked != "" {
		t.Errorf("a key of two names: %v: %s", err, out)
	}
	said := strings.Replace(all["blocks"], "    # as it was made\n", "    why: it is old\n", 1)
	if out, err := Revoke("trust.yaml", []byte(said), "one", november, why); err == nil || !strings.Contains(err.Error(), "without changing more") {
		t.Errorf("a key that says why already: %v: %s", err, out)
	}
	for name, c := range map[string]struct{ key, why, wrong string }{
		"another name": {"onee", why, "no key called"},
		"no reason":    {"one", " ", "says not why"},
		"two lines":    {"one", "a\nb", "says not why"},
		"no text":      {"one", "a\xff", "says not why"},
	} {
		if _, err := Revoke("trust.yaml", []byte(all["blocks"]), c.key, november, c.why); err == nil || !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", name, err, c.wrong)
		}
	}
}

// FuzzEdit: whatever the file, what comes of a change is a policy with just that change, and
// its text has all that was there, in that order.
func FuzzEdit(f *testing.F) {
	for _, file := range forms(f) {
		f.Add([]byte(file), "next", "it was lost")
	}
	f.Add([]byte("schema: plimsoll/trust/1\nimages:\n- {name: \"*\", unsigned: true, why: x}\n"), "one", "'")
	public := []byte(strings.ReplaceAll(newKey(f), "\n      ", "\n"))
	f.Fuzz(func(t *testing.T, data []byte, name, why string) {
		old, err := ReadPolicy("t", data)
		if err != nil {
			return
		}
		if text, err := AddKey("t", data, name, public); err == nil {
			p, err := ReadPolicy("t", text)
			if err != nil || len(p.Keys) != len(old.Keys)+1 || len(p.NamesOf(p.ID(Signer{Key: name}))) != 1 {
				t.Fatalf("%v: %q became %q", err, data, text)
			}
			if _, ok := without(string(text), string(data)); !ok {
				if _, ok := without(string(text), string(data)+"\n"); !ok && !strings.Contains(string(data), "\r") {
					t.Fatalf("%q became %q", data, text)
				}
			}
		}
		for key := range old.Keys {
			text, err := Revoke("t", data, key, november, why)
			if err != nil {
				continue
			}
			p, err := ReadPolicy("t", text)
			if err != nil || p.Keys[key].Why != why || p.Keys[key].Revoked != "2026-11-28" || len(p.Keys) != len(old.Keys) {
				t.Fatalf("%v: %q became %q", err, data, text)
			}
		}
	})
}
