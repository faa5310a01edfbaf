package scan

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/term"
)

func asHTML(t *testing.T, r finding.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// scanned is a report about an image that has something for each part.
func scanned() finding.Report {
	subject := &finding.Subject{Kind: "image", ID: "sha256:" + strings.Repeat("ab", 32), Name: "shop/api:4.18"}
	flaw := func(id, name, level, fixed string, severity finding.Severity) finding.Finding {
		f := finding.Finding{About: &finding.About{Rule: id, Title: "a flaw of " + name, Severity: severity, Section: SectionPackages, Refs: map[string][]string{}},
			Detail:  &finding.Detail{Message: name + " is affected", Evidence: map[string]any{"package": name, "version": "1.0", "type": "deb", "fixed": fixed, "upgrade": fixed, "level": level, "installed": []string{"lib" + name}}},
			Subject: subject, Element: "pkg:deb/debian/" + name + "@1.0", Status: finding.Fail}
		if fixed != "" {
			f.Remedy = &finding.Remedy{Dockerfile: "RUN apt-get install -y --only-upgrade lib" + name}
		}
		return f
	}
	exploited := flaw("CVE-2026-0001", "ssl", "critical", "1.2", finding.Critical)
	exploited.Evidence["exploited_since"], exploited.Evidence["cvss"], exploited.Evidence["epss"] = "2026-02-01", 9.8, 0.944
	said := flaw("CVE-2026-0002", "ssl", "high", "1.1", finding.High)
	said.Evidence["upgrade"] = "1.2"
	said.Evidence["vex"] = "under investigation, says Ana: we look"
	waived := flaw("CVE-2026-0004", "xml", "high", "", finding.High)
	waived.Status, waived.Waiver = finding.Waived, &finding.Waiver{Owner: "ana", Expires: "2027-01-01", Reason: "we do not call it"}
	harmless := flaw("CVE-2026-0005", "xml", "high", "", finding.High)
	harmless.Status, harmless.Reason = finding.NotApplicable, "not affected, says Ana: vulnerable code not present"
	secret := finding.Finding{About: &finding.About{Rule: "secret:netrc", Title: "a password is in the image", Severity: finding.High, Section: SectionSecrets},
		Detail:  &finding.Detail{Message: "a password is in /root/.netrc, line 1", Evidence: map[string]any{"path": "/root/.netrc", "line": 1}, Remedy: &finding.Remedy{Dockerfile: "RUN --mount=type=secret,id=ID; and revoke it"}},
		Subject: subject, Element: "/root/.netrc:1", Status: finding.Fail}
	r := finding.Report{
		Tool: finding.Tool{Name: "plimsoll", Version: "1.0"}, Started: time.Date(2026, 11, 24, 20, 38, 51, 0, time.UTC), DurationMS: 1204,
		Target: finding.Target{Name: "shop/api:4.18", OS: "Debian 12"},
		Image: &finding.Image{ID: subject.ID, Packages: 91, Owned: 2, Data: []finding.Data{{Name: "Debian", Newest: time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)}},
			Layers: []finding.LayerBytes{{Bytes: 80 << 20}, {Bytes: 4 << 20, Deleted: 1 << 20}},
			Advice: []finding.Advice{{Kind: "shell", Title: "A shell and its tools", Why: "The program is started without them.", Bytes: 3 << 20, Packages: 4, Flaws: &finding.Gone{Total: 2, Worst: finding.High}, Step: "FROM scratch"}},
			Untold: []finding.Untold{{Kind: "debug", Reason: "no program could be read"}}},
		Findings: []finding.Finding{exploited, said, flaw("CVE-2026-0003", "ssl", "low", "", finding.Low), flaw("CVE-2026-0006", "zip", "negligible", "", finding.Info), waived, harmless, secret,
			unknown(finding.FlawsNotEvaluated, "whether 3 packages of PyPI have known flaws", "there is no database of PyPI", subject, "PyPI", map[string]any{"packages": []string{"a", "b", "c"}})},
	}
	r.Finish(0)
	return r
}

// TestHTML: the page starts with how the image stands and what to do first, and has each
// part that the table has, with all that is known of each flaw.
func TestHTML(t *testing.T) {
	page := asHTML(t, scanned())
	for _, want := range []string{
		"<h1>shop/api:4.18 has 3 known vulnerabilities and 1 secret, as far as it could be told</h1>",
		"First: bring ssl from 1.0 to 1.2: that mends 2 known flaws, the worst of them critical",
		"A newer version mends", "Nothing mends yet", "Secrets", "Accepted", "Not evaluated", "It could do without",
		"CVE-2026-0001 is exploited, known since 2026-02-01", `<th scope="row">CVE-2026-0001</th><td data-l="How grave">critical 9.8, EPSS 0.944</td><td data-l="Mended from">1.2</td><td data-l="What">a flaw of ssl</td>`,
		`<th scope="row">CVE-2026-0003</th><td data-l="How grave">low</td><td data-l="Mended from">nothing yet</td>`, "under investigation, says Ana: we look",
		"<code>RUN apt-get install -y --only-upgrade libssl</code>", "RUN --mount=type=secret,id=ID; and revoke it", "line 1; path /root/.netrc",
		"Waived by ana until 2027-01-01: &#34;we do not call it&#34;", "not affected, says Ana: vulnerable code not present", "there is no database of PyPI",
		"The program is started without them.", "<code>FROM scratch</code>", "Layer 2: 4 MiB, 1 MiB of it removed later",
		`<dt>Image</dt><dd title="sha256:` + strings.Repeat("ab", 32) + `">abababab</dd>`, "91 (2 by way of the distribution&#39;s)", `id="f-info"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %s", want)
		}
	}
	for _, more := range []string{`id="f-pass"`, `id="f-medium"`, "mark 80"} {
		if strings.Contains(page, more) {
			t.Errorf("the page has %s", more)
		}
	}
	if again := asHTML(t, scanned()); again != page {
		t.Error("equal reports have other pages")
	}
}

// TestHTMLClean: of an image in which nothing was found the page says so, and shows nothing
// to press or to search.
func TestHTMLClean(t *testing.T) {
	r := scanned()
	r.Findings, r.Image.Advice = nil, nil
	r.Finish(0)
	page := asHTML(t, r)
	if !strings.Contains(page, "<h1>shop/api:4.18 has no known vulnerabilities</h1>") || strings.Contains(page, "<form") || strings.Contains(page, "First:") || strings.Contains(page, "<details") {
		t.Error(page[strings.Index(page, "<main"):])
	}
}

// TestHTMLAndTable: both have the same parts in the same order, and no flaw is in one alone.
func TestHTMLAndTable(t *testing.T) {
	var b bytes.Buffer
	if err := Table(term.New(term.Config{Writer: &b, UTF8: true}), scanned(), true); err != nil {
		t.Fatal(err)
	}
	table, page := b.String(), asHTML(t, scanned())
	var last [2]int
	for i, part := range []string{"A newer version mends", "Nothing mends yet", "Secrets", "Accepted", "Not evaluated", "It could do without"} {
		at := [2]int{strings.Index(table, "\n"+part), strings.Index(page, ">"+part+"</h2>")}
		if at[0] <= last[0] || at[1] <= last[1] {
			t.Errorf("%s is at %v, behind %v", part, at, last)
		}
		if last = at; i == 0 && !strings.Contains(table, "ssl 1.0 -> 1.2") {
			t.Error(table)
		}
	}
	for _, f := range scanned().Findings {
		if f.Rule != finding.FlawsNotEvaluated && (!strings.Contains(table, f.Rule) || !strings.Contains(page, f.Rule)) {
			t.Errorf("%s is missing", f.Rule)
		}
	}
}

// TestHTMLHostile: what others wrote is a text, and one that can be seen.
func TestHTMLHostile(t *testing.T) {
	const bad = "</script></title><img src=x onerror=alert(1)>\x1b[2J\u202e\xff"
	r := scanned()
	r.Target.Name, r.Target.OS = bad, bad
	r.Image.Advice[0].Title, r.Image.Advice[0].Step, r.Image.Data[0].Name = bad, bad, bad
	for i := range r.Findings {
		f := &r.Findings[i]
		f.About.Title, f.Message, f.Reason, f.Element = bad, bad, bad, bad
		for _, key := range []string{"package", "version", "fixed", "upgrade", "vex", "level_from"} {
			if _, is := f.Evidence[key]; is {
				f.Evidence[key] = bad
			}
		}
		f.Evidence[bad] = map[string]any{bad: bad}
		if f.Remedy != nil {
			f.Remedy = &finding.Remedy{Shell: bad + "\n" + bad}
		}
	}
	page, plain := asHTML(t, r), asHTML(t, scanned())
	for _, tag := range []string{"<script", "</script", "</title", "<img", "<main", "<h1"} {
		if n, want := strings.Count(page, tag), strings.Count(plain, tag); n != want {
			t.Errorf("the page has %d of %s, want %d", n, tag, want)
		}
	}
	for _, raw := range []string{"\x1b", "\u202e", "\xff"} {
		if strings.Contains(page, raw) {
			t.Errorf("the page has %q", raw)
		}
	}
	if want := `\x1b[2J\u202e\xff`; !strings.Contains(page, want) {
		t.Errorf("the page does not show %s", want)
	}
}

// TestRowsHTML: several images are one page, the worst first; what could not be scanned is
// told, and what is fine has a row and no more.
func TestRowsHTML(t *testing.T) {
	fine, bad := scanned(), scanned()
	fine.Findings, fine.Image.Advice = nil, nil
	fine.Finish(0)
	about := finding.Report{Target: finding.Target{Name: "registry:r.example/shop/*"}, Started: fine.Started}
	page := func(rows ...Row) string {
		t.Helper()
		var b bytes.Buffer
		if err := RowsHTML(&b, about, rows); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := page(Row{Name: "shop/fine:1", Report: &fine}, Row{Name: "shop/bad:1", Report: &bad}, Row{Name: "shop/gone:1", Err: errors.New("there is no such <image>")})
	at := 0
	for _, want := range []string{
		"<h1>registry:r.example/shop/*: 1 of 3 images has known flaws or secrets</h1>", "First: shop/bad:1: bring ssl from 1.0 to 1.2", "1 image could not be scanned.", ">3 images</span>",
		">shop/bad:1</span>", "3 known vulnerabilities: 1 critical", ">shop/gone:1</span>", "there is no such &lt;image&gt;", ">shop/fine:1</span>", "No known vulnerabilities.",
		">shop/bad:1</h2>", ">CVE-2026-0001</th>", "a password is in /root/.netrc, line 1", "there is no database of PyPI", "FROM scratch",
	} {
		next := strings.Index(got[at:], want)
		if next < 0 {
			t.Errorf("the page does not have %s, or too early", want)
			continue
		}
		at += next
	}
	if strings.Contains(got, ">shop/fine:1</h2>") || strings.Contains(got, ">shop/gone:1</h2>") {
		t.Error("what has nothing to tell has a part of the page")
	}
	if got := page(Row{Name: "shop/fine:1", Report: &fine}); !strings.Contains(got, "/*: none of 1 image has known flaws or secrets</h1>") || strings.Contains(got, "First:") || strings.Contains(got, "could not be scanned") {
		t.Error(got[strings.Index(got, "<main"):])
	}
}
