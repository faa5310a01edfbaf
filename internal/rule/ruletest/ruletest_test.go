package ruletest

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/rules"
)

func TestOurRules(t *testing.T) {
	set, err := rule.Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Failures {
		t.Error(f)
	}
	t.Logf("%d rules, %d tests, %d parts", result.Rules, result.Tests, result.Parts)
	if result.Rules != len(set.Rules()) || result.Tests < 2*result.Rules || result.Parts < result.Rules {
		t.Errorf("%d rules, %d tests and %d parts were run", result.Rules, result.Tests, result.Parts)
	}
}

// sample is a rule whose tests hold and cover it.
const sample = `schema: plimsoll/rule/1
rule: sample
subject: container
severity: low
title: The sample fails
why: Because.
pass: "!container.privileged || container.read_only_root"
remedy:
  run: mend it
tests:
  - run: docker run --privileged nginx
    want: fail
    message: the sample fails
  - create: {Image: nginx, HostConfig: {Privileged: true, ReadonlyRootfs: true}}
    want: pass
  - inspect: {Name: /web, Config: {Image: nginx}, HostConfig: {}}
    want: pass
  - facts: {privileged: true}
    unseen: [container.read_only_root]
    want: unknown
    reason: "not observed: container.read_only_root, the test hides it"
`

func runSample(t *testing.T, text string) Result {
	t.Helper()
	set, err := rule.Load(fstest.MapFS{"container/sample.yaml": {Data: []byte(text)}}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(set)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestSampleHolds(t *testing.T) {
	got := runSample(t, sample)
	if got.Rules != 1 || got.Tests != 4 || got.Parts != 8 || len(got.Failures) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestNoticed: what is wrong with a rule or its tests is said, at its line.
func TestNoticed(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"a wrong verdict", "want: fail", "want: pass", "container/sample.yaml line 11: wants pass, is fail"},
		{"a wrong unknown", "want: unknown", "want: pass", "line 18: wants pass, is unknown (not observed: container.read_only_root, the test hides it)"},
		{"a wrong message", "message: the sample fails", "message: the sample passes", `line 11: wants the message "the sample passes", has ["the sample fails"]`},
		{"a wrong reason", "the test hides it", "it was dark", `line 18: wants the reason "not observed: container.read_only_root, it was dark"`},
		{"a part that nothing covers", `container.read_only_root"`, `container.read_only_root || container.tty"`, "container/sample.yaml: no test notices when container.tty is replaced by false"},
		{"nothing that fails", "--privileged nginx\n    want: fail\n    message: the sample fails", "nginx\n    want: pass", "container/sample.yaml: no test wants fail"},
		{"a field that does not exist", "facts: {privileged: true}", "facts: {privilege: true}", `line 18: facts has no field "privilege"`},
		{"a flag that does not exist", "--privileged nginx", "--privilege nginx", "line 11: docker run: unknown flag --privilege: did you mean --privileged?"},
		{"two inputs", "facts: {privileged: true}", "facts: {privileged: true}\n    run: docker run nginx", "line 18: a test has one of run, create, inspect and facts; this has 2"},
		{"a body that is none", "{Name: /web, Config: {Image: nginx}, HostConfig: {}}", "{Name: [web]}", "line 16: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(sample, tc.old) {
				t.Fatalf("the sample has no %q", tc.old)
			}
			got := runSample(t, strings.Replace(sample, tc.old, tc.new, 1))
			var lines []string
			for _, f := range got.Failures {
				lines = append(lines, f.String())
			}
			if all := strings.Join(lines, "\n"); !strings.Contains(all, tc.want) {
				t.Errorf("got\n%s\nwant %s", all, tc.want)
			}
		})
	}
}

// TestSurroundings: what a test gives of the surroundings is seen, what it does
// not give is not.
func TestSurroundings(t *testing.T) {
	for _, tc := range []struct{ name, pass, input, want string }{
		{"the daemon is not given", "daemon.apparmor", "", "unknown"},
		{"the daemon as it comes", "daemon.apparmor", "daemon: {}", "pass"},
		{"the daemon otherwise", "daemon.apparmor", "daemon: {apparmor: false}", "fail"},
		{"the host is not given", "host.cpus == 4", "", "unknown"},
		{"the host as it comes", "host.cpus == 4", "host: {}", "pass"},
		{"the host otherwise", "host.cpus == 4", "host: {cpus: 2}", "fail"},
		{"the image is not given", "container.user == '0'", "", "unknown"},
		{"the image as it comes", "container.user == '0'", "image: {}", "pass"},
		{"the image otherwise", "container.user == '0'", "image: {user: web}", "fail"},
		{"the daemon decides for the container", "container.seccomp == 'default'", "daemon: {seccomp: unconfined}", "fail"},
	} {
		text, _, _ := strings.Cut(sample, "tests:")
		text = strings.Replace(text, `pass: "!container.privileged || container.read_only_root"`, `pass: "`+tc.pass+`"`, 1) +
			"tests:\n  - run: docker run nginx\n    want: " + tc.want + "\n"
		if tc.input != "" {
			text += "    " + tc.input + "\n"
		}
		for _, f := range runSample(t, text).Failures {
			if f.Line != 0 {
				t.Errorf("%s: %s", tc.name, f)
			}
		}
	}
}
