package cosign

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// debianRegistry starts the registry that Debian has, and gives its host.
func debianRegistry(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	var environ []string
	if err != nil {
		program, environ, err = lab.Program("docker-registry", "/usr/bin/docker-registry")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(config, []byte("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: "+dir+"/store\nhttp:\n  addr: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "serve", config)
	cmd.Env = environ
	said, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		writer.Close()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	listening := regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if at := listening.FindStringSubmatch(lines.Text()); at != nil {
			go io.Copy(io.Discard, said)
			return at[1]
		}
	}
	t.Fatal("the registry ended")
	return ""
}

// TestDebian: a registry that is not asked what refers to a manifest, as Debian has it, keeps
// both layouts, of several signers.
func TestDebian(t *testing.T) {
	host := debianRegistry(t)
	r := openAt(t, host, "team/app")
	other, subject := push(t, r, "another"), push(t, r, "the one")
	one, two, nobody := newSigner(t, "one", "p256"), newSigner(t, "two", "ed25519"), newSigner(t, "nobody", "p256")
	found, rejected := find(t, r, subject.Digest, trusting(one, two), Options{})
	refused(t, "before", found, rejected, NoSignature)
	for _, s := range []*Signer{one, two} {
		if err := s.SignTag(t.Context(), r, subject.Digest, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.SignReferrer(t.Context(), r, subject, noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []Layout{Referrers, Tags} {
		found, rejected = find(t, r, subject.Digest, trusting(one, two), Options{Layouts: []Layout{at}})
		holds(t, string(at), found, rejected, "key one", "key two")
		found, rejected = find(t, r, subject.Digest, trusting(nobody), Options{Layouts: []Layout{at}})
		refused(t, string(at)+" by nobody", found, rejected, WrongKey)
	}
	found, rejected = find(t, r, other.Digest, trusting(one, two), Options{})
	refused(t, "of another", found, rejected, NoSignature)
}
