package verdict

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/plimsoll/plimsoll/internal/durable"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// TagSchema names the form of a file of what a tag stands for.
const TagSchema = "plimsoll/tag/1"

// Tag is what was trusted by a tag. The zero value is that nothing was yet.
type Tag struct {
	Schema string `json:"schema"`
	// Name is the whole name with the tag, as registry.example/shop/api:4.18.
	Name string `json:"name"`
	// Digests are those of the image that was trusted last: that which the tag led to first,
	// then those of the manifests in it, and of their configurations.
	Digests []string `json:"digests"`
	// Since is when it began to be that one.
	Since time.Time `json:"since"`
	// Newest is the latest time at which an image that was trusted by the tag was signed. It
	// does not go back with the tag. Zero where nothing says when they were.
	Newest time.Time `json:"newest,omitzero"`
	// Before are those that were trusted before, the last one first.
	Before []Earlier `json:"before,omitempty"`
}

// Earlier is an image that a tag stood for.
type Earlier struct {
	Digests []string  `json:"digests"`
	Until   time.Time `json:"until"`
}

const (
	// maxDigests is how many digests an image is known by, with those of its platforms.
	maxDigests = 32
	// maxBefore is how many earlier images are known.
	maxBefore = 64
)

// Is is true where any of these is a digest of the image that the tag stands for.
func (t *Tag) Is(digests ...string) bool { return overlap(t.Digests, digests) }

// Same is true for digests of the image that the tag stands for, in the order of the field: what
// the tag leads to is the same, or what would run is. An index of which one image is the same
// is another for all other platforms.
func (t *Tag) Same(digests ...string) bool {
	return len(t.Digests) > 0 && len(digests) > 0 && (t.Digests[0] == digests[0] || t.Is(digests[1:]...))
}

// Was gives the last time that the tag stood for the image that any of the digests is of, nil
// where that is not known.
func (t *Tag) Was(digests ...string) *Earlier {
	for i := range t.Before {
		if overlap(t.Before[i].Digests, digests) {
			return &t.Before[i]
		}
	}
	return nil
}

func overlap(one, other []string) bool {
	return slices.ContainsFunc(one, func(d string) bool { return slices.Contains(other, d) })
}

// Now has the tag stand for an image, by its digests in the order of the field, which was signed
// at a time, zero where that is not known. More digests of the same image are added.
func (t *Tag) Now(now, signed time.Time, digests ...string) {
	if signed.After(t.Newest) {
		t.Newest = signed
	}
	if !t.Same(digests...) {
		// What is trusted again is the image of now, and no earlier one.
		t.Before = slices.DeleteFunc(t.Before, func(e Earlier) bool { return e.Digests[0] == digests[0] })
		if len(t.Digests) > 0 {
			t.Before = slices.Insert(t.Before, 0, Earlier{t.Digests, now})
		}
		t.Before = t.Before[:min(len(t.Before), maxBefore)]
		t.Digests, t.Since = nil, now
	}
	for _, d := range digests {
		if !slices.Contains(t.Digests, d) && len(t.Digests) < maxDigests {
			t.Digests = append(t.Digests, d)
		}
	}
}

// tagPath is the file of a tag.
func (f Folder) tagPath(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(string(f), "tags", hex.EncodeToString(sum[:])+".json")
}

// Tag reads what was trusted by a tag, by its whole name. The error is fs.ErrNotExist where
// nothing was yet, a *strict.Error where the file says something else, or of the system.
func (f Folder) Tag(name string) (*Tag, error) {
	path := f.tagPath(name)
	t := &Tag{}
	err := read(path, t)
	if wrong := new(strict.Error); errors.As(err, &wrong) {
		wrong.Hint = lost
	}
	if err != nil {
		return nil, err
	}
	if why := t.wrong(name); why != "" {
		return nil, &strict.Error{File: path, Msg: why, Hint: lost}
	}
	return t, nil
}

// lost says what to do about a file that cannot be read: it is not made anew by itself, since
// an older image could then pass for the newest.
const lost = "restore the file from a backup; to take it away is to trust the tag anew, wherever it leads"

// wrong says what of a file cannot be.
func (t *Tag) wrong(name string) string {
	digests := func(list []string) bool {
		return len(list) > 0 && len(list) <= maxDigests && !slices.ContainsFunc(list, func(d string) bool {
			_, err := Folder("").path(d)
			return err != nil
		})
	}
	switch {
	case t.Schema != TagSchema:
		return fmt.Sprintf("its schema is %.80q, not %s", t.Schema, TagSchema)
	case t.Name != name || !strings.Contains(name, ":"):
		return fmt.Sprintf("it is about %.200q, and not about %.200q", t.Name, name)
	case !digests(t.Digests) || t.Since.IsZero():
		return "it does not say which image the tag stands for, and since when"
	case len(t.Before) > maxBefore:
		return fmt.Sprintf("it has %d earlier images, and %d is the most", len(t.Before), maxBefore)
	}
	for i, e := range t.Before {
		if !digests(e.Digests) || e.Until.IsZero() {
			return fmt.Sprintf("before[%d] is no image with a time", i)
		}
	}
	return ""
}

// Remember changes what was trusted by a tag, after whoever else does: how gets what is known
// of it, which is empty at first, and has nothing be changed where it gives an error. That
// error comes back, or one of reading and writing.
func (f Folder) Remember(name string, how func(*Tag) error) error {
	path := f.tagPath(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unlock, err := durable.Lock(string(f))
	if err != nil {
		return err
	}
	defer unlock()
	t, err := f.Tag(name)
	if errors.Is(err, fs.ErrNotExist) {
		t = &Tag{Schema: TagSchema, Name: name}
	} else if err != nil {
		return err
	}
	before, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := how(t); err != nil {
		return err
	}
	if why := t.wrong(name); why != "" {
		return errors.New("writing what a tag stands for: " + why)
	}
	if after, err := json.Marshal(t); err == nil && bytes.Equal(before, after) {
		return nil // mostly
	}
	return write(path, t)
}
