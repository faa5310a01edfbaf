package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// TestImageVerifyAttested: what must be attested is told with its expression and what came of it,
// what is missing by its name, and a mistake in the expression with its line.
func TestImageVerifyAttested(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	policy := func(where string) string {
		t.Helper()
		p := filepath.Join(dir, "trust.yaml")
		text := "schema: plimsoll/trust/1\nkeys:\n  scanner:\n    pem: |\n      " + strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), "\n", "\n      ") +
			"\nimages:\n  - name: " + host + "/*\n    attested:\n      - type: vuln\n        by: [{key: scanner}]\n        where: " + where + "\n        says: scanned\n"
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	i, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := i.Digest()
	if err != nil {
		t.Fatal(err)
	}
	push := func(tag string, i v1.Image) {
		t.Helper()
		ref, err := name.ParseReference(host + "/shop/api:" + tag)
		if err == nil {
			err = remote.Write(ref, i)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	push("1", i)
	is := func(want int, where string, told ...string) {
		t.Helper()
		code, out, errs := run(t, t.Context(), World{}, "image", "verify", "--explain", "--state", filepath.Join(dir, "state"), "--trust", policy(where), "registry:"+host+"/shop/api:1")
		for _, text := range told {
			if code != want || !strings.Contains(out+errs, text) {
				t.Errorf("%s: exit %d, want %d, without %q: %s%s", where, code, want, text, out, errs)
			}
		}
	}
	is(exitFindings, "predicate.scanner.result == 'clean'", `is not trusted: nothing attests "scanned" (https://cosign.sigstore.dev/attestation/vuln/v1), where predicate.scanner.result == 'clean', by key scanner; no attestation`)
	payload := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha256":%q}}],"predicateType":"https://cosign.sigstore.dev/attestation/vuln/v1","predicate":{"scanner":{"result":"clean"}}}`, digest.Hex)
	const kind = "application/vnd.in-toto+json"
	sum := sha256.Sum256(dsse.PAE(kind, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(dsse.Envelope{PayloadType: kind, Payload: base64.StdEncoding.EncodeToString(payload), Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(sig)}}})
	if err != nil {
		t.Fatal(err)
	}
	beside, err := mutate.AppendLayers(empty.Image, static.NewLayer(bytes.TrimSpace(data), "application/vnd.dsse.envelope.v1+json"))
	if err != nil {
		t.Fatal(err)
	}
	push("sha256-"+digest.Hex+".att", beside)
	is(0, "predicate.scanner.result == 'clean'", "is trusted: cosign key scanner attests https://cosign.sigstore.dev/attestation/vuln/v1", `attested  key scanner says "scanned"`, "where predicate.scanner.result == 'clean'")
	is(exitFindings, "predicate.scanner.result == 'dirty'", "predicate.scanner.result == 'dirty' is false", "is not trusted")
	is(exitFindings, "predicate.scanner.worst == 'low'", "predicate.scanner.worst == 'low' can't be told: no such key: worst")
	is(exitUsage, "predicat.scanner.result == 'clean'", "trust.yaml line 15: images[0].attested[0].where: undeclared reference to 'predicat'", `did you mean "predicate"?`)
}
