package secret

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/plimsoll/plimsoll/internal/image"
)

const (
	base62 = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	hex16  = "0123456789abcdef"
)

// made makes values that look like secrets, always the same ones, so that none is in the
// repository.
type made struct{ r *mathrand.Rand }

func newMade() made { return made{mathrand.New(mathrand.NewPCG(7, 11))} }

func (m made) of(alphabet string, n int) string { return randomOf(m.r, alphabet, n) }

func newDetector(t testing.TB, o Options) *Detector {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// entry is a file of layer 2.
func entry(path, text string) *image.Entry {
	return &image.Entry{Path: path, Layer: 2, Mode: 0o644, Size: int64(len(text)), Body: strings.NewReader(text)}
}

func look(t testing.TB, d *Detector, path, text string) Found {
	t.Helper()
	found, err := d.File(t.Context(), entry(path, text))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// said are the rules that found something, with "low" where it is not likely.
func said(found Found) string {
	var rules []string
	for _, s := range found.Secrets {
		rule := s.Rule
		if !s.Likely {
			rule += " low"
		}
		rules = append(rules, rule)
	}
	return strings.Join(rules, ", ")
}

// silent checks that no part of a value is in what is told of it.
func silent(t testing.TB, what any, value string) {
	t.Helper()
	data, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	if shares(string(data), value) {
		t.Errorf("%s has a part of %q", data, value)
	}
}

func pemOf(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func body(pem string) string { return strings.Split(pem, "\n")[1] }

// keysOf are private keys of several forms, and a certificate.
func keysOf(t testing.TB) (pkcs8, rsaKey, ec, openssh, locked, certificate string) {
	t.Helper()
	must := func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ssh := func(cipher string) string {
		data := binary.BigEndian.AppendUint32([]byte("openssh-key-v1\x00"), uint32(len(cipher)))
		return pemOf("OPENSSH PRIVATE KEY", append(append(data, cipher...), ed...))
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed))), pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(e))),
		ssh("none"), ssh("aes256-ctr"), pemOf("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &e.PublicKey, e)))
}

// TestKinds: each kind of secret is found where it is, and its twin, which is none, is not.
func TestKinds(t *testing.T) {
	m := newMade()
	pkcs8, rsaKey, ec, openssh, locked, certificate := keysOf(t)
	putty := func(encryption string) string {
		return "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: " + encryption + "\nComment: a\nPublic-Lines: 1\n" + m.of(base62, 64) + "\nPrivate-Lines: 1\n" + m.of(base62, 64) + "\n"
	}
	aws, pat, slack := "AK"+"IA"+m.of(upper, 16), "gh"+"p_"+m.of(base62, 36), "xox"+"b-"+m.of("123456789", 12)+"-"+m.of("123456789", 12)+"-"+m.of(base62, 24)
	gitlab, npm, stripe := "gl"+"pat-"+m.of(base62, 20), "np"+"m_"+m.of("abcdefghijklmnopqrstuvwxyz0123456789", 36), "sk_"+"live_"+m.of(base62, 30)
	google, sendgrid := "AI"+"za"+m.of(base62, 35), "S"+"G."+m.of("abcdefghijklmnopqrstuvwxyz0123456789", 66)
	token := "e" + "yJ" + m.of(base62, 30) + ".e" + "yJ" + m.of(base62, 60) + "." + m.of(base62, 43)
	any, hexa := m.of(base62, 40), m.of(hex16, 40)
	auth := base64.StdEncoding.EncodeToString([]byte("ana:" + m.of(base62, 20)))
	for _, c := range []struct {
		rule, path, text, value string
		line                    int
		twinPath, twin, twins   string // what is said of the twin
	}{
		{"private-key", "/srv/key.pem", pkcs8, body(pkcs8), 1, "/srv/cert.pem", certificate, ""},
		{"private-key", "/srv/a/key.pem", "x\n" + rsaKey, body(rsaKey), 2, "/srv/a/key.pem", strings.Replace(rsaKey, "PRIVATE", "PUBLIC", 2), ""},
		{"private-key", "/etc/ssl/private/ssl-cert-snakeoil.key", ec, body(ec), 1, "/app/key.go", "-----BEGIN EC PRIVATE KEY-----\nMIIE...\n-----END EC PRIVATE KEY-----", ""},
		{"private-key", "/root/.ssh/id_rsa", openssh, body(openssh), 1, "/root/.ssh/id_rsa", locked, "private-key-encrypted low"},
		{"private-key", "/app/account.json", `{"private_key": "` + strings.ReplaceAll(rsaKey, "\n", `\n`) + `"}`, body(rsaKey), 1, "/app/tests/account.json", rsaKey, "private-key low"},
		{"putty-private-key", "/root/a.ppk", putty("none"), "", 1, "/root/a.ppk", putty("aes256-cbc"), "private-key-encrypted low"},
		{"aws-access-token", "/app/conf.py", "a\nID = '" + aws + "'\n", aws, 2, "/app/conf.py", "ID = 'AK" + "IAIOSFODNN7EXAMPLE'", ""},
		{"github-pat", "/app/run.sh", "git clone https://" + pat + "@github.com/a/b", pat, 1, "/app/run.sh", "git clone https://${TOKEN}@github.com/a/b", ""},
		{"gitlab-pat", "/app/ci.yml", "x: " + gitlab + "\n", gitlab, 1, "/app/ci.yml", "x: glpat-XXXXXXXXXXXXXXXXXXXX\n", ""},
		{"slack-bot-token", "/app/bot.js", "const t = \"" + slack + "\";", slack, 1, "/app/bot.js", "const t = process.env.SLACK_BOT_TOKEN;", ""},
		{"npm-access-token", "/build/publish", "T=" + npm + "\n", npm, 1, "/build/publish", "T=npm_config_registry\n", ""},
		{"stripe-access-token", "/app/pay.rb", "\n\nkey = '" + stripe + "'", stripe, 3, "/app/pay.rb", "key = 'sk_live_'", ""},
		{"gcp-api-key", "/app/maps.html.erb", "<a key=\"" + google + "\">", google, 1, "/app/maps.html.erb", "<a key=\"<%= key %>\">", ""},
		{"sendgrid-api-token", "/app/mail.ini", "k=" + sendgrid + "\n", sendgrid, 1, "/app/mail.ini", "k=SG.your-key\n", ""},
		{"jwt", "/var/token", token, token, 1, "/var/token", "eyJust a word. eyJand another", ""},
		{"generic-api-key", "/app/settings.py", "API_KEY = \"" + any + "\"\n", any, 1, "/app/settings.py", "API_KEY = os.environ[\"API_KEY\"]\nPUBLIC_KEY = \"publicKeyOfTheServer\"\n", ""},
		{"generic-api-key", "/app/c.toml", "secret_token: " + hexa + "\n", hexa, 1, "/app/c.toml", "secret_token: ${SECRET_TOKEN}\nprimary_key: " + hexa + "\n", ""},
		{"netrc-password", "/root/.netrc", "machine a\nlogin b\npassword " + any[:9] + "\n", any[:9], 3, "/root/.netrc", "machine a login b password ${PASSWORD}\n", ""},
		{"npmrc-token", "/app/.npmrc", "//r.example/:_authToken=" + hexa, hexa, 1, "/app/.npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", ""},
		{"pypirc-password", "/root/.pypirc", "[pypi]\npassword = " + any[:9] + "\n", any[:9], 2, "/root/.pypirc", "[pypi]\npassword = <password>\n", ""},
		{"url-password", "/root/.git-credentials", "https://ana:" + any[:9] + "@git.example\n", any[:9], 1, "/root/.gitconfig", "[url \"https://git@git.example\"]\n", ""},
		{"docker-auth", "/root/.docker/config.json", `{"auths":{"r.example":{"auth":"` + auth + `"}}}`, auth, 1, "/root/.docker/config.json", `{"auths":{"r.example":{}},"credsStore":"pass"}`, ""},
		{"aws-credentials", "/root/.aws/credentials", "[default]\naws_secret_access_key = " + any + "\n", any, 2, "/root/.aws/config", "[default]\nregion = eu-west-1\n", ""},
		{"kubeconfig-credential", "/root/.kube/config", "users:\n- user:\n    client-key-data: " + auth + "\n", auth, 3, "/root/.kube/config", "users:\n- user:\n    client-certificate-data: " + auth + "\n", ""},
		{"pgpass-password", "/root/.pgpass", "db:5432:*:ana:" + any[:9] + "\n", any[:9], 1, "/root/.pgpass", "# host:port:database:user:password\n", ""},
		{"mysql-password", "/root/.my.cnf", "[client]\npassword=\"" + any[:9] + "\"\n", any[:9], 2, "/etc/mysql/my.cnf", "[client]\n# password = your_password\n", ""},
		{"cargo-token", "/root/.cargo/credentials.toml", "[registry]\ntoken = \"" + any + "\"\n", any, 2, "/root/.cargo/credentials.toml", "[registry]\ntoken = \"\"\n", ""},
		{"env-file", "/app/.env", "DEBUG=1\nexport DB_PASSWORD='" + any[:9] + "'\n", any[:9], 2, "/app/.env", "DB_PASSWORD=changeme\nDB_PASSWORD_FILE=/run/secrets/db\nAUTHOR=somebody\n", ""},
		{"env-file low", "/app/.env.example", "DB_PASSWORD=" + any[:9] + "\n", any[:9], 1, "/app/.env.example", "DB_PASSWORD=\n", ""},
	} {
		t.Run(c.rule+c.path, func(t *testing.T) {
			d := newDetector(t, Options{})
			found := look(t, d, c.path, c.text)
			if got := said(found); got != c.rule || found.Unread != "" {
				t.Fatalf("found %q, want %s (%s)", got, c.rule, found.Unread)
			}
			s := found.Secrets[0]
			if s.Path != c.path || s.Line != c.line || s.Column < 1 || s.Layer != 2 || len(s.Fingerprint) != 16 || !strings.HasPrefix(s.What, "a") && !strings.HasPrefix(s.What, "what") {
				t.Errorf("it is %+v, line %d", s, c.line)
			}
			silent(t, found, c.value)
			if got := said(look(t, d, c.twinPath, c.twin)); got != c.twins {
				t.Errorf("of its twin it says %q, want %q", got, c.twins)
			}
		})
	}
}

// TestPkcs12: the file as a whole is told of.
func TestPkcs12(t *testing.T) {
	d := newDetector(t, Options{})
	found := look(t, d, "/srv/store.p12", "\x30\x82\x00")
	if said(found) != "pkcs12-file low" || found.Secrets[0].Line != 0 || found.Secrets[0].What != "a PKCS #12 file" {
		t.Errorf("found %+v", found)
	}
	if got := look(t, d, "/srv/store.crt", "\x30\x82\x00"); len(got.Secrets) > 0 {
		t.Errorf("found %+v", got)
	}
}

// TestWhere: what is in folders of packages, in binaries and in what is no file is not
// looked at; a known file is, wherever it is.
func TestWhere(t *testing.T) {
	m := newMade()
	d := newDetector(t, Options{})
	text := "k = '" + "gh" + "p_" + m.of(base62, 36) + "'\n"
	for path, want := range map[string]string{
		"/app/a.py": "github-pat", "/opt/x/conf": "github-pat", "/usr/lib/x/conf": "github-pat", "/etc/x": "github-pat", "/var/cache/debconf/passwords.dat": "github-pat",
		"/app/tests/a.py": "github-pat low", "/app/a_test.go": "github-pat low", "/app/README.md": "github-pat low", "/app/latest/a.py": "github-pat",
		"/usr/share/doc/x/a": "", "/app/node_modules/x/a.js": "", "/usr/lib/python3.11/x.py": "", "/app/package-lock.json": "", "/app/a.png": "",
	} {
		if got := said(look(t, d, path, text)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	npmrc := "//r.example/:_authToken=" + m.of(hex16, 36)
	if got := said(look(t, d, "/app/node_modules/x/.npmrc", npmrc)); got != "npmrc-token low" {
		t.Errorf("found %q", got)
	}
	if got := said(look(t, d, "/app/a.bin.txt", "\x7fELF\x00"+text)); got != "" {
		t.Errorf("in a binary: %q", got)
	}
	link := entry("/app/a.py", text)
	link.Mode |= fs.ModeSymlink
	if found, err := d.File(t.Context(), link); err != nil || len(found.Secrets) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
	allowed := strings.Replace(text, "\n", " # gitleaks:allow\n", 1)
	if got := said(look(t, d, "/app/a.py", allowed)); got != "github-pat low" {
		t.Errorf("allowed by the file: %q", got)
	}
}

// TestForms: UTF-16 with a mark, long lines and Windows' lines hide nothing.
func TestForms(t *testing.T) {
	m := newMade()
	d := newDetector(t, Options{})
	text := "é\r\nk = '" + "gh" + "p_" + m.of(base62, 36) + "'\r\n"
	for name, order := range map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian} {
		wide := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(text)) {
			wide = order.AppendUint16(wide, u)
		}
		for _, odd := range []string{"", "\x00"} {
			found := look(t, d, "/app/a.ps1", string(wide)+odd)
			if said(found) != "github-pat" || found.Secrets[0].Line != 2 || found.Secrets[0].Column != 6 {
				t.Errorf("%s: found %+v", name, found)
			}
		}
	}
	for _, short := range []string{"\xff\xfe", "\xfe\xff\x00"} {
		if found := look(t, d, "/app/a", short); len(found.Secrets) > 0 {
			t.Errorf("found %+v", found)
		}
	}
	long := strings.Repeat("var a=function(){return 1};", 40_000)
	found := look(t, d, "/app/app.min.js", long+text+long)
	if said(found) != "github-pat" || found.Secrets[0].Line != 2 {
		t.Errorf("in a long line: %+v", found)
	}
}

// letters is a body that never ends.
type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// TestBounds: each bound holds and is told of, and what is within it is not.
func TestBounds(t *testing.T) {
	m := newMade()
	pat := func() string { return "gh" + "p_" + m.of(base62, 36) + "\n" }
	d := newDetector(t, Options{})
	huge := &image.Entry{Path: "/app/huge", Mode: 0o644, Size: 5 << 30, Body: io.MultiReader(strings.NewReader(pat()), letters{})}
	found, err := d.File(t.Context(), huge)
	if err != nil || said(found) != "github-pat" || found.Unread != "only the first 8388608 of 5368709120 bytes were read" {
		t.Errorf("%q: %+v, %v", said(found), found, err)
	}
	small := newDetector(t, Options{File: 41})
	one := pat()
	if found := look(t, small, "/a", one); said(found) != "github-pat" || found.Unread != "" {
		t.Errorf("found %+v", found)
	}
	if found := look(t, small, "/a", one+"\n"); said(found) != "github-pat" || found.Unread == "" {
		t.Errorf("found %+v", found)
	}
	few := newDetector(t, Options{Secrets: 3})
	if found := look(t, few, "/a", pat()+pat()+pat()); len(found.Secrets) != 3 || found.Unread != "" {
		t.Errorf("found %+v", found)
	}
	if found := look(t, few, "/a", pat()+pat()+pat()+pat()); len(found.Secrets) != 3 || found.Unread == "" {
		t.Errorf("found %+v", found)
	}
	work := newDetector(t, Options{Work: 8 << 10})
	if found := look(t, work, "/a", pat()); said(found) != "github-pat" || found.Unread != "" {
		t.Errorf("found %+v", found)
	}
	if found := look(t, work, "/a", strings.Repeat("ghp_ \n", 2000)); found.Unread == "" {
		t.Errorf("found %+v", found)
	}
	if _, err := New(Options{Work: -1}); err == nil || !strings.Contains(err.Error(), "Work") {
		t.Errorf("a bound below zero: %v", err)
	}
}

// TestHostile: a file made to take long is left, and that is told; a thousandth of it is
// looked at.
func TestHostile(t *testing.T) {
	d := newDetector(t, Options{})
	for _, part := range []string{"key=", "key=abcdefghijkl1 ", "curl -u ", "-----BEGIN PRIVATE KEY-----", "PuTTY-User-Key-File-\n", "kind: secret data: x\n", strings.Join(allKeywords().words, " ")} {
		whole := strings.Repeat(part, 4<<20/len(part))
		if found := look(t, d, "/app/a.yaml", whole); found.Unread == "" {
			t.Errorf("all of %.20q… was looked at", part)
		}
		if found := look(t, d, "/app/a.yaml", whole[:4<<10]); found.Unread != "" {
			t.Errorf("a little of %.20q…: %s", part, found.Unread)
		}
	}
}

// TestErrors: a body that cannot be read is an error with the path, and an ended context
// ends the work.
func TestErrors(t *testing.T) {
	d := newDetector(t, Options{})
	cause := errors.New("the disk is gone")
	for _, read := range []int{0, sniffed + 1} {
		e := entry("/app/a", "")
		e.Size, e.Body = 1<<20, io.MultiReader(strings.NewReader(strings.Repeat("a", read)), iotest.ErrReader(cause))
		if _, err := d.File(t.Context(), e); !errors.Is(err, cause) || !strings.Contains(err.Error(), `reading "/app/a"`) {
			t.Errorf("after %d bytes: %v", read, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.File(ctx, entry("/app/a", "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestFingerprint: two secrets have two, and a line above, another layer and another value
// change none.
func TestFingerprint(t *testing.T) {
	m := newMade()
	d := newDetector(t, Options{})
	pat := func() string { return "gh" + "p_" + m.of(base62, 36) + "\n" }
	a := look(t, d, "/app/a", pat()+pat()).Secrets
	b := look(t, d, "/app/a", "\n\n"+pat()+pat()).Secrets
	other := look(t, d, "/app/b", pat()).Secrets
	if len(a) != 2 || len(b) != 2 || a[0].Fingerprint != b[0].Fingerprint || a[1].Fingerprint != b[1].Fingerprint || a[0].Fingerprint == a[1].Fingerprint || other[0].Fingerprint == a[0].Fingerprint {
		t.Errorf("%+v\n%+v\n%+v", a, b, other)
	}
}

// FuzzFile: whatever is around a secret, what is told never has a part of it, and it is
// found unless there is a reason given.
func FuzzFile(f *testing.F) {
	for _, s := range []string{"", "'", "-----BEGIN PRIVATE KEY-----\n", "password=", "curl -u ", "\xff\xfe", "kind: secret\ndata:\n", "ghp_", "eyJ"} {
		f.Add(s, s, uint64(len(s)))
	}
	d, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, after string, seed uint64) {
		m := made{mathrand.New(mathrand.NewPCG(seed, 1))}
		value := "gh" + "p_" + m.of(base62, 36)
		if strings.ContainsAny(before[:min(len(before), sniffed)], "\x00") || strings.HasPrefix(before, "\xff\xfe") || strings.HasPrefix(before, "\xfe\xff") || strings.Contains(after, "\x00") {
			t.Skip() // no text
		}
		for _, path := range []string{"/srv/q", "/srv/.env", "/srv/.npmrc"} {
			found := look(t, d, path, before+"\n"+value+"\n"+after)
			silent(t, found, value)
			line := strings.Count(before, "\n") + 2
			there := found.Unread != ""
			for _, s := range found.Secrets {
				there = there || s.Rule == "github-pat" && s.Line == line || s.Line < line
			}
			if entropy(value) > 3 && !there {
				t.Errorf("%s: %q between %q and %q: %+v", path, value, before, after, found)
			}
		}
	})
}

// FuzzRules: on a text that is shorter than any reach, windows give what whole texts give,
// or more.
func FuzzRules(f *testing.F) {
	m := newMade()
	for _, s := range []string{"API_KEY = \"" + m.of(base62, 30) + "\"", "s." + m.of(base62, 24), "SK" + m.of(hex16, 32), "lob_key = test_" + m.of(hex16, 35), "curl -u a:" + m.of(base62, 9) + " x", "key=key=key=" + m.of(base62, 20)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			t.Skip()
		}
		all := matchers()
		s := &scan{text: []byte(text), budget: 1 << 30, most: 1000}
		for n, windows := range s.windows() {
			m := &all[n]
			if m.rule.path != "" || m.rule.id == privateKey {
				continue
			}
			s.hits = nil
			s.rule(m, windows)
			for _, want := range plainly(m, s.text) {
				there := false
				for _, h := range s.hits {
					there = there || h.from < want.to && want.from < h.to
				}
				if !there {
					t.Errorf("%s: %q is not found in %q", m.rule.id, text[want.from:want.to], text)
				}
			}
		}
	})
}

// BenchmarkFile is for a text of a program, of which some lines look a little like secrets.
func BenchmarkFile(b *testing.B) {
	var text bytes.Buffer
	for n := range 20_000 {
		fmt.Fprintf(&text, "func accessToken%d(key string) { return tokens.get(key, %d) } // authorisation\n", n, n)
	}
	d := newDetector(b, Options{})
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		e := entry("/app/a.js", text.String())
		if _, err := d.File(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}
