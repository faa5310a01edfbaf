package rule

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// judgeSpec judges one container, made of a create body, by the container
// rules of s; host and daemon are seen and empty.
func judgeSpec(t *testing.T, s *Set, body string, unseen ...workload.Unseen) []finding.Finding {
	t.Helper()
	spec, err := workload.FromCreate("web", []byte(body), workload.Surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	f := &facts.Facts{Collected: time.Unix(1_700_000_000, 0), Containers: []workload.Spec{spec}}
	for _, u := range unseen {
		if below, ok := strings.CutPrefix(u.Path, "container."); ok {
			f.Containers[0].Unseen = append(f.Containers[0].Unseen, workload.Unseen{Path: below, Reason: u.Reason})
		} else {
			f.Unseen = append(f.Unseen, u)
		}
	}
	found, err := s.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// ruleOf makes a set of one rule with the lines given.
func ruleOf(t *testing.T, lines string) *Set {
	t.Helper()
	head := "schema: plimsoll/rule/1\nrule: sample\nsubject: container\nseverity: low\ntitle: The sample fails\nwhy: Because\nremedy: {run: mend}\n"
	s, err := load(head + lines)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJudge(t *testing.T) {
	hide := func(path string) workload.Unseen { return workload.Unseen{Path: path, Reason: "it was dark"} }
	for _, tc := range []struct {
		name, rule, body string
		unseen           []workload.Unseen
		want             string // status, element and reason or message, a line each
	}{
		{"pass", "pass: '!container.privileged'", `{"Image":"a"}`, nil, "pass"},
		{"fail", "pass: '!container.privileged'", `{"Image":"a","HostConfig":{"Privileged":true}}`, nil, "fail: the sample fails"},
		{"unseen", "pass: '!container.privileged'", `{"Image":"a"}`, []workload.Unseen{hide("container.privileged")},
			"unknown: not observed: container.privileged, it was dark"},
		{"the time of looking is unseen", "pass: now > timestamp('2020-01-01T00:00:00Z')", `{"Image":"a"}`, []workload.Unseen{hide("collected")},
			"unknown: not observed: collected, it was dark"},
		{"the time of looking", "pass: now > timestamp('2020-01-01T00:00:00Z')", `{"Image":"a"}`, nil, "pass"},
		{"decided by what was seen", "pass: container.read_only_root || daemon.no_new_privileges", `{"Image":"a","HostConfig":{"ReadonlyRootfs":true}}`,
			[]workload.Unseen{hide("daemon")}, "pass"},
		{"not decided by what was seen", "pass: container.read_only_root || daemon.no_new_privileges", `{"Image":"a"}`,
			[]workload.Unseen{hide("daemon")}, "unknown: not observed: daemon, it was dark"},
		{"failure decided by what was seen", "pass: container.read_only_root && daemon.no_new_privileges", `{"Image":"a"}`,
			[]workload.Unseen{hide("daemon")}, "fail: the sample fails"},
		{"an unseen part of another field does not matter", "pass: '!container.privileged'", `{"Image":"a"}`,
			[]workload.Unseen{hide("container.resources.pids")}, "pass"},
		{"through let", "let: {n: container.resources.memory_bytes * 2}\npass: n > 0", `{"Image":"a"}`,
			[]workload.Unseen{hide("container.resources.memory_bytes")}, "unknown: not observed: container.resources.memory_bytes, it was dark"},
		{"when it does not concern", "when: container.privileged\npass: 'false'", `{"Image":"a"}`, nil, "not_applicable"},
		{"when unseen", "when: container.privileged\npass: 'true'", `{"Image":"a"}`, []workload.Unseen{hide("container.privileged")},
			"unknown: not observed: container.privileged, it was dark"},
		{"a question", "manual: is {tag} right\nevidence: {tag: container.image.tag}", `{"Image":"a:3"}`, nil, "manual: is 3 right"},
		{"runtime error", "pass: container.labels['x'] == 'y'", `{"Image":"a"}`, []workload.Unseen{}, "unknown: not observed: container.labels, the image decides it"},
		{"runtime error, seen", "pass: container.sysctls['x'] == 'y'", `{"Image":"a"}`, nil, "unknown: rule error: no such key: x"},
		{"each of none", "each: container.mounts\nelement: it.target\npass: it.read_only", `{"Image":"a"}`, nil, "pass"},
		{"each of two", "each: container.mounts\nelement: it.target\npass: it.read_only\nevidence: {t: it.target}\nmessage: '{t} is writable in {subject}'",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a:ro","/b:/b"]}}`, nil, "pass /a|fail /b: /b is writable in web"},
		{"each, one element unseen", "each: container.mounts\nelement: it.target\npass: it.read_only",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a:ro","/b:/b"]}}`, []workload.Unseen{hide("container.mounts[1].read_only")},
			"pass /a|unknown /b: not observed: container.mounts[1].read_only, it was dark"},
		{"each, all elements unseen", "each: container.mounts\nelement: it.target\npass: it.read_only",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a:ro","/b:/b"]}}`, []workload.Unseen{hide("container.mounts[*].read_only")},
			"unknown /a: not observed: container.mounts[*].read_only, it was dark|unknown /b: not observed: container.mounts[*].read_only, it was dark"},
		{"each, list unseen", "each: container.mounts\nelement: it.target\npass: it.read_only",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a"]}}`, []workload.Unseen{hide("container.mounts")}, "unknown: not observed: container.mounts, it was dark"},
		{"each, list open", "each: container.mounts\nelement: it.target\npass: it.read_only",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a"]}}`, []workload.Unseen{hide("container.mounts[...]")},
			"fail /a: the sample fails|unknown: not observed: container.mounts, it was dark"},
		{"each of a filtered list with an unseen part", "each: container.mounts.filter(m, m.read_only)\nelement: it.target\npass: 'true'",
			`{"Image":"a","HostConfig":{"Tmpfs":{"/a":""}}}`, []workload.Unseen{hide("container.mounts[0].read_only")},
			"unknown: not observed: container.mounts[0].read_only, it was dark"},
		{"each, a path without a position", "each: container.mounts\nelement: it.target\npass: it.source == '/a'",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a"]}}`, []workload.Unseen{hide("container.mounts.source")}, "unknown /a: not observed: container.mounts.source, it was dark"},
		{"a position with a zero before it", "pass: container.mounts[0].source == '/a'",
			`{"Image":"a","HostConfig":{"Binds":["/a:/a"]}}`, []workload.Unseen{hide("container.mounts[00].source")}, "unknown: not observed: container.mounts[00].source, it was dark"},
		{"a key with dots", "pass: container.sysctls['net.x'] == '1'",
			`{"Image":"a","HostConfig":{"Sysctls":{"net.x":"1"}}}`, []workload.Unseen{hide("container.sysctls.net.x")}, "unknown: not observed: container.sysctls.net.x, it was dark"},
		{"each of texts", "each: container.cap_add\npass: it != 'CAP_NET_ADMIN'", `{"Image":"a","HostConfig":{"CapAdd":["net_admin","chown"]}}`, nil,
			"pass CAP_CHOWN|fail CAP_NET_ADMIN: the sample fails"},
		{"evidence that was not seen", "pass: '!container.privileged'\nevidence: {u: container.user}\nmessage: as {u}",
			`{"Image":"a","HostConfig":{"Privileged":true}}`, nil, "fail: as what was not observed"},
		{"a list in a message", "pass: 'false'\nevidence: {c: container.cap_add}\nmessage: has {c}", `{"Image":"a","HostConfig":{"CapAdd":["a","b","c"]}}`, nil,
			"fail: has CAP_A, CAP_B and CAP_C"},
		{"helpers", "pass: path('/a/../run/x').under('/run') && version('1.9').lt('1.10') && version('2.0').ge('2.0') && mode('0640').within('0644') && !mode('666').within('644') && iec(536870912) == '512 MiB'",
			`{"Image":"a"}`, nil, "pass"},
		{"now", "pass: now > timestamp('2020-01-01T00:00:00Z')", `{"Image":"a"}`, nil, "pass"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, f := range judgeSpec(t, ruleOf(t, tc.rule), tc.body, tc.unseen...) {
				line := f.Status.String()
				if f.Element != "" {
					line += " " + f.Element
				}
				switch {
				case f.Reason != "":
					line += ": " + f.Reason
				case f.Status == finding.Fail || f.Status == finding.Manual:
					line += ": " + f.Message
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(strings.Split(tc.want, "|"), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnseenSubjectsAreReported(t *testing.T) {
	s := ruleOf(t, "pass: 'true'")
	found, err := s.Judge(&facts.Facts{Unseen: []workload.Unseen{{Path: "containers", Reason: "no"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Status != finding.Unknown || found[0].Reason != "not observed: containers, no" {
		t.Errorf("%+v", found)
	}
	if found, err = s.Judge(&facts.Facts{}); err != nil || len(found) != 1 || found[0].Status != finding.NotApplicable {
		t.Errorf("a host without containers: %v, %v", found, err)
	}
}

func TestMutants(t *testing.T) {
	s := ruleOf(t, "pass: container.read_only_root || (container.user != '0' && container.mounts.all(m, m.read_only))")
	mutants, err := s.Rules()[0].Mutants()
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]int{}
	for _, m := range mutants {
		parts[m.Part]++
	}
	want := map[string]int{
		`container.read_only_root || (container.user != '0' && container.mounts.all(m, m.read_only))`: 2,
		`container.read_only_root`:                                      2,
		`container.user != '0' && container.mounts.all(m, m.read_only)`: 2,
		`container.user != '0'`:                                         2,
		`container.mounts.all(m, m.read_only)`:                          2,
	}
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Fatal(diff)
	}
	for _, m := range mutants {
		got := judgeSpec(t, m.Rule.Only(), `{"Image":"a","User":"0"}`)[0].Status
		if m.Part == "container.read_only_root" && m.By && got != finding.Pass {
			t.Errorf("%s by true: %s", m.Part, got)
		}
	}
}

// TestRemediesAreSafeToCopy: whoever named a thing does not write the line that
// somebody copies to a shell.
func TestRemediesAreSafeToCopy(t *testing.T) {
	s := ruleOf(t, "pass: 'false'\nevidence: {u: container.image.ref}\n")
	s.Rules()[0].Remedy.Run = "leave out {u}"
	for ref, want := range map[string]string{"nginx:1": "leave out nginx:1", "a b": "leave out a b", "/my dir": "leave out '/my dir'",
		`x\n; rm -rf /`: `leave out 'x?; rm -rf /'`, "it's": `leave out 'it'\''s'`} {
		if got := judgeSpec(t, s, `{"Image":"`+ref+`"}`)[0].Remedy.Run; got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"1.9", "1.10", -1}, {"20.10.24", "20.10.24+dfsg1", 0}, {"29.0.0-rc.1", "29.0.0", -1}, {"29", "29.0.0", 0}, {"v1.2", "1.2.1", -1}, {"99999999999999999999", "1", 1}, {"1.0-10", "1.0-9", 1}, {"28.0.0-rc.10", "28.0.0-rc.9", 1}, {"1-rc10", "1-rc9", 1},
		{"1-rc", "1-rc.1", -1}, {"1-alpha.2", "1-beta.1", -1}, {"1.007", "1.7", 0}, {"1.x", "1.0", 0}, {"library-import", "20.0", -1}} {
		got := compareVersions(tc.a, tc.b)
		if got < 0 {
			got = -1
		} else if got > 0 {
			got = 1
		}
		if got != tc.want {
			t.Errorf("%s to %s: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
