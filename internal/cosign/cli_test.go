package cosign

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// cli runs cosign's own program, which $COSIGN names.
func cli(t *testing.T, program, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	// It has no network to ask for roots, and finds no credentials.
	cmd.Env = []string{"HOME=" + dir, "COSIGN_PASSWORD=pw", "COSIGN_YES=true", "PATH=/usr/bin:/bin"}
	return cmd.CombinedOutput()
}

// TestCosign: cosign verifies what is signed here, and what cosign signs is verified here,
// with each kind of key, in both layouts.
func TestCosign(t *testing.T) {
	program := os.Getenv("COSIGN")
	if program == "" {
		t.Skip("COSIGN names no program: what it signed once is in testdata, see TestFixtures")
	}
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
					err = s.SignTag(t.Context(), ours, ourImage.Digest)
				}
				if err != nil {
					t.Fatal(err)
				}
				run("verify", "--key", "plain.pub", "--insecure-ignore-tlog=true", "--allow-insecure-registry", "--new-bundle-format="+form, ours.Repository()+"@"+string(ourImage.Digest))
				run("sign", "--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-insecure-registry", "--new-bundle-format="+form, theirs.Repository()+"@"+string(theirImage.Digest))
				found, rejected := find(t, theirs, theirImage.Digest, trusting(s), Options{})
				holds(t, name, found, rejected, "key release")
				if out, err := cli(t, program, dir, "verify", "--key", "plain.pub", "--insecure-ignore-tlog=true", "--allow-insecure-registry", "--new-bundle-format="+form, theirs.Repository()+"@"+string(ourImage.Digest)); err == nil || bytes.Contains(out, []byte("verified")) {
					t.Errorf("%s: cosign verifies what is not signed: %s", name, out)
				}
			}
		}
	}
}
