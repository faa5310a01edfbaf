package contents

import (
	"regexp"
	"testing"
	"time"

	"github.com/plimsoll/plimsoll/internal/sbom"
)

// TestSupported: a release is known by what its os-release says, to the end of the last day;
// what is only like one is not known.
func TestSupported(t *testing.T) {
	for os, want := range map[[2]string]string{
		{"debian", "12"}: "2028-06-30", {"debian", "12.5"}: "2028-06-30", {"debian", ""}: "", {"debian", "99"}: "", {"debian", "1"}: "",
		{"ubuntu", "22.04"}: "2027-06-01", {"ubuntu", "22.10"}: "2023-07-20", {"ubuntu", "22"}: "",
		{"alpine", "3.19.1"}: "2025-11-01", {"alpine", "3.23.0"}: "2027-11-01", {"alpine", "3.23_alpha20250612"}: "", {"alpine", "3.1"}: "", {"alpine", "3"}: "",
		{"rhel", "9.4"}: "2032-05-31", {"almalinux", "10.0"}: "2035-05-31", {"rocky", "8.10"}: "2029-05-31",
		{"fedora", "40"}: "2025-05-13", {"fedora", "4"}: "",
		{"opensuse-leap", "15.5"}: "2024-12-31", {"opensuse-leap", "15"}: "", {"opensuse-tumbleweed", "20250101"}: "",
		{"amzn", "2"}: "2026-06-30", {"amzn", "2018.03"}: "2023-12-31", {"amzn", "2023"}: "2029-06-30", {"amzn", "202"}: "",
		{"", ""}: "", {"linuxmint", "12"}: "",
	} {
		got, known := supported(sbom.OS{ID: os[0], VersionID: os[1], Like: []string{"debian"}})
		if known != (want != "") || known && got.Format(time.DateTime) != want+" 23:59:59" {
			t.Errorf("%q: %v %v, want %q", os, got, known, want)
		}
	}
}

// TestEnds: each row of the table is found by the release that it names.
func TestEnds(t *testing.T) {
	row := regexp.MustCompile(`^([a-z-]+) ([0-9.]+)$`)
	for release, day := range ends {
		m := row.FindStringSubmatch(release)
		if m == nil {
			t.Errorf("%q is no release", release)
			continue
		}
		if got, known := supported(sbom.OS{ID: m[1], VersionID: m[2]}); !known || got.Format(time.DateOnly) != day || got.Year() < 2018 || got.Year() > 2036 {
			t.Errorf("%s: %s gives %v, %v", release, day, got, known)
		}
	}
}
