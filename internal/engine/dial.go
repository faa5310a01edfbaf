package engine

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
)

// Conn is a plain connection to an engine, of which one direction can be closed.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Dialer makes plain connections to one engine, which nothing was sent on yet. Whoever uses
// them speaks HTTP/1.1 on them.
type Dialer struct {
	// Prefix is what the path of every request must begin with; mostly "".
	Prefix string
	// Host is the Host of every request; "" where any will do.
	Host string

	dial func(context.Context) (Conn, error)
}

// NewDialer makes a Dialer. It reads the TLS files of the endpoint, but does not connect. Of
// the Config it leaves out the timeout. The error is an *Error.
func NewDialer(cfg Config) (*Dialer, error) {
	addr, err := parseAddress(cfg.Endpoint.Address)
	if err != nil {
		return nil, err
	}
	if addr.scheme != "tcp" && cfg.Endpoint.TLS != nil {
		return nil, fmt.Errorf("making a dialer: TLS is for tcp endpoints, not for %s", cfg.Endpoint.Address)
	}
	plain := &net.Dialer{Timeout: connectTimeout}
	switch addr.scheme {
	case "unix":
		return &Dialer{dial: func(ctx context.Context) (Conn, error) { return halves(plain.DialContext(ctx, "unix", addr.path)) }}, nil
	case "ssh":
		program := cfg.SSH
		if program == "" {
			program = "ssh"
		}
		return &Dialer{dial: func(ctx context.Context) (Conn, error) { return halves(dialSSH(ctx, program, addr)) }}, nil
	}
	d := &Dialer{Prefix: addr.path, Host: net.JoinHostPort(addr.host, addr.port)}
	if cfg.Endpoint.TLS == nil {
		d.dial = func(ctx context.Context) (Conn, error) { return halves(plain.DialContext(ctx, "tcp", d.Host)) }
		return d, nil
	}
	conf, err := cfg.Endpoint.TLS.config()
	if err != nil {
		return nil, err
	}
	d.dial = func(ctx context.Context) (Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout) // of connecting, and of the handshake
		defer cancel()
		return halves((&tls.Dialer{NetDialer: plain, Config: conf}).DialContext(ctx, "tcp", d.Host))
	}
	return d, nil
}

// Dial connects. It may be called by many goroutines.
func (d *Dialer) Dial(ctx context.Context) (Conn, error) { return d.dial(ctx) }

// halves is a connection of which one direction can be closed, as all of ours can.
func halves(c net.Conn, err error) (Conn, error) {
	if err != nil {
		return nil, err
	}
	return c.(Conn), nil
}
