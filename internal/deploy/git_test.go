package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/internal/declare"
)

// repository is a new one with a commit, and what runs git in it.
func repository(t *testing.T) (dir, commit string, git func(...string) string) {
	t.Helper()
	dir = t.TempDir()
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = dir, gitEnviron(t)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	write(t, filepath.Join(dir, "shop.yml"), "a\n")
	git("add", ".")
	git("commit", "-q", "-m", "begin")
	return dir, git("rev-parse", "HEAD"), git
}

func gitEnviron(t *testing.T) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b"}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestFromGit(t *testing.T) {
	dir, commit, git := repository(t)
	from := func(want declare.Said) {
		t.Helper()
		below := filepath.Join(dir, "below")
		if err := os.MkdirAll(below, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{dir, below} {
			if got := FromGit(t.Context(), gitEnviron(t), at); got != want {
				t.Errorf("in %s: %+v, want %+v", at, got, want)
			}
		}
	}
	from(declare.Said{Commit: commit})
	git("remote", "add", "origin", "https://ana:s3cret@git.example/shop.git")
	write(t, filepath.Join(dir, "new.txt"), "not known to git\n")
	from(declare.Said{Commit: commit, Repository: "https://git.example/shop.git"})
	write(t, filepath.Join(dir, "shop.yml"), "changed\n")
	from(declare.Said{Commit: commit + "-dirty", Repository: "https://git.example/shop.git"})

	none := t.TempDir()
	if got := FromGit(t.Context(), append(gitEnviron(t), "GIT_CEILING_DIRECTORIES="+none), none); got != (declare.Said{}) {
		t.Errorf("without a repository: %+v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := FromGit(ended, gitEnviron(t), dir); got != (declare.Said{}) {
		t.Errorf("without time: %+v", got)
	}
}

// TestHostileRepository: nothing that a repository names is run. Git itself, asked the same
// without care, runs each.
func TestHostileRepository(t *testing.T) {
	for name, set := range map[string]func(dir, program string, git func(...string) string){
		"fsmonitor": func(_, program string, git func(...string) string) { git("config", "core.fsmonitor", program) },
		"hook": func(dir, program string, git func(...string) string) {
			git("config", "core.hooksPath", ".hooks")
			if err := os.MkdirAll(filepath.Join(dir, ".hooks"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(program, filepath.Join(dir, ".hooks", "post-index-change")); err != nil {
				t.Fatal(err)
			}
		},
		"filter": func(dir, program string, git func(...string) string) {
			git("config", "filter.evil.clean", program)
			write(t, filepath.Join(dir, ".git", "info", "attributes"), "* filter=evil\n")
		},
		"filter of an included file": func(dir, program string, git func(...string) string) {
			write(t, filepath.Join(dir, ".git", "more"), "[Filter \"evil\"]\n\tclean = "+program+"\n")
			git("config", "include.path", "more")
			write(t, filepath.Join(dir, ".git", "info", "attributes"), "* filter=evil\n")
		},
	} {
		dir, commit, git := repository(t)
		program, ran := filepath.Join(t.TempDir(), "evil"), filepath.Join(t.TempDir(), "ran")
		write(t, program, "#!/bin/sh\ntouch "+ran+"\ncat\n")
		set(dir, program, git)
		// A file that looks changed and is not.
		write(t, filepath.Join(dir, "shop.yml"), "b\n")
		write(t, filepath.Join(dir, "shop.yml"), "a\n")
		got := FromGit(t.Context(), gitEnviron(t), dir)
		if !strings.HasPrefix(got.Commit, commit) || strings.HasPrefix(name, "filter") != strings.HasSuffix(got.Commit, "-maybe-dirty") {
			t.Errorf("%s: %+v", name, got)
		}
		if _, err := os.Stat(ran); err == nil {
			t.Errorf("%s: the repository's program has run", name)
		}
		git("status")
		if _, err := os.Stat(ran); err != nil {
			t.Errorf("%s: git does not run it either: %v", name, err)
		}
	}
}
