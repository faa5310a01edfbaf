package strict

import (
	"slices"
	"testing"
)

type demanding struct {
	Missing Missing `json:"-"`
	A       bool    `strict:"required"`
	B       []int   `json:"b" strict:"required"`
	C       *int    `strict:"required"`
	D       string
	Part    struct {
		E map[string]int `strict:"required"`
		F int64          `strict:"required"`
		G any
	} `strict:"required"`
}

// TestMissing: what a text should have and does not is told, in one pass and by
// the tree alike, also when it is null where null is no value.
func TestMissing(t *testing.T) {
	for text, want := range map[string][]string{
		`{"A":true,"b":[1],"C":1,"D":"","Part":{"E":{},"F":1,"G":null}}`:       nil,
		`{"Part":{"F":0,"E":null},"C":null,"b":null,"A":false,"X":{"A":null}}`: nil,
		`{}`:                                {"A", "b", "C", "Part"},
		`{"A":null,"b":[],"C":1,"Part":{}}`: {"A", "Part.E", "Part.F"},
		`{"A":true,"b":[],"Part":null}`:     {"C", "Part"},
		`{"A":true,"B":[],"C":0,"Part":[]}`: nil, // refused
		`{"a":true,"b":[],"C":0,"Part":{"E":{},"F":null}}`: {"A", "Part.F"},
	} {
		var atOnce, byTree demanding
		_, err := Decode("f", []byte(text), &atOnce)
		v, treeErr := Tree("f", []byte(text))
		if treeErr == nil {
			treeErr = v.Decode(&byTree)
		}
		if (err == nil) != (treeErr == nil) || !slices.Equal(atOnce.Missing, want) || !slices.Equal(byTree.Missing, want) {
			t.Errorf("%s: %q, %v, and by the tree %q, %v; want %q", text, atOnce.Missing, err, byTree.Missing, treeErr, want)
		}
	}
}
