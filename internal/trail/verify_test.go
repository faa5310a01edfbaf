package trail

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filled makes a closed trail of n events and gives its folder and key.
func filled(t *testing.T, n int) (string, *Key) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "trail")
	l := open(t, dir)
	fill(t, l, n, 8)
	key, err := ParseKey(l.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, key
}

func verified(t *testing.T, dir string, c VerifyConfig) *Verified {
	t.Helper()
	v, err := Verify(context.Background(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerifyWhole(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 1000} {
		dir, key := filled(t, n)
		v := verified(t, dir, VerifyConfig{Key: key, Deep: true})
		if len(v.Problems) > 0 || v.Size != int64(n) || v.Torn != 0 || v.Checkpoints == 0 {
			t.Errorf("of %d events: %+v", n, v)
		}
	}
}

// TestEveryByte: whatever byte of whatever file is changed, Verify says so, and says
// which event it is where it is one's.
func TestEveryByte(t *testing.T) {
	dir, key := filled(t, 300)
	if _, err := Verify(t.Context(), dir, VerifyConfig{}); err == nil {
		t.Error("no key verifies it")
	}
	_, other := filled(t, 1)
	if v := verified(t, dir, VerifyConfig{Key: other}); len(v.Problems) == 0 {
		t.Error("the key of another trail verifies it")
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		name := strings.TrimPrefix(path, dir+"/")
		for at := 0; at < len(data); at += byteStep(len(data)) {
			changed := bytes.Clone(data)
			changed[at] ^= 1 << (at % 8)
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				return err
			}
			v, err := Verify(context.Background(), dir, VerifyConfig{Key: key})
			if err != nil {
				t.Errorf("%s byte %d: %v", name, at, err)
				continue
			}
			if len(v.Problems) == 0 {
				t.Errorf("%s byte %d of %d was changed, and nobody saw it", name, at, len(data))
			} else if p := v.Problems[0]; p.File != name && !(strings.HasPrefix(name, "tile/") && strings.HasPrefix(p.File, "tile/")) {
				t.Errorf("%s byte %d was changed, and %v is said to be", name, at, p)
			}
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil || files < 6 {
		t.Fatalf("%d files, %v", files, err)
	}
	if v := verified(t, dir, VerifyConfig{Key: key, Deep: true}); len(v.Problems) > 0 {
		t.Errorf("as it was: %v", v.Problems)
	}
}

// byteStep is 1 for what is small; of what is large, soak tests look at more.
func byteStep(bytes int) int {
	switch {
	case bytes <= 1000:
		return 1
	case thorough:
		return 7
	}
	return 397
}

// TestNamesTheEvent: an event that was changed by somebody who makes the sums right is
// named.
func TestNamesTheEvent(t *testing.T) {
	dir, key := filled(t, 700)
	for _, seq := range []int64{0, 5, 255, 256, 690} {
		path := filepath.Join(dir, eventsFileOf(t, dir, seq))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		if _, err := parseSegment(data, func(b *batch) error {
			c := *b
			c.entries = nil
			for i, e := range b.entries {
				if b.first+int64(i) == seq {
					e = bytes.Replace(e, []byte("team-shop"), []byte("team-sh0p"), 1)
				}
				c.entries = append(c.entries, e)
			}
			out = c.append(out)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out, 0o600); err != nil {
			t.Fatal(err)
		}
		v := verified(t, dir, VerifyConfig{Key: key})
		if len(v.Problems) == 0 {
			t.Errorf("event %d was changed, and nobody saw it", seq)
		} else if p := v.Problems[0]; seq < 512 && p.Event != seq || p.Event > seq {
			t.Errorf("event %d was changed, and %v is said", seq, v.Problems)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// eventsFileOf is the segment that an event is in.
func eventsFileOf(t *testing.T, dir string, seq int64) string {
	t.Helper()
	firsts, err := segments(folder(dir))
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, first := range firsts {
		if first <= seq {
			name = segmentName(first)
		}
	}
	return name
}
