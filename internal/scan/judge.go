package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/vex"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// Measure is what contents are judged by.
type Measure struct {
	Records Records
	// Status is what databases there are.
	Status  []vuln.Status
	Weights Weights
	// VEX is what makers of software say of flaws; nil is nothing.
	VEX *vex.Documents
	// Without are families of ecosystems that need not be judged.
	Without []string
	Tool    finding.Tool
	Started time.Time
}

// Judge asks what is known of what an image consists of, and says what should not be in it.
// The findings are of one subject, the image. An error is of a database that cannot be read.
func Judge(c *Contents, m Measure) (finding.Report, error) {
	doc := &c.Document
	subject := c.subject()
	r := finding.Report{Tool: m.Tool, Started: m.Started.UTC(), Target: finding.Target{Name: doc.Name, OS: shortOS(doc.OS)},
		Image: c.About()}
	list, owned := components(doc.Packages)
	r.Image.Owned = owned
	if ends := c.Files.SupportEnds; !ends.IsZero() {
		r.Image.SupportEnds = &ends
	}
	asked := map[string]bool{}
	type gap struct {
		ecosystem, reason string
		packages          []string
		count             int
	}
	var gaps []*gap
	for _, one := range list {
		family := vuln.Family(cmp.Or(one.Ecosystem, one.Type))
		if slices.Contains(m.Without, family) {
			continue
		}
		if err := one.match(m.Records); err != nil {
			return r, err
		}
		asked[family] = true
		r.Findings = append(r.Findings, one.findings(subject, doc, m)...)
		if one.NotEvaluated == "" {
			continue
		}
		ecosystem := cmp.Or(one.Ecosystem, one.Type)
		at := slices.IndexFunc(gaps, func(g *gap) bool { return g.ecosystem == ecosystem && g.reason == one.NotEvaluated })
		if at < 0 {
			at = len(gaps)
			gaps = append(gaps, &gap{ecosystem: ecosystem, reason: one.NotEvaluated})
		}
		gaps[at].count += len(one.Packages)
		gaps[at].packages = append(gaps[at].packages, strings.TrimSpace(one.Name+" "+one.Version))
	}
	for _, g := range gaps {
		what := fmt.Sprintf("whether %d packages of %s have known flaws", g.count, g.ecosystem)
		if g.count == 1 {
			what = fmt.Sprintf("whether %s of %s has known flaws", g.packages[0], g.ecosystem)
		}
		r.Findings = append(r.Findings, unknown(finding.FlawsNotEvaluated, what, g.reason, subject, g.ecosystem, map[string]any{"packages": g.packages}))
	}
	for _, text := range doc.Unread {
		path, reason, _ := strings.Cut(text, ": ")
		r.Findings = append(r.Findings, unknown(finding.FlawsNotEvaluated, "which packages "+path+" tells of", reason, subject, path, nil))
	}
	if len(doc.Packages) == 0 {
		r.Findings = append(r.Findings, unknown(finding.FlawsNotEvaluated, "what software is in the image", "no file of it tells of a package", subject, "", nil))
	}
	r.Findings = append(r.Findings, c.SecretFindings()...)
	for _, s := range m.Status {
		if asked[s.Family] {
			r.Image.Data = append(r.Image.Data, finding.Data{Name: s.Family, Newest: s.Newest})
		}
	}
	r.Finish(0)
	return r, nil
}

// subject is the image that findings are of.
func (c *Contents) subject() *finding.Subject {
	d := &c.Document
	return &finding.Subject{Kind: "image", ID: string(cmp.Or(d.ID, d.Manifest)), Name: d.Name, Also: strings.Join(d.Names, "\n")}
}

// SecretFindings are what a report has of the secrets that were found, and of the files that
// were not looked at as a whole.
func (c *Contents) SecretFindings() []finding.Finding {
	var list []finding.Finding
	subject := c.subject()
	for i := range c.Secrets {
		list = append(list, secretFinding(&c.Secrets[i], c.View, subject, &c.Document))
	}
	for _, text := range c.Cut {
		path, reason, _ := strings.Cut(text, ": ")
		f := unknown(finding.SecretsNotEvaluated, "whether there is a secret in "+path, reason, subject, path, nil)
		f.About.Section, f.About.Severity = SectionSecrets, finding.Low
		list = append(list, f)
	}
	return list
}

// shortOS is a distribution in two words: Debian 12.
func shortOS(o sbom.OS) string {
	name, _, _ := strings.Cut(o.Name, " (")
	if name = strings.Replace(name, " GNU/Linux", "", 1); name != "" {
		return name
	}
	return strings.TrimSpace(o.ID + " " + o.VersionID)
}
