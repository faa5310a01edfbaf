package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"

	"github.com/plimsoll/plimsoll/internal/image"
)

// Secret is a secret that was found. It never has the value, nor what the value could be
// guessed from.
type Secret struct {
	// Rule is gitleaks' id of the rule, or one of the package's own.
	Rule string `json:"rule"`
	// What is a phrase for people, such as "a private key".
	What string `json:"what"`
	// Path is the file. Line and Column, in characters, are where the secret begins in it,
	// from 1; 0 where the file as a whole is meant.
	Path   string `json:"path,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Where is the place in the configuration, such as "env DB_PASSWORD" or "history step
	// 4", which counts from 1.
	Where string `json:"where,omitempty"`
	// Layer is the layer that the file is in, from 0; -1 for the configuration.
	Layer int `json:"layer"`
	// Likely is false for what is mostly harmless: keys that need a password, and what is
	// in tests, examples and documentation.
	Likely bool `json:"likely"`
	// Fingerprint tells secrets of an image apart, and stays when the image is built anew:
	// it is made of rule, place and the number of the secret among its like there. A hash
	// of the value would let anybody who has the report try values until one fits, and a
	// line changes with each edit above it.
	Fingerprint string `json:"fingerprint"`
	// Package is the distribution's package that brought the file, which everybody has; "" is
	// none, or not known. Whoever knows the packages sets it.
	Package string `json:"-"`
}

// Found is what a file holds.
type Found struct {
	Secrets []Secret `json:"secrets,omitempty"`
	// Unread is why there may be more, a phrase; "" where all was looked at.
	Unread string `json:"unread,omitempty"`
}

// Options bound the work. Zero is the default.
type Options struct {
	// File is how many bytes of a file are read. Default 8 MiB; real files with secrets
	// have some KiB.
	File int
	// Work is how many bytes of a file patterns are tried on, those that several patterns
	// are tried on several times, and long patterns counting as several. Default 16 MiB,
	// which take a second or two.
	Work int
	// Secrets is how many are told of a file. Default 100.
	Secrets int
}

// Detector finds secrets. Many goroutines may use one.
type Detector struct {
	o       Options
	buffers sync.Pool
}

// New makes a detector. An error is a bound below zero.
func New(o Options) (*Detector, error) {
	for _, b := range []struct {
		name  string
		value *int
		or    int
	}{{"File", &o.File, 8 << 20}, {"Work", &o.Work, 16 << 20}, {"Secrets", &o.Secrets, 100}} {
		if *b.value < 0 {
			return nil, fmt.Errorf("secret: the bound %s is %d", b.name, *b.value)
		}
		if *b.value == 0 {
			*b.value = b.or
		}
	}
	d := &Detector{o: o}
	d.buffers.New = func() any { return new(bytes.Buffer) }
	return d, nil
}

// sniffed is how much of a file tells whether it is text: as much as git looks at.
const sniffed = 8 << 10

// File looks for secrets in an entry of a layer; what is no file has none. What it finds
// depends on the entry alone, so that it can be kept for the layer; Layer is the entry's.
// An error is one of reading the body.
func (d *Detector) File(ctx context.Context, e *image.Entry) (Found, error) {
	if err := ctx.Err(); err != nil {
		return Found{}, err
	}
	if e.Kind != image.Plain || !e.Mode.IsRegular() || e.Size == 0 {
		return Found{}, nil
	}
	named := known(e.Path)
	if named == nil && isOfPackages(e.Path) {
		return Found{}, nil
	}
	b := d.buffers.Get().(*bytes.Buffer)
	defer d.buffers.Put(b)
	b.Reset()
	if _, err := io.CopyN(b, e.Body, int64(min(sniffed, d.o.File))); err != nil && err != io.EOF {
		return Found{}, fmt.Errorf("reading %q: %w", e.Path, err)
	}
	wide := bytes.HasPrefix(b.Bytes(), []byte{0xff, 0xfe}) || bytes.HasPrefix(b.Bytes(), []byte{0xfe, 0xff})
	var found Found
	s := &scan{path: e.Path, budget: d.o.Work, most: d.o.Secrets}
	if wide || bytes.IndexByte(b.Bytes(), 0) < 0 {
		if _, err := io.CopyN(b, e.Body, int64(d.o.File-b.Len())); err != nil && err != io.EOF {
			return Found{}, fmt.Errorf("reading %q: %w", e.Path, err)
		}
		if e.Size > int64(b.Len()) {
			found.Unread = fmt.Sprintf("only the first %d of %d bytes were read", b.Len(), e.Size)
		}
		s.text = b.Bytes()
		if wide {
			s.text = narrowed(s.text)
		}
		if named != nil {
			named.find(s)
		}
		s.run()
	}
	if s.undone && found.Unread == "" {
		found.Unread = "too much in it looks like a secret"
	}
	count := map[string]int{}
	for _, h := range s.hits {
		count[h.id]++
		line, column := position(s.text, h.from)
		found.Secrets = append(found.Secrets, Secret{Rule: h.id, What: phrase(h.id), Path: e.Path, Line: line, Column: column, Layer: e.Layer,
			Likely: !h.low && !ofTests().MatchString(e.Path), Fingerprint: fingerprint(h.id, e.Path, count[h.id])})
	}
	for i := range matchers() {
		m := &matchers()[i]
		if m.rule.pattern == "" && m.path().MatchString(e.Path) {
			found.Secrets = append(found.Secrets, Secret{Rule: m.rule.id, What: phrase(m.rule.id), Path: e.Path, Layer: e.Layer, Fingerprint: fingerprint(m.rule.id, e.Path, 1)})
		}
	}
	return found, nil
}

// narrowed is a text of UTF-16 with a byte order mark (RFC 2781, 3.2) as UTF-8.
func narrowed(data []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 0xfe {
		order = binary.BigEndian
	}
	units := make([]uint16, len(data)/2-1)
	for i := range units {
		units[i] = order.Uint16(data[2*i+2:])
	}
	return []byte(string(utf16.Decode(units)))
}

// fingerprint is described at Secret.
func fingerprint(rule, place string, n int) string {
	sum := sha256.Sum256([]byte(rule + "\x00" + place + "\x00" + strconv.Itoa(n)))
	return hex.EncodeToString(sum[:8])
}

// ownPhrases are of the rules that are not gitleaks'.
var ownPhrases = map[string]string{
	encryptedKey: "a private key that needs a password",
	puttyKey:     "a private key of PuTTY",
	generic:      "what is given to something that sounds like a secret",
	"jwt":        "a signed token",
	privateKey:   "a private key",
}

// names are how words of the rules' ids are written.
var names = map[string]string{"api": "API", "aws": "AWS", "gcp": "GCP", "pat": "personal access token", "id": "id", "oauth": "OAuth", "jwt": "JSON web token", "github": "GitHub", "gitlab": "GitLab",
	"npm": "npm", "pypi": "PyPI", "openai": "OpenAI", "url": "URL", "uri": "URI", "pkcs12": "PKCS #12"}

// phrase names what a rule finds.
func phrase(id string) string {
	if p := ownPhrases[id]; p != "" {
		return p
	}
	for i := range knownFiles {
		if knownFiles[i].id == id {
			return knownFiles[i].what
		}
	}
	words := strings.Split(id, "-")
	for i, w := range words {
		if name := names[w]; name != "" {
			words[i] = name
		} else if i == 0 {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	article := "a "
	if strings.Contains("AEIO", words[0][:1]) {
		article = "an "
	}
	return article + strings.Join(words, " ")
}

// isOfPackages is true for what only packages bring, of distributions and of languages,
// by the names of folders.
func isOfPackages(path string) bool {
	for _, p := range ofPackages {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return strings.Contains(path, "/node_modules/") // gitleaks' allowlist has it; this is cheaper
}

var ofPackages = []string{"/proc/", "/sys/", "/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/", "/usr/share/i18n/", "/usr/share/zoneinfo/", "/usr/share/icons/",
	"/usr/share/fonts/", "/usr/share/terminfo/", "/usr/share/common-licenses/", "/usr/share/licenses/", "/usr/share/lintian/", "/usr/share/bash-completion/", "/usr/share/perl/", "/usr/share/perl5/",
	"/usr/lib/locale/", "/usr/include/", "/usr/share/mime/", "/usr/share/ca-certificates/", "/var/lib/dpkg/info/", "/var/lib/apt/lists/", "/lib/apk/db/"}

// ofTests are the paths of tests, examples and documentation, and of other people's packages.
var ofTests = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^/usr/(?:local|lib)/go(?:-[0-9.]+)?/src/|/(?:tests?|testing|testdata|test[_-]?(?:data|files|fixtures|certs|keys)|__tests__|__mocks__|mocks?|specs?|fixtures?|examples?|samples?|docs?|documentation|demos?|node_modules|site-packages|dist-packages|gems)/` +
		`|[._-](?:test|spec)\.\w+$|/test_[^/]*$|\.(?:md|rst|adoc|pod|html?|example|sample|dist|template|tmpl)$|\.env\.(?:example|sample|dist|template|test)$|changelog|readme|/\.env-example$`)
})
