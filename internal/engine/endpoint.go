package engine

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode"
)

// defaultSocket is where an engine listens when nothing says otherwise.
const defaultSocket = "/var/run/docker.sock"

// Endpoint is the address of an engine, and how to speak to it.
type Endpoint struct {
	// Address is a URL in one canonical spelling: unix:///path,
	// tcp://host:port[/prefix] or ssh://[user@]host[:port][/path of a socket].
	Address string
	// Source says where Address came from, for people: "--host", "DOCKER_HOST",
	// "DOCKER_CONTEXT, the context NAME", "docker's current context NAME" or
	// "the default".
	Source string
	// TLS is nil for an endpoint without it. Only tcp has any.
	TLS *TLS
	// APIVersion pins the version of the API ("1.41"); empty takes the newest
	// that both sides know.
	APIVersion string
}

// TLS names the files of a TLS connection, all in PEM.
type TLS struct {
	// CAFile holds the only authorities that the engine's certificate may come
	// from; empty means the system's.
	CAFile string
	// CertFile and KeyFile are what we show the engine. Both or none.
	CertFile, KeyFile string
	// SkipVerify takes any certificate, and so anybody, for the engine.
	SkipVerify bool
}

// address is an Endpoint's Address in parts.
type address struct {
	scheme string // unix, tcp or ssh
	path   string // unix: the socket; tcp: a prefix of every request, or empty; ssh: the remote socket, or empty
	host   string // tcp, ssh: without brackets
	port   string // tcp: always; ssh: or empty
	user   string // ssh: or empty
}

// String is the canonical spelling.
func (a address) String() string {
	u := url.URL{Scheme: a.scheme, Path: a.path}
	switch a.scheme {
	case "unix":
		return "unix://" + a.path
	case "tcp":
		u.Host = net.JoinHostPort(a.host, a.port)
	case "ssh":
		u.Host = a.host
		if a.port != "" {
			u.Host = net.JoinHostPort(a.host, a.port)
		} else if strings.Contains(a.host, ":") {
			u.Host = "[" + a.host + "]"
		}
		if a.user != "" {
			u.User = url.User(a.user)
		}
	}
	return u.String()
}

const addressHint = "Write one of these:\n" +
	"  --host unix:///var/run/docker.sock\n" +
	"  --host tcp://harbour-1:2376\n" +
	"  --host ssh://harbour-1"

func badAddress(raw, format string, args ...any) error {
	return &Error{
		Message: fmt.Sprintf("%q is not the address of an engine: %s", withoutPassword(raw), fmt.Sprintf(format, args...)),
		hint:    addressHint,
	}
}

// withoutPassword is raw for an error, which may end up in a log.
func withoutPassword(raw string) string {
	at := strings.LastIndex(raw, "@")
	if at < 0 {
		return raw
	}
	login := raw[:at]
	start := 0
	if i := strings.Index(login, "://"); i >= 0 {
		start = i + len("://")
	}
	if i := strings.Index(login[start:], ":"); i >= 0 {
		return login[:start+i] + ":…" + raw[at:]
	}
	return raw
}

// parseAddress reads an address as docker's -H does: a missing scheme is tcp,
// a missing socket, host or port is docker's default (port 2375, with TLS too).
func parseAddress(raw string) (address, error) {
	text := strings.TrimSpace(raw)
	if strings.ContainsFunc(text, unicode.IsControl) {
		return address{}, badAddress(raw, "it holds a control character")
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		if text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") {
			return address{}, badAddress(raw, "a socket's address starts with unix://")
		}
		scheme, rest = "tcp", text
	}
	switch scheme {
	case "unix":
		return parseUnix(raw, rest)
	case "tcp":
		return parseTCP(raw, rest)
	case "ssh":
		return parseSSH(raw, rest)
	case "http", "https":
		return address{}, badAddress(raw, "write tcp:// in place of %s://; TLS is switched on by DOCKER_TLS_VERIFY=1", scheme)
	case "npipe", "fd":
		return address{}, badAddress(raw, "%s:// cannot be reached from here", scheme)
	default:
		return address{}, badAddress(raw, "%s:// is not known", scheme)
	}
}

func parseUnix(raw, rest string) (address, error) {
	if rest == "" {
		rest = defaultSocket
	}
	if !strings.HasPrefix(rest, "/") {
		return address{}, badAddress(raw, "the path of the socket must start with /, as in unix:///var/run/docker.sock")
	}
	return address{scheme: "unix", path: path.Clean(rest)}, nil
}

func parseTCP(raw, rest string) (address, error) {
	u, err := url.Parse("tcp://" + rest)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return address{}, badAddress(raw, "a tcp address is tcp://HOST:PORT")
	}
	a := address{scheme: "tcp", host: u.Hostname(), port: u.Port()}
	if a.host == "" {
		a.host = "localhost"
	}
	if !hostName(a.host) {
		return address{}, badAddress(raw, "the name of the host holds a character that no host name has")
	}
	if a.port == "" {
		a.port = "2375"
	}
	if a.port, err = canonicalPort(a.port); err != nil {
		return address{}, badAddress(raw, "%v", err)
	}
	if p := path.Clean("/" + u.Path); p != "/" {
		a.path = p
	}
	return a, nil
}

func parseSSH(raw, rest string) (address, error) {
	u, err := url.Parse("ssh://" + rest)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return address{}, badAddress(raw, "an ssh address is ssh://[USER@]HOST[:PORT]")
	}
	a := address{scheme: "ssh", host: u.Hostname(), user: u.User.Username()}
	if _, set := u.User.Password(); set {
		return address{}, badAddress(raw, "a password has no place in it; use a key")
	}
	if a.host == "" {
		return address{}, badAddress(raw, "the host is missing")
	}
	// ssh puts both into the commands of its own configuration, and a name that
	// starts with a dash could be read as an option.
	if !hostName(a.host) {
		return address{}, badAddress(raw, "the name of the host starts with a dash or holds a character that no host name has")
	}
	if u.User != nil && !userName(a.user) {
		return address{}, badAddress(raw, "the name of the user is empty, starts with a dash or holds a character of the shell")
	}
	if u.Port() != "" {
		if a.port, err = canonicalPort(u.Port()); err != nil {
			return address{}, badAddress(raw, "%v", err)
		}
	}
	if u.Path != "" && u.Path != "/" {
		if strings.ContainsFunc(u.Path, unicode.IsControl) {
			return address{}, badAddress(raw, "the path of the socket holds a control character")
		}
		a.path = path.Clean(u.Path)
	}
	if a.path == "/" {
		a.path = ""
	}
	return a, nil
}

// hostName tells whether s can be a host: a DNS name, an alias of ssh's
// configuration, or an IP address with or without a zone.
func hostName(s string) bool {
	if strings.ContainsAny(s, ":%") {
		if _, err := netip.ParseAddr(s); err != nil {
			return false
		}
	}
	return !strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:%", r)
	})
}

// userName tells whether s can be a login: DOMAIN\user and user@domain are in
// use, quotes and the shell's other characters are not.
func userName(s string) bool {
	return s != "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, `\`) &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return !unicode.IsPrint(r) || unicode.IsSpace(r) || strings.ContainsRune("'\"`$;&<>|(){}*?!#~[]", r)
		})
}

func canonicalPort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("the port %s is not between 1 and 65535", s)
	}
	return strconv.FormatUint(n, 10), nil
}
