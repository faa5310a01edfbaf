// Package notary runs a real server of Docker Content Trust for tests: Debian's notary, which
// keeps all in memory, on loopback.
package notary

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/test/lab"
)

// Notary is a real server of trust with its signer, which keep all in memory, and the keys of
// somebody who signs.
type Notary struct {
	T         *testing.T
	Authority *lab.Authority // that the server's certificate is of
	Dir       string         // of files
	Keys      string         // of the notary program: laid out as docker's folder of trust is
	URL       string
}

// program finds one of the notary package's.
func program(t *testing.T, name string) (string, []string) {
	t.Helper()
	path, environ, err := lab.Program("notary", "/usr/bin/"+name)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("this test needs a server of trust (Debian's notary)")
	}
	if err != nil {
		t.Fatalf("this test needs a server of trust; `make test` provides it: %v", err)
	}
	return path, environ
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs one of the servers with a configuration until the test ends.
func (n *Notary) start(name, address string, config map[string]any) {
	n.T.Helper()
	path, environ := program(n.T, name)
	file := filepath.Join(n.Dir, name+".json")
	if err := os.WriteFile(file, marshal(n.T, config), 0o600); err != nil {
		n.T.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, "-config", file)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), environ...), &log, &log
	if err := cmd.Start(); err != nil {
		n.T.Fatal(err)
	}
	n.T.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if n.T.Failed() {
			n.T.Logf("%s:\n%s", name, log.String())
		}
	})
	for range 500 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	n.T.Fatalf("%s does not listen", name)
}

// Start starts both, until the test ends.
func Start(t *testing.T) *Notary {
	t.Helper()
	program(t, "notary")
	n := &Notary{T: t, Dir: t.TempDir(), Keys: t.TempDir()}
	n.Authority = lab.NewAuthority(t, n.Dir)
	cert := &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	n.Authority.Issue("both", cert)
	file := n.Authority.File
	store := map[string]any{"backend": "memory"}
	signer, server := freeAddress(t), freeAddress(t)
	n.start("notary-signer", signer, map[string]any{"storage": store, "logging": map[string]any{"level": "warn"},
		"server": map[string]any{"grpc_addr": signer, "tls_cert_file": file("both.pem"), "tls_key_file": file("both-key.pem"), "client_ca_file": file("ca.pem")}})
	_, port, _ := net.SplitHostPort(signer)
	n.start("notary-server", server, map[string]any{"storage": store, "logging": map[string]any{"level": "warn"},
		"server":        map[string]any{"http_addr": server, "tls_cert_file": file("both.pem"), "tls_key_file": file("both-key.pem")},
		"trust_service": map[string]any{"type": "remote", "hostname": "127.0.0.1", "port": port, "key_algorithm": "ecdsa", "tls_ca_file": file("ca.pem"), "tls_client_cert": file("both.pem"), "tls_client_key": file("both-key.pem")}})
	n.URL = "https://" + server
	return n
}

// Run runs the notary program, which is told yes, and gives what it prints.
func (n *Notary) Run(args ...string) string {
	n.T.Helper()
	path, environ := program(n.T, "notary")
	cmd := exec.Command(path, append([]string{"-s", n.URL, "--tlscacert", n.Authority.File("ca.pem"), "-d", n.Keys}, args...)...)
	cmd.Env = append(append(os.Environ(), environ...), "HOME="+n.Keys) // nobody's configuration
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"} {
		cmd.Env = append(cmd.Env, "NOTARY_"+role+"_PASSPHRASE=not a secret")
	}
	cmd.Stdin = strings.NewReader("yes\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.T.Fatalf("notary %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Begin makes a repository as docker does: the server signs snapshots.
func (n *Notary) Begin(gun string) {
	n.T.Helper()
	n.Run("init", gun, "-p")
	n.Run("key", "rotate", gun, "snapshot", "-r")
}

// Sign signs a manifest as a tag, by its bytes, with more arguments.
func (n *Notary) Sign(gun, tag, content string, more ...string) {
	n.T.Helper()
	n.Run(append([]string{"addhash", gun, tag, fmt.Sprint(len(content)), "--sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(content))), "-p"}, more...)...)
}

// lister is a line of notary key list.
var lister = regexp.MustCompile(`(?m)^(root|targets) .*\b([0-9a-f]{64})\b`)

// IDs are the keys that notary key list has of a role.
func (n *Notary) IDs(role string) []string {
	var ids []string
	for _, line := range lister.FindAllStringSubmatch(n.Run("key", "list"), -1) {
		if line[1] == role {
			ids = append(ids, line[2])
		}
	}
	return ids
}

// Certs is a folder as docker's certs.d, with the authority for a server.
func (n *Notary) Certs(server string) string {
	n.T.Helper()
	certs := n.T.TempDir()
	u, err := url.Parse(server)
	if err != nil {
		n.T.Fatal(err)
	}
	pem, err := os.ReadFile(n.Authority.File("ca.pem"))
	if err == nil {
		err = os.Mkdir(filepath.Join(certs, u.Host), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(certs, u.Host, "ca.crt"), pem, 0o600)
	}
	if err != nil {
		n.T.Fatal(err)
	}
	return certs
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
