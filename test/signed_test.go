package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/test/lab"
)

// signed is an engine with a gate that requires images to be verified, and a registry that both
// reach by one name.
type signed struct {
	*testing.T
	*day
	e    *lab.Engine
	hub  *http.Server
	off  atomic.Bool // the registry does not answer
	name string      // of the repository
	dir  string
	sock string
}

func newSigned(t *testing.T) *signed {
	t.Helper()
	dir := t.TempDir()
	s := &signed{T: t, day: &day{program: build(t), state: filepath.Join(dir, "state")}, e: lab.Private(t, nil), dir: dir, sock: filepath.Join(dir, "gate.sock")}
	hub, host := standRegistry(t, s.e, func(there http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.off.Load() {
				panic(http.ErrAbortHandler)
			}
			there.ServeHTTP(w, r)
		})
	})
	s.hub, s.name = hub, host+"/shop/api"

	private, block := newPair(t)
	for file, text := range map[string]string{
		"release.key": private,
		"trust.yaml":  "schema: plimsoll/trust/1\nkeys:\n  release:\n    pem: |\n      " + block + "\nimages:\n  - {name: \"" + s.name + "\", signed: {any: [{key: release}]}}\n",
		"policy.yaml": "schema: plimsoll/policy/1\nenforce: {severity: critical}\nrequire: {verdict: {verified: true}}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	standGate(t, s.program, s.e, filepath.Join(dir, "policy.yaml"), s.sock, s.state)
	return s
}

// verify has an image verified, with this exit code.
func (s *signed) verify(want int, told string, args ...string) {
	s.Helper()
	args = append([]string{"image", "verify", "--host", s.e.Host(), "--trust", filepath.Join(s.dir, "trust.yaml")}, args...)
	if out := s.plimsoll(s.T, want, args...); !strings.Contains(out, told) {
		s.Errorf("%q: %s, without %q", args[6:], out, told)
	}
}

// sign signs what a tag leads to, in a second in which nothing else was.
func (s *signed) sign(image string) {
	s.Helper()
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	s.plimsoll(s.T, 0, "image", "sign", "--key", filepath.Join(s.dir, "release.key"), image)
}

// gated runs docker through the gate.
func (s *signed) gated(args ...string) (string, error) {
	cmd := exec.Command("docker", append([]string{"-H", "unix://" + s.sock}, args...)...)
	cmd.Env = []string{"PATH=" + lab.Path, "HOME=" + s.dir, "DOCKER_CONFIG=" + s.dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is gated, and it must be right.
func (s *signed) must(args ...string) {
	s.Helper()
	if out, err := s.gated(args...); err != nil {
		s.Errorf("docker %q: %v %s", args, err, out)
	}
}

// runs fails where a container can't be made of an image.
func (s *signed) runs(what, image string) {
	s.Helper()
	if out, err := s.gated("create", "--rm", image, "true"); err != nil {
		s.Errorf("%s does not run: %v %s", what, err, out)
	}
}

// refused fails where one can, or what is told lacks something.
func (s *signed) refused(what, image, told string) {
	s.Helper()
	if out, err := s.gated("create", "--rm", image, "true"); err == nil || !strings.Contains(out, told) {
		s.Errorf("%s: %v %s, without %q", what, err, out, told)
	}
}

// push makes an image and sends it to the registry, by the tag 1. It gives the digest there.
func (s *signed) push(label string) string {
	s.Helper()
	if err := s.e.Busybox(s.Context(), s.name+":1", "LABEL is="+label); err != nil {
		s.Fatal(err)
	}
	s.docker("push", s.name+":1")
	named := s.docker("image", "inspect", "-f", "{{index .RepoDigests 0}}", s.name+":1")
	_, digest, _ := strings.Cut(named, "@")
	return digest
}

// docker runs docker beside the gate.
func (s *signed) docker(args ...string) string {
	s.Helper()
	out, err := s.e.Docker(args...)
	if err != nil {
		s.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// TestSigned: through a gate whose policy requires it, an image runs once those who are trusted
// have signed it and that was verified; one that nobody signed does not, nor what the tag leads
// to later. What was verified still counts where the registry is gone, until the signer's key is
// revoked, and the trail names the signer.
func TestSigned(t *testing.T) {
	t.Parallel()
	s := newSigned(t)
	image := s.name + ":1"
	verify := "plimsoll image verify " + image
	s.push("one")
	s.refused("unsigned", image, verify)
	s.verify(1, "is not trusted", image)
	s.refused("unsigned, and seen to be", image, verify)
	s.sign(image)
	s.refused("signed, and not seen to be", image, verify)
	s.verify(0, "is trusted: cosign key release", image)
	s.runs("signed and verified", image)
	first := s.docker("image", "inspect", "-f", "{{.Id}}", image)
	s.push("two")
	s.refused("another image by the tag", image, verify)
	s.verify(1, "is not trusted", image)
	if err := s.hub.Close(); err != nil {
		t.Fatal(err)
	}
	s.runs("verified, and the registry gone", first)
	s.refused("unsigned, and the registry gone", image, verify)
	s.verify(3, "", image)
	var by []string
	for line := range strings.Lines(s.plimsoll(t, 0, "trail", "list", "--format", "json")) {
		one, err := trail.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if one.Type == trail.Vouch {
			by = append(by, fmt.Sprint(one.Detail["by"]))
		}
	}
	if len(by) != 3 || by[1] != "[cosign key release]" {
		t.Errorf("the trail says %q", by)
	}
	// What the key vouched for is taken back when it is revoked, with the registry still gone,
	// and what runs of it is told until it is no more.
	s.docker("run", "-d", "--name", "kept", first, "sleep", "1000")
	revoke := func(want int, told string) {
		t.Helper()
		if out := s.plimsoll(t, want, "trust", "keys", "revoke", "release", "--why", "the laptop was stolen", "--host", s.e.Host(), "--trust", filepath.Join(s.dir, "trust.yaml")); !strings.Contains(out, told) {
			t.Errorf("%s, without %q", out, told)
		}
	}
	revoke(1, "kept runs "+first)
	s.refused("by a revoked key", first, "plimsoll image verify "+first)
	s.docker("rm", "-f", "kept")
	revoke(0, "0 containers")
}

// TestReplay: where the registry leads a tag back to an older image, rightly signed once, that
// image is refused by the tag, with the registry and without; what is newer runs, and so do a
// container that is there, and who names the image by its digest. Signed anew, it runs.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := newSigned(t)
	image := s.name + ":1"
	older := s.push("one")
	s.sign(image)
	s.verify(0, "is trusted: cosign key release", image)
	s.must("run", "-d", "--name", "first", image)
	newer := s.push("two")
	s.must("pull", "-q", image)
	s.sign(image)
	s.verify(0, "is trusted: cosign key release", image)
	s.runs("the newer", image)

	ref, err := name.NewTag(image)
	if err != nil {
		t.Fatal(err)
	}
	old, err := remote.Get(ref.Digest(older))
	if err == nil {
		err = remote.Tag(ref, old)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.must("pull", "-q", image)
	holds := func() {
		t.Helper()
		s.refused("led back", image, "has stood for "+newer)
		s.runs("the newer by its digest", s.name+"@"+newer)
		s.runs("the older by tag and digest", image+"@"+older)
		s.must("restart", "-t", "0", "first") // of the older, and there
	}
	holds()
	t.Run("compose", func(t *testing.T) {
		program, environ := lab.Compose(t)
		file := filepath.Join(s.dir, "docker-compose.yml")
		if err := os.WriteFile(file, []byte("version: '3.8'\nservices: {api: {image: '"+image+"'}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program[0], program[1], "-H", "unix://"+s.sock, "-f", file, "up", "-d")
		cmd.Env = append(environ, "PATH="+lab.Path, "HOME="+s.dir, "DOCKER_CONFIG="+s.dir)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "docker pull "+image) {
			t.Errorf("%v %s", err, out)
		}
	})
	for _, ref := range []string{image, "registry:" + image} {
		s.verify(1, `"refused": "replay"`, "--format", "json", ref)
	}
	s.verify(0, "is trusted", image+"@"+older)
	s.off.Store(true)
	holds()
	s.must("tag", s.name+"@"+newer, image)
	s.runs("the newer, and the registry gone", image)
	s.must("tag", s.name+"@"+older, image)
	s.off.Store(false)

	s.sign(image)
	s.verify(0, "is trusted: cosign key release", image)
	s.runs("signed anew", image)
	s.must("tag", s.name+"@"+newer, image)
	s.refused("what it was gone back from", image, "docker pull "+image)
	s.verify(1, `"refused": "replay"`, "--format", "json", image)
	s.verify(0, "gone back to: orders are lost", "--explain", "--rollback", "orders are lost", image)
	s.runs("gone back to", image)
	if log := s.plimsoll(t, 0, "trail", "list", "--format", "json"); !strings.Contains(log, "orders are lost") {
		t.Errorf("the trail does not say why: %s", log)
	}
}
