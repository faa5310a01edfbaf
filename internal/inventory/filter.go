package inventory

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Filter says which deployments are asked for. The zero value, with a Now, is all that
// are there now; all that is set must hold.
type Filter struct {
	Overdue bool
	Unowned bool
	// Unscanned is how long the image was not scanned; 0 does not ask.
	Unscanned time.Duration
	Owner     string
	// Image is a part of the image's name as it was asked for; with one of *?[ it is a
	// pattern for all of it, with or without its registry and tag (path.Match, but that *
	// matches slashes too). "sha256:" and hexadecimal digits are the start of the digest.
	Image string
	// At asks for what was deployed at that time, as it was then; zero is now.
	At time.Time
	// Now is the caller's clock. In its zone a day begins.
	Now time.Time
	// All asks for what was removed too.
	All bool
}

// words are the filter as options of the command.
func (f *Filter) words() string {
	var w []string
	add := func(is bool, option string) {
		if is {
			w = append(w, option)
		}
	}
	add(f.Overdue, "--overdue")
	add(f.Unowned, "--unowned")
	add(f.Unscanned > 0, "--unscanned "+option(f.Unscanned))
	add(f.Owner != "", "--owner "+f.Owner)
	add(f.Image != "", "--image "+f.Image)
	return strings.Join(w, " ")
}

// option writes a duration as one of the command.
func option(d time.Duration) string {
	if d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}

func (f *Filter) match(d *Deployment, now time.Time) bool {
	return (!f.Overdue || d.Overdue(now)) && (!f.Unowned || d.Unowned()) && (f.Unscanned <= 0 || d.Unscanned(now, f.Unscanned)) &&
		(f.Owner == "" || d.Owner == f.Owner) && (f.Image == "" || matchImage(f.Image, d))
}

func matchImage(pattern string, d *Deployment) bool {
	if strings.HasPrefix(pattern, "sha256:") {
		return strings.HasPrefix(d.Digest, pattern) || strings.Contains(d.Image, pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return strings.Contains(d.Image, pattern)
	}
	// path.Match stops at slashes; a character that no image has stands for them.
	flat := strings.NewReplacer("/", "\x00").Replace
	registry, name := parted(d.Image)
	for _, whole := range []string{d.Image, strings.TrimPrefix(d.Image, registry+"/"), name, untagged(name)} {
		if ok, err := path.Match(flat(pattern), flat(whole)); ok && err == nil {
			return true
		}
	}
	return false
}

// check refuses what cannot be answered.
func (f *Filter) check() error {
	if _, err := path.Match(f.Image, ""); err != nil {
		return fmt.Errorf("%q is no pattern for images: %w", f.Image, err)
	}
	if f.At.IsZero() && f.Now.IsZero() {
		return errors.New("a filter needs to know what time it is")
	}
	return nil
}
