package image

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"
	"unicode/utf8"
)

// Known gives the entries of a layer that was read before, and true; false has the layer
// read. They are all those that a walk gave for it, in their order, and may have been kept
// as JSON meanwhile. They count when that walk returned no error, and belong to the diff id,
// whatever image has it and whatever layers lie below: only where a hard link leads, and
// the mode it has from there, may differ on others, and is found anew for the view. What
// was kept is checked as the headers of an archive are, and [Limits] hold, but for those of
// what is unpacked. A root folder has no layers that could be known.
type Known func(Layer) ([]Entry, bool)

// replay is a layer of its recorded entries.
func (w *walker) replay(n int, entries []Entry) error {
	for k := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		e := entries[k]
		at := cmp.Or(e.Name, e.Path)
		e.Layer, e.Name, e.Body = n, "", nothing{}
		if e.Kind == HardLink {
			e.Link, e.LinkName = cmp.Or(e.LinkName, e.Link), ""
		}
		err := e.possible()
		if err == nil {
			var name string
			if name, err = inside(at, w.image.limits.Path); err == nil {
				err = w.place(name, &e)
			}
		}
		if err != nil {
			return fmt.Errorf("recorded entry %d, %q, %w", k, shown(at), err)
		}
	}
	return nil
}

// possible is the error of an entry that no layer gives.
func (e *Entry) possible() error {
	const types = fs.ModeType &^ (fs.ModeSocket | fs.ModeIrregular)
	switch {
	case e.Kind > Opaque:
		return fmt.Errorf("is of kind %d, which is none", e.Kind)
	case e.Mode.Type()&^types != 0:
		return fmt.Errorf("is of type %s, which is none of a layer's", e.Mode.Type())
	case e.Size != 0 && (e.Kind != Plain || !e.Mode.IsRegular()):
		return errors.New("has a size, and is no file")
	}
	return nil
}

// recorded is an entry as it is kept.
type recorded struct {
	Kind     Kind        `json:"kind,omitempty"`
	Path     bytestring  `json:"path"`
	Name     bytestring  `json:"name,omitempty"`
	Mode     fs.FileMode `json:"mode,omitempty"`
	UID      int         `json:"uid,omitempty"`
	GID      int         `json:"gid,omitempty"`
	Modified *[2]int64   `json:"modified,omitempty"`
	Size     int64       `json:"size,omitempty"`
	Link     bytestring  `json:"link,omitempty"`
	LinkName bytestring  `json:"link_name,omitempty"`
	// Xattrs are pairs of name and value: names may be no text either.
	Xattrs [][2]bytestring `json:"xattrs,omitempty"`
}

// MarshalJSON writes an entry so that not a byte of a name is lost: one that is no UTF-8 is
// written in base64, behind a byte that no name of text begins with. A time is its seconds
// since 1970 and its nanoseconds, since archives have times that no calendar of JSON has.
// Layer and Body are left out.
func (e Entry) MarshalJSON() ([]byte, error) {
	r := recorded{Kind: e.Kind, Path: bytestring(e.Path), Name: bytestring(e.Name), Mode: e.Mode, UID: e.UID, GID: e.GID, Size: e.Size, Link: bytestring(e.Link), LinkName: bytestring(e.LinkName)}
	if !e.Modified.IsZero() {
		r.Modified = &[2]int64{e.Modified.Unix(), int64(e.Modified.Nanosecond())}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
		r.Xattrs = append(r.Xattrs, [2]bytestring{bytestring(name), bytestring(e.Xattrs[name])})
	}
	return json.Marshal(r)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Entry) UnmarshalJSON(data []byte) error {
	var r recorded
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	*e = Entry{Kind: r.Kind, Path: string(r.Path), Name: string(r.Name), Mode: r.Mode, UID: r.UID, GID: r.GID, Size: r.Size, Link: string(r.Link), LinkName: string(r.LinkName)}
	if r.Modified != nil {
		e.Modified = time.Unix(r.Modified[0], r.Modified[1])
	}
	for _, pair := range r.Xattrs {
		if e.Xattrs == nil {
			e.Xattrs = map[string]string{}
		}
		e.Xattrs[string(pair[0])] = string(pair[1])
	}
	return nil
}

// bytestring is bytes as a text of JSON.
type bytestring string

// inBase64 begins a text that is base64 of bytes. Bytes that begin so are written in base64
// themselves.
const inBase64 = '\x01'

// MarshalText is the text of the bytes.
func (b bytestring) MarshalText() ([]byte, error) {
	if utf8.ValidString(string(b)) && (b == "" || b[0] != inBase64) {
		return []byte(b), nil
	}
	return base64.StdEncoding.AppendEncode([]byte{inBase64}, []byte(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (b *bytestring) UnmarshalText(text []byte) error {
	if len(text) == 0 || text[0] != inBase64 {
		*b = bytestring(text)
		return nil
	}
	data, err := base64.StdEncoding.DecodeString(string(text[1:]))
	*b = bytestring(data)
	return err
}
