package ruletest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/internal/workload/runline"
	"github.com/plimsoll/plimsoll/rules"
)

// TestFormsAgree: every run line in a test of a rule is judged by all rules as
// a run line, as the create request that it makes, and as the inspect answer
// that an engine with ordinary defaults would give. Two forms may differ in
// what they see, never in the verdict on what both see.
func TestFormsAgree(t *testing.T) {
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, r := range set.Rules() {
		for i := range r.Tests {
			if r.Tests[i].Run != "" {
				lines[r.Tests[i].Run] = true
			}
		}
	}
	if len(lines) == 0 {
		t.Fatal("no rule has a test with a run line")
	}
	for text := range lines {
		line, err := runline.ParseString(text, runline.World{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		forms := map[string]map[string]finding.Status{}
		for form, spec := range formsOf(t, line) {
			forms[form] = verdicts(t, set, spec, form == "run")
		}
		for _, r := range set.Rules() {
			if r.Subject != "container" {
				continue
			}
			if got := disagreement(forms, r.Name); len(got) > 1 {
				t.Errorf("%s: %s: %v", text, r.Name, got)
			}
		}
	}
}

// TestFormsCanDisagree: two verdicts are noticed, and one beside an unknown is
// none.
func TestFormsCanDisagree(t *testing.T) {
	forms := map[string]map[string]finding.Status{
		"run":     {"a": finding.Unknown, "b": finding.Pass, "c": finding.Pass},
		"create":  {"a": finding.Fail, "b": finding.Fail, "c": finding.Pass},
		"inspect": {"a": finding.Fail, "b": finding.Unknown, "c": finding.Pass},
	}
	for name, want := range map[string]int{"a": 1, "b": 2, "c": 1} {
		if got := disagreement(forms, name); len(got) != want {
			t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
}

// disagreement has the verdicts on a rule but for unknown, each with the forms
// that came to it.
func disagreement(forms map[string]map[string]finding.Status, name string) map[finding.Status][]string {
	got := map[finding.Status][]string{}
	for form, verdict := range forms {
		if v := verdict[name]; v != finding.Unknown {
			got[v] = append(got[v], form)
		}
	}
	return got
}

// formsOf makes the three forms of one container.
func formsOf(t *testing.T, line runline.Line) map[string]workload.Spec {
	t.Helper()
	around := workload.Surroundings{Daemon: ordinaryDaemonDefaults(), Image: ordinaryImage(), Volumes: map[string]workload.Volume{},
		Resolve: func(p string) ([]string, error) { return []string{p}, nil }, Nodes: func(string) ([]string, error) { return nil, nil }}
	run, err := line.Spec(workload.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(line.Body)
	if err != nil {
		t.Fatal(err)
	}
	create, err := workload.FromCreate("app", body, around)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(inspected(line.Body, create))
	if err != nil {
		t.Fatal(err)
	}
	inspect, _, err := workload.FromInspect(answer, around)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]workload.Spec{"run": run, "create": create, "inspect": inspect}
}

// inspected is what an engine makes of a request: the image's settings and its
// own defaults are filled in, ports have addresses, and links both names.
func inspected(body workload.CreateBody, spec workload.Spec) workload.InspectBody {
	out := workload.InspectBody{ID: strings.Repeat("a", 64), Name: "/app", Image: ordinaryImage().ID, Config: body.Config, HostConfig: body.HostConfig}
	h := &out.HostConfig
	h.IpcMode, h.CgroupnsMode = spec.Namespaces.IPC, spec.Namespaces.Cgroup
	h.Runtime, h.LogConfig.Type = spec.Runtime, spec.LogDriver
	out.Config.StopSignal = spec.StopSignal
	h.Links = nil
	for _, l := range body.HostConfig.Links {
		other, alias, _ := strings.Cut(l, ":")
		h.Links = append(h.Links, "/"+other+":/app/"+alias)
	}
	out.State.Status, out.State.Pid = "running", 7
	out.NetworkSettings.Ports = map[string][]workload.PortBinding{}
	for port, bindings := range body.HostConfig.PortBindings {
		for _, b := range bindings {
			b.HostPort, _, _ = strings.Cut(b.HostPort, "-")
			if b.HostPort == "" {
				b.HostPort = "49153"
			}
			addresses := []string{b.HostIP}
			if b.HostIP == "" {
				addresses = []string{"0.0.0.0", "::"}
			}
			for _, a := range addresses {
				out.NetworkSettings.Ports[port] = append(out.NetworkSettings.Ports[port], workload.PortBinding{HostIP: a, HostPort: b.HostPort})
			}
		}
	}
	out.NetworkSettings.Networks = map[string]*workload.EndpointSettings{}
	for _, n := range spec.Networks {
		out.NetworkSettings.Networks[n] = &workload.EndpointSettings{}
	}
	if mode := spec.Namespaces.Network; mode == "host" || mode == "none" {
		out.NetworkSettings.Networks[mode] = &workload.EndpointSettings{}
	}
	return out
}

// verdicts are the gravest status of each container rule; a run line knows
// neither daemon nor host.
func verdicts(t *testing.T, set *rule.Set, spec workload.Spec, blind bool) map[string]finding.Status {
	t.Helper()
	f := &facts.Facts{Schema: facts.Schema, Collected: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Host: ordinaryHost(), Daemon: ordinaryDaemon(), Containers: []workload.Spec{spec}}
	if blind {
		f.Unseen = []workload.Unseen{{Path: "daemon", Reason: "a run line does not say it"}, {Path: "host", Reason: "a run line does not say it"}}
	}
	found, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]finding.Status{}
	for _, x := range found {
		if x.Subject.Kind != "container" {
			continue
		}
		if strings.HasPrefix(x.Reason, "rule error") {
			t.Errorf("%s: %s", x.Rule, x.Reason)
		}
		if before, judged := out[x.Rule]; !judged || slices.Index(gravest, x.Status) < slices.Index(gravest, before) {
			out[x.Rule] = x.Status
		}
	}
	return out
}
