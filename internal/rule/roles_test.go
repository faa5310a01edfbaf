package rule

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/workload"
)

func ruleOfFiles(name, more string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("schema: plimsoll/rule/1\nrule: " + name + "\nsubject: file\n" + more + "severity: low\ntitle: T\nwhy: W\npass: file.uid == 0\nremedy: {shell: x}\n")}
}

// TestRoles: a rule about files of some roles tells of those, and of files of which
// nobody knows what they are for; one about no role tells of all.
func TestRoles(t *testing.T) {
	set, err := Load(nil, fstest.MapFS{"a.yaml": ruleOfFiles("a", "roles: [x]\nwhen: file.exists\n"), "b.yaml": ruleOfFiles("b", "when: file.exists\n"),
		"c.yaml": ruleOfFiles("c", "roles: [y, x]\n"), "d.yaml": ruleOfFiles("d", "roles: [none]\n")}, "mine")
	if err != nil {
		t.Fatal(err)
	}
	f := &facts.Facts{Files: []facts.File{{Role: "x", Path: "/x", Exists: true}, {Role: "x", Path: "/x2"}, {Role: "y", Path: "/y"}}}
	got := func() []string {
		found, err := set.Judge(f)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, one := range found {
			all = append(all, one.Rule+" "+one.Subject.Name+" "+one.Status.String())
		}
		return all
	}
	want := []string{"a /x pass", "a /x2 not_applicable", "b /x pass", "b /x2 not_applicable", "b /y not_applicable", "c /y pass", "c /x pass", "c /x2 pass", "d * unknown"}
	if list := got(); !slices.Equal(list, want) {
		t.Errorf("got  %q\nwant %q", list, want)
	}
	f.Files = append(f.Files, facts.File{Path: "/z", Unseen: []workload.Unseen{{Path: "role", Reason: "it was dark"}}})
	want = []string{"a /x pass", "a /x2 not_applicable", "a /z unknown", "b /x pass", "b /x2 not_applicable", "b /y not_applicable", "b /z not_applicable",
		"c /y pass", "c /x pass", "c /x2 pass", "c /z unknown", "d /z unknown"}
	if list := got(); !slices.Equal(list, want) {
		t.Errorf("got  %q\nwant %q", list, want)
	}
	f.Files, f.Unseen = nil, []workload.Unseen{{Path: "files", Reason: "it was dark"}}
	want = []string{"a * unknown", "b * unknown", "c * unknown", "d * unknown"}
	if list := got(); !slices.Equal(list, want) {
		t.Errorf("got  %q\nwant %q", list, want)
	}
}

func TestRolesAreOfFiles(t *testing.T) {
	for text, want := range map[string]string{
		strings.Replace(string(ruleOfFiles("a", "roles: [x]\n").Data), "subject: file", "subject: host", 1): "only files have roles",
		string(ruleOfFiles("a", "roles: ['']\n").Data):                                                      "a role has no name",
	} {
		if _, err := Load(nil, fstest.MapFS{"a.yaml": {Data: []byte(text)}}, "mine"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
