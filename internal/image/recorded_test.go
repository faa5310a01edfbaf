package image

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecorded: an image of its configuration and of layers that are known is the one that
// these were kept of, and nothing else passes for it.
func TestRecorded(t *testing.T) {
	s := saving(t, tarOf(t, file("a", "1"), file("b/c", "23")), tarOf(t, file("b/.wh.c", "")))
	whole, err := Stream(t.Context(), "app:1", bytes.NewReader(s.bytes(t)), Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	kept := make([][]Entry, len(whole.Layers))
	want, err := whole.Walk(t.Context(), func(e *Entry) error {
		one := *e
		one.Body = nil
		kept[e.Layer] = append(kept[e.Layer], one)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	i, err := Recorded("app:1", whole.ID, whole.Document, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	n := -1
	known := func(Layer) ([]Entry, bool) { n++; return kept[n], true }
	got, err := i.WalkUnknown(context.Background(), known, func(e *Entry) error {
		t.Errorf("%s was read", e.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	paths := func(v *View) (list []string) {
		for f := range v.All() {
			list = append(list, f.Path)
		}
		return list
	}
	if diff := cmp.Diff(paths(want), paths(got)); diff != "" || len(paths(got)) == 0 {
		t.Errorf("%s", diff)
	}
	if diff := cmp.Diff(whole.Config, i.Config); diff != "" {
		t.Error(diff)
	}
	if _, err := i.Walk(t.Context(), func(*Entry) error { return nil }); err == nil || !strings.Contains(err.Error(), "it is not here") {
		t.Errorf("a layer that is not known: %v", err)
	}
	if _, err := Recorded("app:1", whole.ID, append(whole.Document, ' '), Options{}); err == nil {
		t.Error("another configuration was taken")
	}
	if _, err := Recorded("app:1", "sha256:1", whole.Document, Options{}); err == nil {
		t.Error("an id that is none was taken")
	}
}
