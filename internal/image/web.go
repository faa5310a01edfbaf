package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/net/publicsuffix"
)

// The bounds of what a server may have this do.
const (
	maxTries     = 4 // of one request
	maxRedirects = 5 // of one request
	maxWait      = 60 * time.Second
	maxHeader    = 256 << 10
)

// web carries requests to a server and to where that redirects them, and holds both to the
// rules: no plain HTTP but where it may be, none behind TLS, no way into networks that the
// server cannot know, no silence, and no document without end.
type web struct {
	o *Registries
	// open are the hosts that may be spoken to in plain HTTP.
	open []string
	most int64
	// home is the host that is spoken to, and secret is true where it gets credentials.
	home   string
	secret bool

	mutex sync.Mutex
	hosts map[string]*http.Transport
	// distrusted are hosts that take TLS, with certificates that do not hold: they are not
	// asked in plain HTTP instead. Who is asked both ways at a time, as the library does, is
	// asked in plain HTTP when what came of TLS is known: its channel in secured is closed.
	distrusted map[string]error
	secured    map[string]chan struct{}
}

func newWeb(o Options, s server) *web {
	w := &web{o: &o.Registries, open: slices.Clone(o.Registries.Insecure), most: o.Limits.Document, home: s.host, hosts: map[string]*http.Transport{}, distrusted: map[string]error{}, secured: map[string]chan struct{}{}}
	if s.plain {
		w.open = append(w.open, s.host)
	}
	return w
}

func (w *web) close() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, t := range w.hosts {
		t.CloseIdleConnections()
	}
}

// plain is true for a host, with its port or without, that may be spoken to in plain HTTP.
func (w *web) plain(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	return isLoopback(name) || slices.Contains(w.open, host) || slices.Contains(w.open, name)
}

// unreachable are addresses that mean something else for each who asks.
func unreachable(name string) bool {
	at, err := netip.ParseAddr(name)
	if at = at.Unmap(); err != nil {
		return name == "localhost" || strings.HasSuffix(name, ".localhost")
	}
	return at.IsLoopback() || at.IsPrivate() || at.IsLinkLocalUnicast() || at.IsUnspecified() || at.IsMulticast()
}

// ruleError is a request that must not be made; it is not tried again.
type ruleError struct{ error }

// silenceError is a server that says nothing.
type silenceError struct{ error }

// may is the error of a request that must not be made.
func (w *web) may(req *http.Request) error {
	switch {
	case req.URL.Scheme == "https":
	case req.URL.Scheme != "http":
		return ruleError{fmt.Errorf("a redirect to %.20q, which is not followed", req.URL.Scheme)}
	case !w.plain(req.URL.Host):
		return ruleError{fmt.Errorf("%s would be asked in plain HTTP, and only loopback and hosts that are named as insecure are", shown(req.URL.Host))}
	}
	if req.URL.Scheme == "http" {
		w.mutex.Lock()
		secured := w.secured[req.URL.Host]
		w.mutex.Unlock()
		if secured != nil {
			select {
			case <-secured:
			case <-req.Context().Done():
				return req.Context().Err()
			}
		}
		w.mutex.Lock()
		err := w.distrusted[req.URL.Host]
		w.mutex.Unlock()
		if err != nil {
			return ruleError{err}
		}
	}
	// A client leaves here the answer that redirected it.
	if req.Response == nil || req.Response.Request == nil {
		return w.mayBegin(req.URL)
	}
	from := req.Response.Request
	hops := 1
	for at := from; at.Response != nil && at.Response.Request != nil; at = at.Response.Request {
		hops++
	}
	switch {
	case hops > maxRedirects:
		return ruleError{fmt.Errorf("more than %d redirects", maxRedirects)}
	case req.Method != "" && req.Method != http.MethodGet && req.Method != http.MethodHead && req.URL.Host != from.URL.Host:
		// Its body may hold a token, which the client would send along.
		return ruleError{fmt.Errorf("a redirect from %s to %s of what is sent there, which is not followed", shown(from.URL.Host), shown(req.URL.Host))}
	case from.URL.Scheme == "https" && req.URL.Scheme == "http":
		return ruleError{fmt.Errorf("a redirect from https to http, to %s, which is not followed", shown(req.URL.Host))}
	case unreachable(req.URL.Hostname()) && !unreachable(from.URL.Hostname()):
		return ruleError{fmt.Errorf("a redirect from %s to the private address %s, which is not followed", shown(from.URL.Host), shown(req.URL.Host))}
	}
	return nil
}

// mayBegin is the error of a request that nothing redirected. It goes to the registry, or to the
// token server that the registry names (the realm; docs.docker.com, token authentication
// specification), which gets the registry's credentials: a registry that is not what it was
// could have them sent to anybody.
func (w *web) mayBegin(to *url.URL) error {
	home, realm := (&url.URL{Host: w.home}).Hostname(), to.Hostname()
	switch {
	case home == realm || slices.Contains(w.o.Realms, to.Host) || slices.Contains(w.o.Realms, realm):
		return nil
	case unreachable(realm) && !unreachable(home):
		return ruleError{fmt.Errorf("%s names the token server %s, at a private address, which is not asked", shown(w.home), shown(to.Host))}
	case !w.secret || isLoopback(home) && isLoopback(realm):
		return nil
	}
	// Docker Hub's is auth.docker.io, for example.
	own, wrong := publicsuffix.EffectiveTLDPlusOne(home)
	if its, err := publicsuffix.EffectiveTLDPlusOne(realm); wrong == nil && err == nil && own == its && !isAddress(home) {
		return nil
	}
	return ruleError{fmt.Errorf("%s wants its credentials sent to the token server %s, of another domain: name that as one that may have them, or take the credentials away", shown(w.home), shown(to.Host))}
}

func isLoopback(name string) bool {
	at, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && at.IsLoopback()
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// RoundTrip makes a request, again where the server is busy or the connection broke.
func (w *web) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := w.may(req); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	pause := w.o.pause
	for try := 1; ; try++ {
		settled := w.secures(req)
		resp, err := w.once(req)
		settled()
		if try == maxTries || req.Method != http.MethodGet || !passing(resp, err) {
			return resp, err
		}
		wait := pause
		if resp != nil {
			// The other form is a date (RFC 9110, 10.2.3), by a clock of its own.
			if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
				if wait = time.Duration(n) * time.Second; n > int(maxWait/time.Second) {
					return resp, nil
				}
			}
			resp.Body.Close()
		}
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// secures notes that a host is asked by TLS for the first time, and gives what is to be called
// when it is known what came of that.
func (w *web) secures(req *http.Request) func() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if _, before := w.secured[req.URL.Host]; before || req.URL.Scheme != "https" {
		return func() {}
	}
	known := make(chan struct{})
	w.secured[req.URL.Host] = known
	return func() { close(known) }
}

// passing is true for what may be otherwise in a while.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		return cutOff(err)
	}
	return slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}, resp.StatusCode)
}

// cutOff is true for a connection that ended before what it carried.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// layerBytes marks the context of a request for what has a size of its own, and may be
// longer than a document.
type layerBytes struct{}

// once makes a request that the server must answer, and go on answering.
func (w *web) once(req *http.Request) (*http.Response, error) {
	t, err := w.transport(req.URL.Host)
	if err != nil {
		return nil, ruleError{err}
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	silent := silenceError{fmt.Errorf("%s sent nothing for %v", shown(req.URL.Host), w.o.Silence)}
	timer := time.AfterFunc(w.o.Silence, func() { cancel(silent) })
	resp, err := t.RoundTrip(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		defer cancel(nil)
		if context.Cause(ctx) == error(silent) {
			return nil, silent
		}
		if wrong := (*tls.CertificateVerificationError)(nil); errors.As(err, &wrong) {
			w.mutex.Lock()
			w.distrusted[req.URL.Host] = err
			w.mutex.Unlock()
		}
		return nil, err
	}
	// The client looks here for what led to a redirect.
	resp.Request = req
	most := w.most
	if req.Context().Value(layerBytes{}) != nil {
		most = -1
	}
	resp.Body = &answer{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, timer: timer, silence: w.o.Silence, most: most, left: most}
	return resp, nil
}

// answer is the body of an answer that must not fall silent, nor be longer than most; -1 is
// without bound.
type answer struct {
	io.ReadCloser
	ctx        context.Context
	cancel     context.CancelCauseFunc
	timer      *time.Timer
	silence    time.Duration
	most, left int64
}

func (a *answer) Read(p []byte) (int, error) {
	if a.left == 0 {
		p = p[:min(1, len(p))] // to tell its end from more
	} else if a.left > 0 {
		p = p[:min(int64(len(p)), a.left)]
	}
	a.timer.Reset(a.silence)
	n, err := a.ReadCloser.Read(p)
	a.timer.Stop()
	if err != nil && err != io.EOF {
		if cause := context.Cause(a.ctx); cause != nil {
			err = cause
		}
	}
	if a.left == 0 && n > 0 {
		return 0, ruleError{beyond("the answer has", a.most, "bytes")}
	}
	if a.left > 0 {
		a.left -= int64(n)
	}
	return n, err
}

func (a *answer) Close() error {
	a.timer.Stop()
	a.cancel(nil)
	return a.ReadCloser.Close()
}

// transport is the one for a host, with its certificates: a client's is shown to no other.
func (w *web) transport(host string) (*http.Transport, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if t := w.hosts[host]; t != nil {
		return t, nil
	}
	config, err := w.o.tls(host)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		Proxy:                  w.o.Proxy,
		DialContext:            (&net.Dialer{Timeout: w.o.Silence}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    w.o.Silence,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // sizes and ranges are of the bytes that are sent
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        w.o.Silence,
	}
	w.hosts[host] = t
	return t, nil
}

// maxCertificate bounds a file of certificates.
const maxCertificate = 4 << 20

// tls is the configuration for a host by its folder of certificates, as docker reads it
// (docs.docker.com/engine/security/certificates).
func (r *Registries) tls(host string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	// A redirect names any host.
	if r.Certs == "" || host == "." || host == ".." || strings.ContainsAny(host, "/\\\x00") {
		return config, nil
	}
	root, err := os.OpenRoot(filepath.Join(r.Certs, host))
	if errors.Is(err, fs.ErrNotExist) {
		return config, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of %s: %w", host, err)
	}
	defer root.Close()
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading the certificates of %s: %w", host, err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".crt") {
			data, err := certificate(root, f.Name())
			if err != nil {
				return nil, err
			}
			if config.RootCAs == nil {
				if config.RootCAs, err = x509.SystemCertPool(); err != nil {
					config.RootCAs = x509.NewCertPool()
				}
			}
			if !config.RootCAs.AppendCertsFromPEM(data) {
				return nil, fmt.Errorf("%s has no certificate", filepath.Join(root.Name(), f.Name()))
			}
		}
		if base, own := strings.CutSuffix(f.Name(), ".cert"); own {
			cert, err := certificate(root, f.Name())
			if err != nil {
				return nil, err
			}
			key, err := certificate(root, base+".key")
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				return nil, fmt.Errorf("%s with its key: %w", filepath.Join(root.Name(), f.Name()), err)
			}
			config.Certificates = append(config.Certificates, pair)
		}
	}
	return config, nil
}

func certificate(root *os.Root, name string) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(root.Name(), name), errors.Unwrap(err))
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCertificate))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(root.Name(), name), errors.Unwrap(err))
	}
	return data, nil
}

// told is an error of the library's or of net/http's for people: short, without what a
// server sent at length, and without queries, which may hold signatures and tokens.
func told(err error) error {
	var rule ruleError
	var silent silenceError
	var answer *transport.Error
	var request *url.Error
	switch {
	case errors.As(err, &rule):
		return rule
	case errors.As(err, &silent): // not that the same server has no TLS
		return silent
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &answer):
		text := fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
		if len(answer.Errors) > 0 {
			text += ": " + shown(string(answer.Errors[0].Code)+": "+answer.Errors[0].Message)
		}
		if r := answer.Request; r != nil {
			text = fmt.Sprintf("%s says %s", place(r.URL), text)
		}
		return &statusError{answer.StatusCode, text}
	case errors.Is(err, http.ErrSchemeMismatch):
		// A host without TLS, of which the library tells both what came of https and of http.
		if _, plain, both := strings.Cut(err.Error(), "; "); both {
			return errors.New(shown(plain))
		}
		return errors.New("it does not take TLS, and plain HTTP only loopback and hosts that are named as insecure may be asked")
	case errors.As(err, &request):
		at := "the server"
		if u, wrong := url.Parse(request.URL); wrong == nil {
			at = place(u)
		}
		return fmt.Errorf("asking %s: %w", at, request.Err)
	case strings.HasPrefix(err.Error(), "no token in bearer response"):
		return errors.New("the token server gave no token")
	}
	return err
}

// place is a URL without its query and user.
func place(u *url.URL) string {
	return shown((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

// statusError is an answer that says no. List asks for its code, to tell a registry without
// a catalog.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }
