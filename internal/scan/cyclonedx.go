package scan

import (
	"io"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/sbom"
)

// WriteCycloneDX writes what an image consists of, with the flaws of a report about it, as
// CycloneDX 1.6. What was accepted is there with who accepted it, and why.
func WriteCycloneDX(w io.Writer, d *sbom.Document, r finding.Report, by sbom.Maker) error {
	at := map[string][]int{}
	for i := range d.Packages {
		url := d.Packages[i].PURL()
		at[url] = append(at[url], i)
	}
	flaws := []sbom.Flaw{}
	for i := range r.Findings {
		f := &r.Findings[i]
		urls := texts(f, "purls")
		if len(urls) == 0 {
			continue
		}
		one := sbom.Flaw{ID: f.Rule, IDs: texts(f, "ids"), Severity: told(f, "level"), Score: -1, Summary: f.Title, Fixed: told(f, "fixed")}
		if one.Severity == "negligible" {
			one.Severity = "info"
		}
		if score, is := f.Evidence["cvss"].(float64); is {
			one.Score = score
		}
		if vectors := texts(f, "vectors"); len(vectors) > 0 {
			one.Vector = vectors[0]
		}
		for _, url := range urls {
			one.Packages = append(one.Packages, at[url]...)
		}
		switch {
		case f.Status == finding.NotApplicable:
			one.State, one.Why = "not_affected", f.Reason
		case f.Waiver != nil && f.Status == finding.Waived:
			one.State, one.Why = "exploitable", "accepted by "+f.Waiver.Owner+" until "+f.Waiver.Expires+": "+f.Waiver.Reason
		}
		flaws = append(flaws, one)
	}
	return d.WriteCycloneDX(w, by, flaws)
}
