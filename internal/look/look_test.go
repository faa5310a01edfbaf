package look

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"
)

// parts are a page that shows one text.
func parts() Parts {
	return Parts{HTML: `{{define "title"}}{{.}}{{end}}{{define "bar"}}{{end}}{{define "main"}}<main id="main">{{.}}</main>{{end}}`, Style: "main { color: var(--ink); }\n", Icons: []string{"pass"}}
}

func written(t *testing.T, data any) string {
	t.Helper()
	var b strings.Builder
	if err := New(parts()).Write(&b, data); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPolicy: a page allows its own style and script by their hashes, nothing else, and has
// nothing that would ask for more.
func TestPolicy(t *testing.T) {
	page := written(t, "all is well")
	if !strings.Contains(page, "<title>all is well · Plimsoll</title>") || !strings.Contains(page, `<main id="main">all is well</main>`) {
		t.Errorf("the page does not say it: %s", page)
	}
	meta := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if meta == nil {
		t.Fatal("the page has no policy")
	}
	policy := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(meta[1])
	var want []string
	for _, element := range []string{"style", "script"} {
		_, rest, _ := strings.Cut(page, "<"+element+">")
		text, _, found := strings.Cut(rest, "</"+element+">")
		if !found || len(text) < 100 {
			t.Fatalf("the page has no %s", element)
		}
		sum := sha256.Sum256([]byte(text))
		want = append(want, element+"-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	if want := "default-src 'none'; img-src data:; " + strings.Join(want, "; ") + "; base-uri 'none'; form-action 'none'"; policy != want {
		t.Errorf("the policy is %s, want %s", policy, want)
	}
	for _, asks := range []string{"/*", "url(", "@import", "http://", "https://", "fetch(", "localStorage"} {
		if strings.Contains(page, asks) {
			t.Errorf("the page has %s", asks)
		}
	}
}

// TestColours: every colour that the style uses is named in it.
func TestColours(t *testing.T) {
	for _, m := range regexp.MustCompile(`var\((--[a-z0-9-]+)\)`).FindAllStringSubmatch(style+icons, -1) {
		if !strings.Contains(style, m[1]+":") {
			t.Errorf("%s is not defined", m[1])
		}
	}
}

// TestHostile: a text stays one, wherever it stands.
func TestHostile(t *testing.T) {
	page := written(t, `</title></main><script>alert(1)</script><img src=x onerror="alert(1)">`)
	for _, once := range []string{"<script", "</script", "<title", "</title", "<main", "</main"} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("the page has %d of %s", n, once)
		}
	}
	if strings.Contains(page, "<img") {
		t.Error("the page has an image")
	}
}

func TestIcons(t *testing.T) {
	page := written(t, "")
	for name, want := range map[string]int{"mark": 1, "theme": 1, "pass": 1, "fail": 0} {
		if n := strings.Count(page, `<symbol id="i-`+name+`"`); n != want {
			t.Errorf("%d icons %s, want %d", n, name, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("an icon that is not there is none that the page can have")
		}
	}()
	p := parts()
	p.Icons = []string{"anchor"}
	New(p)
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestWriteFails(t *testing.T) {
	want := errors.New("no space left")
	if err := New(parts()).Write(full{want}, strings.Repeat("long ", 1<<17)); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}
