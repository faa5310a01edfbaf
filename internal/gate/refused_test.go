package gate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// TestRefusedEveryday: of what people do every day, the default policy refuses what is in
// the list, and says why.
func TestRefusedEveryday(t *testing.T) {
	t.Parallel()
	e := lab.Private(t, nil)
	if err := e.Busybox(context.Background(), "web:1"); err != nil {
		t.Fatal(err)
	}
	s := stand(t, e, Enforce, "")
	app := t.TempDir()
	if err := os.WriteFile(filepath.Join(app, "Dockerfile"), []byte("FROM web:1\nRUN true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range refusedEveryday {
		args, buildkit := words(step.line)[1:], strings.HasPrefix(step.line, "buildkit ")
		if args[len(args)-1] == "app" {
			args[len(args)-1] = app
		}
		if buildkit {
			out, err := dockerAt("unix://"+s.socket, append([]string{"DOCKER_BUILDKIT=1"}, args...)...)
			if err == nil || !step.refuses(out) {
				t.Errorf("%s: want a refusal with %q, got %v\n%s", step.line, step.refused, err, out)
			}
			continue
		}
		s.refused(t, step.refused, args...)
	}
}

// refusedEveryday are commands that people do use, and that the default policy refuses. In
// the mode observe they give what they give without the gate. This is the whole list: every
// other command that is compared passes.
var refusedEveryday = []step{
	{line: "docker run --rm --name pp --privileged web:1 true", refused: "(privileged, critical)"},
	{line: "docker run --rm --name pp -v /:/host:ro web:1 true", refused: "(host-root-mounted, critical)"},
	{line: "docker run --rm --name pp -v /run/docker.sock:/var/run/docker.sock web:1 true", refused: "(engine-socket-mounted, critical)"},
	{line: "docker run --rm --name pp -v /run/docker.sock:/var/run/docker.sock:ro web:1 true", refused: "(engine-socket-mounted, critical)"},
	{line: "docker run --rm --name pp -v /etc:/host-etc web:1 true", refused: "(host-system-writable, high)"},
	{line: "docker run --rm --name pp --network host web:1 true", refused: "(network-namespace-host, high)"},
	{line: "docker run --rm --name pp --pid host web:1 true", refused: "(pid-namespace-host, high)"},
	{line: "docker run --rm --name pp --ipc host web:1 true", refused: "(ipc-namespace-host, high)"},
	{line: "docker run --rm --name pp --cap-add sys_admin web:1 true", refused: "(capability-controls-host, high)"},
	{line: "docker run --rm --name pp --security-opt seccomp=unconfined web:1 true", refused: "(seccomp-unconfined, high)"},
	{line: "docker run --rm --name pp --security-opt systempaths=unconfined web:1 true", refused: "(system-paths-open, high)"},
	{line: "docker run --rm --name pp -e DB_PASSWORD=correct-horse-battery web:1 true", refused: "(secret-in-environment, high)"},
	{line: "docker volume create --name bound -o type=none -o o=bind -o device=/tmp", refused: "(volume-is-host-path, high)"},
	{line: "docker network create -d macvlan lan", refused: "puts containers on this host's own links"},
	{line: "docker run --rm --name l --log-driver fluentd web:1 true", refused: "the engine would send the log elsewhere"},
	{line: "docker build --network host -t p:1 app", refused: "(network-namespace-host, high)"},
	// The client says either that a connection of its was refused (received 403) or why its
	// build was: whichever answer it reads first.
	{line: "buildkit build -q --progress plain -t p:2 app", refused: "received 403|are not looked into", outside: true},
	{line: "docker plugin disable no/such", refused: "the class plugins"},
	{line: "docker swarm leave", refused: "the class swarm"},
	{line: "docker service create web:1", refused: "the class services"},
}
