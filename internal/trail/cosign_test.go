package trail

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

func TestCountersign(t *testing.T) {
	dir, key := filled(t, 10)
	view, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := view.Signed()
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWitness("witness.example/1")
	if err != nil {
		t.Fatal(err)
	}
	if w, err = ParseWitness(w.Private() + "\n"); err != nil {
		t.Fatal(err)
	}
	public, err := ParseWitnessKey(w.Public() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	twice, err := w.Countersign(signed, at.Add(-time.Hour))
	if err == nil {
		twice, err = w.Countersign(twice, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := public.Check(twice); err != nil || !got.Equal(at) {
		t.Errorf("countersigned at %v, %v", got, err)
	}
	if c, err := key.Open(twice); err != nil || c != view.Checkpoint() {
		t.Errorf("the trail's own signature is %v, %v", c, err)
	}
	if n, err := note.Open(twice, note.VerifierList(key)); err != nil || len(n.UnverifiedSigs) != 1 {
		t.Errorf("a reader of notes says %v", err)
	}
	if _, err := public.Check(signed); err == nil {
		t.Error("a note that nobody countersigned is countersigned")
	}
	for _, change := range [][2]string{{"\n10\n", "\n11\n"}, {"— witness.example/1 ", "— witness.example/2 "}} {
		if _, err := public.Check([]byte(strings.Replace(string(twice), change[0], change[1], 1))); err == nil {
			t.Errorf("with %q it is countersigned", change[1])
		}
	}
	for i := bytes.LastIndexByte(twice, ' ') + 1; i < len(twice)-1; i++ {
		changed := bytes.Clone(twice)
		changed[i] ^= 1
		if _, err := public.Check(changed); err == nil {
			t.Errorf("with byte %d changed it is countersigned", i)
		}
	}
	other, err := NewWitness("witness.example/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Check(twice); err == nil {
		t.Error("another witness of the same name countersigned it")
	}
	for _, name := range []string{"", "a b", "a+b"} {
		if _, err := NewWitness(name); err == nil {
			t.Errorf("a witness is called %q", name)
		}
	}
	for _, text := range []string{"", "a", "a+b+c", w.Public(), strings.Replace(w.Private(), "example", "exampl3", 1)} {
		if _, err := ParseWitness(text); err == nil {
			t.Errorf("%q is a witness", text)
		}
	}
	if _, err := ParseWitnessKey(strings.Replace(w.Public(), "example", "exampl3", 1)); err == nil {
		t.Error("a key with another name is one")
	}
}
