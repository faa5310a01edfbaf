package gate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Address is where clients connect.
type Address struct {
	// Network is "unix", "tcp", or "" for what was handed over.
	Network string
	// Name is the path of a unix socket, or HOST:PORT of TCP.
	Name string
	// Handed is a listener that there is already.
	Handed net.Listener
}

// ErrListening says that another process listens at the path; who starts a gate branches
// on it.
var ErrListening = errors.New("another process listens there")

// open opens the address. A unix socket is for root and a group; TCP is for those with a
// certificate.
func (a *Address) open(group int, certificates *Certificates) (net.Listener, error) {
	switch a.Network {
	case "unix":
		return listenUnix(a.Name, group)
	case "tcp":
		l, err := net.Listen("tcp", a.Name)
		if err != nil {
			return nil, err
		}
		return tls.NewListener(l, certificates.config()), nil
	}
	return a.Handed, nil
}

// listenUnix makes a socket that root and one group may connect to. One that nobody listens
// on any more is taken away.
func listenUnix(path string, group int) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there, and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s: %w", path, ErrListening)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// Between bind(2) and chmod(2) nobody else may connect.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, err
	}
	if group >= 0 {
		err = os.Lchown(path, -1, group)
	}
	if err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// handshakeTime bounds how long a client over TCP may take to show its certificate: until
// then nobody knows who it is.
const handshakeTime = 10 * time.Second

// Certificates are those of a gate that clients reach over TCP: its own, and the
// authorities whose clients it knows. All are PEM files, as dockerd's --tlscert, --tlskey
// and --tlscacert are.
type Certificates struct {
	Cert, Key, Authorities string

	now atomic.Pointer[tls.Config]
}

// Load reads the files. What was read before stands where they can't be.
func (c *Certificates) Load() error {
	own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return fmt.Errorf("reading the certificate %s and its key %s: %w", c.Cert, c.Key, err)
	}
	pem, err := os.ReadFile(c.Authorities)
	if err != nil {
		return fmt.Errorf("reading the authorities of clients: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return fmt.Errorf("reading the authorities of clients: %s has no certificate", c.Authorities)
	}
	c.now.Store(&tls.Config{
		Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		// A ticket would let in who has one after its authority is not known any more.
		SessionTicketsDisabled: true,
	})
	return nil
}

// config has each connection served by the files as they were read last.
func (c *Certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now.Load(), nil }}
}
