package sign

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/plimsoll/plimsoll/internal/trail"
)

// Making is an event in a gate's trail: of a request by which an image came to be on this host,
// by the word of the engine, in its answer to that very request.
type Making struct {
	// Seq is the number of the event, Asked when it was asked for, and Done when it was done.
	Seq         int64
	Asked, Done time.Time
	Actor       trail.Actor
	// OfHost says that the actor is a user of the host: in a container everybody may have any
	// number.
	OfHost bool
	// How is build, commit or load, and NoCache says of a build that it took no step out of the
	// engine's cache.
	How     string
	NoCache bool
	// Wrong is why the event can't be believed, "" where the trail vouches for it.
	Wrong string
}

// The gate's own words: for how an image is made, and for when an event is of.
const (
	gateAsked = "asked"
	gateDone  = "done"

	madeByBuild  = "build"
	madeByCommit = "commit"
	madeByLoad   = "load"
)

// Who names who asked for it.
func (m *Making) Who() string {
	switch a := m.Actor; {
	case a.CertSubject != "":
		return a.CertSubject
	case a.Container != "":
		return "a process of the container " + a.Container[:min(12, len(a.Container))]
	case a.User != "":
		return a.User
	case a.UID != nil:
		return "uid " + strconv.FormatUint(uint64(*a.UID), 10)
	}
	return "nobody known"
}

// Made is what a gate's trail has of how an image came to be here.
type Made struct {
	// Makings are the newest first.
	Makings []Making
	// Waits says that something is being made of which the trail does not say yet what came of
	// it.
	Waits bool
	// Broken is what of the trail is not as it was written, "" where it could be read.
	Broken string
}

// maxMakings bounds how many there are: the newest.
const maxMakings = 20

// making is the part of an event that tells of it.
type making struct {
	Detail struct {
		Gate  string `json:"gate"`
		Asked *int64 `json:"asked"`
		Made  *struct {
			How     string   `json:"how"`
			Images  []string `json:"images"`
			OfHost  bool     `json:"of_host"`
			NoCache bool     `json:"nocache"`
		} `json:"made"`
	} `json:"detail"`
}

// FindMade looks in the gate's trail in a folder for how an image came to be here. Each event is
// proved to be in the tree that the trail's last checkpoint has signed. Where there is no trail,
// there are no events. The error is that of reading the folder.
func FindMade(dir, id string) (*Made, error) {
	var m Made
	broken := new(trail.CorruptError)
	switch err := m.find(dir, id); {
	case errors.Is(err, fs.ErrNotExist):
	case errors.As(err, &broken):
		return &Made{Broken: err.Error()}, nil
	case err != nil:
		return nil, err
	}
	slices.Reverse(m.Makings)
	if len(m.Makings) > maxMakings {
		m.Makings = m.Makings[:maxMakings]
	}
	return &m, nil
}

// find gives them the oldest first.
func (m *Made) find(dir, id string) error {
	v, err := trail.Read(dir)
	if err != nil {
		return err
	}
	open := map[int64]bool{}
	for r, err := range v.Events(0) {
		if err != nil {
			return err
		}
		// Most events are about something else.
		if !bytes.Contains(r.Data, []byte(`"type":"`+trail.Load+`"`)) {
			continue
		}
		e, err := r.Event()
		if err != nil {
			return &trail.CorruptError{File: dir, Event: r.Seq, What: err.Error()}
		}
		var of making
		if e.Type != trail.Load || json.Unmarshal(r.Data, &of) != nil {
			continue // another version may have something else there
		}
		made, asked := of.Detail.Made, of.Detail.Asked
		if of.Detail.Gate == gateAsked {
			open[e.Seq] = true
		} else if asked != nil {
			delete(open, *asked)
		}
		if of.Detail.Gate != gateDone || made == nil || asked == nil || e.Actor == nil || !slices.Contains(made.Images, id) {
			continue
		}
		one := Making{Seq: e.Seq, Done: e.Time, Actor: *e.Actor, OfHost: made.OfHost, How: made.How, NoCache: made.NoCache}
		if one.Asked, err = proved(v, r, *asked); err != nil {
			one.Wrong = err.Error()
		}
		m.Makings = append(m.Makings, one)
	}
	m.Waits = len(open) > 0
	return nil
}

// proved checks that an event, as it was read, and the one that it was asked for by are in the
// tree of the last checkpoint, and that this is signed. It gives the time of the asking.
func proved(v *trail.View, done trail.Record, asked int64) (time.Time, error) {
	again, err := inTree(v, done.Seq)
	if err != nil {
		return time.Time{}, err
	}
	if !bytes.Equal(again.Data, done.Data) {
		return time.Time{}, errors.New("it was changed while it was read")
	}
	first, err := inTree(v, asked)
	if err != nil {
		return time.Time{}, err
	}
	e, err := first.Event()
	if err != nil {
		return time.Time{}, err
	}
	if e.Type != trail.Load || e.Detail["gate"] != gateAsked {
		return time.Time{}, errors.New("event " + strconv.FormatInt(asked, 10) + " is none that something was asked by")
	}
	return e.Time, nil
}

// inTree gives an event with the proof that it is in the tree.
func inTree(v *trail.View, seq int64) (trail.Record, error) {
	proof, err := v.Prove(seq)
	if err != nil {
		return trail.Record{}, err
	}
	r, _, err := trail.CheckProof(proof, v.Key())
	return r, err
}
