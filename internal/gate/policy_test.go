package gate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/caller"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

const wholePolicy = `schema: plimsoll/policy/1
mode: enforce
enforce:
  severity: medium
  also: [memory-reservation-missing]
  not: ["capability-*"]
allow:
  - classes: [swarm, services]
    users: [root, "1000"]
  - classes: [buildkit]
    groups: [builders]
grants:
  - rule: privileged
    image: registry.example.org/ci/*
    users: [ci]
    until: 2027-02-01
    why: builds kernel modules
require:
  owner: true
  why: true
  images: [docker.io/library/*, registry.example.org/*]
  digest: true
  verdict: {verified: true, scanned_within: 30d, worst: high, absent: refuse}
defaults:
  no_new_privileges: true
  capabilities: [CHOWN, SETUID]
  pids: 512
  memory: 512m
  cpus: 1.5
  log: {max-size: 10m, max-file: 3}
  runtime: {name: runsc, trusted: [registry.example.org/*]}
reads:
  refuse: [logs, archive]
`

func TestPolicy(t *testing.T) {
	p, err := ReadPolicy("policy.yaml", []byte(wholePolicy), ours(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"privileged": true, "memory-unlimited": true, "memory-reservation-missing": true, "capability-controls-host": false, "unknown-rule": false} {
		if p.enforced[name] != want {
			t.Errorf("%s is enforced: %t", name, !want)
		}
	}
	builders := func(name string) (uint32, bool) { return 77, name == "builders" }
	who := func(uid uint32, user string, groups ...uint32) *identity {
		return &identity{Caller: &caller.Caller{UID: uid, GID: uid, User: user, Groups: groups, Seen: true}, groups: builders}
	}
	stranger := who(65534, "")
	stranger.unknown = true
	for _, c := range []struct {
		class string
		who   *identity
		want  bool
	}{
		{"swarm", who(0, "root"), true}, {"services", who(1000, "ana"), true}, {"swarm", who(1001, "ben"), false}, {"plugins", who(0, "root"), false},
		{"buildkit", who(1001, "ben", 5, 77), true}, {"buildkit", who(77, "eve"), true}, {"buildkit", who(0, "root"), false}, {"swarm", stranger, false},
	} {
		if got := p.allows(c.class, c.who); got != c.want {
			t.Errorf("%s is allowed to %s: %t", c.class, c.who, got)
		}
	}
	last := time.Date(2027, 2, 1, 23, 59, 59, 0, time.UTC)
	for _, c := range []struct {
		rule, image string
		who         *identity
		at          time.Time
		want        bool
	}{
		{"privileged", "registry.example.org/ci/kernel", who(5, "ci"), last, true},
		{"privileged", "registry.example.org/ci/a/b", who(5, "ci"), last, true},
		{"privileged", "registry.example.org/ci/kernel", who(5, "ci"), last.Add(time.Second), false},
		{"privileged", "registry.example.org/other", who(5, "ci"), last, false},
		{"privileged", "registry.example.org/ci/kernel", who(6, "ana"), last, false},
		{"host-root-mounted", "registry.example.org/ci/kernel", who(5, "ci"), last, false},
	} {
		if got := p.granted(c.rule, &workload.Image{ID: "sha256:1", Name: c.image, Digests: []string{c.image + "@sha256:2"}}, c.who, c.at); (got != nil) != c.want || got != nil && got.line != 13 {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestDefaultPolicy: where there is no file, critical and high rules are enforced.
func TestDefaultPolicy(t *testing.T) {
	p, err := DefaultPolicy(ours(t))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range p.judged.Rules() {
		if want := r.Severity.AtLeast(finding.High); p.enforced[r.Name] != want {
			t.Errorf("%s (%s) is enforced: %t", r.Name, r.Severity, !want)
		}
		if p.enforced[r.Name] {
			n++
		}
	}
	if n < 20 {
		t.Errorf("%d rules are enforced", n)
	}
}

// TestProvenance: a digest proves where an image came from, but not where each name has one.
func TestProvenance(t *testing.T) {
	for name, c := range map[string]struct {
		daemon facts.Daemon
		unseen []workload.Unseen
		want   bool
	}{
		"the engine's store":    {want: true},
		"containerd's":          {daemon: facts.Daemon{ContainerdImages: true}},
		"one that was not seen": {unseen: []workload.Unseen{{Path: "daemon.containerd_images", Reason: "the engine does not say"}}},
	} {
		f := &facts.Facts{Daemon: c.daemon, Unseen: c.unseen, Containers: []workload.Spec{{Image: workload.Image{Name: "docker.io/library/web", Digests: []string{"docker.io/library/web@sha256:00"}}}}}
		if err := (&around{}).finish(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if got := cameFrom(&f.Containers[0].Image); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestPolicyRefused: what is wrong is told with its line and field.
func TestPolicyRefused(t *testing.T) {
	for _, c := range []struct{ from, to, line, what string }{
		{"plimsoll/policy/1", "plimsoll/policy/2", "policy.yaml line 1: ", "schema"},
		{"mode: enforce", "mode: block", "policy.yaml line 2: ", "mode"},
		{"severity: medium", "severity: severe", "policy.yaml line 4: ", "severity"},
		{"[memory-reservation-missing]", "[memory-reservation-mising]", "policy.yaml", "memory-reservation-missing"},
		{"[swarm, services]", "[swarm, containers]", "policy.yaml line 8: ", "containers"},
		{"[swarm, services]", "[]", "policy.yaml line 8: ", "class"},
		{"rule: privileged", "rule: privilege", "policy.yaml line 13: ", "privileged"},
		{"until: 2027-02-01", "until: next year", "policy.yaml line 16: ", "date"},
		{"    why: builds kernel modules\n", "", "policy.yaml line 13: ", "why"},
		{"registry.example.org/ci/*", "registry.example.org/[", "policy.yaml line 14: ", "pattern"},
		{"docker.io/library/*,", "\"\",", "policy.yaml line 21: ", "pattern"},
		{"refuse: [logs, archive]", "refuse: [log]", "policy.yaml line 33: ", "log"},
		{"[CHOWN, SETUID]", "[CHOWN, cap_setuid]", "policy.yaml line 26: ", "cap_setuid"},
		{"[CHOWN, SETUID]", "[ALL]", "policy.yaml line 26: ", "ALL"},
		{"pids: 512", "pids: -1", "policy.yaml line 27: ", "below 0"},
		{"memory: 512m", "memory: 512 MB", "policy.yaml line 28: ", "512 MB"},
		{"memory: 512m", "memory: 1m", "policy.yaml line 28: ", "6m"},
		{"cpus: 1.5", "cpus: 0.001", "policy.yaml line 29: ", "too little"},
		{"cpus: 1.5", "cpus: much", "policy.yaml line 29: ", "cpus"},
		{"max-size: 10m", "max-sizes: 10m", "policy.yaml line 30: ", "max-sizes"},
		{"max-size: 10m", "max-size: all", "policy.yaml line 30: ", "all"},
		{"name: runsc, ", "", "policy.yaml line 31: ", "runtime.name"},
		{"trusted: [registry.example.org/*]", "trusted: [\"[\"]", "policy.yaml line 31: ", "pattern"},
		{"scanned_within: 30d", "scanned_within: 30 days", "policy.yaml line 23: ", "age"},
		{"verified: true, scanned_within: 30d, worst: high, absent: refuse", "absent: pass", "policy.yaml line 23: ", "nothing"},
		{"scanned_within: 30d, ", "", "policy.yaml line 23: ", "scan"},
		{"absent: refuse", "absent: maybe", "policy.yaml line 23: ", "absent"},
		{"  owner: true", "  owners: true", "policy.yaml line 19: ", "owners"},
		{"reads:\n", "reads:\n---\n", "policy.yaml", ""},
	} {
		text := strings.Replace(wholePolicy, c.from, c.to, 1)
		if text == wholePolicy {
			t.Fatalf("%q is not in the policy", c.from)
		}
		_, err := ReadPolicy("policy.yaml", []byte(text), ours(t))
		if wrong := new(strict.Error); !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.line) || !strings.Contains(err.Error(), c.what) {
			t.Errorf("%q for %q: %v", c.to, c.from, err)
		}
	}
}

// FuzzPolicy: a policy that is read enforces no rule that there is not, and says of no
// stranger more than of everybody.
func FuzzPolicy(f *testing.F) {
	set := ours(f)
	f.Add([]byte(wholePolicy))
	f.Add([]byte("schema: plimsoll/policy/1\n"))
	stranger := &identity{Caller: &caller.Caller{UID: 65534}, unknown: true, groups: func(string) (uint32, bool) { return 0, true }}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPolicy("policy.yaml", data, set)
		if err != nil {
			return
		}
		for _, class := range grantable() {
			everybody := false
			for _, a := range p.Allow {
				everybody = everybody || len(a.Users)+len(a.Groups) == 0
			}
			if p.allows(class, stranger) && !everybody {
				t.Errorf("%q allows a stranger %s", data, class)
			}
		}
		if p.Mode != "" && p.Mode != Observe && p.Mode != Enforce {
			t.Errorf("%q has the mode %q", data, p.Mode)
		}
	})
}
