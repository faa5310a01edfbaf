package deploy

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/declare"
)

// gitTime bounds all that Git is asked: a deployment does not wait for a slow disk.
const gitTime = 3 * time.Second

// FromGit is what the repository around a folder tells by the program git: the commit, with
// -dirty behind it where a file that git knows has changed since, or -maybe-dirty where that
// is not known, and where the repository came from. What
// cannot be told, because there is no repository or no git, is left out.
//
// Nothing that the repository itself names is run: it may be somebody else's. Git refuses one
// of another owner by itself (git-config(1), safe.directory).
func FromGit(ctx context.Context, environ []string, dir string) declare.Said {
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	g := git{environ: append(slices.Clone(environ), gitVariables...), dir: dir}
	var s declare.Said
	commit, ok := g.line(ctx, "rev-parse", "--verify", "--quiet", "HEAD")
	if !ok || commit == "" {
		return s
	}
	s.Commit = commit
	switch dirty, known := g.dirty(ctx); {
	case !known:
		s.Commit += "-maybe-dirty"
	case dirty:
		s.Commit += "-dirty"
	}
	if address, ok := g.line(ctx, "config", "--get", "remote.origin.url"); ok {
		s.Repository = declare.WithoutLogin(address)
	}
	return s
}

// gitVariables and gitSettings keep git from writing, asking, fetching and running: a
// repository's own configuration may name programs (git-config(1)).
var (
	gitVariables = []string{"GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "LC_ALL=C"}
	gitSettings  = []string{"--no-pager", "-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "safe.bareRepository=explicit"}
)

type git struct {
	environ []string
	dir     string
}

// run gives what git prints.
func (g *git) run(ctx context.Context, args ...string) ([]byte, bool) {
	cmd := exec.CommandContext(ctx, "git", append(slices.Clone(gitSettings), args...)...)
	cmd.Env, cmd.Dir = g.environ, g.dir
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	return out, err == nil
}

// line is run for what prints one line.
func (g *git) line(ctx context.Context, args ...string) (string, bool) {
	out, ok := g.run(ctx, args...)
	text := strings.TrimSpace(string(out))
	return text, ok && !strings.ContainsRune(text, '\n')
}

// dirty says whether a file has changed. It is not known where the repository names filters:
// to compare a file, git may run them (gitattributes(5)).
func (g *git) dirty(ctx context.Context) (dirty, known bool) {
	settings, ok := g.run(ctx, "config", "--null", "--show-scope", "--name-only", "--list")
	if !ok {
		return false, false
	}
	words := bytes.Split(settings, []byte{0})
	for i := 0; i+1 < len(words); i += 2 {
		scope, name := string(words[i]), strings.ToLower(string(words[i+1]))
		if (scope == "local" || scope == "worktree") && strings.HasPrefix(name, "filter.") {
			return false, false
		}
	}
	changed, ok := g.run(ctx, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
	return len(changed) > 0, ok
}
