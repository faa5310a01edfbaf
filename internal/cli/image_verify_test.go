package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// TestImageSignAndVerify: what is signed is trusted, and the verdict says so for the gate
// until the image is found not to be trusted any more; what is not signed, or can't be told,
// has the exit code that says so.
func TestImageSignAndVerify(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write := func(as string, i v1.Image) {
		t.Helper()
		ref, err := name.ParseReference(host + "/" + as)
		if err == nil {
			err = remote.Write(ref, i)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	push := func(as string) v1.Image {
		t.Helper()
		i, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		write(as, i)
		return i
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	key := file("release.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	block := "  release:\n    pem: |\n      " + strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), "\n", "\n      ") + "\n"
	images := "images:\n  - {name: \"" + host + "/shop/*\", signed: {any: [{key: release}]}}\n"
	trusted := file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n"+block+images)
	revoked := file("revoked.yaml", "schema: plimsoll/trust/1\nkeys:\n"+strings.Replace(block, "  release:\n", "  release:\n    revoked: 2026-11-01\n    why: the laptop was stolen\n", 1)+images)
	bad := file("bad.yaml", "schema: plimsoll/trust/1\nimages: []\n")
	state := filepath.Join(dir, "state")
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	is := func(want int, told string, args ...string) string {
		t.Helper()
		code, out, errs := run(t, t.Context(), World{Now: func() time.Time { return now }}, args...)
		if code != want || !strings.Contains(out+errs, told) {
			t.Errorf("%q: exit %d, want %d, without %q: %s%s", args[:2], code, want, told, out, errs)
		}
		return out
	}
	verify := func(policy, ref string, more ...string) []string {
		return append([]string{"image", "verify", "--state", state, "--trust", policy, "registry:" + host + "/" + ref}, more...)
	}
	i := push("shop/api:1")
	id, err := i.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	folder := verdict.Folder(filepath.Join(state, gate.VerdictFolder))
	vouched := func() *verdict.Verified {
		t.Helper()
		v, err := folder.Read(id.String())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if v == nil {
			return nil
		}
		return v.Verified
	}
	is(exitFindings, "0 of the 1 signers", verify(trusted, "shop/api:1")...)
	if v := vouched(); v != nil {
		t.Errorf("unsigned: %+v", v)
	}
	is(0, "is signed by the key sha256:", "image", "sign", "--state", state, "--key", key, host+"/shop/api:1")
	is(0, "is trusted: cosign key release", verify(trusted, "shop/api:1")...)
	if v := vouched(); v == nil || v.Policy != "images[0]" || len(v.By) != 1 || v.By[0] != "cosign key release" {
		t.Errorf("signed: %+v", v)
	}
	is(0, "images[0] is about it", verify(trusted, "shop/api:1", "--explain", "--no-record")...)
	var body struct {
		Schema, ID, Policy, Manifest string
		Trusted                      bool
		By                           []string
		Steps                        []struct {
			Step string
			OK   bool
		}
	}
	if err := json.Unmarshal([]byte(is(0, "", verify(trusted, "shop/api:1", "--format", "json")...)), &body); err != nil || body.Schema != "plimsoll/verified/1" || !body.Trusted || body.ID != id.String() || len(body.Steps) != 3 || len(body.By) != 1 {
		t.Errorf("%+v, %v", body, err)
	}
	is(exitFindings, "was revoked on 2026-11-01", verify(revoked, "shop/api:1", "--explain")...)
	if v := vouched(); v != nil {
		t.Errorf("revoked: %+v", v)
	}
	is(0, "is trusted", verify(trusted, "shop/api:1")...)
	// By another name, which no entry is about, it is not trusted; by this one it stays so.
	write("other/api:same", i)
	is(exitFindings, "no entry of", verify(trusted, "other/api:same")...)
	if v := vouched(); v == nil || v.Name != host+"/shop/api" {
		t.Errorf("another name takes the verdict away: %+v", v)
	}
	push("shop/api:2")
	push("shop/api:1")
	is(exitFindings, "0 of the 1 signers", verify(trusted, "shop/api:1")...)
	if v := vouched(); v == nil {
		t.Error("another image by the tag takes the first one's verdict away")
	}
	// What was signed later counts by the tag, until that which was before is signed anew.
	sign := func() { is(0, "is signed", "image", "sign", "--state", state, "--key", key, host+"/shop/api:1") }
	now = now.Add(time.Hour)
	sign()
	is(0, "is trusted", verify(trusted, "shop/api:1")...)
	write("shop/api:1", i)
	is(exitFindings, "it was signed at 2026-11-24T10:00:00Z", verify(trusted, "shop/api:1")...)
	is(exitFindings, `"refused": "replay"`, verify(trusted, "shop/api:1", "--format", "json")...)
	if v := vouched(); v == nil {
		t.Error("what is older is not verified any more, by its digest too")
	}
	is(exitUsage, "is recorded", verify(trusted, "shop/api:1", "--rollback", "4.18 loses orders", "--no-record")...)
	is(exitUsage, "does not say why", verify(trusted, "shop/api:1", "--rollback", " ")...)
	is(exitFindings, "0 of the 1 signers", verify(trusted, "shop/api:2", "--rollback", "4.18 loses orders")...)
	is(0, "gone back to: 4.18 loses orders", verify(trusted, "shop/api:1", "--rollback", "4.18 loses orders", "--explain")...)
	is(0, "is trusted", verify(trusted, "shop/api:1")...)
	if log := is(0, "", "trail", "list", "--state", state, "--format", "json"); strings.Count(log, `"rollback":"4.18 loses orders"`) != 1 {
		t.Errorf("the trail does not say once why it was gone back: %s", log)
	}
	now = now.Add(time.Hour)
	sign()
	is(0, "is not older than", verify(trusted, "shop/api:1", "--explain")...)
	push("other/api:1")
	is(exitFindings, "no entry of", verify(trusted, "other/api:1")...)
	is(exitUnable, "it can't be told who signed", verify(trusted, "shop/api:none")...)
	is(exitUsage, "images has 0 entries", verify(bad, "shop/api:1")...)
	is(exitUsage, "Begin one:", verify(filepath.Join(dir, "none.yaml"), "shop/api:1")...)
	is(exitUsage, "is in no registry", "image", "verify", "--state", state, "--trust", trusted, "dir:"+dir)
	is(exitUsage, "needs a key", "image", "sign", host+"/shop/api:1")
	is(exitUsage, "is no key to sign with", "image", "sign", "--key", trusted, host+"/shop/api:1")
	is(exitUsage, "is none", "image", "sign", "--key", key, "--layout", "x", host+"/shop/api:1")
	is(exitUnable, "can't be signed", "image", "sign", "--state", state, "--key", key, host+"/shop/none:1")
}

// TestImageVerifyUncompared: who may not read what a tag was trusted for is not told that an image
// is fine by it, which may be an older one.
func TestImageVerifyUncompared(t *testing.T) {
	y := newYard(t)
	private, _, block := y.key("release")
	trust := y.file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n"+block+"images:\n  - {name: \""+y.host+"/shop/*\", signed: {any: [{key: release}]}}\n  - {name: \""+y.host+"/any/*\", unsigned: true, why: bases}\n")
	verify := func(want int, told string, more ...string) {
		t.Helper()
		y.is(want, told, append([]string{"image", "verify", "--trust", trust}, more...)...)
	}
	shop, other := "registry:"+y.host+"/shop/api:1", "registry:"+y.host+"/any/api:1"
	y.push("shop/api:1", 100)
	y.push("any/api:1", 100)
	y.is(0, "is signed", "image", "sign", "--key", private, y.host+"/shop/api:1")
	verify(0, "is trusted", shop)
	verify(0, "is trusted", other)
	files, err := filepath.Glob(filepath.Join(y.state, "verdicts", "tags", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	own := y.file("own.yaml", "")
	if err := errors.Join(os.Chmod(filepath.Dir(y.dir), 0o755), os.Chmod(trust, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, own) {
		if err := os.Chmod(f, 0); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Geteuid() == 0 { // this thread is somebody else for files
		defer unix.SetfsuidRetUid(0)
		if _, err := unix.SetfsuidRetUid(65534); err != nil {
			t.Fatal(err)
		}
	}
	y.is(exitUsage, "Run it as who may read that file", "trust", "lint", own)
	verify(exitUnable, "?  replay    what the tag was trusted for may not be read", "--explain", shop)
	verify(exitUnable, "is older than what its tag was trusted for", "--no-record", shop)
	verify(exitUnable, "\"unknown\": [\n    \"replay\"", "--format", "json", shop)
	verify(0, "is trusted", other) // which has no order
}
