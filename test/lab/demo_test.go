package lab

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDemo(t *testing.T) {
	needEngine(t)
	check := noTrace(t)
	script := `docker ps --all --format '{{.Names}} {{.State}}'; docker inspect --format '{{.Name}} {{.HostConfig.Privileged}} {{.HostConfig.PidMode}} {{.HostConfig.ReadonlyRootfs}}' $(docker ps --quiet)`
	cmd, out := labProcess(t, "demo", "sh", "-c", script)
	cmd.Env = append(cmd.Env, "PATH="+Path)
	if got := code(cmd.Run()); got != 0 {
		t.Fatalf("exit code %d: %s", got, out)
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	slices.Sort(got)
	want := []string{
		"/builder true  false", "/config false  false", "/db false  false", "/deployer false  false",
		"/monitor false host false", "/report false  false", "/web false  true", "/worker false  false",
		"builder running", "config running", "db running", "deployer running",
		"monitor running", "report running", "web running", "worker running",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	check("lab demo")
}
