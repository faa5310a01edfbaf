// Command floor does with an archive of an image what nobody who looks into it can do
// without: it unpacks each layer, takes its digest, and reads the heads of its entries.
//
//	floor FILE
package main

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	entries := 0
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			fmt.Println(entries)
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(h.Name, ".tar.gz") {
			n, err := layer(r)
			if err != nil {
				return err
			}
			entries += n
		}
	}
}

// layer reads one layer, and counts its entries.
func layer(packed io.Reader) (entries int, err error) {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	plain := io.TeeReader(z, sum)
	for r := tar.NewReader(plain); ; entries++ {
		if _, err := r.Next(); err == io.EOF {
			_, err = io.Copy(io.Discard, plain)
			return entries, errors.Join(err, z.Close())
		} else if err != nil {
			return entries, err
		}
	}
}
