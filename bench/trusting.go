package main

import (
	"context"
	"strings"
	"time"
)

// Bars of verifying who signed an image.
const (
	barOffline = 5.0 // milliseconds of a verification by what was kept
	barCold    = 4   // requests of one with nothing kept, in each place for signatures
	barVerdict = 1.0 // milliseconds that a gate takes to read what is known of an image
)

// trusting is what the benchmarks of packages sign and verdict say.
type trusting struct {
	offline, verdict float64 // milliseconds
	cold             map[string]int
}

// places are where signatures are, by the benchmark's names, and as the page has them.
var places = []struct{ name, words string }{
	{"tag", "at a tag"},
	{"referrer", "by a referrer"},
	{"fallback", "by a referrer that a list at a tag names"},
}

func measureTrusting() (*trusting, error) {
	values, err := benchmarks("internal/sign", "Offline|Cold", "200ms", benchmarkRuns)
	if err != nil {
		return nil, err
	}
	read, err := benchmarks("internal/verdict", "Of", "200ms", benchmarkRuns)
	if err != nil {
		return nil, err
	}
	for name, list := range read {
		values[name] = list
	}
	return trustingOf(values)
}

func trustingOf(values map[string][]float64) (*trusting, error) {
	wanted := []string{"Offline/tag ns/op", "Offline/referrer ns/op", "Of ns/op"}
	for _, at := range places {
		wanted = append(wanted, "Cold/"+at.name+" requests")
	}
	if err := lacking(values, wanted); err != nil {
		return nil, err
	}
	t := &trusting{verdict: median(values["Of ns/op"]) / float64(time.Millisecond), cold: map[string]int{}}
	for name, list := range values {
		if strings.HasPrefix(name, "Offline/") && strings.HasSuffix(name, " ns/op") {
			t.offline = max(t.offline, median(list)/float64(time.Millisecond))
		}
	}
	for _, at := range places {
		t.cold[at.name] = int(median(values["Cold/"+at.name+" requests"]))
	}
	return t, nil
}

// figures are the rows; none where it was left out.
func (t *trusting) figures() []figure {
	if t == nil {
		return nil
	}
	rows := []figure{
		{what: "verifying who signed an image, by what was kept", number: t.offline, unit: " ms", bar: barOffline, detail: "the slower of two places for signatures"},
		{what: "reading at a create what is known of the image", number: t.verdict, unit: " ms", bar: barVerdict, detail: "by its id and a digest"},
	}
	for _, at := range places {
		rows = append(rows, figure{what: "requests of verifying it with nothing kept, signed " + at.words, number: float64(t.cold[at.name]), bar: barCold})
	}
	return rows
}

// measureTrust is verifying alone.
func (b *bench) measureTrust(ctx context.Context) (*page, error) {
	p, err := b.begin(ctx)
	if err != nil {
		return nil, err
	}
	p.only = true
	if p.trusting, err = measureTrusting(); err != nil {
		return nil, err
	}
	return p.finished()
}

const trustMeaning = `- **Verifying who signed an image** is measured by the benchmarks in internal/sign, and
  reading what is known of it by those in internal/verdict. By what was kept no
  registry is asked. With nothing kept of the image, another one of its repository
  was verified before: it is known whether the registry answers what refers to an
  image there. Where it does not, the first takes one request more, and one of an
  index does too. The counts are also those of TestRequests.
`
