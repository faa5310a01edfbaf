package dct

import (
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/test/lab"
)

// pushed is the line of docker push that tells what was pushed.
var pushed = regexp.MustCompile(`(?m)^1: digest: (sha256:[0-9a-f]{64}) size: ([0-9]+)`)

// TestDocker: what docker push signs is found, by docker's own folder of trust too, and docker
// takes it for the same.
func TestDocker(t *testing.T) {
	e := lab.Shared(t)
	n := startNotary(t)
	l := e.Listen(t)
	hub := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	go hub.Serve(l)
	t.Cleanup(func() { hub.Close() })
	gun := l.Addr().String() + "/sig/app"
	config := t.TempDir()
	o := n.options(n.URL)
	must(0, os.CopyFS(filepath.Join(config, "tls"), os.DirFS(o.Registries.Certs)))
	docker := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "docker", args...)
		cmd.Env = append(os.Environ(), "HOME="+config, "DOCKER_CONFIG="+config, "DOCKER_HOST="+e.Host(), "DOCKER_CONTENT_TRUST=1", "DOCKER_CONTENT_TRUST_SERVER="+n.URL,
			"DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE=not a secret", "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE=not a secret")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	push := func(label string) (string, int64) {
		t.Helper()
		must(0, e.Busybox(t.Context(), gun+":1", "LABEL is="+label))
		told := pushed.FindStringSubmatch(docker("push", gun+":1"))
		if told == nil {
			t.Fatal("docker does not say what it pushed")
		}
		return told[1], must(strconv.ParseInt(told[2], 10, 64))
	}
	t.Cleanup(func() { e.Docker("rmi", "-f", gun+":1") })
	for _, label := range []string{"one", "two"} {
		digest, size := push(label)
		got, err := Resolve(t.Context(), o, gun, "1", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Covers(digest, size); err != nil {
			t.Error(err)
		}
		if out := docker("pull", gun+":1"); !strings.Contains(out, digest) {
			t.Errorf("docker takes it for another:\n%s", out)
		}
	}
	o = Options{Trust: Trust{Server: n.URL}, State: t.TempDir(), Docker: filepath.Join(config, "trust"), Registries: image.Registries{Certs: filepath.Join(config, "tls")}}
	if got, err := Resolve(t.Context(), o, gun, "1", time.Now()); err != nil || got.First {
		t.Errorf("by docker's folder: %+v, %v", got, err)
	}
	o.Docker = ""
	_, err := Resolve(t.Context(), o, gun, "2", time.Now())
	refused(t, err, StepNoTag, `"2"`)
}
