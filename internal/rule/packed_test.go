package rule

import (
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

// tree is our rules with one file.
func tree(text string) fstest.MapFS {
	return fstest.MapFS{"container/sample.yaml": {Data: []byte(text)}}
}

// bothWays judges by the rules as they are written, and as they are packed.
func bothWays(t *testing.T, files fs.FS, f *facts.Facts) (written, packed []finding.Finding) {
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
	ours, err := Pack(files)
	if err != nil {
		t.Fatal(err)
	}
	return judge(Load(files, nil, "")), judge(LoadToJudge(ours, nil, ""))
}

// TestPackedJudgesAlike: our rules find the same however they were read, also
// where nothing was seen, and so does one with every kind of parameter.
func TestPackedJudgesAlike(t *testing.T) {
	seen, hidden := liveFacts(t), liveFacts(t)
	hideWhatIsRead(containerRules(t), hidden)
	bare := &facts.Facts{Containers: []workload.Spec{{Name: "bare"}}}
	for name, f := range map[string]*facts.Facts{"seen": seen, "hidden": hidden, "bare": bare} {
		for from, files := range map[string]fs.FS{"ours": rules.Files, "sample": tree(sampleRule)} {
			written, packed := bothWays(t, files, f)
			if diff := cmp.Diff(written, packed); diff != "" {
				t.Errorf("%s, %s: %s", from, name, diff)
			}
			if len(written) == 0 {
				t.Errorf("%s, %s: nothing was found", from, name)
			}
		}
	}
}

// TestPackedFails: the twin of a sample that passes, so that the comparison
// above is not one of two silences.
func TestPackedFails(t *testing.T) {
	f := &facts.Facts{Containers: []workload.Spec{{Name: "bare"}, {Name: "full", Mounts: make([]workload.Mount, 3)}}}
	_, found := bothWays(t, tree(sampleRule), f)
	got := fmt.Sprint(found[0].Status, " ", found[1].Status, " ", found[1].Message, ", ", found[1].Remedy.Run, " ", found[1].Refs)
	if want := "pass fail has 3 of 3, mend full map[cis-1.8:[5.1]]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestPackRefuses: what could not be judged by is not packed.
func TestPackRefuses(t *testing.T) {
	_, err := Pack(tree(strings.Replace(sampleRule, "n < params.most", "n << params.most", 1)))
	if err == nil || !strings.Contains(err.Error(), "container/sample.yaml line 10: a value should stand here, not <") {
		t.Errorf("packed: %v", err)
	}
}
