package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// signedShop is a registry with shop/api:1, a key with which it is signed, and a policy that wants
// that.
type signedShop struct {
	t                     *testing.T
	server                *httptest.Server
	host, dir, state, key string
	policy                string
	id                    v1.Hash
}

func newSignedShop(t *testing.T) *signedShop {
	t.Helper()
	s := &signedShop{t: t, dir: t.TempDir(), server: httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))}
	t.Cleanup(s.server.Close)
	s.host, s.state = strings.TrimPrefix(s.server.URL, "http://"), filepath.Join(s.dir, "state")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", "\n      ")
	s.key = s.file("release.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	s.policy = s.file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n  release:\n    pem: |\n      "+block+"\nimages:\n  - {name: \""+s.host+"/shop/*\", signed: {any: [{key: release}]}}\n")
	s.id = s.push("shop/api:1")
	s.is(0, "is signed by the key", "image", "sign", "--key", s.key, s.host+"/shop/api:1")
	return s
}

func (s *signedShop) file(name, text string) string {
	s.t.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// push puts an image there, and gives its id.
func (s *signedShop) push(as string) v1.Hash {
	s.t.Helper()
	i, err := random.Image(100, 1)
	if err != nil {
		s.t.Fatal(err)
	}
	ref, err := name.ParseReference(s.host + "/" + as)
	if err == nil {
		err = remote.Write(ref, i)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := i.ConfigName()
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// is runs a command with the state and the policy, where it takes one.
func (s *signedShop) is(want int, told string, args ...string) string {
	s.t.Helper()
	args = append(args, "--state", s.state)
	if args[0] == "trust" || args[1] == "verify" {
		args = append(args, "--trust", s.policy)
	}
	code, out, errs := run(s.t, s.t.Context(), World{}, args...)
	if code != want || !strings.Contains(out+errs, told) {
		s.t.Errorf("%q: exit %d, want %d, without %q: %s%s", args[:2], code, want, told, out, errs)
	}
	return out
}

// vouched is true where the gate would know that an image was verified.
func (s *signedShop) vouched(id v1.Hash) bool {
	s.t.Helper()
	v, err := verdict.Folder(filepath.Join(s.state, gate.VerdictFolder)).Read(id.String())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return v != nil && v.Verified != nil
}

// TestTrustBundle: what was packed is verified when the registry is gone, and known to the gate
// by its id; a bundle of what is not trusted is not, and takes no verdict away; what is no
// bundle, or is of something else, tells nothing; and nothing is left of one that failed.
func TestTrustBundle(t *testing.T) {
	s := newSignedShop(t)
	unsigned := s.push("shop/web:1")
	at := func(name string) string { return filepath.Join(s.dir, name) }
	s.is(0, "is verified by", "trust", "bundle", s.host+"/shop/api:1", "-o", at("api.tar"))
	s.is(0, "is verified by", "trust", "bundle", "--no-layers", "registry:"+s.host+"/shop/web:1", "-o", at("web.tar"))
	s.is(exitUnable, "can't be packed", "trust", "bundle", s.host+"/shop/none:1", "-o", at("none.tar"))
	s.is(exitUsage, "needs a file", "trust", "bundle", s.host+"/shop/api:1")
	s.is(exitUsage, "can't both be", "trust", "bundle", "--all-platforms", "--platform", "linux/amd64", s.host+"/shop/api:1", "-o", at("x.tar"))
	s.is(exitUsage, "names no image of a registry", "trust", "bundle", "dir:"+s.dir, "-o", at("x.tar"))
	s.server.Close()
	verify := func(want int, told, bundle, ref string) {
		t.Helper()
		s.is(want, told, "image", "verify", "--explain", "--bundle", at(bundle), s.host+"/"+ref)
	}
	s.is(exitUnable, "it can't be told", "image", "verify", "registry:"+s.host+"/shop/api:1")
	verify(0, "is trusted: cosign key release", "api.tar", "shop/api:1")
	if !s.vouched(s.id) {
		t.Error("the gate does not know it")
	}
	verify(0, "place     by the bundle "+at("api.tar"), "api.tar", "shop/api:1")
	verify(exitFindings, "0 of the 1 signers", "web.tar", "shop/web:1")
	if s.vouched(unsigned) {
		t.Error("the gate takes what nobody signed")
	}
	if err := verdict.Folder(filepath.Join(s.state, gate.VerdictFolder)).Verify(unsigned.String(), &verdict.Verified{At: time.Now(), Policy: "images[0]", By: []string{"cosign key release"}}); err != nil {
		t.Fatal(err)
	}
	verify(exitFindings, "0 of the 1 signers", "web.tar", "shop/web:1")
	if !s.vouched(unsigned) {
		t.Error("a bundle without signatures takes a verdict away")
	}
	verify(exitUnable, "it is a bundle of", "api.tar", "shop/web:1")
	verify(exitUnable, `the tag "2" is asked for`, "api.tar", "shop/api:2")
	verify(exitUsage, "no such file", "none.tar", "shop/api:1")
	verify(exitUnable, "reading the archive", "trust.yaml", "shop/api:1")
	s.is(exitUsage, "names no image of a registry", "image", "verify", "--bundle", at("api.tar"), "dir:"+s.dir)
	if left, err := filepath.Glob(filepath.Join(s.dir, ".*")); err != nil || len(left) != 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// TestTrustBundleEnds: nothing is left of a bundle whose making was ended while a layer was on its
// way, and a file that was there stays as it was.
func TestTrustBundleEnds(t *testing.T) {
	s := newSignedShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.HasSuffix(r.URL.Path, s.id.String()) {
			w.Header().Set("Content-Length", "1000000")
			cancel()
			<-r.Context().Done()
			return
		}
		s.server.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(ended.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "api.tar")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := run(t, ctx, World{}, "trust", "bundle", strings.TrimPrefix(ended.URL, "http://")+"/shop/api:1", "-o", file, "--trust", s.policy, "--state", s.state); code == 0 {
		t.Errorf("it was not ended: %s%s", out, errs)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "before" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestVerifyOffline: what was verified once is decided over without its registry, and what was
// not can't be told.
func TestVerifyOffline(t *testing.T) {
	s := newSignedShop(t)
	verify := func(want int, told string, more ...string) {
		t.Helper()
		s.is(want, told, append([]string{"image", "verify", "--explain", "registry:" + s.host + "/shop/api:1"}, more...)...)
	}
	verify(exitUnable, "Verify it once", "--offline")
	verify(0, "is trusted: cosign key release", "--no-record")
	s.server.Close()
	verify(exitUnable, "it can't be told who signed")
	if s.vouched(s.id) {
		t.Error("it is written down before it is to be")
	}
	verify(0, "place     by what was kept alone: its registry was asked last on 20", "--offline")
	if !s.vouched(s.id) {
		t.Error("the gate does not know it")
	}
	s.is(exitUsage, "can't both be", "image", "verify", "--offline", "--bundle", "x.tar", s.host+"/shop/api:1")
	s.is(exitUnable, "not all that is needed was kept", "image", "verify", "--offline", "registry:"+s.host+"/shop/web:1")
}
