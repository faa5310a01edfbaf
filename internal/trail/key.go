package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a tree's size and root, and who signed that (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string // the trail's name, which is its key's too
	Size   int64
	Root   tlog.Hash
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// String is how a checkpoint fits into a line: its size and root.
func (c Checkpoint) String() string { return fmt.Sprintf("%d %s", c.Size, c.Root) }

// ParseCheckpoint reads the text of a checkpoint. Lines of extensions are refused: this
// trail has none.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return Checkpoint{}, errors.New("a checkpoint has three lines: origin, size, root")
	}
	c, err := ParseSizeRoot(lines[1] + " " + lines[2])
	c.Origin = lines[0]
	return c, err
}

// ParseSizeRoot reads "SIZE ROOT", as String writes it.
func ParseSizeRoot(text string) (Checkpoint, error) {
	number, root, two := strings.Cut(strings.TrimSpace(text), " ")
	size, err := strconv.ParseInt(number, 10, 64)
	if !two || err != nil || size < 0 || strconv.FormatInt(size, 10) != number {
		return Checkpoint{}, fmt.Errorf("%q is not a tree's size and root", text)
	}
	hash, err := tlog.ParseHash(root)
	if err != nil || hash.String() != root {
		return Checkpoint{}, fmt.Errorf("%q is not the hash of a tree's root in base64", root)
	}
	return Checkpoint{Size: size, Root: hash}, nil
}

// signatureBytes is the length of an Ed25519 signature (RFC 8032).
const signatureBytes = 64

// signature is one in a note without its key's hash.
type signature [signatureBytes]byte

// key signs checkpoints.
type key struct {
	note.Signer
	public string // as in key.pub
}

func (k *key) sign(c Checkpoint) (signature, error) {
	var s signature
	b, err := k.Sign([]byte(c.Text()))
	if err != nil || len(b) != len(s) {
		return s, fmt.Errorf("signing a checkpoint: %d bytes: %w", len(b), err)
	}
	copy(s[:], b)
	return s, nil
}

// Key is the public half of a trail's key: a verifier of notes, and its own text.
type Key struct {
	note.Verifier
	Text string
}

// ParseKey reads a public key, NAME+HASH+KEY as package note writes it.
func ParseKey(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not the public key of a trail (NAME+HASH+KEY): %w", text, err)
	}
	return &Key{Verifier: v, Text: text}, nil
}

// signed says whether a signature of a checkpoint is by the key.
func (k *Key) signed(c Checkpoint, s signature) bool {
	return k.Verify([]byte(c.Text()), s[:])
}

// note is a checkpoint and its signature as a signed note.
func (k *Key) note(c Checkpoint, s signature) []byte {
	hash := k.KeyHash()
	line := append([]byte{byte(hash >> 24), byte(hash >> 16), byte(hash >> 8), byte(hash)}, s[:]...)
	return fmt.Appendf(nil, "%s\n— %s %s\n", c.Text(), k.Name(), base64.StdEncoding.EncodeToString(line))
}

// own reads a note of the trail's own, to the last bit: package note lets pass more than
// one way to write a signature.
func (k *Key) own(signed []byte) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(k))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("not a checkpoint signed by %s: %w", k.Name(), err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return c, err
	}
	var s signature
	line, err := base64.StdEncoding.DecodeString(n.Sigs[0].Base64)
	if err != nil || copy(s[:], line[4:]) != len(s) || !bytes.Equal(k.note(c, s), signed) {
		return c, errors.New("it is not written as plimsoll writes it")
	}
	return c, nil
}

// Open reads a checkpoint that the key signed. Signatures by others may be there too.
func (k *Key) Open(signed []byte) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(k))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("not a checkpoint signed by %s: %w", k.Name(), err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err == nil && c.Origin != k.Name() {
		err = fmt.Errorf("the checkpoint is of %s, not of %s", c.Origin, k.Name())
	}
	return c, err
}

const (
	keyFile    = "key"
	publicFile = "key.pub"
)

// openKey reads the key of the trail in a folder, or makes it where there is none.
// key.pub follows key: a crash between the two is mended here.
func openKey(d disk, name string) (*key, error) {
	secret, err := d.Read(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := d.Read(publicFile); err == nil {
			return nil, corrupt(keyFile, -1, "it is gone, and the trail needs it: put it back, or begin a new trail in another folder")
		}
		var id [4]byte
		_, _ = rand.Read(id[:]) // never fails
		private, _, err := note.GenerateKey(rand.Reader, origin(name)+"-"+hex.EncodeToString(id[:]))
		if err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		if err := d.Replace(keyFile, []byte(private+"\n"), 0o600); err != nil {
			return nil, err
		}
		secret = []byte(private + "\n")
	} else if err != nil {
		return nil, err
	}
	text, whole := strings.CutSuffix(string(secret), "\n")
	signer, public, err := parsePrivate(text)
	if err == nil && !whole {
		err = errors.New("its line has no end")
	}
	if err != nil {
		return nil, corrupt(keyFile, -1, "%v", err)
	}
	k := &key{Signer: signer, public: public}
	switch have, err := d.Read(publicFile); {
	case errors.Is(err, fs.ErrNotExist):
		return k, d.Replace(publicFile, []byte(public+"\n"), 0o644)
	case err != nil:
		return nil, err
	case string(have) != public+"\n":
		return nil, corrupt(publicFile, -1, "it does not belong to the key beside it")
	}
	return k, nil
}

// origin makes a name that a note can have: no space, no plus.
func origin(host string) string {
	clean := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '+' {
			return r
		}
		return '_'
	}, host)
	return "plimsoll/" + clean
}

// parsePrivate reads a key as package note writes it, and makes the public text of it.
func parsePrivate(text string) (note.Signer, string, error) {
	signer, err := note.NewSigner(text)
	if err != nil {
		return nil, "", fmt.Errorf("it is not a key: %w", err)
	}
	parts := strings.SplitN(text, "+", 5) // PRIVATE+KEY+NAME+HASH+DATA
	data, err := base64.StdEncoding.Strict().DecodeString(parts[4])
	if err == nil && parts[3] != fmt.Sprintf("%08x", signer.KeyHash()) {
		err = errors.New("its hash is not written as it was")
	}
	if err != nil || len(data) != 1+ed25519.SeedSize { // the first byte names the algorithm
		return nil, "", errors.New("it is not an Ed25519 key")
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(data[1:]).Public().(ed25519.PublicKey))
	return signer, public, err
}
