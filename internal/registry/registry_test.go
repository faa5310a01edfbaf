package registry

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/verdict"
	realregistry "github.com/plimsoll/plimsoll/test/registry"
)

func plain(w io.Writer) *term.Printer { return term.New(term.Config{Writer: w, UTF8: true}) }

// TestReport: each thing that a report says of a tag is what was pushed, and is not said of what
// is without it; in the registry of go-containerregistry and Debian's.
func TestReport(t *testing.T) {
	t.Run("in memory", func(t *testing.T) { report(t, newHub(t)) })
	t.Run("Debian", func(t *testing.T) { report(t, &hub{t: t, host: realregistry.Start(t)}) })
}

func report(t *testing.T, h *hub) {
	base := h.push("shop/base", "12", made{created: "2026-09-01T00:00:00Z", layers: []string{"base"}})
	one := h.push("shop/api", "1.0", made{created: "2026-11-01T12:00:00Z", layers: []string{"base", "one"}})
	h.push("shop/api", "latest", made{created: "2026-11-01T12:00:00Z", layers: []string{"base", "one"}})
	h.push("shop/api", "annotated", made{created: "1970-01-01T00:00:00Z", layers: []string{"base", "two"}, annotations: map[string]string{oci.AnnotationBaseImageName: "debian:12", oci.AnnotationBaseImageDigest: string(base.Digest)}})
	h.push("shop/api", "labelled", made{layers: []string{"alone"}, labels: map[string]string{oci.AnnotationBaseImageName: "alpine:3"}})
	children := []oci.Descriptor{h.push("shop/api", "", made{layers: []string{"base", "one"}, arch: "arm64"}), h.push("shop/api", "", made{layers: []string{"base", "many"}})}
	beside := h.push("shop/api", "", made{layers: []string{"attestation"}})
	beside.Platform = &oci.Platform{OS: "unknown", Architecture: "unknown"}
	many := h.index("shop/api", "many", map[string]string{oci.AnnotationBaseImageName: "scratch"}, append(children, beside)...)
	r := h.open("shop/api")
	config, err := r.PutBlob(t.Context(), "application/vnd.cncf.helm.config.v1+json", []byte("{}"))
	chart, err2 := r.PutManifest(t.Context(), "chart", oci.MediaTypeImageManifest, h.json(map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": must(t, config, err), "layers": []any{}}))
	must(t, chart, err2)

	signer, verifier := h.signer()
	for _, d := range []oci.Descriptor{one, many} {
		if err := signer.SignTag(t.Context(), r, d.Digest, noon); err != nil {
			t.Fatal(err)
		}
	}
	if err := signer.SignReferrer(t.Context(), r, one, noon); err != nil {
		t.Fatal(err)
	}
	h.push("shop/api", "sha256-"+one.Digest.Encoded()+".att", made{})
	verdicts := verdict.Folder(t.TempDir())
	if err := verdicts.Scan(string(children[0].Digest), &verdict.Scanned{At: noon.AddDate(0, 0, -8), Data: noon, Worst: finding.High, Counts: map[finding.Severity]int{finding.High: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := verdicts.Scan(string(one.Digest), &verdict.Scanned{At: noon.AddDate(0, 0, -2), Data: noon}); err != nil {
		t.Fatal(err)
	}

	got, rows := h.look("shop/api", Options{Verifier: verifier, Verdicts: verdicts})
	if names := slices.Sorted(func(yield func(string) bool) {
		for name := range rows {
			if !yield(name) {
				return
			}
		}
	}); !slices.Equal(names, []string{"shop/api:1.0", "shop/api:annotated", "shop/api:chart", "shop/api:labelled", "shop/api:latest", "shop/api:many"}) {
		t.Fatalf("the tags are %q", names)
	}
	first := rows["shop/api:1.0"]
	config2 := first.Size - int64(len("base")+len("one"))
	if first.Digest != string(one.Digest) || first.Kind != KindImage || config2 < 100 || config2 > 1000 || !first.Created.Equal(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)) ||
		!slices.Equal(first.Same, []string{"latest"}) || !first.Signed.Trusted || !slices.Equal(first.Signed.By, []string{"cosign key release"}) || !first.Scanned.Equal(noon.AddDate(0, 0, -2)) || first.Worst != "" || first.Base != nil {
		t.Errorf("%+v", first)
	}
	if diff := cmp.Diff([]Platform{{"linux/amd64", string(one.Digest), first.Size}}, first.Platforms); diff != "" {
		t.Error(diff)
	}
	if l := rows["shop/api:latest"]; !slices.Equal(l.Same, []string{"1.0"}) || !l.Signed.Trusted {
		t.Errorf("%+v", l)
	}
	if a := rows["shop/api:annotated"]; a.Base == nil || *a.Base != (Base{"debian:12", string(base.Digest), FromAnnotation}) || a.Signed.Trusted || a.Signed.Refused != "signers" || !a.Signed.Known || !a.Scanned.IsZero() || a.Created.Year() != 1970 {
		t.Errorf("%+v", a)
	}
	if l := rows["shop/api:labelled"]; l.Base == nil || *l.Base != (Base{"alpine:3", "", FromLabel}) || !l.Created.IsZero() {
		t.Errorf("%+v", l)
	}
	if m := rows["shop/api:many"]; m.Kind != KindIndex || len(m.Platforms) != 2 || m.Platforms[0].Platform != "linux/arm64" || m.Platforms[1].Digest != string(children[1].Digest) || !m.Signed.Trusted || m.Worst != finding.High ||
		m.Base == nil || m.Base.Name != "scratch" || m.Size >= m.Platforms[0].Size+m.Platforms[1].Size || m.Size <= m.Platforms[0].Size {
		t.Errorf("%+v", m)
	}
	if c := rows["shop/api:chart"]; c.Kind != KindArtifact || c.Artifact != "application/vnd.cncf.helm.config.v1+json" || c.unscanned() || c.Signed.Trusted {
		t.Errorf("%+v", c)
	}
	if repo := got.Repositories; len(repo) != 1 || repo[0].Beside.Signatures != 2 || repo[0].Beside.Attestations != 1 || repo[0].Tags != 6 || repo[0].Beside.Referrers > 1 {
		t.Errorf("%+v", repo)
	}
	if got.Failed() || !got.Has(FailUnsigned) || !got.Has(FailUnscanned) || got.Has(FailMoved) {
		t.Errorf("failed %v, unsigned %v, unscanned %v, moved %v", got.Failed(), got.Has(FailUnsigned), got.Has(FailUnscanned), got.Has(FailMoved))
	}
	// With the base beside it, layers tell.
	got, rows = h.look("shop/*", Options{})
	if b := rows["shop/api:1.0"].Base; b == nil || *b != (Base{h.host + "/shop/base:12", string(base.Digest), FromLayers}) {
		t.Errorf("%+v", b)
	}
	if b := rows["shop/base:12"].Base; b != nil {
		t.Errorf("%+v", b)
	}
	if s := rows["shop/api:1.0"].Signed; s.Known || got.Policy != "" {
		t.Errorf("without a policy: %+v", s)
	}
	// Not where it could be another: of the same layers, and more.
	h.push("shop/base", "other", made{created: "2020-01-01T00:00:00Z", layers: []string{"base"}})
	_, rows = h.look("shop/*", Options{})
	if b := rows["shop/api:1.0"].Base; b != nil {
		t.Errorf("it could be either: %+v", b)
	}
	// By the beginning of a name.
	if got, _ := h.look("shop/ba*", Options{}); len(got.Repositories) != 1 || got.Repositories[0].Name != h.host+"/shop/base" || len(got.Tags) != 2 {
		t.Errorf("%+v", got.Repositories)
	}
	if _, err := Look(t.Context(), h.host+"/shop/none*", Options{Now: noon}); err == nil || !strings.Contains(err.Error(), "no repository") {
		t.Errorf("%v", err)
	}
	if _, err := Look(t.Context(), h.host+"/none", Options{Now: noon}); err == nil {
		t.Error("a repository that is not there has no tags")
	}
	// Some alone.
	got, _ = h.look("shop/api", Options{Limit: 2})
	if r := got.Repositories[0]; len(got.Tags) != 2 || r.Tags != 6 || r.LeftOut != 4 || r.From != "chart" || !strings.Contains(h.table(got), "4 of 6 tags were left out, from chart on") {
		t.Errorf("%+v\n%s", r, h.table(got))
	}
}

// TestMoved: a tag that led to something else is told, once, with where it led; what was not
// looked at is remembered, and what is damaged is told.
func TestMoved(t *testing.T) {
	h := newHub(t)
	dir := t.TempDir()
	write := func(name string, data []byte) error { return os.WriteFile(name, data, 0o600) }
	see := func(limit int, want ...string) *Report {
		t.Helper()
		r, _ := h.look("shop/api", Options{Limit: limit})
		if err := r.Compare(dir); err != nil {
			t.Fatal(err)
		}
		var moved []string
		for _, one := range r.Tags {
			if one.Moved != nil {
				moved = append(moved, one.Tag+" from "+one.Moved.From)
			}
		}
		if diff := cmp.Diff(want, moved); diff != "" {
			t.Error(diff)
		}
		if r.Has(FailMoved) != (len(want) > 0) {
			t.Error("it fails otherwise")
		}
		if err := r.Keep(dir, write); err != nil {
			t.Fatal(err)
		}
		return r
	}
	one := h.push("shop/api", "1", made{layers: []string{"one"}})
	two := h.push("shop/api", "2", made{layers: []string{"two"}})
	if r := see(0); !r.Repositories[0].Seen.IsZero() || !strings.Contains(h.table(r), "nothing that was seen before") {
		t.Errorf("the first time: %+v", r.Repositories)
	}
	if r := see(0); !r.Repositories[0].Seen.Equal(noon) || strings.Contains(h.table(r), "nothing that was seen before") {
		t.Errorf("the second time: %+v", r.Repositories)
	}
	h.push("shop/api", "1", made{layers: []string{"other"}})
	r := see(0, "1 from "+string(one.Digest))
	if m := r.Tags[0].Moved; !m.Seen.Equal(noon) || !strings.Contains(h.table(r), "from "+one.Digest.Encoded()[:12]+" since 2026-11-28") {
		t.Errorf("%+v\n%s", m, h.table(r))
	}
	see(0)
	// A tag that is left out is remembered.
	h.push("shop/api", "2", made{layers: []string{"another"}})
	see(1)
	see(0, "2 from "+string(two.Digest))
	see(0)
	// Another repository has its own memory; one that is damaged, or another's, is told.
	h.push("shop/web", "1", made{layers: []string{"web"}})
	r, _ = h.look("shop/*", Options{})
	if err := r.Compare(dir); err != nil || r.Has(FailMoved) || !r.Repositories[1].Seen.IsZero() {
		t.Errorf("%v, %+v", err, r.Repositories)
	}
	mine, other := memoryFile(dir, h.host+"/shop/api"), memoryFile(dir, h.host+"/shop/web")
	whole, err := os.ReadFile(mine)
	must(t, 0, err)
	for name, text := range map[string]string{"half": string(whole[:len(whole)/2]), "no schema": "{}", "another's": string(whole)} {
		if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.Compare(dir); err == nil {
			t.Errorf("%s: it is taken for a memory", name)
		}
		if err := r.Keep(dir, write); err == nil {
			t.Errorf("%s: it is written over", name)
		}
	}
}

// TestHostile: what a registry or an image says that can't be, or is not there, is told in its
// row, and the other rows are as they are.
func TestHostile(t *testing.T) {
	h := newHub(t)
	h.push("shop/api", "good", made{layers: []string{"good"}})
	r := h.open("shop/api")
	config, err := r.PutBlob(t.Context(), oci.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64"}`))
	must(t, 0, err)
	broken, err := r.PutBlob(t.Context(), oci.MediaTypeImageConfig, []byte(`{"os":`))
	must(t, 0, err)
	layer := func(size int64) map[string]any {
		return map[string]any{"mediaType": oci.MediaTypeImageLayer, "digest": "sha256:" + strings.Repeat(fmt.Sprint(size%10), 64)[:64], "size": size}
	}
	manifest := func(config any, layers ...any) map[string]any {
		return map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageManifest, "config": config, "layers": append([]any{}, layers...)}
	}
	var children []map[string]any
	for range maxPlatforms + 1 {
		children = append(children, map[string]any{"mediaType": oci.MediaTypeImageManifest, "digest": string(config.Digest), "size": 2, "platform": map[string]any{"os": "linux", "architecture": "amd64"}})
	}
	bad := map[string]struct {
		body any
		kind string
		want string
	}{
		"endless":  {manifest(config, layer(1<<62), layer(1<<62+1)), oci.MediaTypeImageManifest, "which can't be"},
		"negative": {manifest(config, map[string]any{"mediaType": "x", "digest": string(config.Digest)[:70] + "0", "size": -5}), oci.MediaTypeImageManifest, "which can't be"},
		"broken":   {manifest(broken), oci.MediaTypeImageManifest, "the configuration"},
		"missing":  {manifest(map[string]any{"mediaType": oci.MediaTypeImageConfig, "digest": "sha256:" + strings.Repeat("0", 64), "size": 2}), oci.MediaTypeImageManifest, "no such thing"},
		"crowd":    {map[string]any{"schemaVersion": 2, "mediaType": oci.MediaTypeImageIndex, "manifests": children}, oci.MediaTypeImageIndex, "more than 64 images"},
	}
	serve := map[string][]byte{}
	for tag, b := range bad {
		serve["/v2/shop/api/manifests/"+tag] = h.json(b.body)
	}
	see := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/shop/api/tags/list" {
			names := []string{"good", "nowhere", "denied"}
			for tag := range bad {
				names = append(names, tag)
			}
			w.Write(h.json(map[string]any{"name": "shop/api", "tags": names}))
			return true
		}
		if strings.HasSuffix(r.URL.Path, "/denied") {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		if data := serve[r.URL.Path]; data != nil {
			w.Header().Set("Content-Type", bad[filepath.Base(r.URL.Path)].kind)
			w.Write(data)
			return true
		}
		return false
	}
	h.before.Store(&see)
	_, verifier := h.signer()
	got, rows := h.look("shop/api", Options{Verifier: verifier})
	for tag, b := range bad {
		if row := rows["shop/api:"+tag]; !strings.Contains(row.Error, b.want) || row.Kind != "" {
			t.Errorf("%s: %q, want %q", tag, row.Error, b.want)
		}
	}
	for tag, want := range map[string]string{"nowhere": "no such thing", "denied": "403"} {
		if row := rows["shop/api:"+tag]; !strings.Contains(row.Error, want) {
			t.Errorf("%s: %q", tag, row.Error)
		}
	}
	if row := rows["shop/api:good"]; row.Error != "" || row.Kind != KindImage || row.Signed.Refused != "signers" {
		t.Errorf("%+v", row)
	}
	if !got.Failed() || got.Has(FailMoved) || !strings.Contains(h.table(got), "7 not wholly told") {
		t.Errorf("%s", h.table(got))
	}
	// A signature's place that can't be read leaves the rest of the row.
	h.before.Store(nil)
	_, fine := h.look("shop/api", Options{Verifier: verifier})
	block := func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, ".sig") {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		return false
	}
	h.before.Store(&block)
	_, rows = h.look("shop/api", Options{Verifier: verifier})
	if row := rows["shop/api:good"]; !strings.Contains(row.Error, "it can't be told who signed it") || row.Signed.Known || row.Size != fine["shop/api:good"].Size || row.Size == 0 {
		t.Errorf("%+v", row)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Look(ctx, h.host+"/shop/api", Options{Now: noon}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestAskedOnce: what many tags lead to is asked for once.
func TestAskedOnce(t *testing.T) {
	h := newHub(t)
	_, verifier := h.signer()
	tags := func(n int) int64 {
		for i := range n {
			h.push("shop/api", fmt.Sprint(i), made{layers: []string{"same"}})
		}
		before := h.asked.Load()
		if r, _ := h.look("shop/api", Options{Verifier: verifier}); r.Failed() || len(r.Tags) != n {
			t.Errorf("%+v", r)
		}
		return h.asked.Load() - before
	}
	if one, forty := tags(1), tags(40); forty != one+39 {
		t.Errorf("%d requests for one tag, %d for 40", one, forty)
	}
}

// TestWrite: a report is written for programs and spreadsheets as it is, and nothing in it acts
// there.
func TestWrite(t *testing.T) {
	r := &Report{Schema: Schema, Name: "r.example/a", Time: noon, Repositories: []Repository{{Name: "r.example/a", Tags: 1}}, Tags: []*Tag{
		{Repository: "r.example/a", Tag: "1", Digest: "sha256:" + strings.Repeat("a", 64), Kind: KindImage, Platforms: []Platform{{"linux/amd64", "sha256:b", 5}}, Size: 5, Created: noon, Signed: Signed{Known: true, By: []string{"=cmd()", "b"}, Trusted: true},
			Base: &Base{"@evil\x1b[2J", "", FromLabel}, Scanned: noon, Worst: finding.High, Same: []string{"2"}, Moved: &Moved{"sha256:c", noon}, Error: "+x"},
		{Repository: "r.example/a", Tag: "2"},
	}}
	var text strings.Builder
	if err := r.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[0]) != len(csvHead) {
		t.Fatalf("%q, %v", rows, err)
	}
	want := []string{"r.example/a", "1", "sha256:" + strings.Repeat("a", 64), "image", "", "linux/amd64", "5", "2026-11-28T12:00:00Z", "true", "true", "'=cmd(), b", "", "", `'@evil\x1b[2J`, "", "label", "2026-11-28T12:00:00Z", "high", "2", "sha256:c", "2026-11-28T12:00:00Z", "'+x"}
	if diff := cmp.Diff(want, rows[1]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"r.example/a", "2", "", "", "", "", "", "", "false", "", "", "", "", "", "", "", "", "", "", "", "", ""}, rows[2]); diff != "" {
		t.Error(diff)
	}
	failed := &Report{Repositories: []Repository{{Name: "=r.example/b", Error: "503"}}}
	text.Reset()
	if err := failed.WriteCSV(&text); err != nil || !strings.HasSuffix(text.String(), "\r\n'=r.example/b"+strings.Repeat(",", len(csvHead)-1)+"its tags can't be told: 503\r\n") {
		t.Errorf("%q, %v", text.String(), err)
	}
	text.Reset()
	if err := r.WriteJSON(&text); err != nil || strings.Contains(text.String(), "\x1b") {
		t.Errorf("%v: %s", err, text.String())
	}
	again := &Report{}
	if err := json.Unmarshal([]byte(text.String()), again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Error(diff)
	}
	text.Reset()
	if err := r.WriteTable(plain(&text)); err != nil || strings.Contains(text.String(), "\x1b") || !strings.Contains(text.String(), "yes: =cmd(), b") || !strings.Contains(text.String(), `?  1: +x`) {
		t.Errorf("%v: %s", err, text.String())
	}
}
