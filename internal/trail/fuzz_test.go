package trail

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzSegment: what is read of a segment, written again, is what was there.
func FuzzSegment(f *testing.F) {
	b := batch{first: 256, entries: [][]byte{[]byte(`{"seq":256}`), {}, []byte("x")}}
	two := batch{first: 259, entries: [][]byte{[]byte("yy")}}
	whole := two.append(b.append(nil))
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(bytes.Clone(whole), batchMagic...))
	f.Add(append(bytes.Clone(whole), 0, 0))
	f.Add(append(bytes.Clone(whole), 0, 1, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		n, err := parseSegment(data, func(b *batch) error {
			again = b.append(again)
			return nil
		})
		if !bytes.Equal(again, data[:n]) || (err == nil) != (len(bytes.TrimRight(data[n:], "\x00")) == 0) {
			t.Errorf("%d of %d bytes, %v", n, len(data), err)
		}
	})
}

// FuzzEvent: whatever an event says, its stored bytes are canonical, and say the same.
func FuzzEvent(f *testing.F) {
	f.Add("deploy", "web", "why\xff", "key", 1.5)
	f.Add("x", "\u2028<&>", "\\ufffd", "\x00", -1e300)
	f.Fuzz(func(t *testing.T, kind, name, why, key string, n float64) {
		e := Event{Type: kind, Subject: Subject{Kind: "container", Name: name}, Declared: &Declared{Why: why}, Detail: map[string]any{key: why, "n": n, "list": []string{name},
			"struct": struct{ B, A string }{why, key}, "raw": json.RawMessage(`{"b":1,"a":[1.0,{"z":null,"y":2}]}`)}}
		part, err := rest(e)
		if err != nil {
			return // no type, or a number that JSON cannot say
		}
		data := append(appendHead(nil, 7, time.Unix(1, 5).UTC()), part...)
		if why := canonical(data, 7); why != "" {
			t.Errorf("%s: %s", data, why)
		}
		if got, err := Decode(data); err != nil || got.Seq != 7 || got.Time.Nanosecond() != 5 {
			t.Errorf("%s: %+v, %v", data, got, err)
		}
	})
}

// small is a trail with some events, and its bundle.
func small(f *testing.F) (*View, []byte) {
	f.Helper()
	dir := filepath.Join(f.TempDir(), "trail")
	l, err := Open(Config{Dir: dir, Name: "h", Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 5 {
		if _, err := l.Append(context.Background(), event(i)); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	v, err := Read(dir)
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if err := v.Export(context.Background(), &b); err != nil {
		f.Fatal(err)
	}
	return v, b.Bytes()
}

// FuzzProof: a proof that holds is of an event that is there.
func FuzzProof(f *testing.F) {
	v, _ := small(f)
	for seq := range v.Size() {
		proof, err := v.Prove(seq)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(proof)
	}
	f.Fuzz(func(t *testing.T, proof []byte) {
		r, c, err := CheckProof(proof, v.key)
		if err != nil {
			return
		}
		if want, err := v.Event(r.Seq); err != nil || !bytes.Equal(want.Data, r.Data) || c != v.Checkpoint() {
			t.Errorf("event %d is %q, %v", r.Seq, r.Data, err)
		}
	})
}

// FuzzBundle: a bundle that verifies is of this trail, whole.
func FuzzBundle(f *testing.F) {
	v, bundle := small(f)
	f.Add(bundle)
	f.Add(bundle[:len(bundle)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := VerifyBundle(context.Background(), bytes.NewReader(data), VerifyConfig{Key: v.key, Deep: true})
		if err == nil && len(got.Problems) == 0 && got.Checkpoint != v.Checkpoint() {
			t.Errorf("%+v", got)
		}
	})
}

// FuzzCheckpoint: a checkpoint that is read is written as it was.
func FuzzCheckpoint(f *testing.F) {
	f.Add("plimsoll/h\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ParseCheckpoint(text); err == nil && c.Text() != text {
			t.Errorf("%q became %q", text, c.Text())
		}
	})
}

// FuzzClip: what is cut is no longer than it may be, begins as the text does, and splits
// no character.
func FuzzClip(f *testing.F) {
	f.Add("harbour", 4)
	f.Add("häfen", 5)
	f.Fuzz(func(t *testing.T, s string, most int) {
		if most < 3 || most > 4096 {
			return
		}
		got := Clip(s, most)
		if len(got) > most || got != s && !strings.HasPrefix(s, strings.TrimSuffix(got, "…")) || utf8.ValidString(s) && !utf8.ValidString(got) || len(s) <= most && got != s {
			t.Errorf("%q to %d: %q", s, most, got)
		}
	})
}
