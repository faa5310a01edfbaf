//go:build soak

package test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/plimsoll/plimsoll/internal/scan/scantest"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// TestBigImage: an image of 5 GB, in large files and in a program too large to be kept in
// memory, is scanned in 300 MiB, and leaves nothing behind.
func TestBigImage(t *testing.T) {
	dir, temp, state := t.TempDir(), t.TempDir(), t.TempDir()
	if err := scantest.Import(t.Context(), vuln.Folder(filepath.Join(state, "db")), filepath.Join("testdata", "scan", "osv"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	blob := func(media string, write func(io.Writer) error) descriptor {
		t.Helper()
		f, err := os.CreateTemp(blobs, "")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if err := write(io.MultiWriter(f, sum)); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		name := hex.EncodeToString(sum.Sum(nil))
		if err := os.Rename(f.Name(), filepath.Join(blobs, name)); err != nil {
			t.Fatal(err)
		}
		return descriptor{media, "sha256:" + name, info.Size()}
	}
	document := func(media string, v any) descriptor {
		return blob(media, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
	}
	const layers, size = 5, 1 << 30
	var list []descriptor
	var diffs []string
	for n := range layers {
		d := blob("application/vnd.oci.image.layer.v1.tar", func(w io.Writer) error {
			archive := tar.NewWriter(w)
			random := rand.NewChaCha8([32]byte{byte(n)})
			for i, name := range []string{"usr/bin/program", "data/large"} {
				bytes := int64(size - 300<<20)
				if i == 0 {
					bytes = 300 << 20
				}
				if err := archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("%s-%d", name, n), Mode: 0o755, Size: bytes}); err != nil {
					return err
				}
				head := "\x7fELF"
				if i == 1 {
					head = "what"
				}
				if _, err := io.WriteString(archive, head); err != nil {
					return err
				}
				if _, err := io.CopyN(archive, random, bytes-int64(len(head))); err != nil {
					return err
				}
			}
			text := fmt.Sprintf(`{"name":"lodash","version":"4.17.%d"}`, n)
			if err := archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("app%d/node_modules/lodash/package.json", n), Mode: 0o644, Size: int64(len(text))}); err != nil {
				return err
			}
			if _, err := io.WriteString(archive, text); err != nil {
				return err
			}
			return archive.Close()
		})
		list, diffs = append(list, d), append(diffs, d.Digest)
	}
	config := document("application/vnd.oci.image.config.v1+json", map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}})
	manifest := document("application/vnd.oci.image.manifest.v1+json", map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": list})
	for name, v := range map[string]any{"index.json": map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}}, "oci-layout": map[string]any{"imageLayoutVersion": "1.0.0"}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(build(t), "plimsoll"), "image", "scan", "--state", state, "--format", "json", "--fail-on", "never", "oci:"+dir)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var report struct {
		Image    struct{ Packages int }
		Findings []struct{ Rule string }
	}
	if err := json.Unmarshal(out, &report); err != nil || report.Image.Packages != layers || len(report.Findings) == 0 {
		t.Errorf("%v: %+v", err, report)
	}
	used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok || used.Maxrss > 300<<10 {
		t.Errorf("it took %d KiB", used.Maxrss)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
