package inventory

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plimsoll/plimsoll/internal/term"
	"github.com/plimsoll/plimsoll/internal/trail"
)

// hostile are texts that try to be more than text.
var hostile = []string{
	"\x1b[31mred\x1b[0m\x1b]0;title\x07",
	"a\u202etxt.exe",
	"zero\u200bwidth\ufeff\u2066",
	"line\nfeed\r\n\x00nul\ttab",
	`"><script>alert(1)</script><img src=//evil.example/x>`,
	"</title></style></script><!--",
	`javascript:alert(1)' onmouseover='x`,
	"{{.Policy}}",
	"=HYPERLINK(\"http://evil.example\")",
	"+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", "  =1", "＝1",
	"'; DROP TABLE deployments; --",
	"a\",\"b", "%s%d%n", strings.Repeat("very long ", 300), "你好，世界", "\xff\xfe",
}

// hostileStory has each text in each place where somebody may put one.
func hostileStory() *story {
	s := newStory()
	s.name = "har\u202ebour<b>+aa+key"
	for i, text := range hostile {
		c := newBox(i, text, text)
		if i%2 == 0 {
			c.digest = text
		}
		s.deploy(c, 1, text, &trail.Declared{Owner: text, Why: text, Intent: text, RetireAfter: text, Source: text},
			details{"project": text, "compose_service": text, "source": text, "revision": text, "version": text, "commit": text, "repository": text, "run": text, "replaces": text, "via": text, "created": text, "limits": details{text: text}})
		s.on(c, 1, trail.Rename, details{"from": "x", "to": text}).on(c, 1, trail.Start, details{"at": text, "by": text}).on(c, 1, trail.Die, details{"exit_code": text, "oom": text})
		s.on(c, 1, trail.Judge, details{"failing": text, "worst": text})
		s.add(trail.Event{Type: trail.Scan, Subject: trail.Subject{Kind: "image", Digest: c.digest}, Detail: details{"findings": text, "worst": text}}, 1)
		s.add(trail.Event{Type: text + "x", Subject: trail.Subject{Kind: text + "x", ID: text}}, 1)
	}
	// The id itself is what the engine says, but who knows.
	s.deploy(box{id: "\x1b[2J\u202e", name: "", image: "=x"}, 1, "", nil, nil)
	return s
}

// harmless fails for characters that act on a terminal or hide, but for those allowed.
func harmless(t *testing.T, what, text, allowed string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is not UTF-8", what)
	}
	for line := range strings.SplitAfterSeq(text, "\n") {
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !strings.ContainsRune(allowed, r) && term.Escape(string(r)) != string(r) {
				t.Errorf("%s has %q in %.120q", what, r, line)
				return
			}
		}
	}
}

func writtenJSON(t *testing.T, l *Listing) string {
	t.Helper()
	var b strings.Builder
	if err := l.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHostileText(t *testing.T) {
	s := hostileStory()
	db := synced(t, s.all())
	for name, filter := range map[string]Filter{"all": {}, "none": {Owner: "\x1b[2J\u202e<b>", Image: "=\u202e"}} {
		l := list(t, db, filter)
		if want := len(hostile) + 1; name == "all" && len(l.Deployments) != want {
			t.Fatalf("%d deployments, want %d", len(l.Deployments), want)
		}
		for _, c := range []term.Config{terminal(80, false), terminal(200, false), {UTF8: true}} {
			harmless(t, "the table", tableOf(t, l, c, false), "")
			harmless(t, "the blocks", tableOf(t, l, c, true), "")
		}
		ascii := tableOf(t, l, term.Config{Terminal: true, Columns: 200}, true)
		for _, r := range ascii {
			if r > '~' {
				t.Fatalf("%q where only ASCII can be shown", r)
			}
		}
		text := writtenJSON(t, l)
		harmless(t, "the JSON", text, "")
		var doc document
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatal(err)
		}
		for i := range doc.Deployments {
			if want := strings.ToValidUTF8(l.Deployments[i].Why, "\ufffd"); doc.Deployments[i].Why != want {
				t.Errorf("JSON says %q for %q", doc.Deployments[i].Why, want)
			}
		}
		checkCSV(t, l)
		checkHTML(t, l)
	}
	// The twin: in colour only our own escapes are there.
	colour := tableOf(t, list(t, db, Filter{}), terminal(200, true), false)
	harmless(t, "the coloured table", regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colour, ""), "")
	if !strings.Contains(colour, "\x1b[33m") {
		t.Error("no colour at all")
	}
}

func checkCSV(t *testing.T, l *Listing) {
	t.Helper()
	var b strings.Builder
	if err := l.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	harmless(t, "the CSV", strings.ReplaceAll(b.String(), "\r\n", "\n"), "")
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(l.Deployments)+1 || !slices.Equal(rows[0], csvHead) {
		t.Fatalf("%d rows, head %q", len(rows), rows[0])
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			// A number of ours may be negative.
			if csvHead[i] != "exit_code" && strings.IndexAny(strings.TrimLeft(cell, " "), "=+-@\t\r＝＋－＠") == 0 {
				t.Errorf("a spreadsheet would act on %q", cell)
			}
		}
	}
}

func TestInert(t *testing.T) {
	for text, want := range map[string]string{
		"=1": "'=1", "+1": "'+1", "-x": "'-x", "@a": "'@a", "\tx": `'\x09x`, "\rx": `'\x0dx`, "\nx": `'\x0ax`, " =1": "' =1", "＝1": "'＝1",
		"": "", "web": "web", "a=b": "a=b", "team-core": "team-core", "'quoted'": "'quoted'", "a\nb": `a\x0ab`, "registry.example/a@sha256:1": "registry.example/a@sha256:1",
	} {
		if got := term.Inert(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// tags are the elements that the page itself has; what others wrote must add none.
var tags = regexp.MustCompile(`<(/?[a-zA-Z!][^\s>/]*)`)

func checkHTML(t *testing.T, l *Listing) {
	t.Helper()
	var b strings.Builder
	if err := l.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	harmless(t, "the page", page, "")
	want := []string{"!doctype", "html", "head", "meta", "title", "link", "style", "body", "svg", "symbol", "path", "rect", "circle", "use", "a", "header", "div", "span", "button", "main", "h1", "p",
		"form", "label", "input", "table", "caption", "thead", "tbody", "tr", "th", "td", "code", "time", "script"}
	for _, m := range tags.FindAllStringSubmatch(page, -1) {
		if tag := strings.TrimPrefix(m[1], "/"); !slices.Contains(want, tag) {
			t.Errorf("the page has an element %q", tag)
		}
	}
	for _, once := range []string{"<script", "</script", "<style", "</style", "<title", "</title", "<main", "</main"} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("the page has %d of %s", n, once)
		}
	}
	bare := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(page[strings.Index(page, "<body>"):strings.Index(page, "<script>")], `""`)
	for _, m := range regexp.MustCompile(`<[a-z][^>]*\s(on[a-z]+|style)\s*=`).FindAllString(bare, -1) {
		t.Errorf("an attribute that acts: %q", m)
	}
	// No address leads anywhere but into the page.
	for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "#") && m[1] != "data:," {
			t.Errorf("the page asks for %q", m[1])
		}
	}
}

// TestPagePolicy: the page allows its own style and script by their hashes, nothing else.
func TestPagePolicy(t *testing.T) {
	var b strings.Builder
	if err := list(t, synced(t, harbour().all()), Filter{Now: evening}).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	meta := regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`).FindStringSubmatch(page)
	if meta == nil {
		t.Fatal("the page has no policy")
	}
	policy := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(meta[1])
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	for element, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, rest, _ := strings.Cut(page, "<"+element+">")
		text, _, found := strings.Cut(rest, "</"+element+">")
		sum := sha256.Sum256([]byte(text))
		want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		if !found || len(text) < 100 || !strings.Contains(policy, want) {
			t.Errorf("the policy %s does not have %s", policy, want)
		}
	}
	if strings.Contains(page, "/*") || strings.Contains(page, "url(") || strings.Contains(page, "@import") {
		t.Error("the style asks for something, or has a comment that the template would take out")
	}
}
