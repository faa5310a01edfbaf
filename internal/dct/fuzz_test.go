package dct

import (
	"bytes"
	stdjson "encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/go/canonical/json"
	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/strict"
)

// theirs is the Canonical JSON that Notary's own library makes of a text.
func theirs(t *testing.T, data []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("Notary's library does not read %q: %v", data, err)
	}
	out, err := json.MarshalCanonical(v)
	if err != nil {
		t.Fatalf("Notary's library does not write %q: %v", data, err)
	}
	return out
}

// FuzzCanonical: what is written of a JSON text is what Notary's own library writes.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1,"a":[true,null,"x\"\\\n\u00e9<&\u2028"],"":{}}`, `-9007199254740992`, `9007199254740993`, `1e3`, `-0`, `0`, `"\ud83d\ude00\u0000"`, `[[],{},0.5]`, `{"é":1,"e":2,"\u0000":3}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := strict.Tree("x.json", data)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if canonical(&out, v) != nil {
			return
		}
		if want := theirs(t, data); !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%q becomes %q, not %q", data, out.Bytes(), want)
		}
	})
}

// TestCanonical: what cannot be signed, since readers differ about it, is refused, and what is
// next to it is not.
func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		`1e3`: "", `-0`: "", `0.5`: "", `9007199254740993`: "", `9223372036854775808`: "",
		`9007199254740992`: `9007199254740992`, `-1`: `-1`, `0`: `0`,
		`{ "b" : 1, "a" : [ "\u00e9\n\"" ] }`: "{\"a\":[\"é\n\\\"\"],\"b\":1}",
	} {
		v, err := strict.Tree("x.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := canonical(&out, v); (err == nil) != (want != "") || err == nil && out.String() != want {
			t.Errorf("%s becomes %q, %v", text, out.String(), err)
		}
	}
}

// like reads a document, and fails where encoding/json and Notary's library read another.
func like[T any, P interface {
	*T
	body
}](t *testing.T, role string, data []byte) {
	d, wrong := read[T, P](role, data)
	if wrong != nil {
		if wrong.Step != StepMalformed && wrong.Step != StepTooLarge {
			t.Errorf("the step is %s", wrong.Step)
		}
		return
	}
	var plain struct {
		Signed     stdjson.RawMessage `json:"signed"`
		Signatures []signature        `json:"signatures"`
	}
	var body T
	if err := stdjson.Unmarshal(data, &plain); err != nil {
		t.Fatalf("encoding/json does not read %q: %v", data, err)
	}
	if err := stdjson.Unmarshal(plain.Signed, &body); err != nil {
		t.Fatalf("encoding/json does not read %q: %v", plain.Signed, err)
	}
	one, two := must(stdjson.Marshal(body)), must(stdjson.Marshal(d.body))
	if !bytes.Equal(one, two) || len(plain.Signatures) != len(d.signatures) {
		t.Errorf("encoding/json reads %s, and not %s", one, two)
	}
	if want := theirs(t, plain.Signed); !bytes.Equal(d.message, want) {
		t.Errorf("%q is signed, not %q", want, d.message)
	}
	if _, err := (signers{threshold: 1}).signed(d.message, d.signatures); err == nil {
		t.Error("signatures of nobody hold")
	}
}

// seeds are documents that hold, and some that do not.
func seeds(f *testing.F, role string) {
	m := newMade()
	m.delegate(roleTargets, roleReleases, newPair("ecdsa-x509", "ci"), "", "ci-")
	data := m.write().files[role]
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add(bytes.ToUpper(data))
	f.Add([]byte(strings.Replace(string(data), `"version":1`, `"version":1.0`, 1)))
}

// FuzzRoot: a root is read as encoding/json reads it, and signed as Notary's library has it.
func FuzzRoot(f *testing.F) {
	seeds(f, roleRoot)
	f.Fuzz(func(t *testing.T, data []byte) {
		like[rootBody](t, roleRoot, data)
		if d, wrong := read[rootBody](roleRoot, data); wrong == nil {
			c := &client{gun: name, now: time.Unix(1<<31, 0)}
			if s, wrong := c.certified(d, true); wrong == nil && len(s.keys) == 0 {
				t.Error("no key is certified, and that is no error")
			}
		}
	})
}

// FuzzTimestamp is FuzzRoot for a timestamp.
func FuzzTimestamp(f *testing.F) {
	seeds(f, roleTimestamp)
	f.Fuzz(func(t *testing.T, data []byte) { like[listBody](t, roleTimestamp, data) })
}

// FuzzSnapshot is FuzzRoot for a snapshot.
func FuzzSnapshot(f *testing.F) {
	seeds(f, roleSnapshot)
	f.Fuzz(func(t *testing.T, data []byte) { like[listBody](t, roleSnapshot, data) })
}

// FuzzTargets is FuzzRoot for a list of tags, of a delegation too.
func FuzzTargets(f *testing.F) {
	seeds(f, roleTargets)
	seeds(f, roleReleases)
	f.Fuzz(func(t *testing.T, data []byte) {
		like[targetsBody](t, roleTargets, data)
		like[targetsBody](t, roleReleases, data)
	})
}

// FuzzMemory: what is taken for remembered is remembered again as it was.
func FuzzMemory(f *testing.F) {
	at := folder(f.TempDir())
	s := seen{3, strings.Repeat("a", 64)}
	m := &memory{Schema: memorySchema, Server: "s", GUN: "g", Root: []byte("root"), Trusted: []string{"a"}, At: time.Now(), Seen: map[string]seen{roleRoot: s, roleTimestamp: s, roleSnapshot: s, roleTargets: s}}
	data := must(stdjson.Marshal(m))
	f.Add(data)
	f.Add(data[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		file := at.path("s", "g")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		one, wrong := at.recall("s", "g")
		if wrong != nil {
			if wrong.Step != StepState || !strings.Contains(wrong.Hint, file) {
				t.Errorf("the step is %s, the hint %q", wrong.Step, wrong.Hint)
			}
			return
		}
		if wrong := at.keep(one); wrong != nil {
			t.Fatal(wrong)
		}
		if two, wrong := at.recall("s", "g"); wrong != nil || !cmp.Equal(one, two) {
			t.Errorf("%+v became %+v, %v", one, two, wrong)
		}
	})
}
