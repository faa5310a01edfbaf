package escape

import (
	"cmp"
	"regexp"
	"strings"
	"sync"
)

// release is a version as projects number their releases: numbers, and for one that
// came before, which of alpha, beta and rc, and its number.
type release struct {
	numbers []string
	stage   int // 0 for a release, and less before it
	number  string
}

var releases = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^v?(\d+(?:\.\d+)*)(?:[-.~]?(alpha|beta|rc)[-.]?(\d*))?`)
})

// readRelease reads what a version begins with; what a packager adds is left out.
func readRelease(version string) (release, bool) {
	m := releases().FindStringSubmatch(version)
	if m == nil {
		return release{}, false
	}
	stage := map[string]int{"alpha": -3, "beta": -2, "rc": -1}[m[2]]
	return release{strings.Split(m[1], "."), stage, m[3]}, true
}

// compare orders releases.
func (r release) compare(o release) int {
	for i := range max(len(r.numbers), len(o.numbers)) {
		if d := digits(at(r.numbers, i), at(o.numbers, i)); d != 0 {
			return d
		}
	}
	return cmp.Or(cmp.Compare(r.stage, o.stage), digits(r.number, o.number))
}

func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

// digits compares whole numbers of any length; none is 0.
func digits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// ComparePackages orders versions of Debian's packages (deb-version(7)).
func ComparePackages(a, b string) int {
	epoch := func(v string) (string, string) {
		if before, after, found := strings.Cut(v, ":"); found {
			return before, after
		}
		return "0", v
	}
	epochA, a := epoch(a)
	epochB, b := epoch(b)
	revision := func(v string) (string, string) {
		if i := strings.LastIndexByte(v, '-'); i >= 0 {
			return v[:i], v[i+1:]
		}
		return v, ""
	}
	upstreamA, revisionA := revision(a)
	upstreamB, revisionB := revision(b)
	return cmp.Or(digits(epochA, epochB), mixed(upstreamA, upstreamB), mixed(revisionA, revisionB))
}

// mixed compares by turns what is no digit, in which a tilde comes before the end
// and letters before all else, and numbers.
func mixed(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if d := cmp.Compare(weight(a), weight(b)); d != 0 {
				return d
			}
			a, b = a[1:], b[1:]
		}
		x := len(a) - len(strings.TrimLeft(a, "0123456789"))
		y := len(b) - len(strings.TrimLeft(b, "0123456789"))
		if d := digits(a[:x], b[:y]); d != 0 {
			return d
		}
		a, b = a[x:], b[y:]
	}
	return 0
}

// weight orders what a text begins with; the end and a digit are alike.
func weight(text string) int {
	switch {
	case text == "" || isDigit(text[0]):
		return 0
	case text[0] == '~':
		return -1
	case text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z':
		return int(text[0])
	}
	return int(text[0]) + 256
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
