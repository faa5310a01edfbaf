package dct

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plimsoll/plimsoll/internal/durable"
	"github.com/plimsoll/plimsoll/internal/strict"
)

// memorySchema names the form of what is remembered.
const memorySchema = "plimsoll/dct/1"

// maxMemory bounds a file of it: a root in base64, and versions.
const maxMemory = 4 << 20

// memory is what was seen of a repository at a server: what comes later may not be older.
type memory struct {
	Schema string `json:"schema"`
	Server string `json:"server"`
	GUN    string `json:"gun"`
	// Root is the newest root that was trusted, as it came, and Trusted the names of the
	// keys of all that led to it.
	Root    []byte   `json:"root"`
	Trusted []string `json:"trusted"`
	// Seen has the newest version of each role.
	Seen map[string]seen `json:"seen"`
	// At is the latest time of a verification: time does not go back behind it, so that a
	// clock that is set back makes nothing valid again. It lies before the end of what was
	// valid then, which bounds the harm of a clock that was wrong.
	At time.Time `json:"at"`
}

// seen is a version with the SHA-256 of the document.
type seen struct {
	Version int64  `json:"version"`
	SHA256  string `json:"sha256"`
}

// folder is where it is remembered, in a file for each server and name.
type folder string

func (f folder) path(server, gun string) string {
	sum := sha256.Sum256([]byte(server + "\n" + gun))
	return filepath.Join(string(f), hex.EncodeToString(sum[:])+".json")
}

// recall reads what is remembered; nothing is an empty memory. What cannot be read is an
// error: without it an old signature could be replayed.
func (f folder) recall(server, gun string) (*memory, *Error) {
	name := f.path(server, gun)
	wrong := func(err error) *Error {
		return &Error{Step: StepState, GUN: gun, Msg: "reading what was seen of it", Err: err,
			Hint: "restore " + name + " from a backup; to take it away is to trust " + server + " anew, and an old signature could then pass for the newest"}
	}
	data, err := durable.Read(name, maxMemory)
	if errors.Is(err, fs.ErrNotExist) {
		return &memory{Schema: memorySchema, Server: server, GUN: gun, Seen: map[string]seen{}}, nil
	}
	if err != nil {
		return nil, wrong(err)
	}
	m := &memory{}
	if err := strict.JSON(name, data, m); err != nil {
		return nil, wrong(err)
	}
	switch {
	case m.Schema != memorySchema:
		return nil, wrong(fmt.Errorf("its schema is %.40q, not %s", m.Schema, memorySchema))
	case m.Server != server || m.GUN != gun:
		return nil, wrong(fmt.Errorf("it is about %.200q at %.200q", m.GUN, m.Server))
	case len(m.Root) == 0 || len(m.Trusted) == 0 || m.At.IsZero():
		return nil, wrong(errors.New("it has no root"))
	}
	for _, role := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
		if s := m.Seen[role]; s.Version < 1 || len(s.SHA256) != 2*sha256.Size {
			return nil, wrong(fmt.Errorf("it does not say which %s was seen", role))
		}
	}
	return m, nil
}

// keep remembers, and forgets nothing newer that another verification has seen meanwhile.
func (f folder) keep(m *memory) *Error {
	wrong := func(err error) *Error {
		return &Error{Step: StepState, GUN: m.GUN, Msg: "remembering what was seen of it", Err: err}
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return wrong(err)
	}
	unlock, err := durable.Lock(string(f))
	if err != nil {
		return wrong(err)
	}
	defer unlock()
	now, bad := f.recall(m.Server, m.GUN)
	if bad != nil {
		return bad
	}
	if len(now.Trusted) > 0 && !slices.ContainsFunc(m.Trusted, func(id string) bool { return slices.Contains(now.Trusted, id) }) {
		return &Error{Step: StepRoot, GUN: m.GUN, Role: roleRoot, Msg: "another verification has trusted another root meanwhile"}
	}
	for role, other := range now.Seen {
		own, known := m.Seen[role]
		if known && other.Version == own.Version && other != own {
			return &Error{Step: StepRollback, GUN: m.GUN, Role: role, Msg: fmt.Sprintf("another verification has seen another of version %d meanwhile", own.Version)}
		}
		if other.Version <= own.Version {
			continue
		}
		if m.Seen[role] = other; role == roleRoot {
			m.Root = now.Root
		}
	}
	for _, id := range now.Trusted {
		if !slices.Contains(m.Trusted, id) {
			m.Trusted = append(m.Trusted, id)
		}
	}
	if now.At.After(m.At) {
		m.At = now.At
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return wrong(err)
	}
	if err := durable.Replace(f.path(m.Server, m.GUN), append(data, '\n'), 0o600); err != nil {
		return wrong(err)
	}
	return nil
}
