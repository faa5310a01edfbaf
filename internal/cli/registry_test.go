package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/internal/registry"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// TestRegistryReport: what a registry has is told in each format, what moved is recorded once,
// and the exit code is that of what was asked for.
func TestRegistryReport(t *testing.T) {
	y := newYard(t)
	private, _, block := y.key("release")
	trust := y.file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n"+block+"images:\n  - {name: \""+y.host+"/*\", signed: {any: [{key: release}]}}\n")
	one := y.push("shop/api:1", 100)
	y.is(0, "is signed", "image", "sign", "--key", private, y.host+"/shop/api:1")
	report := func(want int, told string, more ...string) string {
		t.Helper()
		return y.is(want, told, append([]string{"registry", "report", y.host + "/shop/api"}, more...)...)
	}
	known := []string{"--trust", trust}
	report(0, "yes: cosign key release", known...)
	report(0, "Who signed is not known", "--fail-on", "moved")
	report(0, "not known", "--fail-on", "moved")
	report(0, "1 never scanned", append(known, "--fail-on", "unsigned,moved")...)
	report(exitFindings, "1 never scanned", append(known, "--fail-on", "unscanned")...)
	y.push("shop/api:1", 100)
	report(exitFindings, "no: signers", append(known, "--fail-on", "moved")...)
	report(0, "no: signers", append(known, "--fail-on", "moved")...)
	// A report that nobody has got has told nothing.
	y.push("shop/api:1", 100)
	report(exitUnable, "can't be written", append(known, "--fail-on", "moved", "-o", "/dev/full")...)
	report(exitFindings, "1 moved", append(known, "--fail-on", "moved")...)
	report(exitFindings, "1 not trusted", append(known, "--fail-on", "unsigned")...)
	from, err := one.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if events := y.events(trail.Move); len(events) != 2 || events[0].Subject.Name != y.host+"/shop/api:1" || events[0].Detail["from"] != from.String() || events[0].Detail["to"] != events[0].Subject.Digest || events[1].Detail["from"] != events[0].Detail["to"] {
		t.Errorf("%+v", events)
	}
	var body registry.Report
	if err := json.Unmarshal([]byte(report(0, "", append(known, "--format", "json")...)), &body); err != nil || body.Schema != registry.Schema || len(body.Tags) != 1 || body.Repositories[0].Beside.Signatures != 1 || body.Policy != trust {
		t.Errorf("%+v, %v", body, err)
	}
	report(0, "repository,tag,digest", "--format", "csv")
	out := filepath.Join(y.dir, "out.txt")
	report(0, "", "-o", out)
	if data, err := os.ReadFile(out); err != nil || !strings.Contains(string(data), y.host+"/shop/api") {
		t.Errorf("%q, %v", data, err)
	}
	y.push("shop/web:1", 100)
	y.push("other/api:1", 100)
	y.is(0, "Tags: 2, of images: 2.", "registry", "report", y.host+"/shop/*")
	y.is(0, "Tags: 1, of images: 1.", "registry", "report", y.host+"/sho*", "--limit", "1")
	// What was not looked at is not fine.
	y.is(exitUnable, "1 of 1 tags were left out, from 1 on", "registry", "report", y.host+"/sho*", "--limit", "1", "--fail-on", "moved")
	y.is(exitFindings, "1 never scanned", "registry", "report", y.host+"/sho*", "--limit", "1", "--fail-on", "unscanned")
	y.is(0, y.host+"/shop/web: 1 of 1 tags were left out", "registry", "report", y.host+"/sho*", "--limit", "1", "--format", "csv")
	y.is(0, "Tags: 3, of images: 3.", "registry", "report", y.host+"/*")
	y.is(exitUnable, "can't be looked at", "registry", "report", y.host+"/none")
	y.is(exitUsage, "names no repository", "registry", "report", y.host+"/shop/api:1")
	y.is(exitUsage, "names no repository", "registry", "report", "shop*")
	y.is(exitUsage, "takes the name", "registry", "report")
	report(exitUsage, "is not a format", "--format", "html")
	report(exitUsage, "looks at no tag", "--limit", "0")
	report(exitUsage, "nothing that a tag can be", "--fail-on", "old")
	report(exitUsage, "can't be read", "--trust", filepath.Join(y.dir, "none"))
	report(exitUsage, "needs a policy of trust", "--fail-on", "unsigned")
	// What is remembered is damaged: that is told, and is no reason not to look.
	files, err := filepath.Glob(filepath.Join(y.state, "registry", "*.json"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report(0, "what moved is not known")
	report(exitUnable, "it can't be told which tags moved", "--fail-on", "moved")
}

// TestRegistryReportReplay: a tag that was led back to an older image is not trusted by a report
// either, which remembers nothing of its own.
func TestRegistryReportReplay(t *testing.T) {
	y := newYard(t)
	private, _, block := y.key("release")
	trust := y.file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n"+block+"images:\n  - {name: \""+y.host+"/*\", signed: {any: [{key: release}]}}\n")
	older := y.push("shop/api:1", 100)
	y.is(0, "is signed", "image", "sign", "--key", private, y.host+"/shop/api:1")
	report := func(want int, told string) {
		t.Helper()
		y.is(want, told, "registry", "report", y.host+"/shop/api", "--trust", trust, "--fail-on", "unsigned")
	}
	report(0, "yes: cosign key release")
	y.is(0, "is trusted", "image", "verify", "--trust", trust, "registry:"+y.host+"/shop/api:1")
	y.push("shop/api:1", 100)
	y.is(0, "is signed", "image", "sign", "--key", private, y.host+"/shop/api:1")
	report(0, "yes: cosign key release") // and the tag still stands for the older one
	y.is(0, "is trusted", "image", "verify", "--trust", trust, "registry:"+y.host+"/shop/api:1")
	ref, err := name.ParseReference(y.host + "/shop/api:1")
	if err == nil {
		err = remote.Write(ref, older)
	}
	if err != nil {
		t.Fatal(err)
	}
	report(exitFindings, "no: replay")
}
