package vuln

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// many are records about as many packages as Debian has with flaws: a quarter of the
// questions below hits one, with four advisories.
func many(b *testing.B) string {
	b.Helper()
	records := map[string]string{}
	for i := range 16_000 {
		id := fmt.Sprintf("DEBIAN-CVE-2026-%d", i)
		records[id] = record(id, "Debian:12", fmt.Sprintf("package-%d", i/4), events(fmt.Sprintf(`{"introduced": "0"}, {"fixed": "1:%d.%d-1+deb12u1"}`, i%90+1, i%7)), fmt.Sprintf(`"upstream": ["CVE-2026-%d"], "details": "what package %d does wrong"`, i, i))
	}
	path := filepath.Join(b.TempDir(), "Debian.pdb")
	if err := os.WriteFile(path, compiled(b, "Debian", records), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

func BenchmarkOpen(b *testing.B) {
	path := many(b)
	for b.Loop() {
		d, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	d, err := Open(many(b))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	found, n := 0, 0
	for b.Loop() {
		n++
		a, err := d.Match(Query{"Debian:12", fmt.Sprintf("package-%d", n%16_000), "1:0.9-1"})
		if err != nil {
			b.Fatal(err)
		}
		found += len(a.Matches)
	}
	if n > 16_000 && found == 0 {
		b.Error("nothing was found")
	}
}

// BenchmarkMiss is the look-up alone: of a package that nothing is known of.
func BenchmarkMiss(b *testing.B) {
	d, err := Open(many(b))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		if a, err := d.Match(Query{"Debian:12", "unheard-of", "1:0.9-1"}); err != nil || len(a.Matches) > 0 {
			b.Fatal(a, err)
		}
	}
}

func BenchmarkDetails(b *testing.B) {
	d, err := Open(many(b))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	n := uint32(0)
	for b.Loop() {
		n = (n + 1) % 16_000
		if _, err := d.details(n); err != nil {
			b.Fatal(err)
		}
	}
}
