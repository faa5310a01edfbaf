// Package imagetest makes images for tests: [Saved] writes one of layers as docker save
// does.
package imagetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Layer is files with their content by path, with or without a leading slash. A content
// that begins with "link:" is a symbolic link's target, one that begins with "hard:" a hard
// link's, which must come before it by name. One that begins with "exec:" is a program's,
// and a mode in octal before a colon is a file's, as in "4755:…". A name that begins with
// .wh. is a whiteout.
type Layer map[string]string

// Config is what the configuration of an image has beside its layers, by the names of the
// OCI image specification's config.md.
type Config map[string]any

// Saved writes an image of layers, the lowest first, and gives the path of the file. A
// configuration of nil says nothing.
func Saved(t testing.TB, config Config, layers ...Layer) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, config, layers...); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Write is Saved for who is no test.
func Write(out io.Writer, config Config, layers ...Layer) error {
	w := tar.NewWriter(out)
	var names, diffs []string
	put := func(name string, data []byte) error {
		return write(w, &tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}, data)
	}
	for n, l := range layers {
		data, err := l.tar()
		if err != nil {
			return err
		}
		names, diffs = append(names, fmt.Sprintf("%d.tar", n)), append(diffs, "sha256:"+digest(data))
		if err := put(names[n], data); err != nil {
			return err
		}
	}
	whole := map[string]any{"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffs}}
	maps.Copy(whole, config)
	data, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": digest(data) + ".json", "RepoTags": []string{"app:1"}, "Layers": names}})
	if err != nil {
		return err
	}
	return errors.Join(put(digest(data)+".json", data), put("manifest.json", manifest), w.Close())
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func write(w *tar.Writer, h *tar.Header, data []byte) error {
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func (l Layer) tar() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(l)) {
		h := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Typeflag: tar.TypeReg}
		content := l[name]
		before, rest, _ := strings.Cut(content, ":")
		switch mode, err := strconv.ParseInt(before, 8, 64); {
		case before == "hard":
			h.Typeflag, h.Linkname, content = tar.TypeLink, strings.TrimPrefix(rest, "/"), ""
		case before == "link":
			h.Typeflag, h.Linkname, content = tar.TypeSymlink, rest, ""
		case before == "exec":
			h.Mode, content = 0o755, rest
		case err == nil && len(before) == 4:
			h.Mode, content = mode, rest
		}
		h.Size = int64(len(content))
		if err := write(w, h, []byte(content)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
