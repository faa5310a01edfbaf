package declare

import "strings"

// The labels that a deployment by plimsoll deploy has beside those that Of reads.
const (
	LabelRun    = "plimsoll.run"    // the address of the run of continuous integration
	LabelCommit = "plimsoll.commit" // what was deployed, as its version control has it
)

// Said is what is said about a deployment before it is made. What is not known is "".
type Said struct {
	Owner, Why, Intent, RetireAfter string
	Run, Commit                     string
}

// Or takes from the other what is not said.
func (s Said) Or(other Said) Said {
	for _, f := range []struct{ to, from *string }{
		{&s.Owner, &other.Owner}, {&s.Why, &other.Why}, {&s.Intent, &other.Intent}, {&s.RetireAfter, &other.RetireAfter}, {&s.Run, &other.Run}, {&s.Commit, &other.Commit},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	return s
}

// Labels are what a container gets. What is not said is left out.
func (s Said) Labels() map[string]string {
	labels := map[string]string{}
	for name, text := range map[string]string{
		LabelOwner: s.Owner, LabelWhy: s.Why, LabelIntent: s.Intent, LabelRetireAfter: s.RetireAfter, LabelRun: s.Run, LabelCommit: s.Commit,
	} {
		if text = strings.TrimSpace(text); text != "" {
			labels[name] = text
		}
	}
	return labels
}

// FromCI is what the variables of continuous integration say: of GitLab ("Predefined CI/CD
// variables reference"), GitHub Actions ("Variables reference: Default environment
// variables"), Jenkins ("Using environment variables", and its plugins git and
// build-user-vars), and of others that set names that are common among them.
func FromCI(getenv func(string) string) Said {
	first := func(names ...string) string {
		for _, name := range names {
			if text := strings.TrimSpace(getenv(name)); text != "" {
				return text
			}
		}
		return ""
	}
	switch {
	case getenv("GITLAB_CI") != "":
		return Said{Owner: first("GITLAB_USER_LOGIN"), Why: first("CI_MERGE_REQUEST_TITLE", "CI_COMMIT_TAG_MESSAGE", "CI_COMMIT_TITLE"),
			Run: first("CI_JOB_URL", "CI_PIPELINE_URL"), Commit: first("CI_COMMIT_SHA")}
	case getenv("GITHUB_ACTIONS") != "":
		s := Said{Owner: first("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"), Commit: first("GITHUB_SHA")}
		if server, repository, run := first("GITHUB_SERVER_URL"), first("GITHUB_REPOSITORY"), first("GITHUB_RUN_ID"); server != "" && repository != "" && run != "" {
			s.Run = server + "/" + repository + "/actions/runs/" + run
		}
		if workflow, ref := first("GITHUB_WORKFLOW"), first("GITHUB_REF_NAME"); workflow != "" {
			s.Why = strings.TrimSpace(workflow + " " + ref)
		}
		return s
	case getenv("JENKINS_URL") != "":
		return Said{Owner: first("BUILD_USER_ID", "CHANGE_AUTHOR"), Why: first("CHANGE_TITLE", "JOB_NAME"), Run: first("RUN_DISPLAY_URL", "BUILD_URL"), Commit: first("GIT_COMMIT")}
	case getenv("CI") != "":
		return Said{Why: first("CI_COMMIT_MESSAGE", "CI_PIPELINE_NAME"), Run: first("CI_PIPELINE_URL", "CI_BUILD_URL", "BUILD_URL"), Commit: first("CI_COMMIT_SHA", "CI_COMMIT", "GIT_COMMIT")}
	}
	return Said{}
}
