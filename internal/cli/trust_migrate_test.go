package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/test/notary"
)

// migrated is what trust migrate tells programs.
type migrated struct {
	Schema string
	Names  []string
	Tags   []struct{ Name, Tag, Digest, Role, Did, Why string }
}

// did are the tags, each with what became of it.
func (m *migrated) did() string {
	var list []string
	for _, t := range m.Tags {
		list = append(list, strings.TrimPrefix(t.Tag+" "+t.Did, " "))
	}
	return strings.Join(list, ", ")
}

// TestTrustMigrate: what a real server of content trust has signed is signed by a key, to the
// digest, and nothing else is; cosign and image verify take it; and again it changes nothing.
func TestTrustMigrate(t *testing.T) {
	n := notary.Start(t)
	y := newYard(t)
	private, public, block := y.key("release")
	gun := y.host + "/shop/api"
	trust := y.file("trust.yaml", "schema: plimsoll/trust/1\ncontent_trust:\n  acme: {url: \""+n.URL+"\", first: true}\nkeys:\n"+block+
		"images:\n  - {name: \""+y.host+"/shop/*\", signed: {any: [{content_trust: acme}]}}\n  - {name: \""+y.host+"/left/*\", signed: {any: [{key: release}]}}\n")
	sign := func(tag string, i v1.Image) {
		t.Helper()
		digest, err := i.Digest()
		if err != nil {
			t.Fatal(err)
		}
		size, err := i.Size()
		if err != nil {
			t.Fatal(err)
		}
		n.Run("addhash", gun, tag, fmt.Sprint(size), "--sha256", digest.Hex, "-p")
	}
	n.Begin(gun)
	one, two := y.push("shop/api:1", 100), y.push("shop/api:2", 100)
	sign("1", one)
	sign("latest", one)
	sign("2", two)
	sign("3", y.push("shop/api:3", 100))
	y.push("shop/api:3", 100) // it moves
	sign("4", two)            // and this never came, or was deleted
	unsigned := y.push("shop/api:unsigned", 100)
	// An index is signed as a whole.
	index, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(gun + ":many")
	if err == nil {
		err = remote.WriteIndex(ref, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	ref, err = name.ParseReference(gun + ":latest")
	if err == nil {
		err = remote.Write(ref, one)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := index.Size()
	if err != nil {
		t.Fatal(err)
	}
	n.Run("addhash", gun, "many", fmt.Sprint(size), "--sha256", digest.Hex, "-p")

	certs := n.Certs(n.URL)
	is := func(ctx context.Context, want int, told string, now time.Time, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		env := func(name string) string { return map[string]string{"LANG": "C.UTF-8"}[name] }
		code := Run(ctx, World{Args: append(args, "--state", y.state), Getenv: env, LookupEnv: func(string) (string, bool) { return "", false }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: func() time.Time { return now }})
		if code != want || !strings.Contains(out.String()+errs.String(), told) {
			t.Errorf("%q: exit %d, want %d, without %q:\n%s%s", args, code, want, told, out.String(), errs.String())
		}
		return out.String()
	}
	migrate := func(want int, told string, args ...string) *migrated {
		t.Helper()
		out := is(t.Context(), want, "", time.Now(), append([]string{"trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, "--registry-certs", certs, "--format", "json"}, args...)...)
		m := &migrated{}
		if err := json.Unmarshal([]byte(out), m); err != nil || m.Schema != "plimsoll/migrated/1" {
			t.Fatalf("%q: %v: %s", args, err, out)
		}
		if got := m.did(); !strings.Contains(got, told) {
			t.Errorf("%q: %s, want %s", args, got, told)
		}
		return m
	}
	tags := func() int {
		t.Helper()
		repo, err := name.NewRepository(gun)
		if err != nil {
			t.Fatal(err)
		}
		list, err := remote.List(repo)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := tags()
	m := migrate(exitFindings, "1 would-sign, 2 would-sign, 3 moved, 4 gone, latest would-sign, many would-sign", "--dry-run", gun)
	if got := tags(); got != before {
		t.Errorf("a dry run has pushed %d tags", got-before)
	}
	if m.Tags[0].Role != "targets" || m.Tags[0].Name != gun || len(m.Names) != 1 || m.Names[0] != "release" {
		t.Errorf("%+v", m)
	}
	// One tag alone, then the others: what the key has signed is left, by whatever tag.
	migrate(0, "1 signed", gun+":1")
	migrate(exitFindings, "1 already, 2 signed, 3 moved, 4 gone, latest already, many signed", gun)
	after := tags()
	m = migrate(exitFindings, "1 already, 2 already, 3 moved, 4 gone, latest already, many already", gun)
	if got := tags(); got != after || after != before+3 {
		t.Errorf("%d tags were pushed, and again %d", after-before, got-after)
	}
	if !strings.Contains(m.Tags[2].Why, "which content trust has not signed") {
		t.Errorf("%+v", m.Tags[2])
	}
	migrate(0, "1 already", gun+":1")
	migrate(exitFindings, "unsigned not-signed, 1 already", gun+":1", gun+":unsigned")
	migrate(0, "2 signed", "--layout", "referrer", gun+":2")
	migrate(0, "2 already", "--layout", "both", gun+":2")
	migrate(0, "1 signed", "--layout", "both", gun+":1")

	// Our own verify takes them by the key alone, and so does cosign.
	alone := y.file("alone.yaml", "schema: plimsoll/trust/1\nkeys:\n"+block+"images:\n  - {name: \""+y.host+"/shop/*\", signed: {any: [{key: release}]}}\n")
	for tag, want := range map[string]int{"1": 0, "2": 0, "latest": 0, "3": exitFindings, "unsigned": exitFindings} {
		is(t.Context(), want, "trusted", time.Now(), "image", "verify", "--trust", alone, "registry:"+gun+":"+tag)
		cosigned(t, want == 0, public, gun+":"+tag)
	}
	cosigned(t, true, public, gun+":many")

	// What does not verify any more is not signed: nor who cannot be asked.
	expired := is(t.Context(), exitFindings, "it expired on", time.Now().AddDate(0, 0, 15), "trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, "--registry-certs", certs, gun)
	if !strings.Contains(expired, "not signed: content trust of "+gun) || strings.Contains(expired, "already") {
		t.Errorf("%s", expired)
	}
	nobody := y.file("nobody.yaml", strings.Replace(read(t, trust), n.URL, "https://127.0.0.1:1", 1))
	is(t.Context(), exitUnable, "could not be asked", time.Now(), "trust", "migrate", "--from", "dct", "--key", private, "--trust", nobody, gun)
	pinned := y.file("pinned.yaml", strings.Replace(read(t, trust), "first: true", "keys: ["+n.IDs("targets")[0]+"]", 1))
	is(t.Context(), exitFindings, "none of the keys that are trusted led to it", time.Now(), "trust", "migrate", "--from", "dct", "--key", private, "--trust", pinned, "--registry-certs", certs, gun)
	if i, err := unsigned.Digest(); err != nil || exists(t, gun, "sha256-"+i.Hex+".sig") {
		t.Errorf("the unsigned one was signed: %v", err)
	}
	for told, args := range map[string][]string{
		"is from Docker Content Trust":      {"trust", "migrate", "--key", private, gun},
		"needs a key":                       {"trust", "migrate", "--from", "dct", gun},
		"takes names of repositories":       {"trust", "migrate", "--from", "dct", "--key", private},
		"names no repository":               {"trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, gun + "@" + digest.String()},
		"--layout x is none":                {"trust", "migrate", "--from", "dct", "--key", private, "--layout", "x", gun},
		"is none of " + trust:               {"trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, "--server", "other", gun},
		"is no key to sign with":            {"trust", "migrate", "--from", "dct", "--key", public, "--trust", trust, gun},
		"the policy of trust can't be read": {"trust", "migrate", "--from", "dct", "--key", private, "--trust", filepath.Join(y.dir, "none"), gun},
	} {
		is(t.Context(), exitUsage, told, time.Now(), args...)
	}
	is(t.Context(), exitFindings, "no entry of", time.Now(), "trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, y.host+"/else/api")
	is(t.Context(), exitFindings, "does not name that server", time.Now(), "trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, y.host+"/left/api")

	// Who is stopped goes on where he was.
	for _, tag := range []string{"5", "6", "7"} {
		sign(tag, y.push("shop/api:"+tag, 100))
	}
	ctx, stop := context.WithCancel(t.Context())
	see := func(r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			stop() // before the first of them has its tag, or as it gets it
		}
	}
	y.before.Store(&see)
	is(ctx, exitSignal, "ended by a signal", time.Now(), "trust", "migrate", "--from", "dct", "--key", private, "--trust", trust, "--registry-certs", certs, gun+":5", gun+":6", gun+":7")
	y.before.Store(nil)
	if m := migrate(0, "6 signed, 7 signed", gun+":5", gun+":6", gun+":7"); len(m.Tags) != 3 {
		t.Errorf("%+v", m)
	}
	migrate(0, "5 already, 6 already, 7 already", gun+":5", gun+":6", gun+":7")
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// exists says whether a repository has a tag.
func exists(t *testing.T, repository, tag string) bool {
	t.Helper()
	ref, err := name.ParseReference(repository + ":" + tag)
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Head(ref)
	return err == nil
}

// cosigned has cosign's own program, which $COSIGN names, verify an image.
func cosigned(t *testing.T, want bool, public, image string) {
	t.Helper()
	program := os.Getenv("COSIGN")
	if program == "" {
		return // what it takes is tested by package cosign too
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "verify", "--key", public, "--insecure-ignore-tlog=true", "--allow-insecure-registry", "--new-bundle-format=false", image)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir, "PATH=/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); (err == nil) != want {
		t.Errorf("cosign verify %s: %v\n%s", image, err, out)
	}
}
