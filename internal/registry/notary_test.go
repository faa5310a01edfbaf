package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sign"
	"github.com/plimsoll/plimsoll/test/notary"
)

// TestByTag: where content trust signs tags, two tags of one image are judged each for itself.
func TestByTag(t *testing.T) {
	n := notary.Start(t)
	h := newHub(t)
	gun := h.host + "/shop/api"
	one := h.push("shop/api", "1", made{layers: []string{"one"}})
	h.push("shop/api", "latest", made{layers: []string{"one"}})
	n.Begin(gun)
	n.Run("addhash", gun, "1", fmt.Sprint(one.Size), "--sha256", one.Digest.Encoded(), "-p")
	p, err := sign.ReadPolicy("trust.yaml", []byte("schema: plimsoll/trust/1\ncontent_trust:\n  acme: {url: \""+n.URL+"\", first: true}\nimages:\n  - {name: \""+h.host+"/*\", signed: {any: [{content_trust: acme}]}}\n"))
	o := image.Options{Registries: image.Registries{Certs: n.Certs(n.URL)}}
	r, rows := h.look("shop/api", Options{Image: o, Verifier: &sign.Verifier{Policy: must(t, p, err), Image: o, State: t.TempDir(), Now: time.Now()}})
	if r.Failed() || !rows["shop/api:1"].Signed.Trusted || rows["shop/api:latest"].Signed.Trusted || !rows["shop/api:latest"].Signed.Known {
		t.Errorf("%+v", rows)
	}
}
