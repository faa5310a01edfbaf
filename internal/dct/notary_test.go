package dct

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/image"
	notarytest "github.com/plimsoll/plimsoll/test/notary"
)

// notary is a real server of trust with its signer.
type notary struct{ *notarytest.Notary }

func startNotary(t *testing.T) *notary {
	t.Helper()
	return &notary{notarytest.Start(t)}
}

// options trust a server of the authority's on first use.
func (n *notary) options(server string) Options {
	n.T.Helper()
	o := first(n.T, server)
	o.Registries = image.Registries{Certs: n.Certs(server)}
	return o
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
	n.T.Helper()
	p := &proxy{kept: map[string][]byte{}}
	next := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(must(url.Parse(n.URL))) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: n.Authority.Pool}},
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
	s.TLS = &tls.Config{Certificates: []tls.Certificate{must(tls.LoadX509KeyPair(n.Authority.File("both.pem"), n.Authority.File("both-key.pem")))}}
	s.StartTLS()
	n.T.Cleanup(s.Close)
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
	o := n.options(n.URL)
	_, err := Resolve(t.Context(), o, name, "1", time.Now())
	refused(t, err, StepNoData, "knows nothing of the name")
	n.Begin(name)
	n.Sign(name, "1", "one")
	got := signs(t, o, "1", roleTargets, []byte("one"))
	if want := n.IDs(roleTargets); len(got.Keys) != 1 || got.Keys[0] != want[0] || !got.First || len(got.Documents) != 4 {
		t.Errorf("%v signed, of %v: %+v", got.Keys, want, got)
	}
	if root := n.IDs(roleRoot); got.Documents[0].Keys[0] != root[0] {
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
	n.Sign(name, "2", "two")
	n.Run("remove", name, "1", "-p")
	n.Sign(name, "1", "one anew")
	signs(t, o, "2", roleTargets, []byte("two"))
	signs(t, o, "1", roleTargets, []byte("one anew"))
	listed(t, o, "1 by targets", "2 by targets")
	_, err = List(t.Context(), o, name, time.Now().AddDate(0, 0, 15))
	refused(t, err, StepExpired, "content trust of "+name+": timestamp: it expired on")
	n.Sign(name, "no tag/of an image", "x")
	listed(t, o, "1 by targets", "2 by targets")
	_, err = Resolve(t.Context(), o, "reg.example/team/other", "1", time.Now())
	refused(t, err, StepNoData, "reg.example/team/other")
	_, err = Resolve(t.Context(), o, name, "1", time.Now().AddDate(0, 0, 15))
	refused(t, err, StepExpired, "timestamp: it expired on")

	root := n.IDs(roleRoot)[0]
	var cert string // as the root has it
	var body struct {
		Signatures []struct{ KeyID string }
	}
	data := must(os.ReadFile(filepath.Join(n.Keys, "tuf", name, "metadata", "root.json")))
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatal(err)
	}
	if cert = body.Signatures[0].KeyID; cert == root {
		t.Fatalf("%s is no certificate's", cert)
	}
	for _, pins := range [][]string{{root}, {cert}, {"another", root}} {
		o := n.options(n.URL)
		o.Trust.First, o.Trust.Keys = false, pins
		if got := signs(t, o, "2", roleTargets, []byte("two")); got.First {
			t.Errorf("pinned by %v, it was trusted on first use", pins)
		}
		o.Trust.Keys = n.IDs(roleTargets)
		_, err := Resolve(t.Context(), o, name, "2", time.Now())
		refused(t, err, StepRoot, "none of the keys that are trusted led to it")
	}
	o = n.options(n.URL)
	o.Trust.Keys = n.IDs(roleTargets)
	_, err = Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepRoot, "its key is "+root)
	o.Trust = Trust{Server: n.URL}
	_, err = Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepRoot, "nothing says which root is trusted")
	// What docker has pins.
	o.Docker = n.Keys
	if got := signs(t, o, "2", roleTargets, []byte("two")); got.First {
		t.Error("docker's root was not taken")
	}
	// Another's root there is of another repository of this name.
	other := n.options(n.URL)
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

// listed demands what List finds, each of which Resolve finds as it is there.
func listed(t *testing.T, o Options, want ...string) {
	t.Helper()
	all, err := List(t.Context(), o, name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range all {
		got = append(got, one.Tag+" by "+one.Role)
		alone, err := Resolve(t.Context(), o, name, one.Tag, time.Now())
		one.First = false // the first look has made it known
		if diff := cmp.Diff(one, alone); err != nil || diff != "" {
			t.Errorf("%s: %v %s", one.Tag, err, diff)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNotaryRotates: keys may change, one after the other, while somebody does not look; what
// the old ones sign does not count any more.
func TestNotaryRotates(t *testing.T) {
	n := startNotary(t)
	p := n.proxy()
	o := n.options(p.url)
	n.Begin(name)
	n.Sign(name, "1", "one")
	signs(t, o, "1", roleTargets, []byte("one"))
	old, kept := n.IDs(roleRoot), p.keep()
	n.Run("key", "rotate", name, "targets")
	signs(t, o, "1", roleTargets, []byte("one"))
	n.Run("key", "rotate", name, "root")
	n.Run("key", "rotate", name, "timestamp", "-r")
	n.Run("key", "rotate", name, "root")
	n.Run("key", "rotate", name, "snapshot", "-r")
	n.Sign(name, "2", "two")
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
	n.Begin(name)
	n.Sign(name, "1", "one")
	n.Sign(name, "2", "old")
	ci := n.Authority.Issue("ci", &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	n.Run("delegation", "add", name, "targets/releases", n.Authority.File("ci.pem"), "--all-paths", "-p")
	n.Run("key", "import", n.Authority.File("ci-key.pem"), "--role", "releases")
	n.Sign(name, "2", "two", "-r", "targets/releases")
	o := n.options(n.URL)
	signs(t, o, "1", roleTargets, []byte("one"))
	got := signs(t, o, "2", roleReleases, []byte("two"))
	listed(t, o, "1 by targets", "2 by targets/releases")
	only := o
	only.Trust.Role, only.State = roleReleases, t.TempDir()
	listed(t, only, "2 by targets/releases")
	if id, err := KeyID(ci.Leaf.PublicKey); err != nil || len(got.Documents) != 5 || got.Keys[0] != id || !strings.Contains(n.Run("key", "list"), id) {
		t.Errorf("signed by %v of %v", got.Keys, got.Documents)
	}
	// Another key signs from now on: what the one before signed does not count, and the tag in
	// targets, which is older, neither, until the new key has signed it all anew.
	n.Authority.Issue("other", &x509.Certificate{IsCA: true, BasicConstraintsValid: true})
	n.Run("delegation", "add", name, "targets/releases", n.Authority.File("other.pem"), "--all-paths", "-p")
	n.Run("delegation", "remove", name, "targets/releases", got.Keys[0], "-y", "-p")
	_, err := Resolve(t.Context(), o, name, "2", time.Now())
	refused(t, err, StepDelegation, "0 of the 1 keys")
	if e := new(Error); !errors.As(err, &e) || !strings.Contains(e.Hint, "notary witness "+name+" targets/releases") {
		t.Errorf("the hint is %q", e.Hint)
	}
	n.Run("key", "import", n.Authority.File("other-key.pem"), "--role", "releases")
	n.Run("witness", name, "targets/releases", "--publish")
	signs(t, o, "2", roleReleases, []byte("two"))
	n.Run("delegation", "remove", name, "targets/releases", "-y", "-p")
	signs(t, o, "2", roleTargets, []byte("old"))
}

// TestAttacks: somebody between us and the server replays, mixes, forges, floods and sends on.
func TestAttacks(t *testing.T) {
	n := startNotary(t)
	p := n.proxy()
	n.Begin(name)
	n.Sign(name, "1", "one")
	fresh := n.options(p.url)
	signs(t, fresh, "1", roleTargets, []byte("one"))
	before := p.keep()
	n.Run("remove", name, "1", "-p")
	n.Sign(name, "1", "mended")
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
	n.Begin(other)
	n.Sign(other, "1", "another image")
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
	n.Begin(name)
	n.Sign(name, "1", "one")
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
