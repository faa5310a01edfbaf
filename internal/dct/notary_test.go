package dct

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/test/lab"
)

// notary is a real server of trust with its signer, which keep all in memory, and the keys of
// somebody who signs.
type notary struct {
	t         *testing.T
	authority *lab.Authority
	dir       string // of files
	keys      string // of the notary program: laid out as docker's folder of trust is
	url       string
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
func (n *notary) start(name, address string, config object) {
	n.t.Helper()
	path, environ := program(n.t, name)
	file := filepath.Join(n.dir, name+".json")
	if err := os.WriteFile(file, must(json.Marshal(config)), 0o600); err != nil {
		n.t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(path, "-config", file)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), environ...), &log, &log
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if n.t.Failed() {
			n.t.Logf("%s:\n%s", name, log.String())
		}
	})
	for range 500 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	n.t.Fatalf("%s does not listen", name)
}

// startNotary starts both.
func startNotary(t *testing.T) *notary {
	t.Helper()
	program(t, "notary")
	n := &notary{t: t, dir: t.TempDir(), keys: t.TempDir()}
	n.authority = lab.NewAuthority(t, n.dir)
	cert := &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	n.authority.Issue("both", cert)
	file := n.authority.File
	store := object{"backend": "memory"}
	signer, server := freeAddress(t), freeAddress(t)
	n.start("notary-signer", signer, object{"storage": store, "logging": object{"level": "warn"},
		"server": object{"grpc_addr": signer, "tls_cert_file": file("both.pem"), "tls_key_file": file("both-key.pem"), "client_ca_file": file("ca.pem")}})
	_, port, _ := net.SplitHostPort(signer)
	n.start("notary-server", server, object{"storage": store, "logging": object{"level": "warn"},
		"server":        object{"http_addr": server, "tls_cert_file": file("both.pem"), "tls_key_file": file("both-key.pem")},
		"trust_service": object{"type": "remote", "hostname": "127.0.0.1", "port": port, "key_algorithm": "ecdsa", "tls_ca_file": file("ca.pem"), "tls_client_cert": file("both.pem"), "tls_client_key": file("both-key.pem")}})
	n.url = "https://" + server
	return n
}

// run runs the notary program, which is told yes, and gives what it prints.
func (n *notary) run(args ...string) string {
	n.t.Helper()
	path, environ := program(n.t, "notary")
	cmd := exec.Command(path, append([]string{"-s", n.url, "--tlscacert", n.authority.File("ca.pem"), "-d", n.keys}, args...)...)
	cmd.Env = append(os.Environ(), environ...)
	for _, role := range []string{"ROOT", "TARGETS", "SNAPSHOT", "DELEGATION"} {
		cmd.Env = append(cmd.Env, "NOTARY_"+role+"_PASSPHRASE=not a secret")
	}
	cmd.Stdin = strings.NewReader("yes\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("notary %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// begin makes a repository as docker does: the server signs snapshots.
func (n *notary) begin(gun string) {
	n.t.Helper()
	n.run("init", gun, "-p")
	n.run("key", "rotate", gun, "snapshot", "-r")
}

// sign signs an image as a tag, and says so with more arguments.
func (n *notary) sign(gun, tag, content string, more ...string) {
	n.t.Helper()
	n.run(append([]string{"addhash", gun, tag, fmt.Sprint(len(content)), "--sha256", fmt.Sprintf("%x", sha256.Sum256([]byte(content))), "-p"}, more...)...)
}

// options trust a server of the authority's on first use.
func (n *notary) options(server string) Options {
	n.t.Helper()
	certs := n.t.TempDir()
	u := must(url.Parse(server))
	if err := os.Mkdir(filepath.Join(certs, u.Host), 0o700); err != nil {
		n.t.Fatal(err)
	}
	pem := must(os.ReadFile(n.authority.File("ca.pem")))
	if err := os.WriteFile(filepath.Join(certs, u.Host, "ca.crt"), pem, 0o600); err != nil {
		n.t.Fatal(err)
	}
	o := first(n.t, server)
	o.Registries = image.Registries{Certs: certs}
	return o
}

// lister is a line of notary key list.
var lister = regexp.MustCompile(`(?m)^(root|targets) .*\b([0-9a-f]{64})\b`)

// ids are the keys that notary key list has of a role.
func (n *notary) ids(role string) []string {
	var ids []string
	for _, line := range lister.FindAllStringSubmatch(n.run("key", "list"), -1) {
		if line[1] == role {
			ids = append(ids, line[2])
		}
	}
	return ids
}

// proxy stands before a server, and may answer in its place. It keeps what passes.
type proxy struct {
	url   string
	mutex sync.Mutex
	kept  map[string][]byte
	// instead answers a request, and is false where the server should.
	instead func(w http.ResponseWriter, r *http.Request) bool
}

func (n *notary) proxy() *proxy {
	n.t.Helper()
	p := &proxy{kept: map[string][]byte{}}
	next := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(must(url.Parse(n.url))) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.authority.Pool}},
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mutex.Lock()
		instead := p.instead
		p.mutex.Unlock()
		if instead != nil && instead(w, r) {
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		if rec.Code == http.StatusOK {
			p.mutex.Lock()
			p.kept[r.URL.Path] = rec.Body.Bytes()
			p.mutex.Unlock()
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(n.authority.File("both.pem"), n.authority.File("both-key.pem")))}}
	s.StartTLS()
	n.t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// answer has the proxy answer so from now on.
func (p *proxy) answer(instead func(w http.ResponseWriter, r *http.Request) bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.instead = instead
}

// keep gives what has passed until now.
func (p *proxy) keep() map[string][]byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	kept := map[string][]byte{}
	for k, v := range p.kept {
		kept[k] = v
	}
	return kept
}

// replay answers what has a part of a path's end with what was kept of it.
func replay(kept map[string][]byte, parts ...string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		base := filepath.Base(r.URL.Path)
		for _, part := range parts {
			for path, data := range kept {
				if strings.HasPrefix(base, part+".") && strings.HasPrefix(filepath.Base(path), part+".") {
					w.Write(data)
					return true
				}
			}
		}
		return false
	}
}

// TestNotary: what the notary program signs is found, with its keys, and again when it signs
// anew; roots are pinned in each way.
func TestNotary(t *testing.T) {
	n := startNotary(t)
	o := n.options(n.url)
	_, err := Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepNoData, "knows nothing of the name")
	n.begin(name)
	n.sign(name, "1", "one")
	got := signs(t, o, "1", roleTargets, []byte("one"))
	if want := n.ids(roleTargets); len(got.Keys) != 1 || got.Keys[0] != want[0] || !got.First || len(got.Documents) != 4 {
		t.Errorf("%v signed, of %v: %+v", got.Keys, want, got)
	}
	if root := n.ids(roleRoot); got.Documents[0].Keys[0] != root[0] {
		t.Errorf("%v signed the root, not %v", got.Documents[0].Keys, root)
	}
	if left := time.Until(got.Expires()); left < 13*24*time.Hour || left > 14*24*time.Hour {
		t.Errorf("it holds for %v", left) // Notary's timestamps are for 14 days
	}
	if got = signs(t, o, "1", roleTargets, []byte("one")); got.First {
		t.Error("it was seen before")
	}
	refused(t, got.Covers("sha256:other", 3), StepDigest, "sha256:other of 3 bytes")
	_, err = Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepNoTag, `targets has not signed the tag "2"`)
	n.sign(name, "2", "two")
	n.run("remove", name, "1", "-p")
	n.sign(name, "1", "one anew")
	signs(t, o, "2", roleTargets, []byte("two"))
	signs(t, o, "1", roleTargets, []byte("one anew"))
	_, err = Resolve(t.Context(), o, "reg.example/team/other", "1", time.Now())
	refused(t, err, StepNoData, "reg.example/team/other")
	_, err = Resolve(t.Context(), o, name, "1", time.Now().AddDate(0, 0, 15))
	refused(t, err, StepExpired, "timestamp: it expired on")

	root := n.ids(roleRoot)[0]
	var cert string // as the root has it
	var body struct {
		Signatures []struct{ KeyID string }
	}
	data := must(os.ReadFile(filepath.Join(n.keys, "tuf", name, "metadata", "root.json")))
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatal(err)
	}
	if cert = body.Signatures[0].KeyID; cert == root {
		t.Fatalf("%s is no certificate's", cert)
	}
	for _, pins := range [][]string{{root}, {cert}, {"another", root}} {
		o := n.options(n.url)
		o.Trust.First, o.Trust.Keys = false, pins
		if got := signs(t, o, "2", roleTargets, []byte("two")); got.First {
			t.Errorf("pinned by %v, it was trusted on first use", pins)
		}
		o.Trust.Keys = n.ids(roleTargets)
		_, err := Resolve(t.Context(), o, name, "2", time.Now())
		refused(t, err, StepRoot, "none of the keys that are trusted led to it")
	}
	o = n.options(n.url)
	o.Trust.Keys = n.ids(roleTargets)
	_, err = Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepRoot, "its key is "+root)
	o.Trust = Trust{Server: n.url}
	_, err = Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepRoot, "nothing says which root is trusted")
	// What docker has pins.
	o.Docker = n.keys
	if got := signs(t, o, "2", roleTargets, []byte("two")); got.First {
		t.Error("docker's root was not taken")
	}
	// Another's root there is of another repository of this name.
	other := n.options(n.url)
	other.Trust.First, other.Docker = false, t.TempDir()
	at := filepath.Join(other.Docker, "tuf", name, "metadata")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "root.json"), newMade().write().files[roleRoot], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Resolve(t.Context(), other, name, "2", time.Now())
	refused(t, err, StepRotation, "is not signed by the keys of version 1")
}

// TestNotaryRotates: keys may change, one after the other, while somebody does not look; what
// the old ones sign does not count any more.
func TestNotaryRotates(t *testing.T) {
	n := startNotary(t)
	p := n.proxy()
	o := n.options(p.url)
	n.begin(name)
	n.sign(name, "1", "one")
	signs(t, o, "1", roleTargets, []byte("one"))
	old, kept := n.ids(roleRoot), p.keep()
	n.run("key", "rotate", name, "targets")
	signs(t, o, "1", roleTargets, []byte("one"))
	n.run("key", "rotate", name, "root")
	n.run("key", "rotate", name, "timestamp", "-r")
	n.run("key", "rotate", name, "root")
	n.run("key", "rotate", name, "snapshot", "-r")
	n.sign(name, "2", "two")
	got := signs(t, o, "2", roleTargets, []byte("two"))
	if got.Documents[0].Keys[0] == old[0] || got.Documents[0].Version < 5 {
		t.Errorf("the root is %+v", got.Documents[0])
	}
	// Who pinned the old root has seen it lead to this one; others have not.
	o.Trust.Keys = old
	signs(t, o, "2", roleTargets, []byte("two"))
	o.State = t.TempDir()
	_, err := Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepRoot, "which is not one that is trusted")
	// The old key signs on, with the root of then: only who has seen nothing since takes it.
	o = n.options(p.url)
	signs(t, o, "2", roleTargets, []byte("two"))
	p.answer(replay(kept, roleRoot, roleTimestamp, roleSnapshot, roleTargets))
	_, err = Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepRollback, "root: its version is")
	signs(t, n.options(p.url), "1", roleTargets, []byte("one"))
}

// TestNotaryDelegates: docker signs as targets/releases where there is one.
func TestNotaryDelegates(t *testing.T) {
	n := startNotary(t)
	n.begin(name)
	n.sign(name, "1", "one")
	n.sign(name, "2", "old")
	ci := n.authority.Issue("ci", &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	n.run("delegation", "add", name, "targets/releases", n.authority.File("ci.pem"), "--all-paths", "-p")
	n.run("key", "import", n.authority.File("ci-key.pem"), "--role", "releases")
	n.sign(name, "2", "two", "-r", "targets/releases")
	o := n.options(n.url)
	signs(t, o, "1", roleTargets, []byte("one"))
	got := signs(t, o, "2", roleReleases, []byte("two"))
	if id, err := KeyID(ci.Leaf.PublicKey); err != nil || len(got.Documents) != 5 || got.Keys[0] != id || !strings.Contains(n.run("key", "list"), id) {
		t.Errorf("signed by %v of %v", got.Keys, got.Documents)
	}
	// Another key signs from now on: what the one before signed does not count, and the tag in
	// targets, which is older, neither, until the new key has signed it all anew.
	n.authority.Issue("other", &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	n.run("delegation", "add", name, "targets/releases", n.authority.File("other.pem"), "--all-paths", "-p")
	n.run("delegation", "remove", name, "targets/releases", got.Keys[0], "-y", "-p")
	_, err := Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepDelegation, "0 of the 1 keys")
	if e := new(Error); !errors.As(err, &e) || !strings.Contains(e.Hint, "notary witness "+name+" targets/releases") {
		t.Errorf("the hint is %q", e.Hint)
	}
	n.run("key", "import", n.authority.File("other-key.pem"), "--role", "releases")
	n.run("witness", name, "targets/releases", "--publish")
	signs(t, o, "2", roleReleases, []byte("two"))
	n.run("delegation", "remove", name, "targets/releases", "-y", "-p")
	signs(t, o, "2", roleTargets, []byte("old"))
}

// TestAttacks: somebody between us and the server replays, mixes, forges, floods and sends on.
func TestAttacks(t *testing.T) {
	n := startNotary(t)
	p := n.proxy()
	n.begin(name)
	n.sign(name, "1", "one")
	fresh := n.options(p.url)
	signs(t, fresh, "1", roleTargets, []byte("one"))
	before := p.keep()
	n.run("remove", name, "1", "-p")
	n.sign(name, "1", "mended")
	known := n.options(p.url)
	signs(t, known, "1", roleTargets, []byte("mended"))

	// Who has seen the mended one never sees the old one again; who has not is held back no
	// longer than the timestamp counts.
	all := replay(before, roleTimestamp, roleSnapshot, roleTargets)
	p.answer(all)
	_, err := Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepRollback, "timestamp: its version is")
	signs(t, n.options(p.url), "1", roleTargets, []byte("one"))
	_, err = Resolve(t.Context(), n.options(p.url), name, "1", time.Now().AddDate(0, 0, 15))
	refused(t, err, StepExpired, "timestamp: it expired on")

	// A part of then with a part of now.
	p.answer(replay(before, roleSnapshot))
	_, err = Resolve(t.Context(), n.options(p.url), name, "1", time.Now())
	refused(t, err, StepSnapshot, "it is not the one that is meant")
	p.answer(replay(before, roleTargets))
	_, err = Resolve(t.Context(), n.options(p.url), name, "1", time.Now())
	refused(t, err, StepTargets, "it is not the one that is meant")
	p.answer(nil)
	signs(t, known, "1", roleTargets, []byte("mended"))

	// Another repository of the same owner, who has one root key.
	const other = "reg.example/team/other"
	n.begin(other)
	n.sign(other, "1", "another image")
	swap := func(w http.ResponseWriter, r *http.Request) bool {
		r.URL.Path = strings.Replace(r.URL.Path, name, other, 1)
		return false
	}
	p.answer(swap)
	_, err = Resolve(t.Context(), n.options(p.url), name, "1", time.Now())
	refused(t, err, StepRoot, `its certificate is for "reg.example/team/other"`)
	_, err = Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepRotation, "it is another of the same version")
	p.answer(nil)
	if _, err := Resolve(t.Context(), n.options(p.url), other, "1", time.Now()); err != nil {
		t.Errorf("by its own name: %v", err)
	}

	// All of it forged with other keys, or but one document.
	m := newMade()
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		m.parts[role]["version"] = 100
	}
	m.write()
	forged := func(roles ...string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			for _, role := range roles {
				if base := filepath.Base(r.URL.Path); strings.HasPrefix(base, role+".") {
					w.Write(m.files[role])
					return true
				}
			}
			return false
		}
	}
	p.answer(forged(roleRoot, roleTimestamp, roleSnapshot, roleTargets))
	_, err = Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepTooLarge, "versions newer")
	for version, text := range map[int]string{3: "version 3 is not signed by the keys of version 2", 6: "the server has no version 3 between them"} {
		m.parts[roleRoot]["version"] = version
		m.write()
		_, err = Resolve(t.Context(), known, name, "1", time.Now())
		refused(t, err, StepRotation, text)
	}
	for role, step := range map[string]string{roleTimestamp: StepTimestamp, roleSnapshot: StepSnapshot, roleTargets: StepTargets} {
		p.answer(forged(role))
		_, err = Resolve(t.Context(), known, name, "1", time.Now())
		refused(t, err, step, role+": ")
	}
	p.answer(nil)
	signs(t, known, "1", roleTargets, []byte("mended"))

	// What says more than it may, and does not end.
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot} {
		p.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(filepath.Base(r.URL.Path), role+".") {
				return false
			}
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					break
				}
			}
			return true
		})
		_, err = Resolve(t.Context(), n.options(p.url), name, "1", time.Now())
		refused(t, err, StepTooLarge, "bytes is the most")
	}
	// What was there is gone.
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "_trust") {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	_, err = Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepNoData, "knows nothing of the name, and did on ")
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(filepath.Base(r.URL.Path), "snapshot.") {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	_, err = Resolve(t.Context(), known, name, "1", time.Now())
	refused(t, err, StepServer, "the server does not give it")
	p.answer(nil)
	signs(t, known, "1", roleTargets, []byte("mended"))
}

// TestCredentials: a server gets its own credentials, and where it sends on nobody gets them;
// what comes from there counts if it is signed.
func TestCredentials(t *testing.T) {
	n := startNotary(t)
	n.begin(name)
	n.sign(name, "1", "one")
	p := n.proxy()
	guard := n.proxy()
	var mutex sync.Mutex
	var told, elsewhere []string
	away := false
	p.answer(func(w http.ResponseWriter, r *http.Request) bool {
		mutex.Lock()
		defer mutex.Unlock()
		elsewhere = append(elsewhere, r.Header.Get("Authorization"))
		return false
	})
	guard.answer(func(w http.ResponseWriter, r *http.Request) bool {
		mutex.Lock()
		defer mutex.Unlock()
		told = append(told, r.Header.Get("Authorization"))
		if user, password, is := r.BasicAuth(); !is || user != "mei" || password != "pass:word" {
			w.Header().Set("WWW-Authenticate", `Basic realm="trust"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		if away && r.URL.Path != "/v2/" {
			http.Redirect(w, r, p.url+r.URL.Path, http.StatusFound)
			return true
		}
		return false
	})
	o := n.options(guard.url)
	both := n.options(p.url)
	must(0, os.CopyFS(o.Registries.Certs, os.DirFS(both.Registries.Certs)))
	_, err := Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepServer, "401")
	host := strings.TrimPrefix(guard.url, "https://")
	o.Registries.Config = t.TempDir()
	config := object{"auths": object{host: object{"auth": []byte("mei:pass:word")}, "other.example": object{"auth": []byte("a:b")}}}
	if err := os.WriteFile(filepath.Join(o.Registries.Config, "config.json"), must(json.Marshal(config)), 0o600); err != nil {
		t.Fatal(err)
	}
	signs(t, o, "1", roleTargets, []byte("one"))
	if len(elsewhere) != 0 {
		t.Errorf("another host was asked: %q", elsewhere)
	}
	away = true
	signs(t, o, "1", roleTargets, []byte("one"))
	if len(elsewhere) == 0 || strings.Join(elsewhere, "") != "" {
		t.Errorf("another host was told %q", elsewhere)
	}
	if !strings.HasPrefix(told[len(told)-1], "Basic ") {
		t.Errorf("the server was told %q", told)
	}
}
