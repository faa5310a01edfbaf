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
		"gitlab": {map[string]string{"CI": "true", "GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ana", "CI_COMMIT_TITLE": "mend the clock", "CI_PIPELINE_URL": "https://g/p/1", "CI_COMMIT_SHA": "abc"},
			Said{Owner: "ana", Why: "mend the clock", Run: "https://g/p/1", Commit: "abc"}},
		"github": {map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ben", "GITHUB_SHA": "def", "GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r",
			"GITHUB_RUN_ID": "7", "GITHUB_WORKFLOW": "release", "GITHUB_REF_NAME": "v2"},
			Said{Owner: "ben", Why: "release v2", Run: "https://github.example/o/r/actions/runs/7", Commit: "def"}},
		"github without a run": {map[string]string{"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.example"}, Said{}},
		"jenkins": {map[string]string{"JENKINS_URL": "https://j/", "BUILD_URL": "https://j/job/9/", "JOB_NAME": "deploy", "GIT_COMMIT": "123", "BUILD_USER_ID": " mei "},
			Said{Owner: "mei", Why: "deploy", Run: "https://j/job/9/", Commit: "123"}},
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
	got, _ := Of(Said{Owner: "ops", Why: "release", Intent: "shop", RetireAfter: "90d"}.Labels(), noon)
	if got == nil || got.Owner != "ops" || got.Why != "release" || got.Intent != "shop" || got.RetireAfter == "" {
		t.Errorf("what is said is read as %+v", got)
	}
}
