package caller

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net"
)

// OfTLS says who made a connection over TCP: whom the certificate names that the
// handshake verified. It refuses who has shown none that was verified (the server's
// tls.Config must say RequireAndVerifyClientCert), and a certificate without a subject.
//
// The subject is written as the certificate has it, every part in its order (RFC 2253,
// as pkix.RDNSequence.String does). pkix.Name.String would leave out the first of two
// common names.
func OfTLS(state tls.ConnectionState, remote net.Addr) (*Caller, error) {
	if !state.HandshakeComplete || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return nil, errors.New("the client has shown no certificate that was verified: give it one of the CA that is trusted here (docker --tlsverify --tlscert --tlskey)")
	}
	var subject pkix.RDNSequence
	rest, err := asn1.Unmarshal(state.VerifiedChains[0][0].RawSubject, &subject)
	if err != nil {
		return nil, fmt.Errorf("reading the subject of the client's certificate: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("reading the subject of the client's certificate: %d bytes follow it", len(rest))
	}
	c := &Caller{UID: NoID, GID: NoID, CertSubject: subject.String()}
	if c.CertSubject == "" {
		return nil, errors.New("the client's certificate has no subject to know it by: issue one with a common name")
	}
	if remote != nil {
		c.Remote = remote.String()
	}
	c.unseen("process", errors.New("it connected over TCP"))
	return c, nil
}
