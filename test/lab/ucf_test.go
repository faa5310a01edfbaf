package lab

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRestoreUcf: what a package's coming and going left in ucf's folder goes,
// unless somebody else's came meanwhile.
func TestRestoreUcf(t *testing.T) {
	files := func(words string) map[string][]byte {
		m := map[string][]byte{}
		for _, w := range strings.Fields(words) {
			name, content, _ := strings.Cut(w, "=")
			m[name] = []byte(content)
		}
		return m
	}
	for name, tc := range map[string]struct{ before, after, want string }{
		"one state more":       {"registry=a hashfile=h registry.0=x", "registry=a hashfile=h registry.0=b registry.1=x hashfile.0=i", "registry=a hashfile=h registry.0=x"},
		"all eight were there": {"registry=a hashfile=h registry.7=x", "registry=a hashfile=h registry.7=y", "registry=a hashfile=h registry.7=x"},
		"somebody else came":   {"registry=a hashfile=h registry.0=x", "registry=ab hashfile=hi registry.0=a registry.1=x", "registry=ab hashfile=hi registry.0=a registry.1=x"},
		"nothing happened":     {"registry=a hashfile=h", "registry=a hashfile=h", "registry=a hashfile=h"},
		"ucf came and stays":   {"", "registry= hashfile= registry.0=b", "registry= hashfile="},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range files(tc.after) {
				writeFile(t, filepath.Join(dir, name), string(content))
			}
			if err := restoreUcf(dir, files(tc.before)); err != nil {
				t.Fatal(err)
			}
			got, err := ucfFiles(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(files(tc.want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if err := restoreUcf(gone, files("registry.0=x")); err != nil {
		t.Errorf("ucf is gone: %v", err)
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("a folder was made for ucf, which is gone")
	}
	if own, err := ucfFiles(ucfDir); err != nil {
		t.Errorf("the machine's own: %v, %v", maps.Keys(own), err)
	}
}
