package cosign

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/plimsoll/plimsoll/internal/image"
)

// TestBundleOfOthers: others' tools read a bundle as the layout that it is; and
// cosign's program, where COSIGN names it, finds the image and its signature there.
func TestBundleOfOthers(t *testing.T) {
	r := newHub(t, true).open(t, "team/app")
	dir := t.TempDir()
	private := makers["p256"]()
	release, err := ParseSigner("release", privatePEM(private), nil)
	if err != nil {
		t.Fatal(err)
	}
	subject := push(t, r, "the one")
	if err := release.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	info, left, err := image.Pack(t.Context(), &b, r, image.Packing{At: noon, By: "a test"})
	if err != nil || len(left) != 0 {
		t.Fatalf("%v, left out %q", err, left)
	}
	file, folder := filepath.Join(dir, "bundle.tar"), filepath.Join(dir, "layout")
	for name, data := range map[string][]byte{file: b.Bytes(), filepath.Join(dir, "release.pub"): publicPEM(private)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", folder, "-xf", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index, validate.Fast); err != nil {
		t.Errorf("as a layout: %v", err)
	}
	program := os.Getenv("COSIGN")
	if program == "" {
		return
	}
	with := []string{"verify", "--offline", "--insecure-ignore-tlog", "--local-image", folder, "--key"}
	if out, err := cli(t, program, dir, append(with, "release.pub")...); err != nil || !bytes.Contains(out, []byte(info.Digest)) {
		t.Errorf("cosign: %v\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "other.pub"), publicPEM(makers["p256"]()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cli(t, program, dir, append(with, "other.pub")...); err == nil {
		t.Errorf("cosign takes another's key: %s", out)
	}
}
