package cli

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/plimsoll/plimsoll/internal/engine"
	"github.com/plimsoll/plimsoll/internal/gate"
	"github.com/plimsoll/plimsoll/internal/serve"
	"github.com/plimsoll/plimsoll/internal/trail"
	"github.com/plimsoll/plimsoll/internal/verdict"
)

// port is an engine that knows some images, and two registries, each of which may answer nothing.
type port struct {
	*trusting
	t    *testing.T
	dir  string
	shop string // the registry
	yard string // another

	mu     sync.Mutex
	images map[string]engineImage
	off    map[string]bool
	asked  int // of the registries
	said   []string
	now    time.Time
	signed time.Time // when the next signature is made
	public string
}

func newPort(t *testing.T) *port {
	t.Helper()
	p := &port{t: t, dir: t.TempDir(), images: map[string]engineImage{}, off: map[string]bool{}, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), signed: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	hub := func() string {
		inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.asked++
			off := p.off[r.Host]
			p.mu.Unlock()
			if off {
				w.WriteHeader(http.StatusForbidden) // of other answers a client asks again
				return
			}
			inner.ServeHTTP(w, r)
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	p.shop, p.yard = hub(), hub()
	l, err := net.Listen("unix", filepath.Join(p.dir, "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Ostype", "linux")
		_, id, found := strings.Cut(strings.TrimSuffix(r.URL.Path, "/json"), "/images/")
		id, history := strings.CutSuffix(id, "/history")
		if history {
			_ = json.NewEncoder(w).Encode([]map[string]any{{"Id": id, "Created": p.now.Unix()}})
			return
		}
		if !found {
			io.WriteString(w, "OK") // to /_ping
			return
		}
		p.mu.Lock()
		i, there := p.images[id]
		p.mu.Unlock()
		if !there {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"message":"No such image"}`)
			return
		}
		i.ID = id
		_ = json.NewEncoder(w).Encode(struct {
			engineImage
			Created time.Time
		}{i, p.now})
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	client, err := engine.New(engine.Config{Endpoint: engine.Endpoint{Address: "unix://" + l.Addr().String(), Source: "the test"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	a := &app{state: filepath.Join(p.dir, "state"), world: World{Now: func() time.Time { return p.now }}}
	p.trusting = &trusting{app: a, client: client, file: filepath.Join(p.dir, "trust.yaml"), log: func(format string, args ...any) { p.said = append(p.said, fmt.Sprintf(format, args...)) }}

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	p.public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if der, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	p.write("release.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	p.trusts("", p.shop+"/*")
	return p
}

func (p *port) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// trusts has the policy want images of some names signed by the key, of which more is said.
func (p *port) trusts(more string, names ...string) {
	p.t.Helper()
	text := "schema: plimsoll/trust/1\nkeys:\n  release:\n" + more + "    pem: |\n      " + strings.ReplaceAll(p.public, "\n", "\n      ") + "\nimages:\n"
	for _, name := range names {
		text += fmt.Sprintf("  - {name: %q, signed: {any: [{key: release}]}}\n", name)
	}
	p.write("trust.yaml", text)
	if p.version(p.t.Context()) == "" {
		p.t.Fatalf("the policy is not taken: %q", p.said)
	}
}

const revokedLines = "    revoked: 2026-11-01\n    why: the laptop was stolen\n"

// push makes an image, which the engine then has by that name.
func (p *port) push(as string) (id string) {
	p.t.Helper()
	i, err := random.Image(100, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.pushed(i, as)
}

func (p *port) pushed(i v1.Image, as ...string) string {
	p.t.Helper()
	id, err := i.ConfigName()
	if err != nil {
		p.t.Fatal(err)
	}
	digest, err := i.Digest()
	if err != nil {
		p.t.Fatal(err)
	}
	has := engineImage{Os: "linux", Architecture: "amd64"}
	for _, one := range as {
		ref, err := name.ParseReference(one)
		if err == nil {
			err = remote.Write(ref, i)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		has.RepoTags = append(has.RepoTags, one)
		has.RepoDigests = append(has.RepoDigests, ref.Context().Name()+"@"+digest.String())
	}
	p.images[id.String()] = has
	return id.String()
}

func (p *port) sign(ref string) {
	p.t.Helper()
	if code, out, errs := run(p.t, p.t.Context(), World{Now: func() time.Time { return p.signed }}, "image", "sign", "--key", filepath.Join(p.dir, "release.key"), ref); code != 0 {
		p.t.Fatalf("signing %s: %s%s", ref, out, errs)
	}
}

// finds verifies, and says what came of it in a word.
func (p *port) finds(what, want, id string, last *serve.Vouched, idle bool) {
	p.t.Helper()
	var before serve.Vouched
	if last != nil {
		before = *last
	}
	v, err := p.verify(p.t.Context(), id, before, idle)
	got := "unable"
	switch {
	case errors.Is(err, serve.ErrGone):
		got = "gone"
	case errors.Is(err, serve.ErrNothing):
		got = "nothing"
	case err == nil:
		got = "refused by " + fmt.Sprint(v.Event.Detail["refused"])
		if v.Event.Detail["trusted"] == true {
			got = "trusted by " + fmt.Sprint(v.Event.Detail["by"])
		}
		if v.Changed {
			got += ", changed"
		}
		if last != nil {
			*last = v
		}
		if v.Event.Subject.ID != id || v.Event.Type != trail.Vouch || v.Event.Subject.Name == "" {
			p.t.Errorf("%s: %+v", what, v.Event)
		}
	}
	if got != want {
		p.t.Errorf("%s: %s (%v), want %s", what, got, err, want)
	}
}

// noted says whether it is written down of a digest that it is trusted, and when that was.
func (p *port) noted(digest string) time.Time {
	p.t.Helper()
	v, err := p.app.verdicts().Read(digest)
	if err != nil || v.Verified == nil {
		return time.Time{}
	}
	return v.Verified.At
}

const (
	byKey   = "trusted by [cosign key release]"
	changed = ", changed"
)

// TestServeVerify: what is signed is trusted, until the key is revoked; a registry that is off
// says nothing, and is not asked about what the policy does not know.
func TestServeVerify(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	id := p.push(p.shop + "/api:1")
	var last serve.Vouched
	p.finds("nobody wants it", "nothing", id, &last, true)
	if p.asked == 0 {
		t.Fatal("what is asked is not counted")
	}
	p.finds("unsigned", "refused by signers", id, &last, false)
	if p.sign(p.shop + "/api:1"); !p.noted(id).IsZero() {
		t.Error("there is a verdict")
	}
	p.finds("signed", byKey+changed, id, &last, false)
	p.now = p.now.Add(time.Hour)
	p.finds("once more", byKey, id, &last, true)
	if at := p.noted(id); !at.Equal(p.now) {
		t.Errorf("the verdict is of %v", at)
	}
	p.off[p.shop] = true
	p.trusts("", p.shop+"/*", p.yard+"/*")
	p.finds("the registry is off", "unable", id, &last, false)
	p.finds("and nobody knows how it was trusted", "unable", id, nil, false)
	if p.noted(id).IsZero() {
		t.Error("the verdict is gone")
	}
	// For what the policy itself takes back, no registry needs to answer.
	p.trusts(revokedLines, p.shop+"/*")
	if !p.noted(id).IsZero() {
		t.Error("the verdict stands")
	}
	p.finds("revoked", "refused by signers"+changed, id, &last, true)
	if why := fmt.Sprint(last.Event.Detail["why"]); !strings.Contains(why, "was revoked on 2026-11-01") || last.Lasts != verifySoon || !strings.HasPrefix(last.Event.Subject.Name, p.shop) {
		t.Errorf("revoked: %+v", last)
	}
	p.finds("nothing new", "unable", id, &last, false)
	p.off[p.shop] = false
	p.finds("as the registry has it", "refused by signers", id, &last, false)
	if why := fmt.Sprint(last.Event.Detail["why"]); !strings.Contains(why, "0 of the 1") || last.Lasts != verifyAgain {
		t.Errorf("revoked: %+v", last)
	}
	p.trusts("", p.shop+"/*")
	p.finds("no, it was not", byKey+changed, id, &last, false)
	asked := p.asked
	p.trusts("", p.yard+"/*")
	p.finds("the policy does not know it any more", "refused by entry"+changed, id, &last, false)
	if p.asked != asked || last.Lasts != 0 || !p.noted(id).IsZero() || !p.noted(last.Event.Subject.Digest).IsZero() {
		t.Errorf("a registry that the policy does not know was asked %d times: %+v", p.asked-asked, last)
	}
	p.images[id] = engineImage{RepoTags: []string{"local:1"}}
	p.finds("it came from no registry", "nothing", id, nil, false)
	delete(p.images, id)
	p.finds("it is gone", "gone", id, &last, false)
}

// TestServeTakenBack: what another program took back by a new policy is told once, and not by one
// that begins later.
func TestServeTakenBack(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	id := p.push(p.shop + "/api:1")
	p.sign(p.shop + "/api:1")
	p.finds("signed", byKey+changed, id, nil, false)
	p.off[p.shop] = true
	text, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	p.write("trust.yaml", strings.Replace(string(text), "  release:\n", "  release:\n"+revokedLines, 1))
	policy, err := readTrust(t.Context(), p.file)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := policy.Withdraw(p.app.verdicts(), p.now, nil); err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	p.now = p.now.Add(time.Minute)
	later := &trusting{app: p.app, client: p.client, file: p.file, options: p.options, log: p.log}
	for _, one := range []*trusting{p.trusting, later} {
		one.version(t.Context())
	}
	p.finds("another took it back", "refused by signers"+changed, id, nil, true)
	p.finds("that was told", "nothing", id, nil, true)
	p.trusting = later
	p.finds("by one that begins", "nothing", id, nil, true)
}

// TestServeVerifyNames: an image is trusted by any of its names, and what it was trusted by that
// does not vouch for it any more does not count, whether another can be asked, or its names were
// taken away.
func TestServeVerifyNames(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	i, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	id := p.pushed(i, p.yard+"/copy:1", p.shop+"/api:1", p.shop+"/api:2")
	names := p.images[id]
	p.sign(p.shop + "/api:1")
	p.trusts("", "*")
	var last serve.Vouched
	p.off[p.yard] = true
	p.finds("the one that can be asked", byKey+changed, id, &last, false)
	if last.Lasts != verifySoon {
		t.Errorf("the other is asked again in %v", last.Lasts)
	}
	p.off[p.yard] = false
	p.finds("both can", byKey, id, &last, false)
	if name := last.Event.Subject.Name; !strings.HasPrefix(name, p.shop+"/api:1@sha256:") || last.Lasts != verifyAgain {
		t.Errorf("it is trusted by the name %s, for %v", name, last.Lasts)
	}
	for _, tag := range []string{":1", ":2"} {
		if tag, err := p.app.verdicts().Tag(p.shop + "/api" + tag); err != nil || !tag.Is(id) {
			t.Errorf("it is not remembered what the tag stands for: %+v, %v", tag, err)
		}
	}
	p.off[p.shop] = true
	p.finds("the one that vouched can't, and the other does not", "unable", id, &last, false)
	if p.noted(id).IsZero() {
		t.Error("there is no verdict any more")
	}
	p.off[p.shop], p.off[p.yard] = false, true
	p.trusts(revokedLines, "*")
	p.finds("the one that vouched does not any more, and the other can't be asked", "refused by signers"+changed, id, &last, false)
	if last.Lasts != verifySoon || !p.noted(id).IsZero() {
		t.Errorf("%+v", last)
	}
	p.finds("there is no verdict, so nothing is to be said", "unable", id, &last, false)

	trusted := func() {
		t.Helper()
		p.trusts("", "*")
		p.images[id] = names
		p.finds("trusted again", byKey+changed, id, &last, false)
	}
	trusted()
	p.trusts("", p.yard+"/*")
	p.finds("no entry for the one that vouched, and the other can't be asked", "refused by entry"+changed, id, &last, false)
	trusted()
	p.trusts(revokedLines, "*")
	p.images[id] = engineImage{RepoTags: []string{"mine:1"}, Os: "linux", Architecture: "amd64"}
	p.finds("its names were taken away", "refused by signers"+changed, id, &last, false)
	trusted()
	p.images[id] = engineImage{RepoTags: []string{"mine:1"}, Os: "linux", Architecture: "amd64"}
	p.finds("and nobody knows the digest", "nothing", id, nil, false)
	if p.noted(id).IsZero() {
		t.Error("the verdict is gone")
	}
	p.trusts("", p.yard+"/*")
	p.finds("no entry for them", "refused by entry"+changed, id, &last, true)

	trusted()
	p.trusts("", p.yard+"/*")
	looked := serve.Vouched{Event: trail.Event{Subject: trail.Subject{Name: p.yard + "/copy:1"}}}
	p.finds("the name that was looked at last can't be asked, for another there is no entry", "refused by entry"+changed, id, &looked, false)
	if !strings.HasPrefix(looked.Event.Subject.Name, p.shop) {
		t.Errorf("it is said of %s", looked.Event.Subject.Name)
	}

	// Both vouch, and one does not any more.
	p.off[p.yard] = false
	p.sign(p.yard + "/copy:1")
	trusted()
	p.trusts("", p.yard+"/*")
	p.finds("the other still does", byKey, id, &last, false)
	v, err := p.app.verdicts().Read(id)
	if err != nil || v.Verified.Name != p.yard+"/copy" || len(v.Verified.Others) > 0 {
		t.Errorf("%+v, %v", v, err)
	}

	// A name leads to another image than the engine's: it says nothing of this one.
	fresh, other := p.push(p.shop+"/fresh:1"), p.push(p.shop+"/other:1")
	p.sign(p.shop + "/other:1")
	p.trusts("", p.shop+"/*")
	p.images[fresh] = p.images[other]
	p.finds("another image's name", "unable", fresh, nil, false)
	if !p.noted(fresh).IsZero() || !p.noted(other).IsZero() {
		t.Error("there is a verdict")
	}
	p.finds("and that image", byKey+changed, other, nil, false)
}

// TestServeVerifyOlder: an image that its tag was led back to is refused by the tag, and stays
// verified by its digest.
func TestServeVerifyOlder(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	name := p.shop + "/api:1"
	older := p.push(name)
	p.sign(name)
	var last serve.Vouched
	p.finds("the older one, then", byKey+changed, older, &last, false)
	tagged := p.images[older]
	newer := p.push(name)
	p.signed = p.signed.Add(time.Hour)
	p.sign(name)
	p.images[older] = engineImage{RepoDigests: tagged.RepoDigests, Os: "linux", Architecture: "amd64"}
	p.finds("the newer one", byKey+changed, newer, nil, false)
	p.finds("the older one, by its digest", byKey, older, &last, false)
	p.images[older] = tagged
	manifest := "sha256:" + strings.Repeat("ab", 32) // by which it was known, too
	if err := p.app.verdicts().Verify(manifest, &verdict.Verified{Name: p.shop + "/api", At: p.now, By: []string{"cosign key release"}}); err != nil {
		t.Fatal(err)
	}
	last.Event.Subject.Digest = manifest
	p.finds("the older one, by the tag", "refused by replay", older, &last, false)
	if !last.Stands || p.noted(older).IsZero() || p.noted(manifest).IsZero() {
		t.Errorf("it is not verified any more: %+v", last)
	}
	p.trusts(revokedLines, p.shop+"/*")
	p.finds("revoked", "refused by signers"+changed, older, &last, false)
	if last.Stands || !p.noted(older).IsZero() {
		t.Errorf("it is still verified: %+v", last)
	}
}

// TestServeVerifyUntagged: an image whose tag another has by now is nothing that content trust,
// which signs tags, could speak of; so it stays what it is, until that ends by itself.
func TestServeVerifyUntagged(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	id := p.push(p.shop + "/api:1")
	has := p.images[id]
	has.RepoTags = nil
	p.images[id] = has
	policy := func(signed string) {
		t.Helper()
		p.write("trust.yaml", "schema: plimsoll/trust/1\ncontent_trust:\n  acme: {url: \"https://notary.invalid\", first: true}\nkeys:\n  release:\n    pem: |\n      "+
			strings.ReplaceAll(p.public, "\n", "\n      ")+"\nimages:\n  - {name: \"*\", signed: {any: ["+signed+"]}}\n")
		p.version(t.Context())
	}
	policy("{content_trust: acme}")
	p.finds("never trusted", "refused by signers", id, nil, false)
	if err := p.app.verdicts().Verify(id, &verdict.Verified{Name: p.shop + "/api", At: p.now, By: []string{"content trust acme"}}); err != nil {
		t.Fatal(err)
	}
	p.finds("trusted when it had a tag", "nothing", id, nil, false)
	if p.noted(id).IsZero() {
		t.Error("there is no verdict any more")
	}
	policy("{key: release}")
	p.finds("a key is to sign", "refused by signers"+changed, id, nil, false)
}

// TestServeVerifyBuilt: an image that was built here is trusted by the gate's trail, whatever
// becomes of its names, until the policy trusts who built it no more.
func TestServeVerifyBuilt(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	id := "sha256:" + strings.Repeat("a", 64)
	local := engineImage{RepoTags: []string{"shop/api:1", "other/api:1"}, Os: "linux", Architecture: "amd64"}
	p.images[id] = local
	by := func(user, name string) {
		t.Helper()
		p.write("trust.yaml", "schema: plimsoll/trust/1\nimages:\n  - {name: \""+name+"\", built: {by: ["+user+"], base: any}}\n")
		p.version(t.Context())
	}
	by("alice", "docker.io/shop/*")
	var last serve.Vouched
	p.finds("nobody built it", "refused by built", id, &last, false)
	at := p.now.Add(-time.Minute)
	log, err := trail.Open(trail.Config{Dir: filepath.Join(p.app.state, gate.TrailFolder), Name: "harbour-1", Now: func() time.Time { at = at.Add(2 * time.Minute); return at.Add(-2 * time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	uid := uint32(1001)
	for _, detail := range []map[string]any{{"gate": "asked"}, {"gate": "done", "asked": 0, "made": map[string]any{"how": "build", "images": []string{id}, "of_host": true, "nocache": true}}} {
		if _, err := log.Append(t.Context(), trail.Event{Type: trail.Load, Actor: &trail.Actor{UID: &uid, User: "alice"}, Subject: trail.Subject{Kind: "image"}, Detail: detail}); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	byAlice := "trusted by [built here by alice]"
	p.finds("alice did", byAlice+changed, id, &last, false)
	if last.Lasts != verifyBuilt || p.asked != 0 {
		t.Errorf("it lasts %v, and registries were asked %d times", last.Lasts, p.asked)
	}
	p.images[id] = engineImage{RepoTags: []string{"other/api:1"}, Os: "linux", Architecture: "amd64"}
	p.finds("its name was taken away", byAlice, id, &last, false)
	by("bob", "docker.io/shop/*")
	p.finds("she may not any more", "refused by built"+changed, id, &last, true)
	p.finds("and it has no name of which the policy knows", "nothing", id, nil, false)
	p.images[id] = local
	by("alice", "docker.io/shop/*")
	p.finds("she may again", byAlice+changed, id, &last, false)
	by("alice", "docker.io/yard/*")
	p.finds("no entry for it", "refused by entry"+changed, id, &last, true)
}

// TestServeVerifyIndex: the image of an index that is for the engine's platform counts; an
// engine that knows it by the index trusts it only if that was signed itself.
func TestServeVerifyIndex(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	index := v1.ImageIndex(empty.Index)
	var ids []string
	for _, platform := range []v1.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}} {
		i, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: i, Descriptor: v1.Descriptor{Platform: &platform}})
		id, err := i.ConfigName()
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id.String())
	}
	ref, err := name.ParseReference(p.shop + "/api:1")
	if err == nil {
		err = remote.WriteIndex(ref, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	has := func(architecture, variant string) engineImage {
		return engineImage{Os: "linux", Architecture: architecture, Variant: variant, RepoTags: []string{p.shop + "/api:1"}, RepoDigests: []string{p.shop + "/api@" + digest.String()}}
	}
	p.images[ids[0]], p.images[ids[1]], p.images[ids[2]], p.images[digest.String()] = has("amd64", ""), has("arm64", "v8"), has("arm", "v7"), has("arm64", "")
	p.sign(p.shop + "/api@" + list.Manifests[1].Digest.String())
	p.finds("another platform's is not signed", "refused by signers", ids[0], nil, false)
	p.finds("that for arm64 is", byKey+changed, ids[1], nil, false)
	var whole serve.Vouched
	for range 2 {
		p.finds("the engine knows it by the index", "refused by signers", digest.String(), &whole, false)
		if p.noted(list.Manifests[1].Digest.String()).IsZero() {
			t.Error("the image that was signed is not verified any more")
		}
	}
	if p.noted(ids[1]).IsZero() || !p.noted(ids[0]).IsZero() || !p.noted(digest.String()).IsZero() {
		t.Error("the verdicts are not what was found")
	}
	both := has("arm64", "")
	both.RepoDigests = append(both.RepoDigests, p.shop+"/api@"+list.Manifests[1].Digest.String())
	p.sign(p.shop + "/api:1")
	p.finds("the index is signed", byKey+changed, digest.String(), nil, false)
	p.finds("and with it all of it", byKey, ids[2], nil, false)
	var last serve.Vouched
	p.finds("once more", byKey, ids[1], &last, false)
	p.trusts("", p.yard+"/*")
	p.finds("the policy does not know it any more", "refused by entry"+changed, ids[1], &last, false)
	for _, one := range []string{ids[1], list.Manifests[1].Digest.String(), digest.String()} {
		if !p.noted(one).IsZero() {
			t.Errorf("%s is trusted", one)
		}
	}
	p.images[ids[1]] = both
	p.trusts("", p.shop+"/*")
	p.finds("by both digests", byKey+changed, ids[1], nil, false)
	p.trusts(revokedLines, p.shop+"/*")
	p.finds("revoked", "refused by signers"+changed, ids[1], nil, false)
	for _, one := range []string{ids[1], list.Manifests[1].Digest.String(), digest.String()} {
		if !p.noted(one).IsZero() {
			t.Errorf("%s is trusted", one)
		}
	}
}

// TestServePolicy: a policy that is not there, or is wrong, is told of once; a wrong one leaves
// the one before standing.
func TestServePolicy(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	first := p.version(t.Context())
	p.trusts("", p.shop+"/*", p.yard+"/*")
	if second := p.version(t.Context()); second == first || second != p.version(t.Context()) || p.said != nil {
		t.Errorf("%q, and changed %q: %q", first, second, p.said)
	}
	p.trusts("", p.shop+"/*")
	if again := p.version(t.Context()); again != first {
		t.Errorf("the first policy was %q and is %q", first, again)
	}
	p.write("trust.yaml", "schema: plimsoll/trust/1\nimages: []\n")
	policy := p.policy
	for range 3 {
		if is := p.version(t.Context()); is != first || p.policy != policy {
			t.Errorf("a wrong policy stands: %q", is)
		}
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if is := p.version(t.Context()); is != "" {
			t.Errorf("none is %q", is)
		}
	}
	want := []string{"the policy of trust can't be used, and the one before stands", "there is no policy of trust in " + p.file}
	for i := range p.said {
		p.said[i] = p.said[i][:min(len(p.said[i]), len(want[min(i, 1)]))]
	}
	if diff := cmp.Diff(want, p.said); diff != "" {
		t.Error(diff)
	}
	p.trusts("", p.shop+"/*")
	if is := p.version(t.Context()); is != first {
		t.Errorf("it is back as %q", is)
	}
}
