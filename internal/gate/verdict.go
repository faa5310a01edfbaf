package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
	"github.com/plimsoll/plimsoll/internal/verdict"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func (c checker) checkVerdict(v *verdictNeeded) error {
	if v == nil {
		return nil
	}
	if v.ScannedWithin != "" {
		var err error
		if v.within, err = strict.Age(v.ScannedWithin); err != nil {
			return c.fail(fmt.Sprintf("is no age: %.100q", v.ScannedWithin), "such as 12h, 30d or 4w", "require", "verdict", "scanned_within")
		}
	}
	if v.Worst != "" {
		if _, err := finding.ParseSeverity(string(v.Worst)); err != nil {
			return c.fail(fmt.Sprintf("is no severity: %.100q", string(v.Worst)), "write critical, high, medium, low or info", "require", "verdict", "worst")
		}
		if v.within == 0 {
			return c.fail("needs a scan", "say also how old it may be: scanned_within: 30d", "require", "verdict", "worst")
		}
	}
	if v.Absent != "" && v.Absent != "refuse" && v.Absent != "pass" {
		return c.fail(fmt.Sprintf("is neither refuse nor pass: %.100q", v.Absent), "write absent: refuse", "require", "verdict", "absent")
	}
	if !v.Verified && v.within == 0 {
		return c.fail("wants nothing", "write verified: true, or scanned_within: 30d", "require", "verdict")
	}
	return nil
}

// known objects to an image of which not enough is known.
func (v *verdictNeeded) known(g *Gate, d *decision, s *workload.Spec) error {
	digests := []string{s.Image.ID}
	for _, name := range s.Image.Digests {
		if _, digest, found := strings.Cut(name, "@"); found {
			digests = append(digests, digest)
		}
	}
	have, err := g.c.Verdicts.Of(digests...)
	if errors.Is(err, fs.ErrNotExist) {
		if v.Absent == "pass" {
			d.Unknown = appendOnce(d.Unknown, "verdict-absent")
			return nil
		}
		have = &verdict.Verdict{}
	} else if err != nil {
		return fmt.Errorf("reading what is known of the image: %w", err)
	}
	verify := "run  plimsoll image verify " + s.Image.Ref
	switch is := have.Verified; {
	case !v.Verified:
	case is == nil:
		d.object("the image "+s.Image.Ref+" was not verified", verify)
	case !is.Until.IsZero() && g.now().After(is.Until):
		d.object("the signatures of the image "+s.Image.Ref+" were good until "+is.Until.UTC().Format(time.DateOnly), verify)
	}
	if v.within == 0 {
		return nil
	}
	again := "run  plimsoll image scan " + s.Image.Ref
	switch scan := have.Scanned; {
	case scan == nil:
		d.object("the image "+s.Image.Ref+" was never scanned", again)
	case g.now().Sub(scan.At) > v.within:
		d.object("the image "+s.Image.Ref+" was last scanned on "+scan.At.UTC().Format(time.DateOnly)+", longer than "+v.ScannedWithin+" ago", again)
	case v.Worst != "" && scan.Worst != "" && !v.Worst.AtLeast(scan.Worst):
		d.object("the last scan of the image "+s.Image.Ref+" found something "+string(scan.Worst), "use an image in which that is mended")
	}
	return nil
}
