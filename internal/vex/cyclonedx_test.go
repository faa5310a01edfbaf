package vex

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// cyclone is a document of CycloneDX about a component, zlib, of an application.
func cyclone(state, more, affects string) string {
	if affects == "" {
		affects = `{"ref": "z"}`
	}
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`{"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", "version": 1,
"metadata": {"timestamp": "2026-01-01T00:00:00Z", "authors": [{"name": "Ana"}], "component": {"type": "application", "bom-ref": "app", "name": "app"}},
"components": [{"type": "library", "name": "outer", "components": [{"type": "library", "bom-ref": "z", "name": "zlib1g", "purl": "pkg:deb/debian/zlib1g"}]}, {"type": "library", "bom-ref": "bare", "name": "bare"}],
"vulnerabilities": [{"id": "CVE-2026-9"}, {"id": "CVE-2026-1", "references": [{"id": "GHSA-aaaa-bbbb-cccc"}], "analysis": {"state": %q%s}, "affects": [%s]}]}`, state, more, affects)
}

// TestCycloneDX: each state is one of OpenVEX's, about what the document names.
func TestCycloneDX(t *testing.T) {
	reason := `"justification": "code_not_reachable"`
	image := func(text, component string) string {
		return strings.Replace(text, `{"type": "application", "bom-ref": "app", "name": "app"}`, component, 1)
	}
	good := cyclone("not_affected", reason, "")
	for name, c := range map[string]struct {
		text string
		want Status
	}{
		"not affected":       {good, NotAffected},
		"said in words":      {cyclone("not_affected", `"detail": "it is not built in"`, ""), NotAffected},
		"a false positive":   {cyclone("false_positive", "", ""), NotAffected},
		"resolved":           {cyclone("resolved", "", ""), Fixed},
		"with pedigree":      {cyclone("resolved_with_pedigree", "", ""), Fixed},
		"exploitable":        {cyclone("exploitable", "", ""), Affected},
		"in triage":          {cyclone("in_triage", "", ""), Looking},
		"no state":           {cyclone("", "", ""), ""},
		"an older version":   {strings.Replace(good, `"1.6"`, `"1.4"`, 1), NotAffected},
		"a package URL":      {cyclone("not_affected", reason, `{"ref": "pkg:deb/debian/zlib1g"}`), NotAffected},
		"a BOM-Link":         {cyclone("not_affected", reason, `{"ref": "urn:cdx:aaaa1687-395b-41f5-a30f-a58921a69b79/1#pkg:deb/debian/zlib1g@1%3A1.2.13.dfsg-1"}`), NotAffected},
		"escaped as a whole": {cyclone("not_affected", reason, `{"ref": "urn:cdx:aaaa1687-395b-41f5-a30f-a58921a69b79/1#pkg%3Adeb%2Fdebian%2Fzlib1g"}`), NotAffected},
		"a link to itself":   {cyclone("not_affected", reason, `{"ref": "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#z"}`), NotAffected},
		"another component":  {cyclone("not_affected", reason, `{"ref": "pkg:deb/debian/bash"}`), ""},
		"one without a purl": {cyclone("not_affected", reason, `{"ref": "bare"}`), ""},
		"the second of two":  {cyclone("not_affected", reason, `{"ref": "bare"}, {"ref": "z"}`), NotAffected},

		"its version":             {cyclone("not_affected", reason, `{"ref": "z", "versions": [{"version": "1:1.2.13.dfsg-1", "status": "unaffected"}]}`), NotAffected},
		"another version":         {cyclone("not_affected", reason, `{"ref": "z", "versions": [{"version": "1:1.2.14", "status": "unaffected"}]}`), ""},
		"a version that has it":   {cyclone("not_affected", reason, `{"ref": "z", "versions": [{"version": "1:1.2.13.dfsg-1"}]}`), ""},
		"a version not known of":  {cyclone("exploitable", "", `{"ref": "z", "versions": [{"version": "1:1.2.13.dfsg-1", "status": "unknown"}]}`), ""},
		"a range":                 {cyclone("resolved", "", `{"ref": "z", "versions": [{"range": "vers:deb/>=1", "status": "unaffected"}]}`), ""},
		"an exploitable version":  {cyclone("exploitable", "", `{"ref": "z", "versions": [{"version": "1:1.2.13.dfsg-1"}]}`), Affected},
		"an image":                {image(good, `{"type": "container", "name": "nginx", "purl": "pkg:oci/nginx@`+manifest+`"}`), NotAffected},
		"another image":           {image(good, `{"type": "container", "name": "nginx", "purl": "pkg:oci/nginx@`+other+`"}`), ""},
		"an image by its version": {image(good, `{"type": "container", "name": "image", "version": "`+manifest+`"}`), NotAffected},
		"another by its version":  {image(good, `{"type": "container", "name": "image", "version": "`+other+`"}`), ""},
		"an image by name":        {image(good, `{"type": "container", "name": "nginx", "version": "1.25"}`), NotAffected},
		"by name and tag":         {image(good, `{"type": "container", "name": "nginx:1.25"}`), NotAffected},
		"by name and digest":      {image(good, `{"type": "container", "name": "nginx@`+other+`"}`), ""},
		"another tag":             {image(good, `{"type": "container", "name": "nginx", "version": "1.26"}`), ""},
		"the image as a whole":    {strings.Replace(image(good, `{"type": "container", "bom-ref": "i", "name": "nginx", "purl": "pkg:oci/nginx@`+manifest+`"}`), `{"ref": "z"}`, `{"ref": "i"}`, 1), NotAffected},
	} {
		d, err := documents(t, c.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := says(t, d, zlib); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}

	d, err := documents(t, cyclone("not_affected", reason+`, "detail": "why", "response": ["update", "rollback"], "firstIssued": "2026-02-01T00:00:00Z", "lastUpdated": "2026-03-01T00:00:00Z"`, ""))
	if err != nil {
		t.Fatal(err)
	}
	s, is := d.Say([]string{"GHSA-aaaa-bbbb-cccc"}, zlib, Image{})
	if !is || s.Author != "Ana" || s.Document != "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" || s.Justification != "code_not_reachable" || s.Impact != "why" || s.Action != "update, rollback" || s.Index != 1 || s.Time.Format(time.DateOnly) != "2026-03-01" {
		t.Errorf("%v %+v", is, s)
	}

	for text, want := range map[string]string{
		cyclone("not_affected", "", ""):                                   `"vulnerabilities[1].analysis" says not_affected and not why`,
		cyclone("not_affected", `"justification": "we_think_so"`, ""):     `"vulnerabilities[1].analysis.justification" is "we_think_so"`,
		cyclone("fine", "", ""):                                           `"vulnerabilities[1].analysis.state" is "fine"`,
		cyclone("resolved", "", `{"ref": "nobody"}`):                      `"vulnerabilities[1].affects[0].ref" names no component`,
		cyclone("resolved", "", `{"ref": "urn:cdx:x/1#z"}`):               `"vulnerabilities[1].affects[0].ref" names no component`,
		strings.Replace(good, `[{"ref": "z"}]`, `[]`, 1):                  `"vulnerabilities[1].affects" is missing`,
		strings.Replace(good, "pkg:deb/debian/zlib1g", "pkg:deb", 1):      `"vulnerabilities[1].affects[0].ref" is a component whose purl is none`,
		strings.Replace(good, `"1.6"`, `"1.3"`, 1):                        `"specVersion" is "1.3", and 1.4 to 1.6 are read`,
		strings.Replace(good, `"id": "CVE-2026-1", `, "", 1):              `"vulnerabilities[1].id" is missing`,
		strings.Replace(good, `"GHSA-aaaa-bbbb-cccc"`, `""`, 1):           `"vulnerabilities[1].references[0].id" is missing`,
		image(good, `{"type": "container", "name": "A B"}`):               `"metadata.component" is a container, and does not say which`,
		image(good, `{"type": "application", "purl": "pkg:oci/nginx"}`):   `"metadata.component" is a container, and does not say which`,
		image(good, `{"type": "container", "purl": "pkg:deb/debian/x"}`):  `"metadata.component" is a container, and does not say which`,
		strings.Replace(good, `"timestamp": "2026`, `"timestamp": "x`, 1): "timestamp",
	} {
		if _, err := documents(t, text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "0.json") {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}

// FuzzParse: what is read has as many statements as encoding/json sees; each is found again
// by each of its ids and each package that it names, unless something newer or worse is said;
// not_affected has its reason; and nobody else's id finds anything.
func FuzzParse(f *testing.F) {
	f.Add([]byte(open(not(id(zlib)), not(id("pkg:oci/nginx@"+manifest, "pkg:deb/debian/bash")))))
	f.Add([]byte(open(not(id("pkg:docker/nginx@1.25?platform=linux/amd64")))))
	f.Add([]byte(open(not(id("pkg:golang/example.org/m@v1.0.0#a/b"), `"last_updated": "2026-06-01T02:00:00+02:00"`))))
	f.Add([]byte(cyclone("not_affected", `"justification": "code_not_reachable"`, "")))
	f.Add([]byte(cyclone("exploitable", "", `{"ref": "z", "versions": [{"version": "1"}]}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parse("f", data)
		if err != nil {
			return
		}
		var seen struct {
			Statements      []json.RawMessage `json:"statements"`
			Vulnerabilities []struct {
				Analysis struct {
					State string `json:"state"`
				} `json:"analysis"`
			} `json:"vulnerabilities"`
		}
		if err := json.Unmarshal(data, &seen); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		want := 0
		for _, v := range seen.Vulnerabilities {
			if v.Analysis.State != "" {
				want++
			}
		}
		if len(list) != want && len(list) != len(seen.Statements) {
			t.Fatalf("%d statements, and encoding/json has %d and %d", len(list), len(seen.Statements), want)
		}
		d := &Documents{byID: map[string][]int{}}
		d.add(list)
		for i := range list {
			s := &list[i]
			if !slices.Contains(statuses, s.Status) || s.Status == NotAffected && s.Justification == "" && strings.TrimSpace(s.Impact) == "" {
				t.Errorf("%+v", s)
			}
			for _, p := range s.products {
				if p.parts != nil || p.whole.url == nil {
					continue
				}
				// Not by a text: what a package URL says when it is written again is the
				// library's.
				for _, id := range s.IDs {
					got, is := d.newest(d.of([]string{id}), p.whole.url, Image{}.known())
					if !is || got.compare(s) < 0 {
						t.Errorf("%s of %s: %v %+v, and there is %+v", id, p.whole.url.ToString(), is, got, s)
					}
				}
			}
			if got, is := d.Say(s.IDs, "", Image{}); is {
				t.Errorf("no package and no image, and yet %+v", got)
			}
		}
		if s, is := d.Say([]string{"none of these \x00"}, zlib, nginx); is {
			t.Errorf("%+v", s)
		}
	})
}
