package scan

import (
	"github.com/plimsoll/plimsoll/internal/advice"
	"github.com/plimsoll/plimsoll/internal/finding"
)

// Advise puts into a report what the image could do without. Judged is true for a report of
// [Judge], whose failures are then counted: it is asked when waivers have been applied.
func Advise(r *finding.Report, c *Contents, judged bool) {
	i := advice.Image{View: c.View, Config: c.Config, Tree: c.Tree, OS: c.Document.OS, Packages: c.Document.Packages, Installed: c.Installed, Files: &c.Files, Judged: judged}
	for n := range r.Findings {
		f := &r.Findings[n]
		if f.Section == SectionPackages && f.Status == finding.Fail && told(f, "level") != "negligible" {
			i.Flaws = append(i.Flaws, advice.Flaw{PURLs: texts(f, "purls"), Severity: f.Severity, Fixable: told(f, "fixed") != "", Base: yes(f, "from_base")})
		}
	}
	r.Image.Advice, r.Image.Untold = advice.Of(i)
	if c.View == nil {
		return
	}
	privileged := map[string]bool{}
	for _, f := range c.Facts.Setuid {
		privileged[f.Path] = true
	}
	for _, f := range c.Files.Capable {
		privileged[f.Path] = true
	}
	r.Image.Surface = &finding.Surface{Executables: c.Files.Executables, Privileged: len(privileged), Shells: len(c.Files.Shells), Unlinked: len(c.Files.Unlinked)}
	for _, l := range c.Files.Layers {
		r.Image.Layers = append(r.Image.Layers, finding.LayerBytes{Bytes: l.Bytes, Overwritten: l.Overwritten, Deleted: l.Deleted})
	}
}

// About is what a report says of the image that was looked into.
func (c *Contents) About() *finding.Image {
	d := &c.Document
	return &finding.Image{Reference: d.Name, ID: string(d.ID), Manifest: string(d.Manifest), Names: append([]string{}, d.Names...), Packages: len(d.Packages), Data: []finding.Data{}, Advice: []finding.Advice{}, Untold: []finding.Untold{}}
}
