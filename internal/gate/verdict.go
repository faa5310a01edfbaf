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

// digestsOf are those by which an image may be known.
func digestsOf(i *workload.Image) []string {
	digests := []string{i.ID}
	for _, name := range i.Digests {
		if _, digest, found := strings.Cut(name, "@"); found {
			digests = append(digests, digest)
		}
	}
	return digests
}

// read reads what is known of an image. It is nil where nothing is and that may be.
func (v *verdictNeeded) read(g *Gate, d *decision, digests []string) (*verdict.Verdict, error) {
	have, err := g.c.Verdicts.Of(digests...)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		if err != nil {
			err = fmt.Errorf("reading what is known of the image: %w", err)
		}
		return have, err
	case v.Absent == "pass":
		d.Unknown = appendOnce(d.Unknown, "verdict-absent")
		return nil, nil
	}
	return &verdict.Verdict{}, nil
}

// stands objects to the start of a container whose image must be verified and is not, or not
// any more: a key was revoked, or nobody looked. What has become old since it was made, the
// scan, the tag or the signatures, is no reason to leave it down.
func (v *verdictNeeded) stands(g *Gate, d *decision, s *workload.Spec) error {
	if v == nil || !v.Verified {
		return nil
	}
	have, err := v.read(g, d, digestsOf(&s.Image))
	if err == nil && have != nil && have.Verified == nil {
		d.lacks("verified", "the image "+s.Image.Ref+" is not verified, or not any more", "run  plimsoll image verify "+s.Image.Ref)
	}
	return err
}

// known objects to an image of which not enough is known.
func (v *verdictNeeded) known(g *Gate, d *decision, s *workload.Spec) error {
	digests := digestsOf(&s.Image)
	have, err := v.read(g, d, digests)
	if err != nil || have == nil {
		return err
	}
	verify := "run  plimsoll image verify " + s.Image.Ref
	switch is := have.Verified; {
	case !v.Verified:
	case is == nil:
		d.lacks("verified", "the image "+s.Image.Ref+" was not verified", verify)
	case !is.Ends().IsZero() && g.now().After(is.Ends()):
		d.lacks("verified", "the signatures of the image "+s.Image.Ref+" were good until "+is.Ends().UTC().Format(time.DateOnly), verify)
	default:
		if err := current(g, d, &s.Image, digests); err != nil {
			return err
		}
	}
	if v.within == 0 {
		return nil
	}
	again := "run  plimsoll image scan " + s.Image.Ref
	switch scan := have.Scanned; {
	case scan == nil:
		d.lacks("scanned", "the image "+s.Image.Ref+" was never scanned", again)
	case g.now().Sub(scan.At) > v.within:
		d.lacks("scanned", "the image "+s.Image.Ref+" was last scanned on "+scan.At.UTC().Format(time.DateOnly)+", longer than "+v.ScannedWithin+" ago", again)
	case v.Worst != "" && scan.Worst != "" && !v.Worst.AtLeast(scan.Worst):
		d.object("the last scan of the image "+s.Image.Ref+" found something "+string(scan.Worst), "use an image in which that is mended")
	}
	return nil
}

// current objects to an image that was verified and is not the one that its tag stands for: an
// older one that the tag was led back to, or that was not pulled anew. Who names a digest or an
// id has what it is of.
func current(g *Gate, d *decision, i *workload.Image, digests []string) error {
	if i.Name == "" || i.Tag == "" || i.Digest != "" {
		return nil
	}
	name := i.Name + ":" + i.Tag
	tag, err := g.c.Verdicts.Tag(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was not verified by that name
	}
	if err != nil {
		return fmt.Errorf("reading what %s was trusted for: %w", name, err)
	}
	since := ", and the tag has stood for " + tag.Digests[0] + " since " + tag.Since.UTC().Format(time.RFC3339)
	switch was := tag.Was(digests...); {
	case tag.Is(digests...):
	case was != nil:
		d.object("the image "+i.Ref+" is what the tag stood for until "+was.Until.UTC().Format(time.RFC3339)+since, "run  docker pull "+i.Ref)
	default:
		d.lacks("verified", "the image "+i.Ref+" was verified by another name"+since, "run  plimsoll image verify "+i.Ref+"  or  docker pull "+i.Ref)
	}
	return nil
}
