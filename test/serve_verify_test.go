package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/trail"
	written "github.com/plimsoll/plimsoll/internal/verdict"
)

// TestServeVerifies: with plimsoll serve beside the gate, an image that was signed runs once it
// is pulled, without anybody's command, and one that nobody signed does not; when it is signed,
// being refused is enough for the next try to pass. When the key is revoked, what it signed
// loses its verdict, and the trail names what runs from it.
func TestServeVerifies(t *testing.T) {
	t.Parallel()
	s := newSigned(t)
	trust := filepath.Join(s.dir, "trust.yaml")
	api, web, kept := s.name+":api", s.name+":web", s.name+":kept"
	for _, image := range []string{api, web, kept} {
		if err := s.e.Busybox(t.Context(), image, "LABEL is="+image); err != nil {
			t.Fatal(err)
		}
		docker(t, s.e, "push", image)
		if image != kept {
			docker(t, s.e, "rmi", image)
		}
	}
	s.sign(api)
	s.sign(kept)

	var said bytes.Buffer
	serve := exec.Command(filepath.Join(s.program, "plimsoll"), "serve", "--no-scan", "--host", s.e.Host(), "--trust", trust, "--state", s.state)
	serve.Stderr = &said
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Signal(syscall.SIGTERM)
		if err := serve.Wait(); err != nil || t.Failed() {
			t.Errorf("plimsoll serve: %v: %s", err, said.String())
		}
	})
	again(t, func() error {
		if len(s.events(t, trail.Engine)) == 0 {
			return fmt.Errorf("serve does not follow the engine")
		}
		return nil
	})
	// told waits for what was found last of an image.
	told := func(image string, want bool) *trail.Event {
		t.Helper()
		var last *trail.Event
		again(t, func() error {
			last = nil
			for _, one := range s.events(t, trail.Vouch) {
				if strings.HasPrefix(one.Subject.Name, image) {
					last = one
				}
			}
			if last == nil || last.Detail["trusted"] != want {
				return fmt.Errorf("of %s it is not told that it is trusted: %v, but %+v", image, want, last)
			}
			return nil
		})
		return last
	}
	refused := func(what string, args ...string) {
		t.Helper()
		if out, err := s.gated(args...); err == nil || !strings.Contains(out, "was not verified") {
			t.Errorf("%s: %v %s", what, err, out)
		}
	}
	// What nobody asked to be verified until now is, once it is refused.
	refused("never verified", "create", kept, "true")
	told(kept, true)
	s.must("create", kept, "true")

	s.must("pull", api)
	told(api, true)
	s.must("run", "-d", "--name", "front", "--stop-timeout", "1", api, "sleep", "600")
	s.must("pull", web)
	told(web, false)
	refused("pulled, and not signed", "create", web, "true")
	s.sign(web)
	refused("signed since", "create", web, "true")
	told(web, true)
	s.must("create", web, "true")

	id := docker(t, s.e, "image", "inspect", "-f", "{{.Id}}", api)
	verified := func() bool {
		v, err := written.Folder(filepath.Join(s.state, gate.VerdictFolder)).Read(id)
		if err != nil {
			t.Fatal(err)
		}
		return v.Verified != nil
	}
	if !verified() {
		t.Error("there is no verdict")
	}
	policy, err := os.ReadFile(trust)
	if err != nil {
		t.Fatal(err)
	}
	const key = "  release:\n"
	if err := os.WriteFile(trust, bytes.Replace(policy, []byte(key), []byte(key+"    revoked: 2026-11-20\n    why: the laptop was stolen\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	docker(t, s.e, "tag", web, "other:1") // else it looks at the policy in a minute
	for _, image := range []string{api, web, kept} {
		e := told(image, false)
		if is, _ := e.Detail["withdrawn"].(bool); !is || !strings.HasPrefix(e.Subject.Digest, "sha256:") {
			t.Errorf("%s: %+v", image, e)
		}
		runs, _ := e.Detail["containers"].([]any)
		if got := fmt.Sprint(runs); image == api && got != "[front]" || image != api && len(runs) > 0 {
			t.Errorf("from %s there runs %s", image, got)
		}
	}
	if verified() {
		t.Error("the verdict is still there")
	}
	refused("signed with what was revoked", "create", api, "true")
	if out := docker(t, s.e, "ps", "--format", "{{.Names}}"); out != "front" {
		t.Errorf("there runs %q", out)
	}
	if n := len(slices.DeleteFunc(s.events(t, trail.Vouch), func(e *trail.Event) bool { return e.Subject.ID != id })); n != 2 {
		t.Errorf("of %s it was told %d times", api, n)
	}
}
