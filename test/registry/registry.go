// Package registry runs a real registry for tests: Debian's docker-registry, on loopback, which is
// not asked what refers to a manifest.
package registry

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

// Start starts the registry, empty, until the test ends, and gives its host, on loopback.
func Start(t *testing.T) string {
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
