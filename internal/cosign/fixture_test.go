package cosign

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
)

var update = flag.Bool("update", false, "make testdata anew, with the program that COSIGN names")

// fixture is a repository as cosign's program left it.
type fixture struct {
	Manifests []document `json:"manifests"`
	Blobs     []document `json:"blobs"`
}

type document struct {
	Tag       string `json:"tag,omitempty"`
	MediaType string `json:"mediaType"`
	Data      string `json:"data"`
}

// take keeps a manifest with its blobs.
func (f *fixture) take(t *testing.T, r *image.Remote, tag string, d *image.Document) {
	t.Helper()
	if !d.IsIndex() {
		var m oci.Manifest
		if err := json.Unmarshal(d.Data, &m); err != nil {
			t.Fatal(err)
		}
		for _, b := range append(m.Layers, m.Config) {
			f.Blobs = append(f.Blobs, document{"", b.MediaType, string(must(r.Blob(t.Context(), b, 1<<20)))})
		}
	}
	f.Manifests = append(f.Manifests, document{tag, d.MediaType, string(d.Data)})
}

// TestFixtures: what cosign 3.1.3 signed once, in each layout, holds under its key and under
// no other. See testdata/README.md.
func TestFixtures(t *testing.T) {
	const file = "testdata/cosign-3.1.3.json"
	if *update {
		remake(t, file)
	}
	var f fixture
	if err := json.Unmarshal(must(os.ReadFile(file)), &f); err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey("release", must(os.ReadFile("testdata/cosign.pub")))
	if err != nil {
		t.Fatal(err)
	}
	private := must(os.ReadFile("testdata/cosign.key"))
	signer, err := ParseSigner("release", private, []byte("pw"))
	if err != nil || signer.Key.ID != key.ID {
		t.Errorf("the private key: %v", err)
	}
	if _, err := ParseSigner("release", private, []byte("other")); !errors.Is(err, ErrPassword) {
		t.Errorf("by another password: %v", err)
	}
	r := newHub(t, false).open(t, "team/app")
	for _, b := range f.Blobs {
		blobOf(t, r, b.MediaType, []byte(b.Data))
	}
	var subject oci.Descriptor
	for _, m := range f.Manifests {
		d, err := r.PutManifest(t.Context(), m.Tag, m.MediaType, []byte(m.Data))
		if err != nil {
			t.Fatal(err)
		}
		if m.Tag == "1" {
			subject = d
		}
	}
	for at, want := range map[Layout]int{Tags: 1, Referrers: 2, Attestations: 1} {
		found, rejected := find(t, r, subject.Digest, Signers{Keys: []*Key{key}}, Options{Layouts: []Layout{at}})
		attests := 0
		for _, s := range found {
			if s.Attests() {
				attests++
				if !strings.Contains(string(s.Predicate), "a person") {
					t.Errorf("%s: the predicate is %s", at, s.Predicate)
				}
			}
		}
		if len(found) != want || attests != map[Layout]int{Referrers: 1, Attestations: 1}[at] || len(rejected) > 0 {
			t.Errorf("%s: %d found, %d attest; %v", at, len(found), attests, rejected)
		}
		found, rejected = find(t, r, subject.Digest, trusting(newSigner(t, "other", "p256")), Options{Layouts: []Layout{at}})
		refused(t, string(at)+" by another", found, rejected, WrongKey)
	}
}

// remake has cosign sign, and keeps what it left.
func remake(t *testing.T, file string) {
	t.Helper()
	program, dir := os.Getenv("COSIGN"), t.TempDir()
	r := newHub(t, false).open(t, "team/app")
	subject := push(t, r, "fixture")
	at := r.Repository() + "@" + string(subject.Digest)
	if err := os.WriteFile(filepath.Join(dir, "predicate.json"), []byte(`{"reviewed": {"by": "a person"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	with := []string{"--key", "cosign.key", "--tlog-upload=false", "--use-signing-config=false", "--allow-insecure-registry"}
	for _, args := range [][]string{
		{"generate-key-pair"},
		append([]string{"sign", "--new-bundle-format=true", at}, with...),
		append([]string{"sign", "--new-bundle-format=false", at}, with...),
		append([]string{"attest", "--new-bundle-format=true", "--predicate", "predicate.json", "--type", "https://example.org/review/v1", at}, with...),
		append([]string{"attest", "--new-bundle-format=false", "--predicate", "predicate.json", "--type", "https://example.org/review/v1", at}, with...),
	} {
		if out, err := cli(t, program, dir, args...); err != nil {
			t.Fatalf("cosign %q: %v\n%s", args, err, out)
		}
	}
	f := &fixture{}
	f.take(t, r, "1", must(r.Tagged(t.Context(), "1")))
	for _, d := range must(r.Referrers(t.Context(), subject.Digest, 10)) {
		f.take(t, r, "", must(r.Manifest(t.Context(), d.Digest)))
	}
	for _, suffix := range []string{"", ".sig", ".att"} {
		tag := tagOf(subject.Digest, suffix)
		f.take(t, r, tag, must(r.Tagged(t.Context(), tag)))
	}
	for _, name := range []string{"cosign.key", "cosign.pub"} {
		if err := os.WriteFile(filepath.Join("testdata", name), must(os.ReadFile(filepath.Join(dir, name))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, append(must(json.MarshalIndent(f, "", " ")), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
