package vuln

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFullDisk: on a disk that is full, what was there stays, and nothing else; with room
// again the same import succeeds.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("a file system of a size takes root to mount")
		}
		t.Skip("a file system of a size takes root to mount")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := Folder(dir)
	outside := t.TempDir()
	small, large := filepath.Join(outside, "small.zip"), filepath.Join(outside, "large.zip")
	writeZip(t, small, map[string]string{"GHSA-1": record("GHSA-1", "npm", "m", events(`{"introduced": "0"}`), "")}, false)
	many := map[string]string{}
	random := rand.NewChaCha8([32]byte{})
	for n := range 200 {
		noise := make([]byte, 1000)
		if _, err := random.Read(noise); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("GHSA-%d", n)
		many[id] = record(id, "npm", "m", events(`{"introduced": "0"}`), fmt.Sprintf(`"details": "%x"`, noise))
	}
	writeZip(t, large, many, false)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, large) }))
	defer server.Close()

	if _, err := f.Import(t.Context(), Source{Family: "npm", Path: small}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ImportKEV(write(t, kevText)); err != nil {
		t.Fatal(err)
	}
	before := map[string][]byte{}
	for _, name := range []string{"npm.pdb", kevFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		before[name] = data
	}
	kev := `{"dateReleased":"2026-01-01T00:00:00Z","vulnerabilities":[` + strings.TrimSuffix(strings.Repeat(`{"cveID":"CVE-2021-%d","dateAdded":"2021-12-10"},`, 20000), ",") + `]}`
	numbers := make([]any, 20000)
	for n := range numbers {
		numbers[n] = n
	}
	kev = fmt.Sprintf(kev, numbers...)
	for name, try := range map[string]func() error{
		"import": func() error { _, err := f.Import(t.Context(), Source{Family: "npm", Path: large}); return err },
		"update": func() error {
			_, _, err := f.Update(t.Context(), Origin{Base: server.URL, Client: server.Client()}, "npm")
			return err
		},
		"kev": func() error { _, err := f.ImportKEV(write(t, kev)); return err },
	} {
		if err := try(); !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(before) {
			t.Errorf("%s: left %v, %v", name, entries, err)
		}
		for file, want := range before {
			if data, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s: %s is not what it was: %v", name, file, err)
			}
		}
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Import(t.Context(), Source{Family: "npm", Path: large}); err != nil || s.Counts.Records != 200 {
		t.Errorf("with room: %+v, %v", s, err)
	}
}
