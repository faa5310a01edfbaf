package trail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// proofMagic begins a proof (C2SP tlog-proof). Its "extra" line is the event's bytes.
const proofMagic = "c2sp.org/tlog-proof@v1\n"

// Prove makes a proof that an event is in the trail: the event, the hashes beside its
// way to the root, and the signed checkpoint. With the key nothing else is needed.
func (v *View) Prove(seq int64) ([]byte, error) {
	r, err := v.Event(seq)
	if err != nil {
		return nil, err
	}
	hashes, err := tlog.ProveRecord(v.Size(), seq, v.tree())
	if err != nil {
		return nil, fmt.Errorf("proving event %d: %w", seq, err)
	}
	if err := tlog.CheckRecord(hashes, v.Size(), v.edge.root(), seq, tlog.RecordHash(r.Data)); err != nil {
		return nil, corrupt(segmentDir, seq, "event %d is not the one whose hash is in the tree", seq)
	}
	signed, err := v.Signed()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(proofMagic)
	fmt.Fprintf(&b, "extra %s\nindex %d\n", base64.StdEncoding.EncodeToString(r.Data), seq)
	for _, h := range hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteString("\n")
	b.Write(signed)
	return b.Bytes(), nil
}

// CheckProof checks a proof by a key. It gives the event and the checkpoint that it is
// in.
func CheckProof(proof []byte, key *Key) (Record, Checkpoint, error) {
	var r Record
	text, ok := strings.CutPrefix(string(proof), proofMagic)
	text, signed, two := strings.Cut(text, "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || !two || len(lines) < 2 {
		return r, Checkpoint{}, errors.New("not a proof: it begins with " + strings.TrimSpace(proofMagic) + ", and a checkpoint comes behind an empty line")
	}
	extra, ok1 := strings.CutPrefix(lines[0], "extra ")
	index, ok2 := strings.CutPrefix(lines[1], "index ")
	data, err1 := base64.StdEncoding.Strict().DecodeString(extra)
	seq, err2 := strconv.ParseInt(index, 10, 64)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || seq < 0 || strconv.FormatInt(seq, 10) != index {
		return r, Checkpoint{}, errors.New("not a proof of an event: the lines extra and index are missing or wrong")
	}
	r = Record{seq, data}
	var hashes tlog.RecordProof
	for i, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return r, Checkpoint{}, fmt.Errorf("not a proof: line %d is no hash", i+4)
		}
		hashes = append(hashes, h)
	}
	c, err := key.Open([]byte(signed))
	if err != nil {
		return r, c, err
	}
	if err := tlog.CheckRecord(hashes, c.Size, c.Root, seq, tlog.RecordHash(data)); err != nil {
		return r, c, fmt.Errorf("event %d, as it is here, is not in the trail of the checkpoint", seq)
	}
	return r, c, nil
}

// ProveConsistent checks that the trail of this View is the one of an earlier
// checkpoint, with events added.
func (v *View) ProveConsistent(earlier Checkpoint) error {
	if earlier.Size > v.Size() {
		return fmt.Errorf("the checkpoint is of %d events, and the trail has %d: the others are lost", earlier.Size, v.Size())
	}
	if earlier.Size == 0 {
		if earlier.Root != emptyRoot {
			return errors.New("the checkpoint of no events has the root of some")
		}
		return nil
	}
	proof, err := tlog.ProveTree(v.Size(), earlier.Size, v.tree())
	if err != nil {
		return fmt.Errorf("comparing with the checkpoint of %d events: %w", earlier.Size, err)
	}
	if err := tlog.CheckTree(proof, v.Size(), v.edge.root(), earlier.Size, earlier.Root); err != nil {
		return fmt.Errorf("the first %d events are not those of the checkpoint: the trail was changed, or is another", earlier.Size)
	}
	return nil
}
