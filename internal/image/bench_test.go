package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
)

// benchLayer is a layer of 2000 files of up to 32 KiB, which gzip halves, packed and not.
func benchLayer(b *testing.B) (packed, plain []byte) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var heads []head
	for n := range 2000 {
		body := make([]byte, r.IntN(32<<10))
		for i := range body {
			body[i] = "0123456789abcdef"[r.IntN(16)]
		}
		heads = append(heads, file(fmt.Sprintf("usr/share/d%d/f%d", n%50, n), string(body)))
	}
	plain = tarOf(b, heads...)
	return gzipped(b, plain), plain
}

// BenchmarkWalk reads a layer with all that is checked; BenchmarkFloor unpacks it and goes
// through its headers.
func BenchmarkWalk(b *testing.B) {
	packed, plain := benchLayer(b)
	layer := Layer{Digest: digest.FromBytes(packed), DiffID: digest.FromBytes(plain)}
	i := &Image{limits: Limits{}.withDefaults(), store: memory(packed), Layers: []Layer{layer}}
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i.Walk(b.Context(), func(*Entry) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFloor(b *testing.B) {
	packed, plain := benchLayer(b)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for b.Loop() {
		z, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			b.Fatal(err)
		}
		r := tar.NewReader(z)
		for err == nil {
			_, err = r.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}
