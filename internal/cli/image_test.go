package cli

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/plimsoll/plimsoll/internal/image/imagetest"
	"github.com/plimsoll/plimsoll/internal/scan/scantest"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// TestScanRepository: a whole repository is a row a tag, the worst first; a layer that
// images share is read once, and an image that can't be read keeps none from being told.
func TestScanRepository(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	base := imagetest.Layer{"/etc/os-release": "ID=debian\nVERSION_ID=12\n", "/app/node_modules/six/package.json": `{"name":"six","version":"1.0.0"}`}
	push := func(as string, layers ...imagetest.Layer) {
		t.Helper()
		i, err := tarball.ImageFromPath(imagetest.Saved(t, nil, layers...), nil)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(host + "/" + as)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, i); err != nil {
			t.Fatal(err)
		}
	}
	push("team/good:1", base)
	push("team/bad:1", base, imagetest.Layer{"/app/node_modules/lodash/package.json": `{"name":"lodash","version":"4.17.4"}`})
	push("team/bad:2", base, imagetest.Layer{"/app/node_modules/lodash/package.json": `{"name":"lodash","version":"99.0.0"}`})
	push("other/app:1", base)
	state := t.TempDir()
	if err := scantest.Import(t.Context(), vuln.Folder(filepath.Join(state, "db")), filepath.Join("..", "..", "test", "testdata", "scan", "osv"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	code, out, errs := run(t, t.Context(), World{}, "image", "scan", "--state", state, "--unknown-as", "critical", "registry:"+host+"/team/*")
	if code != exitFindings {
		t.Errorf("exit %d: %s", code, errs)
	}
	var rows []string
	for line := range strings.Lines(out) {
		if strings.Contains(line, host+"/team/") && !strings.HasPrefix(line, "registry:") {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
	}
	if len(rows) != 3 || !strings.Contains(rows[0], "/team/bad:1 ") || strings.HasPrefix(rows[0], "✓") || !strings.Contains(rows[1]+rows[2], "/team/good:1 0 0 0 0 0 1") || strings.Contains(out, "other/app") {
		t.Errorf("%s", out)
	}
	code, out, _ = run(t, t.Context(), World{}, "image", "scan", "--state", state, "--format", "json", "registry:"+host+"/team/bad:*")
	var reports struct {
		Images []struct {
			Name   string
			Report struct{ Findings []struct{ Rule string } }
		}
	}
	if err := json.Unmarshal([]byte(out), &reports); err != nil || code != exitFindings || len(reports.Images) != 2 || len(reports.Images[0].Report.Findings) == 0 || len(reports.Images[1].Report.Findings) != 0 {
		t.Errorf("exit %d, %v: %+v", code, err, reports)
	}
	if code, _, errs = run(t, t.Context(), World{}, "image", "scan", "--state", state, "registry:"+host+"/team/good:1"); code != 0 {
		t.Errorf("one image: exit %d: %s", code, errs)
	}
	if code, out, errs = run(t, t.Context(), World{}, "image", "scan", "--state", state, "--format", "html", "registry:"+host+"/team/*"); code != exitFindings || !strings.Contains(out, "/team/*: 1 of 3 images has known flaws or secrets</h1>") || !strings.Contains(out, "First: "+host+"/team/bad:1: bring lodash from 4.17.4 to ") {
		t.Errorf("a page of several: exit %d: %s", code, errs)
	}
	if code, out, errs = run(t, t.Context(), World{}, "image", "scan", "--state", state, "--format", "html", "registry:"+host+"/team/good:1"); code != 0 || !strings.Contains(out, "/team/good:1 has no known vulnerabilities</h1>") {
		t.Errorf("a page of one: exit %d: %s", code, errs)
	}
	for want, args := range map[int][]string{
		exitUsage:  {"image", "sbom", "--state", state, "registry:" + host + "/team/*"},
		exitUnable: {"image", "scan", "--state", state, "registry:" + host + "/nowhere/*"},
	} {
		if code, out, errs := run(t, t.Context(), World{}, args...); code != want {
			t.Errorf("%q: exit %d: %s%s", args, code, out, errs)
		}
	}
	server.CloseClientConnections()
}

// TestImageDiff: of two archives what is new counts for the exit code, and not what both
// have; the other way it is mended.
func TestImageDiff(t *testing.T) {
	base := imagetest.Layer{"/etc/os-release": "ID=debian\nVERSION_ID=12\n", "/app/node_modules/six/package.json": `{"name":"six","version":"1.0.0"}`}
	good := "docker-archive:" + imagetest.Saved(t, imagetest.Config{"config": map[string]any{"User": "app"}}, base)
	bad := "docker-archive:" + imagetest.Saved(t, nil, base, imagetest.Layer{"/app/node_modules/lodash/package.json": `{"name":"lodash","version":"4.17.4"}`, "/usr/bin/su": "4755:x"})
	state := t.TempDir()
	if err := scantest.Import(t.Context(), vuln.Folder(filepath.Join(state, "db")), filepath.Join("..", "..", "test", "testdata", "scan", "osv"), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		before, after string
		code          int
		told, silent  string
	}{
		{good, bad, exitFindings, "/usr/bin/su has setuid", "Better"}, {bad, good, 0, "/usr/bin/su no longer has setuid", "Worse"}, {bad, bad, 0, " 0 new, 0 mended, ", "su"}, {good, good, 0, "1 layer is shared", "user"},
	} {
		code, out, errs := run(t, t.Context(), World{}, "image", "diff", "--state", state, "--unknown-as", "critical", c.before, c.after)
		if code != c.code || !strings.Contains(out, c.told) || strings.Contains(out, c.silent) {
			t.Errorf("exit %d: %s\n%s", code, errs, out)
		}
		if n := strings.Count(errs, "The data about npm"); n > 1 {
			t.Errorf("one database is told of %d times", n)
		}
	}
	code, out, _ := run(t, t.Context(), World{}, "image", "diff", "--state", state, "--format", "json", "--fail-on", "never", good, bad)
	var d struct {
		New           []struct{ Rule, Severity string }
		Configuration []struct{ Name, Way string }
		Layers        struct{ Shared, Added, Taken int }
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 || len(d.New) == 0 || len(d.Configuration) != 1 || d.Configuration[0].Way != "worse" || d.Layers.Shared != 1 || d.Layers.Added != 1 || d.Layers.Taken != 0 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}
