package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// newest are the programs of the newest engine, as their modules have them. Debian's runc
// is too old for it (it has no time namespaces).
var newest = []struct {
	name, module string
	cgo          string
	tags         string
}{
	{"dockerd", "github.com/moby/moby/v2/cmd/dockerd@v2.0.0-beta.24", "0", ""},
	{"docker-proxy", "github.com/moby/moby/v2/cmd/docker-proxy@v2.0.0-beta.24", "0", ""},
	{"runc", "github.com/opencontainers/runc@v1.5.2", "1", "seccomp runc_nodmz"},
}

// NewestAPI is the version of the API that the newest engine speaks.
const NewestAPI = "1.56"

// Newest returns an engine of the test's own as Private does, of the newest version, which
// it builds where that was not done yet. It is for soak tests.
func Newest(t T, settings map[string]any) *Engine {
	t.Helper()
	programs, err := buildNewest()
	if err != nil {
		t.Fatalf("building the newest engine: %v", err)
	}
	all := map[string]any{"features": map[string]any{"containerd-snapshotter": false}}
	maps.Copy(all, settings)
	return startFor(t, Config{Settings: all, Programs: programs})
}

// buildNewest builds what is not there yet. The first time takes a quarter of an hour.
func buildNewest() (map[string]string, error) {
	cache, err := os.UserCacheDir() // where go keeps what it has built, too
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "plimsoll-lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// One at a time: other tests may build it too.
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	programs := map[string]string{}
	for _, p := range newest {
		programs[p.name] = filepath.Join(dir, p.name)
		if _, err := os.Stat(programs[p.name]); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
		defer cancel()
		// Into a folder beside, so that what is there is whole.
		part := filepath.Join(dir, "part")
		cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", "-tags", p.tags, p.module)
		cmd.Env = append(os.Environ(), "GOBIN="+part, "CGO_ENABLED="+p.cgo, "GOFLAGS=")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", p.module, err, out)
		}
		if err := os.Rename(filepath.Join(part, p.name), programs[p.name]); err != nil {
			return nil, err
		}
	}
	return programs, nil
}
