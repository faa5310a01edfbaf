package caller

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/plimsoll/plimsoll/test/lab"
)

// authority issues certificates.
type authority struct{ *lab.Authority }

// client issues a client's certificate for a subject.
func (a authority) client(t *testing.T, subject pkix.RDNSequence) *tls.Certificate {
	t.Helper()
	raw, err := asn1.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{RawSubject: raw, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(subject) == 0 {
		template.DNSNames = []string{"a.client"}
	}
	c := a.Issue("client", template)
	return &c
}

// server accepts connections, and says who made each.
type server struct {
	authority
	listener net.Listener
	of       chan answered
}

type answered struct {
	caller  *Caller
	err     error
	early   error // before the end of the handshake
	resumed bool
	from    net.Addr
}

func serveTLS(t *testing.T, auth tls.ClientAuthType) *server {
	t.Helper()
	s := &server{authority: authority{lab.NewAuthority(t, t.TempDir())}, of: make(chan answered, 1)}
	cert := s.Issue("server", &x509.Certificate{Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	// When this is called the chain was verified, but not yet that the client has the key.
	var early error
	verify := func(state tls.ConnectionState) error {
		_, early = OfTLS(state, nil)
		return nil
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: auth, ClientCAs: s.Pool, VerifyConnection: verify})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s.listener = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conn := c.(*tls.Conn)
			a := answered{from: conn.RemoteAddr()}
			_, early = OfTLS(conn.ConnectionState(), nil)
			if a.err = conn.Handshake(); a.err == nil {
				state := conn.ConnectionState()
				a.resumed = state.DidResume
				a.caller, a.err = OfTLS(state, conn.RemoteAddr())
			}
			a.early = early
			conn.Write([]byte("x"))
			conn.Close()
			s.of <- a
		}
	}()
	return s
}

func (s *server) connect(t *testing.T, cert *tls.Certificate, cache tls.ClientSessionCache) answered {
	t.Helper()
	config := &tls.Config{RootCAs: s.Pool, ServerName: "localhost", ClientSessionCache: cache}
	if cert != nil { // and sent whatever authorities the server names
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	conn, err := tls.Dial("tcp", s.listener.Addr().String(), config)
	if err == nil {
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	a := <-s.of
	if a.early == nil {
		t.Error("somebody is known before the end of the handshake")
	}
	return a
}

func rdn(parts ...string) pkix.RelativeDistinguishedNameSET {
	types := map[string]asn1.ObjectIdentifier{"CN": {2, 5, 4, 3}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "C": {2, 5, 4, 6}, "UID": {0, 9, 2342, 19200300, 100, 1, 1}}
	var set pkix.RelativeDistinguishedNameSET
	for _, part := range parts {
		kind, value, _ := strings.Cut(part, "=")
		set = append(set, pkix.AttributeTypeAndValue{Type: types[kind], Value: value})
	}
	return set
}

func TestOfTLS(t *testing.T) {
	s := serveTLS(t, tls.RequireAndVerifyClientCert)
	for want, subject := range map[string]pkix.RDNSequence{
		"CN=anna":                     {rdn("CN=anna")},
		"CN=anna,OU=build,O=Plimsoll": {rdn("O=Plimsoll"), rdn("OU=build"), rdn("CN=anna")},
		"O=Plimsoll,CN=anna":          {rdn("CN=anna"), rdn("O=Plimsoll")}, // its own order
		"CN=admin,CN=anna":            {rdn("CN=anna"), rdn("CN=admin")},   // and every part
		"CN=anna+OU=build":            {rdn("CN=anna", "OU=build")},
		`CN=anna\,O=Plimsoll`:         {rdn("CN=anna,O=Plimsoll")},
		`CN=\#1\+\"\\\<\>\;`:          {rdn(`CN=#1+"\<>;`)},
		`CN=\ a b\ `:                  {rdn("CN= a b ")},
		"CN=ännä":                     {rdn("CN=ännä")},
	} {
		a := s.connect(t, s.client(t, subject), nil)
		if a.err != nil {
			t.Errorf("%s: %v", want, a.err)
			continue
		}
		if c := a.caller; c.CertSubject != want || c.Remote != a.from.String() || c.UID != NoID || c.GID != NoID || c.Unmapped || len(c.Groups) != 0 || c.User != "" || c.PID != 0 {
			t.Errorf("%+v, want %s from %s", c, want, a.from)
		} else {
			unseen(t, c, "over TCP")
		}
	}
	if a := s.connect(t, s.client(t, pkix.RDNSequence{rdn("UID=anna")}), nil); a.err != nil || !strings.HasPrefix(a.caller.CertSubject, "0.9.2342.19200300.100.1.1=#") {
		t.Errorf("%+v, %v", a.caller, a.err)
	}
	// A connection that resumes an earlier session shows no certificate; the earlier
	// one's counts.
	cache := tls.NewLRUClientSessionCache(1)
	cert := s.client(t, pkix.RDNSequence{rdn("CN=anna")})
	for _, resumed := range []bool{false, true} {
		if a := s.connect(t, cert, cache); a.err != nil || a.resumed != resumed || a.caller.CertSubject != "CN=anna" {
			t.Errorf("resumed: %t, %+v, %v", a.resumed, a.caller, a.err)
		}
	}
}

func TestOfTLSRefuses(t *testing.T) {
	other := authority{lab.NewAuthority(t, t.TempDir())}
	anna := pkix.RDNSequence{rdn("CN=anna")}
	for name, tc := range map[string]struct {
		auth tls.ClientAuthType
		cert func(s *server) *tls.Certificate
		want string
	}{
		"no certificate":                 {tls.VerifyClientCertIfGiven, func(*server) *tls.Certificate { return nil }, "no certificate that was verified"},
		"one that nobody asked for":      {tls.NoClientCert, func(s *server) *tls.Certificate { return s.client(t, anna) }, "no certificate that was verified"},
		"one that was not verified":      {tls.RequireAnyClientCert, func(s *server) *tls.Certificate { return s.client(t, anna) }, "no certificate that was verified"},
		"another authority's":            {tls.RequireAnyClientCert, func(*server) *tls.Certificate { return other.client(t, anna) }, "no certificate that was verified"},
		"another authority's, verifying": {tls.RequireAndVerifyClientCert, func(*server) *tls.Certificate { return other.client(t, anna) }, "unknown authority"},
		"no subject":                     {tls.RequireAndVerifyClientCert, func(s *server) *tls.Certificate { return s.client(t, pkix.RDNSequence{}) }, "issue one with a common name"},
		"an ordinary one":                {tls.RequireAndVerifyClientCert, func(s *server) *tls.Certificate { return s.client(t, anna) }, ""},
		"an ordinary one, if given":      {tls.VerifyClientCertIfGiven, func(s *server) *tls.Certificate { return s.client(t, anna) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveTLS(t, tc.auth)
			a := s.connect(t, tc.cert(s), nil)
			switch {
			case tc.want == "":
				if a.err != nil || a.caller.CertSubject != "CN=anna" {
					t.Errorf("%+v, %v", a.caller, a.err)
				}
			case a.err == nil || a.caller != nil || !strings.Contains(a.err.Error(), tc.want):
				t.Errorf("%+v, %v, want %s", a.caller, a.err, tc.want)
			}
		})
	}
}
