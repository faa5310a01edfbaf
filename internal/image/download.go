package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBreaks bounds how often one download may break off.
const maxBreaks = 5

// download reads a manifest or a blob of a registry, of as many bytes as are said, and goes
// on where the connection breaks.
type download struct {
	ctx        context.Context
	repository *repository
	path       string
	header     http.Header

	size, at int64
	body     io.ReadCloser
	breaks   int
}

func (d *download) close() error {
	if d.body == nil {
		return nil
	}
	body := d.body
	d.body = nil
	return body.Close()
}

// Read gives the next bytes.
func (d *download) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if d.at == d.size {
			return 0, d.end()
		}
		err := error(nil)
		if d.body == nil {
			err = d.open()
		}
		if err == nil {
			var n int
			n, err = d.body.Read(p[:min(int64(len(p)), d.size-d.at)])
			d.at += int64(n)
			if n > 0 {
				return n, nil // what is wrong comes again
			}
		}
		if err == nil {
			continue
		}
		if err := d.again(err); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// end is the end of what was said to be there, behind which nothing may be.
func (d *download) end() error {
	if d.body == nil {
		return io.EOF
	}
	n, _ := d.body.Read(make([]byte, 1))
	if n > 0 {
		return fmt.Errorf("the registry sends more than the %d bytes that its manifest says", d.size)
	}
	d.close()
	return io.EOF
}

// again lets a download that broke off go on, or is the error that ends it.
func (d *download) again(err error) error {
	d.close()
	var rule ruleError
	var status *statusError
	switch {
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	case errors.As(err, &rule), errors.As(err, &status):
		return err
	}
	if d.breaks++; d.breaks == maxBreaks {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("the download broke off %d times, the last after %d of %d bytes: %w", d.breaks, d.at, d.size, told(err))
	}
	return sleep(d.ctx, d.repository.web.o.pause)
}

// open asks for what is left (RFC 9110, 14). A server that gives all from the beginning is
// read to where the download was: the digest tells if it is something else by now.
func (d *download) open() error {
	header := d.header.Clone()
	codes := []int{http.StatusOK}
	if d.at > 0 {
		if header == nil {
			header = http.Header{}
		}
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
		codes = append(codes, http.StatusPartialContent)
	}
	resp, err := d.repository.get(context.WithValue(d.ctx, layerBytes{}, true), d.path, "", header, codes...)
	if err != nil {
		return err
	}
	skip, left := d.at, d.size
	if resp.StatusCode == http.StatusPartialContent {
		skip, left = 0, d.size-d.at
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", d.at)) {
			resp.Body.Close()
			return ruleError{fmt.Errorf("the registry gives the range %.100q, and was asked for what is behind %d bytes", got, d.at)}
		}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != left {
		resp.Body.Close()
		return ruleError{fmt.Errorf("the registry has %d bytes of it, and the manifest says %d", resp.ContentLength, left)}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, skip); err != nil {
		resp.Body.Close()
		return err
	}
	d.body = resp.Body
	return nil
}
