package rule

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/cel"
	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// liveFacts are those of one running container that makes use of every field
// an engine has, so that lists are not empty and most rules have something to
// say. All of it was seen.
func liveFacts(t testing.TB) *facts.Facts {
	t.Helper()
	data, err := os.ReadFile("../workload/testdata/everything-inspect.json")
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := workload.FromInspect(data, workload.Surroundings{
		Daemon:  &workload.Daemon{Seccomp: "default", AppArmor: true, NoNewPrivilegesSeen: true, CgroupVersion: 2, PrivateCgroupns: true, DefaultRuntime: "runc", LogDriver: "json-file"},
		Image:   &workload.ImageConfig{ID: "sha256:12", Tags: []string{"app:1"}, Created: "2026-01-01T00:00:00Z", User: "root"},
		Volumes: map[string]workload.Volume{"data": {Driver: "local"}},
		Resolve: func(path string) ([]string, error) { return []string{path}, nil },
		Nodes:   func(string) ([]string, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	spec.Unseen = nil
	return &facts.Facts{Collected: time.Unix(1_780_000_000, 0), Containers: []workload.Spec{spec},
		Host:   facts.Host{Name: "harbour", OS: "Debian", CPUs: 4, MemoryBytes: 8 << 30, CgroupVersion: 2},
		Daemon: facts.Daemon{Version: "29.0.0", APIVersion: "1.52", Seccomp: "default", AppArmor: true, DefaultRuntime: "runc", Runtimes: []string{"runc"}, DataRoot: "/var/lib/docker"}}
}

// containerRules are all of ours about containers, compiled.
func containerRules(t testing.TB) *Set {
	t.Helper()
	all, err := Load(rules.Files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	set, err := all.Select(Selection{Subjects: []string{"container"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Compile(); err != nil {
		t.Fatal(err)
	}
	return set
}

// hideWhatIsRead makes every fact that any expression of a rule reads unseen,
// but of a list only an element that it does not have: so partial evaluation
// is all that ever runs, and still goes over the lists.
func hideWhatIsRead(s *Set, f *facts.Facts) {
	seen := map[string]bool{}
	for _, r := range s.Rules() {
		for _, e := range r.code.all() {
			for _, chain := range e.program.Paths() {
				path, below, ok := strings.Cut(strings.Join(chain, "."), ".")
				if !ok || seen[path+"."+below] {
					continue
				}
				seen[path+"."+below] = true
				if t := typeAt(e, chain); t == cel.List {
					below += "[1000]"
				}
				switch path {
				case "container":
					f.Containers[0].Unseen = append(f.Containers[0].Unseen, workload.Unseen{Path: below, Reason: "it was dark"})
				case "host", "daemon":
					f.Unseen = append(f.Unseen, workload.Unseen{Path: path + "." + below, Reason: "it was dark"})
				}
			}
		}
	}
}

// typeAt is the kind of the fact that chain names.
func typeAt(e *expression, chain []string) cel.Kind {
	fact, err := e.env.Compile(strings.Join(chain, "."))
	if err != nil {
		return cel.Dyn
	}
	return fact.Type().Kind()
}

// judgeCount judges and counts findings by status.
func judgeCount(t testing.TB, s *Set, f *facts.Facts) map[finding.Status]int {
	t.Helper()
	found, err := s.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[finding.Status]int{}
	for _, one := range found {
		counts[one.Status]++
	}
	return counts
}

// TestBenchmarksJudge: what the benchmarks measure is real work. All that was
// seen leads to verdicts both ways, and what is hidden to unknowns.
func TestBenchmarksJudge(t *testing.T) {
	set := containerRules(t)
	f := liveFacts(t)
	seen := judgeCount(t, set, f)
	if seen[finding.Fail] < 20 || seen[finding.Pass] < 20 || seen[finding.Unknown] > 0 {
		t.Errorf("all seen: %v", seen)
	}
	hideWhatIsRead(set, f)
	hidden := judgeCount(t, set, f)
	if hidden[finding.Unknown] < len(set.Rules())/2 {
		t.Errorf("all hidden: %v of %d rules", hidden, len(set.Rules()))
	}
}

func benchmarkJudge(b *testing.B, prepare func(*Set, *facts.Facts)) {
	set, f := containerRules(b), liveFacts(b)
	prepare(set, f)
	judgeCount(b, set, f)
	measureCPU(b, func() {
		if _, err := set.Judge(f); err != nil {
			b.Fatal(err)
		}
	})
	b.ReportMetric(float64(len(set.Rules())), "rules")
}

// measureCPU runs do for as long as the benchmark lasts and reports, beside
// the time that passed, the processor time of this process: the first grows
// with whatever else runs on the machine.
func measureCPU(b *testing.B, do func()) {
	b.Helper()
	b.ReportAllocs()
	runtime.GC()
	before := processorTime(b)
	for b.Loop() {
		do()
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkJudgeSeen is all rules over one container of which all was seen.
func BenchmarkJudgeSeen(b *testing.B) {
	benchmarkJudge(b, func(*Set, *facts.Facts) {})
}

// BenchmarkJudgeUnseen is the same with partial evaluation in every expression.
func BenchmarkJudgeUnseen(b *testing.B) {
	benchmarkJudge(b, hideWhatIsRead)
}

// BenchmarkLoad is reading and compiling all rules, as each audit does.
func BenchmarkLoad(b *testing.B) {
	measureCPU(b, func() {
		compiled.Clear()
		set, err := LoadToJudge(rules.Packed, nil, "")
		if err == nil {
			err = set.Compile()
		}
		if err != nil {
			b.Fatal(err)
		}
	})
}
