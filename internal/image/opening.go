package image

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// opening spares a registry the ping: the library asks for /v2/ only to see whether credentials
// are wanted, which the answer to the first real question tells as well, an answer of 401 with
// the same challenge (OCI distribution specification; distribution's token authentication). What
// came of that question is given to whoever asks it next. Where the answer is neither the
// manifest nor a challenge, the ping is sent as the library meant it: some registries say that
// there is nothing before they ask who wants to know.
type opening struct {
	http.RoundTripper
	home string
	// path is that of the manifest, "" where there is no such question.
	path string

	mutex  sync.Mutex
	data   []byte
	header http.Header
}

// RoundTrip makes a request, or the first question instead of a ping.
func (o *opening) RoundTrip(req *http.Request) (*http.Response, error) {
	if o.path == "" || req.URL.Path != "/v2/" || req.Method != http.MethodGet || req.URL.Host != o.home {
		return o.RoundTripper.RoundTrip(req)
	}
	first := req.Clone(req.Context())
	first.URL.Path = o.path
	first.Header = accept()
	resp, err := o.RoundTripper.RoundTrip(first)
	if err != nil || resp.StatusCode == http.StatusUnauthorized || passing(resp, nil) {
		return resp, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return o.RoundTripper.RoundTrip(req)
	}
	data, err := io.ReadAll(resp.Body) // the web bounds it
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.header == nil {
		o.data, o.header = data, resp.Header.Clone()
	}
	resp.Body, resp.Request = io.NopCloser(strings.NewReader("")), req
	return resp, nil
}

// take gives what the first question was answered with, once, to whoever asks it; nil is that it
// was not.
func (o *opening) take(path, query string) ([]byte, http.Header) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.header == nil || path != o.path || query != "" {
		return nil, nil
	}
	data, header := o.data, o.header
	o.data, o.header = nil, nil
	return data, header
}
