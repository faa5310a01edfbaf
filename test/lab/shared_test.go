package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// recorder is a T that notes what would happen to the test.
type recorder struct {
	failed, skipped string
	cleanups        []func()
}

func (r *recorder) Helper()                           {}
func (r *recorder) Fatalf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }
func (r *recorder) Skipf(format string, args ...any)  { r.skipped = fmt.Sprintf(format, args...) }
func (r *recorder) Cleanup(f func())                  { r.cleanups = append(r.cleanups, f) }

func TestSharedWithoutEngine(t *testing.T) {
	for _, v := range []string{envEngine, envPid, envLab} {
		t.Setenv(v, "")
	}
	t.Setenv("CI", "")
	for name, get := range map[string]func(T) *Engine{
		"Shared":  Shared,
		"Private": func(t T) *Engine { return Private(t, nil) },
	} {
		t.Setenv("CI", "")
		var person recorder
		if e := get(&person); e != nil || person.failed != "" || !strings.Contains(person.skipped, "make test") {
			t.Errorf("%s: got %v, %+v; want a skip that says what to run", name, e, person)
		}
		t.Setenv("CI", "true")
		var ci recorder
		if e := get(&ci); e != nil || ci.skipped != "" || !strings.Contains(ci.failed, "make test") {
			t.Errorf("%s under CI: got %v, %+v; want a failure that says what to run", name, e, ci)
		}
	}
}

func TestShared(t *testing.T) {
	real := start(t, Config{})
	for _, kv := range real.environ() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	var r recorder
	e := Shared(&r)
	if e == nil || r.failed+r.skipped != "" {
		t.Fatalf("got %v, %+v; want an engine", e, r)
	}
	if e.Host() != real.Host() || e.Pid != real.Pid {
		t.Errorf("got %s and %d, want %s and %d", e.Host(), e.Pid, real.Host(), real.Pid)
	}
	if err := e.Busybox(t.Context(), "bb:1"); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := docker(t, real, "images", "--quiet", "bb:1"); got == "" {
		t.Error("closing the shared engine ended it, or its image was not made")
	}
}

func TestFromEnvironRefuses(t *testing.T) {
	tests := []struct{ host, pid, want string }{
		{"tcp://127.0.0.1:2375", "12", envEngine},
		{"unix:///x", "twelve", envPid},
		{"unix:///x", "1", envPid},
		{"unix:///x", "-5", envPid},
		{"unix:///x", "", "make test"},
	}
	for _, tt := range tests {
		env := map[string]string{envEngine: tt.host, envPid: tt.pid}
		if e, err := fromEnviron(func(k string) string { return env[k] }); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, %v; want an error with %s", tt, e, err, tt.want)
		}
	}
}

func TestPrivate(t *testing.T) {
	needEngine(t)
	t.Setenv(envLab, "/proc/self/exe")
	var r recorder
	e := Private(&r, map[string]any{"icc": false})
	if e == nil {
		t.Fatalf("got no engine: %+v", r)
	}
	got := docker(t, e, "network", "inspect", "--format", `{{index .Options "com.docker.network.bridge.enable_icc"}}`, "bridge")
	if got != "false" {
		t.Errorf("icc is %s, want false", got)
	}
	for _, f := range r.cleanups {
		f()
	}
	if r.failed+r.skipped != "" {
		t.Errorf("ending it: %+v", r)
	}
	if _, err := os.Stat(e.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
	var bad recorder
	if e := Private(&bad, map[string]any{"data-root": "/x"}); e != nil || !strings.Contains(bad.failed, "data-root") {
		t.Errorf("got %v, %+v; want a failure that names the setting", e, bad)
	}
}
