package notation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Authority is whose certificates are trusted, and whose timestamps.
type Authority struct {
	certificates []*x509.Certificate
	roots        *x509.CertPool
	// stamps are the roots of timestamp authorities, nil for none.
	stamps *x509.CertPool
}

// maxCertificates bounds what one authority consists of.
const maxCertificates = 100

// ParseAuthority reads certificates in PEM: those of authorities, or that of a signer which is
// signed by itself. The name is for messages.
func ParseAuthority(name string, data []byte) (*Authority, error) {
	all, err := parseCertificates(name, data)
	if err != nil {
		return nil, err
	}
	a := &Authority{certificates: all, roots: x509.NewCertPool()}
	for i, c := range all {
		if !c.IsCA && !selfSigned(c) {
			return nil, fmt.Errorf("%s: certificate %d, of %s, is neither an authority's nor signed by itself", name, i+1, c.Subject)
		}
		a.roots.AddCert(c)
	}
	return a, nil
}

// TrustTimestamps reads the roots of timestamp authorities in PEM, whose word is trusted for
// when something was signed. The name is for messages.
func (a *Authority) TrustTimestamps(name string, data []byte) error {
	all, err := parseCertificates(name, data)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	for i, c := range all {
		if !c.IsCA || !selfSigned(c) {
			return fmt.Errorf("%s: certificate %d, of %s, is no root of an authority", name, i+1, c.Subject)
		}
		roots.AddCert(c)
	}
	a.stamps = roots
	return nil
}

// Until is when the last of its certificates ends.
func (a *Authority) Until() (last time.Time) {
	for _, c := range a.certificates {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
	}
	return last
}

// selfSigned is true for a certificate under whose own key it holds.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

func parseCertificates(name string, data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) > 0 && len(all) > 0 {
				return nil, fmt.Errorf("%s: something follows certificate %d", name, len(all))
			}
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: its PEM block %d is a %.50q, and no certificate", name, len(all)+1, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", name, len(all)+1, err)
		}
		if all = append(all, c); len(all) > maxCertificates {
			return nil, fmt.Errorf("%s: it has more than %d certificates", name, maxCertificates)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: there is no certificate in PEM in it", name)
	}
	return all, nil
}

// Signer is who is trusted to sign: those to whom an authority gave certificates.
type Signer struct {
	// Name is what its owner calls it.
	Name      string
	Authority *Authority
	// Subject is what the certificate must be for. Nil is anybody: whoever the authority gave
	// a certificate.
	Subject Subject
}

// Subject is what the subject of a certificate must have: values of attributes, by the short
// names of RFC 4514, or as 2.5.4.97.
type Subject map[string]string

// ParseSubject reads a distinguished name as a trust policy of Notation has it after
// "x509.subject:", such as "C=US, ST=WA, O=acme, CN=release" (RFC 4514). S is ST. Unlike there,
// no attribute must be there, but one.
func ParseSubject(text string) (Subject, error) {
	if strings.Contains(text, "=#") {
		return nil, errors.New("values in hex digits are not read")
	}
	dn, err := ldap.ParseDN(text)
	if err != nil {
		return nil, err
	}
	s := Subject{}
	for _, rdn := range dn.RDNs {
		if len(rdn.Attributes) != 1 {
			return nil, errors.New("two attributes are joined by +")
		}
		name, value := strings.ToUpper(rdn.Attributes[0].Type), rdn.Attributes[0].Value
		if short, known := attributes[name]; known {
			name = short
		} else if name == "S" {
			name = "ST"
		}
		switch _, twice := s[name]; {
		case twice:
			return nil, fmt.Errorf("the attribute %.50q is there twice", name)
		case !slices.Contains(slices.Collect(maps.Values(attributes)), name) && strings.Trim(name, "0123456789.") != "":
			return nil, fmt.Errorf("there is no attribute %.50q", name)
		case value == "" || strings.Trim(value, "*") == "":
			return nil, fmt.Errorf("the attribute %.50q has no value", name)
		}
		s[name] = value
	}
	if len(s) == 0 {
		return nil, errors.New("it has no attribute")
	}
	return s, nil
}

// attributes are the short names of what subjects have (RFC 4519, section 2; RFC 4514,
// section 3), by object identifier.
var attributes = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "POSTALCODE", "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// fits is true for the subject of a certificate that has each attribute once, with exactly
// that value. Of an attribute that is there twice, anybody could read the other.
func (s Subject) fits(name pkix.Name) bool {
	has := map[string][]any{}
	for _, one := range name.Names {
		key := one.Type.String()
		if short, known := attributes[key]; known {
			key = short
		}
		has[key] = append(has[key], one.Value)
	}
	for key, want := range s {
		if got := has[key]; len(got) != 1 || got[0] != any(want) {
			return false
		}
	}
	return true
}
