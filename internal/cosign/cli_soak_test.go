//go:build soak

package cosign

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// cosignProgram is cosign's own: the one that $COSIGN names, or else one that is built, which
// takes minutes.
func cosignProgram(t *testing.T) string {
	t.Helper()
	if program := os.Getenv("COSIGN"); program != "" {
		return program
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "install", "-trimpath", "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3")
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building cosign: %v\n%s", err, out)
	}
	return filepath.Join(dir, "cosign")
}

// TestCosign: cosign verifies what is signed here, and what cosign signs is verified here,
// with each kind of key, in both layouts.
func TestCosign(t *testing.T) {
	program := cosignProgram(t)
	for _, referrers := range []bool{true, false} {
		h := newHub(t, referrers)
		for kind, made := range makers {
			dir := t.TempDir()
			run := func(args ...string) {
				t.Helper()
				if out, err := cli(t, program, dir, args...); err != nil {
					t.Errorf("%s, referrers %v: cosign %q: %v\n%s", kind, referrers, args, err, out)
				}
			}
			private := made()
			for name, data := range map[string][]byte{"plain.key": privatePEM(private), "plain.pub": publicPEM(private)} {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run("import-key-pair", "--key", "plain.key", "--output-key-prefix", "cosign")
			encrypted, err := os.ReadFile(filepath.Join(dir, "cosign.key"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseSigner("release", encrypted, []byte("pw"))
			if err != nil {
				t.Fatal(err)
			}
			for _, form := range []string{"true", "false"} {
				name := kind + "/form-" + form
				ours, theirs := h.open(t, "ours/"+name), h.open(t, "theirs/"+name)
				ourImage, theirImage := push(t, ours, name), push(t, theirs, "their "+name)
				if form == "true" {
					err = s.SignReferrer(t.Context(), ours, ourImage, noon)
				} else {
					err = s.SignTag(t.Context(), ours, ourImage.Digest, noon)
				}
				if err != nil {
					t.Fatal(err)
				}
				run("verify", "--key", "plain.pub", "--insecure-ignore-tlog=true", "--allow-insecure-registry", "--new-bundle-format="+form, ours.Repository()+"@"+string(ourImage.Digest))
				run("sign", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-insecure-registry", "--new-bundle-format="+form, "-a", "timestamp="+strconv.FormatInt(noon.Unix(), 10), theirs.Repository()+"@"+string(theirImage.Digest))
				found, rejected := find(t, theirs, theirImage.Digest, trusting(s), Options{})
				holds(t, name, found, rejected, "key release")
				if len(found) == 1 && !found[0].Claimed.Equal(noon) {
					t.Errorf("%s: cosign's -a timestamp is read as %v", name, found[0].Claimed)
				}
				if out, err := cli(t, program, dir, "verify", "--key", "plain.pub", "--insecure-ignore-tlog=true", "--allow-insecure-registry", "--new-bundle-format="+form, theirs.Repository()+"@"+string(ourImage.Digest)); err == nil || bytes.Contains(out, []byte("verified")) {
					t.Errorf("%s: cosign verifies what is not signed: %s", name, out)
				}
			}
		}
	}
}
