package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRequire: what a policy requires of a container is asked for, with what to do, and
// what has it passes.
func TestRequire(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	out, err := e.Docker("image", "inspect", "-f", "{{.Id}}", "web:1")
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(out)
	const run = "run --rm -l plimsoll.owner=ops -l plimsoll.why=test web:1 true"
	args := func(line string) []string { return strings.Fields(line) }

	t.Run("owner and why", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {owner: true, why: true}\n")
		s.refused(t, "plimsoll.owner=NAME", args("run --rm web:1 true")...)
		s.refused(t, "plimsoll.why=REASON", args("run --rm -l plimsoll.owner=ops web:1 true")...)
		s.refused(t, "plimsoll.owner=NAME", args("run --rm -l plimsoll.owner= -l plimsoll.why=x web:1 true")...)
		s.must(t, args(run)...)
	})
	t.Run("images", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {images: [docker.io/library/*, registry.example.org/*]}\n")
		s.refused(t, "came from", args(run)...)
		s.refused(t, "came from", "run", "--rm", id[7:19], "true")
		s.must(t, "tag", "web:1", "registry.example.org/good:1") // a name is no proof
		s.refused(t, "came from", "run", "--rm", "registry.example.org/good:1", "true")
	})
	t.Run("digest", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {digest: true}\n")
		s.refused(t, "@sha256:", args(run)...)
	})
	t.Run("verdict", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {verdict: {verified: true, scanned_within: 30d, worst: high}}\n")
		folder := s.c.Verdicts
		s.refused(t, "plimsoll image verify web:1", args(run)...)
		verified := func(until time.Time) {
			t.Helper()
			if err := folder.Verify(id, &verdict.Verified{At: time.Now(), Until: until, Policy: "images[0]", By: []string{"a key"}}); err != nil {
				t.Fatal(err)
			}
		}
		verified(time.Time{})
		s.refused(t, "never scanned", args(run)...)
		verified(time.Now().Add(-time.Minute))
		s.refused(t, "were good until", args(run)...)
		verified(time.Now().Add(time.Hour))
		scan := func(ago time.Duration, worst finding.Severity) {
			t.Helper()
			if err := folder.Scan(id, &verdict.Scanned{At: time.Now().Add(-ago), Worst: worst}); err != nil {
				t.Fatal(err)
			}
		}
		scan(31*24*time.Hour, "")
		s.refused(t, "longer than 30d ago", args(run)...)
		scan(time.Hour, finding.Critical)
		s.refused(t, "found something critical", args(run)...)
		scan(time.Hour, finding.High)
		s.must(t, args(run)...)
		// What plimsoll serve could mend by looking is told to it, and nothing else.
		var lacks []string
		for _, e := range s.recorded(t) {
			list, _ := e.Detail["objections"].([]any)
			for _, one := range list {
				one, _ := one.(map[string]any)
				lacks = append(lacks, fmt.Sprint(e.Subject.Image, " ", one["lacks"]))
			}
		}
		want := []string{"web:1 verified", "web:1 scanned", "web:1 scanned", "web:1 verified", "web:1 scanned", "web:1 scanned", "web:1 <nil>"}
		if diff := cmp.Diff(want, lacks); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what the tag stands for", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nrequire: {verdict: {verified: true}}\n")
		folder, newer := s.c.Verdicts, "sha256:"+strings.Repeat("2b", 32)
		stands := func(name string, digests ...string) {
			t.Helper()
			if err := folder.Remember(name, func(tag *verdict.Tag) error { tag.Now(time.Now(), time.Time{}, digests...); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		verify := func() {
			t.Helper()
			if err := folder.Verify(id, &verdict.Verified{Name: "docker.io/library/web", At: time.Now(), Policy: "images[0]", By: []string{"a key"}}); err != nil {
				t.Fatal(err)
			}
		}
		s.must(t, "tag", "web:1", "web:latest")
		stands("docker.io/library/web:1", id)
		s.refused(t, "was not verified", args("run --rm web:1 true")...)
		verify()
		s.must(t, args("run --rm web:1 true")...)
		s.must(t, args("run -d --name old web:1 sleep 300")...)
		stands("docker.io/library/web:1", newer)
		for _, name := range []string{"web:1", "docker.io/web:1", "library/web:1", "docker.io/library/web:1"} {
			s.refused(t, "has stood for "+newer, "run", "--rm", name, "true")
			s.refused(t, "docker pull "+name, "create", "--rm", name)
		}
		// Who names the image itself has it, and by a tag of which nothing is known; what was
		// made before is not made anew.
		s.must(t, "run", "--rm", id, "true")
		s.must(t, "run", "--rm", strings.TrimPrefix(id, "sha256:"), "true")
		s.must(t, "run", "--rm", id[7:19], "true")
		s.must(t, args("run --rm web true")...)
		s.must(t, args("restart -t 0 old")...)
		s.must(t, args("exec old true")...)
		// One whose verdict was taken back goes on until it ends, and is not started again.
		if err := folder.Withdraw(id, "docker.io/library/web"); err != nil {
			t.Fatal(err)
		}
		s.must(t, args("exec old true")...)
		s.refused(t, "not any more", args("restart -t 0 old")...)
		s.must(t, args("exec old true")...)
		s.must(t, args("stop -t 0 old")...)
		s.refused(t, "not any more", args("start old")...)
		verify()
		s.must(t, args("start old")...)
		s.must(t, args("rm -f old")...)
		stands("docker.io/library/web:latest", newer)
		s.refused(t, "verified by another name", args("run --rm web true")...)
		stands("docker.io/library/web:latest", id)
		s.must(t, args("run --rm web true")...)
		stands("docker.io/library/web:1", id)
		s.must(t, args("run --rm web:1 true")...)
		files, err := filepath.Glob(filepath.Join(string(folder), "tags", "*.json"))
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s.refused(t, "web:1", args("run --rm web:1 true")...)
	})
	t.Run("a grant", func(t *testing.T) {
		policy := func(image string) string {
			return "schema: plimsoll/policy/1\ngrants:\n  - {rule: pid-namespace-host, image: \"" + image + "\", users: [root], until: 2099-01-01, why: it looks at processes}\n"
		}
		named := stand(t, e, Enforce, policy("docker.io/library/web"))
		named.refused(t, "pid-namespace-host", args("run --rm --pid host web:1 true")...) // it did not come from there
		s := stand(t, e, Enforce, policy(id))
		s.must(t, args("run --rm --pid host web:1 true")...)
		s.refused(t, "seccomp-unconfined", args("run --rm --pid host --security-opt seccomp=unconfined web:1 true")...)
		if lines := strings.Join(s.events(t), "\n"); !strings.Contains(lines, "deploy done") {
			t.Error(lines)
		}
	})
	t.Run("observe", func(t *testing.T) {
		s := stand(t, e, Observe, "schema: plimsoll/policy/1\nrequire: {owner: true}\n")
		s.must(t, args("run --rm --pid host web:1 true")...)
		if lines := strings.Join(s.events(t), "\n"); !strings.Contains(lines, "refuse would refuse") || !strings.Contains(lines, "deploy done") {
			t.Error(lines)
		}
	})
	t.Run("classes", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nallow: [{classes: [networks], users: [root]}]\n")
		if out, err := s.docker("network", "create", "-d", "macvlan", "--internal", "mv"); err != nil && strings.Contains(out, "plimsoll") {
			t.Errorf("an allowed class: %v %s", err, out)
		}
		s.refused(t, "class swarm", "swarm", "init", "--advertise-addr", "127.0.0.1")
	})
	t.Run("reads", func(t *testing.T) {
		s := stand(t, e, Enforce, "schema: plimsoll/policy/1\nreads: {refuse: [logs]}\n")
		s.must(t, args("run -d --name talker web:1 echo hello")...)
		s.refused(t, "read logs", "logs", "talker")
		s.must(t, "inspect", "talker")
		s.must(t, "rm", "-f", "talker")
	})
}
