package sign

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/plimsoll/plimsoll/internal/image"
	"github.com/plimsoll/plimsoll/internal/notation"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Authority gives certificates to those who sign by Notation.
type Authority struct {
	// Certificates are its own.
	Certificates Certificates `yaml:"certificates"`
	// Timestamps are the roots of the authorities that are trusted to say when something was
	// signed (RFC 3161), none for nobody.
	Timestamps Certificates `yaml:"timestamps"`
	// Revoked is the day on which it stopped to count, as 2006-01-02; "" is never. What was
	// signed with its certificates does not count any more, whenever that was.
	Revoked string `yaml:"revoked"`
	// Why says what became of a revoked authority.
	Why string `yaml:"why"`
}

// Certificates are some in PEM, as they are or in a file: one of the two.
type Certificates struct {
	PEM  string `yaml:"pem"`
	File string `yaml:"file"`
}

// read gives the PEM and what to call it in messages.
func (c Certificates) read() (string, []byte, error) {
	if c.File == "" {
		return "pem", []byte(c.PEM), nil
	}
	data, err := readBounded(c.File)
	return c.File, data, err
}

// authorities checks the table of them.
func (c checker) authorities() *strict.Error {
	if len(c.Authorities) > maxKeys {
		return c.file.FailAt(fmt.Sprintf("has more than %d", maxKeys), "", "authorities")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Authorities)) {
		if wrong := c.authority(name, c.Authorities[name]); wrong != nil {
			return wrong
		}
	}
	return nil
}

// authority checks one. What files have is seen when something is verified.
func (c checker) authority(name string, a Authority) *strict.Error {
	if !keyName.MatchString(name) {
		return c.file.FailAt("is no name of an authority", "such as acme", "authorities", name)
	}
	if (a.Certificates.PEM == "") == (a.Certificates.File == "") {
		return c.file.FailAt("must have certificates, as pem or as file", "such as  certificates: {file: /etc/plimsoll/acme.pem}", "authorities", name)
	}
	if a.Timestamps.PEM != "" && a.Timestamps.File != "" {
		return c.file.FailAt("has pem and file", "leave one of them out", "authorities", name, "timestamps")
	}
	if a.Certificates.PEM != "" {
		if _, err := notation.ParseAuthority("it", []byte(a.Certificates.PEM)); err != nil {
			return c.file.FailAt("is no authority: "+err.Error(), "certificates of authorities, as openssl x509 writes them", "authorities", name, "certificates", "pem")
		}
	}
	if a.Timestamps.PEM != "" {
		if err := new(notation.Authority).TrustTimestamps("it", []byte(a.Timestamps.PEM)); err != nil {
			return c.file.FailAt("is no authority: "+err.Error(), "roots of authorities of timestamps, as openssl x509 writes them", "authorities", name, "timestamps", "pem")
		}
	}
	return c.revoked(a.Revoked, a.Why, "authorities", name)
}

// certified is what is wrong with a signer of an authority, with a hint and the field; "" for
// nothing.
func (c checker) certified(s Signer) (msg, hint, field string) {
	if _, is := c.Authorities[s.Notation]; !is {
		return fmt.Sprintf("names no authority of this file: %.100q", s.Notation), "add it to authorities", "notation"
	}
	const anyone = "or, for all whom it gave certificates to, say  anyone: true"
	switch {
	case s.Anyone && s.Subject != "":
		return "says who, and that anyone may", "leave one of them out", "subject"
	case s.Anyone:
		return "", "", ""
	case s.Subject == "":
		return "is missing", `name who may sign, such as "C=US, O=acme, CN=release", ` + anyone, "subject"
	}
	if _, err := notation.ParseSubject(s.Subject); err != nil {
		return fmt.Sprintf("names nobody: %v: %.100q", err, s.Subject), `such as "C=US, O=acme, CN=release", ` + anyone, "subject"
	}
	return "", "", ""
}

// notation adds to what was found the signatures of Notation that hold over what the name leads
// to, and over the image of it that would run, until all of it suffices. Of [notation.ErrMore] what
// was found counts all the same.
func (v *Verifier) notation(ctx context.Context, in image.Repository, list []Signer, name string, r *Result, found []Vouch) (_ []Vouch, rejected []Rejection, more error) {
	var signers []*notation.Signer
	by := map[*notation.Signer]Signer{}
	read := map[string]*notation.Authority{}
	for _, s := range list {
		if s.Notation == "" {
			continue
		}
		if read[s.Notation] == nil {
			a, err := v.Policy.Authorities[s.Notation].read()
			if err != nil {
				return nil, nil, fmt.Errorf("reading the authority %s: %w", s.Notation, err)
			}
			read[s.Notation] = a
		}
		one := &notation.Signer{Name: s.String(), Authority: read[s.Notation]}
		if !s.Anyone {
			var err error
			if one.Subject, err = notation.ParseSubject(s.Subject); err != nil {
				return nil, nil, err
			}
		}
		by[one] = s
		signers = append(signers, one)
	}
	if len(signers) == 0 {
		return found, nil, nil
	}
	for _, subject := range r.signed {
		vouches := func(signatures []notation.Signature) []Vouch {
			all := slices.Clone(found)
			for _, s := range signatures {
				all = append(all, Vouch{Signer: by[s.By], Who: whose(s.Certificate), Kind: "notation", Where: s.Where, Of: subject.Digest, At: s.At, Until: s.Until, Claimed: s.Claimed})
			}
			return all
		}
		enough := func(sofar []notation.Signature) bool {
			return v.suffice(name, r, vouches(sofar))
		}
		signatures, wrong, err := notation.Find(ctx, in, subject, signers, v.Now, notation.Options{Enough: enough, Whole: r.tag != nil})
		for _, x := range wrong {
			rejected = append(rejected, Rejection{"notation", string(x.Step), x.Where, x.Reason})
		}
		if errors.Is(err, notation.ErrMore) {
			more = err
		} else if err != nil {
			return nil, rejected, err
		}
		if found = vouches(signatures); enough(nil) {
			break
		}
	}
	return found, rejected, more
}

// whose tells by its key whose a certificate is, as [Key.Fingerprint] tells keys apart.
func whose(c *x509.Certificate) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// said is all that the policy says of a signer of an authority.
func (a Authority) said(s Signer) []string {
	return []string{a.Certificates.PEM, a.Certificates.File, a.Timestamps.PEM, a.Timestamps.File, s.Subject, fmt.Sprint(s.Anyone)}
}

// read reads the certificates.
func (a Authority) read() (*notation.Authority, error) {
	name, data, err := a.Certificates.read()
	if err != nil {
		return nil, err
	}
	trusted, err := notation.ParseAuthority(name, data)
	if err != nil || !a.timed() {
		return trusted, err
	}
	if name, data, err = a.Timestamps.read(); err != nil {
		return nil, err
	}
	return trusted, trusted.TrustTimestamps(name, data)
}
