package deploy

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/declare"
	"github.com/plimsoll/plimsoll/test/lab"
)

// TestDocker: what docker's own client makes has the labels, and everything else is as it is
// without us.
func TestDocker(t *testing.T) {
	g := newGround(t)
	t.Run("run", func(t *testing.T) {
		g := g.in(t)
		r := g.must("docker", "run", "-d", "--name", "plain", "web:1", "sleep", "86400")
		g.has("plain", ops)
		if r.Containers != 1 || r.Services != 0 || r.Requests < 3 {
			t.Errorf("counted %+v", r.Result)
		}
		g.must("docker", "create", "--name", "labelled", "-l", "a=b", "-l", "plimsoll.owner=ana", "-l", "plimsoll.why=mine", "web:1")
		g.has("labelled", ops, "a=b", "plimsoll.owner=ana", "plimsoll.why=mine")
		if labels := g.labels("labelled"); labels["plimsoll.owner"] != "ops" || labels["plimsoll.why"] != "mine" {
			t.Errorf("what is said by hand, and what is written: %v", labels)
		}
		// Without us there are none.
		g.docker("create", "--name", "beside", "web:1")
		if labels := g.labels("beside"); len(labels) > 0 {
			t.Errorf("beside: %v", labels)
		}
	})
	t.Run("streams", func(t *testing.T) {
		g := g.in(t)
		if r := g.run(strings.NewReader("in\n"), nil, "docker", "run", "--rm", "-i", "web:1", "sh", "-c", "cat; echo err >&2; exit 4"); r.Code != 4 || r.out != "in\n" || r.errs != "err\n" {
			t.Errorf("docker run -i: %+v", r)
		}
		data := make([]byte, 3<<20)
		_, _ = rand.Read(data)
		if r := g.run(strings.NewReader(string(data)), nil, "docker", "exec", "-i", "plain", "sha256sum"); r.Code != 0 || !strings.Contains(r.out, fmt.Sprintf("%x", sha256.Sum256(data))) {
			t.Errorf("docker exec -i: %+v", r)
		}
		if r := g.must(shell("docker events --since 0 --until $(($(date +%%s)+1)) --filter event=create | grep -c create")...); strings.TrimSpace(r.out) == "0" {
			t.Errorf("docker events: %+v", r)
		}
		file := filepath.Join(g.home, "file")
		write(t, file, string(data))
		g.must(shell("docker cp %s plain:/f && docker cp plain:/f %s.back && cmp %s %s.back && docker save web:1 | docker load", file, file, file, file)...)
		write(t, filepath.Join(g.home, "Dockerfile"), "FROM web:1\nRUN echo built\n")
		if r := g.must("docker", "build", "-q", "-t", "built:1", "."); !strings.HasPrefix(r.out, "sha256:") || r.Containers != 0 && r.Containers != 1 {
			t.Errorf("docker build: %+v", r)
		}
		// BuildKit takes its connections over; what it says of itself tells that it was asked.
		r := g.run(nil, func(c *Config) { c.Environ = append(slices.Clone(c.Environ), "DOCKER_BUILDKIT=1") }, "docker", "build", "-t", "built:2", ".")
		bare, err := g.engine.Docker("version")
		if err != nil || bare == "" || !strings.Contains(r.errs, "load build definition") && !strings.Contains(r.errs, "buildx") {
			t.Errorf("docker build by BuildKit: %+v", r)
		}
	})
	t.Run("ends", func(t *testing.T) {
		g := g.in(t)
		for line, want := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 125": 125, "kill -TERM $$": 128 + 15, "kill -KILL $$": 128 + 9, "docker run --rm web:1 sh -c 'exit 42'": 42, "docker run --rm nowhere.invalid/none:1": 125} {
			if r := g.run(nil, nil, shell("%s", line)...); r.Code != want {
				t.Errorf("%s: %d, want %d: %s", line, r.Code, want, r.errs)
			}
		}
		for _, command := range []string{"no-such-program", "/etc/passwd", g.home} {
			c := g.c
			c.Command = []string{command}
			if _, err := Run(t.Context(), c); !errors.Is(err, ErrNotStarted) {
				t.Errorf("%s: %v", command, err)
			}
			if left, _ := os.ReadDir(c.Folders[0]); len(left) > 0 {
				t.Errorf("%s leaves %v", command, left)
			}
		}
		// What waits for the engine does not outlive the command.
		r := g.must(shell("docker events >/dev/null 2>&1 & docker wait plain >/dev/null 2>&1 & sleep 0.5")...)
		if r.Requests < 2 {
			t.Errorf("nothing waits: %+v", r.Result)
		}
	})
	t.Run("signals", func(t *testing.T) {
		g := g.in(t)
		for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
			signals := make(chan os.Signal, 1)
			ready := filepath.Join(t.TempDir(), "ready")
			go func() {
				for {
					if _, err := os.Stat(ready); err == nil {
						signals <- sig
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
			r := g.run(nil, func(c *Config) { c.Signals = signals }, shell("trap 'echo told; exit 9' TERM HUP QUIT; touch %s; while :; do sleep 0.05; done", ready)...)
			if r.Code != 9 || r.out != "told\n" {
				t.Errorf("%v: %+v", sig, r)
			}
		}
	})
	t.Run("socket", func(t *testing.T) {
		g := g.in(t)
		r := g.must(shell(`stat -c '%%a %%u' $(dirname $SOCKET); env | grep ^DOCKER_ | sort | sed 's/=.*//'; ls $(dirname $SOCKET)`)...)
		if want := fmt.Sprintf("700 %d\nDOCKER_BUILDKIT\nDOCKER_CONFIG\nDOCKER_HOST\ndocker.sock\n", os.Getuid()); r.out != want {
			t.Errorf("it has %q, want %q", r.out, want)
		}
		long := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
		if err := os.Mkdir(long, 0o755); err != nil {
			t.Fatal(err)
		}
		c := g.c
		c.Command, c.Folders = []string{"true"}, []string{"", "/nowhere", long}
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "making a socket") {
			t.Errorf("without a folder: %v", err)
		}
		c.Folders = append(c.Folders, t.TempDir())
		if _, err := Run(t.Context(), c); err != nil {
			t.Errorf("with one in the end: %v", err)
		}
		if left, _ := os.ReadDir(long); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	})
	const newer = "/usr/local/bin/docker"
	if _, err := os.Stat(newer); err == nil {
		if r := g.run(strings.NewReader("in\n"), nil, newer, "run", "-i", "--name", "newer", "web:1", "cat"); r.Code != 0 || r.out != "in\n" {
			t.Errorf("a newer client: %+v", r)
		}
		g.has("newer", ops)
	}
	t.Run("no engine", func(t *testing.T) {
		g := g.in(t)
		g.docker("pause", "plain")
		g.docker("unpause", "plain")
		other := groundAt(t, g.engine, endpointOf("unix://"+filepath.Join(t.TempDir(), "none.sock")))
		if r := other.run(nil, nil, "docker", "create", "web:1"); r.Code == 0 || !strings.Contains(r.errs, "can't reach the engine at unix:") || r.Containers != 0 {
			t.Errorf("%+v", r)
		}
	})
	swarmed(t, g)
}

// swarmed makes and changes services.
func swarmed(t *testing.T, g *ground) {
	g.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
	labels := func(name string) (service, containers map[string]string) {
		t.Helper()
		return textMap(t, g.docker("service", "inspect", "-f", "{{json .Spec.Labels}}", name)), textMap(t, g.docker("service", "inspect", "-f", "{{json .Spec.TaskTemplate.ContainerSpec.Labels}}", name))
	}
	as := func(s declare.Saying, command ...string) ended {
		t.Helper()
		r := g.run(nil, func(c *Config) { c.Saying = s }, command...)
		if r.Code != 0 {
			t.Fatalf("%q: %+v", command, r)
		}
		return r
	}
	release := func(n string) declare.Saying {
		return declare.Saying{Known: declare.Said{Owner: "ops", Why: "release " + n, Run: "https://g/" + n}}
	}
	t.Run("service", func(t *testing.T) {
		if r := as(release("1"), "docker", "service", "create", "--detach", "--replicas", "0", "--name", "web", "-l", "a=b", "--container-label", "c=d", "web:1"); r.Services != 1 {
			t.Errorf("counted %+v", r.Result)
		}
		service, containers := labels("web")
		if service["plimsoll.why"] != "release 1" || service["a"] != "b" || containers["plimsoll.why"] != "release 1" || containers["c"] != "d" {
			t.Errorf("made: %v, %v", service, containers)
		}
		// What is known of another release replaces what was known of the last one. The
		// containers are not made anew for that.
		if r := as(release("2"), "docker", "service", "update", "--detach", "--label-add", "a=c", "web"); r.Updates != 1 {
			t.Errorf("counted %+v", r.Result)
		}
		service, containers = labels("web")
		if service["plimsoll.why"] != "release 2" || service["plimsoll.run"] != "https://g/2" || service["a"] != "c" || containers["plimsoll.why"] != "release 1" {
			t.Errorf("changed: %v, %v", service, containers)
		}
		as(declare.Saying{Said: declare.Said{Owner: "ana", Why: "more"}}, "docker", "service", "update", "--detach", "--limit-memory", "64M", "web")
		service, containers = labels("web")
		if _, run := containers["plimsoll.run"]; run || service["plimsoll.why"] != "more" || containers["plimsoll.why"] != "more" || containers["plimsoll.owner"] != "ana" || containers["c"] != "d" {
			t.Errorf("with other containers: %v, %v", service, containers)
		}
	})
	t.Run("stack", func(t *testing.T) {
		g := g.in(t)
		file := filepath.Join(g.home, "shop.yml")
		write(t, file, "version: '3.8'\nservices:\n  one: {image: 'web:1', command: sleep 1, environment: [A=1], labels: {x: z}, deploy: {replicas: 0, labels: {x: y, plimsoll.why: written}, resources: {limits: {memory: 64M}}}}\n  two: {image: 'web:1', deploy: {replicas: 0}}\n")
		template := func(name string) string {
			return g.docker("service", "inspect", "-f", "{{json .Spec.TaskTemplate}}", name)
		}
		deploy := []string{"docker", "stack", "deploy", "-c", file, "shop"}
		r := g.run(nil, func(c *Config) { c.Saying = release("1") }, deploy...)
		if r.Code != 0 {
			t.Fatalf("%+v", r)
		}
		one, two := template("shop_one"), template("shop_two")
		service, containers := labels("shop_one")
		if r.Services != 2 || service["plimsoll.why"] != "written" || service["plimsoll.owner"] != "ops" || containers["plimsoll.why"] != "release 1" || containers["x"] != "z" {
			t.Errorf("counted %+v, %v, %v", r.Result, service, containers)
		}
		// A second time changes no container, though a run of another address deploys it.
		if r = as(release("2"), deploy...); r.Updates != 2 {
			t.Errorf("counted %+v", r.Result)
		}
		if service, _ = labels("shop_one"); service["plimsoll.run"] != "https://g/2" || service["plimsoll.why"] != "written" {
			t.Errorf("the second time %v", service)
		}
		if one != template("shop_one") || two != template("shop_two") {
			t.Errorf("the containers are others:\n%s\n%s", one, template("shop_one"))
		}
	})
}

// TestCompose: docker-compose's containers have the labels, and its second up makes none
// anew, though another run deploys it.
func TestCompose(t *testing.T) {
	program, environ := lab.Compose(t)
	g := newGround(t)
	write(t, filepath.Join(g.home, "docker-compose.yml"), "version: '3.8'\nservices:\n  one: {image: 'web:1', command: sleep 86400, stop_grace_period: 0s}\n"+
		"  two: {image: 'web:1', command: sleep 86400, stop_grace_period: 0s, labels: {plimsoll.why: written, a: b}}\n")
	up := func(s declare.Saying) ended {
		t.Helper()
		r := g.run(nil, func(c *Config) {
			c.Saying, c.Environ = s, slices.Concat(c.Environ, environ, []string{"COMPOSE_PROJECT_NAME=shop"})
		}, append(slices.Clone(program), "--no-ansi", "up", "-d")...)
		if r.Code != 0 {
			t.Fatalf("%+v", r)
		}
		return r
	}
	ids := func() string {
		return g.docker("ps", "-q", "--no-trunc", "--filter", "label=com.docker.compose.project=shop")
	}
	if r := up(ops); r.Containers != 2 {
		t.Errorf("counted %+v", r)
	}
	before := ids()
	one, two := g.labels("shop_one_1"), g.labels("shop_two_1")
	if one["plimsoll.owner"] != "ops" || one["plimsoll.why"] != ops.Known.Why || two["plimsoll.owner"] != "ops" || two["plimsoll.why"] != "written" || two["a"] != "b" {
		t.Errorf("%v, %v", one, two)
	}
	if r := up(declare.Saying{Said: declare.Said{Owner: "ana", Why: "again"}}); r.Containers != 0 || ids() != before {
		t.Errorf("the second up has made %+v:\n%s\n%s", r.Result, before, ids())
	}
}

// TestSDK: what docker-py does in a long script comes to the same as without us, but for the
// labels.
func TestSDK(t *testing.T) {
	program, environ := lab.Compose(t)
	g := newGround(t)
	script, err := filepath.Abs("../gate/testdata/sdk.py")
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`[0-9a-f]{10,64}`)
	lines := func(r ended) []string {
		t.Helper()
		if r.Code != 0 {
			t.Fatalf("%+v", r)
		}
		return strings.Split(ids.ReplaceAllString(r.out, "ID"), "\n")
	}
	with := func(c *Config) { c.Environ = slices.Concat(c.Environ, environ) }
	bare := lines(g.run(nil, func(c *Config) {
		with(c)
		c.Environ = append(c.Environ, "ENGINE="+g.engine.Host())
	}, "sh", "-c", `DOCKER_HOST=$ENGINE exec "$@"`, "sh", program[0], script))
	g.docker("rm", "-f", "py-bad") // which the script leaves
	r := g.run(nil, with, program[0], script)
	got := lines(r)
	if len(got) != len(bare) || r.Containers < 3 {
		t.Fatalf("counted %+v\n%s", r.Result, cmp.Diff(bare, got))
	}
	labelled := 0
	for i, line := range got {
		if strings.Contains(line, "'plimsoll.owner': 'ops'") && strings.Contains(line, "'x': ''") {
			labelled++
		} else if line != bare[i] {
			t.Errorf("%s instead of %s", line, bare[i])
		}
	}
	if labelled != 1 {
		t.Errorf("%d lines tell of labels: %q", labelled, got)
	}
}
