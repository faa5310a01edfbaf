package scan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/secret"
	"github.com/plimsoll/plimsoll/internal/vex"
	"github.com/plimsoll/plimsoll/internal/vuln"
)

// The sections of a report about an image.
const (
	SectionPackages = "packages"
	SectionSecrets  = "secrets"
)

// Weights say what a flaw counts as whose severity nobody has said: Unknown where a version
// without it is there, and as info where none is.
type Weights struct{ Unknown finding.Severity }

// severity is what a flaw counts as, and whether that is a guess.
func (w Weights) severity(f *Flaw) (s finding.Severity, guessed bool) {
	switch f.level() {
	case vuln.Critical:
		return finding.Critical, false
	case vuln.High:
		return finding.High, false
	case vuln.Medium:
		return finding.Medium, false
	case vuln.Low:
		return finding.Low, false
	case vuln.Negligible:
		return finding.Info, false
	}
	if f.Fixed == "" {
		return finding.Info, true
	}
	return w.Unknown, true
}

// level is how grave the flaw is: by its own record, or else by that of another family.
func (f *Flaw) level() vuln.Level {
	if f.Severity.Level == vuln.Unknown {
		return f.Weight.Level
	}
	return f.Severity.Level
}

// element names a component in findings and waivers: its package URL without qualifiers.
func (c *Component) element() string {
	p := c.Packages[0]
	p.Name, p.Version, p.Source = c.Name, c.Version, sbom.Source{}
	url, _, _ := strings.Cut(p.PURL(), "?")
	return url
}

// findings are what a report has of a component.
func (c *Component) findings(subject *finding.Subject, doc *sbom.Document, m Measure) []finding.Finding {
	var list []finding.Finding
	element := c.element()
	for i := range c.Flaws {
		f := &c.Flaws[i]
		severity, guessed := m.Weights.severity(f)
		message := fmt.Sprintf("%s %s is affected, and no version without it is known", c.Name, c.Version)
		if f.Fixed != "" {
			message = fmt.Sprintf("%s %s is affected, %s is not", c.Name, c.Version, f.Fixed)
		}
		one := finding.Finding{
			About:   &finding.About{Rule: f.ID, Title: cmp.Or(f.Summary, "a known flaw of "+c.Name), Severity: severity, Section: SectionPackages, Refs: map[string][]string{}},
			Detail:  &finding.Detail{Message: message, Evidence: c.evidence(f, doc, guessed), Remedy: c.remedy(f.Fixed)},
			Subject: subject, Element: element, Status: finding.Fail,
		}
		if says, harmless := c.said(f, doc, m.VEX); harmless {
			one.Status, one.Reason = finding.NotApplicable, says
		} else if says != "" {
			one.Evidence["vex"] = says
		}
		list = append(list, one)
	}
	for _, id := range c.Undecided {
		list = append(list, unknown(id, "whether "+c.Name+" is affected", fmt.Sprintf("the ranges of versions of %s cannot be read", id), subject, element, nil))
	}
	return list
}

// said is what documents say of a flaw of the component, and whether it does no harm to any of
// its packages. A statement about some of them alone leaves the flaw.
func (c *Component) said(f *Flaw, doc *sbom.Document, documents *vex.Documents) (text string, harmless bool) {
	if documents == nil {
		return "", false
	}
	in := vex.Image{Names: doc.Names}
	for _, d := range []digest.Digest{doc.ID, doc.Manifest} {
		if d != "" {
			in.Digests = append(in.Digests, d)
		}
	}
	source := c.Packages[0]
	source.Name, source.Version, source.Source, source.Arch = c.Name, c.Version, sbom.Source{}, ""
	harmless = true
	for i := range c.Packages {
		s, is := documents.Say(f.IDs, c.Packages[i].PURL(), in)
		if of, also := documents.Say(f.IDs, source.PURL(), in); also && (!is || of.Time.After(s.Time)) {
			s, is = of, true
		}
		harmless = harmless && is && (s.Status == vex.NotAffected || s.Status == vex.Fixed)
		if is {
			text = fmt.Sprintf("%s, says %s: %s", strings.ReplaceAll(string(s.Status), "_", " "), cmp.Or(s.Author, s.Document, s.File), cmp.Or(s.Impact, s.Justification, s.Action, "no reason is given"))
		}
	}
	return text, harmless
}

// unknown is a finding about what could not be told.
func unknown(rule, title, reason string, subject *finding.Subject, element string, evidence map[string]any) finding.Finding {
	return finding.Finding{
		About:   &finding.About{Rule: rule, Title: title, Severity: finding.High, Section: SectionPackages, Refs: map[string][]string{}},
		Detail:  &finding.Detail{Message: "It can't be told " + title, Reason: reason, Evidence: evidence},
		Subject: subject, Element: element, Status: finding.Unknown,
	}
}

// evidence is what is known of a flaw of a component, for programs.
func (c *Component) evidence(f *Flaw, doc *sbom.Document, guessed bool) map[string]any {
	e := map[string]any{
		"package": c.Name, "version": c.Version, "type": c.Type, "ecosystem": c.Ecosystem, "fixed": f.Fixed, "upgrade": c.Fixed, "ids": f.IDs,
		"level": f.level().String(), "level_guessed": guessed,
	}
	if f.Severity.Tenths >= 0 {
		e["cvss"], e["vectors"] = float64(f.Severity.Tenths)/10, f.Severity.Vectors
	}
	if f.Severity.Level == vuln.Unknown && f.Weight.From != "" {
		e["level_from"], e["cvss"] = f.Weight.From, float64(f.Weight.Tenths)/10
	}
	if !f.Weight.Exploited.IsZero() {
		e["exploited_since"], e["ransomware"] = f.Weight.Exploited.Format(time.DateOnly), f.Weight.Ransomware
	}
	if f.Weight.EPSS >= 0 {
		e["epss"], e["epss_percentile"] = f.Weight.EPSS, f.Weight.Percentile
	}
	if f.Urgency != "" {
		e["urgency"] = f.Urgency
	}
	var binaries, paths, urls, steps []string
	base := true
	for _, p := range c.Packages {
		binaries, urls = append(binaries, p.Name), append(urls, p.PURL())
		if p.Path != "" {
			paths = append(paths, p.Path)
		}
		if p.Layer < 0 || p.Layer >= len(doc.Layers) {
			base = false
			continue
		}
		l := doc.Layers[p.Layer]
		base = base && l.Base
		if l.Step != "" {
			steps = append(steps, l.Step)
		}
	}
	for name, list := range map[string][]string{"installed": binaries, "paths": paths, "purls": urls, "steps": steps} {
		slices.Sort(list)
		if list = slices.Compact(list); len(list) > 0 {
			e[name] = list
		}
	}
	e["from_base"] = base
	return e
}

// copied are names and versions that may stand in a command which somebody copies: whoever
// made the image chose them.
var copied = regexp.MustCompile(`^[A-Za-z0-9@/._+:~ -]*$`)

// remedy is how a component is brought to a version; nil where there is none.
func (c *Component) remedy(fixed string) *finding.Remedy {
	if fixed == "" {
		return nil
	}
	var installed []string
	for _, p := range c.Packages {
		if !slices.Contains(installed, p.Name) {
			installed = append(installed, p.Name)
		}
	}
	slices.Sort(installed)
	names := strings.Join(installed, " ")
	if !copied.MatchString(names + c.Name + fixed) {
		return nil
	}
	switch c.Type {
	case sbom.Deb:
		return &finding.Remedy{Dockerfile: "RUN apt-get update && apt-get install -y --only-upgrade " + names}
	case sbom.APK:
		return &finding.Remedy{Dockerfile: "RUN apk upgrade --no-cache " + names}
	case sbom.RPM:
		return &finding.Remedy{Dockerfile: "RUN dnf upgrade -y " + names}
	case sbom.Go:
		if c.Name == "stdlib" {
			return &finding.Remedy{Shell: "build the program with Go " + fixed}
		}
		return &finding.Remedy{Shell: "go get " + c.Name + "@v" + strings.TrimPrefix(fixed, "v")}
	case sbom.NPM:
		return &finding.Remedy{Shell: "npm install " + c.Name + "@" + fixed}
	case sbom.PyPI:
		return &finding.Remedy{Shell: "pip install '" + c.Name + ">=" + fixed + "'"}
	case sbom.Gem:
		return &finding.Remedy{Shell: "bundle update " + c.Name}
	case sbom.Cargo:
		return &finding.Remedy{Shell: "cargo update -p " + c.Name + " --precise " + fixed}
	case sbom.NuGet:
		return &finding.Remedy{Shell: "dotnet add package " + c.Name + " --version " + fixed}
	case sbom.Composer:
		return &finding.Remedy{Shell: "composer require " + c.Name + ":^" + fixed}
	}
	return &finding.Remedy{Shell: "set the version of " + c.Name + " to " + fixed}
}

// secretFinding is what a report has of a secret. Where it is still there, or was once, is
// no matter: whoever has the image has its layers.
func secretFinding(s *secret.Secret, v *image.View, subject *finding.Subject, doc *sbom.Document) finding.Finding {
	severity := finding.High
	if !s.Likely {
		severity = finding.Info
	}
	place, message := s.Where, s.What+" is in "+s.Where
	e := map[string]any{"fingerprint": s.Fingerprint, "likely": s.Likely}
	if s.Path != "" {
		place, message = s.Path, s.What+" is in "+s.Path
		e["path"] = s.Path
		if s.Line > 0 {
			place = fmt.Sprintf("%s:%d", s.Path, s.Line)
			message += fmt.Sprintf(", line %d", s.Line)
			e["line"], e["column"] = s.Line, s.Column
		}
		if s.Layer >= 0 && s.Layer < len(doc.Layers) {
			e["layer"] = string(doc.Layers[s.Layer].DiffID)
			if step := doc.Layers[s.Layer].Step; step != "" {
				e["step"] = step
			}
		}
		if s.Package != "" {
			severity = finding.Info
			message += ", which the package " + s.Package + " brought"
			e["came_with"] = s.Package
		}
		if at, is := v.Stat(s.Path); !is || at.Layer != s.Layer {
			message += fmt.Sprintf(" of layer %d, and a later layer only hides it", s.Layer+1)
			e["hidden"] = true
		}
	}
	remedy := &finding.Remedy{Dockerfile: "RUN --mount=type=secret,id=ID … in place of a file or variable, built anew from before it came in; and revoke the secret"}
	return finding.Finding{
		About:   &finding.About{Rule: finding.SecretPrefix + s.Rule, Title: s.What + " is in the image", Severity: severity, Section: SectionSecrets, Refs: map[string][]string{}},
		Detail:  &finding.Detail{Message: message, Evidence: e, Remedy: remedy},
		Subject: subject, Element: place, Status: finding.Fail,
	}
}
