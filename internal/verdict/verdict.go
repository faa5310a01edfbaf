// Package verdict is what is known of an image, by digest, in files: who vouches for it,
// and what a scan found. Scanning and verifying write them ([Folder.Verify],
// [Folder.Scan]); rules, the gate and the inventory read them ([Folder.Read]), so that who
// stands in front of the engine needs neither network nor scanner.
//
// A file is one JSON object, at SHA256[0:2]/SHA256.json below the folder:
//
//	{"schema": "plimsoll/verdict/1", "digest": "sha256:…",
//	 "verified": {"name": "registry.example/shop/api", "at": "…", "until": "…",
//	  "policy": "images[2]", "by": ["cosign key release"], "platform": "linux/amd64",
//	  "signers": [{"kind": "cosign", "name": "key release", "id": "sha256:…"}]},
//	 "scanned": {"at": "…", "data": "…", "worst": "high", "counts": {"high": 2}}}
//
// The digest is the image's id as the engine has it (of its configuration), or that of its
// manifest: whoever has both asks for both ([Folder.Of]). A part that was not done is
// absent. Writing replaces a part and keeps the other; a reader sees the old file or the
// new one, whole.
//
// An older image stays verified when its tag leads to a newer one. So what a tag stands for is
// a file beside, at tags/SHA256.json by the SHA-256 of its whole name ([Tag]): the digests of
// the image that was trusted by it last, and of those before. Verifying writes it
// ([Folder.Remember]), and refuses by it what is older; the gate reads it ([Folder.Tag]).
//
// The package judges nothing: how old a scan may be is for whoever asks. A file is believed
// as far as its folder is: only its owner may write there.
package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/durable"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// Schema names the form of a file.
const Schema = "plimsoll/verdict/1"

// Verdict is what is known of one image.
type Verdict struct {
	Schema string `json:"schema"`
	// Digest is sha256: and 64 hex digits.
	Digest   string    `json:"digest"`
	Verified *Verified `json:"verified,omitempty"`
	Scanned  *Scanned  `json:"scanned,omitempty"`
	// Withdrawn is what was verified, and does not count any more.
	Withdrawn []Withdrawn `json:"withdrawn,omitempty"`
}

// Verified says that the image was found to be signed as a policy wants it.
type Verified struct {
	// Name is the repository by which it was, whole and without tag and digest; "" in files
	// that were written before names were.
	Name string    `json:"name,omitempty"`
	At   time.Time `json:"at"`
	// Until is when that ends, zero for never.
	Until time.Time `json:"until,omitzero"`
	// Policy is the line of the policy that decided it, and By who vouches for the image.
	Policy string   `json:"policy"`
	By     []string `json:"by"`
	// Platform is that of the image, by which the policy decided, and Signers are those who
	// signed, in a form by which they are found in a policy again; Made is how an image was made
	// here instead. Files of older versions have none of the three.
	Platform string   `json:"platform,omitempty"`
	Signers  []Signer `json:"signers,omitempty"`
	Made     *Made    `json:"made,omitempty"`
	// Others are the same by other names, the newest first: each counts for itself.
	Others []Verified `json:"others,omitempty"`
}

// Signer is one who signed.
type Signer struct {
	// Kind is what kind of signature it is, as cosign, and Name the signer in words.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// ID tells who it is, whatever he is called: sha256: and hex digits, for a key those of
	// its SubjectPublicKeyInfo.
	ID string `json:"id"`
	// At is when he signed, where that is proven.
	At time.Time `json:"at,omitzero"`
	// Attests is what he said, as sha256: and hex digits of its type and of what had to be true
	// of it; "" is that he signed the image.
	Attests string `json:"attests,omitempty"`
}

// Made says who made an image here, and of what.
type Made struct {
	// UID and User are who did, How is the word for it, as build, and At is when it was done.
	UID  uint32    `json:"uid"`
	User string    `json:"user,omitempty"`
	How  string    `json:"how"`
	At   time.Time `json:"at"`
	// Base is the id of the image that it was made from, where that had to be verified.
	Base string `json:"base,omitempty"`
}

// Withdrawn says that an image was verified by a name, and that the policy would not trust it
// any more.
type Withdrawn struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
	Was Verified  `json:"was"`
}

// Scanned says what a scan found.
type Scanned struct {
	At time.Time `json:"at"`
	// Data is how new the advisories were.
	Data time.Time `json:"data"`
	// Worst is the gravest severity that was found, "" for nothing; Counts are how many of
	// each.
	Worst  finding.Severity         `json:"worst"`
	Counts map[finding.Severity]int `json:"counts,omitempty"`
}

// Folder is where the files are.
type Folder string

// maxFile bounds a file that is read.
const maxFile = 1 << 20

// maxOthers is by how many other names it is known that an image was verified.
const maxOthers = 31

// path is the file of a digest.
func (f Folder) path(digest string) (string, error) {
	hex, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("%.80q is no digest: it must be sha256: and 64 hex digits", digest)
	}
	return filepath.Join(string(f), hex[:2], hex+".json"), nil
}

// Read reads what is known of an image. The error is fs.ErrNotExist where nothing is, a
// *strict.Error where a file is no verdict, or of the system.
func (f Folder) Read(digest string) (*Verdict, error) {
	path, err := f.path(digest)
	if err != nil {
		return nil, err
	}
	v := &Verdict{}
	if err := read(path, v); err != nil {
		return nil, err
	}
	if why := v.wrong(digest); why != "" {
		return nil, &strict.Error{File: path, Msg: why, Hint: "take the file away, and scan or verify the image again"}
	}
	return v, nil
}

// read decodes a file. What is wrong in it is a *strict.Error.
func read(path string, to any) error {
	data, err := durable.Read(path, maxFile)
	if errors.Is(err, durable.ErrTooLarge) {
		return &strict.Error{File: path, Msg: fmt.Sprintf("it has more than %d bytes", maxFile)}
	}
	if err != nil {
		return err
	}
	_, err = strict.Decode(path, data, to)
	return err
}

// wrong says what of a file cannot be.
func (v *Verdict) wrong(digest string) string {
	switch {
	case v.Schema != Schema:
		return fmt.Sprintf("its schema is %.80q, not %s", v.Schema, Schema)
	case v.Digest != digest:
		return fmt.Sprintf("it is about %.80q, and its name is of %s", v.Digest, digest)
	case v.Verified != nil && v.Verified.wrong():
		return "it does not say when the image was verified, or by whom"
	case slices.ContainsFunc(v.Withdrawn, func(w Withdrawn) bool { return w.At.IsZero() || w.Was.wrong() }):
		return "it does not say when its verification was withdrawn, or what that was"
	case v.Scanned != nil && v.Scanned.At.IsZero():
		return "it does not say when the image was scanned"
	}
	if v.Scanned != nil && v.Scanned.Worst != "" {
		if _, err := finding.ParseSeverity(string(v.Scanned.Worst)); err != nil {
			return err.Error()
		}
	}
	return ""
}

// wrong is true for what does not say when or by whom.
func (v *Verified) wrong() bool {
	return v.At.IsZero() || len(v.By) == 0 || slices.ContainsFunc(v.Others, func(o Verified) bool { return len(o.Others) > 0 || o.wrong() })
}

// Of reads what is known of an image under any of its digests: of each part, what is
// newest. Nothing is fs.ErrNotExist.
func (f Folder) Of(digests ...string) (*Verdict, error) {
	var all *Verdict
	for _, d := range digests {
		v, err := f.Read(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = v
			continue
		}
		if v.Verified != nil && (all.Verified == nil || v.Verified.At.After(all.Verified.At)) {
			all.Verified = v.Verified
		}
		if v.Scanned != nil && (all.Scanned == nil || v.Scanned.At.After(all.Scanned.At)) {
			all.Scanned = v.Scanned
		}
	}
	if all == nil {
		return nil, fs.ErrNotExist
	}
	return all, nil
}

// All reads all that is known, in the order of the digests. A file that can't be read is an
// error between the others; a folder that is not there has none.
func (f Folder) All() iter.Seq2[*Verdict, error] {
	return func(yield func(*Verdict, error) bool) {
		parts, err := os.ReadDir(string(f))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !yield(nil, err) {
			return
		}
		for _, part := range parts {
			if !part.IsDir() || len(part.Name()) != 2 {
				continue
			}
			files, err := os.ReadDir(filepath.Join(string(f), part.Name()))
			if err != nil && !yield(nil, err) {
				return
			}
			for _, file := range files {
				hex, is := strings.CutSuffix(file.Name(), ".json")
				digest := "sha256:" + hex
				if at, err := f.path(digest); !is || err != nil || filepath.Base(filepath.Dir(at)) != part.Name() {
					continue // such as one that is being written
				}
				if v, err := f.Read(digest); !errors.Is(err, fs.ErrNotExist) && !yield(v, err) {
					return
				}
			}
		}
	}
}

// Verify writes down that an image was verified by a name, beside others by which it was, or
// with nil that it is not any more by any.
func (f Folder) Verify(digest string, how *Verified) error {
	return f.change(digest, func(v *Verdict) {
		if how == nil {
			v.Verified = nil
			return
		}
		now := *how
		now.Others = v.Verified.without(how.Name)
		now.Others = now.Others[:min(len(now.Others), maxOthers)]
		v.Verified, v.Withdrawn = &now, v.withdrawnBut(how.Name)
	})
}

// Withdraw writes down that an image is not verified any more by a name: whether it is by
// others stays as it was.
func (f Folder) Withdraw(digest, name string) error {
	return f.change(digest, func(v *Verdict) {
		v.Verified = joined(v.Verified.without(name))
	})
}

// TakeBack writes down that one of the ways in which an image was verified does not count any
// more, and keeps what that was. One that was verified anew meanwhile stays.
func (f Folder) TakeBack(digest string, what Withdrawn) error {
	return f.change(digest, func(v *Verdict) {
		same := func(one Verified) bool { return one.Name == what.Was.Name && one.At.Equal(what.Was.At) }
		v.Verified = joined(slices.DeleteFunc(v.Verified.Ways(), same))
		v.Withdrawn = append([]Withdrawn{what}, v.withdrawnBut(what.Was.Name)...)
		v.Withdrawn = v.Withdrawn[:min(len(v.Withdrawn), maxOthers)]
	})
}

// withdrawnBut is what was withdrawn by other names.
func (v *Verdict) withdrawnBut(name string) []Withdrawn {
	return slices.DeleteFunc(slices.Clone(v.Withdrawn), func(w Withdrawn) bool { return w.Was.Name == name })
}

// Ways are all ways in which an image was verified, the newest first, each for itself.
func (v *Verified) Ways() (list []Verified) {
	if v == nil {
		return nil
	}
	for _, one := range append([]Verified{*v}, v.Others...) {
		one.Others = nil
		list = append(list, one)
	}
	return list
}

// joined is the way back from Ways; nil is that there is none.
func joined(list []Verified) *Verified {
	if len(list) == 0 {
		return nil
	}
	v := list[0]
	if len(list) > 1 {
		v.Others = list[1:]
	}
	return &v
}

// Ends is when the last of all the ways in which an image was verified ends, zero for never.
func (v *Verified) Ends() time.Time {
	end := v.Until
	for _, o := range v.Others {
		if end.IsZero() || o.Until.IsZero() {
			return time.Time{}
		}
		if o.Until.After(end) {
			end = o.Until
		}
	}
	return end
}

// without are the ways in which an image was verified by other names, the newest first. One
// without a name may have been by this.
func (v *Verified) without(name string) []Verified {
	return slices.DeleteFunc(v.Ways(), func(one Verified) bool { return one.Name == name || one.Name == "" })
}

// Scan writes down what a scan found.
func (f Folder) Scan(digest string, what *Scanned) error {
	return f.change(digest, func(v *Verdict) { v.Scanned = what })
}

// change changes a part of a file, or makes one, after whoever else does. One that cannot be
// read is made anew.
func (f Folder) change(digest string, set func(*Verdict)) error {
	path, err := f.path(digest)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unlock, err := durable.Lock(string(f))
	if err != nil {
		return err
	}
	defer unlock()
	v, err := f.Read(digest)
	if wrong := new(strict.Error); errors.Is(err, fs.ErrNotExist) || errors.As(err, &wrong) {
		v = &Verdict{Schema: Schema, Digest: digest}
	} else if err != nil {
		return err
	}
	set(v)
	if why := v.wrong(digest); why != "" {
		return errors.New("writing a verdict: " + why)
	}
	return write(path, v)
}

// write puts a file in the place of another, for the gate to read, which runs as a user of its
// own.
func write(path string, what any) error {
	data, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(path, append(data, '\n'), 0o644)
}
