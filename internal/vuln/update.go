package vuln

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// maxZip bounds what is fetched, in bytes; the largest in use has a twentieth of it.
const maxZip = 4 << 30

// Origin is where zips are fetched from.
type Origin struct {
	// Base is the URL below which there is FAMILY/all.zip.
	Base string
	// Client asks; nil is http.DefaultClient, which waits for ever.
	Client *http.Client
}

// fetched is what is kept of a fetch, beside the file that was made of it.
type fetched struct {
	URL  string `json:"url"`
	ETag string `json:"etag"` // RFC 9110, section 8.8.3
	// SHA256 is the zip's: the tag counts only for the file that was made of it.
	SHA256 [32]byte `json:"sha256"`
}

// Update fetches the zip of a family and imports it, unless the origin says that it is the
// one that the file was made of: then changed is false. Whatever fails, the old file stays.
func (f Folder) Update(ctx context.Context, o Origin, family string) (s Status, changed bool, err error) {
	path, err := f.path(family)
	if err != nil {
		return s, false, err
	}
	if !hasOrder(family) {
		return s, false, fmt.Errorf("%s: %w", family, ErrOrder)
	}
	from := strings.TrimRight(o.Base, "/") + "/" + url.PathEscape(family) + "/all.zip"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return s, false, err
	}
	note := path + ".fetched"
	have, tag := f.have(path, note, from)
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	client := o.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return s, false, err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && tag != "":
		return have, false, nil
	case res.StatusCode != http.StatusOK:
		return s, false, fmt.Errorf("%s: the answer is %s", from, res.Status)
	}
	if err := os.MkdirAll(string(f), 0o755); err != nil {
		return s, false, err
	}
	zip, err := os.CreateTemp(string(f), ".fetched-")
	if err != nil {
		return s, false, err
	}
	defer os.Remove(zip.Name())
	n, err := io.Copy(zip, io.LimitReader(res.Body, maxZip+1))
	if err = errors.Join(err, zip.Close()); err != nil {
		return s, false, fmt.Errorf("fetching %s: %w", from, err)
	}
	if n > maxZip {
		return s, false, fmt.Errorf("%s has more than %d bytes, which is the most", from, int64(maxZip))
	}
	if s, err = f.Import(ctx, Source{Family: family, Path: zip.Name(), Name: from}); err != nil {
		return s, false, fmt.Errorf("%s: %w", from, err)
	}
	return s, true, keep(note, fetched{URL: from, ETag: res.Header.Get("ETag"), SHA256: s.SHA256})
}

// have gives what is there and the tag that it has at its origin, "" where it is of another
// one, or has none.
func (f Folder) have(path, note, from string) (Status, string) {
	d, err := Open(path)
	if err != nil {
		return Status{}, "" // what is missing or damaged is fetched
	}
	defer d.Close()
	data, err := os.ReadFile(note)
	var was fetched
	if err != nil || json.Unmarshal(data, &was) != nil || was.URL != from || was.SHA256 != d.head.SHA256 {
		return Status{}, ""
	}
	return d.Status(), was.ETag
}

// keep writes what is kept of a fetch. Without a tag there is nothing to keep. A note that is
// cut off has no use, and does no harm: the next fetch is a whole one.
func keep(note string, was fetched) error {
	if was.ETag == "" {
		if err := os.Remove(note); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(was)
	if err != nil {
		return err
	}
	return os.WriteFile(note, data, 0o644)
}
