// Package verdict is what is known of an image, by digest, in files: who vouches for it,
// and what a scan found. Scanning and verifying write them ([Folder.Verify],
// [Folder.Scan]); rules, the gate and the inventory read them ([Folder.Read]), so that who
// stands in front of the engine needs neither network nor scanner.
//
// A file is one JSON object, at SHA256[0:2]/SHA256.json below the folder:
//
//	{"schema": "plimsoll/verdict/1", "digest": "sha256:…",
//	 "verified": {"at": "…", "until": "…", "policy": "images[2]", "by": ["cosign key release"]},
//	 "scanned": {"at": "…", "data": "…", "worst": "high", "counts": {"high": 2}}}
//
// The digest is the image's id as the engine has it (of its configuration), or that of its
// manifest: whoever has both asks for both ([Folder.Of]). A part that was not done is
// absent. Writing replaces a part and keeps the other; a reader sees the old file or the
// new one, whole.
//
// The package judges nothing: how old a scan may be is for whoever asks. A file is believed
// as far as its folder is: only its owner may write there.
package verdict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

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
}

// Verified says that the image was found to be signed as a policy wants it.
type Verified struct {
	At time.Time `json:"at"`
	// Until is when that ends, zero for never.
	Until time.Time `json:"until,omitzero"`
	// Policy is the line of the policy that decided it, and By who vouches for the image.
	Policy string   `json:"policy"`
	By     []string `json:"by"`
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
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, &strict.Error{File: path, Msg: fmt.Sprintf("it has %d bytes, and %d is the most", info.Size(), maxFile)}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	v := &Verdict{}
	if _, err := strict.Decode(path, data, v); err != nil {
		return nil, err
	}
	if why := v.wrong(digest); why != "" {
		return nil, &strict.Error{File: path, Msg: why, Hint: "take the file away, and scan or verify the image again"}
	}
	return v, nil
}

// wrong says what of a file cannot be.
func (v *Verdict) wrong(digest string) string {
	switch {
	case v.Schema != Schema:
		return fmt.Sprintf("its schema is %.80q, not %s", v.Schema, Schema)
	case v.Digest != digest:
		return fmt.Sprintf("it is about %.80q, and its name is of %s", v.Digest, digest)
	case v.Verified != nil && (v.Verified.At.IsZero() || len(v.Verified.By) == 0):
		return "it does not say when the image was verified, or by whom"
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

// Verify writes down that an image was verified, nil that it is not any more.
func (f Folder) Verify(digest string, how *Verified) error {
	return f.change(digest, func(v *Verdict) { v.Verified = how })
}

// Scan writes down what a scan found.
func (f Folder) Scan(digest string, what *Scanned) error {
	return f.change(digest, func(v *Verdict) { v.Scanned = what })
}

// change changes a part of a file, or makes one. One that cannot be read is made anew.
func (f Folder) change(digest string, set func(*Verdict)) error {
	path, err := f.path(digest)
	if err != nil {
		return err
	}
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
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replace(path, append(data, '\n'))
}

// replace puts a whole file in the place of another, durably.
func replace(path string, data []byte) error {
	next, err := os.CreateTemp(filepath.Dir(path), ".next-")
	if err != nil {
		return err
	}
	defer os.Remove(next.Name())
	_, err = next.Write(data)
	if err == nil {
		err = next.Chmod(0o644) // the gate runs as a user of its own
	}
	if err == nil {
		err = next.Sync()
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return err
	}
	if err := os.Rename(next.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
