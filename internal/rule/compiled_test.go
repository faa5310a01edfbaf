package rule

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/plimsoll/plimsoll/internal/facts"
	"github.com/plimsoll/plimsoll/internal/finding"
	"github.com/plimsoll/plimsoll/internal/workload"
	"github.com/plimsoll/plimsoll/rules"
)

// sampleRule is a rule file of a tree of ours.
const sampleRule = `schema: plimsoll/rule/1
rule: sample
subject: container
severity: low
title: The sample fails
why: Because
params: {on: true, most: 3, share: 2.0, word: x, words: [a, b], none: [], table: {k: v}}
when: "!container.tty"
let: {n: size(container.mounts)}
pass: params.on && n < params.most && params.share > 1.5 && params.word in params.words + ['x'] && size(params.none) == 0 && params.table['k'] == 'v'
evidence: {n: n, most: params.most}
message: has {n} of {most}
remedy: {run: "mend {subject}"}
refs: {cis-1.8: ["5.1"]}
tests: []
`

// tree is our rules with one file, compiled.
func tree(t *testing.T, text string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{"container/sample.yaml": {Data: []byte(text)}}
	compiled, err := Compiled(files)
	if err != nil {
		t.Fatal(err)
	}
	files[CompiledFile] = &fstest.MapFile{Data: compiled}
	return files
}

// bothWays judges by the rules as they are written, and as they were compiled.
func bothWays(t *testing.T, files fs.FS, f *facts.Facts) (written, compiled []finding.Finding) {
	t.Helper()
	judge := func(set *Set, err error) []finding.Finding {
		if err != nil {
			t.Fatal(err)
		}
		found, err := set.Judge(f)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	return judge(Load(files, nil, "")), judge(LoadToJudge(files, nil, ""))
}

// TestCompiledJudgesAlike: our rules find the same however they were read, also
// where nothing was seen, and so does one with every kind of parameter.
func TestCompiledJudgesAlike(t *testing.T) {
	seen, hidden := liveFacts(t), liveFacts(t)
	hideWhatIsRead(containerRules(t), hidden)
	bare := &facts.Facts{Containers: []workload.Spec{{Name: "bare"}}}
	for name, f := range map[string]*facts.Facts{"seen": seen, "hidden": hidden, "bare": bare} {
		for from, files := range map[string]fs.FS{"ours": rules.Files, "sample": tree(t, sampleRule)} {
			written, compiled := bothWays(t, files, f)
			if diff := cmp.Diff(written, compiled); diff != "" {
				t.Errorf("%s, %s: %s", from, name, diff)
			}
			if len(written) == 0 {
				t.Errorf("%s, %s: nothing was found", from, name)
			}
		}
	}
}

// TestCompiledFails: the twin of a sample that passes, so that the comparison
// above is not one of two silences.
func TestCompiledFails(t *testing.T) {
	f := &facts.Facts{Containers: []workload.Spec{{Name: "bare"}, {Name: "full", Mounts: make([]workload.Mount, 3)}}}
	_, found := bothWays(t, tree(t, sampleRule), f)
	got := fmt.Sprint(found[0].Status, " ", found[1].Status, " ", found[1].Message, ", ", found[1].Remedy.Run, " ", found[1].Refs)
	if want := "pass fail has 3 of 3, mend full map[cis-1.8:[5.1]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestCompiledIsStable: the same rules give the same bytes.
func TestCompiledIsStable(t *testing.T) {
	one, err := Compiled(rules.Files)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Compiled(rules.Files)
	if err != nil || !bytes.Equal(one, other) {
		t.Errorf("compiled twice: %v, equal: %t", err, bytes.Equal(one, other))
	}
}

// TestCompiledIsOld: a rule whose file has changed since is read from its file.
func TestCompiledIsOld(t *testing.T) {
	files := tree(t, sampleRule)
	files["container/sample.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(sampleRule, "The sample fails", "The other fails", 1))}
	files["container/second.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(sampleRule, "rule: sample", "rule: second", 1))}
	set, err := LoadToJudge(files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range set.Rules() {
		got = append(got, r.Name+": "+r.Title)
	}
	if diff := cmp.Diff([]string{"sample: The other fails", "second: The sample fails"}, got); diff != "" {
		t.Error(diff)
	}
	files["container/twice.yaml"] = files["container/second.yaml"]
	if _, err := LoadToJudge(files, nil, ""); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a rule in a file of another name: %v", err)
	}
}

func TestCompiledIsBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(fstest.MapFS)
		want   string
	}{
		"missing":    {func(f fstest.MapFS) { delete(f, CompiledFile) }, "reading compiled rules"},
		"not JSON":   {func(f fstest.MapFS) { f[CompiledFile] = &fstest.MapFile{Data: []byte("{")} }, "reading compiled rules: compiled.json line 1"},
		"of another": {func(f fstest.MapFS) { f[CompiledFile] = &fstest.MapFile{Data: []byte("{}")} }, `its schema is ""`},
	} {
		files := tree(t, sampleRule)
		tc.change(files)
		if _, err := LoadToJudge(files, nil, ""); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	files := tree(t, sampleRule)
	files[CompiledFile].Data = bytes.Replace(files[CompiledFile].Data, []byte(`"tree":"`), []byte(`"tree":"AAAA`), 1)
	set, err := LoadToJudge(files, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	found, err := set.Judge(&facts.Facts{Containers: []workload.Spec{{Name: "bare"}}})
	if err != nil || found[0].Status != finding.Unknown || !strings.Contains(found[0].Reason, "a compiled expression is cut short") {
		t.Errorf("an expression that cannot be read: %v, %v", found, err)
	}
}
