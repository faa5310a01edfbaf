package vuln

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	kevText  = `{"title":"x","dateReleased":"2025-08-25T17:04:19.9796Z","count":2,"vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10","knownRansomwareCampaignUse":"Known"},{"cveID":"CVE-2025-48384","dateAdded":"2025-08-25","knownRansomwareCampaignUse":"Unknown","new":1}]}`
	epssText = "#model_version:v2025.03.14,score_date:2026-11-27T00:00:00+0000\ncve,epss,percentile\nCVE-2021-44228,0.94358,0.99957\nCVE-1999-0001,0.0123,0.5\n"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWeights: what CISA and FIRST publish is read, packed or not, and told by CVE; the same
// makes the same file, and what is wrong leaves the one that was there.
func TestWeights(t *testing.T) {
	f := Folder(t.TempDir())
	if s, err := f.ImportKEV(write(t, kevText)); err != nil || s.CVEs != 2 || s.Date.Format(time.DateOnly) != "2025-08-25" {
		t.Fatalf("%+v, %v", s, err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(epssText)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := f.ImportEPSS(write(t, packed.String())); err != nil || s.CVEs != 2 || s.Date.Format(time.DateOnly) != "2026-11-27" {
		t.Fatalf("%+v, %v", s, err)
	}
	set := f.Open()
	defer set.Close()
	w, err := set.Weigh("CVE-2021-44228")
	if err != nil || w.Exploited.Format(time.DateOnly) != "2021-12-10" || !w.Ransomware || w.EPSS != 0.94358 || w.Percentile != 0.99957 {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := set.Weigh("CVE-2025-48384"); err != nil || w.Exploited.IsZero() || w.Ransomware || w.EPSS != -1 {
		t.Errorf("%+v, %v", w, err)
	}
	for _, id := range []string{"CVE-2020-1", "GHSA-x", "CVE-x-1", ""} {
		if w, err := set.Weigh(id); err != nil || !w.Exploited.IsZero() || w.EPSS != -1 || w.Tenths != -1 {
			t.Errorf("%s: %+v, %v", id, w, err)
		}
	}
	first, err := os.ReadFile(filepath.Join(string(f), epssFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ImportEPSS(write(t, epssText)); err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(filepath.Join(string(f), epssFile))
	if err != nil || !bytes.Equal(first, again) {
		t.Errorf("another file of the same: %v", err)
	}
	for _, text := range []string{"", "{}", strings.Replace(kevText, "2021-12-10", "never", 1), strings.Replace(kevText, "CVE-2021", "XVE-2021", 1), strings.Replace(kevText, "2025-08-25T", "x", 1), kevText + "x"} {
		if _, err := f.ImportKEV(write(t, text)); err == nil {
			t.Errorf("KEV: %.60q was taken", text)
		}
	}
	for _, text := range []string{"", "\n", strings.Replace(epssText, "score_date:", "", 1), strings.Replace(epssText, "0.94358", "1.5", 1), strings.Replace(epssText, "0.94358", "NaN", 1), strings.Replace(epssText, "CVE-1999", "1999", 1),
		epssText + "a,b\n", epssText[:strings.Index(epssText, "CVE-")], packed.String()[:packed.Len()-12]} {
		if _, err := f.ImportEPSS(write(t, text)); err == nil {
			t.Errorf("EPSS: %.80q was taken", text)
		}
	}
	if list, err := f.Weights(); err != nil || len(list) != 2 || list[0].CVEs != 2 || list[1].CVEs != 2 {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestWeightsDamaged: a file with any byte changed, or cut anywhere, is an error.
func TestWeightsDamaged(t *testing.T) {
	f := Folder(t.TempDir())
	if _, err := f.ImportKEV(write(t, kevText)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(f), kevFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(data []byte) error {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		set := f.Open()
		defer set.Close()
		_, err := set.Weigh("CVE-2021-44228")
		return err
	}
	for i := range whole {
		data := bytes.Clone(whole)
		data[i] ^= 0x01
		if try(data) == nil {
			t.Errorf("byte %d changed", i)
		}
		if try(whole[:i]) == nil {
			t.Errorf("cut at byte %d", i)
		}
	}
	if err := try(whole); err != nil {
		t.Errorf("the whole file: %v", err)
	}
}

// TestWeighAll: what another family's record says of a CVE is known, the graver of two, and
// one about several CVEs says nothing of each. That Debian has no flaw is not said of others.
func TestWeighAll(t *testing.T) {
	f := Folder(t.TempDir())
	vector := `, "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`
	weak := `, "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]`
	for family, records := range map[string]map[string]string{
		"Debian": {"DEBIAN-CVE-2024-1": record("DEBIAN-CVE-2024-1", "Debian:12", "zlib", events(`{"introduced": "0"}`), `"upstream": ["CVE-2024-1"]`),
			"DEBIAN-CVE-2024-4": record("DEBIAN-CVE-2024-4", "Debian:12", "zlib", events(`{"introduced": "0"}`)+`, "ecosystem_specific": {"urgency": "unimportant"}`, `"upstream": ["CVE-2024-4"]`+vector)},
		"npm": {"GHSA-1": record("GHSA-1", "npm", "zlib", events(`{"introduced": "0"}`), `"aliases": ["CVE-2024-1"]`+vector), "GHSA-2": record("GHSA-2", "npm", "other", events(`{"introduced": "0"}`), `"aliases": ["CVE-2024-2", "CVE-2024-3"]`+vector),
			"GHSA-3": record("GHSA-3", "npm", "third", events(`{"introduced": "0"}`), `"aliases": ["CVE-2024-1"]`+weak)},
	} {
		path := filepath.Join(t.TempDir(), "all.zip")
		writeZip(t, path, records, false)
		if _, err := f.Import(t.Context(), Source{Family: family, Path: path}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.WeighAll(); err != nil {
		t.Fatal(err)
	}
	set := f.Open()
	defer set.Close()
	if w, err := set.Weigh("CVE-2024-1"); err != nil || w.Level != Critical || w.Tenths != 98 || w.From != "npm" {
		t.Errorf("%+v, %v", w, err)
	}
	if w, err := set.Weigh("CVE-2024-4"); err != nil || w.Level != Critical || w.Tenths != 98 || w.From != "Debian" {
		t.Errorf("no issue in Debian: %+v, %v", w, err)
	}
	if w, err := set.Weigh("CVE-2024-2"); err != nil || w.From != "" {
		t.Errorf("one of two: %+v, %v", w, err)
	}
}
