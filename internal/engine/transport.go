package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// connectTimeout bounds one attempt to connect, far below a call's timeout:
	// a listening engine takes a connection at once, however busy it is.
	connectTimeout = 20 * time.Second
	// idleConns is how many connections are kept for calls made side by side.
	// net/http's own default of 2 would make most of them connect anew.
	idleConns = 32
	// sshConns bounds ssh processes: each costs a login, and an sshd refuses
	// more than about ten logins at once (MaxStartups 10:30:100).
	sshConns = 4
	// idleTime ends what nobody uses, before the engine does.
	idleTime = 90 * time.Second
	// readBytes is how much is read at once: most answers whole, with their
	// heads. net/http's own default would take two or three readings.
	readBytes = 16 << 10
	// maxHeaderBytes bounds the head of an answer; the engine's is under 1 KiB.
	maxHeaderBytes = 64 << 10
)

// newTransport makes the way to the engine, and the part of a URL that every
// request on it has in common.
func newTransport(cfg Config, addr address) (transport, url.URL, error) {
	t := &http.Transport{
		// A compressed answer could be a thousand times its size.
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleTime,
		ReadBufferSize:         readBytes,
		MaxResponseHeaderBytes: maxHeaderBytes,
		TLSHandshakeTimeout:    connectTimeout,
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	if addr.scheme != "tcp" && cfg.Endpoint.TLS != nil {
		return nil, url.URL{}, fmt.Errorf("making an engine client: TLS is for tcp endpoints, not for %s", cfg.Endpoint.Address)
	}
	switch addr.scheme {
	case "unix":
		// The host of a request over a socket means nothing, but must be there.
		return &sockets{path: addr.path, keep: idleTime}, url.URL{Scheme: "http", Host: "docker"}, nil
	case "ssh":
		t.MaxConnsPerHost = sshConns
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialSSH(ctx, cfg.SSH, addr)
		}
		return t, url.URL{Scheme: "http", Host: "docker"}, nil
	}
	t.DialContext = dialer.DialContext
	base := url.URL{Scheme: "http", Host: net.JoinHostPort(addr.host, addr.port), Path: addr.path}
	if cfg.Endpoint.TLS == nil {
		return t, base, nil
	}
	conf, err := cfg.Endpoint.TLS.config()
	if err != nil {
		return nil, url.URL{}, err
	}
	t.TLSClientConfig = conf
	base.Scheme = "https"
	return t, base, nil
}

// config reads the files.
func (t TLS) config() (*tls.Config, error) {
	const hint = "These files come from DOCKER_CERT_PATH or from the docker context in use; " +
		"the engine's administrator hands them out together."
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.SkipVerify}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, &Error{Message: "the certificate authority of the engine can't be read", Err: err, hint: hint}
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &Error{Message: fmt.Sprintf("there is no certificate in %s", t.CAFile), hint: hint}
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, &Error{
			Message: "to show a certificate to the engine, cert.pem and key.pem are both needed",
			Err:     errors.New("found only " + t.CertFile + t.KeyFile),
			hint:    hint,
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &Error{
				Message: fmt.Sprintf("the certificate %s and its key %s can't be used", t.CertFile, t.KeyFile),
				Err:     err,
				hint:    hint,
			}
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}
