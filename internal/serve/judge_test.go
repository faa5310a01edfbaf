package serve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/collect"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/rule"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/rules"
	"github.com/plimsoll/plimsoll/test/lab"
)

// verdicts is a judge whose words a test sets.
type verdicts struct {
	mu      sync.Mutex
	failing map[string][]string // by container
	calls   [][]string
	fail    int // so many calls
	begun   chan struct{}
	hold    chan struct{}
}

func (v *verdicts) judge(ctx context.Context, ids []string) (map[string][]finding.Finding, error) {
	if v.hold != nil {
		v.begun <- struct{}{}
		select {
		case <-v.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, slices.Clone(ids))
	if v.fail > 0 {
		v.fail--
		return nil, errTest
	}
	out := map[string][]finding.Finding{}
	for _, id := range ids {
		out[id] = []finding.Finding{result(id, "is-fine", finding.Low, finding.Pass), result("another", "is-anothers", finding.Critical, finding.Fail)}
		for _, name := range v.failing[id] {
			severity := finding.Medium
			if strings.HasPrefix(name, "high-") {
				severity = finding.High
			}
			out[id] = append(out[id], result(id, name, severity, finding.Fail), result(id, name, severity, finding.Fail))
		}
	}
	return out, nil
}

func (v *verdicts) set(id string, failing ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failing[id] = failing
}

func result(id, name string, s finding.Severity, is finding.Status) finding.Finding {
	return finding.Finding{About: &finding.About{Rule: name, Severity: s}, Detail: &finding.Detail{}, Subject: &finding.Subject{Kind: "container", ID: id}, Status: is}
}

func judgements(m *memory) []string {
	return lines(slices.DeleteFunc(m.all(), func(e *trail.Event) bool { return e.Type != trail.Judge }), "failing", "failed", "mended", "worst", "failing_rules")
}

// TestJudgements: the first judgement of a container is an event, and then each that is
// another; also beyond the watcher's end. One that is alike is none.
func TestJudgements(t *testing.T) {
	f, m := startFake(t), &memory{}
	v := &verdicts{failing: map[string][]string{idOf(1): {"no-limit", "high-root"}}, fail: 2}
	judging := func(c *Config) { c.Judge = v.judge }
	w := watch(t, f.client, m, judging)
	w.follows(t)
	var a, b *fakeContainer
	f.do(func() {
		a, b = f.create(1, nil), f.create(2, nil)
		f.start(a)
		f.start(b)
	})
	want := []string{"judge c1 failing=2 failed=[high-root no-limit] worst=high failing_rules=[high-root no-limit]", "judge c2 failing=0 worst="}
	judged := func(n int) { t.Helper(); waitFor(t, "judging", func() bool { return len(judgements(m)) >= n }) }
	judged(2)
	v.set(a.id, "no-limit", "new-one")
	f.do(func() {
		f.emit("container", "update", a.id, f.attrs(a))
		f.emit("container", "update", b.id, f.attrs(b))
	})
	want = append(want, "judge c1 failing=2 failed=[new-one] mended=[high-root] worst=medium failing_rules=[new-one no-limit]")
	judged(3)
	w.end()
	v.set(b.id, "new-one")
	f.do(func() { f.start(f.create(3, nil)) })
	watch(t, f.client, m, judging).follows(t)
	want = append(want, "judge c3 failing=0 worst=")
	judged(4)
	f.do(func() { f.emit("container", "update", b.id, f.attrs(b)) })
	want = append(want, "judge c2 failing=1 failed=[new-one] worst=medium failing_rules=[new-one]")
	judged(5)
	if diff := cmp.Diff(want, judgements(m)); diff != "" {
		t.Error(diff)
	}
}

// TestJudgingHoldsNothingUp: while a judge takes its time all that happens is recorded,
// and what it has to judge then is judged at once.
func TestJudgingHoldsNothingUp(t *testing.T) {
	f, m := startFake(t), &memory{}
	v := &verdicts{failing: map[string][]string{}, begun: make(chan struct{}), hold: make(chan struct{})}
	watch(t, f.client, m, func(c *Config) { c.Judge = v.judge }).follows(t)
	f.do(func() { f.start(f.create(0, nil)) })
	<-v.begun
	f.do(func() {
		for n := 1; n <= 100; n++ {
			f.start(f.create(n, nil))
		}
	})
	f.mark(m, "all recorded")
	if got := judgements(m); len(got) != 0 {
		t.Errorf("judged already: %v", got)
	}
	go func() {
		for range v.begun {
		}
	}()
	defer close(v.begun)
	close(v.hold)
	waitFor(t, "judging", func() bool { return len(judgements(m)) == 101 })
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.calls) != 2 {
		t.Errorf("%d calls for 101 containers", len(v.calls))
	}
}

// TestRealJudging: a container that starts is judged by all rules about containers as an
// audit of everything judges it, and a limit that it gets mends what it mends.
func TestRealJudging(t *testing.T) {
	e := lab.Private(t, nil)
	d := func(args ...string) string { t.Helper(); return docker(t, e.Docker, args...) }
	for _, name := range []string{"web:1", "other:1"} {
		if err := e.Busybox(context.Background(), name, "LABEL of="+name); err != nil {
			t.Fatal(err)
		}
	}
	d("run", "-d", "--name", "neighbour", "--privileged", "other:1")
	set, err := rule.LoadToJudge(rules.Packed, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	client := realClient(t, e.Host())
	cfg := collect.Config{Client: client, Now: time.Now, Root: "/"}
	judge, err := Judging(cfg, set)
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{}
	watch(t, client, m, func(c *Config) { c.Judge = judge }).follows(t)
	id := d("run", "-d", "--name", "web", "web:1")
	first := m.wait(t, trail.Judge, "web")
	m.wait(t, trail.Judge, "neighbour")

	f, err := collect.Engine(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	all, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	of := func(list []finding.Finding) (out []string) {
		for _, x := range list {
			if x.Subject.Kind == "container" && x.Subject.ID == id {
				out = append(out, fmt.Sprint(x.Rule, " ", x.Element, " ", x.Status, " ", x.Message))
			}
		}
		slices.Sort(out)
		return out
	}
	alone, err := judge(context.Background(), []string{id, idOf(1)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(of(all), of(alone[id])); diff != "" || len(alone) != 1 {
		t.Errorf("%d containers; judged with all others and alone:\n%s", len(alone), diff)
	}
	if diff := cmp.Diff(judgementOf(id, all).failing, textsIn(first.Detail, "failing_rules")); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(textsIn(first.Detail, "failed"), "memory-unlimited") {
		t.Errorf("failed: %v", first.Detail["failed"])
	}
	n := len(m.all())
	d("update", "-m", "64m", "--memory-swap", "64m", "web")
	waitFor(t, "judging again", func() bool {
		return slices.ContainsFunc(m.since(n), func(e *trail.Event) bool {
			return e.Type == trail.Judge && slices.Contains(textsIn(e.Detail, "mended"), "memory-unlimited") && e.Subject.ID == id
		})
	})
}
