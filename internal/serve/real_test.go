package serve

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// docker runs docker's client and returns what it says without its last line end.
func docker(t *testing.T, run func(...string) (string, error), args ...string) string {
	t.Helper()
	out, err := run(args...)
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func realClient(t *testing.T, host string) *engine.Client {
	t.Helper()
	c, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: host, Source: "the lab"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRealSequence: what is done with docker's client is in the trail, each thing once
// and in order, and nothing else.
func TestRealSequence(t *testing.T) {
	e := lab.Private(t, nil)
	d := func(args ...string) string { t.Helper(); return docker(t, e.Docker, args...) }
	m := &memory{}
	w := watch(t, realClient(t, e.Host()), m, nil)
	w.follows(t)
	if diff := cmp.Diff([]string{"engine state=connected"}, realLines(m.all())); diff != "" {
		t.Fatalf("an engine that has nothing:\n%s", diff)
	}
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	labels := []string{"--label", "plimsoll.owner=ops", "--label", "plimsoll.why=the harbour's clock", "--label", "plimsoll.retire-after=90d", "--label", "org.opencontainers.image.revision=abc",
		"--label", "com.docker.compose.project=port"}
	first := d(append(append([]string{"run", "-d", "--name", "first"}, labels...), "web:1")...)
	d("exec", "first", "true")
	d("exec", "-u", "nobody", "first", "sh", "-c", "PASSWORD=hunter2secret true")
	d("pause", "first")
	d("unpause", "first")
	d("rename", "first", "second")
	d("update", "-m", "64m", "--memory-swap", "64m", "second")
	d("kill", "-s", "HUP", "second")
	d("stop", "-t", "0", "second")
	d("start", "second")
	d("network", "create", "quay")
	d("network", "connect", "quay", "second")
	d("network", "disconnect", "quay", "second")
	d("rm", "-f", "second")
	d("network", "rm", "quay")
	second := d("create", "--name", "second", "--privileged", "web:1")
	d("rm", "second")
	d("run", "-d", "--name", "sound", "--health-cmd", "test -e /bin/sh", "--health-interval", "200ms", "web:1")
	m.wait(t, trail.Healthy, "sound")
	d("exec", "sound", "/bin/sh", "-c", "test -e /bin/sh; true")
	d("exec", "-i", "sound", "/bin/sh", "-c", "test -e /bin/sh") // as the probe, but for its input
	d("rm", "-f", "sound")
	d("run", "-d", "--name", "stubborn", "--restart", "on-failure:2", "web:1", "sh", "-c", "exit 3")
	waitFor(t, "three ends", func() bool {
		return len(slices.DeleteFunc(m.all(), func(e *trail.Event) bool { return e.Type != trail.Die || e.Subject.Name != "stubborn" })) == 3
	})
	d("rm", "stubborn")
	_, _ = e.Docker("run", "--name", "greedy", "-m", "8m", "--memory-swap", "8m", "web:1", "sh", "-c", "x=a; while true; do x=$x$x; done")
	d("rm", "greedy")
	d("volume", "create", "hold")
	d("run", "--rm", "-v", "hold:/hold", "--name", "brief", "web:1", "true")
	d("volume", "rm", "hold")
	d("tag", "web:1", "web:2")
	d("rmi", "web:2")
	d("rmi", "web:1")
	m.wait(t, trail.Delete, "") // of the image itself

	want := `engine state=connected
tag web:1
load  action=import
deploy first owner=ops why=the harbour's clock project=port revision=abc restart=no
start first
exec first command=true
exec first command=sh -c PASSWORD=*** true user=nobody
pause first
resume first
rename second from=first to=second
update second
kill second signal=1
kill second signal=15
kill second signal=9
die second exit_code=137
stop second
start second
network quay action=create
network quay action=connect container_name=second
network quay action=disconnect container_name=second
kill second signal=9
die second exit_code=137
remove second
network quay action=destroy
deploy second restart=no privileged=true replaces=FIRST
remove second
deploy sound restart=no
start sound
healthy sound
exec sound command=/bin/sh -c test -e /bin/sh; true
exec sound command=/bin/sh -c test -e /bin/sh
kill sound signal=9
die sound exit_code=137
remove sound
deploy stubborn restart=on-failure
start stubborn
die stubborn exit_code=3
start stubborn by=engine
die stubborn exit_code=3
start stubborn by=engine
die stubborn exit_code=3
remove stubborn
deploy greedy restart=no
start greedy
die greedy exit_code=137 oom=true
remove greedy
volume hold action=create
deploy brief restart=no
start brief
die brief exit_code=0
remove brief
volume hold action=destroy
tag web:2
delete web:2 action=untag
delete web:1 action=untag
delete `
	want = strings.ReplaceAll(want, "FIRST", first)
	got := realLines(m.all())
	if diff := cmp.Diff(strings.Split(want, "\n"), got); diff != "" {
		t.Error(diff)
	}
	for _, e := range about(m.all(), "container") {
		if e.Subject.ID == "" || e.Subject.Image != "web:1" || !strings.HasPrefix(e.Subject.Digest, "sha256:") || timeIn(e.Detail, "at").IsZero() && e.Type != trail.Judge || e.Actor != nil {
			t.Errorf("not whole: %+v", e)
		}
	}
	deploy := m.wait(t, trail.Deploy, "first")
	if at, err := time.Parse(time.RFC3339, deploy.Declared.RetireAfter); err != nil || at.Sub(timeIn(deploy.Detail, "created")).Round(time.Hour) != 90*24*time.Hour || deploy.Declared.Source != "labels" {
		t.Errorf("declared: %+v, %v", deploy.Declared, err)
	}
	if sound := m.wait(t, trail.Healthy, "sound"); sound.Detail["seconds"] == nil {
		t.Errorf("no time that it took: %v", sound.Detail)
	}
	if second == "" {
		t.Error("the second container has no id")
	}

	// What is recorded is what there is: another watcher finds nothing new.
	w.end()
	n := len(m.all())
	watch(t, realClient(t, e.Host()), m, nil).follows(t)
	d("volume", "create", "mark")
	m.wait(t, trail.Volume, "mark")
	if diff := cmp.Diff([]string{"engine state=connected", "volume mark action=create"}, realLines(m.since(n))); diff != "" {
		t.Errorf("a second watcher:\n%s", diff)
	}
}

// realLines are events with all that does not differ from run to run.
func realLines(events []*trail.Event) []string {
	out := lines(events, "state", "action", "command", "user", "from", "to", "signal", "exit_code", "oom", "by", "container_name", "project", "revision", "restart", "privileged", "replaces", "found_later")
	for i, e := range events {
		switch {
		case e.Type == trail.Engine:
			out[i] = strings.Replace(out[i], " "+e.Subject.Name, "", 1)
		case e.Declared != nil:
			head := e.Type + " " + e.Subject.Name
			out[i] = head + " owner=" + e.Declared.Owner + " why=" + e.Declared.Why + strings.TrimPrefix(out[i], head)
		}
	}
	return out
}

// TestRealSwarm: what becomes of a service is recorded, and its containers tell whose they
// are.
func TestRealSwarm(t *testing.T) {
	e := lab.Private(t, nil)
	d := func(args ...string) string { t.Helper(); return docker(t, e.Docker, args...) }
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	d("swarm", "init", "--advertise-addr", "127.0.0.1")
	m := &memory{}
	watch(t, realClient(t, e.Host()), m, nil).follows(t)
	d("service", "create", "-d", "--name", "crane", "--stop-grace-period", "0s", "--container-label", "plimsoll.owner=ops", "web:1")
	var deploy *trail.Event
	waitFor(t, "its container", func() bool {
		for _, e := range m.all() {
			if e.Type == trail.Deploy && e.Detail["swarm_service"] == "crane" {
				deploy = e
			}
		}
		return deploy != nil
	})
	d("service", "update", "-d", "--replicas", "2", "crane")
	d("service", "rm", "crane")
	waitFor(t, "its end", func() bool { return m.has(trail.Remove, deploy.Subject.Name) })
	want := []string{"task crane action=create service=crane", "task crane action=update service=crane replicas=2", "task crane action=remove service=crane"}
	if diff := cmp.Diff(want, lines(about(m.all(), "service"), "action", "service", "replicas")); diff != "" {
		t.Error(diff)
	}
	if deploy.Declared == nil || deploy.Declared.Owner != "ops" || !strings.HasPrefix(textIn(deploy.Detail, "swarm_task"), "crane.1.") {
		t.Errorf("its container: %+v %v", deploy.Declared, deploy.Detail)
	}
}
