package trail

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
)

func exported(t *testing.T, dir string) []byte {
	t.Helper()
	v, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := v.Export(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBundle(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 512, 1000} {
		dir, key := filled(t, n)
		bundle := exported(t, dir)
		v, err := VerifyBundle(t.Context(), bytes.NewReader(bundle), VerifyConfig{Key: key, Deep: true})
		if err != nil || len(v.Problems) > 0 || v.Size != int64(n) || v.First != 0 {
			t.Errorf("of %d events: %+v, %v", n, v, err)
		}
		if at := verified(t, dir, VerifyConfig{Key: key}); v.Root != at.Root || v.Checkpoints != at.Checkpoints {
			t.Errorf("of %d events the bundle has %v of %d checkpoints, the folder %v of %d", n, v.Checkpoint, v.Checkpoints, at.Checkpoint, at.Checkpoints)
		}
		if again := exported(t, dir); !bytes.Equal(again, bundle) {
			t.Errorf("of %d events: a second bundle is another", n)
		}
	}
}

// TestEveryByteOfABundle: what is changed is seen, or is part of the archive's form that
// changes nothing of what was read.
func TestEveryByteOfABundle(t *testing.T) {
	dir, key := filled(t, 300)
	bundle := exported(t, dir)
	in := tar.NewReader(bytes.NewReader(bundle))
	contents := make([]bool, len(bundle)) // where files are
	at := 0
	for {
		h, err := in.Next()
		if err != nil {
			break
		}
		at += 512
		for i := range h.Size {
			contents[at+int(i)] = true
		}
		at += int(h.Size+511) / 512 * 512
	}
	for i := 0; i < len(bundle); i += byteStep(len(bundle)) {
		changed := bytes.Clone(bundle)
		changed[i] ^= 1 << (i % 8)
		v, err := VerifyBundle(t.Context(), bytes.NewReader(changed), VerifyConfig{Key: key})
		if contents[i] && err == nil && len(v.Problems) == 0 {
			t.Errorf("byte %d was changed, and nobody saw it", i)
		}
	}
	for _, cut := range []int{512, len(bundle) / 3, len(bundle) / 2, len(bundle) - 9000} {
		v, err := VerifyBundle(t.Context(), bytes.NewReader(bundle[:cut]), VerifyConfig{Key: key})
		if err == nil && len(v.Problems) == 0 {
			t.Errorf("the first %d of %d bytes verify", cut, len(bundle))
		}
	}
}

// checker verifies a bundle and a proof by the documents alone: RFC 6962 section 2.1,
// C2SP tlog-checkpoint, tlog-tiles and tlog-proof, signed-note. It shares no code with
// the trail.
type checker struct {
	name   string
	public ed25519.PublicKey
	id     []byte
}

func newChecker(key string) checker {
	p := strings.SplitN(strings.TrimSpace(key), "+", 3)
	data, _ := base64.StdEncoding.DecodeString(p[2])
	id := sha256.Sum256(append([]byte(p[0]+"\n"), data...))
	return checker{p[0], data[1:], id[:4]}
}

// note checks a signed note, and gives the tree's size and root.
func (c checker) note(n string) (size int, root [32]byte, err error) {
	text, sigs, _ := strings.Cut(n, "\n\n")
	text += "\n"
	for _, line := range strings.Split(sigs, "\n") {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "—" || f[1] != c.name {
			continue
		}
		sig, _ := base64.StdEncoding.DecodeString(f[2])
		if bytes.Equal(sig[:4], c.id) && ed25519.Verify(c.public, []byte(text), sig[4:]) {
			lines := strings.Split(text, "\n")
			fmt.Sscan(lines[1], &size)
			data, _ := base64.StdEncoding.DecodeString(lines[2])
			copy(root[:], data)
			return size, root, nil
		}
	}
	return 0, root, fmt.Errorf("no signature by %s", c.name)
}

func leafOf(data []byte) [32]byte { return sha256.Sum256(append([]byte{0}, data...)) }
func above(l, r [32]byte) [32]byte {
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func treeOf(leaves [][32]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return above(treeOf(leaves[:k]), treeOf(leaves[k:]))
}

// bundle checks a bundle's checkpoint against its entries.
func (c checker) bundle(r io.Reader) (leaves [][32]byte, root [32]byte, err error) {
	in := tar.NewReader(r)
	var size int
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, root, err
		}
		data, _ := io.ReadAll(in)
		if h.Name == "checkpoint" {
			if size, root, err = c.note(string(data)); err != nil {
				return nil, root, err
			}
		}
		for strings.HasPrefix(h.Name, "tile/entries/") && len(data) >= 2 {
			n := binary.BigEndian.Uint16(data)
			leaves = append(leaves, leafOf(data[2:2+n]))
			data = data[2+n:]
		}
	}
	if len(leaves) != size || treeOf(leaves) != root {
		return nil, root, fmt.Errorf("%d entries of %d, and their root is not the one that was signed", len(leaves), size)
	}
	return leaves, root, nil
}

// proof checks a proof of inclusion (RFC 9162, section 2.1.3.2).
func (c checker) proof(text string) (int, error) {
	body, n, _ := strings.Cut(text, "\n\n")
	size, root, err := c.note(n)
	if err != nil {
		return 0, err
	}
	lines := strings.Split(body, "\n")
	var index int
	fmt.Sscanf(lines[2], "index %d", &index)
	data, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	h := leafOf(data)
	fn, sn := index, size-1
	for _, line := range lines[3:] {
		var p [32]byte
		b, _ := base64.StdEncoding.DecodeString(line)
		copy(p[:], b)
		if fn&1 == 1 || fn == sn {
			h = above(p, h)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			h = above(h, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if index >= size || sn != 0 || h != root {
		return 0, fmt.Errorf("event %d is not in the tree", index)
	}
	return index, nil
}

// TestIndependentChecker: another's code agrees on roots and proofs, and on what is
// wrong.
func TestIndependentChecker(t *testing.T) {
	for _, n := range []int{1, 2, 300, 777} {
		dir, key := filled(t, n)
		bundle := exported(t, dir)
		c := newChecker(key.Text)
		leaves, root, err := c.bundle(bytes.NewReader(bundle))
		if err != nil {
			t.Fatalf("of %d events: %v", n, err)
		}
		view, err := Read(dir)
		if err != nil || view.Checkpoint().Root != root || len(leaves) != n {
			t.Fatalf("of %d events the roots are %x and %v, %v", n, root, view.Checkpoint(), err)
		}
		if _, _, err := c.bundle(bytes.NewReader(bytes.Replace(bundle, []byte("team-shop"), []byte("team-sh0p"), 1))); err == nil {
			t.Errorf("of %d events: a changed bundle checks", n)
		}
		for seq := 0; seq < n; seq += 1 + n/40 {
			proof, err := view.Prove(int64(seq))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.proof(string(proof)); err != nil || got != seq {
				t.Errorf("the proof of event %d of %d: %v", seq, n, err)
			}
			r, cp, err := CheckProof(proof, key)
			if err != nil || r.Seq != int64(seq) || cp != view.Checkpoint() {
				t.Errorf("the proof of event %d of %d: %v, %v", seq, n, r.Seq, err)
			}
			for _, change := range [][2]string{{"extra eyJz", "extra eyJy"}, {fmt.Sprintf("index %d\n", seq), fmt.Sprintf("index %d\n", seq+1)}, {fmt.Sprintf("\n%d\n", n), fmt.Sprintf("\n%d\n", n+1)}} {
				bad := strings.Replace(string(proof), change[0], change[1], 1)
				if bad == string(proof) {
					t.Fatalf("%q is not in the proof:\n%s", change[0], proof)
				}
				if _, _, err := CheckProof([]byte(bad), key); err == nil {
					t.Errorf("with %q the proof of event %d holds", change[1], seq)
				}
				if _, err := c.proof(bad); err == nil {
					t.Errorf("with %q the checker holds the proof of event %d for good", change[1], seq)
				}
			}
		}
	}
}

// TestConsistent: a trail is the one of each of its earlier checkpoints, and of no other.
func TestConsistent(t *testing.T) {
	dir, _ := filled(t, 20)
	var earlier []Checkpoint
	for range 30 {
		l := open(t, dir)
		fill(t, l, 17, 4)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		v, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		earlier = append(earlier, v.Checkpoint())
		for _, c := range earlier {
			if err := v.ProveConsistent(c); err != nil {
				t.Errorf("%v with %v: %v", v.Checkpoint(), c, err)
			}
			c.Root[3]++
			if err := v.ProveConsistent(c); err == nil {
				t.Errorf("%v is consistent with another tree of %d", v.Checkpoint(), c.Size)
			}
			c.Size += 1000
			if err := v.ProveConsistent(c); err == nil {
				t.Errorf("%v is consistent with a longer one", v.Checkpoint())
			}
		}
	}
}
