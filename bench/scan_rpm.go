package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/plimsoll/plimsoll/internal/sbom"
	"github.com/plimsoll/plimsoll/internal/scan/scantest"
)

// rpmRows are what the records of a family say of the RPMs of a fixture, by rpm's own
// comparison of versions: osv-scanner reads no database of rpm's.
func rpmRows(ctx context.Context, program, dir string, f *scantest.Fixture) ([]scantest.Row, error) {
	ecosystem, why := f.Document.Packages[0].Ecosystem()
	if why != "" {
		return nil, fmt.Errorf("%s: %s", f.Name, why)
	}
	records, err := scantest.Records(dir, ecosystem)
	if err != nil {
		return nil, err
	}
	var rows []scantest.Row
	for i := range f.Document.Packages {
		p := &f.Document.Packages[i]
		for _, r := range records {
			for _, a := range r.Affected {
				if a.Package.Ecosystem != ecosystem || !slices.Contains([]string{p.Name, p.SourceName()}, a.Package.Name) {
					continue
				}
				for _, events := range a.Ranges {
					is, err := rpmWithin(ctx, program, p, events.Events)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", r.ID, err)
					}
					if is {
						rows = append(rows, scantest.Row{Fixture: f.Name, Package: a.Package.Name, Version: p.SourceVersion(), ID: r.ID})
					}
				}
			}
		}
	}
	return rows, nil
}

// rpmWithin says whether a package lies in a range that begins once and ends at most once,
// which is all that the records have.
func rpmWithin(ctx context.Context, program string, p *sbom.Package, events []scantest.Event) (bool, error) {
	if len(events) == 0 || len(events) > 2 || events[0].Introduced != "0" {
		return false, fmt.Errorf("a range of another form: %+v", events)
	}
	if len(events) == 1 {
		return true, nil
	}
	text := fmt.Sprintf("%%{lua:print(rpm.vercmp(%q, %q))}", p.SourceVersion(), events[1].Fixed)
	out, err := exec.CommandContext(ctx, program, "--eval", text).Output()
	if err != nil {
		return false, fmt.Errorf("%s: %w", text, err)
	}
	switch strings.TrimSpace(string(out)) {
	case "-1":
		return true, nil
	case "0", "1":
		return false, nil
	}
	return false, fmt.Errorf("%s: rpm says %q", text, out)
}
