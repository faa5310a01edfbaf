package rule

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

// fixing is a set of one rule about a subject, which fails, with a fix.
func fixing(subject, fix string) (*Set, []byte, error) {
	text := "schema: plimsoll/rule/1\nrule: sample\nsubject: " + subject + "\nseverity: low\ntitle: The sample fails\nwhy: Because\nremedy: {run: mend}\npass: 'false'\n" +
		"evidence: {path: \"'/a b'\", n: '5', unseen: host.kernel}\n" + fix + "\n"
	s, err := Load(fstest.MapFS{"sample.yaml": {Data: []byte(text)}}, nil, "")
	if err != nil {
		return nil, nil, err
	}
	return s, []byte(text), s.Compile()
}

func TestFixOfAFinding(t *testing.T) {
	for _, tc := range []struct {
		subject, fix string
		want         *finding.Fix
	}{
		{"daemon", "fix: {daemon: {icc: false, log-level: null, labels: [a<b], default-ulimits: {nofile: {Soft: 1}}}}",
			&finding.Fix{Daemon: []finding.Setting{{Name: "icc", Value: "false"}, {Name: "log-level"}, {Name: "labels", Value: `["a<b"]`}, {Name: "default-ulimits", Value: `{"nofile":{"Soft":1}}`}}}},
		{"container", "fix: {update: {memory: 512m, pids-limit: '{n}', cpus: 1.5, restart: 'on-failure:{n}'}}",
			&finding.Fix{Update: []finding.Setting{{Name: "memory", Value: "512m"}, {Name: "pids-limit", Value: "5"}, {Name: "cpus", Value: "1.5"}, {Name: "restart", Value: "on-failure:5"}}}},
		{"file", "fix: {mode: '0640', owner: 'root:docker'}", &finding.Fix{Mode: "0640", Owner: "root:docker"}},
		{"file", "fix: {owner: ':root'}", &finding.Fix{Owner: ":root"}},
		{"file", "fix: {audit: '-w {path} -p rwxa -k docker'}", &finding.Fix{Audit: "-w /a b -p rwxa -k docker"}},
		{"host", "fix: {audit: -a always}", &finding.Fix{Audit: "-a always"}},
		{"container", "fix: {update: {memory: '{unseen}'}}", nil},
		{"container", "", nil},
	} {
		s, text, err := fixing(tc.subject, tc.fix)
		if err != nil {
			t.Errorf("%s: %v", tc.fix, err)
			continue
		}
		f := &facts.Facts{Files: []facts.File{{Path: "/a"}}, Containers: make([]workload.Spec, 2)}
		f.Unseen = []workload.Unseen{{Path: "host.kernel", Reason: "dark"}}
		packed, err := Pack(fstest.MapFS{"sample.yaml": {Data: text}})
		if err != nil {
			t.Fatal(err)
		}
		judged, err := LoadToJudge(packed, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		for form, set := range map[string]*Set{"written": s, "packed": judged} {
			found, err := set.Judge(f)
			if err != nil || len(found) == 0 {
				t.Fatalf("%s: %d findings, %v", tc.fix, len(found), err)
			}
			for _, x := range found {
				if diff := cmp.Diff(tc.want, x.Fix); diff != "" {
					t.Errorf("%s, %s: (-want +got)\n%s", tc.fix, form, diff)
				}
			}
		}
	}
}

func TestFixRefuses(t *testing.T) {
	for _, tc := range []struct{ subject, fix, want string }{
		{"daemon", "fix: {daemon: {ic: false}}", `did you mean "icc"`},
		{"daemon", "fix: {daemon: {config-file: /x}}", "no option of daemon.json"},
		{"daemon", "fix: {daemon: icc}", "no keys of daemon.json"},
		{"daemon", "fix: {daemon: {}}", "no keys of daemon.json"},
		{"container", "fix: {daemon: {icc: false}}", "whose subject is daemon"},
		{"daemon", "fix: {update: {memory: 5m}}", "whose subject is container"},
		{"container", "fix: {update: {kernel-memory: 5m}}", "use one of cpu-shares"},
		{"container", "fix: {update: {memory: [5]}}", `"memory" has no value`},
		{"container", "fix: {update: {memory: null}}", `"memory" has no value`},
		{"container", "fix: {update: {memory: '{size}'}}", "{size} is not in evidence"},
		{"container", "fix: {update: {memory: '{subject}'}}", "{subject} is not in evidence"},
		{"file", "fix: {mode: '644'}", "not a file mode"},
		{"file", "fix: {mode: u=rw}", "not a file mode"},
		{"container", "fix: {mode: '0644'}", "whose subject is file"},
		{"file", "fix: {owner: 'root:'}", "no user and no group"},
		{"file", "fix: {owner: 'root:root; x'}", "no user and no group"},
		{"file", "fix: {owner: '-R'}", "no user and no group"},
		{"file", "fix: {audit: '-D'}", "not a rule that auditctl takes"},
		{"file", "fix: {audit: \"-w a\\nb\"}", "not a rule that auditctl takes"},
		{"image", "fix: {audit: -w a}", "whose subject is file or host"},
		{"file", "fix: {chmod: '0644'}", "chmod"},
	} {
		_, _, err := fixing(tc.subject, tc.fix)
		var at *strict.Error
		if !errors.As(err, &at) || !strings.Contains(at.Msg+"; "+at.Hint, tc.want) || at.Line < 9 {
			t.Errorf("%s of a %s: %v", tc.fix, tc.subject, err)
		}
	}
}
