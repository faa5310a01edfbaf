package declare

import "strings"

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
			Run: first("CI_JOB_URL", "CI_PIPELINE_URL"), Commit: first("CI_COMMIT_SHA"), Repository: WithoutLogin(first("CI_PROJECT_URL"))}
	case getenv("GITHUB_ACTIONS") != "":
		s := Said{Owner: first("GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR"), Commit: first("GITHUB_SHA")}
		if server, repository := first("GITHUB_SERVER_URL"), first("GITHUB_REPOSITORY"); server != "" && repository != "" {
			s.Repository = WithoutLogin(server + "/" + repository)
			if run := first("GITHUB_RUN_ID"); run != "" {
				s.Run = server + "/" + repository + "/actions/runs/" + run
			}
		}
		if workflow, ref := first("GITHUB_WORKFLOW"), first("GITHUB_REF_NAME"); workflow != "" {
			s.Why = strings.TrimSpace(workflow + " " + ref)
		}
		return s
	case getenv("JENKINS_URL") != "":
		return Said{Owner: first("BUILD_USER_ID", "CHANGE_AUTHOR"), Why: first("CHANGE_TITLE", "JOB_NAME"), Run: first("RUN_DISPLAY_URL", "BUILD_URL"), Commit: first("GIT_COMMIT"),
			Repository: WithoutLogin(first("GIT_URL"))}
	case getenv("CI") != "":
		return Said{Why: first("CI_COMMIT_MESSAGE", "CI_PIPELINE_NAME"), Run: first("CI_PIPELINE_URL", "CI_BUILD_URL", "BUILD_URL"), Commit: first("CI_COMMIT_SHA", "CI_COMMIT", "GIT_COMMIT"),
			Repository: WithoutLogin(first("CI_REPO_URL", "CI_REPOSITORY_URL", "GIT_URL"))}
	}
	return Said{}
}
