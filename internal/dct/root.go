package dct

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/plimsoll/plimsoll/internal/durable"
	"github.com/plimsoll/plimsoll/internal/image"
)

// maxRotations bounds the roots between the one that is known and the newest.
const maxRotations = 64

// certified are the keys of a root that may sign for the repository: with a certificate that
// is for it, by the pinned authorities where there are some, and, for a root that is new here,
// one that counts now.
func (c *client) certified(d *document[rootBody], isNew bool) (signers, *Error) {
	all := d.body.Roles[roleRoot].signers(d.body.Keys)
	s := signers{threshold: all.threshold}
	var why error = errors.New("it has no key that can be read")
	for _, k := range all.keys {
		if len(k.certificates) == 0 {
			why = errors.New("its keys have no certificates")
			continue
		}
		if !isChain(k.certificates) {
			why = errors.New("its certificates are not one of its own, and then authorities'")
			continue
		}
		own := k.certificates[0]
		if !of(own, c.gun) {
			why = fmt.Errorf("its certificate is for %.200q", own.Subject.CommonName)
			continue
		}
		if isNew {
			if err := current(own, c.now); err != nil {
				why = err
				continue
			}
		}
		if c.authorities != nil {
			at := c.now
			if !isNew && at.After(own.NotAfter) {
				at = own.NotAfter
			}
			between := x509.NewCertPool()
			for _, one := range k.certificates[1:] {
				between.AddCert(one)
			}
			if _, err := own.Verify(x509.VerifyOptions{Roots: c.authorities, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
				why = err
				continue
			}
		}
		s.keys = append(s.keys, k)
	}
	if len(s.keys) == 0 {
		return s, &Error{Step: StepRoot, Role: roleRoot, Msg: "no key of it may sign for this name", Err: why}
	}
	return s, nil
}

// pinned leaves those keys that the policy names.
func (c *client) pinned(s signers) (signers, *Error) {
	pins := c.o.Trust.Keys
	if len(pins) == 0 {
		if c.authorities == nil && !c.o.Trust.First {
			return s, &Error{Step: StepRoot, Role: roleRoot, Msg: "nothing says which root is trusted", Hint: "name the id of its key, an authority, or trust it on first use"}
		}
		return s, nil
	}
	keys := slices.DeleteFunc(slices.Clone(s.keys), func(k *key) bool { return !slices.Contains(pins, k.id) && !slices.Contains(pins, k.bare) })
	if len(keys) == 0 {
		return s, &Error{Step: StepRoot, Role: roleRoot, Msg: fmt.Sprintf("its key is %.80s, which is not one that is trusted", s.keys[0].bare),
			Hint: "where its owner has changed the key and says so, name the new one"}
	}
	return signers{keys, s.threshold}, nil
}

// trust takes a root: the one that is remembered, else that of docker's own folder, else the
// server's.
func (c *client) trust(ctx context.Context) *Error {
	data, known, from := c.memory.Root, true, "what was seen"
	if len(data) == 0 && c.o.Docker != "" {
		var err error
		name := filepath.Join(c.o.Docker, "tuf", filepath.FromSlash(c.gun), "metadata", "root.json")
		data, err = durable.Read(name, maxRoot)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &Error{Step: StepState, Msg: "reading docker's folder of trust", Err: err}
		}
		from = name
	}
	if len(data) == 0 {
		var wrong *Error
		if data, wrong = c.get(ctx, roleRoot, roleRoot, maxRoot); wrong != nil {
			return wrong
		}
		known, c.fetched = false, true
	}
	d, wrong := read[rootBody](roleRoot, data)
	if wrong == nil {
		wrong = c.adopt(d, known)
	}
	if wrong != nil && known {
		wrong.Msg = "of " + from + ": " + wrong.Msg
	}
	return wrong
}

// adopt takes the first root of this verification.
func (c *client) adopt(d *document[rootBody], known bool) *Error {
	s, wrong := c.certified(d, !known)
	if wrong != nil {
		return wrong
	}
	if trusted := c.memory.Trusted; len(trusted) == 0 {
		if s, wrong = c.pinned(s); wrong != nil {
			// What docker has is a pin itself.
			if !known || len(c.o.Trust.Keys) > 0 {
				return wrong
			}
		}
	} else if pins := c.o.Trust.Keys; len(pins) > 0 && !slices.ContainsFunc(pins, func(id string) bool { return slices.Contains(trusted, id) }) {
		return &Error{Step: StepRoot, Role: roleRoot, Msg: "none of the keys that are trusted led to it", Hint: "where its owner began anew and says so, take away " + folder(c.o.State).path(c.base, c.gun)}
	}
	by, err := s.signed(d.message, d.signatures)
	if err != nil {
		return &Error{Step: StepRoot, Role: roleRoot, Msg: "it is not signed by its own keys", Err: err}
	}
	c.use(d, s, by)
	return nil
}

// use has a root count from now on.
func (c *client) use(d *document[rootBody], s signers, by []string) {
	c.root, c.rootBy = d, by
	for _, k := range s.keys {
		for _, id := range []string{k.id, k.bare} {
			if !slices.Contains(c.trusted, id) {
				c.trusted = append(c.trusted, id)
			}
		}
	}
	c.seen[roleRoot] = seen{d.body.Version, fmt.Sprintf("%x", sha256.Sum256(d.data))}
}

// rotate looks for a newer root, which the one that is trusted must have signed, or those
// between them one after the other. It says whether there is one.
func (c *client) rotate(ctx context.Context) (bool, *Error) {
	data, wrong := c.get(ctx, roleRoot, roleRoot, maxRoot)
	if wrong != nil {
		return false, wrong
	}
	newest, wrong := read[rootBody](roleRoot, data)
	if wrong != nil {
		return false, wrong
	}
	from, to := c.root.body.Version, newest.body.Version
	switch {
	case string(data) == string(c.root.data):
		return false, nil
	case to < from:
		return false, fail(StepRollback, roleRoot, "its version is %d, and %d was seen", to, from)
	case to == from:
		return false, fail(StepRotation, roleRoot, "it is another of the same version, %d", to)
	case to-from > maxRotations:
		return false, fail(StepTooLarge, roleRoot, "it is %d versions newer, and %d is the most", to-from, maxRotations)
	}
	if c.next(newest) == nil {
		return true, nil
	}
	for v := from + 1; v < to; v++ {
		data, wrong := c.get(ctx, strconv.FormatInt(v, 10)+"."+roleRoot, roleRoot, maxRoot)
		if wrong != nil && errors.Is(wrong, image.ErrNotFound) {
			return false, fail(StepRotation, roleRoot, "version %d is not signed by the keys of version %d, and the server has no version %d between them", to, from, v)
		}
		if wrong != nil {
			return false, wrong
		}
		d, wrong := read[rootBody](roleRoot, data)
		if wrong != nil {
			return false, wrong
		}
		if d.body.Version != v {
			return false, fail(StepRotation, roleRoot, "for version %d the server gives version %d", v, d.body.Version)
		}
		if wrong := c.next(d); wrong != nil {
			return false, wrong
		}
	}
	return true, c.next(newest)
}

// next takes a newer root, signed by the keys of the one before and by its own.
func (c *client) next(d *document[rootBody]) *Error {
	before, wrong := c.certified(c.root, false)
	if wrong != nil {
		return wrong
	}
	if _, err := before.signed(d.message, d.signatures); err != nil {
		return &Error{Step: StepRotation, Role: roleRoot, Msg: fmt.Sprintf("version %d is not signed by the keys of version %d", d.body.Version, c.root.body.Version), Err: err,
			Hint: "where its owner began anew and says so, take away " + folder(c.o.State).path(c.base, c.gun)}
	}
	own, wrong := c.certified(d, true)
	if wrong != nil {
		return wrong
	}
	by, err := own.signed(d.message, d.signatures)
	if err != nil {
		return &Error{Step: StepRotation, Role: roleRoot, Msg: fmt.Sprintf("version %d is not signed by its own keys", d.body.Version), Err: err}
	}
	c.use(d, own, by)
	return nil
}
