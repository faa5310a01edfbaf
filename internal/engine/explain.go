package engine

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
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// explain turns an error of the connection into one that says what happened
// and what to do. parent is the caller's context, ctx the one that our timeout
// ends.
func (c *Client) explain(parent, ctx context.Context, r request, err error) error {
	// The caller knows why it stopped.
	if parent.Err() != nil {
		return fmt.Errorf("%s: %w", r, parent.Err())
	}
	if errors.Is(err, ErrTooBig) {
		return c.tooBig(r)
	}
	if errors.Is(context.Cause(ctx), errSlow) {
		return &Error{
			Message: fmt.Sprintf("the engine at %s gave no whole answer to %s within %v", c.endpoint.Address, r, c.timeout),
			hint:    "It may be overloaded or stuck: see whether docker info answers, and what the engine's log says.",
		}
	}
	var ssh *sshError
	if errors.As(err, &ssh) {
		return c.explainSSH(ssh)
	}
	if e := c.explainTLS(err); e != nil {
		return e
	}
	var op *net.OpError
	var timed net.Error
	dialing := errors.As(err, &op) && op.Op == "dial" || errors.As(err, &timed) && timed.Timeout()
	broken := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	switch {
	// It has spoken as an engine before; now even half a head is it breaking off.
	case c.agreed.Load() != nil:
		return &Error{
			Message: fmt.Sprintf("the engine at %s went away in the middle", c.endpoint.Address),
			Err:     fmt.Errorf("%s: %w", r, words(err)),
			hint:    "What it said so far is not enough for a verdict. When it is up again, run plimsoll again:\n  systemctl status docker",
		}
	case dialing:
		return c.unreachable(bare(err))
	case broken:
		return &Error{
			Message: fmt.Sprintf("what listens at %s broke the connection off", c.endpoint.Address),
			Err:     fmt.Errorf("%s: %w", r, bare(err)),
			hint:    c.brokenHint(),
		}
	}
	return c.notAnEngine(r, words(err))
}

func (c *Client) brokenHint() string {
	if c.addr.scheme == "tcp" && c.endpoint.TLS == nil {
		return "If it expects TLS, set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH. " + c.origin()
	}
	return "It may be stopping, or not be an engine at all. " + c.origin()
}

// unreachable is the error for an engine to which no connection can be made.
func (c *Client) unreachable(err error) error {
	e := &Error{Message: "the engine can't be reached at " + c.endpoint.Address, Err: err}
	const start = "\n  sudo systemctl start docker\n  plimsoll audit --host ssh://harbour-1"
	var dns *net.DNSError
	switch {
	case c.addr.scheme == "unix" && errors.Is(err, fs.ErrPermission):
		e.hint = socketAccessOf(c.addr.path).hint("plimsoll audit" + c.hostFlag())
	case errors.Is(err, fs.ErrNotExist):
		e.hint = "There is no such socket: no engine has been started here. " + c.origin() + " Start it, or name another engine:" + start
	case c.addr.scheme == "unix" && errors.Is(err, syscall.ECONNREFUSED) && isNoSocket(c.addr.path):
		e.hint = "It is no socket. " + c.origin() + " Name another engine:\n  plimsoll audit --host unix://" + defaultSocket
	case c.addr.scheme == "unix" && errors.Is(err, syscall.ECONNREFUSED):
		e.hint = "The socket is there, but nothing listens on it: the engine has stopped. " + c.origin() + " Start it, or name another engine:" + start
	case c.addr.scheme == "unix":
		e.hint = "It may not be a socket. " + c.origin() + " Name another engine:\n  plimsoll audit --host unix://" + defaultSocket
	case errors.As(err, &dns):
		e.hint = "The name of the host is not known here. " + c.origin()
	case errors.Is(err, syscall.ECONNREFUSED):
		e.hint = "The host answers, but nothing listens on that port: engines use 2376 with TLS and 2375 without. " + c.origin()
	default:
		e.hint = "The host does not answer: is it up, and is there a firewall in between? " + c.origin()
	}
	return e
}

// isNoSocket is true for a file or a folder: the system refuses a connection to
// one as it does where nobody listens (unix(7)).
func isNoSocket(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&fs.ModeSocket == 0
}

// hostFlag names the engine to the same command as somebody else, who may not
// have our environment; it is empty for the default.
func (c *Client) hostFlag() string {
	if c.endpoint.Source == "" || c.endpoint.Source == "the default" {
		return ""
	}
	return " --host " + quote(c.endpoint.Address)
}

// quote writes a word as a POSIX shell reads it.
func quote(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(plainInShell, r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// plainInShell are the characters that a shell takes as they are.
const plainInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%"

// origin says where the address came from, unless it is the default.
func (c *Client) origin() string {
	if c.endpoint.Source == "" || c.endpoint.Source == "the default" {
		return "That is the address where docker looks when it is told nothing else."
	}
	return "That address comes from " + c.endpoint.Source + "."
}

func (c *Client) explainSSH(err *sshError) error {
	e := &Error{Message: "the engine can't be reached at " + c.endpoint.Address, Err: err}
	try := "\n  " + strings.Join(c.addr.sshTrial(), " ")
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		e.hint = "There is no ssh here. Install it:\n  sudo apt-get install openssh-client"
	case err.start != nil:
		e.hint = "The ssh program could not be started."
	case err.code == 127:
		e.Message = "there is no docker command on " + c.addr.host + ", reached at " + c.endpoint.Address
		e.hint = "Install docker's client there, or put it where a login without a terminal finds it. See what it finds:" + try
	case err.code == 255:
		e.hint = "ssh could not log in. It may ask nothing here, so the key must be in the agent and the host's key known. " +
			"When this works without a question, plimsoll does too:" + try
	default:
		e.hint = "The login works, but docker's bridge to the engine there does not. See what it says:" + try
	}
	return e
}

// sshTrial is the command by which a person finds out what is wrong.
func (a address) sshTrial() []string {
	words := []string{"ssh"}
	if a.user != "" {
		words = append(words, "-l", a.user)
	}
	if a.port != "" {
		words = append(words, "-p", a.port)
	}
	return append(words, "--", a.host, "docker version")
}

// explainTLS is nil for what has nothing to do with TLS.
func (c *Client) explainTLS(err error) error {
	var header tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var name x509.HostnameError
	var op *net.OpError
	e := &Error{Message: "the engine can't be reached at " + c.endpoint.Address, Err: bare(err)}
	switch {
	case c.endpoint.TLS == nil:
		return nil
	case errors.As(err, &header):
		if string(header.RecordHeader[:]) == "HTTP/" {
			e.Err = http.ErrSchemeMismatch // it says more
		}
		e.hint = "It does not speak TLS on that port. Name the port that does (usually 2376), or unset DOCKER_TLS_VERIFY " +
			"if you mean to speak to it in the open."
	case errors.As(err, &name):
		e.hint = "Its certificate is for another name. Use the name that it was made for, or have it made for this one."
	case errors.As(err, &verify):
		e.hint = fmt.Sprintf("Its certificate is not from the authority in %q, or has run out.", c.endpoint.TLS.CAFile)
	case errors.As(err, &op) && op.Op == "remote error":
		e.hint = "It does not take our certificate. cert.pem and key.pem must come from the engine's own authority; " +
			"they are looked for in DOCKER_CERT_PATH or in the docker context."
	default:
		return nil
	}
	return e
}

// wantsTLS is the error for a TLS server to which we spoke without.
func (c *Client) wantsTLS() error {
	return &Error{
		Message: fmt.Sprintf("the engine at %s expects TLS", c.endpoint.Address),
		hint:    "Say where the certificates are:\n  export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=$HOME/.docker",
	}
}

// words is the cause of an error that may quote the answer.
func words(err error) error {
	err = bare(err)
	if text := printable(err.Error(), 200); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// bare takes off what net/http and net put before a cause, for the message has
// said it, and keeps the system call of a dial.
func bare(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return op.Err
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		switch err.(type) {
		case *net.OpError, syscall.Errno:
			return err
		}
		err = next
	}
}
