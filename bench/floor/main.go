// Command floor does with an archive of an image what nobody who looks into it can do
// without: it unpacks each layer, takes its digest, and reads the heads of its entries.
//
//	floor FILE
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

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
		_, err := r.Next()
		if err == io.EOF {
			if entries == 0 {
				return errors.New("no packed layer is in " + path)
			}
			fmt.Println(entries)
			return nil
		}
		if err != nil {
			return err
		}
		file := bufio.NewReaderSize(r, 1<<16)
		if head, err := file.Peek(2); err != nil || head[0] != 0x1f || head[1] != 0x8b { // RFC 1952, section 2.3.1
			continue
		}
		n, err := layer(file)
		if err != nil {
			return err
		}
		entries += n
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
