package secret

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/image"
)

// tarOf writes files, by turns name and content, as a tar file.
func tarOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// saved is a docker-archive of layers.
func saved(t testing.TB, layers ...string) string {
	t.Helper()
	var files, names, ids []string
	for n, l := range layers {
		name := fmt.Sprintf("layer%d.tar", n)
		files, names, ids = append(files, name, l), append(names, name), append(ids, digest.FromString(l).String())
	}
	config, err := json.Marshal(map[string]any{"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{"app:1"}, "Layers": names}})
	if err != nil {
		t.Fatal(err)
	}
	return tarOf(t, append(files, "config.json", string(config), "manifest.json", string(manifest))...)
}

// TestDeleted: what a later layer deletes or overwrites is found in the layer that has it,
// and nothing of an image without is.
func TestDeleted(t *testing.T) {
	m := newMade()
	first, second := m.of(hex16, 36), m.of(hex16, 36)
	npmrc := func(token string) string { return "//r.example/:_authToken=" + token + "\n" }
	for _, c := range []struct {
		layers []string
		want   string
	}{
		{[]string{tarOf(t, "app/.npmrc", npmrc(first), "root/.npmrc", npmrc(second)), tarOf(t, "app/.wh..npmrc", "", "root/.npmrc", "a=b\n")}, "0 /app/.npmrc, 0 /root/.npmrc, "},
		{[]string{tarOf(t, "app/.npmrc", "a=b\n"), tarOf(t, "app/.npmrc", npmrc(first))}, "1 /app/.npmrc, "},
		{[]string{tarOf(t, "app/.npmrc", npmrc("${NPM_TOKEN}")), tarOf(t, "app/.wh..npmrc", "")}, ""},
	} {
		i, err := image.Stream(t.Context(), "app:1", bytes.NewReader([]byte(saved(t, c.layers...))), image.Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close()
		d := newDetector(t, Options{})
		got := ""
		if _, err := i.Walk(t.Context(), func(e *image.Entry) error {
			found, err := d.File(t.Context(), e)
			for _, s := range found.Secrets {
				got += fmt.Sprint(s.Layer, " ", s.Path, ", ")
			}
			silent(t, found, first)
			silent(t, found, second)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("found %q, want %q", got, c.want)
		}
	}
}
