package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// cosignature is the algorithm's number in a key (C2SP tlog-cosignature, Ed25519).
const cosignature = 4

// Witness signs checkpoints of trails that it looked at, with the time (C2SP
// tlog-cosignature). It vouches that it saw this checkpoint and, before it, no other
// trail of the same name.
type Witness struct {
	WitnessKey
	private ed25519.PrivateKey
}

// WitnessKey is the public half of a witness.
type WitnessKey struct {
	Name   string
	id     [4]byte
	public ed25519.PublicKey
}

// NewWitness makes a witness. A name has no spaces and no plus.
func NewWitness(name string) (*Witness, error) {
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return nil, fmt.Errorf("%q cannot be the name of a witness: it has no spaces and no plus", name)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Witness{witnessKey(name, public), private}, nil
}

func witnessKey(name string, public ed25519.PublicKey) WitnessKey {
	k := WitnessKey{Name: name, public: public}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%c%s", name, cosignature, public))
	copy(k.id[:], sum[:])
	return k
}

// Public is the key's text, NAME+HASH+KEY.
func (k WitnessKey) Public() string { return k.text(k.public) }

func (k WitnessKey) text(key []byte) string {
	return fmt.Sprintf("%s+%x+%s", k.Name, k.id, base64.StdEncoding.EncodeToString(append([]byte{cosignature}, key...)))
}

const privatePrefix = "PRIVATE+KEY+"

// Private is the text of the whole witness.
func (w *Witness) Private() string { return privatePrefix + w.text(w.private.Seed()) }

// ParseWitness reads what Private writes.
func ParseWitness(text string) (*Witness, error) {
	rest, private := strings.CutPrefix(strings.TrimSpace(text), privatePrefix)
	name, seed, err := keyParts(rest)
	if err != nil || !private {
		return nil, errors.New("this is not the private key of a witness (PRIVATE+KEY+NAME+HASH+KEY)")
	}
	key := ed25519.NewKeyFromSeed(seed)
	w := &Witness{witnessKey(name, key.Public().(ed25519.PublicKey)), key}
	if w.text(seed) != rest {
		return nil, errors.New("the private key of the witness has a hash that is not its own")
	}
	return w, nil
}

// ParseWitnessKey reads what Public writes.
func ParseWitnessKey(text string) (WitnessKey, error) {
	text = strings.TrimSpace(text)
	name, public, err := keyParts(text)
	if err != nil {
		return WitnessKey{}, err
	}
	k := witnessKey(name, public)
	if k.Public() != text {
		return k, fmt.Errorf("%q has a hash that is not its own", text)
	}
	return k, nil
}

func keyParts(text string) (string, []byte, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) == 3 && parts[0] != "" {
		if data, err := base64.StdEncoding.Strict().DecodeString(parts[2]); err == nil && len(data) == 1+ed25519.PublicKeySize && data[0] == cosignature {
			return parts[0], data[1:], nil
		}
	}
	return "", nil, fmt.Errorf("%q is not the key of a witness (NAME+HASH+KEY)", text)
}

func cosigned(text []byte, at int64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at), text...)
}

// Countersign adds the witness's line to a note, in place of an earlier one. Whether the
// note deserves it is for the caller to know.
func (w *Witness) Countersign(note []byte, at time.Time) ([]byte, error) {
	text, lines, err := noteParts(note)
	if err != nil {
		return nil, err
	}
	out := append(bytes.Clone(text), '\n')
	for _, line := range lines {
		if name, data := noteLine(line); name != w.Name || !bytes.HasPrefix(data, w.id[:]) {
			out = append(out, line...)
		}
	}
	data := binary.BigEndian.AppendUint64(bytes.Clone(w.id[:]), uint64(at.Unix()))
	data = append(data, ed25519.Sign(w.private, cosigned(text, at.Unix()))...)
	return fmt.Appendf(out, "— %s %s\n", w.Name, base64.StdEncoding.EncodeToString(data)), nil
}

// Check says when the witness countersigned a note.
func (k WitnessKey) Check(note []byte) (time.Time, error) {
	text, lines, err := noteParts(note)
	if err != nil {
		return time.Time{}, err
	}
	for _, line := range lines {
		name, data := noteLine(line)
		if name != k.Name || len(data) != 4+8+ed25519.SignatureSize || !bytes.Equal(data[:4], k.id[:]) {
			continue
		}
		at := int64(binary.BigEndian.Uint64(data[4:]))
		if at < 0 || !ed25519.Verify(k.public, cosigned(text, at), data[12:]) {
			return time.Time{}, fmt.Errorf("the line of %s is not its countersignature of this checkpoint", k.Name)
		}
		return time.Unix(at, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%s did not countersign this checkpoint", k.Name)
}

// noteParts parts a note into its text and the lines of signatures, each with its end.
func noteParts(note []byte) ([]byte, [][]byte, error) {
	i := bytes.LastIndex(note, []byte("\n\n"))
	if i < 0 || !bytes.HasSuffix(note, []byte("\n")) {
		return nil, nil, errors.New("this is not a signed note: signatures come behind an empty line")
	}
	lines := bytes.SplitAfter(note[i+2:], []byte("\n"))
	return note[:i+1], lines[:len(lines)-1], nil
}

// noteLine reads the line of a signature; what it cannot read has no name.
func noteLine(line []byte) (string, []byte) {
	parts := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
	if len(parts) != 3 || parts[0] != "—" {
		return "", nil
	}
	data, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return "", nil
	}
	return parts[1], data
}
