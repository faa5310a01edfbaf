package declare

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFromCI(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want Said
	}{
		"none": {map[string]string{"CI_COMMIT_SHA": "abc", "BUILD_URL": "x"}, Said{}},
		"gitlab": {map[string]string{"CI": "true", "GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ana", "CI_PROJECT_URL": "https://g/p", "CI_COMMIT_TITLE": "mend the clock", "CI_PIPELINE_URL": "https://g/p/1", "CI_COMMIT_SHA": "abc"},
			Said{Owner: "ana", Why: "mend the clock", Run: "https://g/p/1", Commit: "abc", Repository: "https://g/p"}},
		"github": {map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ben", "GITHUB_SHA": "def", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r",
			"GITHUB_RUN_ID": "7", "GITHUB_WORKFLOW": "release", "GITHUB_REF_NAME": "v2"},
			Said{Owner: "ben", Why: "release v2", Run: "https://github.example/o/r/actions/runs/7", Commit: "def", Repository: "https://github.example/o/r"}},
		"github without a run": {map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.example"}, Said{}},
		"jenkins": {map[string]string{"JENKINS_URL": "https://j/", "BUILD_URL": "https://j/job/9/", "JOB_NAME": "deploy", "GIT_COMMIT": "123", "GIT_URL": "https://bot:t0ken@git.example/o/r.git", "BUILD_USER_ID": " mei "},
			Said{Owner: "mei", Why: "deploy", Run: "https://j/job/9/", Commit: "123", Repository: "https://git.example/o/r.git"}},
		"another": {map[string]string{"CI": "woodpecker", "CI_COMMIT_SHA": "456", "CI_PIPELINE_URL": "https://w/1"}, Said{Run: "https://w/1", Commit: "456"}},
	} {
		got := FromCI(func(name string) string { return c.env[name] })
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestSaid(t *testing.T) {
	s := Said{Owner: "ops", Why: "  "}.Or(Said{Owner: "ana", Run: "https://g/p/1"})
	if diff := cmp.Diff(map[string]string{LabelOwner: "ops", LabelRun: "https://g/p/1"}, s.Labels()); diff != "" {
		t.Error(diff)
	}
	if got, _ := Of(s.Labels(), noon); got == nil || got.Source != SourceLabels {
		t.Errorf("what is written is read as %+v", got)
	}
	set, _ := Saying{Known: s}.Onto(nil)
	if got, more := Of(set, noon); got == nil || got.Source != SourceDeploy || more["run"] != "https://g/p/1" {
		t.Errorf("what is deployed is read as %+v, %v", got, more)
	}
	got, _ := Of(Said{Owner: "ops", Why: "release", Intent: "shop", RetireAfter: "90d"}.Labels(), noon)
	if got == nil || got.Owner != "ops" || got.Why != "release" || got.Intent != "shop" || got.RetireAfter == "" {
		t.Errorf("what is said is read as %+v", got)
	}
}

// TestOnto: what is said wins over a label that is there, that over what is only known, and
// what an earlier deployment has set over nothing.
func TestOnto(t *testing.T) {
	s := Saying{Said: Said{Owner: "ops"}, Known: Said{Owner: "ana", Why: "release 2", Commit: "bbb"}}
	for name, c := range map[string]struct {
		labels map[string]string
		set    map[string]string
		drop   []string
	}{
		"none":           {nil, map[string]string{LabelOwner: "ops", LabelWhy: "release 2", LabelCommit: "bbb", LabelDeploy: "owner why commit"}, nil},
		"written":        {map[string]string{LabelOwner: "file", LabelWhy: "file", LabelCommit: "file", "a": "b"}, map[string]string{LabelOwner: "ops", LabelDeploy: "owner"}, nil},
		"written empty":  {map[string]string{LabelWhy: " ", LabelIntent: ""}, map[string]string{LabelOwner: "ops", LabelWhy: "release 2", LabelCommit: "bbb", LabelDeploy: "owner why commit"}, nil},
		"set before":     {map[string]string{LabelWhy: "release 1", LabelCommit: "aaa", LabelDeploy: "why commit"}, map[string]string{LabelOwner: "ops", LabelWhy: "release 2", LabelCommit: "bbb", LabelDeploy: "owner why commit"}, nil},
		"not said again": {map[string]string{LabelIntent: "shop", LabelRun: "https://g/1", LabelDeploy: "intent run"}, map[string]string{LabelOwner: "ops", LabelWhy: "release 2", LabelCommit: "bbb", LabelDeploy: "owner why commit"}, []string{LabelIntent, LabelRun}},
		"written since":  {map[string]string{LabelIntent: "shop", LabelDeploy: "run"}, map[string]string{LabelOwner: "ops", LabelWhy: "release 2", LabelCommit: "bbb", LabelDeploy: "owner why commit"}, nil},
	} {
		set, drop := s.Onto(c.labels)
		if diff := cmp.Diff(c.set, set) + cmp.Diff(c.drop, drop); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if set, drop := (Saying{}).Onto(map[string]string{LabelDeploy: ""}); len(set) > 0 || len(drop) != 1 {
		t.Errorf("nothing is said: %v, %v", set, drop)
	}
}

func TestWithoutLogin(t *testing.T) {
	for address, want := range map[string]string{
		"https://git.example/o/r.git": "https://git.example/o/r.git", " https://ana:s3cret@git.example/o/r?token=s3cret#s3cret\n": "https://git.example/o/r", "https://s3cret@git.example/o/r": "https://git.example/o/r",
		"git@git.example:o/r.git": "git@git.example:o/r.git", "/srv/r.git": "/srv/r.git", "file:///srv/r.git": "file:///srv/r.git", "ssh://git@git.example:22/o/r": "ssh://git.example:22/o/r", "": "",
		"https://ana:s3%zzcret@git.example/": "", "ext::sh -c s3cret": "", "r?token=s3cret": "", "https:///o/r": "",
	} {
		if got := WithoutLogin(address); got != want {
			t.Errorf("%q is %q, want %q", address, got, want)
		}
	}
}
