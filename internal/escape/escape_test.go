package escape

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTables(t *testing.T) {
	id := regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`)
	source := regexp.MustCompile(`^(GO-\d{4}-\d{4}|GHSA(-[0-9a-z]{4}){3}|[a-z0-9.-]+/.+)$`)
	known := map[string]bool{}
	for _, f := range flaws {
		if !id.MatchString(f.id) || known[f.id] || !source.MatchString(f.source) || len(f.affected) == 0 {
			t.Errorf("%+v is incomplete, or there twice", f)
		}
		known[f.id] = true
		last := release{numbers: []string{"0"}}
		for i, b := range f.affected {
			from, okFrom := readRelease(b.from)
			fixed, okFixed := readRelease(b.fixed)
			if !okFrom || !okFixed || from.compare(fixed) >= 0 || from.compare(last) < 0 {
				t.Errorf("%s: range %d is %+v", f.id, i, b)
			}
			last = fixed
		}
	}
	for pkg, releases := range mended {
		for _, fixes := range releases {
			for id := range fixes {
				if !known[id] {
					t.Errorf("%s mends %s, which is not in the table", pkg, id)
				}
			}
		}
	}
	for _, b := range append(slices.Clone(branches), distributed["docker.io"]["12"]) {
		if _, err := time.Parse(time.DateOnly, b.ended); b.ended != "" && err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(b.newest, b.name+".") && !strings.HasPrefix(b.name, "Debian") {
			t.Errorf("%s is not of %s", b.newest, b.name)
		}
	}
}

func TestKnown(t *testing.T) {
	has := func(c Component, id string) (Flaw, bool) {
		found, ok := Known(c)
		if !ok {
			t.Errorf("%+v is not known", c)
		}
		i := slices.IndexFunc(found, func(f Flaw) bool { return f.ID == id })
		if i < 0 {
			return Flaw{}, false
		}
		return found[i], true
	}
	upstream := func(name, version string) Component {
		return Component{Name: name, Version: version, Upstream: true}
	}
	debian := func(name, version, pkg, packaged, release string) Component {
		return Component{Name: name, Version: version, Package: pkg, PackageVersion: packaged, Release: release}
	}
	for _, tc := range []struct {
		c        Component
		id       string
		there    bool
		sure     bool
		fixed    string
		isEscape bool
	}{
		{upstream("runc", "1.1.11"), "CVE-2024-21626", true, true, "1.1.12", true},
		{upstream("runc", "1.1.12"), "CVE-2024-21626", false, false, "", false},
		{upstream("runc", "1.0.0-rc92"), "CVE-2024-21626", false, false, "", false},
		{upstream("runc", "v1.4.0-rc.2"), "CVE-2025-31133", true, true, "1.4.0-rc3", true},
		{upstream("runc", "1.4.0-rc.3"), "CVE-2025-31133", false, false, "", false},
		{upstream("runc", "1.4.0"), "CVE-2026-41579", true, true, "1.4.3", false},
		{upstream("runc", "1.5.2"), "CVE-2026-41579", false, false, "", false},
		{upstream("runc", "1.0.0-rc6+dev"), "CVE-2019-5736", true, false, "1.0.0-rc7", true},
		{upstream("containerd", "1.4.2"), "CVE-2020-15257", true, true, "1.4.3", true},
		{upstream("containerd", "1.3.9"), "CVE-2020-15257", false, false, "", false},
		{upstream("containerd", "v2.1.4"), "CVE-2024-25621", true, true, "2.1.5", false},
		{upstream("engine", "19.03.0"), "CVE-2019-14271", true, true, "19.03.1", true},
		{upstream("engine", "18.09.9"), "CVE-2019-14271", false, false, "", false},
		{upstream("engine", "29.5.0"), "CVE-2026-41567", true, true, "29.5.1", true},
		{upstream("engine", "29.5.1"), "CVE-2026-41567", false, false, "", false},
		{upstream("engine", "25.0.16"), "CVE-2026-41567", false, false, "", false},
		{upstream("engine", "27.1.0"), "CVE-2024-41110", true, true, "27.1.1", true},

		{debian("runc", "1.1.5+ds1", "runc", "1.1.5+ds1-1+deb12u1", "12"), "CVE-2024-21626", false, false, "", false},
		{debian("runc", "1.1.5+ds1", "runc", "1.1.5+ds1-1", "12"), "CVE-2024-21626", true, true, "1.1.5+ds1-1+deb12u1", true},
		{debian("runc", "1.1.5+ds1", "runc", "1.1.5+ds1-1+deb12u1", "12"), "CVE-2025-31133", true, false, "1.2.8", true},
		{debian("runc", "1.1.5+ds1", "runc", "1.1.5+ds1-1+deb12u1", "99"), "CVE-2024-21626", true, false, "1.1.12", true},
		{debian("runc", "1.1.5+ds1", "", "", ""), "CVE-2024-21626", true, false, "1.1.12", true},
		{debian("containerd", "1.6.20~ds1", "containerd", "1.6.20~ds1-1+deb12u3", "12"), "CVE-2024-25621", false, false, "", false},
		{debian("engine", "20.10.24+dfsg1", "docker.io", "20.10.24+dfsg1-1", "12"), "CVE-2024-41110", true, true, "20.10.24+dfsg1-1+deb12u1", true},
	} {
		f, there := has(tc.c, tc.id)
		if there != tc.there || f.Sure != tc.sure || f.Fixed != tc.fixed || f.Escape != tc.isEscape {
			t.Errorf("%+v has %s: %t %+v", tc.c, tc.id, there, f)
		}
	}
	for _, version := range []string{"", "library-import", "dev"} {
		if _, ok := Known(upstream("runc", version)); ok {
			t.Errorf("%q is a version", version)
		}
	}
}

func TestSupport(t *testing.T) {
	for _, tc := range []struct {
		c                   Component
		ok                  bool
		branch, newest, end string
		behind              bool
	}{
		{Component{Version: "29.9.0", Upstream: true}, true, "29", "29.9.0", "", false},
		{Component{Version: "29.1.5", Upstream: true}, true, "29", "29.9.0", "", true},
		{Component{Version: "28.5.2", Upstream: true}, true, "28", "28.5.2", "2026-05-13", false},
		{Component{Version: "26.1.4", Upstream: true}, true, "26.1", "26.1.5", "2025-02-17", true},
		{Component{Version: "18.09.1-ce", Upstream: true}, true, "18.09", "18.09.9", "2019-08-22", true},
		{Component{Version: "30.0.0", Upstream: true}, false, "", "", "", false},
		{Component{Version: "library-import", Upstream: true}, false, "", "", "", false},
		{Component{Version: "20.10.24+dfsg1"}, false, "", "", "", false},
		{Component{Version: "20.10.24+dfsg1", Package: "docker.io", PackageVersion: "20.10.24+dfsg1-1+deb12u1+b6", Release: "12"}, true, "Debian 12", "20.10.24+dfsg1-1+deb12u1", "2028-07-01", false},
		{Component{Version: "20.10.24+dfsg1", Package: "docker.io", PackageVersion: "20.10.24+dfsg1-1+b3", Release: "12"}, true, "Debian 12", "20.10.24+dfsg1-1+deb12u1", "2028-07-01", true},
	} {
		got, ok := Support(tc.c)
		end := ""
		if !got.Ended.IsZero() {
			end = got.Ended.Format(time.DateOnly)
		}
		if ok != tc.ok || got.Branch != tc.branch || got.Newest != tc.newest || end != tc.end || got.Behind != tc.behind {
			t.Errorf("%+v: %+v, %t", tc.c, got, ok)
		}
	}
}

// TestComparePackages: the order is dpkg's own.
func TestComparePackages(t *testing.T) {
	versions := []string{"1.0~rc1-1", "1.0-1", "1.0-1+deb12u1", "1.0-1+deb12u1+b6", "1.0-1+deb12u2", "1.0-1+deb12u10", "1.0.1-1", "1:0.1-1", "1.0+dfsg1-1", "1.0~", "1.0", "1.0a", "1.0.0~rc93+ds1-5+deb11u3", "001.0-01", "1.0-1~bpo12+1", "2-1-1"}
	for _, a := range versions {
		for _, b := range versions {
			want := 0
			for relation, order := range map[string]int{"lt": -1, "gt": 1} {
				switch err := exec.Command("dpkg", "--compare-versions", a, relation, b).Run(); {
				case err == nil:
					want = order
				case exec.Command("dpkg", "--version").Run() != nil:
					t.Fatalf("dpkg is needed: %v", err)
				}
			}
			if got := ComparePackages(a, b); got < 0 != (want < 0) || got > 0 != (want > 0) {
				t.Errorf("%s and %s: %d, and dpkg says %d", a, b, got, want)
			}
		}
	}
}

// FuzzVersions: the orders are orders: turned round they turn round, and a version is
// like itself.
func FuzzVersions(f *testing.F) {
	f.Add("1.0-1", "1.0~rc1-1+deb12u1")
	f.Add("v1.4.0-rc.3", "1.4.0-beta.0")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := ComparePackages(a, b), ComparePackages(b, a); x != 0 != (y != 0) || x < 0 != (y > 0) || ComparePackages(a, a) != 0 {
			t.Errorf("%q and %q as packages: %d and %d", a, b, x, y)
		}
		ra, okA := readRelease(a)
		rb, okB := readRelease(b)
		if okA && okB && (ra.compare(rb) < 0 != (rb.compare(ra) > 0) || ra.compare(ra) != 0) {
			t.Errorf("%q and %q as releases: %d and %d", a, b, ra.compare(rb), rb.compare(ra))
		}
	})
}
