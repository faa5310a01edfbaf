package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// scanInput is what image scans are measured with; no image leaves them out.
type scanInput struct {
	image string // a docker-archive with packed layers
	osv   string // a folder of OSV's zips
	// Programs of peers, "" where they are left out.
	osvScanner, trivy, syft string
}

// Bars of a scan of an image of some 70 MB.
const (
	barScanPeer  = 3.0   // at least: osv-scanner's wall time by ours, nothing kept
	barScanFloor = 1.6   // wall time by that of unpacking alone
	barScanWarm  = 20.0  // at least: osv-scanner's wall time by ours, layers known
	barScanPeak  = 100.0 // MiB
	barListing   = 1.0   // wall time of listing packages by trivy's
)

// scanPairs is how many pairs of scans are run.
const scanPairs = 7

// scanned is what was measured of image scans.
type scanned struct {
	floor, peer, warm comparison // the peer's are theirs
	trivy, syft       comparison
	peakBytes         int64
	made              []string // what the peers' programs say that they were made of
}

// scans measures image scans, one image and one set of records for all.
func (b *bench) scans(ctx context.Context) (s *scanned, err error) {
	if b.scan.image == "" {
		return nil, nil
	}
	b.say("scanning %s", b.scan.image)
	state := filepath.Join(b.dir, "scan-state")
	if _, err := measure(command{argv: []string{b.program("plimsoll"), "db", "import", "--state", state, b.scan.osv}}); err != nil {
		return nil, err
	}
	ref := "docker-archive:" + b.scan.image
	found := []int{0, 1} // something was found, or nothing
	cold := command{argv: []string{b.program("plimsoll"), "image", "scan", "--state", state, "--no-cache", "--no-record", "--format", "json", ref}, exits: found}
	warm := cold
	warm.argv = slices.DeleteFunc(slices.Clone(cold.argv), func(a string) bool { return a == "--no-cache" })
	list := command{argv: []string{b.program("plimsoll"), "image", "sbom", "--state", state, "--no-cache", ref}}
	s = &scanned{}
	if s.floor, err = compare(cold, command{argv: []string{b.program("floor"), b.scan.image}}, scanPairs); err != nil {
		return nil, err
	}
	for _, program := range []string{b.scan.osvScanner, b.scan.trivy, b.scan.syft} {
		if program == "" {
			continue
		}
		made, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, err
		}
		s.made = append(s.made, fmt.Sprintf("%s %s, %s", made.Main.Path, made.Main.Version, made.GoVersion))
	}
	for _, u := range s.floor.ours {
		s.peakBytes = max(s.peakBytes, u.peakBytes)
	}
	if b.scan.osvScanner != "" {
		cache := filepath.Join(b.dir, "osv-cache")
		if err := errors.Join(os.Mkdir(cache, 0o755), linkZips(b.scan.osv, filepath.Join(cache, "osv-scalibr"))); err != nil {
			return nil, err
		}
		peer := command{argv: []string{b.scan.osvScanner, "scan", "image", "--offline", "--format", "json", "--archive", b.scan.image}, env: []string{"XDG_CACHE_HOME=" + cache}, exits: found}
		if s.peer, err = compare(cold, peer, scanPairs); err != nil {
			return nil, err
		}
		if s.warm, err = compare(warm, peer, scanPairs); err != nil {
			return nil, err
		}
	}
	for _, one := range []struct {
		program string
		args    []string
		into    *comparison
	}{
		{b.scan.trivy, []string{"image", "--quiet", "--format", "cyclonedx", "--skip-version-check", "--offline-scan", "--input", b.scan.image, "--cache-dir", filepath.Join(b.dir, "trivy-cache")}, &s.trivy},
		{b.scan.syft, []string{"scan", "-q", "-o", "syft-json", "docker-archive:" + b.scan.image}, &s.syft},
	} {
		if one.program == "" {
			continue
		}
		if *one.into, err = compareFresh(list, command{argv: append([]string{one.program}, one.args...), env: []string{"SYFT_CHECK_FOR_APP_UPDATE=false"}}, scanPairs, filepath.Join(b.dir, "trivy-cache")); err != nil {
			return nil, err
		}
	}
	return s, ctx.Err()
}

// compareFresh is compare of programs one of which keeps what it read in a folder, which is
// taken away before each pair.
func compareFresh(ours, theirs command, n int, folder string) (comparison, error) {
	var all comparison
	for range n {
		if err := os.RemoveAll(folder); err != nil {
			return all, err
		}
		for _, one := range []struct {
			c    command
			into *[]usage
		}{{ours, &all.ours}, {theirs, &all.theirs}} {
			u, err := measure(one.c)
			if err != nil {
				return all, err
			}
			*one.into = append(*one.into, u)
		}
	}
	return all, nil
}

// linkZips puts the zips where osv-scanner looks for them.
func linkZips(from, to string) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	return os.Symlink(from, to)
}

// figures are the rows of scans.
func (s *scanned) figures() []figure {
	if s == nil {
		return nil
	}
	sides := func(c comparison) string {
		return fmt.Sprintf("%s to %s, %d pairs", milliseconds(middle(c.ours, wallOf)), milliseconds(middle(c.theirs, wallOf)), len(c.ours))
	}
	inverse := func(c comparison) float64 { return comparison{ours: c.theirs, theirs: c.ours}.ratio(wallOf) }
	rows := []figure{
		{what: "scan of a Debian image by unpacking it alone, wall time", number: s.floor.ratio(wallOf), bar: barScanFloor, detail: sides(s.floor)},
		{what: "peak memory of that scan", number: float64(s.peakBytes) / (1 << 20), unit: " MiB", bar: barScanPeak, detail: fmt.Sprintf("the largest of %d", len(s.floor.ours))},
	}
	if len(s.peer.ours) > 0 {
		rows = append(rows, figure{what: "osv-scanner's scan of it by that scan, wall time", number: inverse(s.peer), bar: barScanPeer, least: true, detail: sides(s.peer)},
			figure{what: "osv-scanner's scan by one whose layers are known", number: inverse(s.warm), bar: barScanWarm, least: true, detail: sides(s.warm)})
	}
	if len(s.trivy.ours) > 0 {
		rows = append(rows, figure{what: "list of its packages by trivy's, wall time", number: s.trivy.ratio(wallOf), bar: barListing, detail: sides(s.trivy)})
	}
	if len(s.syft.ours) > 0 {
		rows = append(rows, figure{what: "list of its packages by syft's, wall time", number: s.syft.ratio(wallOf), detail: sides(s.syft)})
	}
	return rows
}

const scanMeaning = `- **Scans** are of one docker-archive of a Debian image with packed layers, and of one
  set of records, for all: plimsoll has these compiled before (plimsoll db import),
  osv-scanner reads its zip each time, as it does. Unpacking alone (bench/floor)
  inflates each layer, takes its digest and reads the heads of its entries. trivy and
  syft list packages and look for no flaws; what trivy keeps is taken away before each
  run. A scan looks for secrets too, which is in its time. All of this is left out
  without ` + "`make bench IMAGE=FILE OSV=DIR`" + `, peers without
  ` + "`OSV_SCANNER=BIN TRIVY=BIN SYFT=BIN`" + `:
`
