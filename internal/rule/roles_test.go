package rule

import (
	"slices"
	"testing"
	"testing/fstest"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func TestRoles(t *testing.T) {
	for when, want := range map[string][]string{
		"file.role == 'a'":                              {"a"},
		"file.role == 'a' && file.exists":               {"a"},
		"file.role in ['a', 'b'] && file.exists":        {"a", "b"},
		"file.role in []":                               {},
		"file.role == 'a' && file.exists || file.gid>0": nil,
		"file.role == 'a' + 'b'":                        nil,
		"file.role != 'a'":                              nil,
		"file.exists && file.role == 'a'":               nil,
		"":                                              nil,
	} {
		r := &Rule{Subject: "file", When: Expression{Text: when}}
		if got := r.roles(); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
	}
}

// TestConcerned: of a rule about some files, only those are told of, or whose role
// nobody knows; of any other, all are.
func TestConcerned(t *testing.T) {
	text := func(name, when string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("schema: plimsoll/rule/1\nrule: " + name + "\nsubject: file\nseverity: low\ntitle: T\nwhy: W\nwhen: \"" + when + "\"\npass: file.uid == 0\nremedy: {shell: x}\n")}
	}
	set, err := Load(nil, fstest.MapFS{"a.yaml": text("a", "file.role == 'x' && file.exists"), "b.yaml": text("b", "file.exists"), "c.yaml": text("c", "file.role == 'none'")}, "mine")
	if err != nil {
		t.Fatal(err)
	}
	f := &facts.Facts{Files: []facts.File{
		{Role: "x", Path: "/x", Exists: true}, {Role: "x", Path: "/x2"}, {Role: "y", Path: "/y"}, {Path: "/z", Unseen: []workload.Unseen{{Path: "role", Reason: "it was dark"}}},
	}}
	found, err := set.Judge(f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range set.Concerned(found) {
		got = append(got, one.Rule+" "+one.Subject.Name+" "+one.Status.String())
	}
	want := []string{"a /x pass", "a /x2 not_applicable", "a /z not_applicable",
		"b /x pass", "b /x2 not_applicable", "b /y not_applicable", "b /z not_applicable",
		"c /z unknown"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
