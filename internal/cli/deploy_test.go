package cli

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/declare"
)

// TestSaying: flags are said, the rest is known; Git tells only of the commit that continuous
// integration means.
func TestSaying(t *testing.T) {
	dir := t.TempDir()
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b"}
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = dir, environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("commit", "-q", "--allow-empty", "-m", "begin")
	git("remote", "add", "origin", "https://git.example/o/r")
	commit := git("rev-parse", "HEAD")
	of := func(said declare.Said, env map[string]string) (declare.Saying, error) {
		a := &app{world: World{Getenv: func(name string) string { return env[name] }, Environ: func() []string { return environ }, Dir: dir,
			Now: func() time.Time { return time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC) }}}
		return a.saying(t.Context(), said)
	}
	ci := func(commit string) map[string]string {
		return map[string]string{"CI": "true", "JENKINS_URL": "https://j/", "BUILD_USER_ID": "mei", "JOB_NAME": "ship", "GIT_COMMIT": commit}
	}
	by := declare.Said{Owner: "ops", Why: "upgrade"}
	for name, c := range map[string]struct {
		said declare.Said
		env  map[string]string
		want declare.Saying
	}{
		"flags":            {by, nil, declare.Saying{Said: by, Known: declare.Said{Commit: commit, Repository: "https://git.example/o/r"}}},
		"a duration":       {declare.Said{Owner: "ops", Why: "x", RetireAfter: "30d"}, nil, declare.Saying{Said: declare.Said{Owner: "ops", Why: "x", RetireAfter: "2026-12-27T12:00:00Z"}, Known: declare.Said{Commit: commit, Repository: "https://git.example/o/r"}}},
		"the same commit":  {declare.Said{}, ci(commit), declare.Saying{Known: declare.Said{Owner: "mei", Why: "ship", Commit: commit, Repository: "https://git.example/o/r"}}},
		"another's commit": {declare.Said{Why: "upgrade"}, ci("123"), declare.Saying{Said: declare.Said{Why: "upgrade"}, Known: declare.Said{Owner: "mei", Why: "ship", Commit: "123"}}},
	} {
		got, err := of(c.said, c.env)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	f := new(failure)
	if _, err := of(declare.Said{Owner: "ops"}, nil); !errors.As(err, &f) || f.code != exitUsage || !strings.Contains(f.hint, "--why") || strings.Contains(f.hint, "--owner") {
		t.Errorf("without a reason: %+v", err)
	}
}
