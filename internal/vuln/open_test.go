package vuln

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// questions find each record of some.
var questions = []Query{{"Debian:12", "zlib", "1"}, {"Debian:12", "bash", "5.1"}, {"Debian:11", "bash", "5.1"}, {"Debian:12", "none", "1"}}

// askAll opens a file's bytes, and reads all that is in it.
func askAll(b []byte) ([]Answer, []*Details, error) {
	d, err := read("here", b)
	if err != nil {
		return nil, nil, err
	}
	var answers []Answer
	var texts []*Details
	for _, q := range questions {
		a, err := d.Match(q)
		if err != nil {
			return nil, nil, err
		}
		answers = append(answers, a)
		for _, m := range a.Matches {
			text, err := d.details(m.advisory)
			if err != nil {
				return nil, nil, err
			}
			texts = append(texts, text)
		}
	}
	return answers, texts, nil
}

// TestEveryByte: whatever byte of a file is changed, and wherever it is cut off, is an error.
func TestEveryByte(t *testing.T) {
	good := compiled(t, "Debian", some())
	answers, texts, err := askAll(good)
	if err != nil || len(answers[0].Matches) != 2 || len(answers[1].Matches) != 1 || len(texts) != 4 {
		t.Fatalf("as it was made: %+v, %v", answers, err)
	}
	if texts[0].ID != "DEBIAN-CVE-1" || texts[1].ID != "DSA-1" || texts[1].Summary != "two flaws" || len(texts[1].References) != 1 {
		t.Errorf("texts: %+v %+v", texts[0], texts[1])
	}
	for i := range good {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			b := slices.Clone(good)
			b[i] ^= flip
			if _, _, err := askAll(b); err == nil {
				t.Errorf("byte %d changed by %#x: no error", i, flip)
			}
		}
		if _, _, err := askAll(good[:i]); err == nil {
			t.Errorf("cut off after %d: no error", i)
		}
	}
	if _, _, err := askAll(append(slices.Clone(good), 0)); err == nil {
		t.Error("a byte more: no error")
	}
}

// mend puts the right sums into bytes that have the form of a file.
func mend(b []byte) {
	h := &header{}
	if _, err := binary.Decode(b, binary.LittleEndian, h); err != nil {
		return
	}
	rest := uint64(len(b) - headerSize)
	var index uint64
	for _, n := range h.Sizes {
		if n > rest {
			return
		}
		index, rest = index+n, rest-n
	}
	h.IndexCRC = crc32.Checksum(b[headerSize:uint64(headerSize)+index], castagnoli)
	copy(b, h.encode())
}

// TestEveryReference: with its sums put right, a file that says something else is read, or
// refused, and nothing worse.
func TestEveryReference(t *testing.T) {
	good := compiled(t, "Debian", some())
	same := slices.Clone(good)
	mend(same)
	if !bytes.Equal(same, good) {
		t.Fatal("mend changes a file that is right")
	}
	refused := 0
	for i := range good {
		for _, to := range []byte{0, 1, 0x7f, 0xff} {
			b := slices.Clone(good)
			b[i] = to
			mend(b)
			if _, _, err := askAll(b); err != nil {
				refused++
			}
		}
	}
	if refused < len(good)/10 {
		t.Errorf("%d refused", refused)
	}
}

// FuzzOpen: bytes with right sums give the same answer twice, each match with its id, or an
// error.
func FuzzOpen(f *testing.F) {
	good := compiled(f, "Debian", some())
	f.Add(good)
	f.Add(good[:headerSize])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		mend(b)
		first, _, err := askAll(b)
		again, _, errAgain := askAll(b)
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(first, again) {
			t.Fatalf("%v, %v then %v, %v", first, err, again, errAgain)
		}
		for _, a := range first {
			for _, m := range a.Matches {
				if !slices.Contains(m.IDs, m.ID) {
					t.Errorf("%+v", m)
				}
			}
		}
	})
}

// TestSameBytes: the same zip gives the same bytes; one with its entries in another order
// differs in nothing but the sum of its source.
func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	make := func(name string, backwards bool) []byte {
		path := filepath.Join(dir, name, "Debian", "all.zip")
		writeZip(t, path, some(), backwards)
		var b bytes.Buffer
		if _, err := Compile(t.Context(), &b, Source{Family: "Debian", Path: path, Name: "all.zip"}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := make("a", false)
	if !bytes.Equal(first, make("b", false)) {
		t.Error("the same zip gave other bytes")
	}
	other := make("c", true)
	if bytes.Equal(first, other) || !bytes.Equal(first[headerSize:], other[headerSize:]) {
		t.Error("another order gave other bytes behind the header, or the same sum")
	}
}

// TestFolder: what is imported is told and asked; a bad import leaves what was there.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	bucket := filepath.Join(dir, "bucket")
	writeZip(t, filepath.Join(bucket, "Debian", "all.zip"), some(), false)
	writeZip(t, filepath.Join(bucket, "npm", "all.zip"), map[string]string{"GHSA-1": record("GHSA-1", "npm", "m", events(`{"introduced": "0"}`), "")}, false)
	list, err := Sources(bucket)
	if err != nil || len(list) != 2 || list[0].Family != "Debian" || list[1].Family != "npm" {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, path := range []string{filepath.Join(bucket, "npm"), filepath.Join(bucket, "npm", "all.zip")} {
		if one, err := Sources(path); err != nil || len(one) != 1 || one[0].Family != "npm" {
			t.Errorf("%s: %+v, %v", path, one, err)
		}
	}
	if one, err := Sources(dir); err == nil {
		t.Errorf("a folder without any: %+v", one)
	}

	f := Folder(filepath.Join(dir, "db"))
	if have, err := f.Status(); err != nil || len(have) != 0 {
		t.Errorf("no folder: %v, %v", have, err)
	}
	s := f.Open()
	if a, err := s.Match(Query{"npm", "m", "1.0.0"}); err != nil || a.NotEvaluated != "there is no database of npm" {
		t.Errorf("before the import: %+v, %v", a, err)
	}
	for _, from := range list {
		if _, err := f.Import(t.Context(), from); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.Match(Query{"npm", "m", "1.0.0"})
	if err != nil || len(a.Matches) != 1 || a.NotEvaluated != "" {
		t.Fatalf("after it: %+v, %v", a, err)
	}
	if text, err := s.Details(a.Matches[0]); err != nil || text.ID != "GHSA-1" {
		t.Errorf("%+v, %v", text, err)
	}
	if a, err := s.Match(Query{"../npm", "m", "1"}); err != nil || a.NotEvaluated == "" {
		t.Errorf("a path: %+v, %v", a, err)
	}
	have, err := f.Status()
	if err != nil || len(have) != 2 || have[0].Family != "Debian" || have[0].Counts != (Counts{Records: 4, Withdrawn: 1, Advisories: 3, Keys: 2, Rows: 3}) || have[0].Newest.Format("2006-01-02") != "2026-11-20" || !strings.HasSuffix(have[0].Source, "Debian/all.zip") {
		t.Errorf("%+v, %v", have, err)
	}

	file := filepath.Join(string(f), "npm.pdb")
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeZip(t, list[1].Path, map[string]string{"GHSA-1": `{"id": 1}`}, false)
	if _, err := f.Import(t.Context(), list[1]); err == nil || !strings.Contains(err.Error(), "GHSA-1.json") {
		t.Errorf("bad records: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Import(ended, list[0]); err == nil {
		t.Error("an import that was ended")
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the old file: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(string(f), ".next-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}

	// One file that is damaged, and one that has another's name, hide none of the rest.
	if err := os.WriteFile(file, before[:len(before)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if have, err := f.Status(); len(have) != 1 || err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%+v, %v", have, err)
	}
	if _, err := s.Match(Query{"npm", "m", "1.0.0"}); err == nil {
		t.Error("a damaged file answers")
	}
	if err := os.Rename(filepath.Join(string(f), "Debian.pdb"), file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Match(Query{"npm", "m", "1.0.0"}); err == nil {
		t.Error("the file of another family answers")
	}
}
