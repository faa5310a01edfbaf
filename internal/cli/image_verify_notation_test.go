package cli

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	oci "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation/notationtest"
)

// TestImageVerifyNotation: an image that was signed with a certificate of an authority is
// trusted for whom that is for, in a registry with the list of referrers and in one without,
// and --explain and JSON tell which step refused what does not count.
func TestImageVerifyNotation(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers)))
		defer server.Close()
		host := strings.TrimPrefix(server.URL, "http://")
		at := host + "/shop/api:1"
		i, err := random.Image(100, 1)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(at)
		if err == nil {
			err = remote.Write(ref, i)
		}
		if err != nil {
			t.Fatal(err)
		}
		id, err := i.Digest()
		if err != nil {
			t.Fatal(err)
		}
		size, err := i.Size()
		if err != nil {
			t.Fatal(err)
		}
		kind, err := i.MediaType()
		if err != nil {
			t.Fatal(err)
		}
		subject := oci.Descriptor{MediaType: string(kind), Digest: digest.Digest(id.String()), Size: size}
		r, err := image.OpenRemote(t.Context(), image.Reference{Source: image.Registry, At: at}, true, image.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		root := notationtest.Authority(nil, "root")
		sign := func(cn string) {
			notationtest.Attach(t, r, subject, notationtest.COSE, notationtest.Seal(t, notationtest.COSE, notationtest.Request(root.Issue(notationtest.Named(cn)), notationtest.Payload(subject), notationtest.Old.AddDate(1, 0, 0))))
		}
		dir := t.TempDir()
		for name, data := range map[string][]byte{"acme.pem": root.Root(), "trust.yaml": []byte("schema: plimsoll/trust/1\nauthorities:\n  acme: {certificates: {file: " + dir + "/acme.pem}}\nimages:\n  - name: \"" + host + "/*\"\n    signed: {any: [{notation: acme, subject: \"C=US, O=acme, CN=release\"}]}\n")} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		verify := func(want int, told string, more ...string) string {
			t.Helper()
			args := append([]string{"image", "verify", "--state", filepath.Join(dir, "state"), "--trust", filepath.Join(dir, "trust.yaml"), "registry:" + at}, more...)
			code, out, errs := run(t, t.Context(), World{}, args...)
			if code != want || !strings.Contains(out+errs, told) {
				t.Errorf("%q: exit %d, want %d, without %q: %s%s", more, code, want, told, out, errs)
			}
			return out
		}
		verify(exitFindings, "nothing in the repository vouches for it")
		sign("reIease")
		verify(exitFindings, "(wrong-subject)", "--explain")
		var body struct {
			Trusted  bool
			Until    time.Time
			By       []string
			Rejected []struct{ Kind, Step string }
		}
		if err := json.Unmarshal([]byte(verify(exitFindings, "", "--format", "json")), &body); err != nil || body.Trusted || len(body.Rejected) != 1 || body.Rejected[0].Kind != "notation" || body.Rejected[0].Step != "wrong-subject" {
			t.Errorf("%+v, %v", body, err)
		}
		sign("release")
		verify(0, "is trusted: notation C=US, O=acme, CN=release of acme, until 2200-01-01")
		verify(0, "signed it: referrer sha256:", "--explain")
		if err := json.Unmarshal([]byte(verify(0, "", "--format", "json")), &body); err != nil || !body.Trusted || !body.Until.Equal(notationtest.Far) || len(body.By) != 1 {
			t.Errorf("%+v, %v", body, err)
		}
	}
}
