package vuln

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestUpdate: what is new is fetched once; what fails leaves what was there.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "all.zip")
	put := func(of string) {
		writeZip(t, path, map[string]string{"GHSA-1": record("GHSA-1", "npm", of, events(`{"introduced": "0"}`), "")}, false)
	}
	tag, sent := `"1"`, 0
	answer := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/osv/npm/all.zip" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		sent++
		http.ServeFile(w, r, path)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	f := Folder(filepath.Join(dir, "db"))
	update := func() (bool, error) {
		s, changed, err := f.Update(t.Context(), Origin{Base: server.URL + "/osv/", Client: server.Client()}, "npm")
		if err == nil && (s.Family != "npm" || s.Counts.Records != 1 || s.Source != server.URL+"/osv/npm/all.zip") {
			t.Errorf("%+v", s)
		}
		return changed, err
	}
	read := func() []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(string(f), "npm.pdb"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}

	put("m")
	if changed, err := update(); err != nil || !changed || sent != 1 {
		t.Fatalf("the first: %v, %v, sent %d", changed, err, sent)
	}
	first := read()
	if changed, err := update(); err != nil || changed || sent != 1 || !bytes.Equal(first, read()) {
		t.Errorf("the same: %v, %v, sent %d", changed, err, sent)
	}
	put("other")
	tag = `"2"`
	if changed, err := update(); err != nil || !changed || sent != 2 || bytes.Equal(first, read()) {
		t.Errorf("a new one: %v, %v, sent %d", changed, err, sent)
	}
	// The tag is of what was fetched: an import, and damage, make it worth nothing.
	put("imported")
	if _, err := f.Import(t.Context(), Source{Family: "npm", Path: path}); err != nil {
		t.Fatal(err)
	}
	if changed, err := update(); err != nil || !changed || sent != 3 {
		t.Errorf("after an import: %v, %v, sent %d", changed, err, sent)
	}
	if err := os.WriteFile(filepath.Join(string(f), "npm.pdb"), read()[:100], 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := update(); err != nil || !changed || sent != 4 {
		t.Errorf("after damage: %v, %v, sent %d", changed, err, sent)
	}

	last := read()
	ordinary := answer
	for name, bad := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"no zip":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("PK"))
		},
		"not changed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
	} {
		tag = `"3"`
		answer = bad
		changed, err := update()
		// That nothing has changed is believed of what has a tag.
		if changed || (err == nil) != (name == "not changed") || !bytes.Equal(last, read()) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	answer = ordinary
	if changed, err := update(); err != nil || !changed {
		t.Errorf("afterwards: %v, %v", changed, err)
	}
	if left, err := filepath.Glob(filepath.Join(string(f), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	for _, family := range []string{"../npm", "Linux", "Go"} {
		if _, _, err := f.Update(t.Context(), Origin{Base: server.URL + "/osv", Client: server.Client()}, family); err == nil {
			t.Errorf("%s: %v", family, err)
		}
	}
}
