package cli

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// yard is a registry, keys and files of somebody who signs, and a state.
type yard struct {
	t          *testing.T
	host       string // of the registry
	dir, state string
	before     atomic.Pointer[func(*http.Request)] // sees requests
}

func newYard(t *testing.T) *yard {
	t.Helper()
	hub := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	dir := t.TempDir()
	y := &yard{t: t, dir: dir, state: filepath.Join(dir, "state")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if see := y.before.Load(); see != nil {
			(*see)(r)
		}
		hub.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	y.host = strings.TrimPrefix(server.URL, "http://")
	return y
}

func (y *yard) file(name, text string) string {
	y.t.Helper()
	p := filepath.Join(y.dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		y.t.Fatal(err)
	}
	return p
}

// key makes a key: its file, that of its public half, and the block in YAML.
func (y *yard) key(name string) (private, public, block string) {
	y.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		y.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		y.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		y.t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return y.file(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))), y.file(name+".pub", text),
		"  " + name + ":\n    pem: |\n      " + strings.TrimSpace(strings.ReplaceAll(text, "\n", "\n      ")) + "\n"
}

// push puts an image into the registry.
func (y *yard) push(as string, size int64) v1.Image {
	y.t.Helper()
	i, err := random.Image(size, 1)
	if err != nil {
		y.t.Fatal(err)
	}
	ref, err := name.ParseReference(y.host + "/" + as)
	if err == nil {
		err = remote.Write(ref, i)
	}
	if err != nil {
		y.t.Fatal(err)
	}
	return i
}

// is runs a command line, and demands its exit code and a part of what it says.
func (y *yard) is(want int, told string, args ...string) string {
	y.t.Helper()
	code, out, errs := run(y.t, y.t.Context(), World{}, append(args, "--state", y.state)...)
	if code != want || !strings.Contains(out+errs, told) {
		y.t.Errorf("%q: exit %d, want %d, without %q:\n%s%s", args, code, want, told, out, errs)
	}
	return out
}

// events are those of a type in the trail.
func (y *yard) events(kind string) (list []*trail.Event) {
	y.t.Helper()
	v, err := trail.Read(filepath.Join(y.state, "trail"))
	if err != nil {
		y.t.Fatal(err)
	}
	for r, err := range v.Events(0) {
		if err != nil {
			y.t.Fatal(err)
		}
		e, err := r.Event()
		if err != nil {
			y.t.Fatal(err)
		}
		if e.Type == kind {
			list = append(list, e)
		}
	}
	return list
}

// engine is a made-up one: containers by name, each with the id of its image.
func (y *yard) engine(containers map[string]string) string {
	y.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.43")
		w.Header().Set("Content-Type", "application/json")
		_, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case r.URL.Path == "/_ping":
			io.WriteString(w, "OK")
		case path == "containers/json":
			list := []map[string]any{}
			for name, image := range containers {
				state := "running"
				if strings.HasPrefix(name, "stopped") {
					state = "exited"
				}
				list = append(list, map[string]any{"Id": fmt.Sprintf("%064x", len(name)), "Names": []string{"/" + name}, "Image": "shop/api:1", "ImageID": image, "State": state})
			}
			if err := json.NewEncoder(w).Encode(list); err != nil {
				y.t.Error(err)
			}
		case strings.HasPrefix(path, "images/"):
			id := strings.TrimSuffix(strings.TrimPrefix(path, "images/"), "/json")
			body := map[string]any{"Id": id, "RepoTags": []string{y.host + "/shop/api:1"}}
			if digest, is := strings.CutPrefix(id, "sha256:"); is && strings.HasPrefix(digest, "0000") {
				body["RepoDigests"] = []string{y.host + "/shop/api@" + containers["stopped-manifest"]}
			}
			if err := json.NewEncoder(w).Encode(body); err != nil {
				y.t.Error(err)
			}
		default:
			http.NotFound(w, r)
		}
	}))
	y.t.Cleanup(server.Close)
	return "tcp://" + strings.TrimPrefix(server.URL, "http://")
}

// TestTrustKeys: keys are listed, added and revoked in a file that stays as it was but for that,
// with its mode; what can't be is refused, and the file stays.
func TestTrustKeys(t *testing.T) {
	y := newYard(t)
	_, public, release := y.key("release")
	private, next, _ := y.key("next")
	text := "# ours\nschema: plimsoll/trust/1\nkeys:\n  # of the release\n" + release + "images:\n  - {name: \"r.example/shop/*\", signed: {any: [{key: release}]}} # the shop\n"
	trust := y.file("trust.yaml", text)
	if err := os.Chmod(trust, 0o640); err != nil {
		t.Fatal(err)
	}
	is := func(want int, told string, args ...string) string {
		t.Helper()
		return y.is(want, told, append(append([]string{"trust", "keys"}, args...), "--trust", trust, "--host", "unix:///nowhere")...)
	}
	read := func() string {
		t.Helper()
		data, err := os.ReadFile(trust)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	is(0, "ECDSA P-256", "list")
	for _, c := range []struct{ told, name, file string }{
		{"keys.release is there already", "release", next},
		{"keys.release is that key already", "again", public},
		{"stays with who signs", "next", private},
		{"it is no PEM file", "next", trust},
		{"is no name of a key", "Next", next},
		{"the key can't be read", "next", filepath.Join(y.dir, "none")},
	} {
		if is(exitUsage, c.told, "add", c.name, c.file); read() != text {
			t.Errorf("%s: the file was changed", c.told)
		}
	}
	is(exitUsage, "takes a name and a file", "add", "next")
	is(0, "next is a key of "+trust+": sha256:", "add", "next", next)
	added := read()
	if !strings.HasPrefix(added, text[:strings.Index(text, "images:")]+"  next:\n    pem: |\n      -----BEGIN") || !strings.HasSuffix(added, text[strings.Index(text, "images:"):]) {
		t.Errorf("the file is\n%s", added)
	}
	var list struct {
		Schema string
		Keys   []struct {
			Name, Algorithm, Fingerprint, Revoked, Why string
			UsedBy                                     []struct{ Place, Name string } `json:"used_by"`
		}
	}
	listed := func() {
		t.Helper()
		if err := json.Unmarshal([]byte(is(0, "", "list", "--format", "json")), &list); err != nil || list.Schema != "plimsoll/trust-keys/1" || len(list.Keys) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
	}
	listed()
	if k := list.Keys[0]; k.Name != "next" || k.Algorithm != "ECDSA P-256" || len(k.Fingerprint) != 71 || len(k.UsedBy) != 0 {
		t.Errorf("%+v", k)
	}
	if k := list.Keys[1]; k.Name != "release" || len(k.UsedBy) != 1 || k.UsedBy[0].Name != "r.example/shop/*" || k.UsedBy[0].Place != "images[0]" {
		t.Errorf("%+v", k)
	}
	is(0, "nothing", "list")
	for _, c := range [][]string{{"a reason", "revoke", "next"}, {"is not a day", "revoke", "next", "--why", "x", "--at", "soon"}, {"is not a day", "revoke", "next", "--why", "x", "--at", "2026-11-25"}, {"no key called", "revoke", "nexxt", "--why", "x"}, {"takes the name", "revoke"}, {"not a format", "list", "--format", "csv"}} {
		if is(exitUsage, c[0], c[1:]...); read() != added {
			t.Errorf("%q: the file was changed", c)
		}
	}
	// Nothing is asked of who has no engine, but that is told.
	is(exitUnable, "it can't be told which containers run", "revoke", "next", "--why", "it was a try")
	listed()
	if k := list.Keys[0]; k.Revoked != "2026-11-24" || k.Why != "it was a try" {
		t.Errorf("%+v", k)
	}
	if got := strings.Replace(read(), "    revoked: 2026-11-24\n    why: \"it was a try\"\n", "", 1); got != added {
		t.Errorf("the file is\n%s", read())
	}
	is(exitUnable, "is revoked already, since 2026-11-24", "revoke", "next", "--why", "another")
	is(0, "2026-11-24: it was a try", "list")
	if info, err := os.Stat(trust); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	events := y.events(trail.Trust)
	if len(events) != 3 || events[0].Detail["did"] != "add" || events[0].Subject.ID != list.Keys[0].Fingerprint || events[1].Detail["why"] != "it was a try" || events[1].Detail["containers"] != nil {
		t.Errorf("%+v", events)
	}
	// A file that was changed into none is not written over.
	y.file("trust.yaml", "schema: plimsoll/trust/1\nimages: []\n")
	is(exitUsage, "images has 0 entries", "add", "next", next)
	is(exitUsage, "images has 0 entries", "revoke", "next", "--why", "x")
	is(exitUsage, "images has 0 entries", "list")
}

// TestTrustKeysOwner: the file's owner stays, also behind a link.
func TestTrustKeysOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test needs root")
		}
		t.Skip("this test needs root")
	}
	y := newYard(t)
	_, public, _ := y.key("release")
	at := y.file("real.yaml", "schema: plimsoll/trust/1\nimages: [{name: \"*\", unsigned: true, why: to begin}]\n")
	if err := os.Chown(at, 4321, 4322); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(y.dir, "trust.yaml")
	if err := os.Symlink("real.yaml", link); err != nil {
		t.Fatal(err)
	}
	y.is(0, "release is a key", "trust", "keys", "add", "release", public, "--trust", link)
	info, err := os.Lstat(at)
	if err != nil {
		t.Fatal(err)
	}
	if own := info.Sys().(*syscall.Stat_t); own.Uid != 4321 || own.Gid != 4322 || !info.Mode().IsRegular() {
		t.Errorf("%v of %d:%d", info.Mode(), own.Uid, own.Gid)
	}
}

// TestTrustKeysRevoke: what rests on a revoked key loses its verdict at once, unless enough
// others have signed it, and what runs from it is told, and recorded.
func TestTrustKeysRevoke(t *testing.T) {
	y := newYard(t)
	releaseKey, _, release := y.key("release")
	otherKey, _, other := y.key("other")
	trust := y.file("trust.yaml", "schema: plimsoll/trust/1\nkeys:\n"+release+other+"images:\n  - {name: \""+y.host+"/shop/*\", signed: {any: [{key: release}, {key: other}]}}\n  - {name: \""+y.host+"/both/*\", signed: {all: [{key: release}, {key: other}]}}\n")
	ids := map[string]string{}
	manifests := map[string]string{}
	for image, keys := range map[string][]string{"shop/api:1": {releaseKey}, "shop/web:1": {otherKey}, "both/db:1": {releaseKey, otherKey}} {
		i := y.push(image, 100)
		id, err := i.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := i.Digest()
		if err != nil {
			t.Fatal(err)
		}
		ids[image], manifests[image] = id.String(), manifest.String()
		for _, key := range keys {
			y.is(0, "is signed", "image", "sign", "--key", key, y.host+"/"+image)
		}
		y.is(0, "is trusted", "image", "verify", "--trust", trust, "registry:"+y.host+"/"+image)
	}
	// One has lost its signers' ids, as older versions wrote them.
	folder := verdict.Folder(filepath.Join(y.state, gate.VerdictFolder))
	old, err := folder.Read(ids["both/db:1"])
	if err != nil || len(old.Verified.Signers) != 2 {
		t.Fatalf("%+v, %v", old, err)
	}
	old.Verified.Name, old.Verified.Platform, old.Verified.Signers = "", "", nil
	if err := folder.Verify(ids["both/db:1"], old.Verified); err != nil {
		t.Fatal(err)
	}
	host := y.engine(map[string]string{"api": ids["shop/api:1"], "web-1": ids["shop/web:1"], "stopped-db": ids["both/db:1"], "by-manifest": "sha256:" + strings.Repeat("0", 64), "stopped-manifest": manifests["both/db:1"]})
	// The trail knows whose one of them is.
	history, err := trail.Open(trail.Config{Dir: filepath.Join(y.state, "trail"), Name: "here", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	_, err = history.Append(t.Context(), trail.Event{Type: trail.Deploy, Subject: trail.Subject{Kind: "container", ID: fmt.Sprintf("%064x", len("by-manifest")), Name: "by-manifest", Image: "shop/api:1"}, Declared: &trail.Declared{Owner: "team-shop", Source: "labels"}})
	if err := errors.Join(err, history.Close()); err != nil {
		t.Fatal(err)
	}
	revoke := func(want int, told string, more ...string) string {
		t.Helper()
		return y.is(want, told, append([]string{"trust", "keys", "revoke", "release", "--why", "the laptop was stolen", "--trust", trust, "--host", host}, more...)...)
	}
	out := revoke(exitFindings, "release is revoked since 2026-11-24: the laptop was stolen", "--at", "2026-11-24")
	for _, told := range []string{"api runs shop/api:1 (nobody is declared to own it)", "by-manifest runs shop/api:1 (of team-shop)", "docker stop api", "plimsoll image verify " + y.host + "/shop/api:1", y.host + "/both/db is not verified any more: key release was revoked", "an image is not verified", ids["both/db:1"], "2 containers running"} {
		if !strings.Contains(out, told) {
			t.Errorf("without %q:\n%s", told, out)
		}
	}
	if strings.Contains(out, "web") || strings.Contains(out, "stopped") {
		t.Errorf("%s", out)
	}
	for image, id := range ids {
		v, err := folder.Read(id)
		if err != nil || (v.Verified == nil) != (image != "shop/web:1") {
			t.Errorf("%s: %+v, %v", image, v, err)
		}
	}
	events := y.events(trail.Trust)
	if len(events) != 1 {
		t.Fatalf("%+v", events)
	}
	if e := events[0]; e.Subject.Name != "release" || fmt.Sprint(e.Detail["containers_count"]) != "2" || fmt.Sprint(e.Detail["images_count"]) != "3" || !strings.Contains(fmt.Sprint(e.Detail["containers"]), "api 0") {
		t.Errorf("%+v", e)
	}
	// Who runs it again is told the same.
	var body revoked
	if err := json.Unmarshal([]byte(revoke(exitFindings, "", "--format", "json")), &body); err != nil || body.Schema != "plimsoll/revoked/1" || len(body.Images) != 3 || len(body.Containers) != 2 || body.Fingerprint == "" {
		t.Errorf("%+v, %v", body, err)
	}
	y.is(exitFindings, "is not trusted", "image", "verify", "--trust", trust, "registry:"+y.host+"/shop/api:1")
	// Where another signs it, it counts again, and no more runs of it.
	y.is(0, "is signed", "image", "sign", "--key", otherKey, y.host+"/shop/api:1")
	y.is(0, "is trusted: cosign key other", "image", "verify", "--trust", trust, "registry:"+y.host+"/shop/api:1")
	host = y.engine(map[string]string{"api": ids["shop/api:1"], "web-1": ids["shop/web:1"]})
	revoke(0, "2 images no longer verified, and 0 containers")
	// Verdicts that can't be read are told, and the others go on.
	if err := os.WriteFile(filepath.Join(string(folder), ids["shop/web:1"][7:9], ids["shop/web:1"][7:]+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	revoke(exitUnable, "not every verdict")
}

// TestTrustKeysRace: a key that is revoked while its signature is looked at leaves no verdict.
func TestTrustKeysRace(t *testing.T) {
	y := newYard(t)
	key, _, release := y.key("release")
	text := "schema: plimsoll/trust/1\nkeys:\n" + release + "images:\n  - {name: \"" + y.host + "/*\", signed: {any: [{key: release}]}}\n"
	trust := y.file("trust.yaml", text)
	id, err := y.push("shop/api:1", 100).ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	y.is(0, "is signed", "image", "sign", "--key", key, y.host+"/shop/api:1")
	verify := []string{"image", "verify", "--trust", trust, "registry:" + y.host + "/shop/api:1"}
	y.is(0, "is trusted", verify...)
	see := func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sig") {
			y.file("trust.yaml", strings.Replace(text, "  release:\n", "  release:\n    revoked: 2026-11-24\n    why: stolen\n", 1))
		}
	}
	y.before.Store(&see)
	y.is(exitUnable, "the policy of trust was changed meanwhile", verify...)
	if v, err := verdict.Folder(filepath.Join(y.state, gate.VerdictFolder)).Read(id.String()); err != nil || v.Verified != nil || v.Withdrawn == nil {
		t.Errorf("%+v, %v", v, err)
	}
	y.is(exitFindings, "is not trusted", verify...)
}

// TestTrustKeysKinds: each kind of key has its name.
func TestTrustKeysKinds(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	k := sign.Key{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	if a, err := k.Algorithm(); err != nil || a != "Ed25519" {
		t.Errorf("%q, %v", a, err)
	}
}
