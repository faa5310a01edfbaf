package gate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/test/lab"
)

const filledIn = `schema: plimsoll/policy/1
defaults:
  no_new_privileges: true
  capabilities: [CHOWN, SETUID]
  pids: 512
  memory: 512m
  cpus: 1.5
  log: {max-size: 10m, max-file: 3}
  runtime: {name: slow, trusted: [docker.io/library/web]}
`

// got is what the defaults are about, of a container that is there.
func (s *standing) got(t *testing.T, name string) string {
	t.Helper()
	out, err := s.engine.Docker("inspect", name)
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		HostConfig struct {
			SecurityOpt, CapDrop, CapAdd []string
			PidsLimit                    *int64
			Memory, NanoCpus             int64
			LogConfig                    struct{ Config map[string]string }
			Runtime                      string
		}
	}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	h := &all[0].HostConfig
	pids := int64(0)
	if h.PidsLimit != nil {
		pids = *h.PidsLimit
	}
	return fmt.Sprintf("%v %v %v %d %d %d %v %s", h.SecurityOpt, h.CapDrop, h.CapAdd, pids, h.Memory, h.NanoCpus, h.LogConfig.Config, h.Runtime)
}

// TestDefaults: a container gets what the policy says where its maker said nothing, and
// the client is told; what the maker said stays.
func TestDefaults(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, map[string]any{"runtimes": map[string]any{"slow": map[string]any{"path": "runc"}}})
	if err := e.Busybox(t.Context(), "web:1"); err != nil {
		t.Fatal(err)
	}
	enforcing, observing := stand(t, e, Enforce, filledIn), stand(t, e, Observe, filledIn)
	const all = "[no-new-privileges] [ALL] [CHOWN SETUID] 512 536870912 1500000000 map[max-file:3 max-size:10m] slow"
	for name, c := range map[string]struct{ options, want string }{
		"nothing": {"", all},
		"limits":  {"--pids-limit 7 --memory 64m --cpus 0.5", "[no-new-privileges] [ALL] [CHOWN SETUID] 7 67108864 500000000 map[max-file:3 max-size:10m] slow"},
		"pidsfree": {"--pids-limit -1 --cpu-quota 20000 --log-opt max-size=1m",
			"[no-new-privileges] [ALL] [CHOWN SETUID] 0 536870912 0 map[max-file:3 max-size:1m] slow"},
		"added":    {"--cap-add net_raw --cap-add chown --security-opt apparmor=docker-default", "[apparmor=docker-default no-new-privileges] [ALL] [net_raw chown SETUID] 512 536870912 1500000000 map[max-file:3 max-size:10m] slow"},
		"dropped":  {"--cap-drop mknod", "[no-new-privileges] [mknod] [] 512 536870912 1500000000 map[max-file:3 max-size:10m] slow"},
		"runtime":  {"--runtime runc", strings.TrimSuffix(all, "slow") + "runc"},
		"logsaway": {"--log-driver none", strings.Replace(all, "max-file:3 max-size:10m", "", 1)},
	} {
		out := enforcing.must(t, append(append([]string{"create", "--name", name}, strings.Fields(c.options)...), "web:1", "true")...)
		if diff := cmp.Diff(c.want, enforcing.got(t, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		// docker has a line for each warning.
		told := strings.Count(out, "WARNING: plimsoll has set ")
		if told == 0 || strings.Contains(out, "--memory 512m, which was left out") != !strings.Contains(c.options, "--memory") {
			t.Errorf("%s: %s", name, out)
		}
	}
	// It runs as it was filled in.
	if out := enforcing.must(t, "run", "--rm", "--name", "runs", "--runtime", "runc", "web:1", "grep", "-E", "NoNewPrivs|CapEff", "/proc/self/status"); !strings.Contains(out, "CapEff:\t0000000000000081") || !strings.Contains(out, "NoNewPrivs:\t1") {
		t.Errorf("what runs has %s", out)
	}
	// The engine's own runtime is for an image that came from where its name says.
	if out := enforcing.must(t, "create", "--name", "local", "web:1", "true"); !strings.Contains(out, "--runtime slow") {
		t.Errorf("an image that only has a trusted name: %s", out)
	}

	// While the gate only observes nothing is changed, and it is recorded what would be.
	if out := observing.must(t, "create", "--name", "observed", "web:1", "true"); strings.Contains(out, "WARNING") {
		t.Errorf("a warning of what was not done: %s", out)
	}
	if got, want := observing.got(t, "observed"), "[] [] [] 0 0 0 map[] runc"; got != want {
		t.Errorf("the mode observe has changed %s", got)
	}
	options := []any{"--security-opt no-new-privileges", "--cap-drop ALL", "--cap-add CHOWN --cap-add SETUID", "--pids-limit 512", "--memory 512m", "--cpus 1.5", "--log-opt max-size=10m", "--log-opt max-file=3", "--runtime slow"}
	for name, s := range map[string]*standing{"would_set": observing, "set": enforcing} {
		found := false
		for _, e := range s.recorded(t) {
			found = found || cmp.Equal(e.Detail[name], any(options)) && e.Detail["gate"] == phaseAsked
		}
		if !found {
			t.Errorf("%s of all defaults is not recorded", name)
		}
	}
	// What the policy's rules want, its defaults can give.
	strictly := stand(t, e, Enforce, "schema: plimsoll/policy/1\nenforce: {also: [memory-unlimited]}\ndefaults: {memory: 64m}\n")
	strictly.must(t, "run", "--rm", "web:1", "true")
	stand(t, e, Enforce, "schema: plimsoll/policy/1\nenforce: {also: [memory-unlimited]}\n").refused(t, "memory-unlimited", "run", "--rm", "web:1", "true")
}
